//! `operation: set-env` in whole runs: variables of what runs change, and nothing else.

use std::time::Duration;

use clap::Parser as _;
use roadstead::action::inputs::RawInputs;
use roadstead::cli::{Arguments, Command};
use roadstead::release::{Change, Outcome};
use serde_json::Value;

use crate::support::runner::{self, Runner};
use crate::support::{CONFIG, RunResult, TestRun, run_in_virtual_time};

/// A service with variables and a secret.
const SCENARIO: &str = r#"services:
  - cluster: acme
    name: backend
    target-groups: [{ arn: backend }]
    task-definition:
      family: backend
      requiresCompatibilities: [FARGATE]
      networkMode: awsvpc
      cpu: "256"
      memory: "512"
      executionRoleArn: arn:aws:iam::111111111111:role/ecsTaskExecutionRole
      containerDefinitions:
        - name: app
          image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1
          portMappings: [{ containerPort: 8080 }]
          environment: [{ name: FLAG, value: "off" }, { name: OLD, value: "1" }, { name: API_TOKEN, value: before-it-was-a-secret }]
          secrets: [{ name: DB, valueFrom: "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf" }]
repositories: { acme/backend: { images: [{ tags: [v1] }] } }
"#;

fn test_run(more: &str, set: &str) -> TestRun {
    let inputs =
        RawInputs { operation: Some("set-env".into()), set: Some(set.into()), ..RawInputs::default() };
    TestRun { inputs, ..TestRun::custom(&format!("{SCENARIO}{more}")) }
}

