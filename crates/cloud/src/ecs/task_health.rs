//! Health of a service's task: which check decides, and what a passed or failed check does.

use super::super::faults::TaskOutcome;
use super::super::world::World;
use super::service_events::add_event;
use super::state::Service;
use super::tasks::{self, TaskStep, exact_seconds, schedule_step};
use super::{failure_detection, listener_routes, scheduler, side_effects};

/// What checks the health of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HealthCheckSource {
    /// Nothing.
    None,
    /// The health check of an essential container.
    Container,
    /// A target group, with its ARN and the port of the target.
    LoadBalancer(String, u16),
}

/// The check that decides about a task: of its containers, else of its first target group.
pub(super) fn health_check_source(world: &World, task: usize) -> HealthCheckSource {
    let definition = world.ecs.tasks[task].definition;
    if world.ecs.definitions[definition].containers.iter().any(|c| c.essential && c.health_check) {
        return HealthCheckSource::Container;
    }
    let groups = listener_routes::task_target_groups(&world.ecs, task);
    groups
        .into_iter()
        .next()
        .map_or(HealthCheckSource::None, |(group, port)| HealthCheckSource::LoadBalancer(group, port))
}

/// Seconds after the start of a task in which a failed check does not count.
pub(super) fn grace_seconds(service: &Service) -> f64 {
    service.members.get("healthCheckGracePeriodSeconds").and_then(serde_json::Value::as_f64).unwrap_or(0.0)
}

/// The check of a task passed.
pub(super) fn mark_healthy(world: &mut World, task: usize, now: f64) {
    let container = health_check_source(world, task) == HealthCheckSource::Container;
    let it = &mut world.ecs.tasks[task];
    it.healthy = true;
    it.change_count += 1;
    if container {
        it.health = "HEALTHY";
    }
    side_effects::set_target_state(world, task, "healthy", "", "");
    failure_detection::on_task_healthy(world, task);
    if let TaskOutcome::Flapping(seconds) = world.ecs.tasks[task].outcome
        && health_check_source(world, task) != HealthCheckSource::None
    {
        let wait = world.rng.pick_seconds(world.timings.unhealthy);
        schedule_step(world, task, TaskStep::Unhealthy, exact_seconds(seconds), now);
        schedule_step(world, task, TaskStep::StopUnhealthy, exact_seconds(seconds + wait / 2.0), now);
    }
    let service = world.ecs.tasks[task].service;
    scheduler::reconcile_later(world, service, now);
}

/// The check of a task failed, and shows so; the task still runs.
pub(super) fn mark_unhealthy(world: &mut World, task: usize) {
    let checks = health_check_source(world, task);
    let it = &mut world.ecs.tasks[task];
    it.healthy = false;
    it.change_count += 1;
    if checks == HealthCheckSource::Container {
        it.health = "UNHEALTHY";
    }
    side_effects::set_target_state(
        world,
        task,
        "unhealthy",
        "Target.ResponseCodeMismatch",
        "Health checks failed with these codes: [503]",
    );
}

/// The check of a task failed too often: the scheduler stops it.
pub(super) fn stop_unhealthy(world: &mut World, task: usize, now: f64) {
    let service = world.ecs.tasks[task].service;
    let id = world.ecs.tasks[task].id.clone();
    let reason = match health_check_source(world, task) {
        HealthCheckSource::LoadBalancer(group, port) => {
            let why = "Health checks failed with these codes: [503]";
            let message =
                format!("(port {port}) is unhealthy in (target-group {group}) due to (reason {why}).");
            add_event(world, service, &format!("(task {id}) {message}"), now);
            format!("Task failed ELB health checks in (target-group {group})")
        }
        _ => {
            add_event(world, service, &format!("(task {id}) failed container health checks."), now);
            "Task failed container health checks".into()
        }
    };
    tasks::stop_task(world, task, "ServiceSchedulerInitiated", &reason, now);
    failure_detection::on_task_failed(world, task, now);
}
