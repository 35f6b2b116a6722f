//! The paths of a service deployment: happy, breaker, alarms, superseded, stopped, stalled.

use std::sync::{Arc, Mutex};

use super::super::cloudwatch::faults::*;
use super::super::ecs::faults::*;
use super::super::faults::*;
use super::super::scenario::*;
use super::*;

pub(crate) fn scenario_with(fault: Fault) -> Scenario {
    scenario().with_fault(fault)
}

/// The service with another deployment setting.
pub(crate) fn scenario_with_deployment(change: impl FnOnce(&mut DeploymentSetting)) -> Scenario {
    let mut scenario = scenario();
    change(&mut scenario.services[0].deployment);
    scenario
}

pub(crate) async fn stopped_tasks(cloud: &Cloud) -> Vec<Value> {
    let input = json!({"cluster": "acme", "serviceName": "web", "desiredStatus": "STOPPED"});
    let arns = call_ok(cloud, "ListTasks", input).await["taskArns"].clone();
    if arns == json!([]) {
        return Vec::new();
    }
    let tasks = call_ok(cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": arns})).await;
    tasks["tasks"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_rolling_deployment_replaces_every_task_and_completes() {
    let cloud = Cloud::new(scenario(), 1);
    let fewest = Arc::new(Mutex::new(usize::MAX));
    let watched = fewest.clone();
    cloud.on_tick(Box::new(move |_, services| {
        let mut fewest = watched.lock().unwrap();
        *fewest = (*fewest).min(services[0].healthy_count());
    }));
    let began = cloud.now();
    let (definition, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 600).await, ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]);
    let took = cloud.now() - began;
    assert!((60.0..180.0).contains(&took), "took {took} s");
    assert_eq!(*fewest.lock().unwrap(), 2);
    let serving = cloud.serving_state("acme", "web").unwrap();
    assert_eq!(serving.only_version(), Some(definition.as_str()));
    let service = describe_service(&cloud).await;
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    let revision = describe_service_deployment(&cloud, &arn).await["targetServiceRevision"]["arn"].clone();
    let revisions =
        call_ok(&cloud, "DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]})).await;
    let digest = cloud.read(|world| world.repositories()["web"].images[1].digest.clone());
    assert_eq!(revisions["serviceRevisions"][0]["containerImages"][0]["imageDigest"], digest);
    assert_eq!(revisions["serviceRevisions"][0]["taskDefinition"], definition);
    let targets = cloud.read(|world| world.targets.values().next().unwrap().clone());
    assert_eq!(targets.iter().map(|t| t.state.as_str()).collect::<Vec<_>>(), ["healthy", "healthy"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_opens_the_breaker_and_the_earlier_version_returns() {
    let log = vec!["boom".to_string()];
    let cloud =
        Cloud::new(scenario_with(Fault::CrashOnStart(Crash { exit_code: 3, log, ..Crash::default() })), 2);
    let before = describe_service(&cloud).await;
    let (definition, arn) = deploy_v2(&cloud).await;
    let during = describe_service(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    let ended = describe_service_deployment(&cloud, &arn).await;
    assert_eq!(ended["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(ended["deploymentCircuitBreaker"]["threshold"], 3);
    assert_eq!(ended["rollback"]["serviceRevisionArn"], before["currentServiceRevisions"][0]["arn"]);
    let after = describe_service(&cloud).await;
    assert_eq!(after["taskDefinition"], before["taskDefinition"]);
    assert_eq!(after["currentServiceRevisions"][0]["arn"], before["currentServiceRevisions"][0]["arn"]);
    assert_ne!(after["deployments"][0]["id"], before["deployments"][0]["id"]);
    let failed = during["deployments"][0]["id"].clone();
    let tasks = stopped_tasks(&cloud).await;
    let crashed = tasks.iter().find(|task| task["startedBy"] == failed).unwrap();
    assert_eq!(crashed["taskDefinitionArn"], definition);
    assert_eq!(crashed["stopCode"], "EssentialContainerExited");
    assert_eq!(crashed["stoppedReason"], "Essential container in task exited");
    assert_eq!(crashed["containers"][0]["exitCode"], 3);
    let id = crashed["taskArn"].as_str().unwrap().rsplit_once('/').unwrap().1;
    let stream = ("/ecs/web".to_string(), format!("ecs/app/{id}"));
    assert_eq!(cloud.read(|world| world.logs[&stream][0].1.clone()), "boom");
    assert_eq!(cloud.serving_state("acme", "web").unwrap().healthy_count(), 2);
    let events = event_messages(&cloud).await;
    assert!(events.contains("deployment failed: tasks failed to start."), "{events}");
    let earlier = before["deployments"][0]["id"].as_str().unwrap();
    assert!(events.contains(&format!("(service web) rolling back to deployment {earlier}.")), "{events}");
}

#[tokio::test(start_paused = true)]
async fn rollback_in_progress_names_its_target_deployment() {
    let cloud = Cloud::new(scenario_with(Fault::ImageNotFound(Plain::default())), 3);
    let before = describe_service(&cloud).await["deployments"][0]["id"].clone();
    let (_, arn) = deploy_v2(&cloud).await;
    for _ in 0..900 {
        if describe_service_deployment(&cloud, &arn).await["status"] == "ROLLBACK_IN_PROGRESS" {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let primary = describe_service(&cloud).await["deployments"][0].clone();
    let expected =
        format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", before.as_str().unwrap());
    assert_eq!(primary["rolloutStateReason"], expected);
    let failed = describe_service(&cloud).await["deployments"].as_array().unwrap().iter().any(|it| {
        it["rolloutState"] == "FAILED"
            && it["rolloutStateReason"] == "ECS deployment circuit breaker: tasks failed to start."
    });
    assert!(failed);
    let tasks = stopped_tasks(&cloud).await;
    assert_eq!(tasks[0]["stopCode"], "TaskFailedToStart");
    let reason = tasks[0]["stoppedReason"].as_str().unwrap();
    assert!(reason.starts_with("CannotPullContainerError: ") && reason.ends_with("not found"), "{reason}");
    assert!(tasks[0]["containers"][0].get("imageDigest").is_none());
}

#[tokio::test(start_paused = true)]
async fn without_an_earlier_success_a_failure_stalls() {
    let mut scenario = scenario_with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].completed = false;
    let cloud = Cloud::new(scenario, 4);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]
    );
    assert!(describe_service_deployment(&cloud, &arn).await.get("rollback").is_none());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let service = describe_service(&cloud).await;
    assert_eq!(service["runningCount"], 0);
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["currentServiceDeployment"], arn);
}

#[tokio::test(start_paused = true)]
async fn failing_deployment_without_breaker_never_ends() {
    let mut scenario = scenario_with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].deployment.circuit_breaker = None;
    let cloud = Cloud::new(scenario, 5);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 1200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(event_messages(&cloud).await.contains("is unable to consistently start tasks successfully"));
    assert_eq!(
        describe_service_deployment(&cloud, &arn).await["deploymentCircuitBreaker"]["status"],
        "DISABLED"
    );
    assert_eq!(cloud.serving_state("acme", "web").unwrap().healthy_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn breaker_opens_at_the_first_failure_without_rollback() {
    let threshold = Some(BreakerThreshold { kind: "COUNT".into(), value: 1 });
    let breaker =
        CircuitBreakerSetting { enable: true, rollback: false, threshold, reset_on_healthy_task: true };
    let scenario = scenario_with_deployment(|d| d.circuit_breaker = Some(breaker))
        .with_fault(Fault::OutOfMemory(Plain::default()));
    let cloud = Cloud::new(scenario, 6);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 300).await,
        ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]
    );
    assert_eq!(
        describe_service_deployment(&cloud, &arn).await["deploymentCircuitBreaker"]["failureCount"],
        1
    );
    let task = stopped_tasks(&cloud).await.into_iter().next().unwrap();
    assert_eq!(task["containers"][0]["exitCode"], 137);
    assert_eq!(task["containers"][0]["reason"], "OutOfMemoryError: Container killed due to memory usage");
}

fn scenario_with_alarm() -> Scenario {
    let alarms = DeploymentAlarms { names: vec!["5xx".into()], enable: true, rollback: true };
    let mut scenario = scenario_with_deployment(|d| d.alarms = Some(alarms));
    scenario.alarms.push(AlarmSetting { name: "5xx".into(), state: "OK".into(), composite: false });
    scenario
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_red_at_the_start_is_ignored() {
    let cloud = Cloud::new(
        scenario_with_alarm().with_fault(Fault::AlarmRed(AlarmFiring { alarm: None, at: None })),
        7,
    );
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await, ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]);
    assert_eq!(describe_service_deployment(&cloud, &arn).await["alarms"]["status"], "MONITORING_COMPLETE");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_during_the_deployment_rolls_back() {
    let cloud = Cloud::new(
        scenario_with_alarm().with_fault(Fault::AlarmRed(AlarmFiring { alarm: None, at: Some(50.0) })),
        8,
    );
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    let ended = describe_service_deployment(&cloud, &arn).await;
    assert_eq!(ended["alarms"]["status"], "TRIGGERED");
    assert_eq!(ended["alarms"]["triggeredAlarmNames"], json!(["5xx"]));
    assert!(event_messages(&cloud).await.contains("deployment failed: alarm detected."));
}

#[tokio::test(start_paused = true)]
async fn a_newer_deployment_supersedes() {
    let cloud = Cloud::new(
        scenario_with(Fault::SupersedingDeployment(SupersedingDeployment {
            at: 40.0,
            service: None,
            same_version: false,
        })),
        9,
    );
    let (definition, arn) = deploy_v2(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]
    );
    let current = describe_service(&cloud).await["currentServiceDeployment"].as_str().unwrap().to_string();
    assert_ne!(current, arn);
    assert_eq!(collect_statuses(&cloud, &current, 900).await.last().unwrap(), "SUCCESSFUL");
    let serving = cloud.serving_state("acme", "web").unwrap();
    assert!(serving.only_version().is_some_and(|arn| arn != definition));
    let sources = describe_service_deployment(&cloud, &current).await["sourceServiceRevisions"].clone();
    assert!(!sources.as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_requested_rollback_returns_and_a_second_request_changes_nothing() {
    let cloud = Cloud::new(scenario(), 10);
    let before = describe_service(&cloud).await;
    let (_, arn) = deploy_v2(&cloud).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let stop = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
    assert_eq!(call_ok(&cloud, "StopServiceDeployment", stop.clone()).await["serviceDeploymentArn"], arn);
    assert_eq!(describe_service_deployment(&cloud, &arn).await["status"], "ROLLBACK_REQUESTED");
    call_ok(&cloud, "StopServiceDeployment", stop.clone()).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    assert_eq!(call_error(&cloud, "StopServiceDeployment", stop).await.code, "ConflictException");
    assert_eq!(describe_service(&cloud).await["taskDefinition"], before["taskDefinition"]);
    let unknown =
        json!({"serviceDeploymentArn": "arn:aws:ecs:eu-west-1:111111111111:service-deployment/acme/web/x"});
    assert_eq!(
        call_error(&cloud, "StopServiceDeployment", unknown).await.code,
        "ServiceDeploymentNotFoundException"
    );
}

#[tokio::test(start_paused = true)]
async fn an_aborted_deployment_stops_where_it_is() {
    let cloud = Cloud::new(scenario(), 11);
    let (_, arn) = deploy_v2(&cloud).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ABORT"})).await;
    assert_eq!(collect_statuses(&cloud, &arn, 60).await, ["STOP_REQUESTED", "STOPPED"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_start_fails_and_leaves_what_is_healthy() {
    let scenario = scenario_with(Fault::CrashOnStart(Crash::default()))
        .with_fault(Fault::RollbackFails(Plain::default()));
    let cloud = Cloud::new(scenario, 12);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(
        collect_statuses(&cloud, &arn, 2000).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"]
    );
    assert_eq!(cloud.serving_state("acme", "web").unwrap().healthy_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn percentages_deadlock_is_reported_as_an_event() {
    let stuck =
        scenario_with_deployment(|d| (d.minimum_healthy_percent, d.maximum_percent) = (Some(100), Some(100)));
    let cloud = Cloud::new(stuck, 16);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(event_messages(&cloud).await.contains("because of the service deployment configuration"));
    let one_by_one =
        scenario_with_deployment(|d| (d.minimum_healthy_percent, d.maximum_percent) = (Some(50), Some(100)));
    let cloud = Cloud::new(one_by_one, 17);
    let least = Arc::new(Mutex::new((usize::MAX, 0)));
    let watched = least.clone();
    cloud.on_tick(Box::new(move |_, services| {
        let mut seen = watched.lock().unwrap();
        let running = services[0].versions.values().map(|v| v.running).sum();
        *seen = (seen.0.min(services[0].healthy_count()), seen.1.max(running));
    }));
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    assert_eq!(*least.lock().unwrap(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    let mut runs = Vec::new();
    for seed in [20, 20, 21] {
        let cloud = Cloud::new(scenario_with(Fault::CrashOnStart(Crash::default())), seed);
        let (_, arn) = deploy_v2(&cloud).await;
        collect_statuses(&cloud, &arn, 900).await;
        runs.push((cloud.calls(), describe_service(&cloud).await));
    }
    assert!(runs[0] == runs[1]);
    assert!(runs[0] != runs[2]);
}

#[tokio::test(start_paused = true)]
async fn autoscaling_during_a_deployment_changes_how_many_tasks_it_ends_with() {
    let cloud = Cloud::new(
        scenario_with(Fault::DesiredCount(DesiredCountChange { at: 40.0, to: 4, service: None })),
        22,
    );
    let (definition, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let serving = cloud.serving_state("acme", "web").unwrap();
    assert_eq!((serving.only_version(), serving.desired), (Some(definition.as_str()), 4));
}

#[tokio::test(start_paused = true)]
async fn rollback_ignores_the_backoff_of_the_failed_deployment() {
    let mut scenario = scenario_with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].deployment.circuit_breaker = None;
    let cloud = Cloud::new(scenario, 25);
    let (_, arn) = deploy_v2(&cloud).await;
    tokio::time::sleep(Duration::from_secs(1500)).await;
    let asked = cloud.now();
    call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    assert!(cloud.now() - asked < 150.0, "took {} s", cloud.now() - asked);
}

#[tokio::test(start_paused = true)]
async fn newer_deployment_cancels_a_requested_rollback() {
    for wait in [0, 500, 1000, 1500, 2500, 30_000] {
        let cloud = Cloud::new(scenario(), 26);
        let (_, arn) = deploy_v2(&cloud).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let update =
            json!({"cluster": "acme", "service": "web", "taskDefinition": "web", "forceNewDeployment": true});
        let updated = call_ok(&cloud, "UpdateService", update).await;
        let newest = updated["service"]["currentServiceDeployment"].as_str().unwrap();
        assert_eq!(
            collect_statuses(&cloud, newest, 900).await.last().unwrap(),
            "SUCCESSFUL",
            "after {wait} ms"
        );
        // A rollback that had not begun is stopped; one that had begun has failed.
        let ended = describe_service_deployment(&cloud, &arn).await["status"].clone();
        let expected: &[&str] = match wait {
            0 | 500 => &["STOPPED"],
            30_000 => &["ROLLBACK_FAILED"],
            _ => &["STOPPED", "ROLLBACK_FAILED"],
        };
        assert!(expected.contains(&ended.as_str().unwrap()), "after {wait} ms: {ended}");
        assert!(cloud.serving_state("acme", "web").unwrap().only_version().unwrap().ends_with("web:2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_restores_more_than_the_task_definition() {
    let cloud = Cloud::new(scenario(), 27);
    let before = describe_service(&cloud).await["networkConfiguration"].clone();
    let other = json!({"awsvpcConfiguration": {"subnets": ["subnet-other"]}});
    let update = json!({"cluster": "acme", "service": "web", "networkConfiguration": other});
    let updated = call_ok(&cloud, "UpdateService", update).await["service"].clone();
    assert_eq!(updated["networkConfiguration"], other);
    let arn = updated["currentServiceDeployment"].as_str().unwrap();
    call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(collect_statuses(&cloud, arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    assert_eq!(describe_service(&cloud).await["networkConfiguration"], before);
}
