//! Applications in the shapes of Argo CD's API (`v1alpha1.Application`, swagger of 3.5).

use serde_json::{Map, Value, json};

use super::health;
use super::setting::Source;
use super::state::{App, Deployed, Operation, State, SyncedResource};
use crate::rehearsal::time::iso8601;

/// The annotation by which a refresh is asked for; it is gone once that is worked.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";

/// A time as Kubernetes writes it: whole seconds.
pub fn time(at: f64) -> String {
    iso8601(at.floor())
}

/// An application at `now`.
pub fn application(state: &State, app: &App, now: f64) -> Value {
    let namespace = app.setting.argo_namespace.as_ref().unwrap_or(&state.setting.namespace);
    let annotations = app.refresh.as_ref().map(|(kind, _)| json!({ REFRESH: kind }));
    let running = app.operation.as_ref().filter(|it| it.running());
    json!({
        "metadata": {
            "name": app.setting.name,
            "namespace": namespace,
            "uid": app.uid,
            "resourceVersion": app.version.to_string(),
            "generation": app.version,
            "creationTimestamp": time(app.created),
            "annotations": annotations,
        },
        "spec": spec(app),
        "status": status(app, now),
        "operation": running.map(|it| asked(app, it)),
    })
}

fn spec(app: &App) -> Value {
    let setting = &app.setting;
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
fn put_sources(into: &mut Value, app: &App) {
    let all: Vec<Value> = app.setting.sources.iter().map(source).collect();
    match app.setting.multi() {
        true => into["sources"] = json!(all),
        false => into["source"] = all.into_iter().next().unwrap_or_default(),
    }
}

fn source(it: &Source) -> Value {
    let mut shown = json!({ "repoURL": it.url(), "targetRevision": it.target() });
    match &it.chart {
        Some(chart) => shown["chart"] = json!(chart),
        None => shown["path"] = json!(it.folder()),
    }
    shown
}

/// `revision`, or `revisions` where there are several.
fn put_revisions(into: &mut Value, app: &App, revisions: &[String]) {
    match app.setting.multi() {
        true => into["revisions"] = json!(revisions),
        false => into["revision"] = json!(revisions.first().map_or("", String::as_str)),
    }
}

fn status(app: &App, now: f64) -> Value {
    let mut sync = json!({
        "status": app.compared.status,
        "comparedTo": { "destination": spec(app)["destination"] },
    });
    put_sources(&mut sync["comparedTo"], app);
    put_revisions(&mut sync, app, &app.compared.revisions);
    let conditions: Vec<Value> = app
        .compared
        .conditions
        .iter()
        .map(|(kind, message, since)| json!({ "type": kind, "message": message, "lastTransitionTime": time(*since) }))
        .collect();
    let taken_up = app.operation.as_ref().filter(|it| it.taken_up(now));
    let some = |values: Vec<Value>| if values.is_empty() { Value::Null } else { Value::Array(values) };
    let kind =
        if app.setting.sources.iter().any(|it| it.files.iter().any(|file| file.contains("kustomization"))) {
            "Kustomize"
        } else {
            "Directory"
        };
    json!({
        "conditions": some(conditions),
        "controllerNamespace": "argocd",
        "health": { "status": app.health.0, "lastTransitionTime": time(app.health.1) },
        "history": some(app.history.iter().map(|it| deployed(app, it)).collect()),
        "operationState": taken_up.map(|it| operation_state(app, it)),
        "reconciledAt": time(app.compared.at),
        "resources": resources(app, now),
        "sourceType": (!app.setting.multi()).then_some(kind),
        "summary": { "images": images(app) },
        "sync": sync,
    })
}

/// Images of what is live, as the summary has them: sorted, those of pods that still end among them.
fn images(app: &App) -> Vec<String> {
    let sets = app.workload.sets.iter().filter(|set| !set.pods.is_empty());
    let mut all: Vec<String> = sets.flat_map(|set| set.images.iter().cloned()).collect();
    if !app.workload.missing {
        all.extend(app.workload.sets.last().into_iter().flat_map(|set| set.images.iter().cloned()));
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn resources(app: &App, now: f64) -> Vec<Value> {
    let (kind, group) = app.setting.kind();
    let (health, words) = health::of_workload(app, now);
    let synced = match app.compared.status.as_str() {
        "Unknown" => "Unknown",
        "Synced" => "Synced",
        _ => "OutOfSync",
    };
    let words = (!words.is_empty()).then_some(words);
    let name = &app.setting.name;
    let version = if group == "apps" { "v1" } else { "v1alpha1" };
    vec![
        json!({
            "version": "v1", "kind": "Service", "namespace": app.setting.namespace, "name": name,
            "status": if synced == "Unknown" { synced } else { "Synced" }, "health": { "status": "Healthy" },
        }),
        json!({
            "group": group, "version": version, "kind": kind, "namespace": app.setting.namespace, "name": name,
            "status": synced, "health": { "status": health, "message": words },
        }),
    ]
}

fn initiated(by: Option<&String>) -> Value {
    by.map_or_else(|| json!({ "automated": true }), |name| json!({ "username": name }))
}

fn deployed(app: &App, it: &Deployed) -> Value {
    let mut shown = json!({
        "id": it.id, "deployStartedAt": time(it.started), "deployedAt": time(it.at),
        "initiatedBy": initiated(it.by.as_ref()),
    });
    put_sources(&mut shown, app);
    put_revisions(&mut shown, app, &it.revisions);
    // A history entry has `revision` in any case: it is required by the resource definition.
    shown["revision"] =
        json!(if app.setting.multi() { "" } else { it.revisions.first().map_or("", String::as_str) });
    shown
}

/// What was asked for.
fn asked(app: &App, it: &Operation) -> Value {
    let mut sync = Map::new();
    if app.setting.multi() {
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
    let limit = app.setting.retries(it.by.is_none());
    let retry = if limit > 0 { json!({ "limit": limit }) } else { json!({}) };
    json!({ "initiatedBy": initiated(it.by.as_ref()), "retry": retry, "sync": sync })
}

fn operation_state(app: &App, it: &Operation) -> Value {
    let mut state = json!({
        "operation": asked(app, it),
        "phase": it.phase,
        "startedAt": time(it.started),
    });
    if !it.message.is_empty() {
        state["message"] = json!(it.message);
    }
    if let Some(at) = it.finished {
        state["finishedAt"] = json!(time(at));
    }
    if it.retries > 0 {
        state["retryCount"] = json!(it.retries);
    }
    let resources: Vec<Value> = it.results.iter().map(|one| result(app, one)).collect();
    let mut result = json!({ "resources": (!resources.is_empty()).then_some(resources) });
    put_sources(&mut result, app);
    put_revisions(&mut result, app, &it.revisions);
    // Required, empty where there are several sources.
    result["revision"] =
        json!(if app.setting.multi() { "" } else { it.revisions.first().map_or("", String::as_str) });
    state["syncResult"] = result;
    state
}

fn result(app: &App, it: &SyncedResource) -> Value {
    let version = if it.group == "argoproj.io" { "v1alpha1" } else { "v1" };
    json!({
        "group": it.group, "version": version, "kind": it.kind, "namespace": app.setting.namespace, "name": it.name,
        "status": (!it.status.is_empty()).then_some(&it.status),
        "message": (!it.message.is_empty()).then_some(&it.message),
        "hookPhase": it.phase, "syncPhase": it.stage,
        "hookType": it.hook.then_some(&it.stage),
    })
}
