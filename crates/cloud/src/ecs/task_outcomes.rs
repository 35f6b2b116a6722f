//! What becomes of a task when it starts: what the scenario says, else what its image makes of it, and the words of ECS for a
//! task that cannot start.

use super::super::faults::{FaultTarget, TaskOutcome};
use super::super::world::World;
use super::images;
use super::state::{EcsState, TaskDefinition};

/// "CannotPullContainer task errors" of the Developer Guide.
const UPPER_CASE: &str =
    "CannotPullContainerError: invalid reference format: repository name must be lowercase";

/// What becomes of a new task: what the scenario says, else what its image makes of it.
pub(super) fn choose_outcome(world: &mut World, deployment: usize) -> (TaskOutcome, f64) {
    let deployment = &world.ecs.deployments[deployment];
    let revision = &world.ecs.revisions[deployment.revision];
    let wanted = definition_architecture(&world.ecs.definitions[revision.definition]);
    let by_image =
        revision.images.iter().find_map(|(_, image, _)| match images::resolve_image(world, image) {
            images::ImageLookup::Missing => Some(TaskOutcome::ImageNotFound),
            images::ImageLookup::UpperCase => Some(TaskOutcome::FailToStart(UPPER_CASE.into())),
            images::ImageLookup::Digest(_) => {
                let known = images::image_architectures(world, image);
                (!known.is_empty() && !known.iter().any(|it| it == wanted))
                    .then_some(TaskOutcome::WrongPlatform)
            }
        });
    let (outcome, delay) =
        world.faults.choose_outcome(&fault_target(&world.ecs, deployment.service, revision.definition));
    (by_image.filter(|_| outcome == TaskOutcome::Healthy).unwrap_or(outcome), delay)
}

/// The architecture that a definition asks for, in the words of image manifests.
fn definition_architecture(definition: &TaskDefinition) -> &'static str {
    if definition.response["runtimePlatform"]["cpuArchitecture"] == "ARM64" { "arm64" } else { "amd64" }
}

/// The task as faults see it.
pub(super) fn fault_target(ecs: &EcsState, service: usize, definition: usize) -> FaultTarget<'_> {
    let service = &ecs.services[service];
    FaultTarget {
        is_seed_version: service.seed_definition == Some(definition),
        service: &service.name,
        images: ecs.definitions[definition].containers.iter().map(|c| c.image.as_str()).collect(),
    }
}

/// What keeps a task of this definition from starting: what the scenario says, else what its image makes of it.
pub(super) fn choose_one_off_outcome(world: &mut World, definition: usize) -> TaskOutcome {
    let references: Vec<String> =
        world.ecs.definitions[definition].containers.iter().map(|it| it.image.clone()).collect();
    let is = |lookup: images::ImageLookup| {
        references.iter().any(|image| images::resolve_image(world, image) == lookup)
    };
    if is(images::ImageLookup::Missing) {
        return TaskOutcome::ImageNotFound;
    }
    if is(images::ImageLookup::UpperCase) {
        return TaskOutcome::FailToStart(UPPER_CASE.into());
    }
    world.faults.choose_start_outcome(&one_off_fault_target(&world.ecs, definition))
}

/// The task of RunTask as faults see it: its family is the name of the service.
pub(super) fn one_off_fault_target(ecs: &EcsState, definition: usize) -> FaultTarget<'_> {
    let (old, images) = ecs.seed_and_images(definition);
    FaultTarget { is_seed_version: old, service: &ecs.definitions[definition].family, images }
}

/// Why a task with this outcome cannot start; `None` when it can.
pub(super) fn start_failure(definition: &TaskDefinition, outcome: &TaskOutcome) -> Option<String> {
    let image = definition.containers.first().map_or("", |container| container.image.as_str());
    let pulling = "CannotPullContainerError: pull image manifest has been retried 1 time(s):";
    match outcome {
        TaskOutcome::ImageNotFound => {
            Some(format!("{pulling} failed to resolve ref {image}: {image}: not found"))
        }
        TaskOutcome::WrongPlatform => {
            let wanted = definition_architecture(definition);
            Some(format!(
                "{pulling} image Manifest does not contain descriptor matching platform 'linux/{wanted}'"
            ))
        }
        TaskOutcome::SecretMissing => {
            Some(secret_missing_reason(definition.containers.iter().find_map(|it| it.secret.as_deref())))
        }
        TaskOutcome::FailToStart(reason) => Some(reason.clone()),
        TaskOutcome::Healthy
        | TaskOutcome::Stopped { .. }
        | TaskOutcome::Crash { .. }
        | TaskOutcome::Unhealthy
        | TaskOutcome::Flapping(_) => None,
    }
}

/// Where ECS writes the reason of a failed start: of some kinds the container has it, and the task only says that it failed.
pub(super) fn stopped_and_container_reason(reason: &str) -> (String, Option<String>) {
    let of_container = ["CannotStart", "CannotCreate", "Docker", "ContainerRuntime"];
    if of_container.iter().any(|prefix| reason.starts_with(prefix)) {
        return ("Task failed to start".into(), Some(reason.into()));
    }
    (reason.into(), reason.starts_with("CannotPull").then(|| reason.into()))
}

fn secret_missing_reason(secret: Option<&str>) -> String {
    let secret = secret.unwrap_or("arn:aws:secretsmanager:eu-west-1:111111111111:secret:missing");
    format!(
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: \
         unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret {secret} \
         from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."
    )
}
