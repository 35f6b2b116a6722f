//! `services: changed`: whole runs that release what a commit concerns and leave the rest alone.

use crate::support::runner::Step;
use crate::support::stages::{World, sha};
use crate::support::virtually;

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1, role: \"arn:aws:iam::111111111111:role/deploy\" } }
services:
  backend: { paths: [\"backend/**\", \"!**/*.md\"], repository: acme/backend, ecs: { cluster: acme, service: backend, container: app } }
  frontend: { paths: [\"frontend/**\", \"libs/shared/**\"], repository: acme/frontend, ecs: { cluster: acme, service: frontend, container: app } }
";

const PAST: &str = "github:
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
async fn pushed(world: &World, before: &str, after: &str) -> Step {
    let event =
        format!("{{\"before\": \"{}\"}}", if before.is_empty() { "0".repeat(40) } else { sha(before) });
    let runner = world.push("main", after).with("INPUT_SERVICES", "changed").file("event.json", &event);
    world.run(&runner).await
}

/// The services of a run, in the order of the deploy file.
fn released(step: &Step) -> Vec<String> {
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap_or_default();
    services.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

#[test]
fn a_push_releases_what_its_files_concern() {
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
        virtually(async {
            let step = pushed(&World::of(CONFIG, PAST), before, after).await;
            assert_eq!(step.code, 0, "{before} {after}: {:#?}", step.lines);
            assert_eq!(released(&step), expected, "{before} {after}: {:#?}", step.lines);
        });
    }
}

#[test]
fn where_nothing_is_concerned_the_run_is_skipped_without_a_call_to_aws() {
    virtually(async {
        let step = pushed(&World::of(CONFIG, PAST), "c2", "c3").await;
        assert_eq!((step.code, step.output("outcome")), (0, "skipped"), "{:#?}", step.lines);
        insta::assert_snapshot!(step.summary.trim(), @"
        ## ⏩ nothing to do — what changed concerns none of the services

        _A rehearsal on the embedded cloud: nothing real was touched._

        <sub>Roadstead deploy · [`c300000`](https://github.com/acme/shop/commit/c300000000000000000000000000000000000000) · [run](https://github.com/acme/shop/actions/runs/101/attempts/1) · 2026-03-02 09:00 UTC · under 1 s</sub>
        ");
        assert!(step.calls.iter().all(|call| call.service == "github"), "{:?}", step.calls);
    });
}

/// The push before this one failed: what it brought is not proven yet, and counts.
#[test]
fn changes_are_counted_from_what_was_proven_last() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let (backend, frontend) = (world.image("acme/backend", "c1"), world.image("acme/frontend", "c1"));
        world.proved("production", "c1", &[("backend", &backend), ("frontend", &frontend)]).await;
        let step = pushed(&world, "c2", "c3").await;
        assert_eq!(released(&step), ["frontend"], "{:#?}", step.lines);
        // What another environment proved says nothing here.
        world.proved("staging", "c3", &[("backend", &backend), ("frontend", &frontend)]).await;
        let step = pushed(&world, "c3", "c4").await;
        assert_eq!(released(&step), ["frontend"], "{:#?}", step.lines);
    });
}

#[test]
fn what_cannot_be_known_concerns_everybody_and_is_said() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let runner =
            world.push("main", "c3").with("INPUT_SERVICES", "changed").with("INPUT_GITHUB-TOKEN", "");
        let step = world.run(&runner).await;
        assert_eq!(released(&step), ["backend", "frontend"]);
        insta::assert_snapshot!(step.annotated(), @"::notice title=changes unknown::It is not known which services changed, so this run is about all of them.%0Athere is no token, or no repository, to ask GitHub about%0AServices that are as they should be are left alone.");
        let new_branch = pushed(&world, "", "c3").await;
        assert_eq!(released(&new_branch), ["backend", "frontend"], "{:#?}", new_branch.lines);
        assert!(new_branch.lines.iter().any(|line| line.contains("there is no commit to count from")));
    });
}

#[test]
fn a_pull_request_plans_what_it_changes() {
    let event = format!(
        "{{\"before\": \"{0}\", \"pull_request\": {{\"number\": 3, \"head\": {{\"sha\": \"{1}\", \"repo\": {{\"id\": 1}}}}, \"base\": {{\"ref\": \"main\", \"sha\": \"{2}\", \"repo\": {{\"id\": 1}}}}}}}}",
        sha("e1"),
        sha("e1"),
        sha("c6")
    );
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let runner = world
            .push("main", "e1")
            .with("INPUT_SERVICES", "changed")
            .with("GITHUB_EVENT_NAME", "pull_request")
            .with("GITHUB_REF", "refs/pull/3/merge")
            .with("GITHUB_HEAD_REF", "topic")
            .with("GITHUB_BASE_REF", "main")
            .file("event.json", &event);
        let step = world.run(&runner).await;
        assert_eq!((step.code, step.output("outcome")), (0, "planned"), "{:#?}", step.lines);
        assert_eq!(released(&step), ["backend"], "{:#?}", step.lines);
    });
}

#[test]
fn a_rollback_is_of_named_services() {
    virtually(async {
        let world = World::of(CONFIG, PAST);
        let runner =
            world.push("main", "c3").with("INPUT_SERVICES", "changed").with("INPUT_OPERATION", "rollback");
        let step = world.run(&runner).await;
        assert_eq!(step.code, 2);
        insta::assert_snapshot!(step.annotated(), @"::error title=input invalid::Input `services`: `changed` is for what a commit brings, and the operation is `rollback`.");
    });
}
