//! How a deployment in stages walks: hooks, then the work of a stop, then the next stop. Times are virtual.

use super::super::chance::span;
use super::super::world::World;
use super::native::{Native, Phase, Stop, Work};
use super::rollout::{self, Step};
use super::routes::{self, Kind};
use super::state::{State, Status};
use super::{hooks, retreat, scheduler, tasks};

/// A stage that takes longer than this fails the deployment (24 hours).
const LONGEST: f64 = 86_400.0;

pub(super) const BAD_NETWORK: &str = "Service deployment rolled back because of an invalid networking configuration. \
     The production listener rule must forward to both the target group and the alternate target group.";

/// The newest service deployment of a service, when it goes in stages and is on its way.
pub(super) fn active(ecs: &State, service: usize) -> Option<usize> {
    let &last = ecs.services[service].rollouts.last()?;
    let it = &ecs.rollouts[last];
    let moving = matches!(it.status, Status::InProgress | Status::RollbackInProgress);
    (moving && it.native.is_some()).then_some(last)
}

/// The plan of a rollout; only asked of one that goes in stages.
pub(super) fn native(world: &mut World, rollout: usize) -> Option<&mut Native> {
    world.ecs.rollouts[rollout].native.as_mut()
}

/// PENDING is over: to the first stop.
pub(super) fn begin(world: &mut World, rollout: usize, now: f64) {
    if !routes::sound(world, world.ecs.rollouts[rollout].target) {
        return retreat::fail(world, rollout, "invalid networking configuration", BAD_NETWORK, now);
    }
    enter(world, rollout, 0, now);
}

/// Arrive at a stop: its hooks fire.
fn enter(world: &mut World, rollout: usize, at: usize, now: f64) {
    let Some(native) = native(world, rollout) else { return };
    (native.at, native.phase) = (at, Phase::Hooks);
    native.turn += 1;
    world.ecs.rollouts[rollout].updated_at = now;
    hooks::fire(world, rollout, now);
    check_hooks(world, rollout, now);
}

/// Go to work when no hook is open.
pub(super) fn check_hooks(world: &mut World, rollout: usize, now: f64) {
    let Some(native) = native(world, rollout) else { return };
    if native.phase == Phase::Hooks && !native.hooks.iter().any(super::native::Hook::open) {
        native.phase = Phase::Work;
        work(world, rollout, now);
    }
}

fn work(world: &mut World, rollout: usize, now: f64) {
    let Some(stop) = native(world, rollout).map(|native| native.stop()) else { return };
    let target = world.ecs.rollouts[rollout].target;
    let wait = match stop.work {
        Work::Pass => world.chance.seconds(span(1.0, 2.0)),
        Work::Bake(minutes) => minutes * 60.0,
        Work::Test => {
            routes::shift(world, target, Kind::Test, 100.0);
            set(world, rollout, |native| native.test = 100.0);
            world.chance.seconds(world.timings.traffic_shift)
        }
        Work::Shift(percent) => {
            if !routes::shift(world, target, Kind::Production, percent) {
                return retreat::fail(world, rollout, "invalid networking configuration", BAD_NETWORK, now);
            }
            set(world, rollout, |native| native.production = percent);
            world.chance.seconds(world.timings.traffic_shift)
        }
        Work::Reconcile | Work::ScaleUp | Work::CleanUp => {
            let service = world.ecs.rollouts[rollout].service;
            scheduler::stir(world, service, now);
            LONGEST
        }
    };
    wait_for(world, rollout, wait, now);
}

fn set(world: &mut World, rollout: usize, change: impl FnOnce(&mut Native)) {
    if let Some(native) = native(world, rollout) {
        change(native);
    }
}

fn wait_for(world: &mut World, rollout: usize, seconds: f64, now: f64) {
    let Some(native) = native(world, rollout) else { return };
    native.turn += 1;
    let turn = native.turn;
    rollout::plan(world, rollout, Step::Advance(turn), now + seconds);
}

