//! Sync operations: what asks for one, its hooks, its retries, its end.

use super::state::{App, Deployed, Operation, SyncedResource};
use super::{Happening, git, health, workload};
use crate::rehearsal::agenda::Event;
use crate::rehearsal::faults::{Fault, Subject};
use crate::rehearsal::world::World;

/// Seconds from the end of a sync to the next comparison.
const AFTERWARDS: f64 = 0.4;

/// What somebody wants synced.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Commits, one a source.
    pub revisions: Vec<String>,
    /// Who; `None` for Argo CD itself.
    pub by: Option<String>,
    /// Nothing is to be applied.
    pub dry_run: bool,
    /// What is no longer wanted is deleted.
    pub prune: bool,
    /// Somebody else's, which ends at this time and changes nothing.
    pub until: Option<f64>,
}

/// Start a sync. The caller has seen that none runs.
pub fn start(world: &mut World, place: usize, order: Order, now: f64) {
    let span = world.argocd.setting.sync;
    let at = order.until.unwrap_or(now + world.chance.seconds(span));
    let app = &mut world.argocd.apps[place];
    let first = app.setting.hooks.first().filter(|_| order.until.is_none() && !order.dry_run);
    let (at, message) = match first {
        Some(hook) => (now + hook.seconds, format!("waiting for completion of hook batch/Job/{}", hook.name)),
        None => (at, String::new()),
    };
    app.operations += 1;
    app.operation = Some(Operation {
        revisions: order.revisions,
        by: order.by,
        dry_run: order.dry_run,
        prune: order.prune,
        phase: "Running".into(),
        message,
        started: now,
        finished: None,
        retries: 0,
        results: Vec::new(),
        hooks: 0,
        foreign: order.until.is_some(),
    });
    show_hooks(app);
    app.version += 1;
    let number = app.operations;
    world.agenda.plan(at, Event::Argocd(Happening::Operation { app: place, number }));
}

/// The running operation gets on: to its next hook, or to its end.
pub fn go_on(world: &mut World, place: usize, now: f64) {
    let span = world.argocd.setting.sync;
    let spent = world.chance.seconds(span);
    let app = &mut world.argocd.apps[place];
    let hooks = app.setting.hooks.clone();
    let Some(operation) = app.operation.as_mut().filter(|it| it.running()) else { return };
    if operation.foreign || operation.dry_run || operation.hooks > hooks.len() || hooks.is_empty() {
        return conclude(world, place, now);
    }
    operation.hooks += 1;
    let (at, message) = match hooks.get(operation.hooks) {
        Some(hook) => (now + hook.seconds, format!("waiting for completion of hook batch/Job/{}", hook.name)),
        None => {
            operation.hooks += 1;
            (now + spent, String::new())
        }
    };
    operation.message = message;
    show_hooks(app);
    app.version += 1;
    let number = app.operations;
    world.agenda.plan(at, Event::Argocd(Happening::Operation { app: place, number }));
}

/// The hooks so far, as results.
fn show_hooks(app: &mut App) {
    let hooks = app.setting.hooks.clone();
    let Some(operation) = app.operation.as_mut().filter(|it| !it.foreign && !it.dry_run) else { return };
    let begun = hooks.iter().take(operation.hooks + 1).enumerate();
    let shown = begun.map(|(place, hook)| SyncedResource {
        group: "batch".into(),
        kind: "Job".into(),
        name: hook.name.clone(),
        status: String::new(),
        message: if place < operation.hooks { "Reached expected number of succeeded pods" } else { "" }
            .into(),
        phase: if place < operation.hooks { "Succeeded" } else { "Running" }.into(),
        stage: hook.phase.clone(),
        hook: true,
    });
    operation.results = shown.collect();
}

/// Everything is applied, or it fails.
fn conclude(world: &mut World, place: usize, now: f64) {
    let Some(operation) = world.argocd.apps[place].operation.clone() else { return };
    if operation.foreign {
        return finish(world, place, "Succeeded", "successfully synced (all tasks run)", now);
    }
    let desired = match git::render(world, place, &operation.revisions) {
        Ok(desired) => desired,
        Err(why) => {
            return finish(world, place, "Error", &format!("ComparisonError: {why}"), now);
        }
    };
    match trouble(world, place, &desired.images) {
        Some(Trouble::Error(message)) => finish(world, place, "Error", &message, now),
        Some(Trouble::Failed(message)) => fail(world, place, &message, now),
        None if operation.dry_run => finish(world, place, "Succeeded", "successfully synced (dry run)", now),
        None => {
            note(world, place, "Synced", "configured", "Running");
            workload::apply(world, place, &desired.images, now);
            world.argocd.apps[place].live = Some(desired);
            remember(&mut world.argocd.apps[place], &operation, now);
            finish(world, place, "Succeeded", "successfully synced (all tasks run)", now);
            lose(world, place);
            workload::settle(world, place, now);
            health::note(&mut world.argocd.apps[place], now);
        }
    }
}

