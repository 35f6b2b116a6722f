//! The result of a run, as values: every sink (log, annotations, summary, outputs, terminal) is a function of these.

use std::time::Duration;

use jiff::Timestamp;

use crate::problem::{Location, Problem, Severity};
use crate::release::{Changes, ContainerImages, Digest, Failure, ImageRef, Outcome, Version};
use crate::strategy::judge::Judgement;

/// A whole run: the request, the outcome, and the serving versions.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// How the run ended, over all services.
    pub outcome: Outcome,
    /// The requested operation, such as `deploy`.
    pub operation: String,
    /// The environment of the deploy file; `None` if none was selected.
    pub environment: Option<String>,
    /// Why the run ended as it did, in one sentence, if the outcome alone does not state it (`skipped`).
    pub reason: Option<String>,
    /// The services, in the order of the deploy file.
    pub services: Vec<ServiceReport>,
    /// Problems of the run as a whole; those of a service are in its report.
    pub problems: Vec<Problem>,
    /// When the run started.
    pub started: Timestamp,
    /// When the run ended.
    pub finished: Timestamp,
    /// URL of the run's page, if there is one.
    pub run_url: Option<String>,
    /// The commit that the run is about, in full.
    pub commit: Option<String>,
    /// URL of the GitHub server, such as `https://github.com`; the base of links.
    pub server_url: Option<String>,
    /// The repository as `owner/name`; part of links.
    pub repository: Option<String>,
    /// Whether this was a rehearsal on the emulator, without changes to real resources.
    pub rehearsal: bool,
}

impl RunReport {
    /// A report of `operation` with this outcome, at one instant; everything else is empty.
    pub fn new(outcome: Outcome, operation: impl Into<String>, at: Timestamp) -> Self {
        Self {
            outcome,
            operation: operation.into(),
            environment: None,
            reason: None,
            services: Vec::new(),
            problems: Vec::new(),
            started: at,
            finished: at,
            run_url: None,
            commit: None,
            server_url: None,
            repository: None,
            rehearsal: false,
        }
    }

    /// How long the run took; zero if the clock went backwards.
    pub fn elapsed(&self) -> Duration {
        Duration::try_from(self.finished.duration_since(self.started)).unwrap_or_default()
    }

    /// Every problem, of the run first and then service by service, without repetitions.
    pub fn all_problems(&self) -> Vec<&Problem> {
        let mut all: Vec<&Problem> = Vec::new();
        for problem in self.problems.iter().chain(self.services.iter().flat_map(ServiceReport::all_problems))
        {
            if !all.contains(&problem) {
                all.push(problem);
            }
        }
        all
    }

    /// Every problem of one severity, in the order of [`RunReport::all_problems`].
    pub fn problems_of(&self, severity: Severity) -> Vec<&Problem> {
        self.all_problems().into_iter().filter(|problem| problem.severity == severity).collect()
    }

    /// The only service, if the run has one.
    pub fn single_service(&self) -> Option<&ServiceReport> {
        match self.services.as_slice() {
            [service] => Some(service),
            _ => None,
        }
    }
}

