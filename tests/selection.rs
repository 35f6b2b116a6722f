//! `services: changed`: whole runs that release what a commit concerns and leave the rest alone.

use serde_json::json;

use crate::support::github::GitHubTestClient;
use crate::support::promotion::{PromotionHarness, full_sha};
use crate::support::run_in_virtual_time;
use crate::support::runner::StepResult;

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
services:
  backend: { paths: [\"backend/**\", \"!**/*.md\"], repository: acme/backend, ecs: { cluster: acme, service: backend, container: app } }
  frontend: { paths: [\"frontend/**\", \"libs/shared/**\"], repository: acme/frontend, ecs: { cluster: acme, service: frontend, container: app } }
";

const HISTORY: &str = "github:
  repositories:
    - name: acme/shop
      private: true
      files: { backend/main.rs: a, frontend/app.js: a, .github/roadstead.yml: a }
      history:
        - { id: c1, files: { backend/main.rs: b } }
        - { id: c2, files: { frontend/app.js: b } }
        - { id: c3, files: { docs/a.md: b, backend/README.md: b } }
        - { id: c4, renamed: { frontend/app.js: moved/app.js } }
        - { id: c5, submodules: { libs/shared: \"1111111111111111111111111111111111111111\" } }
        - { id: c6, files: { .github/roadstead.yml: b } }
        - { id: e1, branch: topic, parent: c2, files: { backend/main.rs: c } }
";

/// A run for a push that moved `main` from one commit to another.
async fn run_push(world: &PromotionHarness, before: &str, after: &str) -> StepResult {
    let event =
        format!("{{\"before\": \"{}\"}}", if before.is_empty() { "0".repeat(40) } else { full_sha(before) });
    let runner = world
        .push_runner("main", after)
        .with_variable("INPUT_SERVICES", "changed")
        .with_file("event.json", &event);
    world.run(&runner).await
}

/// A run recorded that it proved this commit for both services.
async fn prove(world: &PromotionHarness, commit: &str) {
    let (backend, frontend) =
        (world.push_image("acme/backend", "c1"), world.push_image("acme/frontend", "c1"));
    let services = json!({ "backend": { "image": backend }, "frontend": { "image": frontend } });
    let record = json!({ "environment": "production", "commit": full_sha(commit), "services": services });
    let run = world.start_run("refs/heads/main", "c1", "push");
    let body = json!({
        "ref": full_sha("c1"), "task": "roadstead", "auto_merge": false, "required_contexts": [],
        "environment": "production", "payload": { "roadstead": record, "run": format!("{run}/1") },
    });
    let asker = GitHubTestClient::new(&world.cloud);
    let made = asker.call_rest("POST", "/repos/acme/shop/deployments", body).await;
    world.say(made.body["id"].as_u64().unwrap(), "success", "Roadstead: deployed").await;
    world.cloud.end_run("acme/shop", run, "success");
}

/// The services of a run, in the order of the deploy file.
fn released_services(step: &StepResult) -> Vec<String> {
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap_or_default();
    services.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn push_releases_the_services_its_files_affect() {
    for (before, after, expected) in [
        ("c1", "c2", vec!["frontend"]),
        ("c1", "c3", vec!["frontend"]),
        // A file that moved away is missed where it was.
        ("c3", "c4", vec!["frontend"]),
        // The pointer of a submodule stands for everything below it.
        ("c4", "c5", vec!["frontend"]),
        ("c5", "c6", vec!["backend", "frontend"]),
        // Not an ancestor: somebody forced the branch.
        ("e1", "c3", vec!["backend", "frontend"]),
        // Not there any more.
        ("dead", "c3", vec!["backend", "frontend"]),
    ] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, HISTORY);
            prove(&world, before).await;
            let step = run_push(&world, before, after).await;
            assert_eq!(step.exit_code, 0, "{before} {after}: {:#?}", step.lines);
            assert_eq!(released_services(&step), expected, "{before} {after}: {:#?}", step.lines);
        });
    }
}

#[test]
fn unaffected_push_is_skipped_without_aws_calls() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        prove(&world, "c2").await;
        let step = run_push(&world, "c2", "c3").await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "skipped"), "{:#?}", step.lines);
        insta::assert_snapshot!(step.summary.trim(), @r"
        ## ⏩ nothing to do — what changed concerns none of the services

        _Rehearsal on the emulator: no real resource was changed._

        <sub>Roadstead deploy · [`c300000`](https://github.com/acme/shop/commit/c300000000000000000000000000000000000000) · [run](https://github.com/acme/shop/actions/runs/102/attempts/1) · 2026-03-02 09:00 UTC · under 1 s</sub>
        ");
        assert!(step.calls.iter().all(|call| call.service == "github"), "{:?}", step.calls);
    });
}

