//! Tasks that no service started, and their life: they run a command once and stop. What RunTask checks is `run_task`.

use serde_json::{Map, Value};

use super::super::agenda::Event;
use super::super::chance::Span;
use super::super::commands::Command;
use super::super::faults::{Fate, Subject};
use super::super::world::World;
use super::state::{Running, Times};
use super::{Happening, images};

/// A task of RunTask.
#[derive(Debug, Clone)]
pub(super) struct OneOff {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) cluster: usize,
    pub(super) definition: usize,
    pub(super) started_by: Option<String>,
    pub(super) group: String,
    /// `clientToken`, and what was asked with it.
    pub(super) token: Option<(String, Value)>,
    /// Launch type, platform version, overrides, tags: as the answers show them.
    pub(super) members: Map<String, Value>,
    pub(super) last: &'static str,
    /// It shall run; false once anything stopped it.
    pub(super) wanted: bool,
    pub(super) ip: String,
    pub(super) attachment: String,
    pub(super) changes: u32,
    pub(super) times: Times,
    pub(super) stop_code: Option<&'static str>,
    pub(super) stopped_reason: Option<String>,
    pub(super) containers: Vec<Running>,
    /// The container whose command is run.
    pub(super) main: usize,
    pub(super) fate: Fate,
    pub(super) command: Command,
}

/// A step in the life of such a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// PROVISIONING is over, images are pulled now.
    Pull,
    /// Images are there, or cannot be had.
    Pulled,
    /// Containers run.
    Run,
    /// The command ends by itself.
    End,
    /// Its containers have ended because it was stopped.
    Exited,
    /// Its network interface is gone.
    Gone,
}

/// Begin the life of a task that was entered in PROVISIONING.
pub(super) fn begin(world: &mut World, task: usize, now: f64) {
    let wait = world.timings.provision;
    plan(world, task, Step::Pull, wait, now);
}

/// Take a step, unless the task has gone another way since it was planned.
pub(super) fn step(world: &mut World, task: usize, step: Step, now: f64) {
    if world.ecs.one_offs[task].wanted == matches!(step, Step::Exited | Step::Gone) {
        return;
    }
    match step {
        Step::Pull => pull(world, task, now),
        Step::Pulled => pulled(world, task, now),
        Step::Run => run(world, task, now),
        Step::End => end(world, task, now),
        Step::Exited => exited(world, task, now),
        Step::Gone => gone(world, task, now),
    }
}

fn pull(world: &mut World, task: usize, now: f64) {
    turn(world, task, "PENDING");
    world.ecs.one_offs[task].times.pull_started = Some(now);
    let wait = match world.ecs.one_offs[task].fate {
        Fate::NoImage | Fate::WrongPlatform => world.timings.pull_failure,
        Fate::NoSecret => world.timings.init_failure,
        _ => world.timings.pull,
    };
    plan(world, task, Step::Pulled, wait, now);
}

fn pulled(world: &mut World, task: usize, now: f64) {
    if let Some(reason) = unstartable(world, task) {
        let container = &mut world.ecs.one_offs[task].containers[0];
        container.reason = reason.starts_with("CannotPull").then(|| reason.clone());
        return stop(world, task, "TaskFailedToStart", &reason, now);
    }
    let definition = world.ecs.one_offs[task].definition;
    let references = world.ecs.definitions[definition].containers.iter().map(|it| it.image.clone());
    let references: Vec<String> = references.collect();
    for (place, reference) in references.iter().enumerate() {
        if let images::Found::Digest(digest) = images::resolve(world, reference) {
            world.ecs.one_offs[task].containers[place].digest = Some(digest);
        }
    }
    world.ecs.one_offs[task].times.pull_stopped = Some(now);
    let wait = world.timings.start;
    plan(world, task, Step::Run, wait, now);
}

/// Why it cannot start, in the words of ECS.
fn unstartable(world: &World, task: usize) -> Option<String> {
    let definition = &world.ecs.definitions[world.ecs.one_offs[task].definition];
    let image = definition.containers.first().map_or("", |container| container.image.as_str());
    let pulling = "CannotPullContainerError: pull image manifest has been retried 1 time(s):";
    match world.ecs.one_offs[task].fate {
        Fate::NoImage => Some(format!("{pulling} failed to resolve ref {image}: {image}: not found")),
        Fate::WrongPlatform => Some(format!(
            "{pulling} image Manifest does not contain descriptor matching platform 'linux/amd64'"
        )),
        Fate::NoSecret => {
            let secret =
                definition.containers.iter().find_map(|it| it.secret.as_deref()).unwrap_or("missing");
            Some(format!(
                "ResourceInitializationError: unable to pull secrets or registry auth: failed to fetch secret {secret} \
                 from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
            ))
        }
        _ => None,
    }
}

