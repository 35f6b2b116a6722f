//! Looks at a pair: which service serves, how a version fares beside the other, and whether the weights are still ours.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::Ecs;
use super::beside;
use super::causes::{self, Cause};
use super::pair::Pair;
use super::pair_act::{known, nobody};
use super::pair_ids::{Motion, Move, Shift};
use super::pair_sight::{Sight, Stance};
use super::preflight_rules::alarm_names;
use super::read::{Service, Task, list, version};
use super::rule::{self, Side};
use super::watch::ALARMS_EVERY;
use crate::problem::{Code, Problem};
use crate::release::{
    Arms, Failure, Health, Hold, InFlight, Observed, Past, Progress, Proof, Rollout, Version,
};
use crate::targets::Target;

/// What runs now: the service with the traffic; during a shift that nobody ended, the version that it leads to.
pub async fn observe(pair: &Pair, sight: &Sight) -> Result<Observed, Problem> {
    let basis = sight.basis();
    let (seen, others) = tokio::join!(pair.half(basis).observe(), pair.half(basis.other()).versions());
    let seen = seen?;
    // What completed on one of the two completed here. What cannot be read holds nobody back.
    let history = merged(seen.history.clone(), others.unwrap_or_default());
    let seen = Observed { history, ..seen };
    Ok(match sight.stance() {
        Stance::Live(side) => live(pair, sight, side, seen),
        Stance::Shifting { new, percent } => shifting(pair, sight, (new, percent), seen),
        Stance::Nobody => {
            let health = Health::Unknown(nobody().sentence);
            Observed { health, in_flight: None, ..seen }
        }
    })
}

/// Completions of both services, newest first.
pub fn merged(first: Vec<Past>, second: Vec<Past>) -> Vec<Past> {
    let mut both = [first, second].concat();
    both.sort_by_key(|past| std::cmp::Reverse(past.completed));
    both
}

fn live(pair: &Pair, sight: &Sight, side: Side, seen: Observed) -> Observed {
    let idle = sight.service(side.other());
    let completed = idle.primary().is_some_and(|primary| primary.rollout == "COMPLETED");
    // What was deployed after the one that serves and has no traffic was taken back: nobody returns to that.
    let before = completed
        && !sight.newer(side.other())
        && Some(&idle.definition) != seen.version.as_ref().map(|v| &v.id);
    let previous = if before { Some(version(&idle.definition)) } else { seen.previous };
    let in_flight = seen.in_flight.map(|flight| {
        let Rollout { version, label, ids } = flight.rollout;
        let rollout =
            Move::new(&Version { id: version, label }, pair.name(side), ids, Motion::Rolling).rollout();
        InFlight { rollout, ..flight }
    });
    Observed { previous, in_flight, ..seen }
}

fn shifting(pair: &Pair, sight: &Sight, (new, percent): (Side, u8), seen: Observed) -> Observed {
    let (to, old) = (version(&sight.service(new).definition), sight.service(new.other()));
    let flying = seen.in_flight.map(|flight| flight.rollout).filter(|rollout| rollout.version == to.id);
    let ids = flying.map_or_else(Vec::new, |rollout| rollout.ids);
    let shift = Shift { shares: None, at: percent, bake: pair.wish.bake.0 };
    let rollout = Move::new(&to, pair.name(new), ids, Motion::Shift(shift)).rollout();
    let stage = format!("traffic is shared: {}", sight.words());
    Observed {
        version: Some(to),
        health: Health::Progressing(Progress { desired: old.desired, stage, ..Progress::default() }),
        previous: Some(version(&old.definition)),
        in_flight: Some(InFlight { rollout, rolling_back: false }),
        desired: old.desired,
        ..seen
    }
}

/// One look at a movement of the pair.
pub async fn probe(pair: &Pair, moved: &Move) -> Result<Health, Problem> {
    let side = known(pair, &moved.service)?;
    let inner = pair.half(side).probe(&moved.inner).await?;
    match (&moved.motion, inner) {
        (Motion::Rolling, inner) => Ok(inner),
        (Motion::Back, Health::Healthy(proof)) => came_back(pair, side, proof).await,
        (Motion::Back, inner) => Ok(inner),
        (Motion::Shift(shift), inner) => shifted(pair, (side, shift), moved, inner).await,
    }
}

