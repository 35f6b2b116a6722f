//! The paths of a service deployment: happy, breaker, alarms, superseded, stopped, stalled.

use std::sync::{Arc, Mutex};

use super::super::faults::*;
use super::super::scenario::*;
use super::*;

fn with(fault: Fault) -> Scenario {
    scenario().with_fault(fault)
}

/// The service with another deployment setting.
fn set(change: impl FnOnce(&mut DeploymentSetting)) -> Scenario {
    let mut scenario = scenario();
    change(&mut scenario.services[0].deployment);
    scenario
}

async fn stopped_tasks(cloud: &Cloud) -> Vec<Value> {
    let input = json!({"cluster": "acme", "serviceName": "web", "desiredStatus": "STOPPED"});
    let arns = ask(cloud, "ListTasks", input).await["taskArns"].clone();
    if arns == json!([]) {
        return Vec::new();
    }
    let tasks = ask(cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": arns})).await;
    tasks["tasks"].as_array().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn a_rolling_deployment_replaces_every_task_and_completes() {
    let cloud = Cloud::new(scenario(), 1);
    let fewest = Arc::new(Mutex::new(usize::MAX));
    let watched = fewest.clone();
    cloud.on_tick(Box::new(move |_, services| {
        let mut fewest = watched.lock().unwrap();
        *fewest = (*fewest).min(services[0].healthy());
    }));
    let began = cloud.now();
    let (definition, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 600).await, ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]);
    let took = cloud.now() - began;
    assert!((60.0..180.0).contains(&took), "took {took} s");
    assert_eq!(*fewest.lock().unwrap(), 2);
    let serving = cloud.serving("acme", "web").unwrap();
    assert_eq!(serving.whole(), Some(definition.as_str()));
    let service = service(&cloud).await;
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(service["deployments"][0]["rolloutState"], "COMPLETED");
    let revision = rollout(&cloud, &arn).await["targetServiceRevision"]["arn"].clone();
    let revisions = ask(&cloud, "DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]})).await;
    let digest = cloud.read(|world| world.repositories["web"].images[1].digest.clone());
    assert_eq!(revisions["serviceRevisions"][0]["containerImages"][0]["imageDigest"], digest);
    assert_eq!(revisions["serviceRevisions"][0]["taskDefinition"], definition);
    let targets = cloud.read(|world| world.targets.values().next().unwrap().clone());
    assert_eq!(targets.iter().map(|t| t.state.as_str()).collect::<Vec<_>>(), ["healthy", "healthy"]);
}

#[tokio::test(start_paused = true)]
async fn a_crash_opens_the_breaker_and_the_earlier_version_returns() {
    let log = vec!["boom".to_string()];
    let cloud = Cloud::new(with(Fault::CrashOnStart(Crash { exit_code: 3, log, ..Crash::default() })), 2);
    let before = service(&cloud).await;
    let (definition, arn) = deploy(&cloud).await;
    let during = service(&cloud).await;
    assert_eq!(
        follow(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    let ended = rollout(&cloud, &arn).await;
    assert_eq!(ended["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(ended["deploymentCircuitBreaker"]["threshold"], 3);
    assert_eq!(ended["rollback"]["serviceRevisionArn"], before["currentServiceRevisions"][0]["arn"]);
    let after = service(&cloud).await;
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
    assert_eq!(cloud.serving("acme", "web").unwrap().healthy(), 2);
    let events = messages(&cloud).await;
    assert!(events.contains("deployment failed: tasks failed to start."), "{events}");
    let earlier = before["deployments"][0]["id"].as_str().unwrap();
    assert!(events.contains(&format!("(service web) rolling back to deployment {earlier}.")), "{events}");
}

#[tokio::test(start_paused = true)]
async fn while_it_rolls_back_the_newest_deployment_says_whereto() {
    let cloud = Cloud::new(with(Fault::ImageNotFound(Plain::default())), 3);
    let before = service(&cloud).await["deployments"][0]["id"].clone();
    let (_, arn) = deploy(&cloud).await;
    for _ in 0..900 {
        if rollout(&cloud, &arn).await["status"] == "ROLLBACK_IN_PROGRESS" {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let primary = service(&cloud).await["deployments"][0].clone();
    let expected =
        format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", before.as_str().unwrap());
    assert_eq!(primary["rolloutStateReason"], expected);
    let failed = service(&cloud).await["deployments"].as_array().unwrap().iter().any(|it| {
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
    let mut scenario = with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].completed = false;
    let cloud = Cloud::new(scenario, 4);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await, ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]);
    assert!(rollout(&cloud, &arn).await.get("rollback").is_none());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let service = service(&cloud).await;
    assert_eq!(service["runningCount"], 0);
    assert_eq!(service["deployments"][0]["rolloutState"], "FAILED");
    assert_eq!(service["currentServiceDeployment"], arn);
}

#[tokio::test(start_paused = true)]
async fn without_a_breaker_a_failing_deployment_goes_on_and_on() {
    let mut scenario = with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].deployment.circuit_breaker = None;
    let cloud = Cloud::new(scenario, 5);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 1200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(messages(&cloud).await.contains("is unable to consistently start tasks successfully"));
    assert_eq!(rollout(&cloud, &arn).await["deploymentCircuitBreaker"]["status"], "DISABLED");
    assert_eq!(cloud.serving("acme", "web").unwrap().healthy(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_may_open_at_the_first_failure_and_leave_it_at_that() {
    let threshold = Some(Threshold { kind: "COUNT".into(), value: 1 });
    let breaker = BreakerSetting { enable: true, rollback: false, threshold, reset_on_healthy_task: true };
    let scenario =
        set(|d| d.circuit_breaker = Some(breaker)).with_fault(Fault::OutOfMemory(Plain::default()));
    let cloud = Cloud::new(scenario, 6);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 300).await, ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]);
    assert_eq!(rollout(&cloud, &arn).await["deploymentCircuitBreaker"]["failureCount"], 1);
    let task = stopped_tasks(&cloud).await.into_iter().next().unwrap();
    assert_eq!(task["containers"][0]["exitCode"], 137);
    assert_eq!(task["containers"][0]["reason"], "OutOfMemoryError: Container killed due to memory usage");
}

fn alarmed() -> Scenario {
    let alarms = DeploymentAlarms { names: vec!["5xx".into()], enable: true, rollback: true };
    let mut scenario = set(|d| d.alarms = Some(alarms));
    scenario.alarms.push(AlarmSetting { name: "5xx".into(), state: "OK".into(), composite: false });
    scenario
}

#[tokio::test(start_paused = true)]
async fn an_alarm_that_is_red_at_the_start_is_ignored() {
    let cloud = Cloud::new(alarmed().with_fault(Fault::AlarmRed(Red { alarm: None, at: None })), 7);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await, ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]);
    assert_eq!(rollout(&cloud, &arn).await["alarms"]["status"], "MONITORING_COMPLETE");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_during_the_deployment_rolls_back() {
    let cloud = Cloud::new(alarmed().with_fault(Fault::AlarmRed(Red { alarm: None, at: Some(50.0) })), 8);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(
        follow(&cloud, &arn, 900).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    let ended = rollout(&cloud, &arn).await;
    assert_eq!(ended["alarms"]["status"], "TRIGGERED");
    assert_eq!(ended["alarms"]["triggeredAlarmNames"], json!(["5xx"]));
    assert!(messages(&cloud).await.contains("deployment failed: alarm detected."));
}

#[tokio::test(start_paused = true)]
async fn a_newer_deployment_supersedes() {
    let cloud = Cloud::new(with(Fault::SupersedingDeployment(Superseding { at: 40.0, service: None })), 9);
    let (definition, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await, ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "STOPPED"]);
    let current = service(&cloud).await["currentServiceDeployment"].as_str().unwrap().to_string();
    assert_ne!(current, arn);
    assert_eq!(follow(&cloud, &current, 900).await.last().unwrap(), "SUCCESSFUL");
    let serving = cloud.serving("acme", "web").unwrap();
    assert!(serving.whole().is_some_and(|arn| arn != definition));
    let sources = rollout(&cloud, &current).await["sourceServiceRevisions"].clone();
    assert!(!sources.as_array().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_requested_rollback_returns_and_a_second_request_changes_nothing() {
    let cloud = Cloud::new(scenario(), 10);
    let before = service(&cloud).await;
    let (_, arn) = deploy(&cloud).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let stop = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
    assert_eq!(ask(&cloud, "StopServiceDeployment", stop.clone()).await["serviceDeploymentArn"], arn);
    assert_eq!(rollout(&cloud, &arn).await["status"], "ROLLBACK_REQUESTED");
    ask(&cloud, "StopServiceDeployment", stop.clone()).await;
    assert_eq!(
        follow(&cloud, &arn, 900).await,
        ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    assert_eq!(refusal(&cloud, "StopServiceDeployment", stop).await.code, "ConflictException");
    assert_eq!(service(&cloud).await["taskDefinition"], before["taskDefinition"]);
    let unknown =
        json!({"serviceDeploymentArn": "arn:aws:ecs:eu-west-1:111111111111:service-deployment/acme/web/x"});
    assert_eq!(
        refusal(&cloud, "StopServiceDeployment", unknown).await.code,
        "ServiceDeploymentNotFoundException"
    );
}

#[tokio::test(start_paused = true)]
async fn an_aborted_deployment_stops_where_it_is() {
    let cloud = Cloud::new(scenario(), 11);
    let (_, arn) = deploy(&cloud).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    ask(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn, "stopType": "ABORT"})).await;
    assert_eq!(follow(&cloud, &arn, 60).await, ["STOP_REQUESTED", "STOPPED"]);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_start_fails_and_leaves_what_is_healthy() {
    let scenario =
        with(Fault::CrashOnStart(Crash::default())).with_fault(Fault::RollbackFails(Plain::default()));
    let cloud = Cloud::new(scenario, 12);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(
        follow(&cloud, &arn, 2000).await,
        ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED"]
    );
    assert_eq!(cloud.serving("acme", "web").unwrap().healthy(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sick_task_is_seen_by_the_load_balancer_before_it_is_stopped() {
    let cloud = Cloud::new(with(Fault::FailingHealthCheck(Plain::default())), 13);
    let (_, arn) = deploy(&cloud).await;
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
    assert_eq!(follow(&cloud, &arn, 1200).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn flapping_health_escapes_a_breaker_that_resets_and_not_one_that_adds_up() {
    let flap = || Fault::FlappingHealth(Flap { healthy: 5.0, ..Flap::default() });
    let cloud = Cloud::new(with(flap()), 14);
    let (_, arn) = deploy(&cloud).await;
    let resets = follow(&cloud, &arn, 600).await;
    assert!(!resets.iter().any(|status| status.starts_with("ROLLBACK")), "{resets:?}");
    let breaker =
        BreakerSetting { enable: true, rollback: true, threshold: None, reset_on_healthy_task: false };
    let cloud = Cloud::new(set(|d| d.circuit_breaker = Some(breaker)).with_fault(flap()), 14);
    let (_, arn) = deploy(&cloud).await;
    let adds_up = follow(&cloud, &arn, 1200).await;
    assert_eq!(adds_up.last().unwrap(), "ROLLBACK_SUCCESSFUL", "{adds_up:?}");
}

#[tokio::test(start_paused = true)]
async fn without_capacity_there_are_events_and_no_tasks() {
    let cloud = Cloud::new(with(Fault::NoCapacity(Plain::default())), 15);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(messages(&cloud).await.contains("was unable to place a task. Reason: Capacity is unavailable"));
    assert!(stopped_tasks(&cloud).await.is_empty());
    let cloud = Cloud::new(with(Fault::NoCapacity(Plain { tasks: Some(2), ..Plain::default() })), 15);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 400).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn percentages_that_allow_no_move_are_said() {
    let stuck = set(|d| (d.minimum_healthy_percent, d.maximum_percent) = (Some(100), Some(100)));
    let cloud = Cloud::new(stuck, 16);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 200).await, ["PENDING", "IN_PROGRESS"]);
    assert!(messages(&cloud).await.contains("because of the service deployment configuration"));
    let one_by_one = set(|d| (d.minimum_healthy_percent, d.maximum_percent) = (Some(50), Some(100)));
    let cloud = Cloud::new(one_by_one, 17);
    let least = Arc::new(Mutex::new((usize::MAX, 0)));
    let watched = least.clone();
    cloud.on_tick(Box::new(move |_, services| {
        let mut seen = watched.lock().unwrap();
        let running = services[0].versions.values().map(|v| v.running).sum();
        *seen = (seen.0.min(services[0].healthy()), seen.1.max(running));
    }));
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    assert_eq!(*least.lock().unwrap(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn other_faults_of_tasks_have_their_own_words() {
    let slow = Slow { seconds: 100.0, ..Slow::default() };
    for (fault, words) in [
        (Fault::WrongPlatform(Plain::default()), "does not contain descriptor matching platform"),
        (Fault::SecretMissing(Plain::default()), "ResourceInitializationError: unable to pull secrets"),
        (Fault::SlowStart(slow), ""),
    ] {
        let cloud = Cloud::new(with(fault), 18);
        let began = cloud.now();
        let (_, arn) = deploy(&cloud).await;
        let end = follow(&cloud, &arn, 900).await.pop().unwrap();
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
async fn the_same_seed_gives_the_same_run() {
    let mut runs = Vec::new();
    for seed in [20, 20, 21] {
        let cloud = Cloud::new(with(Fault::CrashOnStart(Crash::default())), seed);
        let (_, arn) = deploy(&cloud).await;
        follow(&cloud, &arn, 900).await;
        runs.push((cloud.calls(), service(&cloud).await));
    }
    assert!(runs[0] == runs[1]);
    assert!(runs[0] != runs[2]);
}

#[tokio::test(start_paused = true)]
async fn autoscaling_during_a_deployment_changes_how_many_tasks_it_ends_with() {
    let cloud = Cloud::new(with(Fault::DesiredCount(Scaling { at: 40.0, to: 4, service: None })), 22);
    let (definition, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let serving = cloud.serving("acme", "web").unwrap();
    assert_eq!((serving.whole(), serving.desired), (Some(definition.as_str()), 4));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_missing_or_for_another_platform_fails_without_any_fault() {
    for (platform, words) in [("linux/arm64", "matching platform 'linux/amd64'"), ("", "v2: not found")] {
        let cloud = Cloud::new(scenario(), 23);
        let (_, arn) = deploy(&cloud).await;
        cloud.change(|world, _| world.repositories.get_mut("web").unwrap().images.truncate(1));
        if !platform.is_empty() {
            cloud.push("web", &["v2"], platform, "other");
        }
        assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
        let tasks = stopped_tasks(&cloud).await;
        let failed = tasks.iter().find(|task| task["stopCode"] == "TaskFailedToStart").unwrap();
        assert!(failed["stoppedReason"].as_str().unwrap().contains(words), "{failed}");
    }
    let cloud = Cloud::new(scenario(), 23);
    let (_, arn) = deploy(&cloud).await;
    cloud.push("web", &["v2"], "linux/arm64,linux/amd64", "both");
    assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn a_container_health_check_decides_where_there_is_one() {
    let mut scenario = with(Fault::FailingHealthCheck(Plain { tasks: Some(1), ..Plain::default() }));
    let mut definition =
        super::super::ecs::founding::definition(&scenario.services[0], "111111111111", "eu-west-1");
    definition["containerDefinitions"][0]["healthCheck"] = json!({"command": ["CMD-SHELL", "true"]});
    scenario.services[0].task_definition = Some(definition);
    scenario.services[0].target_groups.clear();
    let cloud = Cloud::new(scenario, 24);
    let (_, arn) = deploy(&cloud).await;
    assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "SUCCESSFUL");
    let reasons: Vec<_> =
        stopped_tasks(&cloud).await.iter().map(|task| task["stoppedReason"].clone()).collect();
    assert!(reasons.contains(&json!("Task failed container health checks")), "{reasons:?}");
    let running = ask(&cloud, "ListTasks", json!({"cluster": "acme"})).await["taskArns"].clone();
    let tasks = ask(&cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": running})).await;
    assert_eq!(tasks["tasks"][0]["healthStatus"], "HEALTHY");
    assert_eq!(tasks["tasks"][0]["containers"][0]["healthStatus"], "HEALTHY");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_does_not_wait_for_the_back_off_of_what_it_undoes() {
    let mut scenario = with(Fault::CrashOnStart(Crash::default()));
    scenario.services[0].deployment.circuit_breaker = None;
    let cloud = Cloud::new(scenario, 25);
    let (_, arn) = deploy(&cloud).await;
    tokio::time::sleep(Duration::from_secs(1500)).await;
    let asked = cloud.now();
    ask(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(follow(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    assert!(cloud.now() - asked < 150.0, "took {} s", cloud.now() - asked);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_begins_while_a_rollback_is_asked_for_is_not_undone_by_it() {
    for wait in [0, 500, 1000, 1500, 2500, 30_000] {
        let cloud = Cloud::new(scenario(), 26);
        let (_, arn) = deploy(&cloud).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        ask(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let update =
            json!({"cluster": "acme", "service": "web", "taskDefinition": "web", "forceNewDeployment": true});
        let updated = ask(&cloud, "UpdateService", update).await;
        let newest = updated["service"]["currentServiceDeployment"].as_str().unwrap();
        assert_eq!(follow(&cloud, newest, 900).await.last().unwrap(), "SUCCESSFUL", "after {wait} ms");
        // A rollback that had not begun is stopped; one that had begun has failed.
        let ended = rollout(&cloud, &arn).await["status"].clone();
        let expected: &[&str] = match wait {
            0 | 500 => &["STOPPED"],
            30_000 => &["ROLLBACK_FAILED"],
            _ => &["STOPPED", "ROLLBACK_FAILED"],
        };
        assert!(expected.contains(&ended.as_str().unwrap()), "after {wait} ms: {ended}");
        assert!(cloud.serving("acme", "web").unwrap().whole().unwrap().ends_with("web:2"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_restores_more_than_the_task_definition() {
    let cloud = Cloud::new(scenario(), 27);
    let before = service(&cloud).await["networkConfiguration"].clone();
    let other = json!({"awsvpcConfiguration": {"subnets": ["subnet-other"]}});
    let update = json!({"cluster": "acme", "service": "web", "networkConfiguration": other});
    let updated = ask(&cloud, "UpdateService", update).await["service"].clone();
    assert_eq!(updated["networkConfiguration"], other);
    let arn = updated["currentServiceDeployment"].as_str().unwrap();
    ask(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(follow(&cloud, arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    assert_eq!(service(&cloud).await["networkConfiguration"], before);
}
