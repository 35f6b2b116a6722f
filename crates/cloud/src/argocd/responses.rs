//! Applications in the shapes of Argo CD's API (`v1alpha1.Application`, swagger of 3.5).

use serde_json::{Map, Value, json};

use super::health;
use super::scenario::AppSourceSetting;
use super::state::{ArgoCdApp, ArgoCdState, SyncHistoryEntry, SyncOperation, SyncResourceResult};
use crate::time::iso8601;

/// The annotation that requests a refresh; Argo CD removes it afterwards.
pub const REFRESH_ANNOTATION: &str = "argocd.argoproj.io/refresh";

/// A time as Kubernetes writes it: whole seconds.
pub fn format_time(at: f64) -> String {
    iso8601(at.floor())
}

/// An application at `now`.
pub fn application_json(state: &ArgoCdState, app: &ArgoCdApp, now: f64) -> Value {
    let namespace = app.spec.argo_namespace.as_ref().unwrap_or(&state.settings.namespace);
    let annotations = app.refresh.as_ref().map(|(kind, _)| json!({ REFRESH_ANNOTATION: kind }));
    let running = app.operation.as_ref().filter(|it| it.is_running());
    json!({
        "metadata": {
            "name": app.spec.name,
            "namespace": namespace,
            "uid": app.uid,
            "resourceVersion": app.resource_version.to_string(),
            "generation": app.resource_version,
            "creationTimestamp": format_time(app.created_at),
            "annotations": annotations,
        },
        "spec": spec_json(app),
        "status": status_json(app, now),
        "operation": running.map(|it| operation_json(app, it)),
    })
}

fn spec_json(app: &ArgoCdApp) -> Value {
    let setting = &app.spec;
    let automated = setting.automated.then(|| json!({ "prune": true, "selfHeal": setting.self_heal }));
    let policy =
        json!({ "automated": automated, "retry": setting.retry.map(|limit| json!({ "limit": limit })) });
    let mut spec = json!({
        "destination": { "namespace": setting.namespace, "server": "https://kubernetes.default.svc" },
        "project": setting.project,
        "syncPolicy": policy,
    });
    put_sources(&mut spec, app);
    spec
}

/// `source`, or `sources` where there are several.
fn put_sources(into: &mut Value, app: &ArgoCdApp) {
    let all: Vec<Value> = app.spec.sources.iter().map(source_json).collect();
    match app.spec.is_multi_source() {
        true => into["sources"] = json!(all),
        false => into["source"] = all.into_iter().next().unwrap_or_default(),
    }
}

fn source_json(it: &AppSourceSetting) -> Value {
    let mut shown = json!({ "repoURL": it.repo_url(), "targetRevision": it.target_revision() });
    match &it.chart {
        Some(chart) => shown["chart"] = json!(chart),
        None => shown["path"] = json!(it.first_folder()),
    }
    shown
}

/// `revision`, or `revisions` where there are several.
fn put_revisions(into: &mut Value, app: &ArgoCdApp, revisions: &[String]) {
    match app.spec.is_multi_source() {
        true => into["revisions"] = json!(revisions),
        false => into["revision"] = json!(revisions.first().map_or("", String::as_str)),
    }
}

fn status_json(app: &ArgoCdApp, now: f64) -> Value {
    let mut sync = json!({
        "status": app.comparison.status,
        "comparedTo": { "destination": spec_json(app)["destination"] },
    });
    put_sources(&mut sync["comparedTo"], app);
    put_revisions(&mut sync, app, &app.comparison.revisions);
    let conditions: Vec<Value> = app
        .comparison
        .conditions
        .iter()
        .map(|(kind, message, since)| json!({ "type": kind, "message": message, "lastTransitionTime": format_time(*since) }))
        .collect();
    let taken_up = app.operation.as_ref().filter(|it| it.is_picked_up(now));
    let some = |values: Vec<Value>| if values.is_empty() { Value::Null } else { Value::Array(values) };
    let kind = if app.spec.sources.iter().any(|it| it.files.iter().any(|file| file.contains("kustomization")))
    {
        "Kustomize"
    } else {
        "Directory"
    };
    json!({
        "conditions": some(conditions),
        "controllerNamespace": "argocd",
        "health": { "status": app.health.0, "lastTransitionTime": format_time(app.health.1) },
        "history": some(app.history.iter().map(|it| history_entry_json(app, it)).collect()),
        "operationState": taken_up.map(|it| operation_state_json(app, it)),
        "reconciledAt": format_time(app.comparison.compared_at),
        "resources": resources_json(app, now),
        "sourceType": (!app.spec.is_multi_source()).then_some(kind),
        "summary": { "images": summary_images(app) },
        "sync": sync,
    })
}

