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

fn has_ended(job: &Value) -> bool {
    let conditions = job["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions
        .iter()
        .any(|one| one["status"] == "True" && (one["type"] == "Complete" || one["type"] == "Failed"))
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
            Ok(_) => Ok(TaskStatus::InProgress("its pod is not made yet".into())),
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

/// A command that does not run yet: an image that cannot be pulled ends it.
fn waiting_status(task: &StartedTask, pod: &Pod, container: Option<&ContainerStatus>) -> TaskStatus {
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
