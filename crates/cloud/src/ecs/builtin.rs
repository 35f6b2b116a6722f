//! The built-in scenarios of ECS: updates that fail or whose answer is lost, permissions, deployments of somebody else.

use crate::builtin::Builtin;
use crate::elbv2::builtin::{STEPWISE, analyzed_scenario, paired_scenario};
use crate::scenario::{AlarmSetting, DeploymentAlarms, Scenario};

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    Builtin::new(
        "throttled",
        "The first ten calls of the wait are throttled.",
        "[throttle: { operation: DescribeServices, times: 10 }]",
    ),
    Builtin::new(
        "stale-reads",
        "For 30 seconds, reads show the state before the update.",
        "[stale-reads: { for: 30 }]",
    ),
    Builtin::new(
        "response-lost",
        "The update is made, and the connection breaks before its answer.",
        "[response-lost: { operation: UpdateService }]",
    ),
    Builtin::new(
        "no-answer",
        "The update is never answered, and nothing is changed.",
        "[no-answer: { operation: UpdateService }]",
    ),
    Builtin::new(
        "denied-update",
        "The role may not update the service.",
        "[deny: { action: \"ecs:UpdateService\" }]",
    ),
    Builtin::new(
        "denied-rollback",
        "The role may not roll back.",
        "[deny: { action: \"ecs:StopServiceDeployment\" }]",
    ),
    Builtin::new(
        "superseded",
        "Somebody else deploys 40 seconds later.",
        "[superseding-deployment: { at: 40 }]",
    ),
    Builtin::new(
        "autoscaling",
        "Autoscaling doubles the service during the deployment.",
        "[desired-count: { at: 40, to: 4 }]",
    ),
    Builtin::new(
        "subnet-full",
        "The subnet has no free IP address for tasks of the new version.",
        "[task-stop: { cause: subnet-full }]",
    ),
    Builtin::new(
        "pull-timeouts",
        "The registry does not answer the first two pulls of the new image.",
        "[task-stop: { cause: pull-timeout, tasks: 2 }]",
    ),
    Builtin::new(
        "spot-interruption",
        "AWS takes the Spot capacity of the first new task back.",
        "[task-stop: { cause: spot, tasks: 1 }]",
    ),
    paired_scenario(
        "canary-unhealthy",
        "Tasks of the new version never become healthy, so its scale-up never ends.",
        "[failing-health-check: {}]",
    )
    .with_needs(STEPWISE),
    analyzed_scenario(
        "canary-superseded",
        "Somebody else deploys during the bake of the canary.",
        "[superseding-deployment: { at: 400 }]",
    ),
    paired_scenario(
        "hook-timeout",
        "The paused deployment cannot be continued: the pause hook times out.",
        "[deny: { action: \"ecs:ContinueServiceDeployment\" }]",
    )
    .with_needs(STEPWISE),
];

/// Each service gets an alarm that its deployments watch.
pub(super) fn add_watched_alarms(world: &mut Scenario) {
    for service in &mut world.services {
        let name = format!("{}-5xx", service.name);
        world.alarms.push(AlarmSetting { name: name.clone(), state: "OK".into(), composite: false });
        let alarms = DeploymentAlarms { names: vec![name], enable: true, rollback: true };
        service.deployment.alarms = Some(alarms);
    }
}
