//! Everything a run is given. A rehearsal gives other I/O and another builder; nothing else differs. No decision here.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;

use crate::action::files::RunnerFiles;
use crate::action::{GithubContext, Inputs, Operation};
use crate::aws;
use crate::github::{Addresses, CommitHistory, RunRepository};
use crate::image::ImageBuilder;
use crate::problem::Problem;
use crate::release::Outcome;
use crate::report::RunReport;
use crate::rollback::TriggeredBy;
use crate::run::held::HeldResources;
use crate::run::progress_log::ProgressLog;
use crate::run::time_budget;
use crate::sys::signal::CancelToken;
use crate::sys::ssh::RemoteHosts;
use crate::targets::{Kinds, RunNumber};

/// Everything a run is given.
pub struct RunContext {
    /// The inputs.
    pub inputs: Inputs,
    /// The event, the runner and the repository.
    pub context: GithubContext,
    /// HTTP, clock, variables and mask.
    pub io: aws::Io,
    /// The request to end early.
    pub cancel: CancelToken,
    /// The log.
    pub log: ProgressLog,
    /// Builds images; `None` means buildx.
    pub builder: Option<Rc<dyn ImageBuilder>>,
    /// Hosts that are reached by SSH.
    pub remote_hosts: Rc<dyn RemoteHosts>,
    /// Reads the commits between two versions; `None` if they are not wanted.
    pub commit_history: Option<Rc<dyn CommitHistory>>,
    /// The kinds of targets that services can have.
    pub kinds: Kinds,
    /// The checked-out files.
    pub workspace: PathBuf,
    /// The runner's files for outputs, state and summary.
    pub files: RunnerFiles,
    /// Whether this runs on the emulator.
    pub rehearsal: bool,
    /// The state as last written for the post step, so that it is written only if it changed.
    pub(in crate::run) saved_state: RefCell<Option<String>>,
    /// What the run holds at GitHub and has to release.
    pub(in crate::run) held: RefCell<HeldResources>,
}

/// What a run needs from the step or the rehearsal that starts it.
pub struct RunEnvironment {
    /// HTTP, clock, variables and mask.
    pub io: aws::Io,
    /// The request to end early.
    pub cancel: CancelToken,
    /// The log.
    pub log: ProgressLog,
    /// Builds images; `None` means buildx.
    pub builder: Option<Rc<dyn ImageBuilder>>,
    /// Hosts that are reached by SSH.
    pub remote_hosts: Rc<dyn RemoteHosts>,
    /// Reads the commits between two versions; `None` if they are not wanted.
    pub commit_history: Option<Rc<dyn CommitHistory>>,
    /// The kinds of targets that services can have.
    pub kinds: Kinds,
    /// The checked-out files.
    pub workspace: PathBuf,
    /// The runner's files for outputs, state and summary.
    pub files: RunnerFiles,
    /// Whether this runs on the emulator.
    pub rehearsal: bool,
}

impl RunContext {
    /// A run that has not begun: nothing is saved or held.
    pub fn new(inputs: Inputs, context: GithubContext, environment: RunEnvironment) -> Self {
        let RunEnvironment {
            io,
            cancel,
            log,
            builder,
            remote_hosts,
            commit_history,
            kinds,
            workspace,
            files,
            rehearsal,
        } = environment;
        Self {
            inputs,
            context,
            io,
            cancel,
            log,
            builder,
            remote_hosts,
            commit_history,
            kinds,
            workspace,
            files,
            rehearsal,
            saved_state: RefCell::new(None),
            held: RefCell::default(),
        }
    }

    /// Whether an earlier version is restored. Nothing is built then, and no task definition file is read.
    pub(in crate::run) fn is_rollback(&self) -> bool {
        self.inputs.operation == Operation::Rollback
    }

    /// Whether only variables of the running version change. Nothing is built, and no task definition file is applied.
    pub(in crate::run) fn is_set_env(&self) -> bool {
        self.inputs.operation == Operation::SetEnv
    }

