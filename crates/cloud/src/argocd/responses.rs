//! Applications in the shapes of Argo CD's API (`v1alpha1.Application`, swagger of 3.5).

use serde_json::{Map, Value, json};

use super::health;
use super::scenario::{AppResourceSetting, AppSourceSetting};
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
    let automated =
        setting.automated.then(|| json!({ "prune": setting.prune, "selfHeal": setting.self_heal }));
    let policy =
        json!({ "automated": automated, "retry": setting.retry.map(|limit| json!({ "limit": limit })) });
    let mut spec = json!({
        "destination": { "namespace": setting.namespace, "server": "https://kubernetes.default.svc" },
        "project": setting.project,
        "syncPolicy": policy,
    });
    match &app.spec.hydrated_branch {
        Some(branch) => spec["sourceHydrator"] = hydrator_json(app, branch),
        None => put_sources(&mut spec, app),
    }
    spec
}

/// With a source hydrator there is no `source`.
fn hydrator_json(app: &ArgoCdApp, branch: &str) -> Value {
    let dry = app.spec.sources.first().map(|it| source_json(app, it)).unwrap_or_default();
    json!({ "drySource": dry, "syncSource": { "targetBranch": branch, "path": dry["path"] } })
}

/// The commit that Argo CD syncs: with a source hydrator, the one that it made of the dry commit.
fn synced_revision(app: &ArgoCdApp, revision: &str) -> String {
    match app.spec.hydrated_branch {
        Some(_) => revision.chars().rev().collect(),
        None => revision.to_owned(),
    }
}

/// `source`, or `sources` where there are several.
fn put_sources(into: &mut Value, app: &ArgoCdApp) {
    let all: Vec<Value> = app.spec.sources.iter().map(|it| source_json(app, it)).collect();
    match app.spec.is_multi_source() {
        true => into["sources"] = json!(all),
        false => into["source"] = all.into_iter().next().unwrap_or_default(),
    }
}

fn source_json(app: &ArgoCdApp, it: &AppSourceSetting) -> Value {
    let mut shown = json!({ "repoURL": it.repo_url(), "targetRevision": it.target_revision() });
    match &it.chart {
        Some(chart) => shown["chart"] = json!(chart),
        None => shown["path"] = json!(it.first_folder()),
    }
    if !app.spec.image_overrides.is_empty() {
        shown["kustomize"] = json!({ "images": app.spec.image_overrides });
    }
    let parameter = |(name, value): (&String, &String)| json!({ "name": name, "value": value });
    let parameters: Vec<Value> = app.spec.helm_parameters.iter().map(parameter).collect();
    if !parameters.is_empty() {
        shown["helm"] = json!({ "parameters": parameters });
    }
    shown
}

/// `revision`, or `revisions` where there are several.
fn put_revisions(into: &mut Value, app: &ArgoCdApp, revisions: &[String]) {
    match app.spec.is_multi_source() {
        true => into["revisions"] = json!(revisions),
        false => into["revision"] = json!(synced_revision(app, revisions.first().map_or("", String::as_str))),
    }
}

/// Where manifests cannot be made, the target revision as written stands for the commit; of several sources, nothing.
fn put_compared_revisions(sync: &mut Value, app: &ArgoCdApp) {
    let target = || app.spec.sources.first().map_or("HEAD", AppSourceSetting::target_revision);
    match (app.comparison.is_unrenderable, app.spec.is_multi_source()) {
        (false, _) => put_revisions(sync, app, &app.comparison.revisions),
        (true, false) => sync["revision"] = json!(target()),
        (true, true) => {}
    }
}

fn status_json(app: &ArgoCdApp, now: f64) -> Value {
    let mut sync = json!({
        "status": app.comparison.status,
        "comparedTo": { "destination": spec_json(app)["destination"] },
    });
    put_sources(&mut sync["comparedTo"], app);
    put_compared_revisions(&mut sync, app);
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
        "health": {
            "status": app.health.0, "lastTransitionTime": format_time(app.health.1),
            "message": health::application_health(app, now).1,
        },
        "history": some(app.history.iter().map(|it| history_entry_json(app, it)).collect()),
        "operationState": taken_up.map(|it| operation_state_json(app, it)),
        "reconciledAt": format_time(app.comparison.compared_at),
        "resources": resources_json(app, now),
        "sourceHydrator": hydration_json(app),
        "sourceType": (!app.spec.is_multi_source()).then_some(kind),
        "summary": { "images": summary_images(app) },
        "sync": sync,
    })
}

/// The last hydration.
fn hydration_json(app: &ArgoCdApp) -> Value {
    let (Some(_), Some(dry)) = (&app.spec.hydrated_branch, app.comparison.revisions.first()) else {
        return Value::Null;
    };
    json!({ "lastSuccessfulOperation": { "drySHA": dry, "hydratedSHA": synced_revision(app, dry) } })
}

/// Images of pods, as the summary has them: sorted, those of pods that still end among them.
fn summary_images(app: &ArgoCdApp) -> Vec<String> {
    let sets = app.workload.replica_sets.iter().filter(|set| !set.pods.is_empty());
    let mut all: Vec<String> = sets.flat_map(|set| set.images.iter().cloned()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn resources_json(app: &ArgoCdApp, now: f64) -> Vec<Value> {
    let (kind, group) = app.spec.workload_kind();
    let (health, words) = health::workload_health(app, now);
    let synced = match (app.comparison.is_unrenderable, app.comparison.is_workload_synced) {
        (true, _) => "Unknown",
        (false, true) => "Synced",
        (false, false) => "OutOfSync",
    };
    let words = (!words.is_empty()).then_some(words);
    let name = &app.spec.name;
    let version = app.spec.workload_version();
    let further = app.spec.resources.iter().map(|it| further_json(app, it));
    let mut all = vec![
        json!({
            "version": "v1", "kind": "Service", "namespace": app.spec.namespace, "name": name,
            "status": if synced == "Unknown" { synced } else { "Synced" }, "health": { "status": "Healthy" },
        }),
        json!({
            "group": group, "version": version, "kind": kind, "namespace": app.spec.namespace, "name": name,
            "status": synced, "health": { "status": health, "message": words },
        }),
    ];
    if !app.spec.has_workload() {
        all.truncate(1);
    }
    all.extend(further);
    all
}

fn further_json(app: &ArgoCdApp, it: &AppResourceSetting) -> Value {
    let synced = match (app.comparison.is_unrenderable, it.out_of_sync || it.requires_pruning) {
        (true, _) => "Unknown",
        (false, true) => "OutOfSync",
        (false, false) => "Synced",
    };
    let health = health::resource_health(app, it)
        .map(|(status, words)| json!({ "status": status, "message": (!words.is_empty()).then_some(words) }));
    let namespace = if it.kind == "Application" { "argocd" } else { &app.spec.namespace };
    json!({
        "group": it.group, "version": "v1", "kind": it.kind, "namespace": namespace, "name": it.name,
        "status": synced, "health": health, "requiresPruning": it.requires_pruning.then_some(true),
    })
}

/// The commit of an application with one source; empty with several.
fn single_revision(app: &ArgoCdApp, revisions: &[String]) -> String {
    let first = revisions.first().filter(|_| !app.spec.is_multi_source());
    first.map_or_else(String::new, |revision| synced_revision(app, revision))
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
    shown["revision"] = json!(single_revision(app, &it.revisions));
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
    result["revision"] = json!(single_revision(app, &it.revisions));
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
