//! Which task definitions AWS refuses, and what it fills in when it takes one. Each case names its source: `API` is the
//! API reference of ECS, the others are public reports with AWS's words.

use super::*;

fn fargate() -> Value {
    json!({"family": "f", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
           "executionRoleArn": "arn:aws:iam::1:role/exec", "volumes": [],
           "containerDefinitions": [{"name": "app", "image": "x/y:1", "portMappings": [{"containerPort": 80}]},
                                    {"name": "side", "image": "side:1", "essential": false}]})
}

fn bridge() -> Value {
    let containers = fargate()["containerDefinitions"].clone();
    json!({"family": "f", "networkMode": "bridge", "requiresCompatibilities": ["EC2"], "memory": "512",
           "containerDefinitions": containers})
}

/// `definition` with members of its first container.
fn with(mut definition: Value, members: Value) -> Value {
    for (member, value) in members.as_object().unwrap() {
        definition["containerDefinitions"][0][member] = value.clone();
    }
    definition
}

/// `definition` with members of the task.
fn with_task(mut definition: Value, members: Value) -> Value {
    for (member, value) in members.as_object().unwrap() {
        definition[member] = value.clone();
    }
    definition
}

/// `definition` with members of its second container.
fn with_side(mut definition: Value, members: Value) -> Value {
    for (member, value) in members.as_object().unwrap() {
        definition["containerDefinitions"][1][member] = value.clone();
    }
    definition
}

