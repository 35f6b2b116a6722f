//! Jobs of one pod: made by a client, run once, deleted by the client.

use serde_json::{Value, json};

use super::api::ApiRequest;
use super::objects::format_time;
use super::responses;
use super::state::{Cluster, Job};
use crate::argocd::pods::random_suffix;
use crate::ecs::images::{self, ImageLookup};
use crate::request::{ServiceError, ServiceResult};
use crate::world::World;

/// Answers a request for jobs.
pub(super) fn answer(world: &mut World, place: usize, request: &ApiRequest<'_>, now: f64) -> ServiceResult {
    match request.verb {
        "create" => create(world, place, request, now),
        "list" => Ok(list(&world.kubernetes.clusters[place], request, now)),
        "get" => find(&world.kubernetes.clusters[place], request.name).map(|job| job_json(job, now)),
        "delete" => {
            let jobs = &mut world.kubernetes.clusters[place].jobs;
            let job = jobs.iter_mut().find(|job| job.name() == request.name && job.deleted_at.is_none());
            let job = job.ok_or_else(|| missing(request.name))?;
            job.deleted_at = Some(now);
            Ok(json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }))
        }
        _ => Err(responses::no_such_path()),
    }
}

fn missing(name: &str) -> ServiceError {
    responses::not_found("jobs.batch", name)
}

fn find<'c>(cluster: &'c Cluster, name: &str) -> Result<&'c Job, ServiceError> {
    let found = cluster.jobs.iter().find(|job| job.name() == name && job.deleted_at.is_none());
    found.ok_or_else(|| missing(name))
}

fn list(cluster: &Cluster, request: &ApiRequest<'_>, now: f64) -> Value {
    let selector = request.query["labelSelector"].as_str().unwrap_or_default();
    let (name, value) = selector.split_once('=').unwrap_or_default();
    let fits = |job: &&Job| {
        job.deleted_at.is_none()
            && job.object["metadata"]["namespace"] == request.namespace
            && (name.is_empty() || job.object["metadata"]["labels"][name] == value)
    };
    responses::list(
        "Job",
        "batch/v1",
        cluster.jobs.iter().filter(fits).map(|job| job_json(job, now)).collect(),
    )
}

fn create(world: &mut World, place: usize, request: &ApiRequest<'_>, now: f64) -> ServiceResult {
    let name = request.body["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if find(&world.kubernetes.clusters[place], &name).is_ok() {
        let words = format!("jobs.batch \"{name}\" already exists");
        return Err(ServiceError::with_status(409, "AlreadyExists", words));
    }
    let container = &request.body["spec"]["template"]["spec"]["containers"][0];
    let words = ["command", "args"].iter().filter_map(|key| container[*key].as_array());
    let line: Vec<&str> = words.flatten().filter_map(Value::as_str).collect();
    let image = container["image"].as_str().unwrap_or_default();
    let has_no_image = images::resolve_image(world, image) == ImageLookup::Missing;
    let mut object = request.body.clone();
    object["metadata"]["namespace"] = json!(request.namespace);
    object["metadata"]["uid"] = json!(world.rng.uuid());
    let (pull, start) = (world.timings.pull, world.timings.start);
    let started_at = now + world.rng.pick_seconds(pull) * 0.5 + world.rng.pick_seconds(start) * 0.5;
    let job = Job {
        pod: format!("{name}-{}", random_suffix(&mut world.rng)),
        object,
        created_at: now,
        started_at,
        command: world.commands.take_matching(&line.join(" ")),
        has_no_image,
        deleted_at: None,
    };
    let answer = job_json(&job, now);
    world.kubernetes.clusters[place].jobs.push(job);
    Ok(answer)
}

impl Job {
    fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    fn ended_at(&self) -> f64 {
        if self.has_no_image { f64::INFINITY } else { self.started_at + self.command.after }
    }
}

fn job_json(job: &Job, now: f64) -> Value {
    let ended = now >= job.ended_at();
    let failed = ended && job.command.exit != 0;
    let condition = |kind: &str| json!([{ "type": kind, "status": "True", "lastTransitionTime": format_time(job.ended_at()) }]);
    let mut shown = job.object.clone();
    shown["status"] = match (ended, failed) {
        (false, _) => json!({ "active": 1, "startTime": format_time(job.created_at) }),
        (true, true) => json!({ "failed": 1, "conditions": condition("Failed") }),
        (true, false) => json!({ "succeeded": 1, "conditions": condition("Complete") }),
    };
    shown
}

/// The pods of jobs.
pub(super) fn job_pods(cluster: &Cluster, namespace: &str, now: f64) -> Vec<Value> {
    let own = |job: &&Job| job.object["metadata"]["namespace"] == namespace && job.deleted_at.is_none();
    cluster.jobs.iter().filter(own).map(|job| pod_json(job, now)).collect()
}

fn pod_json(job: &Job, now: f64) -> Value {
    let container = &job.object["spec"]["template"]["spec"]["containers"][0];
    let exit = job.command.exit;
    let image = container["image"].as_str().unwrap_or_default();
    let (phase, state) = match now {
        _ if job.has_no_image => {
            let words = format!("Back-off pulling image \"{image}\": ErrImagePull: {image}: not found");
            ("Pending", json!({ "waiting": { "reason": "ImagePullBackOff", "message": words } }))
        }
        now if now < job.started_at => ("Pending", json!({ "waiting": { "reason": "ContainerCreating" } })),
        now if now < job.ended_at() => ("Running", json!({ "running": {} })),
        _ => {
            let reason = if exit == 0 { "Completed" } else { "Error" };
            let phase = if exit == 0 { "Succeeded" } else { "Failed" };
            (phase, json!({ "terminated": { "exitCode": exit, "reason": reason } }))
        }
    };
    json!({
        "metadata": {
            "name": job.pod, "namespace": job.object["metadata"]["namespace"], "uid": format!("{}-pod", job.name()),
            "labels": { "job-name": job.name(), "batch.kubernetes.io/job-name": job.name() },
        },
        "spec": job.object["spec"]["template"]["spec"],
        "status": { "phase": phase, "containerStatuses": [
            { "name": container["name"], "image": image, "ready": phase == "Running", "restartCount": 0, "state": state },
        ] },
    })
}

/// What the command of a job's pod wrote so far.
pub(super) fn job_log(cluster: &Cluster, pod: &str, now: f64) -> Option<String> {
    let job = cluster.jobs.iter().find(|job| job.pod == pod)?;
    (now >= job.ended_at()).then(|| job.command.logs.iter().map(|line| format!("{line}\n")).collect())
}
