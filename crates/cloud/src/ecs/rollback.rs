//! How a deployment in stages returns: the source revision at full strength, then its traffic, then the others stop.

use super::super::world::World;
use super::listener_routes::{self, TrafficKind};
use super::service_deployment;
use super::service_events::add_event;
use super::state::{DeploymentRollback, ServiceDeploymentStatus};
use super::{failure_detection, lifecycle, lifecycle_hooks, scheduler};

/// ECS itself gives up: back to the source revision, or stop where there is none.
pub(super) fn fail_deployment(world: &mut World, rollout: usize, event: &str, reason: &str, now: f64) {
    let deployment = world.ecs.service_deployments[rollout].deployment;
    failure_detection::mark_failed(
        world,
        deployment,
        event,
        &format!("ECS deployment failed: {event}."),
        now,
    );
    match world.ecs.service_deployments[rollout].staged.as_ref().and_then(|staged| staged.source) {
        Some(_) => start_rollback(world, rollout, reason, now),
        None => service_deployment::stall(world, rollout, reason, now),
    }
}

/// ROLLBACK_IN_PROGRESS begins: the `ecs-svc/…` of the source revision is PRIMARY again.
pub(super) fn start_rollback(world: &mut World, rollout: usize, reason: &str, now: f64) {
    lifecycle_hooks::close_open_hooks(world, rollout);
    let Some(staged) = lifecycle::staged_deployment(world, rollout) else { return };
    staged.wait_id += 1;
    let Some(blue) = staged.source else { return };
    let (service, green) =
        (world.ecs.service_deployments[rollout].service, world.ecs.service_deployments[rollout].deployment);
    service_deployment::set_status(world, rollout, ServiceDeploymentStatus::RollbackInProgress, reason, now);
    let revision = world.ecs.deployments[blue].revision;
    world.ecs.service_deployments[rollout].rollback =
        Some(DeploymentRollback { reason: reason.into(), started_at: now, revision });
    world.ecs.service_deployments[rollout].rollback_deployment = Some(blue);
    let it = &mut world.ecs.deployments[green];
    if it.state == "IN_PROGRESS" {
        (it.state, it.reason) = ("FAILED", "ECS deployment was rolled back.".into());
    }
    it.status = "ACTIVE";
    service_deployment::restore_members(world, service, revision);
    world.ecs.services[service].definition = world.ecs.revisions[revision].definition;
    make_primary(world, service, blue);
    let name = world.ecs.deployments[blue].id.clone();
    add_event(world, service, &format!("rolling back to deployment {name}."), now);
    scheduler::reconcile_later(world, service, now);
}

/// Make an earlier `ecs-svc/…` PRIMARY again.
fn make_primary(world: &mut World, service: usize, deployment: usize) {
    let it = &mut world.ecs.services[service];
    it.deployments.retain(|&known| known != deployment);
    it.deployments.insert(0, deployment);
    it.is_steady = false;
    world.ecs.deployments[deployment].status = "PRIMARY";
    world.ecs.deployments[deployment].is_stalled = false;
    world.ecs.deployments[deployment].failed_tasks = 0;
}

/// Tasks have changed: traffic goes back once it can, and when the target revision is gone it is over.
pub(super) fn check_rollback(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.service_deployments[rollout];
    let (service, target) = (it.service, it.target);
    let Some((blue, returned)) = it.staged.as_ref().and_then(|n| Some((n.source?, n.traffic_returned)))
    else {
        return;
    };
    let desired = world.ecs.services[service].desired as usize;
    if lifecycle::count_healthy(&world.ecs, blue) < desired {
        return;
    }
    if !returned {
        // A rule that somebody else has changed is left as it is: nothing here would make it better.
        listener_routes::shift_traffic(world, target, TrafficKind::Production, 0.0);
        listener_routes::shift_traffic(world, target, TrafficKind::Test, 0.0);
        if let Some(staged) = lifecycle::staged_deployment(world, rollout) {
            (staged.production_percent, staged.test_percent, staged.traffic_returned) = (0.0, 0.0, true);
        }
        return scheduler::reconcile_later(world, service, now);
    }
    if lifecycle::count_others(&world.ecs, service, &[Some(blue)]) == 0 {
        service_deployment::succeed(world, rollout, blue, ServiceDeploymentStatus::RollbackSuccessful, now);
    }
}
