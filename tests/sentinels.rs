//! A law over whole runs: nothing of an answer gets into a sink but the fields that are listed here. Every answer of
//! every provider is changed in turn, in every operation, and every sink is searched.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::runner::{self, ROLE, Runner, SHA};
use crate::support::tamper::{Answer, Tamper};

/// What is put into answers. Long and unlike everything else.
const SENTINEL: &str = "s3ntinel-9f27c1d8";

/// A run whose answers are changed.
struct SentinelCase {
    name: &'static str,
    /// The outcome if no answer is changed.
    outcome: &'static str,
    runner: fn() -> Runner,
}

const CASES: [SentinelCase; 10] = [
    SentinelCase { name: "deploy", outcome: "deployed", runner: deploy_runner },
    SentinelCase {
        name: "failed deploy",
        outcome: "failed",
        runner: || with_channels(Runner::builtin("crash-on-start")),
    },
    SentinelCase { name: "canary", outcome: "deployed", runner: || canary_with("5xx") },
    SentinelCase { name: "prometheus", outcome: "inconclusive", runner: || canary_with(PROMETHEUS) },
    SentinelCase { name: "plan of a pull request", outcome: "planned", runner: pull_request_runner },
    SentinelCase {
        name: "set-env",
        outcome: "deployed",
        runner: || ecs_runner("set-env").with_variable("INPUT_SET", SET),
    },
    SentinelCase { name: "verify", outcome: "verified", runner: || ecs_runner("verify") },
    SentinelCase { name: "rollback", outcome: "invalid", runner: || ecs_runner("rollback") },
    SentinelCase { name: "gitops", outcome: "deployed", runner: gitops_runner },
    SentinelCase { name: "appconfig", outcome: "deployed", runner: appconfig_runner },
];

const SET: &str = "backend.DB_PASS=secret-of-set-env\nbackend.DSN=https://u:secret-of-set-env@h/";

const ECS_SCENARIO: &str = r#"
repositories: { backend: { images: [{ tags: [v1] }, { tags: [v2] }] } }
services:
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
          image: 111111111111.dkr.ecr.eu-west-1.amazonaws.com/backend:v1
          portMappings: [{ containerPort: 8080 }]
          command: ["serve", "--password=secret-of-command"]
          dockerLabels: { auth: secret-of-label }
          environment: [{ name: DB_PASS, value: secret-of-running }, { name: DATABASE_URL, value: "postgres://u:secret-of-running@db/x" }, { name: LOG_LEVEL, value: shown-level }]
          secrets: [{ name: DB, valueFrom: "arn:aws:secretsmanager:eu-west-1:111111111111:secret:db-AbCdEf" }]
github:
  repositories:
    - name: acme/shop
      issues: [7]
      history: [{ id: "0123456789abcdef0123456789abcdef01234567", branch: topic, files: { a.txt: "a" } }]
"#;

const CHANNELS: &str = "notify: { sns: \"arn:aws:sns:eu-west-1:111111111111:releases\", slack-webhook: SLACK, webhook: { url: HOOK, secret: HOOK_KEY }, success: true }\n";

fn with_channels(runner: Runner) -> Runner {
    runner
        .with_config(&format!("{}{CHANNELS}", runner::CONFIG))
        .with_variable("SLACK", "https://hooks.slack.example/services/T000/B000/s3cretpath")
        .with_variable("HOOK", "https://hooks.acme.example/in/an0therpath")
        .with_variable("HOOK_KEY", "key-of-the-signature")
}

fn ecs_config(more: &str) -> String {
    format!("{}{more}", runner::CONFIG)
}

fn ecs_runner(operation: &str) -> Runner {
    Runner::custom(ECS_SCENARIO).with_config(&ecs_config("")).with_variable("INPUT_OPERATION", operation)
}

/// A definition that changes every value.
fn definition() -> String {
    let container = json!({
        "name": "app", "image": "replaced", "essential": true, "portMappings": [{ "containerPort": 8080 }],
        "command": ["serve", "--password=secret-of-file"], "dockerLabels": { "auth": "secret-of-file" },
        "environment": [
            { "name": "DB_PASS", "value": "secret-of-file" }, { "name": "PGPASS", "value": "secret-of-file" },
            { "name": "LOG_LEVEL", "value": "shown-debug" },
        ],
    });
    json!({
        "family": "backend", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "512",
        "memory": "1024", "executionRoleArn": "arn:aws:iam::111111111111:role/ecsTaskExecutionRole",
        "containerDefinitions": [container],
    })
    .to_string()
}

