//! Workloads and their revisions in the shapes of the API (apps/v1).

use serde_json::{Map, Value, json};

use super::state::{ClusterPod, Revision, Workload, WorkloadKind};
use crate::time::iso8601;

/// The annotation with the number of a revision.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// A time as Kubernetes writes it: whole seconds.
pub fn format_time(at: f64) -> String {
    iso8601(at.floor())
}

/// A workload at `now`.
pub fn workload_json(work: &Workload, now: f64) -> Value {
    let kind = work.setting.kind;
    json!({
        "apiVersion": "apps/v1",
        "kind": kind.name(),
        "metadata": metadata_json(work),
        "spec": work.spec,
        "status": status_json(work, now),
    })
}

fn metadata_json(work: &Workload) -> Value {
    let mut annotations = work.annotations.clone();
    if work.setting.kind == WorkloadKind::Deployment
        && let Some(revision) = work.revisions.last()
    {
        annotations.insert(REVISION.into(), json!(revision.number.to_string()));
    }
    let mut metadata = json!({
        "name": work.setting.name,
        "namespace": work.setting.namespace,
        "uid": work.uid,
        "resourceVersion": work.resource_version.to_string(),
        "generation": work.generation,
        "creationTimestamp": format_time(work.created_at),
        "labels": work.setting.labels,
        "annotations": annotations,
        "managedFields": managed_fields(work),
    });
    if let Some((kind, name)) = work.setting.controller.as_deref().and_then(|text| text.split_once('/')) {
        metadata["ownerReferences"] = json!([{
            "apiVersion": "flagger.app/v1beta1", "kind": kind, "name": name, "uid": "0", "controller": true,
        }]);
    }
    metadata
}

/// One entry for each writer of the template.
fn managed_fields(work: &Workload) -> Vec<Value> {
    let containers = work.template()["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let fields: Map<String, Value> = containers
        .iter()
        .map(|container| {
            let key = json!({ "name": container["name"] });
            (format!("k:{key}"), json!({ "f:image": {}, "f:env": {} }))
        })
        .collect();
    let entry = |manager: &super::state::FieldManager| {
        json!({
            "manager": manager.manager, "operation": manager.operation, "apiVersion": "apps/v1",
            "time": format_time(manager.at), "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:template": { "f:spec": { "f:containers": fields } } } },
        })
    };
    work.managers.iter().map(entry).collect()
}

fn status_json(work: &Workload, now: f64) -> Value {
    let status = match work.setting.kind {
        WorkloadKind::Deployment => deployment_status(work, now),
        WorkloadKind::StatefulSet => stateful_set_status(work, now),
        WorkloadKind::DaemonSet => daemon_set_status(work, now),
    };
    without_zeros(status)
}

/// Counts of zero are not written, nor are absent conditions.
fn without_zeros(status: Value) -> Value {
    let Value::Object(members) = status else { return status };
    let required = [
        "collisionCount",
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
    ];
    let kept =
        members.into_iter().filter(|(name, value)| *value != json!(0) || required.contains(&name.as_str()));
    Value::Object(kept.collect())
}

fn deployment_status(work: &Workload, now: f64) -> Value {
    let (new, old) = work.active_counts();
    let (new_ready, old_ready) = work.available_counts(now);
    let (total, ready) = (new + old, new_ready + old_ready);
    let terminating = work.pods.iter().filter(|one| !one.pod.is_active()).count();
    let least = work.replicas().saturating_sub(work.setting.max_unavailable as usize);
    let mut conditions = vec![available_condition(ready >= least, now)];
    conditions.push(progressing_condition(work));
    if let Some(message) = work.revisions.last().and_then(|revision| revision.create_failure.as_ref()) {
        conditions.push(json!({
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
            "lastUpdateTime": format_time(now), "lastTransitionTime": format_time(now),
        }));
    }
    json!({
        "observedGeneration": work.observed_generation,
        "replicas": total, "updatedReplicas": new, "readyReplicas": ready, "availableReplicas": ready,
        "unavailableReplicas": work.replicas().max(total) - ready, "terminatingReplicas": terminating,
        "conditions": conditions,
    })
}

