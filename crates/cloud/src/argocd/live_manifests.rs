//! Manifests of live resources, as text in JSON: what `GetResource` gives.

use serde_json::{Value, json};

use super::canary;
use super::responses::format_time;
use super::scenario::{AppResourceSetting, ArgoCdAppSetting, CanaryStep};
use super::state::{AnalysisRun, ArgoCdApp, ReplicaSet};
use crate::input::str_field;
use crate::request::{ServiceError, ServiceResult};

/// The manifest of the resource that is named.
pub fn live_manifest(app: &ArgoCdApp, input: &Value, now: f64) -> ServiceResult {
    let (kind, name) = (str_field(input, "kind"), str_field(input, "resourceName"));
    let named = |own: &str| name == own && !app.workload.is_missing;
    let set = app.workload.replica_sets.iter().find(|set| set.name == name);
    let pod = app
        .workload
        .replica_sets
        .iter()
        .find_map(|set| set.pods.iter().find(|pod| pod.name == name).map(|pod| (set, pod)));
    let run = app.workload.canary.analysis.as_ref().filter(|run| run.name == name);
    let found = match (kind, set, pod, run) {
        ("Deployment" | "StatefulSet" | "CronJob", ..)
            if named(&app.spec.name) && app.spec.workload == kind =>
        {
            workload_manifest(app, now)
        }
        ("Rollout", ..) if named(&app.spec.name) && app.spec.workload == kind => rollout_manifest(app, now),
        ("ReplicaSet", Some(set), ..) => replica_set_manifest(app, set, now),
        ("Pod", _, Some((set, pod)), _) => {
            let image = set.images.first().map_or("", String::as_str);
            let seen = pod.status_at(&app.spec.name, image, now);
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": pod.name, "namespace": app.spec.namespace, "uid": pod.uid },
                "spec": { "containers": containers_json(set) },
                "status": { "phase": seen.phase },
            })
        }
        ("AnalysisRun", .., Some(run)) => analysis_run_manifest(app, run),
        _ => {
            let group = str_field(input, "group");
            let words = format!("{kind} {group} {name} not found as part of application {}", app.spec.name);
            return Err(ServiceError::with_status(400, "InvalidArgument", words));
        }
    };
    Ok(json!({ "manifest": found.to_string() }))
}

fn containers_json(set: &ReplicaSet) -> Vec<Value> {
    named_containers(&set.images)
}

fn named_containers(images: &[String]) -> Vec<Value> {
    let name = |place: usize| if place == 0 { "app".to_owned() } else { format!("app-{place}") };
    images.iter().enumerate().map(|(place, image)| json!({ "name": name(place), "image": image })).collect()
}

fn metadata_json(app: &ArgoCdApp) -> Value {
    let revision = app.workload.replica_sets.last().map_or(0, |set| set.revision).to_string();
    let key = if app.spec.workload == "Rollout" {
        "rollout.argoproj.io/revision"
    } else {
        "deployment.kubernetes.io/revision"
    };
    json!({
        "name": app.spec.name, "namespace": app.spec.namespace, "uid": app.workload.uid,
        "generation": app.workload.generation, "creationTimestamp": format_time(app.created_at),
        "annotations": { key: revision },
    })
}

fn template_json(app: &ArgoCdApp) -> Value {
    let containers = app.workload.replica_sets.last().map_or(Vec::new(), containers_json);
    json!({ "metadata": { "labels": { "app": app.spec.name } }, "spec": { "containers": containers } })
}

fn replica_counts_json(app: &ArgoCdApp, now: f64) -> Value {
    let sets = &app.workload.replica_sets;
    json!({
        "observedGeneration": app.workload.generation,
        "replicas": sets.iter().map(ReplicaSet::active_count).sum::<usize>(),
        "updatedReplicas": sets.last().map_or(0, ReplicaSet::active_count),
        "readyReplicas": sets.iter().map(|set| set.available_count(now)).sum::<usize>(),
        "availableReplicas": sets.iter().map(|set| set.available_count(now)).sum::<usize>(),
    })
}

/// The live manifest of the workload.
pub(super) fn workload_manifest(app: &ArgoCdApp, now: f64) -> Value {
    match app.spec.workload.as_str() {
        "Rollout" => rollout_manifest(app, now),
        "CronJob" => cron_job_manifest(app, template_json(app)),
        kind => {
            let mut shown = deployment_manifest(app, now);
            shown["kind"] = json!(kind);
            shown
        }
    }
}

/// The workload as the manifests in Git have it.
pub(super) fn target_manifest(app: &ArgoCdApp) -> Value {
    let template = json!({ "spec": { "containers": named_containers(&app.comparison.images) } });
    let (kind, group) = app.spec.workload_kind();
    if kind == "CronJob" {
        return cron_job_manifest(app, template);
    }
    json!({
        "apiVersion": format!("{group}/{}", app.spec.workload_version()), "kind": kind,
        "metadata": { "name": app.spec.name, "namespace": app.spec.namespace },
        "spec": { "replicas": app.spec.replicas, "template": template },
    })
}

