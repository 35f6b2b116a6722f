//! The classes of ends, each with what makes it visible, and the measurement of one class.

use roadstead::cli::rehearse::{self, ScenarioSource};
use roadstead::problem::Code;
use roadstead::release::Outcome;
use roadstead_cloud::faults::{Crash, Fault};
use roadstead_cloud::scenario::{BreakerThreshold, CircuitBreakerSetting, Scenario, ServiceSetting};

use crate::oracle::EndSignal;
use crate::result_table::{ResultTable, Samples};
use crate::run::{self, BenchRun, ONE_SERVICE, Recording};

/// One way a rollout ends.
pub(crate) struct OutcomeClass {
    pub(crate) name: &'static str,
    scenario: fn() -> ScenarioSource,
    /// The first of these counts.
    signals: &'static [EndSignal],
    /// How the moment of the report begins that says so.
    report_prefix: &'static str,
    outcome: Outcome,
    /// What the report must name as the cause; `None` for success.
    code: Option<Code>,
}

/// ECS takes the deployment back.
const ROLLED_BACK: EndSignal = EndSignal::Status(&[
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
]);

/// How long a rollout waits for capacity: the default of `patience.placement`, in seconds.
const PLACEMENT: f64 = 600.0;

macro_rules! builtin {
    ($name:literal) => {
        || rehearse::find_source($name).unwrap()
    };
}

const fn failure_class(
    name: &'static str,
    source: fn() -> ScenarioSource,
    signs: &'static [EndSignal],
    code: Code,
) -> OutcomeClass {
    OutcomeClass {
        name,
        scenario: source,
        signals: signs,
        report_prefix: "failed: ",
        outcome: Outcome::Failed,
        code: Some(code),
    }
}

const fn success_class(name: &'static str, source: fn() -> ScenarioSource) -> OutcomeClass {
    let signs = &[EndSignal::Status(&["SUCCESSFUL"])];
    OutcomeClass {
        name,
        scenario: source,
        signals: signs,
        report_prefix: "proven: ",
        outcome: Outcome::Deployed,
        code: None,
    }
}

/// All classes, success first.
pub(crate) const CLASSES: &[OutcomeClass] = &[
    success_class("success", builtin!("happy")),
    success_class("success, slow start", builtin!("slow-start")),
    failure_class(
        "image-not-found",
        builtin!("image-not-found"),
        &[EndSignal::StoppedTasks(1), ROLLED_BACK],
        Code::ImagePullFailed,
    ),
    failure_class(
        "wrong-platform",
        builtin!("wrong-platform"),
        &[EndSignal::StoppedTasks(1), ROLLED_BACK],
        Code::ImagePullFailed,
    ),
    failure_class(
        "secret-missing",
        builtin!("secret-missing"),
        &[EndSignal::StoppedTasks(1), ROLLED_BACK],
        Code::ResourceSetupFailed,
    ),
    failure_class(
        "crash-on-start",
        builtin!("crash-on-start"),
        &[EndSignal::StoppedTasks(2), ROLLED_BACK],
        Code::ContainerExited,
    ),
    failure_class(
        "out-of-memory",
        builtin!("out-of-memory"),
        &[EndSignal::StoppedTasks(2), ROLLED_BACK],
        Code::OutOfMemory,
    ),
    failure_class(
        "failing-health-check",
        builtin!("failing-health-check"),
        &[EndSignal::StoppedTasks(2), ROLLED_BACK],
        Code::HealthCheckFailed,
    ),
    failure_class(
        "flapping-health",
        builtin!("flapping-health"),
        &[EndSignal::StoppedTasks(2), ROLLED_BACK],
        Code::HealthCheckFailed,
    ),
    failure_class(
        "no-capacity",
        builtin!("no-capacity"),
        &[EndSignal::Event("was unable to place a task", PLACEMENT), ROLLED_BACK],
        Code::NoCapacity,
    ),
    failure_class("alarm-red", builtin!("alarm-red"), &[ROLLED_BACK], Code::AlarmTriggered),
    failure_class("circuit-breaker", strict_circuit_breaker, &[ROLLED_BACK], Code::ContainerExited),
    OutcomeClass {
        name: "superseded",
        scenario: builtin!("superseded"),
        signals: &[EndSignal::Replaced],
        report_prefix: "superseded",
        outcome: Outcome::Superseded,
        code: Some(Code::Superseded),
    },
];

/// A breaker that opens at the first failed task, where the engine alone would wait for the second.
fn strict_circuit_breaker() -> ScenarioSource {
    let threshold = Some(BreakerThreshold { kind: "COUNT".into(), value: 1 });
    let breaker =
        CircuitBreakerSetting { enable: true, rollback: true, threshold, reset_on_healthy_task: true };
    let mut service = ServiceSetting::with_defaults("acme", "backend");
    service.deployment.circuit_breaker = Some(breaker);
    let crash = Fault::CrashOnStart(Crash { tasks: Some(1), ..Crash::default() });
    ScenarioSource::Custom(Box::new(Scenario::default().with_service(service).with_fault(crash)))
}

impl OutcomeClass {
    /// Runs the class with seeds from 1 on and puts its line on the board.
    pub(crate) fn measure(&self, runs: u64, board: &mut ResultTable) {
        let (mut lags, mut rates, mut after) = (Samples::default(), Samples::default(), Samples::default());
        for seed in 1..=runs {
            let ran = run::run_deploy(ONE_SERVICE, (self.scenario)(), seed, Recording::Everything);
            let (visible, reported) = self.visible_and_reported(&ran, seed);
            lags.push(reported - visible);
            rates.push(ran.count_reads(ran.requested_at(), visible) as f64 / (visible - ran.requested_at()));
            after.push(ran.count_reads(visible, reported) as f64);
        }
        board.print_lag(self.name, &lags, self.outcome == Outcome::Deployed);
        board.print_rate("  reads while waiting", &rates, 0.75);
        board.print_count("  reads from then on to name and prove it", &after);
    }

    /// When the end was visible, and when the run said so. A run that ends otherwise stops the benchmark.
    fn visible_and_reported(&self, ran: &BenchRun, seed: u64) -> (f64, f64) {
        let place = format!("{} with seed {seed}", self.name);
        assert_eq!(ran.report.outcome, self.outcome, "{place}: {:#?}", ran.report.services);
        let codes: Vec<Code> = ran.report.all_problems().iter().map(|problem| problem.code).collect();
        assert!(self.code.is_none_or(|code| codes.contains(&code)), "{place}: {codes:?}");
        let visible = self.signals.iter().filter_map(|sign| sign.visible_at(ran)).min_by(f64::total_cmp);
        let visible = visible.unwrap_or_else(|| panic!("{place}: nothing was visible"));
        let reported =
            ran.reported_at(self.report_prefix).unwrap_or_else(|| panic!("{place}: nothing was reported"));
        (visible, reported)
    }
}