/// The refusals in a row, `taken` where there is none.
async fn refusals(definitions: impl IntoIterator<Item = Value>) -> String {
    let cloud = Cloud::new(Scenario { throttling: false, ..scenario() }, 1);
    let mut lines = Vec::new();
    for definition in definitions {
        lines.push(match send(&cloud, "RegisterTaskDefinition", definition).await {
            Delivery::Reply(Ok(_)) => "taken".to_owned(),
            Delivery::Reply(Err(refusal)) => refusal.message,
            other => format!("{other:?}"),
        });
    }
    lines.join("\n")
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_of_containers_is_refused() {
    let router = json!({"firelensConfiguration": {"type": "fluentbit"}});
    let routed = json!({"logConfiguration": {"logDriver": "awsfirelens"}});
    let both = || with_side(with(fargate(), routed.clone()), router.clone());
    insta::assert_snapshot!(refusals([
        // API PortMapping: "You can't expose the same container port for multiple protocols."
        with(fargate(), json!({"portMappings": [{"containerPort": 53}, {"containerPort": 53, "protocol": "udp"}]})),
        // amazon-ecs-cli#1014.
        with(fargate(), json!({"portMappings": [{"containerPort": 80, "hostPort": 0}]})),
        with_task(with(bridge(), json!({"portMappings": [{"containerPort": 80, "hostPort": 81}]})), json!({"networkMode": "host"})),
        // amazon-ecs-agent#1220.
        with_side(fargate(), json!({"portMappings": [{"containerPort": 80}]})),
        with_side(with(bridge(), json!({"portMappings": [{"containerPort": 80, "hostPort": 80}]})), json!({"portMappings": [{"containerPort": 81, "hostPort": 80}]})),
        // API RegisterTaskDefinition, networkMode none.
        with_task(bridge(), json!({"networkMode": "none"})),
        // aws-otel-collector#1359, ecs-deplojo#26; API ContainerDefinition.
        with(fargate(), json!({"links": ["side"]})),
        with(fargate(), json!({"hostname": "a"})),
        with(fargate(), json!({"extraHosts": [{"hostname": "a", "ipAddress": "10.0.0.1"}]})),
        with(bridge(), json!({"links": ["nobody"]})),
        // turnerlabs/fargate#60, fabfuel/ecs-deploy#164.
        with(fargate(), routed.clone()),
        // amazon-cloudwatch-logs-for-fluent-bit#20.
        with(fargate(), router.clone()),
        // terraform-aws-ecs-container-definition#97.
        with_side(both(), json!({"user": "root"})),
        // API FirelensConfiguration.
        with_side(both(), json!({"firelensConfiguration": {"type": "vector"}})),
        with_side(both(), json!({"firelensConfiguration": {"type": "fluentbit", "options": {"config-file-type": "s3", "config-file-value": "arn:aws:s3:::logs/extra.conf"}}})),
        // API HealthCheck, ContainerRestartPolicy, EnvironmentFile, Ulimit (Shippable/support#3699).
        with(fargate(), json!({"healthCheck": {"command": ["NONE"]}})),
        with(fargate(), json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": 5}})),
        with(fargate(), json!({"restartPolicy": {"restartAttemptPeriod": 60}})),
        with(fargate(), json!({"environmentFiles": [{"value": "https://example.com/a.env", "type": "s3"}]})),
        with(fargate(), json!({"ulimits": [{"name": "memory", "softLimit": 1, "hardLimit": 1}]})),
        // API LinuxParameters, ContainerDefinition: what Fargate does not support.
        with(fargate(), json!({"linuxParameters": {"devices": [{"hostPath": "/dev/fuse"}]}})),
        with(fargate(), json!({"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}})),
        with(fargate(), json!({"privileged": true})),
        with(fargate(), json!({"resourceRequirements": [{"type": "GPU", "value": "1"}]})),
        with(fargate(), json!({"logConfiguration": {"logDriver": "journald"}})),
        with(fargate(), json!({"stopTimeout": 300})),
        // API ContainerDependency.
        with(fargate(), json!({"dependsOn": [{"containerName": "nobody", "condition": "START"}]})),
        with_side(fargate(), json!({"dependsOn": [{"containerName": "app", "condition": "SUCCESS"}]})),
        with(fargate(), json!({"dependsOn": [{"containerName": "side", "condition": "HEALTHY"}]})),
        with_side(with(fargate(), json!({"dependsOn": [{"containerName": "side", "condition": "START"}]})), json!({"dependsOn": [{"containerName": "app", "condition": "START"}]})),
        // pulumi-awsx#1220.
        with(fargate(), json!({"memory": 1024, "memoryReservation": 128})),
        with(bridge(), json!({"memory": 64, "memoryReservation": 65})),
        // API MountPoint, VolumeFrom.
        with(fargate(), json!({"mountPoints": [{"sourceVolume": "data", "containerPath": "/d"}]})),
        with(fargate(), json!({"volumesFrom": [{"sourceContainer": "nobody"}]})),
    ]).await, @"
    Container 'app' exposes the same container port more than once.
    When networkMode=awsvpc, the host ports and container ports in port mappings must match.
    When networkMode=host, the host ports and container ports in port mappings must match.
    Duplicate host port in the port mappings of the task.
    Duplicate host port in the port mappings of the task.
    Port mappings are not supported when networkMode=none.
    Links are not supported when networkMode=awsvpc.
    hostname is not supported on container when networkMode=awsvpc.
    extraHosts is not supported on container when networkMode=awsvpc.
    Invalid link 'nobody': container not found in the task definition.
    When awsfirelens log driver is specified in log configuration, a firelens configuration object must be configured in one of the containers.
    When a firelensConfiguration object is specified, at least one container has to be configured with the awsfirelens log driver.
    If 'user' field is specified on firelens container, then 'UID' has to be '0'.
    type 'vector' is not valid. Valid values for type are: [fluentd, fluentbit].
    Fargate compatible task definitions do not support the FireLens configuration file type s3.
    Health check command of container 'app' must start with CMD or CMD-SHELL.
    restartAttemptPeriod must be between 60 and 1800 seconds.
    RestartPolicy.enabled should not be null.
    Invalid arn syntax.
    Unrecognized ulimit name memory
    Fargate compatible task definitions do not support devices.
    Fargate compatible task definitions do not support added capabilities.
    Fargate compatible task definitions do not support privileged.
    Fargate compatible task definitions do not support resourceRequirements.
    Fargate compatible task definitions do not support the log driver journald.
    stopTimeout must be between 0 and 120 seconds on Fargate.
    Container 'nobody' in dependsOn does not exist.
    The condition SUCCESS can't be set on the essential container 'app'.
    The condition HEALTHY requires a health check on container 'side'.
    Container dependencies must not have a cycle.
    The 'memory' setting for container 'app' is greater than for the task.
    Invalid setting for container 'app'. The 'memory' must be greater than or equal to 'memoryReservation'.
    Unknown volume 'data'.
    Unknown container 'nobody' in volumesFrom.
    ");
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_of_the_task_is_refused() {
    let volume = |kind: &str, value: Value| json!({"volumes": [{"name": "d", kind: value}]});
    let many: Vec<Value> = (0..11).map(|index| json!({"name": format!("c{index}"), "image": "x"})).collect();
    insta::assert_snapshot!(refusals([
        // amazon-ecs-cli#184.
        with_task(fargate(), json!({"containerDefinitions": many})),
        // API Volume, HostVolumeProperties, DockerVolumeConfiguration, EFSVolumeConfiguration.
        with_task(fargate(), volume("host", json!({"sourcePath": "/data"}))),
        with_task(fargate(), volume("dockerVolumeConfiguration", json!({"scope": "task"}))),
        with_task(bridge(), json!({"volumes": [{"name": "d"}, {"name": "d"}]})),
        with_task(bridge(), json!({"volumes": [{"name": "a b"}]})),
        with_task(bridge(), json!({"volumes": [{"name": "d", "host": {"sourcePath": "/d"}, "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]})),
        with_task(bridge(), json!({"volumes": [{"name": "a", "configuredAtLaunch": true}, {"name": "b", "configuredAtLaunch": true}]})),
        with_task(fargate(), volume("efsVolumeConfiguration", json!({"rootDirectory": "/"}))),
        with_task(fargate(), volume("efsVolumeConfiguration", json!({"fileSystemId": "fs-1", "authorizationConfig": {"iam": "ENABLED"}}))),
        with_task(fargate(), volume("efsVolumeConfiguration", json!({"fileSystemId": "fs-1", "transitEncryption": "ENABLED", "rootDirectory": "/a", "authorizationConfig": {"accessPointId": "p"}}))),
        // API RegisterTaskDefinition.
        with_task(fargate(), json!({"cpu": null})),
        with_task(fargate(), json!({"cpu": 256})),
        with_task(fargate(), json!({"pidMode": "host"})),
        with_task(fargate(), json!({"ipcMode": "task"})),
        with_task(fargate(), json!({"ephemeralStorage": {"sizeInGiB": 20}})),
        with_task(fargate(), json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}})),
        with_task(fargate(), json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS"}})),
        with_task(bridge(), json!({"cpu": "64"})),
        with_task(bridge(), json!({"networkMode": "nat"})),
        with_task(bridge(), json!({"tags": [{"key": "aws:a", "value": "b"}]})),
        with_task(bridge(), json!({"placementConstraints": [{"type": "distinctInstance"}]})),
        with_task(bridge(), json!({"proxyConfiguration": {"containerName": "envoy"}})),
        with_task(bridge(), json!({"requiresCompatibilities": ["EXTERNAL"], "networkMode": "awsvpc"})),
        with_task(bridge(), json!({"taskRoleArn": "<ROLE>"})),
        with_task(bridge(), json!({"executionRoleArn": "arn:aws:iam::111111111111:user/a"})),
        // Quota "Task definition size".
        with(bridge(), json!({"environment": [{"name": "A", "value": "x".repeat(65_300)}]})),
    ]).await, @"
    Too many containers.
    Fargate compatible task definitions do not support host.sourcePath.
    Fargate compatible task definitions do not support dockerVolumeConfiguration.
    Duplicate volume name 'd'.
    Volume.name contains invalid characters. Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens are allowed.
    Volume 'd' must have only one volume configuration.
    Only one volume can be configured at launch.
    EFSVolumeConfiguration.fileSystemId should not be null or empty.
    EFS transit encryption must be enabled to use an access point or IAM authorization.
    EFS rootDirectory must be omitted or set to / when an access point is specified.
    Fargate requires that 'cpu' be defined at the task level.
    NUMBER_VALUE can not be converted to a String
    Fargate compatible task definitions do not support pidMode host.
    Fargate compatible task definitions do not support ipcMode.
    Ephemeral storage size must be between 21 and 200 GiB.
    No Fargate configuration exists for given values.
    operatingSystemFamily 'WINDOWS' is not valid.
    Invalid 'cpu' setting for task. Supported values are between 128 and 196608 CPU units.
    networkMode 'nat' is not valid. Valid values for networkMode are: [bridge, host, awsvpc, none].
    Invalid tag key 'aws:a'.
    type 'distinctInstance' is not valid. Valid values for type are: [memberOf].
    The proxy container 'envoy' does not exist in the task definition.
    Network mode awsvpc is not supported for EXTERNAL compatibility.
    Role is not valid
    Role is not valid
    Actual length: '65571'. Max allowed length is '65536' bytes.
    ");
}

#[tokio::test(start_paused = true)]
async fn values_that_aws_refuses_are_refused() {
    let logs = |options: Value| {
        let mut all =
            json!({"awslogs-group": "g", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "p"});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        with(fargate(), json!({"logConfiguration": {"logDriver": "awslogs", "options": all}}))
    };
    let router = |options: Value| {
        let routed = with(fargate(), json!({"logConfiguration": {"logDriver": "awsfirelens"}}));
        with_side(routed, json!({"firelensConfiguration": {"type": "fluentbit", "options": options}}))
    };
    let efs = json!([{"name": "d", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]);
    let secret = |place: &str| with(fargate(), json!({"secrets": [{"name": "A", "valueFrom": place}]}));
    insta::assert_snapshot!(refusals([
        // amazon-ecs-firelens-examples#83, tflint-ruleset-aws#348; API LogConfiguration, FirelensConfiguration.
        logs(json!({"log_key": "log"})),
        logs(json!({"awslogs-create-group": "false"})),
        logs(json!({"mode": "async"})),
        with(bridge(), json!({"logConfiguration": {"logDriver": "splunk"}})),
        router(json!({"config-file-type": "file"})),
        router(json!({"enable-ecs-log-metadata": "yes"})),
        // copilot-cli#3446; API Secret.
        secret("db password"),
        secret("arn:aws:s3:::bucket/a"),
        secret("arn:aws:ssm:eu-west-1:111111111111:a"),
        // Required members: API KeyValuePair, MountPoint, SystemControl, ResourceRequirement, HostEntry, Tmpfs.
        with(bridge(), json!({"environment": [{"value": "1"}]})),
        with_task(with(bridge(), json!({"mountPoints": [{"sourceVolume": "d"}]})), json!({"volumes": [{"name": "d"}]})),
        with(bridge(), json!({"systemControls": [{"namespace": "net.core.somaxconn"}]})),
        with(bridge(), json!({"resourceRequirements": [{"type": "GPU"}]})),
        with(bridge(), json!({"extraHosts": [{"hostname": "a"}]})),
        with(bridge(), json!({"linuxParameters": {"tmpfs": [{"containerPath": "/t"}]}})),
        // Ranges: API ContainerDefinition, LinuxParameters, EFSVolumeConfiguration.
        with(bridge(), json!({"cpu": -1})),
        with(bridge(), json!({"memory": -5})),
        with(bridge(), json!({"linuxParameters": {"swappiness": 101}})),
        with_task(bridge(), json!({"volumes": [{"name": "d", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryptionPort": 70000}}]})),
        // Developer Guide: EFS volumes; external instances.
        with_task(bridge(), json!({"volumes": efs, "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}})),
        with_task(bridge(), json!({"volumes": efs, "requiresCompatibilities": ["EXTERNAL"]})),
    ]).await, @"
    Log driver awslogs disallows options: log_key
    Log driver awslogs option 'awslogs-create-group' should only be set to 'true', else omit option.
    mode 'async' is not valid. Valid values for mode are: [blocking, non-blocking].
    Log driver splunk requires options: splunk-token.
    The firelens options config-file-type and config-file-value must be specified together.
    enable-ecs-log-metadata 'yes' is not valid. Valid values for enable-ecs-log-metadata are: [true, false].
    The Systems Manager parameter name specified for secret A is invalid. The parameter name can be up to 2048 characters and include the following letters and symbols: a-zA-Z0-9_.-
    Invalid arn syntax.
    Invalid arn syntax.
    KeyValuePair.name should not be null or empty.
    MountPoint.containerPath should not be null or empty.
    SystemControl.value should not be null or empty.
    ResourceRequirement.value should not be null or empty.
    HostEntry.ipAddress should not be null or empty.
    Tmpfs.size should not be null or less than 1.
    Invalid 'cpu'. The value must be between 0 and 2147483647.
    Invalid 'memory'. The value must be between 0 and 2147483647.
    Invalid 'swappiness'. The value must be between 0 and 100.
    EFS transitEncryptionPort must be between 0 and 65535.
    EFS volumes are not supported on Windows.
    EFS volumes are not supported for EXTERNAL compatibility.
    ");
}

/// An ARN of another account or region names nothing here, whatever its last part is.
#[tokio::test(start_paused = true)]
async fn cluster_of_another_account_is_refused() {
    let cloud = Cloud::new(scenario(), 1);
    let own = call_ok(&cloud, "DescribeClusters", json!({"clusters": ["acme"]})).await;
    let own = own["clusters"][0]["clusterArn"].as_str().unwrap().to_owned();
    let account = own.split(':').nth(4).unwrap();
    let (other_account, other_region) =
        (own.replace(account, "999999999999"), own.replace("eu-west-1", "eu-west-2"));
    for (operation, member) in
        [("DescribeServices", "cluster"), ("ListTasks", "cluster"), ("DescribeClusters", "clusters")]
    {
        for (arn, words) in [(&other_account, "Your accountId is"), (&other_region, "Your region is")] {
            let named = if member == "clusters" { json!([arn]) } else { json!(arn) };
            let answer = send(&cloud, operation, json!({member: named, "services": ["web"]})).await;
            let Delivery::Reply(Err(refusal)) = answer else { panic!("{operation}: {answer:?}") };
            assert_eq!(refusal.code, "InvalidParameterException", "{operation}");
            assert!(refusal.message.contains(words), "{operation}: {}", refusal.message);
        }
    }
}

/// Docker refuses the name of a repository with upper-case letters, so the task does not start.
#[tokio::test(start_paused = true)]
async fn upper_case_image_is_registered_and_not_pulled() {
    let cloud = Cloud::new(scenario(), 1);
    let definition = with(fargate(), json!({"image": "acme/Web:1"}));
    let registered = call_ok(&cloud, "RegisterTaskDefinition", definition).await;
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let run = json!({"cluster": "acme", "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
                     "launchType": "FARGATE", "networkConfiguration": network});
    let task = call_ok(&cloud, "RunTask", run).await["tasks"][0]["taskArn"].clone();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let described = call_ok(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": [task]})).await;
    let reason = described["tasks"][0]["stoppedReason"].as_str().unwrap_or_default();
    assert!(reason.contains("repository name must be lowercase"), "{described}");
}

/// What AWS takes is taken, however odd: null is absent, equal sizes, keys that nobody knows.
#[tokio::test(start_paused = true)]
async fn what_aws_takes_is_taken() {
    let taken = [
        // starter-workflows#218.
        with_task(
            fargate(),
            json!({"ipcMode": null, "inferenceAccelerators": null, "placementConstraints": null}),
        ),
        with(
            fargate(),
            json!({"repositoryCredentials": null, "healthCheck": null, "logConfiguration": null}),
        ),
        // amazon-ecs-developer-guide#242.
        with(bridge(), json!({"memory": 256, "memoryReservation": 256})),
        with_task(fargate(), json!({"$schema": "https://example.com/schema.json"})),
        with(fargate(), json!({"_comment": "why", "portMappings": [{"containerPort": 80, "note": 1}]})),
        // API PortMapping: "Amazon ECS treats any other specified value as tcp."
        with(fargate(), json!({"portMappings": [{"containerPort": 80, "protocol": "TCP"}]})),
        with_side(bridge(), json!({"portMappings": [{"containerPort": 80, "hostPort": 0}]})),
        with(bridge(), json!({"links": ["side:db"]})),
        with_task(bridge(), json!({"requiresCompatibilities": ["EXTERNAL"]})),
        with_task(bridge(), json!({"requiresCompatibilities": [], "networkMode": null})),
        with_task(fargate(), json!({"requiresCompatibilities": ["MANAGED_INSTANCES"]})),
    ];
    let count = taken.len();
    assert_eq!(refusals(taken).await, vec!["taken"; count].join("\n"));
}

#[tokio::test(start_paused = true)]
async fn what_aws_fills_in_is_shown() {
    let cloud = Cloud::new(scenario(), 1);
    let mut input = with_task(
        fargate(),
        json!({"cpu": ".25 vCPU", "memory": "0.5 GB", "ipcMode": null, "$schema": "x",
               "volumes": [{"name": "a"}, {"name": "b", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}),
    );
    input = with(
        input,
        json!({"logConfiguration": {"logDriver": "awsfirelens", "options": null}, "_comment": "x",
               "secrets": [{"name": "Z", "valueFrom": "z"}, {"name": "A", "valueFrom": "a"}],
               "healthCheck": {"command": ["CMD", "x"]}}),
    );
    input = with_side(input, json!({"firelensConfiguration": {"type": "fluentbit"}}));
    let answer = call_ok(&cloud, "RegisterTaskDefinition", input).await["taskDefinition"].clone();
    let (app, router) = (&answer["containerDefinitions"][0], &answer["containerDefinitions"][1]);
    assert_eq!((&answer["cpu"], &answer["memory"]), (&json!("256"), &json!("512")));
    assert_eq!(answer["compatibilities"], json!(["EC2", "FARGATE"]));
    assert_eq!((answer.get("$schema"), answer.get("ipcMode"), app.get("_comment")), (None, None, None));
    assert_eq!(answer["volumes"][0], json!({"name": "a", "host": {}}));
    assert_eq!(answer["volumes"][1]["efsVolumeConfiguration"]["rootDirectory"], "/");
    assert_eq!(router["user"], "0");
    assert_eq!(app["portMappings"], json!([{"containerPort": 80, "protocol": "tcp", "hostPort": 80}]));
    assert_eq!(app["secrets"], json!([{"name": "A", "valueFrom": "a"}, {"name": "Z", "valueFrom": "z"}]));
    assert_eq!(
        app["healthCheck"],
        json!({"command": ["CMD", "x"], "interval": 30, "timeout": 5, "retries": 3})
    );
    assert_eq!(app["logConfiguration"], json!({"logDriver": "awsfirelens"}));
    assert_eq!((&app["cpu"], &app["essential"], &app["mountPoints"]), (&json!(0), &json!(true), &json!([])));
}

/// The controller is shown if a client named it, also the default one.
#[tokio::test(start_paused = true)]
async fn deployment_controller_is_kept() {
    let cloud = Cloud::new(scenario(), 1);
    assert_eq!(describe_service(&cloud).await.get("deploymentController"), None);
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let create = json!({"cluster": "acme", "serviceName": "api", "taskDefinition": "web", "launchType": "FARGATE",
                        "desiredCount": 0, "networkConfiguration": network, "deploymentController": {"type": "ECS"}});
    let created = call_ok(&cloud, "CreateService", create).await;
    assert_eq!(created["service"]["deploymentController"], json!({"type": "ECS"}));
    let described =
        call_ok(&cloud, "DescribeServices", json!({"cluster": "acme", "services": ["api"]})).await;
    assert_eq!(described["services"][0]["deploymentController"], json!({"type": "ECS"}));
}

/// fabfuel's `ecs run` names itself with a blank in it.
#[tokio::test(start_paused = true)]
async fn started_by_may_have_a_blank() {
    let cloud = Cloud::new(scenario(), 1);
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let run = json!({"cluster": "acme", "taskDefinition": "web", "launchType": "FARGATE", "startedBy": "ECS Deploy",
                     "networkConfiguration": network});
    let started = call_ok(&cloud, "RunTask", run).await;
    assert_eq!(started["tasks"][0]["startedBy"], "ECS Deploy");
}
