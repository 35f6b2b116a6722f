//! Workloads that clients make and delete.

use serde_json::{Value, json};

use super::api::ApiRequest;
use super::scenario::WorkloadSetting;
use super::state::{FieldManager, ProgressingCondition, Workload, WorkloadKind};
use super::{controller, objects, patch, responses};
use crate::input::str_field;
use crate::request::{ServiceError, ServiceResult};
use crate::world::World;

/// Makes a workload.
pub(super) fn create_workload(
    world: &mut World,
    place: usize,
    kind: WorkloadKind,
    request: &ApiRequest<'_>,
    now: f64,
) -> ServiceResult {
    let (body, namespace) = (request.body, request.namespace.to_owned());
    let name = str_field(&body["metadata"], "name").to_owned();
    let is_same = |work: &Workload| {
        let setting = &work.setting;
        !work.is_deleted && setting.kind == kind && setting.namespace == namespace && setting.name == name
    };
    if world.kubernetes.clusters[place].workloads.iter().any(is_same) {
        return Err(responses::already_exists(&format!("{}.apps", kind.resource()), &name));
    }
    patch::validate_template(kind.name(), body)?;
    check_selector(kind, &name, body)?;
    let work = new_workload(world, kind, request, now);
    crate::timed_faults::on_first_deployment(world, now);
    let workloads = &mut world.kubernetes.clusters[place].workloads;
    workloads.push(work);
    let at = workloads.len() - 1;
    controller::reconcile(world, place, at, now);
    Ok(objects::workload_json(&world.kubernetes.clusters[place].workloads[at], now))
}

/// A workload as its controller finds it first.
fn new_workload(world: &mut World, kind: WorkloadKind, request: &ApiRequest<'_>, now: f64) -> Workload {
    let body = request.body;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = body["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let replicas = body["spec"]["replicas"].as_u64().unwrap_or(1) as u32;
    let setting = WorkloadSetting {
        kind,
        namespace: request.namespace.to_owned(),
        name: str_field(&body["metadata"], "name").to_owned(),
        replicas,
        labels: labels.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        ..WorkloadSetting::default()
    };
    let mut spec = body["spec"].clone();
    spec["replicas"] = json!(replicas);
    spec["revisionHistoryLimit"] = json!(10);
    spec["strategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    let manager = str_field(request.query, "fieldManager").to_owned();
    Workload {
        setting,
        uid: world.rng.uuid(),
        resource_version: world.kubernetes.next_version(),
        annotations: body["metadata"]["annotations"].as_object().cloned().unwrap_or_default(),
        seed_template: Value::Null,
        spec,
        generation: 1,
        observed_generation: 0,
        created_at: now,
        changed_at: now,
        managers: vec![FieldManager { manager, operation: "Update", at: now }],
        revisions: Vec::new(),
        current_revision: String::new(),
        pods: Vec::new(),
        progressing: ProgressingCondition { status: "True", reason: "NewReplicaSetCreated", updated_at: now },
        counted: [0; 3],
        wake_number: 0,
        is_deleted: false,
    }
}

/// The selector must have the labels of the template.
fn check_selector(kind: WorkloadKind, name: &str, body: &Value) -> Result<(), ServiceError> {
    let labels = &body["spec"]["template"]["metadata"]["labels"];
    let selector = body["spec"]["selector"]["matchLabels"].as_object().cloned().unwrap_or_default();
    let fits = !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value);
    let words = "spec.template.metadata.labels: `selector` does not match template `labels`";
    if fits { Ok(()) } else { Err(responses::invalid_object(kind.name(), name, words)) }
}

/// Deletes a workload and its pods.
pub(super) fn delete_workload(
    world: &mut World,
    place: usize,
    at: usize,
    request: &ApiRequest<'_>,
    now: f64,
) -> ServiceResult {
    let work = &mut world.kubernetes.clusters[place].workloads[at];
    let wanted = str_field(&request.body["preconditions"], "uid");
    if !wanted.is_empty() && wanted != work.uid {
        let words = "Operation cannot be fulfilled: the UID in the precondition does not match";
        return Err(ServiceError::with_status(409, "Conflict", words));
    }
    let deleted = objects::workload_json(work, now);
    (work.is_deleted, work.pods, work.revisions) = (true, Vec::new(), Vec::new());
    Ok(deleted)
}
