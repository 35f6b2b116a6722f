//! What RegisterTaskDefinition takes although it looks odd: no errors. The comments name the sources.

use serde_json::{Value, json};

use super::lint_refusal_tests::{assert_refused, bridge, errors, fargate, with};

/// awslogs with these options besides those that it requires.
pub(super) fn awslogs(mut options: Value) -> Value {
    for (option, value) in [("group", "g"), ("region", "eu-west-1"), ("stream-prefix", "p")] {
        options[format!("awslogs-{option}")] = json!(value);
    }
    json!({"logDriver":"awslogs","options":options})
}

/// What AWS takes is no error, however odd.
#[test]
fn what_aws_takes_is_no_error() {
    let table = [
        // awsdocs/amazon-ecs-developer-guide#242.
        with(with(bridge(), "memory", json!(256)), "memoryReservation", json!(256)),
        // starter-workflows#218: null is absent.
        with(fargate(), "/ipcMode", json!(null)),
        with(fargate(), "/inferenceAccelerators", json!(null)),
        with(fargate(), "/placementConstraints", json!(null)),
        with(fargate(), "/volumes", json!(null)),
        with(with(fargate(), "/executionRoleArn", json!(null)), "repositoryCredentials", json!(null)),
        with(fargate(), "logConfiguration", json!(null)),
        with(fargate(), "healthCheck", json!(null)),
        with(
            fargate(),
            "linuxParameters",
            json!({"devices":null,"capabilities":{"add":null,"drop":["ALL"]}}),
        ),
        with(bridge(), "portMappings/0/hostPort", json!(null)),
        // The image of the container that is deployed is replaced.
        with(fargate(), "image", json!("<IMAGE1_NAME>")),
        with(fargate(), "image", json!("${IMAGE}")),
        with(fargate(), "image", json!("{{ image }}")),
        with(fargate(), "image", json!("@IMAGE@")),
        with(fargate(), "image", json!("to be replaced")),
        with(fargate(), "image", json!("")),
        with(fargate(), "image", json!(null)),
        // A key that is not known here is sent.
        with(fargate(), "/$schema", json!("https://example.com/schema.json")),
        with(fargate(), "/networkMod", json!("awsvpc")),
        with(fargate(), "_comment", json!("why")),
        with(fargate(), "enviroment", json!([])),
        with(fargate(), "portMappings/0/hostport", json!(80)),
        // API PortMapping: any other protocol is tcp. API ContainerDefinition: the last variable counts.
        with(fargate(), "portMappings/0/protocol", json!("TCP")),
        with(fargate(), "environment", json!([{"name":"A","value":"1"},{"name":"A","value":"2"}])),
        // Ports of two protocols on the host, and dynamic ones, do not meet.
        with(
            with(bridge(), "portMappings/0", json!({"containerPort":53,"hostPort":53})),
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort":53,"hostPort":53,"protocol":"udp"}]),
        ),
        with(
            with(bridge(), "portMappings/0/hostPort", json!(0)),
            "/containerDefinitions/1/portMappings",
            json!([{"containerPort":80,"hostPort":0}]),
        ),
        with(bridge(), "links", json!(["side:db"])),
        with(bridge(), "resourceRequirements", json!([{"type":"GPU","value":"1"}])),
        with(bridge(), "/runtimePlatform", json!({"cpuArchitecture":"ARM64"})),
        with(bridge(), "/requiresCompatibilities", json!(["EXTERNAL"])),
        with(bridge(), "/requiresCompatibilities", json!([])),
        with(
            fargate(),
            "/volumes",
            json!([{"name":"ebs","configuredAtLaunch":true},{"name":"tmp","host":{}}]),
        ),
        with(fargate(), "stopTimeout", json!(120)),
        // API LogConfiguration; Docker's manual has more options.
        with(
            fargate(),
            "logConfiguration",
            awslogs(json!({"awslogs-create-group":"true","mode":"non-blocking",
            "max-buffer-size":"25m","awslogs-datetime-format":"%Y"})),
        ),
        with(
            fargate(),
            "logConfiguration",
            awslogs(json!({"awslogs-endpoint":"https://logs.example.com","tag":"x"})),
        ),
        with(
            bridge(),
            "logConfiguration",
            json!({"logDriver":"splunk","options":{"splunk-url":"https://example.com"},
                "secretOptions":[{"name":"splunk-token","valueFrom":"token"}]}),
        ),
        // API Secret: a name of a parameter, or an ARN.
        with(
            fargate(),
            "secrets",
            json!([{"name":"A","valueFrom":"/acme/a.b-1"},
            {"name":"B","valueFrom":"arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf:key::"}]),
        ),
        // API ContainerDefinition: zero is no reservation.
        with(with(bridge(), "cpu", json!(0)), "memoryReservation", json!(0)),
        with(
            bridge(),
            "linuxParameters",
            json!({"maxSwap":0,"swappiness":100,"tmpfs":[{"containerPath":"/t","size":1}]}),
        ),
        with(bridge(), "systemControls", json!([{"namespace":"net.core.somaxconn","value":"1024"}])),
        with(bridge(), "ulimits", json!([{"name":"nofile","softLimit":-1,"hardLimit":-1}])),
        // distribution/reference: a host and a tag have any letters.
        with(bridge(), "/containerDefinitions/1/image", json!("Registry.example.com:5000/a/b:V1")),
    ];
    for definition in table {
        assert_eq!(errors(&definition), vec![], "{definition}");
    }
    let mut router = fargate();
    router["containerDefinitions"][0]["logConfiguration"] = json!({"logDriver":"awsfirelens"});
    for user in [json!(null), json!("0"), json!("0:0")] {
        router["containerDefinitions"][1] = json!({"name":"side","image":"r:1","user":user,
            "firelensConfiguration":{"type":"fluentbit","options":{"config-file-type":"file","config-file-value":"/extra.conf","enable-ecs-log-metadata":"true"}}});
        assert_eq!(errors(&router), vec![], "{user}");
    }
}

#[test]
fn null_in_place_of_a_required_value_is_an_error() {
    assert_refused(&with(fargate(), "/networkMode", json!(null)), "{", "requires `networkMode: awsvpc`");
    assert_refused(&with(fargate(), "/family", json!(null)), "{", "no `family`");
    assert_refused(&with(fargate(), "/containerDefinitions", json!(null)), "{", "no containers");
    assert_refused(&with(fargate(), "/containerDefinitions/1/name", json!(null)), "\"name\"", "has no name");
    assert_refused(&with(bridge(), "/memory", json!(null)), "{", "Neither the task nor the container");
}
