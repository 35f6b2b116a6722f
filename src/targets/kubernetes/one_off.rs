//! A command that runs once with a version: a Job of one pod, made from the template of the version. Its name is that of the
//! attempt, so that the same request makes one Job.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::error::{ApiError, ErrorKind};
use super::pod::{ContainerStatus, Pod};
use super::settings::WorkloadName;
use super::status::log_lines;
use crate::problem::{Code, Problem};
use crate::release::{Failure, StartedTask, TaskCommand, TaskStatus};
use crate::retry::{self, Look, WriteError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// The label with whose command it is.
const OWNER_LABEL: &str = "roadstead.dev/owner";
/// The annotation with the command line.
const DISPLAY_ANNOTATION: &str = "roadstead.dev/command";
/// The annotation with the version.
const VERSION_ANNOTATION: &str = "roadstead.dev/version";
/// How long a Job that has ended stays, in seconds.
const TIME_TO_LIVE: u64 = 86_400;
/// The most log lines of the command that are read.
const MAX_LOG_LINES: usize = 20;

/// A name of digits for a text.
fn digits_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))[..16].to_owned()
}

/// What a Job is made from.
pub struct JobRequest<'j> {
    /// The workload.
    pub workload: &'j WorkloadName,
    /// The template of the version.
    pub template: &'j Value,
    /// Identifier of the version.
    pub version: &'j str,
    /// The container that the command runs in.
    pub container: &'j str,
    /// The command.
    pub command: &'j TaskCommand,
}

impl JobRequest<'_> {
    /// The name of its Job.
    pub fn name(&self) -> String {
        let base: String = self.workload.name.chars().take(40).collect();
        format!("{}-{}", base.trim_end_matches(['-', '.']), digits_of(&self.command.idempotency_key))
    }

    /// The Job: the pod of the version with one container, once, without probes and ports.
    pub fn to_job(&self) -> Value {
        let mut spec = self.template["spec"].clone();
        let containers = spec["containers"].as_array().cloned().unwrap_or_default();
        let init = spec["initContainers"].as_array().cloned().unwrap_or_default();
        let mut all = containers.into_iter().chain(init);
        let mut one = all.find(|one| one["name"] == self.container).unwrap_or_default();
        if let Some(members) = one.as_object_mut() {
            for key in ["livenessProbe", "readinessProbe", "startupProbe", "ports", "lifecycle", "args"] {
                members.remove(key);
            }
            members.insert("command".into(), json!(self.command.command));
        }
        if let Some(members) = spec.as_object_mut() {
            members.remove("initContainers");
            members.insert("containers".into(), json!([one]));
            members.insert("restartPolicy".into(), json!("Never"));
        }
        let labels = json!({ OWNER_LABEL: digits_of(&self.command.owner) });
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": self.name(), "labels": labels,
                "annotations": {
                    DISPLAY_ANNOTATION: self.command.display, VERSION_ANNOTATION: self.version,
                },
            },
            "spec": {
                "backoffLimit": 0, "ttlSecondsAfterFinished": TIME_TO_LIVE,
                "template": { "metadata": { "labels": labels }, "spec": spec },
            },
        })
    }
}

/// Starts the command, unless the Job of an earlier attempt of the same run still runs: then that one is resumed.
pub async fn start(client: &Client, request: &JobRequest<'_>) -> Result<StartedTask, ChangeError> {
    let found = find(client, &request.command.owner).await.map_err(WriteError::NotMade)?;
    if let Some(task) = found.filter(|task| task.version == request.version) {
        return Ok(task);
    }
    let job = request.to_job();
    retry::ambiguous(
        &WRITE_RETRY,
        async |()| {
            client.create_job(&job).await.map(|made| started_task(&made)).map_err(ApiError::into_write_error)
        },
        async |_| match client.job(&request.name()).await {
            Ok(known) => Ok(Look::Done(started_task(&known))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Look::Send(())),
            Err(error) => Err(error.problem),
        },
    )
    .await
}

fn started_task(job: &Value) -> StartedTask {
    let text = |pointer: &str| job.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let annotation =
        |name: &str| job["metadata"]["annotations"][name].as_str().unwrap_or_default().to_owned();
    StartedTask {
        id: text("/metadata/name"),
        label: text("/metadata/name"),
        container: text("/spec/template/spec/containers/0/name"),
        version: annotation(VERSION_ANNOTATION),
        display: annotation(DISPLAY_ANNOTATION),
    }
}

