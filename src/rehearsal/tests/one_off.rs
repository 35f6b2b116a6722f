//! RunTask as a client sees it: what is refused, the life of a task, the client token, and what stops it.

use super::super::commands::Command;
use super::*;

fn input() -> Value {
    json!({
        "cluster": "acme", "taskDefinition": "web", "count": 1, "launchType": "FARGATE", "startedBy": "ci/7",
        "clientToken": "t-1",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
        "overrides": {"containerOverrides": [{"name": "app", "command": ["./migrate", "up"]}]},
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut input = input();
    input[member] = value;
    input
}

async fn task(cloud: &Cloud, arn: &str) -> Value {
    ask(cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": [arn]})).await["tasks"][0].clone()
}

async fn started(cloud: &Cloud) -> String {
    ask(cloud, "RunTask", input()).await["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
}

/// The statuses it goes through, and the task at its end.
async fn ended(cloud: &Cloud, arn: &str) -> (Vec<String>, Value) {
    let mut seen: Vec<String> = Vec::new();
    loop {
        let task = task(cloud, arn).await;
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

fn scenario_with(command: Command) -> Scenario {
    Scenario { one_off: vec![command], ..scenario() }
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_and_stops_with_its_exit_code_and_lines() {
    let command =
        Command { contains: "migrate".into(), exit: 3, logs: vec!["no".into()], ..Command::default() };
    let cloud = Cloud::new(scenario_with(command), 1);
    let arn = started(&cloud).await;
    let (seen, task) = ended(&cloud, &arn).await;
    assert_eq!(seen, ["PROVISIONING", "PENDING", "RUNNING", "DEPROVISIONING", "STOPPED"]);
    assert_eq!(
        (&task["stopCode"], &task["containers"][0]["exitCode"]),
        (&json!("EssentialContainerExited"), &json!(3))
    );
    assert_eq!(task["group"], "family:web");
    let stream = format!("ecs/app/{}", arn.rsplit('/').next().unwrap());
    let line = cloud.read(|world| world.logs[&("/ecs/web".to_owned(), stream)][0].1.clone());
    assert_eq!(line, "no");
    let service = service(&cloud).await;
    assert_eq!(
        (&service["runningCount"], &service["pendingCount"]),
        (&json!(2), &json!(0)),
        "it is of no service"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_starts_one_task_and_is_no_other_request() {
    let cloud = Cloud::new(scenario(), 1);
    let first = started(&cloud).await;
    assert_eq!(started(&cloud).await, first);
    let other = refusal(&cloud, "RunTask", with("startedBy", json!("ci/8"))).await;
    assert_eq!(other.code, "ConflictException");
    let listed = ask(&cloud, "ListTasks", json!({"cluster": "acme", "startedBy": "ci/7"})).await;
    assert_eq!(listed["taskArns"], json!([first]));
    let of_service = ask(&cloud, "ListTasks", json!({"cluster": "acme", "serviceName": "web"})).await;
    assert_eq!(of_service["taskArns"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn stop_task_ends_it_by_the_signal() {
    let cloud = Cloud::new(scenario_with(Command { after: 500.0, ..Command::default() }), 1);
    let arn = started(&cloud).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    ask(&cloud, "StopTask", json!({"cluster": "acme", "task": arn, "reason": "enough"})).await;
    let (_, task) = ended(&cloud, &arn).await;
    assert_eq!(
        (&task["stopCode"], &task["stoppedReason"], &task["containers"][0]["exitCode"]),
        (&json!("UserInitiated"), &json!("enough"), &json!(143))
    );
    tokio::time::sleep(Duration::from_secs(3700)).await;
    let gone = ask(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": [arn]})).await;
    assert_eq!(gone["failures"][0]["reason"], "MISSING", "stopped tasks are shown for an hour");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_run_is_refused() {
    let cloud = Cloud::new(scenario(), 1);
    let table = [
        (with("cluster", json!("other")), "ClusterNotFoundException"),
        (with("taskDefinition", json!("web:9")), "TaskDefinition not found."),
        (
            with("networkConfiguration", Value::Null),
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ),
        (
            with("capacityProviderStrategy", json!([{"capacityProvider": "FARGATE"}])),
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ),
        (
            with("propagateTags", json!("SERVICE")),
            "Invalid value for propagateTags. RunTask does not support SERVICE.",
        ),
        (with("startedBy", json!("a b")), "startedBy contains invalid characters."),
        (with("clientToken", json!("x".repeat(65))), "Client token must be at most 64 characters."),
        (
            with("overrides", json!({"containerOverrides": [{"name": "ap"}]})),
            "Override for container named ap is not a container in the TaskDefinition.",
        ),
    ];
    for (input, expected) in table {
        let refused = refusal(&cloud, "RunTask", input).await;
        assert!(refused.code == expected || refused.message == expected, "{refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_place_there_is_a_failure_and_no_task() {
    let fault = super::super::faults::Fault::NoCapacity(super::super::faults::Plain {
        version: super::super::faults::Version::All,
        ..Default::default()
    });
    let cloud = Cloud::new(scenario().with_fault(fault), 1);
    let answer = ask(&cloud, "RunTask", input()).await;
    assert_eq!(answer["tasks"], json!([]));
    assert!(answer["failures"][0]["reason"].as_str().unwrap().starts_with("Capacity is unavailable"));
}
