//! The twelve invariants as laws: some are held at every tick of the cloud, the others at the end of a case.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use roadstead::release::Outcome;
use roadstead_cloud::call_log::LoggedCall;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecs::responses::serving::ServingState;

use super::case::{Case, Fault, Fixture};
use super::run::{CaseResult, EARLIER_KEY, FIRST_KEY, SECOND_KEY, SENTINEL};
use crate::support::is_answered;

/// What serves users, out of all services: where two take turns behind one rule, those that get traffic as one.
pub(super) fn serving_to_users(all: &[ServingState]) -> Option<Cow<'_, ServingState>> {
    let busy = |serving: &&ServingState| serving.traffic.values().any(|share| *share > 0.0);
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
pub(super) struct TickAssertions(Arc<Mutex<Vec<String>>>);

impl TickAssertions {
    /// Holds them from now on.
    pub(super) fn start(cloud: &Cloud, setting: &'static Fixture) -> Self {
        let broken = Arc::new(Mutex::new(Vec::new()));
        let keep = broken.clone();
        let least = cloud.serving_state("acme", "backend").map_or(0, |serving| serving.min_healthy);
        let mut memory = TickHistory { min_healthy: least, version_digests: BTreeMap::new() };
        cloud.on_tick(Box::new(move |at, all| {
            let Some(serving) = serving_to_users(all) else { return };
            let why = memory.check(setting, &serving).err();
            keep.lock().unwrap().extend(why.map(|why| format!("{why} at {at}: {serving:?}")));
        }));
        Self(broken)
    }

