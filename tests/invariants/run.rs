//! Plays a case on the embedded cloud in virtual time, and keeps what happened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead::sys::signal::{CancelLevel, CancelToken};
use roadstead_cloud::call_log::{CallHook, HookPhase, LoggedCall, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecs::outside_changes;
use roadstead_cloud::ecs::responses::serving::{self, ServingState};
use roadstead_cloud::elbv2::forward::forward_weights;
use roadstead_cloud::request::ServiceError;
use roadstead_cloud::scenario::Scenario;
use tokio::sync::Notify;

use super::assertions::{self, TickAssertions};
use super::case::{Case, Fault, RULE};
use super::mutants::Mutant;
use crate::support::{RunHarness, TestRun, run_in_virtual_time};

pub(super) const FIRST_KEY: &str = "AKIAREHEARSAL0000001";
pub(super) const SECOND_KEY: &str = "AKIAREHEARSAL0000002";
/// The run of an older commit, which ended before the first one begins.
pub(super) const EARLIER_KEY: &str = "AKIAREHEARSAL0000003";
/// Stands in every place where a secret of the run stands.
pub(super) const SENTINEL: &str = "sentinel-5ecr3t-0000000000000000000000000";

/// What happened.
pub(super) struct CaseResult {
    /// How the first run ended; `None` where its runner died.
    pub(super) outcome: Option<Outcome>,
    /// The digest that was asked for.
    pub(super) requested_digest: Option<String>,
    /// When it ended, epoch seconds of the cloud.
    pub(super) ended_at: f64,
    /// When the job was cancelled.
    pub(super) cancelled_at: Option<f64>,
    /// How the newer run, or the older one that was started again, ended, where there was one.
    pub(super) second_outcome: Option<Outcome>,
    /// The revision that served when the first run began, and the target groups that had traffic.
    pub(super) serving_before: (String, Vec<String>),
    /// Calls of the first run and of those beside it, until the cloud had settled.
    pub(super) calls: Vec<LoggedCall>,
    /// What stood in log and summary.
    pub(super) output: String,
    /// The summary of the run that was struck.
    pub(super) summary: String,
    /// Laws of every tick that were broken.
    pub(super) tick_violations: Vec<String>,
    /// What serves when all has come to rest.
    pub(super) serving_settled: ServingState,
    /// The service's own settings before the first call, and after everything.
    pub(super) settings_before_after: (serde_json::Value, serde_json::Value),
    /// How the same run ended when it was started again.
    pub(super) rerun_outcome: Outcome,
    /// All calls.
    pub(super) all_calls: Vec<LoggedCall>,
    /// What serves in the end.
    pub(super) serving_at_end: ServingState,
}

impl CaseResult {
    /// The log and the calls, a line each.
    pub(super) fn log_text(&self) -> String {
        let from = self.calls.first().map_or(0.0, |call| call.at);
        let line = |(at, call): (usize, &LoggedCall)| {
            let run = &call.access_key[call.access_key.len().saturating_sub(1)..];
            format!("{at:>4} {:8.1} {run} {} {:?}", call.at - from, call.operation, call.outcome)
        };
        let calls: Vec<String> = self.all_calls.iter().enumerate().map(line).collect();
        format!("{}\n{}\n{:?} {:?}", self.output, calls.join("\n"), self.outcome, self.second_outcome)
    }
}

/// Signals between the hook of the cloud and the world outside of it.
#[derive(Clone, Default)]
struct FaultSignals {
    runner_lost: Arc<Notify>,
    cancel: Arc<Notify>,
    start_second: Arc<Notify>,
    cancelled_at: Arc<Mutex<Option<f64>>>,
}

/// Plays `case`; with a mutant, the engine misbehaves in that one way.
pub(super) fn run_case(case: Case, mutant: Option<&'static Mutant>) -> CaseResult {
    run_in_virtual_time(async move {
        let cancel = CancelToken::default();
        let mut stage = test_run(&case, &cancel, FIRST_KEY, NEW_COMMIT).set_up();
        run_earlier(&case, &mut stage).await;
        let (before, untouched) = (read_serving_before(&stage.cloud), read_settings(&stage.cloud));
        let from = stage.cloud.calls().len();
        let ticks = TickAssertions::start(&stage.cloud, case.fixture);
        let signals = FaultSignals::default();
        install_fault(&stage.cloud, case, from, mutant, &signals);
        let other = tokio::task::spawn_local(run_second(case, stage.cloud.clone(), signals.clone()));
        let report = tokio::select! {
            report = stage.run() => Some(report),
            () = signals.runner_lost.notified() => None,
            () = cancel_on_signal(cancel, signals.cancel.clone()) => None,
        };
        let ended = stage.cloud.now();
        if let Some(interfere) = mutant.and_then(|mutant| mutant.after_run) {
            let cancelled = *signals.cancelled_at.lock().unwrap();
            interfere(&stage.cloud, cancelled).await;
        }
        signals.start_second.notify_one();
        let second = other.await.unwrap();
        stage.cloud.on_call(Box::new(|_| Override::Pass));
        tokio::time::sleep(SETTLE_TIME).await;
        let (settled, calls) = (read_serving(&stage.cloud), stage.cloud.calls().split_off(from));
        stage.start = cloud_time(&stage.cloud);
        let again = stage.run_again().await;
        tokio::time::sleep(SETTLE_TIME / 2).await;
        let mut text = stage.lines.borrow().join("\n");
        let summary = report.as_ref().map(roadstead::report::summary::summary).unwrap_or_default();
        text.push_str(&summary);
        text.push_str(mutant.map_or("", |mutant| mutant.extra_output));
        let cancelled = *signals.cancelled_at.lock().unwrap();
        CaseResult {
            requested_digest: report.as_ref().and_then(read_requested_digest),
            outcome: report.map(|report| report.outcome),
            ended_at: ended,
            cancelled_at: cancelled,
            second_outcome: second,
            serving_before: before,
            calls,
            output: text,
            summary,
            tick_violations: ticks.violations(),
            serving_settled: settled,
            settings_before_after: (untouched, read_settings(&stage.cloud)),
            rerun_outcome: again.outcome,
            all_calls: stage.cloud.calls().split_off(from),
            serving_at_end: read_serving(&stage.cloud),
        }
    })
}

/// Longer than ECS waits for anybody's word, and takes a version back.
const SETTLE_TIME: Duration = Duration::from_secs(2700);

/// The commit of the run that is struck, of a newer one, and of an older one.
pub(super) const NEW_COMMIT: &str = "c0ffee1";
const NEWER_COMMIT: &str = "beef002";
const OLDER_COMMIT: &str = "01dc0de";

/// The run of the older commit, which ends well before the first one begins.
pub(super) async fn run_earlier(case: &Case, stage: &mut RunHarness) {
    if case.has_earlier_run() {
        let earlier = deploy_run(case, EARLIER_KEY, OLDER_COMMIT).set_up_on(stage.cloud.clone());
        assert_eq!(earlier.run().await.outcome, Outcome::Deployed, "{:#?}", earlier.lines.borrow());
        tokio::time::sleep(Duration::from_secs(300)).await;
        stage.start = cloud_time(&stage.cloud);
    }
}

fn cloud_time(cloud: &Cloud) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond((cloud.now() * 1e6).round() as i64).unwrap()
}

