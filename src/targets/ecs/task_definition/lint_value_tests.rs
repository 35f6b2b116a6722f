//! Values that RegisterTaskDefinition or Docker refuses: log options, places of secrets, ranges, required members. Each case
//! names its source: `API` is the API reference of ECS.

use serde_json::{Value, json};

use super::lint::lint_file;
use super::lint_acceptance_tests::awslogs;
use super::lint_refusal_tests::{assert_refused, bridge, fargate, with};
use crate::problem::Severity;
use crate::release::DefinitionFile;

#[test]
fn refused_log_options_are_errors_at_their_lines() {
    let router = |options: Value| {
        let routed = with(fargate(), "logConfiguration", json!({"logDriver":"awsfirelens"}));
        let configuration = json!({"type":"fluentbit","options":options});
        with(routed, "/containerDefinitions/1/firelensConfiguration", configuration)
    };
    let logs = |options: Value| with(fargate(), "logConfiguration", awslogs(options));
    let driver = |logs: Value| with(bridge(), "logConfiguration", logs);
    let table = [
        // amazon-ecs-firelens-examples#83, amazon-ecs-agent#872, tflint-ruleset-aws#348.
        (logs(json!({"log_key":"log"})), "log_key", "no option `log_key`"),
        (logs(json!({"awslogs-stream-prefx":"x"})), "prefx", "Did you mean `awslogs-stream-prefix`?"),
        (logs(json!({"awslogs-create-group":"false"})), "create-group", "\"true\" only"),
        // API LogConfiguration.
        (logs(json!({"mode":"async"})), "\"mode\"", "blocking, non-blocking"),
        (driver(json!({"logDriver":"json-file","options":{"mode":"nonblocking"}})), "\"mode\"", "blocking"),
        (driver(json!({"logDriver":"splunk"})), "\"logConfiguration\"", "requires `splunk-token`"),
        (driver(json!({"logDriver":"awslogs"})), "\"logConfiguration\"", "requires `awslogs-group`"),
        // API FirelensConfiguration.
        (router(json!({"config-file-type":"file"})), "config-file-type", "requires `config-file-value`"),
        (router(json!({"config-file-value":"/x"})), "config-file-value", "requires `config-file-type`"),
        (router(json!({"enable-ecs-log-metadata":"yes"})), "metadata", "true, false"),
    ];
    for (definition, line, text) in table {
        assert_refused(&definition, line, text);
    }
}

#[test]
fn refused_values_of_containers_are_errors_at_their_lines() {
    let secret = |place: &str| json!([{"name":"A","valueFrom":place}]);
    let linux = |member: &str, value: i64| json!({ member: value });
    let table = [
        // API Secret, RepositoryCredentials; copilot-cli#3446.
        (fargate(), "secrets", secret("db password"), "valueFrom", "neither an ARN nor the name"),
        (fargate(), "secrets", secret("arn:aws:s3:::bucket/a"), "valueFrom", "not the ARN of a secret"),
        (
            fargate(),
            "repositoryCredentials",
            json!({"credentialsParameter":"arn:aws:ssm:eu-west-1:123456789012:parameter/a"}),
            "credentialsParameter",
            "Secrets Manager",
        ),
        // API ResourceRequirement, SystemControl, MountPoint, Tmpfs: required members.
        (bridge(), "resourceRequirements", json!([{"type":"GPU"}]), "{", "requires `value`"),
        (bridge(), "systemControls", json!([{"namespace":"net.core.somaxconn"}]), "{", "requires `value`"),
        (bridge(), "systemControls", json!([{"value":"1"}]), "{", "requires `namespace`"),
        (bridge(), "mountPoints", json!([{"containerPath":"/d"}]), "{", "requires `sourceVolume`"),
        (
            with(bridge(), "/volumes", json!([{"name":"d"}])),
            "mountPoints",
            json!([{"sourceVolume":"d"}]),
            "{",
            "requires `containerPath`",
        ),
        (bridge(), "linuxParameters", json!({"tmpfs":[{"containerPath":"/t"}]}), "{", "requires `size`"),
        // API ContainerDefinition, LinuxParameters: ranges.
        (bridge(), "cpu", json!(-1), "\"cpu\"", "at least 0, not -1"),
        (bridge(), "memory", json!(-5), "\"memory\"", "at least 0, not -5"),
        (bridge(), "memoryReservation", json!(-5), "\"memoryReservation\"", "at least 0"),
        (bridge(), "stopTimeout", json!(-1), "\"stopTimeout\"", "at least 0"),
        (bridge(), "linuxParameters", linux("swappiness", 101), "\"swappiness\"", "0 to 100, not 101"),
        (bridge(), "linuxParameters", linux("swappiness", -1), "\"swappiness\"", "0 to 100"),
        (bridge(), "linuxParameters", linux("maxSwap", -1), "\"maxSwap\"", "at least 0"),
        (bridge(), "linuxParameters", linux("sharedMemorySize", -1), "\"sharedMemorySize\"", "at least 0"),
        (
            bridge(),
            "linuxParameters",
            json!({"tmpfs":[{"containerPath":"/t","size":0}]}),
            "\"size\"",
            "at least 1",
        ),
        // The service model: Integer.
        (bridge(), "memory", json!(4_294_967_296_u64), "\"memory\"", "up to 2147483647"),
        // API KeyValuePair, PortMapping, in the spelling of CloudFormation.
        (bridge(), "environment", json!([{"Name":"A","Value":"1"}]), "{", "Write `name`: `Name` is"),
        (
            bridge(),
            "ulimits",
            json!([{"Name":"nofile","softLimit":1,"hardLimit":1}]),
            "{",
            "Write `name`: `Name` is",
        ),
        // distribution/reference; lambci/ecs#12.
        (bridge(), "/containerDefinitions/1/image", json!("acme/Side:1"), "\"image\"", "Write `acme/side`"),
        (bridge(), "/containerDefinitions/1/image", json!("Nginx"), "\"image\"", "Write `nginx`"),
        (bridge(), "/containerDefinitions/1/image", json!("ghcr.io/Acme/side"), "\"image\"", "acme/side"),
    ];
    for (base, path, value, line, text) in table {
        assert_refused(&with(base, path, value), line, text);
    }
}

