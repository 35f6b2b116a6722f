//! The table of verdicts, row by row.

use std::time::Duration;

use serde_json::{Value, json};

use super::causes::worst_cause;
use super::pod::Pod;
use super::read::{WorkloadObject, read_object};
use super::revision::RevisionObject;
use super::settings::WorkloadKind;
use super::template::template_id;
use super::verdict::{ContainerImage, ExpectedRollout, LookDurations, Verdict, WorkloadLook, judge};

/// A look at a Deployment of two pods that is complete, and what is different in it.
#[derive(Clone)]
struct Look {
    kind: WorkloadKind,
    workload: Value,
    revision: Option<Value>,
    pods: Vec<Value>,
    since: LookDurations,
}

fn template() -> Value {
    json!({ "spec": { "containers": [{ "name": "app", "image": "r/api:v2" }] } })
}

fn ready_pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "ownerReferences": [{ "uid": "rs", "controller": true }] },
        "status": {
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [{ "name": "app", "ready": true }],
        },
    })
}

fn waiting_pod(reason: &str, message: &str, restarts: u32) -> Value {
    json!({
        "metadata": { "name": "api-x", "ownerReferences": [{ "uid": "rs", "controller": true }] },
        "status": { "phase": "Pending", "containerStatuses": [{
            "name": "app", "restartCount": restarts, "state": { "waiting": { "reason": reason, "message": message } },
            "lastState": if restarts > 0 { json!({ "terminated": { "exitCode": 1, "reason": "Error" } }) } else { json!({}) },
        }] },
    })
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Look {
    fn complete() -> Self {
        Self {
            kind: WorkloadKind::Deployment,
            workload: json!({
                "metadata": { "name": "api", "uid": "u", "generation": 2 },
                "spec": { "replicas": 2, "template": template() },
                "status": {
                    "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
                    "conditions": [
                        { "type": "Available", "status": "True" },
                        { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable",
                          "lastUpdateTime": "2026-01-01T00:01:00Z" },
                    ],
                },
            }),
            revision: Some(json!({
                "metadata": { "name": "api-1", "uid": "rs" },
                "spec": { "replicas": 2, "template": template() }, "status": { "availableReplicas": 2, "replicas": 2 },
            })),
            pods: vec![ready_pod("api-a"), ready_pod("api-b")],
            since: LookDurations { steady: seconds(60), ..LookDurations::default() },
        }
    }

    /// One of two pods is updated and not available yet.
    fn rolling() -> Self {
        let mut look = Self::complete();
        look.set("/status/updatedReplicas", json!(1));
        look.set("/status/conditions/1/reason", json!("ReplicaSetUpdated"));
        look.pods.truncate(1);
        look.since.steady = Duration::ZERO;
        look
    }

    fn set(&mut self, pointer: &str, value: Value) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let place = self.workload.pointer_mut(parent).unwrap();
        match place {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            other => other[name] = value,
        }
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        self.set(pointer, value);
        self
    }

    fn since(mut self, change: impl FnOnce(&mut LookDurations)) -> Self {
        change(&mut self.since);
        self
    }

    fn with_pods(mut self, pods: Vec<Value>) -> Self {
        self.pods = pods;
        self
    }

    fn verdict(&self) -> Verdict {
        let workload: WorkloadObject = read_object(self.workload.clone()).unwrap();
        let revision: Option<RevisionObject> = self.revision.clone().map(|one| read_object(one).unwrap());
        let pods: Vec<Pod> = self.pods.iter().map(|pod| read_object(pod.clone()).unwrap()).collect();
        let pods: Vec<&Pod> = pods.iter().collect();
        let cause = worst_cause(revision.as_ref(), &pods, false);
        let expected = ExpectedRollout {
            uid: "u".into(),
            generation: 2,
            template: template_id(&template()),
            started: Some("2026-01-01T00:00:30Z".parse().unwrap()),
            images: vec![ContainerImage { container: "app".into(), image: "r/api:v2".into() }],
        };
        let look = WorkloadLook {
            kind: self.kind,
            workload: &workload,
            revision: revision.as_ref(),
            pods: &pods,
            cause: cause.as_ref(),
            deadline_seconds: None,
        };
        judge(&expected, &look, &self.since)
    }

    /// The verdict in one word, and whether a failure is permanent.
    fn word(&self) -> &'static str {
        match self.verdict() {
            Verdict::Unknown(_) => "unknown",
            Verdict::Stopped(_) => "stopped",
            Verdict::Superseded(_) => "superseded",
            Verdict::NothingRuns => "nothing runs",
            Verdict::Progressing(_) => "progressing",
            Verdict::Failed(failure) if failure.permanent => "failed for good",
            Verdict::Failed(_) => "failed",
            Verdict::Healthy(_) => "healthy",
        }
    }
}

