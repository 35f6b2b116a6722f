//! From the scenario to Argo CD as it is when the world begins: every application synced and healthy at its branch.

use super::render::RenderedManifests;
use super::scenario::ArgoCdSettings;
use super::state::{ArgoCdApp, CanaryState, ComparisonResult, SyncHistoryEntry, SyncOperation, Workload};
use super::{ArgoCdEvent, controller, git, health, operation, workload};
use crate::faults::{Fault, TaskOutcome};
use crate::world::World;

/// How a sync ends whose resources cannot all be applied.
const FAILED: &str = "one or more synchronization tasks completed unsuccessfully";
/// How long before the world's beginning everything was deployed, in seconds.
const DEPLOYED_AGO: f64 = 86_400.0;

/// Bring Argo CD and its applications into a world that has its repositories already.
pub fn seed(world: &mut World, setting: &ArgoCdSettings, began: f64) {
    world.argocd.settings = setting.clone();
    for application in &setting.applications {
        let (uid, work) = (world.rng.uuid(), world.rng.uuid());
        let place = world.argocd.apps.len();
        world.argocd.apps.push(ArgoCdApp {
            spec: application.clone(),
            uid,
            resource_version: 1000,
            created_at: began - 30.0 * DEPLOYED_AGO,
            comparison: ComparisonResult::default(),
            refresh: None,
            operation: None,
            operation_count: 0,
            history: Vec::new(),
            applied: None,
            initial_images: Vec::new(),
            workload: Workload { uid: work, canary: CanaryState::default(), ..Workload::default() },
            health: ("Missing".into(), began - DEPLOYED_AGO),
            wake_number: 0,
        });
        seed_sync(world, place, began);
        controller::schedule_poll(world, place, began);
    }
    schedule_faults(world, began);
}

/// The application was synced to where its branch stands, long ago.
fn seed_sync(world: &mut World, place: usize, began: f64) {
    let found = git::source_revisions(world, place, began)
        .and_then(|revisions| git::render_sources(world, place, &revisions).map(|made| (revisions, made)));
    let Ok((revisions, made)) = found else { return controller::compare_application(world, place, began) };
    seed_pods(world, place, &made, began - DEPLOYED_AGO);
    let app = &mut world.argocd.apps[place];
    let is_out_of_sync = app.spec.has_resource_out_of_sync() || app.spec.mirror.is_some();
    app.comparison = ComparisonResult {
        status: if is_out_of_sync { "OutOfSync" } else { "Synced" }.into(),
        revisions: revisions.clone(),
        is_unrenderable: false,
        is_workload_synced: app.spec.mirror.is_none(),
        images: made.images.clone(),
        compared_at: began,
        conditions: Vec::new(),
    };
    let by = None;
    app.history.push(SyncHistoryEntry {
        id: 0,
        revisions: revisions.clone(),
        started_at: began - DEPLOYED_AGO,
        deployed_at: began - DEPLOYED_AGO,
        initiated_by: by,
    });
    let has_failure = app.spec.resources.iter().any(|it| !it.sync_error.is_empty());
    app.operation = Some(SyncOperation {
        revisions,
        initiated_by: None,
        dry_run: false,
        prune: true,
        phase: if has_failure { "Failed" } else { "Succeeded" }.into(),
        message: if has_failure { FAILED } else { "successfully synced (all tasks run)" }.into(),
        started_at: began - DEPLOYED_AGO,
        finished_at: Some(began - DEPLOYED_AGO + 3.0),
        retries: 0,
        results: app.spec.resources.iter().map(operation::further_result).collect(),
        hooks_completed: 0,
        is_outside: false,
    });
    app.initial_images.clone_from(&made.images);
    app.applied = Some(made);
    let since = began - DEPLOYED_AGO + 60.0;
    app.health = (health::application_health(app, began).0, since);
}

/// Pods that have been ready for long, whatever the faults say of new ones.
fn seed_pods(world: &mut World, place: usize, made: &RenderedManifests, since: f64) {
    let admitted = world.argocd.apps[place].admitted_images(&made.images);
    workload::apply_images(world, place, &admitted, since);
    let World { argocd, rng, faults, timings, .. } = world;
    let app = &mut argocd.apps[place];
    let spared = std::mem::take(&mut faults.list);
    let mut maker = super::pods::PodFactory { rng, faults, timings };
    workload::create_pods(app, app.spec.pod_count(), &mut maker, since);
    faults.list = spared;
    for pod in app.workload.replica_sets.iter_mut().flat_map(|set| &mut set.pods) {
        (pod.outcome, pod.ready_at) = (TaskOutcome::Healthy, since + 30.0);
    }
    (app.workload.is_complete, app.workload.max_available) = (true, app.spec.pod_count());
}

/// Faults with a time of their own, or that apply from the beginning.
fn schedule_faults(world: &mut World, began: f64) {
    for fault in 0..world.faults.list.len() {
        let (at, happening) = match &world.faults.list[fault] {
            Fault::ArgocdBusy(busy) => (began + busy.at, ArgoCdEvent::OutsideSync { fault }),
            Fault::ArgocdDrift(drift) => (began + drift.at, ArgoCdEvent::Drift { fault }),
            Fault::ArgocdSuspended(_) => (began, ArgoCdEvent::PauseWorkload { fault }),
            _ => continue,
        };
        world.events.schedule(at, happening);
    }
}
