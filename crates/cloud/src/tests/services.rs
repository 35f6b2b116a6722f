//! Services, task definitions and tasks: what is accepted, refused, shown and left out.

use super::*;

fn small_definition() -> Value {
    json!({"family": "f", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
           "containerDefinitions": [{"name": "app", "image": "x/y:1"}]})
}

async fn registration_error(change: impl FnOnce(&mut Value)) -> String {
    let cloud = Cloud::new(scenario(), 1);
    let mut input = small_definition();
    change(&mut input);
    call_error(&cloud, "RegisterTaskDefinition", input).await.message
}

#[tokio::test(start_paused = true)]
async fn task_definitions_are_checked_in_the_words_of_aws() {
    assert_eq!(
        registration_error(|it| it["memory"] = "77".into()).await,
        "No Fargate configuration exists for given values."
    );
    assert_eq!(registration_error(|it| it["tags"] = json!([])).await, "Tags can not be empty.");
    assert_eq!(
        registration_error(|it| it["networkMode"] = "bridge".into()).await,
        "Fargate only supports network mode ‘awsvpc’."
    );
    assert_eq!(
        registration_error(|it| it["containerDefinitions"] = json!([])).await,
        "Container list cannot be empty."
    );
    let message = registration_error(|it| {
        it["containerDefinitions"][0]["secrets"] = json!([{"name": "A", "valueFrom": "b"}])
    })
    .await;
    assert!(message.contains("you must also specify a value for 'executionRoleArn'"), "{message}");
    let message = registration_error(|it| {
        it["containerDefinitions"][0]["environment"] = json!([{"name": "A", "value": 1}])
    })
    .await;
    assert_eq!(message, "NUMBER_VALUE can not be converted to a String");
    let message =
        registration_error(|it| it["containerDefinitions"][0]["image"] = "x@sha256:12".into()).await;
    assert!(message.starts_with("Container.image contains invalid characters"));
    let cloud = Cloud::new(scenario(), 1);
    for (cpu, memory) in [(".25 vcpu", "0.5GB"), ("1 vCPU", "2 GB"), ("8192", "20480")] {
        let mut input = small_definition();
        (input["cpu"], input["memory"]) = (cpu.into(), memory.into());
        call_ok(&cloud, "RegisterTaskDefinition", input).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_registered_is_shown_with_defaults_and_without_unknown_members() {
    let cloud = Cloud::new(scenario(), 2);
    let mut input = small_definition();
    input["nonsense"] = 1.into();
    input["tags"] = json!([{"key": "a", "value": "b"}]);
    input["containerDefinitions"][0]["enviroment"] = json!([]);
    input["containerDefinitions"][0]["environment"] = json!([{"name": "EMPTY", "value": ""}]);
    call_ok(&cloud, "RegisterTaskDefinition", input).await;
    let shown =
        call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "f", "include": ["TAGS"]})).await;
    assert_eq!(shown["tags"], json!([{"key": "a", "value": "b"}]));
    let definition = &shown["taskDefinition"];
    assert_eq!(definition["taskDefinitionArn"], "arn:aws:ecs:eu-west-1:111111111111:task-definition/f:1");
    assert_eq!((&definition["status"], &definition["revision"]), (&json!("ACTIVE"), &json!(1)));
    assert!(definition.get("nonsense").is_none() && definition.get("tags").is_none());
    let container = &definition["containerDefinitions"][0];
    assert_eq!(container["environment"], json!([{"name": "EMPTY", "value": ""}]));
    assert!(container.get("enviroment").is_none());
    assert_eq!((&container["essential"], &container["cpu"]), (&json!(true), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_deregistered_definition_cannot_be_deployed() {
    let cloud = Cloud::new(scenario(), 3);
    call_ok(&cloud, "RegisterTaskDefinition", small_definition()).await;
    call_ok(&cloud, "DeregisterTaskDefinition", json!({"taskDefinition": "f:1"})).await;
    let update =
        |definition: &str| json!({"cluster": "acme", "service": "web", "taskDefinition": definition});
    let refused = call_error(&cloud, "UpdateService", update("f:1")).await;
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("ClientException", "TaskDefinition is inactive")
    );
    assert_eq!(call_error(&cloud, "UpdateService", update("g:1")).await.message, "TaskDefinition not found.");
    assert_eq!(
        call_ok(&cloud, "ListTaskDefinitions", json!({"familyPrefix": "f"})).await["taskDefinitionArns"],
        json!([])
    );
}

#[tokio::test(start_paused = true)]
async fn only_some_members_start_a_deployment() {
    let cloud = Cloud::new(scenario(), 4);
    let before = describe_service(&cloud).await["currentServiceDeployment"].clone();
    let network = describe_service(&cloud).await["networkConfiguration"].clone();
    for members in [
        json!({"taskDefinition": "web"}),
        json!({"taskDefinition": "web:1", "networkConfiguration": network}),
        json!({"deploymentConfiguration": {"maximumPercent": 150}}),
        json!({"enableExecuteCommand": true, "healthCheckGracePeriodSeconds": 30}),
    ] {
        let mut input = json!({"cluster": "acme", "service": "web"});
        input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let updated = call_ok(&cloud, "UpdateService", input).await;
        assert_eq!(updated["service"]["currentServiceDeployment"], before, "{members}");
    }
    let now = describe_service(&cloud).await;
    assert_eq!(now["deploymentConfiguration"]["maximumPercent"], 150);
    assert_eq!(now["deploymentConfiguration"]["minimumHealthyPercent"], 100);
    assert_eq!(now["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"], true);
    let input = json!({"cluster": "acme", "service": "web", "forceNewDeployment": true});
    let forced = call_ok(&cloud, "UpdateService", input).await;
    assert_ne!(forced["service"]["currentServiceDeployment"], before);
}

#[tokio::test(start_paused = true)]
async fn update_of_external_or_inactive_service_is_rejected() {
    let mut scenario = scenario();
    let service = |name: &str| super::super::scenario::ServiceSetting::with_defaults("acme", name);
    let mut draining = service("draining");
    draining.status = "DRAINING".into();
    let mut code_deploy = service("blue-green");
    code_deploy.controller = "CODE_DEPLOY".into();
    scenario = scenario.with_service(draining).with_service(code_deploy);
    let cloud = Cloud::new(scenario, 5);
    for (cluster, name, code) in [
        ("acme", "draining", "ServiceNotActiveException"),
        ("acme", "blue-green", "InvalidParameterException"),
        ("acme", "nobody", "ServiceNotFoundException"),
        ("nowhere", "web", "ClusterNotFoundException"),
    ] {
        let input = json!({"cluster": cluster, "service": name, "taskDefinition": "web"});
        assert_eq!(call_error(&cloud, "UpdateService", input).await.code, code);
    }
    let input = json!({"cluster": "acme", "services": ["web", "nobody", "blue-green"]});
    let answer = call_ok(&cloud, "DescribeServices", input).await;
    assert_eq!(answer["failures"][0]["reason"], "MISSING");
    assert!(answer["services"][0].get("deploymentController").is_none());
    assert_eq!(answer["services"][1]["deploymentController"]["type"], "CODE_DEPLOY");
    let many: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let refused = call_error(&cloud, "DescribeServices", json!({"cluster": "acme", "services": many})).await;
    assert_eq!(refused.code, "InvalidParameterException");
}

#[tokio::test(start_paused = true)]
async fn a_definition_that_does_not_fit_the_service_is_refused() {
    let cloud = Cloud::new(scenario(), 9);
    let fits = small_definition();
    let mut other_port = fits.clone();
    other_port["containerDefinitions"][0]["portMappings"] = json!([{"containerPort": 81}]);
    let mut other_name = fits.clone();
    other_name["containerDefinitions"][0]["name"] = "other".into();
    let mut bridge =
        json!({"family": "f", "containerDefinitions": [{"name": "app", "image": "x", "memory": 64}]});
    bridge["networkMode"] = "bridge".into();
    for (definition, message) in [
        (other_port, "The container app did not have a container port 8080 defined."),
        (other_name, "The container app does not exist"),
        (bridge, "Task definition does not support launch_type FARGATE."),
    ] {
        call_ok(&cloud, "RegisterTaskDefinition", definition).await;
        let update = json!({"cluster": "acme", "service": "web", "taskDefinition": "f"});
        let refused = call_error(&cloud, "UpdateService", update).await;
        assert_eq!(refused.code, "InvalidParameterException");
        assert!(refused.message.starts_with(message), "{}", refused.message);
    }
    let create =
        json!({"cluster": "acme", "serviceName": "new", "taskDefinition": "web", "launchType": "FARGATE"});
    let refused = call_error(&cloud, "CreateService", create).await;
    assert_eq!(
        refused.message,
        "Network Configuration must be provided when networkMode 'awsvpc' is specified."
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_is_created_deployed_and_deleted() {
    let cloud = Cloud::new(scenario(), 6);
    call_ok(&cloud, "RegisterTaskDefinition", small_definition()).await;
    let input = json!({"cluster": "acme", "serviceName": "new", "taskDefinition": "f", "desiredCount": 1,
                       "launchType": "FARGATE",
                       "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}});
    let created = call_ok(&cloud, "CreateService", input.clone()).await;
    assert_eq!(
        call_error(&cloud, "CreateService", input).await.message,
        "Creation of service was not idempotent."
    );
    let arn = created["service"]["currentServiceDeployment"].as_str().unwrap();
    assert_eq!(collect_statuses(&cloud, arn, 600).await.last().unwrap(), "SUCCESSFUL");
    let delete = json!({"cluster": "acme", "service": "new"});
    assert!(call_error(&cloud, "DeleteService", delete.clone()).await.message.contains("scaled above 0"));
    call_ok(&cloud, "DeleteService", json!({"cluster": "acme", "service": "new", "force": true})).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let shown = call_ok(&cloud, "DescribeServices", json!({"cluster": "acme", "services": ["new"]})).await;
    assert_eq!(shown["services"][0]["status"], "INACTIVE");
    let listed = call_ok(&cloud, "ListServices", json!({"cluster": "acme"})).await;
    assert_eq!(listed["serviceArns"], json!(["arn:aws:ecs:eu-west-1:111111111111:service/acme/web"]));
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_with_the_traps_of_the_real_filters() {
    let cloud = Cloud::new(scenario(), 7);
    let list = |more: Value| {
        let mut input = json!({"cluster": "acme"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let id = describe_service(&cloud).await["deployments"][0]["id"].clone();
    let count =
        async |input: Value| call_ok(&cloud, "ListTasks", input).await["taskArns"].as_array().unwrap().len();
    assert_eq!(count(list(json!({"serviceName": "web"}))).await, 2);
    assert_eq!(count(list(json!({"startedBy": id}))).await, 2);
    assert_eq!(count(list(json!({"serviceName": "web", "desiredStatus": "PENDING"}))).await, 0);
    assert_eq!(count(list(json!({"serviceName": "web", "desiredStatus": "STOPPED"}))).await, 0);
    let both = list(json!({"serviceName": "web", "startedBy": id}));
    assert_eq!(call_error(&cloud, "ListTasks", both).await.code, "InvalidParameterException");
    let arns = call_ok(&cloud, "ListTasks", list(json!({}))).await["taskArns"].clone();
    let stop = json!({"cluster": "acme", "task": arns[0], "reason": "by hand"});
    let stopped = call_ok(&cloud, "StopTask", stop).await;
    assert_eq!(stopped["task"]["stopCode"], "UserInitiated");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(describe_service(&cloud).await["runningCount"], 2);
    assert_eq!(describe_service(&cloud).await["deployments"][0]["rolloutState"], "COMPLETED");
}

#[tokio::test(start_paused = true)]
async fn deployments_are_listed_by_status_and_time() {
    let cloud = Cloud::new(scenario(), 8);
    let began = cloud.now();
    let (_, arn) = deploy_v2(&cloud).await;
    let list = async |more: Value| {
        let mut input = json!({"cluster": "acme", "service": "web"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = call_ok(&cloud, "ListServiceDeployments", input).await;
        let all = answer["serviceDeployments"].as_array().unwrap().clone();
        all.into_iter().map(|it| it["serviceDeploymentArn"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(list(json!({})).await.len(), 2);
    assert_eq!(list(json!({"createdAt": {"after": began}})).await, [arn.as_str()]);
    assert_eq!(list(json!({"status": ["PENDING", "IN_PROGRESS"]})).await, [arn.as_str()]);
    assert_eq!(list(json!({"status": ["SUCCESSFUL"]})).await.len(), 1);
}
