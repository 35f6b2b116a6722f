//! The states of an attempt on three servers → the status of the rollout, what it goes on with, and how it goes back.

use super::group_status::{NextMove, WayBack, next_move, rollout_status, serving_status, way_back};
use super::hosts::HostState;
use super::read::read_state;
use super::rollout_ids::RolloutIds;
use crate::release::RolloutStatus;

const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// A server: the number of its attempt, whether it lives, its state, and the release that serves. `-` has no attempt.
fn host(name: &str, attempt: &str) -> HostState {
    let image = |digest: &str| format!("ghcr.io/acme/shop@{digest}");
    let mut words = attempt.splitn(4, ' ');
    let (number, alive, serving) =
        (words.next().unwrap_or("-"), words.next().unwrap_or("dead"), words.next().unwrap_or("1"));
    let owner = if number == "6" { "run-2-back" } else { "run-2" };
    let attempt = match number {
        "-" => String::new(),
        number => {
            let state = words.next().unwrap_or_default();
            format!("newest {number}\nattempt {number} {alive} {owner} 2 1 {state}\nfailure unhealthy\n")
        }
    };
    let digest = if serving == "2" { NEW } else { OLD };
    let text = format!(
        "{attempt}container c1 running healthy 0 0 false {}, shop-web-1\n\
         release 1 1700000000, {} f e c0ffee1\nrelease 2 never {} f e none\nserving {serving}\n",
        image(digest),
        image(OLD),
        image(NEW),
    );
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    HostState { host: name.to_owned(), state: read_state(&lines) }
}

fn hosts(attempts: [&str; 3]) -> Vec<HostState> {
    ["a", "b", "c"].iter().zip(attempts).map(|(name, attempt)| host(name, attempt)).collect()
}

fn ids() -> RolloutIds {
    RolloutIds { attempt: 5, owner: "run-2".into() }
}

fn describe(status: RolloutStatus) -> String {
    match status {
        RolloutStatus::Healthy(proof) => format!("healthy {}: {}", proof.version.label, proof.evidence),
        RolloutStatus::Progressing(progress) if progress.needs_continue => {
            format!("awaits: {}", progress.stage)
        }
        RolloutStatus::Progressing(progress) => format!("progressing: {}", progress.stage),
        RolloutStatus::Paused(pause) => format!("paused {}", pause.percent),
        RolloutStatus::Failed(failure) => format!("failed: {}", failure.problem.sentence),
        RolloutStatus::RollingBack(failure, _) => format!("rolling back: {}", failure.problem.sentence),
        RolloutStatus::RolledBack(failure, to) => {
            format!("rolled back to {:?}: {}", to.map(|to| to.label), failure.problem.sentence)
        }
        RolloutStatus::RollbackFailed(failure) => {
            format!(
                "rollback failed: {} ({})",
                failure.problem.sentence,
                failure.problem.cause.unwrap_or_default()
            )
        }
        RolloutStatus::NotServing(failure) => {
            format!(
                "not serving: {} ({})",
                failure.problem.sentence,
                failure.problem.cause.unwrap_or_default()
            )
        }
        RolloutStatus::Superseded(by) => format!("superseded: {by}"),
        RolloutStatus::Unknown(why) => format!("unknown: {why}"),
        RolloutStatus::Aborted(_) | RolloutStatus::Missed(_) | RolloutStatus::HandedOff(_) => "other".into(),
    }
}

