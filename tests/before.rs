//! The command that runs once before any traffic moves, in whole runs: what is started, what is said, what is left.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::rehearsal::call::{Call, Delivery};
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::ecs::views;
use roadstead::release::Outcome;
use roadstead::report::{RunReport, terminal};
use serde_json::{Value, json};

use crate::support::runner::{self, Runner, Step};
use crate::support::{CONFIG, Ran, Trial, virtually};

const MIGRATES: &str = "    before: { run: [./migrate, up], timeout: 5m }\n";

fn trial(scenario: &str) -> Trial {
    Trial { config: format!("{CONFIG}{MIGRATES}"), ..Trial::told(scenario) }
}

/// The same as a job of a workflow sees it.
fn in_run(scenario: &str, attempt: u32) -> Trial {
    let mut trial = trial(scenario);
    let set = [("GITHUB_RUN_ID", "7".to_owned()), ("GITHUB_RUN_ATTEMPT", attempt.to_string())];
    trial.variables.extend(set.map(|(name, value)| (name.to_owned(), value)));
    trial
}

/// What happened to the first service, without what chance puts into it.
fn story(report: &RunReport) -> String {
    let lines = report.services[0].timeline.iter().map(|moment| steady(&moment.text));
    lines.filter(|line| !line.starts_with("(service ")).collect::<Vec<_>>().join("\n")
}

fn steady(text: &str) -> String {
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
fn commands(cloud: &Cloud) -> Vec<String> {
    cloud.read(views::one_offs)
}

/// Code and sentence of why the first service failed, its exit code, and what serves.
fn end(report: &RunReport) -> String {
    let service = &report.services[0];
    let why = service.failure.as_ref().map(|failure| {
        let cause = failure.problem.cause.as_deref().map(steady).unwrap_or_default();
        format!(
            "{}: {} ({cause}) exit {:?}",
            failure.problem.code, failure.problem.sentence, failure.exit_code
        )
    });
    let serves = service.serves.as_ref().map_or("-", |version| &version.label);
    format!("{} {serves}: {}; {}", service.outcome, why.unwrap_or_default(), service.evidence)
}

fn requests(ran: &Ran, operation: &str) -> Vec<Value> {
    ran.calls.iter().filter(|call| call.operation == operation).map(|call| call.input.clone()).collect()
}

#[test]
fn it_runs_once_with_the_new_version_before_any_traffic_moves() {
    let ran = trial("one-off: [{ logs: [\"12 migrations\", done] }]").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "RunTask", "UpdateService"]);
    insta::assert_snapshot!(story(&ran.report), @"
    built and pushed: …
    version backend:2 is ready
    `./migrate up` runs once, as task …
    `./migrate up` ended with exit code 0 after …
    rollout of backend:2 started …
    proven: service deployment SUCCESSFUL, 2 of 2 targets healthy
    ");
    let mut asked = requests(&ran, "RunTask").remove(0);
    let token = asked["clientToken"].take();
    assert_eq!(token.as_str().unwrap().len(), 64);
    let owner = asked["startedBy"].take();
    assert!(owner.as_str().unwrap().ends_with("/backend"), "{owner}");
    insta::assert_snapshot!(asked, @r#"{"cluster":"arn:aws:ecs:eu-west-1:111111111111:cluster/acme","taskDefinition":"arn:aws:ecs:eu-west-1:111111111111:task-definition/backend:2","count":1,"startedBy":null,"clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"networkConfiguration":{"awsvpcConfiguration":{"subnets":["subnet-0a1b2c3d"],"securityGroups":["sg-0a1b2c3d"],"assignPublicIp":"DISABLED"}},"platformVersion":"LATEST","launchType":"FARGATE"}"#);
    assert!(ran.lines.iter().any(|line| line.contains("12 migrations")), "{:#?}", ran.lines);
    let plan = ran.lines.iter().find(|line| line.contains("stage the new version")).unwrap();
    assert!(plan.contains("stage the new version → run `./migrate up` once → route 100 %"), "{plan}");
}

#[test]
fn one_that_fails_leaves_everything_as_it_was() {
    let ran = trial("one-off: [{ exit: 3, logs: [connecting, \"FATAL: relation exists\"] }]").run();
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "RunTask"]);
    assert_eq!(ran.report.outcome, Outcome::Failed);
    assert!(ran.cloud.serving("acme", "backend").unwrap().whole().unwrap().ends_with("backend:1"));
    let told = terminal::terminal(&ran.report);
    let first = told.split("\n\nChanges").next().unwrap();
    insta::assert_snapshot!(first, @"
    ❌ production: backend was not released: its `before` command did not succeed — backend:1 serves, as before

    A rehearsal on the embedded cloud: nothing real was touched.

    Cause: The command `./migrate up` ended with exit code 3. Exit code 3.
      Essential container in task exited
      09:00:36 │ connecting
      09:00:36 │ FATAL: relation exists
    What to do: Read the lines that it wrote. The next run runs it again.

    service  outcome  from       to         serves now  took  how it is known
    backend  failed   backend:1  backend:2  backend:1   37 s  nothing was moved: backend:1 serves
    ");
}

