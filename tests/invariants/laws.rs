//! The twelve invariants as laws: some are held at every tick of the cloud, the others at the end of a case.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::views::Serving;
use roadstead::rehearsal::record::Record;
use roadstead::release::Outcome;

use super::case::{Blow, Case, Setting};
use super::play::{EARLIER, FIRST, Played, SECOND, SENTINEL};
use crate::support::answered;

/// What serves users, out of all services: where two take turns behind one rule, those that get traffic as one.
pub(super) fn front(all: &[Serving]) -> Option<Cow<'_, Serving>> {
    let busy = |serving: &&Serving| serving.traffic.values().any(|share| *share > 0.0);
    let mut sides = all.iter().filter(busy);
    let mut seen = Cow::Borrowed(sides.next().or(all.first())?);
    for side in sides {
        let seen = seen.to_mut();
        for (version, served) in &side.versions {
            let sum = seen.versions.entry(version.clone()).or_default();
            sum.running += served.running;
            sum.healthy += served.healthy;
            sum.digests.extend(served.digests.iter().cloned());
        }
        seen.traffic.extend(side.traffic.clone());
        seen.desired += side.desired;
    }
    Some(seen)
}

/// The laws of every tick, held while the cloud moves.
pub(super) struct Ticks(Arc<Mutex<Vec<String>>>);

