//! One deploy on the embedded cloud in virtual time: the engine, the AWS SDK, a pretended build, and what the cloud saw.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::{self, Rehearsal, Story};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::views::Serving;
use roadstead::rehearsal::record::Record;
use roadstead::report::RunReport;
use roadstead::run::Teller;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::Cancel;

use crate::oracle::{self, Task};

/// The deploy file with one service.
pub(crate) const ONE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// A state that the services of the cloud went through.
pub(crate) type State = (f64, Vec<Serving>);

/// What is watched besides the calls; watching costs time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eyes {
    /// Nothing.
    Shut,
    /// Every state, and the tasks and events at the end.
    Open,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) calls: Vec<Record>,
    /// ARN of the newest service deployment before the run.
    pub(crate) founding: String,
    pub(crate) states: Vec<State>,
    pub(crate) tasks: Vec<Task>,
    /// Service events, oldest first: when, and what.
    pub(crate) events: Vec<(f64, String)>,
}

/// Runs `config` in `story` to its end, on a runtime of its own.
pub(crate) fn run(config: &str, story: Story, seed: u64, eyes: Eyes) -> Ran {
    let runtime = rehearse::virtual_runtime().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, inside(config, story, seed, eyes))
}

async fn inside(config: &str, story: Story, seed: u64, eyes: Eyes) -> Ran {
    let start = rehearse::start(&story.begin()).unwrap();
    let rehearsal = Rehearsal {
        config: ("roadstead.yml".into(), config.into()),
        workspace: PathBuf::from("/nonexistent"),
        environment: None,
        story,
        seed,
        inputs: RawInputs::default(),
        variables: Variables::new(),
        cancel: Cancel::default(),
        teller: Teller::new(false, Clock::starting_at(start), |_| {}),
    };
    let (environment, scenario) = rehearse::world(&rehearsal).unwrap();
    fastrand::seed(seed);
    let cloud = Cloud::new(scenario, seed);
    let founding = cloud.serving("acme", "backend").map(|serving| serving.deployment).unwrap_or_default();
    let states = if eyes == Eyes::Open { watch(&cloud) } else { Arc::default() };
    let report = rehearse::run_on(&rehearsal, &cloud, environment, start).await.unwrap();
    let calls = cloud.calls();
    let (tasks, events) = match eyes {
        Eyes::Shut => Default::default(),
        Eyes::Open => (oracle::stopped_tasks(&cloud).await, oracle::events(&cloud).await),
    };
    let states = std::mem::take(&mut *states.lock().unwrap());
    Ran { report, calls, founding, states, tasks, events }
}

fn watch(cloud: &Cloud) -> Arc<Mutex<Vec<State>>> {
    let states: Arc<Mutex<Vec<State>>> = Arc::default();
    let keep = states.clone();
    cloud.on_tick(Box::new(move |at, services| keep.lock().unwrap().push((at, services.to_vec()))));
    states
}

impl Ran {
    /// When the rollout was asked for: the first UpdateService that took effect, epoch seconds.
    pub(crate) fn asked(&self) -> f64 {
        let asked = |call: &&Record| call.operation == "UpdateService" && call.effective;
        self.calls.iter().find(asked).map(|call| call.at).expect("no rollout was asked for")
    }

    /// Calls between two instants that only read.
    pub(crate) fn reads(&self, from: f64, to: f64) -> usize {
        self.calls.iter().filter(|call| !call.mutating && call.at > from && call.at <= to).count()
    }

    /// When the report of the first service says something that begins so, epoch seconds.
    pub(crate) fn said(&self, beginning: &str) -> Option<f64> {
        let moments = &self.report.services.first()?.timeline;
        let moment = moments.iter().find(|moment| moment.text.starts_with(beginning))?;
        Some(moment.at.as_microsecond() as f64 / 1e6)
    }
}
