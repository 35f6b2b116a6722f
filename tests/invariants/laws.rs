//! The twelve invariants as laws: some are held at every tick of the cloud, the others at the end of a case.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::views::Serving;
use roadstead::rehearsal::record::Record;
use roadstead::release::Outcome;

use super::case::{Blow, Case, Setting};
use super::play::{FIRST, Played, SECOND, SENTINEL};

/// The laws of every tick, held while the cloud moves.
pub(super) struct Ticks(Arc<Mutex<Vec<String>>>);

impl Ticks {
    /// Holds them from now on.
    pub(super) fn watch(cloud: &Cloud, setting: &'static Setting) -> Self {
        let broken = Arc::new(Mutex::new(Vec::new()));
        let keep = broken.clone();
        let least = cloud.serving("acme", "backend").map_or(0, |serving| serving.least_healthy);
        let mut memory = Memory { least, digest: None };
        cloud.on_tick(Box::new(move |at, all| {
            for serving in all.iter().filter(|serving| serving.service == "backend") {
                let mut keep = keep.lock().unwrap();
                keep.extend(
                    memory.hold(setting, serving).err().map(|why| format!("{why} at {at}: {serving:?}")),
                );
            }
        }));
        Self(broken)
    }

    /// What was broken, first things first.
    pub(super) fn broken(self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// What the laws of a tick remember of the ticks before.
struct Memory {
    /// The fewest healthy copies that the user's own settings allow.
    least: usize,
    /// The digest of the run's own version, once it runs.
    digest: Option<(String, BTreeSet<String>)>,
}

impl Memory {
    fn hold(&mut self, setting: &Setting, serving: &Serving) -> Result<(), String> {
        if serving.healthy() < self.least {
            return Err("I1: below the healthy minimum".into());
        }
        if serving.lost > 0.0 && self.least > 0 {
            return Err(format!("I1: {} % of the traffic reaches nobody", serving.lost));
        }
        self.same_digest(serving)?;
        unobserved(setting, serving)
    }

    /// I3: what runs of one version is one image, from its first copy to its last.
    fn same_digest(&mut self, serving: &Serving) -> Result<(), String> {
        for (version, served) in serving.versions.iter().filter(|(_, served)| !served.digests.is_empty()) {
            match &self.digest {
                Some((known, digests)) if known == version && *digests != served.digests => {
                    return Err("I3: another image under the same version".into());
                }
                _ if version.ends_with(":2") => self.digest = Some((version.clone(), served.digests.clone())),
                _ => {}
            }
        }
        Ok(())
    }
}

/// I5: a version for which nothing speaks never gets more than its first share.
fn unobserved(setting: &Setting, serving: &Serving) -> Result<(), String> {
    let Some(cap) = setting.cap else { return Ok(()) };
    let new = serving.versions.keys().filter(|version| !version.ends_with(":1"));
    // What a person brings in has the image that the service began with.
    let first = serving.versions.iter().find(|(version, _)| version.ends_with(":1"));
    let theirs = |version: &&String| {
        first.is_none_or(|(_, began)| began.digests == serving.versions[*version].digests)
    };
    let mut new = new.filter(|version| !theirs(version));
    let share = |version: &String| serving.traffic.get(version).copied().unwrap_or_default();
    let over = new.any(|version| share(version) > f64::from(cap) + 0.5);
    if over { Err(format!("I5: more than {cap} % without evidence")) } else { Ok(()) }
}

fn demand(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Every law that holds at the end.
pub(super) fn check(case: &Case, played: &Played) -> Result<(), String> {
    demand(played.broken.is_empty(), || played.broken[0].clone())?;
    whole_version(case, played)?;
    truthful(case, played)?;
    same_digest(case, played)?;
    safe_cancel(played)?;
    no_leak(played)?;
    text_is_data(played)?;
    once(case, played)?;
    one_writer(case, played)?;
    rollback_first(played)?;
    smallest_diff(case, played)?;
    bounded(played)
}

/// The short revision that serves alone.
fn version(serving: &Serving) -> Option<&str> {
    serving.whole().map(|arn| arn.rsplit(':').next().unwrap_or_default())
}

fn is_new(serving: &Serving) -> bool {
    version(serving).is_some_and(|revision| revision != "1")
}

/// Whether somebody else moved the service too, so that what serves says nothing about the run.
fn meddled(case: &Case) -> bool {
    matches!(case.blow, Blow::SecondRun | Blow::PersonDeploys)
}

/// I3: what serves after a success is the digest that was asked for.
fn same_digest(case: &Case, played: &Played) -> Result<(), String> {
    let (Some(Outcome::Deployed), Some(asked), false) = (played.outcome, &played.asked, meddled(case)) else {
        return Ok(());
    };
    let other = played.settled.versions.values().find(|served| !served.digests.contains(asked));
    demand(other.is_none(), || format!("I3: {asked} was asked for, and {other:?} serves"))
}

fn whole_version(case: &Case, played: &Played) -> Result<(), String> {
    // A runner that dies while a bad version is going out leaves it to ECS; without a circuit breaker that goes on.
    let ours_to_end = case.setting.good || (played.outcome.is_some() && !meddled(case));
    demand(!ours_to_end || version(&played.settled).is_some(), || {
        format!("I1: not wholly on one version: {:?}", played.settled)
    })
}

fn truthful(case: &Case, played: &Played) -> Result<(), String> {
    let Some(outcome) = played.outcome else { return Ok(()) };
    if meddled(case) {
        return Ok(());
    }
    demand(outcome.exit_code() != 0 || is_new(&played.settled), || {
        format!("I2: {outcome} but {:?} serves", played.settled)
    })?;
    demand(outcome != Outcome::Failed || !is_new(&played.settled), || {
        format!("I2: failed but {:?} serves", played.settled)
    })
}

/// I4: out within 7 s; from 2 s after the signal on nothing but a rollback is sent.
fn safe_cancel(played: &Played) -> Result<(), String> {
    let Some(at) = played.cancelled else { return Ok(()) };
    let quick = played.outcome != Some(Outcome::Cancelled) || played.ended - at <= 7.0;
    demand(quick, || format!("I4: left {:.1} s after the signal", played.ended - at))?;
    let late = played.calls.iter().find(|call| call.mutating && call.at > at + 2.0 && !takes_back(call));
    demand(late.is_none(), || format!("I4: a change after the signal: {late:?}"))
}

fn no_leak(played: &Played) -> Result<(), String> {
    demand(!played.text.contains(SENTINEL), || "I6: a secret stands in the log or the summary".into())
}

fn text_is_data(played: &Played) -> Result<(), String> {
    let command = |line: &&str| line.trim_start().starts_with("::set-output") || line.contains("##[");
    let found = played.text.lines().find(command);
    demand(found.is_none(), || format!("I7: text from outside is a command: {found:?}"))
}

fn effective<'p>(calls: &'p [Record], operation: &'p str, key: &'p str) -> impl Iterator<Item = &'p Record> {
    calls.iter().filter(move |call| call.operation == operation && call.effective && call.key == key)
}

/// I8: the same run again changes nothing more, whatever happened to the first one.
fn once(case: &Case, played: &Played) -> Result<(), String> {
    let registered = effective(&played.all, "RegisterTaskDefinition", FIRST).count();
    demand(registered <= 1, || format!("I8: {registered} revisions registered"))?;
    if meddled(case) {
        return Ok(());
    }
    if !case.setting.good {
        let fine = matches!(played.again, Outcome::Failed | Outcome::Stranded | Outcome::Inconclusive);
        demand(fine, || format!("I2: the second try of a bad version ended {}", played.again))?;
        return demand(!is_new(&played.finally), || {
            format!("I1: the bad version serves: {:?}", played.finally)
        });
    }
    let fine = matches!(played.again, Outcome::Deployed | Outcome::Unchanged);
    demand(fine && is_new(&played.finally), || {
        format!("I8: the second try ended {} on {:?}", played.again, played.finally)
    })?;
    let starts = effective(&played.all, "UpdateService", FIRST).filter(|call| moves(call)).count();
    // A version that was taken back, by us or by a pause that nobody ended, may be started again.
    let taken_back = played.calls.iter().any(|call| takes_back(call) && call.effective);
    demand(starts <= 1 || taken_back || !is_new(&played.settled), || {
        format!("I8: {starts} deployments were started")
    })
}

/// I9: once a newer deployment has begun, the older run starts nothing and stops nothing of it.
fn one_writer(case: &Case, played: &Played) -> Result<(), String> {
    if case.blow != Blow::SecondRun {
        return Ok(());
    }
    let Some(newer) = effective(&played.calls, "UpdateService", SECOND).find(|call| moves(call)) else {
        return Ok(());
    };
    let to = &newer.input["taskDefinition"];
    let mut after = effective(&played.calls, "UpdateService", FIRST)
        .filter(|call| call.at > newer.at && moves(call) && call.input["taskDefinition"] != *to)
        .peekable();
    // AWS changes nothing on condition: two that look and move in the same second can cross, until a lease holds one.
    if after.peek().is_some_and(|call| call.at < newer.at + 1.0) {
        return Ok(());
    }
    let after = after.next();
    demand(after.is_none(), || format!("I9: the older run moved after the newer one: {after:?}"))?;
    let fine = !case.setting.good || played.second == Some(Outcome::Deployed);
    demand(fine, || format!("I9: the newer run ended {:?}", played.second))
}

/// I10: before the first change of the service, what it would go back to was read.
fn rollback_first(played: &Played) -> Result<(), String> {
    let first = played.all.iter().position(|call| call.key == FIRST && call.operation == "UpdateService");
    let Some(first) = first else { return Ok(()) };
    let read = |operation: &str| {
        played.all[..first].iter().any(|call| call.operation == operation && call.effective)
    };
    let missing = ["DescribeServices", "ListServiceDeployments", "DescribeTaskDefinition"]
        .into_iter()
        .find(|op| !read(op));
    demand(missing.is_none(), || format!("I10: moved without {missing:?}"))
}

/// I11: nothing of the service is changed but what was asked for, and nothing of ours is left on it.
fn smallest_diff(case: &Case, played: &Played) -> Result<(), String> {
    let allowed = ["cluster", "service", "taskDefinition", "forceNewDeployment", "deploymentConfiguration"];
    let ours = played.all.iter().filter(|call| call.operation == "UpdateService" && call.key == FIRST);
    let members = ours.flat_map(|call| call.input.as_object().into_iter().flatten());
    let more = members.map(|(name, _)| name).find(|name| !allowed.contains(&name.as_str()));
    demand(more.is_none(), || format!("I11: UpdateService with {more:?}"))?;
    let (before, after) = &played.settings;
    demand(before == after || meddled(case), || {
        format!("I11: settings were left changed: {before} → {after}")
    })
}

/// I12: within the time given, and without hammering.
fn bounded(played: &Played) -> Result<(), String> {
    let Some(first) = played.calls.first() else { return Ok(()) };
    demand(played.outcome.is_none() || played.ended - first.at <= 3660.0, || {
        format!("I12: it took {:.0} s", played.ended - first.at)
    })?;
    let ours: Vec<f64> = played.calls.iter().filter(|call| call.key == FIRST).map(|call| call.at).collect();
    let hurried = ours.windows(HURRY).find(|window| window[HURRY - 1] - window[0] < 60.0);
    demand(hurried.is_none(), || format!("I12: {HURRY} calls within a minute"))
}

/// So many calls of one run within a minute are too many.
const HURRY: usize = 300;

/// Whether an update starts a deployment.
fn moves(call: &Record) -> bool {
    call.input.get("taskDefinition").is_some() || call.input.get("forceNewDeployment").is_some()
}

fn takes_back(call: &Record) -> bool {
    let to = call.input.get("taskDefinition").and_then(|value| value.as_str()).unwrap_or_default();
    call.operation == "StopServiceDeployment"
        || (call.operation == "UpdateService" && (to.ends_with(":1") || !moves(call)))
}
