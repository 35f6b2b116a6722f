//! Argo CD: applications that follow branches of repositories, the syncs that bring them there, the pods that then roll.
//! Written from Argo CD's and Argo Rollouts' own sources and documentation (3.5); it shares no code with the engine.

/// What the caller may do, and when syncs are denied.
mod access;
/// The built-in scenarios.
pub(crate) mod builtin;
/// Canaries of Argo Rollouts.
pub mod canary;
/// The application controller.
pub mod controller;
/// What can go wrong.
pub mod faults;
/// What Argo CD sees of Git.
pub mod git;
/// Health.
pub mod health;
/// Events of Kubernetes.
pub mod kubernetes_events;
/// Manifests of live resources.
pub mod live_manifests;
/// Managed resources, live and as Git makes them.
mod managed_resources;
/// Sync operations.
pub mod operation;
/// What others do to an application.
pub mod outside_changes;
/// What containers wrote.
mod pod_logs;
/// Pods.
pub mod pods;
/// From files to images.
pub mod render;
/// The tree of an application's resources.
pub mod resource_tree;
/// Applications as JSON.
pub mod responses;
/// The scenario's words.
pub mod scenario;
/// Argo CD as it is when the world begins.
pub mod seed;
/// Argo CD as a service of the cloud.
mod service;
/// State.
pub mod state;
/// Deployments.
pub mod workload;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::operation::SyncRequest;
use self::state::ArgoCdApp;
use super::events::Event;
use super::faults::Fault;
use super::input::{list_field, str_field};
use super::request::{ServiceCall, ServiceError, ServiceResult};
use super::service::unsupported_operation;
use super::world::World;

pub use service::ArgoCd;

/// Something that happens in Argo CD or in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgoCdEvent {
    /// A poll of Git.
    Poll {
        /// Place of the application.
        app: usize,
    },
    /// A requested refresh.
    Refresh {
        /// Place of the application.
        app: usize,
    },
    /// The running operation gets on.
    OperationStep {
        /// Place of the application.
        app: usize,
        /// Number of the operation.
        number: u64,
    },
    /// Something changes in the workload.
    WorkloadDue {
        /// Place of the application.
        app: usize,
        /// Number of the look: only the newest counts.
        number: u64,
    },
    /// Somebody else's sync begins.
    OutsideSync {
        /// Place of the fault.
        fault: usize,
    },
    /// Somebody changes the cluster by hand.
    Drift {
        /// Place of the fault.
        fault: usize,
    },
    /// Somebody else commits a newer image.
    OutsideCommit {
        /// Place of the application.
        app: usize,
    },
    /// Somebody pauses a workload.
    PauseWorkload {
        /// Place of the fault.
        fault: usize,
    },
}

impl From<ArgoCdEvent> for Event {
    fn from(happening: ArgoCdEvent) -> Self {
        Self::new("argocd", move |world, at| on_event(world, happening.clone(), at))
    }
}

fn on_event(world: &mut World, happening: ArgoCdEvent, now: f64) {
    match happening {
        ArgoCdEvent::Poll { app } => {
            controller::compare_application(world, app, now);
            controller::schedule_poll(world, app, now);
        }
        ArgoCdEvent::Refresh { app } => controller::compare_application(world, app, now),
        ArgoCdEvent::OperationStep { app, number } if world.argocd.apps[app].operation_count == number => {
            operation::advance_operation(world, app, now);
        }
        ArgoCdEvent::WorkloadDue { app, number } if world.argocd.apps[app].wake_number == number => {
            workload::reconcile(world, app, now);
            health::update_health(&mut world.argocd.apps[app], now);
        }
        ArgoCdEvent::OperationStep { .. } | ArgoCdEvent::WorkloadDue { .. } => {}
        ArgoCdEvent::OutsideSync { fault } => outside_changes::start_outside_sync(world, fault, now),
        ArgoCdEvent::Drift { fault } => outside_changes::drift_workload(world, fault, now),
        ArgoCdEvent::OutsideCommit { app } => outside_changes::commit_other_image(world, app, now),
        ArgoCdEvent::PauseWorkload { fault } => outside_changes::pause_workload(world, fault, now),
    }
}