fn with_definition(runner: Runner, more: &str) -> Runner {
    let block = "container: app, task-definition: deploy/backend.json }";
    runner
        .with_config(&ecs_config(more).replace("container: app }", block))
        .with_file("workspace/deploy/backend.json", &definition())
}

fn deploy_runner() -> Runner {
    with_definition(ecs_runner("deploy"), "    show-env: [LOG_LEVEL]\n")
}

fn canary_with(metric: &str) -> Runner {
    let strategy = format!(
        "    strategy: {{ canary: {{ percent: 10, bake: 15m, final-bake: 1m, metrics: [{metric}] }} }}\n"
    );
    let checks = "    verify: [{ http: \"https://${environment}.acme.dev/health\" }]\n";
    Runner::builtin("canary-healthy").with_config(&ecs_config(&format!("{strategy}{checks}")))
}

/// The emulator has no Prometheus: its answer is that of any web server, so it is never readable.
const PROMETHEUS: &str = "{ prometheus: { name: errors, url: \"https://prometheus.acme.dev\", total: \"sum(a{v='{{version}}'})\", bad: \"sum(b{v='{{version}}'})\" } }";

fn pull_request(runner: Runner) -> Runner {
    let event = json!({ "action": "opened", "pull_request": {
        "number": 7, "head": { "sha": SHA, "ref": "topic", "repo": { "id": 1 } },
        "base": { "ref": "main", "repo": { "id": 1 } },
    } });
    runner
        .with_variable("GITHUB_EVENT_NAME", "pull_request")
        .with_variable("GITHUB_REF", "refs/pull/7/merge")
        .with_variable("GITHUB_HEAD_REF", "topic")
        .with_variable("GITHUB_BASE_REF", "main")
        .with_file("event.json", &event.to_string())
}

fn pull_request_runner() -> Runner {
    with_definition(pull_request(ecs_runner("deploy")), "    show-env: [LOG_LEVEL, DB_PASS, PGPASS]\n")
}

fn gitops_config() -> String {
    crate::gitops::WATCHED
        .replace("aws: { region: eu-west-1 }", &format!("aws: {{ region: eu-west-1, role: \"{ROLE}\" }}"))
}

fn gitops_runner() -> Runner {
    Runner::builtin("gitops-happy")
        .with_config(&gitops_config())
        .with_variable("INPUT_ARGOCD-TOKEN", "secret-of-argocd")
}

