//! What RegisterTaskDefinition refuses. Each case names where that is written: `API` is the API reference of ECS, the
//! others are public reports with AWS's own words.

use serde_json::{Value, json};

use super::lint::lint_file;
use crate::problem::Severity;
use crate::release::DefinitionFile;

/// One container on Fargate.
pub(super) fn fargate() -> Value {
    json!({"family":"web","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",
        "executionRoleArn":"arn:aws:iam::123456789012:role/exec","volumes":[],"containerDefinitions":[app(), side()]})
}

/// The same on an instance, in the mode bridge.
pub(super) fn bridge() -> Value {
    json!({"family":"web","networkMode":"bridge","requiresCompatibilities":["EC2"],"memory":"512","volumes":[],
        "containerDefinitions":[app(), side()]})
}

fn app() -> Value {
    json!({"name":"app","image":"web:1","portMappings":[{"containerPort":80}]})
}

fn side() -> Value {
    json!({"name":"side","image":"side:1","essential":false})
}

/// `definition` with a value set at a pointer below the first container, or (with `/`) below the task.
pub(super) fn with(mut definition: Value, path: &str, value: Value) -> Value {
    let full = match path.strip_prefix('/') {
        Some(path) => path.to_owned(),
        None => format!("containerDefinitions/0/{path}"),
    };
    let mut place = &mut definition;
    for part in full.split('/') {
        place = match part.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[part],
        };
    }
    *place = value;
    definition
}

/// The errors of a definition, each with the text of its line.
pub(super) fn errors(definition: &Value) -> Vec<(String, String)> {
    let text = serde_json::to_string_pretty(definition).unwrap();
    let file = DefinitionFile { path: "td.json".into(), text: text.clone() };
    let found = lint_file(&file, Some("app"), &[]);
    let errors = found.into_iter().filter(|problem| problem.severity == Severity::Error);
    errors
        .map(|problem| {
            let line = problem.location.as_ref().unwrap().line;
            (text.lines().nth(line - 1).unwrap().trim().to_owned(), problem.to_string())
        })
        .collect()
}

/// Asserts one error with this text, on a line that begins so.
pub(super) fn assert_refused(definition: &Value, line: &str, text: &str) {
    let found = errors(definition);
    let hit = found.iter().any(|(at, words)| at.contains(line) && words.contains(text));
    assert!(hit, "{line} / {text}: {found:#?}\n{definition}");
}

#[test]
fn the_two_definitions_are_good() {
    assert_eq!((errors(&fargate()), errors(&bridge())), (vec![], vec![]));
}

