//! One writer: leases of services as refs in the run's own repository. Whole runs over the embedded cloud that meet, are
//! cancelled, and are lost at any moment.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::book::{PAST, World, sha, together};
use crate::support::github::Asker;
use crate::support::runner::{Runner, Step};
use crate::support::virtually;

const LEASE: &str = "refs/roadstead/lease/production/backend";

fn at(seconds: u64, runner: Runner) -> (Duration, Runner) {
    (Duration::from_secs(seconds), runner)
}

/// When each effective UpdateService was sent, and each lease made, moved or removed, in order.
fn order(world: &World) -> Vec<&'static str> {
    let known = [
        ("git/create-ref", "taken"),
        ("git/update-ref", "taken over"),
        ("git/delete-ref", "given back"),
        ("UpdateService", "moved"),
    ];
    let calls = world.cloud.calls();
    let effective = calls.iter().filter(|call| call.effective && call.outcome != refused(call));
    effective
        .filter_map(|call| known.iter().find(|(name, _)| *name == call.operation).map(|(_, word)| *word))
        .collect()
}

fn refused(call: &roadstead::rehearsal::record::Record) -> roadstead::rehearsal::record::Outcome {
    match &call.outcome {
        refused @ roadstead::rehearsal::record::Outcome::Refused(_) => refused.clone(),
        _ => roadstead::rehearsal::record::Outcome::Refused(String::new()),
    }
}

fn waited(step: &Step) -> Vec<&str> {
    step.lines.iter().map(String::as_str).filter(|line| line.contains("waiting for")).collect()
}

#[test]
fn a_lease_is_held_from_before_the_first_change_to_the_end() {
    virtually(async {
        let world = World::of(PAST);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.code, 0);
        assert_eq!(order(&world), ["taken", "moved", "given back"]);
        assert_eq!(world.leases().await, [""; 0]);
        let made = world.cloud.calls().into_iter().find(|call| call.operation == "git/create-ref").unwrap();
        assert_eq!(made.input["ref"], LEASE);
        world.judged();
    });
}

#[test]
fn who_changes_nothing_takes_none() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        let before = world.cloud.calls().len();
        world.run(&world.runner(8, "c2")).await;
        world.run(&world.runner(9, "c3").with("INPUT_OPERATION", "plan")).await;
        let calls = world.cloud.calls();
        let touched: Vec<&str> = calls[before..]
            .iter()
            .map(|call| call.operation.as_str())
            .filter(|name| name.starts_with("git/"))
            .collect();
        assert_eq!(touched, [""; 0]);
    });
}

#[test]
fn of_two_runs_at_once_the_second_waits_for_the_first() {
    virtually(async {
        let world = Rc::new(World::of(PAST));
        let runs = vec![at(0, world.runner(7, "c2")), at(1, world.runner(8, "c3"))];
        let steps = together(&world, runs).await;
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "deployed"]);
        assert_eq!(order(&world), ["taken", "moved", "given back", "taken", "moved", "given back"]);
        assert_eq!(waited(&steps[0]), [""; 0]);
        assert!(waited(&steps[1])[0].contains("run 7"), "{:?}", waited(&steps[1]));
        assert!(steps[1].summary.contains("waiting for run 7"), "{}", steps[1].summary);
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"]);
        world.judged();
    });
}

#[test]
fn an_older_run_that_waited_for_a_newer_one_does_not_undo_it() {
    virtually(async {
        let world = Rc::new(World::of(PAST));
        let runs = vec![at(0, world.runner(8, "c3")), at(1, world.runner(7, "c2"))];
        let steps = together(&world, runs).await;
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "superseded"]);
        assert_eq!(world.moves(), 1);
        assert_eq!(world.leases().await, [""; 0]);
        world.judged();
    });
}

