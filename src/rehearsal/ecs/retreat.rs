//! How a deployment in stages returns: the source revision at full strength, then its traffic, then the others stop.

use super::super::world::World;
use super::events::note;
use super::rollout;
use super::routes::{self, Kind};
use super::state::{Rollback, Status};
use super::{detection, hooks, scheduler, stages};

/// ECS itself gives up: back to the source revision, or stop where there is none.
pub(super) fn fail(world: &mut World, rollout: usize, event: &str, reason: &str, now: f64) {
    let deployment = world.ecs.rollouts[rollout].deployment;
    detection::fail(world, deployment, event, &format!("ECS deployment failed: {event}."), now);
    match world.ecs.rollouts[rollout].native.as_ref().and_then(|native| native.blue) {
        Some(_) => begin(world, rollout, reason, now),
        None => rollout::stall(world, rollout, reason, now),
    }
}

/// ROLLBACK_IN_PROGRESS begins: the `ecs-svc/…` of the source revision is PRIMARY again.
pub(super) fn begin(world: &mut World, rollout: usize, reason: &str, now: f64) {
    hooks::close(world, rollout);
    let Some(native) = stages::native(world, rollout) else { return };
    native.turn += 1;
    let Some(blue) = native.blue else { return };
    let (service, green) = (world.ecs.rollouts[rollout].service, world.ecs.rollouts[rollout].deployment);
    rollout::set(world, rollout, Status::RollbackInProgress, reason, now);
    let revision = world.ecs.deployments[blue].revision;
    world.ecs.rollouts[rollout].rollback = Some(Rollback { reason: reason.into(), at: now, revision });
    world.ecs.rollouts[rollout].back = Some(blue);
    let it = &mut world.ecs.deployments[green];
    if it.state == "IN_PROGRESS" {
        (it.state, it.reason) = ("FAILED", "ECS deployment was rolled back.".into());
    }
    it.status = "ACTIVE";
    rollout::restore(world, service, revision);
    world.ecs.services[service].definition = world.ecs.revisions[revision].definition;
    lead(world, service, blue);
    let name = world.ecs.deployments[blue].id.clone();
    note(world, service, &format!("rolling back to deployment {name}."), now);
    scheduler::stir(world, service, now);
}

/// Make an earlier `ecs-svc/…` PRIMARY again.
fn lead(world: &mut World, service: usize, deployment: usize) {
    let it = &mut world.ecs.services[service];
    it.deployments.retain(|&known| known != deployment);
    it.deployments.insert(0, deployment);
    it.steady = false;
    world.ecs.deployments[deployment].status = "PRIMARY";
    world.ecs.deployments[deployment].stalled = false;
    world.ecs.deployments[deployment].failed_tasks = 0;
}

/// Tasks have changed: traffic goes back once it can, and when the target revision is gone it is over.
pub(super) fn look(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.rollouts[rollout];
    let (service, target) = (it.service, it.target);
    let Some((blue, returned)) = it.native.as_ref().and_then(|n| Some((n.blue?, n.returned))) else { return };
    let desired = world.ecs.services[service].desired as usize;
    if stages::healthy(&world.ecs, blue) < desired {
        return;
    }
    if !returned {
        // A rule that somebody else has changed is left as it is: nothing here would make it better.
        routes::shift(world, target, Kind::Production, 0.0);
        routes::shift(world, target, Kind::Test, 0.0);
        if let Some(native) = stages::native(world, rollout) {
            (native.production, native.test, native.returned) = (0.0, 0.0, true);
        }
        return scheduler::stir(world, service, now);
    }
    if stages::others(&world.ecs, service, &[Some(blue)]) == 0 {
        rollout::succeed(world, rollout, blue, Status::RollbackSuccessful, now);
    }
}