/// Images of what is live, as the summary has them: sorted, those of pods that still end among them.
fn summary_images(app: &ArgoCdApp) -> Vec<String> {
    let sets = app.workload.replica_sets.iter().filter(|set| !set.pods.is_empty());
    let mut all: Vec<String> = sets.flat_map(|set| set.images.iter().cloned()).collect();
    if !app.workload.is_missing {
        all.extend(app.workload.replica_sets.last().into_iter().flat_map(|set| set.images.iter().cloned()));
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn resources_json(app: &ArgoCdApp, now: f64) -> Vec<Value> {
    let (kind, group) = app.spec.workload_kind();
    let (health, words) = health::workload_health(app, now);
    let synced = match app.comparison.status.as_str() {
        "Unknown" => "Unknown",
        "Synced" => "Synced",
        _ => "OutOfSync",
    };
    let words = (!words.is_empty()).then_some(words);
    let name = &app.spec.name;
    let version = if group == "apps" { "v1" } else { "v1alpha1" };
    vec![
        json!({
            "version": "v1", "kind": "Service", "namespace": app.spec.namespace, "name": name,
            "status": if synced == "Unknown" { synced } else { "Synced" }, "health": { "status": "Healthy" },
        }),
        json!({
            "group": group, "version": version, "kind": kind, "namespace": app.spec.namespace, "name": name,
            "status": synced, "health": { "status": health, "message": words },
        }),
    ]
}

fn initiator_json(by: Option<&String>) -> Value {
    by.map_or_else(|| json!({ "automated": true }), |name| json!({ "username": name }))
}

fn history_entry_json(app: &ArgoCdApp, it: &SyncHistoryEntry) -> Value {
    let mut shown = json!({
        "id": it.id, "deployStartedAt": format_time(it.started_at), "deployedAt": format_time(it.deployed_at),
        "initiatedBy": initiator_json(it.initiated_by.as_ref()),
    });
    put_sources(&mut shown, app);
    put_revisions(&mut shown, app, &it.revisions);
    // A history entry has `revision` in any case: it is required by the resource definition.
    shown["revision"] =
        json!(if app.spec.is_multi_source() { "" } else { it.revisions.first().map_or("", String::as_str) });
    shown
}

/// The requested sync.
fn operation_json(app: &ArgoCdApp, it: &SyncOperation) -> Value {
    let mut sync = Map::new();
    if app.spec.is_multi_source() {
        sync.insert("revisions".into(), json!(it.revisions));
    } else {
        sync.insert("revision".into(), json!(it.revisions.first()));
    }
    if it.dry_run {
        sync.insert("dryRun".into(), json!(true));
    }
    if it.prune {
        sync.insert("prune".into(), json!(true));
    }
    let limit = app.spec.retry_limit(it.initiated_by.is_none());
    let retry = if limit > 0 { json!({ "limit": limit }) } else { json!({}) };
    json!({ "initiatedBy": initiator_json(it.initiated_by.as_ref()), "retry": retry, "sync": sync })
}

fn operation_state_json(app: &ArgoCdApp, it: &SyncOperation) -> Value {
    let mut state = json!({
        "operation": operation_json(app, it),
        "phase": it.phase,
        "startedAt": format_time(it.started_at),
    });
    if !it.message.is_empty() {
        state["message"] = json!(it.message);
    }
    if let Some(at) = it.finished_at {
        state["finishedAt"] = json!(format_time(at));
    }
    if it.retries > 0 {
        state["retryCount"] = json!(it.retries);
    }
    let resources: Vec<Value> = it.results.iter().map(|one| resource_result_json(app, one)).collect();
    let mut result = json!({ "resources": (!resources.is_empty()).then_some(resources) });
    put_sources(&mut result, app);
    put_revisions(&mut result, app, &it.revisions);
    // Required, empty where there are several sources.
    result["revision"] =
        json!(if app.spec.is_multi_source() { "" } else { it.revisions.first().map_or("", String::as_str) });
    state["syncResult"] = result;
    state
}

fn resource_result_json(app: &ArgoCdApp, it: &SyncResourceResult) -> Value {
    let version = if it.group == "argoproj.io" { "v1alpha1" } else { "v1" };
    json!({
        "group": it.group, "version": version, "kind": it.kind, "namespace": app.spec.namespace, "name": it.name,
        "status": (!it.status.is_empty()).then_some(&it.status),
        "message": (!it.message.is_empty()).then_some(&it.message),
        "hookPhase": it.hook_phase, "syncPhase": it.sync_phase,
        "hookType": it.is_hook.then_some(&it.sync_phase),
    })
}