fn available_condition(is_available: bool, now: f64) -> Value {
    let (status, reason, message) = match is_available {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    json!({
        "type": "Available", "status": status, "reason": reason, "message": message,
        "lastUpdateTime": format_time(now), "lastTransitionTime": format_time(now),
    })
}

fn progressing_condition(work: &Workload) -> Value {
    let one = &work.progressing;
    let set = work.update_revision();
    let message = match one.reason {
        "NewReplicaSetAvailable" => format!("ReplicaSet \"{set}\" has successfully progressed."),
        "ProgressDeadlineExceeded" => format!("ReplicaSet \"{set}\" has timed out progressing."),
        "NewReplicaSetCreated" => format!("Created new replica set \"{set}\""),
        "DeploymentPaused" => "Deployment is paused".to_owned(),
        _ => format!("ReplicaSet \"{set}\" is progressing."),
    };
    json!({
        "type": "Progressing", "status": one.status, "reason": one.reason, "message": message,
        "lastUpdateTime": format_time(one.updated_at), "lastTransitionTime": format_time(one.updated_at),
    })
}

fn stateful_set_status(work: &Workload, now: f64) -> Value {
    let (new, old) = work.active_counts();
    let (new_ready, old_ready) = work.available_counts(now);
    let ready = new_ready + old_ready;
    let current = work.pods.iter().filter(|one| one.revision == work.current_revision).count();
    json!({
        "observedGeneration": work.observed_generation,
        "replicas": new + old, "readyReplicas": ready, "availableReplicas": ready,
        "currentReplicas": current, "updatedReplicas": new,
        "currentRevision": work.current_revision, "updateRevision": work.update_revision(), "collisionCount": 0,
    })
}

fn daemon_set_status(work: &Workload, now: f64) -> Value {
    let (new, old) = work.active_counts();
    let (new_ready, old_ready) = work.available_counts(now);
    let (nodes, ready) = (work.replicas(), new_ready + old_ready);
    json!({
        "observedGeneration": work.observed_generation,
        "currentNumberScheduled": new + old, "desiredNumberScheduled": nodes, "numberMisscheduled": 0,
        "numberReady": ready, "numberAvailable": ready, "numberUnavailable": nodes.saturating_sub(ready),
        "updatedNumberScheduled": new,
    })
}

/// A ReplicaSet or ControllerRevision of a workload.
pub fn revision_json(work: &Workload, revision: &Revision, now: f64) -> Value {
    match work.setting.kind {
        WorkloadKind::Deployment => replica_set_json(work, revision, now),
        WorkloadKind::StatefulSet | WorkloadKind::DaemonSet => controller_revision_json(work, revision),
    }
}

fn owned_metadata(work: &Workload, name: &str, uid: &str, at: f64) -> Value {
    json!({
        "name": name, "namespace": work.setting.namespace, "uid": uid, "creationTimestamp": format_time(at),
        "ownerReferences": [owner_reference("apps/v1", work.setting.kind.name(), &work.setting.name, &work.uid)],
    })
}

fn owner_reference(version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn replica_set_json(work: &Workload, revision: &Revision, now: f64) -> Value {
    let active = work.pods.iter().filter(|one| one.revision == revision.name && one.pod.is_active());
    let available = active.clone().filter(|one| one.pod.is_available(now)).count();
    let count = active.count();
    let is_current = revision.name == work.update_revision();
    let wanted = if is_current && work.active_counts().1 == 0 { work.replicas() } else { count };
    let mut metadata = owned_metadata(work, &revision.name, &revision.uid, revision.created_at);
    let mut annotations = work.annotations.clone();
    annotations.insert(REVISION.into(), json!(revision.number.to_string()));
    if !revision.past_numbers.is_empty() {
        let past: Vec<String> = revision.past_numbers.iter().map(u32::to_string).collect();
        annotations.insert("deployment.kubernetes.io/revision-history".into(), json!(past.join(",")));
    }
    metadata["annotations"] = Value::Object(annotations);
    let template = with_label(&revision.template, "pod-template-hash", &revision.hash);
    metadata["labels"] = template["metadata"]["labels"].clone();
    let failures = revision.create_failure.iter().map(|message| {
        json!({ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message })
    });
    let failures: Vec<Value> = failures.collect();
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata,
        "spec": { "replicas": wanted, "selector": work.spec["selector"], "template": template },
        "status": {
            "observedGeneration": 1, "replicas": count, "fullyLabeledReplicas": count,
            "readyReplicas": available, "availableReplicas": available, "conditions": failures,
        },
    })
}

fn controller_revision_json(work: &Workload, revision: &Revision) -> Value {
    let mut metadata = owned_metadata(work, &revision.name, &revision.uid, revision.created_at);
    metadata["labels"] = work.template()["metadata"]["labels"].clone();
    let mut template = revision.template.clone();
    template["$patch"] = json!("replace");
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata,
        "revision": revision.number, "data": { "spec": { "template": template } },
    })
}

fn with_label(template: &Value, name: &str, value: &str) -> Value {
    let mut labelled = template.clone();
    labelled["metadata"]["labels"][name] = json!(value);
    labelled
}

/// The labels and the owner of a pod.
pub fn pod_metadata(work: &Workload, one: &ClusterPod) -> Value {
    let revision = work.revisions.iter().find(|revision| revision.name == one.revision);
    let (hash, uid) = revision.map_or(("", ""), |revision| (revision.hash.as_str(), revision.uid.as_str()));
    let template = revision.map_or_else(|| work.template().clone(), |revision| revision.template.clone());
    let owner = match work.setting.kind {
        WorkloadKind::Deployment => owner_reference("apps/v1", "ReplicaSet", &one.revision, uid),
        kind => owner_reference("apps/v1", kind.name(), &work.setting.name, &work.uid),
    };
    let labels = match work.setting.kind {
        WorkloadKind::Deployment => with_label(&template, "pod-template-hash", hash),
        WorkloadKind::StatefulSet => with_label(&template, "controller-revision-hash", &one.revision),
        WorkloadKind::DaemonSet => with_label(&template, "controller-revision-hash", hash),
    };
    let mut metadata = json!({
        "name": one.pod.name, "namespace": work.setting.namespace, "uid": one.pod.uid,
        "creationTimestamp": format_time(one.pod.created_at),
        "labels": labels["metadata"]["labels"], "ownerReferences": [owner],
    });
    if let Some(at) = one.pod.ends_at {
        metadata["deletionTimestamp"] = json!(format_time(at));
    }
    metadata
}
