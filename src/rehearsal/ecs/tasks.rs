//! The life of a task: PROVISIONING, PENDING, RUNNING, healthy; then DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED.
//! Whether it should live is the scheduler's business; what its end means for a deployment is `rollout`'s.

use super::super::agenda::Event;
use super::super::chance::Span;
use super::super::faults::{Fate, Subject};
use super::super::world::World;
use super::state::{Definition, Running, Service, Task, Times};
use super::{Happening, detection, images, routes, scheduler, surroundings};

/// A step in the life of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// PROVISIONING is over, images are pulled now.
    Pull,
    /// Images are there.
    Pulled,
    /// It cannot start.
    GiveUp,
    /// Containers run.
    Run,
    /// It counts as healthy.
    Healthy,
    /// Its health check fails visibly.
    Unhealthy,
    /// Its health check failed too often.
    Condemn,
    /// Its main process ends by itself.
    Crash,
    /// Its targets are drained.
    Drained,
    /// Its containers have ended.
    Exited,
    /// Its network interface is gone.
    Gone,
}

impl Step {
    fn ends(self) -> bool {
        matches!(self, Self::Drained | Self::Exited | Self::Gone)
    }
}

/// Start a task of a deployment; its fate is decided here.
pub(super) fn launch(world: &mut World, deployment: usize, now: f64) -> usize {
    let (fate, delay) = fate(world, deployment);
    let task = create(world, deployment, fate, now);
    let wait = world.timings.provision;
    plan(world, task, Step::Pull, wait, now + delay);
    task
}

/// A task in PROVISIONING, entered in all lists.
pub(super) fn create(world: &mut World, deployment: usize, fate: Fate, now: f64) -> usize {
    let id = world.chance.hex(32);
    let ip = free_address(world);
    let attachment = world.chance.uuid();
    let index = world.ecs.tasks.len();
    let service = world.ecs.deployments[deployment].service;
    let definition = world.ecs.revisions[world.ecs.deployments[deployment].revision].definition;
    let containers = world.ecs.definitions[definition].containers.len();
    let cluster = &world.ecs.clusters[world.ecs.services[service].cluster];
    world.ecs.tasks.push(Task {
        arn: format!("arn:aws:ecs:{}:{}:task/{cluster}/{id}", world.region, world.account),
        service,
        deployment,
        definition,
        last: "PROVISIONING",
        wanted: true,
        healthy: false,
        health: "UNKNOWN",
        ip,
        attachment,
        fate,
        changes: 1,
        times: Times { created: now, ..Times::default() },
        stop_code: None,
        stopped_reason: None,
        containers: vec![Running { digest: None, exit_code: None, reason: None }; containers],
        id: id.clone(),
    });
    world.ecs.task_ids.insert(id, index);
    world.ecs.services[service].tasks.push(index);
    index
}

/// Take a step, unless the task has gone another way since it was planned.
pub(super) fn step(world: &mut World, task: usize, step: Step, now: f64) {
    if world.ecs.tasks[task].wanted == step.ends() {
        return;
    }
    match step {
        Step::Pull => pull(world, task, now),
        Step::Pulled => pulled(world, task, now),
        Step::GiveUp => give_up(world, task, now),
        Step::Run => run(world, task, now),
        Step::Healthy => healthy(world, task, now),
        Step::Unhealthy => unhealthy(world, task),
        Step::Condemn => condemn(world, task, now),
        Step::Crash => crash(world, task, now),
        Step::Drained => drained(world, task, now),
        Step::Exited => exited(world, task, now),
        Step::Gone => gone(world, task, now),
    }
}

fn pull(world: &mut World, task: usize, now: f64) {
    turn(world, task, "PENDING");
    world.ecs.tasks[task].times.pull_started = Some(now);
    let timings = &world.timings;
    let (next, wait) = match world.ecs.tasks[task].fate {
        Fate::NoImage | Fate::WrongPlatform => (Step::GiveUp, timings.pull_failure),
        Fate::NoSecret => (Step::GiveUp, timings.init_failure),
        _ => (Step::Pulled, timings.pull),
    };
    plan(world, task, next, wait, now);
}

