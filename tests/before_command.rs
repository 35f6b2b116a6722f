//! The command that runs once before any traffic moves, in whole runs: what is started, reported and left.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::ecs::responses::serving;
use roadstead_cloud::request::{Delivery, ServiceCall};
use serde_json::{Value, json};

use crate::support::runner::{self, Runner, StepResult};
use crate::support::{CONFIG, RunResult, TestRun, run_in_virtual_time};

const BEFORE_COMMAND: &str = "    before: { run: [./migrate, up], timeout: 5m }\n";

fn test_run(scenario: &str) -> TestRun {
    TestRun { config: format!("{CONFIG}{BEFORE_COMMAND}"), ..TestRun::custom(scenario) }
}

/// The same as a job of a workflow sees it.
fn test_run_in_workflow(scenario: &str, attempt: u32) -> TestRun {
    let mut trial = test_run(scenario);
    let set = [("GITHUB_RUN_ID", "7".to_owned()), ("GITHUB_RUN_ATTEMPT", attempt.to_string())];
    trial.variables.extend(set.map(|(name, value)| (name.to_owned(), value)));
    trial
}

/// What happened to the first service, without what chance puts into it.
fn timeline_text(report: &RunReport) -> String {
    let lines = report.services[0].timeline.iter().map(|moment| stabilize(&moment.text));
    lines.filter(|line| !line.starts_with("(service ")).collect::<Vec<_>>().join("\n")
}

