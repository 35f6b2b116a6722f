//! RunTask as a client sees it: what is refused, the life of a task, the client token, and what stops it.

use super::super::one_off_commands::OneOffCommand;
use super::*;

fn run_task_input() -> Value {
    json!({
        "cluster": "acme", "taskDefinition": "web", "count": 1, "launchType": "FARGATE", "startedBy": "ci/7",
        "clientToken": "t-1",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        "overrides": {"containerOverrides": [{"name": "app", "command": ["./migrate", "up"]}]},
    })
}

fn input_with(member: &str, value: Value) -> Value {
    let mut input = run_task_input();
    input[member] = value;
    input
}

async fn describe_task(cloud: &Cloud, arn: &str) -> Value {
    call_ok(cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": [arn]})).await["tasks"][0].clone()
}

async fn start_task(cloud: &Cloud) -> String {
    call_ok(cloud, "RunTask", run_task_input()).await["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
}

/// The statuses it goes through, and the task at its end.
async fn wait_until_stopped(cloud: &Cloud, arn: &str) -> (Vec<String>, Value) {
    let mut seen: Vec<String> = Vec::new();
    loop {
        let task = describe_task(cloud, arn).await;
        let last = task["lastStatus"].as_str().unwrap().to_owned();
        if seen.last() != Some(&last) {
            seen.push(last);
        }
        if seen.last().is_some_and(|last| last == "STOPPED") {
            return (seen, task);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn scenario_with(command: OneOffCommand) -> Scenario {
    Scenario { one_off: vec![command], ..scenario() }
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_and_stops_with_its_exit_code_and_lines() {
    let command = OneOffCommand {
        contains: "migrate".into(),
        exit: 3,
        logs: vec!["no".into()],
        ..OneOffCommand::default()
    };
    let cloud = Cloud::new(scenario_with(command), 1);
    let arn = start_task(&cloud).await;
    let (seen, task) = wait_until_stopped(&cloud, &arn).await;
    assert_eq!(seen, ["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]);
    assert_eq!(
        (&task["stopCode"], &task["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(3))
    );
    assert_eq!(task["group"], "family:web");
    let stream = format!("ecs/app/{}", arn.rsplit('/').next().unwrap());
    let line = cloud.read(|world| world.logs[&("/ecs/web".to_owned(), stream)][0].1.clone());
    assert_eq!(line, "no");
    let service = describe_service(&cloud).await;
    assert_eq!(
        (&service["runningCount"], &service["pendingCount"]),
        (&json!(2), &json!(0)),
        "it is of no service"
    );
}

#[tokio::test(start_paused = true)]
async fn client_token_starts_one_task_and_rejects_another_request() {
    let cloud = Cloud::new(scenario(), 1);
    let first = start_task(&cloud).await;
    assert_eq!(start_task(&cloud).await, first);
    let other = call_error(&cloud, "RunTask", input_with("startedBy", json!("ci/8"))).await;
    assert_eq!(other.code, "ConflictException");
    let listed = call_ok(&cloud, "ListTasks", json!({"cluster": "acme", "startedBy": "ci/7"})).await;
    assert_eq!(listed["taskArns"], json!([first]));
    let of_service = call_ok(&cloud, "ListTasks", json!({"cluster": "acme", "serviceName": "web"})).await;
    assert_eq!(of_service["taskArns"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn stop_task_ends_it_by_the_signal() {
    let cloud = Cloud::new(scenario_with(OneOffCommand { after: 500.0, ..OneOffCommand::default() }), 1);
    let arn = start_task(&cloud).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    call_ok(&cloud, "StopTask", json!({"cluster": "acme", "task": arn, "reason": "enough"})).await;
    let (_, task) = wait_until_stopped(&cloud, &arn).await;
    assert_eq!(
        (&task["stopCode"], &task["stoppedReason"], &task["containers"][0]["exitCode"]),
        (&json!("UserInitiated"), &json!("enough"), &json!(143))
    );
    tokio::time::sleep(Duration::from_secs(3700)).await;
    let gone = call_ok(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": [arn]})).await;
    assert_eq!(gone["failures"][0]["reason"], "MISSING", "stopped tasks are shown for an hour");
}

#[tokio::test(start_paused = true)]
async fn invalid_run_task_is_rejected() {
    let cloud = Cloud::new(scenario(), 1);
    let table = [
        (input_with("cluster", json!("other")), "ClusterNotFoundException"),
        (input_with("taskDefinition", json!("web:9")), "TaskDefinition not found."),
        (
            input_with("networkConfiguration", Value::Null),
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            input_with("capacityProviderStrategy", json!([{"capacityProvider": "FARGATE"}])),
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ),
        (
            input_with("propagateTags", json!("SERVICE")),
            "Invalid value for propagateTags. RunTask does not support SERVICE.",
        ),
        (input_with("startedBy", json!("a".repeat(129))), "startedBy must be at most 128 characters."),
        (input_with("clientToken", json!("x".repeat(65))), "Client token must be at most 64 characters."),
        (
            input_with("overrides", json!({"containerOverrides": [{"name": "ap"}]})),
            "Override for container named ap is not a container in the TaskDefinition.",
        ),
    ];
    for (input, expected) in table {
        let refused = call_error(&cloud, "RunTask", input).await;
        assert!(refused.code == expected || refused.message == expected, "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn run_task_without_capacity_is_a_failure_and_no_task() {
    let fault = super::super::faults::Fault::NoCapacity(super::super::faults::CapacityGap {
        version: super::super::faults::VersionFilter::All,
        ..Default::default()
    });
    let cloud = Cloud::new(scenario().with_fault(fault), 1);
    let answer = call_ok(&cloud, "RunTask", run_task_input()).await;
    assert_eq!(answer["tasks"], json!([]));
    assert!(answer["failures"][0]["reason"].as_str().unwrap().starts_with("Capacity is unavailable"));
}