#[test]
fn row_1_missing_numbers_are_unknown() {
    assert_eq!(Look::complete().with("/spec/replicas", Value::Null).word(), "unknown");
    assert_eq!(Look::complete().with("/status/observedGeneration", Value::Null).word(), "unknown");
}

#[test]
fn row_2_another_object_or_one_that_is_deleted_is_stopped() {
    assert_eq!(Look::complete().with("/metadata/uid", json!("v")).word(), "stopped");
    assert_eq!(Look::complete().with("/metadata/deletionTimestamp", json!("x")).word(), "stopped");
}

#[test]
fn row_3_another_image_is_superseded_and_row_4_another_field_is_followed() {
    let image = "/spec/template/spec/containers/0/image";
    let superseded = Look::complete().with(image, json!("r/api:v3"));
    assert_eq!(superseded.word(), "superseded");
    let mut restarted = Look::complete();
    let annotated = json!({ "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } });
    restarted.set("/spec/template/metadata", annotated);
    assert!(matches!(restarted.verdict(), Verdict::Healthy(text) if text.ends_with("somebody changed")));
    assert!(matches!(Look::complete().verdict(), Verdict::Healthy(text) if !text.contains("changed")));
}

#[test]
fn row_5_paused_workload_is_stopped() {
    assert_eq!(Look::rolling().with("/spec/paused", json!(true)).word(), "stopped");
}

#[test]
fn row_6_change_that_is_not_seen_is_waited_for_until_the_deadline() {
    let unseen = Look::complete().with("/status/observedGeneration", json!(1));
    assert_eq!(unseen.word(), "progressing");
    assert_eq!(unseen.clone().since(|since| since.unseen = seconds(629)).word(), "progressing");
    assert_eq!(unseen.since(|since| since.unseen = seconds(630)).word(), "failed");
}

#[test]
fn row_7_replica_set_that_cannot_be_made_is_permanent_after_ten_seconds() {
    let mut look = Look::rolling();
    (look.revision, look.pods) = (None, Vec::new());
    look.set(
        "/status/conditions/1",
        json!({ "type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError" }),
    );
    assert_eq!(look.word(), "progressing");
    assert_eq!(look.since(|since| since.creation_error = seconds(10)).word(), "failed for good");
}

#[test]
fn rows_8_and_9_quota_waits_and_a_refusal_does_not() {
    let with_failure = |message: &str| {
        let mut look = Look::rolling();
        look.pods = Vec::new();
        look.revision = Some(json!({
            "metadata": { "uid": "rs" }, "spec": { "replicas": 2 },
            "status": { "conditions": [
                { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
            ] },
        }));
        look.since(|since| since.cause = seconds(60))
    };
    assert_eq!(with_failure("exceeded quota: q").word(), "progressing");
    assert_eq!(
        with_failure("exceeded quota: q").since(|since| since.stalled = seconds(630)).word(),
        "failed"
    );
    assert_eq!(with_failure("violates PodSecurity \"restricted\"").word(), "failed for good");
}

#[test]
fn rows_10_to_13_permanent_causes_end_the_wait() {
    let table = [
        ("InvalidImageName", "", 0, 0, "failed for good"),
        ("ErrImagePull", "not found", 0, 9, "progressing"),
        ("ErrImagePull", "not found", 0, 10, "failed for good"),
        ("ErrImagePull", "i/o timeout", 0, 600, "progressing"),
        ("CreateContainerConfigError", "secret \"x\" not found", 0, 29, "progressing"),
        ("CreateContainerConfigError", "secret \"x\" not found", 0, 30, "failed for good"),
        ("CrashLoopBackOff", "", 1, 600, "progressing"),
        ("CrashLoopBackOff", "", 2, 0, "failed for good"),
    ];
    for (reason, message, restarts, lasted, expected) in table {
        let look = Look::rolling().with_pods(vec![waiting_pod(reason, message, restarts)]);
        let look = look.since(|since| since.cause = seconds(lasted));
        assert_eq!(look.word(), expected, "{reason} {message} {restarts} {lasted}");
    }
}

#[test]
fn row_14_crash_beside_a_ready_pod_waits_for_the_deadline() {
    let look = Look::rolling().with_pods(vec![ready_pod("api-a"), waiting_pod("CrashLoopBackOff", "", 9)]);
    let look = look.since(|since| since.cause = seconds(300));
    assert_eq!(look.word(), "progressing");
    assert_eq!(look.since(|since| since.stalled = seconds(630)).word(), "failed");
}

#[test]
fn rows_15_and_16_scheduling_and_readiness_wait_for_the_deadline() {
    let pending = json!({ "metadata": { "name": "p" }, "status": { "phase": "Pending", "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes" },
    ] } });
    let unready = json!({ "metadata": { "name": "p" }, "status": { "phase": "Running",
        "containerStatuses": [{ "name": "app", "ready": false }] } });
    for pod in [pending, unready] {
        let look = Look::rolling().with_pods(vec![pod]).since(|since| since.cause = seconds(500));
        assert_eq!(look.word(), "progressing");
        assert_eq!(look.since(|since| since.stalled = seconds(630)).word(), "failed");
    }
}

#[test]
fn row_17_evicted_pod_is_not_counted() {
    let evicted =
        json!({ "metadata": { "name": "e" }, "status": { "phase": "Failed", "reason": "Evicted" } });
    let mut look = Look::complete();
    look.pods.push(evicted);
    assert_eq!(look.word(), "healthy");
}

#[test]
fn row_18_deadline_of_kubernetes_counts_if_it_is_of_this_rollout() {
    let exceeded = |at: &str| {
        let condition = json!({ "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
            "lastUpdateTime": at });
        Look::rolling()
            .with("/status/conditions/1", condition)
            .since(|since| since.deadline_exceeded = seconds(2))
    };
    assert_eq!(exceeded("2026-01-01T00:10:00Z").word(), "failed");
    assert_eq!(
        exceeded("2026-01-01T00:10:00Z").since(|since| since.deadline_exceeded = seconds(1)).word(),
        "progressing"
    );
    assert_eq!(
        exceeded("2026-01-01T00:00:00Z").word(),
        "progressing",
        "it is of the rollout before (kubernetes#49637)"
    );
}

#[test]
fn row_19_own_deadline_ends_a_wait_that_kubernetes_never_ends() {
    let mut look = Look::rolling().since(|since| since.stalled = seconds(629));
    look.set("/status/conditions/1/reason", json!("NewReplicaSetAvailable"));
    assert_eq!(look.word(), "progressing");
    assert_eq!(look.clone().since(|since| since.stalled = seconds(630)).word(), "failed");
    let short =
        look.with("/spec/progressDeadlineSeconds", json!(12)).since(|since| since.stalled = seconds(42));
    assert_eq!(short.word(), "failed");
}

#[test]
fn row_20_no_copies_are_never_healthy() {
    assert_eq!(Look::complete().with("/spec/replicas", json!(0)).word(), "nothing runs");
}

/// Each of the things that row 21 asks for, alone missing.
#[test]
fn row_21_all_of_it_is_needed() {
    assert_eq!(Look::complete().word(), "healthy");
    assert_eq!(Look::complete().since(|since| since.steady = seconds(9)).word(), "progressing");
    let longer = Look::complete().with("/spec/minReadySeconds", json!(90));
    assert_eq!(longer.word(), "progressing");
    for pointer in
        ["/status/replicas", "/status/updatedReplicas", "/status/readyReplicas", "/status/availableReplicas"]
    {
        for count in [json!(1), json!(3), Value::Null] {
            assert_eq!(
                Look::complete().with(pointer, count.clone()).word(),
                "progressing",
                "{pointer} {count}"
            );
        }
    }
    assert_eq!(Look::complete().with("/status/conditions/0/status", json!("False")).word(), "progressing");
    assert_eq!(
        Look::complete().with("/status/conditions/1/reason", json!("ReplicaSetUpdated")).word(),
        "progressing"
    );
    assert_eq!(Look::complete().with_pods(vec![ready_pod("api-a")]).word(), "progressing");
    let mut terminating = ready_pod("api-c");
    terminating["metadata"]["deletionTimestamp"] = json!("x");
    assert_eq!(Look::complete().with_pods(vec![ready_pod("api-a"), terminating]).word(), "progressing");
    let unready = json!({ "metadata": { "name": "b" }, "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
    assert_eq!(Look::complete().with_pods(vec![ready_pod("api-a"), unready]).word(), "progressing");
    let mut unscaled = Look::complete();
    unscaled.revision.as_mut().unwrap()["spec"]["replicas"] = json!(1);
    assert_eq!(unscaled.word(), "progressing");
    let mut missing = Look::complete();
    missing.revision = None;
    assert_eq!(missing.word(), "progressing");
}

#[test]
fn scaled_workload_is_compared_with_its_own_number() {
    let mut scaled = Look::complete().with("/spec/replicas", json!(3)).with("/metadata/generation", json!(3));
    scaled.set("/status/observedGeneration", json!(3));
    assert_eq!(scaled.word(), "progressing");
    for count in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        scaled.set(&format!("/status/{count}"), json!(3));
    }
    scaled.pods.push(ready_pod("api-c"));
    scaled.revision.as_mut().unwrap()["spec"]["replicas"] = json!(3);
    scaled.revision.as_mut().unwrap()["status"]["availableReplicas"] = json!(3);
    assert_eq!(scaled.word(), "healthy");
}

#[test]
fn stateful_set_needs_one_revision() {
    let mut look = Look::complete().with("/status/conditions", json!([]));
    look.kind = WorkloadKind::StatefulSet;
    look.set("/status/currentRevision", json!("db-1"));
    look.set("/status/updateRevision", json!("db-2"));
    assert_eq!(look.word(), "progressing");
    look.set("/status/currentRevision", json!("db-2"));
    assert_eq!(look.word(), "healthy");
}

#[test]
fn daemon_set_needs_its_template_on_all_nodes() {
    let mut look = Look::complete().with("/spec/replicas", Value::Null);
    look.kind = WorkloadKind::DaemonSet;
    look.set(
        "/status",
        json!({ "observedGeneration": 2, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberReady": 2,
            "numberAvailable": 2, "updatedNumberScheduled": 1 }),
    );
    assert_eq!(look.word(), "progressing", "krane#288");
    look.set("/status/updatedNumberScheduled", json!(2));
    assert_eq!(look.word(), "healthy");
    look.set("/status/desiredNumberScheduled", json!(0));
    assert_eq!(look.word(), "nothing runs");
}
