//! The scheduler's part in a deployment in stages: two revisions at full strength side by side.

use super::super::world::World;
use super::state::ServiceDeploymentStatus;
use super::{lifecycle, rollback, scheduler};

/// Reconciles a service whose deployment has stages.
pub(super) fn reconcile(world: &mut World, service: usize, rollout: usize, now: f64) {
    let kept = kept_deployments(world, rollout);
    let mut busy = false;
    for &(deployment, grows) in &kept {
        busy |= scheduler::stop_above_desired(world, service, deployment, now);
        busy |= grows && scheduler::start_up_to_desired(world, service, deployment, now);
    }
    let names: Vec<usize> = kept.iter().map(|&(deployment, _)| deployment).collect();
    if is_at_full_strength(world, rollout) {
        busy |= lifecycle::stop_others(world, service, &names, now);
    }
    if busy {
        return;
    }
    match world.ecs.service_deployments[rollout].status {
        ServiceDeploymentStatus::RollbackInProgress => rollback::check_rollback(world, rollout, now),
        _ => lifecycle::check_work(world, rollout, now),
    }
}

/// Deployments whose tasks stay, and whether missing ones are started.
fn kept_deployments(world: &World, rollout: usize) -> Vec<(usize, bool)> {
    let it = &world.ecs.service_deployments[rollout];
    let Some(staged) = &it.staged else { return Vec::new() };
    let blue = staged.source.map(|blue| (blue, true));
    let green = (it.deployment, staged.is_scaled_up());
    let (blue, green) = match it.status {
        ServiceDeploymentStatus::RollbackInProgress if staged.traffic_returned => (blue, None),
        ServiceDeploymentStatus::RollbackInProgress => (blue, Some((it.deployment, false))),
        _ if staged.is_cleaning_up() => (None, Some(green)),
        _ => (blue, Some(green)),
    };
    blue.into_iter().chain(green).collect()
}

/// Whether what serves is at full strength, so that others may go.
fn is_at_full_strength(world: &World, rollout: usize) -> bool {
    let it = &world.ecs.service_deployments[rollout];
    let desired = world.ecs.services[it.service].desired as usize;
    let back = it.status == ServiceDeploymentStatus::RollbackInProgress;
    let leads = match &it.staged {
        Some(staged) if back || !staged.is_cleaning_up() => staged.source,
        _ => Some(it.deployment),
    };
    leads.is_none_or(|deployment| lifecycle::count_healthy(&world.ecs, deployment) >= desired)
}