/// The push before this one failed: what it brought is not proven yet, and counts.
#[test]
fn changes_are_compared_to_the_last_proven_commit() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let (backend, frontend) =
            (world.push_image("acme/backend", "c1"), world.push_image("acme/frontend", "c1"));
        world.record_proven("production", "c1", &[("backend", &backend), ("frontend", &frontend)]).await;
        let step = run_push(&world, "c2", "c3").await;
        assert_eq!(released_services(&step), ["frontend"], "{:#?}", step.lines);
        // What another environment proved says nothing here.
        world.record_proven("staging", "c3", &[("backend", &backend), ("frontend", &frontend)]).await;
        let step = run_push(&world, "c3", "c4").await;
        assert_eq!(released_services(&step), ["frontend"], "{:#?}", step.lines);
    });
}

/// Nothing proves that the change of an earlier push was released: it stays due, whatever became of that push.
#[test]
fn change_stays_due_until_a_release_of_it_is_proven() {
    let crash = "faults: [crash-on-start: { service: backend, exit-code: 1 }]\n";
    for (fault, broken) in [(crash, vec![]), ("", vec!["backend"])] {
        run_in_virtual_time(async {
            let world = PromotionHarness::new(CONFIG, &format!("{HISTORY}{fault}"));
            let push = |before: &str, after: &str| {
                let event = format!("{{\"before\": \"{}\"}}", full_sha(before));
                let runner = world.push_runner("main", after).with_file("event.json", &event);
                runner.with_variable("INPUT_SERVICES", "changed").with_broken_builds(&broken)
            };
            let first = world.run(&push("c0", "c1")).await;
            assert_eq!(first.output("outcome"), "failed", "{:#?}", first.lines);
            for (before, after) in [("c1", "c2"), ("c2", "c3")] {
                let next = world.run(&push(before, after)).await;
                assert!(released_services(&next).contains(&"backend".to_owned()), "{:#?}", next.lines);
            }
            // The push that never ran is no base either: what is due is released with the next one.
            let runner = world.push_runner("main", "c3").with_variable("INPUT_SERVICES", "changed");
            let last = world.run(&runner).await;
            assert!(released_services(&last).contains(&"backend".to_owned()), "{:#?}", last.lines);
        });
    }
}

#[test]
fn unknown_changes_affect_all_services_with_a_notice() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let runner = world
            .push_runner("main", "c3")
            .with_variable("INPUT_SERVICES", "changed")
            .with_variable("INPUT_GITHUB-TOKEN", "");
        let step = world.run(&runner).await;
        assert_eq!(released_services(&step), ["backend", "frontend"]);
        insta::assert_snapshot!(step.annotation_lines(), @"::notice title=changes unknown::It is not known which services changed, so this run is about all of them.%0Athere is no token, or no repository, to ask GitHub about%0AServices that are as they should be are left alone.");
        let new_branch = run_push(&world, "", "c3").await;
        assert_eq!(released_services(&new_branch), ["backend", "frontend"], "{:#?}", new_branch.lines);
        assert!(
            new_branch.lines.iter().any(|line| line.contains("no release of it is recorded as proven here"))
        );
    });
}

#[test]
fn a_pull_request_plans_what_it_changes() {
    let event = format!(
        "{{\"before\": \"{0}\", \"pull_request\": {{\"number\": 3, \"head\": {{\"sha\": \"{1}\", \"repo\": {{\"id\": 1}}}}, \"base\": {{\"ref\": \"main\", \"sha\": \"{2}\", \"repo\": {{\"id\": 1}}}}}}}}",
        full_sha("e1"),
        full_sha("e1"),
        full_sha("c6")
    );
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let runner = world
            .push_runner("main", "e1")
            .with_variable("INPUT_SERVICES", "changed")
            .with_variable("GITHUB_EVENT_NAME", "pull_request")
            .with_variable("GITHUB_REF", "refs/pull/3/merge")
            .with_variable("GITHUB_HEAD_REF", "topic")
            .with_variable("GITHUB_BASE_REF", "main")
            .with_file("event.json", &event);
        let step = world.run(&runner).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "planned"), "{:#?}", step.lines);
        assert_eq!(released_services(&step), ["backend"], "{:#?}", step.lines);
    });
}

#[test]
fn rollback_needs_named_services() {
    run_in_virtual_time(async {
        let world = PromotionHarness::new(CONFIG, HISTORY);
        let runner = world
            .push_runner("main", "c3")
            .with_variable("INPUT_SERVICES", "changed")
            .with_variable("INPUT_OPERATION", "rollback");
        let step = world.run(&runner).await;
        assert_eq!(step.exit_code, 2);
        insta::assert_snapshot!(step.annotation_lines(), @"::error title=input invalid::Input `services`: `changed` is for the changes of a commit; the operation is `rollback`.");
    });
}