#[test]
fn it_runs_neither_where_nothing_changes_nor_for_a_rollback() {
    virtually(async {
        let trial = trial("start: 2026-03-02T09:00:00Z");
        let stage = trial.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        let inputs = RawInputs { operation: Some("rollback".into()), ..RawInputs::default() };
        let back = stage.other(&Trial { inputs, ..trial }).run().await;
        assert_eq!(back.outcome, Outcome::RolledBack);
        assert_eq!(commands(&stage.cloud).len(), 1);
        assert_eq!(back.services[0].strategy, "rolling");
    });
}

#[test]
fn a_plan_shows_it_and_runs_nothing() {
    let mut trial = trial("start: 2026-03-02T09:00:00Z");
    trial.inputs.operation = Some("plan".into());
    let ran = trial.run();
    assert!(ran.changes().is_empty());
    let summary = roadstead::report::summary::summary(&ran.report);
    let row = summary.lines().find(|line| line.starts_with("| [`backend`]")).unwrap();
    assert!(row.contains("rolling; before it, once: ./migrate up"), "{row}");
}

/// However the answers to the request come back, the command runs once.
#[test]
fn trouble_with_the_request_runs_it_once() {
    for fault in ["throttle", "response-lost"] {
        let ran = trial(&format!("faults: [{fault}: {{ operation: RunTask, times: 3 }}]")).run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(requests(&ran, "RunTask").len(), 4, "{fault}");
        assert_eq!(commands(&ran.cloud).len(), 1, "{fault}");
    }
}

