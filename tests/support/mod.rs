//! The hermetic harness: a run on the embedded cloud in virtual time, with nothing of this machine in it.

pub(crate) mod book;
pub(crate) mod github;
pub(crate) mod runner;
pub(crate) mod stages;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::{self, Rehearsal, Story};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::{Interrupt, Moment, Outcome as Answered, Record};
use roadstead::rehearsal::scenario::Scenario;
use roadstead::report::RunReport;
use roadstead::run::Teller;
use roadstead::sys::clock::Clock;
use roadstead::sys::environment::Variables;
use roadstead::sys::signal::Cancel;
use tokio::sync::Notify;

pub(crate) const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  backend:
    repository: acme/backend
    ecs: { cluster: acme, service: backend, container: app }
";

/// A run to be made, with everything that tests vary.
pub(crate) struct Trial {
    pub(crate) config: String,
    pub(crate) story: Story,
    pub(crate) seed: u64,
    pub(crate) inputs: RawInputs,
    pub(crate) variables: Variables,
    pub(crate) cancel: Cancel,
    pub(crate) workspace: PathBuf,
}

impl Trial {
    /// The small deploy file in a built-in scenario.
    pub(crate) fn named(scenario: &str) -> Self {
        Self::of(rehearse::story(scenario).unwrap())
    }

    /// The small deploy file in a scenario of the test's own.
    pub(crate) fn told(scenario: &str) -> Self {
        Self::of(Story::Told(Box::new(Scenario::parse(scenario).unwrap())))
    }

    /// The small deploy file in this story.
    pub(crate) fn of(story: Story) -> Self {
        Self {
            config: CONFIG.into(),
            story,
            seed: 1,
            inputs: RawInputs::default(),
            variables: Variables::new(),
            cancel: Cancel::default(),
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
            story: self.story.clone(),
            seed: self.seed,
            inputs: self.inputs.clone(),
            variables: self.variables.clone(),
            cancel: self.cancel.clone(),
            teller: Teller::new(in_runner, Clock::starting_at(start), move |line| {
                keep.borrow_mut().push(line.to_owned())
            }),
        }
    }

    /// Makes the world of this trial. Inside a runtime.
    pub(crate) fn stage(&self) -> Stage {
        let lines = Rc::default();
        let start = rehearse::start(&self.story.begin()).unwrap();
        let rehearsal = self.rehearsal(&lines, start);
        let (environment, scenario) = rehearse::world(&rehearsal).unwrap();
        fastrand::seed(self.seed);
        let cloud = Cloud::new(scenario, self.seed);
        Stage { rehearsal, cloud, environment, start, lines }
    }

    /// Runs it to its end on a runtime of its own.
    pub(crate) fn run(&self) -> Ran {
        virtually(async {
            let stage = self.stage();
            let report = stage.run().await;
            stage.left(report)
        })
    }
}

/// A world with a run in it.
pub(crate) struct Stage {
    pub(crate) rehearsal: Rehearsal,
    pub(crate) cloud: Cloud,
    pub(crate) environment: String,
    pub(crate) start: jiff::Timestamp,
    pub(crate) lines: Rc<RefCell<Vec<String>>>,
}

impl Stage {
    /// One run on this world; a second one is a second try.
    pub(crate) async fn run(&self) -> RunReport {
        rehearse::run_on(&self.rehearsal, &self.cloud, self.environment.clone(), self.start).await.unwrap()
    }

    /// What a run with this report left.
    pub(crate) fn left(&self, report: RunReport) -> Ran {
        Ran {
            report,
            lines: self.lines.borrow().clone(),
            calls: self.cloud.calls(),
            cloud: self.cloud.clone(),
        }
    }

    /// A run whose runner dies at the `nth` moment that counts: what it asked for then is never answered.
    pub(crate) async fn run_and_die(
        &self,
        nth: usize,
        mut counts: impl FnMut(&Moment<'_>) -> bool + Send + 'static,
    ) {
        let dead = Arc::new(Notify::new());
        let (tell, mut seen) = (dead.clone(), 0);
        self.cloud.on_call(Box::new(move |moment: &Moment<'_>| {
            if !counts(moment) {
                return Interrupt::Pass;
            }
            seen += 1;
            if seen == nth {
                tell.notify_one();
                return Interrupt::Silence;
            }
            Interrupt::Pass
        }));
        tokio::select! {
            _ = self.run() => panic!("it did not die at change {nth}"),
            () = dead.notified() => {}
        }
        self.cloud.on_call(Box::new(|_| Interrupt::Pass));
    }

    /// Another run on this world.
    pub(crate) fn other(&self, trial: &Trial) -> Self {
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
        let rehearsal = Rehearsal { cancel: Cancel::default(), ..self.rehearsal.clone() };
        rehearse::run_on(&rehearsal, &self.cloud, self.environment.clone(), self.start).await.unwrap()
    }
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) report: RunReport,
    pub(crate) lines: Vec<String>,
    pub(crate) calls: Vec<Record>,
    pub(crate) cloud: Cloud,
}

impl Ran {
    /// The calls that changed something.
    pub(crate) fn changes(&self) -> Vec<&str> {
        self.calls
            .iter()
            .filter(|call| call.mutating && call.effective)
            .map(|call| call.operation.as_str())
            .collect()
    }

    /// The code of the cause, and of the problems, of the first service.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.report.all_problems().iter().map(|problem| problem.code.name()).collect()
    }
}

/// Whether a call was answered.
pub(crate) fn answered(call: &Record) -> bool {
    call.outcome == Answered::Answered
}

/// Runs `work` on one thread in virtual time.
pub(crate) fn virtually<T>(work: impl Future<Output = T>) -> T {
    let runtime = rehearse::virtual_runtime().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