fn stabilize(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ')', '.']);
        let long = bare.len() >= 19 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let digest = bare.contains("sha256:");
        let id = bare.contains("ecs-svc/");
        let span =
            bare.ends_with('s') && bare[..bare.len() - 1].bytes().all(|b| b.is_ascii_digit() || b == b'm');
        if long || digest || id || (span && bare.len() > 1) { "…".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// The tasks that were run for commands, as who started them and how far they are.
fn one_off_tasks(cloud: &Cloud) -> Vec<String> {
    cloud.read(serving::describe_one_offs)
}

/// Code and sentence of why the first service failed, its exit code, and what serves.
fn failure_text(report: &RunReport) -> String {
    let service = &report.services[0];
    let why = service.failure.as_ref().map(|failure| {
        let cause = failure.problem.cause.as_deref().map(stabilize).unwrap_or_default();
        format!(
            "{}: {} ({cause}) exit {:?}",
            failure.problem.code, failure.problem.sentence, failure.exit_code
        )
    });
    let serves = service.serving_version.as_ref().map_or("-", |version| &version.label);
    format!("{} {serves}: {}; {}", service.outcome, why.unwrap_or_default(), service.evidence)
}

fn inputs_of(ran: &RunResult, operation: &str) -> Vec<Value> {
    ran.calls.iter().filter(|call| call.operation == operation).map(|call| call.input.clone()).collect()
}

#[test]
fn before_command_runs_once_with_the_new_version_before_any_shift() {
    let ran = test_run("one-off: [{ logs: [\"12 migrations\", done] }]").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.change_operations(), ["RegisterTaskDefinition", "RunTask", "UpdateService"]);
    insta::assert_snapshot!(timeline_text(&ran.report), @r"
    not built in a rehearsal; the emulated registry has an image for it: …
    version backend:2 is ready
    `./migrate up` runs once, as task …
    `./migrate up` ended with exit code 0 after …
    rollout of backend:2 started …
    proven: service deployment SUCCESSFUL, 2 of 2 targets healthy
    ");
    let mut asked = inputs_of(&ran, "RunTask").remove(0);
    let token = asked["clientToken"].take();
    assert_eq!(token.as_str().unwrap().len(), 64);
    let owner = asked["startedBy"].take();
    assert!(owner.as_str().unwrap().ends_with("/backend"), "{owner}");
    insta::assert_snapshot!(asked, @r#"{"cluster":"arn:aws:ecs:eu-west-1:111111111111:cluster/acme","taskDefinition":"arn:aws:ecs:eu-west-1:111111111111:task-definition/backend:2","count":1,"startedBy":null,"clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-0a1b2c3d"],"securityGroups":["sg-0a1b2c3d"],"assignPublicIp":"DISABLED"}},"platformVersion":"LATEST","launchType":"FARGATE"}"#);
    assert!(ran.lines.iter().any(|line| line.contains("12 migrations")), "{:#?}", ran.lines);
    let plan = ran.lines.iter().find(|line| line.contains("stage the new version")).unwrap();
    assert!(plan.contains("stage the new version → run `./migrate up` once → shift 100 %"), "{plan}");
}

#[test]
fn failed_before_command_changes_nothing() {
    let ran = test_run("one-off: [{ exit: 3, logs: [connecting, \"FATAL: relation exists\"] }]").run();
    assert_eq!(ran.change_operations(), ["RegisterTaskDefinition", "RunTask"]);
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert!(
        ran.cloud.serving_state("acme", "backend").unwrap().only_version().unwrap().ends_with("backend:1")
    );
    let output = terminal::terminal(&ran.report);
    let first = output.split("\n\nChanges").next().unwrap();
    insta::assert_snapshot!(first, @r"
    ❌ production: backend was not released: its `before` command did not succeed — backend:1 serves, as before

    Rehearsal on the emulator: no real resource was changed.

    Cause: The command `./migrate up` ended with exit code 3.
      Essential container in task exited
      09:00:45 │ connecting
      09:00:45 │ FATAL: relation exists
    What to do: Check its log lines. The next run starts it again.
      before-failed: https://github.com/roadstead/roadstead/blob/main/docs/problems.md#before-failed

    service  outcome  from       to         serving    took  evidence
    backend  failed   backend:1  backend:2  backend:1  46 s  nothing was moved: backend:1 serves
    ");
}

#[test]
fn before_command_is_skipped_when_unchanged_and_on_rollback() {
    run_in_virtual_time(async {
        let trial = test_run("start: 2026-03-02T09:00:00Z");
        let stage = trial.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        let inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let back = stage.with_test_run(&TestRun { inputs, ..trial }).run().await;
        assert_eq!(back.outcome, Outcome::RolledBack);
        assert_eq!(one_off_tasks(&stage.cloud).len(), 1);
        assert_eq!(back.services[0].strategy, "rolling");
    });
}

#[test]
fn plan_shows_before_command_and_runs_nothing() {
    let mut trial = test_run("start: 2026-03-02T09:00:00Z");
    trial.inputs.operation = Some("plan".into());
    let ran = trial.run();
    assert!(ran.change_operations().is_empty());
    let summary = roadstead::report::summary::summary(&ran.report);
    let row = summary.lines().find(|line| line.starts_with("| [`backend`]")).unwrap();
    assert!(row.contains("rolling; before it, once: ./migrate up"), "{row}");
}

/// However the answers to the request come back, the command runs once.
#[test]
fn ambiguous_run_task_runs_before_command_once() {
    for fault in ["throttle", "response-lost"] {
        let ran = test_run(&format!("faults: [{fault}: {{ operation: RunTask, times: 3 }}]")).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(inputs_of(&ran, "RunTask").len(), 4, "{fault}");
        assert_eq!(one_off_tasks(&ran.cloud).len(), 1, "{fault}");
    }
}

#[test]
fn failed_before_command_reports_the_cause() {
    let all = [
        "one-off: [{ exit: 1 }]\npolicy: { deny: [\"logs:GetLogEvents\"] }",
        "faults: [image-not-found: {}]",
        "faults: [secret-missing: {}]",
        "faults: [no-capacity: {}]",
        "one-off: [{ after: 3600 }]",
        "policy: { deny: [\"iam:SimulatePrincipalPolicy\"] }\nfaults: [no-answer: { operation: RunTask, times: 100 }]",
    ];
    let output: Vec<String> = all
        .iter()
        .map(|scenario| {
            let ran = test_run(scenario).run();
            assert_eq!(ran.report.outcome, Outcome::Failed, "{scenario}: {:#?}", ran.lines);
            assert!(!ran.change_operations().contains(&"UpdateService"), "{scenario}");
            assert!(
                one_off_tasks(&ran.cloud)
                    .iter()
                    .all(|it| it.ends_with("STOPPED") || it.ends_with("DEPROVISIONING")),
                "{scenario}"
            );
            // Which of two bounds in time ends a call that nobody answers is chance.
            let output = failure_text(&ran.report);
            let (before, after) = output.split_once("from ecs:RunTask. ").unwrap_or((&output, ""));
            format!("{before}{}", after.find(") exit").map_or("", |at| &after[at..]))
        })
        .collect();
    insta::assert_snapshot!(output.join("\n"), @r"
    failed backend:1: before-failed: The command `./migrate up` ended with exit code 1. (Essential container in task exited | its log lines could not be read: The permission logs:GetLogEvents is missing.) exit Some(1); nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS cannot pull the image. CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref … … not found) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS cannot set up the resources of the task. ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:eu-west-1:111111111111:secret:missing from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret.) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS has no capacity for the task of the command. Capacity is unavailable at this time. Please try again later or in a different availability zone) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` did not end within 5m and was stopped. () exit Some(143); nothing was moved: backend:1 serves
    failed backend:1: before-failed: The start of the command `./migrate up` was requested, and it is not known what became of it. (ecs:RunTask returned no usable response. (request has timed out: operation attempt timeout (single attempt) occurred after …) exit None; no traffic was moved: backend:1 serves; the command may have run
    ");
}

#[test]
fn before_command_timeout_counts_within_run_timeout() {
    let mut trial = test_run("one-off: [{ after: 3600 }]");
    trial.inputs.timeout = Some("4m".into());
    let ran = trial.run();
    insta::assert_snapshot!(failure_text(&ran.report), @"failed backend:1: before-failed: The command `./migrate up` did not end within the time of the run and was stopped. () exit Some(143); nothing was moved: backend:1 serves");
    assert!(ran.report.elapsed() < Duration::from_secs(240), "{:?}", ran.report.elapsed());
}

async fn call_ecs(cloud: &Cloud, operation: &str, input: Value) -> Value {
    let (service, region) = ("ecs".into(), "eu-west-1".into());
    let call = ServiceCall {
        service,
        operation: operation.into(),
        input,
        region,
        access_key: Some("AKIAPERSON".into()),
    };
    match cloud.handle(call).await {
        Delivery::Reply(Ok(answer)) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

/// Somebody stops every task of the family that no service started.
async fn stop_task_by_hand(cloud: &Cloud) {
    let listed = call_ecs(
        cloud,
        "ListTasks",
        json!({ "cluster": "acme", "startedBy": "roadstead/7/production/backend" }),
    )
    .await;
    for arn in listed["taskArns"].as_array().unwrap() {
        call_ecs(cloud, "StopTask", json!({ "cluster": "acme", "task": arn, "reason": "maintenance" })).await;
    }
}

#[test]
fn before_command_stopped_by_hand_fails() {
    let report = run_in_virtual_time(async {
        let stage = test_run_in_workflow("one-off: [{ after: 200 }]", 1).set_up();
        let cloud = stage.cloud.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            stop_task_by_hand(&cloud).await;
        });
        stage.run().await
    });
    insta::assert_snapshot!(failure_text(&report), @"failed backend:1: before-failed: The command `./migrate up` was stopped by another user or tool. (maintenance) exit Some(143); nothing was moved: backend:1 serves");
}

#[test]
fn invalid_before_command_is_rejected_before_any_change() {
    let container = test_run("start: 2026-03-02T09:00:00Z");
    let config = container.config.replace("timeout: 5m", "container: ap");
    let ran = TestRun { config, ..container }.run();
    assert_eq!((ran.report.outcome, ran.change_operations().len()), (Outcome::Invalid, 0));
    let denied = test_run("policy: { deny: [\"ecs:RunTask\", \"ecs:StopTask\"] }").run();
    assert_eq!((denied.report.outcome, denied.change_operations().len()), (Outcome::Invalid, 0));
    let problems = [&ran, &denied].map(|ran| {
        let all = ran.report.all_problems().into_iter().filter(|problem| problem.is_error());
        all.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(problems.join("\n"), @"
    The task definition has no container `ap`. Did you mean `app`? The containers are `app`.
    The permission ecs:RunTask on arn:aws:ecs:eu-west-1:111111111111:task-definition/backend:* is missing. Add it to the policy of the role: the run or its rollback needs it.
    The permission ecs:StopTask on arn:aws:ecs:eu-west-1:111111111111:task/acme/* is missing. Add it to the policy of the role: the run or its rollback needs it.
    ");
}

#[test]
fn gitops_service_rejects_before_command() {
    let config = format!("{}    before: {{ run: [./migrate] }}\n", crate::gitops::WATCHED);
    let ran = crate::gitops::test_run("gitops-happy", &config).run();
    assert_eq!((ran.report.outcome, ran.change_operations().len()), (Outcome::Invalid, 0));
    let problem = ran.report.problems.iter().find(|problem| problem.is_error()).unwrap();
    assert_eq!(problem.location.as_ref().map(|at| at.line), Some(7));
    insta::assert_snapshot!(problem, @"`analytics` cannot run a command before: its target is `argocd`. In Argo CD that is a hook of the manifests: a Job with `argocd.argoproj.io/hook: PreSync`.");
}

/// The services of a run wait for all commands; those without one are not held longer than that.
#[test]
fn no_service_shifts_before_every_command_has_ended() {
    let more = "  web:\n    repository: acme/web\n    ecs: { cluster: acme, service: web, container: app }\n";
    let trial = test_run("one-off: [{ exit: 1, after: 90 }]");
    let ran = TestRun { config: format!("{}{more}", trial.config), ..trial }.run();
    let outcomes: Vec<Outcome> = ran.report.services.iter().map(|service| service.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Deployed], "one fails, the other goes on");
    let at = |operation: &str| ran.calls.iter().find(|call| call.operation == operation).unwrap().at;
    assert!(at("UpdateService") > at("RunTask") + 90.0);
}

/// The runner dies while the command runs. What runs already is taken up by the next attempt, and not run beside it.
#[test]
fn attempt_after_lost_runner_resumes_running_command() {
    run_in_virtual_time(async {
        let stage = test_run_in_workflow("one-off: [{ after: 200 }]", 1).set_up();
        let lost = tokio::time::timeout(Duration::from_secs(60), stage.run()).await;
        assert!(lost.is_err(), "it was under way");
        let again = stage.with_test_run(&test_run_in_workflow("one-off: []", 2));
        let report = again.run().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", again.lines.borrow());
        assert_eq!(one_off_tasks(&stage.cloud).len(), 1);
    });
}

#[test]
fn attempt_after_failure_runs_the_command_again() {
    run_in_virtual_time(async {
        let stage = test_run_in_workflow("one-off: [{ exit: 1, times: 1 }]", 1).set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Failed);
        let report = stage.with_test_run(&test_run_in_workflow("one-off: []", 2)).run().await;
        assert_eq!(report.outcome, Outcome::Deployed);
        assert_eq!(one_off_tasks(&stage.cloud).len(), 2);
    });
}

fn action_runner(scenario: &str) -> Runner {
    Runner::custom(scenario).with_config(&format!("{}{BEFORE_COMMAND}", runner::CONFIG))
}

fn first_summary_line(step: &StepResult) -> String {
    stabilize(step.summary.lines().next().unwrap_or_default())
}

#[test]
fn cancel_stops_the_command_and_post_step_confirms() {
    let mut runner = action_runner("one-off: [{ after: 200 }]");
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.run_main_and_post();
    assert_eq!(
        (main.exit_code, main.count_calls("StopTask"), main.count_calls("UpdateService")),
        (130, 1, 0)
    );
    assert!(main.elapsed < Duration::from_secs(67), "{:?}", main.elapsed);
    let output = post.lines.iter().filter(|line| line.starts_with("backend │")).map(|line| stabilize(line));
    let lines: Vec<String> =
        [first_summary_line(&main), first_summary_line(&post)].into_iter().chain(output).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    ## 🛑 production: `backend` was cancelled — `backend:1` serves, as before
    ## ✅ production: `backend` is unchanged — `backend:1` already serves
    backend │ making sure that the command which was to run before does not run on
    backend │ `./migrate up` was stopped; no traffic was moved. rollout COMPLETED SUCCESSFUL, 2 of 2 targets healthy
    ");
}

#[test]
fn the_post_step_stops_what_a_lost_runner_left() {
    let runner = action_runner("one-off: [{ after: 2000 }]");
    run_in_virtual_time(async {
        let (cloud, clock) = runner.start_cloud();
        let lost = tokio::time::timeout(Duration::from_secs(60), runner.run_main_on(&cloud, clock)).await;
        assert!(lost.is_err(), "it was under way");
        let post = runner.run_post_on(&cloud, clock).await;
        assert_eq!((post.count_calls("StopTask"), post.count_calls("UpdateService")), (1, 0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(one_off_tasks(&cloud), ["roadstead/7/production/backend STOPPED"]);
    });
}
