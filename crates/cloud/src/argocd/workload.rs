//! What an application runs: a new template, and a Deployment's rolling update of it. Canaries are in `canary`.

use super::canary;
use super::pods::{PodFactory, random_suffix};
use super::state::{ArgoCdApp, Pod, ReplicaSet, Workload};
use crate::world::World;

/// Seconds that the controller of workloads needs to see a new template.
pub const OBSERVE_DELAY: f64 = 0.3;

/// Give the workload of an application these images. Nothing happens when it has them.
pub fn apply_images(world: &mut World, app: usize, images: &[String], now: f64) {
    let World { argocd, rng, .. } = world;
    let app = &mut argocd.apps[app];
    let work = &mut app.workload;
    work.is_missing = false;
    if work.replica_sets.last().is_some_and(|set| set.images == images) {
        return;
    }
    work.generation += 1;
    (work.template_changed_at, work.last_progress, work.max_available, work.is_complete) =
        (now, now, 0, false);
    let revision = work.replica_sets.iter().map(|set| set.revision).max().unwrap_or(0) + 1;
    // A replica set with the same template is used again, under a new revision.
    let again = work.replica_sets.iter().position(|set| set.images == images);
    let set = match again {
        Some(place) => ReplicaSet { revision, ..work.replica_sets.remove(place) },
        None => ReplicaSet {
            name: format!("{}-{}", app.spec.name, random_suffix(rng) + &random_suffix(rng)),
            uid: rng.uuid(),
            revision,
            images: images.to_vec(),
            created_at: now,
            pods: Vec::new(),
        },
    };
    work.replica_sets.push(set);
    canary::restart_steps(&app.spec, &mut app.workload, now);
}

/// Let everything happen that is due in the workload, and plan the next look at it.
pub fn reconcile(world: &mut World, place: usize, now: f64) {
    let World { argocd, rng, faults, timings, events, .. } = world;
    let app = &mut argocd.apps[place];
    app.workload
        .replica_sets
        .iter_mut()
        .for_each(|set| set.pods.retain(|pod| pod.ends_at.is_none_or(|at| at > now)));
    let stable = app.workload.canary.stable_set.clone();
    let empty = |set: &ReplicaSet| set.pods.is_empty() && set.name != stable;
    // Kubernetes keeps ten empty replica sets; two are enough to show.
    while app.workload.replica_sets.iter().rev().skip(1).filter(|set| empty(set)).count() > 2 {
        let oldest = app.workload.replica_sets.iter().position(empty);
        oldest.map(|place| app.workload.replica_sets.remove(place));
    }
    let mut maker = PodFactory { rng, faults, timings };
    if !app.workload.is_missing && !app.workload.is_paused && !app.workload.replica_sets.is_empty() {
        match app.spec.workload.as_str() {
            "Rollout" => canary::advance_steps(app, &mut maker, now),
            "StatefulSet" => advance_ordered_update(app, &mut maker, now),
            _ => advance_rolling_update(app, &mut maker, now),
        }
        record_progress(&mut app.workload, app.spec.pod_count(), now);
    }
    app.wake_number += 1;
    if let Some(at) = next_change(app, now) {
        events.schedule(at, super::ArgoCdEvent::WorkloadDue { app: place, number: app.wake_number });
    }
}

/// A rolling update with a quarter more and a quarter less.
fn advance_rolling_update(app: &mut ArgoCdApp, maker: &mut PodFactory<'_>, now: f64) {
    let wanted = app.spec.pod_count();
    let surge = wanted.div_ceil(4);
    // Without a surge there would have to be one less, but there is one for every size.
    let least = wanted - wanted / 4;
    loop {
        let total: usize = app.workload.replica_sets.iter().map(ReplicaSet::active_count).sum();
        let Some(new) = app.workload.replica_sets.last() else { return };
        let more = (wanted.saturating_sub(new.active_count())).min((wanted + surge).saturating_sub(total));
        create_pods(app, more, maker, now);
        let less = scale_down_old(&mut app.workload, least, maker, now);
        if more + less == 0 {
            return;
        }
        app.workload.last_progress = now;
    }
}

