//! A run as its notification: versioned JSON, and the same as plain text. The report is redacted before.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::headline::headline;
use super::run_report::{RunReport, ServiceReport};
use super::text::{TextStyle, is_commit};
use crate::action::sanitize::{sanitize_line, truncate};
use crate::problem::{Problem, Severity};
use crate::release::{Digest, Outcome, Version};

/// The version of the JSON: keys can be added, none is removed or changes its meaning.
const SCHEMA_VERSION: u32 = 1;
/// The most services and problems that are listed.
const MAX_ENTRIES: usize = 50;
/// Bytes of one text.
const MAX_TEXT_BYTES: usize = 1000;
/// SNS limits subjects to less than 100 characters.
const MAX_SUBJECT_CHARS: usize = 99;

/// The step of the action that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionStep {
    /// The main step.
    Main,
    /// The post step after a cancelled or lost main step, which reports the serving version.
    Post,
}

/// The notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Notification {
    version: u32,
    /// Time of the first attempt to send.
    #[serde(serialize_with = "as_text")]
    pub sent: Timestamp,
    step: ActionStep,
    /// How the run ended.
    pub outcome: Outcome,
    operation: String,
    /// The environment of the deploy file.
    pub environment: Option<String>,
    /// How the run ended and which version serves, in one sentence.
    pub sentence: String,
    repository: Option<String>,
    commit: Option<String>,
    /// The run's own page.
    #[serde(rename = "run")]
    pub run_url: Option<String>,
    rehearsal: bool,
    /// The services, in the order of the deploy file.
    pub services: Vec<NotifiedService>,
    services_left_out: usize,
    problems: Vec<NotifiedProblem>,
}

/// `2026-03-02T09:03:00Z`, in whole seconds.
fn as_text<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.strftime("%Y-%m-%dT%H:%M:%SZ"))
}

/// A service in a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NotifiedService {
    /// Its name in the deploy file.
    pub name: String,
    outcome: Outcome,
    serves: Option<String>,
    serves_digest: Option<String>,
    wanted: Option<String>,
    wanted_digest: Option<String>,
    previous: Option<String>,
    commit: Option<String>,
    /// The evidence for the serving version.
    evidence: String,
    /// Why it failed.
    pub cause: Option<NotifiedProblem>,
    url: Option<String>,
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotifiedProblem {
    code: &'static str,
    service: Option<String>,
    sentence: String,
    cause: Option<String>,
}

