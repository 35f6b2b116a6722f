//! The application controller: it looks at Git now and then, compares, and starts syncs where it may.

use super::state::{ArgoCdApp, ComparisonResult};
use super::{ArgoCdEvent, git, health, operation, outside_changes};
use crate::faults::Fault;
use crate::world::World;

/// Schedules the next poll of Git.
pub fn schedule_poll(world: &mut World, app: usize, now: f64) {
    let jitter = world.argocd.settings.jitter;
    let at = now + world.argocd.settings.poll + world.rng.pick_seconds(jitter);
    world.events.schedule(at, ArgoCdEvent::Poll { app });
}

/// A refresh is requested. While one is pending, a second request changes nothing.
pub fn request_refresh(world: &mut World, place: usize, kind: &str, now: f64) {
    world.argocd.first_refresh_at.get_or_insert(now);
    let span = world.argocd.settings.refresh;
    let at = now + world.rng.pick_seconds(span);
    let app = &mut world.argocd.apps[place];
    if app.refresh.is_none() {
        app.refresh = Some((if kind == "hard" { "hard" } else { "normal" }.into(), at));
        app.resource_version += 1;
        world.events.schedule(at, ArgoCdEvent::Refresh { app: place });
    }
}

/// Compare Git with the cluster, and sync where that is wanted.
pub fn compare_application(world: &mut World, place: usize, now: f64) {
    let found = load_desired_state(world, place, now);
    if let Ok((_, desired)) = &found {
        let app = &world.argocd.apps[place];
        if desired.images != app.initial_images && world.faults.first_followed_change.is_none() {
            world.faults.first_followed_change = Some(now);
            outside_changes::schedule_outside_commit(world, place, now);
        }
    }
    let app = &mut world.argocd.apps[place];
    app.refresh = None;
    app.resource_version += 1;
    let before = std::mem::take(&mut app.comparison);
    app.comparison = match found {
        Ok((revisions, desired)) => {
            let is_workload_synced = app.applied.as_ref() == Some(&desired)
                && !app.workload.is_missing
                && app.spec.mirror.is_none();
            let synced = is_workload_synced && !app.spec.has_resource_out_of_sync();
            let status = if synced { "Synced" } else { "OutOfSync" }.to_owned();
            let images = desired.images.clone();
            let is_unrenderable = false;
            ComparisonResult {
                status,
                revisions,
                is_unrenderable,
                is_workload_synced,
                images,
                compared_at: now,
                conditions: Vec::new(),
            }
        }
        Err(why) => {
            let message = format!("Failed to load target state: {why}");
            let since = before.conditions.iter().find(|(kind, ..)| kind == "ComparisonError").map(|it| it.2);
            let conditions = vec![("ComparisonError".into(), message, since.unwrap_or(now))];
            ComparisonResult {
                status: "Unknown".into(),
                revisions: before.revisions,
                is_unrenderable: true,
                is_workload_synced: false,
                images: before.images,
                compared_at: now,
                conditions,
            }
        }
    };
    health::update_health(app, now);
    start_auto_sync(world, place, now);
}

/// Where Git stands and what it makes.
fn load_desired_state(
    world: &World,
    place: usize,
    now: f64,
) -> Result<(Vec<String>, super::render::RenderedManifests), String> {
    let name = &world.argocd.apps[place].spec.name;
    let fault = world.faults.list.iter().find_map(|fault| match fault {
        Fault::ArgocdComparisonError(error)
            if error.applies_to(name) && now >= world.faults.started_at + error.after =>
        {
            Some(error.message.clone())
        }
        _ => None,
    });
    if let Some(message) = fault {
        return Err(format!("failed to generate manifest for source 1 of 1: rpc error: {message}"));
    }
    let revisions = git::source_revisions(world, place, now)?;
    let desired = git::render_sources(world, place, &revisions)?;
    Ok((revisions, desired))
}

/// Starts an automated sync. A commit is tried once, unless the cluster was changed afterwards.
fn start_auto_sync(world: &mut World, place: usize, now: f64) {
    let app = &world.argocd.apps[place];
    if !app.spec.automated
        || app.is_operation_running()
        || app.comparison.status != "OutOfSync"
        || is_sync_blocked(world, app)
        || app.spec.active_window(now - world.faults.started_at).is_some()
    {
        return;
    }
    let tried = app.operation.as_ref().filter(|past| past.revisions == app.comparison.revisions);
    let heals = app.spec.self_heal;
    if let Some(past) = tried {
        if past.phase != "Succeeded" {
            let message = format!(
                "Failed last sync attempt to {}: {}",
                format_revisions(&past.revisions),
                past.message
            );
            world.argocd.apps[place].comparison.conditions.push(("SyncError".into(), message, now));
            return;
        }
        if !heals {
            return;
        }
    }
    let (revisions, prune) = (app.comparison.revisions.clone(), app.spec.prune);
    operation::start_operation(
        world,
        place,
        operation::SyncRequest { revisions, prune, ..Default::default() },
        now,
    );
}

fn format_revisions(revisions: &[String]) -> String {
    format!("[{}]", revisions.join(" "))
}

/// Whether a fault disables its automated sync.
fn is_sync_blocked(world: &World, app: &ArgoCdApp) -> bool {
    world.faults.list.iter().any(|fault| match fault {
        Fault::ArgocdNeverSyncs(on) => on.applies_to(&app.spec.name),
        _ => false,
    })
}
