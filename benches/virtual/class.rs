//! The classes of ends, each with what makes it visible, and the measurement of one class.

use roadstead::cli::rehearse::{self, Story};
use roadstead::problem::Code;
use roadstead::rehearsal::faults::{Crash, Fault};
use roadstead::rehearsal::scenario::{BreakerSetting, Scenario, Service, Threshold};
use roadstead::release::Outcome;

use crate::figures::{Board, Figures};
use crate::oracle::Sign;
use crate::trial::{self, Eyes, ONE, Ran};

/// One way a rollout ends.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    story: fn() -> Story,
    /// The first of these counts.
    signs: &'static [Sign],
    /// How the moment of the report begins that says so.
    said: &'static str,
    outcome: Outcome,
    /// What the report must name as the cause; `None` for success.
    code: Option<Code>,
}

/// ECS takes the deployment back.
const BACK: Sign =
    Sign::Status(&["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"]);

macro_rules! named {
    ($name:literal) => {
        || rehearse::story($name).unwrap()
    };
}

const fn failure(name: &'static str, story: fn() -> Story, signs: &'static [Sign], code: Code) -> Class {
    Class { name, story, signs, said: "failed: ", outcome: Outcome::Failed, code: Some(code) }
}

const fn success(name: &'static str, story: fn() -> Story) -> Class {
    let signs = &[Sign::Status(&["SUCCESSFUL"])];
    Class { name, story, signs, said: "proven: ", outcome: Outcome::Deployed, code: None }
}

/// All classes, success first.
pub(crate) const CLASSES: &[Class] = &[
    success("success", named!("happy")),
    success("success, slow start", named!("slow-start")),
    failure("image-not-found", named!("image-not-found"), &[Sign::Tasks(1), BACK], Code::ImagePullFailed),
    failure("wrong-platform", named!("wrong-platform"), &[Sign::Tasks(1), BACK], Code::ImagePullFailed),
    failure("secret-missing", named!("secret-missing"), &[Sign::Tasks(1), BACK], Code::ResourceSetupFailed),
    failure("crash-on-start", named!("crash-on-start"), &[Sign::Tasks(2), BACK], Code::ContainerExited),
    failure("out-of-memory", named!("out-of-memory"), &[Sign::Tasks(2), BACK], Code::OutOfMemory),
    failure(
        "failing-health-check",
        named!("failing-health-check"),
        &[Sign::Tasks(2), BACK],
        Code::HealthCheckFailed,
    ),
    failure("flapping-health", named!("flapping-health"), &[Sign::Tasks(2), BACK], Code::HealthCheckFailed),
    failure(
        "no-capacity",
        named!("no-capacity"),
        &[Sign::Events(3, "was unable to place a task"), BACK],
        Code::NoCapacity,
    ),
    failure("alarm-red", named!("alarm-red"), &[BACK], Code::AlarmTriggered),
    failure("circuit-breaker", breaker, &[BACK], Code::ContainerExited),
    Class {
        name: "superseded",
        story: named!("superseded"),
        signs: &[Sign::Replaced],
        said: "superseded",
        outcome: Outcome::Superseded,
        code: Some(Code::Superseded),
    },
];

/// A breaker that opens at the first failed task, where the engine alone would wait for the second.
fn breaker() -> Story {
    let threshold = Some(Threshold { kind: "COUNT".into(), value: 1 });
    let breaker = BreakerSetting { enable: true, rollback: true, threshold, reset_on_healthy_task: true };
    let mut service = Service::named("acme", "backend");
    service.deployment.circuit_breaker = Some(breaker);
    let crash = Fault::CrashOnStart(Crash { tasks: Some(1), ..Crash::default() });
    Story::Told(Box::new(Scenario::default().with_service(service).with_fault(crash)))
}

impl Class {
    /// Runs the class with seeds from 1 on and puts its line on the board.
    pub(crate) fn measure(&self, runs: u64, board: &mut Board) {
        let (mut lags, mut rates, mut after) = (Figures::default(), Figures::default(), Figures::default());
        for seed in 1..=runs {
            let ran = trial::run(ONE, (self.story)(), seed, Eyes::Open);
            let (visible, said) = self.instants(&ran, seed);
            lags.push(said - visible);
            rates.push(ran.reads(ran.asked(), visible) as f64 / (visible - ran.asked()));
            after.push(ran.reads(visible, said) as f64);
        }
        board.lag(self.name, &lags, self.outcome == Outcome::Deployed);
        board.rate("  reads while waiting", &rates, 0.75);
        board.note("  reads from then on to name and prove it", &after);
    }

    /// When the end was visible, and when the run said so. A run that ends otherwise stops the benchmark.
    fn instants(&self, ran: &Ran, seed: u64) -> (f64, f64) {
        let place = format!("{} with seed {seed}", self.name);
        assert_eq!(ran.report.outcome, self.outcome, "{place}: {:#?}", ran.report.services);
        let codes: Vec<Code> = ran.report.all_problems().iter().map(|problem| problem.code).collect();
        assert!(self.code.is_none_or(|code| codes.contains(&code)), "{place}: {codes:?}");
        let visible = self.signs.iter().filter_map(|sign| sign.seen(ran)).min_by(f64::total_cmp);
        let visible = visible.unwrap_or_else(|| panic!("{place}: nothing was visible"));
        let said = ran.said(self.said).unwrap_or_else(|| panic!("{place}: nothing was said"));
        (visible, said)
    }
}