    /// Outcome of a service whose new version is proven.
    pub(in crate::run) fn success_outcome(&self) -> Outcome {
        if self.is_rollback() { Outcome::RolledBack } else { Outcome::Deployed }
    }

    /// Number and attempt of the workflow run; `None` outside of GitHub Actions.
    pub(in crate::run) fn run_number(&self) -> Option<RunNumber> {
        let attempt = self.context.run_attempt.as_deref().and_then(|text| text.parse().ok()).unwrap_or(1);
        let id = self.context.run_id.as_deref()?.parse().ok()?;
        Some(RunNumber { id, attempt })
    }

    /// Who started the run. On a laptop and by `workflow_dispatch` it is a person.
    pub(in crate::run) fn triggered_by(&self) -> TriggeredBy {
        let by_hand = self.context.event_name.as_deref() == Some("workflow_dispatch");
        let is_rerun = self.context.run_attempt.as_deref().is_some_and(|attempt| attempt != "1");
        match (self.context.in_runner && !by_hand, is_rerun) {
            (false, _) => TriggeredBy::Person,
            (true, false) => TriggeredBy::Event,
            (true, true) => TriggeredBy::Rerun,
        }
    }

    /// Whether an alarm that fires before the first change stops nothing: not a rollback, and not a person who starts the
    /// release.
    pub(in crate::run) fn passes_firing_alarms(&self) -> bool {
        self.is_rollback() || self.triggered_by() == TriggeredBy::Person
    }

    /// A report of this run in which nothing is known yet.
    pub(in crate::run) fn blank_report(&self) -> RunReport {
        let now = self.io.clock.now();
        let report = blank_report(Outcome::Skipped, self.inputs.operation.as_str(), now, &self.context);
        RunReport { rehearsal: self.rehearsal, ..report }
    }

    /// The repository of the run at GitHub; `None` without a token or a repository.
    pub(in crate::run) fn run_repository(&self) -> Option<Result<RunRepository, Problem>> {
        let token = self.inputs.github_token.as_ref()?.reveal();
        let repository = self.context.repository.as_deref()?;
        let addresses = Addresses::from_variables(&self.io.variables);
        Some(RunRepository::new(self.io.http.clone(), &addresses, token, repository))
    }

    /// The report with its end time.
    pub(in crate::run) fn finished_now(&self, mut report: RunReport) -> RunReport {
        report.finished = self.io.clock.now();
        report
    }

    /// The part of `timeout` that is kept for a rollback (invariant I12).
    pub(in crate::run) fn rollback_reserve(&self) -> Duration {
        time_budget::rollback_reserve(self.inputs.timeout)
    }

    /// Whether there is time left to wait for a version that is not proven yet.
    pub(in crate::run) fn has_time_left(&self) -> bool {
        self.io.clock.elapsed() + self.rollback_reserve() < self.inputs.timeout
    }

    /// The part of `timeout` that is left, without what is kept for a rollback.
    pub(in crate::run) fn time_left(&self) -> Duration {
        self.inputs.timeout.saturating_sub(self.rollback_reserve()).saturating_sub(self.io.clock.elapsed())
    }

    /// Masks every secret that it is given, in the log and in everything written later.
    pub(in crate::run) fn secret_masker(&self) -> Rc<dyn Fn(&str)> {
        let log = self.log.clone();
        Rc::new(move |secret| log.mask(secret))
    }

    /// Logs problems as soon as they are known.
    pub(in crate::run) fn log_problems(&self, problems: &[Problem]) {
        problems.iter().for_each(|problem| self.log.problem(problem));
    }
}

/// A report in which only operation, commit and repository are known.
pub fn blank_report(outcome: Outcome, operation: &str, now: Timestamp, context: &GithubContext) -> RunReport {
    let mut report = RunReport::new(outcome, operation, now);
    report.run_url = context.run_url();
    report.commit = context.commit().map(str::to_owned);
    report.server_url = context.server_url.clone();
    report.repository = context.repository.clone();
    report
}