/// A planned wait is over.
pub(super) fn advance(world: &mut World, rollout: usize, turn: u32, now: f64) {
    let Some(native) = native(world, rollout).filter(|native| native.turn == turn) else { return };
    match native.stop().work {
        Work::Reconcile | Work::ScaleUp | Work::CleanUp => {
            let reason =
                "Service deployment rolled back because a lifecycle stage took longer than 24 hours.";
            retreat::fail(world, rollout, "lifecycle stage timed out", reason, now);
        }
        _ => next(world, rollout, now),
    }
}

fn next(world: &mut World, rollout: usize, now: f64) {
    let Some(native) = native(world, rollout) else { return };
    let at = native.at + 1;
    if at < native.stops.len() {
        return enter(world, rollout, at, now);
    }
    native.turn += 1;
    let deployment = world.ecs.rollouts[rollout].deployment;
    rollout::succeed(world, rollout, deployment, Status::Successful, now);
}

/// Tasks have changed: see whether what a stop waits for is there.
pub(super) fn look(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.rollouts[rollout];
    let Some(native) = it.native.as_ref().filter(|native| native.phase == Phase::Work) else { return };
    let desired = world.ecs.services[it.service].desired as usize;
    let there = match native.stop().work {
        Work::Reconcile => {
            let alone = others(&world.ecs, it.service, &[native.blue, Some(it.deployment)]) == 0;
            alone && native.blue.is_none_or(|blue| healthy(&world.ecs, blue) >= desired)
        }
        Work::ScaleUp => healthy(&world.ecs, it.deployment) >= desired,
        Work::CleanUp => {
            let gone = others(&world.ecs, it.service, &[Some(it.deployment)]) == 0;
            gone && healthy(&world.ecs, it.deployment) >= desired
        }
        _ => return,
    };
    if there {
        next(world, rollout, now);
    }
}

/// Healthy tasks of a deployment.
pub(super) fn healthy(ecs: &State, deployment: usize) -> usize {
    let tasks = ecs.services[ecs.deployments[deployment].service].tasks.iter();
    tasks.map(|&task| &ecs.tasks[task]).filter(|task| task.deployment == deployment && task.healthy).count()
}

/// Tasks that are not stopped yet, of all deployments but these.
pub(super) fn others(ecs: &State, service: usize, but: &[Option<usize>]) -> usize {
    let tasks = ecs.services[service].tasks.iter().map(|&task| &ecs.tasks[task]);
    tasks.filter(|task| !task.stopped() && !but.contains(&Some(task.deployment))).count()
}

/// A newer deployment begins: traffic goes to the revision that is at full strength, and the other one's tasks stop.
pub(super) fn abandon(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.rollouts[rollout];
    let Some(native) = it.native.clone() else { return };
    let (service, green) = (it.service, it.deployment);
    let desired = world.ecs.services[service].desired as usize;
    let short = |deployment: usize| healthy(&world.ecs, deployment) < desired;
    let keep = native.blue.filter(|&blue| !short(blue) || short(green));
    let Some(kept) = keep.or(native.blue.map(|_| green)) else { return hooks::close(world, rollout) };
    let percent = if kept == green { 100.0 } else { 0.0 };
    let target = world.ecs.rollouts[rollout].target;
    routes::shift(world, target, Kind::Production, percent);
    routes::shift(world, target, Kind::Test, percent);
    set(world, rollout, |native| {
        (native.production, native.test) = (percent, percent);
        native.turn += 1;
    });
    hooks::close(world, rollout);
    if kept == green {
        world.ecs.services[service].completed = Some(green);
    }
    leave(world, service, &[kept], now);
}

/// Stop all tasks but those of the deployments that are kept.
pub(super) fn leave(world: &mut World, service: usize, kept: &[usize], now: f64) -> bool {
    let living = world.ecs.services[service].tasks.iter().copied();
    let going: Vec<usize> = living
        .filter(|&task| world.ecs.tasks[task].wanted && !kept.contains(&world.ecs.tasks[task].deployment))
        .collect();
    tasks::scale_in(world, service, &going, now);
    !going.is_empty()
}

/// What `lifecycleStage` shows; nothing before the deployment has started.
pub(super) fn shown(native: &Native, status: Status) -> Option<&'static str> {
    let Stop { stage, .. } = native.stop();
    (status != Status::Pending).then_some(stage)
}
