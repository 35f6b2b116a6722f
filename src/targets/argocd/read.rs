//! An Argo CD application as its API returns it, as far as the rollout status depends on it. Reading only; missing
//! fields are empty, and no enum is closed.
//! <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::sources::{ApplicationSource, HydratorStatus, SourceHydrator};
use crate::targets::json::lenient_timestamp;

/// The application.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Name and namespace.
    pub metadata: ObjectMeta,
    /// The desired state.
    pub spec: ApplicationSpec,
    /// The observed state.
    pub status: ApplicationStatus,
}

/// Name and namespace.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ObjectMeta {
    /// Its namespace.
    pub namespace: String,
}

/// The desired state.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationSpec {
    /// Its project.
    pub project: String,
    /// The source of the manifests, if it is one.
    pub source: Option<ApplicationSource>,
    /// The sources of the manifests, if there are several.
    #[serde(deserialize_with = "null_as_default")]
    pub sources: Vec<ApplicationSource>,
    /// What renders the manifests into a branch of their own, if something does.
    pub source_hydrator: Option<SourceHydrator>,
    /// The sync policy.
    pub sync_policy: Option<SyncPolicy>,
}

/// The sync policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SyncPolicy {
    /// Present if sync is automated.
    pub automated: Option<SyncPolicyAutomated>,
}

/// Automated sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SyncPolicyAutomated {
    /// `false` disables it although it is present.
    pub enabled: Option<bool>,
}

/// The observed state.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationStatus {
    /// The sync status of the live state.
    pub sync: SyncStatus,
    /// The health of the live state.
    pub health: HealthStatus,
    /// The current or last sync.
    pub operation_state: Option<OperationState>,
    /// The managed resources.
    #[serde(deserialize_with = "null_as_default")]
    pub resources: Vec<ResourceStatus>,
    /// Errors of the application itself.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<ApplicationCondition>,
    /// The last hydration, with a source hydrator.
    pub source_hydrator: Option<HydratorStatus>,
}

/// The sync status of the live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SyncStatus {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// The compared commit.
    pub revision: String,
    /// The same for several sources, in their order.
    #[serde(deserialize_with = "null_as_default")]
    pub revisions: Vec<String>,
}

/// A health status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HealthStatus {
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`.
    pub status: String,
    /// The reason.
    pub message: String,
    /// Time of the last change.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub last_transition_time: Option<Timestamp>,
}

/// A sync.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct OperationState {
    /// `Running`, `Succeeded`, `Failed`, `Error` or `Terminating`.
    pub phase: String,
    /// The message.
    pub message: String,
    /// When it began.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub finished_at: Option<Timestamp>,
    /// Number of retries.
    pub retry_count: u32,
    /// The result.
    pub sync_result: Option<SyncOperationResult>,
}

/// The result of a sync.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SyncOperationResult {
    /// The commit that was synced to.
    pub revision: String,
    /// The same for several sources.
    #[serde(deserialize_with = "null_as_default")]
    pub revisions: Vec<String>,
    /// The result for each resource.
    #[serde(deserialize_with = "null_as_default")]
    pub resources: Vec<ResourceResult>,
}

/// The result for a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResourceResult {
    /// Kubernetes kind, such as `Deployment`.
    pub kind: String,
    /// Name of the resource.
    pub name: String,
    /// `Synced`, `SyncFailed`, …
    pub status: String,
    /// The message.
    pub message: String,
}

/// A managed resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceStatus {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// `Synced` or `OutOfSync`.
    pub status: String,
    /// The health, for kinds that have one.
    pub health: Option<HealthStatus>,
    /// Whether it is in no manifest any more, and would be deleted.
    pub requires_pruning: bool,
}

/// An error of the application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApplicationCondition {
    /// Such as `ComparisonError`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The message.
    pub message: String,
}

/// Go writes an empty list as `null`.
pub(super) fn null_as_default<'d, D: serde::Deserializer<'d>, T: DeserializeOwned + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

impl ResourceStatus {
    /// Status of its health; empty for a kind without one.
    pub fn health_status(&self) -> &str {
        self.health.as_ref().map_or("", |health| health.status.as_str())
    }

    /// The reason of its health.
    pub fn health_message(&self) -> &str {
        self.health.as_ref().map_or("", |health| health.message.as_str())
    }
}

impl Application {
    /// Whether sync is automated.
    pub fn is_automated(&self) -> bool {
        let policy = self.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
        policy.is_some_and(|automated| automated.enabled != Some(false))
    }
}

impl ApplicationCondition {
    /// Whether it is an error, and not a warning.
    pub fn is_error(&self) -> bool {
        self.kind.ends_with("Error")
    }
}

impl ResourceStatus {
    /// Whether it is synced; a resource without a sync status is.
    pub fn is_synced(&self) -> bool {
        matches!(self.status.as_str(), "Synced" | "")
    }

    /// Whether it is healthy; a kind without a health is.
    pub fn is_healthy(&self) -> bool {
        matches!(self.health_status(), "Healthy" | "")
    }
}

impl ResourceResult {
    /// `Kind/name`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

impl OperationState {
    /// The resources that could not be applied.
    pub fn failed_resources(&self) -> impl Iterator<Item = &ResourceResult> {
        let resources = self.sync_result.iter().flat_map(|result| &result.resources);
        resources.filter(|resource| resource.status == "SyncFailed")
    }

    /// Whether it is in progress.
    pub fn is_running(&self) -> bool {
        matches!(self.phase.as_str(), "Running" | "Terminating")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application_from(text: &str) -> Application {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn missing_and_null_fields_are_empty() {
        let bare = application_from(r#"{"status":{"resources":null,"summary":{"images":null}}}"#);
        assert_eq!(bare, Application::default());
        assert!(!bare.is_automated());
        assert!(application_from(r#"{"spec":{"syncPolicy":{"automated":{}}}}"#).is_automated());
        assert!(
            !application_from(r#"{"spec":{"syncPolicy":{"automated":{"enabled":false}}}}"#).is_automated()
        );
    }
}
