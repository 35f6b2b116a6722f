//! Faults of tasks, health checks and images, and what a service deployment makes of them.

use super::super::faults::*;
use super::super::scenario::*;
use super::rollouts::{scenario_with, scenario_with_deployment, stopped_tasks};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_sick_task_is_seen_by_the_load_balancer_before_it_is_stopped() {
    let cloud = Cloud::new(scenario_with(Fault::FailingHealthCheck(Plain::default())), 13);
    let (_, arn) = deploy_v2(&cloud).await;
    let mut unhealthy = 0.0;
    for _ in 0..300 {
        if !stopped_tasks(&cloud).await.is_empty() {
            break;
        }
        let sick = cloud.read(|world| {
            world.targets.values().flatten().any(|t| t.reason == "Target.ResponseCodeMismatch")
        });
        if sick && unhealthy == 0.0 {
            unhealthy = cloud.now();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(unhealthy > 0.0 && cloud.now() - unhealthy > 10.0);
    let task = stopped_tasks(&cloud).await.into_iter().next().unwrap();
    assert!(
        task["stoppedReason"]
            .as_str()
            .unwrap()
            .starts_with("Task failed ELB health checks in (target-group arn:")
    );
    assert_eq!((&task["lastStatus"], &task["desiredStatus"]), (&json!("DEACTIVATING"), &json!("STOPPED")));
    assert_eq!(collect_statuses(&cloud, &arn, 1200).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn flapping_health_escapes_a_breaker_that_resets_and_not_one_that_adds_up() {
    let flap = || Fault::FlappingHealth(Flap { healthy: 5.0, ..Flap::default() });
    let cloud = Cloud::new(scenario_with(flap()), 14);
    let (_, arn) = deploy_v2(&cloud).await;
    let resets = collect_statuses(&cloud, &arn, 600).await;
    assert!(!resets.iter().any(|status| status.starts_with("ROLLBACK")), "{resets:?}");
    let breaker =
        CircuitBreakerSetting { enable: true, rollback: true, threshold: None, reset_on_healthy_task: false };
    let cloud =
        Cloud::new(scenario_with_deployment(|d| d.circuit_breaker = Some(breaker)).with_fault(flap()), 14);
    let (_, arn) = deploy_v2(&cloud).await;
    let adds_up = collect_statuses(&cloud, &arn, 1200).await;
    assert_eq!(adds_up.last().unwrap(), "ROLLBACK_SUCCESSFUL", "{adds_up:?}");
}

#[tokio::test(start_paused = true)]
async fn without_capacity_there_are_events_and_no_tasks() {
    let cloud = Cloud::new(scenario_with(Fault::NoCapacity(CapacityGap::default())), 15);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(
        event_messages(&cloud).await.contains("was unable to place a task. Reason: Capacity is unavailable")
    );
    assert!(stopped_tasks(&cloud).await.is_empty());
    let cloud = Cloud::new(
        scenario_with(Fault::NoCapacity(CapacityGap { tasks: Some(2), ..CapacityGap::default() })),
        15,
    );
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 400).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn other_task_faults_have_their_own_reasons() {
    let slow = Slow { seconds: 100.0, ..Slow::default() };
    for (fault, words) in [
        (Fault::WrongPlatform(Plain::default()), "does not contain descriptor matching platform"),
        (Fault::SecretMissing(Plain::default()), "ResourceInitializationError: unable to pull secrets"),
        (Fault::SlowStart(slow), ""),
    ] {
        let cloud = Cloud::new(scenario_with(fault), 18);
        let began = cloud.now();
        let (_, arn) = deploy_v2(&cloud).await;
        let end = collect_statuses(&cloud, &arn, 900).await.pop().unwrap();
        if words.is_empty() {
            assert_eq!(end, "SUCCESSFUL");
            assert!(cloud.now() - began > 160.0);
        } else {
            assert_eq!(end, "ROLLBACK_SUCCESSFUL");
            let task = stopped_tasks(&cloud)
                .await
                .into_iter()
                .find(|t| t["stopCode"] == "TaskFailedToStart")
                .unwrap();
            assert!(task["stoppedReason"].as_str().unwrap().contains(words));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_missing_or_for_another_platform_fails_without_any_fault() {
    for (platform, words) in [("linux/arm64", "matching platform 'linux/amd64'"), ("", "v2: not found")] {
        let cloud = Cloud::new(scenario(), 23);
        let (_, arn) = deploy_v2(&cloud).await;
        cloud.change(|world, _| world.repositories_mut().get_mut("web").unwrap().images.truncate(1));
        if !platform.is_empty() {
            cloud.push_image("web", &["v2"], platform, "other");
        }
        assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
        let tasks = stopped_tasks(&cloud).await;
        let failed = tasks.iter().find(|task| task["stopCode"] == "TaskFailedToStart").unwrap();
        assert!(failed["stoppedReason"].as_str().unwrap().contains(words), "{failed}");
    }
    let cloud = Cloud::new(scenario(), 23);
    let (_, arn) = deploy_v2(&cloud).await;
    cloud.push_image("web", &["v2"], "linux/arm64,linux/amd64", "both");
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn a_container_health_check_decides_where_there_is_one() {
    let mut scenario = scenario_with(Fault::FailingHealthCheck(Plain { tasks: Some(1), ..Plain::default() }));
    let mut definition =
        super::super::ecs::seed::task_definition_input(&scenario.services[0], "111111111111", "eu-west-1");
    definition["containerDefinitions"][0]["healthCheck"] = json!({"command": ["CMD-SHELL", "true"]});
    scenario.services[0].task_definition = Some(definition);
    scenario.services[0].target_groups.clear();
    let cloud = Cloud::new(scenario, 24);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let reasons: Vec<_> =
        stopped_tasks(&cloud).await.iter().map(|task| task["stoppedReason"].clone()).collect();
    assert!(reasons.contains(&json!("Task failed container health checks")), "{reasons:?}");
    let running = call_ok(&cloud, "ListTasks", json!({"cluster": "acme"})).await["taskArns"].clone();
    let tasks = call_ok(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": running})).await;
    assert_eq!(tasks["tasks"][0]["healthStatus"], "HEALTHY");
    assert_eq!(tasks["tasks"][0]["containers"][0]["healthStatus"], "HEALTHY");
}

#[tokio::test(start_paused = true)]
async fn every_stop_cause_stops_a_task_in_the_words_of_aws() {
    for cause in StopCause::ALL {
        let stop = TaskStop { cause: Some(cause), tasks: Some(1), ..TaskStop::default() };
        let cloud = Cloud::new(scenario_with(Fault::TaskStop(stop)), 27);
        let (_, arn) = deploy_v2(&cloud).await;
        let failed = describe_service(&cloud).await["deployments"][0]["id"].clone();
        assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL", "{cause:?}");
        let tasks = stopped_tasks(&cloud).await;
        let task = tasks.iter().find(|task| task["startedBy"] == failed).unwrap();
        let (code, reason) = (task["stopCode"].as_str().unwrap(), &task["stoppedReason"]);
        let words = [reason, &task["containers"][0]["reason"]].map(|text| text.as_str().unwrap_or_default());
        assert!(!words.concat().is_empty() && !words.concat().contains('{'), "{cause:?}: {task}");
        let ran = code != "TaskFailedToStart";
        assert_eq!(
            (task["startedAt"].is_null(), task["containers"][0]["exitCode"].is_null()),
            (!ran, !ran),
            "{task}"
        );
    }
}

/// StopTask and Spot are no failures of a deployment: the breaker does not count them.
#[tokio::test(start_paused = true)]
async fn task_that_others_stop_does_not_count_for_the_breaker() {
    for (cause, triggered) in
        [(StopCause::Person, false), (StopCause::Spot, false), (StopCause::SubnetFull, true)]
    {
        let stop = TaskStop { cause: Some(cause), ..TaskStop::default() };
        let cloud = Cloud::new(scenario_with(Fault::TaskStop(stop)), 28);
        let (_, arn) = deploy_v2(&cloud).await;
        collect_statuses(&cloud, &arn, 900).await;
        let breaker = describe_service_deployment(&cloud, &arn).await["deploymentCircuitBreaker"].clone();
        assert_eq!(breaker["status"] == "TRIGGERED", triggered, "{cause:?}: {breaker}");
    }
}

#[tokio::test(start_paused = true)]
async fn any_reason_can_be_given_with_its_stop_code() {
    let fault = "faults: [task-stop: { reason: The ground moved., stop-code: TerminationNotice, after: 1, tasks: 1 }]";
    let parsed = Scenario::parse(fault).unwrap();
    let cloud = Cloud::new(Scenario { faults: parsed.faults, ..scenario() }, 29);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let tasks = stopped_tasks(&cloud).await;
    assert!(
        tasks
            .iter()
            .any(|task| task["stoppedReason"] == "The ground moved."
                && task["stopCode"] == "TerminationNotice")
    );
}

/// ECS omits duplicates of an event until its cause is resolved, or six hours have passed.
#[tokio::test(start_paused = true)]
async fn missing_capacity_is_reported_once_until_it_comes() {
    let gap = CapacityGap { lasts: Some(300.0), ..CapacityGap::default() };
    let cloud = Cloud::new(scenario_with(Fault::NoCapacity(gap)), 30);
    let began = cloud.now();
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    assert!(cloud.now() - began > 300.0);
    assert_eq!(event_messages(&cloud).await.matches("unable to place a task").count(), 1);
    let cloud = Cloud::new(scenario_with(Fault::NoCapacity(CapacityGap::default())), 30);
    deploy_v2(&cloud).await;
    tokio::time::sleep(Duration::from_secs(7 * 3600)).await;
    assert_eq!(event_messages(&cloud).await.matches("unable to place a task").count(), 2);
}

/// Its exit code is shown, and the task goes on (API ContainerDefinition, `essential`).
#[tokio::test(start_paused = true)]
async fn container_that_is_not_essential_ends_alone() {
    let crash = Crash { container: Some("init".into()), exit_code: 1, ..Crash::default() };
    let mut scenario = scenario_with(Fault::CrashOnStart(crash));
    let mut definition =
        super::super::ecs::seed::task_definition_input(&scenario.services[0], "111111111111", "eu-west-1");
    let mut init = definition["containerDefinitions"][0].clone();
    (init["name"], init["portMappings"], init["essential"]) = (json!("init"), json!([]), json!(false));
    definition["containerDefinitions"].as_array_mut().unwrap().push(init);
    scenario.services[0].task_definition = Some(definition);
    let cloud = Cloud::new(scenario, 32);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let arns =
        call_ok(&cloud, "ListTasks", json!({"cluster": "acme", "serviceName": "web"})).await["taskArns"]
            .clone();
    let tasks = call_ok(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": arns})).await;
    let (app, init) = (&tasks["tasks"][0]["containers"][0], &tasks["tasks"][0]["containers"][1]);
    assert_eq!(
        (&app["lastStatus"], &init["lastStatus"], &init["exitCode"]),
        (&json!("RUNNING"), &json!("STOPPED"), &json!(1))
    );
}

/// The container that ends has its exit code and its lines; the others are stopped in consequence.
#[tokio::test(start_paused = true)]
async fn sidecar_that_crashes_has_its_own_exit_code_and_lines() {
    let crash = Crash {
        container: Some("envoy".into()),
        exit_code: 1,
        log: vec!["no listener".into()],
        ..Crash::default()
    };
    let mut scenario = scenario_with(Fault::CrashOnStart(crash));
    let mut definition =
        super::super::ecs::seed::task_definition_input(&scenario.services[0], "111111111111", "eu-west-1");
    let mut sidecar = definition["containerDefinitions"][0].clone();
    sidecar["name"] = json!("envoy");
    sidecar["portMappings"] = json!([]);
    definition["containerDefinitions"].as_array_mut().unwrap().push(sidecar);
    scenario.services[0].task_definition = Some(definition);
    let cloud = Cloud::new(scenario, 31);
    let (_, arn) = deploy_v2(&cloud).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    let tasks = stopped_tasks(&cloud).await;
    let task = tasks.iter().find(|task| task["stopCode"] == "EssentialContainerExited").unwrap();
    let codes = [&task["containers"][0]["exitCode"], &task["containers"][1]["exitCode"]];
    assert_eq!(codes, [&json!(143), &json!(1)]);
    let id = task["taskArn"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let lines = cloud.read(|world| world.logs[&("/ecs/web".to_owned(), format!("ecs/envoy/{id}"))].clone());
    assert_eq!(lines[0].1, "no listener");
}
