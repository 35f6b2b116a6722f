//! Why pods of a version do not become ready: rows 7 to 17 of the table of verdicts. Pure; all texts are untrusted.

use std::time::Duration;

use super::pod::{ContainerStatus, Pod, TerminatedState};
use super::revision::RevisionObject;
use crate::problem::{Code, Problem};
use crate::release::Failure;

/// How often a container may start again before it counts as one that cannot run.
const MAX_RESTARTS: u32 = 3;
/// Restarts of a container that the kubelet backs off from.
const BACK_OFF_RESTARTS: u32 = 2;
/// Grace period of an image that cannot be pulled.
const PULL_GRACE: Duration = Duration::from_secs(10);
/// Grace period of what may appear soon: a Secret, a ServiceAccount.
const SETUP_GRACE: Duration = Duration::from_secs(30);

/// The row of a container that runs and is not ready.
const UNREADY_ROW: u8 = 16;

/// When a cause ends the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permanence {
    /// Never: it may pass, and the deadline decides.
    Deadline,
    /// Once it has lasted so long.
    After(Duration),
}

/// Why a version does not become ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Its row in the table of verdicts.
    pub row: u8,
    /// When it ends the wait.
    pub permanence: Permanence,
    /// The cause, for people.
    pub failure: Failure,
    /// The container whose lines explain it.
    pub log_source: Option<LogSource>,
}

/// A container that wrote something before it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    /// Its pod.
    pub pod: String,
    /// Its name.
    pub container: String,
    /// Whether the lines are those of the start before.
    pub previous: bool,
}

impl Cause {
    fn new(row: u8, permanence: Permanence, problem: Problem) -> Self {
        Self { row, permanence, failure: Failure::permanent(problem), log_source: None }
    }

    /// One that may pass.
    pub fn waiting(row: u8, problem: Problem) -> Self {
        Self::new(row, Permanence::Deadline, problem)
    }

    /// Whether a container runs and is not ready.
    pub fn is_unready(&self) -> bool {
        self.row == UNREADY_ROW
    }

    /// The same with other words of the provider.
    pub fn with_cause(mut self, text: String) -> Self {
        self.failure.problem.cause = Some(text);
        self
    }
}

/// The worst cause of a version's pods: what cannot pass comes first.
pub fn worst_cause(revision: Option<&RevisionObject>, pods: &[&Pod], was_ready: bool) -> Option<Cause> {
    let of_revision = revision.and_then(creation_failure);
    let is_partly_ready = was_ready || pods.iter().any(|pod| pod.is_ready());
    let of_pods =
        pods.iter().filter(|pod| !is_evicted(pod)).filter_map(|pod| pod_cause(pod, is_partly_ready));
    let rank = |cause: &Cause| (cause.permanence == Permanence::Deadline, cause.row);
    of_revision.into_iter().chain(of_pods).min_by_key(rank)
}

/// Row 17: the node or the scheduler ended it, and not its version.
pub fn is_evicted(pod: &Pod) -> bool {
    let reasons = ["Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeAffinity", "NodeLost"];
    pod.status.phase == "Failed" && reasons.contains(&pod.status.reason.as_str())
}

/// Rows 8 and 9: pods cannot be made.
fn creation_failure(revision: &RevisionObject) -> Option<Cause> {
    let failed = |condition: &&super::read::Condition| {
        condition.kind == "ReplicaFailure" && condition.status == "True"
    };
    let condition = revision.status.conditions.iter().find(failed)?;
    Some(creation_cause(&condition.message, revision.status.replicas > 0))
}

