//! PAUSE hooks and ContinueServiceDeployment; and what a deployment configuration may be.

use super::super::elbv2::balancers::LISTENER_PORTS;
use super::staged_deployments::{deploy_with, paired_scenario, rule_weights};
use super::*;

fn pause_configuration(stages: &[&str], minutes: u32, action: &str) -> Value {
    json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
           "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 1},
           "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": stages, "hookDetails": {"by": ["us", 1]},
                               "timeoutConfiguration": {"timeoutInMinutes": minutes, "action": action}}]})
}

/// Wait for a hook that awaits an action: its id.
async fn wait_for_hook(cloud: &Cloud, arn: &str) -> String {
    for _ in 0..3000 {
        let it = describe_service_deployment(cloud, arn).await;
        let hooks = it["lifecycleHookDetails"].as_array().unwrap();
        if let Some(hook) = hooks.iter().find(|hook| hook["status"] == "AWAITING_ACTION") {
            return hook["hookId"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("no hook awaits an action");
}

async fn continue_deployment(cloud: &Cloud, arn: &str, id: &str, action: &str) {
    let input = json!({"serviceDeploymentArn": arn, "hookId": id, "action": action});
    assert_eq!(call_ok(cloud, "ContinueServiceDeployment", input).await["serviceDeploymentArn"], *arn);
}

#[tokio::test(start_paused = true)]
async fn pre_production_pause_fires_at_every_step() {
    let cloud = Cloud::new(paired_scenario(), 1);
    let (_, arn) =
        deploy_with(&cloud, pause_configuration(&["PRE_PRODUCTION_TRAFFIC_SHIFT"], 60, "ROLLBACK")).await;
    let first = wait_for_hook(&cloud, &arn).await;
    let it = describe_service_deployment(&cloud, &arn).await;
    let detail = &it["lifecycleHookDetails"][0];
    assert_eq!((&detail["targetType"], &detail["timeoutAction"]), (&"PAUSE".into(), &"ROLLBACK".into()));
    assert!(detail["expiresAt"].as_f64().unwrap() > cloud.now() + 3000.0);
    assert_eq!(it["deploymentConfiguration"]["lifecycleHooks"][0]["hookDetails"], json!({"by": ["us", 1]}));
    assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (100, 0));
    continue_deployment(&cloud, &arn, &first, "CONTINUE").await;
    let second = wait_for_hook(&cloud, &arn).await;
    assert_ne!(first, second);
    assert_eq!(rule_weights(&cloud, LISTENER_PORTS[0]), (90, 10));
    continue_deployment(&cloud, &arn, &second, "CONTINUE").await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await, ["IN_PROGRESS", "SUCCESSFUL"]);
    let statuses = describe_service_deployment(&cloud, &arn).await["lifecycleHookDetails"].clone();
    assert!(statuses.as_array().unwrap().iter().all(|hook| hook["status"] == "SUCCEEDED"), "{statuses}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_may_end_in_a_rollback_by_hand_or_by_time() {
    for (minutes, action, by_hand) in [(60, "CONTINUE", true), (5, "ROLLBACK", false), (5, "CONTINUE", false)]
    {
        let cloud = Cloud::new(paired_scenario(), 2);
        let stages = ["POST_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"];
        let (_, arn) = deploy_with(&cloud, pause_configuration(&stages, minutes, action)).await;
        let id = wait_for_hook(&cloud, &arn).await;
        let expected = match (by_hand, action) {
            (false, "CONTINUE") => ("SUCCESSFUL", "TIMED_OUT"),
            (false, _) => ("ROLLBACK_SUCCESSFUL", "TIMED_OUT"),
            _ => ("ROLLBACK_SUCCESSFUL", "FAILED"),
        };
        if by_hand {
            continue_deployment(&cloud, &arn, &id, "ROLLBACK").await;
        }
        assert_eq!(collect_statuses(&cloud, &arn, 3000).await.last().unwrap(), expected.0);
        assert_eq!(
            describe_service_deployment(&cloud, &arn).await["lifecycleHookDetails"][0]["status"],
            expected.1
        );
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_waiting_hook_can_be_continued() {
    let cloud = Cloud::new(paired_scenario(), 3);
    let (_, arn) =
        deploy_with(&cloud, pause_configuration(&["POST_TEST_TRAFFIC_SHIFT"], 60, "ROLLBACK")).await;
    let id = wait_for_hook(&cloud, &arn).await;
    let wrong = async |arn: &str, id: &str, action: &str| {
        let input = json!({"serviceDeploymentArn": arn, "hookId": id, "action": action});
        call_error(&cloud, "ContinueServiceDeployment", input).await.code
    };
    assert_eq!(wrong("arn:x", &id, "CONTINUE").await, "ServiceDeploymentNotFoundException");
    assert_eq!(wrong(&arn, "other", "CONTINUE").await, "InvalidParameterException");
    assert_eq!(wrong(&arn, &id, "ABORT").await, "InvalidParameterException");
    continue_deployment(&cloud, &arn, &id, "CONTINUE").await;
    assert_eq!(wrong(&arn, &id, "CONTINUE").await, "ClientException");
    collect_statuses(&cloud, &arn, 3000).await;
    assert_eq!(wrong(&arn, &id, "ROLLBACK").await, "ClientException");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_keeps_the_configuration_that_it_started_with() {
    let cloud = Cloud::new(paired_scenario(), 4);
    let (_, arn) = deploy_with(&cloud, pause_configuration(&["POST_SCALE_UP"], 60, "ROLLBACK")).await;
    let id = wait_for_hook(&cloud, &arn).await;
    let before = describe_service(&cloud).await["currentServiceDeployment"].clone();
    let update = |configuration: Value| json!({"cluster": "acme", "service": "web", "deploymentConfiguration": configuration});
    call_ok(&cloud, "UpdateService", update(json!({"strategy": "ROLLING", "lifecycleHooks": []}))).await;
    let after = describe_service(&cloud).await;
    assert_eq!(after["currentServiceDeployment"], before);
    assert_eq!(after["deploymentConfiguration"]["strategy"], "ROLLING");
    assert_eq!(after["deploymentConfiguration"]["maximumPercent"], 200);
    assert!(after["deploymentConfiguration"].get("canaryConfiguration").is_none());
    let kept = describe_service_deployment(&cloud, &arn).await["deploymentConfiguration"].clone();
    assert_eq!((&kept["strategy"], kept["lifecycleHooks"].as_array().unwrap().len()), (&"CANARY".into(), 1));
    continue_deployment(&cloud, &arn, &id, "CONTINUE").await;
    assert_eq!(collect_statuses(&cloud, &arn, 900).await, ["IN_PROGRESS", "SUCCESSFUL"]);
}

#[tokio::test(start_paused = true)]
async fn omitted_members_are_retained_and_what_is_out_of_range_is_refused() {
    let cloud = Cloud::new(paired_scenario(), 5);
    let update = |configuration: Value| json!({"cluster": "acme", "service": "web", "deploymentConfiguration": configuration});
    let canary = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 7.5, "canaryBakeTimeInMinutes": 9}});
    call_ok(&cloud, "UpdateService", update(canary)).await;
    call_ok(&cloud, "UpdateService", update(json!({"canaryConfiguration": {"canaryPercent": 2}}))).await;
    let kept = describe_service(&cloud).await["deploymentConfiguration"].clone();
    assert_eq!(kept["canaryConfiguration"], json!({"canaryPercent": 2, "canaryBakeTimeInMinutes": 9}));
    assert_eq!(kept["deploymentCircuitBreaker"]["enable"], true);
    let hook = |hook: Value| json!({"lifecycleHooks": [hook]});
    for wrong in [
        json!({"strategy": "PURPLE"}),
        json!({"strategy": "BLUE_GREEN"}),
        json!({"bakeTimeInMinutes": 1441}),
        json!({"canaryConfiguration": {"canaryPercent": 0.05}}),
        json!({"canaryConfiguration": {"canaryPercent": 12.34}}),
        json!({"linearConfiguration": {"stepPercent": 10}}),
        json!({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}),
        hook(json!({"lifecycleStages": ["POST_SCALE_UP"]})),
        hook(json!({"targetType": "PAUSE"})),
        hook(json!({"targetType": "PAUSE", "lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"]})),
        hook(json!({"targetType": "PAUSE", "lifecycleStages": ["BAKE_TIME"]})),
        hook(json!({"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"], "roleArn": "arn:x"})),
        hook(json!({"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"],
                    "timeoutConfiguration": {"timeoutInMinutes": 20161}})),
    ] {
        let refused = call_error(&cloud, "UpdateService", update(wrong.clone())).await;
        assert_eq!(refused.code, "InvalidParameterException", "{wrong}");
    }
    assert_eq!(describe_service(&cloud).await["deploymentConfiguration"], kept);
    let plain = Cloud::new(scenario(), 5);
    let refused = call_error(&plain, "UpdateService", update(json!({"strategy": "CANARY"}))).await;
    assert_eq!(refused.code, "ClientException");
    assert!(refused.message.starts_with("advancedConfiguration field is required for all loadBalancers"));
}