#[test]
fn the_lease_of_a_lost_run_is_taken_over_by_one_of_those_who_wait() {
    virtually(async {
        let world = Rc::new(World::of(PAST));
        let lost = world.runner(7, "c1");
        assert!(world.cut_off(&lost, 30).await.is_none());
        assert_eq!(world.leases().await, [LEASE]);
        let ended = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            world.end(&lost);
        };
        let runs = vec![at(0, world.runner(8, "c2")), at(0, world.runner(9, "c3"))];
        let (steps, ()) = tokio::join!(together(&world, runs), ended);
        for step in &steps {
            assert!(["deployed", "superseded"].contains(&step.output("outcome")), "{:?}", step.lines);
            assert!(waited(step)[0].contains("run 7"), "{:?}", waited(step));
        }
        assert_eq!(order(&world).iter().filter(|word| **word == "taken over").count(), 1);
        assert_eq!(world.proven_commits("production").await[0], "c3");
        assert_eq!(world.leases().await, [""; 0]);
        world.judged();
    });
}

#[test]
fn an_attempt_that_is_started_again_does_not_wait_for_the_one_before() {
    virtually(async {
        let world = World::of(PAST);
        assert!(world.cut_off(&world.runner(7, "c2"), 30).await.is_none());
        let again = world.run(&world.runner(7, "c2").with("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!(again.code, 0, "{:?}", again.lines);
        assert_eq!(waited(&again), [""; 0]);
        assert_eq!(world.leases().await, [""; 0]);
        world.judged();
    });
}

#[test]
fn after_a_cancel_the_post_step_gives_all_back() {
    virtually(async {
        let world = World::of(PAST);
        let mut runner = world.runner(7, "c2");
        runner.cancel_after = Some(Duration::from_secs(20));
        let main = world.main(&runner).await;
        assert_eq!((main.code, main.output("outcome")), (130, "cancelled"));
        assert_eq!(world.leases().await, [LEASE], "the rollback is under way still");
        let post = world.post(&runner).await;
        assert_eq!(post.code, 130, "the way back is still under way: {:?}", post.lines);
        assert_eq!(world.leases().await, [""; 0]);
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          error: Roadstead: cut off; then cancelled: backend
        ");
        world.judged();
    });
}

#[test]
fn a_cancel_while_it_waits_changes_nothing() {
    virtually(async {
        let world = World::of(PAST);
        held_by(&world, &message(5)).await;
        world.cloud.start(started(5));
        let mut runner = world.runner(7, "c2");
        runner.cancel_after = Some(Duration::from_secs(60));
        let main = world.main(&runner).await;
        assert_eq!((main.code, world.moves()), (130, 0));
        world.post(&runner).await;
        assert_eq!(world.leases().await, [LEASE], "that of run 5");
        world.judged();
    });
}

/// A rollout of the very same version is under way, and the run that began it holds the lease.
#[test]
fn a_cancel_while_it_waits_leaves_the_rollout_of_the_other_alone() {
    virtually(async {
        let world = Rc::new(World::of(PAST));
        let mut second = world.runner(8, "c2");
        second.cancel_after = Some(Duration::from_secs(20));
        let steps = together(&world, vec![at(0, world.runner(7, "c2")), at(10, second)]).await;
        assert!(waited(&steps[1])[0].contains("run 7"), "{:?}", steps[1].lines);
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "cancelled"]);
        assert_eq!(world.moves(), 1, "{:?}", steps[1].lines);
        assert!(steps[1].summary.contains("goes on by itself"), "{}", steps[1].summary);
        world.judged();
    });
}

fn started(run: u64) -> roadstead::rehearsal::github::project::Start<'static> {
    roadstead::rehearsal::github::project::Start {
        repository: "acme/shop",
        sha: "c100000000000000000000000000000000000000",
        reference: "refs/heads/main",
        run: Some(run),
        attempt: 1,
        environment: None,
    }
}

fn message(run: u64) -> String {
    let url = format!("https://github.com/acme/shop/actions/runs/{run}/attempts/1");
    format!(
        "Roadstead lease 1\n\nrun: {run}\nattempt: 1\nrunner: \nurl: {url}\nsince: 2026-03-02T09:00:00Z\nnonce: 1\n"
    )
}

