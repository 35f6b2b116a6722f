//! Services in which nothing moves: whether they serve is counted, not concluded from their last rollout.

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;

use crate::support::{RunResult, TestRun};

/// The image `v1` of every rehearsal.
const RUNNING_IMAGE: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend@\
                             sha256:028817b3422c85b0ef01767ec229a0dde39ce7e73e0d052bfd7a9eb3b59a92b8";

/// The service `backend` with these members, with everything else as by default.
fn scenario(members: &str, more: &str) -> String {
    format!(
        "services: [{{ cluster: acme, name: backend, image: '{RUNNING_IMAGE}', {members} }}]
repositories: {{ backend: {{ images: [{{ tags: [v1] }}] }} }}
{more}
"
    )
}

/// A run of `operation` on the version that runs already.
fn run(operation: &str, members: &str, more: &str) -> RunResult {
    let mut trial = TestRun::custom(&scenario(members, more));
    trial.inputs = RawInputs { operation: Some(operation.into()), ..RawInputs::default() };
    if operation == "deploy" {
        trial.inputs.image = Some(RUNNING_IMAGE.into());
    }
    trial.run()
}

fn first_evidence(ran: &RunResult) -> &str {
    &ran.report.services[0].evidence
}

const DOWN: &str = "running: 0, target-groups: [{ arn: backend }]";
const CRASHES: &str = "faults: [crash-on-start: { version: all, after: 2 }]";
const ONE_ZONE: &str = "target-groups: [{ arn: backend, disabled-zone: true }]";

#[test]
fn service_without_a_running_task_is_neither_verified_nor_unchanged() {
    for (operation, more) in [("verify", ""), ("verify", CRASHES), ("deploy", ""), ("deploy", CRASHES)] {
        let ran = run(operation, DOWN, more);
        assert_eq!(
            (ran.report.outcome, ran.problem_codes()[0]),
            (Outcome::Failed, "not-healthy"),
            "{operation}: {:#?}",
            ran.lines
        );
        assert!(ran.change_operations().is_empty(), "{:?}", ran.change_operations());
        assert_eq!(ran.report.services[0].serving_version, None, "{operation}");
        let problem = &ran.report.services[0].failure.as_ref().unwrap().problem;
        assert_eq!(problem.sentence, "Nothing of `backend` serves: 0 of 2 tasks run.");
        assert!(problem.cause.as_deref().unwrap_or_default().contains("steady state"), "{problem:?}");
    }
}

#[test]
fn service_with_unhealthy_targets_only_is_not_verified() {
    use crate::support::run_in_virtual_time;
    let mut trial = TestRun::custom(&scenario(
        "running: 0, target-groups: [{ arn: backend }]",
        "faults: [failing-health-check: { version: all }]",
    ));
    trial.inputs = RawInputs { operation: Some("verify".into()), ..RawInputs::default() };
    run_in_virtual_time(async {
        let stage = trial.set_up();
        // By then the tasks run, and none of them has passed its health check.
        tokio::time::sleep(std::time::Duration::from_secs(55)).await;
        let report = stage.run().await;
        let ran = stage.collect_result(report);
        assert_eq!(
            (ran.report.outcome, ran.problem_codes()[0]),
            (Outcome::Failed, "not-healthy"),
            "{:#?}",
            ran.lines
        );
        let sentence = &ran.report.services[0].failure.as_ref().unwrap().problem.sentence;
        assert_eq!(
            sentence,
            "Nothing of `backend` serves: 2 of 2 tasks run, and 0 of 2 targets are healthy."
        );
    });
}

#[test]
fn new_version_goes_forward_over_one_that_is_down() {
    let mut trial = TestRun::custom(&scenario(DOWN, "faults: [crash-on-start: { version: old, after: 2 }]"));
    trial.inputs = RawInputs::default();
    let ran = trial.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(first_evidence(&ran), "service deployment SUCCESSFUL, 2 of 2 targets healthy");
}

#[test]
fn fewer_tasks_than_desired_are_a_warning() {
    let ran = run("verify", "desired: 4, running: 3, target-groups: [{ arn: backend }]", "");
    assert_eq!(
        (ran.report.outcome, ran.problem_codes()),
        (Outcome::Verified, vec!["not-healthy"]),
        "{:#?}",
        ran.lines
    );
    assert_eq!(first_evidence(&ran), "rollout COMPLETED SUCCESSFUL, 3 of 4 targets healthy");
    assert_eq!(ran.report.services[0].problems[0].sentence, "3 of 4 tasks run.");
}

#[test]
fn desired_count_of_zero_proves_nothing() {
    for (operation, outcome) in [("verify", Outcome::Skipped), ("deploy", Outcome::Unchanged)] {
        let ran = run(operation, "desired: 0", "");
        assert_eq!(
            (ran.report.outcome, ran.problem_codes()),
            (outcome, vec!["nothing-runs"]),
            "{operation}: {:#?}",
            ran.lines
        );
        assert!(
            first_evidence(&ran).contains("nothing runs, and nothing was proven"),
            "{}",
            first_evidence(&ran)
        );
        assert_eq!(ran.report.services[0].serving_version, None);
    }
    let ran = TestRun::custom(&scenario("desired: 0", "")).run();
    assert_eq!(
        (ran.report.outcome, ran.problem_codes()),
        (Outcome::Deployed, vec!["nothing-runs"]),
        "{:#?}",
        ran.lines
    );
    assert_eq!(ran.report.services[0].serving_version, None);
}

#[test]
fn targets_in_a_zone_without_the_load_balancer_are_a_remark() {
    let verified = run("verify", ONE_ZONE, "");
    assert_eq!(verified.report.outcome, Outcome::Verified, "{:#?}", verified.lines);
    let deployed = TestRun::custom(&scenario(ONE_ZONE, "")).run();
    assert_eq!(deployed.report.outcome, Outcome::Deployed, "{:#?}", deployed.lines);
    for ran in [verified, deployed] {
        assert_eq!(ran.problem_codes(), ["not-healthy"]);
        assert!(
            first_evidence(&ran).ends_with("1 of 2 targets healthy, 1 unused, 2 of 2 tasks running"),
            "{}",
            first_evidence(&ran)
        );
        let remark = &ran.report.services[0].problems[0];
        assert!(!remark.is_error() && remark.cause.as_ref().unwrap().contains("unused Target.NotInUse"));
    }
}
