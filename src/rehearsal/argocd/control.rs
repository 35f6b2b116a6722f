//! The application controller: it looks at Git now and then, compares, and starts syncs where it may.

use super::state::{App, Comparison};
use super::{Happening, git, health, meddling, operation};
use crate::rehearsal::agenda::Event;
use crate::rehearsal::faults::Fault;
use crate::rehearsal::world::World;

/// Plan the next look at Git that nobody asked for.
pub fn plan_poll(world: &mut World, app: usize, now: f64) {
    let jitter = world.argocd.setting.jitter;
    let at = now + world.argocd.setting.poll + world.chance.seconds(jitter);
    world.agenda.plan(at, Event::Argocd(Happening::Poll { app }));
}

/// Somebody asks for a refresh. One that is asked for already is the same one.
pub fn refresh(world: &mut World, place: usize, kind: &str, now: f64) {
    world.argocd.refreshed.get_or_insert(now);
    let span = world.argocd.setting.refresh;
    let at = now + world.chance.seconds(span);
    let app = &mut world.argocd.apps[place];
    if app.refresh.is_none() {
        app.refresh = Some((if kind == "hard" { "hard" } else { "normal" }.into(), at));
        app.version += 1;
        world.agenda.plan(at, Event::Argocd(Happening::Refresh { app: place }));
    }
}

/// Compare Git with the cluster, and sync where that is wanted.
pub fn compare(world: &mut World, place: usize, now: f64) {
    let found = look(world, place, now);
    if let Ok((_, desired)) = &found {
        let app = &world.argocd.apps[place];
        if desired.images != app.founding && world.argocd.changed.is_none() {
            world.argocd.changed = Some(now);
            meddling::plan(world, place, now);
        }
    }
    let app = &mut world.argocd.apps[place];
    app.refresh = None;
    app.version += 1;
    let before = std::mem::take(&mut app.compared);
    app.compared = match found {
        Ok((revisions, desired)) => {
            let synced = app.live.as_ref() == Some(&desired) && !app.workload.missing;
            let status = if synced { "Synced" } else { "OutOfSync" }.to_owned();
            Comparison { status, revisions, at: now, conditions: Vec::new() }
        }
        Err(why) => {
            let message = format!("Failed to load target state: {why}");
            let since = before.conditions.iter().find(|(kind, ..)| kind == "ComparisonError").map(|it| it.2);
            let conditions = vec![("ComparisonError".into(), message, since.unwrap_or(now))];
            Comparison { status: "Unknown".into(), revisions: before.revisions, at: now, conditions }
        }
    };
    health::note(app, now);
    auto_sync(world, place, now);
}

/// Where Git stands and what it makes.
fn look(world: &World, place: usize, now: f64) -> Result<(Vec<String>, super::render::Rendered), String> {
    let name = &world.argocd.apps[place].setting.name;
    let fault = world.mischief.faults.iter().find_map(|fault| match fault {
        Fault::ArgocdComparisonError(error)
            if error.on(name) && now >= world.mischief.began + error.after =>
        {
            Some(error.message.clone())
        }
        _ => None,
    });
    if let Some(message) = fault {
        return Err(format!("failed to generate manifest for source 1 of 1: rpc error: {message}"));
    }
    let revisions = git::revisions(world, place, now)?;
    let desired = git::render(world, place, &revisions)?;
    Ok((revisions, desired))
}

/// Start a sync where the application does so by itself. A commit is tried once, but for what others changed since.
fn auto_sync(world: &mut World, place: usize, now: f64) {
    let app = &world.argocd.apps[place];
    if !app.setting.automated || app.busy() || app.compared.status != "OutOfSync" || held(world, app) {
        return;
    }
    let tried = app.operation.as_ref().filter(|past| past.revisions == app.compared.revisions);
    let heals = app.setting.self_heal;
    if let Some(past) = tried {
        if past.phase != "Succeeded" {
            let message =
                format!("Failed last sync attempt to {}: {}", bracketed(&past.revisions), past.message);
            world.argocd.apps[place].compared.conditions.push(("SyncError".into(), message, now));
            return;
        }
        if !heals {
            return;
        }
    }
    let revisions = app.compared.revisions.clone();
    operation::start(world, place, operation::Order { revisions, prune: true, ..Default::default() }, now);
}

fn bracketed(revisions: &[String]) -> String {
    format!("[{}]", revisions.join(" "))
}

/// Whether a fault keeps it from syncing by itself.
fn held(world: &World, app: &App) -> bool {
    world.mischief.faults.iter().any(|fault| match fault {
        Fault::ArgocdNeverSyncs(on) => on.on(&app.setting.name),
        _ => false,
    })
}