fn pulled(world: &mut World, task: usize, now: f64) {
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
    plan(world, task, Step::Run, wait, now);
}

fn run(world: &mut World, task: usize, now: f64) {
    turn(world, task, "RUNNING");
    world.ecs.tasks[task].times.started = Some(now);
    surroundings::register(world, task);
    about_targets(world, task, "registered 1 targets in", now);
    let checked = checks(world, task) != Checks::None;
    let service = world.ecs.tasks[task].service;
    let timings = world.timings.clone();
    match world.ecs.tasks[task].fate.clone() {
        Fate::Crash { after, .. } => plan(world, task, Step::Crash, exactly(after), now),
        Fate::Sick if checked => {
            let grace = grace(&world.ecs.services[service]);
            let wait = world.chance.seconds(timings.unhealthy);
            plan(world, task, Step::Unhealthy, exactly(wait / 2.0), now);
            plan(world, task, Step::Condemn, exactly(grace + wait), now);
        }
        _ => {
            surroundings::log(world, task, &["listening".into()], now);
            plan(world, task, Step::Healthy, if checked { timings.health } else { timings.settle }, now);
        }
    }
    scheduler::stir(world, service, now);
}

fn healthy(world: &mut World, task: usize, now: f64) {
    let container = checks(world, task) == Checks::Container;
    let it = &mut world.ecs.tasks[task];
    it.healthy = true;
    it.changes += 1;
    if container {
        it.health = "HEALTHY";
    }
    surroundings::turn(world, task, "healthy", "", "");
    detection::task_became_healthy(world, task);
    if let Fate::Flapping(seconds) = world.ecs.tasks[task].fate
        && checks(world, task) != Checks::None
    {
        let wait = world.chance.seconds(world.timings.unhealthy);
        plan(world, task, Step::Unhealthy, exactly(seconds), now);
        plan(world, task, Step::Condemn, exactly(seconds + wait / 2.0), now);
    }
    let service = world.ecs.tasks[task].service;
    scheduler::stir(world, service, now);
}

fn unhealthy(world: &mut World, task: usize) {
    let checks = checks(world, task);
    let it = &mut world.ecs.tasks[task];
    it.healthy = false;
    it.changes += 1;
    if checks == Checks::Container {
        it.health = "UNHEALTHY";
    }
    surroundings::turn(
        world,
        task,
        "unhealthy",
        "Target.ResponseCodeMismatch",
        "Health checks failed with these codes: [503]",
    );
}

fn condemn(world: &mut World, task: usize, now: f64) {
    let service = world.ecs.tasks[task].service;
    let id = world.ecs.tasks[task].id.clone();
    let reason = match checks(world, task) {
        Checks::Balancer(group, port) => {
            let why = "Health checks failed with these codes: [503]";
            let message =
                format!("(port {port}) is unhealthy in (target-group {group}) due to (reason {why}).");
            super::events::note(world, service, &format!("(task {id}) {message}"), now);
            format!("Task failed ELB health checks in (target-group {group})")
        }
        _ => {
            super::events::note(world, service, &format!("(task {id}) failed container health checks."), now);
            "Task failed container health checks".into()
        }
    };
    stop(world, task, "ServiceSchedulerInitiated", &reason, now);
    detection::task_failed(world, task, now);
}

