//! Workloads of Kubernetes as a kind of target: needs, permissions, connection.

use std::rc::Rc;

use super::access::ClusterAccesses;
use super::client::Client;
use super::settings::{ClusterSettings, Settings};
use super::{KubernetesTarget, grants};
use crate::problem::Problem;
use crate::targets::policy::{Permission, PolicyScope};
use crate::targets::rbac::RbacRule;
use crate::targets::{
    DeclaredContainer, Feature, ImageUse, Kind, Needs, Spec, Target, TargetContext, further_images,
};

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
        vec![format!("the workload `{}` of {}", Self::location(settings), settings.cluster.title())]
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

    fn containers(spec: &Spec<'_, Settings>) -> Vec<DeclaredContainer> {
        further_images::declared_containers(&spec.with_settings(&spec.settings.images))
    }

    fn lint(spec: &Spec<'_, Settings>) -> Vec<Problem> {
        let main = spec.settings.container.as_ref().map(|name| name.as_str());
        let name_problem = |name: &str| further_images::deployed_twice(Self::KEY, main, name);
        further_images::problems(Self::KEY, &spec.with_settings(&spec.settings.images), name_problem)
    }

    fn permissions(spec: &Spec<'_, Settings>, scope: &PolicyScope) -> Vec<Permission> {
        grants::permissions(spec, scope)
    }

    fn rbac_rules(spec: &Spec<'_, Settings>) -> Vec<RbacRule> {
        grants::rbac_rules(spec)
    }

    fn connect(spec: &Spec<'_, Settings>, run: &TargetContext<'_>) -> Result<Rc<dyn Target>, Problem> {
        let clusters = run.shared.get_or_init(ClusterAccesses::default);
        let access = clusters.get_or_open(&spec.settings.cluster, run)?;
        let client = Client::new(access, spec.settings.namespace.as_str());
        Ok(Rc::new(KubernetesTarget::new(client, spec.service, spec.settings.clone())))
    }
}
