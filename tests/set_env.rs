//! `operation: set-env` in whole runs: variables of what runs change, and nothing else.

use std::time::Duration;

use clap::Parser as _;
use roadstead::action::inputs::RawInputs;
use roadstead::cli::{Arguments, Command};
use roadstead::release::Outcome;
use serde_json::Value;

use crate::support::runner::{self, Runner};
use crate::support::{CONFIG, Ran, Trial, virtually};

/// A service with variables and a secret.
const RUNNING: &str = r#"services:
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

fn trial(more: &str, set: &str) -> Trial {
    let inputs =
        RawInputs { operation: Some("set-env".into()), set: Some(set.into()), ..RawInputs::default() };
    Trial { inputs, ..Trial::told(&format!("{RUNNING}{more}")) }
}

fn changes(ran: &Ran) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let all = &ran.report.services[0].changes.0;
    all.iter()
        .map(|c| format!("{}: {} > {}", c.field, shown(&c.from), shown(&c.to)))
        .collect::<Vec<_>>()
        .join("\n")
}

fn problems(ran: &Ran) -> String {
    ran.report.all_problems().iter().map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n")
}

/// The environment of what was registered last.
fn registered(ran: &Ran) -> Value {
    let call = ran.calls.iter().rfind(|call| call.operation == "RegisterTaskDefinition").unwrap();
    call.input["containerDefinitions"][0].clone()
}