fn appconfig_runner() -> Runner {
    let scenario = r#"
appconfig:
  applications:
    - name: shop
      environments: [{ name: production }]
      profiles: [{ name: limits, versions: ['{"a":"secret-of-running"}'] }]
"#;
    Runner::custom(scenario)
        .with_config(&format!(
            "environments:\n  production: {{ branches: [main], aws: {{ region: eu-west-1, role: \"{ROLE}\" }} }}\nservices:\n  limits:\n    appconfig: {{ application: shop, environment: production, profile: limits, file: limits.json, strategy: AppConfig.AllAtOnce }}\n"
        ))
        .with_file("workspace/limits.json", r#"{"a":"secret-of-file","b":"secret-of-file"}"#)
}

/// What a run with changed answers left in its sinks, and which answers there were.
struct Sinks {
    outcome: String,
    text: String,
    answers: Vec<(String, Answer)>,
}

/// Requests that people read: comments, checks, records, messages. A commit of manifests has what the files have.
fn is_sink(operation: &str) -> bool {
    let is_github = operation.contains("api.github.com") || operation.starts_with("graphql");
    let is_commit = operation.contains("/git/") || operation.contains("Commit");
    is_github && !is_commit || operation.contains("hooks.") || operation == "Action=Publish"
}

fn run_with(case: &SentinelCase, edit: impl Fn(&str, &mut Answer) + Send + Sync + 'static) -> Sinks {
    let tamper = Tamper::new(edit);
    let step = (case.runner)().with_tamper(&tamper).run_main();
    let (outcome, exchanges) = (step.output("outcome").to_owned(), tamper.exchanges());
    let lines = step.lines.into_iter().filter(|line| !line.starts_with("::add-mask::"));
    let outputs = step.outputs.into_iter().map(|(name, value)| format!("{name}={value}"));
    let sent = exchanges.iter().filter(|one| is_sink(&one.operation));
    let sent = sent.map(|one| format!("{} {}", one.address, String::from_utf8_lossy(&one.request)));
    let rest = [step.summary, step.state.unwrap_or_default()];
    let text = lines.chain(outputs).chain(sent).chain(rest).collect::<Vec<_>>().join("\n");
    let answers = exchanges.into_iter().map(|one| (one.operation, one.answer)).collect();
    Sinks { outcome, text, answers }
}

/// The operations of a case.
fn operations(case: &SentinelCase) -> BTreeSet<String> {
    run_with(case, |_, _| ()).answers.into_iter().map(|(operation, _)| operation).collect()
}

/// A way to make an answer unreadable, with the sentinel in it.
struct Corruption {
    name: &'static str,
    apply: fn(&mut Answer),
}

const CORRUPTIONS: [Corruption; 4] = [
    Corruption {
        name: "truncated",
        apply: |answer| answer.body = format!("{{\"{SENTINEL}\": \"{SENTINEL}").into(),
    },
    Corruption { name: "wrong types", apply: put_strings_for_numbers },
    Corruption {
        name: "page of a proxy",
        apply: |answer| {
            answer.status = 502;
            answer.headers = vec![("content-type".into(), "text/html".into())];
            answer.body = format!("<html><body>{SENTINEL}</body></html>").into();
        },
    },
    Corruption {
        name: "headers",
        apply: |answer| {
            for name in ["set-cookie", "www-authenticate", "x-secret", "server"] {
                answer.headers.push((name.into(), SENTINEL.into()));
            }
            answer.status = 500;
            answer.body = format!("[\"{SENTINEL}\"]").into();
        },
    },
];

/// Every number and boolean of JSON as a string, and every text between tags of XML.
fn put_strings_for_numbers(answer: &mut Answer) {
    match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut value) => {
            visit_leaves(&mut value, "", &mut |_, leaf| {
                if leaf.is_number() || leaf.is_boolean() {
                    *leaf = SENTINEL.into();
                }
            });
            answer.body = value.to_string().into_bytes();
        }
        Err(_) if answer.body.starts_with(b"<") => {
            let number = |_: &str, text: &str| text.parse::<f64>().is_ok().then(|| SENTINEL.to_owned());
            answer.body = edit_xml(&answer.body, number);
        }
        Err(_) => answer.body = SENTINEL.repeat(3).into(),
    }
}

fn visit_leaves(value: &mut Value, key: &str, visit: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| visit_leaves(value, key, visit)),
        Value::Array(items) => items.iter_mut().for_each(|item| visit_leaves(item, key, visit)),
        leaf => visit(key, leaf),
    }
}

/// XML with other texts, which `edit` gets with their tag.
fn edit_xml(body: &[u8], edit: impl Fn(&str, &str) -> Option<String>) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let mut parts = text.split('<');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let edited = Some(text).filter(|text| !text.trim().is_empty()).and_then(|text| edit(tag, text));
        out += &format!("<{tag}>{}", edited.as_deref().unwrap_or(text));
    }
    out.into_bytes()
}

#[test]
fn every_unreadable_answer_is_hidden() {
    let (mut wrong, mut done) = (Vec::new(), BTreeSet::new());
    for case in &CASES {
        for operation in operations(case).into_iter().filter(|one| done.insert(one.clone())) {
            for corruption in &CORRUPTIONS {
                let (target, apply) = (operation.clone(), corruption.apply);
                let sinks = run_with(case, move |operation, answer| {
                    if operation == target {
                        apply(answer);
                    }
                });
                if let Some(line) = sinks.text.lines().find(|line| line.contains(SENTINEL)) {
                    wrong.push(format!("{}, {operation}, {}: {line}", case.name, corruption.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn secrets_of_definitions_files_and_inputs_are_in_no_sink() {
    for case in &CASES {
        let sinks = run_with(case, |_, _| ());
        let shown: Vec<&str> = sinks.text.lines().filter(|line| line.contains("secret-of-")).collect();
        assert!(shown.is_empty(), "{}: {shown:#?}", case.name);
        assert_eq!(sinks.outcome, case.outcome, "{}: {}", case.name, sinks.text);
        let is_listed = case.name == "deploy";
        assert_eq!(sinks.text.contains("shown-debug"), is_listed, "{}", case.name);
    }
}
