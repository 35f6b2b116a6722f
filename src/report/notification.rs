//! A run as whoever is notified of it gets it: versioned JSON, and the same in plain words. The report is redacted before.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::values::{RunReport, ServiceReport};
use super::verdict::verdict;
use super::words::{Dress, is_commit};
use crate::action::neutral::{cut, neutralise};
use crate::problem::{Problem, Severity};
use crate::release::{Digest, Outcome, Version};

/// The version of the JSON: a key may come to it, none goes or changes its meaning.
const VERSION: u32 = 1;
/// Services and problems that are told one by one.
const MOST: usize = 50;
/// Bytes of one text.
const LONGEST: usize = 1000;
/// SNS takes subjects of less than a hundred characters.
const SUBJECT: usize = 99;

/// Which step of the action speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStep {
    /// The one that releases.
    Main,
    /// The one after a cancelled or lost one, which says what serves.
    Post,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Notification {
    version: u32,
    /// When it was sent first.
    #[serde(serialize_with = "as_text")]
    pub sent: Timestamp,
    step: ActionStep,
    /// How the run ended.
    pub outcome: Outcome,
    operation: String,
    /// The environment of the deploy file.
    pub environment: Option<String>,
    /// How it ended and what serves now, in one sentence.
    pub sentence: String,
    repository: Option<String>,
    commit: Option<String>,
    /// The run's own page.
    pub run: Option<String>,
    rehearsal: bool,
    /// The services, in the order of the deploy file.
    pub services: Vec<Told>,
    services_left_out: usize,
    problems: Vec<Trouble>,
}

/// `2026-03-02T09:03:00Z`, in whole seconds.
fn as_text<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Told {
    /// Its name.
    pub name: String,
    outcome: Outcome,
    serves: Option<String>,
    serves_digest: Option<String>,
    wanted: Option<String>,
    wanted_digest: Option<String>,
    previous: Option<String>,
    commit: Option<String>,
    /// How it is known what serves.
    evidence: String,
    /// Why it failed.
    pub cause: Option<Trouble>,
    url: Option<String>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    code: &'static str,
    service: Option<String>,
    sentence: String,
    cause: Option<String>,
}

/// Whether anybody is told of a run that ended so. What failed, was taken back or needs a person always is; what went
/// well where that is wished; what was only looked at, refused or left alone never.
pub fn is_news(outcome: Outcome, success: bool) -> bool {
    match outcome {
        Outcome::Failed
        | Outcome::Stranded
        | Outcome::Inconclusive
        | Outcome::Cancelled
        | Outcome::RolledBack => true,
        Outcome::Deployed | Outcome::Committed | Outcome::Proposed => success,
        Outcome::Unchanged
        | Outcome::Planned
        | Outcome::Verified
        | Outcome::Skipped
        | Outcome::Invalid
        | Outcome::Superseded => false,
    }
}

impl Notification {
    /// What is said of a run, at `sent`.
    pub fn new(report: &RunReport, step: ActionStep, sent: Timestamp) -> Self {
        let errors = report.problems_of(Severity::Error);
        Self {
            version: VERSION,
            sent,
            step,
            outcome: report.outcome,
            operation: line(&report.operation),
            environment: report.environment.as_deref().map(line),
            sentence: line(&verdict(report, Dress::Plain)),
            repository: report.repository.as_deref().map(line),
            commit: report.commit.as_deref().map(line),
            run: report.run_url.as_deref().map(line),
            rehearsal: report.rehearsal,
            services: report.services.iter().take(MOST).map(told).collect(),
            services_left_out: report.services.len().saturating_sub(MOST),
            problems: errors.into_iter().take(MOST).map(trouble).collect(),
        }
    }

    /// The body of a webhook.
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The subject of a mail: ASCII, one line, less than a hundred characters, beginning with a letter.
    pub fn subject(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(|service| service.name.as_str()).collect();
        let of = if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) };
        let place = self.environment.as_deref().unwrap_or("no environment");
        let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
        let whole: String = format!("Roadstead {} {place}{of}", self.outcome).chars().map(plain).collect();
        if whole.len() <= SUBJECT { whole } else { format!("{}...", cut(&whole, SUBJECT - 3).trim_end()) }
    }

    /// The same in plain lines.
    pub fn text(&self) -> String {
        let mut lines = vec![self.sentence.clone(), String::new()];
        if self.rehearsal {
            lines.push("A rehearsal on the embedded cloud: nothing real was touched.".into());
        }
        lines.extend(self.services.iter().map(Told::line));
        if self.services_left_out > 0 {
            lines.push(format!("… and {} services more", self.services_left_out));
        }
        lines.extend(self.causes().iter().map(|cause| format!("Cause: {cause}")));
        lines.extend(self.commit.iter().map(|commit| format!("Commit: {commit}")));
        lines.extend(self.run.iter().map(|run| format!("Run: {run}")));
        lines.join("\n")
    }

    /// Why services failed; where none did, what else was wrong.
    pub fn causes(&self) -> Vec<String> {
        let of_services: Vec<&Trouble> = self.services.iter().filter_map(|one| one.cause.as_ref()).collect();
        let all = if of_services.is_empty() { self.problems.iter().collect() } else { of_services };
        all.into_iter().map(Trouble::words).collect()
    }
}

impl Told {
    /// `backend: failed — backend:41 serves (was to be backend:42)`.
    pub fn line(&self) -> String {
        let serves = self
            .serves
            .as_deref()
            .map_or("what serves now is not known".into(), |now| format!("{now} serves"));
        let wanted = self.wanted.as_ref().filter(|wanted| Some(*wanted) != self.serves.as_ref());
        let wanted = wanted.map(|wanted| format!(" ({wanted} was wanted)")).unwrap_or_default();
        format!("{}: {} — {serves}{wanted}", self.name, self.outcome)
    }
}

