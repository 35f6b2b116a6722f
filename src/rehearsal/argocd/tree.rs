//! The tree of an application's resources: workload, replica sets, pods, analysis, each with its health.

use serde_json::{Value, json};

use super::health;
use super::state::{Analysis, App, Pod, ReplicaSet};
use super::views::time;

/// The resource tree at `now`.
pub fn tree(app: &App, now: f64) -> Value {
    let mut nodes = vec![service(app)];
    if !app.workload.missing {
        nodes.push(workload(app, now));
        for set in app.workload.sets.iter().rev() {
            nodes.push(replica_set(app, set, now));
            nodes.extend(set.pods.iter().map(|pod| self::pod(app, set, pod, now)));
        }
        nodes.extend(app.workload.canary.analysis.iter().map(|run| analysis(app, run)));
    }
    json!({ "nodes": nodes })
}

/// The members of every node.
fn node(app: &App, what: [&str; 5], created: f64) -> Value {
    let [group, version, kind, name, uid] = what;
    json!({
        "group": (!group.is_empty()).then_some(group), "version": version, "kind": kind,
        "namespace": app.setting.namespace, "name": name, "uid": uid,
        "resourceVersion": app.version.to_string(), "createdAt": time(created),
    })
}

fn service(app: &App) -> Value {
    let uid = format!("{}-service", app.workload.uid);
    let mut shown = node(app, ["", "v1", "Service", &app.setting.name, &uid], app.created);
    shown["health"] = json!({ "status": "Healthy" });
    shown["networkingInfo"] = json!({ "targetLabels": { "app": app.setting.name } });
    shown
}

fn version(app: &App) -> &'static str {
    if app.setting.kind().1 == "apps" { "v1" } else { "v1alpha1" }
}

fn health_of(status: &str, message: &str) -> Value {
    match message {
        "" => json!({ "status": status }),
        message => json!({ "status": status, "message": message }),
    }
}

fn workload(app: &App, now: f64) -> Value {
    let (kind, group) = app.setting.kind();
    let mut shown = node(app, [group, version(app), kind, &app.setting.name, &app.workload.uid], app.created);
    let (status, words) = health::of_workload(app, now);
    shown["health"] = health_of(status, &words);
    let revision = app.workload.sets.last().map_or(0, |set| set.revision);
    shown["info"] = json!([{ "name": "Revision", "value": format!("Rev:{revision}") }]);
    shown
}

fn owner(app: &App) -> Value {
    let (kind, group) = app.setting.kind();
    json!([{
        "group": group, "version": version(app), "kind": kind, "namespace": app.setting.namespace,
        "name": app.setting.name, "uid": app.workload.uid,
    }])
}

fn replica_set(app: &App, set: &ReplicaSet, now: f64) -> Value {
    let mut shown = node(app, ["apps", "v1", "ReplicaSet", &set.name, &set.uid], set.created);
    shown["parentRefs"] = owner(app);
    let (wanted, available) = (set.active(), set.available(now));
    shown["health"] = if available < wanted {
        health_of(
            "Progressing",
            &format!(
                "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
            ),
        )
    } else {
        health_of("Healthy", "")
    };
    shown["info"] = json!([{ "name": "Revision", "value": format!("Rev:{}", set.revision) }]);
    shown
}

fn pod(app: &App, set: &ReplicaSet, pod: &Pod, now: f64) -> Value {
    let mut shown = node(app, ["", "v1", "Pod", &pod.name, &pod.uid], pod.created);
    shown["parentRefs"] = json!([{
        "group": "apps", "version": "v1", "kind": "ReplicaSet", "namespace": app.setting.namespace,
        "name": set.name, "uid": set.uid,
    }]);
    shown["images"] = json!(set.images);
    let seen = pod.seen(&app.setting.name, set.images.first().map_or("", String::as_str), now);
    let reason = if pod.active() { seen.reason.as_str() } else { "Terminating" };
    let (count, ready) = (set.images.len(), if seen.ready { set.images.len() } else { 0 });
    let mut info = vec![
        json!({ "name": "Status Reason", "value": reason }),
        json!({ "name": "Node", "value": "node-1" }),
        json!({ "name": "Containers", "value": format!("{ready}/{count}") }),
    ];
    if seen.restarts > 0 {
        info.push(json!({ "name": "Restart Count", "value": seen.restarts.to_string() }));
    }
    shown["info"] = json!(info);
    shown["health"] = health_of(seen.health, if seen.health == "Degraded" { &seen.message } else { "" });
    shown["networkingInfo"] =
        json!({ "labels": { "app": app.setting.name, "pod-template-hash": set.hash() } });
    shown
}

fn analysis(app: &App, run: &Analysis) -> Value {
    let mut shown = node(app, ["argoproj.io", "v1alpha1", "AnalysisRun", &run.name, &run.uid], run.began);
    shown["parentRefs"] = owner(app);
    shown["health"] = match run.phase.as_str() {
        "Successful" => health_of("Healthy", "Analysis run completed successfully"),
        "Failed" => health_of("Degraded", &run.message),
        _ => health_of("Progressing", "Analysis run is running"),
    };
    shown
}