async fn came_back(pair: &Pair, side: Side, proof: Proof) -> Result<Health, Problem> {
    let sight = pair.sight().await?;
    Ok(match sight.weights().all_to() {
        Some(all) if all == side => Health::Healthy(with_weights(proof, &sight)),
        _ => Health::Superseded(format!("the weights of the rule are {} now", sight.words())),
    })
}

fn with_weights(proof: Proof, sight: &Sight) -> Proof {
    Proof { evidence: format!("{}, weights {}", proof.evidence, sight.words()), ..proof }
}

async fn shifted(
    pair: &Pair,
    (side, shift): (Side, &Shift),
    moved: &Move,
    inner: Health,
) -> Result<Health, Problem> {
    let shared = shift.at > 0 || pair.asked.get().is_some_and(|asked| asked > 0);
    let proof = match inner {
        // Whatever ECS does with that service by itself, the traffic has to come back from it.
        Health::Failing(why)
        | Health::Stopped(why)
        | Health::RollingBack(why)
        | Health::RolledBack(why, _)
        | Health::RollbackFailed(why) => return Ok(Health::Failing(why)),
        Health::Healthy(proof) => Ok(proof),
        Health::Progressing(_) if shared => Err(inner),
        other => return Ok(other),
    };
    let sight = pair.sight().await?;
    let Some(share) = ours(pair, side, shift, &sight) else {
        let words =
            format!("the weights of the rule are {} now, which is not what this run set", sight.words());
        return Ok(Health::Superseded(words));
    };
    if (share > 0 || proof.is_ok())
        && let Some(failure) = bad(pair, side, &sight).await?
    {
        return Ok(Health::Failing(failure));
    }
    let proof = match proof {
        Ok(proof) => with_weights(proof, &sight),
        Err(inner) => return Ok(inner),
    };
    if share < 100 {
        let arms = Some(arms(&sight, side, pair.settings.rule.as_str()));
        return Ok(Health::Holding(Hold { percent: share, evidence: proof.evidence, arms }));
    }
    let since = pair.full_since.get().unwrap_or_else(Instant::now);
    pair.full_since.set(Some(since));
    if since.elapsed() >= shift.bake {
        return Ok(Health::Healthy(proof));
    }
    Ok(Health::Progressing(baking(sight.service(side), moved, shift.bake)))
}

/// The share that a service has, where that is what this shift asked for.
fn ours(pair: &Pair, side: Side, shift: &Shift, sight: &Sight) -> Option<u8> {
    let share = sight.weights().share(side)?;
    let known = [Some(shift.at), pair.asked.get(), shift.next()];
    known.contains(&Some(share)).then_some(share)
}

fn baking(service: &Service, moved: &Move, bake: Duration) -> Progress {
    let primary = service.primary();
    Progress {
        running: primary.map_or(0, |p| p.running),
        pending: primary.map_or(0, |p| p.pending),
        desired: service.desired,
        failed: primary.map_or(0, |p| p.failed),
        stage: format!("baking {} with all traffic for {} s", moved.inner.label, bake.as_secs()),
        events: Vec::new(),
    }
}

/// What tells the two apart.
fn arms(sight: &Sight, new: Side, rule: &str) -> Arms {
    let (groups, balancer) = (sight.groups(), rule::balancer_label(rule));
    let arm = |side: Side| {
        let group: &String = side.of(&groups);
        beside::arm(&sight.service(side).definition, group, balancer.clone())
    };
    Arms { canary: arm(new), baseline: arm(new.other()) }
}

/// What speaks against a version at once: an unhealthy target, an alarm, tasks that stop.
async fn bad(pair: &Pair, side: Side, sight: &Sight) -> Result<Option<Failure>, Problem> {
    let (half, service) = (pair.half(side), sight.service(side));
    if let Some(failure) = alarms(pair, half, service).await? {
        return Ok(Some(failure));
    }
    let groups = service.target_groups.first();
    let targets = match groups {
        Some(group) => half.eyes.around.targets(group).await?,
        None => Vec::new(),
    };
    let healthy = targets.iter().filter(|target| target.state == "healthy").count();
    let unhealthy: Vec<String> = targets
        .iter()
        .filter(|target| target.state == "unhealthy")
        .map(|target| format!("{} {}", target.id, target.reason))
        .collect();
    if unhealthy.is_empty() && healthy >= service.desired as usize {
        return Ok(None);
    }
    if let Some(failure) = stopped(half, service).await? {
        return Ok(Some(failure));
    }
    Ok((!unhealthy.is_empty()).then(|| {
        let sentence =
            format!("{} of {} targets of the new version are unhealthy.", unhealthy.len(), targets.len());
        let help = "Look at what its health check answers.";
        Failure::permanent(
            Problem::error(Code::HealthCheckFailed, sentence).cause(unhealthy.join(", ")).help(help),
        )
    }))
}

