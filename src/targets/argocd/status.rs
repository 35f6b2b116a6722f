//! The rollout status from one reading of an application: the decision table. Pure. The verdict is about the workloads that
//! run our image, compared with what was true before; state from before our commit is never taken for ours.

use std::time::Duration;

use super::baseline::{self, ApplicationBaseline};
use super::causes;
use super::live_image::{is_live, is_of_repository, live_digest};
use super::managed::{ResourceKey, Workload};
use super::read::{Application, HealthStatus, OperationState, ResourceStatus};
use super::resource_tree::{ApplicationTree, ResourceNode};
use crate::problem::{Code, Problem};
use crate::release::{Failure, Handoff, ImageRef, Progress, Proof, RolloutStatus, Version};

/// Grace period for a state that may be from before our commit.
const STALE_STATE_GRACE: Duration = Duration::from_secs(60);
/// Grace period for a pod failure that may be transient.
const POD_FAILURE_GRACE: Duration = Duration::from_secs(10);

/// The expected version.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'w> {
    /// The version.
    pub version: &'w Version,
    /// Its image as written in the files.
    pub image: &'w ImageRef,
}

/// The resources of an application at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationDetails {
    /// The workloads with an image of our repository.
    pub workloads: Vec<Workload>,
    /// Everything that the application owns.
    pub tree: ApplicationTree,
    /// The sync window that denies syncs, as text.
    pub denied_by: Option<String>,
}

/// One reading, with durations from earlier ones.
#[derive(Debug, Clone, Copy)]
pub struct StatusSnapshot<'l> {
    /// The application.
    pub application: &'l Application,
    /// The index of our source.
    pub source: usize,
    /// The state before our commit.
    pub baseline: Option<&'l ApplicationBaseline>,
    /// Its resources; `None` before they were read.
    pub details: Option<&'l ApplicationDetails>,
    /// Whether the compared commit contains ours.
    pub compared_with_ours: bool,
    /// Whether the commit of its last sync contains ours.
    pub synced_to_ours: bool,
    /// How long Argo CD has had our commit, synced or live.
    pub synced_for: Duration,
    /// How long pods of our image have been failing, and the worst failure.
    pub pod_failure: Option<(Duration, &'l Failure)>,
    /// How long the application itself has had an error.
    pub condition_error_for: Option<Duration>,
    /// How long it has been out of sync after a sync that succeeded.
    pub out_of_sync_for: Option<Duration>,
    /// The progress of an Argo Rollouts rollout, as text.
    pub rollout_text: Option<&'l str>,
}

/// The status of the rollout.
pub fn rollout_status(want: Expected<'_>, snapshot: &StatusSnapshot<'_>) -> RolloutStatus {
    if let Some(failure) = ended_sync(snapshot) {
        return untouched_status(want, snapshot).unwrap_or(RolloutStatus::Failed(failure));
    }
    if !snapshot.compared_with_ours {
        return progressing_status(waiting_text(snapshot));
    }
    let Some(details) = snapshot.details else {
        return RolloutStatus::Unknown("Argo CD does not list the resources of the application".into());
    };
    let released = released_workloads(want, snapshot, details);
    if released.is_empty() {
        return unnamed_status(want, snapshot, details);
    }
    let is_elsewhere = |workload: &&&Workload| live_image(want, snapshot, workload).is_none();
    if let Some(astray) = released.iter().find(is_elsewhere) {
        return unsynced_status(snapshot, details, &astray.key);
    }
    if snapshot.application.status.operation_state.as_ref().is_some_and(|last| is_open(snapshot, last)) {
        return progressing_status("the sync is in progress".into());
    }
    if is_uncompared(snapshot, &released) {
        return progressing_status("the image is live, and Argo CD has not compared it yet".into());
    }
    let open = released.iter().find_map(|workload| workload_status(want, snapshot, details, workload));
    let keys: Vec<&ResourceKey> = released.iter().map(|workload| &workload.key).collect();
    open.or_else(|| others_status(snapshot, &keys))
        .unwrap_or_else(|| proven_status(want, snapshot, &released, &keys))
}

/// Why nothing more can come of the sync: it failed, or Argo CD cannot work on the application.
fn ended_sync(snapshot: &StatusSnapshot<'_>) -> Option<Failure> {
    let status = &snapshot.application.status;
    let operation = status.operation_state.as_ref().filter(|_| snapshot.synced_to_ours);
    if let Some(failure) = operation.and_then(|last| causes::from_sync(last, snapshot.baseline)) {
        return Some(failure);
    }
    let lasting = snapshot.condition_error_for.is_some_and(|since| since >= STALE_STATE_GRACE);
    let counts = lasting && !(snapshot.compared_with_ours && has_known_conditions(snapshot));
    causes::from_conditions(&status.conditions).filter(|_| counts)
}

