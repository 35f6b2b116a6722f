//! Manifests of live resources, as text in JSON: what `GetResource` gives.

use serde_json::{Value, json};

use super::canary;
use super::setting::{Application, Step};
use super::state::{Analysis, App, ReplicaSet};
use super::views::time;
use crate::rehearsal::call::{Answer, Refusal};
use crate::rehearsal::members::text;

/// The manifest of the resource that is named.
pub fn manifest(app: &App, input: &Value, now: f64) -> Answer {
    let (kind, name) = (text(input, "kind"), text(input, "resourceName"));
    let named = |own: &str| name == own && !app.workload.missing;
    let set = app.workload.sets.iter().find(|set| set.name == name);
    let pod = app
        .workload
        .sets
        .iter()
        .find_map(|set| set.pods.iter().find(|pod| pod.name == name).map(|pod| (set, pod)));
    let run = app.workload.canary.analysis.as_ref().filter(|run| run.name == name);
    let found = match (kind, set, pod, run) {
        ("Deployment", ..) if named(&app.setting.name) && app.setting.workload == kind => {
            deployment(app, now)
        }
        ("Rollout", ..) if named(&app.setting.name) && app.setting.workload == kind => rollout(app, now),
        ("ReplicaSet", Some(set), ..) => replica_set(app, set, now),
        ("Pod", _, Some((set, pod)), _) => {
            let image = set.images.first().map_or("", String::as_str);
            let seen = pod.seen(&app.setting.name, image, now);
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": { "name": pod.name, "namespace": app.setting.namespace, "uid": pod.uid },
                "spec": { "containers": containers(set) },
                "status": { "phase": seen.phase },
            })
        }
        ("AnalysisRun", .., Some(run)) => analysis_run(app, run),
        _ => {
            let group = text(input, "group");
            let words =
                format!("{kind} {group} {name} not found as part of application {}", app.setting.name);
            return Err(Refusal::of(400, "InvalidArgument", words));
        }
    };
    Ok(json!({ "manifest": found.to_string() }))
}

fn containers(set: &ReplicaSet) -> Vec<Value> {
    let name = |place: usize| if place == 0 { "app".to_owned() } else { format!("app-{place}") };
    set.images
        .iter()
        .enumerate()
        .map(|(place, image)| json!({ "name": name(place), "image": image }))
        .collect()
}

fn metadata(app: &App) -> Value {
    let revision = app.workload.sets.last().map_or(0, |set| set.revision).to_string();
    let key = if app.setting.workload == "Rollout" {
        "rollout.argoproj.io/revision"
    } else {
        "deployment.kubernetes.io/revision"
    };
    json!({
        "name": app.setting.name, "namespace": app.setting.namespace, "uid": app.workload.uid,
        "generation": app.workload.generation, "creationTimestamp": time(app.created),
        "annotations": { key: revision },
    })
}

fn template(app: &App) -> Value {
    let containers = app.workload.sets.last().map_or(Vec::new(), containers);
    json!({ "metadata": { "labels": { "app": app.setting.name } }, "spec": { "containers": containers } })
}

fn numbers(app: &App, now: f64) -> Value {
    let sets = &app.workload.sets;
    json!({
        "observedGeneration": app.workload.generation,
        "replicas": sets.iter().map(ReplicaSet::active).sum::<usize>(),
        "updatedReplicas": sets.last().map_or(0, ReplicaSet::active),
        "readyReplicas": sets.iter().map(|set| set.available(now)).sum::<usize>(),
        "availableReplicas": sets.iter().map(|set| set.available(now)).sum::<usize>(),
    })
}

fn deployment(app: &App, now: f64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(app),
        "spec": {
            "replicas": app.setting.replicas, "paused": app.workload.paused, "template": template(app),
            "progressDeadlineSeconds": app.setting.progress_deadline,
            "selector": { "matchLabels": { "app": app.setting.name } },
        },
        "status": numbers(app, now),
    })
}

fn replica_set(app: &App, set: &ReplicaSet, now: f64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": { "name": set.name, "namespace": app.setting.namespace, "uid": set.uid },
        "spec": { "replicas": set.active(), "template": { "spec": { "containers": containers(set) } } },
        "status": { "replicas": set.active(), "readyReplicas": set.available(now) },
    })
}

fn analysis_run(app: &App, run: &Analysis) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": { "name": run.name, "namespace": app.setting.namespace, "uid": run.uid },
        "spec": { "metrics": [{ "name": "success-rate" }] },
        "status": { "phase": run.phase, "message": run.message, "startedAt": time(run.began) },
    })
}

fn steps(setting: &Application) -> Vec<Value> {
    let shown = |step: &Step| match step {
        Step::SetWeight(weight) => json!({ "setWeight": weight }),
        Step::Pause(seconds) if *seconds > 0.0 => json!({ "pause": { "duration": format!("{seconds}s") } }),
        Step::Pause(_) => json!({ "pause": {} }),
        Step::Analysis(_) => json!({ "analysis": { "templates": [{ "templateName": "success-rate" }] } }),
    };
    setting.steps.iter().map(shown).collect()
}

fn rollout(app: &App, now: f64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata(app),
        "spec": {
            "replicas": app.setting.replicas, "template": template(app),
            "strategy": { "canary": { "steps": steps(&app.setting) } },
            "selector": { "matchLabels": { "app": app.setting.name } },
        },
        "status": rollout_status(app, now),
    })
}

fn rollout_status(app: &App, now: f64) -> Value {
    let work = &app.workload;
    let (phase, message) = canary::phase(app, now);
    let weight = canary::weight(app);
    let hash =
        |name: &str| work.sets.iter().find(|set| set.name == name).map_or("", ReplicaSet::hash).to_owned();
    let current = work.sets.last().map_or("", ReplicaSet::hash);
    let mut status = numbers(app, now);
    // Argo Rollouts has this number as text.
    status["observedGeneration"] = json!(work.generation.to_string());
    status["phase"] = json!(phase);
    status["message"] = json!((!message.is_empty()).then_some(message));
    status["currentPodHash"] = json!(current);
    status["stableRS"] = json!(hash(&work.canary.stable));
    status["currentStepIndex"] = json!(work.canary.index);
    status["canary"] = json!({
        "weights": {
            "canary": { "weight": weight, "podTemplateHash": current },
            "stable": { "weight": 100 - weight.min(100), "podTemplateHash": hash(&work.canary.stable) },
        },
    });
    if let Some(run) = work.canary.analysis.as_ref() {
        status["canary"]["currentStepAnalysisRunStatus"] =
            json!({ "name": run.name, "status": run.phase, "message": run.message });
    }
    if let Some((_, at)) = &work.canary.aborted {
        status["abort"] = json!(true);
        status["abortedAt"] = json!(time(*at));
    }
    if phase == "Paused" {
        status["pauseConditions"] =
            json!([{ "reason": "CanaryPauseStep", "startTime": time(work.canary.began) }]);
        status["controllerPause"] = json!(true);
    }
    let empty = |value: &Value| value.is_null();
    status.as_object_mut().into_iter().for_each(|members| members.retain(|_, value| !empty(value)));
    status
}