    /// What was broken, first things first.
    pub(super) fn violations(self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// What the laws of a tick remember of the ticks before.
struct TickHistory {
    /// The fewest healthy copies that the user's own settings allow.
    min_healthy: usize,
    /// The images of each version that ever ran.
    version_digests: BTreeMap<String, BTreeSet<String>>,
}

impl TickHistory {
    fn check(&mut self, setting: &Fixture, serving: &ServingState) -> Result<(), String> {
        if serving.healthy_count() < self.min_healthy {
            return Err("I1: below the healthy minimum".into());
        }
        // A version that falls ill loses the share that it had, and no more, until that is noticed.
        let spared = setting.max_weight.filter(|_| setting.is_pair).unwrap_or_default();
        if serving.lost_percent > f64::from(spared) && self.min_healthy > 0 {
            return Err(format!("I1: {} % of the traffic reaches nobody", serving.lost_percent));
        }
        self.check_same_digest(serving)?;
        check_unanalyzed_weight(setting, serving)
    }

    /// I3: what runs of one version is one image, from its first copy to its last.
    fn check_same_digest(&mut self, serving: &ServingState) -> Result<(), String> {
        for (version, served) in serving.versions.iter().filter(|(_, served)| !served.digests.is_empty()) {
            match self.version_digests.get(version) {
                Some(known) if *known != served.digests => {
                    return Err("I3: another image under the same version".into());
                }
                Some(_) => {}
                None => drop(self.version_digests.insert(version.clone(), served.digests.clone())),
            }
        }
        Ok(())
    }
}

/// I5: a version for which nothing speaks never gets more than its first share.
fn check_unanalyzed_weight(setting: &Fixture, serving: &ServingState) -> Result<(), String> {
    let Some(cap) = setting.max_weight else { return Ok(()) };
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

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

/// Every law that holds at the end.
pub(super) fn check_invariants(case: &Case, played: &CaseResult) -> Result<(), String> {
    ensure(played.tick_violations.is_empty(), || played.tick_violations[0].clone())?;
    check_stale_run(case, played)?;
    check_single_version(case, played)?;
    check_outcome(case, played)?;
    check_deployed_digest(case, played)?;
    check_no_denial(played)?;
    check_cancel(played)?;
    check_no_secret(played)?;
    check_no_command(played)?;
    check_rerun(case, played)?;
    check_one_writer(case, played)?;
    check_rollback_known(played)?;
    check_before_command(case, played)?;
    check_smallest_diff(case, played)?;
    check_bounds(played)
}

/// The number of a revision.
pub(super) fn revision(arn: &str) -> Option<&str> {
    arn.rsplit(':').next()
}

/// The short revision that serves alone.
fn serving_revision(serving: &ServingState) -> Option<&str> {
    serving.only_version().and_then(revision)
}

/// Whether what was asked for serves alone: for a rollback the version of the beginning, for a deploy another than the
/// one before.
fn serves_requested(case: &Case, played: &CaseResult, serving: &ServingState) -> bool {
    let asked = |version: &str| match case.fixture.is_rollback {
        true => version == "1",
        false => version != played.serving_before.0,
    };
    serving_revision(serving).is_some_and(asked)
}

/// Whether somebody else moved the service too, so that what serves says nothing about the run.
fn has_outside_deployment(case: &Case) -> bool {
    matches!(case.fault, Fault::SecondRun | Fault::PersonDeploys)
}

/// I3: what serves after a success is the digest that was asked for.
fn check_deployed_digest(case: &Case, played: &CaseResult) -> Result<(), String> {
    let (Some(Outcome::Deployed), Some(asked), false) =
        (played.outcome, &played.requested_digest, has_outside_deployment(case))
    else {
        return Ok(());
    };
    let other = played.serving_settled.versions.values().find(|served| !served.digests.contains(asked));
    ensure(other.is_none(), || format!("I3: {asked} was asked for, and {other:?} serves"))
}

fn check_single_version(case: &Case, played: &CaseResult) -> Result<(), String> {
    let settled = &played.serving_settled;
    // The exception: where two services take turns, nobody ends the shift of a runner that died but the post step or
    // the next run; until then both sides of it are well.
    if case.fixture.is_pair && (played.outcome.is_none() || has_outside_deployment(case)) {
        let well = settled.healthy_count() == settled.desired || !case.fixture.can_succeed;
        return ensure(well, || format!("I1: a side of the shift is not well: {settled:?}"));
    }
    // A runner that dies while a bad version is going out leaves it to ECS; without a circuit breaker that goes on.
    let ours_to_end = case.fixture.can_succeed || (played.outcome.is_some() && !has_outside_deployment(case));
    ensure(!ours_to_end || serving_revision(settled).is_some(), || {
        format!("I1: not wholly on one version: {settled:?}")
    })
}

fn check_outcome(case: &Case, played: &CaseResult) -> Result<(), String> {
    let Some(outcome) = played.outcome else { return Ok(()) };
    if has_outside_deployment(case) {
        return Ok(());
    }
    let asked = serves_requested(case, played, &played.serving_settled);
    ensure(outcome.exit_code() != 0 || asked, || {
        format!("I2: {outcome} but {:?} serves", played.serving_settled)
    })?;
    ensure(outcome != Outcome::Failed || !asked, || {
        format!("I2: failed but {:?} serves", played.serving_settled)
    })
}

/// What is only said of a service that was not changed.
pub(super) const DENIALS: [&str; 6] = [
    "nothing was moved",
    "nothing was changed",
    "nothing was deployed",
    "before any change",
    "before anything",
    "was not started",
];

/// I13: once a change took effect, nobody is told that there was none.
fn check_no_denial(played: &CaseResult) -> Result<(), String> {
    let moved = traffic_changes(&played.calls, FIRST_KEY).next();
    let denial = DENIALS.into_iter().find(|words| played.summary.contains(words));
    ensure(moved.is_none() || denial.is_none(), || format!("I13: `{}` after {moved:?}", denial.unwrap_or("")))
}

/// I4: out within 7 s; from 2 s after the signal on nothing but a rollback is sent.
fn check_cancel(played: &CaseResult) -> Result<(), String> {
    let Some(at) = played.cancelled_at else { return Ok(()) };
    let quick = played.outcome != Some(Outcome::Cancelled) || played.ended_at - at <= 7.0;
    ensure(quick, || format!("I4: left {:.1} s after the signal", played.ended_at - at))?;
    let late = |call: &&LoggedCall| {
        call.is_mutating
            && call.at > at + 2.0
            && !is_rollback_call(played, call)
            && call.operation != "StopTask"
    };
    let late = played.calls.iter().find(late);
    ensure(late.is_none(), || format!("I4: a change after the signal: {late:?}"))
}

fn check_no_secret(played: &CaseResult) -> Result<(), String> {
    ensure(!played.output.contains(SENTINEL), || "I6: a secret stands in the log or the summary".into())
}

fn check_no_command(played: &CaseResult) -> Result<(), String> {
    let command = |line: &&str| line.trim_start().starts_with("::set-output") || line.contains("##[");
    let found = played.output.lines().find(command);
    ensure(found.is_none(), || format!("I7: text from outside is a command: {found:?}"))
}

fn effective_calls<'p>(
    calls: &'p [LoggedCall],
    operation: &'p str,
    key: &'p str,
) -> impl Iterator<Item = &'p LoggedCall> {
    calls.iter().filter(move |call| call.operation == operation && call.took_effect && call.access_key == key)
}

/// I8: the same run again changes nothing more, whatever happened to the first one.
fn check_rerun(case: &Case, played: &CaseResult) -> Result<(), String> {
    let registered = effective_calls(&played.all_calls, "RegisterTaskDefinition", FIRST_KEY).count();
    let most = usize::from(!case.fixture.is_rollback);
    ensure(registered <= most, || format!("I8: {registered} revisions registered"))?;
    if has_outside_deployment(case) {
        return Ok(());
    }
    let finally = serves_requested(case, played, &played.serving_at_end);
    if !case.fixture.can_succeed {
        let fine =
            matches!(played.rerun_outcome, Outcome::Failed | Outcome::Stranded | Outcome::Inconclusive);
        ensure(fine, || format!("I2: the second try of a bad version ended {}", played.rerun_outcome))?;
        return ensure(!finally, || format!("I1: the bad version serves: {:?}", played.serving_at_end));
    }
    let fine = match (case.fixture.is_rollback, played.rerun_outcome) {
        (false, Outcome::Deployed | Outcome::Unchanged)
        | (true, Outcome::RolledBack | Outcome::Unchanged) => true,
        // What was to be left is not there any more: there is nothing to roll back from.
        (true, Outcome::Invalid) => serves_requested(case, played, &played.serving_settled),
        _ => false,
    };
    ensure(fine && finally, || {
        format!("I8: the second try ended {} on {:?}", played.rerun_outcome, played.serving_at_end)
    })?;
    let starts = effective_calls(&played.all_calls, "UpdateService", FIRST_KEY)
        .filter(|call| starts_deployment(call))
        .count();
    // A version that was taken back, by us or by a pause that nobody ended, may be started again.
    let taken_back = played.calls.iter().any(|call| is_rollback_call(played, call) && call.took_effect);
    ensure(starts <= 1 || taken_back || !serves_requested(case, played, &played.serving_settled), || {
        format!("I8: {starts} deployments were started")
    })
}

/// Whether a call moves a service, or traffic.
fn is_traffic_change(call: &LoggedCall) -> bool {
    call.operation == "ModifyRule" || (call.operation == "UpdateService" && starts_deployment(call))
}

fn traffic_changes<'p>(calls: &'p [LoggedCall], key: &'p str) -> impl Iterator<Item = &'p LoggedCall> {
    calls.iter().filter(move |call| call.took_effect && call.access_key == key && is_traffic_change(call))
}

/// I9: once a newer deployment has begun, the older run starts nothing and stops nothing of it.
fn check_one_writer(case: &Case, played: &CaseResult) -> Result<(), String> {
    if case.fault != Fault::SecondRun {
        return Ok(());
    }
    let Some(newer) = traffic_changes(&played.calls, SECOND_KEY).next() else {
        return Ok(());
    };
    // Who first sees the service after the newer deployment began knows of nothing older: that its commit is, only GitHub
    // can say, and runs that ask it are played in tests/schedules.
    let looked = |call: &&LoggedCall| {
        call.access_key == FIRST_KEY && call.operation == "DescribeServices" && is_answered(call)
    };
    if played.calls.iter().find(looked).is_none_or(|first| first.at > newer.at) {
        return Ok(());
    }
    let to = &newer.input["taskDefinition"];
    let same = |call: &&LoggedCall| !to.is_null() && call.input["taskDefinition"] == *to;
    let mut after =
        traffic_changes(&played.calls, FIRST_KEY).filter(|call| call.at > newer.at && !same(call)).peekable();
    // AWS changes nothing on condition: two that look and move in the same second can cross, until a lease holds one.
    if after.peek().is_some_and(|call| call.at < newer.at + 1.0) {
        return Ok(());
    }
    let after = after.next();
    ensure(after.is_none(), || format!("I9: the older run moved after the newer one: {after:?}"))?;
    let fine = !case.fixture.can_succeed || played.second_outcome == Some(Outcome::Deployed);
    ensure(fine, || format!("I9: the newer run ended {:?}", played.second_outcome))
}

/// I9: the run of an older commit that is started again late neither moves anything nor stops the newer one.
fn check_stale_run(case: &Case, played: &CaseResult) -> Result<(), String> {
    if case.fault != Fault::OldRun {
        return Ok(());
    }
    let moved = traffic_changes(&played.calls, EARLIER_KEY).next();
    let stopped = effective_calls(&played.calls, "StopServiceDeployment", EARLIER_KEY).next();
    let idle = moved.or(stopped).is_none();
    // Where the newer one is being taken back, bringing in the older one is what both want.
    ensure(idle || !case.fixture.can_succeed, || {
        format!("I9: the older run moved: {:?}", moved.or(stopped))
    })?;
    let fine = !case.fixture.can_succeed || played.outcome.is_none_or(|outcome| outcome.exit_code() == 0);
    ensure(fine, || format!("I9: the newer run ended {:?} beside the older one", played.outcome))
}

/// I10: before the first change of the service, what it would go back to was read.
fn check_rollback_known(played: &CaseResult) -> Result<(), String> {
    let first = played
        .all_calls
        .iter()
        .position(|call| call.access_key == FIRST_KEY && call.operation == "UpdateService");
    let Some(first) = first else { return Ok(()) };
    let read = |operation: &str| {
        played.all_calls[..first].iter().any(|call| call.operation == operation && call.took_effect)
    };
    let missing = ["DescribeServices", "ListServiceDeployments", "DescribeTaskDefinition"]
        .into_iter()
        .find(|op| !read(op));
    ensure(missing.is_none(), || format!("I10: moved without {missing:?}"))
}

/// A command that comes before any traffic has been started before the first new version is.
fn check_before_command(case: &Case, played: &CaseResult) -> Result<(), String> {
    let started = |call: &&LoggedCall| {
        call.operation == "UpdateService" && call.access_key == FIRST_KEY && starts_deployment(call)
    };
    let first = played.all_calls.iter().find(started).filter(|_| case.fixture.has_before_command);
    let Some(first) = first.filter(|call| !is_rollback_call(played, call)) else { return Ok(()) };
    let ran = effective_calls(&played.all_calls, "RunTask", FIRST_KEY).any(|call| call.at < first.at);
    ensure(ran, || "I10: moved without the command that comes before".into())
}

/// I11: nothing of the service is changed but what was asked for, and nothing of ours is left on it.
fn check_smallest_diff(case: &Case, played: &CaseResult) -> Result<(), String> {
    // The second service of a pair is raised to as many copies as the first one has.
    let raised =
        if case.fixture.is_pair && case.fault == Fault::PersonScales { "desiredCount" } else { "service" };
    let allowed =
        ["cluster", "service", "taskDefinition", "forceNewDeployment", "deploymentConfiguration", raised];
    let ours = played
        .all_calls
        .iter()
        .filter(|call| call.operation == "UpdateService" && call.access_key == FIRST_KEY);
    let members = ours.flat_map(|call| call.input.as_object().into_iter().flatten());
    let more = members.map(|(name, _)| name).find(|name| !allowed.contains(&name.as_str()));
    ensure(more.is_none(), || format!("I11: UpdateService with {more:?}"))?;
    let (before, after) = &played.settings_before_after;
    ensure(before == after || has_outside_deployment(case), || {
        format!("I11: settings were left changed: {before} → {after}")
    })
}

/// I12: within the time given, and without hammering.
fn check_bounds(played: &CaseResult) -> Result<(), String> {
    let Some(first) = played.calls.first() else { return Ok(()) };
    ensure(played.outcome.is_none() || played.ended_at - first.at <= 3660.0, || {
        format!("I12: it took {:.0} s", played.ended_at - first.at)
    })?;
    let ours: Vec<f64> =
        played.calls.iter().filter(|call| call.access_key == FIRST_KEY).map(|call| call.at).collect();
    let hurried =
        ours.windows(MAX_CALLS_PER_MINUTE).find(|window| window[MAX_CALLS_PER_MINUTE - 1] - window[0] < 60.0);
    ensure(hurried.is_none(), || format!("I12: {MAX_CALLS_PER_MINUTE} calls within a minute"))
}

/// So many calls of one run within a minute are too many.
const MAX_CALLS_PER_MINUTE: usize = 300;

/// Whether an update starts a deployment.
fn starts_deployment(call: &LoggedCall) -> bool {
    call.input.get("taskDefinition").is_some() || call.input.get("forceNewDeployment").is_some()
}

/// Whether a call leads back to what served when the run began.
fn is_rollback_call(played: &CaseResult, call: &LoggedCall) -> bool {
    let (before, groups) = &played.serving_before;
    let to = call.input.get("taskDefinition").and_then(|value| value.as_str()).unwrap_or_default();
    match call.operation.as_str() {
        "StopServiceDeployment" => true,
        "UpdateService" => revision(to) == Some(before) || !starts_deployment(call),
        "ModifyRule" => target_group_weights(&call.input)
            .iter()
            .all(|(group, weight)| (*weight == 0) != groups.contains(group)),
        _ => false,
    }
}

/// Target groups and weights of a ModifyRule, whose numbers are text.
fn target_group_weights(input: &serde_json::Value) -> Vec<(String, u64)> {
    let actions = input["Actions"].as_array().into_iter().flatten();
    let groups = actions.flat_map(|action| action["ForwardConfig"]["TargetGroups"].as_array()).flatten();
    let number = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => value.as_u64().unwrap(),
    };
    groups.map(|it| (it["TargetGroupArn"].as_str().unwrap().to_owned(), number(&it["Weight"]))).collect()
}
