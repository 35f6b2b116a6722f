//! Why a rollout failed, from Argo CD's reports of syncs, resources and pods. Pure; all texts are untrusted.

use super::read::{ApplicationCondition, KubernetesEvent, OperationState, ResourceNode, ResourceStatus};
use super::status::is_live;
use crate::problem::{Code, Problem};
use crate::release::{Failure, ImageRef};

/// Retries of a rejected sync before it counts as failed.
const MAX_SYNC_RETRIES: u32 = 2;
/// The most resources that are named.
const MAX_NAMED_RESOURCES: usize = 3;

/// Why a sync failed; `None` if it did not. A sync that Argo CD retries has failed after two retries with a rejected
/// resource, because Argo CD's backoff grows to minutes.
pub fn from_sync(operation: &OperationState) -> Option<Failure> {
    let resources = operation.sync_result.iter().flat_map(|result| &result.resources);
    let failed: Vec<String> = resources
        .filter(|resource| resource.status == "SyncFailed")
        .map(|resource| format!("{}/{}: {}", resource.kind, resource.name, resource.message))
        .take(MAX_NAMED_RESOURCES)
        .collect();
    let given_up = operation.is_running() && operation.retry_count >= MAX_SYNC_RETRIES && !failed.is_empty();
    if !given_up && !matches!(operation.phase.as_str(), "Failed" | "Error") {
        return None;
    }
    let cause = if failed.is_empty() { operation.message.clone() } else { failed.join("\n") };
    let problem = Problem::error(Code::SyncFailed, "Argo CD could not sync the commit.").cause(cause);
    Some(Failure::permanent(problem.help("Fix the manifests, or the permissions of Argo CD in the cluster.")))
}

/// Why a synced application is out of sync again and will not sync without an operation.
pub fn from_drift(resources: &[ResourceStatus]) -> Failure {
    let astray = resources.iter().filter(|resource| !matches!(resource.status.as_str(), "Synced" | ""));
    let names: Vec<String> = astray
        .take(MAX_NAMED_RESOURCES)
        .map(|resource| format!("{}/{} is {}", resource.kind, resource.name, resource.status))
        .collect();
    let sentence = "The commit was synced, and then live resources were changed by another user or tool.";
    let problem = Problem::error(Code::SyncFailed, sentence).cause(names.join("\n"));
    Failure::permanent(
        problem.help("Find out who changed or deleted them; `selfHeal` of the application restores them."),
    )
}

/// The error of the application itself; `None` if there is none.
pub fn from_conditions(conditions: &[ApplicationCondition]) -> Option<Failure> {
    let wrong = conditions.iter().find(|condition| condition.kind.ends_with("Error"))?;
    let sentence = format!("Argo CD reports an error of the application: {}.", wrong.kind);
    let problem = Problem::error(Code::SyncFailed, sentence).cause(wrong.message.clone());
    Some(Failure::permanent(problem.help("Often the manifests cannot be rendered; check the message.")))
}

/// Why an application is degraded, from its degraded resources.
pub fn from_resources(resources: &[&ResourceStatus], message: &str) -> Failure {
    let line = |resource: &&ResourceStatus| {
        let message = resource.health.as_ref().map_or("", |health| health.message.as_str());
        format!("{}/{}: {message}", resource.kind, resource.name)
    };
    let lines: Vec<String> = resources.iter().take(MAX_NAMED_RESOURCES).map(line).collect();
    let named = resources.first().map(|one| format!("{}/{}", one.kind, one.name));
    let sentence =
        format!("{} is degraded with the new version.", named.as_deref().unwrap_or("The application"));
    let cause = if lines.is_empty() { message.to_owned() } else { lines.join("\n") };
    let problem = Problem::error(Code::HealthCheckFailed, sentence).cause(cause);
    Failure::permanent(problem.help("Check its events and the logs of its pods."))
}

/// The problem of the first failed pod of `image`.
pub fn from_pods(nodes: &[ResourceNode], image: &ImageRef) -> Option<Failure> {
    let ours =
        |node: &&ResourceNode| node.kind == "Pod" && node.images.iter().any(|live| is_live(live, image));
    nodes.iter().filter(ours).find_map(from_pod)
}

fn from_pod(pod: &ResourceNode) -> Option<Failure> {
    let health = pod.health.as_ref().filter(|health| health.status == "Degraded")?;
    let (code, what, help) = classify_pod_message(&health.message);
    let problem = Problem::error(code, format!("The pod `{}` {what}.", pod.name));
    Some(Failure::permanent(problem.cause(health.message.clone()).help(help)))
}

/// The meaning of the kubelet's message about a pod.
fn classify_pod_message(message: &str) -> (Code, &'static str, &'static str) {
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&[
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "pulling image",
        "pull image",
        "failed to pull",
    ]) {
        return (
            Code::ImagePullFailed,
            "cannot pull its image",
            "Check the image, and the pull secret of the cluster.",
        );
    }
    if has(&["OOMKilled"]) {
        return (
            Code::OutOfMemory,
            "was killed because it exceeded its memory limit",
            "Raise its memory limit, or reduce its memory use.",
        );
    }
    if has(&["CrashLoopBackOff", "back-off restarting", "exit code", "Error"]) {
        return (Code::ContainerExited, "exits on its own", "Check its last log lines.");
    }
    (Code::HealthCheckFailed, "is degraded", "Check its events and logs.")
}

/// Adds the last warning events of a resource to the cause of a failure.
pub fn with_events(mut failure: Failure, events: &[KubernetesEvent]) -> Failure {
    let warnings: Vec<String> = events
        .iter()
        .rev()
        .filter(|event| event.kind == "Warning")
        .map(|event| format!("{}: {}", event.reason, event.message))
        .take(MAX_NAMED_RESOURCES)
        .collect();
    if !warnings.is_empty() {
        let before = failure.problem.cause.take().map(|cause| format!("{cause}\n")).unwrap_or_default();
        failure.problem.cause = Some(format!("{before}{}", warnings.join("\n")));
    }
    failure
}
