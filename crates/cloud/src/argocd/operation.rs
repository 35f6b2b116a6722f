//! Sync operations: what asks for one, its hooks, its retries, its end.

use super::responses::format_time;
use super::scenario::AppResourceSetting;
use super::state::{ArgoCdApp, SyncHistoryEntry, SyncOperation, SyncResourceResult};
use super::{ArgoCdEvent, git, health, workload};
use crate::faults::{Fault, FaultTarget};
use crate::world::World;

/// Seconds from the end of a sync to the next comparison.
const COMPARE_DELAY: f64 = 0.4;

/// The request of a sync.
#[derive(Debug, Clone, Default)]
pub struct SyncRequest {
    /// Commits, one a source.
    pub revisions: Vec<String>,
    /// Who; `None` for Argo CD itself.
    pub initiated_by: Option<String>,
    /// Nothing is to be applied.
    pub dry_run: bool,
    /// What is no longer wanted is deleted.
    pub prune: bool,
    /// Somebody else's, which ends at this time and changes nothing.
    pub outside_until: Option<f64>,
}

/// Start a sync. The caller has seen that none runs.
pub fn start_operation(world: &mut World, place: usize, order: SyncRequest, now: f64) {
    let span = world.argocd.settings.sync;
    let at = order.outside_until.unwrap_or(now + world.rng.pick_seconds(span));
    let app = &mut world.argocd.apps[place];
    let first = app.spec.hooks.first().filter(|_| order.outside_until.is_none() && !order.dry_run);
    let (at, message) = match first {
        Some(hook) => (now + hook.seconds, format!("waiting for completion of hook batch/Job/{}", hook.name)),
        None => (at, String::new()),
    };
    app.operation_count += 1;
    app.operation = Some(SyncOperation {
        revisions: order.revisions,
        initiated_by: order.initiated_by,
        dry_run: order.dry_run,
        prune: order.prune,
        phase: "Running".into(),
        message,
        started_at: now,
        finished_at: None,
        retries: 0,
        results: Vec::new(),
        hooks_completed: 0,
        is_outside: order.outside_until.is_some(),
    });
    record_hooks(app);
    app.resource_version += 1;
    let number = app.operation_count;
    world.events.schedule(at, ArgoCdEvent::OperationStep { app: place, number });
}

/// The running operation gets on: to its next hook, or to its end.
pub fn advance_operation(world: &mut World, place: usize, now: f64) {
    let span = world.argocd.settings.sync;
    let spent = world.rng.pick_seconds(span);
    let app = &mut world.argocd.apps[place];
    let hooks = app.spec.hooks.clone();
    let Some(operation) = app.operation.as_mut().filter(|it| it.is_running()) else { return };
    if operation.is_outside
        || operation.dry_run
        || operation.hooks_completed > hooks.len()
        || hooks.is_empty()
    {
        return complete_sync(world, place, now);
    }
    operation.hooks_completed += 1;
    let (at, message) = match hooks.get(operation.hooks_completed) {
        Some(hook) => (now + hook.seconds, format!("waiting for completion of hook batch/Job/{}", hook.name)),
        None => {
            operation.hooks_completed += 1;
            (now + spent, String::new())
        }
    };
    operation.message = message;
    record_hooks(app);
    app.resource_version += 1;
    let number = app.operation_count;
    world.events.schedule(at, ArgoCdEvent::OperationStep { app: place, number });
}

/// The hooks so far, as results.
fn record_hooks(app: &mut ArgoCdApp) {
    let hooks = app.spec.hooks.clone();
    let Some(operation) = app.operation.as_mut().filter(|it| !it.is_outside && !it.dry_run) else { return };
    let begun = hooks.iter().take(operation.hooks_completed + 1).enumerate();
    let shown = begun.map(|(place, hook)| SyncResourceResult {
        group: "batch".into(),
        kind: "Job".into(),
        name: hook.name.clone(),
        status: String::new(),
        message: if place < operation.hooks_completed {
            "Reached expected number of succeeded pods"
        } else {
            ""
        }
        .into(),
        hook_phase: if place < operation.hooks_completed { "Succeeded" } else { "Running" }.into(),
        sync_phase: hook.phase.clone(),
        is_hook: true,
    });
    operation.results = shown.collect();
}

