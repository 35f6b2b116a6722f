//! What a task leaves outside of ECS: its targets in target groups, and the lines of its log.

use super::super::world::{TargetState, World};
use super::routes::of_task;

/// Register a task's address in every target group of its revision.
pub(super) fn register(world: &mut World, task: usize) {
    let ip = world.ecs.tasks[task].ip.clone();
    for (arn, port) in of_task(&world.ecs, task) {
        world.targets.entry(arn).or_default().push(TargetState {
            id: ip.clone(),
            port,
            state: "initial".into(),
            reason: "Elb.RegistrationInProgress".into(),
            description: "Target registration is in progress".into(),
        });
    }
}

/// Set the state of a task's targets, with a reason and its words.
pub(super) fn turn(world: &mut World, task: usize, state: &str, reason: &str, description: &str) {
    let ip = &world.ecs.tasks[task].ip;
    for (arn, _) in of_task(&world.ecs, task) {
        for target in world.targets.entry(arn).or_default().iter_mut().filter(|target| target.id == *ip) {
            (target.state, target.reason, target.description) =
                (state.into(), reason.into(), description.into());
        }
    }
}

/// Take a task's targets out of their groups.
pub(super) fn remove(world: &mut World, task: usize) {
    let ip = &world.ecs.tasks[task].ip;
    for (arn, _) in of_task(&world.ecs, task) {
        world.targets.entry(arn).or_default().retain(|target| target.id != *ip);
    }
}

/// Write lines to the log of a task's essential container, as its awslogs driver would.
pub(super) fn log(world: &mut World, task: usize, lines: &[String], now: f64) {
    let task = &world.ecs.tasks[task];
    let Some(container) = world.ecs.definitions[task.definition].containers.iter().find(|c| c.essential)
    else {
        return;
    };
    let Some((group, prefix)) = &container.logs else { return };
    let stream = format!("{prefix}/{}/{}", container.name, task.id);
    let at = (now * 1000.0) as i64;
    let log = world.logs.entry((group.clone(), stream)).or_default();
    log.extend(lines.iter().map(|line| (at, line.clone())));
}
