//! Whole deployments on the embedded cloud, driven call by call as a client would, in virtual time. Helpers only.

use std::time::Duration;

use serde_json::{Value, json};

mod calls;
mod laws;
mod native;
mod native_laws;
mod one_off;
mod pauses;
mod rollouts;
mod services;
mod traffic;

use super::call::{Call, Delivery, Refusal};
use super::cloud::Cloud;

use super::scenario::*;

/// Two tasks behind a target group, breaker with rollback.
fn scenario() -> Scenario {
    Scenario::default_for([("acme", "web")])
}

async fn deliver(cloud: &Cloud, operation: &str, input: Value) -> Delivery {
    let call = Call {
        service: "ecs".into(),
        operation: operation.into(),
        input,
        region: "eu-west-1".into(),
        access_key: Some("AKIATEST".into()),
    };
    cloud.answer(call).await
}

async fn ask(cloud: &Cloud, operation: &str, input: Value) -> Value {
    match deliver(cloud, operation, input).await {
        Delivery::Answer(Ok(value)) => value,
        other => panic!("{operation}: {other:?}"),
    }
}

async fn refusal(cloud: &Cloud, operation: &str, input: Value) -> Refusal {
    match deliver(cloud, operation, input).await {
        Delivery::Answer(Err(refusal)) => refusal,
        other => panic!("{operation}: {other:?}"),
    }
}

async fn service(cloud: &Cloud) -> Value {
    ask(cloud, "DescribeServices", json!({"cluster": "acme", "services": ["web"]})).await["services"][0]
        .clone()
}

async fn rollout(cloud: &Cloud, arn: &str) -> Value {
    let answer = ask(cloud, "DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]})).await;
    answer["serviceDeployments"][0].clone()
}

/// Register v2 of what runs, and update the service to it: ARN of the definition and of the service deployment.
async fn deploy(cloud: &Cloud) -> (String, String) {
    cloud.push("web", &["v2"], "linux/amd64", "v2");
    let family = ask(cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    let mut definition = family["taskDefinition"].clone();
    definition["containerDefinitions"][0]["image"] =
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/web:v2".into();
    let registered = ask(cloud, "RegisterTaskDefinition", definition).await;
    let arn = registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_string();
    let update = json!({"cluster": "acme", "service": "web", "taskDefinition": arn});
    let updated = ask(cloud, "UpdateService", update).await;
    (arn, updated["service"]["currentServiceDeployment"].as_str().unwrap().to_string())
}

/// Poll until the service deployment has ended (or `most` seconds are over), and give the statuses it went through.
async fn follow(cloud: &Cloud, arn: &str, most: u64) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..most {
        let status = rollout(cloud, arn).await["status"].as_str().unwrap().to_string();
        if seen.last() != Some(&status) {
            seen.push(status.clone());
        }
        if ["SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"].contains(&status.as_str()) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    seen
}

async fn messages(cloud: &Cloud) -> String {
    let service = service(cloud).await;
    service["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{}\n", e["message"].as_str().unwrap()))
        .collect()
}
