//! One deploy on the emulator in virtual time: the engine, the AWS SDK, a pretended build, and what the cloud saw.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::{self, Rehearsal, ScenarioSource};
use roadstead::report::RunReport;
use roadstead::run::ProgressLog;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::CancelToken;
use roadstead_cloud::call_log::LoggedCall;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecs::responses::serving::ServingState;

use crate::oracle::{self, StoppedTask};

/// The deploy file with one service.
pub(crate) const ONE_SERVICE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// A state that the services of the cloud went through.
pub(crate) type ServicesAt = (f64, Vec<ServingState>);

/// What is watched besides the calls; watching costs time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// Nothing.
    CallsOnly,
    /// Every state, and the tasks and events at the end.
    Everything,
}

/// What a run left.
pub(crate) struct BenchRun {
    pub(crate) report: RunReport,
    pub(crate) calls: Vec<LoggedCall>,
    /// ARN of the newest service deployment before the run.
    pub(crate) initial_deployment: String,
    pub(crate) states: Vec<ServicesAt>,
    pub(crate) tasks: Vec<StoppedTask>,
    /// Service events, oldest first: when, and what.
    pub(crate) events: Vec<(f64, String)>,
}

/// Runs `config` in a scenario to its end, on a runtime of its own.
pub(crate) fn run_deploy(config: &str, source: ScenarioSource, seed: u64, recording: Recording) -> BenchRun {
    let runtime = rehearse::virtual_runtime().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, deploy_on_runtime(config, source, seed, recording))
}

async fn deploy_on_runtime(
    config: &str,
    source: ScenarioSource,
    seed: u64,
    recording: Recording,
) -> BenchRun {
    let start = rehearse::start_time(&source.base_scenario()).unwrap();
    let rehearsal = Rehearsal {
        config: ("roadstead.yml".into(), config.into()),
        workspace: PathBuf::from("/nonexistent"),
        environment: None,
        source,
        seed,
        inputs: RawInputs::default(),
        variables: Variables::new(),
        cancel: CancelToken::default(),
        log: ProgressLog::new(false, Clock::starting_at(start), |_| {}),
    };
    let (environment, scenario) = rehearse::build_scenario(&rehearsal).unwrap();
    fastrand::seed(seed);
    let cloud = Cloud::new(scenario, seed);
    let initial_deployment =
        cloud.serving_state("acme", "backend").map(|serving| serving.deployment).unwrap_or_default();
    let states = if recording == Recording::Everything { record_states(&cloud) } else { Arc::default() };
    let report = rehearse::run_against(&rehearsal, &cloud, environment, start).await.unwrap();
    let calls = cloud.calls();
    let (tasks, events) = match recording {
        Recording::CallsOnly => Default::default(),
        Recording::Everything => (oracle::stopped_tasks(&cloud).await, oracle::service_events(&cloud).await),
    };
    let states = std::mem::take(&mut *states.lock().unwrap());
    BenchRun { report, calls, initial_deployment, states, tasks, events }
}

fn record_states(cloud: &Cloud) -> Arc<Mutex<Vec<ServicesAt>>> {
    let states: Arc<Mutex<Vec<ServicesAt>>> = Arc::default();
    let keep = states.clone();
    cloud.on_tick(Box::new(move |at, services| keep.lock().unwrap().push((at, services.to_vec()))));
    states
}

impl BenchRun {
    /// Time of the request: the first UpdateService that took effect, epoch seconds.
    pub(crate) fn requested_at(&self) -> f64 {
        let asked = |call: &&LoggedCall| call.operation == "UpdateService" && call.took_effect;
        self.calls.iter().find(asked).map(|call| call.at).expect("no rollout was requested")
    }

    /// Calls between two instants that only read.
    pub(crate) fn count_reads(&self, from: f64, to: f64) -> usize {
        self.calls.iter().filter(|call| !call.is_mutating && call.at > from && call.at <= to).count()
    }

    /// When the report of the first service says something that begins so, epoch seconds.
    pub(crate) fn reported_at(&self, beginning: &str) -> Option<f64> {
        let moments = &self.report.services.first()?.timeline;
        let moment = moments.iter().find(|moment| moment.text.starts_with(beginning))?;
        Some(moment.at.as_microsecond() as f64 / 1e6)
    }
}
