//! What one look at an application says of a rollout: the decision table. Pure. What it shows of the time before our
//! commit is never taken for ours, be it good or bad.

use std::time::Duration;

use super::causes;
use super::read::{Application, Operation, Resource};
use crate::problem::{Code, Problem};
use crate::release::{Digest, Failure, Health, ImageRef, Progress, Proof, Version};

/// How long a state that may be of the time before is left alone.
const GRACE: Duration = Duration::from_secs(60);
/// How long a pod must be in trouble that may pass by itself.
const TROUBLE: Duration = Duration::from_secs(10);

/// What is watched.
#[derive(Debug, Clone, Copy)]
pub struct Want<'w> {
    /// The version.
    pub version: &'w Version,
    /// Its image as it stands in the files.
    pub image: &'w ImageRef,
}

/// One look, with what other looks told.
#[derive(Debug, Clone, Copy)]
pub struct Look<'l> {
    /// The application.
    pub application: &'l Application,
    /// Which of its sources is our repository.
    pub source: usize,
    /// Whether the commit that it was compared with has ours in it.
    pub compared: bool,
    /// Whether the commit of its last sync has ours in it.
    pub synced: bool,
    /// How long it has been synced at a commit with ours in it.
    pub here: Duration,
    /// How long pods of our image have been in trouble, and the worst of it.
    pub trouble: Option<(Duration, &'l Failure)>,
    /// How long the application itself has been broken.
    pub broken: Option<Duration>,
    /// How long it has been out of sync after a sync that succeeded.
    pub astray: Option<Duration>,
    /// How a progressive rollout is, in words.
    pub story: Option<&'l str>,
}

/// Says what it means.
pub fn decide(want: Want<'_>, look: &Look<'_>) -> Health {
    let status = &look.application.status;
    let operation = status.operation_state.as_ref();
    if let Some(failure) = operation.filter(|_| look.synced).and_then(causes::of_sync) {
        return Health::Failing(failure);
    }
    if let Some(failure) =
        look.broken.filter(|since| *since >= GRACE).and_then(|_| causes::of_conditions(&status.conditions))
    {
        return Health::Failing(failure);
    }
    if !look.compared {
        return progressing(format!("waiting for Argo CD to see the commit; it is at {}", at(look)));
    }
    if status.sync.status != "Synced" {
        if look.astray.is_some_and(|since| since >= GRACE) {
            return Health::Failing(causes::of_drift(&status.resources));
        }
        return progressing(syncing(&status.sync.status, operation));
    }
    fares(want, look, operation)
}

/// It is synced with our commit in it: how does it fare?
fn fares(want: Want<'_>, look: &Look<'_>, operation: Option<&Operation>) -> Health {
    let status = &look.application.status;
    match status.health.status.as_str() {
        "Degraded" if is_ours(look, operation) => Health::Failing(degraded(look)),
        "Healthy" if operation.is_some_and(Operation::is_running) => {
            progressing("the sync is not over".into())
        }
        "Healthy" => healthy(want, look),
        "" | "Unknown" => Health::Unknown("Argo CD does not know how the application fares".into()),
        other => match look.trouble.filter(|(since, _)| *since >= TROUBLE) {
            Some((_, failure)) => Health::Failing(failure.clone()),
            None => progressing(look.story.map_or_else(|| other.to_lowercase(), str::to_owned)),
        },
    }
}

/// Whether the health is of the time since our sync: it changed since, or it did not change for long.
fn is_ours(look: &Look<'_>, operation: Option<&Operation>) -> bool {
    let since = look.application.status.health.last_transition_time;
    let began = operation.filter(|_| look.synced).and_then(|operation| operation.started_at);
    since.zip(began).is_some_and(|(since, began)| since >= began) || look.here >= GRACE
}

fn degraded(look: &Look<'_>) -> Failure {
    let bad =
        |resource: &&Resource| resource.health.as_ref().is_some_and(|health| health.status == "Degraded");
    let resources: Vec<&Resource> = look.application.status.resources.iter().filter(bad).collect();
    match look.trouble {
        Some((_, failure)) => failure.clone(),
        None => causes::of_resources(&resources, &look.application.status.health.message),
    }
}

fn healthy(want: Want<'_>, look: &Look<'_>) -> Health {
    let images = &look.application.status.summary.images;
    let live = images.iter().find(|image| is_live(image, want.image));
    let revision = at(look);
    match live {
        Some(live) => Health::Healthy(Proof {
            version: want.version.clone(),
            digest: digest(live),
            evidence: format!("application Synced at {revision} and Healthy, live: {live}"),
        }),
        // An application without pods has no images to show.
        None if images.is_empty() && look.here >= GRACE => Health::Healthy(Proof {
            version: want.version.clone(),
            digest: None,
            evidence: format!("application Synced at {revision} and Healthy; it lists no live image"),
        }),
        None => progressing("synced and healthy, but the new image is not live yet".into()),
    }
}

/// Whether a live image is the wished one: by digest where both have one, else by tag.
pub fn is_live(live: &str, wanted: &ImageRef) -> bool {
    let Ok(live) = live.parse::<ImageRef>() else { return false };
    let same = match (&live.digest, &wanted.digest) {
        (Some(live), Some(wanted)) => live == wanted,
        _ => live.tag == wanted.tag,
    };
    same && live.repository == wanted.repository
        && (live.registry == wanted.registry || wanted.registry.is_empty())
}

fn digest(live: &str) -> Option<Digest> {
    live.parse::<ImageRef>().ok()?.digest
}

fn syncing(status: &str, operation: Option<&Operation>) -> String {
    match operation.filter(|operation| operation.is_running()) {
        Some(running) if running.message.is_empty() => "syncing".into(),
        Some(running) => format!("syncing: {}", running.message),
        None if status == "OutOfSync" => "Argo CD has seen the commit and not synced it yet".into(),
        None => format!("the state of the sync is {status}"),
    }
}

fn at(look: &Look<'_>) -> String {
    let revision = look.application.revision(look.source).unwrap_or("no commit");
    revision.get(..7).filter(|_| revision.len() == 40).unwrap_or(revision).to_owned()
}

fn progressing(stage: String) -> Health {
    Health::Progressing(Progress { stage, ..Progress::default() })
}

/// An application that does not take its manifests from our repository will never show our commit.
pub fn foreign(application: &str, repository: &str) -> Problem {
    let sentence = format!("The application `{application}` takes nothing from `{repository}`.");
    Problem::error(Code::ServiceMissing, sentence)
        .help("Check `application` and `repository`: its `repoURL` must be the repository of the files.")
}
