//! One writer: leases of services as refs in the run's own repository. Whole runs over the emulator: at the same time,
//! cancelled, and lost at any call.

use std::rc::Rc;
use std::time::Duration;

use roadstead_cloud::github::run::RunStart;
use serde_json::{Value, json};

use crate::support::github::GitHubTestClient;
use crate::support::recorded_deployments::{HISTORY, MultiRunHarness, full_sha, run_concurrently};
use crate::support::run_in_virtual_time;
use crate::support::runner::{Runner, StepResult};

const LEASE: &str = "refs/roadstead/lease/production/backend";

fn start_at(seconds: u64, runner: Runner) -> (Duration, Runner) {
    (Duration::from_secs(seconds), runner)
}

/// Effective UpdateService calls and changes of leases, in order.
fn lease_events(world: &MultiRunHarness) -> Vec<&'static str> {
    let known = [
        ("git/create-ref", "taken"),
        ("git/update-ref", "taken over"),
        ("git/delete-ref", "given back"),
        ("UpdateService", "moved"),
    ];
    let calls = world.cloud.calls();
    let effective = calls.iter().filter(|call| call.took_effect && call.outcome != rejected_or_default(call));
    effective
        .filter_map(|call| known.iter().find(|(name, _)| *name == call.operation).map(|(_, word)| *word))
        .collect()
}

fn rejected_or_default(
    call: &roadstead_cloud::call_log::LoggedCall,
) -> roadstead_cloud::call_log::CallOutcome {
    match &call.outcome {
        refused @ roadstead_cloud::call_log::CallOutcome::Failed(_) => refused.clone(),
        _ => roadstead_cloud::call_log::CallOutcome::Failed(String::new()),
    }
}

fn wait_lines(step: &StepResult) -> Vec<&str> {
    step.lines.iter().map(String::as_str).filter(|line| line.contains("waiting for")).collect()
}

#[test]
fn a_lease_is_held_from_before_the_first_change_to_the_end() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.exit_code, 0);
        assert_eq!(lease_events(&world), ["taken", "moved", "given back"]);
        assert_eq!(world.lease_refs().await, [""; 0]);
        let made = world.cloud.calls().into_iter().find(|call| call.operation == "git/create-ref").unwrap();
        assert_eq!(made.input["ref"], LEASE);
        world.assert_valid_requests();
    });
}

#[test]
fn run_without_changes_takes_no_lease() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        let before = world.cloud.calls().len();
        world.run(&world.runner(8, "c2")).await;
        world.run(&world.runner(9, "c3").with_variable("INPUT_OPERATION", "plan")).await;
        let calls = world.cloud.calls();
        let touched: Vec<&str> = calls[before..]
            .iter()
            .map(|call| call.operation.as_str())
            // The head of a branch is read to verify a record, and the tree of a commit for a lease that may be needed.
            .filter(|name| name.starts_with("git/") && !name.starts_with("git/get-"))
            .collect();
        assert_eq!(touched, [""; 0]);
    });
}

#[test]
fn second_of_two_concurrent_runs_waits() {
    run_in_virtual_time(async {
        let world = Rc::new(MultiRunHarness::new(HISTORY));
        let runs = vec![start_at(0, world.runner(7, "c2")), start_at(1, world.runner(8, "c3"))];
        let steps = run_concurrently(&world, runs).await;
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "deployed"]);
        assert_eq!(lease_events(&world), ["taken", "moved", "given back", "taken", "moved", "given back"]);
        assert_eq!(wait_lines(&steps[0]), [""; 0]);
        assert!(wait_lines(&steps[1])[0].contains("run 7"), "{:?}", wait_lines(&steps[1]));
        assert!(steps[1].summary.contains("waiting for run 7"), "{}", steps[1].summary);
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"]);
        world.assert_valid_requests();
    });
}

#[test]
fn stale_run_does_not_undo_the_newer_one_it_waited_for() {
    run_in_virtual_time(async {
        let world = Rc::new(MultiRunHarness::new(HISTORY));
        let runs = vec![start_at(0, world.runner(8, "c3")), start_at(1, world.runner(7, "c2"))];
        let steps = run_concurrently(&world, runs).await;
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "superseded"]);
        assert_eq!(world.count_service_updates(), 1);
        assert_eq!(world.lease_refs().await, [""; 0]);
        world.assert_valid_requests();
    });
}

#[test]
fn lease_of_lost_run_is_taken_over_by_one_waiter() {
    run_in_virtual_time(async {
        let world = Rc::new(MultiRunHarness::new(HISTORY));
        let lost = world.runner(7, "c1");
        assert!(world.run_until_lost(&lost, 30).await.is_none());
        assert_eq!(world.lease_refs().await, [LEASE]);
        let ended = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            world.end_run(&lost);
        };
        let runs = vec![start_at(0, world.runner(8, "c2")), start_at(0, world.runner(9, "c3"))];
        let (steps, ()) = tokio::join!(run_concurrently(&world, runs), ended);
        for step in &steps {
            assert!(["deployed", "superseded"].contains(&step.output("outcome")), "{:?}", step.lines);
            assert!(wait_lines(step)[0].contains("run 7"), "{:?}", wait_lines(step));
        }
        assert_eq!(lease_events(&world).iter().filter(|word| **word == "taken over").count(), 1);
        assert_eq!(world.proven_commits("production").await[0], "c3");
        assert_eq!(world.lease_refs().await, [""; 0]);
        world.assert_valid_requests();
    });
}

