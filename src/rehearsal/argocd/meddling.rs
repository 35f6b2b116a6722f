//! What others do to an application: their own sync, a change by hand, a pause.

use super::operation::{self, Order};
use super::{control, health, workload};
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
