//! What runs record as deployments in GitHub, what later runs read out of it, and that an old run does not undo a newer
//! one: whole runs over the embedded cloud.

use serde_json::json;

use crate::support::book::{PAST, World, sha};
use crate::support::virtually;

#[test]
fn a_release_is_a_deployment_with_all_that_later_runs_need() {
    virtually(async {
        let world = World::of(PAST);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""));
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          success: Roadstead: deployed: backend (backend:2 serves)
        ");
        let made = world.newest().await;
        let image = step.output("image").to_owned();
        assert!(image.ends_with(step.output("digest")), "{image}");
        assert_eq!(
            made["payload"],
            json!({"roadstead": {"environment": "production", "commit": sha("c2"),
                "services": {"backend": {"image": image}}}, "run": "7/1"})
        );
        assert_eq!(made["production_environment"], true);
        let proven = world.proven("production").await;
        assert_eq!(proven[0].record.services["backend"].image.to_string(), image);
        assert_eq!(world.proven("staging").await, []);
        world.judged();
    });
}

#[test]
fn what_is_unchanged_is_recorded_once() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        let again = world.run(&world.runner(7, "c2").with("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!(again.output("outcome"), "unchanged");
        assert_eq!(world.deployments().await.lines().count(), 3, "no second deployment");
        // The same image for a later commit: that this one serves, too, is worth a record.
        let image = again.output("image").to_owned();
        let later = world.run(&world.runner(8, "c3").with("INPUT_IMAGE", &image)).await;
        assert_eq!(later.output("outcome"), "unchanged");
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"]);
        assert_eq!(world.moves(), 1);
        world.judged();
    });
}

#[test]
fn a_job_with_an_environment_has_one_deployment() {
    virtually(async {
        let world = World::of(&format!("{PAST}workflow: {{ environment: production }}\n"));
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.code, step.annotated().as_str()), (0, ""));
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress:
          in_progress: roadstead/1 15ae5c8f 1/2 c200000000000000000000000000000000000000;111111111111.dkr.ecr.eu-west-1.amazonaws.com/;backend=backend@KjYm7RNbFm
          in_progress: roadstead/1 15ae5c8f 2/2 iqmGVagOK6Gvzq0BpcbsxuuIuric6_h_I
          success: Roadstead 15ae5c8f: deployed: backend (backend:2 serves)
          success:
        ");
        let proven = world.proven("production").await;
        assert_eq!(proven.len(), 1);
        assert_eq!(proven[0].record.services["backend"].image.to_string(), step.output("image"));
        assert_eq!(proven[0].record.commit, sha("c2"));
        world.judged();
    });
}

#[test]
fn the_environment_of_the_job_may_be_another_one() {
    virtually(async {
        let world = World::of(&format!("{PAST}workflow: {{ environment: production-eu }}\n"));
        world.run(&world.runner(7, "c2")).await;
        assert_eq!(world.proven_commits("production").await, ["c2"]);
        assert_eq!(world.proven_commits("production-eu").await, [""; 0]);
    });
}

#[test]
fn github_s_own_success_proves_nothing() {
    virtually(async {
        let crash = format!(
            "{PAST}workflow: {{ environment: production }}\nfaults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"
        );
        let world = World::of(&crash);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.code, 3);
        let told = world.deployments().await;
        assert!(
            told.ends_with("  success:"),
            "GitHub's word, for a job whose failed step was allowed to fail: {told}"
        );
        assert_eq!(world.proven_commits("production").await, [""; 0]);
    });
}

#[test]
fn a_failure_is_told_and_proves_nothing() {
    virtually(async {
        let world = World::of(&format!("{PAST}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"));
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.code, 3);
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          failure: Roadstead: failed: backend (backend:1 serves)
        ");
        assert_eq!(world.proven_commits("production").await, [""; 0]);
        world.judged();
    });
}

#[test]
fn without_permissions_the_release_goes_on_with_one_notice_each() {
    virtually(async {
        let scenario = PAST.replace("github:\n", "github:\n  job-token: { access: read }\n");
        let world = World::of(&scenario);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.code, step.output("outcome")), (0, "deployed"));
        insta::assert_snapshot!(step.annotated(), @r"
        ::notice title=not leased::This run holds no lease of what it works on.%0AGitHub answered 403: Resource not accessible by integration%0ANothing but the provider keeps another run from working on the same service at the same time. The job needs `permissions: contents: write`.
        ::notice title=not recorded::What this run releases is not recorded as a deployment in GitHub.%0AGitHub answered 403: Resource not accessible by integration%0ALater runs do not find it: no promotion from here, and an old run that is started again may undo it. The job needs `permissions: deployments: write`.
        ");
        assert_eq!(world.deployments().await, "");
        world.judged();
    });
}

