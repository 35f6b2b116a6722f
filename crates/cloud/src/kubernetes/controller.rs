//! The controllers of workloads: revisions, pods, progress. Written from the controllers of Kubernetes 1.37: what they carry
//! over, they carry over here.

use serde_json::Value;

use super::KubernetesEvent;
use super::faults::quota_refusal;
use super::state::{Cluster, ClusterPod, ProgressingCondition, Revision, Workload, WorkloadKind};
use crate::argocd::pods::{PodFactory, random_suffix};
use crate::argocd::state::Pod;
use crate::ecs::images::{self, ImageLookup};
use crate::faults::{Fault, FaultState, FaultTarget, TaskOutcome};
use crate::world::World;

/// Seconds that a controller needs to see a change.
const OBSERVE_DELAY: f64 = 0.3;
/// Seconds that the status lags behind pods.
const STATUS_DELAY: f64 = 0.05;

/// Let everything happen that is due in a workload, and plan the next look at it.
pub fn reconcile(world: &mut World, cluster: usize, place: usize, now: f64) {
    if world.kubernetes.clusters[cluster].workloads[place].is_deleted {
        return;
    }
    let lacks_image = template_images(world.kubernetes.clusters[cluster].workloads[place].template())
        .iter()
        .any(|image| images::resolve_image(world, image) == ImageLookup::Missing);
    let full = full_quota(&world.kubernetes.clusters[cluster], place);
    let World { kubernetes, rng, faults, timings, events, .. } = world;
    let version = kubernetes.next_version();
    let work = &mut kubernetes.clusters[cluster].workloads[place];
    work.resource_version = version;
    work.pods.retain(|one| one.pod.ends_at.is_none_or(|at| at > now));
    if now >= work.changed_at + OBSERVE_DELAY - 1e-6 {
        let failure = create_failure(faults, work, now).or(full);
        let is_capacity_back = faults.is_capacity_back(now);
        let mut maker = PodFactory { rng, faults, timings };
        if is_capacity_back {
            schedule_waiting_pods(work, &mut maker, now);
        }
        work.observed_generation = work.generation;
        sync_workload(work, &mut maker, CreationLimits { failure, lacks_image }, now);
    }
    work.wake_number += 1;
    if let Some(at) = next_change(work, now) {
        events.schedule(at, KubernetesEvent::WorkloadDue { cluster, place, number: work.wake_number });
    }
}

/// The scheduler finds a node for pods that waited for one.
fn schedule_waiting_pods(work: &mut Workload, maker: &mut PodFactory<'_>, now: f64) {
    let waiting: Vec<usize> = (0..work.pods.len()).filter(|at| work.pods[*at].pod.is_unschedulable).collect();
    for at in waiting {
        let Some(mut scheduled) = new_pod(work, maker, now) else { return };
        let known = &work.pods[at].pod;
        (scheduled.name, scheduled.uid) = (known.name.clone(), known.uid.clone());
        (scheduled.created_at, scheduled.ends_at) = (known.created_at, known.ends_at);
        work.pods[at].pod = scheduled;
    }
}

/// The refusal of pods by a quota that is used up.
fn full_quota(cluster: &Cluster, place: usize) -> Option<String> {
    let setting = &cluster.workloads[place].setting;
    let limit = cluster.setting.pod_quota?;
    let own = cluster.workloads.iter().filter(|work| work.setting.namespace == setting.namespace);
    let used: usize = own.map(|work| work.pods.len()).sum();
    (used >= limit as usize).then(|| quota_refusal(&setting.name, used, limit))
}

/// What keeps pods of the current revision from being made or from starting.
struct CreationLimits {
    failure: Option<String>,
    lacks_image: bool,
}

fn sync_workload(work: &mut Workload, maker: &mut PodFactory<'_>, limits: CreationLimits, now: f64) {
    if work.is_paused() {
        if work.progressing.reason != "DeploymentPaused" {
            work.progressing = condition("Unknown", "DeploymentPaused", now);
        }
        return;
    }
    if work.progressing.reason == "DeploymentPaused" {
        work.progressing = condition("Unknown", "DeploymentResumed", now);
    }
    sync_revision(work, maker, now);
    // Only who tries to make a pod is refused.
    let needs_pods = work.active_counts().0 < work.replicas();
    if let Some(revision) = work.revisions.last_mut() {
        let failure = limits.failure.filter(|_| needs_pods);
        (revision.create_failure, revision.lacks_image) = (failure, limits.lacks_image);
    }
    match work.setting.kind {
        WorkloadKind::Deployment => {
            // The status is that of ReplicaSets as they were seen: it lags behind what is done here.
            record_progress(work, now);
            advance_deployment(work, maker, now);
        }
        WorkloadKind::StatefulSet => advance_stateful_set(work, maker, now),
        WorkloadKind::DaemonSet => advance_daemon_set(work, maker, now),
    }
}

