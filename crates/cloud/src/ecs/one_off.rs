//! Tasks that no service started, and their life: they run a command once and stop. What RunTask checks is `run_task`.

use serde_json::{Map, Value};

use super::super::faults::TaskOutcome;
use super::super::one_off_commands::OneOffCommand;
use super::super::rng::SecondsRange;
use super::super::world::World;
use super::state::{TaskContainer, TaskTimes};
use super::task_steps::CommonStep;
use super::{EcsEvent, images, task_outcomes};

/// A task of RunTask.
#[derive(Debug, Clone)]
pub(super) struct OneOffTask {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) cluster: usize,
    pub(super) definition: usize,
    pub(super) started_by: Option<String>,
    pub(super) group: String,
    /// `clientToken`, and what was asked with it.
    pub(super) client_token: Option<(String, Value)>,
    /// Launch type, platform version, overrides, tags: as the answers show them.
    pub(super) members: Map<String, Value>,
    pub(super) last_status: &'static str,
    /// It shall run; false once anything stopped it.
    pub(super) should_run: bool,
    pub(super) ip: String,
    pub(super) attachment: String,
    pub(super) change_count: u32,
    pub(super) times: TaskTimes,
    pub(super) stop_code: Option<&'static str>,
    pub(super) stopped_reason: Option<String>,
    pub(super) containers: Vec<TaskContainer>,
    /// The container whose command is run.
    pub(super) main_container: usize,
    pub(super) outcome: TaskOutcome,
    pub(super) command: OneOffCommand,
}

/// A step in the life of such a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneOffStep {
    /// A step of every task.
    Common(CommonStep),
    /// The command ends by itself.
    End,
}

impl OneOffStep {
    fn is_shutdown(self) -> bool {
        match self {
            Self::Common(step) => step.is_shutdown(),
            Self::End => false,
        }
    }
}

impl From<CommonStep> for OneOffStep {
    fn from(step: CommonStep) -> Self {
        Self::Common(step)
    }
}

/// Begin the life of a task that was entered in PROVISIONING.
pub(super) fn start_task(world: &mut World, task: usize, now: f64) {
    let wait = world.timings.provision;
    schedule_step(world, task, CommonStep::Pull, wait, now);
}

/// Take a step, unless the task has gone another way since it was planned.
pub(super) fn on_step(world: &mut World, task: usize, step: OneOffStep, now: f64) {
    if world.ecs.one_off_tasks[task].should_run == step.is_shutdown() {
        return;
    }
    match step {
        OneOffStep::Common(CommonStep::Pull) => start_pull(world, task, now),
        OneOffStep::Common(CommonStep::Pulled) => finish_pull(world, task, now),
        OneOffStep::Common(CommonStep::Run) => start_containers(world, task, now),
        OneOffStep::End => finish_command(world, task, now),
        OneOffStep::Common(CommonStep::Exited) => finish_exit(world, task, now),
        OneOffStep::Common(CommonStep::Stopped) => mark_stopped(world, task, now),
    }
}

fn start_pull(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "PENDING");
    world.ecs.one_off_tasks[task].times.pull_started = Some(now);
    let wait = match world.ecs.one_off_tasks[task].outcome {
        TaskOutcome::ImageNotFound | TaskOutcome::WrongPlatform => world.timings.pull_failure,
        TaskOutcome::SecretMissing | TaskOutcome::FailToStart(_) => world.timings.init_failure,
        _ => world.timings.pull,
    };
    schedule_step(world, task, CommonStep::Pulled, wait, now);
}

