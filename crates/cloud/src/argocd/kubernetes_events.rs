//! Events of Kubernetes about an application or one of its resources, as an `EventList`.

use serde_json::{Value, json};

use super::responses::format_time;
use super::state::{ArgoCdApp, Pod, ReplicaSet};
use crate::faults::TaskOutcome;
use crate::input::str_field;
use crate::request::{ServiceError, ServiceResult};

/// One event, before it is shown.
struct ResourceEvent {
    /// `Normal` or `Warning`.
    kind: &'static str,
    reason: &'static str,
    message: String,
    occurred_at: f64,
    count: u32,
}

/// Events of what the input names: a resource by name and uid together, or the application itself.
pub fn list_events(app: &ArgoCdApp, input: &Value, now: f64) -> ServiceResult {
    let (name, uid) = (str_field(input, "resourceName"), str_field(input, "resourceUID"));
    let namespace = str_field(input, "resourceNamespace");
    if name.is_empty() && uid.is_empty() {
        let about = json!({ "kind": "Application", "name": app.spec.name, "uid": app.uid });
        return Ok(event_list_json(app, &about, &application_events(app)));
    }
    if namespace != app.spec.namespace {
        return Err(not_found(app, name));
    }
    let pods = app.workload.replica_sets.iter().flat_map(|set| set.pods.iter().map(move |pod| (set, pod)));
    if let Some((set, pod)) = pods.into_iter().find(|(_, pod)| pod.name == name && pod.uid == uid) {
        let about = json!({ "kind": "Pod", "name": name, "uid": uid, "namespace": app.spec.namespace });
        return Ok(event_list_json(app, &about, &pod_events(app, set, pod, now)));
    }
    let known = (name == app.spec.name && uid == app.workload.uid)
        || app.workload.replica_sets.iter().any(|set| set.name == name && set.uid == uid);
    if !known {
        return Err(not_found(app, name));
    }
    let about = json!({
        "kind": if name == app.spec.name { app.spec.workload_kind().0 } else { "ReplicaSet" },
        "name": name, "uid": uid, "namespace": app.spec.namespace,
    });
    Ok(event_list_json(app, &about, &controller_events(app, name)))
}

fn not_found(app: &ArgoCdApp, name: &str) -> ServiceError {
    let words = format!("{name} not found as part of application {}", app.spec.name);
    ServiceError::with_status(400, "InvalidArgument", words)
}

/// Events of a workload, which tell of its replica sets, or of a replica set, which tell of its pods. None is a warning:
/// failures of a pod are events of the pod.
fn controller_events(app: &ArgoCdApp, name: &str) -> Vec<ResourceEvent> {
    let mut found = Vec::new();
    for set in &app.workload.replica_sets {
        if name == app.spec.name {
            let words = format!("Scaled up replica set {} from 0 to {}", set.name, set.active_count());
            found.push(new_event("Normal", "ScalingReplicaSet", words, set.created_at));
        } else if name == set.name {
            let created = set.pods.iter().map(|pod| {
                new_event("Normal", "SuccessfulCreate", format!("Created pod: {}", pod.name), pod.created_at)
            });
            found.extend(created);
        }
    }
    found
}

fn new_event(kind: &'static str, reason: &'static str, message: String, at: f64) -> ResourceEvent {
    ResourceEvent { kind, reason, message, occurred_at: at, count: 1 }
}

fn application_events(app: &ArgoCdApp) -> Vec<ResourceEvent> {
    let Some(operation) = &app.operation else { return Vec::new() };
    let who = operation
        .initiated_by
        .as_ref()
        .map_or("Initiated automated sync".into(), |by| format!("{by} initiated sync"));
    let to = operation.revisions.join(", ");
    let mut found =
        vec![new_event("Normal", "OperationStarted", format!("{who} to '{to}'"), operation.started_at)];
    if let Some(at) = operation.finished_at {
        let kind = if operation.phase == "Succeeded" { "Normal" } else { "Warning" };
        let words = match operation.phase.as_str() {
            "Succeeded" => format!("Sync operation to {to} succeeded"),
            _ => format!("Sync operation to {to} failed: {}", operation.message),
        };
        found.push(new_event(kind, "OperationCompleted", words, at));
    }
    found
}

fn pod_events(app: &ArgoCdApp, set: &ReplicaSet, pod: &Pod, now: f64) -> Vec<ResourceEvent> {
    let image = set.images.first().map_or("", String::as_str);
    let seen = pod.status_at(&app.spec.name, image, now);
    if pod.is_unschedulable {
        return vec![new_event("Warning", "FailedScheduling", seen.message, pod.created_at)];
    }
    let place = format!("Successfully assigned {}/{} to node-1", app.spec.namespace, pod.name);
    let mut found = vec![new_event("Normal", "Scheduled", place, pod.created_at)];
    if now < pod.pulled_at {
        found.push(new_event(
            "Normal",
            "Pulling",
            format!("Pulling image \"{image}\""),
            pod.created_at + 1.0,
        ));
        return found;
    }
    if pod.outcome == TaskOutcome::ImageNotFound {
        let first = pod.status_at(&app.spec.name, image, pod.pulled_at).message;
        let words = format!("Failed to pull image \"{image}\": {first}");
        found.push(new_event("Warning", "Failed", words, pod.pulled_at));
        let words = format!("Back-off pulling image \"{image}\"");
        found.extend((now > pod.pulled_at + 1.0).then(|| new_event("Normal", "BackOff", words, now)));
        return found;
    }
    found.push(new_event(
        "Normal",
        "Pulled",
        format!("Successfully pulled image \"{image}\""),
        pod.pulled_at,
    ));
    match (&pod.outcome, seen.reason.as_str()) {
        (TaskOutcome::SecretMissing, _) => {
            found.push(new_event("Warning", "Failed", format!("Error: {}", seen.message), pod.pulled_at));
        }
        (_, "CrashLoopBackOff") => {
            let words = format!("Back-off restarting failed container app in pod {}", pod.name);
            let count = seen.restarts.max(1);
            found.push(ResourceEvent { count, ..new_event("Warning", "BackOff", words, pod.started_at) });
        }
        (TaskOutcome::Unhealthy, _) if now >= pod.started_at => {
            let words = "Readiness probe failed: HTTP probe failed with statuscode: 503".into();
            found.push(new_event("Warning", "Unhealthy", words, pod.started_at + 5.0));
        }
        _ if now >= pod.started_at => {
            found.push(new_event("Normal", "Started", "Started container app".into(), pod.started_at));
        }
        _ => {}
    }
    found
}

fn event_list_json(app: &ArgoCdApp, about: &Value, found: &[ResourceEvent]) -> Value {
    let namespace = about["namespace"].as_str().unwrap_or("argocd");
    let item = |(number, it): (usize, &ResourceEvent)| {
        json!({
            "metadata": {
                "name": format!("{}.{number:x}", about["name"].as_str().unwrap_or_default()),
                "namespace": namespace, "creationTimestamp": format_time(it.occurred_at),
            },
            "involvedObject": about,
            "type": it.kind, "reason": it.reason, "message": it.message, "count": it.count,
            "firstTimestamp": format_time(it.occurred_at), "lastTimestamp": format_time(it.occurred_at),
            "source": { "component": if about["kind"] == "Application" { "argocd-application-controller" } else { "kubelet" } },
        })
    };
    json!({
        "metadata": { "resourceVersion": app.resource_version.to_string() },
        "items": found.iter().enumerate().map(item).collect::<Vec<_>>(),
    })
}
