//! Events that are about a commit: what is not merged is not released, however the event is called. Whole runs over the
//! emulator, whose repository has `c1`, `c2` and `c3` on its default branch, and `d2` beside them.

use serde_json::{Value, json};

use crate::support::recorded_deployments::{HISTORY, MultiRunHarness, full_sha};
use crate::support::run_in_virtual_time;
use crate::support::runner::{Runner, StepResult};

const REPOSITORY: &str = r#"{"id": 1, "full_name": "acme/shop", "default_branch": "main"}"#;

/// An event of this name, on the default branch, about the commit `of`.
fn payload(event: &str, of: &str) -> Value {
    let repository: Value = serde_json::from_str(REPOSITORY).unwrap();
    let mut payload = match event {
        "check_run" => {
            json!({"check_run": {"head_sha": of, "pull_requests": [], "check_suite": {"head_sha": of}}})
        }
        "check_suite" => json!({"check_suite": {"head_sha": of, "pull_requests": []}}),
        "status" => json!({"sha": of, "state": "success"}),
        "deployment" | "deployment_status" => json!({"deployment": {"sha": of, "ref": "topic"}}),
        "workflow_run" => json!({"workflow_run": {
            "conclusion": "success", "event": "check_run", "head_sha": of, "head_branch": "main", "head_repository": {"id": 1}
        }}),
        _ => json!({"action": "created"}),
    };
    payload["repository"] = repository;
    payload
}

/// A run of the event on commit `at` of `main`, with the environment named.
fn runner(world: &MultiRunHarness, event: &str, of: &str, at: &str) -> Runner {
    world
        .runner(7, at)
        .with_variable("GITHUB_EVENT_NAME", event)
        .with_variable("INPUT_ENVIRONMENT", "production")
        .with_file("event.json", &payload(event, of).to_string())
}

fn run_event(
    scenario: &str,
    change: impl Fn(Runner) -> Runner,
    event: &str,
    of: &str,
    at: &str,
) -> StepResult {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(scenario);
        let step = world.run(&change(runner(&world, event, of, at))).await;
        let outcome = step.output("outcome");
        assert_eq!(
            world.count_service_updates(),
            usize::from(outcome == "deployed"),
            "{event} {of}: {outcome}"
        );
        world.assert_valid_requests();
        step
    })
}

const COMMIT_EVENTS: [&str; 6] =
    ["check_run", "check_suite", "status", "deployment", "deployment_status", "workflow_run"];

#[test]
fn commit_that_is_not_merged_is_not_released_by_any_event() {
    let unknown = "dd".repeat(20);
    for event in COMMIT_EVENTS {
        for (of, expected) in [
            (full_sha("c3"), "deployed"),
            (full_sha("c1"), "deployed"),
            (full_sha("d2"), "skipped"),
            (unknown.clone(), "skipped"),
            ("refs/heads/main".into(), "skipped"),
            (String::new(), "skipped"),
        ] {
            let step = run_event(HISTORY, |runner| runner, event, &of, "c3");
            assert_eq!(
                (step.exit_code, step.output("outcome")),
                (0, expected),
                "{event} {of}: {}",
                step.summary
            );
            assert!(
                expected == "deployed" || step.summary.contains("code that is not merged is not released")
            );
        }
    }
}

/// The case of the attack: the check of a fork's commit, whose list of pull requests is empty.
#[test]
fn check_of_a_fork_releases_nothing() {
    let fork = json!({"action": "completed", "check_run": {"pull_requests": [], "head_sha": "dd".repeat(20)},
        "repository": {"id": 1}});
    let with = |runner: Runner| runner.with_file("event.json", &fork.to_string());
    let step = run_event(HISTORY, with, "check_run", "", "c3");
    assert_eq!((step.exit_code, step.output("outcome"), step.count_changes()), (0, "skipped", 0));
    insta::assert_snapshot!(step.visible_summary(), @r"
    ## ⏩ nothing to do — the event is about commit ddddddd, and no branch is known that it could be part of; code that is not merged is not released

    _Rehearsal on the emulator: no real resource was changed._

    <sub>Roadstead deploy · [`c300000`](https://github.com/acme/shop/commit/c…) · [run](https://github.com/acme/shop/actions/runs/7/attempts/1) · 2026-03-02 hh:mm UTC</sub>
    ");
}

#[test]
fn what_cannot_be_read_is_not_merged() {
    let no_token = |runner: Runner| runner.with_variable("INPUT_GITHUB-TOKEN", "");
    let step = run_event(HISTORY, no_token, "check_run", &full_sha("c2"), "c3");
    assert_eq!(step.output("outcome"), "skipped");
    assert!(step.summary.contains("the run has no `github-token`"), "{}", step.summary);
    let fault = format!(
        "{HISTORY}faults: [bad-gateway: {{ operation: \"repos/compare-commits\", effect: false, times: 50 }}]\n"
    );
    let step = run_event(&fault, |runner| runner, "check_run", &full_sha("c2"), "c3");
    assert_eq!(step.output("outcome"), "skipped", "{}", step.summary);
    assert!(step.summary.contains("could not be read"), "{}", step.summary);
}

/// The list of branches in the deploy file of a commit that is not the one of the run proves nothing.
#[test]
fn branches_of_the_environment_prove_only_the_commit_of_the_run() {
    let listed = crate::support::runner::CONFIG.replace("branches: [main]", "branches: [main, topic]");
    let with = |runner: Runner| runner.with_config(&listed);
    let check = run_event(HISTORY, with, "check_run", &full_sha("d2"), "c3");
    assert_eq!(check.output("outcome"), "skipped");
    let on_topic = |runner: Runner| with(runner).with_variable("GITHUB_REF", "refs/heads/topic");
    let deployment = run_event(HISTORY, on_topic, "deployment", &full_sha("d2"), "d2");
    assert_eq!(deployment.output("outcome"), "deployed", "{}", deployment.summary);
    let nowhere = |runner: Runner| with(runner).with_variable("GITHUB_REF", "");
    let deployment = run_event(HISTORY, nowhere, "deployment", &full_sha("d2"), "d2");
    assert_eq!(deployment.output("outcome"), "deployed", "{}", deployment.summary);
}

#[test]
fn events_of_the_default_branch_release_its_commit_and_unknown_events_release_nothing() {
    for (event, expected) in [("issue_comment", "deployed"), ("watch", "deployed"), ("brand_new", "skipped")]
    {
        let step = run_event(HISTORY, |runner| runner, event, "", "c3");
        assert_eq!((step.exit_code, step.output("outcome")), (0, expected), "{event}: {}", step.summary);
    }
}

#[test]
fn operations_that_only_read_are_no_exception() {
    let verify = |runner: Runner| runner.with_variable("INPUT_OPERATION", "verify");
    let step = run_event(HISTORY, verify, "check_run", &full_sha("d2"), "c3");
    assert_eq!(step.output("outcome"), "skipped");
    let calls = step.calls.iter().filter(|call| call.service == "ecs").count();
    assert_eq!(calls, 0, "nothing is read with the rights of this repository");
}
