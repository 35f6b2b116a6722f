//! Deployments in stages: blue/green, linear, canary; what shifts when, and how they return.

use super::super::cloudwatch::faults::*;
use super::super::elbv2::balancers::{self, LISTENER_PORTS};
use super::super::elbv2::forward;
use super::super::faults::*;
use super::*;

pub(super) fn paired_scenario() -> Scenario {
    scenario().with_target_group_pairs()
}

/// Deploy v2 with a deployment configuration: ARN of the definition and of the service deployment.
pub(super) async fn deploy_with(cloud: &Cloud, configuration: Value) -> (String, String) {
    let update = json!({"cluster": "acme", "service": "web", "deploymentConfiguration": configuration});
    call_ok(cloud, "UpdateService", update).await;
    deploy_v2(cloud).await
}

/// Weights of a rule of the load balancer: first group, alternate group.
pub(super) fn rule_weights(cloud: &Cloud, port: u16) -> (u64, u64) {
    cloud.read(|world| {
        let rule = &world.load_balancing.rules[&balancers::listener_rule_arn(world, "web", port)];
        let weights = forward::forward_weights(&rule.actions);
        (find_weight(&weights, "targetgroup/web/"), find_weight(&weights, "targetgroup/web-alternate/"))
    })
}

fn find_weight(weights: &[(String, u64)], name: &str) -> u64 {
    weights.iter().find(|(arn, _)| arn.contains(name)).unwrap().1
}

/// Every stage with the production weight of the target revision, as they follow each other.
async fn collect_stages(cloud: &Cloud, arn: &str) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..20_000 {
        let it = describe_service_deployment(cloud, arn).await;
        let weight = &it["targetServiceRevision"]["requestedProductionTrafficWeight"];
        let line = format!("{} {weight}", it["lifecycleStage"].as_str().unwrap_or("-"));
        if seen.last() != Some(&line) {
            seen.push(line);
        }
        if !["PENDING", "IN_PROGRESS"].contains(&it["status"].as_str().unwrap()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn blue_green_goes_through_every_stage_and_the_groups_change_places() {
    let cloud = Cloud::new(paired_scenario(), 1);
    let blue_green = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5});
    let before = describe_service(&cloud).await;
    let (definition, arn) = deploy_with(&cloud, blue_green.clone()).await;
    let seen = collect_stages(&cloud, &arn).await;
    let expected = [
        "- 0.0",
        "RECONCILE_SERVICE 0.0",
        "PRE_SCALE_UP 0.0",
        "SCALE_UP 0.0",
        "POST_SCALE_UP 0.0",
        "TEST_TRAFFIC_SHIFT 0.0",
        "POST_TEST_TRAFFIC_SHIFT 0.0",
        "PRODUCTION_TRAFFIC_SHIFT 0.0",
        "PRODUCTION_TRAFFIC_SHIFT 100.0",
        "POST_PRODUCTION_TRAFFIC_SHIFT 100.0",
        "BAKE_TIME 100.0",
        "CLEAN_UP 100.0",
    ];
    assert_eq!(seen, expected);
    let done = describe_service_deployment(&cloud, &arn).await;
    assert_eq!(done["status"], "SUCCESSFUL");
    assert_eq!(done["sourceServiceRevisions"][0]["arn"], before["currentServiceRevisions"][0]["arn"]);
    assert_eq!(done["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"], 0.0);
    assert_eq!(
        (rule_weights(&cloud, LISTENER_PORTS[0]), rule_weights(&cloud, LISTENER_PORTS[1])),
        ((0, 100), (0, 100))
    );
    assert_eq!(cloud.serving_state("acme", "web").unwrap().only_version(), Some(definition.as_str()));
    let (_, again) = deploy_with(&cloud, blue_green).await;
    assert_eq!(collect_statuses(&cloud, &again, 3000).await.last().unwrap(), "SUCCESSFUL");
    assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (100, 0));
    let revision = describe_service_deployment(&cloud, &again).await["targetServiceRevision"]["arn"].clone();
    let shown = call_ok(&cloud, "DescribeServiceRevisions", json!({"serviceRevisionArns": [revision]})).await;
    let live = &shown["serviceRevisions"][0]["resolvedConfiguration"]["loadBalancers"][0];
    assert!(live["targetGroupArn"].as_str().unwrap().contains("targetgroup/web/"), "{live}");
    let counts: Vec<usize> = cloud.read(|world| world.targets.values().map(Vec::len).collect());
    assert_eq!(counts.iter().sum::<usize>(), 2);
    assert!(event_messages(&cloud).await.contains("has reached a steady state."));
}

