//! Plays a case on the embedded cloud in virtual time, and keeps what happened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::interference;
use roadstead::rehearsal::ecs::views::{self, Serving};
use roadstead::rehearsal::elbv2::forward::weights;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase, Record};
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead::sys::signal::{Cancel, Urgency};
use tokio::sync::Notify;

use super::case::{Blow, Case, RULE};
use super::laws::{self, Ticks};
use super::mutants::Mutant;
use crate::support::{Stage, Trial, virtually};

pub(super) const FIRST: &str = "AKIAREHEARSAL0000001";
pub(super) const SECOND: &str = "AKIAREHEARSAL0000002";
/// The run of an older commit, which ended before the first one begins.
pub(super) const EARLIER: &str = "AKIAREHEARSAL0000003";
/// Stands in every place where a secret of the run stands.
pub(super) const SENTINEL: &str = "sentinel-5ecr3t-0000000000000000000000000";

/// What happened.
pub(super) struct Played {
    /// How the first run ended; `None` where its runner died.
    pub(super) outcome: Option<Outcome>,
    /// The digest that was asked for.
    pub(super) asked: Option<String>,
    /// When it ended, epoch seconds of the cloud.
    pub(super) ended: f64,
    /// When the job was cancelled.
    pub(super) cancelled: Option<f64>,
    /// How the newer run, or the older one that was started again, ended, where there was one.
    pub(super) second: Option<Outcome>,
    /// The revision that served when the first run began, and the target groups that had traffic.
    pub(super) before: (String, Vec<String>),
    /// Calls of the first run and of those beside it, until the cloud had settled.
    pub(super) calls: Vec<Record>,
    /// What stood in log and summary.
    pub(super) text: String,
    /// Laws of every tick that were broken.
    pub(super) broken: Vec<String>,
    /// What serves when all has come to rest.
    pub(super) settled: Serving,
    /// The service's own settings before the first call, and after everything.
    pub(super) settings: (serde_json::Value, serde_json::Value),
    /// How the same run ended when it was started again.
    pub(super) again: Outcome,
    /// All calls.
    pub(super) all: Vec<Record>,
    /// What serves in the end.
    pub(super) finally: Serving,
}

impl Played {
    /// The log and the calls, a line each.
    pub(super) fn told(&self) -> String {
        let from = self.calls.first().map_or(0.0, |call| call.at);
        let line = |(at, call): (usize, &Record)| {
            let run = &call.key[call.key.len().saturating_sub(1)..];
            format!("{at:>4} {:8.1} {run} {} {:?}", call.at - from, call.operation, call.outcome)
        };
        let calls: Vec<String> = self.all.iter().enumerate().map(line).collect();
        format!("{}\n{}\n{:?} {:?}", self.text, calls.join("\n"), self.outcome, self.second)
    }
}

/// Signals between the hook of the cloud and the world outside of it.
#[derive(Clone, Default)]
struct Signals {
    dead: Arc<Notify>,
    cancel: Arc<Notify>,
    second: Arc<Notify>,
    cancelled: Arc<Mutex<Option<f64>>>,
}

