//! Failure detection of a service deployment: the circuit breaker and the alarms, and what follows when one fires.

use serde_json::Value;

use super::super::world::World;
use super::scheduler;
use super::service_deployment::{self, ServiceDeploymentStep};
use super::service_events::add_event;
use super::state::{AlarmMonitor, CircuitBreaker, ServiceDeploymentStatus};

pub(super) fn new_breaker(configuration: &Value, desired: u32) -> CircuitBreaker {
    let given = &configuration["deploymentCircuitBreaker"];
    let threshold = &given["thresholdConfiguration"];
    let value = threshold["value"].as_u64().unwrap_or(50) as u32;
    let share = (desired * value).div_ceil(100);
    CircuitBreaker {
        enable: given["enable"].as_bool().unwrap_or(false),
        rollback: given["rollback"].as_bool().unwrap_or(false),
        status: "DISABLED",
        failure_count: 0,
        threshold: match threshold["type"].as_str() {
            Some("COUNT") => value.max(1),
            Some("UNBOUNDED_PERCENT") => share.max(1),
            _ => share.clamp(3, 200),
        },
        resets_on_healthy: given["resetOnHealthyTask"].as_bool().unwrap_or(true),
    }
}

pub(super) fn new_alarm_monitor(configuration: &Value) -> AlarmMonitor {
    let given = &configuration["alarms"];
    let names = super::str_list_field(given, "alarmNames").into_iter().map(String::from).collect();
    AlarmMonitor {
        enable: given["enable"].as_bool().unwrap_or(false),
        rollback: given["rollback"].as_bool().unwrap_or(false),
        status: "DISABLED",
        names,
        ignored: Vec::new(),
        triggered: Vec::new(),
    }
}

/// A task became healthy: consecutive failures start again from zero.
pub(super) fn on_task_healthy(world: &mut World, task: usize) {
    let deployment = &mut world.ecs.deployments[world.ecs.tasks[task].deployment];
    deployment.failed_tasks = 0;
    let breaker = &mut world.ecs.service_deployments[deployment.service_deployment].breaker;
    if breaker.resets_on_healthy && breaker.status == "MONITORING" {
        breaker.failure_count = 0;
    }
}

/// A task of a deployment ended by itself or by its health check.
pub(super) fn on_task_failed(world: &mut World, task: usize, now: f64) {
    let index = world.ecs.tasks[task].deployment;
    let service = world.ecs.tasks[task].service;
    if world.ecs.services[service].deployments.first() != Some(&index) {
        return;
    }
    let deployment = &mut world.ecs.deployments[index];
    deployment.failed_tasks += 1;
    deployment.updated_at = now;
    deployment.launch_after = now + launch_backoff(deployment.failed_tasks);
    let (failed, rollout) = (deployment.failed_tasks, deployment.service_deployment);
    if deployment.state != "IN_PROGRESS" {
        return;
    }
    if failed >= 5 && !deployment.is_impaired {
        deployment.is_impaired = true;
        add_event(
            world,
            service,
            "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
            now,
        );
    }
    let it = &mut world.ecs.service_deployments[rollout];
    match it.status {
        ServiceDeploymentStatus::InProgress if it.breaker.enable && it.staged.is_none() => {
            it.breaker.failure_count += 1;
            it.updated_at = now;
            if it.breaker.failure_count >= it.breaker.threshold {
                it.breaker.status = "TRIGGERED";
                on_detection(world, rollout, DetectionCause::Breaker, now);
            }
        }
        ServiceDeploymentStatus::RollbackInProgress if failed >= it.breaker.threshold => {
            fail_rollback(world, rollout, index, now)
        }
        _ => {}
    }
}

/// Back-off of the scheduler in seconds, by the number of consecutive failures.
fn launch_backoff(failed: u32) -> f64 {
    if failed < 4 { 3.0 } else { f64::from(2_u32.pow((failed - 3).min(5))) * 10.0 }
}

fn fail_rollback(world: &mut World, rollout: usize, deployment: usize, now: f64) {
    let reason = "The rollback failed because its tasks failed to start.";
    service_deployment::set_status(world, rollout, ServiceDeploymentStatus::RollbackFailed, reason, now);
    let service = world.ecs.service_deployments[rollout].service;
    mark_failed(
        world,
        deployment,
        "tasks failed to start",
        "ECS deployment circuit breaker: tasks failed to start.",
        now,
    );
    world.ecs.deployments[deployment].is_stalled = true;
    scheduler::reconcile_later(world, service, now);
}

#[derive(Clone, Copy, PartialEq)]
enum DetectionCause {
    Breaker,
    Alarm,
}

/// Failure detection fired.
fn on_detection(world: &mut World, rollout: usize, cause: DetectionCause, now: f64) {
    let it = &world.ecs.service_deployments[rollout];
    let (event, state, reason, wanted) = match cause {
        DetectionCause::Breaker => (
            "tasks failed to start",
            "ECS deployment circuit breaker: tasks failed to start.",
            "Service deployment rolled back because the circuit breaker threshold was exceeded.",
            it.breaker.rollback,
        ),
        DetectionCause::Alarm => (
            "alarm detected",
            "ECS deployment alarm detected.",
            "Service deployment rolled back because one or more CloudWatch alarms were triggered.",
            it.alarms.rollback,
        ),
    };
    mark_failed(world, world.ecs.service_deployments[rollout].deployment, event, state, now);
    match world.ecs.services[world.ecs.service_deployments[rollout].service].last_completed {
        Some(earlier) if wanted => service_deployment::roll_back(world, rollout, earlier, reason, now),
        _ => service_deployment::stall(
            world,
            rollout,
            "Service deployment failed, and no rollback was possible or configured.",
            now,
        ),
    }
}

/// Mark an `ecs-svc/…` as failed.
pub(super) fn mark_failed(world: &mut World, deployment: usize, event: &str, reason: &str, now: f64) {
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.reason, it.updated_at) = ("FAILED", reason.into(), now);
    let message = format!("(deployment {}) deployment failed: {event}.", it.id);
    let service = it.service;
    add_event(world, service, &message, now);
}

/// Look at the alarms of a deployment in progress; those that were red when it started do not count.
pub(super) fn check_alarms(world: &mut World, rollout: usize, now: f64) {
    let red = |name: &&String| world.alarms.get(*name).is_some_and(|alarm| alarm.state == "ALARM");
    let it = &world.ecs.service_deployments[rollout];
    let triggered: Vec<String> = it
        .alarms
        .names
        .iter()
        .filter(|name| !it.alarms.ignored.contains(name))
        .filter(red)
        .cloned()
        .collect();
    if triggered.is_empty() {
        let wait = world.rng.pick_seconds(world.timings.alarm_poll);
        return service_deployment::schedule_step(
            world,
            rollout,
            ServiceDeploymentStep::CheckAlarms,
            now + wait,
        );
    }
    let alarms = &mut world.ecs.service_deployments[rollout].alarms;
    (alarms.status, alarms.triggered) = ("TRIGGERED", triggered);
    on_detection(world, rollout, DetectionCause::Alarm, now);
}
