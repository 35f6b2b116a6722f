//! The state machine of a service deployment: begin, fail, roll back, stop, be superseded, complete.
//! Transitions and statuses as AWS documents them; where tasks are started and stopped is `scheduler`.

use serde_json::Value;

use super::super::agenda::Event;
use super::super::chance::span;
use super::super::world::World;
use super::events::note;
use super::native::Native;
use super::state::{Deployment, Revision, Rollback, Rollout, State, Status};
use super::update::DEPLOYING;
use super::{Happening, detection, hooks, images, retreat, scheduler, stages};

/// A step of a service deployment that was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// PENDING is over.
    Start,
    /// A requested stop takes effect.
    Stop,
    /// A requested rollback begins.
    RollBack,
    /// Complete if it still looks so.
    Finish,
    /// Look at the alarms.
    Watch,
    /// A wait of a deployment in stages is over.
    Advance(u32),
    /// Nobody acted on a hook in time.
    Expire(usize),
    /// A hook's function has answered.
    Answered(usize),
}

/// Begin a deployment of what the service is now; whatever was in progress is superseded.
pub(super) fn begin(world: &mut World, service: usize, now: f64) -> usize {
    let superseded = supersede(world, service, now);
    let sources = sources(&world.ecs, service);
    let target = revise(world, service, now);
    let rollout = enter(world, service, target, sources, now);
    let deployment = promote(world, service, target, rollout, now);
    world.ecs.rollouts[rollout].deployment = deployment;
    let wait = if superseded { span(3.0, 5.0) } else { span(1.0, 2.0) };
    let wait = world.chance.seconds(wait);
    plan(world, rollout, Step::Start, now + wait);
    rollout
}

/// Revisions that run now, with their task counts.
fn sources(ecs: &State, service: usize) -> Vec<(usize, u32)> {
    let mut sources: Vec<(usize, u32)> = Vec::new();
    for task in ecs.services[service].tasks.iter().map(|&task| &ecs.tasks[task]).filter(|task| task.serves())
    {
        let revision = ecs.deployments[task.deployment].revision;
        match sources.iter_mut().find(|(known, _)| *known == revision) {
            Some((_, count)) => *count += 1,
            None => sources.push((revision, 1)),
        }
    }
    sources
}

/// End what is in progress because a newer deployment begins.
fn supersede(world: &mut World, service: usize, now: f64) -> bool {
    let Some(&last) = world.ecs.services[service].rollouts.last() else { return false };
    match world.ecs.rollouts[last].status {
        Status::Pending | Status::InProgress => {
            stages::abandon(world, last, now);
            set(world, last, Status::StopRequested, "A new service deployment was started.", now);
            plan(world, last, Step::Stop, now + 2.0);
            true
        }
        // Stopped at once: a rollback that were still to come would undo the newer deployment.
        Status::RollbackRequested => {
            stages::abandon(world, last, now);
            set(world, last, Status::Stopped, "A new service deployment was started.", now);
            true
        }
        Status::RollbackInProgress => {
            stages::abandon(world, last, now);
            set(world, last, Status::RollbackFailed, "A new service deployment was started.", now);
            true
        }
        _ => false,
    }
}

/// Freeze what the service is into a revision.
pub(super) fn revise(world: &mut World, service: usize, now: f64) -> usize {
    let number = world.chance.digits(19);
    let it = &world.ecs.services[service];
    let definition = &world.ecs.definitions[it.definition];
    let cluster = &world.ecs.clusters[it.cluster];
    let found = |image: &str| match images::resolve(world, image) {
        images::Found::Digest(digest) => Some(digest),
        images::Found::Missing => None,
    };
    let images =
        definition.containers.iter().map(|c| (c.name.clone(), c.image.clone(), found(&c.image))).collect();
    let arn = format!(
        "arn:aws:ecs:{}:{}:service-revision/{cluster}/{}/{number}",
        world.region, world.account, it.name
    );
    let (definition, members, alternate) =
        (it.definition, it.members.clone(), alternates(&world.ecs, service));
    world.ecs.revisions.push(Revision {
        arn,
        service,
        definition,
        created_at: now,
        images,
        alternate,
        members,
    });
    world.ecs.revisions.len() - 1
}