#[test]
fn states_on_the_way_forth_have_their_status() {
    let waits = "5 alive 1 paused 100";
    let done = "5 dead 2 complete";
    let all = [
        ["-", "-", "-"],
        ["5 alive 1 starting", "-", "-"],
        [waits, "-", "-"],
        [waits, "5 alive 1 settling", "-"],
        [waits, waits, waits],
        ["5 alive 1 paused 10", "5 alive 1 paused 10", "5 alive 1 paused 10"],
        ["5 alive 1 paused 10", "5 alive 1 switching", "5 alive 1 paused 10"],
        [done, waits, waits],
        [done, done, done],
        [waits, "5 alive 1 rolling-back unhealthy", "-"],
        [waits, "5 dead 1 rolled-back unhealthy", "-"],
        ["5 dead 1 rolled-back unhealthy", "-", "-"],
        ["5 dead 1 rolled-back unhealthy", "5 alive 1 rolling-back unhealthy", "-"],
        ["5 dead 1 rolled-back unhealthy", "5 dead 1 back-failed unhealthy timeout", "-"],
        [waits, "5 dead 1 starting", "-"],
        [waits, "7 alive 1 starting", "-"],
    ];
    let told = all.map(|each| describe(rollout_status(&hosts(each), "web", &ids(), "2")));
    insta::assert_snapshot!(told.join("\n"), @"
    unknown: no server knows this change of traffic
    progressing: a: starting, b: release 1, c: release 1
    awaits: a: paused 100, b: release 1, c: release 1
    progressing: a: paused 100, b: settling, c: release 1
    awaits: a: paused 100, b: paused 100, c: paused 100
    paused 10
    progressing: a: paused 10, b: switching, c: paused 10
    awaits: a: release 2, b: paused 100, c: paused 100
    healthy web:2: a: container shop-web-1 running, healthy, b: container shop-web-1 running, healthy, c: container shop-web-1 running, healthy
    failed: On `b`: The health check of the new container fails.
    failed: On `b`: The health check of the new container fails.
    rolled back to Some(\"web:1\"): On `a`: The health check of the new container fails.
    rolling back: On `a`: The health check of the new container fails.
    rollback failed: On `a`: The health check of the new container fails. (a: rolled-back unhealthy, b: back-failed unhealthy timeout)
    failed: On `b`: The change on the server was interrupted: its process was killed, or the server was restarted.
    superseded: another run changed the service on `b`
    ");
}

#[test]
fn states_on_the_way_back_have_their_status() {
    let back = "5 dead 1 rolled-back aborted";
    let all = [
        [back, back, "-"],
        ["5 alive 1 rolling-back aborted", back, "-"],
        ["6 alive 2 starting", back, "-"],
        ["5 dead 1 back-failed unhealthy timeout", back, "-"],
        ["5 dead 1 back-failed unhealthy timeout", "5 alive 1 rolling-back aborted", "-"],
    ];
    let told = all.map(|each| describe(rollout_status(&hosts(each), "web", &ids().back(), "1")));
    insta::assert_snapshot!(told.join("\n"), @"
    healthy web:1: a: rolled-back aborted, b: rolled-back aborted, c: release 1
    progressing: a: rolling-back aborted, b: rolled-back aborted, c: release 1
    progressing: a: starting, b: rolled-back aborted, c: release 1
    rollback failed: On `a`: The health check of the new container fails. (a: back-failed unhealthy timeout, b: rolled-back aborted, c: release 1)
    progressing: a: back-failed unhealthy timeout, b: rolling-back aborted, c: release 1
    ");
}

#[test]
fn rollout_goes_on_with_the_next_servers_then_with_its_end() {
    let (waits, done) = ("5 alive 1 paused 100", "5 dead 2 complete");
    let table = [
        ([waits, "-", "-"], 100, 1, NextMove::Start(vec![1])),
        ([waits, "-", "-"], 100, 2, NextMove::Start(vec![1, 2])),
        ([waits, "5 alive 1 starting", "-"], 100, 1, NextMove::Nothing),
        ([waits, waits, waits], 100, 1, NextMove::Weight(vec![0, 1, 2], 101)),
        ([done, waits, waits], 100, 1, NextMove::Weight(vec![1, 2], 101)),
        (["5 alive 1 paused 0"; 3], 10, 1, NextMove::Weight(vec![0, 1, 2], 10)),
        (
            ["5 alive 1 paused 10", "5 alive 1 paused 0", "5 alive 1 paused 10"],
            10,
            1,
            NextMove::Weight(vec![1], 10),
        ),
        (["5 alive 1 paused 10"; 3], 100, 1, NextMove::Weight(vec![0, 1, 2], 100)),
        (["5 alive 1 paused 0"; 3], 0, 1, NextMove::Nothing),
    ];
    for (each, percent, batch, expected) in table {
        let found = next_move(&hosts(each), &ids(), percent, batch);
        assert_eq!(found, expected, "{each:?} {percent}");
    }
}

#[test]
fn each_server_goes_back_in_its_own_way() {
    let table = [
        ("-", WayBack::None, WayBack::Attempt),
        ("5 alive 1 paused 100", WayBack::Abort, WayBack::Abort),
        ("5 alive 1 rolling-back unhealthy", WayBack::None, WayBack::None),
        ("5 dead 1 rolled-back unhealthy", WayBack::None, WayBack::Attempt),
        ("5 dead 1 refused backup", WayBack::None, WayBack::Attempt),
        ("5 dead 2 complete", WayBack::Attempt, WayBack::Attempt),
        ("5 dead 1 starting", WayBack::Attempt, WayBack::Attempt),
        ("7 alive 1 starting", WayBack::None, WayBack::Attempt),
    ];
    for (attempt, of_several, of_one) in table {
        let found = [false, true].map(|is_only| way_back(&host("a", attempt), &ids(), 1, is_only));
        assert_eq!(found, [of_several, of_one], "{attempt}");
    }
    assert_eq!(way_back(&host("a", "5 dead 2 complete"), &ids(), 9, false), WayBack::None, "it is not there");
}

#[test]
fn servers_that_serve_different_releases_are_not_healthy() {
    let (old, new) = ("- dead 1", "- dead 2");
    let told = [[old, old, old], [new, old, old]].map(|each| describe(serving_status(&hosts(each), "web")));
    insta::assert_snapshot!(told.join("\n"), @"
    healthy web:1: a: container shop-web-1 running, healthy, b: container shop-web-1 running, healthy, c: container shop-web-1 running, healthy
    not serving: The hosts serve different releases. (a: release 2, b: release 1, c: release 1)
    ");
}
