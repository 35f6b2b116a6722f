//! The decision table of a rollout by Argo CD, row by row.

use std::time::Duration;

use serde_json::{Value, json};

use super::read::Application;
use super::verdict::{Look, Want, decide, is_live};
use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, ImageRef, Version};

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

/// A look at an application that shows our commit.
fn look(application: &Application) -> Look<'_> {
    Look {
        application,
        source: 0,
        compared: true,
        synced: true,
        here: Duration::ZERO,
        trouble: None,
        broken: None,
        astray: None,
        story: None,
    }
}

fn ruled(look: &Look<'_>) -> Health {
    let image: ImageRef = "acme/app:2".parse().unwrap();
    let version = Version { id: image.to_string(), label: "app:2".into() };
    decide(Want { version: &version, image: &image }, look)
}

fn word(health: &Health) -> String {
    match health {
        Health::Healthy(proof) => format!("healthy: {}", proof.evidence),
        Health::Progressing(progress) => format!("progressing: {}", progress.stage),
        Health::Failing(failure) => format!("failing: {}", failure.problem.sentence),
        Health::Unknown(why) => format!("unknown: {why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table() {
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
    let told = rows.map(|(sync, health, operation, images)| {
        let application = application(sync, health, operation, images);
        format!("{sync} {health}: {}", word(&ruled(&look(&application))))
    });
    insta::assert_snapshot!(told.join("\n"), @"
    Synced Healthy: healthy: application Synced at c0ffee1 and Healthy, live: acme/app:2
    Synced Healthy: progressing: synced and healthy, but the new image is not live yet
    Synced Healthy: progressing: the sync is not over
    OutOfSync Healthy: progressing: Argo CD has seen the commit and not synced it yet
    OutOfSync Healthy: progressing: syncing: words
    Unknown Healthy: progressing: the state of the sync is Unknown
    Synced Progressing: progressing: progressing
    Synced Suspended: progressing: suspended
    Synced Missing: progressing: missing
    Synced Degraded: failing: Deployment/app is degraded with the new version.
    Synced Degraded: progressing: degraded
    OutOfSync Degraded: failing: Argo CD could not sync the commit.
    Synced : unknown: Argo CD does not know how the application fares
    Synced SomethingNew: progressing: somethingnew
    ");
}

#[test]
fn what_is_of_the_time_before_is_not_ours() {
    for (sync, health) in [("Synced", "Healthy"), ("Synced", "Degraded"), ("OutOfSync", "Degraded")] {
        let application = application(sync, health, operation("Failed", BEFORE), &["acme/app:2"]);
        let before = Look { compared: false, synced: false, ..look(&application) };
        assert!(matches!(ruled(&before), Health::Progressing(_)), "{sync} {health}");
    }
}

#[test]
fn a_state_that_never_changes_is_believed_after_a_minute() {
    let degraded = application("Synced", "Degraded", operation("Succeeded", AFTER), &["acme/app:2"]);
    let late = Look { here: Duration::from_secs(60), ..look(&degraded) };
    assert!(matches!(ruled(&late), Health::Failing(_)));
    let bare = application("Synced", "Healthy", operation("Succeeded", BEFORE), &[]);
    assert!(matches!(ruled(&look(&bare)), Health::Progressing(_)));
    let late = Look { here: Duration::from_secs(60), ..look(&bare) };
    assert_eq!(
        word(&ruled(&late)),
        "healthy: application Synced at c0ffee1 and Healthy; it lists no live image"
    );
}

#[test]
fn pods_in_trouble_end_the_wait_when_it_lasts() {
    let application = application("Synced", "Progressing", operation("Succeeded", BEFORE), &["acme/app:1"]);
    let failure = Failure::permanent(Problem::error(Code::ImagePullFailed, "The pod cannot pull its image."));
    let at = |seconds| Look { trouble: Some((Duration::from_secs(seconds), &failure)), ..look(&application) };
    assert!(matches!(ruled(&at(3)), Health::Progressing(_)));
    assert_eq!(ruled(&at(12)), Health::Failing(failure.clone()));
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