/// Whether a new revision goes to the alternate target group: in stages to the group that does not serve, else to the one that does.
fn alternates(ecs: &State, service: usize) -> bool {
    let it = &ecs.services[service];
    let rolling = it.members.get("deploymentConfiguration").is_none_or(|c| c["strategy"] == "ROLLING");
    it.completed.is_some_and(|live| ecs.revisions[ecs.deployments[live].revision].alternate == rolling)
}

/// Enter a service deployment, PENDING.
pub(super) fn enter(
    world: &mut World,
    service: usize,
    target: usize,
    sources: Vec<(usize, u32)>,
    now: f64,
) -> usize {
    let token = world.chance.token(21);
    let it = &world.ecs.services[service];
    let cluster = &world.ecs.clusters[it.cluster];
    let configuration = it.members.get("deploymentConfiguration").cloned().unwrap_or(Value::Null);
    let rollout = Rollout {
        arn: format!(
            "arn:aws:ecs:{}:{}:service-deployment/{cluster}/{}/{token}",
            world.region, world.account, it.name
        ),
        service,
        target,
        sources,
        deployment: 0,
        back: None,
        status: Status::Pending,
        status_reason: String::new(),
        created_at: now,
        started_at: None,
        finished_at: None,
        stopped_at: None,
        updated_at: now,
        breaker: detection::breaker(&configuration, it.desired),
        alarms: detection::alarms(&configuration),
        native: Native::plan(&configuration, it.completed),
        configuration,
        rollback: None,
        wish: "",
    };
    world.ecs.rollouts.push(rollout);
    let index = world.ecs.rollouts.len() - 1;
    world.ecs.services[service].rollouts.push(index);
    index
}

/// Make a new `ecs-svc/…` the service's PRIMARY one.
pub(super) fn promote(world: &mut World, service: usize, revision: usize, rollout: usize, now: f64) -> usize {
    let id = format!("ecs-svc/{}", world.chance.digits(19));
    for &older in &world.ecs.services[service].deployments {
        world.ecs.deployments[older].status = "ACTIVE";
    }
    let index = world.ecs.deployments.len();
    world.ecs.deployments.push(Deployment {
        reason: format!("ECS deployment {id} in progress."),
        id,
        service,
        status: "PRIMARY",
        revision,
        rollout,
        created_at: now,
        updated_at: now,
        state: "IN_PROGRESS",
        failed_tasks: 0,
        launch_after: now,
        stalled: false,
        finishing: false,
        impaired: false,
    });
    world.ecs.services[service].deployments.insert(0, index);
    world.ecs.services[service].steady = false;
    world.ecs.services[service].definition = world.ecs.revisions[revision].definition;
    index
}

/// Take a planned step, unless the deployment has gone another way.
pub(super) fn step(world: &mut World, rollout: usize, step: Step, now: f64) {
    let status = world.ecs.rollouts[rollout].status;
    match (step, status) {
        (Step::Start, Status::Pending) => start(world, rollout, now),
        (Step::Stop, Status::StopRequested) => {
            let reason = world.ecs.rollouts[rollout].status_reason.clone();
            set(world, rollout, Status::Stopped, &reason, now);
        }
        (Step::RollBack, Status::RollbackRequested) => begin_requested(world, rollout, now),
        (Step::Finish, Status::InProgress | Status::RollbackInProgress) => finish(world, rollout, now),
        (Step::Watch, Status::InProgress) => detection::watch(world, rollout, now),
        (Step::Advance(turn), Status::InProgress) => stages::advance(world, rollout, turn, now),
        (Step::Expire(hook), Status::InProgress) => hooks::expire(world, rollout, hook, now),
        (Step::Answered(hook), Status::InProgress) => hooks::answered(world, rollout, hook, now),
        _ => {}
    }
}

