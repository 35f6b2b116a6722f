//! How far the rollout of a service is: plan, phase, step, analysis and checks. Values only: no call is made here, and
//! nothing is known of the service or its target.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gates::Prober;
use crate::gates::http_checker::CheckResult;
use crate::plan::{ServicePlan, Start};
use crate::problem::Problem;
use crate::release::{Rollout, ShiftKind, StartedTask, TaskCommand, TrafficShift};
use crate::strategy;
use crate::strategy::{Analysis, Direction, Step};

/// The phase of a service in a run.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) enum Phase {
    /// Nothing was changed yet.
    Pending,
    /// The command before the rollout runs; no traffic was shifted yet.
    RunningCommand(Box<RunningCommand>),
    /// A shift was requested, and the answer is missing: it may have happened or not.
    Requested(Box<RequestedShift>),
    /// A rollout is in progress.
    Rolling(Rollout, Direction),
    /// It ended; the report has the outcome.
    Done,
}

/// A shift whose answer is missing.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) struct RequestedShift {
    pub(in crate::run) shift: TrafficShift,
    pub(in crate::run) direction: Direction,
    /// Time of the last request, on the run's clock.
    pub(in crate::run) requested_at: Duration,
    /// How often it was requested.
    pub(in crate::run) requests: u32,
    /// Looks since the last request that did not show it.
    pub(in crate::run) misses: u32,
    /// Why the last request has no result; `None` while its answer is waited for.
    pub(in crate::run) problem: Option<Problem>,
    /// Whether a request left that has no result.
    pub(in crate::run) is_in_doubt: bool,
}

impl RequestedShift {
    /// A shift that is requested `now` for the first time.
    pub(in crate::run) fn new(shift: TrafficShift, direction: Direction, now: Duration) -> Self {
        Self {
            shift,
            direction,
            requested_at: now,
            requests: 1,
            misses: 0,
            problem: None,
            is_in_doubt: false,
        }
    }

    /// The same, requested again `now`.
    pub(in crate::run) fn again(self, now: Duration) -> Self {
        Self { requested_at: now, requests: self.requests + 1, misses: 0, ..self }
    }
}

/// What the analysis of one step keeps between two reads. It ends with the step, and its probes end with it.
#[derive(Debug, Default)]
pub(in crate::run) struct AnalysisState {
    /// Age of the step when metrics were last read.
    pub(in crate::run) last_read: Option<Duration>,
    /// Age of the step when the counts were last logged.
    pub(in crate::run) last_logged: Option<Duration>,
    /// The probes that send requests of their own.
    pub(in crate::run) prober: Option<Prober>,
}

/// A command that runs before the rollout.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) struct RunningCommand {
    /// What was requested.
    pub(in crate::run) command: TaskCommand,
    /// What was started; `None` while the answer is missing: it may have started or not.
    pub(in crate::run) task: Option<StartedTask>,
    /// Time of the request, on the run's clock.
    pub(in crate::run) requested_at: Duration,
    /// Why the answer to its start is missing; `None` while it is waited for the first time.
    pub(in crate::run) lost_answer: Option<Problem>,
    /// Why it is being stopped.
    pub(in crate::run) stop_reason: Option<StopReason>,
}

/// Why a command is being stopped, and since when.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::run) struct StopReason {
    /// A clause such as `did not end within 5m`.
    pub(in crate::run) reason: String,
    /// Time of the first request to stop, on the run's clock.
    pub(in crate::run) since: Duration,
}

/// What the post step needs to know of a command that had not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct SavedCommand {
    /// Owner under which the task was started.
    pub(in crate::run) owner: String,
    /// What was started; `None` if no answer arrived.
    pub(in crate::run) task: Option<StartedTask>,
}

impl RunningCommand {
    pub(in crate::run) fn to_saved(&self) -> SavedCommand {
        SavedCommand { owner: self.command.owner.clone(), task: self.task.clone() }
    }

    /// The command as people read it.
    pub(in crate::run) fn display(&self) -> &str {
        &self.command.display
    }
}

/// How far the rollout of one service is.
#[derive(Debug)]
pub(in crate::run) struct RolloutState {
    /// The plan; `None` until it is made.
    pub(in crate::run) plan: Option<ServicePlan>,
    pub(in crate::run) phase: Phase,
    /// Start of the phase, on the run's clock.
    pub(in crate::run) phase_started: Duration,
    /// Index of the current step in the plan.
    pub(in crate::run) step: usize,
    /// Start of the current step, on the run's clock.
    pub(in crate::run) step_started: Duration,
    /// Result of analysis and checks at the current step.
    pub(in crate::run) analysis_result: Analysis,
    /// What the analysis of the current step keeps.
    pub(in crate::run) analysis: AnalysisState,
    /// Result of the checks of the last poll, before it was evaluated.
    pub(in crate::run) pending_check: Option<CheckResult>,
    /// Result of the service's own checks, as people read it.
    pub(in crate::run) check_summary: Option<String>,
    /// The command that has run before the rollout, with success.
    pub(in crate::run) finished_command: Option<String>,
    /// Whether it could not be rolled back: the rollback failed, or there is no version to return to.
    pub(in crate::run) has_no_way_back: bool,
    /// The last rollout that was in progress.
    pub(in crate::run) last_rollout: Option<Rollout>,
    /// Whether nothing has to be restored after the end.
    pub(in crate::run) cleaned_up: bool,
    /// Whether it ended well in an atomic run, and the other services have not ended yet.
    pub(in crate::run) awaiting_peers: bool,
    /// Time since which the rollout cannot be read for lack of credentials, on the run's clock.
    pub(in crate::run) unreadable_since: Option<Duration>,
    /// The last progress line, so that it is logged once.
    pub(in crate::run) last_progress: String,
}

