//! One service in a run: what was requested, what was observed, and the report. How far its rollout is, is in
//! `rollout_state`. No call is made here.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::gates::MetricSources;
use crate::image::Build;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Handoff, Observed, Outcome, Proof, Release, Rollout, Staged, Version};
use crate::report::ServiceReport;
use crate::run::context::RunContext;
use crate::run::rollout_state::{Phase, RolloutState};
use crate::run::run_config::{RefusedService, ReleasedContainer};
use crate::run::time_budget;
use crate::strategy;
use crate::strategy::{Direction, StepState};
use crate::targets::{OneOffTasks, ServiceSpec, Target};

/// One service of a run.
pub(in crate::run) struct ServiceRun {
    /// What the deploy file says about it.
    pub(in crate::run) declared: ServiceSpec,
    /// How its image is built; `None` if it is not.
    pub(in crate::run) build: Option<Build>,
    /// The further containers whose images are released with it.
    pub(in crate::run) containers: Vec<ReleasedContainer>,
    pub(in crate::run) target: Rc<dyn Target>,
    pub(in crate::run) release: Release,
    /// The version that this run staged.
    pub(in crate::run) staged: Option<Staged>,
    /// What runs now, as last observed before the rollout.
    pub(in crate::run) observed: Observed,
    /// Sources of metrics and checks.
    pub(in crate::run) sources: Option<Rc<MetricSources>>,
    /// Whether the run is atomic: all services, or none.
    pub(in crate::run) atomic: bool,
    /// Whether the image was made from the commit of the release: built by the run or promoted, not named by an input.
    pub(in crate::run) image_of_commit: bool,
    /// In a dry run: what would be built or promoted, as people read it.
    pub(in crate::run) build_preview: Option<String>,
    /// The same of its further containers, by name.
    pub(in crate::run) container_previews: BTreeMap<String, String>,
    /// How far its rollout is.
    pub(in crate::run) rollout: RolloutState,
    pub(in crate::run) report: ServiceReport,
}

impl ServiceRun {
    pub(in crate::run) fn new(
        declared: ServiceSpec,
        target: Rc<dyn Target>,
        release: Release,
        observed: Observed,
    ) -> Self {
        let mut report = ServiceReport::new(&declared.name, Outcome::Skipped);
        report.target = declared.location();
        report.declared_at = Some(declared.location.clone());
        report.strategy = strategy_description(&declared);
        report.commit = release.commit.clone();
        report_observed(&mut report, &observed);
        Self {
            declared,
            build: None,
            containers: Vec::new(),
            target,
            release,
            staged: None,
            observed,
            sources: None,
            atomic: false,
            image_of_commit: false,
            build_preview: None,
            container_previews: BTreeMap::new(),
            rollout: RolloutState::new(),
            report,
        }
    }

    /// Replaces the observed state.
    pub(in crate::run) fn set_observed(&mut self, observed: Observed) {
        report_observed(&mut self.report, &observed);
        self.observed = observed;
    }

    /// The strategy and the command that runs before, as people read them.
    pub(in crate::run) fn rollout_description(&self, before: Option<&str>) -> String {
        let way = strategy_description(&self.declared);
        before.map_or_else(|| way.clone(), |command| format!("{way}; before it, once: {command}"))
    }

    /// The version that served when the service was last observed, for sentences.
    pub(in crate::run) fn serving_label(&self) -> &str {
        self.observed.last_known_good().map_or("nothing", |version| &version.label)
    }

    /// How long its rollout takes at least.
    pub(in crate::run) fn min_rollout_time(&self, ctx: &RunContext) -> Duration {
        let own = self.target.limits(&self.observed).rollout_duration;
        time_budget::min_rollout_time(ctx.inputs.timeout, &self.declared, own)
    }

    /// The time that is left for what comes before its rollout, such as a build: without what the rollout needs, and what is
    /// kept for a rollback.
    pub(in crate::run) fn time_before_rollout(&self, ctx: &RunContext) -> Duration {
        ctx.time_left().saturating_sub(self.min_rollout_time(ctx))
    }

