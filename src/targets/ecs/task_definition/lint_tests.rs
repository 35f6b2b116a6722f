//! Each rule of the offline checks: a violation is found at its line, and a valid file has no findings.

use super::document::TaskDefinitionDocument;
use super::lint::lint_document;
use crate::problem::Severity;

const VALID_FILE: &str = r#"family: backend
requiresCompatibilities: [FARGATE]
networkMode: awsvpc
cpu: "256"
memory: "512"
executionRoleArn: arn:aws:iam::1:role/x
taskDefinitionArn: read-only keys are fine
containerDefinitions:
  - name: app
    image: acme/backend:1
    essential: true
    stopTimeout: 60
    portMappings: [{ containerPort: 8080, protocol: tcp, name: http }]
    environment: [{ name: FLAG, value: "1" }, { name: EMPTY, value: "" }]
    secrets: [{ name: DB_PASSWORD, valueFrom: "arn:aws:ssm:eu-west-1:111111111111:parameter/x" }]
    healthCheck: { command: [CMD-SHELL, "true"], interval: 10, startPeriod: 0 }
    logConfiguration: { logDriver: awslogs, options: { awslogs-group: g, awslogs-region: r, awslogs-stream-prefix: p } }
    dependsOn: [{ containerName: init, condition: SUCCESS }]
  - { name: init, image: acme/init, essential: false }
"#;

fn lint_text(text: &str) -> Vec<(usize, Severity, String)> {
    let document = TaskDefinitionDocument::parse("td.yml", text).unwrap();
    let problems = lint_document(&document, None, &[]);
    problems.into_iter().map(|p| (p.location.as_ref().unwrap().line, p.severity, p.to_string())).collect()
}

#[test]
fn valid_file_has_no_findings() {
    assert_eq!(lint_text(VALID_FILE), []);
}

const ERROR: Severity = Severity::Error;
const WARNING: Severity = Severity::Warning;

/// The text of the valid file and its replacement; then the line, the severity and a part of the finding.
type RuleCase = (&'static str, &'static str, usize, Severity, &'static str);
const RULES: [RuleCase; 38] = [
    ("family: backend", "family: a b", 1, ERROR, "is not a valid name"),
    ("networkMode: awsvpc", "networkMode: bridge", 3, ERROR, "Fargate requires `networkMode: awsvpc`"),
    ("networkMode: awsvpc", "networkMod: awsvpc", 3, WARNING, "Did you mean `networkMode`?"),
    (
        "networkMode: awsvpc",
        "networkMode: awsvpc\nquantumFlux: 1",
        4,
        WARNING,
        "`quantumFlux` is not a known key",
    ),
    ("cpu: \"256\"", "cpu: \"300\"", 4, ERROR, "no tasks of 300 CPU units"),
    ("cpu: \"256\"", "cpu: 256", 4, ERROR, "`cpu` must be a string, not 256. Put it in quotes"),
    ("cpu: \"256\"", "cpu: lots", 4, ERROR, "is not a size"),
    ("memory: \"512\"", "memory: \"4096\"", 5, ERROR, "offers 512, 1024, 2048 MiB"),
    ("cpu: \"256\"\nmemory: \"512\"", "cpu: 32 vCPU\nmemory: 60 GB", 4, WARNING, "32 vCPU"),
    ("executionRoleArn: arn:aws:iam::1:role/x\n", "", 14, ERROR, "Secrets require `executionRoleArn`"),
    ("executionRoleArn: arn:aws:iam::1:role/x\n", "", 16, ERROR, "awslogs driver on Fargate requires"),
    ("name: app\n", "name: a.b\n", 9, ERROR, "is not a valid container name"),
    ("image: acme/backend:1", "image: acme/backend@sha256:12", 10, ERROR, "not an image reference"),
    ("essential: true", "essential: \"yes\"", 11, ERROR, "`essential` must be true or false"),
    ("essential: true", "essential: false", 8, ERROR, "No container is essential"),
    ("stopTimeout: 60", "stopTimeout: 300", 12, ERROR, "at most 120"),
    ("stopTimeout: 60", "privileged: true", 12, ERROR, "privileged"),
    ("containerPort: 8080", "containerPort: 80800", 13, ERROR, "1 to 65535"),
    ("containerPort: 8080", "containerPort: 8080, hostPort: 80", 13, ERROR, "Remove `hostPort`"),
    ("name: http", "name: HTTP", 13, ERROR, "not a valid port name"),
    ("value: \"1\"", "value: 1", 14, ERROR, "`value` must be a string, not 1"),
    ("value: \"1\"", "value: true", 14, ERROR, "`value` must be a string, not true"),
    ("name: FLAG", "name: DB_PASSWORD", 14, ERROR, "both in `environment` and in `secrets`"),
    ("name: EMPTY", "name: FLAG", 14, WARNING, "`FLAG` is set twice"),
    ("{ name: FLAG, value: \"1\" }", "{ name: API_TOKEN, value: abcdefgh12 }", 14, WARNING, "plain text"),
    ("interval: 10", "interval: 1", 16, ERROR, "5 to 300"),
    ("[CMD-SHELL, \"true\"]", "[\"true\"]", 16, ERROR, "begin with CMD"),
    ("logDriver: awslogs", "logDriver: journald", 17, ERROR, "Supported:"),
    (", awslogs-stream-prefix: p", "", 17, ERROR, "requires `awslogs-stream-prefix`"),
    ("awslogs-group: g", "awslogs-group: 7", 17, ERROR, "`awslogs-group` must be a string"),
    ("containerName: init", "containerName: int", 18, ERROR, "`int` in `dependsOn` does not exist"),
    ("condition: SUCCESS", "condition: HEALTHY", 18, ERROR, "no health check, so"),
    ("condition: SUCCESS", "condition: LATER", 18, ERROR, "not a valid condition"),
    ("essential: false }", "essential: true }", 18, ERROR, "is essential"),
    (
        "essential: false }",
        "essential: false, dependsOn: [{ containerName: app, condition: START }] }",
        18,
        ERROR,
        "app → init → app",
    ),
    ("name: init, image: acme/init", "name: app, image: acme/init", 19, ERROR, "Two containers are named"),
    ("essential: false }", "essential: false, cpu: 300 }", 4, ERROR, "request 300 of cpu"),
    (
        "essential: false }",
        "essential: false, memory: 64, memoryReservation: 65 }",
        19,
        ERROR,
        "must not be less than",
    ),
];

#[test]
fn each_rule_is_found_at_its_line() {
    for (good, bad, line, severity, text_part) in RULES {
        assert!(VALID_FILE.contains(good), "{good}");
        let all = lint_text(&VALID_FILE.replacen(good, bad, 1));
        let hit = all.iter().any(|(l, s, text)| *l == line && *s == severity && text.contains(text_part));
        assert!(hit, "{bad}: {all:#?}");
    }
}

#[test]
fn ec2_task_needs_fewer_fields() {
    let text = "family: f\ncontainerDefinitions: [{ name: a, image: i, memory: 64, privileged: true }]\n";
    assert_eq!(lint_text(text), []);
    let bare = "family: f\ncontainerDefinitions: [{ name: a, image: <IMAGE1_NAME> }]\n";
    assert!(lint_text(bare)[0].2.contains("Neither the task nor the container sets its memory"));
}

#[test]
fn lint_never_panics() {
    for text in
        ["{}", "containerDefinitions: 3", "containerDefinitions: [1, null, []]", "family: [a]\ncpu: {a: b}"]
    {
        assert!(!lint_text(text).is_empty(), "{text}");
    }
}