/// The run of the case.
pub(super) fn test_run(case: &Case, cancel: &CancelToken, key: &str, commit: &str) -> TestRun {
    let rollback = case.fixture.is_rollback;
    let inputs = RawInputs {
        operation: match (rollback, case.fixture.is_set_env) {
            (true, _) => Some("rollback".to_owned()),
            (false, true) => Some("set-env".to_owned()),
            _ => None,
        },
        set: case.fixture.is_set_env.then(|| "backend.FLAG=on".to_owned()),
        // The second service of a pair began with a version of its own, which a second rollback would go to.
        to: (rollback && case.fixture.is_pair).then(|| "backend:1".to_owned()),
        ..RawInputs::default()
    };
    TestRun { cancel: cancel.clone(), inputs, ..deploy_run(case, key, commit) }
}

/// A run that deploys what the setting deploys.
fn deploy_run(case: &Case, key: &str, commit: &str) -> TestRun {
    let mut trial = TestRun {
        seed: case.seed,
        config: case.config(),
        ..TestRun::from_source(case.fixture.scenario_source())
    };
    let commit = format!("{commit:0<40}");
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", SENTINEL),
        ("AWS_SESSION_TOKEN", SENTINEL),
        ("GITHUB_SHA", &commit),
    ] {
        trial.variables.insert(name.into(), value.into());
    }
    trial
}

/// The older run, as the runner starts it again.
fn stale_run(case: &Case) -> TestRun {
    let mut trial = deploy_run(case, EARLIER_KEY, OLDER_COMMIT);
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_RUN_ID", "7"),
        ("GITHUB_RUN_ATTEMPT", "2"),
    ] {
        trial.variables.insert(name.into(), value.into());
    }
    trial
}

/// The run beside the first one: begins when it is told to, and only in the cases that have one.
async fn run_second(case: Case, cloud: Cloud, signals: FaultSignals) -> Option<Outcome> {
    signals.start_second.notified().await;
    let trial = match case.fault {
        Fault::SecondRun => deploy_run(&case, SECOND_KEY, NEWER_COMMIT),
        Fault::OldRun => stale_run(&case),
        _ => return None,
    };
    let start = cloud_time(&cloud);
    let stage = RunHarness { start, ..trial.set_up_on(cloud) };
    Some(stage.run().await.outcome)
}

/// The revision that serves, and the target groups that have traffic.
fn read_serving_before(cloud: &Cloud) -> (String, Vec<String>) {
    let groups = cloud.read(|world| {
        let rule = world.load_balancing.rules.get(RULE);
        rule.map(|rule| forward_weights(&rule.actions)).unwrap_or_default()
    });
    let live = groups.into_iter().filter(|(_, weight)| *weight > 0).map(|(group, _)| group);
    let serving = read_serving(cloud);
    (serving.only_version().and_then(assertions::revision).unwrap_or_default().to_owned(), live.collect())
}

