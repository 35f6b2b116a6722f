//! The life of a task: PROVISIONING, PENDING, RUNNING, healthy; then DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED.
//! Whether a task should run is decided in `scheduler`, what its end means for a deployment in `failure_detection`.

use super::super::faults::TaskOutcome;
use super::super::rng::SecondsRange;
use super::super::world::World;
use super::state::{Task, TaskContainer, TaskTimes};
use super::task_health::{self, HealthCheckSource};
use super::task_steps::CommonStep;
use super::{EcsEvent, failure_detection, listener_routes, scheduler, side_effects, task_outcomes};

/// The exit code of a process that does not handle SIGTERM: 128 + 15.
pub(super) const TERMINATED: i64 = 143;

/// A step in the life of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStep {
    /// A step of every task.
    Common(CommonStep),
    /// It cannot start.
    FailToStart,
    /// It counts as healthy.
    Healthy,
    /// Its health check fails visibly.
    Unhealthy,
    /// Its health check failed too often.
    StopUnhealthy,
    /// A container ends by itself.
    Crash,
    /// It is stopped from outside.
    Interrupt,
    /// Its targets are drained.
    Drained,
}

impl TaskStep {
    fn is_shutdown(self) -> bool {
        match self {
            Self::Common(step) => step.is_shutdown(),
            Self::Drained => true,
            Self::FailToStart
            | Self::Healthy
            | Self::Unhealthy
            | Self::StopUnhealthy
            | Self::Crash
            | Self::Interrupt => false,
        }
    }
}

impl From<CommonStep> for TaskStep {
    fn from(step: CommonStep) -> Self {
        Self::Common(step)
    }
}

/// Start a task of a deployment; its outcome is decided here.
pub(super) fn start_task(world: &mut World, deployment: usize, now: f64) -> usize {
    let (outcome, delay) = task_outcomes::choose_outcome(world, deployment);
    let task = create_task(world, deployment, outcome, now);
    let wait = world.timings.provision;
    schedule_step(world, task, CommonStep::Pull, wait, now + delay);
    task
}

/// A task in PROVISIONING, entered in all lists.
pub(super) fn create_task(world: &mut World, deployment: usize, outcome: TaskOutcome, now: f64) -> usize {
    let id = world.rng.hex_digits(32);
    let ip = pick_free_address(world);
    let attachment = world.rng.uuid();
    let index = world.ecs.tasks.len();
    let service = world.ecs.deployments[deployment].service;
    let definition = world.ecs.revisions[world.ecs.deployments[deployment].revision].definition;
    let containers = world.ecs.definitions[definition].containers.len();
    let cluster = &world.ecs.clusters[world.ecs.services[service].cluster];
    let takes_commands =
        world.ecs.services[service].members.get("enableExecuteCommand").is_some_and(|it| *it == true);
    world.ecs.tasks.push(Task {
        arn: format!("arn:aws:ecs:{}:{}:task/{cluster}/{id}", world.region, world.account),
        service,
        deployment,
        definition,
        takes_commands,
        last_status: "PROVISIONING",
        should_run: true,
        healthy: false,
        health: "UNKNOWN",
        ip,
        attachment,
        in_second_zone: world.ecs.services[service].tasks.len() % 2 == 1,
        outcome,
        change_count: 1,
        times: TaskTimes { created: now, ..TaskTimes::default() },
        stop_code: None,
        stopped_reason: None,
        containers: vec![TaskContainer { digest: None, exit_code: None, reason: None }; containers],
        id: id.clone(),
    });
    world.ecs.task_ids.insert(id, index);
    world.ecs.services[service].tasks.push(index);
    index
}

/// Take a step, unless the task has gone another way since it was planned.
pub(super) fn on_step(world: &mut World, task: usize, step: TaskStep, now: f64) {
    if world.ecs.tasks[task].should_run == step.is_shutdown() {
        return;
    }
    match step {
        TaskStep::Common(CommonStep::Pull) => start_pull(world, task, now),
        TaskStep::Common(CommonStep::Pulled) => finish_pull(world, task, now),
        TaskStep::FailToStart => fail_to_start(world, task, now),
        TaskStep::Common(CommonStep::Run) => start_containers(world, task, now),
        TaskStep::Healthy => task_health::mark_healthy(world, task, now),
        TaskStep::Unhealthy => task_health::mark_unhealthy(world, task),
        TaskStep::StopUnhealthy => task_health::stop_unhealthy(world, task, now),
        TaskStep::Crash => crash(world, task, now),
        TaskStep::Interrupt => interrupt(world, task, now),
        TaskStep::Drained => finish_drain(world, task, now),
        TaskStep::Common(CommonStep::Exited) => finish_exit(world, task, now),
        TaskStep::Common(CommonStep::Stopped) => mark_stopped(world, task, now),
    }
}

