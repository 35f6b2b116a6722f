//! The state machine of a service deployment: fail, roll back, stop, complete. How it begins is `deployment_start`.
//! Transitions and statuses as AWS documents them; where tasks are started and stopped is `scheduler`.

use super::super::world::World;
use super::deployment_start::create_primary;
use super::service_events::add_event;
use super::staged_deployment::StagedDeployment;
use super::state::{DeploymentRollback, ServiceDeploymentStatus};
use super::update_service::DEPLOYMENT_MEMBERS;
use super::{EcsEvent, failure_detection, lifecycle, lifecycle_hooks, rollback, scheduler};

/// A step of a service deployment that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceDeploymentStep {
    /// PENDING is over.
    Start,
    /// A requested stop takes effect.
    Stop,
    /// A requested rollback begins.
    RollBack,
    /// Complete if it still looks so.
    Finish,
    /// Look at the alarms.
    CheckAlarms,
    /// A wait of a deployment in stages is over.
    WaitOver(u32),
    /// Nobody acted on a hook in time.
    HookTimedOut(usize),
    /// A hook's function has answered.
    HookSucceeded(usize),
}

/// Take a planned step, unless the deployment has gone another way.
pub(super) fn on_step(world: &mut World, rollout: usize, step: ServiceDeploymentStep, now: f64) {
    let status = world.ecs.service_deployments[rollout].status;
    match (step, status) {
        (ServiceDeploymentStep::Start, ServiceDeploymentStatus::Pending) => {
            leave_pending(world, rollout, now)
        }
        (ServiceDeploymentStep::Stop, ServiceDeploymentStatus::StopRequested) => {
            let reason = world.ecs.service_deployments[rollout].status_reason.clone();
            set_status(world, rollout, ServiceDeploymentStatus::Stopped, &reason, now);
        }
        (ServiceDeploymentStep::RollBack, ServiceDeploymentStatus::RollbackRequested) => {
            start_requested_rollback(world, rollout, now)
        }
        (
            ServiceDeploymentStep::Finish,
            ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::RollbackInProgress,
        ) => finish_if_complete(world, rollout, now),
        (ServiceDeploymentStep::CheckAlarms, ServiceDeploymentStatus::InProgress) => {
            failure_detection::check_alarms(world, rollout, now)
        }
        (ServiceDeploymentStep::WaitOver(turn), ServiceDeploymentStatus::InProgress) => {
            lifecycle::on_wait_over(world, rollout, turn, now)
        }
        (ServiceDeploymentStep::HookTimedOut(hook), ServiceDeploymentStatus::InProgress) => {
            lifecycle_hooks::on_timeout(world, rollout, hook, now)
        }
        (ServiceDeploymentStep::HookSucceeded(hook), ServiceDeploymentStatus::InProgress) => {
            lifecycle_hooks::on_function_succeeded(world, rollout, hook, now)
        }
        _ => {}
    }
}

fn leave_pending(world: &mut World, rollout: usize, now: f64) {
    set_status(world, rollout, ServiceDeploymentStatus::InProgress, "", now);
    let red = |name: &String| world.alarms.get(name).is_some_and(|alarm| alarm.state == "ALARM");
    let it = &mut world.ecs.service_deployments[rollout];
    it.started_at = Some(now);
    it.breaker.status = if it.breaker.enable && it.staged.is_none() { "MONITORING" } else { "DISABLED" };
    it.alarms.status = if it.alarms.enable { "MONITORING" } else { "DISABLED" };
    it.alarms.ignored = it.alarms.names.iter().filter(|name| red(name)).cloned().collect();
    let (service, watched) = (it.service, it.alarms.enable);
    if watched {
        let wait = world.rng.pick_seconds(world.timings.alarm_poll);
        schedule_step(world, rollout, ServiceDeploymentStep::CheckAlarms, now + wait);
    }
    scheduler::reconcile_later(world, service, now);
    if world.ecs.service_deployments[rollout].staged.is_some() {
        lifecycle::start_stages(world, rollout, now);
    }
}