fn read_requested_digest(report: &RunReport) -> Option<String> {
    Some(report.services.first()?.digest.as_ref()?.to_string())
}

/// What serves users: of a pair, the services that get traffic as one.
fn read_serving(cloud: &Cloud) -> ServingState {
    assertions::serving_to_users(&cloud.read(serving::all_serving_states)).unwrap().into_owned()
}

/// What the user set and no deployment may change: on the services, and in the rule all but its weights.
fn read_settings(cloud: &Cloud) -> serde_json::Value {
    let all = cloud.read(serving::all_serving_states).into_iter().map(|serving| {
        let mut settings = serving.configuration;
        // A list that was never there cannot be unset again: an empty one means the same.
        settings.as_object_mut().unwrap().retain(|_, value| *value != serde_json::json!([]));
        settings
    });
    let rule = cloud.read(|world| world.load_balancing.rules.get(RULE).map(|rule| rule.actions.clone()));
    let mut rule = serde_json::json!(rule);
    let groups = rule.pointer_mut("/0/ForwardConfig/TargetGroups").and_then(serde_json::Value::as_array_mut);
    groups.into_iter().flatten().for_each(|group| drop(group["Weight"].take()));
    serde_json::json!([all.collect::<Vec<_>>(), rule])
}

fn install_fault(
    cloud: &Cloud,
    case: Case,
    from: usize,
    mutant: Option<&'static Mutant>,
    signals: &FaultSignals,
) {
    let (signals, inner) = (signals.clone(), cloud.clone());
    let mut struck = false;
    cloud.on_call(Box::new(move |moment: &CallHook<'_>| {
        if let Some(interrupt) = mutant.and_then(|mutant| mutant.on_call).and_then(|wire| wire(moment)) {
            return interrupt;
        }
        let ours = moment.call.access_key.as_deref() != Some(SECOND_KEY);
        if moment.index != from + case.call || struck || !ours {
            return Override::Pass;
        }
        struck = moment.phase == HookPhase::After;
        apply_fault(case.fault, moment, &inner, &signals)
    }));
}

fn apply_fault(blow: Fault, moment: &CallHook<'_>, cloud: &Cloud, signals: &FaultSignals) -> Override {
    match (blow, moment.phase) {
        (Fault::KillBefore, HookPhase::Before) | (Fault::KillAfter, HookPhase::After) => {
            signals.runner_lost.notify_one();
            return Override::NoReply;
        }
        (Fault::ErrorAfter, HookPhase::After) => return Override::Disconnect,
        (Fault::Throttled, HookPhase::Before) => {
            return Override::Fail(ServiceError::new("ThrottlingException", "Rate exceeded"));
        }
        (Fault::Expired, HookPhase::Before) => {
            let words = "The security token included in the request is expired";
            return Override::Fail(ServiceError::new("ExpiredTokenException", words));
        }
        (Fault::Cancel, HookPhase::Before) => {
            *signals.cancelled_at.lock().unwrap() = Some(moment.at);
            signals.cancel.notify_one();
        }
        (Fault::Outage, HookPhase::Before) => begin_outage(cloud, &moment.call.operation),
        (Fault::SecondRun | Fault::OldRun, HookPhase::After) => signals.start_second.notify_one(),
        (Fault::PersonScales, HookPhase::After) => {
            cloud.change(|world, now| outside_changes::scale(world, Some("backend"), 0, 3, now));
        }
        (Fault::PersonDeploys, HookPhase::After) => {
            cloud.change(|world, now| outside_changes::deploy(world, Some("backend"), 0, now));
        }
        _ => {}
    }
    Override::Pass
}

/// The next call of `operation` loses its answer, and a minute of web pages follows.
fn begin_outage(cloud: &Cloud, operation: &str) {
    install_outage(cloud, &format!("{{ operation: '{operation}', for: 60, answers: html }}"));
}

/// Adds an outage, as a scenario file says it, to a world that exists.
pub(super) fn install_outage(cloud: &Cloud, outage: &str) {
    let faults = Scenario::parse(&format!("faults: [outage: {outage}]")).unwrap().faults;
    cloud.change(|world, _| {
        world.faults.trigger_counts.extend(faults.iter().map(|_| 0));
        world.faults.list.extend(faults);
    });
}

/// Raises the cancel as soon as the hook has asked for it (the hook may be on any thread, the wish is on this one).
async fn cancel_on_signal(cancel: CancelToken, asked: Arc<Notify>) {
    asked.notified().await;
    cancel.set(CancelLevel::Cancel);
    std::future::pending::<()>().await;
}

/// How many calls a setting makes when nothing strikes.
pub(super) fn count_calls(case: &Case) -> usize {
    run_in_virtual_time(async {
        let mut stage = test_run(case, &CancelToken::default(), FIRST_KEY, NEW_COMMIT).set_up();
        run_earlier(case, &mut stage).await;
        let from = stage.cloud.calls().len();
        stage.run().await;
        stage.cloud.calls().len() - from
    })
}

/// A stage for another run on the same cloud.
impl TestRun {
    fn set_up_on(&self, cloud: Cloud) -> RunHarness {
        RunHarness { cloud, ..self.set_up() }
    }
}