/// The alarms of the deploy file and those of the service, which ECS watches only until its deployment is complete.
async fn alarms(pair: &Pair, half: &Ecs, service: &Service) -> Result<Option<Failure>, Problem> {
    let names = alarm_names(service, &half.eyes.alarms);
    let due = pair.alarms_at.get().is_none_or(|at| at.elapsed() >= ALARMS_EVERY);
    if names.is_empty() || !due {
        return Ok(None);
    }
    pair.alarms_at.set(Some(Instant::now()));
    for name in names {
        let state = half.eyes.loader.alarm(&name).await?;
        if let Some(cause) = causes::of_alarm(&name, state.as_deref()) {
            return Ok(Some(Failure::permanent(cause.problem)));
        }
    }
    Ok(None)
}

/// What the stopped tasks of the service's deployment say, where that is enough to give the version up.
async fn stopped(half: &Ecs, service: &Service) -> Result<Option<Failure>, Problem> {
    let Some(primary) = service.primary() else { return Ok(None) };
    let (cluster, name) = (&half.eyes.settings.cluster, &half.eyes.settings.service);
    let client = half.eyes.loader.client();
    let listed = client.list_tasks(cluster, name, true).await?;
    let arns: Vec<String> =
        list(&listed, "taskArns").iter().filter_map(Value::as_str).take(100).map(Into::into).collect();
    if arns.is_empty() {
        return Ok(None);
    }
    let tasks = client.describe_tasks(cluster, arns).await?;
    let tasks: Vec<Task> = list(&tasks, "tasks").iter().map(Task::read).collect();
    let Some((failure, cause)) = given_up(&tasks, &primary.id, service.desired) else { return Ok(None) };
    let rollout = Rollout { version: primary.definition.clone(), label: String::new(), ids: Vec::new() };
    let logs = match cause {
        Some(cause) => half.eyes.log_tail(&cause, &rollout).await,
        None => Vec::new(),
    };
    Ok(Some(Failure { logs, ..failure }))
}

/// Why a deployment is given up for what its stopped tasks say, and the task that says it.
fn given_up(tasks: &[Task], deployment: &str, desired: u32) -> Option<(Failure, Option<Cause>)> {
    let ours = tasks.iter().filter(|task| task.started_by == deployment);
    let found: Vec<Cause> = ours.filter_map(causes::of_task).collect();
    let failure = causes::weigh(&found, desired).filter(|failure| failure.permanent)?;
    let cause = causes::behind(&failure, &found).cloned();
    Some((failure, cause))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tasks_of_this_deployment_that_keep_ending_are_enough_and_others_say_nothing() {
        let task = |deployment: &str, code: &str| {
            Task::read(&json!({
                "taskArn": "arn:task/1", "startedBy": deployment, "desiredStatus": "STOPPED", "stopCode": code,
                "stoppedReason": "Essential container in task exited", "startedAt": 10, "stoppingAt": 40,
                "containers": [{"name": "app", "exitCode": 3}],
            }))
        };
        let said = |tasks: &[Task]| given_up(tasks, "ecs-svc/2", 2).map(|(failure, _)| failure.exit_code);
        let ended = || task("ecs-svc/2", "EssentialContainerExited");
        assert_eq!(said(&[ended(), ended(), ended()]), Some(Some(3)));
        assert_eq!(said(&[]), None);
        let other = || task("ecs-svc/1", "EssentialContainerExited");
        assert_eq!(said(&[other(), other(), other()]), None);
        let stopped = || task("ecs-svc/2", "UserInitiated");
        assert_eq!(said(&[stopped(), stopped(), stopped()]), None);
    }
}