#[test]
fn new_attempt_does_not_wait_for_the_previous_one() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        assert!(world.run_until_lost(&world.runner(7, "c2"), 30).await.is_none());
        let again = world.run(&world.runner(7, "c2").with_variable("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!(again.exit_code, 0, "{:?}", again.lines);
        assert_eq!(wait_lines(&again), [""; 0]);
        assert_eq!(world.lease_refs().await, [""; 0]);
        world.assert_valid_requests();
    });
}

#[test]
fn post_step_after_cancel_releases_the_lease() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let mut runner = world.runner(7, "c2");
        runner.cancel_after = Some(Duration::from_secs(20));
        let main = world.run_main(&runner).await;
        assert_eq!((main.exit_code, main.output("outcome")), (130, "cancelled"));
        assert_eq!(world.lease_refs().await, [LEASE], "the rollback is under way still");
        let post = world.run_post(&runner).await;
        assert_eq!(post.exit_code, 130, "the rollback is still in progress: {:?}", post.lines);
        assert_eq!(world.lease_refs().await, [""; 0]);
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          error: Roadstead: cut off; then cancelled: backend
        ");
        world.assert_valid_requests();
    });
}

#[test]
fn cancel_while_waiting_changes_nothing() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        create_lease(&world, &lease_message(5)).await;
        world.cloud.start_run(run_start(5));
        let mut runner = world.runner(7, "c2");
        runner.cancel_after = Some(Duration::from_secs(60));
        let main = world.run_main(&runner).await;
        assert_eq!((main.exit_code, world.count_service_updates()), (130, 0));
        world.run_post(&runner).await;
        assert_eq!(world.lease_refs().await, [LEASE], "that of run 5");
        world.assert_valid_requests();
    });
}

/// A rollout of the same version is in progress, and the run that started it holds the lease.
#[test]
fn cancel_while_waiting_leaves_the_other_rollout_alone() {
    run_in_virtual_time(async {
        let world = Rc::new(MultiRunHarness::new(HISTORY));
        let mut second = world.runner(8, "c2");
        second.cancel_after = Some(Duration::from_secs(20));
        let steps =
            run_concurrently(&world, vec![start_at(0, world.runner(7, "c2")), start_at(10, second)]).await;
        assert!(wait_lines(&steps[1])[0].contains("run 7"), "{:?}", steps[1].lines);
        assert_eq!([steps[0].output("outcome"), steps[1].output("outcome")], ["deployed", "cancelled"]);
        assert_eq!(world.count_service_updates(), 1, "{:?}", steps[1].lines);
        assert!(steps[1].summary.contains("continues on its own"), "{}", steps[1].summary);
        world.assert_valid_requests();
    });
}

fn run_start(run: u64) -> RunStart<'static> {
    RunStart {
        repository: "acme/shop",
        sha: "c100000000000000000000000000000000000000",
        reference: "refs/heads/main",
        run_id: Some(run),
        attempt: 1,
        event: "push",
        environment: None,
    }
}

fn lease_message(run: u64) -> String {
    let url = format!("https://github.com/acme/shop/actions/runs/{run}/attempts/1");
    format!(
        "Roadstead lease 1\n\nrun: {run}\nattempt: 1\nrunner: \nurl: {url}\nsince: 2026-03-02T09:00:00Z\nnonce: 1\n"
    )
}

/// Somebody holds the lease, with this message.
async fn create_lease(world: &MultiRunHarness, message: &str) {
    let asker = GitHubTestClient::new(&world.cloud);
    let head = asker
        .call_rest("GET", &format!("/repos/acme/shop/git/commits/{}", full_sha("c1")), Value::Null)
        .await;
    let commit = json!({"message": message, "tree": head.body["tree"]["sha"], "parents": []});
    let commit = asker.call_rest("POST", "/repos/acme/shop/git/commits", commit).await.body["sha"].clone();
    asker.call_rest("POST", "/repos/acme/shop/git/refs", json!({"ref": LEASE, "sha": commit})).await;
}

#[test]
fn lease_wait_is_bounded_and_names_the_holder() {
    for (holder, outcome, code) in [(5, "failed", 3), (99, "superseded", 5)] {
        run_in_virtual_time(async {
            let world = MultiRunHarness::new(HISTORY);
            create_lease(&world, &lease_message(holder)).await;
            world.cloud.start_run(run_start(holder));
            let step = world.run(&world.runner(7, "c2").with_variable("INPUT_TIMEOUT", "20m")).await;
            assert_eq!(
                (step.exit_code, step.output("outcome"), world.count_service_updates()),
                (code, outcome, 0)
            );
            if holder == 5 {
                insta::assert_snapshot!(step.annotation_lines(), @"::error title=backend%3A lease held::Run 5 holds the lease of `backend` in production and did not release it within the time of this run (13m54s).%0Ahttps://github.com/acme/shop/actions/runs/5%0AWait for that run, or cancel it; then run this job again.");
            }
            let minutes = step.elapsed.as_secs() / 60;
            assert!((13..=15).contains(&minutes), "a quarter of the time is kept: {minutes}");
            assert_eq!(world.lease_refs().await, [LEASE]);
            assert_eq!(world.deployments().await, "");
            world.assert_valid_requests();
        });
    }
}

