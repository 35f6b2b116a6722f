//! The hermetic harness: a run on the emulator in virtual time, independent of this machine.

pub(crate) mod compose;
// The judges of the emulator's own tests. Theirs call all of it, these only a part.
#[allow(dead_code)]
#[path = "../../crates/cloud/tests/support/github.rs"]
pub(crate) mod github;
pub(crate) mod promotion;
pub(crate) mod recorded_deployments;
pub(crate) mod runner;
pub(crate) mod tamper;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::{self, Rehearsal, ScenarioSource};
use roadstead::report::RunReport;
use roadstead::run::ProgressLog;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::CancelToken;
use roadstead_cloud::call_log::{CallHook, CallOutcome, LoggedCall, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;
use tokio::sync::Notify;

pub(crate) const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// The settings of a run.
pub(crate) struct TestRun {
    pub(crate) config: String,
    pub(crate) scenario: ScenarioSource,
    pub(crate) seed: u64,
    pub(crate) inputs: RawInputs,
    pub(crate) variables: Variables,
    pub(crate) cancel: CancelToken,
    pub(crate) workspace: PathBuf,
}

impl TestRun {
    /// The small deploy file in a built-in scenario.
    pub(crate) fn builtin(scenario: &str) -> Self {
        Self::from_source(rehearse::find_source(scenario).unwrap())
    }

    /// The small deploy file in a custom scenario.
    pub(crate) fn custom(scenario: &str) -> Self {
        Self::from_source(ScenarioSource::Custom(Box::new(Scenario::parse(scenario).unwrap())))
    }

    /// The small deploy file in this scenario.
    pub(crate) fn from_source(scenario: ScenarioSource) -> Self {
        Self {
            config: CONFIG.into(),
            scenario,
            seed: 1,
            inputs: RawInputs::default(),
            variables: Variables::new(),
            cancel: CancelToken::default(),
            workspace: PathBuf::from("/nonexistent"),
        }
    }

    fn rehearsal(&self, lines: &Rc<RefCell<Vec<String>>>, start: jiff::Timestamp) -> Rehearsal {
        let keep = lines.clone();
        let in_runner = self.variables.contains_key("GITHUB_ACTIONS");
        Rehearsal {
            config: ("roadstead.yml".into(), self.config.clone()),
            workspace: self.workspace.clone(),
            environment: None,
            source: self.scenario.clone(),
            seed: self.seed,
            inputs: self.inputs.clone(),
            variables: self.variables.clone(),
            cancel: self.cancel.clone(),
            log: ProgressLog::new(in_runner, Clock::starting_at(start), move |line| {
                keep.borrow_mut().push(line.to_owned())
            }),
        }
    }

    /// Starts the world of this run. Must be called in a runtime.
    pub(crate) fn set_up(&self) -> RunHarness {
        let lines = Rc::default();
        let start = rehearse::start_time(&self.scenario.base_scenario()).unwrap();
        let rehearsal = self.rehearsal(&lines, start);
        let (environment, scenario) = rehearse::build_scenario(&rehearsal).unwrap();
        fastrand::seed(self.seed);
        let cloud = Cloud::new(scenario, self.seed);
        RunHarness { rehearsal, cloud, environment, start, lines }
    }

    /// Runs it to its end on a runtime of its own.
    pub(crate) fn run(&self) -> RunResult {
        run_in_virtual_time(async {
            let stage = self.set_up();
            let report = stage.run().await;
            stage.collect_result(report)
        })
    }
}

/// A world with a run in it.
pub(crate) struct RunHarness {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) cloud: Cloud,
    pub(crate) environment: String,
    pub(crate) start: jiff::Timestamp,
    pub(crate) lines: Rc<RefCell<Vec<String>>>,
}

impl RunHarness {
    /// One run on this world; the second one is a second attempt.
    pub(crate) async fn run(&self) -> RunReport {
        rehearse::run_against(&self.rehearsal, &self.cloud, self.environment.clone(), self.start)
            .await
            .unwrap()
    }

    /// The result of a run with this report.
    pub(crate) fn collect_result(&self, report: RunReport) -> RunResult {
        RunResult {
            report,
            lines: self.lines.borrow().clone(),
            calls: self.cloud.calls(),
            cloud: self.cloud.clone(),
        }
    }

    /// A run whose runner dies at the `nth` moment that counts: its last call is never answered.
    pub(crate) async fn run_until_killed(
        &self,
        nth: usize,
        mut counts: impl FnMut(&CallHook<'_>) -> bool + Send + 'static,
    ) {
        let dead = Arc::new(Notify::new());
        let (tell, mut seen) = (dead.clone(), 0);
        self.cloud.on_call(Box::new(move |moment: &CallHook<'_>| {
            if !counts(moment) {
                return Override::Pass;
            }
            seen += 1;
            if seen == nth {
                tell.notify_one();
                return Override::NoReply;
            }
            Override::Pass
        }));
        tokio::select! {
            _ = self.run() => panic!("it did not die at change {nth}"),
            () = dead.notified() => {}
        }
        self.cloud.on_call(Box::new(|_| Override::Pass));
    }

    /// Another run on this world.
    pub(crate) fn with_test_run(&self, trial: &TestRun) -> Self {
        let lines = Rc::default();
        Self {
            rehearsal: trial.rehearsal(&lines, self.start),
            cloud: self.cloud.clone(),
            environment: self.environment.clone(),
            start: self.start,
            lines,
        }
    }

    /// The same run by somebody who was not cancelled.
    pub(crate) async fn run_again(&self) -> RunReport {
        let rehearsal = Rehearsal { cancel: CancelToken::default(), ..self.rehearsal.clone() };
        rehearse::run_against(&rehearsal, &self.cloud, self.environment.clone(), self.start).await.unwrap()
    }
}

/// The result of a run.
pub(crate) struct RunResult {
    pub(crate) report: RunReport,
    pub(crate) lines: Vec<String>,
    pub(crate) calls: Vec<LoggedCall>,
    pub(crate) cloud: Cloud,
}

impl RunResult {
    /// The calls that changed something.
    pub(crate) fn change_operations(&self) -> Vec<&str> {
        self.calls
            .iter()
            .filter(|call| call.is_mutating && call.took_effect)
            .map(|call| call.operation.as_str())
            .collect()
    }

    /// The code of the cause, and of the problems, of the first service.
    pub(crate) fn problem_codes(&self) -> Vec<&'static str> {
        self.report.all_problems().iter().map(|problem| problem.code.name()).collect()
    }
}

/// Whether a call was answered.
pub(crate) fn is_answered(call: &LoggedCall) -> bool {
    call.outcome == CallOutcome::Answered
}

/// Runs `work` on one thread in virtual time.
pub(crate) fn run_in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = rehearse::virtual_runtime().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