impl RolloutState {
    /// Nothing was planned or changed yet.
    pub(in crate::run) fn new() -> Self {
        Self {
            plan: None,
            phase: Phase::Pending,
            phase_started: Duration::ZERO,
            step: 0,
            step_started: Duration::ZERO,
            analysis_result: Analysis::NotRequired,
            analysis: AnalysisState::default(),
            pending_check: None,
            check_summary: None,
            finished_command: None,
            has_no_way_back: false,
            last_rollout: None,
            cleaned_up: true,
            awaiting_peers: false,
            unreadable_since: None,
            last_progress: String::new(),
        }
    }

    /// Whether nothing was changed yet, and the planned start is such a one.
    pub(in crate::run) fn starts_with(&self, is_expected: impl Fn(&Start) -> bool) -> bool {
        self.phase == Phase::Pending && self.plan.as_ref().is_some_and(|plan| is_expected(&plan.start))
    }

    /// Whether nothing was changed yet, and a new rollout is planned.
    pub(in crate::run) fn starts_new(&self) -> bool {
        self.starts_with(|start| matches!(start, Start::New { .. }))
    }

    /// The steps of the plan.
    pub(in crate::run) fn steps(&self) -> &[Step] {
        self.plan.as_ref().map_or(&[], |plan| &plan.steps)
    }

    /// The current step.
    pub(in crate::run) fn current_step(&self) -> Option<Step> {
        self.steps().get(self.step).copied()
    }

    /// The rollout in progress, or the one that a requested rollback is of.
    pub(in crate::run) fn current_rollout(&self) -> Option<&Rollout> {
        match &self.phase {
            Phase::Rolling(rollout, _) => Some(rollout),
            Phase::Requested(request) => match &request.shift.kind {
                ShiftKind::RollBack(rollout) => rollout.as_ref(),
                ShiftKind::Start { .. } | ShiftKind::Continue(_) => None,
            },
            Phase::Pending | Phase::RunningCommand(_) | Phase::Done => None,
        }
    }

    /// The direction of the rollout that is in progress or requested.
    pub(in crate::run) fn direction(&self) -> Option<&Direction> {
        match &self.phase {
            Phase::Rolling(_, direction) => Some(direction),
            Phase::Requested(request) => Some(&request.direction),
            Phase::Pending | Phase::RunningCommand(_) | Phase::Done => None,
        }
    }

    /// The shift whose answer is missing.
    pub(in crate::run) fn requested_shift(&self) -> Option<&RequestedShift> {
        match &self.phase {
            Phase::Requested(request) => Some(request),
            _ => None,
        }
    }

    /// Whether the rollout moves to the new version.
    pub(in crate::run) fn is_rolling_forward(&self) -> bool {
        matches!(self.phase, Phase::Rolling(_, Direction::Forward))
    }

    /// Weight of the new version at the current step, in percent of the traffic.
    pub(in crate::run) fn weight(&self) -> Option<u8> {
        strategy::weight_at(self.steps(), self.step)
    }

    /// Enters step `index`, whose time starts `now`.
    pub(in crate::run) fn enter_step(&mut self, index: usize, now: Duration) {
        self.step = index;
        self.step_started = now;
        self.analysis_result = Analysis::NotRequired;
        self.analysis = AnalysisState::default();
    }

    /// Enters the step after the first one that gives traffic: the rollout has started.
    pub(in crate::run) fn enter_after_first_shift(&mut self, now: Duration) {
        let first = self.steps().iter().position(|step| matches!(step, Step::SetWeight(_)));
        self.enter_step(first.map_or(0, |index| index + 1), now);
    }

    /// The time for a rollback counts from its first request, however often that is repeated.
    fn start_phase(&mut self, now: Duration) {
        if !matches!(self.direction(), Some(Direction::Back(_))) {
            self.phase_started = now;
        }
    }

    /// Takes `request` as the shift whose answer is missing.
    pub(in crate::run) fn enter_requested(&mut self, request: RequestedShift, now: Duration) {
        self.start_phase(now);
        self.phase = Phase::Requested(Box::new(request));
    }

    /// Takes `rollout` as the one in progress.
    pub(in crate::run) fn enter_rolling(&mut self, rollout: Rollout, direction: Direction, now: Duration) {
        self.start_phase(now);
        match direction {
            Direction::Forward => self.enter_after_first_shift(now),
            // A version that is being rolled back is not analyzed any more.
            Direction::Back(_) => self.analysis = AnalysisState::default(),
        }
        self.last_rollout = Some(rollout.clone());
        self.phase = Phase::Rolling(rollout, direction);
    }
}
