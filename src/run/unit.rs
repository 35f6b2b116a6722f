//! One service on its way through a run: what it is, what was seen, what is planned, how far it is.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use super::before::Command;
use super::evidence::Gathered;
use crate::config::Service;
use crate::gates::Sources;
use crate::gates::http::Tried;
use crate::plan::ServicePlan;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Handed, Observed, Outcome, Proof, Release, Rollout, Version};
use crate::report::ServiceReport;
use crate::strategy::{self, Evidence, Watching};
use crate::targets::{self, Target};

/// How far a service is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Nothing was moved yet.
    Ready,
    /// A command runs that comes before any traffic; nothing was moved yet.
    Before(Box<Command>),
    /// A rollout was asked for and the answer is not in: it may have started or not.
    Asked,
    /// A rollout is under way.
    Moving(Rollout, Watching),
    /// It ended; the report says how.
    Done,
}

/// One service of a run.
pub struct Unit {
    pub(super) service: Service,
    pub(super) target: Rc<dyn Target>,
    pub(super) release: Release,
    pub(super) seen: Observed,
    pub(super) plan: Option<ServicePlan>,
    pub(super) phase: Phase,
    /// The step under way, as an index into the plan's steps.
    pub(super) at: usize,
    /// When that step began, on the run's clock.
    pub(super) at_since: Duration,
    /// What is known beyond the provider's own word at that step.
    pub(super) evidence: Evidence,
    /// What was gathered for it so far.
    pub(super) gathered: Gathered,
    /// What was tried of the checks at that step since the last look, before anybody drew a conclusion.
    pub(super) tried: Option<Tried>,
    /// What its own checks said, in words.
    pub(super) checked: Option<String>,
    /// Where evidence comes from.
    pub(super) sources: Option<Rc<Sources>>,
    /// The last rollout that was under way.
    pub(super) last: Option<Rollout>,
    /// Whether nothing is left to be put back once it has ended.
    pub(super) settled: bool,
    /// Whether the services of the run belong together: all of them, or none.
    pub(super) together: bool,
    /// Whether it ended, and the end stands only when those of the others are known.
    pub(super) awaits: bool,
    /// Whether its image is of the commit of the release: built by the run or promoted, and not named by an input.
    pub(super) built: bool,
    /// When the phase began, on the run's clock.
    pub(super) since: Duration,
    /// What will be built or promoted and from what, in a plan, which does neither.
    pub(super) would_build: Option<String>,
    /// Since when its rollout cannot be read for want of credentials, on the run's clock.
    pub(super) blind_since: Option<Duration>,
    /// The last words of progress that were told, so that they are told once.
    pub(super) told: String,
    pub(super) report: ServiceReport,
}

impl Unit {
    pub(super) fn new(service: Service, target: Rc<dyn Target>, release: Release, seen: Observed) -> Self {
        let mut report = ServiceReport::new(&service.name, Outcome::Skipped);
        report.target = targets::words(&service);
        report.at = Some(service.at.clone());
        report.strategy = way(&service);
        report.commit = release.commit.clone();
        tell(&mut report, &seen);
        Self {
            service,
            target,
            release,
            seen,
            plan: None,
            phase: Phase::Ready,
            at: 0,
            at_since: Duration::ZERO,
            evidence: Evidence::NotNeeded,
            gathered: Gathered::default(),
            tried: None,
            checked: None,
            sources: None,
            last: None,
            settled: true,
            together: false,
            awaits: false,
            built: false,
            since: Duration::ZERO,
            would_build: None,
            blind_since: None,
            told: String::new(),
            report,
        }
    }

    /// Takes in what runs now, in place of what was seen before.
    pub(super) fn see(&mut self, seen: Observed) {
        tell(&mut self.report, &seen);
        self.seen = seen;
    }

    /// How the new version reaches traffic, in words, and the command that runs before.
    pub(super) fn way(&self, before: Option<&str>) -> String {
        let way = way(&self.service);
        before.map_or_else(|| way.clone(), |command| format!("{way}; before it, once: {command}"))
    }

