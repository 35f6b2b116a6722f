//! How a deployment in stages walks: hooks, then the work of a stop, then the next stop. Times are virtual.

use super::super::rng::seconds_range;
use super::super::world::World;
use super::listener_routes::{self, TrafficKind};
use super::service_deployment::{self, ServiceDeploymentStep};
use super::staged_deployment::{LifecycleStage, StagePhase, StageWork, StagedDeployment};
use super::state::{EcsState, ServiceDeploymentStatus};
use super::{lifecycle_hooks, rollback, scheduler, tasks};

/// A stage that takes longer than this fails the deployment (24 hours).
const STAGE_TIMEOUT: f64 = 86_400.0;

const INVALID_NETWORKING: &str = "Service deployment rolled back because of an invalid networking configuration. \
     The production listener rule must forward to both the target group and the alternate target group.";

/// The newest service deployment of a service, when it goes in stages and is on its way.
pub(super) fn active_deployment(ecs: &EcsState, service: usize) -> Option<usize> {
    let &last = ecs.services[service].service_deployments.last()?;
    let it = &ecs.service_deployments[last];
    let moving = matches!(
        it.status,
        ServiceDeploymentStatus::InProgress | ServiceDeploymentStatus::RollbackInProgress
    );
    (moving && it.staged.is_some()).then_some(last)
}

/// The plan of a rollout; only asked of one that goes in stages.
pub(super) fn staged_deployment(world: &mut World, rollout: usize) -> Option<&mut StagedDeployment> {
    world.ecs.service_deployments[rollout].staged.as_mut()
}

/// PENDING is over: to the first stop.
pub(super) fn start_stages(world: &mut World, rollout: usize, now: f64) {
    if !listener_routes::has_valid_rules(world, world.ecs.service_deployments[rollout].target) {
        return fail_for_networking(world, rollout, now);
    }
    enter_stage(world, rollout, 0, now);
}

/// The listener rules do not forward to both target groups.
fn fail_for_networking(world: &mut World, rollout: usize, now: f64) {
    rollback::fail_deployment(world, rollout, "invalid networking configuration", INVALID_NETWORKING, now);
}

/// Arrive at a stop: its hooks fire.
fn enter_stage(world: &mut World, rollout: usize, at: usize, now: f64) {
    let Some(staged) = staged_deployment(world, rollout) else { return };
    (staged.index, staged.phase) = (at, StagePhase::Hooks);
    staged.wait_id += 1;
    world.ecs.service_deployments[rollout].updated_at = now;
    lifecycle_hooks::fire_hooks(world, rollout, now);
    check_hooks(world, rollout, now);
}

/// Go to work when no hook is open.
pub(super) fn check_hooks(world: &mut World, rollout: usize, now: f64) {
    let Some(staged) = staged_deployment(world, rollout) else { return };
    if staged.phase == StagePhase::Hooks
        && !staged.hooks.iter().any(super::staged_deployment::LifecycleHook::is_open)
    {
        staged.phase = StagePhase::Work;
        start_work(world, rollout, now);
    }
}

fn start_work(world: &mut World, rollout: usize, now: f64) {
    let Some(stop) = staged_deployment(world, rollout).map(|staged| staged.current_stage()) else { return };
    let target = world.ecs.service_deployments[rollout].target;
    let wait = match stop.work {
        StageWork::NoWork => world.rng.pick_seconds(seconds_range(1.0, 2.0)),
        StageWork::Bake(minutes) => minutes * 60.0,
        StageWork::ShiftTestTraffic => {
            listener_routes::shift_traffic(world, target, TrafficKind::Test, 100.0);
            update_staged(world, rollout, |staged| staged.test_percent = 100.0);
            world.rng.pick_seconds(world.timings.traffic_shift)
        }
        StageWork::ShiftTraffic(percent) => {
            if !listener_routes::shift_traffic(world, target, TrafficKind::Production, percent) {
                return fail_for_networking(world, rollout, now);
            }
            update_staged(world, rollout, |staged| staged.production_percent = percent);
            world.rng.pick_seconds(world.timings.traffic_shift)
        }
        StageWork::Reconcile | StageWork::ScaleUp | StageWork::CleanUp => {
            let service = world.ecs.service_deployments[rollout].service;
            scheduler::reconcile_later(world, service, now);
            STAGE_TIMEOUT
        }
    };
    schedule_wait(world, rollout, wait, now);
}

fn update_staged(world: &mut World, rollout: usize, change: impl FnOnce(&mut StagedDeployment)) {
    if let Some(staged) = staged_deployment(world, rollout) {
        change(staged);
    }
}

fn schedule_wait(world: &mut World, rollout: usize, seconds: f64, now: f64) {
    let Some(staged) = staged_deployment(world, rollout) else { return };
    staged.wait_id += 1;
    let turn = staged.wait_id;
    service_deployment::schedule_step(world, rollout, ServiceDeploymentStep::WaitOver(turn), now + seconds);
}

