//! What was true of an application before the commit: what is not well and was so before is a remark, not a failure of the
//! release. Values only; they travel with the staged version and with its rollout.

use serde::{Deserialize, Serialize};

use super::live_image::is_of_repository;
use super::managed::{ResourceKey, Workload};
use super::read::{Application, ResourceResult, ResourceStatus};
use crate::problem::{Code, Problem};
use crate::release::{ImageRef, Rollout};

/// The most resources that are remembered, and named.
const MAX_RESOURCES: usize = 200;
const MAX_NAMED_RESOURCES: usize = 3;

/// The state of an application before the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplicationBaseline {
    /// Kinds of its conditions.
    conditions: Vec<String>,
    /// Resources that were not synced and healthy.
    resources: Vec<ResourceBefore>,
    /// Resources that the last sync could not apply.
    sync_failures: Vec<String>,
    /// The workloads of the service, and the images that they ran.
    workloads: Vec<WorkloadBefore>,
    /// Whether the rollout returns to this state.
    pub returns: bool,
}

/// A resource that was not well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ResourceBefore {
    key: ResourceKey,
    sync: String,
    health: String,
}

/// A workload of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct WorkloadBefore {
    key: ResourceKey,
    images: Vec<String>,
}

/// Whether nothing is wrong with a resource.
fn is_well(resource: &ResourceStatus) -> bool {
    resource.is_synced() && resource.is_healthy()
}

impl ApplicationBaseline {
    /// Of an application as it is, with the workloads of the service.
    pub fn new(application: &Application, workloads: &[Workload]) -> Self {
        let status = &application.status;
        let unwell = status.resources.iter().filter(|resource| !is_well(resource)).take(MAX_RESOURCES);
        let failed = status.operation_state.iter().flat_map(|last| last.failed_resources());
        Self {
            conditions: status.conditions.iter().map(|one| one.kind.clone()).collect(),
            resources: unwell
                .map(|resource| ResourceBefore {
                    key: resource.key(),
                    sync: resource.status.clone(),
                    health: resource.health_status().to_owned(),
                })
                .collect(),
            sync_failures: failed.map(ResourceResult::label).collect(),
            workloads: workloads
                .iter()
                .map(|one| WorkloadBefore { key: one.key.clone(), images: one.live_images.clone() })
                .collect(),
            returns: false,
        }
    }

    /// The same state, of a rollout that returns to it or leaves it.
    pub fn with_direction(self, returns: bool) -> Self {
        Self { returns, ..self }
    }

    fn before(&self, key: &ResourceKey) -> Option<&ResourceBefore> {
        self.resources.iter().find(|one| one.key == *key)
    }

    /// The health of a resource before; a resource that was well is `Healthy`.
    pub fn health_of(&self, key: &ResourceKey) -> &str {
        self.before(key).map_or("Healthy", |one| one.health.as_str())
    }

    /// Whether the health of a resource is no worse than before.
    pub fn is_no_worse(&self, key: &ResourceKey, health: &str) -> bool {
        let rank = |status: &str| {
            let order = ["", "Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"];
            order.iter().position(|known| *known == status)
        };
        health == self.health_of(key) || rank(health) <= rank(self.health_of(key))
    }

    /// Whether the application had a condition of this kind.
    pub fn had_condition(&self, kind: &str) -> bool {
        self.conditions.iter().any(|known| known == kind)
    }

    /// Whether the last sync before could not apply this resource.
    pub fn had_sync_failure(&self, resource: &ResourceResult) -> bool {
        self.sync_failures.contains(&resource.label())
    }

    /// The images of a workload before.
    pub fn images_of(&self, key: &ResourceKey) -> Option<&[String]> {
        self.workloads.iter().find(|one| one.key == *key).map(|one| one.images.as_slice())
    }

    /// The image of the repository that the workloads ran.
    pub fn live_image(&self, name: &ImageRef) -> Option<ImageRef> {
        let images = self.workloads.iter().flat_map(|one| &one.images);
        images.filter(|image| is_of_repository(image, name)).find_map(|image| image.parse().ok())
    }
}

/// The identifiers of a rollout: the commit, and the state before it.
pub fn rollout_ids(mut ids: Vec<String>, baseline: Option<&ApplicationBaseline>) -> Vec<String> {
    let is_commit = ids.len() == 1 && !ids[0].starts_with('#');
    let text = baseline.filter(|_| is_commit).and_then(|state| serde_json::to_string(state).ok());
    ids.extend(text);
    ids
}

/// The state before the commit of a rollout.
pub fn of_rollout(rollout: &Rollout) -> Option<ApplicationBaseline> {
    serde_json::from_str(rollout.ids.get(1)?).ok()
}

/// What is not well about an application beside the workloads of the service.
pub fn remarks(
    application: &Application,
    baseline: Option<&ApplicationBaseline>,
    ours: &[&ResourceKey],
) -> Vec<Problem> {
    let others = application.status.resources.iter().filter(|one| !is_well(one));
    let words: Vec<String> =
        others.filter(|one| !ours.contains(&&one.key())).map(|one| describe(one, baseline)).collect();
    let conditions = application.status.conditions.iter().filter(|one| one.is_error());
    let conditions = conditions.map(|one| format!("{}: {}", one.kind, one.message));
    let words: Vec<String> = words.into_iter().chain(conditions).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let more = words.len().saturating_sub(MAX_NAMED_RESOURCES);
    let more = if more > 0 { format!(" And {more} more.") } else { String::new() };
    let named = words.iter().take(MAX_NAMED_RESOURCES).cloned().collect::<Vec<_>>().join("; ");
    let sentence = format!(
        "The application has resources that are not in order, beside those of this service: {named}.{more}"
    );
    vec![
        Problem::warning(Code::ApplicationNotHealthy, sentence)
            .help("They do not count for this release. Look at them in Argo CD."),
    ]
}

fn describe(resource: &ResourceStatus, baseline: Option<&ApplicationBaseline>) -> String {
    let mut state: Vec<&str> = Vec::new();
    if resource.requires_pruning {
        state.push("to be pruned");
    } else if !resource.is_synced() {
        state.push(&resource.status);
    }
    if !resource.is_healthy() {
        state.push(resource.health_status());
    }
    let message = resource.health_message();
    let message = if message.is_empty() { String::new() } else { format!(" ({message})") };
    let was_so = baseline
        .and_then(|state| state.before(&resource.key()))
        .is_some_and(|before| before.sync == resource.status && before.health == resource.health_status());
    let before = if was_so { ", as before the release" } else { "" };
    format!("{}/{} is {}{message}{before}", resource.kind, resource.name, state.join(" and "))
}