/// Pods that cannot be made, in the API server's words. `has_pods`: whether some of the version exist.
pub fn creation_cause(message: &str, has_pods: bool) -> Cause {
    if message.contains("exceeded quota") {
        let problem =
            Problem::error(Code::NoCapacity, "A quota of the namespace leaves no room for new pods.")
                .cause(message)
                .help("Raise the ResourceQuota, or lower requests or `maxSurge`.");
        return Cause::waiting(8, problem);
    }
    let permanence = if has_pods { Permanence::Deadline } else { Permanence::After(SETUP_GRACE) };
    let problem = Problem::error(Code::ResourceSetupFailed, "No pod of the new version can be made.")
        .cause(message)
        .help("The API server refuses the pods of this template; the message says why.");
    Cause::new(9, permanence, problem)
}

/// Rows 10 to 16, of one pod.
fn pod_cause(pod: &Pod, is_partly_ready: bool) -> Option<Cause> {
    if !pod.is_active() || pod.is_ready() {
        return None;
    }
    let of_containers = pod.containers().find_map(|one| container_cause(pod, one, is_partly_ready));
    of_containers.or_else(|| scheduling_cause(pod)).or_else(|| readiness_cause(pod))
}

fn container_cause(pod: &Pod, container: &ContainerStatus, is_partly_ready: bool) -> Option<Cause> {
    let waiting = container.state.waiting.as_ref();
    let (reason, message) = waiting.map_or(("", ""), |state| (state.reason.as_str(), state.message.as_str()));
    let (pod_name, name) = (&pod.metadata.name, &container.name);
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" => {
            let sentence = format!("The image of the container `{name}` cannot be used ({reason}).");
            let problem =
                Problem::error(Code::ImagePullFailed, sentence).cause(cause_text(pod_name, message));
            Some(Cause::new(
                10,
                Permanence::After(Duration::ZERO),
                problem.help("Correct the reference of the image."),
            ))
        }
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable" => {
            let sentence = format!("The image of the container `{name}` cannot be pulled ({reason}).");
            let problem =
                Problem::error(Code::ImagePullFailed, sentence).cause(cause_text(pod_name, message));
            let help = "Check that the image exists for the platform of the nodes, and that the cluster may pull it.";
            Some(Cause::new(11, pull_permanence(message), problem.help(help)))
        }
        "CreateContainerConfigError" | "CreateContainerError" => {
            let sentence = format!("The container `{name}` cannot be set up ({reason}).");
            let problem =
                Problem::error(Code::ResourceSetupFailed, sentence).cause(cause_text(pod_name, message));
            let is_cache = message.contains("failed to sync") && message.contains("cache");
            let permanence = if is_cache { Permanence::Deadline } else { Permanence::After(SETUP_GRACE) };
            let help = "Often a Secret, a ConfigMap or a key of one is missing: the message names it.";
            Some(Cause::new(12, permanence, problem.help(help)))
        }
        _ => crash_cause(pod, container, reason, is_partly_ready),
    }
}

/// Whether the registry's answer is one that another attempt does not change.
fn pull_permanence(message: &str) -> Permanence {
    let lower = message.to_ascii_lowercase();
    let finals =
        ["not found", "manifest unknown", "denied", "unauthorized", "forbidden", "no match for platform"];
    // An older kubelet repeats only this while it backs off; a newer one adds the answer of the registry.
    let backs_off = lower.starts_with("back-off pulling image") && !lower.contains(": ");
    let is_final = backs_off || finals.iter().any(|word| lower.contains(word));
    if is_final { Permanence::After(PULL_GRACE) } else { Permanence::Deadline }
}

/// Rows 13 and 14: it exits again and again.
fn crash_cause(pod: &Pod, container: &ContainerStatus, reason: &str, is_partly_ready: bool) -> Option<Cause> {
    let last = container.last_state.terminated.as_ref();
    let now = container.state.terminated.as_ref().filter(|ended| ended.exit_code != 0);
    let backs_off = reason == "CrashLoopBackOff" || reason == "RunContainerError";
    if last.is_none() && now.is_none() && !backs_off {
        return None;
    }
    let ended = now.or(last).cloned().unwrap_or_default();
    let restarts = container.restart_count;
    let is_loop = restarts >= MAX_RESTARTS || (backs_off && restarts >= BACK_OFF_RESTARTS);
    let permanence =
        if is_loop && !is_partly_ready { Permanence::After(Duration::ZERO) } else { Permanence::Deadline };
    let mut cause =
        Cause::new(if is_partly_ready { 14 } else { 13 }, permanence, exit_problem(pod, container, &ended));
    cause.failure.exit_code = Some(ended.exit_code);
    cause.log_source = Some(LogSource {
        pod: pod.metadata.name.clone(),
        container: container.name.clone(),
        previous: now.is_none(),
    });
    Some(cause)
}