    /// What this run staged; a version that existed before if it staged nothing.
    pub(in crate::run) fn staged_or(&self, version: &Version) -> Staged {
        self.staged.clone().unwrap_or_else(|| Staged::existing(version.clone()))
    }

    /// The one-off tasks of the target. An error if it has none.
    pub(in crate::run) fn tasks(&self) -> Result<&dyn OneOffTasks, Problem> {
        let unsupported = || Problem::error(Code::Unsupported, "This target cannot run a command once.");
        self.target.tasks().ok_or_else(unsupported)
    }

    /// Where the service stands in its plan.
    pub(in crate::run) fn step_state(&self, ctx: &RunContext) -> StepState<'_> {
        let strategy = &self.declared.config.strategy;
        let on_inconclusive = strategy::analysis_config(strategy).map(|(_, it, _)| it.on_inconclusive);
        StepState {
            steps: self.rollout.steps(),
            index: self.rollout.step,
            elapsed: ctx.io.clock.elapsed().saturating_sub(self.rollout.step_started),
            analysis: self.rollout.analysis_result.clone(),
            max_bake: strategy::max_bake(strategy).unwrap_or_default(),
            on_inconclusive: on_inconclusive.unwrap_or_default(),
        }
    }

    /// Takes `rollout` as the one in progress.
    pub(in crate::run) fn enter_rolling(&mut self, ctx: &RunContext, rollout: Rollout, direction: Direction) {
        if direction == Direction::Forward {
            let in_place = self.rollout.plan.as_ref().is_none_or(|plan| plan.traffic_plan.is_in_place());
            self.rollout.cleaned_up = in_place && !self.observed.needs_cleanup;
        }
        self.rollout.enter_rolling(rollout, direction, ctx.io.clock.elapsed());
    }

    pub(in crate::run) fn name(&self) -> &str {
        &self.declared.name
    }

    /// Ends with an outcome. The serving version stays as observed unless the caller sets it.
    pub(in crate::run) fn finish(&mut self, at: Timestamp, outcome: Outcome, words: &str) {
        self.rollout.phase = Phase::Done;
        self.report.outcome = outcome;
        self.report.add_timeline_entry(at, words);
    }

    /// The new version serves, proven.
    pub(in crate::run) fn finish_succeeded(&mut self, at: Timestamp, outcome: Outcome, proof: &Proof) {
        self.report.serving_version = Some(proof.version.clone());
        self.report.version = Some(proof.version.clone());
        self.report.serving_digest = proof.digest.clone();
        self.report.digest = self.report.digest.take().or_else(|| proof.digest.clone());
        let checked =
            self.rollout.check_summary.as_ref().map(|words| format!("; {words}")).unwrap_or_default();
        self.report.evidence = format!("{}{checked}", proof.evidence);
        let name = self.name().to_owned();
        let remarks = proof.remarks.iter().map(|remark| remark.clone().for_service(&name));
        self.report.problems.extend(remarks);
        if proof.nothing_runs() {
            self.clear_serving();
            return self.finish(at, outcome, &self.report.evidence.clone());
        }
        self.finish(at, outcome, &format!("proven: {}", self.report.evidence));
    }

    /// Ends unchanged, with what was requested deployed already and nothing of it serving: nothing was moved.
    pub(in crate::run) fn finish_not_serving(&mut self, at: Timestamp, failure: &Failure) {
        let problem = failure.problem.clone().for_service(self.name());
        let sentence = problem.sentence.clone();
        self.report.failure = Some(Failure { problem, ..failure.clone() });
        self.clear_serving();
        self.report.evidence = format!("{} Nothing was moved", sentence);
        self.finish(at, Outcome::Failed, &sentence);
    }

    /// Ends handed off: what serves is not known.
    pub(in crate::run) fn finish_handed_off(&mut self, at: Timestamp, handed: &Handoff) {
        let outcome = if handed.needs_merge { Outcome::Proposed } else { Outcome::Committed };
        self.finish_unchanged_handoff(at, outcome, handed);
    }

    /// Ends with what was requested recorded where it belongs, now or before.
    pub(in crate::run) fn finish_unchanged_handoff(
        &mut self,
        at: Timestamp,
        outcome: Outcome,
        handed: &Handoff,
    ) {
        self.clear_serving();
        self.report.version = Some(handed.version.clone());
        self.report.digest = self.report.digest.take().or_else(|| handed.digest.clone());
        self.report.evidence = handed.evidence.clone();
        self.finish(at, outcome, &handed.evidence);
    }

    /// The previous version serves again.
    pub(in crate::run) fn finish_rolled_back(
        &mut self,
        at: Timestamp,
        failure: &Failure,
        to: Option<Version>,
    ) {
        self.report.failure = Some(failure.clone());
        self.report.serving_version = to.or_else(|| self.observed.last_known_good().cloned());
        if self.report.serving_version != self.observed.version {
            self.report.serving_digest = None;
        }
        let label = self
            .report
            .serving_version
            .as_ref()
            .map_or("the previous version", |version| &version.label)
            .to_owned();
        let words = match failure.problem.code {
            Code::RolledBackWithPeers => format!("{} {label} serves, confirmed", failure.problem.sentence),
            _ => format!("rolled back, confirmed: {label} serves"),
        };
        self.report.evidence = words.clone();
        let inconclusive = failure.problem.code == Code::Inconclusive;
        let outcome = if inconclusive { Outcome::Inconclusive } else { Outcome::Failed };
        self.finish(at, outcome, &words);
    }

    /// Ends with no proof that a healthy version serves: manual action is required.
    pub(in crate::run) fn finish_stranded(&mut self, at: Timestamp, failure: &Failure, why: &str) {
        self.report.failure = Some(failure.clone());
        self.clear_serving();
        self.report.evidence = why.to_owned();
        self.finish(at, Outcome::Stranded, why);
    }

    /// What serves is not known.
    pub(in crate::run) fn clear_serving(&mut self) {
        self.report.serving_version = None;
        self.report.serving_digest = None;
    }

    /// Ends before the first change.
    pub(in crate::run) fn finish_blocked(&mut self, at: Timestamp, outcome: Outcome, problem: Problem) {
        self.finish(at, outcome, "stopped before any change");
        self.report.problems.push(problem);
    }

    /// Ends before any traffic of this service moved, with an error of the provider or of the user. A command that has run is
    /// a change.
    pub(in crate::run) fn fail_before_change(&mut self, at: Timestamp, problem: Problem) {
        let outcome = match &self.rollout.finished_command {
            None if problem.code.is_user_error() => Outcome::Invalid,
            _ => Outcome::Failed,
        };
        self.report.evidence = match &self.rollout.finished_command {
            Some(command) => format!("nothing was moved; `{command}` has run"),
            None => "nothing was moved".into(),
        };
        self.finish_blocked(at, outcome, problem);
    }

    pub(in crate::run) fn into_report(self) -> ServiceReport {
        self.report
    }
}

/// Fills a report with the observed state.
fn report_observed(report: &mut ServiceReport, observed: &Observed) {
    report.previous_version = observed.version.clone();
    report.serving_version = observed.version.clone();
    report.serving_digest = observed.digest.clone();
    report.url = observed.url.clone();
}

fn strategy_description(service: &ServiceSpec) -> String {
    let strategy = service.own_rollout().unwrap_or_else(|| strategy::describe(&service.config.strategy));
    let parts: Vec<String> = std::iter::once(strategy).chain(service.patience()).collect();
    parts.join(", ")
}

/// What a run can be about: the services that were observed, and those of a rollback that cannot be.
pub(in crate::run) struct RunCandidates {
    /// The observed services.
    pub(in crate::run) services: Vec<ServiceRun>,
    /// The services that cannot be observed.
    pub(in crate::run) refused: Vec<RefusedService>,
}