/// Whether an outcome is notified: failed, rolled-back and stranded runs always, successful ones if configured, plans,
/// rejected and unchanged ones never.
pub fn should_notify(outcome: Outcome, success: bool) -> bool {
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
    /// The notification of a run, at `sent`.
    pub fn new(report: &RunReport, step: ActionStep, sent: Timestamp) -> Self {
        let errors = report.problems_of(Severity::Error);
        Self {
            version: SCHEMA_VERSION,
            sent,
            step,
            outcome: report.outcome,
            operation: bounded_line(&report.operation),
            environment: report.environment.as_deref().map(bounded_line),
            sentence: bounded_line(&headline(report, TextStyle::Plain)),
            repository: report.repository.as_deref().map(bounded_line),
            commit: report.commit.as_deref().map(bounded_line),
            run_url: report.run_url.as_deref().map(bounded_line),
            rehearsal: report.rehearsal,
            services: report.services.iter().take(MAX_ENTRIES).map(notified_service).collect(),
            services_left_out: report.services.len().saturating_sub(MAX_ENTRIES),
            problems: errors.into_iter().take(MAX_ENTRIES).map(notified_problem).collect(),
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
        let environment = self.environment.as_deref().unwrap_or("no environment");
        let plain = |c: char| if (' '..='~').contains(&c) { c } else { '?' };
        let whole: String =
            format!("Roadstead {} {environment}{of}", self.outcome).chars().map(plain).collect();
        if whole.len() <= MAX_SUBJECT_CHARS {
            whole
        } else {
            format!("{}...", truncate(&whole, MAX_SUBJECT_CHARS - 3).trim_end())
        }
    }

    /// The same in plain lines.
    pub fn text(&self) -> String {
        let mut lines = vec![self.sentence.clone(), String::new()];
        if self.rehearsal {
            lines.push("Rehearsal on the emulator: no real resource was changed.".into());
        }
        lines.extend(self.services.iter().map(NotifiedService::summary_line));
        if self.services_left_out > 0 {
            lines.push(format!("… and {} more services", self.services_left_out));
        }
        lines.extend(self.causes().iter().map(|cause| format!("Cause: {cause}")));
        lines.extend(self.commit.iter().map(|commit| format!("Commit: {commit}")));
        lines.extend(self.run_url.iter().map(|run| format!("Run: {run}")));
        lines.join("\n")
    }

    /// Why services failed; if none did, the other problems.
    pub fn causes(&self) -> Vec<String> {
        let of_services: Vec<&NotifiedProblem> =
            self.services.iter().filter_map(|one| one.cause.as_ref()).collect();
        let all = if of_services.is_empty() { self.problems.iter().collect() } else { of_services };
        all.into_iter().map(NotifiedProblem::describe).collect()
    }
}

impl NotifiedService {
    /// `backend: failed — backend:41 serves (requested: backend:42)`.
    pub fn summary_line(&self) -> String {
        let serves = self
            .serves
            .as_deref()
            .map_or("the serving version is unknown".into(), |now| format!("{now} serves"));
        let wanted = self.wanted.as_ref().filter(|wanted| Some(*wanted) != self.serves.as_ref());
        let wanted = wanted.map(|wanted| format!(" (requested: {wanted})")).unwrap_or_default();
        format!("{}: {} — {serves}{wanted}", self.name, self.outcome)
    }
}

impl NotifiedProblem {
    fn describe(&self) -> String {
        let of = self.service.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        let cause = self.cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        format!("{of}{}{cause}", self.sentence)
    }
}

fn notified_service(service: &ServiceReport) -> NotifiedService {
    let label = |version: &Option<Version>| version.as_ref().map(|version| bounded_line(&version.label));
    let digest = |digest: &Option<Digest>| digest.as_ref().map(ToString::to_string);
    let commit = service.commit.as_deref().filter(|sha| is_commit(sha));
    NotifiedService {
        name: bounded_line(&service.name),
        outcome: service.outcome,
        serves: label(&service.serving_version),
        serves_digest: digest(&service.serving_digest),
        wanted: label(&service.version),
        wanted_digest: digest(&service.digest),
        previous: label(&service.previous_version),
        commit: commit.map(str::to_owned),
        evidence: bounded_line(&service.evidence),
        cause: service.failure.as_ref().map(|failure| notified_problem(&failure.problem)),
        url: service.url.as_deref().map(bounded_line),
    }
}

fn notified_problem(problem: &Problem) -> NotifiedProblem {
    NotifiedProblem {
        code: problem.code.name(),
        service: problem.service.as_deref().map(bounded_line),
        sentence: bounded_line(&problem.sentence),
        cause: problem.cause.as_deref().map(bounded_line),
    }
}

/// One sanitized line of limited length.
fn bounded_line(outside: &str) -> String {
    let clean = sanitize_line(&outside.replace(['\r', '\n', '\t'], " "));
    let kept = truncate(clean.trim(), MAX_TEXT_BYTES);
    if kept.len() == clean.trim().len() { kept.to_owned() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn notification_of(report: &RunReport) -> Notification {
        Notification::new(report, ActionStep::Main, fixtures::sample_time(80))
    }

    #[test]
    fn webhook_body_is_versioned_json() {
        let json: serde_json::Value =
            serde_json::from_slice(&notification_of(&fixtures::sample_report(Outcome::Failed)).json())
                .unwrap();
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
    fn mail_has_plain_subject_and_text() {
        let failed = notification_of(&fixtures::sample_report(Outcome::Failed));
        insta::assert_snapshot!(format!("{}\n\n{}", failed.subject(), failed.text()), @"
        Roadstead failed production: backend

        ❌ production: backend failed and was rolled back — backend:41 serves, as before

        backend: failed — backend:41 serves (requested: backend:42)
        Cause: backend: The container `app` exits by itself, twice in 18 s. (EssentialContainerExited: Essential container in task exited)
        Commit: c0ffee1000000000000000000000000000000000
        Run: https://github.com/acme/app/actions/runs/12/attempts/1
        ");
        let stranded = notification_of(&fixtures::sample_report(Outcome::Stranded));
        insta::assert_snapshot!(stranded.text(), @"
        🚨 production: backend needs manual action: the new version failed, and the rollback failed — the serving version is unknown

        backend: stranded — the serving version is unknown (requested: backend:42)
        Cause: backend: The container `app` exits by itself, twice in 18 s. (EssentialContainerExited: Essential container in task exited)
        Commit: c0ffee1000000000000000000000000000000000
        Run: https://github.com/acme/app/actions/runs/12/attempts/1
        ");
    }

    #[test]
    fn success_is_notified_only_if_enabled() {
        let outcomes = |success| {
            Outcome::ALL
                .into_iter()
                .filter(|it| should_notify(*it, success))
                .map(Outcome::as_str)
                .collect::<Vec<_>>()
        };
        assert_eq!(outcomes(false), ["rolled-back", "failed", "stranded", "inconclusive", "cancelled"]);
        assert_eq!(
            outcomes(true),
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
    fn names_cannot_break_the_subject_or_a_line() {
        let mut report = fixtures::sample_report(Outcome::Failed);
        report.environment = Some("prod\r\nBcc: all@acme.dev\u{202e}ü".into());
        report.services =
            (0..300).map(|n| fixtures::sample_service(&format!("s{n}\nx"), Outcome::Failed)).collect();
        let notification = notification_of(&report);
        let subject = notification.subject();
        assert!(subject.len() < 100 && subject.bytes().all(|b| (b' '..=b'~').contains(&b)), "{subject}");
        assert!(subject.starts_with("Roadstead failed prod  Bcc: all@acme.dev?: s0 x, "), "{subject}");
        assert_eq!((notification.services.len(), notification.services_left_out), (50, 250));
        assert!(notification.text().lines().count() < 130 && notification.json().len() < 262_144);
    }
}
