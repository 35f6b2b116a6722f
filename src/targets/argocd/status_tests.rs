//! The decision table of a rollout by Argo CD, row by row.

use std::time::Duration;

use serde_json::{Value, json};

use super::read::Application;
use super::status::{Expected, StatusSnapshot, is_live, rollout_status};
use crate::problem::{Code, Problem};
use crate::release::{Failure, ImageRef, RolloutStatus, Version};

/// An application at our commit, in this state.
fn application(sync: &str, health: &str, operation: Value, images: &[&str]) -> Application {
    let status = json!({
        "sync": { "status": sync, "revision": "c0ffee1" },
        "health": { "status": health, "lastTransitionTime": "2026-03-02T09:05:00Z" },
        "operationState": operation,
        "summary": { "images": images },
        "resources": [{ "kind": "Deployment", "name": "app", "health": { "status": health, "message": "not good" } }],
    });
    serde_json::from_value(json!({ "status": status })).unwrap()
}

fn operation(phase: &str, started: &str) -> Value {
    json!({ "phase": phase, "message": "words", "startedAt": started, "syncResult": { "revision": "c0ffee1",
        "resources": [{ "kind": "Deployment", "name": "app", "status": "SyncFailed", "message": "refused" }] } })
}

const BEFORE: &str = "2026-03-02T09:00:00Z";
const AFTER: &str = "2026-03-02T09:10:00Z";

/// A reading of an application at our commit.
fn snapshot(application: &Application) -> StatusSnapshot<'_> {
    StatusSnapshot {
        application,
        source: 0,
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
        RolloutStatus::Healthy(proof) => format!("healthy: {}", proof.evidence),
        RolloutStatus::Progressing(progress) => format!("progressing: {}", progress.stage),
        RolloutStatus::Failed(failure) => format!("failing: {}", failure.problem.sentence),
        RolloutStatus::Unknown(why) => format!("unknown: {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rollout_status_table() {
    let (new, old) = (["acme/app:2"], ["acme/app:1"]);
    let done = || operation("Succeeded", BEFORE);
    let rows = [
        ("Synced", "Healthy", done(), &new[..]),
        ("Synced", "Healthy", done(), &old[..]),
        ("Synced", "Healthy", operation("Running", BEFORE), &new[..]),
        ("OutOfSync", "Healthy", Value::Null, &new[..]),
        ("OutOfSync", "Healthy", operation("Running", BEFORE), &new[..]),
        ("Unknown", "Healthy", Value::Null, &new[..]),
        ("Synced", "Progressing", done(), &old[..]),
        ("Synced", "Suspended", done(), &old[..]),
        ("Synced", "Missing", done(), &[]),
        ("Synced", "Degraded", done(), &new[..]),
        ("Synced", "Degraded", operation("Succeeded", AFTER), &new[..]),
        ("OutOfSync", "Degraded", operation("Failed", BEFORE), &old[..]),
        ("Synced", "", done(), &new[..]),
        ("Synced", "SomethingNew", done(), &new[..]),
    ];
    let lines = rows.map(|(sync, health, operation, images)| {
        let application = application(sync, health, operation, images);
        format!("{sync} {health}: {}", status_text(&status_of(&snapshot(&application))))
    });
    insta::assert_snapshot!(lines.join("\n"), @"
    Synced Healthy: healthy: application Synced at c0ffee1 and Healthy, live: acme/app:2
    Synced Healthy: progressing: synced and healthy, but the new image is not live yet
    Synced Healthy: progressing: the sync is in progress
    OutOfSync Healthy: progressing: Argo CD has read the commit and not synced it yet
    OutOfSync Healthy: progressing: syncing: words
    Unknown Healthy: progressing: sync status: Unknown
    Synced Progressing: progressing: progressing
    Synced Suspended: progressing: suspended
    Synced Missing: progressing: missing
    Synced Degraded: failing: Deployment/app is degraded with the new version.
    Synced Degraded: progressing: degraded
    OutOfSync Degraded: failing: Argo CD could not sync the commit.
    Synced : unknown: Argo CD reports no health of the application
    Synced SomethingNew: progressing: somethingnew
    ");
}

#[test]
fn status_before_our_commit_is_progressing() {
    for (sync, health) in [("Synced", "Healthy"), ("Synced", "Degraded"), ("OutOfSync", "Degraded")] {
        let application = application(sync, health, operation("Failed", BEFORE), &["acme/app:2"]);
        let before =
            StatusSnapshot { compared_with_ours: false, synced_to_ours: false, ..snapshot(&application) };
        assert!(matches!(status_of(&before), RolloutStatus::Progressing(_)), "{sync} {health}");
    }
}

#[test]
fn unchanged_state_counts_after_the_grace_period() {
    let degraded = application("Synced", "Degraded", operation("Succeeded", AFTER), &["acme/app:2"]);
    let late = StatusSnapshot { synced_for: Duration::from_secs(60), ..snapshot(&degraded) };
    assert!(matches!(status_of(&late), RolloutStatus::Failed(_)));
    let bare = application("Synced", "Healthy", operation("Succeeded", BEFORE), &[]);
    assert!(matches!(status_of(&snapshot(&bare)), RolloutStatus::Progressing(_)));
    let late = StatusSnapshot { synced_for: Duration::from_secs(60), ..snapshot(&bare) };
    assert_eq!(
        status_text(&status_of(&late)),
        "healthy: application Synced at c0ffee1 and Healthy; it lists no live image"
    );
}

#[test]
fn lasting_pod_failure_fails_the_rollout() {
    let application = application("Synced", "Progressing", operation("Succeeded", BEFORE), &["acme/app:1"]);
    let failure = Failure::permanent(Problem::error(Code::ImagePullFailed, "The pod cannot pull its image."));
    let at = |seconds| StatusSnapshot {
        pod_failure: Some((Duration::from_secs(seconds), &failure)),
        ..snapshot(&application)
    };
    assert!(matches!(status_of(&at(3)), RolloutStatus::Progressing(_)));
    assert_eq!(status_of(&at(12)), RolloutStatus::Failed(failure.clone()));
}

#[test]
fn live_means_the_same_digest_or_else_the_same_tag() {
    let (a, b) = ("a".repeat(64), "b".repeat(64));
    let table = [
        ("acme/app:2".to_owned(), "acme/app:2".to_owned(), true),
        ("acme/app:1".into(), "acme/app:2".into(), false),
        (format!("acme/app:2@sha256:{a}"), format!("acme/app@sha256:{a}"), true),
        (format!("acme/app:2@sha256:{b}"), format!("acme/app:2@sha256:{a}"), false),
        ("other/app:2".into(), "acme/app:2".into(), false),
        ("127.0.0.1:5000/acme/app:2".into(), "acme/app:2".into(), true),
        ("acme/app:2".into(), "r.example/acme/app:2".into(), false),
        ("not an image".into(), "acme/app:2".into(), false),
    ];
    for (live, wanted, expected) in table {
        assert_eq!(is_live(&live, &wanted.parse().unwrap()), expected, "{live} {wanted}");
    }
}
