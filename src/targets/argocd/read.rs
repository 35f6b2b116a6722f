//! An Argo CD application as its API gives it, as far as a rollout is judged by it. Reading only; whatever is missing is
//! empty, and no enum is closed. <https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/>

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The application.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Name and namespace.
    pub metadata: Metadata,
    /// What is wished for.
    pub spec: Spec,
    /// What is.
    pub status: Status,
}

/// Name and namespace.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its namespace.
    pub namespace: String,
}

/// What is wished for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Where the manifests are, when that is one place.
    pub source: Option<Source>,
    /// Where the manifests are, when those are several.
    #[serde(deserialize_with = "or_default")]
    pub sources: Vec<Source>,
    /// How it is synced.
    pub sync_policy: Option<SyncPolicy>,
}

/// A place of manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    /// Address of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit; empty means `HEAD`.
    pub target_revision: String,
}

/// How it is synced.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SyncPolicy {
    /// Present when it syncs by itself.
    pub automated: Option<Automated>,
}

/// Syncing by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Automated {
    /// `false` switches it off without taking it out.
    pub enabled: Option<bool>,
}

/// What is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Status {
    /// Whether what is live is what Git says.
    pub sync: Sync,
    /// How what is live fares.
    pub health: Health,
    /// The sync that is under way, or was last.
    pub operation_state: Option<Operation>,
    /// What is managed.
    #[serde(deserialize_with = "or_default")]
    pub resources: Vec<Resource>,
    /// What is live, in short.
    pub summary: Summary,
    /// What is wrong with the application itself.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

/// Whether what is live is what Git says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sync {
    /// `Synced`, `OutOfSync` or `Unknown`.
    pub status: String,
    /// The commit that was compared with.
    pub revision: String,
    /// The same for several sources, in their order.
    #[serde(deserialize_with = "or_default")]
    pub revisions: Vec<String>,
}

/// How something fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Health {
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`.
    pub status: String,
    /// Why.
    pub message: String,
    /// Since when.
    #[serde(deserialize_with = "time")]
    pub last_transition_time: Option<Timestamp>,
}

/// A sync.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Operation {
    /// `Running`, `Succeeded`, `Failed`, `Error` or `Terminating`.
    pub phase: String,
    /// Why.
    pub message: String,
    /// When it began.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<Timestamp>,
    /// How often it was tried again.
    pub retry_count: u32,
    /// What it did.
    pub sync_result: Option<SyncResult>,
}

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SyncResult {
    /// The commit that was synced to.
    pub revision: String,
    /// The same for several sources.
    #[serde(deserialize_with = "or_default")]
    pub revisions: Vec<String>,
    /// What became of each resource.
    #[serde(deserialize_with = "or_default")]
    pub resources: Vec<SyncedResource>,
}

/// What became of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SyncedResource {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// `Synced`, `SyncFailed`, …
    pub status: String,
    /// Why.
    pub message: String,
}

/// A resource that is managed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Resource {
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
    /// How it fares, for kinds that can be judged.
    pub health: Option<Health>,
}

/// What is live, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Images of what runs.
    #[serde(deserialize_with = "or_default")]
    pub images: Vec<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// Such as `ComparisonError`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why.
    pub message: String,
}

/// Everything that an application owns, also what it did not declare itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Tree {
    /// All of it.
    #[serde(deserialize_with = "or_default")]
    pub nodes: Vec<Node>,
}

/// Something that an application owns.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Node {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// How it fares.
    pub health: Option<Health>,
    /// Images of a pod.
    #[serde(deserialize_with = "or_default")]
    pub images: Vec<String>,
}

/// Kubernetes events.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Events {
    /// All of them.
    #[serde(deserialize_with = "or_default")]
    pub items: Vec<Event>,
}

/// A Kubernetes event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Event {
    /// `Warning` or `Normal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Such as `BackOff`.
    pub reason: String,
    /// In words.
    pub message: String,
}