impl Trouble {
    fn words(&self) -> String {
        let of = self.service.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let cause = self.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        format!("{of}{}{cause}", self.sentence)
    }
}

fn told(service: &ServiceReport) -> Told {
    let label = |version: &Option<Version>| version.as_ref().map(|version| line(&version.label));
    let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
    let commit = service.commit.as_deref().filter(|sha| is_commit(sha));
    Told {
        name: line(&service.name),
        outcome: service.outcome,
        serves: label(&service.serves),
        serves_digest: digest(&service.serves_digest),
        wanted: label(&service.version),
        wanted_digest: digest(&service.digest),
        previous: label(&service.previous),
        commit: commit.map(str::to_owned),
        evidence: line(&service.evidence),
        cause: service.failure.as_ref().map(|failure| trouble(&failure.problem)),
        url: service.url.as_deref().map(line),
    }
}

fn trouble(problem: &Problem) -> Trouble {
    Trouble {
        code: problem.code.name(),
        service: problem.service.as_deref().map(line),
        sentence: line(&problem.sentence),
        cause: problem.cause.as_deref().map(line),
    }
}

/// One harmless line of a bounded length.
fn line(outside: &str) -> String {
    let clean = neutralise(&outside.replace(['\r', '\n', '\t'], " "));
    let kept = cut(clean.trim(), LONGEST);
    if kept.len() == clean.trim().len() { kept.to_owned() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn of(report: &RunReport) -> Notification {
        Notification::new(report, ActionStep::Main, samples::at(80))
    }

    #[test]
    fn what_goes_to_a_webhook() {
        let json: serde_json::Value =
            serde_json::from_slice(&of(&samples::ended(Outcome::Failed)).json()).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
        {
          "version": 1,
          "sent": "2026-11-21T12:05:00Z",
          "step": "main",
          "outcome": "failed",
          "operation": "deploy",
          "environment": "production",
          "sentence": "❌ production: backend failed and was rolled back — backend:41 serves, as before",
          "repository": "acme/app",
          "commit": "c0ffee1000000000000000000000000000000000",
          "run": "https://github.com/acme/app/actions/runs/12/attempts/1",
          "rehearsal": false,
          "services": [
            {
              "name": "backend",
              "outcome": "failed",
              "serves": "backend:41",
              "serves-digest": "sha256:7777777777777777777777777777777777777777777777777777777777777777",
              "wanted": "backend:42",
              "wanted-digest": "sha256:9999999999999999999999999999999999999999999999999999999999999999",
              "previous": "backend:41",
              "commit": "c0ffee1000000000000000000000000000000000",
              "evidence": "rolled back, 4 of 4 targets healthy on the old digest",
              "cause": {
                "code": "container-exited",
                "service": "backend",
                "sentence": "The container `app` exits by itself, twice in 18 s.",
                "cause": "EssentialContainerExited: Essential container in task exited"
              },
              "url": null
            }
          ],
          "services-left-out": 0,
          "problems": [
            {
              "code": "container-exited",
              "service": "backend",
              "sentence": "The container `app` exits by itself, twice in 18 s.",
              "cause": "EssentialContainerExited: Essential container in task exited"
            }
          ]
        }
        "#);
    }

    #[test]
    fn what_goes_into_a_mail() {
        let failed = of(&samples::ended(Outcome::Failed));
        insta::assert_snapshot!(format!("{}\n\n{}", failed.subject(), failed.text()), @"
        Roadstead failed production: backend

        ❌ production: backend failed and was rolled back — backend:41 serves, as before

        backend: failed — backend:41 serves (backend:42 was wanted)
        Cause: backend: The container `app` exits by itself, twice in 18 s. (EssentialContainerExited: Essential container in task exited)
        Commit: c0ffee1000000000000000000000000000000000
        Run: https://github.com/acme/app/actions/runs/12/attempts/1
        ");
        let stranded = of(&samples::ended(Outcome::Stranded));
        insta::assert_snapshot!(stranded.text(), @"
        🚨 production: backend needs a person now: the new version failed, and so did the rollback — what serves now is not known

        backend: stranded — what serves now is not known (backend:42 was wanted)
        Cause: backend: The container `app` exits by itself, twice in 18 s. (EssentialContainerExited: Essential container in task exited)
        Commit: c0ffee1000000000000000000000000000000000
        Run: https://github.com/acme/app/actions/runs/12/attempts/1
        ");
    }

    #[test]
    fn good_news_are_told_where_that_is_wished() {
        let told = |success| {
            Outcome::ALL.into_iter().filter(|it| is_news(*it, success)).map(Outcome::word).collect::<Vec<_>>()
        };
        assert_eq!(told(false), ["rolled-back", "failed", "stranded", "inconclusive", "cancelled"]);
        assert_eq!(
            told(true),
            [
                "deployed",
                "committed",
                "proposed",
                "rolled-back",
                "failed",
                "stranded",
                "inconclusive",
                "cancelled"
            ]
        );
    }

    #[test]
    fn no_name_breaks_a_subject_or_a_line() {
        let mut report = samples::ended(Outcome::Failed);
        report.environment = Some("prod\r\nBcc: all@acme.dev\u{202e}ü".into());
        report.services = (0..300).map(|n| samples::service(&format!("s{n}\nx"), Outcome::Failed)).collect();
        let told = of(&report);
        let subject = told.subject();
        assert!(subject.len() < 100 && subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{subject}");
        assert!(subject.starts_with("Roadstead failed prod  Bcc: all@acme.dev?: s0 x, "), "{subject}");
        assert_eq!((told.services.len(), told.services_left_out), (50, 250));
        assert!(told.text().lines().count() < 130 && told.json().len() < 262_144);
    }
}