/// Somebody holds the lease, with this message.
async fn held_by(world: &World, message: &str) {
    let asker = Asker::of(&world.cloud);
    let head = asker.rest("GET", &format!("/repos/acme/shop/git/commits/{}", sha("c1")), Value::Null).await;
    let commit = json!({"message": message, "tree": head.body["tree"]["sha"], "parents": []});
    let commit = asker.rest("POST", "/repos/acme/shop/git/commits", commit).await.body["sha"].clone();
    asker.rest("POST", "/repos/acme/shop/git/refs", json!({"ref": LEASE, "sha": commit})).await;
}

#[test]
fn nobody_waits_for_ever_and_the_holder_is_named() {
    for (holder, outcome, code) in [(5, "failed", 3), (99, "superseded", 5)] {
        virtually(async {
            let world = World::of(PAST);
            held_by(&world, &message(holder)).await;
            world.cloud.start(started(holder));
            let step = world.run(&world.runner(7, "c2").with("INPUT_TIMEOUT", "20m")).await;
            assert_eq!((step.code, step.output("outcome"), world.moves()), (code, outcome, 0));
            if holder == 5 {
                insta::assert_snapshot!(step.annotated(), @"::error title=backend%3A lease held::Run 5 holds the lease of `backend` in production and did not give it back in the time of this run (14m55s).%0Ahttps://github.com/acme/shop/actions/runs/5/attempts/1%0AWait for that run, or cancel it; then run this job again.");
            }
            let minutes = step.took.as_secs() / 60;
            assert!((13..=15).contains(&minutes), "a quarter of the time is kept: {minutes}");
            assert_eq!(world.leases().await, [LEASE]);
            assert_eq!(world.deployments().await, "");
            world.judged();
        });
    }
}

#[test]
fn a_ref_that_is_none_of_ours_is_not_touched() {
    virtually(async {
        let world = World::of(PAST);
        held_by(&world, "Somebody's").await;
        let step = world.run(&world.runner(7, "c2").with("INPUT_TIMEOUT", "20m")).await;
        assert_eq!((step.code, world.moves()), (3, 0));
        insta::assert_snapshot!(step.annotated(), @"::error title=backend%3A lease held::Somebody holds the lease of `backend` in production and did not give it back in the time of this run (14m52s).%0ALook at the ref `refs/roadstead/lease/production/backend`, and delete it if nobody is at work.");
        assert_eq!(world.leases().await, [LEASE]);
        world.judged();
    });
}

#[test]
fn a_run_that_github_does_not_know_any_more_holds_nothing() {
    virtually(async {
        let world = World::of(PAST);
        held_by(&world, &message(4)).await;
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.code, world.leases().await.len()), (0, 0), "{:?}", step.lines);
        world.judged();
    });
}

/// The runner is lost after any call: the next run gets its lease, and what it asks for serves. The post step runs after
/// every other call; with `EVERY=1` both ways are tried after each.
#[test]
fn wherever_a_run_is_lost_the_next_one_is_not_kept_out() {
    let calls = virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        world.cloud.calls().len()
    });
    assert!((20..200).contains(&calls), "{calls}");
    let every = std::env::var("EVERY").is_ok();
    for count in 1..calls {
        for post in [true, false].into_iter().filter(|post| every || *post == (count % 2 == 0)) {
            virtually(async {
                let world = World::of(PAST);
                let lost = world.runner(7, "c2");
                let ended = world.cut_off(&lost, count).await.is_some();
                if post && !ended {
                    world.post(&lost).await;
                    assert_eq!(world.leases().await, [""; 0], "{count}: the post step leaves a lease");
                } else {
                    world.end(&lost);
                }
                let next = world.run(&world.runner(8, "c3")).await;
                assert_eq!(next.output("outcome"), "deployed", "{count} {post}: {:#?}", next.lines);
                assert_eq!(world.leases().await, [""; 0], "{count} {post}");
                assert_eq!(world.proven_commits("production").await[0], "c3", "{count} {post}");
                world.judged();
            });
        }
    }
}