/// The revision of the template: a new one, or one that had this template before, under the next number. Only a new one
/// changes the condition: what it said of the rollout before stays otherwise.
fn sync_revision(work: &mut Workload, maker: &mut PodFactory<'_>, now: f64) {
    let template = work.template().clone();
    if work.revisions.last().is_some_and(|revision| revision.template == template) {
        return;
    }
    let number = work.revisions.iter().map(|revision| revision.number).max().unwrap_or(0) + 1;
    let again = work.revisions.iter().position(|revision| revision.template == template);
    let revision = match again {
        Some(place) => {
            let mut known = work.revisions.remove(place);
            known.past_numbers.push(known.number);
            Revision { number, ..known }
        }
        None => {
            let hash = random_suffix(maker.rng) + &random_suffix(maker.rng);
            work.progressing = condition("True", "NewReplicaSetCreated", now);
            Revision {
                name: format!("{}-{hash}", work.setting.name),
                uid: maker.rng.uuid(),
                hash,
                number,
                past_numbers: Vec::new(),
                template,
                created_at: now,
                create_failure: None,
                lacks_image: false,
            }
        }
    };
    work.revisions.push(revision);
    if work.current_revision.is_empty() {
        work.current_revision = work.update_revision().to_owned();
    }
}

fn condition(status: &'static str, reason: &'static str, now: f64) -> ProgressingCondition {
    ProgressingCondition { status, reason, updated_at: now }
}

/// A rolling update, or all old pods first.
fn advance_deployment(work: &mut Workload, maker: &mut PodFactory<'_>, now: f64) {
    let wanted = work.replicas();
    let recreates = work.setting.strategy == "Recreate";
    let surge = if recreates { 0 } else { work.setting.max_surge as usize };
    let least = wanted.saturating_sub(work.setting.max_unavailable as usize);
    loop {
        let (new, old) = work.active_counts();
        if recreates && old > 0 {
            stop_pods(work, old, maker, now, |work, one| one.revision != work);
            return;
        }
        let has_old = work.pods.iter().any(|one| one.revision != work.update_revision());
        if recreates && has_old {
            return;
        }
        let room = (wanted + surge).saturating_sub(new + old);
        let more = create_pods(work, wanted.saturating_sub(new).min(room), maker, now);
        let less = scale_down_old(work, least, maker, now);
        if more + less == 0 {
            return;
        }
    }
}

/// Take pods of old revisions away, unready ones first, so that `least` stay available. How many were.
fn scale_down_old(work: &mut Workload, least: usize, maker: &mut PodFactory<'_>, now: f64) -> usize {
    let (new, old) = work.active_counts();
    let (new_ready, old_ready) = work.available_counts(now);
    let most = (new + old).saturating_sub(least + (new - new_ready));
    let unready = stop_pods(work, most, maker, now, |current, one| {
        one.revision != current && !one.pod.is_available(now)
    });
    let most = (new_ready + old_ready).saturating_sub(least);
    unready
        + stop_pods(work, most, maker, now, |current, one| {
            one.revision != current && one.pod.is_available(now)
        })
}

/// Terminates up to `most` pods that `which` chooses by the current revision, the newest first. Returns their number.
fn stop_pods(
    work: &mut Workload,
    most: usize,
    maker: &mut PodFactory<'_>,
    now: f64,
    which: impl Fn(&str, &ClusterPod) -> bool,
) -> usize {
    let current = work.update_revision().to_owned();
    let chosen = work.pods.iter_mut().rev().filter(|one| one.pod.is_active() && which(&current, one));
    chosen
        .take(most)
        .map(|one| one.pod.ends_at = Some(now + maker.rng.pick_seconds(maker.timings.stop)))
        .count()
}

/// Make `more` pods of the current revision; none while they cannot be made. Returns their number.
fn create_pods(work: &mut Workload, more: usize, maker: &mut PodFactory<'_>, now: f64) -> usize {
    if is_refused(work) {
        return 0;
    }
    (0..more).for_each(|_| create_pod(work, None, maker, now));
    more
}

fn create_pod(work: &mut Workload, ordinal: Option<u32>, maker: &mut PodFactory<'_>, now: f64) {
    let Some(mut pod) = new_pod(work, maker, now) else { return };
    if let Some(ordinal) = ordinal {
        pod.name = format!("{}-{ordinal}", work.setting.name);
    }
    let revision = work.update_revision().to_owned();
    work.pods.push(ClusterPod { pod, revision, ordinal });
}

/// A pod of the current revision.
fn new_pod(work: &Workload, maker: &mut PodFactory<'_>, now: f64) -> Option<Pod> {
    let revision = work.revisions.last()?;
    let images = template_images(&revision.template);
    let subject = FaultTarget {
        is_seed_version: revision.template == work.seed_template,
        service: &work.setting.name,
        images: images.iter().map(String::as_str).collect(),
    };
    let base =
        if work.setting.kind == WorkloadKind::Deployment { &revision.name } else { &work.setting.name };
    let mut pod = maker.create_pod(&subject, base, now);
    if revision.lacks_image {
        (pod.outcome, pod.ready_at) = (TaskOutcome::ImageNotFound, f64::INFINITY);
    }
    Some(pod)
}

