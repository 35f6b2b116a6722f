//! Pods in the shape of the API, and the lines that their containers write.

use serde_json::{Value, json};

use super::objects::{format_time, pod_metadata};
use super::state::{ClusterPod, Workload};
use crate::argocd::pods::PodStatus;
use crate::faults::TaskOutcome;

/// A pod at `now`.
pub fn pod_json(work: &Workload, one: &ClusterPod, digest_of: &dyn Fn(&str) -> String, now: f64) -> Value {
    let spec = pod_spec(work, one);
    let status = one.pod.status_at(&work.setting.name, &first_image(work, one), now);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": pod_metadata(work, one),
        "spec": spec,
        "status": {
            "phase": status.phase,
            "conditions": conditions_json(&status),
            "startTime": format_time(one.pod.created_at),
            "containerStatuses": container_statuses(one, &spec, &status, digest_of, now),
        },
    })
}

/// The image of a pod's first container.
pub fn first_image(work: &Workload, one: &ClusterPod) -> String {
    pod_spec(work, one)["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
}

/// The spec of a pod: that of its template.
fn pod_spec(work: &Workload, one: &ClusterPod) -> Value {
    let revision = work.revisions.iter().find(|revision| revision.name == one.revision);
    revision.map_or_else(|| work.template()["spec"].clone(), |revision| revision.template["spec"].clone())
}

fn conditions_json(status: &PodStatus) -> Value {
    if status.reason == "Unschedulable" {
        return json!([
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": status.message },
        ]);
    }
    let readiness = |kind: &str| match status.is_ready {
        true => json!({ "type": kind, "status": "True" }),
        false => json!({ "type": kind, "status": "False", "reason": "ContainersNotReady" }),
    };
    json!([
        { "type": "PodScheduled", "status": "True" },
        { "type": "Initialized", "status": "True" },
        readiness("ContainersReady"),
        readiness("Ready"),
    ])
}

fn container_statuses(
    one: &ClusterPod,
    spec: &Value,
    status: &PodStatus,
    digest_of: &dyn Fn(&str) -> String,
    now: f64,
) -> Vec<Value> {
    if status.reason == "Unschedulable" {
        return Vec::new();
    }
    let containers = spec["containers"].as_array().cloned().unwrap_or_default();
    let failing = failing_container(one, &containers);
    let shown = |container: &Value| {
        let is_failing = container["name"].as_str() == Some(failing.as_str());
        let image = container["image"].as_str().unwrap_or_default();
        let is_started = status.phase == "Running" || now >= one.pod.started_at;
        let state = match status.reason.as_str() {
            "Running" => json!({ "running": { "startedAt": format_time(one.pod.started_at) } }),
            _ if !is_failing && is_started => {
                json!({ "running": { "startedAt": format_time(one.pod.started_at) } })
            }
            reason => json!({ "waiting": { "reason": reason, "message": status.message } }),
        };
        let is_ready = status.is_ready || (!is_failing && is_started && status.reason != "Running");
        let last = (is_failing && status.restarts > 0).then(|| terminated_json(&one.pod.outcome));
        json!({
            "name": container["name"], "image": image, "ready": is_ready, "started": is_started,
            "imageID": if now >= one.pod.pulled_at && state.get("running").is_some() { digest_of(image) } else { String::new() },
            "restartCount": if is_failing { status.restarts } else { 0 },
            "state": state, "lastState": last.map_or_else(|| json!({}), |ended| json!({ "terminated": ended })),
        })
    };
    containers.iter().map(shown).collect()
}

/// The container that its outcome is about.
fn failing_container(one: &ClusterPod, containers: &[Value]) -> String {
    let named = match &one.pod.outcome {
        TaskOutcome::Crash { container, .. } => container.clone(),
        _ => None,
    };
    let first = || containers.first().and_then(|first| first["name"].as_str()).unwrap_or_default().to_owned();
    named.unwrap_or_else(first)
}

fn terminated_json(outcome: &TaskOutcome) -> Value {
    match outcome {
        TaskOutcome::Crash { exit_code, reason, .. } => {
            let killed = reason.as_deref().is_some_and(|reason| reason.starts_with("OutOfMemory"));
            let reason = match exit_code {
                _ if killed => "OOMKilled",
                0 => "Completed",
                _ => "Error",
            };
            json!({ "exitCode": exit_code, "reason": reason })
        }
        TaskOutcome::WrongPlatform => json!({ "exitCode": 255, "reason": "Error" }),
        _ => json!({ "exitCode": 1, "reason": "Error" }),
    }
}

/// The lines of a pod's containers, of the previous start where that is requested.
pub fn pod_log(one: &ClusterPod, previous: bool, now: f64) -> Option<String> {
    if now < one.pod.started_at {
        return None;
    }
    match &one.pod.outcome {
        TaskOutcome::Crash { log_lines, .. } => Some(log_lines.join("\n") + "\n"),
        TaskOutcome::WrongPlatform => Some("exec /app: exec format error\n".to_owned()),
        _ if previous => None,
        _ => Some("listening\n".to_owned()),
    }
}
