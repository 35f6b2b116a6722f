//! What must stay true whatever happens (reliability is these lines): seeds × faults × crash points over the embedded
//! cloud. A failing case prints the line that replays it. `SEEDS=2000 FROM=0 cargo test invariants` runs more.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::ecs::views::Serving;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase, Record};
use roadstead::release::Outcome;
use roadstead::sys::signal::{Cancel, Urgency};
use tokio::sync::Notify;

use crate::support::{Stage, Trial, virtually};

/// What happens at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// The runner dies before the call is sent.
    KillBefore,
    /// The runner dies after the call took effect.
    KillAfter,
    /// The call takes effect and its answer is an error.
    ErrorAfter,
    /// The call is throttled.
    Throttled,
    /// The job is cancelled.
    Interrupt,
    /// The credentials have just expired.
    Expired,
}

const BLOWS: [Blow; 6] =
    [Blow::KillBefore, Blow::KillAfter, Blow::ErrorAfter, Blow::Throttled, Blow::Interrupt, Blow::Expired];

/// What a case is.
#[derive(Debug, Clone, Copy)]
struct Case {
    scenario: &'static str,
    seed: u64,
    call: usize,
    blow: Blow,
}

/// How a struck run went, and what the cloud saw.
struct Struck {
    /// `None` where the runner died.
    outcome: Option<Outcome>,
    ended: f64,
    /// When the job was cancelled.
    cancelled: Option<f64>,
    calls: Vec<Record>,
    /// Moments at which fewer healthy tasks ran than the service's own limit allows.
    below: Vec<String>,
    settled: Serving,
    /// The second try's outcome, and how many changes there were over both.
    again: Outcome,
    registered: usize,
    updated: usize,
    finally: Serving,
}

fn strike(case: Case) -> Struck {
    virtually(async move {
        let cancel = Cancel::default();
        let trial = Trial { seed: case.seed, cancel: cancel.clone(), ..Trial::named(case.scenario) };
        let stage = trial.stage();
        let below = watch(&stage);
        let (dead, asked) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let cancelled = Arc::new(Mutex::new(None));
        arm(&stage, case, dead.clone(), asked.clone(), cancelled.clone());
        let listen = listen(cancel, asked);
        let report = tokio::select! {
            report = stage.run() => Some(report),
            () = dead.notified() => None,
            () = listen => None,
        };
        let ended = stage.cloud.now();
        stage.cloud.on_call(Box::new(|_| Interrupt::Pass));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let settled = stage.cloud.serving("acme", "backend").unwrap();
        let calls = stage.cloud.calls();
        let again = stage.run_again().await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let all = stage.cloud.calls();
        let count = |name: &str| all.iter().filter(|call| call.operation == name && call.effective).count();
        let cancelled = *cancelled.lock().unwrap();
        Struck {
            outcome: report.map(|report| report.outcome),
            ended,
            cancelled,
            calls,
            below: below.lock().unwrap().clone(),
            settled,
            again: again.outcome,
            registered: count("RegisterTaskDefinition"),
            updated: count("UpdateService"),
            finally: stage.cloud.serving("acme", "backend").unwrap(),
        }
    })
}

/// I1 on every tick of the cloud: never fewer healthy tasks than the service's own limit.
fn watch(stage: &Stage) -> Arc<Mutex<Vec<String>>> {
    let below = Arc::new(Mutex::new(Vec::new()));
    let keep = below.clone();
    stage.cloud.on_tick(Box::new(move |at, all| {
        for serving in all.iter().filter(|serving| serving.healthy() < serving.least_healthy) {
            keep.lock().unwrap().push(format!("{at}: {serving:?}"));
        }
    }));
    below
}

type Cancelled = Arc<Mutex<Option<f64>>>;

