//! How a service deployment begins: the older one is superseded, the service is frozen into a revision, and a new `ecs-svc/…` is
//! PRIMARY.

use serde_json::Value;

use super::super::rng::seconds_range;
use super::super::world::World;
use super::service_deployment::{ServiceDeploymentStep, schedule_step, set_status};
use super::staged_deployment::StagedDeployment;
use super::state::{Deployment, EcsState, ServiceDeployment, ServiceDeploymentStatus, ServiceRevision};
use super::{failure_detection, images, lifecycle};

/// Begin a deployment of what the service is now; whatever was in progress is superseded.
pub(super) fn start_deployment(world: &mut World, service: usize, now: f64) -> usize {
    let superseded = supersede(world, service, now);
    let sources = source_revisions(&world.ecs, service);
    let target = create_revision(world, service, now);
    let rollout = register(world, service, target, sources, now);
    let deployment = create_primary(world, service, target, rollout, now);
    world.ecs.service_deployments[rollout].deployment = deployment;
    let wait = if superseded { seconds_range(3.0, 5.0) } else { seconds_range(1.0, 2.0) };
    let wait = world.rng.pick_seconds(wait);
    schedule_step(world, rollout, ServiceDeploymentStep::Start, now + wait);
    rollout
}

/// Revisions that run now, with their task counts.
fn source_revisions(ecs: &EcsState, service: usize) -> Vec<(usize, u32)> {
    let mut sources: Vec<(usize, u32)> = Vec::new();
    for task in
        ecs.services[service].tasks.iter().map(|&task| &ecs.tasks[task]).filter(|task| task.is_serving())
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
    let Some(&last) = world.ecs.services[service].service_deployments.last() else { return false };
    match world.ecs.service_deployments[last].status {
        ServiceDeploymentStatus::Pending | ServiceDeploymentStatus::InProgress => {
            lifecycle::supersede_stages(world, last, now);
            set_status(
                world,
                last,
                ServiceDeploymentStatus::StopRequested,
                "A new service deployment was started.",
                now,
            );
            schedule_step(world, last, ServiceDeploymentStep::Stop, now + 2.0);
            true
        }
        // Stopped at once: a rollback that were still to come would undo the newer deployment.
        ServiceDeploymentStatus::RollbackRequested => {
            lifecycle::supersede_stages(world, last, now);
            set_status(
                world,
                last,
                ServiceDeploymentStatus::Stopped,
                "A new service deployment was started.",
                now,
            );
            true
        }
        ServiceDeploymentStatus::RollbackInProgress => {
            lifecycle::supersede_stages(world, last, now);
            set_status(
                world,
                last,
                ServiceDeploymentStatus::RollbackFailed,
                "A new service deployment was started.",
                now,
            );
            true
        }
        _ => false,
    }
}

/// Freeze what the service is into a revision.
pub(super) fn create_revision(world: &mut World, service: usize, now: f64) -> usize {
    let number = world.rng.digits(19);
    let it = &world.ecs.services[service];
    let definition = &world.ecs.definitions[it.definition];
    let cluster = &world.ecs.clusters[it.cluster];
    let found = |image: &str| match images::resolve_image(world, image) {
        images::ImageLookup::Digest(digest) => Some(digest),
        images::ImageLookup::Missing | images::ImageLookup::UpperCase => None,
    };
    let images =
        definition.containers.iter().map(|c| (c.name.clone(), c.image.clone(), found(&c.image))).collect();
    let arn = format!(
        "arn:aws:ecs:{}:{}:service-revision/{cluster}/{}/{number}",
        world.region, world.account, it.name
    );
    let (definition, members, alternate) =
        (it.definition, it.members.clone(), uses_alternate_group(&world.ecs, service));
    world.ecs.revisions.push(ServiceRevision {
        arn,
        service,
        definition,
        created_at: now,
        images,
        in_alternate_group: alternate,
        members,
    });
    world.ecs.revisions.len() - 1
}

/// Whether a new revision goes to the alternate target group: in stages to the group that does not serve, else to the one that does.
fn uses_alternate_group(ecs: &EcsState, service: usize) -> bool {
    let it = &ecs.services[service];
    let rolling = it.members.get("deploymentConfiguration").is_none_or(|c| c["strategy"] == "ROLLING");
    it.last_completed
        .is_some_and(|live| ecs.revisions[ecs.deployments[live].revision].in_alternate_group == rolling)
}

/// Enter a service deployment, PENDING.
pub(super) fn register(
    world: &mut World,
    service: usize,
    target: usize,
    sources: Vec<(usize, u32)>,
    now: f64,
) -> usize {
    let token = world.rng.token(21);
    let it = &world.ecs.services[service];
    let cluster = &world.ecs.clusters[it.cluster];
    let configuration = it.members.get("deploymentConfiguration").cloned().unwrap_or(Value::Null);
    let rollout = ServiceDeployment {
        arn: format!(
            "arn:aws:ecs:{}:{}:service-deployment/{cluster}/{}/{token}",
            world.region, world.account, it.name
        ),
        service,
        target,
        sources,
        deployment: 0,
        rollback_deployment: None,
        status: ServiceDeploymentStatus::Pending,
        status_reason: String::new(),
        created_at: now,
        started_at: None,
        finished_at: None,
        stopped_at: None,
        updated_at: now,
        breaker: failure_detection::new_breaker(&configuration, it.desired),
        alarms: failure_detection::new_alarm_monitor(&configuration),
        staged: StagedDeployment::from_configuration(&configuration, it.last_completed),
        configuration,
        rollback: None,
        rollback_reason: "",
    };
    world.ecs.service_deployments.push(rollout);
    let index = world.ecs.service_deployments.len() - 1;
    world.ecs.services[service].service_deployments.push(index);
    index
}

/// Make a new `ecs-svc/…` the service's PRIMARY one.
pub(super) fn create_primary(
    world: &mut World,
    service: usize,
    revision: usize,
    rollout: usize,
    now: f64,
) -> usize {
    let id = format!("ecs-svc/{}", world.rng.digits(19));
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
        service_deployment: rollout,
        created_at: now,
        updated_at: now,
        state: "IN_PROGRESS",
        failed_tasks: 0,
        launch_after: now,
        is_stalled: false,
        is_finishing: false,
        is_impaired: false,
    });
    world.ecs.services[service].deployments.insert(0, index);
    world.ecs.services[service].is_steady = false;
    world.ecs.services[service].definition = world.ecs.revisions[revision].definition;
    index
}