fn has_condition(job: &Value, kind: &str) -> bool {
    let conditions = job["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().any(|one| one["status"] == "True" && one["type"] == kind)
}

fn has_ended(job: &Value) -> bool {
    has_condition(job, "Complete") || has_condition(job, "Failed")
}

/// The command of this owner that is still running.
pub async fn find(client: &Client, owner: &str) -> Result<Option<StartedTask>, Problem> {
    let jobs = client
        .jobs_with(&format!("{OWNER_LABEL}={}", digits_of(owner)))
        .await
        .map_err(|error| error.problem)?;
    Ok(jobs.iter().find(|job| !has_ended(job)).map(started_task))
}

/// One look at the command.
pub async fn status(client: &Client, task: &StartedTask) -> Result<TaskStatus, Problem> {
    let pods = client.pods(&format!("job-name={}", task.id)).await.map_err(|error| error.problem)?;
    let Some(pod) = pods.first() else {
        return match client.job(&task.id).await {
            Ok(job) => Ok(podless_status(task, &job)),
            Err(error) if error.kind == ErrorKind::NotFound => {
                Ok(TaskStatus::Failed(Box::new(deleted(task))))
            }
            Err(error) => Err(error.problem),
        };
    };
    let container = pod.containers().find(|one| one.name == task.container);
    let ended = container.and_then(|one| one.state.terminated.clone());
    let Some(ended) = ended else { return Ok(waiting_status(task, pod, container)) };
    let log = client.pod_log(&pod.metadata.name, &task.container, false, MAX_LOG_LINES).await;
    let lines = log_lines(&log.unwrap_or_default());
    if ended.exit_code == 0 {
        return Ok(TaskStatus::Succeeded(lines));
    }
    let sentence = format!("The command `{}` ended with exit code {}.", task.display, ended.exit_code);
    let problem = Problem::error(Code::BeforeFailed, sentence)
        .cause(format!("pod {}: {}", pod.metadata.name, ended.reason))
        .help("Check its log lines. No traffic was shifted.");
    let exit_code = Some(ended.exit_code);
    Ok(TaskStatus::Failed(Box::new(Failure { problem, exit_code, logs: lines, permanent: true })))
}

/// A Job without a pod: none is made yet, or it was removed after the end, as that of a node that is gone.
fn podless_status(task: &StartedTask, job: &Value) -> TaskStatus {
    if has_condition(job, "Complete") {
        return TaskStatus::Succeeded(Vec::new());
    }
    match has_condition(job, "Failed") {
        true => TaskStatus::Failed(Box::new(lost_pod(task, "no pod of the Job is left"))),
        false => TaskStatus::InProgress("its pod is not made yet".into()),
    }
}

fn lost_pod(task: &StartedTask, cause: &str) -> Failure {
    let sentence = format!("The pod of the command `{}` was lost before the command ended.", task.display);
    let problem = Problem::error(Code::BeforeFailed, sentence).cause(cause);
    Failure::permanent(problem.help("Run the job again. No traffic was shifted."))
}

/// A command that does not run yet: an image that cannot be pulled ends it, and so does a node that ends its pod.
fn waiting_status(task: &StartedTask, pod: &Pod, container: Option<&ContainerStatus>) -> TaskStatus {
    if pod.status.phase == "Failed" {
        let cause = format!("pod {}: {}", pod.metadata.name, pod.status.reason);
        return TaskStatus::Failed(Box::new(lost_pod(task, &cause)));
    }
    let Some(waiting) = container.and_then(|one| one.state.waiting.as_ref()) else {
        return TaskStatus::InProgress(format!("pod {} is {}", pod.metadata.name, pod.status.phase));
    };
    let finals = ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError"];
    if !finals.contains(&waiting.reason.as_str()) {
        return TaskStatus::InProgress(format!("pod {} waits: {}", pod.metadata.name, waiting.reason));
    }
    let sentence = format!("The command `{}` could not be started ({}).", task.display, waiting.reason);
    let problem = Problem::error(Code::BeforeFailed, sentence)
        .cause(waiting.message.clone())
        .help("Check image, Secrets and ConfigMaps of the workload. No traffic was shifted.");
    TaskStatus::Failed(Box::new(Failure::permanent(problem)))
}

fn deleted(task: &StartedTask) -> Failure {
    let sentence = format!("The Job of the command `{}` was deleted.", task.display);
    Failure::permanent(Problem::error(Code::BeforeFailed, sentence).help("Find out who deleted it."))
}

/// Stops the command: its Job is deleted with its pods. A Job that is gone counts as stopped.
pub async fn stop(client: &Client, task: &StartedTask) -> Result<(), Problem> {
    match client.delete_job(&task.id).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_word(status: &TaskStatus) -> &'static str {
        match status {
            TaskStatus::InProgress(_) => "in progress",
            TaskStatus::Succeeded(_) => "succeeded",
            TaskStatus::Failed(_) => "failed",
        }
    }

    #[test]
    fn command_whose_pod_is_lost_ends() {
        let task = started_task(&json!({ "metadata": { "name": "api-1" } }));
        let job = |kind: &str| json!({ "status": { "conditions": [{ "type": kind, "status": "True" }] } });
        let table = [(json!({}), "in progress"), (job("Complete"), "succeeded"), (job("Failed"), "failed")];
        for (job, expected) in table {
            assert_eq!(status_word(&podless_status(&task, &job)), expected, "{job}");
        }
        for (phase, expected) in [("Pending", "in progress"), ("Failed", "failed")] {
            let pod: Pod = serde_json::from_value(json!({ "status": { "phase": phase } })).unwrap();
            assert_eq!(status_word(&waiting_status(&task, &pod, None)), expected, "{phase}");
        }
    }
}
