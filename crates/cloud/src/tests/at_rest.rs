//! Services as they are found: with tasks missing, with a deregistered revision, in a zone without the load balancer, and
//! what ECS refuses of them.

use super::*;

fn cloud(text: &str) -> Cloud {
    Cloud::new(Scenario::parse(text).unwrap(), 3)
}

#[tokio::test(start_paused = true)]
async fn missing_tasks_are_not_counted_and_are_started() {
    let healthy = cloud("services: [{ cluster: acme, name: web, running: 0 }]");
    let service = describe_service(&healthy).await;
    assert_eq!((&service["runningCount"], &service["desiredCount"]), (&json!(0), &json!(2)));
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(describe_service(&healthy).await["runningCount"], 2);

    let down = "services: [{ cluster: acme, name: web, running: 0 }]
faults: [image-not-found: { version: all }]";
    let down = cloud(down);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let service = describe_service(&down).await;
    assert_eq!(service["runningCount"], 0);
    assert!(service["deployments"][0]["failedTasks"].as_u64().unwrap() > 0, "{service}");
}

#[tokio::test(start_paused = true)]
async fn deregistered_revision_runs_on_and_is_not_deployed_again() {
    let cloud = cloud("services: [{ cluster: acme, name: web, deregistered: true }]");
    let service = describe_service(&cloud).await;
    assert_eq!(service["runningCount"], 2);
    let arn = service["taskDefinition"].clone();
    let shown = call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": arn})).await;
    assert_eq!(shown["taskDefinition"]["status"], "INACTIVE");
    let update =
        json!({"cluster": "acme", "service": "web", "taskDefinition": arn, "forceNewDeployment": true});
    assert_eq!(call_error(&cloud, "UpdateService", update).await.message, "TaskDefinition is inactive");
}

#[tokio::test(start_paused = true)]
async fn targets_in_a_zone_without_the_load_balancer_are_unused() {
    let cloud = cloud(
        "services: [{ cluster: acme, name: web, desired: 3, target-groups: [{ arn: web, disabled-zone: true }] }]",
    );
    let states = cloud.read(|world| {
        let all = world.targets.values().flatten();
        all.map(|target| format!("{} {}", target.state, target.reason)).collect::<Vec<_>>()
    });
    assert_eq!(states, ["healthy ", "unused Target.NotInUse", "healthy "]);
}

#[tokio::test(start_paused = true)]
async fn update_that_does_not_fit_the_service_is_refused() {
    let fargate = |more: Value| {
        let mut input = json!({
            "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "1024", "memory": "2048",
            "executionRoleArn": "arn:aws:iam::111111111111:role/x",
            "containerDefinitions": [{"name": "app", "image": "x", "essential": true,
                "portMappings": [{"containerPort": 8080, "name": "http"}]}],
        });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let bridge = json!({"family": "web", "networkMode": "bridge", "containerDefinitions": [{"name": "app", "image": "x", "memory": 128}]});
    let windows = json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}});
    let named = "task-definition: { family: web, requiresCompatibilities: [FARGATE], networkMode: awsvpc, cpu: '256', \
                 memory: '512', containerDefinitions: [{ name: app, image: x, portMappings: [{ containerPort: 80, name: grpc }] }] }";
    let table = [
        (
            format!("service-connect: [grpc], {named}"),
            fargate(json!({})),
            "portName(s) grpc of service connect services not found in the task definition",
        ),
        (
            "capacity-providers: [FARGATE_SPOT]".to_owned(),
            bridge,
            "Task definition does not support launch_type FARGATE.",
        ),
        (
            "launch-type: FARGATE".to_owned(),
            fargate(windows),
            "The specified platform version doesn't satisfy the required capabilities of the task definition.",
        ),
    ];
    for (members, definition, message) in table {
        let cloud = cloud(&format!("services: [{{ cluster: acme, name: web, {members} }}]"));
        let registered = call_ok(&cloud, "RegisterTaskDefinition", definition).await;
        let arn = registered["taskDefinition"]["taskDefinitionArn"].clone();
        let update = json!({"cluster": "acme", "service": "web", "taskDefinition": arn});
        assert_eq!(call_error(&cloud, "UpdateService", update).await.message, message, "{members}");
    }
}
