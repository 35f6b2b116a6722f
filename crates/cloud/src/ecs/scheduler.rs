//! Which tasks of a service to start and to stop next, within its desired count and its percentages.
//! It knows the newest deployment and the rest; why a deployment is the newest is `rollout`'s business.

use super::super::world::World;
use super::service_events::{add_event, format_task_ids};
use super::state::{Deployment, EcsState, Service, ServiceDeploymentStatus};
use super::{EcsEvent, lifecycle, service_deployment, staged_scheduler, task_outcomes, tasks};

/// Stopped tasks stay visible for this many seconds.
const STOPPED_TASK_RETENTION: f64 = 3600.0;
/// How long an event is not repeated.
const DUPLICATE_EVENT_SECONDS: f64 = 6.0 * 3600.0;

/// The fewest healthy and the most living tasks a service may have during a deployment.
pub(super) fn task_limits(service: &Service) -> (usize, usize) {
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
pub(super) fn reconcile_later(world: &mut World, service: usize, now: f64) {
    if world.ecs.services[service].next_reconcile.is_none_or(|at| at > now + world.timings.schedule.max) {
        let at = now + world.rng.pick_seconds(world.timings.schedule);
        reconcile_at(world, service, at);
    }
}

/// Have the scheduler look at a service at that time, unless it looks earlier anyway.
fn reconcile_at(world: &mut World, service: usize, at: f64) {
    let next = &mut world.ecs.services[service].next_reconcile;
    if next.is_none_or(|planned| planned > at) {
        *next = Some(at);
        world.events.schedule(at, EcsEvent::Reconcile(service));
    }
}

/// What lives of a service, sorted by what the scheduler may do with it.
struct TaskCensus {
    current: Vec<usize>,
    previous: Vec<usize>,
    healthy: usize,
    is_draining: bool,
}

fn count_tasks(ecs: &EcsState, service: usize, primary: usize) -> TaskCensus {
    let mut census = TaskCensus { current: Vec::new(), previous: Vec::new(), healthy: 0, is_draining: false };
    for &index in &ecs.services[service].tasks {
        let task = &ecs.tasks[index];
        if task.should_run {
            census.healthy += usize::from(task.healthy);
            if task.deployment == primary { census.current.push(index) } else { census.previous.push(index) }
        } else if task.deployment != primary && !task.is_stopped() {
            census.is_draining = true;
        }
    }
    census
}

/// One look at a service: stop what may go, start what is missing, note what is complete.
pub(super) fn reconcile(world: &mut World, service: usize, now: f64) {
    world.ecs.services[service].next_reconcile.take_if(|at| *at <= now);
    drop_ended(&mut world.ecs, service, now);
    let Some(&primary) = world.ecs.services[service].deployments.first() else { return };
    if world.ecs.services[service].status != "ACTIVE" {
        return drain_service(world, service, now);
    }
    let deployment = &world.ecs.deployments[primary];
    if deployment.is_stalled
        || world.ecs.service_deployments[deployment.service_deployment].status
            == ServiceDeploymentStatus::Pending
    {
        return;
    }
    if let Some(rollout) = lifecycle::active_deployment(&world.ecs, service) {
        return staged_scheduler::reconcile(world, service, rollout, now);
    }
    let ended = stop_surplus(world, service, primary, now);
    let begun = start_missing(world, service, primary, now);
    if !ended && !begun {
        finish_or_report_steady(world, service, primary, now);
    }
}

/// Stop tasks of older deployments and surplus ones, as far as enough healthy ones stay.
fn stop_surplus(world: &mut World, service: usize, primary: usize, now: f64) -> bool {
    let ecs = &world.ecs;
    let desired = ecs.services[service].desired as usize;
    let (least, most) = task_limits(&ecs.services[service]);
    let census = count_tasks(ecs, service, primary);
    let (sound, ailing): (Vec<usize>, Vec<usize>) =
        census.previous.iter().partition(|&&task| ecs.tasks[task].healthy);
    let mut ending = ailing;
    // Old healthy tasks go as new ones replace them, and below the desired count only where there is no room to start any.
    let living = census.current.len() + sound.len();
    let blocked = living >= most && census.current.len() < desired;
    let spare = census.healthy.saturating_sub(if blocked { least } else { desired.max(least) });
    ending.extend(sound.into_iter().take(spare));
    let mut surplus = census.current;
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
fn start_missing(world: &mut World, service: usize, primary: usize, now: f64) -> bool {
    let desired = world.ecs.services[service].desired as usize;
    let (_, most) = task_limits(&world.ecs.services[service]);
    let census = count_tasks(&world.ecs, service, primary);
    let living = census.current.len() + census.previous.len();
    let missing = desired.saturating_sub(census.current.len());
    if missing == 0 {
        return false;
    }
    let wait = world.ecs.deployments[primary].launch_after;
    if now < wait {
        reconcile_at(world, service, wait);
        return true;
    }
    let room = missing.min(most.saturating_sub(living));
    if room == 0 {
        return report_deadlock(world, service, primary, &census, now);
    }
    start_tasks(world, service, primary, room, now)
}

/// Start tasks of a deployment, when there is capacity.
fn start_tasks(world: &mut World, service: usize, primary: usize, room: usize, now: f64) -> bool {
    let definition = world.ecs.revisions[world.ecs.deployments[primary].revision].definition;
    let starved =
        world.faults.trigger_no_capacity(&task_outcomes::fault_target(&world.ecs, service, definition), now);
    if starved {
        report_unplaced(world, service, now);
        reconcile_at(world, service, now + 30.0);
        return true;
    }
    world.ecs.services[service].unplaced_since = None;
    let started: Vec<usize> = (0..room).map(|_| tasks::start_task(world, primary, now)).collect();
    let ids = format_task_ids(started.iter().map(|&task| world.ecs.tasks[task].id.as_str()));
    add_event(world, service, &format!("has started {} tasks: {ids}.", started.len()), now);
    world.ecs.services[service].is_steady = false;
    true
}

/// Start what a deployment has too few of, with no upper limit: in stages two revisions run at full strength.
pub(super) fn start_up_to_desired(world: &mut World, service: usize, deployment: usize, now: f64) -> bool {
    let living = count_tasks(&world.ecs, service, deployment).current.len();
    let missing = (world.ecs.services[service].desired as usize).saturating_sub(living);
    let wait = world.ecs.deployments[deployment].launch_after;
    if missing == 0 {
        return false;
    }
    if now < wait {
        reconcile_at(world, service, wait);
        return true;
    }
    start_tasks(world, service, deployment, missing, now)
}

/// Stop what a deployment has too many of, ailing ones first.
pub(super) fn stop_above_desired(world: &mut World, service: usize, deployment: usize, now: f64) -> bool {
    let mut surplus = count_tasks(&world.ecs, service, deployment).current;
    let desired = world.ecs.services[service].desired as usize;
    surplus.sort_by_key(|&task| world.ecs.tasks[task].healthy);
    surplus.truncate(surplus.len().saturating_sub(desired));
    tasks::scale_in(world, service, &surplus, now);
    !surplus.is_empty()
}

/// No task can be started within the maximum; one event if none can be stopped either.
fn report_deadlock(world: &mut World, service: usize, primary: usize, census: &TaskCensus, now: f64) -> bool {
    let quiet = !census.is_draining && census.previous.iter().all(|&task| world.ecs.tasks[task].healthy);
    if quiet && census.healthy > 0 && !world.ecs.deployments[primary].is_impaired {
        world.ecs.deployments[primary].is_impaired = true;
        let message = "was unable to stop or start tasks during a deployment because of the service deployment \
                       configuration. Update the minimumHealthyPercent or maximumPercent value and try again.";
        add_event(world, service, message, now);
    }
    true
}

/// An event that no task can be placed. ECS omits duplicates "until either the cause is resolved or six hours passes"
/// (Amazon ECS service event messages).
fn report_unplaced(world: &mut World, service: usize, now: f64) {
    let since = world.ecs.services[service].unplaced_since;
    if since.is_none_or(|at| now - at >= DUPLICATE_EVENT_SECONDS) {
        world.ecs.services[service].unplaced_since = Some(now);
        add_event(world, service, capacity_event(&world.ecs.services[service]), now);
    }
}

fn capacity_event(service: &Service) -> &'static str {
    if service.members.get("launchType").and_then(serde_json::Value::as_str) == Some("EC2") {
        "was unable to place a task because no container instance met all of its requirements. \
         Reason: No Container Instances were found in your cluster."
    } else {
        "was unable to place a task. Reason: Capacity is unavailable at this time. \
         Please try again later or in a different availability zone."
    }
}

/// Whether a deployment is all there is: every task healthy, none of another deployment left.
pub(super) fn is_complete(ecs: &EcsState, service: usize, primary: usize) -> bool {
    let census = count_tasks(ecs, service, primary);
    let desired = ecs.services[service].desired as usize;
    census.previous.is_empty()
        && !census.is_draining
        && census.current.len() == desired
        && census.current.iter().all(|&task| ecs.tasks[task].healthy)
}

/// Nothing to start and nothing to stop: finish the deployment, or note the steady state.
fn finish_or_report_steady(world: &mut World, service: usize, primary: usize, now: f64) {
    if !is_complete(&world.ecs, service, primary) {
        return;
    }
    if world.ecs.deployments[primary].state == "IN_PROGRESS" {
        service_deployment::schedule_finish(world, primary, now);
    } else if !world.ecs.services[service].is_steady {
        world.ecs.services[service].is_steady = true;
        add_event(world, service, "has reached a steady state.", now);
    }
}

/// A service that is being deleted: stop everything, then it is gone.
fn drain_service(world: &mut World, service: usize, now: f64) {
    let tasks: Vec<usize> = world.ecs.services[service].tasks.clone();
    for &task in &tasks {
        tasks::stop_task(world, task, "ServiceSchedulerInitiated", "Service deleted", now);
    }
    if world.ecs.services[service].status == "DRAINING"
        && tasks.iter().all(|&task| world.ecs.tasks[task].is_stopped())
    {
        world.ecs.services[service].status = "INACTIVE";
    }
}

/// Drop what is no longer shown: tasks that stopped long ago, older deployments without tasks.
fn drop_ended(ecs: &mut EcsState, service: usize, now: f64) {
    let tasks = &ecs.tasks;
    ecs.services[service]
        .tasks
        .retain(|&task| tasks[task].times.stopped.is_none_or(|at| now - at < STOPPED_TASK_RETENTION));
    let service = &mut ecs.services[service];
    let source = service
        .service_deployments
        .last()
        .and_then(|&last| ecs.service_deployments[last].staged.as_ref()?.source);
    let source = source.filter(|_| {
        service
            .service_deployments
            .last()
            .is_some_and(|&last| !ecs.service_deployments[last].status.has_ended())
    });
    let mut kept = Vec::with_capacity(service.deployments.len());
    for (place, &deployment) in service.deployments.iter().enumerate() {
        let lives = service
            .tasks
            .iter()
            .any(|&task| tasks[task].deployment == deployment && !tasks[task].is_stopped());
        if place == 0 || lives || source == Some(deployment) {
            kept.push(deployment);
        } else {
            deactivate(&mut ecs.deployments[deployment]);
        }
    }
    service.deployments = kept;
}

fn deactivate(deployment: &mut Deployment) {
    deployment.status = "INACTIVE";
}