fn give_up(world: &mut World, task: usize, now: f64) {
    let it = &world.ecs.tasks[task];
    let definition = &world.ecs.definitions[it.definition];
    let first = definition.containers.first();
    let image = first.map_or("", |c| c.image.as_str());
    let pulling = "CannotPullContainerError: pull image manifest has been retried 1 time(s):";
    let reason = match it.fate {
        Fate::WrongPlatform => {
            let wanted = architecture(definition);
            format!("{pulling} image Manifest does not contain descriptor matching platform 'linux/{wanted}'")
        }
        Fate::NoSecret => no_secret(definition.containers.iter().find_map(|c| c.secret.as_deref())),
        _ => format!("{pulling} failed to resolve ref {image}: {image}: not found"),
    };
    if let Some(container) = world.ecs.tasks[task].containers.first_mut() {
        container.reason = reason.starts_with("CannotPull").then(|| reason.clone());
    }
    stop(world, task, "TaskFailedToStart", &reason, now);
    detection::task_failed(world, task, now);
}

fn no_secret(secret: Option<&str>) -> String {
    let secret = secret.unwrap_or("arn:aws:secretsmanager:eu-west-1:111111111111:secret:missing");
    format!(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
         unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {secret} \
         from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
    )
}

fn crash(world: &mut World, task: usize, now: f64) {
    let Fate::Crash { code, reason, log, .. } = world.ecs.tasks[task].fate.clone() else { return };
    surroundings::log(world, task, &log, now);
    let definition = world.ecs.tasks[task].definition;
    let main = world.ecs.definitions[definition].containers.iter().position(|c| c.essential).unwrap_or(0);
    let it = &mut world.ecs.tasks[task];
    it.times.execution_stopped = Some(now);
    for (place, container) in it.containers.iter_mut().enumerate() {
        container.exit_code = Some(if place == main { code } else { 0 });
        container.reason = reason.clone().filter(|_| place == main);
    }
    stop(world, task, "EssentialContainerExited", "Essential container in task exited", now);
    detection::task_failed(world, task, now);
}

/// Begin the end of a task: drain its targets if it has any, then stop its containers, then take down its network.
pub(super) fn stop(world: &mut World, task: usize, code: &'static str, reason: &str, now: f64) {
    let it = &mut world.ecs.tasks[task];
    if !it.wanted {
        return;
    }
    let running = it.last == "RUNNING" && it.times.execution_stopped.is_none();
    (it.wanted, it.healthy) = (false, false);
    it.times.stopping = Some(now);
    it.stop_code = Some(code);
    it.stopped_reason = Some(reason.into());
    let service = it.service;
    let balanced = !routes::of_task(&world.ecs, task).is_empty();
    surroundings::turn(
        world,
        task,
        "draining",
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress",
    );
    let timings = &world.timings;
    let (last, next, wait) = match (running, balanced) {
        (true, true) => ("DEACTIVATING", Step::Drained, timings.deregistration),
        (true, false) => ("STOPPING", Step::Exited, timings.stop),
        (false, _) => ("DEPROVISIONING", Step::Gone, timings.deprovision),
    };
    turn(world, task, last);
    plan(world, task, next, wait, now);
    if running && balanced {
        about_targets(world, task, "deregistered 1 targets in", now);
        super::events::note(world, service, "has begun draining connections on 1 tasks.", now);
    }
    scheduler::stir(world, service, now);
}

/// Stop tasks because the scheduler has no use for them any more.
pub(super) fn scale_in(world: &mut World, service: usize, ending: &[usize], now: f64) {
    if ending.is_empty() {
        return;
    }
    for &task in ending {
        let id = &world.ecs.deployments[world.ecs.tasks[task].deployment].id;
        let reason = format!("Scaling activity initiated by (deployment {id})");
        stop(world, task, "ServiceSchedulerInitiated", &reason, now);
    }
    let ids = super::events::listed(ending.iter().map(|&task| world.ecs.tasks[task].id.as_str()));
    let message = format!("has stopped {} running tasks: {ids}.", ending.len());
    super::events::note(world, service, &message, now);
    world.ecs.services[service].steady = false;
}

/// An event for each target group of a task.
fn about_targets(world: &mut World, task: usize, what: &str, now: f64) {
    let service = world.ecs.tasks[task].service;
    for (group, _) in routes::of_task(&world.ecs, task) {
        super::events::note(world, service, &format!("{what} (target-group {group})"), now);
    }
}

