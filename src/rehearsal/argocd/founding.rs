//! From the scenario to Argo CD as it is when the world begins: every application synced and healthy at its branch.

use super::render::Rendered;
use super::setting::ArgoCd;
use super::state::{App, Canary, Comparison, Deployed, Operation, Workload};
use super::{Happening, control, git, workload};
use crate::rehearsal::agenda::Event;
use crate::rehearsal::faults::{Fate, Fault};
use crate::rehearsal::world::World;

/// How long before the world's beginning everything was deployed, in seconds.
const AGO: f64 = 86_400.0;

/// Bring Argo CD and its applications into a world that has its repositories already.
pub fn found(world: &mut World, setting: &ArgoCd, began: f64) {
    world.argocd.setting = setting.clone();
    for application in &setting.applications {
        let (uid, work) = (world.chance.uuid(), world.chance.uuid());
        let place = world.argocd.apps.len();
        world.argocd.apps.push(App {
            setting: application.clone(),
            uid,
            version: 1000,
            created: began - 30.0 * AGO,
            compared: Comparison::default(),
            refresh: None,
            operation: None,
            operations: 0,
            history: Vec::new(),
            live: None,
            founding: Vec::new(),
            workload: Workload { uid: work, canary: Canary::default(), ..Workload::default() },
            health: ("Missing".into(), began - AGO),
            wake: 0,
        });
        deployed(world, place, began);
        control::plan_poll(world, place, began);
    }
    plan_faults(world, began);
}

/// The application was synced to where its branch stands, long ago.
fn deployed(world: &mut World, place: usize, began: f64) {
    let found = git::revisions(world, place, began)
        .and_then(|revisions| git::render(world, place, &revisions).map(|made| (revisions, made)));
    let Ok((revisions, made)) = found else { return control::compare(world, place, began) };
    running(world, place, &made, began - AGO);
    let app = &mut world.argocd.apps[place];
    app.compared = Comparison {
        status: "Synced".into(),
        revisions: revisions.clone(),
        at: began,
        conditions: Vec::new(),
    };
    let by = None;
    app.history.push(Deployed {
        id: 0,
        revisions: revisions.clone(),
        started: began - AGO,
        at: began - AGO,
        by,
    });
    app.operation = Some(Operation {
        revisions,
        by: None,
        dry_run: false,
        prune: true,
        phase: "Succeeded".into(),
        message: "successfully synced (all tasks run)".into(),
        started: began - AGO,
        finished: Some(began - AGO + 3.0),
        retries: 0,
        results: Vec::new(),
        hooks: 0,
        foreign: false,
    });
    app.health = ("Healthy".into(), began - AGO + 60.0);
    app.founding.clone_from(&made.images);
    app.live = Some(made);
}

/// Pods that have been ready for long, whatever the faults say of new ones.
fn running(world: &mut World, place: usize, made: &Rendered, since: f64) {
    workload::apply(world, place, &made.images, since);
    let World { argocd, chance, mischief, timings, .. } = world;
    let app = &mut argocd.apps[place];
    let spared = std::mem::take(&mut mischief.faults);
    let mut maker = super::pods::Maker { chance, mischief, timings };
    workload::grow(app, app.setting.replicas as usize, &mut maker, since);
    mischief.faults = spared;
    for pod in app.workload.sets.iter_mut().flat_map(|set| &mut set.pods) {
        (pod.fate, pod.ready) = (Fate::Well, since + 30.0);
    }
    (app.workload.complete, app.workload.reached) = (true, app.setting.replicas as usize);
}

/// Faults that strike at a time of their own, or from the beginning.
fn plan_faults(world: &mut World, began: f64) {
    for fault in 0..world.mischief.faults.len() {
        let (at, happening) = match &world.mischief.faults[fault] {
            Fault::ArgocdBusy(busy) => (began + busy.at, Happening::Busy { fault }),
            Fault::ArgocdDrift(drift) => (began + drift.at, Happening::Drift { fault }),
            Fault::ArgocdSuspended(_) => (began, Happening::Suspend { fault }),
            _ => continue,
        };
        world.agenda.plan(at, Event::Argocd(happening));
    }
}
