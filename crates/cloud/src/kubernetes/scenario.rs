//! Clusters of Kubernetes as a scenario says them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::state::WorkloadKind;

/// Clusters, and what runs in them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct KubernetesSettings {
    /// The clusters.
    pub clusters: Vec<ClusterSetting>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClusterSetting {
    /// Its name in EKS.
    pub name: String,
    /// The host of its API server, with a port where it is not 443; that of an EKS cluster when absent.
    pub server: Option<String>,
    /// Whether EKS knows it.
    pub eks: bool,
    /// Its status in EKS.
    pub status: String,
    /// Whether the API server can be reached from outside of its network.
    pub public: bool,
    /// The bearer token that it accepts beside those of EKS; any when absent.
    pub token: Option<String>,
    /// The audience of GitHub's tokens that it trusts, instead of `token`.
    pub audience: Option<String>,
    /// Verbs and resources that are refused, such as `patch deployments`.
    pub denied: Vec<String>,
    /// Verbs and resources that are allowed, such as `list pods` or `patch deployments api`; all when absent.
    pub allowed: Option<Vec<String>>,
    /// Secrets and ConfigMaps that do not exist, such as `secret tls`; all others do.
    pub missing: Vec<String>,
    /// Pods that the quota of every namespace allows, where there is one.
    pub pod_quota: Option<u32>,
    /// Its Services.
    pub services: Vec<ServiceSetting>,
    /// Its HTTPRoutes.
    pub routes: Vec<RouteSetting>,
    /// What runs in it.
    pub workloads: Vec<WorkloadSetting>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ServiceSetting {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The labels of its pods.
    pub selector: BTreeMap<String, String>,
}

impl Default for ServiceSetting {
    fn default() -> Self {
        Self { namespace: "default".into(), name: "web".into(), selector: BTreeMap::new() }
    }
}

/// An HTTPRoute with one rule.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RouteSetting {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Service that gets its traffic.
    pub service: String,
    /// Whether a gateway accepts it.
    pub accepted: bool,
}

impl Default for RouteSetting {
    fn default() -> Self {
        Self { namespace: "default".into(), name: "web".into(), service: "web".into(), accepted: true }
    }
}

impl Default for ClusterSetting {
    fn default() -> Self {
        Self {
            name: "acme".into(),
            server: None,
            eks: true,
            status: "ACTIVE".into(),
            public: true,
            token: None,
            audience: None,
            denied: Vec::new(),
            allowed: None,
            missing: Vec::new(),
            pod_quota: None,
            services: Vec::new(),
            routes: Vec::new(),
            workloads: Vec::new(),
        }
    }
}

/// A workload that runs when the world begins.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WorkloadSetting {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Copies; for a DaemonSet the nodes.
    pub replicas: u32,
    /// Containers of its pods.
    pub containers: Vec<PodContainer>,
    /// `RollingUpdate`, `Recreate` or `OnDelete`.
    pub strategy: String,
    /// The partition of a StatefulSet.
    pub partition: u32,
    /// More copies than desired while it rolls.
    pub max_surge: u32,
    /// Fewer copies than desired while it rolls.
    pub max_unavailable: u32,
    /// `progressDeadlineSeconds`.
    pub progress_deadline: u32,
    /// It is paused.
    pub paused: bool,
    /// Annotations of its metadata.
    pub annotations: BTreeMap<String, String>,
    /// Labels of its metadata.
    pub labels: BTreeMap<String, String>,
    /// Kind and name of the object that controls it, such as `Canary/api`.
    pub controller: Option<String>,
}

impl Default for WorkloadSetting {
    fn default() -> Self {
        Self {
            kind: WorkloadKind::Deployment,
            namespace: "default".into(),
            name: "web".into(),
            replicas: 2,
            containers: Vec::new(),
            strategy: "RollingUpdate".into(),
            partition: 0,
            max_surge: 1,
            max_unavailable: 0,
            progress_deadline: 600,
            paused: false,
            annotations: BTreeMap::new(),
            labels: BTreeMap::new(),
            controller: None,
        }
    }
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PodContainer {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its variables.
    pub env: BTreeMap<String, String>,
    /// Secrets whose keys are its variables.
    pub secrets: Vec<String>,
    /// Whether it runs before the others.
    pub init: bool,
}

impl KubernetesSettings {
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), String> {
        for cluster in &self.clusters {
            for workload in &cluster.workloads {
                let place = format!("kubernetes: {}: {}", cluster.name, workload.name);
                if workload.containers.iter().all(|container| container.init) {
                    return Err(format!("{place}: it has no containers"));
                }
                let known = ["RollingUpdate", "Recreate", "OnDelete"];
                crate::scenario::check_one_of(&format!("{place}: strategy"), &workload.strategy, &known)?;
            }
        }
        Ok(())
    }
}