/// The images of a template's containers, those that run before the others last.
pub fn template_images(template: &Value) -> Vec<String> {
    let spec = &template["spec"];
    let lists = ["containers", "initContainers"].map(|key| spec[key].as_array().cloned().unwrap_or_default());
    lists.concat().iter().filter_map(|one| one["image"].as_str().map(str::to_owned)).collect()
}

/// Whether the API server refuses pods of the current revision.
fn is_refused(work: &Workload) -> bool {
    work.revisions.last().is_none_or(|revision| revision.create_failure.is_some())
}

/// One pod after the other: a pod that is missing or not ready stops everything, also a rollback to a template that was well.
fn advance_stateful_set(work: &mut Workload, maker: &mut PodFactory<'_>, now: f64) {
    for ordinal in 0..work.replicas() as u32 {
        match work.pods.iter().find(|one| one.ordinal == Some(ordinal)) {
            None if is_refused(work) => return,
            None => return create_pod(work, Some(ordinal), maker, now),
            Some(one) if !one.pod.is_available(now) => return,
            Some(_) => {}
        }
    }
    let current = work.update_revision().to_owned();
    if work.setting.strategy == "OnDelete" {
        return;
    }
    for ordinal in (work.setting.partition..work.replicas() as u32).rev() {
        let old = work.pods.iter_mut().find(|one| one.ordinal == Some(ordinal) && one.revision != current);
        if let Some(one) = old {
            one.pod.ends_at = Some(now + maker.rng.pick_seconds(maker.timings.stop));
            return;
        }
    }
    work.current_revision = current;
}

/// A pod on each node, one replaced at a time; pods that are not available are replaced at once.
fn advance_daemon_set(work: &mut Workload, maker: &mut PodFactory<'_>, now: f64) {
    let nodes = work.replicas();
    stop_pods(work, nodes, maker, now, |current, one| one.revision != current && !one.pod.is_available(now));
    let (new_ready, old_ready) = work.available_counts(now);
    let budget = (work.setting.max_unavailable.max(1) as usize)
        .saturating_sub(nodes.saturating_sub(new_ready + old_ready));
    stop_pods(work, budget, maker, now, |current, one| one.revision != current);
    let missing = nodes.saturating_sub(work.pods.len());
    create_pods(work, missing, maker, now);
}

/// What the controller of Deployments writes of the progress (`syncRolloutStatus`): nothing while a complete rollout loses pods;
/// the deadline counts from the last progress, and not at all once the condition says that a rollout is complete.
fn record_progress(work: &mut Workload, now: f64) {
    let counts = progress_counts(work, now);
    let [new, available, old] = counts;
    let [updated_before, available_before, old_before] = std::mem::replace(&mut work.counted, counts);
    let (new_available, wanted) = (work.available_counts(now).0, work.replicas());
    let was_complete = work.progressing.reason == "NewReplicaSetAvailable";
    if old == 0 && was_complete {
        return;
    }
    if new == wanted && old == 0 && new_available == wanted {
        work.progressing = condition("True", "NewReplicaSetAvailable", now);
    } else if new > updated_before || available > available_before || old < old_before {
        work.progressing = condition("True", "ReplicaSetUpdated", now);
    } else if is_past_deadline(work, now) {
        work.progressing = condition("False", "ProgressDeadlineExceeded", now);
    }
}

/// Updated, available and old pods.
fn progress_counts(work: &Workload, now: f64) -> [usize; 3] {
    let (new, old) = work.active_counts();
    let (new_available, old_available) = work.available_counts(now);
    [new, new_available + old_available, old]
}

fn is_past_deadline(work: &Workload, now: f64) -> bool {
    let is_over = matches!(work.progressing.reason, "NewReplicaSetAvailable" | "ProgressDeadlineExceeded");
    !is_over && now >= work.progressing.updated_at + f64::from(work.setting.progress_deadline)
}

/// Why no pod of the current revision can be made now.
fn create_failure(faults: &FaultState, work: &Workload, now: f64) -> Option<String> {
    let is_seed = *work.template() == work.seed_template;
    let began = faults.first_change_at()?;
    faults.list.iter().find_map(|fault| match fault {
        Fault::KubernetesQuota(quota) => quota.refusal(&work.setting.name, is_seed, now - began),
        _ => None,
    })
}

fn next_change(work: &Workload, now: f64) -> Option<f64> {
    let mut times: Vec<f64> = work.pods.iter().filter_map(|one| one.pod.next_change(now)).collect();
    times.push(work.changed_at + OBSERVE_DELAY);
    if work.setting.kind == WorkloadKind::Deployment {
        times.push(work.progressing.updated_at + f64::from(work.setting.progress_deadline));
        times.extend((progress_counts(work, now) != work.counted).then_some(now + STATUS_DELAY));
    }
    let is_refused = work.revisions.last().is_some_and(|revision| revision.create_failure.is_some());
    if is_refused || work.pods.iter().any(|one| one.pod.is_unschedulable) {
        times.push(now + 5.0);
    }
    times.into_iter().filter(|at| *at > now + 1e-6).min_by(f64::total_cmp)
}