/// A rollback whose commit Argo CD cannot read, and need not: it never synced the commit that is undone, and what runs is what
/// ran before. `None` if that is not so.
fn untouched_status(want: Expected<'_>, snapshot: &StatusSnapshot<'_>) -> Option<RolloutStatus> {
    let details = snapshot.details.filter(|_| !snapshot.synced_to_ours)?;
    let returned = |workload: &&Workload| returned_images(snapshot, &workload.key).is_some();
    let released: Vec<&Workload> = details.workloads.iter().filter(returned).collect();
    let runs_as_before = |workload: &&Workload| {
        returned_images(snapshot, &workload.key) == Some(workload.live_images.as_slice())
            && workload_status(want, snapshot, details, workload).is_none()
    };
    if released.is_empty() || !released.iter().all(runs_as_before) {
        return None;
    }
    let keys: Vec<&ResourceKey> = released.iter().map(|workload| &workload.key).collect();
    Some(proven_status(want, snapshot, &released, &keys))
}

/// Whether all errors of the application itself are from before, and did not keep it from our commit.
fn has_known_conditions(snapshot: &StatusSnapshot<'_>) -> bool {
    let errors = snapshot.application.status.conditions.iter().filter(|one| one.is_error());
    let mut errors = errors.map(|one| one.kind.as_str());
    snapshot.baseline.is_none_or(|before| errors.all(|kind| before.had_condition(kind)))
}

fn waiting_text(snapshot: &StatusSnapshot<'_>) -> String {
    let revision = short_revision(snapshot);
    match snapshot.application.status.conditions.iter().find(|one| one.is_error()) {
        Some(wrong) => format!("Argo CD cannot read the commit: {}: {}", wrong.kind, wrong.message),
        None => format!("waiting for Argo CD to read the commit; it is at {revision}"),
    }
}

/// Whether a sync still has something to do for us. What fails in it as it did before is not waited for.
fn is_open(snapshot: &StatusSnapshot<'_>, operation: &OperationState) -> bool {
    operation.is_running() && !causes::fails_as_before(operation, snapshot.baseline)
}

/// Whether the health may be from before the image: the application is read before its resources, and a workload that is
/// not synced was compared before the sync, or differs for good.
fn is_uncompared(snapshot: &StatusSnapshot<'_>, released: &[&Workload]) -> bool {
    let is_synced = |workload: &&Workload| {
        resource_of(snapshot, &workload.key).is_none_or(|resource| resource.status == "Synced")
    };
    !released.iter().all(is_synced) && snapshot.synced_for < POD_FAILURE_GRACE
}

/// The workloads that the release is about: those that Git gives the image, or in a rollback those that ran it.
fn released_workloads<'d>(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    details: &'d ApplicationDetails,
) -> Vec<&'d Workload> {
    let before = |workload: &&Workload| {
        returned_images(snapshot, &workload.key).is_some() || workload.renders(want.image)
    };
    details.workloads.iter().filter(before).collect()
}

/// The images that a workload returns to in a rollback.
fn returned_images<'l>(snapshot: &StatusSnapshot<'l>, key: &ResourceKey) -> Option<&'l [String]> {
    snapshot.baseline.filter(|before| before.returns)?.images_of(key)
}

/// The live image that proves the version.
fn live_image(want: Expected<'_>, snapshot: &StatusSnapshot<'_>, workload: &Workload) -> Option<String> {
    let wanted = workload.live_image(want.image).map(str::to_owned);
    let Some(returned) = returned_images(snapshot, &workload.key) else { return wanted };
    // What the files had may name no version: then what ran is what is returned to.
    let is_named = want.image.tag.is_some() || want.image.digest.is_some();
    let of_before = returned.iter().find(|image| is_of_repository(image, want.image)).or(returned.first());
    match workload.live_images == returned {
        true => wanted.or_else(|| of_before.cloned()),
        false => wanted.filter(|_| is_named),
    }
}

/// A workload that does not have the image yet.
fn unsynced_status(
    snapshot: &StatusSnapshot<'_>,
    details: &ApplicationDetails,
    key: &ResourceKey,
) -> RolloutStatus {
    let status = &snapshot.application.status;
    let resource = resource_of(snapshot, key);
    let is_astray = resource.is_none_or(|one| one.status != "Synced") || status.sync.status != "Synced";
    if is_astray && snapshot.out_of_sync_for.is_some_and(|since| since >= STALE_STATE_GRACE) {
        return RolloutStatus::Failed(causes::from_drift(key, resource));
    }
    let operation = status.operation_state.as_ref();
    progressing_status(sync_text(&status.sync.status, operation, details.denied_by.as_deref()))
}

fn resource_of<'l>(snapshot: &StatusSnapshot<'l>, key: &ResourceKey) -> Option<&'l ResourceStatus> {
    snapshot.application.status.resources.iter().find(|resource| resource.key() == *key)
}