fn start(world: &mut World, rollout: usize, now: f64) {
    set(world, rollout, Status::InProgress, "", now);
    let red = |name: &String| world.alarms.get(name).is_some_and(|alarm| alarm.state == "ALARM");
    let it = &mut world.ecs.rollouts[rollout];
    it.started_at = Some(now);
    it.breaker.status = if it.breaker.enable && it.native.is_none() { "MONITORING" } else { "DISABLED" };
    it.alarms.status = if it.alarms.enable { "MONITORING" } else { "DISABLED" };
    it.alarms.ignored = it.alarms.names.iter().filter(|name| red(name)).cloned().collect();
    let (service, watched) = (it.service, it.alarms.enable);
    if watched {
        let wait = world.chance.seconds(world.timings.alarm_poll);
        plan(world, rollout, Step::Watch, now + wait);
    }
    scheduler::stir(world, service, now);
    if world.ecs.rollouts[rollout].native.is_some() {
        stages::begin(world, rollout, now);
    }
}

/// Launch nothing more, and stop.
pub(super) fn stall(world: &mut World, rollout: usize, reason: &str, now: f64) {
    hooks::close(world, rollout);
    let deployment = world.ecs.rollouts[rollout].deployment;
    world.ecs.deployments[deployment].stalled = true;
    set(world, rollout, Status::StopRequested, reason, now);
    plan(world, rollout, Step::Stop, now + 2.0);
}

/// Return to the deployment that completed last: a new `ecs-svc/…` with its revision.
pub(super) fn roll_back(world: &mut World, rollout: usize, earlier: usize, reason: &str, now: f64) {
    if world.ecs.rollouts[rollout].native.is_some() {
        return retreat::begin(world, rollout, reason, now);
    }
    let revision = world.ecs.deployments[earlier].revision;
    let name = world.ecs.deployments[earlier].id.clone();
    let service = world.ecs.rollouts[rollout].service;
    set(world, rollout, Status::RollbackInProgress, reason, now);
    world.ecs.rollouts[rollout].rollback = Some(Rollback { reason: reason.into(), at: now, revision });
    let failed = world.ecs.rollouts[rollout].deployment;
    if world.ecs.deployments[failed].state == "IN_PROGRESS" {
        world.ecs.deployments[failed].state = "FAILED";
        world.ecs.deployments[failed].reason = "ECS deployment was rolled back.".into();
    }
    restore(world, service, revision);
    let back = promote(world, service, revision, rollout, now);
    world.ecs.deployments[back].reason =
        format!("ECS deployment circuit breaker: rolling back to deploymentId {name}.");
    world.ecs.rollouts[rollout].back = Some(back);
    note(world, service, &format!("rolling back to deployment {name}."), now);
    scheduler::stir(world, service, now);
}

/// Give a service the network, load balancers and the like that a revision froze.
pub(super) fn restore(world: &mut World, service: usize, revision: usize) {
    let (frozen, members) =
        (&world.ecs.revisions[revision].members, &mut world.ecs.services[service].members);
    for member in DEPLOYING {
        match frozen.get(member) {
            Some(value) => members.insert(member.into(), value.clone()),
            None => members.remove(member),
        };
    }
}

/// Somebody asks for a stop; `true` for a rollback, `false` for an abort. The status allows it.
pub(super) fn request_stop(world: &mut World, rollout: usize, back: bool, now: f64) {
    let status = world.ecs.rollouts[rollout].status;
    if matches!(status, Status::StopRequested | Status::RollbackRequested | Status::RollbackInProgress) {
        return;
    }
    if back {
        let reason = "Service deployment rolled back because a rollback was requested.";
        request_rollback(world, rollout, reason, now);
    } else {
        hooks::close(world, rollout);
        let deployment = world.ecs.rollouts[rollout].deployment;
        world.ecs.deployments[deployment].stalled = true;
        set(world, rollout, Status::StopRequested, "A stop was requested by the user.", now);
        plan(world, rollout, Step::Stop, now + 2.0);
    }
}

/// ROLLBACK_REQUESTED, and soon a rollback for this reason.
pub(super) fn request_rollback(world: &mut World, rollout: usize, reason: &'static str, now: f64) {
    hooks::close(world, rollout);
    let deployment = world.ecs.rollouts[rollout].deployment;
    world.ecs.deployments[deployment].stalled = true;
    world.ecs.rollouts[rollout].wish = reason;
    set(world, rollout, Status::RollbackRequested, "A rollback was requested by the user.", now);
    let wait = 1.0 + f64::from(world.chance.below(2));
    plan(world, rollout, Step::RollBack, now + wait);
}

