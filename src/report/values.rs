//! What happened, as values: every sink (log, annotations, summary, outputs, terminal) is a function of these.

use std::time::Duration;

use jiff::Timestamp;

use crate::problem::{Location, Problem, Severity};
use crate::release::{Changes, Digest, Failure, ImageRef, Outcome, Version};
use crate::strategy::judge::Opinion;

/// A whole run: what was asked for, how it ended, and what serves now.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    /// How the run ended, over all services.
    pub outcome: Outcome,
    /// The operation that was asked for, such as `deploy`.
    pub operation: String,
    /// The environment of the deploy file; `None` where none was chosen.
    pub environment: Option<String>,
    /// Why the run ended as it did, in one sentence, where the outcome alone does not say it (`skipped`).
    pub reason: Option<String>,
    /// The services, in the order of the deploy file.
    pub services: Vec<ServiceReport>,
    /// Problems of the run as a whole; those of one service stand there.
    pub problems: Vec<Problem>,
    /// When the run started.
    pub started: Timestamp,
    /// When the run ended.
    pub finished: Timestamp,
    /// The run's own page, where there is one.
    pub run_url: Option<String>,
    /// The commit that the run is about, in full.
    pub commit: Option<String>,
    /// Where GitHub is, such as `https://github.com`; links are built on it.
    pub server_url: Option<String>,
    /// The repository as `owner/name`; links are built on it.
    pub repository: Option<String>,
    /// Whether this happened on the embedded cloud and nothing real was touched.
    pub rehearsal: bool,
}

impl RunReport {
    /// A report of `operation` that ended with `outcome`, at one instant, with nothing else known yet.
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

    /// How long the run took; zero where the clock went backwards.
    pub fn took(&self) -> Duration {
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

    /// The one service, where the run is about one.
    pub fn single(&self) -> Option<&ServiceReport> {
        match self.services.as_slice() {
            [service] => Some(service),
            _ => None,
        }
    }
}

/// One service of a run: what was asked for, what serves now, and how that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceReport {
    /// Its name in the deploy file.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The place, such as `ecs acme-production/backend`.
    pub target: String,
    /// The strategy in words, such as `rolling` or `canary 10 %, 15 min bake`.
    pub strategy: String,
    /// The image that was asked for.
    pub image: Option<ImageRef>,
    /// The digest that was asked for.
    pub digest: Option<Digest>,
    /// The version that was asked for, once it is known.
    pub version: Option<Version>,
    /// The version that serves now; `None` where nothing does or it is not known.
    pub serves: Option<Version>,
    /// The digest that serves now, as the provider says.
    pub serves_digest: Option<Digest>,
    /// The version that served before the run.
    pub previous: Option<Version>,
    /// Where people reach the service or look at it.
    pub url: Option<String>,
    /// The commit that was asked for.
    pub commit: Option<String>,
    /// Where its image was proven before, where it was promoted: `proven in staging by deployment 17`.
    pub origin: Option<String>,
    /// The commit that served before the run, where it is known.
    pub previous_commit: Option<String>,
    /// What lies between the two commits, newest first and perhaps not all of it (untrusted text).
    pub commits: Vec<CommitLine>,
    /// How many lie between them, where that is more than `commits` has.
    pub commits_total: usize,
    /// How it is known what serves now, in words; empty where it is not.
    pub evidence: String,
    /// How long it took.
    pub took: Duration,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What changed, or would change.
    pub changes: Changes,
    /// Why it would be rolled out although nothing changes, in a plan.
    pub again: Option<String>,
    /// Where it stands in the deploy file.
    pub at: Option<Location>,
    /// What happened when, oldest first.
    pub timeline: Vec<Moment>,
    /// How long it should take, in a plan.
    pub expected: Option<Duration>,
    /// Problems of this service, besides the cause in `failure`.
    pub problems: Vec<Problem>,
    /// What the judge of its canary said last.
    pub analysis: Option<Analysis>,
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
            digest: None,
            version: None,
            serves: None,
            serves_digest: None,
            previous: None,
            url: None,
            commit: None,
            origin: None,
            previous_commit: None,
            commits: Vec::new(),
            commits_total: 0,
            evidence: String::new(),
            took: Duration::ZERO,
            failure: None,
            changes: Changes::default(),
            again: None,
            at: None,
            timeline: Vec::new(),
            expected: None,
            problems: Vec::new(),
            analysis: None,
        }
    }

    /// Adds a moment to the timeline.
    pub fn moment(&mut self, at: Timestamp, text: impl Into<String>) {
        self.timeline.push(Moment { at, text: text.into() });
    }

    /// The cause of the failure first, then the other problems.
    pub fn all_problems(&self) -> impl Iterator<Item = &Problem> {
        self.failure.iter().map(|failure| &failure.problem).chain(&self.problems)
    }
}

/// What the judge of a canary said.
#[derive(Debug, Clone, PartialEq)]
pub struct Analysis {
    /// Its opinion; names of metrics in it come from outside.
    pub opinion: Opinion,
    /// The canary's share of the traffic then, in percent.
    pub share: u8,
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

/// Something that happened, for the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What, in a few words (may hold text from outside).
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Code;

    #[test]
    fn a_problem_that_two_places_know_is_told_once() {
        let mut report = RunReport::new(Outcome::Failed, "deploy", Timestamp::UNIX_EPOCH);
        let twice = Problem::error(Code::TimedOut, "Over.").of("a");
        let mut service = ServiceReport::new("a", Outcome::Failed);
        service.problems.push(twice.clone());
        report.problems.push(twice);
        report.services.push(service);
        assert_eq!(report.all_problems().len(), 1);
    }

    #[test]
    fn a_clock_that_went_backwards_gives_no_time_at_all() {
        let mut report = RunReport::new(Outcome::Deployed, "deploy", Timestamp::UNIX_EPOCH);
        report.finished = Timestamp::from_second(-5).unwrap();
        assert_eq!(report.took(), Duration::ZERO);
    }
}