enum Trouble {
    Failed(String),
    Error(String),
}

fn trouble(world: &mut World, place: usize, images: &[String]) -> Option<Trouble> {
    let app = &world.argocd.apps[place];
    let shown = images.iter().map(String::as_str).collect();
    let subject = Subject { old: images == app.founding, service: &app.setting.name, images: shown };
    let mut found = None;
    world.mischief.strike(|fault, spent| {
        found = match fault {
            Fault::ArgocdSyncFailed(it) if it.strikes(&subject, spent) => {
                Some(Trouble::Failed(it.message.clone()))
            }
            Fault::ArgocdOperationError(it) if it.strikes(&subject, spent) => {
                Some(Trouble::Error(it.message.clone()))
            }
            _ => None,
        };
        found.is_some()
    });
    found
}

/// A resource that is applied is deleted again by somebody.
fn lose(world: &mut World, place: usize) {
    let app = &world.argocd.apps[place];
    let images: Vec<&str> =
        app.live.as_ref().map_or(Vec::new(), |it| it.images.iter().map(String::as_str).collect());
    let old = app.live.as_ref().is_some_and(|live| live.images == app.founding);
    let subject = Subject { old, service: &app.setting.name, images };
    let lost = world.mischief.strike(
        |fault, spent| matches!(fault, Fault::ArgocdMissing(plain) if plain.strikes(&subject, spent)),
    );
    if lost {
        let work = &mut world.argocd.apps[place].workload;
        work.missing = true;
        work.sets.iter_mut().for_each(|set| set.pods.clear());
    }
}

/// Applying failed: try again as often as the policy says, each time after twice as long.
fn fail(world: &mut World, place: usize, reason: &str, now: f64) {
    note(world, place, "SyncFailed", reason, "Failed");
    let app = &mut world.argocd.apps[place];
    let Some(operation) = &mut app.operation else { return };
    let most = app.setting.retries(operation.by.is_none());
    let message = format!("one or more objects failed to apply, reason: {reason}");
    if operation.retries >= most {
        let tried = if most > 0 { format!(" (retried {most} times).") } else { String::new() };
        return finish(world, place, "Failed", &(message + &tried), now);
    }
    operation.retries += 1;
    let pause = 5.0 * f64::from(1_u32 << (operation.retries - 1).min(5));
    let at = now + pause.min(180.0);
    operation.message = format!("{message}. Retrying attempt #{} at {}.", operation.retries, clock(at));
    app.version += 1;
    let number = app.operations;
    world.agenda.plan(at, Event::Argocd(Happening::Operation { app: place, number }));
}

/// A time of day as Go's kitchen format has it.
fn clock(at: f64) -> String {
    let minutes = (at.max(0.0) as u64 / 60) % (24 * 60);
    let (hour, minute) = (minutes / 60, minutes % 60);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{twelve}:{minute:02}{}", if hour < 12 { "AM" } else { "PM" })
}

/// What became of the workload and of its Service.
fn note(world: &mut World, place: usize, status: &str, words: &str, phase: &str) {
    let app = &mut world.argocd.apps[place];
    let (kind, group) = app.setting.kind();
    let name = app.setting.name.clone();
    let Some(operation) = &mut app.operation else { return };
    operation.results.retain(|it| it.hook);
    let of = |group: &str, kind: &str, status: &str, message: String, phase: &str| SyncedResource {
        group: group.into(),
        kind: kind.into(),
        name: name.clone(),
        status: status.into(),
        message,
        phase: phase.into(),
        stage: "Sync".into(),
        hook: false,
    };
    let unchanged = format!("service/{name} unchanged");
    operation.results.push(of("", "Service", "Synced", unchanged, "Running"));
    let message = match status {
        "Synced" => format!("{}.{group}/{name} {words}", kind.to_lowercase()),
        _ => words.to_owned(),
    };
    operation.results.push(of(group, kind, status, message, phase));
}

fn remember(app: &mut App, operation: &Operation, now: f64) {
    let id = app.history.last().map_or(0, |last| last.id + 1);
    app.history.push(Deployed {
        id,
        revisions: operation.revisions.clone(),
        started: operation.started,
        at: now,
        by: operation.by.clone(),
    });
    // `revisionHistoryLimit` is 10.
    let excess = app.history.len().saturating_sub(10);
    app.history.drain(..excess);
}

/// End the operation, and compare again.
pub fn finish(world: &mut World, place: usize, phase: &str, message: &str, now: f64) {
    let app = &mut world.argocd.apps[place];
    let Some(operation) = &mut app.operation else { return };
    (operation.phase, operation.message, operation.finished) = (phase.into(), message.into(), Some(now));
    app.version += 1;
    world.agenda.plan(now + AFTERWARDS, Event::Argocd(Happening::Refresh { app: place }));
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn times_of_day() {
        assert_eq!([0.0, 43_200.0, 72_999.0].map(clock), ["12:00AM", "12:00PM", "8:16PM"]);
    }
}