fn arm(stage: &Stage, case: Case, dead: Arc<Notify>, asked: Arc<Notify>, cancelled: Cancelled) {
    let mut struck = false;
    stage.cloud.on_call(Box::new(move |moment: &Moment<'_>| {
        let here = moment.index == case.call && !struck;
        let interrupt = match (case.blow, moment.phase) {
            _ if !here => Interrupt::Pass,
            (Blow::KillBefore, Phase::Before) | (Blow::KillAfter, Phase::After) => {
                dead.notify_one();
                Interrupt::Silence
            }
            (Blow::ErrorAfter, Phase::After) => Interrupt::Lose,
            (Blow::Throttled, Phase::Before) => {
                Interrupt::Refuse(Refusal::new("ThrottlingException", "Rate exceeded"))
            }
            (Blow::Expired, Phase::Before) => Interrupt::Refuse(Refusal::new(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            (Blow::Interrupt, Phase::Before) => {
                *cancelled.lock().unwrap() = Some(moment.at);
                asked.notify_one();
                Interrupt::Pass
            }
            _ => Interrupt::Pass,
        };
        struck |= here && moment.phase == Phase::After;
        interrupt
    }));
}

/// Raises the cancel as soon as the hook has asked for it (the hook may be on any thread, the wish is on this one).
async fn listen(cancel: Cancel, asked: Arc<Notify>) {
    asked.notified().await;
    cancel.raise(Urgency::Cancel);
    std::future::pending::<()>().await;
}

/// The version that the scenario lets become healthy.
fn good(scenario: &str) -> bool {
    scenario != "crash-on-start" && scenario != "failing-health-check"
}

fn check(case: Case) -> Result<(), String> {
    let struck = strike(case);
    let version =
        |serving: &Serving| serving.whole().map(|arn| arn.rsplit(':').next().unwrap_or_default().to_owned());
    let new = |serving: &Serving| version(serving).is_some_and(|revision| revision != "1");
    let demand = |true_: bool, what: &str| if true_ { Ok(()) } else { Err(what.to_owned()) };
    demand(struck.below.is_empty(), &format!("I1: below the healthy minimum: {:?}", struck.below.first()))?;
    // A runner that dies while a bad version is going out leaves it to ECS; without a circuit breaker that goes on.
    if good(case.scenario) || struck.outcome.is_some() {
        demand(
            version(&struck.settled).is_some(),
            &format!("I1: not wholly on one version: {:?}", struck.settled),
        )?;
    }
    if let Some(outcome) = struck.outcome {
        demand(
            outcome.exit_code() != 0 || new(&struck.settled),
            &format!("I2: {outcome} but {:?} serves", struck.settled),
        )?;
        demand(
            outcome != Outcome::Failed || !new(&struck.settled),
            &format!("I2: failed but {:?} serves", struck.settled),
        )?;
        let limit = 3600.0 + 60.0;
        demand(struck.ended - start(&struck.calls) <= limit, "I12: longer than the time given")?;
    }
    if let Some(at) = struck.cancelled.filter(|_| struck.outcome == Some(Outcome::Cancelled)) {
        demand(struck.ended - at <= 7.0, &format!("I4: left {:.1} s after the signal", struck.ended - at))?;
        let late = struck.calls.iter().find(|call| call.mutating && call.at > at + 2.0 && !takes_back(call));
        demand(late.is_none(), &format!("I4: a change after the signal: {late:?}"))?;
    }
    if good(case.scenario) {
        let fine = matches!(struck.again, Outcome::Deployed | Outcome::Unchanged);
        demand(
            fine && new(&struck.finally),
            &format!("I8: the second try ended {} on {:?}", struck.again, struck.finally),
        )?;
        demand(struck.registered <= 1, &format!("I8: {} revisions registered", struck.registered))?;
        let rolled_back = struck.calls.iter().any(|call| takes_back(call) && call.effective);
        demand(struck.updated <= 1 || rolled_back, &format!("I8: {} updates", struck.updated))?;
    } else {
        demand(
            struck.again == Outcome::Failed || struck.again == Outcome::Stranded,
            &format!("I2: the second try of a bad version ended {}", struck.again),
        )?;
        demand(!new(&struck.finally), &format!("I1: the bad version serves: {:?}", struck.finally))?;
    }
    Ok(())
}

fn start(calls: &[Record]) -> f64 {
    calls.first().map_or(0.0, |call| call.at)
}

fn takes_back(call: &Record) -> bool {
    let to = call.input.get("taskDefinition").and_then(|value| value.as_str()).unwrap_or_default();
    call.operation == "StopServiceDeployment" || (call.operation == "UpdateService" && to.ends_with(":1"))
}

fn calls_of(scenario: &'static str, seed: u64) -> usize {
    Trial { seed, ..Trial::named(scenario) }.run().calls.len()
}

fn check_all(cases: impl IntoIterator<Item = Case>) {
    let broken = Rc::new(RefCell::new(Vec::new()));
    let mut count = 0;
    for case in cases {
        count += 1;
        if let Err(why) = check(case) {
            broken.borrow_mut().push(format!("{case:?}: {why}"));
        }
    }
    let broken = broken.borrow();
    assert!(
        count > 0 && broken.is_empty(),
        "{} of {count} cases broke:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// Every call of a release, and every way it can be struck.
#[test]
fn every_crash_point_of_a_good_release() {
    let calls = calls_of("happy", 1);
    check_all((0..calls).flat_map(|call| BLOWS.map(|blow| Case { scenario: "happy", seed: 1, call, blow })));
}

/// The same for a release that fails and is taken back.
#[test]
fn every_crash_point_of_a_bad_release() {
    let calls = calls_of("crash-on-start", 1);
    check_all(
        (0..calls)
            .flat_map(|call| BLOWS.map(|blow| Case { scenario: "crash-on-start", seed: 1, call, blow })),
    );
}

const SCENARIOS: [&str; 6] =
    ["happy", "crash-on-start", "stale-reads", "response-lost", "throttled", "slow-start"];

/// Random cases: the seed says which scenario, which call and which blow.
#[test]
fn random_schedules() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (from, seeds) = (number("FROM", 0), number("SEEDS", 200));
    check_all((from..from + seeds).map(|seed| {
        let mut chance = fastrand::Rng::with_seed(seed);
        let scenario = SCENARIOS[chance.usize(..SCENARIOS.len())];
        let blow = BLOWS[chance.usize(..BLOWS.len())];
        Case { scenario, seed, call: chance.usize(..60), blow }
    }));
}