/// A further resource; its manifest in Git is the same.
pub(super) fn further_manifest(app: &ArgoCdApp, it: &AppResourceSetting) -> Value {
    let slash = if it.group.is_empty() { "" } else { "/" };
    json!({
        "apiVersion": format!("{}{slash}v1", it.group), "kind": it.kind,
        "metadata": { "name": it.name, "namespace": app.spec.namespace },
        "spec": { "template": { "spec": { "containers": named_containers(&it.images) } } },
    })
}

fn cron_job_manifest(app: &ArgoCdApp, template: Value) -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata_json(app),
        "spec": { "schedule": "0 3 * * *", "suspend": app.workload.is_paused,
                  "jobTemplate": { "spec": { "template": template } } },
    })
}

fn deployment_manifest(app: &ArgoCdApp, now: f64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata_json(app),
        "spec": {
            "replicas": app.spec.replicas, "paused": app.workload.is_paused, "template": template_json(app),
            "progressDeadlineSeconds": app.spec.progress_deadline,
            "selector": { "matchLabels": { "app": app.spec.name } },
        },
        "status": replica_counts_json(app, now),
    })
}

fn replica_set_manifest(app: &ArgoCdApp, set: &ReplicaSet, now: f64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": set.name, "namespace": app.spec.namespace, "uid": set.uid },
        "spec": { "replicas": set.active_count(), "template": { "spec": { "containers": containers_json(set) } } },
        "status": { "replicas": set.active_count(), "readyReplicas": set.available_count(now) },
    })
}

fn analysis_run_manifest(app: &ArgoCdApp, run: &AnalysisRun) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": { "name": run.name, "namespace": app.spec.namespace, "uid": run.uid },
        "spec": { "metrics": [{ "name": "success-rate" }] },
        "status": { "phase": run.phase, "message": run.message, "startedAt": format_time(run.started_at) },
    })
}

fn canary_steps_json(setting: &ArgoCdAppSetting) -> Vec<Value> {
    let shown = |step: &CanaryStep| match step {
        CanaryStep::SetWeight(weight) => json!({ "setWeight": weight }),
        CanaryStep::Pause(seconds) if *seconds > 0.0 => {
            json!({ "pause": { "duration": format!("{seconds}s") } })
        }
        CanaryStep::Pause(_) => json!({ "pause": {} }),
        CanaryStep::Analysis(_) => {
            json!({ "analysis": { "templates": [{ "templateName": "success-rate" }] } })
        }
    };
    setting.steps.iter().map(shown).collect()
}

fn rollout_manifest(app: &ArgoCdApp, now: f64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata_json(app),
        "spec": {
            "replicas": app.spec.replicas, "template": template_json(app),
            "strategy": { "canary": { "steps": canary_steps_json(&app.spec) } },
            "selector": { "matchLabels": { "app": app.spec.name } },
        },
        "status": rollout_status_json(app, now),
    })
}

fn rollout_status_json(app: &ArgoCdApp, now: f64) -> Value {
    let work = &app.workload;
    let (phase, message) = canary::rollout_phase(app, now);
    let weight = canary::canary_weight(app);
    let hash = |name: &str| {
        work.replica_sets.iter().find(|set| set.name == name).map_or("", ReplicaSet::template_hash).to_owned()
    };
    let current = work.replica_sets.last().map_or("", ReplicaSet::template_hash);
    let mut status = replica_counts_json(app, now);
    // Argo Rollouts has this number as text.
    status["observedGeneration"] = json!(work.generation.to_string());
    status["phase"] = json!(phase);
    status["message"] = json!((!message.is_empty()).then_some(message));
    status["currentPodHash"] = json!(current);
    status["stableRS"] = json!(hash(&work.canary.stable_set));
    status["currentStepIndex"] = json!(work.canary.step_index);
    status["canary"] = json!({
        "weights": {
            "canary": { "weight": weight, "podTemplateHash": current },
            "stable": { "weight": 100 - weight.min(100), "podTemplateHash": hash(&work.canary.stable_set) },
        },
    });
    if let Some(run) = work.canary.analysis.as_ref() {
        status["canary"]["currentStepAnalysisRunStatus"] =
            json!({ "name": run.name, "status": run.phase, "message": run.message });
    }
    if let Some((_, at)) = &work.canary.aborted {
        status["abort"] = json!(true);
        status["abortedAt"] = json!(format_time(*at));
    }
    if phase == "Paused" {
        status["pauseConditions"] =
            json!([{ "reason": "CanaryPauseStep", "startTime": format_time(work.canary.step_started) }]);
        status["controllerPause"] = json!(true);
    }
    let empty = |value: &Value| value.is_null();
    status.as_object_mut().into_iter().for_each(|members| members.retain(|_, value| !empty(value)));
    status
}