/// One service of a run: the request, the serving version, and the evidence for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceReport {
    /// Its name in the deploy file.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The target, such as `ecs acme-production/backend`.
    pub target: String,
    /// The strategy for display, such as `rolling` or `canary 10 %, 15 min bake`.
    pub strategy: String,
    /// The requested image.
    pub image: Option<ImageRef>,
    /// The requested images of further containers.
    pub container_images: ContainerImages,
    /// The requested digest.
    pub digest: Option<Digest>,
    /// The requested version, once it is known.
    pub version: Option<Version>,
    /// The serving version; `None` if there is none or it is unknown.
    pub serving_version: Option<Version>,
    /// The serving digest, as the provider reports it.
    pub serving_digest: Option<Digest>,
    /// The version that served before the run.
    pub previous_version: Option<Version>,
    /// URL of the service, or of its console page.
    pub url: Option<String>,
    /// The requested commit.
    pub commit: Option<String>,
    /// Where the promoted image was verified: `proven in staging by deployment 17`.
    pub origin: Option<String>,
    /// The commit that served before the run, if it is known.
    pub previous_commit: Option<String>,
    /// The commits between the two, newest first and possibly not all of them (untrusted text).
    pub commits: Vec<CommitLine>,
    /// Number of commits between the two, if that is more than `commits` has.
    pub commits_total: usize,
    /// The evidence for the serving version; empty if there is none.
    pub evidence: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What changed, or would change.
    pub changes: Changes,
    /// Why a plan rolls out although nothing changes.
    pub redeploy_reason: Option<String>,
    /// Its position in the deploy file.
    pub declared_at: Option<Location>,
    /// What happened when, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// The expected duration, in a plan.
    pub expected_duration: Option<Duration>,
    /// Problems of this service, besides the cause in `failure`.
    pub problems: Vec<Problem>,
    /// The last analysis of its canary.
    pub analysis: Option<CanaryAnalysis>,
}

impl ServiceReport {
    /// A service of which only name and outcome are known yet.
    pub fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            target: String::new(),
            strategy: String::new(),
            image: None,
            container_images: ContainerImages::new(),
            digest: None,
            version: None,
            serving_version: None,
            serving_digest: None,
            previous_version: None,
            url: None,
            commit: None,
            origin: None,
            previous_commit: None,
            commits: Vec::new(),
            commits_total: 0,
            evidence: String::new(),
            elapsed: Duration::ZERO,
            failure: None,
            changes: Changes::default(),
            redeploy_reason: None,
            declared_at: None,
            timeline: Vec::new(),
            expected_duration: None,
            problems: Vec::new(),
            analysis: None,
        }
    }

    /// Adds a moment to the timeline.
    pub fn add_timeline_entry(&mut self, at: Timestamp, text: impl Into<String>) {
        self.timeline.push(TimelineEntry { at, text: text.into(), source: EntrySource::Run });
    }

    /// Adds an event that the provider reported.
    pub fn add_provider_event(&mut self, at: Timestamp, text: impl Into<String>) {
        self.timeline.push(TimelineEntry { at, text: text.into(), source: EntrySource::Provider });
    }

    /// The cause of the failure first, then the other problems.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        self.failure.iter().map(|failure| &failure.problem).chain(&self.problems)
    }
}

/// The analysis of a canary.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryAnalysis {
    /// The judgement; its metric names are untrusted.
    pub judgement: Judgement,
    /// The canary's traffic weight at that time, in percent.
    pub weight: u8,
}

/// One line of history between two versions. All of it is text from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLine {
    /// The commit, in full.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// Who wrote it: a login or a name.
    pub author: String,
}

/// An entry of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// The event in a few words (may contain untrusted text).
    pub text: String,
    /// Who reported it.
    pub source: EntrySource,
}

/// Who reported an entry of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrySource {
    /// The run: a decision or an observation of its own.
    Run,
    /// The provider, in its own words; there are many of these.
    Provider,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn duplicate_problem_is_listed_once() {
        let mut report = RunReport::new(Outcome::Failed, "deploy", Timestamp::UNIX_EPOCH);
        let twice = Problem::error(Code::TimedOut, "Over.").for_service("a");
        let mut service = ServiceReport::new("a", Outcome::Failed);
        service.problems.push(twice.clone());
        report.problems.push(twice);
        report.services.push(service);
        assert_eq!(report.all_problems().len(), 1);
    }

    #[test]
    fn elapsed_is_zero_if_clock_went_backwards() {
        let mut report = RunReport::new(Outcome::Deployed, "deploy", Timestamp::UNIX_EPOCH);
        report.finished = Timestamp::from_second(-5).unwrap();
        assert_eq!(report.elapsed(), Duration::ZERO);
    }
}
