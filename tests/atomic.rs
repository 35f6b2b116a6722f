//! Services that belong together (`atomic: true`): when one fails, the others are rolled back, and each is reported
//! for what
//! it is. Without it they go on by themselves.

use std::time::Duration;

use roadstead::release::Outcome;
use roadstead::report::RunReport;
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::request::ServiceError;

use crate::support::runner::{ROLE, Runner};
use crate::support::{RunResult, TestRun, run_in_virtual_time};

fn config(atomic: bool) -> String {
    let service = |name: &str| {
        format!(
            "  {name}:\n    repository: acme/{name}\n    ecs: {{ cluster: acme, service: {name}, container: app }}\n"
        )
    };
    let services = ["backend", "web", "worker"].map(service).join("");
    format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"{ROLE}\" }} }}\natomic: {atomic}\nservices:\n{services}"
    )
}

/// The worker crashes two minutes after the others are proven.
const CRASH_AFTER_OTHERS_DEPLOYED: &str = "faults: [crash-on-start: { service: worker, exit-code: 1 }, slow-start: { service: worker, seconds: 200 }]";
const CRASH: &str = "faults: [crash-on-start: { service: worker, exit-code: 1 }]";

fn test_run(scenario: &str, atomic: bool) -> TestRun {
    TestRun { config: config(atomic), ..TestRun::custom(scenario) }
}

/// How each service ended, and how that is known.
fn outcome_lines(report: &RunReport) -> String {
    let line = |service: &roadstead::report::ServiceReport| {
        let serves = service.serving_version.as_ref().map_or("-", |version| &version.label);
        format!("{}: {}, {serves}; {}", service.name, service.outcome, service.evidence)
    };
    report.services.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What really serves of each service.
fn serving_versions(ran: &RunResult) -> Vec<String> {
    let of = |name: &str| {
        let whole = ran.cloud.serving_state("acme", name).unwrap().only_version().unwrap().to_owned();
        whole.rsplit('/').next().unwrap().to_owned()
    };
    ["backend", "web", "worker"].map(of).to_vec()
}

const INITIAL_VERSIONS: [&str; 3] = ["backend:1", "web:1", "worker:1"];

#[test]
fn non_atomic_services_finish_independently() {
    let ran = test_run(CRASH_AFTER_OTHERS_DEPLOYED, false).run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: deployed, backend:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    web: deployed, web:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving_versions(&ran), ["backend:2", "web:2", "worker:1"]);
}

#[test]
fn verified_service_is_rolled_back_with_failed_peer() {
    let ran = test_run(CRASH_AFTER_OTHERS_DEPLOYED, true).run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving_versions(&ran), INITIAL_VERSIONS);
    let output = roadstead::report::terminal::terminal(&ran.report);
    insta::assert_snapshot!(output.lines().next().unwrap(), @"❌ production: backend, web and worker failed; their previous versions serve");
    let moments = ran.report.services[0].timeline.iter().map(|moment| moment.text.clone());
    let moments: Vec<String> =
        moments.filter(|text| !text.starts_with('(') && !text.contains("sha256:")).collect();
    let steady = |text: &String| text.split("(ecs-svc/").next().unwrap().to_owned();
    insta::assert_snapshot!(moments.iter().map(steady).collect::<Vec<_>>().join("\n"), @"
    version backend:2 is ready
    rollout of backend:2 started 
    proven: service deployment SUCCESSFUL, 2 of 2 targets healthy
    stands when all services of this run do (`atomic`)
    `worker` failed, and they belong together
    rolling back to backend:1
    Taken back because `worker` failed. backend:1 serves, confirmed
    ");
}

#[test]
fn rollout_in_progress_is_rolled_back_with_failed_peer() {
    let ran = test_run(&format!("timings: {{ deregistration: 300 }}\n{CRASH}"), true).run();
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: failed, worker:1; rolled back, confirmed: worker:1 serves
    ");
    assert_eq!(serving_versions(&ran), INITIAL_VERSIONS);
}

#[test]
fn atomic_services_all_deployed_when_all_succeed() {
    let ran = test_run("start: 2026-03-02T09:00:00Z", true).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(serving_versions(&ran), ["backend:2", "web:2", "worker:2"]);
}

/// A request to move the worker is refused, while those for the others are taken.
#[test]
fn service_that_cannot_start_rolls_back_started_peers() {
    let ran = run_in_virtual_time(async {
        let stage = test_run("start: 2026-03-02T09:00:00Z", true).set_up();
        stage.cloud.on_call(Box::new(|moment: &CallHook<'_>| {
            let moves = moment.call.operation == "UpdateService" && moment.call.input["service"] == "worker";
            match moves && moment.phase == HookPhase::Before {
                true => Override::Fail(ServiceError::new("InvalidParameterException", "no")),
                false => Override::Pass,
            }
        }));
        let report = stage.run().await;
        stage.collect_result(report)
    });
    // What was refused is `invalid` by itself; a run that moved others has failed.
    assert_eq!(ran.report.outcome, Outcome::Failed);
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: invalid, worker:1; nothing was moved
    ");
    assert_eq!(serving_versions(&ran), INITIAL_VERSIONS);
}

#[test]
fn failed_before_command_starts_no_rollout() {
    let config = format!("{}    before: {{ run: [./migrate] }}\n", config(true));
    let ran = TestRun { config, ..test_run("one-off: [{ exit: 1 }]", true) }.run();
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert!(!ran.change_operations().contains(&"UpdateService"));
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: skipped, backend:1; not begun because `worker` failed: backend:1 serves
    web: skipped, web:1; not begun because `worker` failed: web:1 serves
    worker: failed, worker:1; nothing was moved: worker:1 serves
    ");
}