/// Go writes an empty list as `null`.
fn or_default<'d, D: serde::Deserializer<'d>, T: DeserializeOwned + Default>(
    input: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

/// A time that cannot be read is none.
fn time<'d, D: serde::Deserializer<'d>>(input: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(input)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

impl Application {
    /// Whether it syncs by itself.
    pub fn is_automated(&self) -> bool {
        let policy = self.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
        policy.is_some_and(|automated| automated.enabled != Some(false))
    }

    /// Which of its sources is `repository`; `None` where it is none of them.
    pub fn source_of(&self, repository: &str) -> Option<usize> {
        let many = &self.spec.sources;
        match (&self.spec.source, many.is_empty()) {
            (Some(one), true) => is_of(&one.repo_url, repository).then_some(0),
            _ => many.iter().position(|source| is_of(&source.repo_url, repository)),
        }
    }

    /// The commit of that source that what is live was compared with.
    pub fn revision(&self, source: usize) -> Option<&str> {
        of_source(&self.status.sync.revision, &self.status.sync.revisions, source)
    }
}

impl Operation {
    /// The commit of a source that was synced to.
    pub fn revision(&self, source: usize) -> Option<&str> {
        let result = self.sync_result.as_ref()?;
        of_source(&result.revision, &result.revisions, source)
    }

    /// Whether it is not over.
    pub fn is_running(&self) -> bool {
        matches!(self.phase.as_str(), "Running" | "Terminating")
    }
}

fn of_source<'r>(one: &'r str, many: &'r [String], source: usize) -> Option<&'r str> {
    let chosen = if many.is_empty() { Some(one) } else { many.get(source).map(String::as_str) };
    chosen.filter(|revision| !revision.is_empty())
}

/// Whether an address, be it of HTTPS or SSH, is of the repository `owner/name`.
fn is_of(address: &str, repository: &str) -> bool {
    let address = address.trim_end_matches('/').trim_end_matches(".git");
    let (length, wanted) = (address.len(), repository.len());
    let Some(start) = length.checked_sub(wanted) else { return false };
    let tail = address.get(start..).is_some_and(|tail| tail.eq_ignore_ascii_case(repository));
    tail && (start == 0 || address[..start].ends_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Application {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn addresses_of_all_kinds_name_a_repository() {
        for address in [
            "https://github.com/acme/manifests",
            "https://github.com/Acme/Manifests.git",
            "git@github.com:acme/manifests.git",
            "ssh://git@ghes.example:22/acme/manifests/",
        ] {
            assert!(is_of(address, "acme/manifests"), "{address}");
        }
        for address in
            ["https://github.com/xacme/manifests", "https://github.com/acme/manifests2", "manifests"]
        {
            assert!(!is_of(address, "acme/manifests"), "{address}");
        }
    }

    #[test]
    fn one_source_or_several_have_their_own_revision() {
        let one =
            of(r#"{"spec":{"source":{"repoURL":"https://x/acme/m"}},"status":{"sync":{"revision":"a"}}}"#);
        assert_eq!(one.source_of("acme/m").and_then(|source| one.revision(source)), Some("a"));
        let two = of(
            r#"{"spec":{"sources":[{"repoURL":"https://x/charts"},{"repoURL":"https://x/acme/m.git"}]},"status":{"sync":{"revisions":["a","b"]}}}"#,
        );
        assert_eq!(two.source_of("acme/m").and_then(|source| two.revision(source)), Some("b"));
        assert_eq!(two.source_of("acme/other"), None);
    }

    #[test]
    fn what_is_missing_or_null_is_empty() {
        let bare = of(r#"{"status":{"resources":null,"summary":{"images":null}}}"#);
        assert_eq!(bare, Application::default());
        assert!(!bare.is_automated());
        assert!(of(r#"{"spec":{"syncPolicy":{"automated":{}}}}"#).is_automated());
        assert!(!of(r#"{"spec":{"syncPolicy":{"automated":{"enabled":false}}}}"#).is_automated());
    }
}
