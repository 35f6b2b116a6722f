//! What others do to an application: their own sync, a change by hand, a pause, a newer commit.

use super::operation::{self, Order};
use super::{Happening, control, git, health, workload};
use crate::rehearsal::agenda::Event;
use crate::rehearsal::faults::Fault;
use crate::rehearsal::world::World;

/// Places of the applications that a fault is about.
fn about(world: &World, on: impl Fn(&str) -> bool) -> Vec<usize> {
    (0..world.argocd.apps.len()).filter(|place| on(&world.argocd.apps[*place].setting.name)).collect()
}

/// Somebody else's sync runs for a while and changes nothing.
pub fn busy(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdBusy(busy)) = world.mischief.faults.get(fault).cloned() else { return };
    for place in about(world, |name| busy.on(name)) {
        let app = &world.argocd.apps[place];
        if !app.busy() {
            let order = Order {
                revisions: app.compared.revisions.clone(),
                by: Some("somebody-else".into()),
                until: Some(now + busy.lasts),
                ..Order::default()
            };
            operation::start(world, place, order, now);
        }
    }
}

/// Somebody sets another image in the cluster.
pub fn drift(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdDrift(drift)) = world.mischief.faults.get(fault).cloned() else { return };
    for place in about(world, |name| drift.on(name)) {
        workload::apply(world, place, std::slice::from_ref(&drift.image), now);
        if let Some(live) = &mut world.argocd.apps[place].live {
            live.images = vec![drift.image.clone()];
        }
        workload::settle(world, place, now);
        // The controller watches the cluster: it need not wait for the next look at Git.
        control::compare(world, place, now);
    }
}

/// Somebody pauses the workload.
pub fn suspend(world: &mut World, fault: usize, now: f64) {
    let Some(Fault::ArgocdSuspended(on)) = world.mischief.faults.get(fault).cloned() else { return };
    for place in about(world, |name| on.on(name)) {
        world.argocd.apps[place].workload.paused = true;
        health::note(&mut world.argocd.apps[place], now);
    }
}

/// What is counted from the first other image: somebody else's deployment.
pub fn plan(world: &mut World, app: usize, now: f64) {
    for what in &world.mischief.faults {
        if let Fault::SupersedingDeployment(other) = what
            && other.service.as_deref().is_none_or(|name| name == world.argocd.apps[app].setting.name)
        {
            world.agenda.plan(now + other.at, Event::Argocd(Happening::Supersede { app }));
        }
    }
}

/// Somebody else commits another image for the application.
pub fn supersede(world: &mut World, app: usize, now: f64) {
    let app = &world.argocd.apps[app];
    let Some(source) = app.setting.sources.iter().find(|source| source.chart.is_none()).cloned() else {
        return;
    };
    let images = app.workload.sets.last().map_or(Vec::new(), |set| set.images.clone());
    let (Some(head), Some(repository)) =
        (git::head(world, &source), world.github.repositories.get(&source.repository))
    else {
        return;
    };
    let branch =
        if source.target() == "HEAD" { repository.default_branch.clone() } else { source.branch.clone() };
    let edited: Vec<(String, String)> = source
        .files
        .iter()
        .filter_map(|path| {
            let text = git::file(world, &source.repository, &head, path)?;
            let other = with_others(&text, &images);
            (other != text).then(|| (path.clone(), other))
        })
        .collect();
    let changes: Vec<(&str, Option<&[u8]>)> =
        edited.iter().map(|(path, text)| (path.as_str(), Some(text.as_bytes()))).collect();
    world.github.commit(&source.repository, &branch, "somebody-else", "A newer image", &changes, now);
}

/// A text with another digest or tag wherever it has one of these images'.
fn with_others(text: &str, images: &[String]) -> String {
    images.iter().fold(text.to_owned(), |text, image| {
        let last = image.rsplit('/').next().unwrap_or(image);
        match (image.split_once('@'), last.split_once(':')) {
            (Some((_, digest)), _) => text.replace(digest, &format!("sha256:{}", "e".repeat(64))),
            (None, Some((_, tag))) => text.replace(tag, "somebody-else"),
            (None, None) => text,
        }
    })
}