/// No workload is given the image by Git: an override, pods that something else makes, or nothing to see.
fn unnamed_status(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    details: &ApplicationDetails,
) -> RolloutStatus {
    let ours = |node: &&ResourceNode| {
        node.kind == "Pod" && node.images.iter().any(|image| is_live(image, want.image))
    };
    let pods: Vec<&ResourceNode> = details.tree.nodes.iter().filter(ours).collect();
    let is_late = snapshot.synced_for >= STALE_STATE_GRACE;
    if let Some(pod) = pods.first() {
        return match pods.iter().all(|pod| pod.has_health("Healthy")) {
            true => pod_proof(want, snapshot, pod),
            false => unhealthy_status(snapshot, "progressing"),
        };
    }
    match details.workloads.first() {
        Some(other) if is_late => RolloutStatus::Failed(causes::from_override(other, want.image)),
        Some(_) => progressing_status("the manifests that Argo CD renders do not have the image".into()),
        None if is_late => RolloutStatus::HandedOff(Handoff {
            version: want.version.clone(),
            digest: want.image.digest.clone(),
            evidence: format!(
                "Argo CD has the commit ({}), and no resource of the application names the image, so nothing was proven",
                short_revision(snapshot)
            ),
            needs_merge: false,
        }),
        None => progressing_status("no resource of the application names the new image".into()),
    }
}

fn pod_proof(want: Expected<'_>, snapshot: &StatusSnapshot<'_>, pod: &ResourceNode) -> RolloutStatus {
    let image = pod.images.iter().find(|image| is_live(image, want.image));
    RolloutStatus::Healthy(Proof {
        version: want.version.clone(),
        digest: image.and_then(|image| live_digest(image)),
        evidence: format!(
            "application at {}, pod {} Healthy, live: {}",
            short_revision(snapshot),
            pod.name,
            image.map_or("", String::as_str)
        ),
        remarks: baseline::remarks(snapshot.application, snapshot.baseline, &[]),
    })
}

/// The status of a workload that has the image; `None` if nothing is missing.
fn workload_status(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    details: &ApplicationDetails,
    workload: &Workload,
) -> Option<RolloutStatus> {
    let resource = resource_of(snapshot, &workload.key);
    let before = snapshot.baseline.map_or("Healthy", |state| state.health_of(&workload.key));
    let returns = snapshot.baseline.is_some_and(|state| state.returns);
    match resource.map_or("", ResourceStatus::health_status) {
        "Healthy" | "" => outdated_pods(want, snapshot, details, workload),
        // What was broken before is not better for having returned to it, and no worse either.
        status if returns && status == before => None,
        "Degraded" if is_since_our_sync(snapshot) => {
            Some(RolloutStatus::Failed(degraded_failure(snapshot, resource)))
        }
        "Suspended" if workload.is_idle => None,
        "Unknown" if before == "Unknown" => None,
        "Unknown" => {
            Some(RolloutStatus::Unknown(format!("Argo CD does not know the health of {}", workload.key)))
        }
        other => {
            Some(stuck_pod(snapshot, details, workload).unwrap_or_else(|| unhealthy_status(snapshot, other)))
        }
    }
}

/// Pods of a healthy workload that run another image: they are replaced by hand only. Jobs that ran before are no matter.
fn outdated_pods(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    details: &ApplicationDetails,
    workload: &Workload,
) -> Option<RolloutStatus> {
    let proof = live_image(want, snapshot, workload)?;
    let pods = if workload.key.is_batch() { Vec::new() } else { details.tree.pods(&workload.key) };
    let runs =
        |pod: &&ResourceNode| pod.images.iter().any(|image| is_live(image, want.image) || *image == proof);
    let is_outdated = !pods.is_empty() && !pods.iter().any(runs);
    is_outdated.then(|| {
        progressing_status(format!("{} has the image, and none of its pods runs it yet", workload.key))
    })
}

/// The pod that a StatefulSet keeps although its image is not wanted any more.
fn stuck_pod(
    snapshot: &StatusSnapshot<'_>,
    details: &ApplicationDetails,
    workload: &Workload,
) -> Option<RolloutStatus> {
    let is_late = snapshot.synced_for >= STALE_STATE_GRACE;
    causes::find_stuck_pod(workload, &details.tree).filter(|_| is_late).map(RolloutStatus::Failed)
}

fn unhealthy_status(snapshot: &StatusSnapshot<'_>, health: &str) -> RolloutStatus {
    match snapshot.pod_failure.filter(|(since, _)| *since >= POD_FAILURE_GRACE) {
        Some((_, failure)) => RolloutStatus::Failed(failure.clone()),
        None => {
            progressing_status(snapshot.rollout_text.map_or_else(|| health.to_lowercase(), str::to_owned))
        }
    }
}