#[test]
fn variables_change_and_nothing_else() {
    let ran = trial("", "backend.FLAG=on\nbackend.OLD\nbackend.API_TOKEN=another-secret-value").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "UpdateService"]);
    insta::assert_snapshot!(changes(&ran), @"
    image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1 > 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:e8688a35926fd85ea92dd27560d4712c381407bf13a6ed390f4006bb52baf045
    environment API_TOKEN: - > -
    environment FLAG: off > on
    environment OLD: 1 > -
    ");
    insta::assert_snapshot!(registered(&ran)["environment"], @r#"[{"name":"FLAG","value":"on"},{"name":"API_TOKEN","value":"another-secret-value"}]"#);
    let image = registered(&ran)["image"].as_str().unwrap().to_owned();
    assert!(image.contains("acme/backend@sha256:"), "what runs by a tag stays what it is: {image}");
    assert!(ran.lines.iter().all(|line| !line.contains("another-secret-value")), "{:#?}", ran.lines);
    assert_eq!(ran.report.services[0].commit, None, "it is of the commit that it was of before");
    assert!(ran.calls.iter().all(|call| call.operation != "PutImage"));
}

#[test]
fn what_is_so_already_is_left() {
    let ran = trial("", "backend.FLAG=off\nbackend.NOTHING").run();
    assert_eq!((ran.report.outcome, ran.changes().len()), (Outcome::Unchanged, 0));
    insta::assert_snapshot!(problems(&ran), @"`NOTHING` is not set, so there is nothing to take away.");
}

#[test]
fn a_bad_value_is_taken_back_like_a_bad_version() {
    let ran = trial("faults: [crash-on-start: { exit-code: 1, after: 2 }]", "backend.FLAG=on").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert!(ran.cloud.serving("acme", "backend").unwrap().whole().unwrap().ends_with("backend:1"));
    let told = roadstead::report::terminal::terminal(&ran.report);
    insta::assert_snapshot!(told.lines().next().unwrap(), @"❌ production: backend failed and was rolled back — backend:1 serves, as before");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_and_nothing_is_changed() {
    let arn = "arn:aws:ssm:eu-west-1:111111111111:parameter/flag";
    let ran = trial("", &format!("bakend.FLAG=on\nbackend.FLAG={arn}\nbackend.OTHER=1")).run();
    assert_eq!(
        (ran.report.outcome, ran.calls.iter().filter(|call| call.mutating).count()),
        (Outcome::Invalid, 0)
    );
    let secret = trial("", "backend.DB=postgres://plain\nbackend.FLAG=on").run();
    assert_eq!((secret.report.outcome, secret.changes().len()), (Outcome::Invalid, 0));
    let mut other = trial("", "backend.FLAG=on");
    other.inputs.services = Some("backend,web".into());
    let other = other.run();
    assert_eq!((other.report.outcome, other.changes().len()), (Outcome::Invalid, 0));
    insta::assert_snapshot!([problems(&ran), problems(&secret), problems(&other)].join("\n--\n"), @"
    Input `set`: the value of `backend.FLAG` says where a secret is kept, and a variable would hold that text and not the secret. Write it into `secrets` of the task definition (`name`, `valueFrom`) and deploy.
    There is no service `bakend` in the deploy file. Did you mean `backend`? Known: `backend`.
    --
    `DB` is a secret of the container, and `set-env` sets plain variables only. It is set in `secrets` of the task definition: change the secret itself, or that entry, and deploy.
    --
    Input `services` does not name the services of the input `set`: `backend`. Leave `services` out: `set` says which are meant.
    ");
    assert!(ran.lines.iter().chain(&secret.lines).all(|line| !line.contains("postgres://plain")));
}

#[test]
fn services_in_git_keep_their_variables_there() {
    let mut trial = crate::gitops::trial("gitops-happy", crate::gitops::WATCHED);
    trial.inputs.operation = Some("set-env".into());
    trial.inputs.set = Some("analytics.FLAG=on".into());
    let ran = trial.run();
    assert_eq!((ran.report.outcome, ran.changes().len()), (Outcome::Invalid, 0));
    insta::assert_snapshot!(problems(&ran), @"The variables of `analytics` cannot be set: its target is `argocd`. They stand in its manifests: change them there, and commit.");
}

/// Nothing of the file is applied: neither its definition, nor its variables, nor its command, nor its build.
#[test]
fn only_the_way_is_that_of_the_deploy_file() {
    let block =
        "environment: { FLAG: \"0\", MORE: \"1\" }, container: app }\n    before: { run: [./migrate] }";
    let config = CONFIG.replace("container: app }", block);
    let ran = Trial { config, ..trial("", "backend.FLAG=on") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "UpdateService"], "no command is run");
    insta::assert_snapshot!(changes(&ran), @"
    image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend:v1 > 111111111111.dkr.ecr.eu-west-1.amazonaws.com/acme/backend@sha256:e8688a35926fd85ea92dd27560d4712c381407bf13a6ed390f4006bb52baf045
    environment FLAG: off > on
    ");
    insta::assert_snapshot!(problems(&ran), @"The next deploy sets `FLAG` as `ecs.environment` of the deploy file says. To keep them, write them there too.");
}

#[test]
fn a_strategy_takes_the_variables_to_all_traffic() {
    let inputs = trial("", "backend.FLAG=on").inputs;
    let config = format!("{CONFIG}    strategy: {{ blue-green: {{ bake: 1m }} }}\n");
    let ran = Trial { inputs, config, ..Trial::named("blue-green") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert!(ran.changes().contains(&"ContinueServiceDeployment"));
}

#[test]
fn a_plan_of_it_changes_nothing() {
    let push = Runner::told(RUNNING).with("INPUT_OPERATION", "set-env").with("INPUT_SET", "backend.FLAG=on");
    let event = format!(
        r#"{{"pull_request": {{"number": 7, "head": {{"sha": "{}", "ref": "topic", "repo": {{"id": 1}}}}, "base": {{"ref": "main", "repo": {{"id": 1}}}}}}}}"#,
        runner::SHA
    );
    let pull = push.file("event.json", &event).with("GITHUB_EVENT_NAME", "pull_request");
    let step = pull.with("GITHUB_REF", "refs/pull/7/merge").with("GITHUB_BASE_REF", "main").main();
    assert_eq!((step.code, step.output("outcome")), (0, "planned"));
    let changes: Vec<&str> = step.calls.iter().filter(|it| it.mutating).map(|it| it.service.as_str()).collect();
    assert!(changes.iter().all(|service| *service == "github"), "a plan is told and nothing else: {changes:?}");
    assert!(step.output("plan").contains("environment FLAG"), "{}", step.output("plan"));
}

#[test]
fn what_the_next_deploy_sets_again_is_said() {
    let definition = r#"{"family":"backend","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","cpu":"256","memory":"512",
        "executionRoleArn":"arn:aws:iam::111111111111:role/ecsTaskExecutionRole",
        "containerDefinitions":[{"name":"app","image":"x","portMappings":[{"containerPort":8080}]}]}"#;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    std::fs::write(folder.path().join("deploy/backend.json"), definition).unwrap();
    let config = CONFIG.replace("container: app }", "container: app, task-definition: deploy/backend.json }");
    let workspace = folder.path().to_owned();
    let ran = Trial { config, workspace, ..trial("", "backend.FLAG=on") }.run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    insta::assert_snapshot!(problems(&ran), @"The next deploy sets the variables that `deploy/backend.json` has, and takes away what it does not have. To keep them, write them there too.");
    assert_eq!(registered(&ran)["environment"][0]["value"], "on", "of what runs, and not of the file");
    assert_eq!(registered(&ran)["secrets"][0]["name"], "DB", "of what runs, and not of the file");
}

#[test]
fn a_cancel_takes_it_back() {
    let fast = "timings: { schedule: 1, provision: 1, pull: 1, start: 1, health: 1, deregistration: 1, stop: 1, deprovision: 1, complete: 1 }\n";
    let runner = Runner::told(&format!("{RUNNING}{fast}")).with("INPUT_OPERATION", "set-env");
    let mut runner = runner.with("INPUT_SET", "backend.FLAG=on");
    runner.cancel_after = Some(Duration::from_secs(5));
    let (main, post) = runner.main_and_post();
    assert_eq!((main.code, post.code), (130, 0), "{:#?}", main.lines);
    assert!(post.summary.contains("`backend` is rolled back — `backend:1` serves"), "{}", post.summary);
}

#[test]
fn running_it_again_changes_nothing_more() {
    virtually(async {
        let stage = trial("", "backend.FLAG=on").stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = stage.cloud.calls().len();
        assert_eq!(stage.run_again().await.outcome, Outcome::Unchanged);
        assert!(stage.cloud.calls()[before..].iter().all(|call| !call.mutating));
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
