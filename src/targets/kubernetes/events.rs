//! Causes that only events tell: pods of a StatefulSet or a DaemonSet that cannot be made, volumes that are not mounted, and what a
//! probe answered. Pure; all texts are untrusted.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::causes::{Cause, creation_cause};
use super::pod::Pod;
use super::read::WorkloadObject;
use crate::problem::{Code, Problem};
use crate::targets::json::lenient_timestamp;

/// How long nothing moves before events are read.
pub const READ_PATIENCE: Duration = Duration::from_secs(20);
/// Between two reads of events.
pub const READ_INTERVAL: Duration = Duration::from_secs(15);

/// An event (`v1`).
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EventObject {
    /// What it is about.
    pub involved_object: EventSubject,
    /// Such as `FailedCreate`.
    pub reason: String,
    /// Its words.
    pub message: String,
    /// When it happened last, of the older form of events.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub last_timestamp: Option<Timestamp>,
    /// When it happened, of the newer form.
    #[serde(deserialize_with = "lenient_timestamp")]
    pub event_time: Option<Timestamp>,
}

/// What an event is about.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EventSubject {
    /// Its identity.
    pub uid: String,
    /// Its name.
    pub name: String,
}

impl EventObject {
    fn happened_at(&self) -> Option<Timestamp> {
        self.last_timestamp.max(self.event_time)
    }

    fn is_about(&self, uid: &str) -> bool {
        !uid.is_empty() && self.involved_object.uid == uid
    }
}

/// The warnings of a namespace, as far as they are about one rollout.
#[derive(Debug, Clone, Copy)]
pub struct RolloutEvents<'e> {
    /// All of them.
    pub all: &'e [EventObject],
    /// When the rollout began; what happened before says nothing of it.
    pub started: Option<Timestamp>,
}

impl<'e> RolloutEvents<'e> {
    /// Those about an object, the newest first.
    fn about(&self, uid: &str) -> Vec<&'e EventObject> {
        let is_of_rollout = |event: &&EventObject| {
            event.is_about(uid) && (self.started.is_none() || event.happened_at() >= self.started)
        };
        let mut found: Vec<&EventObject> = self.all.iter().filter(is_of_rollout).collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.happened_at()));
        found
    }
}

/// The cause with what events add to it: a cause of their own where pods tell none, and the answer of the probe where a pod is not
/// ready.
pub fn add_events(
    known: Option<Cause>,
    workload: &WorkloadObject,
    pods: &[&Pod],
    events: &RolloutEvents<'_>,
) -> Option<Cause> {
    match known {
        Some(cause) if cause.is_unready() => Some(with_probe_answer(cause, pods, events)),
        Some(cause) => Some(cause),
        None => {
            let refused = events.about(&workload.metadata.uid).into_iter();
            let refused = refused.filter(|event| event.reason == "FailedCreate");
            let of_workload = refused.map(|event| creation_cause(&event.message, !pods.is_empty())).next();
            of_workload.or_else(|| pods.iter().find_map(|pod| setup_cause(pod, events)))
        }
    }
}

/// A pod that waits for its volumes, its network or its node.
fn setup_cause(pod: &Pod, events: &RolloutEvents<'_>) -> Option<Cause> {
    if pod.is_ready() || !pod.is_active() {
        return None;
    }
    let known = [
        "FailedMount",
        "FailedAttachVolume",
        "FailedCreatePodSandBox",
        "FailedScheduling",
        "NetworkNotReady",
    ];
    let event = events.about(&pod.metadata.uid).into_iter().find(|one| known.contains(&&*one.reason))?;
    let sentence = format!("The pod `{}` cannot be set up ({}).", pod.metadata.name, event.reason);
    let code = if event.reason == "FailedScheduling" { Code::NoCapacity } else { Code::ResourceSetupFailed };
    let problem = Problem::error(code, sentence)
        .cause(event.message.clone())
        .help("The message names the volume, the network or the node that is missing.");
    Some(Cause::waiting(15, problem))
}