fn start_pull(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "PENDING");
    world.ecs.tasks[task].times.pull_started = Some(now);
    let timings = &world.timings;
    let (next, wait) = match world.ecs.tasks[task].outcome {
        TaskOutcome::ImageNotFound | TaskOutcome::WrongPlatform => {
            (TaskStep::FailToStart, timings.pull_failure)
        }
        TaskOutcome::SecretMissing | TaskOutcome::FailToStart(_) => {
            (TaskStep::FailToStart, timings.init_failure)
        }
        _ => (CommonStep::Pulled.into(), timings.pull),
    };
    schedule_step(world, task, next, wait, now);
}

fn finish_pull(world: &mut World, task: usize, now: f64) {
    let digests: Vec<_> = {
        let revision = world.ecs.deployments[world.ecs.tasks[task].deployment].revision;
        world.ecs.revisions[revision].images.iter().map(|(_, _, digest)| digest.clone()).collect()
    };
    let it = &mut world.ecs.tasks[task];
    it.times.pull_stopped = Some(now);
    for (container, digest) in it.containers.iter_mut().zip(digests) {
        container.digest = digest;
    }
    let wait = world.timings.start;
    schedule_step(world, task, CommonStep::Run, wait, now);
}

fn start_containers(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "RUNNING");
    world.ecs.tasks[task].times.started = Some(now);
    side_effects::register_targets(world, task);
    add_target_events(world, task, "registered 1 targets in", now);
    let checked = task_health::health_check_source(world, task) != HealthCheckSource::None;
    let service = world.ecs.tasks[task].service;
    let timings = world.timings.clone();
    match world.ecs.tasks[task].outcome.clone() {
        TaskOutcome::Crash { after, container, .. } => {
            schedule_step(world, task, TaskStep::Crash, exact_seconds(after), now);
            if !crashing_container(world, task, container.as_deref()).1 {
                let wait = if checked { timings.health } else { timings.settle };
                schedule_step(world, task, TaskStep::Healthy, wait, now);
            }
        }
        TaskOutcome::Unhealthy if checked => {
            let grace = task_health::grace_seconds(&world.ecs.services[service]);
            let wait = world.rng.pick_seconds(timings.unhealthy);
            schedule_step(world, task, TaskStep::Unhealthy, exact_seconds(wait / 2.0), now);
            schedule_step(world, task, TaskStep::StopUnhealthy, exact_seconds(grace + wait), now);
        }
        outcome => {
            if let TaskOutcome::Stopped { after, .. } = outcome {
                schedule_step(world, task, TaskStep::Interrupt, exact_seconds(after), now);
            }
            side_effects::write_logs(world, task, None, &["listening".into()], now);
            schedule_step(
                world,
                task,
                TaskStep::Healthy,
                if checked { timings.health } else { timings.settle },
                now,
            );
        }
    }
    scheduler::reconcile_later(world, service, now);
}

fn fail_to_start(world: &mut World, task: usize, now: f64) {
    let it = &world.ecs.tasks[task];
    let definition = &world.ecs.definitions[it.definition];
    let Some(reason) = task_outcomes::start_failure(definition, &it.outcome) else { return };
    let (reason, of_container) = task_outcomes::stopped_and_container_reason(&reason);
    if let Some(container) = world.ecs.tasks[task].containers.first_mut() {
        container.reason = of_container;
    }
    stop_task(world, task, "TaskFailedToStart", &reason, now);
    failure_detection::on_task_failed(world, task, now);
}

/// The place of the container that crashes, and whether the task ends with it.
fn crashing_container(world: &World, task: usize, name: Option<&str>) -> (usize, bool) {
    let definition = &world.ecs.definitions[world.ecs.tasks[task].definition];
    let place = side_effects::container_place(definition, name).unwrap_or(0);
    (place, definition.containers.get(place).is_none_or(|it| it.essential))
}

fn crash(world: &mut World, task: usize, now: f64) {
    let TaskOutcome::Crash { container, exit_code: code, reason, log_lines: log, .. } =
        world.ecs.tasks[task].outcome.clone()
    else {
        return;
    };
    side_effects::write_logs(world, task, container.as_deref(), &log, now);
    let (main, is_essential) = crashing_container(world, task, container.as_deref());
    let it = &mut world.ecs.tasks[task];
    if !is_essential {
        // API ContainerDefinition, `essential`: the failure does not affect the rest of the containers in the task.
        let ended = &mut it.containers[main];
        (ended.exit_code, ended.reason) = (Some(code), reason);
        return;
    }
    it.times.execution_stopped = Some(now);
    for (place, container) in it.containers.iter_mut().enumerate() {
        // The others get SIGTERM.
        container.exit_code = Some(if place == main { code } else { TERMINATED });
        container.reason = reason.clone().filter(|_| place == main);
    }
    stop_task(world, task, "EssentialContainerExited", "Essential container in task exited", now);
    failure_detection::on_task_failed(world, task, now);
}

