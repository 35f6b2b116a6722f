//! The Kubernetes part of a rehearsal's world: every `kubernetes` service runs in its cluster, with the containers that the deploy
//! file names and an earlier image.

use serde_json::{Value, json};

use crate::config::Service;
use crate::sys::environment::Variables;
use crate::targets::Kind;
use crate::targets::kubernetes::kind::KubernetesKind;
use crate::targets::kubernetes::settings::{WorkloadKind, WorkloadName};
use roadstead_cloud::kubernetes::scenario::{
    ClusterSetting, PodContainer, RouteSetting, ServiceSetting, WorkloadSetting,
};
use roadstead_cloud::kubernetes::state;
use roadstead_cloud::scenario::Scenario;

use super::example::ExampleFiles;
use super::worlds::{SeedContext, World};

const EXAMPLE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  api:
    repository: acme/api
    kubernetes: { cluster: { eks: acme }, namespace: shop, workload: deployment/api, container: app }
";

/// The host of the API server in a made-up kubeconfig, and its token.
const MADE_UP_HOST: &str = "kubernetes.rehearsal.invalid";
const MADE_UP_TOKEN: &str = "token-of-a-rehearsal";

/// The world of workloads in clusters.
pub(super) struct KubernetesWorld;

impl World for KubernetesWorld {
    fn key(&self) -> &'static str {
        KubernetesKind::KEY
    }

    fn example(&self) -> ExampleFiles {
        ExampleFiles::of_deploy_file(EXAMPLE)
    }

    fn seed(
        &self,
        mut scenario: Scenario,
        services: &[&Service],
        _: &SeedContext<'_>,
    ) -> Result<Scenario, String> {
        for service in services {
            let block = service.settings.to_value();
            let Some(running) = running_workload(&scenario, service, &block) else { continue };
            let images: Vec<String> = running.containers.iter().map(|one| one.image.clone()).collect();
            let (namespace, name) = (running.namespace.clone(), running.name.clone());
            let cluster = add_workload(&mut scenario, &block["cluster"], running);
            add_route(cluster, &block["traffic"], &namespace, &name);
            scenario =
                images.iter().fold(scenario, |scenario, image| scenario.with_image(image, "linux/amd64"));
        }
        Ok(scenario)
    }
}

fn text_at(block: &Value, key: &str) -> Option<String> {
    block.get(key)?.as_str().map(str::to_owned)
}

/// The workload as it runs before the rehearsal.
fn running_workload(scenario: &Scenario, service: &Service, block: &Value) -> Option<WorkloadSetting> {
    let name = WorkloadName::try_from(text_at(block, "workload")?).ok()?;
    let container = |name: String, init: bool, repository: Option<&str>| PodContainer {
        image: earlier_image(scenario, repository.unwrap_or(&name)),
        name,
        init,
        ..PodContainer::default()
    };
    let main = text_at(block, "container").unwrap_or_else(|| "app".into());
    let repository = service.config.repository.as_deref().or(Some(service.name.as_str()));
    let images = block.get("images").and_then(Value::as_object).into_iter().flatten();
    let further = images.map(|(name, one)| {
        let made_up = container(name.clone(), false, text_at(one, "repository").as_deref());
        PodContainer { image: text_at(one, "image").unwrap_or(made_up.image), ..made_up }
    });
    Some(WorkloadSetting {
        kind: match name.kind {
            WorkloadKind::Deployment => state::WorkloadKind::Deployment,
            WorkloadKind::StatefulSet => state::WorkloadKind::StatefulSet,
            WorkloadKind::DaemonSet => state::WorkloadKind::DaemonSet,
        },
        namespace: text_at(block, "namespace").unwrap_or_else(|| "default".into()),
        name: name.name,
        containers: std::iter::once(container(main, false, repository)).chain(further).collect(),
        ..WorkloadSetting::default()
    })
}