#[tokio::test(start_paused = true)]
async fn a_canary_and_a_linear_deployment_shift_step_by_step() {
    let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
                        "canaryConfiguration": {"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 7}});
    let linear =
        json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 40, "stepBakeTimeInMinutes": 2}});
    for (configuration, expected, least) in
        [(canary, vec!["0.0", "12.5", "100.0"], 480.0), (linear, vec!["0.0", "40.0", "80.0", "100.0"], 240.0)]
    {
        let cloud = Cloud::new(paired_scenario(), 2);
        let began = cloud.now();
        let (_, arn) = deploy_with(&cloud, configuration).await;
        let mut shares: Vec<String> = collect_stages(&cloud, &arn)
            .await
            .iter()
            .map(|line| line.split_once(' ').unwrap().1.to_owned())
            .collect();
        shares.dedup();
        assert_eq!(shares, expected);
        assert_eq!(describe_service_deployment(&cloud, &arn).await["status"], "SUCCESSFUL");
        assert!(cloud.now() - began >= least);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_any_stage_returns_traffic_first() {
    for seconds in [1, 4, 20, 60, 120, 240, 350, 430, 445] {
        let cloud = Cloud::new(paired_scenario(), 3);
        let before = describe_service(&cloud).await["taskDefinition"].clone();
        let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 2,
                            "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 4}});
        let (definition, arn) = deploy_with(&cloud, canary).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let stage = describe_service_deployment(&cloud, &arn).await["lifecycleStage"].clone();
        call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
        let seen = collect_statuses(&cloud, &arn, 900).await;
        let ends = ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"];
        assert_eq!(seen, ends, "after {seconds} s at {stage}");
        assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (100, 0), "after {seconds} s");
        let after = describe_service(&cloud).await;
        assert_eq!(after["taskDefinition"], before);
        assert_ne!(after["taskDefinition"], definition);
        assert_eq!(after["deployments"].as_array().unwrap().len(), 1, "after {seconds} s");
        assert_eq!(cloud.serving_state("acme", "web").unwrap().only_version(), before.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn tasks_that_never_become_healthy_stay_in_scale_up_until_somebody_stops_it() {
    let sick = Fault::FailingHealthCheck(Plain::default());
    let cloud = Cloud::new(paired_scenario().with_fault(sick), 4);
    let (_, arn) = deploy_with(&cloud, json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})).await;
    tokio::time::sleep(Duration::from_secs(3000)).await;
    let it = describe_service_deployment(&cloud, &arn).await;
    assert_eq!((&it["status"], &it["lifecycleStage"]), (&"IN_PROGRESS".into(), &"SCALE_UP".into()));
    assert_eq!(it["deploymentCircuitBreaker"]["status"], "DISABLED");
    assert_eq!(cloud.serving_state("acme", "web").unwrap().healthy_count(), 2);
    call_ok(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_rolls_back_even_while_it_bakes() {
    let mut scenario =
        paired_scenario().with_fault(Fault::AlarmRed(AlarmFiring { alarm: None, at: Some(400.0) }));
    scenario.alarms.push(AlarmSetting { name: "5xx".into(), state: "OK".into(), composite: false });
    let cloud = Cloud::new(scenario, 5);
    let configuration = json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 10,
                               "alarms": {"alarmNames": ["5xx"], "enable": true, "rollback": true}});
    let (_, arn) = deploy_with(&cloud, configuration).await;
    tokio::time::sleep(Duration::from_secs(390)).await;
    assert_eq!(describe_service_deployment(&cloud, &arn).await["lifecycleStage"], "BAKE_TIME");
    assert_eq!(
        collect_statuses(&cloud, &arn, 900).await,
        ["IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_SUCCESSFUL"]
    );
    assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (100, 0));
    assert_eq!(
        describe_service_deployment(&cloud, &arn).await["alarms"]["triggeredAlarmNames"],
        json!(["5xx"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_newer_deployment_starts_from_the_revision_that_served() {
    for (seconds, rolling) in [(15, false), (200, false), (200, true), (350, false)] {
        let cloud = Cloud::new(paired_scenario(), 6);
        let canary = json!({"strategy": "CANARY", "bakeTimeInMinutes": 2,
                            "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 4}});
        let (_, first) = deploy_with(&cloud, canary).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let configuration = if rolling { json!({"strategy": "ROLLING"}) } else { json!({}) };
        let (definition, second) = deploy_with(&cloud, configuration).await;
        assert_eq!(collect_statuses(&cloud, &first, 60).await, ["STOP_REQUESTED", "STOPPED"]);
        assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (100, 0), "after {seconds} s");
        assert_eq!(collect_statuses(&cloud, &second, 3000).await.last().unwrap(), "SUCCESSFUL");
        assert_eq!(cloud.serving_state("acme", "web").unwrap().only_version(), Some(definition.as_str()));
        assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), if rolling { (100, 0) } else { (0, 100) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_carry_both_groups_fails_the_deployment() {
    let cloud = Cloud::new(paired_scenario(), 7);
    let only = json!([{"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "x"}]}}]);
    cloud.change(|world, _| {
        let rule = balancers::listener_rule_arn(world, "web", LISTENER_PORTS[0]);
        world.load_balancing.rules.get_mut(&rule).unwrap().actions = only.as_array().unwrap().clone();
    });
    let (_, arn) = deploy_with(&cloud, json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})).await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await.last().unwrap(), "ROLLBACK_SUCCESSFUL");
    let reason =
        describe_service_deployment(&cloud, &arn).await["rollback"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("invalid networking configuration"), "{reason}");
    assert_eq!(cloud.serving_state("acme", "web").unwrap().healthy_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn first_deployments_and_few_tasks_work() {
    for (desired, completed) in [(0, true), (1, true), (2, false)] {
        let mut scenario = paired_scenario();
        scenario.services[0].desired = desired;
        scenario.services[0].completed = completed;
        let cloud = Cloud::new(scenario, 8);
        let canary = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": 1}});
        let (definition, arn) = deploy_with(&cloud, canary).await;
        assert_eq!(collect_statuses(&cloud, &arn, 3000).await, ["PENDING", "IN_PROGRESS", "SUCCESSFUL"]);
        let serving = cloud.serving_state("acme", "web").unwrap();
        assert_eq!(
            (serving.primary.as_str(), serving.healthy_count()),
            (definition.as_str(), desired as usize)
        );
        assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), if completed { (0, 100) } else { (100, 0) });
    }
}