fn change_lines(ran: &RunResult) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let all = &ran.report.services[0].changes.0;
    let line = |c: &Change| match c.hidden {
        Some(hidden) => format!("{}: {}", c.field, hidden.text()),
        None => format!("{}: {} > {}", c.field, shown(&c.from), shown(&c.to)),
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn problem_lines(ran: &RunResult) -> String {
    ran.report.all_problems().iter().map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
}

/// The environment of what was registered last.
fn registered_container(ran: &RunResult) -> Value {
    let call = ran.calls.iter().rfind(|call| call.operation == "RegisterTaskDefinition").unwrap();
    call.input["containerDefinitions"][0].clone()
}

#[test]
fn set_env_changes_only_the_variables() {
    let ran = test_run("", "backend.FLAG=on\nbackend.OLD\nbackend.API_TOKEN=another-secret-value").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.change_operations(), ["RegisterTaskDefinition", "UpdateService"]);
    insta::assert_snapshot!(change_lines(&ran), @r"
    image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1 > 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:e8688a35926fd85ea92dd27560d4712c381407bf13a6ed390f4006bb52baf045
    environment API_TOKEN: changed (value hidden)
    environment FLAG: changed (value hidden)
    environment OLD: removed (value hidden)
    ");
    insta::assert_snapshot!(registered_container(&ran)["environment"], @r#"[{"name":"FLAG","value":"on"},{"name":"API_TOKEN","value":"another-secret-value"}]"#);
    let image = registered_container(&ran)["image"].as_str().unwrap().to_owned();
    assert!(image.contains("acme/backend@sha256:"), "what runs by a tag stays what it is: {image}");
    assert!(ran.lines.iter().all(|line| !line.contains("another-secret-value")), "{:#?}", ran.lines);
    assert_eq!(ran.report.services[0].commit, None, "it is of the commit that it was of before");
    assert!(ran.calls.iter().all(|call| call.operation != "PutImage"));
}

#[test]
fn variable_already_set_is_unchanged() {
    let ran = test_run("", "backend.FLAG=off\nbackend.NOTHING").run();
    assert_eq!((ran.report.outcome, ran.change_operations().len()), (Outcome::Unchanged, 0));
    insta::assert_snapshot!(problem_lines(&ran), @"`NOTHING` is not set, so it was not removed.");
}

#[test]
fn bad_value_is_rolled_back_like_a_bad_version() {
    let ran = test_run("faults: [crash-on-start: { exit-code: 1, after: 2 }]", "backend.FLAG=on").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert!(
        ran.cloud.serving_state("acme", "backend").unwrap().only_version().unwrap().ends_with("backend:1")
    );
    let output = roadstead::report::terminal::terminal(&ran.report);
    insta::assert_snapshot!(output.lines().next().unwrap(), @"❌ production: backend failed and was rolled back — backend:1 serves, as before");
}

#[test]
fn all_set_env_problems_are_reported_and_nothing_changes() {
    let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter/flag";
    let ran = test_run("", &format!("bakend.FLAG=on\nbackend.FLAG={arn}\nbackend.OTHER=1")).run();
    assert_eq!(
        (ran.report.outcome, ran.calls.iter().filter(|call| call.is_mutating).count()),
        (Outcome::Invalid, 0)
    );
    let secret = test_run("", "backend.DB=postgres://plain\nbackend.FLAG=on").run();
    assert_eq!((secret.report.outcome, secret.change_operations().len()), (Outcome::Invalid, 0));
    let mut other = test_run("", "backend.FLAG=on");
    other.inputs.services = Some("backend,web".into());
    let other = other.run();
    assert_eq!((other.report.outcome, other.change_operations().len()), (Outcome::Invalid, 0));
    insta::assert_snapshot!([problem_lines(&ran), problem_lines(&secret), problem_lines(&other)].join("\n--\n"), @"
    Input `set`: the value of `backend.FLAG` says where a secret is kept, and a variable would hold that text and not the secret. Write it into `secrets` of the task definition (`name`, `valueFrom`) and deploy.
    There is no service `bakend` in the deploy file. Did you mean `backend`? Known: `backend`.
    --
    `DB` is a secret of the container, and `set-env` sets plain variables only. Change the secret itself, or its entry in `secrets` of the task definition, and deploy.
    --
    Input `services` does not name the services of the input `set`: `backend`. Leave `services` out: `set` says which are meant.
    ");
    assert!(ran.lines.iter().chain(&secret.lines).all(|line| !line.contains("postgres://plain")));
}

#[test]
fn services_in_git_keep_their_variables_there() {
    let mut trial = crate::gitops::test_run("gitops-happy", crate::gitops::WATCHED);
    trial.inputs.operation = Some("set-env".into());
    trial.inputs.set = Some("analytics.FLAG=on".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.change_operations().len()), (Outcome::Invalid, 0));
    insta::assert_snapshot!(problem_lines(&ran), @"The variables of `analytics` cannot be set: its target is `argocd`. They are in its manifests: change them there and commit.");
}

/// Nothing of the file is applied: neither its definition, nor its variables, nor its command, nor its build.
#[test]
fn set_env_uses_the_strategy_of_the_deploy_file() {
    let block =
        "environment: { FLAG: \"0\", MORE: \"1\" }, container: app }\n    before: { run: [./migrate] }";
    let config = CONFIG.replace("container: app }", block);
    let ran = TestRun { config, ..test_run("", "backend.FLAG=on") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.change_operations(), ["RegisterTaskDefinition", "UpdateService"], "no command is run");
    insta::assert_snapshot!(change_lines(&ran), @"
    image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1 > 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:e8688a35926fd85ea92dd27560d4712c381407bf13a6ed390f4006bb52baf045
    environment FLAG: changed (value hidden)
    ");
    insta::assert_snapshot!(problem_lines(&ran), @"The next deploy sets `FLAG` from `ecs.environment` of the deploy file. To keep the changes, add them there.");
}

#[test]
fn set_env_with_strategy_shifts_all_traffic() {
    let inputs = test_run("", "backend.FLAG=on").inputs;
    let config = format!("{CONFIG}    strategy: {{ blue-green: {{ bake: 1m }} }}\n");
    let ran = TestRun { inputs, config, ..TestRun::builtin("blue-green") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert!(ran.change_operations().contains(&"ContinueServiceDeployment"));
}

#[test]
fn set_env_plan_changes_nothing() {
    let push = Runner::custom(SCENARIO)
        .with_variable("INPUT_OPERATION", "set-env")
        .with_variable("INPUT_SET", "backend.FLAG=on");
    let event = format!(
        r#"{{"pull_request": {{"number": 7, "head": {{"sha": "{}", "ref": "topic", "repo": {{"id": 1}}}}, "base": {{"ref": "main", "repo": {{"id": 1}}}}}}}}"#,
        runner::SHA
    );
    let pull = push.with_file("event.json", &event).with_variable("GITHUB_EVENT_NAME", "pull_request");
    let step = pull
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_BASE_REF", "main")
        .run_main();
    assert_eq!((step.exit_code, step.output("outcome")), (0, "planned"));
    let changes: Vec<&str> =
        step.calls.iter().filter(|it| it.is_mutating).map(|it| it.service.as_str()).collect();
    assert!(
        changes.iter().all(|service| *service == "github"),
        "a plan changes nothing but its check: {changes:?}"
    );
    assert!(step.output("plan").contains("environment FLAG"), "{}", step.output("plan"));
}

#[test]
fn variable_overwritten_by_next_deploy_is_a_warning() {
    let definition = r#"{"family":"backend","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","cpu":"256","memory":"512",
        "executionRoleArn":"arn:aws:iam::111111111111:role/ecsTaskExecutionRole",
        "containerDefinitions":[{"name":"app","image":"x","portMappings":[{"containerPort":8080}]}]}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    std::fs::write(folder.path().join("deploy/backend.json"), definition).unwrap();
    let config = CONFIG.replace("container: app }", "container: app, task-definition: deploy/backend.json }");
    let workspace = folder.path().to_owned();
    let ran = TestRun { config, workspace, ..test_run("", "backend.FLAG=on") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    insta::assert_snapshot!(problem_lines(&ran), @"The next deploy sets the variables of `deploy/backend.json` and removes all others. To keep the changes, add them there.");
    assert_eq!(
        registered_container(&ran)["environment"][0]["value"],
        "on",
        "of what runs, and not of the file"
    );
    assert_eq!(registered_container(&ran)["secrets"][0]["name"], "DB", "of what runs, and not of the file");
}

#[test]
fn cancel_rolls_set_env_back() {
    let fast = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";
    let runner = Runner::custom(&format!("{SCENARIO}{fast}")).with_variable("INPUT_OPERATION", "set-env");
    let mut runner = runner.with_variable("INPUT_SET", "backend.FLAG=on");
    runner.cancel_after = Some(Duration::from_secs(5));
    let (main, post) = runner.run_main_and_post();
    assert_eq!((main.exit_code, post.exit_code), (130, 0), "{:#?}", main.lines);
    assert!(post.summary.contains("`backend` rolled back; `backend:1` serves"), "{}", post.summary);
}

#[test]
fn set_env_again_is_unchanged() {
    run_in_virtual_time(async {
        let stage = test_run("", "backend.FLAG=on").set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = stage.cloud.calls().len();
        assert_eq!(stage.run_again().await.outcome, Outcome::Unchanged);
        assert!(stage.cloud.calls()[before..].iter().all(|call| !call.is_mutating));
    });
}

#[test]
fn the_command_line_takes_one_option_for_each_variable() {
    let words = ["roadstead", "set-env", "--set", "a.X=1=2", "--set", "a.Y", "--environment", "staging"];
    let Command::SetEnv(options) = Arguments::try_parse_from(words).unwrap().command else {
        panic!("another command")
    };
    assert_eq!(options.set, ["a.X=1=2", "a.Y"]);
    assert!(Arguments::try_parse_from(["roadstead", "set-env"]).is_err());
}
