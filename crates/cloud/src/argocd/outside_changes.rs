//! What others do to an application: their own sync, a change by hand, a pause, a newer commit.

use super::operation::{self, SyncRequest};
use super::{ArgoCdEvent, controller, git, health, workload};
use crate::faults::Fault;
use crate::world::World;

/// Places of the applications that a fault is about.
fn affected_apps(world: &World, on: impl Fn(&str) -> bool) -> Vec<usize> {
    (0..world.argocd.apps.len()).filter(|place| on(&world.argocd.apps[*place].spec.name)).collect()
}

/// Somebody else's sync runs for a while and changes nothing.
pub fn start_outside_sync(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdBusy(busy)) = world.faults.list.get(fault).cloned() else { return };
    for place in affected_apps(world, |name| busy.applies_to(name)) {
        let app = &world.argocd.apps[place];
        if !app.is_operation_running() {
            let order = SyncRequest {
                revisions: app.comparison.revisions.clone(),
                initiated_by: Some("somebody-else".into()),
                outside_until: Some(now + busy.lasts),
                ..SyncRequest::default()
            };
            operation::start_operation(world, place, order, now);
        }
    }
}

/// Somebody sets another image in the cluster.
pub fn drift_workload(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdDrift(drift)) = world.faults.list.get(fault).cloned() else { return };
    for place in affected_apps(world, |name| drift.applies_to(name)) {
        workload::apply_images(world, place, std::slice::from_ref(&drift.image), now);
        if let Some(live) = &mut world.argocd.apps[place].applied {
            live.images = vec![drift.image.clone()];
        }
        workload::reconcile(world, place, now);
        // The controller watches the cluster: it does not wait for the next poll of Git.
        controller::compare_application(world, place, now);
    }
}

/// Somebody pauses the workload.
pub fn pause_workload(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdSuspended(on)) = world.faults.list.get(fault).cloned() else { return };
    for place in affected_apps(world, |name| on.applies_to(name)) {
        world.argocd.apps[place].workload.is_paused = true;
        health::update_health(&mut world.argocd.apps[place], now);
    }
}

/// What is counted from the first other image: somebody else's deployment.
pub fn schedule_outside_commit(world: &mut World, app: usize, now: f64) {
    for what in &world.faults.list {
        if let Fault::SupersedingDeployment(other) = what
            && other.service.as_deref().is_none_or(|name| name == world.argocd.apps[app].spec.name)
        {
            world.events.schedule(now + other.at, ArgoCdEvent::OutsideCommit { app });
        }
    }
}

/// Somebody else commits another image for the application.
pub fn commit_other_image(world: &mut World, app: usize, now: f64) {
    let app = &world.argocd.apps[app];
    let Some(source) = app.spec.sources.iter().find(|source| source.chart.is_none()).cloned() else {
        return;
    };
    let images = app.workload.replica_sets.last().map_or(Vec::new(), |set| set.images.clone());
    let (Some(head), Some(repository)) =
        (git::source_head(world, &source), world.github.repositories.get(&source.repository))
    else {
        return;
    };
    let branch = if source.target_revision() == "HEAD" {
        repository.default_branch.clone()
    } else {
        source.branch.clone()
    };
    let edited: Vec<(String, String)> = source
        .files
        .iter()
        .filter_map(|path| {
            let text = git::read_file(world, &source.repository, &head, path)?;
            let other = replace_images(&text, &images);
            (other != text).then(|| (path.clone(), other))
        })
        .collect();
    let changes: Vec<(&str, Option<&[u8]>)> =
        edited.iter().map(|(path, text)| (path.as_str(), Some(text.as_bytes()))).collect();
    world.github.push_commit(&source.repository, &branch, "somebody-else", "A newer image", &changes, now);
}

/// A text with another digest or tag wherever it has one of these images'.
fn replace_images(text: &str, images: &[String]) -> String {
    images.iter().fold(text.to_owned(), |text, image| {
        let last = image.rsplit('/').next().unwrap_or(image);
        match (image.split_once('@'), last.split_once(':')) {
            (Some((_, digest)), _) => text.replace(digest, &format!("sha256:{}", "e".repeat(64))),
            (None, Some((_, tag))) => text.replace(tag, "somebody-else"),
            (None, None) => text,
        }
    })
}