/// An image that runs before: in the account's registry where the deploy file names no other.
fn earlier_image(scenario: &Scenario, repository: &str) -> String {
    let is_whole = repository.split_once('/').is_some_and(|(host, _)| host.contains(['.', ':']));
    match is_whole {
        true => format!("{repository}:v1"),
        false => format!("{}.dkr.ecr.{}.amazonaws.com/{repository}:v1", scenario.account, scenario.region),
    }
}

/// A workload in its cluster, which is returned; one that the scenario has already stays as it is.
fn add_workload<'s>(
    scenario: &'s mut Scenario,
    cluster: &Value,
    running: WorkloadSetting,
) -> &'s mut ClusterSetting {
    let wanted = cluster_setting(cluster);
    let clusters = &mut scenario.kubernetes.clusters;
    let is_wanted = |one: &ClusterSetting| one.eks == wanted.eks && one.name == wanted.name;
    let at = clusters.iter().position(is_wanted).unwrap_or_else(|| {
        clusters.push(wanted.clone());
        clusters.len() - 1
    });
    let workloads = &mut clusters[at].workloads;
    let same = |one: &WorkloadSetting| {
        (one.kind, &one.namespace, &one.name) == (running.kind, &running.namespace, &running.name)
    };
    if !workloads.iter().any(same) {
        workloads.push(running);
    }
    &mut clusters[at]
}

/// The route and the Service of a workload whose traffic is split.
fn add_route(cluster: &mut ClusterSetting, traffic: &Value, namespace: &str, workload: &str) {
    let Some(name) = text_at(traffic, "httproute") else { return };
    let service = text_at(traffic, "service").unwrap_or_else(|| workload.to_owned());
    if !cluster.services.iter().any(|one| one.namespace == namespace && one.name == service) {
        let selector = [("app".to_owned(), workload.to_owned())].into();
        let namespace = namespace.to_owned();
        cluster.services.push(ServiceSetting { namespace, name: service.clone(), selector });
    }
    if !cluster.routes.iter().any(|one| one.namespace == namespace && one.name == name) {
        let namespace = namespace.to_owned();
        cluster.routes.push(RouteSetting { namespace, name, service, accepted: true });
    }
}

/// The cluster of a block: of EKS by its name, another one by its host.
fn cluster_setting(cluster: &Value) -> ClusterSetting {
    if let Some(name) = text_at(cluster, "eks") {
        return ClusterSetting { name, ..ClusterSetting::default() };
    }
    let url = text_at(cluster, "server").unwrap_or_else(|| format!("https://{MADE_UP_HOST}"));
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default().to_owned();
    ClusterSetting { name: host.clone(), server: Some(host), eks: false, ..ClusterSetting::default() }
}

/// The variables with made-up access to the clusters of the services, where that is not set.
pub(super) fn with_cluster_access(services: &[Service], mut variables: Variables) -> Variables {
    for service in services.iter().filter(|service| service.target == KubernetesKind::KEY) {
        let cluster = service.settings.to_value()["cluster"].clone();
        if let Some(name) = text_at(&cluster, "token") {
            variables.entry(name).or_insert_with(|| MADE_UP_TOKEN.to_owned());
        }
        if let Some(name) = text_at(&cluster, "kubeconfig") {
            let context = text_at(&cluster, "context").unwrap_or_else(|| "rehearsal".into());
            variables.entry(name).or_insert_with(|| made_up_kubeconfig(&context));
        }
    }
    variables
}

/// A kubeconfig whose `context` is the made-up cluster.
fn made_up_kubeconfig(context: &str) -> String {
    json!({
        "current-context": context,
        "contexts": [{ "name": context, "context": { "cluster": "rehearsal", "user": "rehearsal" } }],
        "clusters": [{ "name": "rehearsal", "cluster": { "server": format!("https://{MADE_UP_HOST}") } }],
        "users": [{ "name": "rehearsal", "user": { "token": MADE_UP_TOKEN } }],
    })
    .to_string()
}