/// A requested rollback takes effect; a deployment that is complete by now has succeeded instead.
fn begin_requested(world: &mut World, rollout: usize, now: f64) {
    let service = world.ecs.rollouts[rollout].service;
    let deployment = world.ecs.rollouts[rollout].deployment;
    let cleaning = world.ecs.rollouts[rollout].native.as_ref().is_none_or(Native::cleaning);
    if cleaning && scheduler::complete(&world.ecs, service, deployment) {
        world.ecs.deployments[deployment].stalled = false;
        return succeed(world, rollout, deployment, Status::Successful, now);
    }
    match world.ecs.services[service].completed {
        Some(earlier) => {
            let reason = world.ecs.rollouts[rollout].wish;
            roll_back(world, rollout, earlier, reason, now);
        }
        None => set(
            world,
            rollout,
            Status::Stopped,
            "There is no earlier service deployment to roll back to.",
            now,
        ),
    }
}

/// Everything looks complete: look again when the time has come.
pub(super) fn nearly_done(world: &mut World, deployment: usize, now: f64) {
    let it = &mut world.ecs.deployments[deployment];
    if it.finishing {
        return;
    }
    it.finishing = true;
    let rollout = it.rollout;
    let bake = world.ecs.rollouts[rollout].alarms.enable && world.ecs.rollouts[rollout].back.is_none();
    let mut wait = world.chance.seconds(world.timings.complete);
    if bake {
        wait += world.chance.seconds(world.timings.alarm_bake);
    }
    plan(world, rollout, Step::Finish, now + wait);
}

fn finish(world: &mut World, rollout: usize, now: f64) {
    let it = &world.ecs.rollouts[rollout];
    let (deployment, service) = (it.back.unwrap_or(it.deployment), it.service);
    world.ecs.deployments[deployment].finishing = false;
    if !scheduler::complete(&world.ecs, service, deployment) {
        return scheduler::stir(world, service, now);
    }
    let back = world.ecs.rollouts[rollout].back.is_some();
    let status = if back { Status::RollbackSuccessful } else { Status::Successful };
    succeed(world, rollout, deployment, status, now);
}

/// A deployment, or the one that rolled it back, is complete.
pub(super) fn succeed(world: &mut World, rollout: usize, deployment: usize, status: Status, now: f64) {
    let reason = world.ecs.rollouts[rollout].status_reason.clone();
    set(world, rollout, status, if status == Status::Successful { "" } else { &reason }, now);
    let service = world.ecs.rollouts[rollout].service;
    let it = &mut world.ecs.deployments[deployment];
    (it.state, it.updated_at) = ("COMPLETED", now);
    it.reason = format!("ECS deployment {} completed.", it.id);
    let message = format!("(deployment {}) deployment completed.", it.id);
    world.ecs.services[service].completed = Some(deployment);
    note(world, service, "has reached a steady state.", now);
    note(world, service, &message, now);
    world.ecs.services[service].steady = true;
    // Older deployments have no tasks left; they are no longer shown.
    scheduler::stir(world, service, now);
}

/// Enter a status, with its times and the end of monitoring.
pub(super) fn set(world: &mut World, rollout: usize, status: Status, reason: &str, now: f64) {
    let it = &mut world.ecs.rollouts[rollout];
    (it.status, it.status_reason, it.updated_at) = (status, reason.into(), now);
    if status != Status::Pending && status != Status::InProgress {
        for monitor in [&mut it.breaker.status, &mut it.alarms.status] {
            if *monitor == "MONITORING" {
                *monitor = "MONITORING_COMPLETE";
            }
        }
    }
    if status == Status::Stopped {
        it.stopped_at = Some(now);
    }
    if status.ended() {
        it.finished_at = Some(now);
    }
}

pub(super) fn plan(world: &mut World, rollout: usize, step: Step, at: f64) {
    world.agenda.plan(at, Event::Ecs(Happening::Rollout(rollout, step)));
}