/// What became worse beside our workloads: it is waited for, and then it is a failure. Without a state before, nothing is.
fn others_status(snapshot: &StatusSnapshot<'_>, ours: &[&ResourceKey]) -> Option<RolloutStatus> {
    let before = snapshot.baseline?;
    let is_worse = |resource: &&ResourceStatus| {
        let key = resource.key();
        let counts = matches!(resource.health_status(), "Progressing" | "Missing" | "Degraded" | "Unknown");
        counts && !ours.contains(&&key) && !before.is_no_worse(&key, resource.health_status())
    };
    let worse: Vec<&ResourceStatus> = snapshot.application.status.resources.iter().filter(is_worse).collect();
    let failed: Vec<&ResourceStatus> =
        worse.iter().copied().filter(|one| one.health_status() != "Progressing").collect();
    let first = worse.first()?;
    if !failed.is_empty() && snapshot.synced_for >= STALE_STATE_GRACE {
        return Some(RolloutStatus::Failed(causes::from_resources(&failed)));
    }
    Some(progressing_status(format!("{} is {}", first.key(), first.health_status().to_lowercase())))
}

fn proven_status(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    released: &[&Workload],
    keys: &[&ResourceKey],
) -> RolloutStatus {
    let lines = released.iter().filter_map(|workload| {
        let health = resource_of(snapshot, &workload.key).map_or("", ResourceStatus::health_status);
        let state = match (health, workload.is_idle) {
            (_, true) => "nothing of it should run",
            ("", false) => "in the cluster",
            (health, false) => health,
        };
        Some(format!("{} {state}, live: {}", workload.key, live_image(want, snapshot, workload)?))
    });
    let revision = short_revision(snapshot);
    let sync = &snapshot.application.status.sync.status;
    let evidence = format!("application {sync} at {revision}, {}", lines.collect::<Vec<_>>().join("; "));
    let images = || released.iter().filter_map(|workload| live_image(want, snapshot, workload));
    let mut remarks = baseline::remarks(snapshot.application, snapshot.baseline, keys);
    remarks.extend(released.iter().filter_map(|workload| broken_again(snapshot, workload)));
    RolloutStatus::Healthy(Proof {
        version: want.version.clone(),
        digest: images().find_map(|image| live_digest(&image)),
        evidence,
        remarks,
    })
}

/// A workload of ours that is as unwell as before.
fn broken_again(snapshot: &StatusSnapshot<'_>, workload: &Workload) -> Option<Problem> {
    let resource = resource_of(snapshot, &workload.key)?;
    let health = resource.health_status();
    let is_well = matches!(health, "Healthy" | "" | "Suspended");
    (!is_well).then(|| {
        let sentence = format!("{} is {health}, as it was before this release.", workload.key);
        Problem::warning(Code::ApplicationNotHealthy, sentence).cause(resource.health_message())
    })
}

/// Whether the health is from after our sync: it changed since, or has not changed for long.
fn is_since_our_sync(snapshot: &StatusSnapshot<'_>) -> bool {
    let status = &snapshot.application.status;
    let HealthStatus { last_transition_time: since, .. } = status.health;
    let operation = status.operation_state.as_ref().filter(|_| snapshot.synced_to_ours);
    let began = operation.and_then(|operation| operation.started_at);
    since.zip(began).is_some_and(|(since, began)| since >= began) || snapshot.synced_for >= STALE_STATE_GRACE
}

fn degraded_failure(snapshot: &StatusSnapshot<'_>, resource: Option<&ResourceStatus>) -> Failure {
    match snapshot.pod_failure {
        Some((_, failure)) => failure.clone(),
        None => causes::from_resources(&resource.into_iter().collect::<Vec<_>>()),
    }
}

fn sync_text(status: &str, operation: Option<&OperationState>, denied_by: Option<&str>) -> String {
    match operation.filter(|operation| operation.is_running()) {
        Some(running) if running.message.is_empty() => "syncing".into(),
        Some(running) => format!("syncing: {}", running.message),
        None if status == "Synced" => "synced, and the new image is not live yet".into(),
        None if status != "OutOfSync" => format!("sync status: {status}"),
        None => match denied_by {
            Some(window) => format!("Argo CD has read the commit, and {window} denies the sync"),
            None => "Argo CD has read the commit and not synced it yet".into(),
        },
    }
}

fn short_revision(snapshot: &StatusSnapshot<'_>) -> String {
    let revision = snapshot.application.revision(snapshot.source).unwrap_or("no commit");
    revision.get(..7).filter(|_| revision.len() >= 40).unwrap_or(revision).to_owned()
}

fn progressing_status(stage: String) -> RolloutStatus {
    RolloutStatus::Progressing(Progress { stage, ..Progress::default() })
}