/// Somebody, or AWS, stops a task that runs: the deployment has not failed by it.
fn interrupt(world: &mut World, task: usize, now: f64) {
    let TaskOutcome::Stopped { code, reason, .. } = world.ecs.tasks[task].outcome.clone() else { return };
    stop_task(world, task, code.name(), &reason, now);
}

/// Begin the end of a task: drain its targets if it has any, then stop its containers, then take down its network.
pub(super) fn stop_task(world: &mut World, task: usize, code: &'static str, reason: &str, now: f64) {
    let it = &mut world.ecs.tasks[task];
    if !it.should_run {
        return;
    }
    let running = it.last_status == "RUNNING" && it.times.execution_stopped.is_none();
    (it.should_run, it.healthy) = (false, false);
    it.times.stopping = Some(now);
    it.stop_code = Some(code);
    it.stopped_reason = Some(reason.into());
    let service = it.service;
    let balanced = !listener_routes::task_target_groups(&world.ecs, task).is_empty();
    side_effects::set_target_state(
        world,
        task,
        "draining",
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress",
    );
    let timings = &world.timings;
    let (last, next, wait) = match (running, balanced) {
        (true, true) => ("DEACTIVATING", TaskStep::Drained, timings.deregistration),
        (true, false) => ("STOPPING", CommonStep::Exited.into(), timings.stop),
        (false, _) => ("DEPROVISIONING", CommonStep::Stopped.into(), timings.deprovision),
    };
    set_last_status(world, task, last);
    schedule_step(world, task, next, wait, now);
    if running && balanced {
        add_target_events(world, task, "deregistered 1 targets in", now);
        super::service_events::add_event(world, service, "has begun draining connections on 1 tasks.", now);
    }
    scheduler::reconcile_later(world, service, now);
}

/// Stop tasks because the scheduler has no use for them any more.
pub(super) fn scale_in(world: &mut World, service: usize, ending: &[usize], now: f64) {
    if ending.is_empty() {
        return;
    }
    for &task in ending {
        let id = &world.ecs.deployments[world.ecs.tasks[task].deployment].id;
        let reason = format!("Scaling activity initiated by (deployment {id})");
        stop_task(world, task, "ServiceSchedulerInitiated", &reason, now);
    }
    let ids =
        super::service_events::format_task_ids(ending.iter().map(|&task| world.ecs.tasks[task].id.as_str()));
    let message = format!("has stopped {} running tasks: {ids}.", ending.len());
    super::service_events::add_event(world, service, &message, now);
    world.ecs.services[service].is_steady = false;
}

/// An event for each target group of a task.
fn add_target_events(world: &mut World, task: usize, what: &str, now: f64) {
    let service = world.ecs.tasks[task].service;
    for (group, _) in listener_routes::task_target_groups(&world.ecs, task) {
        super::service_events::add_event(world, service, &format!("{what} (target-group {group})"), now);
    }
}

fn finish_drain(world: &mut World, task: usize, now: f64) {
    side_effects::remove_targets(world, task);
    set_last_status(world, task, "STOPPING");
    let wait = world.timings.stop;
    schedule_step(world, task, CommonStep::Exited, wait, now);
}

fn finish_exit(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "DEPROVISIONING");
    let it = &mut world.ecs.tasks[task];
    it.times.execution_stopped = Some(now);
    it.containers.iter_mut().for_each(|container| container.exit_code = Some(TERMINATED));
    let wait = world.timings.deprovision;
    schedule_step(world, task, CommonStep::Stopped, wait, now);
}

fn mark_stopped(world: &mut World, task: usize, now: f64) {
    side_effects::remove_targets(world, task);
    set_last_status(world, task, "STOPPED");
    world.ecs.tasks[task].times.stopped = Some(now);
    let service = world.ecs.tasks[task].service;
    scheduler::reconcile_later(world, service, now);
}

fn set_last_status(world: &mut World, task: usize, last: &'static str) {
    let it = &mut world.ecs.tasks[task];
    it.last_status = last;
    it.change_count += 1;
}

pub(super) fn schedule_step(
    world: &mut World,
    task: usize,
    step: impl Into<TaskStep>,
    wait: SecondsRange,
    now: f64,
) {
    let at = now + world.rng.pick_seconds(wait);
    world.events.schedule(at, EcsEvent::Task(task, step.into()));
}

pub(super) fn exact_seconds(seconds: f64) -> SecondsRange {
    SecondsRange { min: seconds, max: seconds }
}

/// An address of the network that no task has: with two tasks at one address a target group would hold one of them.
fn pick_free_address(world: &mut World) -> String {
    let mut draw = || format!("10.0.{}.{}", world.rng.number_below(250), world.rng.number_below(250) + 4);
    let taken = |ip: &str| world.ecs.tasks.iter().any(|task| task.ip == ip);
    let mut ip = draw();
    for _ in 0..100 {
        if !taken(&ip) {
            break;
        }
        ip = draw();
    }
    ip
}