#[test]
fn refusals_of_containers_are_errors_at_their_lines() {
    let router = json!({"type":"fluentbit"});
    let file = |value: &str| json!([{"value":value,"type":"s3"}]);
    let table = [
        // API ContainerDefinition.
        (fargate(), "links", json!(["side"]), "\"links\"", "does not support `links`"),
        (fargate(), "hostname", json!("a"), "\"hostname\"", "does not support `hostname`"),
        (
            fargate(),
            "extraHosts",
            json!([{"hostname":"a","ipAddress":"10.0.0.1"}]),
            "\"extraHosts\"",
            "extraHosts",
        ),
        (bridge(), "links", json!(["nobody"]), "nobody", "leads to no other container"),
        (bridge(), "memory", json!(3), "\"memory\"", "at least 4"),
        (bridge(), "memory", json!(1024), "\"memory\": 1024", "more than that of the task"),
        (fargate(), "dockerSecurityOptions", json!(["no-new-privileges"]), "\"dockerSec", "does not support"),
        (fargate(), "environmentFiles", file("https://example.com/a.env"), "https", "not the ARN of a file"),
        (
            fargate(),
            "environmentFiles",
            json!(vec![file("arn:aws:s3:::b/a.env")[0].clone(); 11]),
            "\"environmentFiles\"",
            "at most 10",
        ),
        (fargate(), "versionConsistency", json!("on"), "\"versionConsistency\"", "`on`"),
        (
            fargate(),
            "secrets",
            json!([{"name":"A","valueFrom":"a"},{"name":"A","valueFrom":"b"}]),
            "{",
            "set twice",
        ),
        (fargate(), "secrets", json!([{"name":"A"}]), "{", "requires `valueFrom`"),
        // API PortMapping.
        (
            fargate(),
            "portMappings",
            json!([{"containerPort":53},{"containerPort":53,"protocol":"udp"}]),
            "{",
            "two protocols",
        ),
        (fargate(), "portMappings/0/hostPort", json!(0), "\"hostPort\"", "must be the container port"),
        (fargate(), "portMappings", json!([{"containerPortRange":"90-80"}]), "90-80", "range of ports"),
        (fargate(), "portMappings/0/appProtocol", json!("tcp"), "\"appProtocol\"", "http, http2, grpc"),
        (
            with(bridge(), "/networkMode", json!("host")),
            "portMappings/0/hostPort",
            json!(8080),
            "\"hostPort\"",
            "With `host`",
        ),
        (
            with(bridge(), "/networkMode", json!("none")),
            "portMappings/0/containerPort",
            json!(80),
            "\"portMappings\"",
            "no ports",
        ),
        // API HealthCheck, ContainerRestartPolicy, Ulimit, LinuxParameters, Device.
        (fargate(), "healthCheck", json!({"command":["NONE"]}), "\"command\"", "CMD or CMD-SHELL"),
        (fargate(), "healthCheck", json!({"interval":30}), "\"healthCheck\"", "requires `command`"),
        (
            fargate(),
            "restartPolicy",
            json!({"enabled":true,"restartAttemptPeriod":5}),
            "\"restartAttemptPeriod\"",
            "60 to 1800",
        ),
        (
            fargate(),
            "restartPolicy",
            json!({"restartAttemptPeriod":60}),
            "\"restartPolicy\"",
            "requires `enabled`",
        ),
        (fargate(), "ulimits", json!([{"name":"memory","softLimit":1,"hardLimit":1}]), "memory", "`memory`"),
        (fargate(), "ulimits", json!([{"name":"nofile","softLimit":1}]), "{", "requires `hardLimit`"),
        (
            fargate(),
            "linuxParameters",
            json!({"devices":[{"hostPath":"/dev/fuse"}]}),
            "\"devices\"",
            "`devices`",
        ),
        (
            fargate(),
            "linuxParameters",
            json!({"sharedMemorySize":64}),
            "\"sharedMemorySize\"",
            "sharedMemorySize",
        ),
        (fargate(), "linuxParameters", json!({"maxSwap":64}), "\"maxSwap\"", "maxSwap"),
        (
            fargate(),
            "linuxParameters",
            json!({"capabilities":{"add":["NET_ADMIN"]}}),
            "\"add\"",
            "SYS_PTRACE only",
        ),
        (
            bridge(),
            "linuxParameters",
            json!({"devices":[{"containerPath":"/a"}]}),
            "{",
            "requires `hostPath`",
        ),
        // API ResourceRequirement.
        (fargate(), "resourceRequirements", json!([{"type":"GPU","value":"1"}]), "{", "no GPUs"),
        (
            fargate(),
            "resourceRequirements",
            json!([{"type":"NeuronDevice","value":"ALL"}]),
            "{",
            "NeuronDevice",
        ),
        (
            bridge(),
            "resourceRequirements",
            json!([{"type":"InferenceAccelerator","value":"d"}]),
            "{",
            "does not exist",
        ),
        // API LogConfiguration, FirelensConfiguration; turnerlabs/fargate#60, fabfuel/ecs-deploy#164,
        // amazon-cloudwatch-logs-for-fluent-bit#20, cloudposse/terraform-aws-ecs-container-definition#97.
        (
            fargate(),
            "logConfiguration",
            json!({"logDriver":"awsfirelens"}),
            "\"logDriver\"",
            "firelensConfiguration",
        ),
        (
            fargate(),
            "firelensConfiguration",
            router.clone(),
            "\"firelensConfiguration\"",
            "logs through this router",
        ),
        (fargate(), "firelensConfiguration", json!({}), "\"firelensConfiguration\"", "requires `type`"),
        (fargate(), "firelensConfiguration", json!({"type":"vector"}), "\"type\"", "fluentd, fluentbit"),
        (
            with(fargate(), "user", json!("root")),
            "firelensConfiguration",
            router.clone(),
            "\"user\"",
            "must be 0",
        ),
        (
            fargate(),
            "firelensConfiguration",
            json!({"type":"fluentbit","options":{"config-file-type":"s3"}}),
            "config-file-type",
            "file of the image",
        ),
        (
            with(fargate(), "firelensConfiguration", router.clone()),
            "/containerDefinitions/1/firelensConfiguration",
            router,
            "\"firelensConfiguration\"",
            "one FireLens router",
        ),
        (
            fargate(),
            "logConfiguration",
            json!({"options":{}}),
            "\"logConfiguration\"",
            "requires `logDriver`",
        ),
        // API MountPoint, VolumeFrom.
        (
            fargate(),
            "mountPoints",
            json!([{"sourceVolume":"data","containerPath":"/d"}]),
            "{",
            "`data` does not exist",
        ),
        (fargate(), "volumesFrom", json!([{"sourceContainer":"nobody"}]), "{", "nobody"),
        // ECS pulls with the execution role.
        (
            with(fargate(), "/executionRoleArn", json!("")),
            "/containerDefinitions/1/image",
            json!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:1"),
            "\"image\": \"1234",
            "executionRoleArn",
        ),
        // Only the image of `app` is replaced.
        (
            fargate(),
            "/containerDefinitions/1/image",
            json!("<IMAGE2_NAME>"),
            "IMAGE2",
            "only those of `ecs.container`",
        ),
        (fargate(), "/containerDefinitions/1/image", json!(""), "{", "`side` has no image"),
        (fargate(), "/containerDefinitions/1/image", json!(null), "{", "`side` has no image"),
    ];
    for (base, path, value, line, text) in table {
        assert_refused(&with(base, path, value), line, text);
    }
}
