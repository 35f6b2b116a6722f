//! The tree of an application's resources: workload, replica sets, pods, analysis, each with its health.

use serde_json::{Value, json};

use super::health;
use super::responses::format_time;
use super::scenario::AppResourceSetting;
use super::state::{AnalysisRun, ArgoCdApp, Pod, ReplicaSet};

/// The resource tree at `now`.
pub fn resource_tree(app: &ArgoCdApp, now: f64) -> Value {
    let mut nodes = vec![service_node(app)];
    nodes.extend(app.spec.resources.iter().map(|it| further_node(app, it)));
    if !app.workload.is_missing && app.spec.has_workload() {
        nodes.push(workload_node(app, now));
        for set in app.workload.replica_sets.iter().rev() {
            if app.spec.workload != "StatefulSet" && app.spec.workload != "CronJob" {
                nodes.push(replica_set_node(app, set, now));
            }
            nodes.extend(set.pods.iter().map(|pod| self::pod_node(app, set, pod, now)));
        }
        nodes.extend(app.workload.canary.analysis.iter().map(|run| analysis_node(app, run)));
    }
    json!({ "nodes": nodes })
}

/// The members of every node.
fn tree_node(app: &ArgoCdApp, what: [&str; 5], created: f64) -> Value {
    let [group, version, kind, name, uid] = what;
    json!({
        "group": (!group.is_empty()).then_some(group), "version": version, "kind": kind,
        "namespace": app.spec.namespace, "name": name, "uid": uid,
        "resourceVersion": app.resource_version.to_string(), "createdAt": format_time(created),
    })
}

fn service_node(app: &ArgoCdApp) -> Value {
    let uid = format!("{}-service", app.workload.uid);
    let mut shown = tree_node(app, ["", "v1", "Service", &app.spec.name, &uid], app.created_at);
    shown["health"] = json!({ "status": "Healthy" });
    shown["networkingInfo"] = json!({ "targetLabels": { "app": app.spec.name } });
    shown
}

fn further_node(app: &ArgoCdApp, it: &AppResourceSetting) -> Value {
    let uid = format!("{}-{}-{}", app.workload.uid, it.kind.to_lowercase(), it.name);
    let mut shown = tree_node(app, [&it.group, "v1", &it.kind, &it.name, &uid], app.created_at);
    if let Some((status, words)) = health::resource_health(app, it) {
        shown["health"] = health_json(status, words);
    }
    shown
}

fn health_json(status: &str, message: &str) -> Value {
    match message {
        "" => json!({ "status": status }),
        message => json!({ "status": status, "message": message }),
    }
}

fn workload_node(app: &ArgoCdApp, now: f64) -> Value {
    let (kind, group) = app.spec.workload_kind();
    let mut shown = tree_node(
        app,
        [group, app.spec.workload_version(), kind, &app.spec.name, &app.workload.uid],
        app.created_at,
    );
    let (status, words) = health::workload_health(app, now);
    shown["health"] = health_json(status, &words);
    let revision = app.workload.replica_sets.last().map_or(0, |set| set.revision);
    shown["info"] = json!([{ "name": "Revision", "value": format!("Rev:{revision}") }]);
    shown
}

fn owner_refs(app: &ArgoCdApp) -> Value {
    let (kind, group) = app.spec.workload_kind();
    json!([{
        "group": group, "version": app.spec.workload_version(), "kind": kind, "namespace": app.spec.namespace,
        "name": app.spec.name, "uid": app.workload.uid,
    }])
}

fn replica_set_node(app: &ArgoCdApp, set: &ReplicaSet, now: f64) -> Value {
    let mut shown = tree_node(app, ["apps", "v1", "ReplicaSet", &set.name, &set.uid], set.created_at);
    shown["parentRefs"] = owner_refs(app);
    let (wanted, available) = (set.active_count(), set.available_count(now));
    shown["health"] = if available < wanted {
        health_json(
            "Progressing",
            &format!(
                "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
            ),
        )
    } else {
        health_json("Healthy", "")
    };
    shown["info"] = json!([{ "name": "Revision", "value": format!("Rev:{}", set.revision) }]);
    shown
}

fn pod_node(app: &ArgoCdApp, set: &ReplicaSet, pod: &Pod, now: f64) -> Value {
    let mut shown = tree_node(app, ["", "v1", "Pod", &pod.name, &pod.uid], pod.created_at);
    shown["parentRefs"] = match app.spec.workload.as_str() {
        "StatefulSet" => owner_refs(app),
        _ => json!([{
            "group": "apps", "version": "v1", "kind": "ReplicaSet", "namespace": app.spec.namespace,
            "name": set.name, "uid": set.uid,
        }]),
    };
    shown["images"] = json!(set.images);
    let seen = pod.status_at(&app.spec.name, set.images.first().map_or("", String::as_str), now);
    let reason = if pod.is_active() { seen.reason.as_str() } else { "Terminating" };
    let (count, ready) = (set.images.len(), if seen.is_ready { set.images.len() } else { 0 });
    let mut info = vec![
        json!({ "name": "Status Reason", "value": reason }),
        json!({ "name": "Node", "value": "node-1" }),
        json!({ "name": "Containers", "value": format!("{ready}/{count}") }),
    ];
    if seen.restarts > 0 {
        info.push(json!({ "name": "Restart Count", "value": seen.restarts.to_string() }));
    }
    shown["info"] = json!(info);
    shown["health"] = health_json(seen.health, if seen.health == "Degraded" { &seen.message } else { "" });
    shown["networkingInfo"] =
        json!({ "labels": { "app": app.spec.name, "pod-template-hash": set.template_hash() } });
    shown
}

fn analysis_node(app: &ArgoCdApp, run: &AnalysisRun) -> Value {
    let mut shown =
        tree_node(app, ["argoproj.io", "v1alpha1", "AnalysisRun", &run.name, &run.uid], run.started_at);
    shown["parentRefs"] = owner_refs(app);
    shown["health"] = match run.phase.as_str() {
        "Successful" => health_json("Healthy", "Analysis run completed successfully"),
        "Failed" => health_json("Degraded", &run.message),
        _ => health_json("Progressing", "Analysis run is running"),
    };
    shown
}