fn with_probe_answer(cause: Cause, pods: &[&Pod], events: &RolloutEvents<'_>) -> Cause {
    let unready = pods.iter().filter(|pod| pod.is_active() && !pod.is_ready());
    let answers = unready.flat_map(|pod| {
        let probed = events.about(&pod.metadata.uid).into_iter().find(|event| event.reason == "Unhealthy")?;
        Some(format!("pod {}: {}", pod.metadata.name, probed.message))
    });
    match answers.into_iter().next() {
        Some(answer) => cause.with_cause(answer),
        None => cause,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::causes::{Permanence, worst_cause};
    use super::*;

    fn workload() -> WorkloadObject {
        serde_json::from_value(json!({ "metadata": { "name": "db", "uid": "w" } })).unwrap()
    }

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "db-0", "uid": "p" }, "status": status }))
            .unwrap()
    }

    fn event(uid: &str, reason: &str, message: &str, at: &str) -> EventObject {
        let value = json!({
            "involvedObject": { "uid": uid }, "reason": reason, "message": message, "lastTimestamp": at, "eventTime": null,
        });
        serde_json::from_value(value).unwrap()
    }

    const LATER: &str = "2026-01-01T00:01:00Z";

    fn cause(pods: &[&Pod], all: &[EventObject]) -> Option<Cause> {
        let events = RolloutEvents { all, started: "2026-01-01T00:00:00Z".parse().ok() };
        add_events(worst_cause(None, pods, false), &workload(), pods, &events)
    }

    fn row(pods: &[&Pod], all: &[EventObject]) -> Option<(u8, bool, Code)> {
        let cause = cause(pods, all)?;
        Some((cause.row, cause.permanence != Permanence::Deadline, cause.failure.problem.code))
    }

    #[test]
    fn events_are_causes_where_pods_tell_nothing() {
        let creating = pod(json!({ "phase": "Pending", "containerStatuses": [
            { "name": "app", "state": { "waiting": { "reason": "ContainerCreating" } } },
        ] }));
        let quota = event(
            "w",
            "FailedCreate",
            "create Pod db-2 in StatefulSet db failed error: exceeded quota: q",
            LATER,
        );
        let denied = event("w", "FailedCreate", "admission webhook \"x\" denied the request", LATER);
        let mount = event("p", "FailedMount", "secret \"tls\" not found", LATER);
        let full = event("p", "FailedScheduling", "0/3 nodes are available", LATER);
        let none: &[&Pod] = &[];
        let table = [
            (none, quota.clone(), Some((8, false, Code::NoCapacity))),
            (none, denied.clone(), Some((9, true, Code::ResourceSetupFailed))),
            (&[&creating], denied, Some((9, false, Code::ResourceSetupFailed))),
            (&[&creating], mount, Some((15, false, Code::ResourceSetupFailed))),
            (&[&creating], full, Some((15, false, Code::NoCapacity))),
            (none, event("other", "FailedCreate", "exceeded quota", LATER), None),
            (none, event("w", "FailedCreate", "exceeded quota", "2025-12-31T23:59:59Z"), None),
            (&[&creating], event("p", "Pulled", "x", LATER), None),
        ];
        for (pods, event, expected) in table {
            assert_eq!(row(pods, std::slice::from_ref(&event)), expected, "{event:?}");
        }
    }

    #[test]
    fn answer_of_a_probe_is_shown_and_another_cause_of_pods_counts_before_events() {
        let unready =
            pod(json!({ "phase": "Running", "containerStatuses": [{ "name": "app", "ready": false }] }));
        let answer = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        let probed = [event("p", "Unhealthy", answer, LATER)];
        let shown = cause(&[&unready], &probed).unwrap();
        assert_eq!((shown.row, shown.failure.problem.cause), (16, Some(format!("pod db-0: {answer}"))));
        let missing = pod(json!({ "phase": "Pending", "containerStatuses": [
            { "name": "app", "state": { "waiting": { "reason": "CreateContainerConfigError", "message": "secret \"x\"" } } },
        ] }));
        assert_eq!(row(&[&missing], &[event("w", "FailedCreate", "x", LATER)]).unwrap().0, 12);
    }
}