/// Answers a call to Argo CD's API server.
fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    check_token(world, &call.input, now)?;
    match call.operation.as_str() {
        "ListApplications" => list_applications(world, now),
        "GetApplication" => get_application(world, &call.input, now),
        "ResourceTree" => find_application(world, &call.input)
            .map(|app| resource_tree::resource_tree(&world.argocd.apps[app], now)),
        "ListResourceEvents" => {
            let app = find_application(world, &call.input)?;
            kubernetes_events::list_events(&world.argocd.apps[app], &call.input, now)
        }
        "GetResource" => {
            let app = find_application(world, &call.input)?;
            live_manifests::live_manifest(&world.argocd.apps[app], &call.input, now)
        }
        "ManagedResources" => find_application(world, &call.input)
            .map(|app| managed_resources::managed_resources(&world.argocd.apps[app], now)),
        "GetApplicationSyncWindows" => {
            let app = find_application(world, &call.input)?;
            Ok(access::sync_windows(world, app, now))
        }
        "PodLogs" => {
            let app = find_application(world, &call.input)?;
            pod_logs::pod_logs(world, app, &call.input, now)
        }
        "CanI" => Ok(access::can_i(world, &call.input)),
        "SyncApplication" => sync_application(world, &call.input, now),
        "TerminateOperation" => terminate_operation(world, &call.input, now),
        _ => Err(unsupported_operation(call)),
    }
}

fn permission_denied() -> ServiceError {
    ServiceError::with_status(403, "PermissionDenied", "permission denied")
}

/// Whether the token is one that is known still.
fn check_token(world: &World, input: &Value, now: f64) -> Result<(), ServiceError> {
    let bearer = str_field(input, "bearer");
    if bearer.is_empty() {
        return Err(ServiceError::with_status(401, "Unauthenticated", "no session information"));
    }
    if world.argocd.settings.token.as_deref().is_some_and(|token| token != bearer) {
        let words = "invalid session: token signature is invalid: signature is invalid";
        return Err(ServiceError::with_status(401, "Unauthenticated", words));
    }
    let expired = world.faults.list.iter().any(|fault| match fault {
        Fault::ArgocdTokenExpires(expiry) => now >= world.faults.started_at + expiry.after,
        _ => false,
    });
    if expired {
        let words = "invalid session: token has invalid claims: token is expired";
        return Err(ServiceError::with_status(401, "Unauthenticated", words));
    }
    Ok(())
}

fn has_right(world: &World, right: &str) -> bool {
    world.argocd.settings.rights.iter().any(|have| have == right || have == "*")
}

/// The application that is meant. Without a project in the question, one that is not there and one that may not be seen
/// are refused in the same words, so that nobody learns which it was.
fn find_application(world: &World, input: &Value) -> Result<usize, ServiceError> {
    let (name, project) = (str_field(input, "name"), str_field(input, "project"));
    let seen = |project: &str| {
        has_right(world, "get") && world.argocd.settings.projects.iter().any(|it| it == "*" || it == project)
    };
    let missing = || {
        ServiceError::with_status(404, "NotFound", format!("applications.argoproj.io \"{name}\" not found"))
    };
    if !project.is_empty() && !seen(project) {
        return Err(permission_denied());
    }
    let place = ArgoCdApp::find_index(&world.argocd, name, str_field(input, "appNamespace"));
    match place.map(|place| (place, &world.argocd.apps[place].spec.project)) {
        Some((place, own)) if seen(own) && (project.is_empty() || project == own) => Ok(place),
        _ if project.is_empty() => Err(permission_denied()),
        _ => Err(missing()),
    }
}

fn list_applications(world: &World, now: f64) -> ServiceResult {
    let seen = |app: &&ArgoCdApp| {
        has_right(world, "get")
            && world.argocd.settings.projects.iter().any(|it| it == "*" || *it == app.spec.project)
    };
    let items: Vec<Value> = world
        .argocd
        .apps
        .iter()
        .filter(seen)
        .map(|app| responses::application_json(&world.argocd, app, now))
        .collect();
    Ok(json!({ "metadata": { "resourceVersion": "1" }, "items": items }))
}

