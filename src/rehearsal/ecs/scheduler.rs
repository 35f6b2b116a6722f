//! Which tasks of a service to start and to stop next, within its desired count and its percentages.
//! It knows the newest deployment and the rest; why a deployment is the newest is `rollout`'s business.

use super::super::agenda::Event;
use super::super::world::World;
use super::events::{listed, note};
use super::state::{Deployment, Service, State, Status};
use super::{Happening, pair, rollout, stages, tasks};

/// Stopped tasks stay visible for this many seconds.
const REMEMBERED: f64 = 3600.0;

/// The fewest healthy and the most living tasks a service may have during a deployment.
pub(super) fn limits(service: &Service) -> (usize, usize) {
    let percent = |member: &str, default: u64| {
        let configuration = service.members.get("deploymentConfiguration");
        configuration.and_then(|c| c.get(member)).and_then(serde_json::Value::as_u64).unwrap_or(default)
    };
    let desired = u64::from(service.desired);
    let least = (desired * percent("minimumHealthyPercent", 100)).div_ceil(100);
    let most = desired * percent("maximumPercent", 200) / 100;
    (least as usize, most as usize)
}

/// Have the scheduler look at a service soon.
pub(super) fn stir(world: &mut World, service: usize, now: f64) {
    if world.ecs.services[service].next_look.is_none_or(|at| at > now + world.timings.schedule.most) {
        let at = now + world.chance.seconds(world.timings.schedule);
        look_at(world, service, at);
    }
}

/// Have the scheduler look at a service at that time, unless it looks earlier anyway.
fn look_at(world: &mut World, service: usize, at: f64) {
    let next = &mut world.ecs.services[service].next_look;
    if next.is_none_or(|planned| planned > at) {
        *next = Some(at);
        world.agenda.plan(at, Event::Ecs(Happening::Reconcile(service)));
    }
}

/// What lives of a service, sorted by what the scheduler may do with it.
struct Census {
    fresh: Vec<usize>,
    stale: Vec<usize>,
    healthy: usize,
    leaving: bool,
}

fn census(ecs: &State, service: usize, primary: usize) -> Census {
    let mut census = Census { fresh: Vec::new(), stale: Vec::new(), healthy: 0, leaving: false };
    for &index in &ecs.services[service].tasks {
        let task = &ecs.tasks[index];
        if task.wanted {
            census.healthy += usize::from(task.healthy);
            if task.deployment == primary { census.fresh.push(index) } else { census.stale.push(index) }
        } else if task.deployment != primary && !task.stopped() {
            census.leaving = true;
        }
    }
    census
}

/// One look at a service: stop what may go, start what is missing, note what is complete.
pub(super) fn reconcile(world: &mut World, service: usize, now: f64) {
    world.ecs.services[service].next_look.take_if(|at| *at <= now);
    forget(&mut world.ecs, service, now);
    let Some(&primary) = world.ecs.services[service].deployments.first() else { return };
    if world.ecs.services[service].status != "ACTIVE" {
        return wind_down(world, service, now);
    }
    let deployment = &world.ecs.deployments[primary];
    if deployment.stalled || world.ecs.rollouts[deployment.rollout].status == Status::Pending {
        return;
    }
    if let Some(rollout) = stages::active(&world.ecs, service) {
        return pair::reconcile(world, service, rollout, now);
    }
    let ended = shed(world, service, primary, now);
    let begun = grow(world, service, primary, now);
    if !ended && !begun {
        settle(world, service, primary, now);
    }
}

/// Stop tasks of older deployments and surplus ones, as far as enough healthy ones stay.
fn shed(world: &mut World, service: usize, primary: usize, now: f64) -> bool {
    let ecs = &world.ecs;
    let desired = ecs.services[service].desired as usize;
    let (least, most) = limits(&ecs.services[service]);
    let census = census(ecs, service, primary);
    let (sound, ailing): (Vec<usize>, Vec<usize>) =
        census.stale.iter().partition(|&&task| ecs.tasks[task].healthy);
    let mut ending = ailing;
    // Old healthy tasks go as new ones replace them, and below the desired count only where there is no room to start any.
    let living = census.fresh.len() + sound.len();
    let blocked = living >= most && census.fresh.len() < desired;
    let spare = census.healthy.saturating_sub(if blocked { least } else { desired.max(least) });
    ending.extend(sound.into_iter().take(spare));
    let mut surplus = census.fresh;
    surplus.sort_by_key(|&task| ecs.tasks[task].healthy);
    surplus.truncate(surplus.len().saturating_sub(desired));
    ending.extend(surplus);
    if ending.is_empty() {
        return false;
    }
    tasks::scale_in(world, service, &ending, now);
    true
}

/// Start what is missing, as far as there is room, capacity and patience.
fn grow(world: &mut World, service: usize, primary: usize, now: f64) -> bool {
    let desired = world.ecs.services[service].desired as usize;
    let (_, most) = limits(&world.ecs.services[service]);
    let census = census(&world.ecs, service, primary);
    let living = census.fresh.len() + census.stale.len();
    let missing = desired.saturating_sub(census.fresh.len());
    if missing == 0 {
        return false;
    }
    let wait = world.ecs.deployments[primary].launch_after;
    if now < wait {
        look_at(world, service, wait);
        return true;
    }
    let room = missing.min(most.saturating_sub(living));
    if room == 0 {
        return stuck(world, service, primary, &census, now);
    }
    launch(world, service, primary, room, now)
}