#[test]
fn peers_are_rolled_back_even_if_first_rollback_fails() {
    let faults = "faults: [crash-on-start: { service: worker }, rollback-fails: { service: worker }]";
    let ran = test_run(faults, true).run();
    assert_eq!(ran.report.outcome, Outcome::Stranded);
    insta::assert_snapshot!(outcome_lines(&ran.report), @"
    backend: failed, backend:1; Taken back because `worker` failed. backend:1 serves, confirmed
    web: failed, web:1; Taken back because `worker` failed. web:1 serves, confirmed
    worker: stranded, -; The rollback of `worker` to worker:1 did not succeed.
    ");
}

/// Whoever deploys the worker now decides about the others, too.
#[test]
fn superseded_service_rolls_back_no_peer() {
    let ran = test_run("faults: [superseding-deployment: { at: 40, service: worker }]", true).run();
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    let ends = outcome_lines(&ran.report);
    let (head, tail) = ends.split_once("acme/worker/").unwrap();
    let steady = format!("{head}acme/worker/…{}", &tail[tail.find(')').unwrap()..]);
    insta::assert_snapshot!(steady, @r"
    backend: deployed, backend:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    web: deployed, web:2; service deployment SUCCESSFUL, 2 of 2 targets healthy
    worker: superseded, -; A newer deployment took over (worker:3, arn:aws:ecs:eu-west-1:111111111111:service-deployment/acme/worker/…); it is left alone.
    ");
}

/// Two services in ECS and one in Git, whose commit is reverted by a commit.
#[test]
fn gitops_service_is_rolled_back_by_a_commit() {
    let site = crate::gitops::WATCHED.split("services:\n").nth(1).unwrap();
    let config = config(true).replace("services:\n", &format!("services:\n{site}"));
    let ran = TestRun { config, ..test_run(CRASH_AFTER_OTHERS_DEPLOYED, true) }.run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let mut commits = crate::gitops::commit_messages(&ran.cloud);
    commits.iter_mut().for_each(|message| *message = message.lines().next().unwrap_or_default().to_owned());
    insta::assert_snapshot!(commits.join("\n"), @"
    Revert analytics to v1 in production
    Release analytics at sha-c0ffee1 in production
    ");
    insta::assert_snapshot!(outcome_lines(&ran.report).lines().next().unwrap(), @"analytics: failed, analytics:v1; Taken back because `worker` failed. analytics:v1 serves, confirmed");
    assert_eq!(serving_versions(&ran), INITIAL_VERSIONS);
}

fn action_runner() -> Runner {
    let fast = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }";
    let slow = "faults: [slow-start: { service: worker, seconds: 200 }]";
    Runner::custom(&format!("{fast}\n{slow}")).with_config(&config(true))
}

fn outcomes(step: &crate::support::runner::StepResult) -> String {
    let services: serde_json::Value = serde_json::from_str(step.output("services")).unwrap();
    let of = |(name, value): (&String, &serde_json::Value)| {
        format!("{name}: {} {}", value["outcome"].as_str().unwrap(), value["version"].as_str().unwrap_or("-"))
    };
    services.as_object().unwrap().iter().map(of).collect::<Vec<_>>().join("\n")
}

/// Two are proven and one is under way when the job is cancelled: none of them stands.
#[test]
fn cancel_rolls_back_all_services() {
    let mut runner = action_runner();
    runner.cancel_after = Some(Duration::from_secs(160));
    let (main, post) = runner.run_main_and_post();
    assert_eq!(main.exit_code, 130, "{:#?}", main.lines);
    assert!(main.elapsed < Duration::from_secs(167), "{:?}", main.elapsed);
    insta::assert_snapshot!(outcomes(&main), @"
    backend: cancelled -
    web: cancelled -
    worker: cancelled -
    ");
    assert_eq!(post.exit_code, 0, "{:#?}", post.lines);
    insta::assert_snapshot!(post.summary.lines().next().unwrap(), @"## ✅ production: all 3 services serve the requested version — 3 rolled-back");
}

#[test]
fn post_step_rolls_back_all_services_after_lost_runner() {
    let runner = action_runner();
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let lost = tokio::time::timeout(Duration::from_secs(160), runner.run_main_on(&cloud, clock)).await;
        assert!(lost.is_err(), "it was under way");
        runner.run_post_on(&cloud, clock).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        for name in ["backend", "web", "worker"] {
            let serving = cloud.serving_state("acme", name).unwrap();
            assert!(serving.only_version().unwrap().ends_with(&format!("{name}:1")), "{name}: {serving:?}");
        }
    });
}

#[test]
fn non_boolean_atomic_is_rejected_on_its_line() {
    let config = config(true).replace("atomic: true", "atomic: maybe");
    let ran = run_in_virtual_time(async {
        let stage = test_run("start: 2026-03-02T09:00:00Z", true).set_up();
        let mut other = stage.with_test_run(&test_run("start: 2026-03-02T09:00:00Z", true));
        other.rehearsal.config = ("roadstead.yml".into(), config);
        other.run().await
    });
    assert_eq!(ran.outcome, Outcome::Invalid);
    insta::assert_snapshot!(ran.problems[0], @"`atomic` in the deploy file must be `true` or `false`.");
    assert_eq!(ran.problems[0].location.as_ref().map(|at| at.line), Some(3));
}
