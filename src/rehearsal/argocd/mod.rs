//! Argo CD: applications that follow branches of repositories, the syncs that bring them there, the pods that then roll.
//! Written from Argo CD's and Argo Rollouts' own sources and documentation (3.5); it shares no code with the engine.

/// Canaries of Argo Rollouts.
pub mod canary;
/// The application controller.
pub mod control;
/// Events of Kubernetes.
pub mod events;
/// Argo CD as it is when the world begins.
pub mod founding;
/// What Argo CD sees of Git.
pub mod git;
/// Health.
pub mod health;
/// Manifests of live resources.
pub mod live;
/// What others do to an application.
pub mod meddling;
/// Sync operations.
pub mod operation;
/// Pods.
pub mod pods;
/// From files to images.
pub mod render;
/// The scenario's words.
pub mod setting;
/// State.
pub mod state;
/// The tree of an application's resources.
pub mod tree;
/// Applications as JSON.
pub mod views;
/// Deployments.
pub mod workload;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::operation::Order;
use self::state::App;
use super::call::{Answer, Call, Delivery, Refusal};
use super::dispatch::not_modelled;
use super::faults::Fault;
use super::members::{list, text};
use super::world::World;

/// Something that happens in Argo CD or in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A look at Git that nobody asked for.
    Poll {
        /// Place of the application.
        app: usize,
    },
    /// A comparison that was asked for.
    Refresh {
        /// Place of the application.
        app: usize,
    },
    /// The running operation gets on.
    Operation {
        /// Place of the application.
        app: usize,
        /// Number of the operation.
        number: u64,
    },
    /// Something changes in the workload.
    Wake {
        /// Place of the application.
        app: usize,
        /// Number of the look: only the newest counts.
        number: u64,
    },
    /// Somebody else's sync begins.
    Busy {
        /// Place of the fault.
        fault: usize,
    },
    /// Somebody changes the cluster by hand.
    Drift {
        /// Place of the fault.
        fault: usize,
    },
    /// Somebody else commits a newer image.
    Supersede {
        /// Place of the application.
        app: usize,
    },
    /// Somebody pauses a workload.
    Suspend {
        /// Place of the fault.
        fault: usize,
    },
}

/// Let something happen.
pub fn happen(world: &mut World, happening: Happening, now: f64) {
    match happening {
        Happening::Poll { app } => {
            control::compare(world, app, now);
            control::plan_poll(world, app, now);
        }
        Happening::Refresh { app } => control::compare(world, app, now),
        Happening::Operation { app, number } if world.argocd.apps[app].operations == number => {
            operation::go_on(world, app, now);
        }
        Happening::Wake { app, number } if world.argocd.apps[app].wake == number => {
            workload::settle(world, app, now);
            health::note(&mut world.argocd.apps[app], now);
        }
        Happening::Operation { .. } | Happening::Wake { .. } => {}
        Happening::Busy { fault } => meddling::busy(world, fault, now),
        Happening::Drift { fault } => meddling::drift(world, fault, now),
        Happening::Supersede { app } => meddling::supersede(world, app, now),
        Happening::Suspend { fault } => meddling::suspend(world, fault, now),
    }
}

/// Answers a call to Argo CD's API server.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    known(world, &call.input, now)?;
    match call.operation.as_str() {
        "ListApplications" => list_applications(world, now),
        "GetApplication" => get(world, &call.input, now),
        "ResourceTree" => found(world, &call.input).map(|app| tree::tree(&world.argocd.apps[app], now)),
        "ListResourceEvents" => {
            let app = found(world, &call.input)?;
            events::events(&world.argocd.apps[app], &call.input, now)
        }
        "GetResource" => {
            let app = found(world, &call.input)?;
            live::manifest(&world.argocd.apps[app], &call.input, now)
        }
        "SyncApplication" => sync(world, &call.input, now),
        "TerminateOperation" => terminate(world, &call.input, now),
        _ => Err(not_modelled(call)),
    }
}

fn denied() -> Refusal {
    Refusal::of(403, "PermissionDenied", "permission denied")
}

/// Whether the token is one that is known still.
fn known(world: &World, input: &Value, now: f64) -> Result<(), Refusal> {
    let bearer = text(input, "bearer");
    if bearer.is_empty() {
        return Err(Refusal::of(401, "Unauthenticated", "no session information"));
    }
    if world.argocd.setting.token.as_deref().is_some_and(|token| token != bearer) {
        let words = "invalid session: token signature is invalid: signature is invalid";
        return Err(Refusal::of(401, "Unauthenticated", words));
    }
    let expired = world.mischief.faults.iter().any(|fault| match fault {
        Fault::ArgocdTokenExpires(expiry) => now >= world.mischief.began + expiry.after,
        _ => false,
    });
    if expired {
        let words = "invalid session: token has invalid claims: token is expired";
        return Err(Refusal::of(401, "Unauthenticated", words));
    }
    Ok(())
}

fn may(world: &World, right: &str) -> bool {
    world.argocd.setting.rights.iter().any(|have| have == right || have == "*")
}

/// The application that is meant. Without a project in the question, one that is not there and one that may not be seen
/// are refused in the same words, so that nobody learns which it was.
fn found(world: &World, input: &Value) -> Result<usize, Refusal> {
    let (name, project) = (text(input, "name"), text(input, "project"));
    let seen = |project: &str| {
        may(world, "get") && world.argocd.setting.projects.iter().any(|it| it == "*" || it == project)
    };
    let missing = || Refusal::of(404, "NotFound", format!("applications.argoproj.io \"{name}\" not found"));
    if !project.is_empty() && !seen(project) {
        return Err(denied());
    }
    let place = App::find(&world.argocd, name, text(input, "appNamespace"));
    match place.map(|place| (place, &world.argocd.apps[place].setting.project)) {
        Some((place, own)) if seen(own) && (project.is_empty() || project == own) => Ok(place),
        _ if project.is_empty() => Err(denied()),
        _ => Err(missing()),
    }
}

