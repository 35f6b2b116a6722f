//! What RegisterTaskDefinition refuses of a task as a whole, and of what its containers share. Each case names its source, as in
//! `lint_refusal_tests.rs`.

use serde_json::{Value, json};

use super::lint_refusal_tests::{assert_refused, bridge, fargate, with};

#[test]
fn refusals_of_the_task_are_errors_at_their_lines() {
    let volume = |kind: &str, value: Value| json!([{"name": "d", kind: value}]);
    let table = [
        // API Volume, HostVolumeProperties, DockerVolumeConfiguration, EFSVolumeConfiguration.
        (fargate(), "/volumes", volume("host", json!({"sourcePath":"/data"})), "\"sourcePath\"", "no host"),
        (
            fargate(),
            "/volumes",
            volume("dockerVolumeConfiguration", json!({"scope":"task"})),
            "\"docker",
            "does not support",
        ),
        (
            bridge(),
            "/volumes",
            volume("dockerVolumeConfiguration", json!({"scope":"all"})),
            "\"scope\"",
            "task, shared",
        ),
        (bridge(), "/volumes", json!([{"name":"d"},{"name":"d"}]), "\"name\"", "Two volumes"),
        (bridge(), "/volumes", json!([{"name":"a b"}]), "\"name\"", "not a valid name"),
        (
            bridge(),
            "/volumes",
            json!([{"name":"d","host":{"sourcePath":"/d"},"efsVolumeConfiguration":{"fileSystemId":"fs-1"}}]),
            "\"efs",
            "more than one kind",
        ),
        (
            bridge(),
            "/volumes",
            json!([{"name":"a","configuredAtLaunch":true},{"name":"b","configuredAtLaunch":true}]),
            "\"volumes\"",
            "at launch",
        ),
        (
            fargate(),
            "/volumes",
            volume("efsVolumeConfiguration", json!({"rootDirectory":"/"})),
            "\"efs",
            "requires `fileSystemId`",
        ),
        (
            fargate(),
            "/volumes",
            volume(
                "efsVolumeConfiguration",
                json!({"fileSystemId":"fs-1","authorizationConfig":{"iam":"ENABLED"}}),
            ),
            "\"efs",
            "transitEncryption: ENABLED",
        ),
        (
            fargate(),
            "/volumes",
            volume(
                "efsVolumeConfiguration",
                json!({"fileSystemId":"fs-1","transitEncryption":"ENABLED","rootDirectory":"/a","authorizationConfig":{"accessPointId":"p"}}),
            ),
            "\"rootDirectory\"",
            "omitted or",
        ),
        (
            bridge(),
            "/volumes",
            volume("fsxWindowsFileServerVolumeConfiguration", json!({"fileSystemId":"fs-1"})),
            "\"fsx",
            "requires `rootDirectory`",
        ),
        // API RegisterTaskDefinition.
        (fargate(), "/cpu", json!(null), "{", "requires `cpu`"),
        (fargate(), "/pidMode", json!("host"), "\"pidMode\"", "task"),
        (fargate(), "/ipcMode", json!("task"), "\"ipcMode\"", "ipcMode"),
        (fargate(), "/ephemeralStorage", json!({"sizeInGiB":20}), "\"sizeInGiB\"", "21 to 200"),
        (
            fargate(),
            "/runtimePlatform",
            json!({"operatingSystemFamily":"WINDOWS_SERVER_2022_CORE"}),
            "\"cpu\"",
            "1 vCPU",
        ),
        (
            fargate(),
            "/runtimePlatform",
            json!({"operatingSystemFamily":"WINDOWS"}),
            "\"operatingSystemFamily\"",
            "WINDOWS_SERVER_2022_CORE",
        ),
        (bridge(), "/cpu", json!("64"), "\"cpu\"", "128 to 196608"),
        (bridge(), "/networkMode", json!("nat"), "\"networkMode\"", "bridge, host, awsvpc, none"),
        (bridge(), "/tags", json!([{"key":"aws:a","value":"b"}]), "{", "not a valid tag"),
        (bridge(), "/tags", json!([{"key":"a"},{"key":"a"}]), "{", "set twice"),
        (bridge(), "/placementConstraints", json!([{"type":"distinctInstance"}]), "\"type\"", "memberOf"),
        (
            bridge(),
            "/placementConstraints",
            json!(vec![json!({"type":"memberOf","expression":"a"}); 11]),
            "\"placement",
            "at most 10",
        ),
        // API RegisterTaskDefinition: the name or the full ARN of a role. Quota "Task definition size": 64 KB.
        (bridge(), "/taskRoleArn", json!("not an arn!"), "\"taskRoleArn\"", "is not a role"),
        (bridge(), "/executionRoleArn", json!("<ROLE>"), "\"executionRoleArn\"", "is not a role"),
        (bridge(), "/executionRoleArn", json!(" "), "\"executionRoleArn\"", "is not a role"),
        (
            bridge(),
            "/taskRoleArn",
            json!("arn:aws:iam::123456789012:user/a"),
            "\"taskRoleArn\"",
            "is not a role",
        ),
        (bridge(), "healthCheck", json!({"command":[]}), "\"command\"", "no command"),
        (bridge(), "healthCheck", json!({"command":["CMD-SHELL"]}), "\"command\"", "no command"),
        (bridge(), "environment", json!([{"name":"A","value":"x".repeat(70_000)}]), "{", "AWS accepts 65536"),
        (bridge(), "/proxyConfiguration", json!({"containerName":"envoy"}), "\"containerName\"", "`envoy`"),
        (
            with(bridge(), "/requiresCompatibilities", json!(["EXTERNAL"])),
            "/networkMode",
            json!("awsvpc"),
            "\"networkMode\"",
            "External",
        ),
        // pulumi-awsx#1220, amazon-ecs-cli#184, amazon-ecs-agent#1220.
        (fargate(), "memory", json!(1024), "\"memory\": 1024", "more than that of the task"),
        (
            fargate(),
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort":80}]),
            "{",
            "share one network",
        ),
        (
            with(bridge(), "portMappings/0/hostPort", json!(80)),
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort":81,"hostPort":80}]),
            "{",
            "host port 80",
        ),
        (
            with(fargate(), "portMappings/0/name", json!("http")),
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort":81,"name":"http"}]),
            "{",
            "port name `http`",
        ),
    ];
    for (base, path, value, line, text) in table {
        assert_refused(&with(base, path, value), line, text);
    }
    let mut many = fargate();
    for index in 0..9 {
        let container = json!({"name": format!("s{index}"), "image": "x", "essential": false});
        many["containerDefinitions"].as_array_mut().unwrap().push(container);
    }
    assert_refused(&many, "{", "at most 10 containers, not 11");
}
