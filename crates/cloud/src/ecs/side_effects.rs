//! What a task leaves outside of ECS: its targets in target groups, and the lines of its log.

use super::super::world::{TargetState, World};
use super::listener_routes::task_target_groups;
use super::state::{ContainerDefinition, TaskDefinition};

/// Register a task's address in every target group of its revision.
pub(super) fn register_targets(world: &mut World, task: usize) {
    let ip = world.ecs.tasks[task].ip.clone();
    for (arn, port) in task_target_groups(&world.ecs, task) {
        world.targets.entry(arn).or_default().push(TargetState {
            id: ip.clone(),
            port,
            state: "initial".into(),
            reason: "Elb.RegistrationInProgress".into(),
            description: "Target registration is in progress".into(),
        });
    }
    // The load balancer checks no target in a zone that it is not enabled in.
    set_target_state(
        world,
        task,
        "initial",
        "Elb.RegistrationInProgress",
        "Target registration is in progress",
    );
}

/// State, reason and words of a target in a zone that its load balancer is not enabled in.
const UNUSED: [&str; 3] = [
    "unused",
    "Target.NotInUse",
    "Target is in an Availability Zone that is not enabled for the load balancer",
];

/// Set the state of a task's targets, with a reason and its words.
pub(super) fn set_target_state(world: &mut World, task: usize, state: &str, reason: &str, description: &str) {
    let (ip, second) = (&world.ecs.tasks[task].ip, world.ecs.tasks[task].in_second_zone);
    for (arn, _) in task_target_groups(&world.ecs, task) {
        let unused = second && state != "draining" && world.ecs.disabled_zone_groups.contains(&arn);
        let [state, reason, description] = if unused { UNUSED } else { [state, reason, description] };
        for target in world.targets.entry(arn).or_default().iter_mut().filter(|target| target.id == *ip) {
            (target.state, target.reason, target.description) =
                (state.into(), reason.into(), description.into());
        }
    }
}

/// Take a task's targets out of their groups.
pub(super) fn remove_targets(world: &mut World, task: usize) {
    let ip = &world.ecs.tasks[task].ip;
    for (arn, _) in task_target_groups(&world.ecs, task) {
        world.targets.entry(arn).or_default().retain(|target| target.id != *ip);
    }
}

/// The container with this name, the first essential one without a name.
pub(super) fn container_place(definition: &TaskDefinition, name: Option<&str>) -> Option<usize> {
    let meant = |it: &ContainerDefinition| name.map_or(it.essential, |name| it.name == name);
    definition.containers.iter().position(meant)
}

/// Write lines to the log of a container, of the first essential one without a name, as its awslogs driver would.
pub(super) fn write_logs(
    world: &mut World,
    task: usize,
    container: Option<&str>,
    lines: &[String],
    now: f64,
) {
    let task = &world.ecs.tasks[task];
    let definition = &world.ecs.definitions[task.definition];
    let Some(place) = container_place(definition, container) else { return };
    let container = &definition.containers[place];
    let Some((group, prefix)) = &container.logs else { return };
    let stream = format!("{prefix}/{}/{}", container.name, task.id);
    let at = (now * 1000.0) as i64;
    let log = world.logs.entry((group.clone(), stream)).or_default();
    log.extend(lines.iter().map(|line| (at, line.clone())));
}