impl Ticks {
    /// Holds them from now on.
    pub(super) fn watch(cloud: &Cloud, setting: &'static Setting) -> Self {
        let broken = Arc::new(Mutex::new(Vec::new()));
        let keep = broken.clone();
        let least = cloud.serving("acme", "backend").map_or(0, |serving| serving.least_healthy);
        let mut memory = Memory { least, digests: BTreeMap::new() };
        cloud.on_tick(Box::new(move |at, all| {
            let Some(serving) = front(all) else { return };
            let why = memory.hold(setting, &serving).err();
            keep.lock().unwrap().extend(why.map(|why| format!("{why} at {at}: {serving:?}")));
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
    /// The images of each version that ever ran.
    digests: BTreeMap<String, BTreeSet<String>>,
}

impl Memory {
    fn hold(&mut self, setting: &Setting, serving: &Serving) -> Result<(), String> {
        if serving.healthy() < self.least {
            return Err("I1: below the healthy minimum".into());
        }
        // A version that falls ill loses the share that it had, and no more, until that is noticed.
        let spared = setting.cap.filter(|_| setting.pair).unwrap_or_default();
        if serving.lost > f64::from(spared) && self.least > 0 {
            return Err(format!("I1: {} % of the traffic reaches nobody", serving.lost));
        }
        self.same_digest(serving)?;
        unobserved(setting, serving)
    }

    /// I3: what runs of one version is one image, from its first copy to its last.
    fn same_digest(&mut self, serving: &Serving) -> Result<(), String> {
        for (version, served) in serving.versions.iter().filter(|(_, served)| !served.digests.is_empty()) {
            match self.digests.get(version) {
                Some(known) if *known != served.digests => {
                    return Err("I3: another image under the same version".into());
                }
                Some(_) => {}
                None => drop(self.digests.insert(version.clone(), served.digests.clone())),
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
    held(case, played)?;
    whole_version(case, played)?;
    truthful(case, played)?;
    same_digest(case, played)?;
    safe_cancel(played)?;
    no_leak(played)?;
    text_is_data(played)?;
    once(case, played)?;
    one_writer(case, played)?;
    rollback_first(played)?;
    command_first(case, played)?;
    smallest_diff(case, played)?;
    bounded(played)
}

/// The number of a revision.
pub(super) fn revision(arn: &str) -> Option<&str> {
    arn.rsplit(':').next()
}

/// The short revision that serves alone.
fn version(serving: &Serving) -> Option<&str> {
    serving.whole().and_then(revision)
}

/// Whether what was asked for serves alone: for a rollback the version of the beginning, for a deploy another than the
/// one before.
fn is_asked(case: &Case, played: &Played, serving: &Serving) -> bool {
    let asked = |version: &str| match case.setting.rollback {
        true => version == "1",
        false => version != played.before.0,
    };
    version(serving).is_some_and(asked)
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
    let settled = &played.settled;
    // The exception: where two services take turns, nobody ends the shift of a runner that died but the post step or
    // the next run; until then both sides of it are well.
    if case.setting.pair && (played.outcome.is_none() || meddled(case)) {
        let well = settled.healthy() == settled.desired || !case.setting.good;
        return demand(well, || format!("I1: a side of the shift is not well: {settled:?}"));
    }
    // A runner that dies while a bad version is going out leaves it to ECS; without a circuit breaker that goes on.
    let ours_to_end = case.setting.good || (played.outcome.is_some() && !meddled(case));
    demand(!ours_to_end || version(settled).is_some(), || {
        format!("I1: not wholly on one version: {settled:?}")
    })
}

fn truthful(case: &Case, played: &Played) -> Result<(), String> {
    let Some(outcome) = played.outcome else { return Ok(()) };
    if meddled(case) {
        return Ok(());
    }
    let asked = is_asked(case, played, &played.settled);
    demand(outcome.exit_code() != 0 || asked, || format!("I2: {outcome} but {:?} serves", played.settled))?;
    demand(outcome != Outcome::Failed || !asked, || format!("I2: failed but {:?} serves", played.settled))
}

/// I4: out within 7 s; from 2 s after the signal on nothing but a rollback is sent.
fn safe_cancel(played: &Played) -> Result<(), String> {
    let Some(at) = played.cancelled else { return Ok(()) };
    let quick = played.outcome != Some(Outcome::Cancelled) || played.ended - at <= 7.0;
    demand(quick, || format!("I4: left {:.1} s after the signal", played.ended - at))?;
    let late = |call: &&Record| {
        call.mutating && call.at > at + 2.0 && !takes_back(played, call) && call.operation != "StopTask"
    };
    let late = played.calls.iter().find(late);
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
    let most = usize::from(!case.setting.rollback);
    demand(registered <= most, || format!("I8: {registered} revisions registered"))?;
    if meddled(case) {
        return Ok(());
    }
    let finally = is_asked(case, played, &played.finally);
    if !case.setting.good {
        let fine = matches!(played.again, Outcome::Failed | Outcome::Stranded | Outcome::Inconclusive);
        demand(fine, || format!("I2: the second try of a bad version ended {}", played.again))?;
        return demand(!finally, || format!("I1: the bad version serves: {:?}", played.finally));
    }
    let fine = match (case.setting.rollback, played.again) {
        (false, Outcome::Deployed | Outcome::Unchanged)
        | (true, Outcome::RolledBack | Outcome::Unchanged) => true,
        // What was to be left is not there any more: there is nothing to roll back from.
        (true, Outcome::Invalid) => is_asked(case, played, &played.settled),
        _ => false,
    };
    demand(fine && finally, || format!("I8: the second try ended {} on {:?}", played.again, played.finally))?;
    let starts = effective(&played.all, "UpdateService", FIRST).filter(|call| moves(call)).count();
    // A version that was taken back, by us or by a pause that nobody ended, may be started again.
    let taken_back = played.calls.iter().any(|call| takes_back(played, call) && call.effective);
    demand(starts <= 1 || taken_back || !is_asked(case, played, &played.settled), || {
        format!("I8: {starts} deployments were started")
    })
}

/// Whether a call moves a service, or traffic.
fn shifts(call: &Record) -> bool {
    call.operation == "ModifyRule" || (call.operation == "UpdateService" && moves(call))
}

fn movements<'p>(calls: &'p [Record], key: &'p str) -> impl Iterator<Item = &'p Record> {
    calls.iter().filter(move |call| call.effective && call.key == key && shifts(call))
}

/// I9: once a newer deployment has begun, the older run starts nothing and stops nothing of it.
fn one_writer(case: &Case, played: &Played) -> Result<(), String> {
    if case.blow != Blow::SecondRun {
        return Ok(());
    }
    let Some(newer) = movements(&played.calls, SECOND).next() else {
        return Ok(());
    };
    // Who first sees the service after the newer deployment began knows of nothing older: that its commit is, only GitHub
    // can say, and runs that ask it are played in tests/schedules.
    let looked = |call: &&Record| call.key == FIRST && call.operation == "DescribeServices" && answered(call);
    if played.calls.iter().find(looked).is_none_or(|first| first.at > newer.at) {
        return Ok(());
    }
    let to = &newer.input["taskDefinition"];
    let same = |call: &&Record| !to.is_null() && call.input["taskDefinition"] == *to;
    let mut after =
        movements(&played.calls, FIRST).filter(|call| call.at > newer.at && !same(call)).peekable();
    // AWS changes nothing on condition: two that look and move in the same second can cross, until a lease holds one.
    if after.peek().is_some_and(|call| call.at < newer.at + 1.0) {
        return Ok(());
    }
    let after = after.next();
    demand(after.is_none(), || format!("I9: the older run moved after the newer one: {after:?}"))?;
    let fine = !case.setting.good || played.second == Some(Outcome::Deployed);
    demand(fine, || format!("I9: the newer run ended {:?}", played.second))
}

/// I9: the run of an older commit that is started again late neither moves anything nor stops the newer one.
fn held(case: &Case, played: &Played) -> Result<(), String> {
    if case.blow != Blow::OldRun {
        return Ok(());
    }
    let moved = movements(&played.calls, EARLIER).next();
    let stopped = effective(&played.calls, "StopServiceDeployment", EARLIER).next();
    let idle = moved.or(stopped).is_none();
    // Where the newer one is being taken back, bringing in the older one is what both want.
    demand(idle || !case.setting.good, || format!("I9: the older run moved: {:?}", moved.or(stopped)))?;
    let fine = !case.setting.good || played.outcome.is_none_or(|outcome| outcome.exit_code() == 0);
    demand(fine, || format!("I9: the newer run ended {:?} beside the older one", played.outcome))
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

/// A command that comes before any traffic has been started before the first new version is.
fn command_first(case: &Case, played: &Played) -> Result<(), String> {
    let started = |call: &&Record| call.operation == "UpdateService" && call.key == FIRST && moves(call);
    let first = played.all.iter().find(started).filter(|_| case.setting.before);
    let Some(first) = first.filter(|call| !takes_back(played, call)) else { return Ok(()) };
    let ran = effective(&played.all, "RunTask", FIRST).any(|call| call.at < first.at);
    demand(ran, || "I10: moved without the command that comes before".into())
}

/// I11: nothing of the service is changed but what was asked for, and nothing of ours is left on it.
fn smallest_diff(case: &Case, played: &Played) -> Result<(), String> {
    // The second service of a pair is raised to as many copies as the first one has.
    let raised =
        if case.setting.pair && case.blow == Blow::PersonScales { "desiredCount" } else { "service" };
    let allowed =
        ["cluster", "service", "taskDefinition", "forceNewDeployment", "deploymentConfiguration", raised];
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

/// Whether a call leads back to what served when the run began.
fn takes_back(played: &Played, call: &Record) -> bool {
    let (before, groups) = &played.before;
    let to = call.input.get("taskDefinition").and_then(|value| value.as_str()).unwrap_or_default();
    match call.operation.as_str() {
        "StopServiceDeployment" => true,
        "UpdateService" => revision(to) == Some(before) || !moves(call),
        "ModifyRule" => {
            weights(&call.input).iter().all(|(group, weight)| (*weight == 0) != groups.contains(group))
        }
        _ => false,
    }
}

/// Target groups and weights of a ModifyRule, whose numbers are text.
fn weights(input: &serde_json::Value) -> Vec<(String, u64)> {
    let actions = input["Actions"].as_array().into_iter().flatten();
    let groups = actions.flat_map(|action| action["ForwardConfig"]["TargetGroups"].as_array()).flatten();
    let number = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_u64().unwrap(),
    };
    groups.map(|it| (it["TargetGroupArn"].as_str().unwrap().to_owned(), number(&it["Weight"]))).collect()
}
