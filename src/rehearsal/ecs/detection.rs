//! Failure detection of a service deployment: the circuit breaker and the alarms, and what follows when one fires.

use serde_json::Value;

use super::super::world::World;
use super::events::note;
use super::rollout::{self, Step};
use super::scheduler;
use super::state::{Alarms, Breaker, Status};

pub(super) fn breaker(configuration: &Value, desired: u32) -> Breaker {
    let given = &configuration["deploymentCircuitBreaker"];
    let threshold = &given["thresholdConfiguration"];
    let value = threshold["value"].as_u64().unwrap_or(50) as u32;
    let share = (desired * value).div_ceil(100);
    Breaker {
        enable: given["enable"].as_bool().unwrap_or(false),
        rollback: given["rollback"].as_bool().unwrap_or(false),
        status: "DISABLED",
        count: 0,
        threshold: match threshold["type"].as_str() {
            Some("COUNT") => value.max(1),
            Some("UNBOUNDED_PERCENT") => share.max(1),
            _ => share.clamp(3, 200),
        },
        resets: given["resetOnHealthyTask"].as_bool().unwrap_or(true),
    }
}

pub(super) fn alarms(configuration: &Value) -> Alarms {
    let given = &configuration["alarms"];
    let names = super::texts(given, "alarmNames").into_iter().map(String::from).collect();
    Alarms {
        enable: given["enable"].as_bool().unwrap_or(false),
        rollback: given["rollback"].as_bool().unwrap_or(false),
        status: "DISABLED",
        names,
        ignored: Vec::new(),
        triggered: Vec::new(),
    }
}

/// A task became healthy: consecutive failures start again from zero.
pub(super) fn task_became_healthy(world: &mut World, task: usize) {
    let deployment = &mut world.ecs.deployments[world.ecs.tasks[task].deployment];
    deployment.failed_tasks = 0;
    let breaker = &mut world.ecs.rollouts[deployment.rollout].breaker;
    if breaker.resets && breaker.status == "MONITORING" {
        breaker.count = 0;
    }
}

/// A task of a deployment ended by itself or by its health check.
pub(super) fn task_failed(world: &mut World, task: usize, now: f64) {
    let index = world.ecs.tasks[task].deployment;
    let service = world.ecs.tasks[task].service;
    if world.ecs.services[service].deployments.first() != Some(&index) {
        return;
    }
    let deployment = &mut world.ecs.deployments[index];
    deployment.failed_tasks += 1;
    deployment.updated_at = now;
    deployment.launch_after = now + back_off(deployment.failed_tasks);
    let (failed, rollout) = (deployment.failed_tasks, deployment.rollout);
    if deployment.state != "IN_PROGRESS" {
        return;
    }
    if failed >= 5 && !deployment.impaired {
        deployment.impaired = true;
        note(
            world,
            service,
            "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
            now,
        );
    }
    let it = &mut world.ecs.rollouts[rollout];
    match it.status {
        Status::InProgress if it.breaker.enable && it.native.is_none() => {
            it.breaker.count += 1;
            it.updated_at = now;
            if it.breaker.count >= it.breaker.threshold {
                it.breaker.status = "TRIGGERED";
                trip(world, rollout, Cause::Breaker, now);
            }
        }
        Status::RollbackInProgress if failed >= it.breaker.threshold => {
            rollback_failed(world, rollout, index, now)
        }
        _ => {}
    }
}

/// Seconds until the scheduler tries again after so many failures in a row.
fn back_off(failed: u32) -> f64 {
    if failed < 4 { 3.0 } else { f64::from(2_u32.pow((failed - 3).min(5))) * 10.0 }
}

fn rollback_failed(world: &mut World, rollout: usize, deployment: usize, now: f64) {
    let reason = "The rollback failed because its tasks failed to start.";
    rollout::set(world, rollout, Status::RollbackFailed, reason, now);
    let service = world.ecs.rollouts[rollout].service;
    fail(
        world,
        deployment,
        "tasks failed to start",
        "ECS deployment circuit breaker: tasks failed to start.",
        now,
    );
    world.ecs.deployments[deployment].stalled = true;
    scheduler::stir(world, service, now);
}

#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Breaker,
    Alarm,
}

/// Failure detection fired.
fn trip(world: &mut World, rollout: usize, cause: Cause, now: f64) {
    let it = &world.ecs.rollouts[rollout];
    let (event, state, reason, wanted) = match cause {
        Cause::Breaker => (
            "tasks failed to start",
            "ECS deployment circuit breaker: tasks failed to start.",
            "Service deployment rolled back because the circuit breaker threshold was exceeded.",
            it.breaker.rollback,
        ),
        Cause::Alarm => (
            "alarm detected",
            "ECS deployment alarm detected.",
            "Service deployment rolled back because one or more CloudWatch alarms were triggered.",
            it.alarms.rollback,
        ),
    };
    fail(world, world.ecs.rollouts[rollout].deployment, event, state, now);
    match world.ecs.services[world.ecs.rollouts[rollout].service].completed {
        Some(earlier) if wanted => rollout::roll_back(world, rollout, earlier, reason, now),
        _ => rollout::stall(
            world,
            rollout,
            "Service deployment failed, and no rollback was possible or configured.",
            now,
        ),
    }
}

/// Mark an `ecs-svc/…` as failed.
pub(super) fn fail(world: &mut World, deployment: usize, event: &str, reason: &str, now: f64) {
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.reason, it.updated_at) = ("FAILED", reason.into(), now);
    let message = format!("(deployment {}) deployment failed: {event}.", it.id);
    let service = it.service;
    note(world, service, &message, now);
}

/// Look at the alarms of a deployment in progress; those that were red when it started do not count.
pub(super) fn watch(world: &mut World, rollout: usize, now: f64) {
    let red = |name: &&String| world.alarms.get(*name).is_some_and(|alarm| alarm.state == "ALARM");
    let it = &world.ecs.rollouts[rollout];
    let triggered: Vec<String> = it
        .alarms
        .names
        .iter()
        .filter(|name| !it.alarms.ignored.contains(name))
        .filter(red)
        .cloned()
        .collect();
    if triggered.is_empty() {
        let wait = world.chance.seconds(world.timings.alarm_poll);
        return rollout::plan(world, rollout, Step::Watch, now + wait);
    }
    let alarms = &mut world.ecs.rollouts[rollout].alarms;
    (alarms.status, alarms.triggered) = ("TRIGGERED", triggered);
    trip(world, rollout, Cause::Alarm, now);
}