    /// The rollout under way.
    pub(super) fn moving(&self) -> Option<&Rollout> {
        match &self.phase {
            Phase::Moving(rollout, _) => Some(rollout),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.service.name
    }

    /// Ends with an outcome; what serves is what was seen before unless something else is said after.
    pub(super) fn end(&mut self, at: Timestamp, outcome: Outcome, words: &str) {
        self.phase = Phase::Done;
        self.report.outcome = outcome;
        self.report.moment(at, words);
    }

    /// The new version serves, proven.
    pub(super) fn succeeded(&mut self, at: Timestamp, outcome: Outcome, proof: &Proof) {
        self.report.serves = Some(proof.version.clone());
        self.report.version = Some(proof.version.clone());
        self.report.serves_digest = proof.digest.clone();
        self.report.digest = self.report.digest.take().or_else(|| proof.digest.clone());
        let checked = self.checked.as_ref().map(|words| format!("; {words}")).unwrap_or_default();
        self.report.evidence = format!("{}{checked}", proof.evidence);
        self.end(at, outcome, &format!("proven: {}", self.report.evidence));
    }

    /// The wish was handed over; what serves is not known.
    pub(super) fn handed(&mut self, at: Timestamp, handed: &Handed) {
        let outcome = if handed.proposed { Outcome::Proposed } else { Outcome::Committed };
        self.stands(at, outcome, handed);
    }

    /// The wish stands where it belongs, whether it was just handed over or was there before.
    pub(super) fn stands(&mut self, at: Timestamp, outcome: Outcome, handed: &Handed) {
        self.lost_sight();
        self.report.version = Some(handed.version.clone());
        self.report.digest = self.report.digest.take().or_else(|| handed.digest.clone());
        self.report.evidence = handed.evidence.clone();
        self.end(at, outcome, &handed.evidence);
    }

    /// The previous version serves again.
    pub(super) fn returned(&mut self, at: Timestamp, failure: &Failure, to: Option<Version>) {
        self.report.failure = Some(failure.clone());
        self.report.serves = to.or_else(|| self.seen.refuge().cloned());
        if self.report.serves != self.seen.version {
            self.report.serves_digest = None;
        }
        let label =
            self.report.serves.as_ref().map_or("the previous version", |version| &version.label).to_owned();
        let words = match failure.problem.code {
            Code::TakenBack => format!("{} {label} serves, confirmed", failure.problem.sentence),
            _ => format!("rolled back, confirmed: {label} serves"),
        };
        self.report.evidence = words.clone();
        let inconclusive = failure.problem.code == Code::Inconclusive;
        let outcome = if inconclusive { Outcome::Inconclusive } else { Outcome::Failed };
        self.end(at, outcome, &words);
    }

    /// Nobody knows that anything healthy serves: a person is needed.
    pub(super) fn stranded(&mut self, at: Timestamp, failure: &Failure, why: &str) {
        self.report.failure = Some(failure.clone());
        self.lost_sight();
        self.report.evidence = why.to_owned();
        self.end(at, Outcome::Stranded, why);
    }

    /// It is not known what serves now.
    pub(super) fn lost_sight(&mut self) {
        self.report.serves = None;
        self.report.serves_digest = None;
    }

    /// It ended before anything was moved.
    pub(super) fn refused(&mut self, at: Timestamp, outcome: Outcome, problem: Problem) {
        self.end(at, outcome, "stopped before any change");
        self.report.problems.push(problem);
    }

    pub(super) fn into_report(self) -> ServiceReport {
        self.report
    }
}

/// What a report says of a service of which nothing but this is known.
fn tell(report: &mut ServiceReport, seen: &Observed) {
    report.previous = seen.version.clone();
    report.serves = seen.version.clone();
    report.serves_digest = seen.digest.clone();
    report.url = seen.url.clone();
}

fn way(service: &Service) -> String {
    targets::own_way(service).unwrap_or_else(|| strategy::words(&service.common.strategy))
}
