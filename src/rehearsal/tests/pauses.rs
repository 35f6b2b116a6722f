//! PAUSE hooks and ContinueServiceDeployment; and what a deployment configuration may be.

use super::super::balancers::PORTS;
use super::native::{deploy_with, pairs, weights};
use super::*;

fn paused(stages: &[&str], minutes: u32, action: &str) -> Value {
    json!({"strategy": "CANARY", "bakeTimeInMinutes": 1,
           "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 1},
           "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": stages, "hookDetails": {"by": ["us", 1]},
                               "timeoutConfiguration": {"timeoutInMinutes": minutes, "action": action}}]})
}

/// Wait for a hook that awaits an action: its id.
async fn hook(cloud: &Cloud, arn: &str) -> String {
    for _ in 0..3000 {
        let it = rollout(cloud, arn).await;
        let hooks = it["lifecycleHookDetails"].as_array().unwrap();
        if let Some(hook) = hooks.iter().find(|hook| hook["status"] == "AWAITING_ACTION") {
            return hook["hookId"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("no hook awaits an action");
}

async fn go(cloud: &Cloud, arn: &str, id: &str, action: &str) {
    let input = json!({"serviceDeploymentArn": arn, "hookId": id, "action": action});
    assert_eq!(ask(cloud, "ContinueServiceDeployment", input).await["serviceDeploymentArn"], *arn);
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_production_comes_at_every_step_and_each_time_anew() {
    let cloud = Cloud::new(pairs(), 1);
    let (_, arn) = deploy_with(&cloud, paused(&["PRE_PRODUCTION_TRAFFIC_SHIFT"], 60, "ROLLBACK")).await;
    let first = hook(&cloud, &arn).await;
    let it = rollout(&cloud, &arn).await;
    let detail = &it["lifecycleHookDetails"][0];
    assert_eq!((&detail["targetType"], &detail["timeoutAction"]), (&"PAUSE".into(), &"ROLLBACK".into()));
    assert!(detail["expiresAt"].as_f64().unwrap() > cloud.now() + 3000.0);
    assert_eq!(it["deploymentConfiguration"]["lifecycleHooks"][0]["hookDetails"], json!({"by": ["us", 1]}));
    assert_eq!(weights(&cloud, PORTS[0]), (100, 0));
    go(&cloud, &arn, &first, "CONTINUE").await;
    let second = hook(&cloud, &arn).await;
    assert_ne!(first, second);
    assert_eq!(weights(&cloud, PORTS[0]), (90, 10));
    go(&cloud, &arn, &second, "CONTINUE").await;
    assert_eq!(follow(&cloud, &arn, 900).await, ["IN_PROGRESS", "SUCCESSFUL"]);
    let statuses = rollout(&cloud, &arn).await["lifecycleHookDetails"].clone();
    assert!(statuses.as_array().unwrap().iter().all(|hook| hook["status"] == "SUCCEEDED"), "{statuses}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_may_end_in_a_rollback_by_hand_or_by_time() {
    for (minutes, action, by_hand) in [(60, "CONTINUE", true), (5, "ROLLBACK", false), (5, "CONTINUE", false)]
    {
        let cloud = Cloud::new(pairs(), 2);
        let stages = ["POST_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"];
        let (_, arn) = deploy_with(&cloud, paused(&stages, minutes, action)).await;
        let id = hook(&cloud, &arn).await;
        let expected = match (by_hand, action) {
            (false, "CONTINUE") => ("SUCCESSFUL", "TIMED_OUT"),
            (false, _) => ("ROLLBACK_SUCCESSFUL", "TIMED_OUT"),
            _ => ("ROLLBACK_SUCCESSFUL", "FAILED"),
        };
        if by_hand {
            go(&cloud, &arn, &id, "ROLLBACK").await;
        }
        assert_eq!(follow(&cloud, &arn, 3000).await.last().unwrap(), expected.0);
        assert_eq!(rollout(&cloud, &arn).await["lifecycleHookDetails"][0]["status"], expected.1);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_hook_that_waits_can_be_answered() {
    let cloud = Cloud::new(pairs(), 3);
    let (_, arn) = deploy_with(&cloud, paused(&["POST_TEST_TRAFFIC_SHIFT"], 60, "ROLLBACK")).await;
    let id = hook(&cloud, &arn).await;
    let wrong = async |arn: &str, id: &str, action: &str| {
        let input = json!({"serviceDeploymentArn": arn, "hookId": id, "action": action});
        refusal(&cloud, "ContinueServiceDeployment", input).await.code
    };
    assert_eq!(wrong("arn:x", &id, "CONTINUE").await, "ServiceDeploymentNotFoundException");
    assert_eq!(wrong(&arn, "other", "CONTINUE").await, "InvalidParameterException");
    assert_eq!(wrong(&arn, &id, "ABORT").await, "InvalidParameterException");
    go(&cloud, &arn, &id, "CONTINUE").await;
    assert_eq!(wrong(&arn, &id, "CONTINUE").await, "ClientException");
    follow(&cloud, &arn, 3000).await;
    assert_eq!(wrong(&arn, &id, "ROLLBACK").await, "ClientException");
}

#[tokio::test(start_paused = true)]
async fn a_deployment_keeps_the_configuration_that_it_started_with() {
    let cloud = Cloud::new(pairs(), 4);
    let (_, arn) = deploy_with(&cloud, paused(&["POST_SCALE_UP"], 60, "ROLLBACK")).await;
    let id = hook(&cloud, &arn).await;
    let before = service(&cloud).await["currentServiceDeployment"].clone();
    let update = |configuration: Value| json!({"cluster": "acme", "service": "web", "deploymentConfiguration": configuration});
    ask(&cloud, "UpdateService", update(json!({"strategy": "ROLLING", "lifecycleHooks": []}))).await;
    let after = service(&cloud).await;
    assert_eq!(after["currentServiceDeployment"], before);
    assert_eq!(after["deploymentConfiguration"]["strategy"], "ROLLING");
    assert_eq!(after["deploymentConfiguration"]["maximumPercent"], 200);
    assert!(after["deploymentConfiguration"].get("canaryConfiguration").is_none());
    let kept = rollout(&cloud, &arn).await["deploymentConfiguration"].clone();
    assert_eq!((&kept["strategy"], kept["lifecycleHooks"].as_array().unwrap().len()), (&"CANARY".into(), 1));
    go(&cloud, &arn, &id, "CONTINUE").await;
    assert_eq!(follow(&cloud, &arn, 900).await, ["IN_PROGRESS", "SUCCESSFUL"]);
}

#[tokio::test(start_paused = true)]
async fn omitted_members_are_retained_and_what_is_out_of_range_is_refused() {
    let cloud = Cloud::new(pairs(), 5);
    let update = |configuration: Value| json!({"cluster": "acme", "service": "web", "deploymentConfiguration": configuration});
    let canary = json!({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 7.5, "canaryBakeTimeInMinutes": 9}});
    ask(&cloud, "UpdateService", update(canary)).await;
    ask(&cloud, "UpdateService", update(json!({"canaryConfiguration": {"canaryPercent": 2}}))).await;
    let kept = service(&cloud).await["deploymentConfiguration"].clone();
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
        let refused = refusal(&cloud, "UpdateService", update(wrong.clone())).await;
        assert_eq!(refused.code, "InvalidParameterException", "{wrong}");
    }
    assert_eq!(service(&cloud).await["deploymentConfiguration"], kept);
    let plain = Cloud::new(scenario(), 5);
    let refused = refusal(&plain, "UpdateService", update(json!({"strategy": "CANARY"}))).await;
    assert_eq!(refused.code, "ClientException");
    assert!(refused.message.starts_with("advancedConfiguration field is required for all loadBalancers"));
}