#[test]
fn why_it_did_not_succeed_is_said() {
    let all = [
        "one-off: [{ exit: 1 }]\npolicy: { deny: [\"logs:GetLogEvents\"] }",
        "faults: [image-not-found: {}]",
        "faults: [secret-missing: {}]",
        "faults: [no-capacity: {}]",
        "one-off: [{ after: 3600 }]",
        "policy: { deny: [\"iam:SimulatePrincipalPolicy\"] }\nfaults: [no-answer: { operation: RunTask, times: 100 }]",
    ];
    let told: Vec<String> = all
        .iter()
        .map(|scenario| {
            let ran = trial(scenario).run();
            assert_eq!(ran.report.outcome, Outcome::Failed, "{scenario}: {:#?}", ran.lines);
            assert!(!ran.changes().contains(&"UpdateService"), "{scenario}");
            assert!(
                commands(&ran.cloud)
                    .iter()
                    .all(|it| it.ends_with("STOPPED") || it.ends_with("DEPROVISIONING")),
                "{scenario}"
            );
            // Which of two bounds in time ends a call that nobody answers is chance.
            let told = end(&ran.report);
            let (before, after) = told.split_once("from ecs:RunTask. ").unwrap_or((&told, ""));
            format!("{before}{}", after.find(") exit").map_or("", |at| &after[at..]))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    failed backend:1: before-failed: The command `./migrate up` ended with exit code 1. (Essential container in task exited | its lines could not be read: The permission logs:GetLogEvents is missing.) exit Some(1); nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS cannot pull the image. CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref … … not found) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS cannot set up what the task needs before it starts. ResourceInitializationError: unable to pull secrets or registry auth: failed to fetch secret missing from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret.) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (ECS finds no place for the task of the command. Capacity is unavailable at this time. Please try again later or in a different availability zone) exit None; nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` did not end within 5m and was stopped. () exit Some(143); nothing was moved: backend:1 serves
    failed backend:1: before-failed: The command `./migrate up` could not be started. (No usable answer came back ) exit None; nothing was moved: backend:1 serves
    ");
}

#[test]
fn its_time_counts_within_that_of_the_run() {
    let mut trial = trial("one-off: [{ after: 3600 }]");
    trial.inputs.timeout = Some("4m".into());
    let ran = trial.run();
    insta::assert_snapshot!(end(&ran.report), @"failed backend:1: before-failed: The command `./migrate up` did not end within the time of the run and was stopped. () exit Some(143); nothing was moved: backend:1 serves");
    assert!(ran.report.took() < Duration::from_secs(240), "{:?}", ran.report.took());
}

async fn ask(cloud: &Cloud, operation: &str, input: Value) -> Value {
    let (service, region) = ("ecs".into(), "eu-west-1".into());
    let call =
        Call { service, operation: operation.into(), input, region, access_key: Some("AKIAPERSON".into()) };
    match cloud.answer(call).await {
        Delivery::Answer(Ok(answer)) => answer,
        other => panic!("{operation}: {other:?}"),
    }
}

/// Somebody stops every task of the family that no service started.
async fn stop_by_hand(cloud: &Cloud) {
    let listed =
        ask(cloud, "ListTasks", json!({ "cluster": "acme", "startedBy": "roadstead/7/production/backend" }))
            .await;
    for arn in listed["taskArns"].as_array().unwrap() {
        ask(cloud, "StopTask", json!({ "cluster": "acme", "task": arn, "reason": "maintenance" })).await;
    }
}

#[test]
fn one_that_somebody_stops_is_no_success() {
    let report = virtually(async {
        let stage = in_run("one-off: [{ after: 200 }]", 1).stage();
        let cloud = stage.cloud.clone();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            stop_by_hand(&cloud).await;
        });
        stage.run().await
    });
    insta::assert_snapshot!(end(&report), @"failed backend:1: before-failed: The command `./migrate up` was stopped from outside. (maintenance) exit Some(143); nothing was moved: backend:1 serves");
}

#[test]
fn what_cannot_run_is_refused_before_any_change() {
    let container = trial("start: 2026-03-02T09:00:00Z");
    let config = container.config.replace("timeout: 5m", "container: ap");
    let ran = Trial { config, ..container }.run();
    assert_eq!((ran.report.outcome, ran.changes().len()), (Outcome::Invalid, 0));
    let denied = trial("policy: { deny: [\"ecs:RunTask\", \"ecs:StopTask\"] }").run();
    assert_eq!((denied.report.outcome, denied.changes().len()), (Outcome::Invalid, 0));
    let problems = [&ran, &denied].map(|ran| {
        let all = ran.report.all_problems().into_iter().filter(|problem| problem.is_error());
        all.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    });
    insta::assert_snapshot!(problems.join("\n"), @"
    The task definition has no container `ap`. Did you mean `app`? The containers are `app`.
    The permission ecs:RunTask on arn:aws:ecs:eu-west-1:111111111111:task-definition/backend:* is missing. Add it to the policy of the role; the run or its rollback needs it.
    The permission ecs:StopTask on arn:aws:ecs:eu-west-1:111111111111:task/acme/* is missing. Add it to the policy of the role; the run or its rollback needs it.
    ");
}

#[test]
fn a_service_in_git_has_hooks_of_its_own() {
    let config = format!("{}    before: {{ run: [./migrate] }}\n", crate::gitops::WATCHED);
    let ran = crate::gitops::trial("gitops-happy", &config).run();
    assert_eq!((ran.report.outcome, ran.changes().len()), (Outcome::Invalid, 0));
    let problem = ran.report.problems.iter().find(|problem| problem.is_error()).unwrap();
    assert_eq!(problem.at.as_ref().map(|at| at.line), Some(7));
    insta::assert_snapshot!(problem, @"`analytics` cannot run a command before: its target is `argocd`. In Argo CD that is a hook of the manifests: a Job with `argocd.argoproj.io/hook: PreSync`.");
}

/// The services of a run wait for all commands; those without one are not held longer than that.
#[test]
fn no_service_moves_before_every_command_has_ended() {
    let more = "  web:\n    repository: acme/web\n    ecs: { cluster: acme, service: web, container: app }\n";
    let trial = trial("one-off: [{ exit: 1, after: 90 }]");
    let ran = Trial { config: format!("{}{more}", trial.config), ..trial }.run();
    let outcomes: Vec<Outcome> = ran.report.services.iter().map(|service| service.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Deployed], "one fails, the other goes on");
    let at = |operation: &str| ran.calls.iter().find(|call| call.operation == operation).unwrap().at;
    assert!(at("UpdateService") > at("RunTask") + 90.0);
}

/// The runner dies while the command runs. What runs already is taken up by the next attempt, and not run beside it.
#[test]
fn an_attempt_after_a_lost_runner_takes_up_what_runs() {
    virtually(async {
        let stage = in_run("one-off: [{ after: 200 }]", 1).stage();
        let lost = tokio::time::timeout(Duration::from_secs(60), stage.run()).await;
        assert!(lost.is_err(), "it was under way");
        let again = stage.other(&in_run("one-off: []", 2));
        let report = again.run().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", again.lines.borrow());
        assert_eq!(commands(&stage.cloud).len(), 1);
    });
}

#[test]
fn an_attempt_after_a_failure_runs_it_again() {
    virtually(async {
        let stage = in_run("one-off: [{ exit: 1, times: 1 }]", 1).stage();
        assert_eq!(stage.run().await.outcome, Outcome::Failed);
        let report = stage.other(&in_run("one-off: []", 2)).run().await;
        assert_eq!(report.outcome, Outcome::Deployed);
        assert_eq!(commands(&stage.cloud).len(), 2);
    });
}

fn runner(scenario: &str) -> Runner {
    Runner::told(scenario).config(&format!("{}{MIGRATES}", runner::CONFIG))
}

fn first_line(step: &Step) -> String {
    steady(step.summary.lines().next().unwrap_or_default())
}

#[test]
fn a_cancel_stops_it_and_the_post_step_makes_sure() {
    let mut runner = runner("one-off: [{ after: 200 }]");
    runner.cancel_after = Some(Duration::from_secs(60));
    let (main, post) = runner.main_and_post();
    assert_eq!((main.code, main.times("StopTask"), main.times("UpdateService")), (130, 1, 0));
    assert!(main.took < Duration::from_secs(67), "{:?}", main.took);
    let told = post.lines.iter().filter(|line| line.starts_with("backend │")).map(|line| steady(line));
    let lines: Vec<String> = [first_line(&main), first_line(&post)].into_iter().chain(told).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    ## 🛑 production: `backend` was cancelled — `backend:1` serves, as before
    ## ✅ production: `backend` is unchanged — `backend:1` already serves
    backend │ making sure that the command which was to run before does not run on
    backend │ `./migrate up` was stopped; no traffic was moved. rollout COMPLETED SUCCESSFUL
    ");
}

#[test]
fn the_post_step_stops_what_a_lost_runner_left() {
    let runner = runner("one-off: [{ after: 2000 }]");
    virtually(async {
        let (cloud, clock) = runner.cloud();
        let lost = tokio::time::timeout(Duration::from_secs(60), runner.main_on(&cloud, clock)).await;
        assert!(lost.is_err(), "it was under way");
        let post = runner.post_on(&cloud, clock).await;
        assert_eq!((post.times("StopTask"), post.times("UpdateService")), (1, 0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(commands(&cloud), ["roadstead/7/production/backend STOPPED"]);
    });
}
