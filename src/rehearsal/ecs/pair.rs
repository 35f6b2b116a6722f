//! The scheduler's part in a deployment in stages: two revisions at full strength side by side.

use super::super::world::World;
use super::state::Status;
use super::{retreat, scheduler, stages};

/// One look at a service whose deployment goes in stages.
pub(super) fn reconcile(world: &mut World, service: usize, rollout: usize, now: f64) {
    let kept = kept(world, rollout);
    let mut busy = false;
    for &(deployment, grows) in &kept {
        busy |= scheduler::trim(world, service, deployment, now);
        busy |= grows && scheduler::fill(world, service, deployment, now);
    }
    let names: Vec<usize> = kept.iter().map(|&(deployment, _)| deployment).collect();
    if strong(world, rollout) {
        busy |= stages::leave(world, service, &names, now);
    }
    if busy {
        return;
    }
    match world.ecs.rollouts[rollout].status {
        Status::RollbackInProgress => retreat::look(world, rollout, now),
        _ => stages::look(world, rollout, now),
    }
}

/// Deployments whose tasks stay, and whether missing ones are started.
fn kept(world: &World, rollout: usize) -> Vec<(usize, bool)> {
    let it = &world.ecs.rollouts[rollout];
    let Some(native) = &it.native else { return Vec::new() };
    let blue = native.blue.map(|blue| (blue, true));
    let green = (it.deployment, native.raised());
    let (blue, green) = match it.status {
        Status::RollbackInProgress if native.returned => (blue, None),
        Status::RollbackInProgress => (blue, Some((it.deployment, false))),
        _ if native.cleaning() => (None, Some(green)),
        _ => (blue, Some(green)),
    };
    blue.into_iter().chain(green).collect()
}

/// Whether what serves is at full strength, so that others may go.
fn strong(world: &World, rollout: usize) -> bool {
    let it = &world.ecs.rollouts[rollout];
    let desired = world.ecs.services[it.service].desired as usize;
    let back = it.status == Status::RollbackInProgress;
    let leads = match &it.native {
        Some(native) if back || !native.cleaning() => native.blue,
        _ => Some(it.deployment),
    };
    leads.is_none_or(|deployment| stages::healthy(&world.ecs, deployment) >= desired)
}