/// Plays `case`; with a mutant, the engine misbehaves in that one way.
pub(super) fn play(case: Case, mutant: Option<&'static Mutant>) -> Played {
    virtually(async move {
        let cancel = Cancel::default();
        let mut stage = trial(&case, &cancel, FIRST, NEW).stage();
        past(&case, &mut stage).await;
        let (before, untouched) = (before(&stage.cloud), settings(&stage.cloud));
        let from = stage.cloud.calls().len();
        let ticks = Ticks::watch(&stage.cloud, case.setting);
        let signals = Signals::default();
        arm(&stage.cloud, case, from, mutant, &signals);
        let other = tokio::task::spawn_local(other(case, stage.cloud.clone(), signals.clone()));
        let report = tokio::select! {
            report = stage.run() => Some(report),
            () = signals.dead.notified() => None,
            () = raise(cancel, signals.cancel.clone()) => None,
        };
        let ended = stage.cloud.now();
        if let Some(interfere) = mutant.and_then(|mutant| mutant.after) {
            let cancelled = *signals.cancelled.lock().unwrap();
            interfere(&stage.cloud, cancelled).await;
        }
        signals.second.notify_one();
        let second = other.await.unwrap();
        stage.cloud.on_call(Box::new(|_| Interrupt::Pass));
        tokio::time::sleep(SETTLES).await;
        let (settled, calls) = (serving(&stage.cloud), stage.cloud.calls().split_off(from));
        stage.start = now(&stage.cloud);
        let again = stage.run_again().await;
        tokio::time::sleep(SETTLES / 2).await;
        let mut text = stage.lines.borrow().join("\n");
        text.extend(report.iter().map(roadstead::report::summary::summary));
        text.push_str(mutant.map_or("", |mutant| mutant.says));
        let cancelled = *signals.cancelled.lock().unwrap();
        Played {
            asked: report.as_ref().and_then(asked),
            outcome: report.map(|report| report.outcome),
            ended,
            cancelled,
            second,
            before,
            calls,
            text,
            broken: ticks.broken(),
            settled,
            settings: (untouched, settings(&stage.cloud)),
            again: again.outcome,
            all: stage.cloud.calls().split_off(from),
            finally: serving(&stage.cloud),
        }
    })
}

/// Longer than ECS waits for anybody's word, and takes a version back.
const SETTLES: Duration = Duration::from_secs(2700);

/// The commit of the run that is struck, of a newer one, and of an older one.
const NEW: &str = "c0ffee1";
const NEWER: &str = "beef002";
const OLD: &str = "01dc0de";

/// The run of the older commit, which ends well before the first one begins.
async fn past(case: &Case, stage: &mut Stage) {
    if case.has_past() {
        let earlier = deploy(case, EARLIER, OLD).stage_on(stage.cloud.clone());
        assert_eq!(earlier.run().await.outcome, Outcome::Deployed, "{:#?}", earlier.lines.borrow());
        tokio::time::sleep(Duration::from_secs(300)).await;
        stage.start = now(&stage.cloud);
    }
}

fn now(cloud: &Cloud) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond((cloud.now() * 1e6).round() as i64).unwrap()
}

/// The run of the case.
fn trial(case: &Case, cancel: &Cancel, key: &str, commit: &str) -> Trial {
    let rollback = case.setting.rollback;
    let inputs = RawInputs {
        operation: match (rollback, case.setting.sets) {
            (true, _) => Some("rollback".to_owned()),
            (false, true) => Some("set-env".to_owned()),
            _ => None,
        },
        set: case.setting.sets.then(|| "backend.FLAG=on".to_owned()),
        // The second service of a pair began with a version of its own, which a second rollback would go to.
        to: (rollback && case.setting.pair).then(|| "backend:1".to_owned()),
        ..RawInputs::default()
    };
    Trial { cancel: cancel.clone(), inputs, ..deploy(case, key, commit) }
}