fn run(world: &mut World, task: usize, now: f64) {
    turn(world, task, "RUNNING");
    let it = &mut world.ecs.one_offs[task];
    it.times.started = Some(now);
    let after = it.command.after;
    plan(world, task, Step::End, Span { least: after, most: after }, now);
}

/// The command ends: with it the task, when its container is essential.
fn end(world: &mut World, task: usize, now: f64) {
    write(world, task, now);
    let it = &mut world.ecs.one_offs[task];
    let (main, exit) = (it.main, it.command.exit);
    it.containers[main].exit_code = Some(exit);
    it.changes += 1;
    let definition = &world.ecs.definitions[it.definition];
    if definition.containers[main].essential {
        for container in &mut it.containers {
            container.exit_code.get_or_insert(0);
        }
        it.times.execution_stopped = Some(now);
        stop(world, task, "EssentialContainerExited", "Essential container in task exited", now);
    }
}

/// Write the lines of the command, as the awslogs driver of its container would.
fn write(world: &mut World, task: usize, now: f64) {
    let it = &world.ecs.one_offs[task];
    let container = &world.ecs.definitions[it.definition].containers[it.main];
    let Some((group, prefix)) = &container.logs else { return };
    let stream = (group.clone(), format!("{prefix}/{}/{}", container.name, it.id));
    let lines = it.command.logs.iter().map(|line| ((now * 1000.0) as i64, line.clone()));
    let lines: Vec<_> = lines.collect();
    world.logs.entry(stream).or_default().extend(lines);
}

/// Begin the end of a task.
pub(super) fn stop(world: &mut World, task: usize, code: &'static str, reason: &str, now: f64) {
    let it = &mut world.ecs.one_offs[task];
    if !it.wanted {
        return;
    }
    let running = it.last == "RUNNING" && it.times.execution_stopped.is_none();
    it.wanted = false;
    it.times.stopping = Some(now);
    it.stop_code = Some(code);
    it.stopped_reason = Some(reason.into());
    let (last, next, wait) = match running {
        true => ("STOPPING", Step::Exited, world.timings.stop),
        false => ("DEPROVISIONING", Step::Gone, world.timings.deprovision),
    };
    turn(world, task, last);
    plan(world, task, next, wait, now);
}

/// What is told to stop and does not handle it ends by the signal: 128 and 15.
fn exited(world: &mut World, task: usize, now: f64) {
    turn(world, task, "DEPROVISIONING");
    let it = &mut world.ecs.one_offs[task];
    it.times.execution_stopped = Some(now);
    it.containers.iter_mut().for_each(|container| {
        container.exit_code.get_or_insert(143);
    });
    let wait = world.timings.deprovision;
    plan(world, task, Step::Gone, wait, now);
}

fn gone(world: &mut World, task: usize, now: f64) {
    turn(world, task, "STOPPED");
    world.ecs.one_offs[task].times.stopped = Some(now);
}

/// What keeps a task of this definition from starting: what the scenario says, else what its image makes of it.
pub(super) fn fate(world: &mut World, definition: usize) -> Fate {
    let missing = |world: &World, image: &str| images::resolve(world, image) == images::Found::Missing;
    let references: Vec<String> =
        world.ecs.definitions[definition].containers.iter().map(|it| it.image.clone()).collect();
    if references.iter().any(|image| missing(world, image)) {
        return Fate::NoImage;
    }
    world.mischief.start_fate(&subject(&world.ecs, definition))
}

/// What faults look at when they choose whom to strike: the service goes by the family.
pub(super) fn subject(ecs: &super::state::State, definition: usize) -> Subject<'_> {
    let (old, images) = ecs.version(definition);
    Subject { old, service: &ecs.definitions[definition].family, images }
}

fn turn(world: &mut World, task: usize, last: &'static str) {
    let it = &mut world.ecs.one_offs[task];
    it.last = last;
    it.changes += 1;
}

fn plan(world: &mut World, task: usize, step: Step, wait: Span, now: f64) {
    let at = now + world.chance.seconds(wait);
    world.agenda.plan(at, Event::Ecs(Happening::OneOff(task, step)));
}
