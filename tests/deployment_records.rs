//! What runs record as deployments in GitHub, what later runs read out of it, and that an old run does not undo a newer
//! one: whole runs over the emulator.

use serde_json::json;

use crate::support::recorded_deployments::{HISTORY, MultiRunHarness, full_sha};
use crate::support::run_in_virtual_time;

#[test]
fn release_is_recorded_as_a_deployment() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""));
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          success: Roadstead: deployed: backend (backend:2 serves)
        ");
        let made = world.newest_deployment().await;
        let image = step.output("image").to_owned();
        assert!(image.ends_with(step.output("digest")), "{image}");
        assert_eq!(
            made["payload"],
            json!({"roadstead": {"environment": "production", "commit": full_sha("c2"),
                "services": {"backend": {"image": image}}}, "run": "7/1"})
        );
        assert_eq!(made["production_environment"], true);
        let proven = world.proven_deployments("production").await;
        assert_eq!(proven[0].record.services["backend"].image.to_string(), image);
        assert_eq!(world.proven_deployments("staging").await, []);
        world.assert_valid_requests();
    });
}

#[test]
fn unchanged_release_is_recorded_once() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        let again = world.run(&world.runner(7, "c2").with_variable("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!(again.output("outcome"), "unchanged");
        assert_eq!(world.deployments().await.lines().count(), 3, "no second deployment");
        // The same image for a later commit: that this one serves, too, is worth a record.
        let image = again.output("image").to_owned();
        let later = world.run(&world.runner(8, "c3").with_variable("INPUT_IMAGE", &image)).await;
        assert_eq!(later.output("outcome"), "unchanged");
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"]);
        assert_eq!(world.count_service_updates(), 1);
        world.assert_valid_requests();
    });
}

#[test]
fn a_job_with_an_environment_has_one_deployment() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(&format!("{HISTORY}workflow: {{ environment: production }}\n"));
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.exit_code, step.annotation_lines().as_str()), (0, ""));
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress:
          in_progress: roadstead/1 15ae5c8f 1/2 c200000000000000000000000000000000000000;111111111111.dkr.ecr.eu-west-1.amazonaws.com/;backend=backend@KjYm7RNbFm
          in_progress: roadstead/1 15ae5c8f 2/2 iqmGVagOK6Gvzq0BpcbsxuuIuric6_h_I
          success: Roadstead 15ae5c8f: deployed: backend (backend:2 serves)
          success:
        ");
        let proven = world.proven_deployments("production").await;
        assert_eq!(proven.len(), 1);
        assert_eq!(proven[0].record.services["backend"].image.to_string(), step.output("image"));
        assert_eq!(proven[0].record.commit, full_sha("c2"));
        world.assert_valid_requests();
    });
}

#[test]
fn the_environment_of_the_job_may_be_another_one() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(&format!("{HISTORY}workflow: {{ environment: production-eu }}\n"));
        world.run(&world.runner(7, "c2")).await;
        assert_eq!(world.proven_commits("production").await, ["c2"]);
        assert_eq!(world.proven_commits("production-eu").await, [""; 0]);
    });
}

#[test]
fn success_status_of_github_does_not_prove() {
    run_in_virtual_time(async {
        let crash = format!(
            "{HISTORY}workflow: {{ environment: production }}\nfaults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"
        );
        let world = MultiRunHarness::new(&crash);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.exit_code, 3);
        let deployments = world.deployments().await;
        assert!(
            deployments.ends_with("  success:"),
            "GitHub's word, for a job whose failed step was allowed to fail: {deployments}"
        );
        assert_eq!(world.proven_commits("production").await, [""; 0]);
    });
}

#[test]
fn failure_is_recorded_and_does_not_prove() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(&format!(
            "{HISTORY}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"
        ));
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!(step.exit_code, 3);
        insta::assert_snapshot!(world.deployments().await, @r"
        production c2
          in_progress: Roadstead: under way
          failure: Roadstead: failed: backend (backend:1 serves)
        ");
        assert_eq!(world.proven_commits("production").await, [""; 0]);
        world.assert_valid_requests();
    });
}