/// Start tasks of a deployment, when there is capacity.
fn launch(world: &mut World, service: usize, primary: usize, room: usize, now: f64) -> bool {
    let definition = world.ecs.revisions[world.ecs.deployments[primary].revision].definition;
    let starved = world.mischief.starved(&tasks::subject(&world.ecs, service, definition));
    if starved {
        note(world, service, no_capacity(&world.ecs.services[service]), now);
        look_at(world, service, now + 30.0);
        return true;
    }
    let started: Vec<usize> = (0..room).map(|_| tasks::launch(world, primary, now)).collect();
    let ids = listed(started.iter().map(|&task| world.ecs.tasks[task].id.as_str()));
    note(world, service, &format!("has started {} tasks: {ids}.", started.len()), now);
    world.ecs.services[service].steady = false;
    true
}

/// Start what a deployment has too few of, with no upper limit: in stages two revisions run at full strength.
pub(super) fn fill(world: &mut World, service: usize, deployment: usize, now: f64) -> bool {
    let living = census(&world.ecs, service, deployment).fresh.len();
    let missing = (world.ecs.services[service].desired as usize).saturating_sub(living);
    let wait = world.ecs.deployments[deployment].launch_after;
    if missing == 0 {
        return false;
    }
    if now < wait {
        look_at(world, service, wait);
        return true;
    }
    launch(world, service, deployment, missing, now)
}

/// Stop what a deployment has too many of, ailing ones first.
pub(super) fn trim(world: &mut World, service: usize, deployment: usize, now: f64) -> bool {
    let mut surplus = census(&world.ecs, service, deployment).fresh;
    let desired = world.ecs.services[service].desired as usize;
    surplus.sort_by_key(|&task| world.ecs.tasks[task].healthy);
    surplus.truncate(surplus.len().saturating_sub(desired));
    tasks::scale_in(world, service, &surplus, now);
    !surplus.is_empty()
}

/// Nothing can be started for want of room; say so once when nothing can be stopped either.
fn stuck(world: &mut World, service: usize, primary: usize, census: &Census, now: f64) -> bool {
    let quiet = !census.leaving && census.stale.iter().all(|&task| world.ecs.tasks[task].healthy);
    if quiet && census.healthy > 0 && !world.ecs.deployments[primary].impaired {
        world.ecs.deployments[primary].impaired = true;
        let message = "was unable to stop or start tasks during a deployment because of the service deployment \
                       configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
        note(world, service, message, now);
    }
    true
}

fn no_capacity(service: &Service) -> &'static str {
    if service.members.get("launchType").and_then(serde_json::Value::as_str) == Some("EC2") {
        "was unable to place a task because no container instance met all of its requirements. \
         Reason: No Container Instances were found in your cluster."
    } else {
        "was unable to place a task. Reason: Capacity is unavailable at this time. \
         Please try again later or in a different availability zone."
    }
}

/// Whether a deployment is all there is: every task healthy, none of another deployment left.
pub(super) fn complete(ecs: &State, service: usize, primary: usize) -> bool {
    let census = census(ecs, service, primary);
    let desired = ecs.services[service].desired as usize;
    census.stale.is_empty()
        && !census.leaving
        && census.fresh.len() == desired
        && census.fresh.iter().all(|&task| ecs.tasks[task].healthy)
}

/// Nothing to start and nothing to stop: finish the deployment, or note the steady state.
fn settle(world: &mut World, service: usize, primary: usize, now: f64) {
    if !complete(&world.ecs, service, primary) {
        return;
    }
    if world.ecs.deployments[primary].state == "IN_PROGRESS" {
        rollout::nearly_done(world, primary, now);
    } else if !world.ecs.services[service].steady {
        world.ecs.services[service].steady = true;
        note(world, service, "has reached a steady state.", now);
    }
}

/// A service that is being deleted: stop everything, then it is gone.
fn wind_down(world: &mut World, service: usize, now: f64) {
    let tasks: Vec<usize> = world.ecs.services[service].tasks.clone();
    for &task in &tasks {
        tasks::stop(world, task, "ServiceSchedulerInitiated", "Service deleted", now);
    }
    if world.ecs.services[service].status == "DRAINING"
        && tasks.iter().all(|&task| world.ecs.tasks[task].stopped())
    {
        world.ecs.services[service].status = "INACTIVE";
    }
}

/// Drop what is no longer shown: tasks that stopped long ago, older deployments without tasks.
fn forget(ecs: &mut State, service: usize, now: f64) {
    let tasks = &ecs.tasks;
    ecs.services[service]
        .tasks
        .retain(|&task| tasks[task].times.stopped.is_none_or(|at| now - at < REMEMBERED));
    let service = &mut ecs.services[service];
    let source = service.rollouts.last().and_then(|&last| ecs.rollouts[last].native.as_ref()?.blue);
    let source =
        source.filter(|_| service.rollouts.last().is_some_and(|&last| !ecs.rollouts[last].status.ended()));
    let mut kept = Vec::with_capacity(service.deployments.len());
    for (place, &deployment) in service.deployments.iter().enumerate() {
        let lives =
            service.tasks.iter().any(|&task| tasks[task].deployment == deployment && !tasks[task].stopped());
        if place == 0 || lives || source == Some(deployment) {
            kept.push(deployment);
        } else {
            retire(&mut ecs.deployments[deployment]);
        }
    }
    service.deployments = kept;
}

fn retire(deployment: &mut Deployment) {
    deployment.status = "INACTIVE";
}
