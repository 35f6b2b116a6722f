//! Whole deployments on the embedded cloud, driven call by call as a client would, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::call::{Call, Delivery, Refusal};
use super::cloud::Cloud;
use super::faults::*;

use super::scenario::*;

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