fn list_applications(world: &World, now: f64) -> Answer {
    let seen = |app: &&App| {
        may(world, "get")
            && world.argocd.setting.projects.iter().any(|it| it == "*" || *it == app.setting.project)
    };
    let items: Vec<Value> = world
        .argocd
        .apps
        .iter()
        .filter(seen)
        .map(|app| views::application(&world.argocd, app, now))
        .collect();
    Ok(json!({ "metadata": { "resourceVersion": "1" }, "items": items }))
}

/// With `refresh`, the answer comes once the refresh has been worked: see [`awaited`].
fn get(world: &mut World, input: &Value, now: f64) -> Answer {
    let place = found(world, input)?;
    let kind = text(input, "refresh").to_owned();
    if !kind.is_empty() {
        control::refresh(world, place, &kind, now);
    }
    Ok(views::application(&world.argocd, &world.argocd.apps[place], now))
}

/// Until when the answer of a call has to wait, epoch seconds: for the refresh that it asked for and that its answer so
/// far shows as pending.
pub fn awaited(world: &World, call: &Call, delivery: &Delivery) -> Option<f64> {
    let Delivery::Answer(Ok(answer)) = delivery else { return None };
    if call.service != "argocd"
        || call.operation != "GetApplication"
        || text(&call.input, "refresh").is_empty()
    {
        return None;
    }
    answer["metadata"]["annotations"].get(views::REFRESH)?;
    let place = App::find(&world.argocd, text(&call.input, "name"), text(&call.input, "appNamespace"))?;
    world.argocd.apps[place].refresh.as_ref().map(|(_, at)| *at)
}

/// The answer of a call that has waited.
pub fn after_waiting(world: &World, call: &Call, now: f64) -> Answer {
    let place = found(world, &call.input)?;
    Ok(views::application(&world.argocd, &world.argocd.apps[place], now))
}

fn sync(world: &mut World, input: &Value, now: f64) -> Answer {
    let place = found(world, input)?;
    let app = &world.argocd.apps[place];
    if !may(world, "sync") {
        let setting = &app.setting;
        let words = format!(
            "permission denied: applications, sync, {}/{}, sub: roadstead",
            setting.project, setting.name
        );
        return Err(Refusal::of(403, "PermissionDenied", words));
    }
    let dry_run = input["dryRun"].as_bool().unwrap_or_default();
    let revisions = wanted(world, place, input, dry_run, now)?;
    if world.argocd.apps[place].busy() {
        let words = "error setting app operation: rpc error: code = FailedPrecondition desc = another operation is \
                     already in progress";
        return Err(Refusal::of(400, "FailedPrecondition", words));
    }
    let prune = input["prune"].as_bool().unwrap_or_default();
    let order = Order { revisions, by: Some("roadstead".into()), dry_run, prune, until: None };
    operation::start(world, place, order, now);
    Ok(views::application(&world.argocd, &world.argocd.apps[place], now))
}

/// The commits to sync to: those of the sources, or the one that is asked for where the application does not sync itself.
fn wanted(
    world: &World,
    place: usize,
    input: &Value,
    dry_run: bool,
    now: f64,
) -> Result<Vec<String>, Refusal> {
    let setting = &world.argocd.apps[place].setting;
    let precondition = |words: String| Refusal::of(400, "FailedPrecondition", words);
    let mut revisions = git::revisions(world, place, now).map_err(precondition)?;
    let mut asked: Vec<(usize, String)> = Vec::new();
    if setting.multi() {
        for (position, revision) in list(input, "sourcePositions").iter().zip(list(input, "revisions")) {
            let position =
                position.as_u64().or_else(|| position.as_str()?.parse().ok()).unwrap_or(0) as usize;
            if position == 0 || position > setting.sources.len() {
                return Err(Refusal::of(500, "Unknown", "source position is out of range"));
            }
            asked.push((position - 1, revision.as_str().unwrap_or_default().into()));
        }
    } else if !text(input, "revision").is_empty() {
        asked.push((0, text(input, "revision").into()));
    }
    for (source, revision) in asked.into_iter().filter(|(at, it)| it != setting.sources[*at].target()) {
        if setting.automated && !dry_run {
            let target = setting.sources[source].target();
            let of = if setting.multi() {
                format!(" source {}", setting.sources[source].url())
            } else {
                String::new()
            };
            return Err(precondition(format!(
                "Cannot sync{of} to {revision}: auto-sync currently set to {target}"
            )));
        }
        revisions[source] = git::resolve(world, &setting.sources[source], &revision)
            .ok_or_else(|| precondition(format!("unable to resolve '{revision}' to a commit SHA")))?;
    }
    Ok(revisions)
}

fn terminate(world: &mut World, input: &Value, now: f64) -> Answer {
    let place = found(world, input)?;
    if !may(world, "sync") {
        return Err(denied());
    }
    if !world.argocd.apps[place].busy() {
        let words = "Unable to terminate operation. No operation is in progress";
        return Err(Refusal::of(400, "InvalidArgument", words));
    }
    operation::finish(world, place, "Failed", "Operation terminated", now);
    Ok(json!({}))
}