/// Launch nothing more, and stop.
pub(super) fn stall(world: &mut World, rollout: usize, reason: &str, now: f64) {
    lifecycle_hooks::close_open_hooks(world, rollout);
    let deployment = world.ecs.service_deployments[rollout].deployment;
    world.ecs.deployments[deployment].is_stalled = true;
    set_status(world, rollout, ServiceDeploymentStatus::StopRequested, reason, now);
    schedule_step(world, rollout, ServiceDeploymentStep::Stop, now + 2.0);
}

/// Return to the deployment that completed last: a new `ecs-svc/…` with its revision.
pub(super) fn roll_back(world: &mut World, rollout: usize, earlier: usize, reason: &str, now: f64) {
    if world.ecs.service_deployments[rollout].staged.is_some() {
        return rollback::start_rollback(world, rollout, reason, now);
    }
    let revision = world.ecs.deployments[earlier].revision;
    let name = world.ecs.deployments[earlier].id.clone();
    let service = world.ecs.service_deployments[rollout].service;
    set_status(world, rollout, ServiceDeploymentStatus::RollbackInProgress, reason, now);
    world.ecs.service_deployments[rollout].rollback =
        Some(DeploymentRollback { reason: reason.into(), started_at: now, revision });
    let failed = world.ecs.service_deployments[rollout].deployment;
    if world.ecs.deployments[failed].state == "IN_PROGRESS" {
        world.ecs.deployments[failed].state = "FAILED";
        world.ecs.deployments[failed].reason = "ECS deployment was rolled back.".into();
    }
    restore_members(world, service, revision);
    let back = create_primary(world, service, revision, rollout, now);
    world.ecs.deployments[back].reason =
        format!("ECS deployment circuit breaker: rolling back to deploymentId {name}.");
    world.ecs.service_deployments[rollout].rollback_deployment = Some(back);
    add_event(world, service, &format!("rolling back to deployment {name}."), now);
    scheduler::reconcile_later(world, service, now);
}

/// Give a service the network, load balancers and the like that a revision froze.
pub(super) fn restore_members(world: &mut World, service: usize, revision: usize) {
    let (frozen, members) =
        (&world.ecs.revisions[revision].members, &mut world.ecs.services[service].members);
    for member in DEPLOYMENT_MEMBERS {
        match frozen.get(member) {
            Some(value) => members.insert(member.into(), value.clone()),
            None => members.remove(member),
        };
    }
}

/// Somebody asks for a stop; `true` for a rollback, `false` for an abort. The status allows it.
pub(super) fn request_stop(world: &mut World, rollout: usize, back: bool, now: f64) {
    let status = world.ecs.service_deployments[rollout].status;
    if matches!(
        status,
        ServiceDeploymentStatus::StopRequested
            | ServiceDeploymentStatus::RollbackRequested
            | ServiceDeploymentStatus::RollbackInProgress
    ) {
        return;
    }
    if back {
        let reason = "Service deployment rolled back because a rollback was requested.";
        request_rollback(world, rollout, reason, now);
    } else {
        lifecycle_hooks::close_open_hooks(world, rollout);
        let deployment = world.ecs.service_deployments[rollout].deployment;
        world.ecs.deployments[deployment].is_stalled = true;
        set_status(
            world,
            rollout,
            ServiceDeploymentStatus::StopRequested,
            "A stop was requested by the user.",
            now,
        );
        schedule_step(world, rollout, ServiceDeploymentStep::Stop, now + 2.0);
    }
}

/// ROLLBACK_REQUESTED, and soon a rollback for this reason.
pub(super) fn request_rollback(world: &mut World, rollout: usize, reason: &'static str, now: f64) {
    lifecycle_hooks::close_open_hooks(world, rollout);
    let deployment = world.ecs.service_deployments[rollout].deployment;
    world.ecs.deployments[deployment].is_stalled = true;
    world.ecs.service_deployments[rollout].rollback_reason = reason;
    set_status(
        world,
        rollout,
        ServiceDeploymentStatus::RollbackRequested,
        "A rollback was requested by the user.",
        now,
    );
    let wait = 1.0 + f64::from(world.rng.number_below(2));
    schedule_step(world, rollout, ServiceDeploymentStep::RollBack, now + wait);
}

