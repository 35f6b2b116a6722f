//! Why a rollout failed, from Argo CD's reports of syncs, resources and pods. Pure; all texts are untrusted.

use super::baseline::ApplicationBaseline;
use super::live_image::is_live;
use super::managed::{ResourceKey, Workload};
use super::read::{ApplicationCondition, OperationState, ResourceResult, ResourceStatus};
use super::resource_tree::{ApplicationTree, KubernetesEvent, ResourceNode};
use crate::problem::{Code, Problem};
use crate::release::{Failure, ImageRef};

/// Retries of a rejected sync before it counts as failed.
const MAX_SYNC_RETRIES: u32 = 2;
/// The most resources that are named.
const MAX_NAMED_RESOURCES: usize = 3;

/// Why a sync failed; `None` if it did not, or only as it did before. A sync that Argo CD retries has failed after two
/// retries with a rejected resource, because Argo CD's backoff grows to minutes.
pub fn from_sync(operation: &OperationState, baseline: Option<&ApplicationBaseline>) -> Option<Failure> {
    let failed: Vec<String> = new_sync_failures(operation, baseline)
        .map(|resource| format!("{}: {}", resource.label(), resource.message))
        .take(MAX_NAMED_RESOURCES)
        .collect();
    let given_up = operation.is_running() && operation.retry_count >= MAX_SYNC_RETRIES && !failed.is_empty();
    let has_failed = matches!(operation.phase.as_str(), "Failed" | "Error");
    if fails_as_before(operation, baseline) || (!given_up && !has_failed) {
        return None;
    }
    let cause = if failed.is_empty() { operation.message.clone() } else { failed.join("\n") };
    let problem = Problem::error(Code::SyncFailed, "Argo CD could not sync the commit.").cause(cause);
    Some(Failure::permanent(problem.help("Fix the manifests, or the permissions of Argo CD in the cluster.")))
}

/// The resources that a sync could not apply, and the one before the commit could.
fn new_sync_failures<'o>(
    operation: &'o OperationState,
    baseline: Option<&ApplicationBaseline>,
) -> impl Iterator<Item = &'o ResourceResult> {
    operation
        .failed_resources()
        .filter(move |one| !baseline.is_some_and(|before| before.had_sync_failure(one)))
}

/// Whether a sync fails, and only as the one before the commit did.
pub fn fails_as_before(operation: &OperationState, baseline: Option<&ApplicationBaseline>) -> bool {
    operation.failed_resources().next().is_some() && new_sync_failures(operation, baseline).next().is_none()
}

/// Why a workload that was synced is out of sync again and will not sync without an operation.
pub fn from_drift(key: &ResourceKey, resource: Option<&ResourceStatus>) -> Failure {
    let sentence = "The commit was synced, and then live resources were changed by another user or tool.";
    let state = resource.map_or("Missing", |one| one.status.as_str());
    let problem = Problem::error(Code::SyncFailed, sentence).cause(format!("{key} is {state}"));
    Failure::permanent(
        problem.help("Find out who changed or deleted them; `selfHeal` of the application restores them."),
    )
}

/// A workload that is given another image of the repository than the files have.
pub fn from_override(workload: &Workload, image: &ImageRef) -> Failure {
    let sentence =
        format!("The manifests that Argo CD renders from the commit do not have the image `{image}`.");
    let rendered = format!("{}: {}", workload.key, workload.target_images.join(", "));
    let problem = Problem::error(Code::SyncFailed, sentence).cause(rendered);
    Failure::permanent(problem.help(
        "Something wins over the files: `kustomize.images` or `helm.parameters` of the application, a file `.argocd-source-….yaml`, or `files` is not in the application's path.",
    ))
}

/// The broken pod that a StatefulSet keeps with an image that is not wanted any more.
pub fn find_stuck_pod(workload: &Workload, tree: &ApplicationTree) -> Option<Failure> {
    let is_outdated = |pod: &&ResourceNode| {
        pod.has_health("Degraded") && !pod.images.iter().any(|image| workload.live_images.contains(image))
    };
    let pods = if workload.key.kind == "StatefulSet" { tree.pods(&workload.key) } else { Vec::new() };
    pods.into_iter().find(is_outdated).map(|pod| from_stuck_pod(&workload.key, pod))
}

/// Kubernetes replaces a pod of a StatefulSet only once all are ready.
fn from_stuck_pod(key: &ResourceKey, pod: &ResourceNode) -> Failure {
    let sentence = format!(
        "{key} waits for its pod `{}`, which runs the failed image: Kubernetes does not replace a pod that never became ready.",
        pod.name
    );
    let message = pod.health.as_ref().map_or("", |health| health.message.as_str());
    let problem = Problem::error(Code::HealthCheckFailed, sentence).cause(message);
    Failure::permanent(problem.help(format!(
        "Delete the pod: `kubectl -n {} delete pod {}`. The StatefulSet then goes on with the image of the files.",
        pod.namespace, pod.name
    )))
}

