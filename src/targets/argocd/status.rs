//! The rollout status from one reading of an application: the decision table. Pure. State from before our commit is
//! never taken for ours, neither success nor failure.

use std::time::Duration;

use super::causes;
use super::read::{Application, OperationState, ResourceStatus};
use crate::problem::{Code, Problem};
use crate::release::{Digest, Failure, ImageRef, Progress, Proof, RolloutStatus, Version};

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

/// One reading, with durations from earlier ones.
#[derive(Debug, Clone, Copy)]
pub struct StatusSnapshot<'l> {
    /// The application.
    pub application: &'l Application,
    /// The index of our repository in its sources.
    pub source: usize,
    /// Whether the compared commit contains ours.
    pub compared_with_ours: bool,
    /// Whether the commit of its last sync contains ours.
    pub synced_to_ours: bool,
    /// How long it has been synced at a commit that contains ours.
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
    let status = &snapshot.application.status;
    let operation = status.operation_state.as_ref();
    if let Some(failure) = operation.filter(|_| snapshot.synced_to_ours).and_then(causes::from_sync) {
        return RolloutStatus::Failed(failure);
    }
    if let Some(failure) = snapshot
        .condition_error_for
        .filter(|since| *since >= STALE_STATE_GRACE)
        .and_then(|_| causes::from_conditions(&status.conditions))
    {
        return RolloutStatus::Failed(failure);
    }
    if !snapshot.compared_with_ours {
        return progressing_status(format!(
            "waiting for Argo CD to read the commit; it is at {}",
            short_revision(snapshot)
        ));
    }
    if status.sync.status != "Synced" {
        if snapshot.out_of_sync_for.is_some_and(|since| since >= STALE_STATE_GRACE) {
            return RolloutStatus::Failed(causes::from_drift(&status.resources));
        }
        return progressing_status(sync_text(&status.sync.status, operation));
    }
    synced_status(want, snapshot, operation)
}

/// The status of an application that is synced to our commit.
fn synced_status(
    want: Expected<'_>,
    snapshot: &StatusSnapshot<'_>,
    operation: Option<&OperationState>,
) -> RolloutStatus {
    let status = &snapshot.application.status;
    match status.health.status.as_str() {
        "Degraded" if is_since_our_sync(snapshot, operation) => {
            RolloutStatus::Failed(degraded_failure(snapshot))
        }
        "Healthy" if operation.is_some_and(OperationState::is_running) => {
            progressing_status("the sync is in progress".into())
        }
        "Healthy" => healthy_status(want, snapshot),
        "" | "Unknown" => RolloutStatus::Unknown("Argo CD reports no health of the application".into()),
        other => match snapshot.pod_failure.filter(|(since, _)| *since >= POD_FAILURE_GRACE) {
            Some((_, failure)) => RolloutStatus::Failed(failure.clone()),
            None => {
                progressing_status(snapshot.rollout_text.map_or_else(|| other.to_lowercase(), str::to_owned))
            }
        },
    }
}

/// Whether the health is from after our sync: it changed since, or has not changed for long.
fn is_since_our_sync(snapshot: &StatusSnapshot<'_>, operation: Option<&OperationState>) -> bool {
    let since = snapshot.application.status.health.last_transition_time;
    let began = operation.filter(|_| snapshot.synced_to_ours).and_then(|operation| operation.started_at);
    since.zip(began).is_some_and(|(since, began)| since >= began) || snapshot.synced_for >= STALE_STATE_GRACE
}

fn degraded_failure(snapshot: &StatusSnapshot<'_>) -> Failure {
    let bad = |resource: &&ResourceStatus| {
        resource.health.as_ref().is_some_and(|health| health.status == "Degraded")
    };
    let resources: Vec<&ResourceStatus> = snapshot.application.status.resources.iter().filter(bad).collect();
    match snapshot.pod_failure {
        Some((_, failure)) => failure.clone(),
        None => causes::from_resources(&resources, &snapshot.application.status.health.message),
    }
}

fn healthy_status(want: Expected<'_>, snapshot: &StatusSnapshot<'_>) -> RolloutStatus {
    let images = &snapshot.application.status.summary.images;
    let live = images.iter().find(|image| is_live(image, want.image));
    let revision = short_revision(snapshot);
    match live {
        Some(live) => RolloutStatus::Healthy(Proof {
            version: want.version.clone(),
            digest: live_digest(live),
            evidence: format!("application Synced at {revision} and Healthy, live: {live}"),
            remarks: Vec::new(),
        }),
        // An application without pods has no images to show.
        None if images.is_empty() && snapshot.synced_for >= STALE_STATE_GRACE => {
            RolloutStatus::Healthy(Proof {
                version: want.version.clone(),
                digest: None,
                evidence: format!("application Synced at {revision} and Healthy; it lists no live image"),
                remarks: Vec::new(),
            })
        }
        None => progressing_status("synced and healthy, but the new image is not live yet".into()),
    }
}

/// Whether a live image is the requested one: by digest if both have one, else by tag.
pub fn is_live(live: &str, wanted: &ImageRef) -> bool {
    let Ok(live) = live.parse::<ImageRef>() else { return false };
    let same = match (&live.digest, &wanted.digest) {
        (Some(live), Some(wanted)) => live == wanted,
        _ => live.tag == wanted.tag,
    };
    same && live.repository == wanted.repository
        && (live.registry == wanted.registry || wanted.registry.is_empty())
}

fn live_digest(live: &str) -> Option<Digest> {
    live.parse::<ImageRef>().ok()?.digest
}

fn sync_text(status: &str, operation: Option<&OperationState>) -> String {
    match operation.filter(|operation| operation.is_running()) {
        Some(running) if running.message.is_empty() => "syncing".into(),
        Some(running) => format!("syncing: {}", running.message),
        None if status == "OutOfSync" => "Argo CD has read the commit and not synced it yet".into(),
        None => format!("sync status: {status}"),
    }
}

fn short_revision(snapshot: &StatusSnapshot<'_>) -> String {
    let revision = snapshot.application.revision(snapshot.source).unwrap_or("no commit");
    revision.get(..7).filter(|_| revision.len() == 40).unwrap_or(revision).to_owned()
}

fn progressing_status(stage: String) -> RolloutStatus {
    RolloutStatus::Progressing(Progress { stage, ..Progress::default() })
}

/// An application without our repository as a source will never roll out our commit.
pub fn ignores_repository(application: &str, repository: &str) -> Problem {
    let sentence = format!("The application `{application}` has no source in `{repository}`.");
    Problem::error(Code::ServiceMissing, sentence)
        .help("Check `application` and `repository`: its `repoURL` must be the repository of the files.")
}
