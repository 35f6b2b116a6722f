//! Workloads of Kubernetes as a kind of target: needs, permissions, connection.

use std::rc::Rc;

use super::access::ClusterAccesses;
use super::client::Client;
use super::route::RoutedWorkload;
use super::settings::{ClusterSettings, Settings, WorkloadKind};
use super::{KubernetesTarget, grants};
use crate::config::Strategy;
use crate::problem::{Code, Problem};
use crate::targets::policy::{Permission, PolicyScope};
use crate::targets::rbac::RbacRule;
use crate::targets::{
    DeclaredContainer, Feature, ImageUse, Kind, Needs, Spec, Target, TargetContext, further_images,
};

/// The longest name of a workload with a canary: names of Services have at most 63 characters.
const MAX_WORKLOAD_NAME: usize = 56;

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
        let images =
            further_images::problems(Self::KEY, &spec.with_settings(&spec.settings.images), name_problem);
        images.into_iter().chain(lint_traffic(spec)).collect()
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
        let workload = |settings: &Settings| {
            let client = Client::new(access.clone(), settings.namespace.as_str());
            KubernetesTarget::new(client, spec.service, settings.clone(), run.run.is_plan)
        };
        let main = workload(spec.settings);
        let Some(names) = spec.settings.route_names() else { return Ok(Rc::new(main)) };
        let mut canary = spec.settings.clone();
        canary.workload.name = names.canary.clone();
        Ok(Rc::new(RoutedWorkload::new(main, workload(&canary), names)))
    }
}

/// What is wrong with `traffic`: who it is for, and which strategy it cannot do.
fn lint_traffic(spec: &Spec<'_, Settings>) -> Option<Problem> {
    spec.settings.traffic.as_ref()?;
    let wrong = |sentence: &str, help: &str| {
        let problem = Problem::error(Code::Unsupported, sentence).help(help);
        let node = spec.service.settings.get("traffic").unwrap_or(&spec.service.settings);
        Some(problem.at_location(spec.file, node.line, node.column))
    };
    if spec.settings.workload.kind != WorkloadKind::Deployment {
        return wrong("Only the traffic of a Deployment can be split.", "Remove `traffic`.");
    }
    if spec.settings.workload.name.len() > MAX_WORKLOAD_NAME {
        return wrong(
            "The name of the workload is too long for a canary, which has `-canary` after it.",
            "Remove `traffic`, or give the workload a shorter name.",
        );
    }
    match &spec.service.config.strategy {
        Strategy::BlueGreen(_) => wrong(
            "`blue-green` is not supported with `traffic.httproute`: the Deployment itself gets the version at the end.",
            "Use `canary` or `linear`.",
        ),
        Strategy::Rolling(_) | Strategy::Linear(_) | Strategy::Canary(_) => None,
    }
}
