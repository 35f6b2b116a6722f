//! Events of Kubernetes about an application or one of its resources, as an `EventList`.

use serde_json::{Value, json};

use super::state::{App, Pod, ReplicaSet};
use super::views::time;
use crate::rehearsal::call::{Answer, Refusal};
use crate::rehearsal::faults::Fate;
use crate::rehearsal::members::text;

/// One event, before it is shown.
struct Happened {
    /// `Normal` or `Warning`.
    kind: &'static str,
    reason: &'static str,
    message: String,
    at: f64,
    count: u32,
}

/// Events of what the input names: a resource by name and uid together, or the application itself.
pub fn events(app: &App, input: &Value, now: f64) -> Answer {
    let (name, uid) = (text(input, "resourceName"), text(input, "resourceUID"));
    if name.is_empty() && uid.is_empty() {
        let about = json!({ "kind": "Application", "name": app.setting.name, "uid": app.uid });
        return Ok(shown(app, &about, &of_application(app)));
    }
    let pods = app.workload.sets.iter().flat_map(|set| set.pods.iter().map(move |pod| (set, pod)));
    if let Some((set, pod)) = pods.into_iter().find(|(_, pod)| pod.name == name && pod.uid == uid) {
        let about = json!({ "kind": "Pod", "name": name, "uid": uid, "namespace": app.setting.namespace });
        return Ok(shown(app, &about, &of_pod(app, set, pod, now)));
    }
    let known = (name == app.setting.name && uid == app.workload.uid)
        || app.workload.sets.iter().any(|set| set.name == name && set.uid == uid);
    if !known {
        let words = format!("{name} not found as part of application {}", app.setting.name);
        return Err(Refusal::of(400, "InvalidArgument", words));
    }
    let about = json!({
        "kind": if name == app.setting.name { app.setting.kind().0 } else { "ReplicaSet" },
        "name": name, "uid": uid, "namespace": app.setting.namespace,
    });
    Ok(shown(app, &about, &[]))
}

fn happened(kind: &'static str, reason: &'static str, message: String, at: f64) -> Happened {
    Happened { kind, reason, message, at, count: 1 }
}

fn of_application(app: &App) -> Vec<Happened> {
    let Some(operation) = &app.operation else { return Vec::new() };
    let who =
        operation.by.as_ref().map_or("Initiated automated sync".into(), |by| format!("{by} initiated sync"));
    let to = operation.revisions.join(", ");
    let mut found =
        vec![happened("Normal", "OperationStarted", format!("{who} to '{to}'"), operation.started)];
    if let Some(at) = operation.finished {
        let kind = if operation.phase == "Succeeded" { "Normal" } else { "Warning" };
        let words = match operation.phase.as_str() {
            "Succeeded" => format!("Sync operation to {to} succeeded"),
            _ => format!("Sync operation to {to} failed: {}", operation.message),
        };
        found.push(happened(kind, "OperationCompleted", words, at));
    }
    found
}

fn of_pod(app: &App, set: &ReplicaSet, pod: &Pod, now: f64) -> Vec<Happened> {
    let image = set.images.first().map_or("", String::as_str);
    let seen = pod.seen(&app.setting.name, image, now);
    if pod.starved {
        return vec![happened("Warning", "FailedScheduling", seen.message, pod.created)];
    }
    let place = format!("Successfully assigned {}/{} to node-1", app.setting.namespace, pod.name);
    let mut found = vec![happened("Normal", "Scheduled", place, pod.created)];
    if now < pod.pulled {
        found.push(happened("Normal", "Pulling", format!("Pulling image \"{image}\""), pod.created + 1.0));
        return found;
    }
    if pod.fate == Fate::NoImage {
        let first = pod.seen(&app.setting.name, image, pod.pulled).message;
        let words = format!("Failed to pull image \"{image}\": {first}");
        found.push(happened("Warning", "Failed", words, pod.pulled));
        let words = format!("Back-off pulling image \"{image}\"");
        found.extend((now > pod.pulled + 1.0).then(|| happened("Normal", "BackOff", words, now)));
        return found;
    }
    found.push(happened("Normal", "Pulled", format!("Successfully pulled image \"{image}\""), pod.pulled));
    match (&pod.fate, seen.reason.as_str()) {
        (Fate::NoSecret, _) => {
            found.push(happened("Warning", "Failed", format!("Error: {}", seen.message), pod.pulled));
        }
        (_, "CrashLoopBackOff") => {
            let words = format!("Back-off restarting failed container app in pod {}", pod.name);
            let count = seen.restarts.max(1);
            found.push(Happened { count, ..happened("Warning", "BackOff", words, pod.started) });
        }
        (Fate::Sick, _) if now >= pod.started => {
            let words = "Readiness probe failed: HTTP probe failed with statuscode: 503".into();
            found.push(happened("Warning", "Unhealthy", words, pod.started + 5.0));
        }
        _ if now >= pod.started => {
            found.push(happened("Normal", "Started", "Started container app".into(), pod.started));
        }
        _ => {}
    }
    found
}

fn shown(app: &App, about: &Value, found: &[Happened]) -> Value {
    let namespace = about["namespace"].as_str().unwrap_or("argocd");
    let item = |(number, it): (usize, &Happened)| {
        json!({
            "metadata": {
                "name": format!("{}.{number:x}", about["name"].as_str().unwrap_or_default()),
                "namespace": namespace, "creationTimestamp": time(it.at),
            },
            "involvedObject": about,
            "type": it.kind, "reason": it.reason, "message": it.message, "count": it.count,
            "firstTimestamp": time(it.at), "lastTimestamp": time(it.at),
            "source": { "component": if about["kind"] == "Application" { "argocd-application-controller" } else { "kubelet" } },
        })
    };
    json!({
        "metadata": { "resourceVersion": app.version.to_string() },
        "items": found.iter().enumerate().map(item).collect::<Vec<_>>(),
    })
}
