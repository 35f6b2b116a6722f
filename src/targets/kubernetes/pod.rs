//! Pods and their containers as the API returns them. Reading only.

use serde::Deserialize;

use super::read::{Condition, Metadata};
use super::revision::RevisionObject;
use super::settings::WorkloadKind;

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Names, labels, owners.
    pub metadata: Metadata,
    /// What runs in it.
    pub spec: PodSpec,
    /// Its state.
    pub status: PodStatus,
}

/// What runs in a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Its node.
    pub node_name: String,
}

/// The state of a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded` or `Failed`.
    pub phase: String,
    /// Why it failed.
    pub reason: String,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Its containers.
    pub container_statuses: Vec<ContainerStatus>,
    /// Its init containers.
    pub init_container_statuses: Vec<ContainerStatus>,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// What was pulled.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restart_count: u32,
    /// Its state.
    pub state: ContainerState,
    /// How it ended before it was started again.
    pub last_state: ContainerState,
}

/// One state of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// It waits.
    pub waiting: Option<WaitingState>,
    /// It has ended.
    pub terminated: Option<TerminatedState>,
}

/// Why a container waits.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WaitingState {
    /// Such as `ImagePullBackOff`.
    pub reason: String,
    /// The kubelet's words.
    pub message: String,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TerminatedState {
    /// Its exit code.
    pub exit_code: i64,
    /// Such as `OOMKilled` or `Error`.
    pub reason: String,
}

impl Pod {
    /// Whether it is not being deleted.
    pub fn is_active(&self) -> bool {
        self.metadata.deletion_timestamp.is_none()
    }

    /// Whether it is ready, by its readiness gates too.
    pub fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// The condition of a type.
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.iter().find(|condition| condition.kind == kind)
    }

    /// Its containers, init containers first.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerStatus> {
        self.status.init_container_statuses.iter().chain(&self.status.container_statuses)
    }

    /// Whether it is of a revision of the workload.
    pub fn is_of(&self, kind: WorkloadKind, revision: &RevisionObject) -> bool {
        let label = |name: &str| self.metadata.labels.get(name).map(String::as_str);
        match kind {
            WorkloadKind::Deployment => {
                self.metadata.owner_references.iter().any(|owner| owner.uid == revision.metadata.uid)
            }
            WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => {
                let hash = label("controller-revision-hash").unwrap_or_default();
                !hash.is_empty()
                    && (revision.metadata.name == hash
                        || revision.metadata.name.ends_with(&format!("-{hash}")))
            }
        }
    }
}