/// Everything is applied, or it fails.
fn complete_sync(world: &mut World, place: usize, now: f64) {
    let Some(operation) = world.argocd.apps[place].operation.clone() else { return };
    if operation.is_outside {
        return finish_operation(world, place, "Succeeded", "successfully synced (all tasks run)", now);
    }
    let desired = match git::render_sources(world, place, &operation.revisions) {
        Ok(desired) => desired,
        Err(why) => {
            return finish_operation(world, place, "Error", &format!("ComparisonError: {why}"), now);
        }
    };
    match trigger_sync_fault(world, place, &desired.images) {
        Some(SyncFault::OperationError(message)) => finish_operation(world, place, "Error", &message, now),
        Some(SyncFault::ApplyFailed(message)) => retry_or_fail(world, place, &message, now),
        None if operation.dry_run => {
            finish_operation(world, place, "Succeeded", "successfully synced (dry run)", now)
        }
        None => {
            record_results(world, place, "Synced", "configured", "Running");
            let admitted = world.argocd.apps[place].admitted_images(&desired.images);
            workload::apply_images(world, place, &admitted, now);
            world.argocd.apps[place].applied = Some(desired);
            add_history(&mut world.argocd.apps[place], &operation, now);
            let broken = record_further_results(&mut world.argocd.apps[place]);
            let words = broken.map(|reason| {
                format!("one or more synchronization tasks completed unsuccessfully, reason: {reason}")
            });
            let phase = if words.is_some() { "Failed" } else { "Succeeded" };
            let words = words.unwrap_or_else(|| "successfully synced (all tasks run)".into());
            finish_operation(world, place, phase, &words, now);
            trigger_missing_fault(world, place);
            workload::reconcile(world, place, now);
            health::update_health(&mut world.argocd.apps[place], now);
        }
    }
}

enum SyncFault {
    ApplyFailed(String),
    OperationError(String),
}

fn trigger_sync_fault(world: &mut World, place: usize, images: &[String]) -> Option<SyncFault> {
    let app = &world.argocd.apps[place];
    let shown = images.iter().map(String::as_str).collect();
    let subject =
        FaultTarget { is_seed_version: images == app.initial_images, service: &app.spec.name, images: shown };
    let mut found = None;
    world.faults.trigger_first(|fault, spent| {
        found = match fault {
            Fault::ArgocdSyncFailed(it) if it.applies_to(&subject, spent) => {
                Some(SyncFault::ApplyFailed(it.message.clone()))
            }
            Fault::ArgocdOperationError(it) if it.applies_to(&subject, spent) => {
                Some(SyncFault::OperationError(it.message.clone()))
            }
            _ => None,
        };
        found.is_some()
    });
    found
}

/// A resource that is applied is deleted again by somebody.
fn trigger_missing_fault(world: &mut World, place: usize) {
    let app = &world.argocd.apps[place];
    let images: Vec<&str> =
        app.applied.as_ref().map_or(Vec::new(), |it| it.images.iter().map(String::as_str).collect());
    let old = app.applied.as_ref().is_some_and(|live| live.images == app.initial_images);
    let subject = FaultTarget { is_seed_version: old, service: &app.spec.name, images };
    let lost = world.faults.trigger_first(
        |fault, spent| matches!(fault, Fault::ArgocdMissing(plain) if plain.applies_to(&subject, spent)),
    );
    if lost {
        let work = &mut world.argocd.apps[place].workload;
        work.is_missing = true;
        work.replica_sets.iter_mut().for_each(|set| set.pods.clear());
    }
}

