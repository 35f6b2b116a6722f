//! What an application runs: a new template, and a Deployment's rolling update of it. Canaries are next door.

use super::canary;
use super::pods::{Maker, suffix};
use super::state::{App, Pod, ReplicaSet, Workload};
use crate::rehearsal::agenda::Event;
use crate::rehearsal::world::World;

/// Seconds that the controller of workloads needs to see a new template.
pub const OBSERVE: f64 = 0.3;

/// Give the workload of an application these images. Nothing happens when it has them.
pub fn apply(world: &mut World, app: usize, images: &[String], now: f64) {
    let World { argocd, chance, .. } = world;
    let app = &mut argocd.apps[app];
    let work = &mut app.workload;
    work.missing = false;
    if work.sets.last().is_some_and(|set| set.images == images) {
        return;
    }
    work.generation += 1;
    (work.applied, work.progressed, work.reached, work.complete) = (now, now, 0, false);
    let revision = work.sets.iter().map(|set| set.revision).max().unwrap_or(0) + 1;
    // A replica set whose template comes back is taken again, under a new revision.
    let again = work.sets.iter().position(|set| set.images == images);
    let set = match again {
        Some(place) => ReplicaSet { revision, ..work.sets.remove(place) },
        None => ReplicaSet {
            name: format!("{}-{}", app.setting.name, suffix(chance) + &suffix(chance)),
            uid: chance.uuid(),
            revision,
            images: images.to_vec(),
            created: now,
            pods: Vec::new(),
        },
    };
    work.sets.push(set);
    canary::restart(&app.setting, &mut app.workload, now);
}

/// Let everything happen that is due in the workload, and plan the next look at it.
pub fn settle(world: &mut World, place: usize, now: f64) {
    let World { argocd, chance, mischief, timings, agenda, .. } = world;
    let app = &mut argocd.apps[place];
    app.workload.sets.iter_mut().for_each(|set| set.pods.retain(|pod| pod.ends.is_none_or(|at| at > now)));
    let stable = app.workload.canary.stable.clone();
    let empty = |set: &ReplicaSet| set.pods.is_empty() && set.name != stable;
    // Kubernetes keeps ten empty replica sets; two are enough to show.
    while app.workload.sets.iter().rev().skip(1).filter(|set| empty(set)).count() > 2 {
        let oldest = app.workload.sets.iter().position(empty);
        oldest.map(|place| app.workload.sets.remove(place));
    }
    let mut maker = Maker { chance, mischief, timings };
    if !app.workload.missing && !app.workload.paused && !app.workload.sets.is_empty() {
        match app.setting.workload.as_str() {
            "Rollout" => canary::advance(app, &mut maker, now),
            _ => roll(app, &mut maker, now),
        }
        note(&mut app.workload, app.setting.replicas as usize, now);
    }
    app.wake += 1;
    if let Some(at) = next(app, now) {
        agenda.plan(at, Event::Argocd(super::Happening::Wake { app: place, number: app.wake }));
    }
}

/// A rolling update with a quarter more and a quarter less.
fn roll(app: &mut App, maker: &mut Maker<'_>, now: f64) {
    let wanted = app.setting.replicas as usize;
    let surge = wanted.div_ceil(4);
    // Without a surge there would have to be one less, but there is one for every size.
    let least = wanted - wanted / 4;
    loop {
        let total: usize = app.workload.sets.iter().map(ReplicaSet::active).sum();
        let Some(new) = app.workload.sets.last() else { return };
        let more = (wanted.saturating_sub(new.active())).min((wanted + surge).saturating_sub(total));
        grow(app, more, maker, now);
        let less = shrink(&mut app.workload, least, maker, now);
        if more + less == 0 {
            return;
        }
        app.workload.progressed = now;
    }
}

/// Take pods of old replica sets away, unready ones first, so that `least` stay available. How many were.
fn shrink(work: &mut Workload, least: usize, maker: &mut Maker<'_>, now: f64) -> usize {
    let total: usize = work.sets.iter().map(ReplicaSet::active).sum();
    let available: usize = work.sets.iter().map(|set| set.available(now)).sum();
    let Some((new, old)) = work.sets.split_last_mut() else { return 0 };
    let unready = new.active() - new.available(now);
    let mut most = total.saturating_sub(least + unready);
    let mut gone = 0;
    for set in old.iter_mut() {
        let taken = set.end(most, maker, now, |pod| !pod.available(now));
        (most, gone) = (most - taken, gone + taken);
    }
    let mut most = available.saturating_sub(least);
    for set in old.iter_mut() {
        let taken = set.end(most, maker, now, |pod| pod.available(now));
        (most, gone) = (most - taken, gone + taken);
    }
    gone
}

/// Make `more` pods of the current template.
pub fn grow(app: &mut App, more: usize, maker: &mut Maker<'_>, now: f64) {
    let Some(set) = app.workload.sets.last() else { return };
    let (name, images) = (set.name.clone(), set.images.clone());
    let pods: Vec<Pod> = (0..more).map(|_| maker.pod(app, &name, &images, now)).collect();
    app.workload.sets.last_mut().into_iter().for_each(|set| set.pods.extend(pods.iter().cloned()));
}

/// Whether the rollout got on, and whether it has ended.
fn note(work: &mut Workload, wanted: usize, now: f64) {
    let Some((new, old)) = work.sets.split_last() else { return };
    let available = new.available(now);
    if available > work.reached {
        (work.reached, work.progressed) = (available, now);
    }
    let alone = old.iter().all(|set| set.active() == 0);
    work.complete |= alone && available >= wanted && work.canary.aborted.is_none();
}

fn next(app: &App, now: f64) -> Option<f64> {
    let pods = app.workload.sets.iter().flat_map(|set| &set.pods);
    let mut times: Vec<f64> = pods.filter_map(|pod| pod.next(now)).collect();
    times.push(app.workload.applied + OBSERVE);
    if !app.workload.complete {
        times.push(app.workload.progressed + app.setting.progress_deadline);
    }
    times.extend(canary::times(app));
    times.into_iter().filter(|at| *at > now).min_by(f64::total_cmp)
}

impl ReplicaSet {
    /// Pods that were not told to end.
    pub fn active(&self) -> usize {
        self.pods.iter().filter(|pod| pod.active()).count()
    }

    /// Pods that are ready.
    pub fn available(&self, now: f64) -> usize {
        self.pods.iter().filter(|pod| pod.available(now)).count()
    }

    /// Tell up to `most` pods to end, the newest first. How many were told.
    pub fn end(
        &mut self,
        most: usize,
        maker: &mut Maker<'_>,
        now: f64,
        which: impl Fn(&Pod) -> bool,
    ) -> usize {
        let chosen = self.pods.iter_mut().rev().filter(|pod| pod.active() && which(pod)).take(most);
        chosen.map(|pod| pod.ends = Some(now + maker.chance.seconds(maker.timings.stop))).count()
    }
}