/// A run that deploys what the setting deploys.
fn deploy(case: &Case, key: &str, commit: &str) -> Trial {
    let mut trial = Trial { seed: case.seed, config: case.config(), ..Trial::of(case.setting.story()) };
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
fn again(case: &Case) -> Trial {
    let mut trial = deploy(case, EARLIER, OLD);
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
async fn other(case: Case, cloud: Cloud, signals: Signals) -> Option<Outcome> {
    signals.second.notified().await;
    let trial = match case.blow {
        Blow::SecondRun => deploy(&case, SECOND, NEWER),
        Blow::OldRun => again(&case),
        _ => return None,
    };
    let start = now(&cloud);
    let stage = Stage { start, ..trial.stage_on(cloud) };
    Some(stage.run().await.outcome)
}

/// The revision that serves, and the target groups that have traffic.
fn before(cloud: &Cloud) -> (String, Vec<String>) {
    let groups = cloud.read(|world| {
        let rule = world.balancing.rules.get(RULE);
        rule.map(|rule| weights(&rule.actions)).unwrap_or_default()
    });
    let live = groups.into_iter().filter(|(_, weight)| *weight > 0).map(|(group, _)| group);
    let serving = serving(cloud);
    (serving.whole().and_then(laws::revision).unwrap_or_default().to_owned(), live.collect())
}

fn asked(report: &RunReport) -> Option<String> {
    Some(report.services.first()?.digest.as_ref()?.to_string())
}

/// What serves users: of a pair, the services that get traffic as one.
fn serving(cloud: &Cloud) -> Serving {
    laws::front(&cloud.read(views::all)).unwrap().into_owned()
}

/// What the user set and no deployment may change: on the services, and in the rule all but its weights.
fn settings(cloud: &Cloud) -> serde_json::Value {
    let all = cloud.read(views::all).into_iter().map(|serving| {
        let mut settings = serving.configuration;
        // A list that was never there cannot be unset again: an empty one means the same.
        settings.as_object_mut().unwrap().retain(|_, value| *value != serde_json::json!([]));
        settings
    });
    let rule = cloud.read(|world| world.balancing.rules.get(RULE).map(|rule| rule.actions.clone()));
    let mut rule = serde_json::json!(rule);
    let groups = rule.pointer_mut("/0/ForwardConfig/TargetGroups").and_then(serde_json::Value::as_array_mut);
    groups.into_iter().flatten().for_each(|group| drop(group["Weight"].take()));
    serde_json::json!([all.collect::<Vec<_>>(), rule])
}

fn arm(cloud: &Cloud, case: Case, from: usize, mutant: Option<&'static Mutant>, signals: &Signals) {
    let (signals, inner) = (signals.clone(), cloud.clone());
    let mut struck = false;
    cloud.on_call(Box::new(move |moment: &Moment<'_>| {
        if let Some(interrupt) = mutant.and_then(|mutant| mutant.wire).and_then(|wire| wire(moment)) {
            return interrupt;
        }
        let ours = moment.call.access_key.as_deref() != Some(SECOND);
        if moment.index != from + case.call || struck || !ours {
            return Interrupt::Pass;
        }
        struck = moment.phase == Phase::After;
        blow(case.blow, moment, &inner, &signals)
    }));
}

fn blow(blow: Blow, moment: &Moment<'_>, cloud: &Cloud, signals: &Signals) -> Interrupt {
    match (blow, moment.phase) {
        (Blow::KillBefore, Phase::Before) | (Blow::KillAfter, Phase::After) => {
            signals.dead.notify_one();
            return Interrupt::Silence;
        }
        (Blow::ErrorAfter, Phase::After) => return Interrupt::Lose,
        (Blow::Throttled, Phase::Before) => {
            return Interrupt::Refuse(Refusal::new("ThrottlingException", "Rate exceeded"));
        }
        (Blow::Expired, Phase::Before) => {
            let words = "The security token included in the request is expired";
            return Interrupt::Refuse(Refusal::new("ExpiredTokenException", words));
        }
        (Blow::Cancel, Phase::Before) => {
            *signals.cancelled.lock().unwrap() = Some(moment.at);
            signals.cancel.notify_one();
        }
        (Blow::SecondRun | Blow::OldRun, Phase::After) => signals.second.notify_one(),
        (Blow::PersonScales, Phase::After) => {
            cloud.change(|world, now| interference::scale(world, Some("backend"), 0, 3, now));
        }
        (Blow::PersonDeploys, Phase::After) => {
            cloud.change(|world, now| interference::deploy(world, Some("backend"), 0, now));
        }
        _ => {}
    }
    Interrupt::Pass
}

/// Raises the cancel as soon as the hook has asked for it (the hook may be on any thread, the wish is on this one).
async fn raise(cancel: Cancel, asked: Arc<Notify>) {
    asked.notified().await;
    cancel.raise(Urgency::Cancel);
    std::future::pending::<()>().await;
}

/// How many calls a setting makes when nothing strikes.
pub(super) fn calls_of(case: &Case) -> usize {
    virtually(async {
        let mut stage = trial(case, &Cancel::default(), FIRST, NEW).stage();
        past(case, &mut stage).await;
        let from = stage.cloud.calls().len();
        stage.run().await;
        stage.cloud.calls().len() - from
    })
}

/// A stage for another run on the same cloud.
impl Trial {
    fn stage_on(&self, cloud: Cloud) -> Stage {
        Stage { cloud, ..self.stage() }
    }
}