/// Applying failed: try again as often as the policy says, each time after twice as long.
fn retry_or_fail(world: &mut World, place: usize, reason: &str, now: f64) {
    record_results(world, place, "SyncFailed", reason, "Failed");
    let app = &mut world.argocd.apps[place];
    let Some(operation) = &mut app.operation else { return };
    let most = app.spec.retry_limit(operation.initiated_by.is_none());
    let message = format!("one or more synchronization tasks completed unsuccessfully, reason: {reason}");
    if operation.retries >= most {
        let tried = if most > 0 { format!(" (retried {most} times).") } else { String::new() };
        return finish_operation(world, place, "Failed", &(message + &tried), now);
    }
    operation.retries += 1;
    let pause = 5.0 * f64::from(1_u32 << (operation.retries - 1).min(5));
    let at = now + pause.min(180.0);
    operation.message = format!("{message}. Retrying attempt #{} at {}.", operation.retries, format_time(at));
    app.resource_version += 1;
    let number = app.operation_count;
    world.events.schedule(at, ArgoCdEvent::OperationStep { app: place, number });
}

/// What became of the workload and of its Service.
fn record_results(world: &mut World, place: usize, status: &str, words: &str, phase: &str) {
    let app = &mut world.argocd.apps[place];
    let (kind, group) = app.spec.workload_kind();
    let name = app.spec.name.clone();
    let Some(operation) = &mut app.operation else { return };
    operation.results.retain(|it| it.is_hook);
    let of = |group: &str, kind: &str, status: &str, message: String, phase: &str| SyncResourceResult {
        group: group.into(),
        kind: kind.into(),
        name: name.clone(),
        status: status.into(),
        message,
        hook_phase: phase.into(),
        sync_phase: "Sync".into(),
        is_hook: false,
    };
    let unchanged = format!("service/{name} unchanged");
    operation.results.push(of("", "Service", "Synced", unchanged, "Running"));
    let message = match status {
        "Synced" => format!("{}.{group}/{name} {words}", kind.to_lowercase()),
        _ => words.to_owned(),
    };
    operation.results.push(of(group, kind, status, message, phase));
}

/// What became of the further resources; why one of them cannot be applied, if one cannot.
fn record_further_results(app: &mut ArgoCdApp) -> Option<String> {
    let further: Vec<SyncResourceResult> = app.spec.resources.iter().map(further_result).collect();
    let broken = further.iter().find(|it| it.status == "SyncFailed").map(|it| it.message.clone());
    if let Some(operation) = &mut app.operation {
        operation.results.extend(further);
    }
    broken
}

/// What becomes of a further resource in every sync.
pub(super) fn further_result(it: &AppResourceSetting) -> SyncResourceResult {
    let (status, message) = match (it.sync_error.as_str(), it.requires_pruning) {
        ("", true) => ("PruneSkipped", "ignored (requires pruning)".to_owned()),
        ("", false) => ("Synced", format!("{}/{} unchanged", it.kind.to_lowercase(), it.name)),
        (reason, _) => ("SyncFailed", reason.to_owned()),
    };
    SyncResourceResult {
        group: it.group.clone(),
        kind: it.kind.clone(),
        name: it.name.clone(),
        status: status.into(),
        message,
        hook_phase: String::new(),
        sync_phase: "Sync".into(),
        is_hook: false,
    }
}

fn add_history(app: &mut ArgoCdApp, operation: &SyncOperation, now: f64) {
    let id = app.history.last().map_or(0, |last| last.id + 1);
    app.history.push(SyncHistoryEntry {
        id,
        revisions: operation.revisions.clone(),
        started_at: operation.started_at,
        deployed_at: now,
        initiated_by: operation.initiated_by.clone(),
    });
    // `revisionHistoryLimit` is 10.
    let excess = app.history.len().saturating_sub(10);
    app.history.drain(..excess);
}

/// End the operation, and compare again.
pub fn finish_operation(world: &mut World, place: usize, phase: &str, message: &str, now: f64) {
    let app = &mut world.argocd.apps[place];
    let Some(operation) = &mut app.operation else { return };
    (operation.phase, operation.message, operation.finished_at) = (phase.into(), message.into(), Some(now));
    app.resource_version += 1;
    world.events.schedule(now + COMPARE_DELAY, ArgoCdEvent::Refresh { app: place });
}
