//! Real task definitions: each is released as it is but for the image, and the next run finds nothing to do. What AWS
//! refuses is refused before anything is built.

mod generator;

use std::path::Path;

use proptest::prelude::*;
use roadstead::release::Outcome;
use roadstead_cloud::call_log::LoggedCall;
use serde_json::{Value, json};

use crate::support::{TestRun, run_in_virtual_time};

const CONFIG: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  web: { repository: web, ecs: { cluster: acme, service: web, container: app, task-definition: deploy/td.json } }
";

/// The deploy file above, with this text as its task definition.
fn test_run(folder: &Path, scenario: &str, text: &str) -> TestRun {
    std::fs::create_dir_all(folder.join("deploy")).unwrap();
    std::fs::write(folder.join("deploy/td.json"), text).unwrap();
    std::fs::write(folder.join("Dockerfile"), "FROM scratch\n").unwrap();
    let run = if scenario.contains(':') { TestRun::custom(scenario) } else { TestRun::builtin(scenario) };
    TestRun { config: CONFIG.into(), workspace: folder.to_owned(), ..run }
}

/// What two runs in a row left.
struct TwoRuns {
    outcomes: [Outcome; 2],
    problems: Vec<String>,
    registered: Vec<Value>,
}

fn run_twice(scenario: &str, text: &str) -> TwoRuns {
    let folder = tempfile::tempdir().unwrap();
    let run = test_run(folder.path(), scenario, text);
    run_in_virtual_time(async {
        let stage = run.set_up();
        let first = stage.run().await;
        let second = stage.run().await;
        let reports = [&first, &second];
        let is_registered =
            |call: &LoggedCall| call.operation == "RegisterTaskDefinition" && call.took_effect;
        TwoRuns {
            outcomes: reports.map(|report| report.outcome),
            problems: reports.iter().flat_map(|r| r.all_problems()).map(|p| format!("{p:?}")).collect(),
            registered: stage
                .cloud
                .calls()
                .into_iter()
                .filter(is_registered)
                .map(|call| call.input)
                .collect(),
        }
    })
}

/// The members that AWS writes itself.
const READ_ONLY: [&str; 4] = ["revision", "status", "registeredAt", "requiresAttributes"];

/// The definition as it must be sent: everything as written, but for the image of `app`.
fn expected_request(written: &Value, sent: &Value) -> Value {
    let mut expected = written.clone();
    expected.as_object_mut().unwrap().retain(|key, _| !READ_ONLY.contains(&key.as_str()));
    let app = |definition: &Value| {
        let all = definition["containerDefinitions"].as_array().unwrap();
        all.iter().position(|container| container["name"] == "app").unwrap()
    };
    let index = app(&expected);
    expected["containerDefinitions"][index]["image"] = sent["containerDefinitions"][index]["image"].clone();
    expected
}