/// Developer Guide: EFS volumes are for Linux, and not for external instances.
#[test]
fn efs_is_refused_where_it_cannot_be_mounted() {
    let efs = json!([{"name":"d","efsVolumeConfiguration":{"fileSystemId":"fs-1"}}]);
    let windows = json!({"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"});
    let on_windows = with(with(bridge(), "/volumes", efs.clone()), "/runtimePlatform", windows);
    assert_refused(&on_windows, "\"efs", "Windows tasks do not support EFS");
    let external = with(with(bridge(), "/volumes", efs), "/requiresCompatibilities", json!(["EXTERNAL"]));
    assert_refused(&external, "\"efs", "External instances do not support EFS");
    let port =
        json!([{"name":"d","efsVolumeConfiguration":{"fileSystemId":"fs-1","transitEncryptionPort":70_000}}]);
    assert_refused(&with(bridge(), "/volumes", port), "transitEncryptionPort", "0 to 65535");
}

#[test]
fn members_without_effect_are_warnings() {
    let windows = json!({"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"});
    let on_windows = with(bridge(), "/runtimePlatform", windows);
    let both = awslogs(json!({"awslogs-datetime-format":"%Y","awslogs-multiline-pattern":"^x"}));
    let table = [
        (
            with(on_windows.clone(), "privileged", json!(true)),
            "Windows containers do not support `privileged`",
        ),
        (with(on_windows, "user", json!("app")), "Windows containers do not support `user`"),
        (
            with(bridge(), "Command", json!(["x"])),
            "Write `command`: `Command` is the spelling of CloudFormation",
        ),
        (with(bridge(), "environment", json!([{"name":"A=1","value":""}])), "{\"name\": \"A\""),
        (with(bridge(), "environment", json!([{"name":"A=","value":"1"}])), "Remove the `=`"),
        (with(bridge(), "logConfiguration", both), "cannot be used together"),
    ];
    for (definition, words) in table {
        let text = serde_json::to_string_pretty(&definition).unwrap();
        let file = DefinitionFile { path: "td.json".into(), text };
        let found = lint_file(&file, Some("app"), &[]);
        let hit = |problem: &crate::problem::Problem| {
            problem.severity == Severity::Warning && format!("{problem} {}", problem.help).contains(words)
        };
        assert!(found.iter().any(hit), "{words}: {found:#?}");
        assert!(!found.iter().any(|problem| problem.is_error()), "{words}: {found:#?}");
    }
}
