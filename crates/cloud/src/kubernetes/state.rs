//! The state of clusters, as plain data.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::scenario::{ClusterSetting, WorkloadSetting};
use crate::argocd::state::Pod;
use crate::one_off_commands::OneOffCommand;

/// All clusters.
#[derive(Debug, Clone, Default)]
pub struct KubernetesState {
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// The last resource version; each change of anything raises it.
    pub resource_version: u64,
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What the scenario says of it.
    pub setting: ClusterSetting,
    /// Host of its API server, with a port where it has one.
    pub host: String,
    /// Its workloads.
    pub workloads: Vec<Workload>,
    /// Jobs that clients made.
    pub jobs: Vec<Job>,
    /// Its Services.
    pub services: Vec<ClusterService>,
    /// Its HTTPRoutes.
    pub routes: Vec<ClusterRoute>,
}

/// A Service.
#[derive(Debug, Clone)]
pub struct ClusterService {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object.
    pub object: Value,
}

/// An HTTPRoute.
#[derive(Debug, Clone)]
pub struct ClusterRoute {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object, without its status.
    pub object: Value,
    /// How often its spec changed.
    pub generation: u64,
    /// When that was.
    pub changed_at: f64,
    /// Whether a gateway accepts it.
    pub is_accepted: bool,
}

/// The kind of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}

impl WorkloadKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// `kind` of its objects.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    /// Its resource in paths.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
        }
    }

    /// The kind of the objects that keep its templates.
    pub fn revision_kind(self) -> &'static str {
        match self {
            Self::Deployment => "ReplicaSet",
            Self::StatefulSet | Self::DaemonSet => "ControllerRevision",
        }
    }
}

/// A Deployment, StatefulSet or DaemonSet, and what it owns.
#[derive(Debug, Clone)]
pub struct Workload {
    /// What the scenario says of it.
    pub setting: WorkloadSetting,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: u64,
    /// `metadata.annotations`.
    pub annotations: Map<String, Value>,
    /// `spec`, whole.
    pub spec: Value,
    /// `metadata.generation`.
    pub generation: u64,
    /// `status.observedGeneration`.
    pub observed_generation: u64,
    /// When it was made.
    pub created_at: f64,
    /// When its spec changed last.
    pub changed_at: f64,
    /// Who wrote its template, oldest first.
    pub managers: Vec<FieldManager>,
    /// Its templates, oldest first; the last one is the current.
    pub revisions: Vec<Revision>,
    /// `currentRevision` of a StatefulSet.
    pub current_revision: String,
    /// Its pods.
    pub pods: Vec<ClusterPod>,
    /// The condition `Progressing` as the controller wrote it last.
    pub progressing: ProgressingCondition,
    /// Updated, available and old pods at the last progress.
    pub counted: [usize; 3],
    /// The template that the world began with.
    pub seed_template: Value,
    /// Number of the next planned look at it: older ones are void.
    pub wake_number: u64,
    /// Whether somebody deleted it: it keeps its place in the list, without pods.
    pub is_deleted: bool,
}

/// An entry of `managedFields` for the template.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldManager {
    /// Its name.
    pub manager: String,
    /// `Update` or `Apply`.
    pub operation: &'static str,
    /// When.
    pub at: f64,
}

/// The condition `Progressing`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressingCondition {
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Its reason.
    pub reason: &'static str,
    /// Its `lastUpdateTime`.
    pub updated_at: f64,
}

/// A ReplicaSet or a ControllerRevision.
#[derive(Debug, Clone)]
pub struct Revision {
    /// Its name.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// The hash in labels.
    pub hash: String,
    /// The number.
    pub number: u32,
    /// Numbers that it had before.
    pub past_numbers: Vec<u32>,
    /// The pod template, without the label of the hash.
    pub template: Value,
    /// When it was made.
    pub created_at: f64,
    /// Why its pods cannot be made.
    pub create_failure: Option<String>,
    /// One of its images does not exist.
    pub lacks_image: bool,
}

/// A pod and where it belongs.
#[derive(Debug, Clone)]
pub struct ClusterPod {
    /// The pod.
    pub pod: Pod,
    /// Name of its revision.
    pub revision: String,
    /// Its number in a StatefulSet.
    pub ordinal: Option<u32>,
}

/// A Job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its object as it was made, with defaults.
    pub object: Value,
    /// Name of its pod.
    pub pod: String,
    /// When it was made.
    pub created_at: f64,
    /// When its command begins.
    pub started_at: f64,
    /// How its command ends.
    pub command: OneOffCommand,
    /// Its image cannot be pulled.
    pub has_no_image: bool,
    /// When it was deleted.
    pub deleted_at: Option<f64>,
}

impl Workload {
    /// Name of the current revision.
    pub fn update_revision(&self) -> &str {
        self.revisions.last().map_or("", |revision| revision.name.as_str())
    }

    /// Copies that it should have.
    pub fn replicas(&self) -> usize {
        match self.setting.kind {
            WorkloadKind::DaemonSet => self.setting.replicas as usize,
            _ => self.spec["replicas"].as_u64().unwrap_or(1) as usize,
        }
    }

    /// The template that it should run.
    pub fn template(&self) -> &Value {
        &self.spec["template"]
    }

    /// Whether somebody paused it.
    pub fn is_paused(&self) -> bool {
        self.spec["paused"].as_bool().unwrap_or_default()
    }

    /// Pods that are not terminating, of the current revision and of the others.
    pub fn active_counts(&self) -> (usize, usize) {
        let active = || self.pods.iter().filter(|one| one.pod.is_active());
        let new = active().filter(|one| one.revision == self.update_revision()).count();
        (new, active().count() - new)
    }

    /// Available pods of the current revision and of the others.
    pub fn available_counts(&self, now: f64) -> (usize, usize) {
        let available = || self.pods.iter().filter(move |one| one.pod.is_available(now));
        let new = available().filter(|one| one.revision == self.update_revision()).count();
        (new, available().count() - new)
    }
}

impl KubernetesState {
    /// A resource version that nothing had before.
    pub fn next_version(&mut self) -> u64 {
        self.resource_version += 1;
        self.resource_version
    }
}