/// Why Argo CD does not take the sync that this run asks for; `None` if that can change.
pub fn from_refused_sync(problem: &Problem) -> Option<Failure> {
    let reason = problem.cause.as_deref().unwrap_or_default();
    let (code, sentence, help) = match problem.code {
        Code::PermissionMissing if reason.contains("sync window") => (
            Code::SyncFailed,
            "A sync window denies the sync.",
            "Run the job again when the window is over, or allow manual syncs in it (`manualSync: true`).",
        ),
        Code::PermissionMissing => (
            Code::PermissionMissing,
            "The token may not sync the application.",
            "Grant the role `applications, sync` on the application.",
        ),
        _ => return None,
    };
    Some(Failure::permanent(Problem::error(code, sentence).cause(reason).help(help)))
}

/// The error of the application itself; `None` if there is none.
pub fn from_conditions(conditions: &[ApplicationCondition]) -> Option<Failure> {
    let wrong = conditions.iter().find(|condition| condition.is_error())?;
    let sentence = format!("Argo CD reports an error of the application: {}.", wrong.kind);
    let problem = Problem::error(Code::SyncFailed, sentence).cause(wrong.message.clone());
    Some(Failure::permanent(problem.help("Often the manifests cannot be rendered; check the message.")))
}

/// Why resources are not healthy with the new version.
pub fn from_resources(resources: &[&ResourceStatus]) -> Failure {
    let line = |resource: &&ResourceStatus| {
        format!("{}/{}: {}", resource.kind, resource.name, resource.health_message())
    };
    let lines: Vec<String> = resources.iter().take(MAX_NAMED_RESOURCES).map(line).collect();
    let named = resources.first().map_or_else(
        || "The application is degraded".to_owned(),
        |one| format!("{}/{} is {}", one.kind, one.name, one.health_status().to_lowercase()),
    );
    let problem = Problem::error(Code::HealthCheckFailed, format!("{named} with the new version."));
    let problem = if lines.is_empty() { problem } else { problem.cause(lines.join("\n")) };
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

/// What the kubelet's words about a pod mean, the first that fits: code, what the pod does, what to do.
const POD_RULES: &[(&[&str], Code, &str, &str)] = &[
    (
        &[
            "ErrImagePull",
            "ImagePullBackOff",
            "InvalidImageName",
            "pulling image",
            "pull image",
            "failed to pull",
        ],
        Code::ImagePullFailed,
        "cannot pull its image",
        "Check the image, and the pull secret of the cluster.",
    ),
    (
        &["CreateContainerConfigError", "secret \"", "configmap \"", "couldn't find key"],
        Code::ResourceSetupFailed,
        "lacks a secret or a config map",
        "Create what the message names, in the namespace of the pod.",
    ),
    (
        &["OOMKilled"],
        Code::OutOfMemory,
        "was killed because it exceeded its memory limit",
        "Raise its memory limit, or reduce its memory use.",
    ),
    (
        &["CrashLoopBackOff", "back-off", "restarting failed container", "exit code", "Error"],
        Code::ContainerExited,
        "exits on its own",
        "Check its last log lines.",
    ),
];

/// The meaning of the kubelet's message about a pod.
fn classify_pod_message(message: &str) -> (Code, &'static str, &'static str) {
    let rule = POD_RULES.iter().find(|(words, ..)| words.iter().any(|word| message.contains(word)));
    let other = (Code::HealthCheckFailed, "is degraded", "Check its events and logs.");
    rule.map_or(other, |(_, code, what, help)| (*code, *what, *help))
}

/// What decides about a failure of ours: degraded pods of the image, what made them, and the workloads; the most precise
/// first.
pub fn suspects<'t>(
    tree: &'t ApplicationTree,
    workloads: &[Workload],
    image: &ImageRef,
) -> Vec<&'t ResourceNode> {
    let mut found: Vec<&ResourceNode> = Vec::new();
    for workload in workloads {
        let family = tree.family(&workload.key);
        let is_ours = |node: &&&ResourceNode| {
            !node.has_health("Healthy")
                && (node.kind != "Pod" || node.images.iter().any(|live| is_live(live, image)))
        };
        found.extend(family.iter().rev().filter(is_ours).copied());
    }
    found.truncate(MAX_NAMED_RESOURCES);
    found
}

/// Adds the last warning events of a resource to the cause of a failure.
pub fn with_events(mut failure: Failure, events: &[KubernetesEvent]) -> Failure {
    let known = failure.problem.cause.clone().unwrap_or_default();
    let mut warnings: Vec<String> = events
        .iter()
        .rev()
        .filter(|event| event.kind == "Warning")
        .map(|event| format!("{}: {}", event.reason, event.message))
        .filter(|line| !known.contains(line.as_str()))
        .collect();
    warnings.dedup();
    warnings.truncate(MAX_NAMED_RESOURCES);
    if !warnings.is_empty() {
        let before = failure.problem.cause.take().map(|cause| format!("{cause}\n")).unwrap_or_default();
        failure.problem.cause = Some(format!("{before}{}", warnings.join("\n")));
    }
    failure
}