fn drained(world: &mut World, task: usize, now: f64) {
    surroundings::remove(world, task);
    turn(world, task, "STOPPING");
    let wait = world.timings.stop;
    plan(world, task, Step::Exited, wait, now);
}

fn exited(world: &mut World, task: usize, now: f64) {
    turn(world, task, "DEPROVISIONING");
    let it = &mut world.ecs.tasks[task];
    it.times.execution_stopped = Some(now);
    it.containers.iter_mut().for_each(|container| container.exit_code = Some(0));
    let wait = world.timings.deprovision;
    plan(world, task, Step::Gone, wait, now);
}

fn gone(world: &mut World, task: usize, now: f64) {
    surroundings::remove(world, task);
    turn(world, task, "STOPPED");
    world.ecs.tasks[task].times.stopped = Some(now);
    let service = world.ecs.tasks[task].service;
    scheduler::stir(world, service, now);
}

/// Who checks the health of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Checks {
    None,
    Container,
    Balancer(String, u16),
}

fn checks(world: &World, task: usize) -> Checks {
    let definition = world.ecs.tasks[task].definition;
    if world.ecs.definitions[definition].containers.iter().any(|c| c.essential && c.health_check) {
        return Checks::Container;
    }
    let groups = routes::of_task(&world.ecs, task);
    groups.into_iter().next().map_or(Checks::None, |(group, port)| Checks::Balancer(group, port))
}

fn grace(service: &Service) -> f64 {
    service.members.get("healthCheckGracePeriodSeconds").and_then(serde_json::Value::as_f64).unwrap_or(0.0)
}

/// What becomes of a new task: what the scenario says, else what its image makes of it.
fn fate(world: &mut World, deployment: usize) -> (Fate, f64) {
    let deployment = &world.ecs.deployments[deployment];
    let revision = &world.ecs.revisions[deployment.revision];
    let wanted = architecture(&world.ecs.definitions[revision.definition]);
    let by_image = revision.images.iter().find_map(|(_, image, _)| match images::resolve(world, image) {
        images::Found::Missing => Some(Fate::NoImage),
        images::Found::Digest(_) => {
            let known = images::architectures(world, image);
            (!known.is_empty() && !known.iter().any(|it| it == wanted)).then_some(Fate::WrongPlatform)
        }
    });
    let (fate, delay) = world.mischief.fate(&subject(&world.ecs, deployment.service, revision.definition));
    (by_image.filter(|_| fate == Fate::Well).unwrap_or(fate), delay)
}

/// The architecture that a definition asks for, in the words of image manifests.
fn architecture(definition: &Definition) -> &'static str {
    if definition.shown["runtimePlatform"]["cpuArchitecture"] == "ARM64" { "arm64" } else { "amd64" }
}

/// What faults look at when they choose whom to strike.
pub(super) fn subject(ecs: &super::state::State, service: usize, definition: usize) -> Subject<'_> {
    let service = &ecs.services[service];
    Subject {
        old: service.founding == Some(definition),
        service: &service.name,
        images: ecs.definitions[definition].containers.iter().map(|c| c.image.as_str()).collect(),
    }
}

fn turn(world: &mut World, task: usize, last: &'static str) {
    let it = &mut world.ecs.tasks[task];
    it.last = last;
    it.changes += 1;
}

fn plan(world: &mut World, task: usize, step: Step, wait: Span, now: f64) {
    let at = now + world.chance.seconds(wait);
    world.agenda.plan(at, Event::Ecs(Happening::Task(task, step)));
}

fn exactly(seconds: f64) -> Span {
    Span { least: seconds, most: seconds }
}

/// An address of the network that no task has: with two tasks at one address a target group would hold one of them.
fn free_address(world: &mut World) -> String {
    let mut draw = || format!("10.0.{}.{}", world.chance.below(250), world.chance.below(250) + 4);
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