#[test]
fn answers_that_are_lost_make_no_second_deployment_and_lose_no_proof() {
    for operation in ["repos/create-deployment", "repos/create-deployment-status", "*"] {
        for effect in [true, false] {
            virtually(async {
                let times = if operation == "*" { 3 } else { 1 };
                let fault =
                    format!("bad-gateway: {{ operation: {operation:?}, effect: {effect}, times: {times} }}");
                let world = World::of(&format!("{PAST}faults: [{fault}]\n"));
                let step = world.run(&world.runner(7, "c2")).await;
                assert_eq!((step.code, step.output("outcome")), (0, "deployed"), "{fault}");
                let made = world.deployments().await.lines().filter(|line| !line.starts_with(' ')).count();
                assert!(made <= 1, "{fault}");
                assert_eq!(world.leases().await, [""; 0], "{fault}");
                let told = step.annotations().iter().filter(|line| line.contains("not recorded")).count();
                assert_eq!(made + told.min(1), 1, "{fault}: recorded, or said that it is not");
                world.judged();
            });
        }
    }
}

#[test]
fn a_rollback_is_recorded_with_the_commit_that_serves_again() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        world.run(&world.runner(8, "c3")).await;
        let step = world.run(&world.runner(9, "c3").with("INPUT_OPERATION", "rollback")).await;
        assert_eq!((step.code, step.output("outcome")), (0, "rolled-back"));
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          success: Roadstead: deployed: backend (backend:2 serves)
        production c3
          in_progress: Roadstead: under way
          success: Roadstead: deployed: backend (backend:3 serves)
        production c2
          in_progress: Roadstead: under way
          success: Roadstead: rolled-back: backend (backend:2 serves)
        ");
        assert_eq!(world.proven_commits("production").await, ["c2", "c3", "c2"]);
        world.judged();
    });
}

#[test]
fn an_old_run_does_not_undo_a_newer_one() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        world.run(&world.runner(8, "c3")).await;
        let again = world.run(&world.runner(7, "c2").with("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!((again.code, again.output("outcome")), (5, "superseded"));
        insta::assert_snapshot!(again.annotated(), @"::error title=backend%3A superseded::This run is of commit c200000, and `backend` serves c300000 already, which is newer: an old run does not undo it.%0ATo return to it on purpose, use `operation: rollback` with `to: c200000`.");
        let by_hand = world.run(&world.runner(9, "c1").with("GITHUB_EVENT_NAME", "workflow_dispatch")).await;
        assert_eq!((by_hand.code, by_hand.output("outcome")), (5, "superseded"), "by hand, on an old commit");
        assert_eq!(world.moves(), 2);
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"], "nothing of it is recorded");
        let plan = world.run(&world.runner(10, "c2").with("INPUT_OPERATION", "plan")).await;
        assert_eq!((plan.code, plan.output("outcome")), (0, "planned"));
        assert!(plan.annotated().contains("::warning title=backend%3A superseded::"), "{}", plan.annotated());
        world.judged();
    });
}

#[test]
fn what_is_beside_or_not_known_is_let_in() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c2")).await;
        let beside = world.run(&world.runner(8, "d2")).await;
        assert_eq!((beside.code, beside.output("outcome")), (0, "deployed"), "another branch");
        // What serves was put there by somebody else.
        let back = world.run(&world.runner(9, "c3")).await;
        assert_eq!(back.code, 0);
        world.judged();
    });
}

#[test]
fn a_run_of_a_newer_commit_that_failed_keeps_nobody_out() {
    virtually(async {
        let world = World::of(PAST);
        world.run(&world.runner(7, "c1")).await;
        let broken = World::of(&format!("{PAST}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"));
        broken.run(&broken.runner(7, "c3")).await;
        let older = broken.run(&broken.runner(8, "c2")).await;
        assert_ne!(older.output("outcome"), "superseded");
    });
}
