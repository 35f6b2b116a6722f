//! The decision table of a rollout by Argo CD, row by row.

use std::time::Duration;

use serde_json::{Value, json};

use super::baseline::ApplicationBaseline;
use super::managed::{ResourceKey, Workload};
use super::read::Application;
use super::resource_tree::ApplicationTree;
use super::status::{ApplicationDetails, Expected, StatusSnapshot, rollout_status};
use crate::problem::{Code, Problem};
use crate::release::{Failure, ImageRef, RolloutStatus, Version};

const COMMIT: &str = "c0ffee1c0ffee1c0ffee1c0ffee1c0ffee1c0ffe";
const BEFORE: &str = "2026-03-02T09:00:00Z";
const AFTER: &str = "2026-03-02T09:10:00Z";

/// An application at our commit, in this state, with these further resources.
fn application(sync: &str, health: &str, operation: Value, others: &[Value]) -> Application {
    let mut resources = vec![
        json!({ "kind": "Deployment", "name": "app", "status": sync, "health": { "status": health, "message": "not good" } }),
    ];
    resources.extend(others.iter().cloned());
    let status = json!({
        "sync": { "status": sync, "revision": COMMIT },
        "health": { "status": health, "lastTransitionTime": "2026-03-02T09:05:00Z" },
        "operationState": operation,
        "resources": resources,
    });
    serde_json::from_value(json!({ "status": status })).unwrap()
}

fn operation(phase: &str, started: &str) -> Value {
    json!({ "phase": phase, "message": "words", "startedAt": started, "syncResult": { "revision": COMMIT,
        "resources": [{ "kind": "Deployment", "name": "app", "status": "SyncFailed", "message": "refused" }] } })
}

fn done() -> Value {
    json!({ "phase": "Succeeded", "startedAt": BEFORE, "syncResult": { "revision": COMMIT } })
}

fn workload(live: &[&str], target: &str) -> Workload {
    Workload {
        key: ResourceKey { kind: "Deployment".into(), name: "app".into(), ..ResourceKey::default() },
        live_images: live.iter().map(|image| (*image).to_owned()).collect(),
        target_images: vec![target.into()],
        is_idle: false,
    }
}

fn details(live: &[&str]) -> ApplicationDetails {
    ApplicationDetails { workloads: vec![workload(live, "acme/app:2")], ..ApplicationDetails::default() }
}

/// A reading of an application at our commit.
fn snapshot<'l>(application: &'l Application, details: &'l ApplicationDetails) -> StatusSnapshot<'l> {
    StatusSnapshot {
        application,
        source: 0,
        baseline: None,
        details: Some(details),
        compared_with_ours: true,
        synced_to_ours: true,
        synced_for: Duration::ZERO,
        pod_failure: None,
        condition_error_for: None,
        out_of_sync_for: None,
        rollout_text: None,
    }
}

fn status_of(snapshot: &StatusSnapshot<'_>) -> RolloutStatus {
    let image: ImageRef = "acme/app:2".parse().unwrap();
    let version = Version { id: image.to_string(), label: "app:2".into() };
    rollout_status(Expected { version: &version, image: &image }, snapshot)
}