/// A requested rollback takes effect; a deployment that is complete by now has succeeded instead.
fn start_requested_rollback(world: &mut World, rollout: usize, now: f64) {
    let service = world.ecs.service_deployments[rollout].service;
    let deployment = world.ecs.service_deployments[rollout].deployment;
    let cleaning =
        world.ecs.service_deployments[rollout].staged.as_ref().is_none_or(StagedDeployment::is_cleaning_up);
    if cleaning && scheduler::is_complete(&world.ecs, service, deployment) {
        world.ecs.deployments[deployment].is_stalled = false;
        return succeed(world, rollout, deployment, ServiceDeploymentStatus::Successful, now);
    }
    match world.ecs.services[service].last_completed {
        Some(earlier) => {
            let reason = world.ecs.service_deployments[rollout].rollback_reason;
            roll_back(world, rollout, earlier, reason, now);
        }
        None => set_status(
            world,
            rollout,
            ServiceDeploymentStatus::Stopped,
            "There is no earlier service deployment to roll back to.",
            now,
        ),
    }
}

/// Everything looks complete: look again when the time has come.
pub(super) fn schedule_finish(world: &mut World, deployment: usize, now: f64) {
    let it = &mut world.ecs.deployments[deployment];
    if it.is_finishing {
        return;
    }
    it.is_finishing = true;
    let rollout = it.service_deployment;
    let bake = world.ecs.service_deployments[rollout].alarms.enable
        && world.ecs.service_deployments[rollout].rollback_deployment.is_none();
    let mut wait = world.rng.pick_seconds(world.timings.complete);
    if bake {
        wait += world.rng.pick_seconds(world.timings.alarm_bake);
    }
    schedule_step(world, rollout, ServiceDeploymentStep::Finish, now + wait);
}

fn finish_if_complete(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.service_deployments[rollout];
    let (deployment, service) = (it.rollback_deployment.unwrap_or(it.deployment), it.service);
    world.ecs.deployments[deployment].is_finishing = false;
    if !scheduler::is_complete(&world.ecs, service, deployment) {
        return scheduler::reconcile_later(world, service, now);
    }
    let back = world.ecs.service_deployments[rollout].rollback_deployment.is_some();
    let status =
        if back { ServiceDeploymentStatus::RollbackSuccessful } else { ServiceDeploymentStatus::Successful };
    succeed(world, rollout, deployment, status, now);
}

/// A deployment, or the one that rolled it back, is complete.
pub(super) fn succeed(
    world: &mut World,
    rollout: usize,
    deployment: usize,
    status: ServiceDeploymentStatus,
    now: f64,
) {
    let reason = world.ecs.service_deployments[rollout].status_reason.clone();
    set_status(
        world,
        rollout,
        status,
        if status == ServiceDeploymentStatus::Successful { "" } else { &reason },
        now,
    );
    let service = world.ecs.service_deployments[rollout].service;
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.updated_at) = ("COMPLETED", now);
    it.reason = format!("ECS deployment {} completed.", it.id);
    let message = format!("(deployment {}) deployment completed.", it.id);
    world.ecs.services[service].last_completed = Some(deployment);
    add_event(world, service, "has reached a steady state.", now);
    add_event(world, service, &message, now);
    world.ecs.services[service].is_steady = true;
    // Older deployments have no tasks left; they are no longer shown.
    scheduler::reconcile_later(world, service, now);
}

/// Enter a status, with its times and the end of monitoring.
pub(super) fn set_status(
    world: &mut World,
    rollout: usize,
    status: ServiceDeploymentStatus,
    reason: &str,
    now: f64,
) {
    let it = &mut world.ecs.service_deployments[rollout];
    (it.status, it.status_reason, it.updated_at) = (status, reason.into(), now);
    if status != ServiceDeploymentStatus::Pending && status != ServiceDeploymentStatus::InProgress {
        for monitor in [&mut it.breaker.status, &mut it.alarms.status] {
            if *monitor == "MONITORING" {
                *monitor = "MONITORING_COMPLETE";
            }
        }
    }
    if status == ServiceDeploymentStatus::Stopped {
        it.stopped_at = Some(now);
    }
    if status.has_ended() {
        it.finished_at = Some(now);
    }
}

pub(super) fn schedule_step(world: &mut World, rollout: usize, step: ServiceDeploymentStep, at: f64) {
    world.events.schedule(at, EcsEvent::ServiceDeployment(rollout, step));
}
