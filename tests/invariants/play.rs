//! Plays a case on the embedded cloud in virtual time, and keeps what happened.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::interference;
use roadstead::rehearsal::ecs::views::Serving;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase, Record};
use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead::sys::signal::{Cancel, Urgency};
use tokio::sync::Notify;

use super::case::{Blow, Case};
use super::laws::Ticks;
use super::mutants::Mutant;
use crate::support::{Stage, Trial, virtually};

pub(super) const FIRST: &str = "AKIAREHEARSAL0000001";
pub(super) const SECOND: &str = "AKIAREHEARSAL0000002";
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
    /// How the newer run ended, where there was one.
    pub(super) second: Option<Outcome>,
    /// Calls until the cloud had settled.
    pub(super) calls: Vec<Record>,
    /// What stood in log and summary.
    pub(super) text: String,
    /// Laws of every tick that were broken.
    pub(super) broken: Vec<String>,
    /// What serves an hour later.
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
        let stage = trial(&case, &cancel, FIRST, "c0ffee1").stage();
        let before = settings(&stage.cloud);
        let ticks = Ticks::watch(&stage.cloud, case.setting);
        let signals = Signals::default();
        arm(&stage.cloud, case, mutant, &signals);
        let newer = tokio::task::spawn_local(second(case, stage.cloud.clone(), signals.clone()));
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
        if case.blow != Blow::SecondRun || report.is_none() {
            signals.second.notify_one();
        }
        let second = newer.await.unwrap();
        stage.cloud.on_call(Box::new(|_| Interrupt::Pass));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let (settled, calls) = (serving(&stage.cloud), stage.cloud.calls());
        let again = stage.run_again().await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
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
            calls,
            text,
            broken: ticks.broken(),
            settled,
            settings: (before, settings(&stage.cloud)),
            again: again.outcome,
            all: stage.cloud.calls(),
            finally: serving(&stage.cloud),
        }
    })
}

fn trial(case: &Case, cancel: &Cancel, key: &str, commit: &str) -> Trial {
    let mut trial = Trial {
        seed: case.seed,
        cancel: cancel.clone(),
        config: case.config(),
        ..Trial::named(case.setting.scenario)
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

/// The newer run: begins when it is told to, and only in the cases that have one.
async fn second(case: Case, cloud: Cloud, signals: Signals) -> Option<Outcome> {
    signals.second.notified().await;
    if case.blow != Blow::SecondRun || signals.cancelled.lock().unwrap().is_some() {
        return None;
    }
    let stage = trial(&case, &Cancel::default(), SECOND, "beef002").stage_on(cloud);
    Some(stage.run().await.outcome)
}

fn asked(report: &RunReport) -> Option<String> {
    Some(report.services.first()?.digest.as_ref()?.to_string())
}

fn serving(cloud: &Cloud) -> Serving {
    cloud.serving("acme", "backend").unwrap()
}

/// What the user set on the service and no deployment may change.
fn settings(cloud: &Cloud) -> serde_json::Value {
    let mut settings = cloud.serving("acme", "backend").unwrap().configuration;
    // A list that was never there cannot be unset again: an empty one means the same.
    settings.as_object_mut().unwrap().retain(|_, value| *value != serde_json::json!([]));
    settings
}

fn arm(cloud: &Cloud, case: Case, mutant: Option<&'static Mutant>, signals: &Signals) {
    let (signals, inner) = (signals.clone(), cloud.clone());
    let mut struck = false;
    cloud.on_call(Box::new(move |moment: &Moment<'_>| {
        if let Some(interrupt) = mutant.and_then(|mutant| mutant.wire).and_then(|wire| wire(moment)) {
            return interrupt;
        }
        let ours = moment.call.access_key.as_deref() != Some(SECOND);
        if moment.index != case.call || struck || !ours {
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
        (Blow::SecondRun, Phase::After) => signals.second.notify_one(),
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
    trial(case, &Cancel::default(), FIRST, "c0ffee1").run().calls.len()
}

/// A stage for another run on the same cloud.
impl Trial {
    fn stage_on(&self, cloud: Cloud) -> Stage {
        Stage { cloud, ..self.stage() }
    }
}