#[test]
fn without_permissions_the_release_goes_on_with_one_notice_each() {
    run_in_virtual_time(async {
        let scenario = HISTORY.replace("github:\n", "github:\n  job-token: { access: read }\n");
        let world = MultiRunHarness::new(&scenario);
        let step = world.run(&world.runner(7, "c2")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"));
        insta::assert_snapshot!(step.annotation_lines(), @r"
        ::notice title=lease unavailable::This run holds no lease of what it works on.%0AGitHub responded with 403: Resource not accessible by integration%0ANothing but the provider keeps another run from working on the same service at the same time. The job needs `permissions: contents: write`.
        ::notice title=not recorded::What this run releases is not recorded as a deployment in GitHub.%0AGitHub responded with 403: Resource not accessible by integration%0ALater runs do not find it: no promotion from here, and an old run that is started again may undo it. The job needs `permissions: deployments: write`.
        ");
        assert_eq!(world.deployments().await, "");
        world.assert_valid_requests();
    });
}

#[test]
fn lost_answers_create_one_deployment_and_keep_the_proof() {
    for operation in ["repos/create-deployment", "repos/create-deployment-status", "*"] {
        for effect in [true, false] {
            run_in_virtual_time(async {
                let times = if operation == "*" { 3 } else { 1 };
                let fault =
                    format!("bad-gateway: {{ operation: {operation:?}, effect: {effect}, times: {times} }}");
                let world = MultiRunHarness::new(&format!("{HISTORY}faults: [{fault}]\n"));
                let step = world.run(&world.runner(7, "c2")).await;
                assert_eq!((step.exit_code, step.output("outcome")), (0, "deployed"), "{fault}");
                let made = world.deployments().await.lines().filter(|line| !line.starts_with(' ')).count();
                assert!(made <= 1, "{fault}");
                assert_eq!(world.lease_refs().await, [""; 0], "{fault}");
                let warnings = step.annotations().iter().filter(|line| line.contains("not recorded")).count();
                assert_eq!(made + warnings.min(1), 1, "{fault}: recorded, or said that it is not");
                world.assert_valid_requests();
            });
        }
    }
}

#[test]
fn a_rollback_is_recorded_with_the_commit_that_serves_again() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        world.run(&world.runner(8, "c3")).await;
        let step = world.run(&world.runner(9, "c3").with_variable("INPUT_OPERATION", "rollback")).await;
        assert_eq!((step.exit_code, step.output("outcome")), (0, "rolled-back"));
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
        world.assert_valid_requests();
    });
}

#[test]
fn stale_run_does_not_undo_a_newer_one() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        world.run(&world.runner(8, "c3")).await;
        let again = world.run(&world.runner(7, "c2").with_variable("GITHUB_RUN_ATTEMPT", "2")).await;
        assert_eq!((again.exit_code, again.output("outcome")), (5, "superseded"));
        insta::assert_snapshot!(again.annotation_lines(), @"::error title=backend%3A superseded::This run is stale: it is of commit c200000, and `backend` already serves the newer commit c300000.%0ATo return to the older commit, use `operation: rollback` with `to: c200000`.");
        let by_hand =
            world.run(&world.runner(9, "c1").with_variable("GITHUB_EVENT_NAME", "workflow_dispatch")).await;
        assert_eq!(
            (by_hand.exit_code, by_hand.output("outcome")),
            (5, "superseded"),
            "by hand, on an old commit"
        );
        assert_eq!(world.count_service_updates(), 2);
        assert_eq!(world.proven_commits("production").await, ["c3", "c2"], "nothing of it is recorded");
        let plan = world.run(&world.runner(10, "c2").with_variable("INPUT_OPERATION", "plan")).await;
        assert_eq!((plan.exit_code, plan.output("outcome")), (0, "planned"));
        assert!(
            plan.annotation_lines().contains("::warning title=backend%3A superseded::"),
            "{}",
            plan.annotation_lines()
        );
        world.assert_valid_requests();
    });
}

#[test]
fn diverged_or_unknown_commit_is_released() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c2")).await;
        let beside = world.run(&world.runner(8, "d2")).await;
        assert_eq!((beside.exit_code, beside.output("outcome")), (0, "deployed"), "another branch");
        // What serves was put there by somebody else.
        let back = world.run(&world.runner(9, "c3")).await;
        assert_eq!(back.exit_code, 0);
        world.assert_valid_requests();
    });
}

#[test]
fn failed_newer_run_does_not_block() {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(HISTORY);
        world.run(&world.runner(7, "c1")).await;
        let broken = MultiRunHarness::new(&format!(
            "{HISTORY}faults: [crash-on-start: {{ exit-code: 1, after: 2 }}]\n"
        ));
        broken.run(&broken.runner(7, "c3")).await;
        let older = broken.run(&broken.runner(8, "c2")).await;
        assert_ne!(older.output("outcome"), "superseded");
    });
}