fn assert_released_unchanged_but_for_the_image(scenario: &str, definition: &Value) {
    let text = serde_json::to_string_pretty(definition).unwrap();
    let ran = run_twice(scenario, &text);
    assert_eq!(ran.outcomes, [Outcome::Deployed, Outcome::Unchanged], "{:#?}\n{text}", ran.problems);
    let [sent] = &ran.registered[..] else { panic!("{} registrations\n{text}", ran.registered.len()) };
    assert_eq!(sent.to_string(), expected_request(definition, sent).to_string(), "{text}");
    let image =
        sent["containerDefinitions"].as_array().unwrap().iter().find(|it| it["name"] == "app").unwrap();
    assert!(image["image"].as_str().unwrap().contains("/web@sha256:"), "{image}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// The law of the definitions: any that AWS takes can be rehearsed, is sent byte for byte as it is written but for
    /// the image, and is unchanged the next time.
    #[test]
    fn any_definition_is_released_unchanged_but_for_the_image(seed: u64) {
        assert_released_unchanged_but_for_the_image("happy", &generator::definition(seed));
    }
}

/// One container on Fargate, as many people have it.
fn fargate() -> Value {
    json!({"family":"web","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",
        "executionRoleArn":"arn:aws:iam::123456789012:role/exec","containerDefinitions":[{"name":"app",
        "image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:1","essential":true,
        "portMappings":[{"containerPort":80,"protocol":"tcp"}],"logConfiguration":{"logDriver":"awslogs","options":{
        "awslogs-group":"/app","awslogs-region":"eu-west-1","awslogs-stream-prefix":"app"}}}]})
}

#[test]
fn definition_with_an_image_in_ecr_is_rehearsed() {
    assert_released_unchanged_but_for_the_image("happy", &fargate());
}

#[test]
fn definition_for_instances_is_rehearsed() {
    let ec2 = json!({"family":"web","networkMode":"bridge","requiresCompatibilities":["EC2"],"containerDefinitions":[
        {"name":"app","image":"<IMAGE1_NAME>","essential":true,"cpu":128,"memory":256,
         "portMappings":[{"containerPort":80,"hostPort":0}],"resourceRequirements":[{"type":"GPU","value":"1"}]}]});
    assert_released_unchanged_but_for_the_image("happy", &ec2);
    let mut external = ec2;
    external["requiresCompatibilities"] = json!(["EXTERNAL"]);
    external["containerDefinitions"][0].as_object_mut().unwrap().remove("resourceRequirements");
    assert_released_unchanged_but_for_the_image("happy", &external);
}

#[test]
fn definition_for_windows_is_rehearsed() {
    let mut windows = fargate();
    (windows["cpu"], windows["memory"]) = (json!("1024"), json!("2048"));
    windows["runtimePlatform"] =
        json!({"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE","cpuArchitecture":"X86_64"});
    assert_released_unchanged_but_for_the_image("happy", &windows);
}

#[test]
fn worker_without_a_port_is_rehearsed() {
    let worker = json!({"family":"worker","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256",
        "memory":"512","executionRoleArn":"arn:aws:iam::111111111111:role/exec",
        "containerDefinitions":[{"name":"app","image":"busybox","essential":true}]});
    assert_released_unchanged_but_for_the_image("happy", &worker);
}

/// A scenario file as the documentation shows it: services without repositories.
#[test]
fn service_of_a_scenario_file_has_its_image() {
    let scenario = "services:\n  - { cluster: acme, name: web, target-groups: [{ arn: web, port: 80 }] }\n";
    assert_released_unchanged_but_for_the_image(scenario, &fargate());
}

#[test]
fn what_aws_fills_in_does_not_deploy_for_ever() {
    let mut router = fargate();
    router["containerDefinitions"][0]["logConfiguration"] =
        json!({"logDriver":"awsfirelens","options":{"Name":"datadog","apikey":"x"},"secretOptions":[]});
    let image = "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable";
    router["containerDefinitions"].as_array_mut().unwrap().push(json!({"name":"log_router","image":image,
        "essential":true,"firelensConfiguration":{"type":"fluentbit","options":{"enable-ecs-log-metadata":"true"}}}));
    let mut shared = fargate();
    shared["volumes"] = json!([{"name":"data","efsVolumeConfiguration":{"fileSystemId":"fs-0123456789abcdef0",
        "transitEncryption":"ENABLED","authorizationConfig":{"accessPointId":"fsap-0123456789abcdef0","iam":"ENABLED"}}}]);
    let mut noted = fargate();
    noted["$schema"] = json!("https://example.com/ecs-task-definition.schema.json");
    noted["containerDefinitions"][0]["_comment"] = json!("why");
    for definition in [router, shared, noted] {
        assert_released_unchanged_but_for_the_image("happy", &definition);
    }
}

/// What AWS refuses ends the run before any change, at its line.
#[test]
fn refused_definition_ends_before_any_change() {
    let mut many = fargate();
    many["containerDefinitions"][0]["restartPolicy"] = json!({"enabled":true,"restartAttemptPeriod":5});
    let folder = tempfile::tempdir().unwrap();
    let ran = test_run(folder.path(), "happy", &serde_json::to_string_pretty(&many).unwrap()).run();
    assert_eq!(
        (ran.report.outcome, ran.problem_codes()),
        (Outcome::Invalid, vec!["task-definition-invalid"])
    );
    assert!(ran.change_operations().is_empty(), "{:?}", ran.change_operations());
}

#[test]
fn file_of_another_format_is_one_sentence() {
    let tell = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let ran = test_run(folder.path(), "happy", text).run();
        let found: Vec<String> = ran.report.all_problems().iter().map(|p| p.sentence.clone()).collect();
        format!("{}: {}", ran.report.outcome, found.join(" | "))
    };
    insta::assert_snapshot!([
        tell(r#"{"Family":"web","ContainerDefinitions":[{"Name":"app"}]}"#),
        tell(r#"{"cluster":"acme","taskDefinition":"web:3","overrides":{}}"#),
        tell("{\n  // our image\n  \"family\": \"web\"\n}"),
        tell(r#"[{"name":"app","image":"x"}]"#),
    ].join("\n"), @"
    invalid: The task definition `deploy/td.json` is in the spelling of CloudFormation.
    invalid: The task definition `deploy/td.json` is a request to run a task (`aws ecs run-task`).
    invalid: The task definition `deploy/td.json` is JSON with comments, and JSON has none.
    invalid: The task definition `deploy/td.json` is a list of container definitions, as Terraform's `container_definitions` takes it.
    ");
}

/// A deploy file with two services, and what is said of it.
fn two_services(first: &str, second: &str) -> Vec<String> {
    let config = format!(
        "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1 }} }}\nservices:\n  web: {{ repository: app, ecs: {first} }}\n  nginx: {{ repository: nginx, ecs: {second} }}\n"
    );
    let ran = TestRun { config, ..TestRun::builtin("happy") }.run();
    let problems = ran.report.all_problems();
    let found = problems.iter().filter(|problem| problem.sentence.contains("of the deploy file are all"));
    found.map(|p| format!("{}: {}", p.location.as_ref().map_or(0, |at| at.line), p.sentence)).collect()
}

#[test]
fn two_entries_for_one_service_are_refused_at_their_lines() {
    let one = "{ cluster: c1, service: web, container: app }";
    let arn = "{ cluster: \"arn:aws:ecs:eu-west-1:111111111111:cluster/c1\", service: \"arn:aws:ecs:eu-west-1:111111111111:service/c1/web\", container: nginx }";
    let templated = "{ cluster: \"c1\", service: \"${environment}\" }";
    let pair = "{ cluster: c1, service: blue, pair: { service: web, rule: \"arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/1/2/3\" } }";
    let sentence = "The services `nginx` and `web` of the deploy file are all the ECS service `c1/web`.";
    let both = [format!("4: {sentence}"), format!("5: {sentence}")];
    for second in ["{ cluster: c1, service: web, container: nginx }", arn, pair] {
        let mut found = two_services(one, second);
        found.sort();
        assert_eq!(
            found
                .iter()
                .map(|line| line.replace("`web` and `nginx`", "`nginx` and `web`"))
                .collect::<Vec<_>>(),
            both,
            "{second}"
        );
    }
    assert_eq!(two_services("{ cluster: c1, service: production }", templated).len(), 2);
    let default = "{ cluster: \"arn:aws:ecs:eu-west-1:111111111111:cluster/default\", service: web }";
    assert_eq!(two_services("{ cluster: default, service: web }", default).len(), 2);
    for other in ["{ cluster: c2, service: web }", "{ cluster: c1, service: nginx }"] {
        assert_eq!(two_services(one, other), Vec::<String>::new(), "{other}");
    }
}