fn finish_pull(world: &mut World, task: usize, now: f64) {
    let it = &world.ecs.one_off_tasks[task];
    if let Some(reason) = task_outcomes::start_failure(&world.ecs.definitions[it.definition], &it.outcome) {
        let (reason, of_container) = task_outcomes::stopped_and_container_reason(&reason);
        world.ecs.one_off_tasks[task].containers[0].reason = of_container;
        return stop_task(world, task, "TaskFailedToStart", &reason, now);
    }
    let definition = world.ecs.one_off_tasks[task].definition;
    let references = world.ecs.definitions[definition].containers.iter().map(|it| it.image.clone());
    let references: Vec<String> = references.collect();
    for (place, reference) in references.iter().enumerate() {
        if let images::ImageLookup::Digest(digest) = images::resolve_image(world, reference) {
            world.ecs.one_off_tasks[task].containers[place].digest = Some(digest);
        }
    }
    world.ecs.one_off_tasks[task].times.pull_stopped = Some(now);
    let wait = world.timings.start;
    schedule_step(world, task, CommonStep::Run, wait, now);
}

fn start_containers(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "RUNNING");
    let it = &mut world.ecs.one_off_tasks[task];
    it.times.started = Some(now);
    let after = it.command.after;
    schedule_step(world, task, OneOffStep::End, SecondsRange { min: after, max: after }, now);
}

/// The command ends: with it the task, when its container is essential.
fn finish_command(world: &mut World, task: usize, now: f64) {
    write_logs(world, task, now);
    let it = &mut world.ecs.one_off_tasks[task];
    let (main, exit) = (it.main_container, it.command.exit);
    it.containers[main].exit_code = Some(exit);
    it.change_count += 1;
    let definition = &world.ecs.definitions[it.definition];
    if definition.containers[main].essential {
        for container in &mut it.containers {
            container.exit_code.get_or_insert(0);
        }
        it.times.execution_stopped = Some(now);
        stop_task(world, task, "EssentialContainerExited", "Essential container in task exited", now);
    }
}

/// Write the lines of the command, as the awslogs driver of its container would.
fn write_logs(world: &mut World, task: usize, now: f64) {
    let it = &world.ecs.one_off_tasks[task];
    let container = &world.ecs.definitions[it.definition].containers[it.main_container];
    let Some((group, prefix)) = &container.logs else { return };
    let stream = (group.clone(), format!("{prefix}/{}/{}", container.name, it.id));
    let lines = it.command.logs.iter().map(|line| ((now * 1000.0) as i64, line.clone()));
    let lines: Vec<_> = lines.collect();
    world.logs.entry(stream).or_default().extend(lines);
}

/// Begin the end of a task.
pub(super) fn stop_task(world: &mut World, task: usize, code: &'static str, reason: &str, now: f64) {
    let it = &mut world.ecs.one_off_tasks[task];
    if !it.should_run {
        return;
    }
    let running = it.last_status == "RUNNING" && it.times.execution_stopped.is_none();
    it.should_run = false;
    it.times.stopping = Some(now);
    it.stop_code = Some(code);
    it.stopped_reason = Some(reason.into());
    let (last, next, wait) = match running {
        true => ("STOPPING", CommonStep::Exited, world.timings.stop),
        false => ("DEPROVISIONING", CommonStep::Stopped, world.timings.deprovision),
    };
    set_last_status(world, task, last);
    schedule_step(world, task, next, wait, now);
}

/// A process that does not handle SIGTERM exits with 128 + 15.
fn finish_exit(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "DEPROVISIONING");
    let it = &mut world.ecs.one_off_tasks[task];
    it.times.execution_stopped = Some(now);
    it.containers.iter_mut().for_each(|container| {
        container.exit_code.get_or_insert(143);
    });
    let wait = world.timings.deprovision;
    schedule_step(world, task, CommonStep::Stopped, wait, now);
}

fn mark_stopped(world: &mut World, task: usize, now: f64) {
    set_last_status(world, task, "STOPPED");
    world.ecs.one_off_tasks[task].times.stopped = Some(now);
}

fn set_last_status(world: &mut World, task: usize, last: &'static str) {
    let it = &mut world.ecs.one_off_tasks[task];
    it.last_status = last;
    it.change_count += 1;
}

fn schedule_step(world: &mut World, task: usize, step: impl Into<OneOffStep>, wait: SecondsRange, now: f64) {
    let at = now + world.rng.pick_seconds(wait);
    world.events.schedule(at, EcsEvent::OneOff(task, step.into()));
}