/// Pods are replaced one at a time, from the last one, each once all are ready: a pod that never becomes ready is kept,
/// whatever the template says by then.
fn advance_ordered_update(app: &mut ArgoCdApp, maker: &mut PodFactory<'_>, now: f64) {
    let ready = |set: &ReplicaSet| set.pods.iter().all(|pod| pod.is_available(now));
    if !app.workload.replica_sets.iter().all(ready) {
        return;
    }
    let count: usize = app.workload.replica_sets.iter().map(ReplicaSet::active_count).sum();
    let Some((_, old)) = app.workload.replica_sets.split_last_mut() else { return };
    let outdated = old.iter_mut().find(|set| !set.pods.is_empty()).and_then(|set| set.pods.pop());
    let ordinal = outdated.and_then(|pod| pod.name.rsplit_once('-')?.1.parse().ok()).unwrap_or(count);
    if ordinal < app.spec.pod_count() {
        create_pods(app, 1, maker, now);
        let name = format!("{}-{ordinal}", app.spec.name);
        let newest = app.workload.replica_sets.last_mut().and_then(|set| set.pods.last_mut());
        newest.into_iter().for_each(|pod| pod.name.clone_from(&name));
        app.workload.last_progress = now;
    }
}

/// Take pods of old replica sets away, unready ones first, so that `least` stay available. How many were.
fn scale_down_old(work: &mut Workload, least: usize, maker: &mut PodFactory<'_>, now: f64) -> usize {
    let total: usize = work.replica_sets.iter().map(ReplicaSet::active_count).sum();
    let available: usize = work.replica_sets.iter().map(|set| set.available_count(now)).sum();
    let Some((new, old)) = work.replica_sets.split_last_mut() else { return 0 };
    let unready = new.active_count() - new.available_count(now);
    let mut most = total.saturating_sub(least + unready);
    let mut gone = 0;
    for set in old.iter_mut() {
        let taken = set.stop_pods(most, maker, now, |pod| !pod.is_available(now));
        (most, gone) = (most - taken, gone + taken);
    }
    let mut most = available.saturating_sub(least);
    for set in old.iter_mut() {
        let taken = set.stop_pods(most, maker, now, |pod| pod.is_available(now));
        (most, gone) = (most - taken, gone + taken);
    }
    gone
}

/// Make `more` pods of the current template.
pub fn create_pods(app: &mut ArgoCdApp, more: usize, maker: &mut PodFactory<'_>, now: f64) {
    let Some(set) = app.workload.replica_sets.last() else { return };
    let (name, images) = (set.name.clone(), set.images.clone());
    let mut pods: Vec<Pod> =
        (0..more).map(|_| maker.create_pod(&app.fault_target(&images), &name, now)).collect();
    if app.spec.workload == "StatefulSet" {
        let named = pods.iter_mut().enumerate();
        named.for_each(|(ordinal, pod)| pod.name = format!("{}-{ordinal}", app.spec.name));
    }
    app.workload.replica_sets.last_mut().into_iter().for_each(|set| set.pods.extend(pods.iter().cloned()));
}

/// Whether the rollout got on, and whether it has ended.
fn record_progress(work: &mut Workload, wanted: usize, now: f64) {
    let Some((new, old)) = work.replica_sets.split_last() else { return };
    let available = new.available_count(now);
    if available > work.max_available {
        (work.max_available, work.last_progress) = (available, now);
    }
    let alone = old.iter().all(|set| set.active_count() == 0);
    work.is_complete |= alone && available >= wanted && work.canary.aborted.is_none();
}

fn next_change(app: &ArgoCdApp, now: f64) -> Option<f64> {
    let pods = app.workload.replica_sets.iter().flat_map(|set| &set.pods);
    let mut times: Vec<f64> = pods.filter_map(|pod| pod.next_change(now)).collect();
    times.push(app.workload.template_changed_at + OBSERVE_DELAY);
    if !app.workload.is_complete {
        times.push(app.workload.last_progress + app.spec.progress_deadline);
    }
    times.extend(canary::next_times(app));
    times.into_iter().filter(|at| *at > now).min_by(f64::total_cmp)
}

impl ReplicaSet {
    /// Pods that are not terminating.
    pub fn active_count(&self) -> usize {
        self.pods.iter().filter(|pod| pod.is_active()).count()
    }

    /// Pods that are ready.
    pub fn available_count(&self, now: f64) -> usize {
        self.pods.iter().filter(|pod| pod.is_available(now)).count()
    }

    /// Terminates up to `most` pods, the newest first. Returns their number.
    pub fn stop_pods(
        &mut self,
        most: usize,
        maker: &mut PodFactory<'_>,
        now: f64,
        which: impl Fn(&Pod) -> bool,
    ) -> usize {
        let chosen = self.pods.iter_mut().rev().filter(|pod| pod.is_active() && which(pod)).take(most);
        chosen.map(|pod| pod.ends_at = Some(now + maker.rng.pick_seconds(maker.timings.stop))).count()
    }
}
