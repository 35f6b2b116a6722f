//! Tables of histories and of what a rollback chooses there.

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

/// Completions written oldest first, as people tell them; `2=1` is version 2 with the image of 1.
pub(in crate::rollback) fn past(history: &str) -> Vec<Past> {
    let one = |(at, word): (usize, &str)| {
        let (number, image) = word.split_once('=').unwrap_or((word, word));
        Past {
            version: version(number),
            image: None,
            digest: Some(digest(image)),
            completed: jiff::Timestamp::from_second(1_772_000_000 + 3600 * at as i64).ok(),
            commits: vec![format!("c0ffee{}", image.repeat(2).get(..1).unwrap())],
        }
    };
    let mut all: Vec<Past> = history.split_whitespace().enumerate().map(one).collect();
    all.reverse();
    all
}

/// A service that serves `wish`, the version whose number it is.
pub(in crate::rollback) fn seen(past: &[Past], wish: &str) -> Observed {
    let version = version(wish);
    Observed {
        version: Some(version.clone()),
        health: Health::Healthy(Proof { version, digest: None, evidence: String::new() }),
        history: past.to_vec(),
        desired: 2,
        ..Observed::blank()
    }
}

fn chosen(to: Option<&str>, past: &[Past], seen: &Observed) -> String {
    choose(to, past, seen).map_or_else(|problem| problem.to_string(), |one| one.version.label)
}

#[test]
fn without_a_name_it_is_the_last_other_one_that_completed() {
    let table = [
        ("1 2", "2", "app:1"),
        ("1 2 3", "3", "app:2"),
        // Version 3 never completed and serves nobody, or is what is wished for all the same.
        ("1 2", "3", "app:2"),
        // 2 was rolled back: a second rollback does not bring it again.
        ("1 2 3 2", "2", "app:1"),
        (
            "1 2 3 1",
            "1",
            "Every other version that completed here was rolled back itself; name the one that is meant.",
        ),
        // 2 was brought in once more by hand.
        ("1 2 1 2", "2", "app:1"),
        ("1", "1", "No other version ever completed here"),
        ("", "1", "No other version ever completed here"),
    ];
    for (history, wish, expected) in table {
        let past = past(history);
        let found = chosen(None, &past, &seen(&past, wish));
        assert!(found.starts_with(expected), "{history} at {wish}: {found}");
    }
}

#[test]
fn in_flight_it_is_what_completed_before() {
    let past = past("1 2");
    let flying = |wish: &str, rolling_back| {
        let rollout = Rollout { version: version("3").id, label: "app:3".into(), ids: Vec::new() };
        let in_flight = Some(InFlight { rollout, rolling_back });
        Observed { in_flight, health: Health::Unknown("moving".into()), ..seen(&past, wish) }
    };
    assert_eq!(chosen(None, &past, &flying("3", false)), "app:2");
    assert_eq!(chosen(None, &past, &flying("2", true)), "app:2", "ECS goes there by itself already");
}

#[test]
fn a_version_a_commit_or_a_digest_is_found() {
    let past = past("1 2 3");
    let seen = seen(&past, "3");
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
        assert_eq!(chosen(Some(to), &past, &seen), "app:1", "{to}");
    }
    assert_eq!(chosen(Some("3"), &past, &seen), "app:3", "what serves can be named, too");
    assert!(asks_for_commit("c0ffee1", &past) && asks_for_commit("1234567", &past));
    assert!(!asks_for_commit("1", &past) && !asks_for_commit("app:1", &past));
}

#[test]
fn a_number_of_seven_digits_is_a_version_where_there_is_one() {
    let mut past = past("1 2");
    past[1].version = version("1234567");
    let seen = seen(&past, "2");
    assert_eq!(chosen(Some("1234567"), &past, &seen), "app:1234567");
    assert!(!asks_for_commit("1234567", &past));
}

#[test]
fn what_cannot_be_returned_to_is_told_with_what_can() {
    let (all, twice) = (past("1 2 3"), past("1 2=1 3"));
    let (now, then) = (seen(&all, "3"), seen(&twice, "3"));
    let digest = digest("1").to_string();
    insta::assert_snapshot!([
        chosen(Some("app:9"), &all, &now),
        chosen(Some("9"), &all, &now),
        chosen(Some("abcdef0"), &all, &now),
        chosen(Some("abc"), &all, &now),
        chosen(Some("main"), &all, &now),
        chosen(Some("sha256:12"), &all, &now),
        chosen(Some(&digest), &twice, &then),
        chosen(None, &[], &seen(&[], "1")),
    ].join("\n"), @"
    The version `app:9` never completed here. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    The version `9` never completed here. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    No version whose image is tagged with the commit `abcdef0` ever completed here. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `abc` has 3 digits; a commit is given by 7 to 40. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `main` is neither a version such as `backend:42`, nor a commit, nor a digest. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `sha256:12` is not sha256: and 64 hex digits. It can return to: `app:2` (commit c0ffee2; digest 222222222222…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    `sha256:1111111111111111111111111111111111111111111111111111111111111111` stands for several versions that completed here: `app:2`, `app:1`. It can return to: `app:2` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 07:13 UTC), `app:1` (commit c0ffee1; digest 111111111111…; completed 2026-02-25 06:13 UTC).
    No other version ever completed here, so there is nothing to roll back to. Deploy a good version first.
    ");
}
