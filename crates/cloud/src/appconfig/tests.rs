//! AppConfig as a client sees it: growth, bake, alarms, conflicts, stopping and reverting, in virtual time.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::cloud::Cloud;
use super::super::request::{Delivery, ServiceCall, ServiceError};
use super::super::scenario::Scenario;

const SCENARIO: &str = r#"
alarms: [{ name: errors }]
appconfig:
  strategies: [{ name: Quick, minutes: 4, bake: 2, factor: 50 }]
  applications:
    - name: shop
      environments: [{ name: production, monitors: [errors] }]
      profiles:
        - { name: limits, versions: ['{"a":1}', '{"a":2}'] }
        - { name: flags, type: AWS.AppConfig.FeatureFlags }
"#;

fn start_cloud(more: &str) -> Cloud {
    Cloud::new(Scenario::parse(&format!("{SCENARIO}{more}")).unwrap(), 1)
}

async fn send_call(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, ServiceError> {
    let mut whole = json!({ "ApplicationId": "shop", "EnvironmentId": "production" });
    let members = whole.as_object_mut().unwrap();
    members.extend(input.as_object().unwrap().clone());
    let call = ServiceCall {
        service: "appconfig".into(),
        operation: operation.into(),
        input: whole,
        region: "eu-west-1".into(),
        access_key: Some("AKIAX".into()),
    };
    let Delivery::Reply(answer) = cloud.handle(call).await else { panic!("no answer") };
    answer
}

async fn start_deployment(cloud: &Cloud, version: &str, more: Value) -> Result<Value, ServiceError> {
    let strategies = send_call(cloud, "ListDeploymentStrategies", json!({})).await.unwrap();
    let own = strategies["Items"].as_array().unwrap().iter().find(|one| one["Name"] == "Quick").unwrap();
    let mut input = json!({
        "ConfigurationProfileId": "limits", "ConfigurationVersion": version, "DeploymentStrategyId": own["Id"],
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    send_call(cloud, "StartDeployment", input).await
}

async fn deployment_state(cloud: &Cloud, number: u64) -> (String, f64) {
    let it = send_call(cloud, "GetDeployment", json!({ "DeploymentNumber": number })).await.unwrap();
    (it["State"].as_str().unwrap().to_owned(), it["PercentageComplete"].as_f64().unwrap())
}

async fn stop_deployment(cloud: &Cloud, number: u64, revert: bool) -> Result<Value, ServiceError> {
    send_call(cloud, "StopDeployment", json!({ "DeploymentNumber": number, "AllowRevert": revert })).await
}

async fn sleep_seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn serving_version(cloud: &Cloud) -> Option<usize> {
    cloud.read(|world| {
        world.appconfig.serving_content("shop", "production", "limits").map(|(number, _)| number)
    })
}

#[tokio::test(start_paused = true)]
async fn a_deployment_grows_bakes_and_completes() {
    let cloud = start_cloud("");
    assert_eq!(serving_version(&cloud), Some(2));
    let started = start_deployment(&cloud, "1", json!({})).await.unwrap();
    assert_eq!((&started["DeploymentNumber"], &started["State"]), (&json!(3), &json!("DEPLOYING")));
    let mut seen = Vec::new();
    for _ in 0..4 {
        sleep_seconds(121).await;
        seen.push(deployment_state(&cloud, 3).await);
    }
    let words: Vec<String> = seen.iter().map(|(state, percent)| format!("{state} {percent}")).collect();
    assert_eq!(words, ["DEPLOYING 50", "BAKING 100", "COMPLETE 100", "COMPLETE 100"]);
    assert_eq!(serving_version(&cloud), Some(1));
    let it = send_call(&cloud, "GetDeployment", json!({ "DeploymentNumber": 3 })).await.unwrap();
    let log: Vec<&str> =
        it["EventLog"].as_array().unwrap().iter().map(|one| one["Description"].as_str().unwrap()).collect();
    assert_eq!(
        log,
        [
            "Deployment completed",
            "Deployment bake time started",
            "Configuration available to 100.00% of clients",
            "Configuration available to 50.00% of clients",
            "Deployment started",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_environment_has_one_deployment_at_a_time() {
    let cloud = start_cloud("");
    assert_eq!(
        start_deployment(&cloud, "1", json!({ "LatestDeploymentNumber": 1 })).await.unwrap_err().status,
        409
    );
    start_deployment(&cloud, "1", json!({ "LatestDeploymentNumber": 2 })).await.unwrap();
    assert_eq!(start_deployment(&cloud, "2", json!({})).await.unwrap_err().code, "ConflictException");
    assert_eq!(start_deployment(&cloud, "9", json!({})).await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn firing_alarm_rolls_back_and_is_named() {
    let cloud = start_cloud("faults: [{ alarm-red: { at: 100 } }]");
    start_deployment(&cloud, "1", json!({})).await.unwrap();
    sleep_seconds(130).await;
    assert_eq!(deployment_state(&cloud, 3).await.0, "ROLLED_BACK");
    assert_eq!(serving_version(&cloud), Some(2));
    let it = send_call(&cloud, "GetDeployment", json!({ "DeploymentNumber": 3 })).await.unwrap();
    let cause = &it["EventLog"][1];
    assert_eq!(cause["TriggeredBy"], "CLOUDWATCH_ALARM");
    assert_eq!(
        cause["Description"],
        "Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:111111111111:alarm:errors"
    );
    sleep_seconds(600).await;
    assert_eq!(deployment_state(&cloud, 3).await.0, "ROLLED_BACK", "what was planned before does not happen");
}

#[tokio::test(start_paused = true)]
async fn deployment_in_progress_is_stopped_and_complete_one_reverted() {
    let cloud = start_cloud("");
    start_deployment(&cloud, "1", json!({})).await.unwrap();
    sleep_seconds(250).await;
    assert_eq!(stop_deployment(&cloud, 3, false).await.unwrap_err().code, "BadRequestException", "it bakes");
    assert_eq!(stop_deployment(&cloud, 3, true).await.unwrap()["State"], "ROLLING_BACK");
    sleep_seconds(10).await;
    assert_eq!(deployment_state(&cloud, 3).await.0, "ROLLED_BACK");
    start_deployment(&cloud, "1", json!({})).await.unwrap();
    sleep_seconds(400).await;
    assert_eq!((stop_deployment(&cloud, 4, false).await.is_err(), serving_version(&cloud)), (true, Some(1)));
    assert_eq!(stop_deployment(&cloud, 4, true).await.unwrap()["State"], "REVERTED");
    assert_eq!(serving_version(&cloud), Some(2));
    sleep_seconds(72 * 3600).await;
    assert_eq!(
        stop_deployment(&cloud, 2, true).await.unwrap_err().code,
        "BadRequestException",
        "too long ago"
    );
}

#[tokio::test(start_paused = true)]
async fn hosted_versions_are_validated_locked_and_timestamped() {
    let cloud = start_cloud("");
    let create = |profile: &str, content: &str, latest: Option<u64>| {
        let input = json!({ "ConfigurationProfileId": profile, "Content": content,
                            "ContentType": "application/json", "LatestVersionNumber": latest });
        let cloud = cloud.clone();
        async move { send_call(&cloud, "CreateHostedConfigurationVersion", input).await }
    };
    assert_eq!(create("limits", "{}", Some(1)).await.unwrap_err().code, "ConflictException");
    assert_eq!(create("limits", "{}", Some(2)).await.unwrap()["VersionNumber"], 3);
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(create("limits", &large, None).await.unwrap_err().status, 413);
    let refused = create("flags", "{}", None).await.unwrap_err();
    let details = &refused.details.unwrap().members["Details"]["InvalidConfiguration"][0];
    assert_eq!(details["Location"], "$.version");
    let flags = r#"{"version":"1","flags":{"beta":{"name":"Beta"}},"values":{"beta":{"enabled":false}}}"#;
    let made = create("flags", flags, None).await.unwrap();
    assert!(made["Content"].as_str().unwrap().contains("_createdAt"));
    let listed =
        send_call(&cloud, "ListHostedConfigurationVersions", json!({ "ConfigurationProfileId": "limits" }));
    assert_eq!(listed.await.unwrap()["Items"][0]["VersionNumber"], 3, "newest first");
}