fn exit_problem(pod: &Pod, container: &ContainerStatus, ended: &TerminatedState) -> Problem {
    let (name, code) = (&container.name, ended.exit_code);
    let text = format!(
        "pod {}: restarted {} times, last end: {} ({code})",
        pod.metadata.name, container.restart_count, ended.reason
    );
    match ended.reason.as_str() {
        "OOMKilled" => {
            let sentence = format!("The container `{name}` was killed because it exceeded its memory limit.");
            Problem::error(Code::OutOfMemory, sentence)
                .cause(text)
                .help("Raise its memory limit, or reduce its memory use.")
        }
        _ => {
            let sentence = format!("The container `{name}` exits with code {code}.");
            Problem::error(Code::ContainerExited, sentence).cause(text).help("Check its last log lines.")
        }
    }
}

/// Row 15: it is not scheduled.
fn scheduling_cause(pod: &Pod) -> Option<Cause> {
    let scheduled = pod.condition("PodScheduled").filter(|condition| condition.status == "False")?;
    let sentence = format!("The pod `{}` is not scheduled ({}).", pod.metadata.name, scheduled.reason);
    let problem = Problem::error(Code::NoCapacity, sentence)
        .cause(scheduled.message.clone())
        .help("Add nodes, or lower the requests of the pods; check selectors, taints and volumes.");
    Some(Cause::waiting(15, problem))
}

/// Row 16: it runs and is not ready.
fn readiness_cause(pod: &Pod) -> Option<Cause> {
    if pod.status.phase != "Running" {
        return None;
    }
    let waiting = pod.status.container_statuses.iter().find(|one| !one.ready)?;
    let sentence = format!("The container `{}` runs and is not ready.", waiting.name);
    let problem = Problem::error(Code::HealthCheckFailed, sentence)
        .cause(format!("pod {}", pod.metadata.name))
        .help("Check its readiness probe and its log lines.");
    let mut cause = Cause::waiting(UNREADY_ROW, problem);
    cause.log_source =
        Some(LogSource { pod: pod.metadata.name.clone(), container: waiting.name.clone(), previous: false });
    Some(cause)
}