/// A planned wait is over.
pub(super) fn on_wait_over(world: &mut World, rollout: usize, turn: u32, now: f64) {
    let Some(staged) = staged_deployment(world, rollout).filter(|staged| staged.wait_id == turn) else {
        return;
    };
    match staged.current_stage().work {
        StageWork::Reconcile | StageWork::ScaleUp | StageWork::CleanUp => {
            let reason =
                "Service deployment rolled back because a lifecycle stage took longer than 24 hours.";
            rollback::fail_deployment(world, rollout, "lifecycle stage timed out", reason, now);
        }
        _ => next_stage(world, rollout, now),
    }
}

fn next_stage(world: &mut World, rollout: usize, now: f64) {
    let Some(staged) = staged_deployment(world, rollout) else { return };
    let at = staged.index + 1;
    if at < staged.stages.len() {
        return enter_stage(world, rollout, at, now);
    }
    staged.wait_id += 1;
    let deployment = world.ecs.service_deployments[rollout].deployment;
    service_deployment::succeed(world, rollout, deployment, ServiceDeploymentStatus::Successful, now);
}

/// Tasks have changed: see whether what a stop waits for is there.
pub(super) fn check_work(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.service_deployments[rollout];
    let Some(staged) = it.staged.as_ref().filter(|staged| staged.phase == StagePhase::Work) else { return };
    let desired = world.ecs.services[it.service].desired as usize;
    let there = match staged.current_stage().work {
        StageWork::Reconcile => {
            let alone = count_others(&world.ecs, it.service, &[staged.source, Some(it.deployment)]) == 0;
            alone && staged.source.is_none_or(|blue| count_healthy(&world.ecs, blue) >= desired)
        }
        StageWork::ScaleUp => count_healthy(&world.ecs, it.deployment) >= desired,
        StageWork::CleanUp => {
            let gone = count_others(&world.ecs, it.service, &[Some(it.deployment)]) == 0;
            gone && count_healthy(&world.ecs, it.deployment) >= desired
        }
        _ => return,
    };
    if there {
        next_stage(world, rollout, now);
    }
}

/// Healthy tasks of a deployment.
pub(super) fn count_healthy(ecs: &EcsState, deployment: usize) -> usize {
    let tasks = ecs.services[ecs.deployments[deployment].service].tasks.iter();
    tasks.map(|&task| &ecs.tasks[task]).filter(|task| task.deployment == deployment && task.healthy).count()
}

/// Tasks that are not stopped yet, of all deployments but these.
pub(super) fn count_others(ecs: &EcsState, service: usize, but: &[Option<usize>]) -> usize {
    let tasks = ecs.services[service].tasks.iter().map(|&task| &ecs.tasks[task]);
    tasks.filter(|task| !task.is_stopped() && !but.contains(&Some(task.deployment))).count()
}

/// A newer deployment begins: traffic goes to the revision that is at full strength, and the other one's tasks stop.
pub(super) fn supersede_stages(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.service_deployments[rollout];
    let Some(staged) = it.staged.clone() else { return };
    let (service, green) = (it.service, it.deployment);
    let desired = world.ecs.services[service].desired as usize;
    let short = |deployment: usize| count_healthy(&world.ecs, deployment) < desired;
    let keep = staged.source.filter(|&blue| !short(blue) || short(green));
    let Some(kept) = keep.or(staged.source.map(|_| green)) else {
        return lifecycle_hooks::close_open_hooks(world, rollout);
    };
    let percent = if kept == green { 100.0 } else { 0.0 };
    let target = world.ecs.service_deployments[rollout].target;
    listener_routes::shift_traffic(world, target, TrafficKind::Production, percent);
    listener_routes::shift_traffic(world, target, TrafficKind::Test, percent);
    update_staged(world, rollout, |staged| {
        (staged.production_percent, staged.test_percent) = (percent, percent);
        staged.wait_id += 1;
    });
    lifecycle_hooks::close_open_hooks(world, rollout);
    if kept == green {
        world.ecs.services[service].last_completed = Some(green);
    }
    stop_others(world, service, &[kept], now);
}

/// Stop all tasks but those of the deployments that are kept.
pub(super) fn stop_others(world: &mut World, service: usize, kept: &[usize], now: f64) -> bool {
    let living = world.ecs.services[service].tasks.iter().copied();
    let going: Vec<usize> = living
        .filter(|&task| world.ecs.tasks[task].should_run && !kept.contains(&world.ecs.tasks[task].deployment))
        .collect();
    tasks::scale_in(world, service, &going, now);
    !going.is_empty()
}

/// What `lifecycleStage` shows; nothing before the deployment has started.
pub(super) fn shown_stage(
    staged: &StagedDeployment,
    status: ServiceDeploymentStatus,
) -> Option<&'static str> {
    let LifecycleStage { name: stage, .. } = staged.current_stage();
    (status != ServiceDeploymentStatus::Pending).then_some(stage)
}
