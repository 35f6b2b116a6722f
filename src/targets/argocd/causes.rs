//! Why a rollout failed, from what Argo CD says of syncs, resources and pods. Pure; all texts are from outside.

use super::read::{Condition, Event, Node, Operation, Resource};
use super::verdict::is_live;
use crate::problem::{Code, Problem};
use crate::release::{Failure, ImageRef};

/// So often Argo CD may try a sync again that is refused.
const RETRIES: u32 = 2;
/// So many resources are named at most.
const NAMED: usize = 3;

/// Why a sync failed; `None` where it did not. One that Argo CD tries again has failed when it did so twice with a
/// resource that was refused: its pauses grow to minutes.
pub fn of_sync(operation: &Operation) -> Option<Failure> {
    let resources = operation.sync_result.iter().flat_map(|result| &result.resources);
    let failed: Vec<String> = resources
        .filter(|resource| resource.status == "SyncFailed")
        .map(|resource| format!("{}/{}: {}", resource.kind, resource.name, resource.message))
        .take(NAMED)
        .collect();
    let given_up = operation.is_running() && operation.retry_count >= RETRIES && !failed.is_empty();
    if !given_up && !matches!(operation.phase.as_str(), "Failed" | "Error") {
        return None;
    }
    let cause = if failed.is_empty() { operation.message.clone() } else { failed.join("\n") };
    let problem = Problem::error(Code::SyncFailed, "Argo CD could not sync the commit.").cause(cause);
    Some(Failure::permanent(
        problem.help("The manifests, or the rights of Argo CD in the cluster, need a fix."),
    ))
}

/// Why an application that was synced is not any more; nobody syncs it by itself then.
pub fn of_drift(resources: &[Resource]) -> Failure {
    let astray = resources.iter().filter(|resource| !matches!(resource.status.as_str(), "Synced" | ""));
    let names: Vec<String> = astray
        .take(NAMED)
        .map(|resource| format!("{}/{} is {}", resource.kind, resource.name, resource.status))
        .collect();
    let sentence = "The commit was synced, and then something else changed what is live.";
    let problem = Problem::error(Code::SyncFailed, sentence).cause(names.join("\n"));
    Failure::permanent(
        problem.help("See who changed or deleted it; `selfHeal` of the application would put it back."),
    )
}

/// What is wrong with the application itself; `None` where nothing is.
pub fn of_conditions(conditions: &[Condition]) -> Option<Failure> {
    let wrong = conditions.iter().find(|condition| condition.kind.ends_with("Error"))?;
    let sentence = format!("Argo CD cannot work on the application: {}.", wrong.kind);
    let problem = Problem::error(Code::SyncFailed, sentence).cause(wrong.message.clone());
    Some(Failure::permanent(problem.help("Often the manifests cannot be rendered; the message says which.")))
}

/// Why an application is degraded, by the resources that are.
pub fn of_resources(resources: &[&Resource], message: &str) -> Failure {
    let line = |resource: &&Resource| {
        let why = resource.health.as_ref().map_or("", |health| health.message.as_str());
        format!("{}/{}: {why}", resource.kind, resource.name)
    };
    let lines: Vec<String> = resources.iter().take(NAMED).map(line).collect();
    let named = resources.first().map(|one| format!("{}/{}", one.kind, one.name));
    let sentence =
        format!("{} is degraded with the new version.", named.as_deref().unwrap_or("The application"));
    let cause = if lines.is_empty() { message.to_owned() } else { lines.join("\n") };
    let problem = Problem::error(Code::HealthCheckFailed, sentence).cause(cause);
    Failure::permanent(problem.help("Look at its events and at the logs of its pods."))
}

/// The first pod of `image` that is in trouble, and what of.
pub fn of_pods(nodes: &[Node], image: &ImageRef) -> Option<Failure> {
    let ours = |node: &&Node| node.kind == "Pod" && node.images.iter().any(|live| is_live(live, image));
    nodes.iter().filter(ours).find_map(of_pod)
}

fn of_pod(pod: &Node) -> Option<Failure> {
    let health = pod.health.as_ref().filter(|health| health.status == "Degraded")?;
    let (code, what, help) = trouble(&health.message);
    let problem = Problem::error(code, format!("The pod `{}` {what}.", pod.name));
    Some(Failure::permanent(problem.cause(health.message.clone()).help(help)))
}

/// What the kubelet's words for a pod mean.
fn trouble(message: &str) -> (Code, &'static str, &'static str) {
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
            "was killed for its memory",
            "Raise its memory limit, or find what needs so much.",
        );
    }
    if has(&["CrashLoopBackOff", "back-off restarting", "exit code", "Error"]) {
        return (Code::ContainerExited, "exits by itself", "Its last log lines say why.");
    }
    (Code::HealthCheckFailed, "is degraded", "Look at its events and logs.")
}

/// What the events of a resource add to the cause of a failure: warnings, the last ones.
pub fn with_events(mut failure: Failure, events: &[Event]) -> Failure {
    let warnings: Vec<String> = events
        .iter()
        .rev()
        .filter(|event| event.kind == "Warning")
        .map(|event| format!("{}: {}", event.reason, event.message))
        .take(NAMED)
        .collect();
    if !warnings.is_empty() {
        let before = failure.problem.cause.take().map(|cause| format!("{cause}\n")).unwrap_or_default();
        failure.problem.cause = Some(format!("{before}{}", warnings.join("\n")));
    }
    failure
}
