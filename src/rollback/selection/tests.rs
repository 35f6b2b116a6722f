//! Tables of histories and the version that a rollback selects.

use super::*;
use crate::release::{InFlight, Proof, Rollout};

pub(in crate::rollback) fn version(number: &str) -> Version {
    Version {
        id: format!("arn:aws:ecs:eu-west-1:1:task-definition/app:{number}"),
        label: format!("app:{number}"),
    }
}

fn digest(number: &str) -> Digest {
    format!("sha256:{}", number.chars().next().unwrap().to_string().repeat(64)).parse().unwrap()
}

/// Completions, oldest first; `2=1` is version 2 with the image of 1.
pub(in crate::rollback) fn completed_versions(history: &str) -> Vec<CompletedVersion> {
    let one = |(at, word): (usize, &str)| {
        let (number, image) = word.split_once('=').unwrap_or((word, word));
        CompletedVersion {
            version: version(number),
            image: None,
            container_images: Default::default(),
            digest: Some(digest(image)),
            completed_at: jiff::Timestamp::from_second(1_772_000_000 + 3600 * at as i64).ok(),
            commits: vec![format!("c0ffee{}", image.repeat(2).get(..1).unwrap())],
        }
    };
    let mut all: Vec<CompletedVersion> = history.split_whitespace().enumerate().map(one).collect();
    all.reverse();
    all
}

/// A service that serves `requested`, the version whose number it is.
pub(in crate::rollback) fn observed(history: &[CompletedVersion], requested: &str) -> Observed {
    let version = version(requested);
    Observed {
        version: Some(version.clone()),
        status: RolloutStatus::Healthy(Proof {
            version,
            digest: None,
            evidence: String::new(),
            remarks: Vec::new(),
        }),
        history: history.to_vec(),
        desired_count: 2,
        ..Observed::for_tests()
    }
}

fn selected(to: Option<&str>, history: &[CompletedVersion], observed: &Observed) -> String {
    select(to, history, observed).map_or_else(|problem| problem.to_string(), |one| one.version.label)
}

#[test]
fn unnamed_rollback_selects_the_last_other_completed_version() {
    let table = [
        ("1 2", "2", "app:1"),
        ("1 2 3", "3", "app:2"),
        // Version 3 never completed and is not serving, or is the requested version anyway.
        ("1 2", "3", "app:2"),
        // 2 was rolled back: a second rollback does not return to it.
        ("1 2 3 2", "2", "app:1"),
        (
            "1 2 3 1",
            "1",
            "Every other version that completed here was rolled back too, so there is no default. Name the version in `to`.",
        ),
        // 2 was redeployed manually.
        ("1 2 1 2", "2", "app:1"),
        ("1", "1", "No other version has completed here"),
        ("", "1", "No other version has completed here"),
    ];
    for (completions, requested, expected) in table {
        let history = completed_versions(completions);
        let found = selected(None, &history, &observed(&history, requested));
        assert!(found.starts_with(expected), "{completions} at {requested}: {found}");
    }
}

#[test]
fn in_flight_rollback_selects_the_last_completed_version() {
    let history = completed_versions("1 2");
    let flying = |requested: &str, rolling_back| {
        let rollout = Rollout { version: version("3").id, label: "app:3".into(), ids: Vec::new() };
        let in_flight = Some(InFlight { rollout, rolling_back });
        Observed {
            in_flight,
            status: RolloutStatus::Unknown("moving".into()),
            ..observed(&history, requested)
        }
    };
    assert_eq!(selected(None, &history, &flying("3", false)), "app:2");
    assert_eq!(selected(None, &history, &flying("2", true)), "app:2", "ECS goes there by itself already");
}

#[test]
fn name_of_the_service_before_a_colon_is_no_part_of_another_kind_of_label() {
    let history = completed_versions("1 2");
    for (to, service, expected) in [
        ("app:1", "app", "app:1"),
        ("app:9", "app", "app:9"),
        // The task definitions of `api` are called `app`.
        ("api:2", "api", "2"),
        ("api:c0ffee1", "api", "c0ffee1"),
        ("api:2", "web", "api:2"),
        ("2", "api", "2"),
    ] {
        assert_eq!(selector_for(to, service, &history), expected, "{to} of {service}");
    }
}

#[test]
fn version_commit_or_digest_is_found() {
    let history = completed_versions("1 2 3");
    let observed = observed(&history, "3");
    let digest = digest("1").to_string();
    let arn = version("1").id;
    for to in [
        "app:1",
        "1",
        arn.as_str(),
        digest.as_str(),
        "c0ffee1",
        "C0FFEE1",
        "c0ffee1000000000000000000000000000000000",
    ] {
        assert_eq!(selected(Some(to), &history, &observed), "app:1", "{to}");
    }
    assert_eq!(selected(Some("3"), &history, &observed), "app:3", "what serves can be named, too");
    assert!(names_commit("c0ffee1", &history) && names_commit("1234567", &history));
    assert!(!names_commit("1", &history) && !names_commit("app:1", &history));
}

#[test]
fn seven_digits_are_a_version_if_it_exists() {
    let mut history = completed_versions("1 2");
    history[1].version = version("1234567");
    let observed = observed(&history, "2");
    assert_eq!(selected(Some("1234567"), &history, &observed), "app:1234567");
    assert!(!names_commit("1234567", &history));
}

#[test]
fn unknown_version_problem_lists_the_completed_versions() {
    let (all, twice) = (completed_versions("1 2 3"), completed_versions("1 2=1 3"));
    let (now, then) = (observed(&all, "3"), observed(&twice, "3"));
    let digest = digest("1").to_string();
    insta::assert_snapshot!([
        selected(Some("app:9"), &all, &now),
        selected(Some("9"), &all, &now),
        selected(Some("abcdef0"), &all, &now),
        selected(Some("abc"), &all, &now),
        selected(Some("main"), &all, &now),
        selected(Some("sha256:12"), &all, &now),
        selected(Some(&digest), &twice, &then),
        selected(None, &[], &observed(&[], "1")),
    ].join("\n"), @"
    The version `app:9` never completed here. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    The version `9` never completed here. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    No version whose image is tagged with the commit `abcdef0` ever completed here. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `abc` has 3 digits; a commit has 7 to 40. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `main` is neither a version such as `backend:42`, nor a commit, nor a digest. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `sha256:12` is not sha256: and 64 hex digits. Possible versions: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `sha256:1111111111111111111111111111111111111111111111111111111111111111` matches several versions that completed here: `app:2`, `app:1`. Possible versions: `app:2` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    No other version has completed here, so there is nothing to roll back to. Deploy a working version first.
    ");
}