fn status_text(health: &RolloutStatus) -> String {
    match health {
        RolloutStatus::Healthy(proof) => {
            let remarks: Vec<&str> = proof.remarks.iter().map(|one| one.sentence.as_str()).collect();
            let remarks =
                if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join(" ")) };
            format!("healthy: {}{remarks}", proof.evidence)
        }
        RolloutStatus::Progressing(progress) => format!("progressing: {}", progress.stage),
        RolloutStatus::Failed(failure) => format!("failing: {}", failure.problem.sentence),
        RolloutStatus::Unknown(why) => format!("unknown: {why}"),
        RolloutStatus::HandedOff(handed) => format!("handed off: {}", handed.evidence),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rollout_status_table() {
    let (new, old) = (details(&["acme/app:2"]), details(&["acme/app:1"]));
    let rows = [
        ("Synced", "Healthy", done(), &new),
        ("Synced", "Healthy", done(), &old),
        ("Synced", "Healthy", json!({ "phase": "Running", "startedAt": BEFORE }), &new),
        ("OutOfSync", "Healthy", Value::Null, &old),
        ("OutOfSync", "Healthy", json!({ "phase": "Running", "message": "words" }), &old),
        ("OutOfSync", "Healthy", done(), &new),
        ("Unknown", "Healthy", Value::Null, &old),
        ("Synced", "Progressing", done(), &new),
        ("Synced", "Suspended", done(), &new),
        ("Synced", "Missing", done(), &new),
        ("Synced", "Degraded", done(), &new),
        ("Synced", "Degraded", json!({ "phase": "Succeeded", "startedAt": AFTER }), &new),
        ("OutOfSync", "Degraded", operation("Failed", BEFORE), &old),
        ("Synced", "", done(), &new),
        ("Synced", "Unknown", done(), &new),
        ("Synced", "SomethingNew", done(), &new),
    ];
    let lines = rows.map(|(sync, health, operation, details)| {
        let application = application(sync, health, operation, &[]);
        format!("{sync} {health}: {}", status_text(&status_of(&snapshot(&application, details))))
    });
    insta::assert_snapshot!(lines.join("\n"), @"
    Synced Healthy: healthy: application Synced at c0ffee1, Deployment/app Healthy, live: acme/app:2
    Synced Healthy: progressing: synced, and the new image is not live yet
    Synced Healthy: progressing: the sync is in progress
    OutOfSync Healthy: progressing: Argo CD has read the commit and not synced it yet
    OutOfSync Healthy: progressing: syncing: words
    OutOfSync Healthy: progressing: the image is live, and Argo CD has not compared it yet
    Unknown Healthy: progressing: sync status: Unknown
    Synced Progressing: progressing: progressing
    Synced Suspended: progressing: suspended
    Synced Missing: progressing: missing
    Synced Degraded: failing: Deployment/app is degraded with the new version.
    Synced Degraded: progressing: degraded
    OutOfSync Degraded: failing: Argo CD could not sync the commit.
    Synced : healthy: application Synced at c0ffee1, Deployment/app in the cluster, live: acme/app:2
    Synced Unknown: unknown: Argo CD does not know the health of Deployment/app
    Synced SomethingNew: progressing: somethingnew
    ");
}

fn other(name: &str, sync: &str, health: &str) -> Value {
    json!({ "kind": "CronJob", "name": name, "status": sync, "health": { "status": health, "message": "why" } })
}

/// What is not well beside our workload, with what it was before: a remark, or what the release made worse.
#[test]
fn others_are_compared_with_before() {
    let rows = [
        (other("x", "Synced", "Degraded"), other("x", "Synced", "Degraded")),
        (other("x", "Synced", "Healthy"), other("x", "Synced", "Degraded")),
        (other("x", "Synced", "Degraded"), other("x", "Synced", "Progressing")),
        (other("x", "Synced", "Healthy"), other("x", "Synced", "Progressing")),
        (other("x", "Synced", "Progressing"), other("x", "Synced", "Degraded")),
        (other("x", "Synced", "Suspended"), other("x", "Synced", "Suspended")),
        (other("x", "Synced", "Healthy"), other("x", "Synced", "Suspended")),
        (other("x", "OutOfSync", "Healthy"), other("x", "OutOfSync", "Healthy")),
        (other("x", "Synced", "Healthy"), other("x", "OutOfSync", "Healthy")),
        (other("x", "Synced", "Unknown"), other("x", "Synced", "Unknown")),
        (other("x", "Synced", "Degraded"), other("x", "Synced", "Healthy")),
    ];
    let new = details(&["acme/app:2"]);
    let lines = rows.map(|(before, after)| {
        let was = application("Synced", "Healthy", done(), std::slice::from_ref(&before));
        let is = application("Synced", "Healthy", done(), std::slice::from_ref(&after));
        let baseline = ApplicationBaseline::new(&was, &[]);
        let late = StatusSnapshot {
            baseline: Some(&baseline),
            synced_for: Duration::from_secs(60),
            ..snapshot(&is, &new)
        };
        let text = status_text(&status_of(&late));
        text.replace("application Synced at c0ffee1, Deployment/app Healthy, live: acme/app:2", "proven")
            .replace(
                "The application has resources that are not in order, beside those of this service: ",
                "",
            )
    });
    insta::assert_snapshot!(lines.join("\n"), @"
    healthy: proven (CronJob/x is Degraded (why), as before the release.)
    failing: CronJob/x is degraded with the new version.
    healthy: proven (CronJob/x is Progressing (why).)
    progressing: CronJob/x is progressing
    failing: CronJob/x is degraded with the new version.
    healthy: proven (CronJob/x is Suspended (why), as before the release.)
    healthy: proven (CronJob/x is Suspended (why).)
    healthy: proven (CronJob/x is OutOfSync (why), as before the release.)
    healthy: proven (CronJob/x is OutOfSync (why).)
    healthy: proven (CronJob/x is Unknown (why), as before the release.)
    healthy: proven
    ");
}

#[test]
fn status_before_our_commit_is_progressing() {
    let new = details(&["acme/app:2"]);
    for (sync, health) in [("Synced", "Healthy"), ("Synced", "Degraded"), ("OutOfSync", "Degraded")] {
        let application = application(sync, health, operation("Failed", BEFORE), &[]);
        let before = StatusSnapshot {
            compared_with_ours: false,
            synced_to_ours: false,
            ..snapshot(&application, &new)
        };
        assert!(matches!(status_of(&before), RolloutStatus::Progressing(_)), "{sync} {health}");
    }
}

#[test]
fn unchanged_state_counts_after_the_grace_period() {
    let new = details(&["acme/app:2"]);
    let synced_after =
        json!({ "phase": "Succeeded", "startedAt": AFTER, "syncResult": { "revision": COMMIT } });
    let degraded = application("Synced", "Degraded", synced_after, &[]);
    let late = StatusSnapshot { synced_for: Duration::from_secs(60), ..snapshot(&degraded, &new) };
    assert!(matches!(status_of(&late), RolloutStatus::Failed(_)));
}

/// Without a workload or a pod that names the image, nothing is proven, and nothing is said to be.
#[test]
fn missing_workload_is_no_proof() {
    let healthy = application("Synced", "Healthy", done(), &[]);
    let late =
        |details| StatusSnapshot { synced_for: Duration::from_secs(60), ..snapshot(&healthy, details) };
    let none = ApplicationDetails::default();
    assert!(matches!(status_of(&snapshot(&healthy, &none)), RolloutStatus::Progressing(_)));
    let text = status_text(&status_of(&late(&none)));
    assert!(text.starts_with("handed off: Argo CD has the commit (c0ffee1)"), "{text}");
    let overridden = ApplicationDetails {
        workloads: vec![workload(&["acme/app:1"], "acme/app:1")],
        ..ApplicationDetails::default()
    };
    let text = status_text(&status_of(&late(&overridden)));
    assert!(text.contains("do not have the image `acme/app:2`"), "{text}");
}

/// Pods are looked at where there are any: a workload that replaces none of them proves nothing.
#[test]
fn pods_with_another_image_are_no_proof() {
    let healthy = application("Synced", "Healthy", done(), &[]);
    let tree: ApplicationTree = serde_json::from_value(json!({ "nodes": [
        { "kind": "Deployment", "name": "app", "uid": "d" },
        { "kind": "Pod", "name": "app-1", "uid": "p", "images": ["acme/app:1"],
          "parentRefs": [{ "kind": "Deployment", "name": "app", "uid": "d" }] }
    ] }))
    .unwrap();
    let details = ApplicationDetails { tree, ..details(&["acme/app:2"]) };
    let text = status_text(&status_of(&snapshot(&healthy, &details)));
    assert_eq!(text, "progressing: Deployment/app has the image, and none of its pods runs it yet");
}

#[test]
fn lasting_pod_failure_fails_the_rollout() {
    let new = details(&["acme/app:2"]);
    let application = application("Synced", "Progressing", done(), &[]);
    let failure = Failure::permanent(Problem::error(Code::ImagePullFailed, "The pod cannot pull its image."));
    let at = |seconds| StatusSnapshot {
        pod_failure: Some((Duration::from_secs(seconds), &failure)),
        ..snapshot(&application, &new)
    };
    assert!(matches!(status_of(&at(3)), RolloutStatus::Progressing(_)));
    assert_eq!(status_of(&at(12)), RolloutStatus::Failed(failure.clone()));
}

/// What was broken before is returned to, and that is said.
#[test]
fn way_back_to_a_broken_state_is_proven_and_remarked() {
    let old = details(&["acme/app:1"]);
    let broken = application("Synced", "Degraded", done(), &[]);
    let back = ApplicationBaseline::new(&broken, &old.workloads).with_direction(true);
    let late = StatusSnapshot {
        baseline: Some(&back),
        synced_for: Duration::from_secs(90),
        ..snapshot(&broken, &old)
    };
    let text = status_text(&status_of(&late));
    assert!(text.starts_with("healthy: ") && text.contains("as it was before this release"), "{text}");
}

/// Somebody's commit cannot be rendered: what was never synced needs no sync to be undone.
#[test]
fn rollback_that_cannot_be_read_is_proven_by_what_runs() {
    let mut broken = application("Unknown", "Healthy", Value::Null, &[]);
    broken.status.conditions = serde_json::from_value(json!([
        { "type": "ComparisonError", "message": "Manifest generation error: }" }
    ]))
    .unwrap();
    let text = |live: &str, health: &str, is_synced: bool, returns: bool| {
        let mut seen = broken.clone();
        seen.status.resources[0].health = serde_json::from_value(json!({ "status": health })).unwrap();
        let runs = details(&[live]);
        let before = ApplicationBaseline::new(
            &application("Synced", "Healthy", done(), &[]),
            &details(&["acme/app:1"]).workloads,
        );
        let back = before.with_direction(returns);
        let lasting = StatusSnapshot {
            baseline: Some(&back),
            compared_with_ours: false,
            synced_to_ours: is_synced,
            condition_error_for: Some(Duration::from_secs(90)),
            ..snapshot(&seen, &runs)
        };
        status_text(&status_of(&lasting))
    };
    let untouched = text("acme/app:1", "Healthy", false, true);
    assert!(untouched.starts_with("healthy: ") && untouched.contains("ComparisonError"), "{untouched}");
    let others = [
        text("acme/app:2", "Healthy", false, true),
        text("acme/app:1", "Progressing", false, true),
        text("acme/app:1", "Healthy", true, true),
        text("acme/app:1", "Healthy", false, false),
    ];
    for other in others {
        assert!(other.starts_with("failing: Argo CD reports an error"), "{other}");
    }
}
