//! Every state of an attempt → the status of the rollout.

use super::read::read_state;
use super::status::rollout_status;
use crate::release::RolloutStatus;

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn status(attempt: &str, container: &str, newest: u32) -> String {
    let image = format!("ghcr.io/acme/shop@{DIGEST}");
    let text = format!(
        "newest {newest}\nattempt 1 {attempt}\ncontainer c1 {container} 0 0 false {image}, shop-web-1\n\
         release 1 1700000000, {image} f e c0ffee1\nrelease 2 never {image} f none none\n"
    );
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match rollout_status(&read_state(&lines), "web", 1, "2") {
        RolloutStatus::Healthy(proof) => format!("healthy {}: {}", proof.version.label, proof.evidence),
        RolloutStatus::Progressing(progress) => format!("progressing: {}", progress.stage),
        RolloutStatus::Paused(pause) => format!("paused {}", pause.percent),
        RolloutStatus::Failed(failure) => format!("failed: {}", failure.problem.sentence),
        RolloutStatus::RollingBack(failure, _) => format!("rolling back: {}", failure.problem.sentence),
        RolloutStatus::RolledBack(failure, to) => {
            format!(
                "rolled back to {}: {}",
                to.map(|to| to.label).unwrap_or_default(),
                failure.problem.sentence
            )
        }
        RolloutStatus::RollbackFailed(failure) => format!("rollback failed: {}", failure.problem.sentence),
        RolloutStatus::Aborted(failure) => format!("aborted: {}", failure.problem.sentence),
        RolloutStatus::NotServing(failure) => {
            format!("not serving: {}", failure.problem.cause.unwrap_or_default())
        }
        RolloutStatus::Missed(failure) => format!("missed: {}", failure.problem.sentence),
        RolloutStatus::Superseded(by) => format!("superseded: {by}"),
        RolloutStatus::HandedOff(_) => "handed off".into(),
        RolloutStatus::Unknown(why) => format!("unknown: {why}"),
    }
}

#[test]
fn each_state_of_an_attempt_has_its_status() {
    let up = "running healthy";
    let all = [
        status("alive run-1 2 1 checking", up, 1),
        status("alive run-1 2 1 starting", up, 1),
        status("alive run-1 2 1 paused 10", up, 1),
        status("alive run-1 2 1 settling", up, 1),
        status("alive run-1 2 1 rolling-back unhealthy", up, 1),
        status("dead run-1 2 1 complete", up, 1),
        status("dead run-1 2 1 complete", "exited none", 1),
        status("dead run-1 2 1 complete", "running unhealthy", 1),
        status("dead run-1 1 2 complete", up, 1),
        status("dead run-1 2 1 rolled-back exited", up, 1),
        status("dead run-1 2 1 rolled-back network", up, 1),
        status("dead run-1 2 1 rolled-back dependencies", up, 1),
        status("dead run-1 2 1 back-failed exited timeout", up, 1),
        status("dead run-1 2 none stuck exited", up, 1),
        status("dead run-1 2 1 refused backup", up, 1),
        status("dead run-1 2 none refused backup", up, 1),
        status("dead run-1 2 1 settling", up, 1),
        status("alive run-1 2 1 something new", up, 1),
        status("alive run-1 2 1 starting", up, 2),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    progressing: checking, 1 of 1 containers healthy
    progressing: starting, 1 of 1 containers healthy
    paused 10
    progressing: settling, 1 of 1 containers healthy
    rolling back: The health check of the new container fails.
    healthy web:2: container shop-web-1 running, healthy
    not serving: shop-web-1 exited
    not serving: shop-web-1 running, unhealthy
    missed: The rollout had completed on the server when it was asked to go back.
    rolled back to web:1: The new container exited with code 0.
    rolled back to web:1: The proxy and the new container have no network in common, so the proxy cannot reach it.
    rolled back to web:1: Compose did not start the new container in time.
    rollback failed: The new container exited with code 0.
    aborted: The new container exited with code 0.
    rolled back to web:1: The backup on the server failed, so nothing was changed.
    aborted: The backup on the server failed, so nothing was changed.
    failed: The change on the server was interrupted: its process was killed, or the server was restarted.
    progressing: something new, 1 of 1 containers healthy
    superseded: a newer change of traffic (2) was started on the server
    ");
}
