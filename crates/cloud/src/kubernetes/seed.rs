//! From the scenario to clusters as they are when the world begins: every workload complete.

use serde_json::{Map, Value, json};

use super::controller;
use super::network;
use super::scenario::{ClusterSetting, PodContainer, WorkloadSetting};
use super::state::{Cluster, FieldManager, ProgressingCondition, Workload, WorkloadKind};
use crate::faults::TaskOutcome;
use crate::world::World;

/// How long before the world's beginning everything was deployed, in seconds.
const DEPLOYED_AGO: f64 = 86_400.0;

/// Brings the clusters into a world.
pub(super) fn seed(world: &mut World, clusters: &[ClusterSetting], began: f64) {
    for (place, setting) in clusters.iter().enumerate() {
        let host = setting.server.clone().unwrap_or_else(|| eks_host(&setting.name, &world.region));
        world.kubernetes.clusters.push(Cluster {
            setting: setting.clone(),
            host,
            workloads: Vec::new(),
            jobs: Vec::new(),
            services: Vec::new(),
            routes: Vec::new(),
        });
        for service in &setting.services {
            let seeded = network::seeded_service(service, world.rng.uuid());
            world.kubernetes.clusters[place].services.push(seeded);
        }
        for route in &setting.routes {
            let seeded = network::seeded_route(route, world.rng.uuid(), began - DEPLOYED_AGO);
            world.kubernetes.clusters[place].routes.push(seeded);
        }
        for workload in &setting.workloads {
            seed_workload(world, place, workload, began);
        }
    }
}

/// The host of an EKS cluster's API server.
pub(super) fn eks_host(name: &str, region: &str) -> String {
    let id: String =
        crate::ecr::image_factory::sha256_digest(name).to_uppercase().chars().skip(7).take(32).collect();
    format!("{id}.gr7.{region}.eks.amazonaws.com")
}

fn seed_workload(world: &mut World, cluster: usize, setting: &WorkloadSetting, began: f64) {
    let since = began - DEPLOYED_AGO;
    let spec = workload_spec(setting);
    let annotations = setting.annotations.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let progressing =
        ProgressingCondition { status: "True", reason: "NewReplicaSetCreated", updated_at: since };
    let work = Workload {
        setting: setting.clone(),
        uid: world.rng.uuid(),
        resource_version: world.kubernetes.next_version(),
        annotations,
        seed_template: spec["template"].clone(),
        spec,
        generation: 1,
        observed_generation: 0,
        created_at: since,
        changed_at: since,
        managers: vec![FieldManager {
            manager: "kubectl-client-side-apply".into(),
            operation: "Update",
            at: since,
        }],
        revisions: Vec::new(),
        current_revision: String::new(),
        pods: Vec::new(),
        progressing,
        counted: [0; 3],
        wake_number: 0,
        is_deleted: false,
    };
    world.kubernetes.clusters[cluster].workloads.push(work);
    let place = world.kubernetes.clusters[cluster].workloads.len() - 1;
    let spared = std::mem::take(&mut world.faults.list);
    complete(world, cluster, place, since, began);
    world.faults.list = spared;
}

/// Pods are made until all are there, and are ready since long.
fn complete(world: &mut World, cluster: usize, place: usize, since: f64, began: f64) {
    for _ in 0..=world.kubernetes.clusters[cluster].workloads[place].replicas() {
        controller::reconcile(world, cluster, place, since + 60.0);
        let pods = &mut world.kubernetes.clusters[cluster].workloads[place].pods;
        for one in pods {
            (one.pod.outcome, one.pod.ready_at) = (TaskOutcome::Healthy, since + 30.0);
            (one.pod.pulled_at, one.pod.started_at) = (since + 10.0, since + 20.0);
        }
    }
    controller::reconcile(world, cluster, place, began);
}

fn workload_spec(setting: &WorkloadSetting) -> Value {
    let labels = json!({ "app": setting.name });
    let of_kind = |init: bool| -> Vec<Value> {
        setting.containers.iter().filter(|one| one.init == init).map(container_json).collect()
    };
    let mut pod = json!({
        "containers": of_kind(false), "restartPolicy": "Always", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "securityContext": {},
    });
    let init = of_kind(true);
    if !init.is_empty() {
        pod["initContainers"] = json!(init);
    }
    let mut spec = Map::new();
    spec.insert("selector".into(), json!({ "matchLabels": labels }));
    spec.insert("template".into(), json!({ "metadata": { "labels": labels }, "spec": pod }));
    spec.insert("revisionHistoryLimit".into(), json!(10));
    let rolling = json!({ "maxSurge": setting.max_surge, "maxUnavailable": setting.max_unavailable });
    let rolls = setting.strategy == "RollingUpdate";
    match setting.kind {
        WorkloadKind::Deployment => {
            spec.insert("replicas".into(), json!(setting.replicas));
            spec.insert("progressDeadlineSeconds".into(), json!(setting.progress_deadline));
            let strategy = if rolls {
                json!({ "type": "RollingUpdate", "rollingUpdate": rolling })
            } else {
                json!({ "type": setting.strategy })
            };
            spec.insert("strategy".into(), strategy);
            if setting.paused {
                spec.insert("paused".into(), json!(true));
            }
        }
        WorkloadKind::StatefulSet => {
            spec.insert("replicas".into(), json!(setting.replicas));
            spec.insert("serviceName".into(), json!(setting.name));
            spec.insert("podManagementPolicy".into(), json!("OrderedReady"));
            let partition = json!({ "partition": setting.partition });
            let strategy = if rolls {
                json!({ "type": "RollingUpdate", "rollingUpdate": partition })
            } else {
                json!({ "type": setting.strategy })
            };
            spec.insert("updateStrategy".into(), strategy);
        }
        WorkloadKind::DaemonSet => {
            let rolling = json!({ "maxUnavailable": setting.max_unavailable.max(1), "maxSurge": 0 });
            let strategy = if rolls {
                json!({ "type": "RollingUpdate", "rollingUpdate": rolling })
            } else {
                json!({ "type": setting.strategy })
            };
            spec.insert("updateStrategy".into(), strategy);
        }
    }
    Value::Object(spec)
}

/// A container with the defaults that the API server fills in.
fn container_json(container: &PodContainer) -> Value {
    let mut shown = json!({
        "name": container.name, "image": container.image, "imagePullPolicy": "IfNotPresent", "resources": {},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    });
    if !container.env.is_empty() {
        let env: Vec<Value> =
            container.env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        shown["env"] = json!(env);
    }
    if !container.secrets.is_empty() {
        let from: Vec<Value> =
            container.secrets.iter().map(|name| json!({ "secretRef": { "name": name } })).collect();
        shown["envFrom"] = json!(from);
    }
    shown
}