fn cause_text(pod: &str, message: &str) -> String {
    if message.is_empty() { format!("pod {pod}") } else { format!("pod {pod}: {message}") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "api-1" }, "status": status })).unwrap()
    }

    fn waiting(reason: &str, message: &str, restarts: u32) -> Pod {
        pod(json!({ "phase": "Pending", "containerStatuses": [{
            "name": "app", "restartCount": restarts, "state": { "waiting": { "reason": reason, "message": message } },
            "lastState": if restarts > 0 { json!({ "terminated": { "exitCode": 3, "reason": "Error" } }) } else { json!({}) },
        }] }))
    }

    /// Row, whether it can end the wait, and the code.
    fn found(pod: &Pod, was_ready: bool) -> Option<(u8, bool, Code)> {
        let cause = worst_cause(None, &[pod], was_ready)?;
        Some((cause.row, cause.permanence != Permanence::Deadline, cause.failure.problem.code))
    }

    #[test]
    fn rows_10_to_16_of_the_table() {
        let unschedulable = pod(json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" },
        ] }));
        let unready =
            pod(json!({ "phase": "Running", "containerStatuses": [{ "name": "app", "ready": false }] }));
        let table = [
            (waiting("InvalidImageName", "", 0), Some((10, true, Code::ImagePullFailed))),
            (waiting("ErrImagePull", "x: not found", 0), Some((11, true, Code::ImagePullFailed))),
            (
                waiting("ErrImagePull", "no match for platform in manifest", 0),
                Some((11, true, Code::ImagePullFailed)),
            ),
            (waiting("ErrImagePull", "dial tcp: i/o timeout", 0), Some((11, false, Code::ImagePullFailed))),
            (
                waiting("ErrImagePull", "x509: certificate signed by unknown authority", 0),
                Some((11, false, Code::ImagePullFailed)),
            ),
            (
                waiting("ImagePullBackOff", "Back-off pulling image \"x\": ErrImagePull: 429 Too Many", 0),
                Some((11, false, Code::ImagePullFailed)),
            ),
            (
                waiting("ImagePullBackOff", "Back-off pulling image \"r:5000/x:v2\"", 0),
                Some((11, true, Code::ImagePullFailed)),
            ),
            (
                waiting("CreateContainerConfigError", "secret \"x\" not found", 0),
                Some((12, true, Code::ResourceSetupFailed)),
            ),
            (
                waiting("CreateContainerConfigError", "failed to sync secret cache", 0),
                Some((12, false, Code::ResourceSetupFailed)),
            ),
            (waiting("CrashLoopBackOff", "back-off 10s", 1), Some((13, false, Code::ContainerExited))),
            (waiting("CrashLoopBackOff", "back-off 20s", 2), Some((13, true, Code::ContainerExited))),
            (waiting("ContainerCreating", "", 3), Some((13, true, Code::ContainerExited))),
            (unschedulable, Some((15, false, Code::NoCapacity))),
            (unready, Some((16, false, Code::HealthCheckFailed))),
            (waiting("ContainerCreating", "", 0), None),
        ];
        for (pod, expected) in table {
            assert_eq!(found(&pod, false), expected, "{pod:?}");
        }
    }

    #[test]
    fn crash_beside_ready_pods_waits_for_the_deadline() {
        assert_eq!(
            found(&waiting("CrashLoopBackOff", "", 5), true),
            Some((14, false, Code::ContainerExited))
        );
    }

    #[test]
    fn evicted_pod_says_nothing_of_its_version() {
        let evicted = pod(json!({ "phase": "Failed", "reason": "Evicted", "containerStatuses": [
            { "name": "app", "state": { "terminated": { "exitCode": 137, "reason": "Error" } } },
        ] }));
        assert_eq!(found(&evicted, false), None);
    }

    #[test]
    fn init_container_is_named_before_the_others() {
        let stuck = pod(json!({ "phase": "Pending",
            "initContainerStatuses": [{ "name": "migrate", "restartCount": 3,
                "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                "lastState": { "terminated": { "exitCode": 1, "reason": "Error" } } }],
            "containerStatuses": [{ "name": "app", "state": { "waiting": { "reason": "PodInitializing" } } }],
        }));
        let cause = worst_cause(None, &[&stuck], false).unwrap();
        assert!(cause.failure.problem.sentence.contains("`migrate` exits with code 1"), "{cause:?}");
    }

    #[test]
    fn quota_waits_and_another_refusal_of_pods_is_permanent() {
        let revision = |message: &str, replicas: u32| -> RevisionObject {
            serde_json::from_value(json!({ "status": { "replicas": replicas, "conditions": [
                { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
            ] } }))
            .unwrap()
        };
        let row = |revision: &RevisionObject| {
            let cause = worst_cause(Some(revision), &[], false).unwrap();
            (cause.row, cause.permanence)
        };
        assert_eq!(row(&revision("pods is forbidden: exceeded quota: q", 0)), (8, Permanence::Deadline));
        let denied = "admission webhook \"x\" denied the request";
        assert_eq!(row(&revision(denied, 0)), (9, Permanence::After(SETUP_GRACE)));
        assert_eq!(row(&revision(denied, 1)), (9, Permanence::Deadline));
    }
}
