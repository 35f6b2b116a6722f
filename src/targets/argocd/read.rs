//! An Argo CD application as its API returns it, as far as the rollout status depends on it. Reading only; missing
//! fields are empty, and no enum is closed.
//! <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

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
    /// The source of the manifests, if it is one.
    pub source: Option<ApplicationSource>,
    /// The sources of the manifests, if there are several.
    #[serde(deserialize_with = "null_as_default")]
    pub sources: Vec<ApplicationSource>,
    /// The sync policy.
    pub sync_policy: Option<SyncPolicy>,
}

/// A source of manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApplicationSource {
    /// URL of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit; empty means `HEAD`.
    pub target_revision: String,
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
    /// A summary of the live state.
    pub summary: ApplicationSummary,
    /// Errors of the application itself.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Vec<ApplicationCondition>,
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
#[serde(default)]
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
}

/// A summary of the live state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApplicationSummary {
    /// Images of the running pods.
    #[serde(deserialize_with = "null_as_default")]
    pub images: Vec<String>,
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

/// Every resource of an application, including those that it did not declare itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ApplicationTree {
    /// Resources of the application, with those that they own.
    #[serde(deserialize_with = "null_as_default")]
    pub nodes: Vec<ResourceNode>,
}

/// A resource of an application.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ResourceNode {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The health.
    pub health: Option<HealthStatus>,
    /// Images of a pod.
    #[serde(deserialize_with = "null_as_default")]
    pub images: Vec<String>,
}

/// Kubernetes events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct KubernetesEventList {
    /// In no particular order.
    #[serde(deserialize_with = "null_as_default")]
    pub items: Vec<KubernetesEvent>,
}

/// A Kubernetes event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KubernetesEvent {
    /// `Warning` or `Normal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `BackOff`.
    pub reason: String,
    /// The message.
    pub message: String,
}

/// Go writes an empty list as `null`.
fn null_as_default<'d, D: serde::Deserializer<'d>, T: DeserializeOwned + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// An unreadable time is none.
fn lenient_timestamp<'d, D: serde::Deserializer<'d>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

impl Application {
    /// Whether sync is automated.
    pub fn is_automated(&self) -> bool {
        let policy = self.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
        policy.is_some_and(|automated| automated.enabled != Some(false))
    }

    /// The index of the source `repository`; `None` if it is not a source.
    pub fn source_index(&self, repository: &str) -> Option<usize> {
        let many = &self.spec.sources;
        match (&self.spec.source, many.is_empty()) {
            (Some(one), true) => is_repository_url(&one.repo_url, repository).then_some(0),
            _ => many.iter().position(|source| is_repository_url(&source.repo_url, repository)),
        }
    }

    /// The commit of that source that the live state was compared with.
    pub fn revision(&self, source: usize) -> Option<&str> {
        source_revision(&self.status.sync.revision, &self.status.sync.revisions, source)
    }
}

impl OperationState {
    /// The commit of a source that was synced to.
    pub fn revision(&self, source: usize) -> Option<&str> {
        let result = self.sync_result.as_ref()?;
        source_revision(&result.revision, &result.revisions, source)
    }

    /// Whether it is in progress.
    pub fn is_running(&self) -> bool {
        matches!(self.phase.as_str(), "Running" | "Terminating")
    }
}

fn source_revision<'r>(one: &'r str, many: &'r [String], source: usize) -> Option<&'r str> {
    let chosen = if many.is_empty() { Some(one) } else { many.get(source).map(String::as_str) };
    chosen.filter(|revision| !revision.is_empty())
}

/// Whether a URL, HTTPS or SSH, is of the repository `owner/name`.
fn is_repository_url(address: &str, repository: &str) -> bool {
    let address = address.trim_end_matches('/').trim_end_matches(".git");
    let (length, wanted) = (address.len(), repository.len());
    let Some(start) = length.checked_sub(wanted) else { return false };
    let tail = address.get(start..).is_some_and(|tail| tail.eq_ignore_ascii_case(repository));
    tail && (start == 0 || address[..start].ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application_from(text: &str) -> Application {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn repository_urls_of_all_forms_match() {
        for address in [
            "https://github.com/acme/manifests",
            "https://github.com/Acme/Manifests.git",
            "git@github.com:acme/manifests.git",
            "ssh://git@ghes.example:22/acme/manifests/",
        ] {
            assert!(is_repository_url(address, "acme/manifests"), "{address}");
        }
        for address in
            ["https://github.com/xacme/manifests", "https://github.com/acme/manifests2", "manifests"]
        {
            assert!(!is_repository_url(address, "acme/manifests"), "{address}");
        }
    }

    #[test]
    fn each_source_has_its_revision() {
        let one = application_from(
            r#"{"spec":{"source":{"repoURL":"https://x/acme/m"}},"status":{"sync":{"revision":"a"}}}"#,
        );
        assert_eq!(one.source_index("acme/m").and_then(|source| one.revision(source)), Some("a"));
        let two = application_from(
            r#"{"spec":{"sources":[{"repoURL":"https://x/charts"},{"repoURL":"https://x/acme/m.git"}]},"status":{"sync":{"revisions":["a","b"]}}}"#,
        );
        assert_eq!(two.source_index("acme/m").and_then(|source| two.revision(source)), Some("b"));
        assert_eq!(two.source_index("acme/other"), None);
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
