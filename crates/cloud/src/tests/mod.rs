//! Whole deployments on the emulator, driven call by call as a client would, in virtual time. Helpers only.

use std::time::Duration;

use serde_json::{Value, json};

mod at_rest;
mod calls;
mod definitions;
mod invariants;
mod one_off;
mod pause_hooks;
mod rollouts;
mod services;
mod staged_deployments;
mod staged_invariants;
mod task_faults;
mod traffic;

use super::cloud::Cloud;
use super::request::{Delivery, ServiceCall, ServiceError};

use super::scenario::*;

/// Two tasks behind a target group, breaker with rollback.
fn scenario() -> Scenario {
    Scenario::default_for([("acme", "web")])
}

async fn send(cloud: &Cloud, operation: &str, input: Value) -> Delivery {
    let call = ServiceCall {
        service: "ecs".into(),
        operation: operation.into(),
        input,
        region: "eu-west-1".into(),
        access_key: Some("AKIATEST".into()),
    };
    cloud.handle(call).await
}

async fn call_ok(cloud: &Cloud, operation: &str, input: Value) -> Value {
    match send(cloud, operation, input).await {
        Delivery::Reply(Ok(value)) => value,
        other => panic!("{operation}: {other:?}"),
    }
}

async fn call_error(cloud: &Cloud, operation: &str, input: Value) -> ServiceError {
    match send(cloud, operation, input).await {
        Delivery::Reply(Err(refusal)) => refusal,
        other => panic!("{operation}: {other:?}"),
    }
}

async fn describe_service(cloud: &Cloud) -> Value {
    call_ok(cloud, "DescribeServices", json!({"cluster": "acme", "services": ["web"]})).await["services"][0]
        .clone()
}

async fn describe_service_deployment(cloud: &Cloud, arn: &str) -> Value {
    let answer = call_ok(cloud, "DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]})).await;
    answer["serviceDeployments"][0].clone()
}

/// Register v2 of what runs, and update the service to it: ARN of the definition and of the service deployment.
async fn deploy_v2(cloud: &Cloud) -> (String, String) {
    cloud.push_image("web", &["v2"], "linux/amd64", "v2");
    let family = call_ok(cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    let mut definition = family["taskDefinition"].clone();
    definition["containerDefinitions"][0]["image"] =
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/web:v2".into();
    let registered = call_ok(cloud, "RegisterTaskDefinition", definition).await;
    let arn = registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_string();
    let update = json!({"cluster": "acme", "service": "web", "taskDefinition": arn});
    let updated = call_ok(cloud, "UpdateService", update).await;
    (arn, updated["service"]["currentServiceDeployment"].as_str().unwrap().to_string())
}

/// Poll until the service deployment has ended (or `most` seconds are over), and give the statuses it went through.
async fn collect_statuses(cloud: &Cloud, arn: &str, most: u64) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..most {
        let status = describe_service_deployment(cloud, arn).await["status"].as_str().unwrap().to_string();
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

async fn event_messages(cloud: &Cloud) -> String {
    let service = describe_service(cloud).await;
    service["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| format!("{}\n", e["message"].as_str().unwrap()))
        .collect()
}
