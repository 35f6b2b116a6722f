//! Workloads of Kubernetes as a kind of target: needs, permissions, connection.

use std::rc::Rc;

use super::access::ClusterAccesses;
use super::client::Client;
use super::settings::{ClusterSettings, Settings};
use super::{KubernetesTarget, grants};
use crate::problem::Problem;
use crate::targets::policy::{Permission, PolicyScope};
use crate::targets::{Feature, ImageUse, Kind, Needs, Spec, Target, TargetContext};

/// Deployments, StatefulSets and DaemonSets of a cluster.
pub struct KubernetesKind;

impl Kind for KubernetesKind {
    const KEY: &'static str = "kubernetes";
    const NEEDS: Needs = Needs {
        aws: false,
        image: ImageUse::Deployed,
        one_off_tasks: Feature::Supported,
        env_vars: Feature::Supported,
    };
    type Settings = Settings;

    fn location(settings: &Settings) -> String {
        format!("{}/{}", settings.namespace.as_str(), settings.workload)
    }

    fn resources(settings: &Settings) -> Vec<String> {
        let cluster = match &settings.cluster {
            ClusterSettings::Eks(name) => format!("the EKS cluster `{}`", name.as_str()),
            ClusterSettings::Server(server) => format!("the cluster at `{}`", server.url.as_str()),
            ClusterSettings::Kubeconfig(config) => format!("the cluster of `{}`", config.variable.as_str()),
        };
        vec![format!("the workload `{}` of {cluster}", Self::location(settings))]
    }

    fn uses_aws(settings: &Settings) -> bool {
        matches!(settings.cluster, ClusterSettings::Eks(_))
    }

    fn credential_urls(settings: &Settings) -> Vec<String> {
        match &settings.cluster {
            ClusterSettings::Server(server) => vec![server.url.as_str().to_owned()],
            ClusterSettings::Eks(_) | ClusterSettings::Kubeconfig(_) => Vec::new(),
        }
    }

    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        grants::permissions(spec, scope)
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let clusters = run.shared.get_or_init(ClusterAccesses::default);
        let access = clusters.get_or_open(&spec.settings.cluster, run)?;
        let client = Client::new(access, spec.settings.namespace.as_str());
        Ok(Rc::new(KubernetesTarget::new(client, spec.service, spec.settings.clone())))
    }
}