/// Whoever has `contents: write` can create such a ref. No run is behind these, so nobody is waited for.
#[test]
fn ref_that_no_run_holds_is_taken_over() {
    for (message, event) in [("Somebody's", ""), ("", "pull_request"), ("", "merge_group")] {
        run_in_virtual_time(async {
            let world = MultiRunHarness::new(HISTORY);
            let message = if message.is_empty() { lease_message(5) } else { message.to_owned() };
            create_lease(&world, &message).await;
            world.cloud.start_run(RunStart { event, ..run_start(5) });
            let step = world.run(&world.runner(7, "c2")).await;
            assert_eq!((step.exit_code, world.lease_refs().await.len()), (0, 0), "{:?}", step.lines);
            assert_eq!(wait_lines(&step), [""; 0]);
            world.assert_valid_requests();
        });
    }
}

/// The lease of another version, and a ref that cannot be moved forward, are not touched.
#[test]
fn lease_of_another_version_and_ref_to_a_blob_are_not_touched() {
    for blob in [false, true] {
        run_in_virtual_time(async {
            let world = MultiRunHarness::new(HISTORY);
            match blob {
                false => create_lease(&world, "Roadstead lease 2\n\nrun: 5\n").await,
                true => {
                    let asker = GitHubTestClient::new(&world.cloud);
                    let made = json!({"content": "x", "encoding": "utf-8"});
                    let blob = asker.call_rest("POST", "/repos/acme/shop/git/blobs", made).await;
                    let made = json!({"ref": LEASE, "sha": blob.body["sha"]});
                    asker.call_rest("POST", "/repos/acme/shop/git/refs", made).await;
                }
            }
            let step = world.run(&world.runner(7, "c2").with_variable("INPUT_TIMEOUT", "20m")).await;
            assert_eq!((step.exit_code, world.count_service_updates()), (3, 0), "{:?}", step.lines);
            let told = step.annotation_lines();
            assert!(told.contains("Look at the ref `refs/roadstead/lease/production/backend`"), "{told}");
            assert_eq!(world.lease_refs().await, [LEASE]);
            world.assert_valid_requests();
        });
    }
}

/// What a ref says about its holder is text of somebody else: shown are the number of the run, and its page at GitHub.
#[test]
fn text_of_a_forged_lease_is_not_shown() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let forged = lease_message(5).replace("https://github.com/acme", "https://evil.example");
        create_lease(&world, &forged.replace("2026-03-02T09:00:00Z", "call +1 555")).await;
        world.cloud.start_run(run_start(5));
        let step = world.run(&world.runner(7, "c2").with_variable("INPUT_TIMEOUT", "20m")).await;
        assert_eq!(step.exit_code, 3);
        let told = format!("{}{}{}", step.lines.join("\n"), step.summary, step.annotation_lines());
        assert!(!told.contains("evil.example") && !told.contains("555"), "{told}");
        assert!(told.contains("https://github.com/acme/shop/actions/runs/5"), "{told}");
    });
}

#[test]
fn lease_of_unknown_run_is_taken_over() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        create_lease(&world, &lease_message(4)).await;
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.exit_code, world.lease_refs().await.len()), (0, 0), "{:?}", step.lines);
        world.assert_valid_requests();
    });
}

/// The runner is lost after any call: the next run gets its lease, and what it asks for serves. The post step runs after
/// every other call; with `EVERY=1` both ways are tried after each.
#[test]
fn run_lost_at_any_call_does_not_block_the_next() {
    let calls = run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        world.cloud.calls().len()
    });
    assert!((20..200).contains(&calls), "{calls}");
    let every = std::env::var("EVERY").is_ok();
    for count in 1..calls {
        for post in [true, false].into_iter().filter(|post| every || *post == (count % 2 == 0)) {
            run_in_virtual_time(async {
                let world = MultiRunHarness::new(HISTORY);
                let lost = world.runner(7, "c2");
                let ended = world.run_until_lost(&lost, count).await.is_some();
                if post && !ended {
                    world.run_post(&lost).await;
                    assert_eq!(world.lease_refs().await, [""; 0], "{count}: the post step leaves a lease");
                } else {
                    world.end_run(&lost);
                }
                let next = world.run(&world.runner(8, "c3")).await;
                assert_eq!(next.output("outcome"), "deployed", "{count} {post}: {:#?}", next.lines);
                assert_eq!(world.lease_refs().await, [""; 0], "{count} {post}");
                assert_eq!(world.proven_commits("production").await[0], "c3", "{count} {post}");
                world.assert_valid_requests();
            });
        }
    }
}