/// With `refresh`, the answer comes once the refresh has been worked: see [`awaited`].
fn get_application(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let place = find_application(world, input)?;
    let kind = str_field(input, "refresh").to_owned();
    if !kind.is_empty() {
        controller::request_refresh(world, place, &kind, now);
    }
    Ok(responses::application_json(&world.argocd, &world.argocd.apps[place], now))
}

fn sync_application(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let place = find_application(world, input)?;
    let app = &world.argocd.apps[place];
    if !has_right(world, "sync") {
        let setting = &app.spec;
        let words = format!(
            "permission denied: applications, sync, {}/{}, sub: roadstead",
            setting.project, setting.name
        );
        return Err(ServiceError::with_status(403, "PermissionDenied", words));
    }
    let elapsed = now - world.faults.started_at;
    if app.spec.active_window(elapsed).is_some_and(|window| !window.manual_sync) {
        return Err(ServiceError::with_status(
            403,
            "PermissionDenied",
            "cannot sync: blocked by sync window",
        ));
    }
    let dry_run = input["dryRun"].as_bool().unwrap_or_default();
    access::check_override(world, place, input)?;
    let revisions = requested_revisions(world, place, input, dry_run, now)?;
    if world.argocd.apps[place].is_operation_running() {
        let words = "error setting app operation: rpc error: code = FailedPrecondition desc = another operation is \
                     already in progress";
        return Err(ServiceError::with_status(400, "FailedPrecondition", words));
    }
    let prune = input["prune"].as_bool().unwrap_or_default();
    let order = SyncRequest {
        revisions,
        initiated_by: Some("roadstead".into()),
        dry_run,
        prune,
        outside_until: None,
    };
    operation::start_operation(world, place, order, now);
    Ok(responses::application_json(&world.argocd, &world.argocd.apps[place], now))
}

/// The commits to sync to: those of the sources, or the requested one where the application has no automated sync.
fn requested_revisions(
    world: &World,
    place: usize,
    input: &Value,
    dry_run: bool,
    now: f64,
) -> Result<Vec<String>, ServiceError> {
    let setting = &world.argocd.apps[place].spec;
    let precondition = |words: String| ServiceError::with_status(400, "FailedPrecondition", words);
    let mut revisions = git::source_revisions(world, place, now).map_err(precondition)?;
    let mut asked: Vec<(usize, String)> = Vec::new();
    if setting.is_multi_source() {
        for (position, revision) in
            list_field(input, "sourcePositions").iter().zip(list_field(input, "revisions"))
        {
            let position =
                position.as_u64().or_else(|| position.as_str()?.parse().ok()).unwrap_or(0) as usize;
            if position == 0 || position > setting.sources.len() {
                return Err(ServiceError::with_status(500, "Unknown", "source position is out of range"));
            }
            asked.push((position - 1, revision.as_str().unwrap_or_default().into()));
        }
    } else if !str_field(input, "revision").is_empty() {
        asked.push((0, str_field(input, "revision").into()));
    }
    for (source, revision) in
        asked.into_iter().filter(|(at, it)| it != setting.sources[*at].target_revision())
    {
        if setting.automated && !dry_run {
            let target = setting.sources[source].target_revision();
            let of = if setting.is_multi_source() {
                format!(" source {}", setting.sources[source].repo_url())
            } else {
                String::new()
            };
            return Err(precondition(format!(
                "Cannot sync{of} to {revision}: auto-sync currently set to {target}"
            )));
        }
        revisions[source] = git::resolve_revision(world, &setting.sources[source], &revision)
            .ok_or_else(|| precondition(format!("unable to resolve '{revision}' to a commit SHA")))?;
    }
    Ok(revisions)
}

fn terminate_operation(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let place = find_application(world, input)?;
    if !has_right(world, "sync") {
        return Err(permission_denied());
    }
    if !world.argocd.apps[place].is_operation_running() {
        let words = "Unable to terminate operation. No operation is in progress";
        return Err(ServiceError::with_status(400, "InvalidArgument", words));
    }
    operation::finish_operation(world, place, "Failed", "Operation terminated", now);
    Ok(json!({}))
}
