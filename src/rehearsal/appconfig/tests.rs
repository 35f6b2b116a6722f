//! AppConfig as a client sees it: growth, bake, alarms, conflicts, stopping and reverting, in virtual time.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::call::{Call, Delivery, Refusal};
use super::super::cloud::Cloud;
use super::super::scenario::Scenario;

const WORLD: &str = r#"
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

fn cloud(more: &str) -> Cloud {
    Cloud::new(Scenario::parse(&format!("{WORLD}{more}")).unwrap(), 1)
}

async fn ask(cloud: &Cloud, operation: &str, input: Value) -> Result<Value, Refusal> {
    let mut whole = json!({ "ApplicationId": "shop", "EnvironmentId": "production" });
    let members = whole.as_object_mut().unwrap();
    members.extend(input.as_object().unwrap().clone());
    let call = Call {
        service: "appconfig".into(),
        operation: operation.into(),
        input: whole,
        region: "eu-west-1".into(),
        access_key: Some("AKIAX".into()),
    };
    let Delivery::Answer(answer) = cloud.answer(call).await else { panic!("no answer") };
    answer
}

async fn start(cloud: &Cloud, version: &str, more: Value) -> Result<Value, Refusal> {
    let strategies = ask(cloud, "ListDeploymentStrategies", json!({})).await.unwrap();
    let own = strategies["Items"].as_array().unwrap().iter().find(|one| one["Name"] == "Quick").unwrap();
    let mut input = json!({
        "ConfigurationProfileId": "limits", "ConfigurationVersion": version, "DeploymentStrategyId": own["Id"],
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask(cloud, "StartDeployment", input).await
}

async fn state(cloud: &Cloud, number: u64) -> (String, f64) {
    let it = ask(cloud, "GetDeployment", json!({ "DeploymentNumber": number })).await.unwrap();
    (it["State"].as_str().unwrap().to_owned(), it["PercentageComplete"].as_f64().unwrap())
}

async fn stop(cloud: &Cloud, number: u64, revert: bool) -> Result<Value, Refusal> {
    ask(cloud, "StopDeployment", json!({ "DeploymentNumber": number, "AllowRevert": revert })).await
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

fn serving(cloud: &Cloud) -> Option<usize> {
    cloud.read(|world| world.appconfig.serving("shop", "production", "limits").map(|(number, _)| number))
}

#[tokio::test(start_paused = true)]
async fn a_deployment_grows_bakes_and_completes() {
    let cloud = cloud("");
    assert_eq!(serving(&cloud), Some(2));
    let started = start(&cloud, "1", json!({})).await.unwrap();
    assert_eq!((&started["DeploymentNumber"], &started["State"]), (&json!(3), &json!("DEPLOYING")));
    let mut seen = Vec::new();
    for _ in 0..4 {
        after(121).await;
        seen.push(state(&cloud, 3).await);
    }
    let words: Vec<String> = seen.iter().map(|(state, percent)| format!("{state} {percent}")).collect();
    assert_eq!(words, ["DEPLOYING 50", "BAKING 100", "COMPLETE 100", "COMPLETE 100"]);
    assert_eq!(serving(&cloud), Some(1));
    let it = ask(&cloud, "GetDeployment", json!({ "DeploymentNumber": 3 })).await.unwrap();
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
    let cloud = cloud("");
    assert_eq!(start(&cloud, "1", json!({ "LatestDeploymentNumber": 1 })).await.unwrap_err().status, 409);
    start(&cloud, "1", json!({ "LatestDeploymentNumber": 2 })).await.unwrap();
    assert_eq!(start(&cloud, "2", json!({})).await.unwrap_err().code, "ConflictException");
    assert_eq!(start(&cloud, "9", json!({})).await.unwrap_err().code, "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_red_alarm_rolls_back_and_names_itself() {
    let cloud = cloud("faults: [{ alarm-red: { at: 100 } }]");
    start(&cloud, "1", json!({})).await.unwrap();
    after(130).await;
    assert_eq!(state(&cloud, 3).await.0, "ROLLED_BACK");
    assert_eq!(serving(&cloud), Some(2));
    let it = ask(&cloud, "GetDeployment", json!({ "DeploymentNumber": 3 })).await.unwrap();
    let cause = &it["EventLog"][1];
    assert_eq!(cause["TriggeredBy"], "CLOUDWATCH_ALARM");
    assert_eq!(
        cause["Description"],
        "Rollback initiated by CloudWatch Alarm: arn:aws:cloudwatch:eu-west-1:111111111111:alarm:errors"
    );
    after(600).await;
    assert_eq!(state(&cloud, 3).await.0, "ROLLED_BACK", "what was planned before does not happen");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_progress_stops_and_what_is_complete_is_reverted() {
    let cloud = cloud("");
    start(&cloud, "1", json!({})).await.unwrap();
    after(250).await;
    assert_eq!(stop(&cloud, 3, false).await.unwrap_err().code, "BadRequestException", "it bakes");
    assert_eq!(stop(&cloud, 3, true).await.unwrap()["State"], "ROLLING_BACK");
    after(10).await;
    assert_eq!(state(&cloud, 3).await.0, "ROLLED_BACK");
    start(&cloud, "1", json!({})).await.unwrap();
    after(400).await;
    assert_eq!((stop(&cloud, 4, false).await.is_err(), serving(&cloud)), (true, Some(1)));
    assert_eq!(stop(&cloud, 4, true).await.unwrap()["State"], "REVERTED");
    assert_eq!(serving(&cloud), Some(2));
    after(72 * 3600).await;
    assert_eq!(stop(&cloud, 2, true).await.unwrap_err().code, "BadRequestException", "too long ago");
}

#[tokio::test(start_paused = true)]
async fn hosted_versions_are_checked_locked_and_stamped() {
    let cloud = cloud("");
    let create = |profile: &str, content: &str, latest: Option<u64>| {
        let input = json!({ "ConfigurationProfileId": profile, "Content": content,
                            "ContentType": "application/json", "LatestVersionNumber": latest });
        let cloud = cloud.clone();
        async move { ask(&cloud, "CreateHostedConfigurationVersion", input).await }
    };
    assert_eq!(create("limits", "{}", Some(1)).await.unwrap_err().code, "ConflictException");
    assert_eq!(create("limits", "{}", Some(2)).await.unwrap()["VersionNumber"], 3);
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(create("limits", &large, None).await.unwrap_err().status, 413);
    let refused = create("flags", "{}", None).await.unwrap_err();
    let details = &refused.more.unwrap().members["Details"]["InvalidConfiguration"][0];
    assert_eq!(details["Location"], "$.version");
    let flags = r#"{"version":"1","flags":{"beta":{"name":"Beta"}},"values":{"beta":{"enabled":false}}}"#;
    let made = create("flags", flags, None).await.unwrap();
    assert!(made["Content"].as_str().unwrap().contains("_createdAt"));
    let listed =
        ask(&cloud, "ListHostedConfigurationVersions", json!({ "ConfigurationProfileId": "limits" }));
    assert_eq!(listed.await.unwrap()["Items"][0]["VersionNumber"], 3, "newest first");
}
