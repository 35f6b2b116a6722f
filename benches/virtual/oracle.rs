//! When something became visible in the cloud's API, found out without the engine: from the states that the cloud went
//! through, and from what its API says at the end about tasks and events.

use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::request::{Delivery, ServiceCall};
use serde_json::{Value, json};

use crate::run::BenchRun;

/// What makes an end visible.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EndSignal {
    /// Our service deployment has one of these statuses.
    Status(&'static [&'static str]),
    /// So many tasks of the service are to stop, with a reason that is not the scheduler's own scaling.
    StoppedTasks(usize),
    /// An event of the service has contained this text for so many seconds.
    Event(&'static str, f64),
    /// The service has a service deployment newer than ours.
    Replaced,
}

/// A stopped task: since when its API says that it is to stop, and why.
pub(crate) struct StoppedTask {
    pub(crate) stopping_at: f64,
    pub(crate) reason: String,
}

impl EndSignal {
    /// When it was first visible, epoch seconds.
    pub(crate) fn visible_at(self, ran: &BenchRun) -> Option<f64> {
        let asked = ran.requested_at();
        match self {
            Self::Status(names) => {
                let ours = newer_deployments(&ran.initial_deployment, ran).next()?.1;
                let fits = |at: &f64, arn: &str, status: &str| {
                    *at >= asked && arn == ours && names.contains(&status)
                };
                deployment_states(ran).find(|(at, arn, status)| fits(at, arn, status)).map(|(at, ..)| at)
            }
            Self::StoppedTasks(count) => {
                let failed = ran.tasks.iter().filter(|task| !task.reason.starts_with("Scaling activity"));
                nth_time(failed.map(|task| task.stopping_at).filter(|at| *at >= asked).collect(), count)
            }
            Self::Event(words, seconds) => {
                let said = ran.events.iter().filter(|(at, text)| *at >= asked && text.contains(words));
                nth_time(said.map(|(at, _)| *at + seconds).collect(), 1)
            }
            Self::Replaced => {
                let ours = newer_deployments(&ran.initial_deployment, ran).next()?.1;
                newer_deployments(&ran.initial_deployment, ran)
                    .find(|(_, arn, _)| *arn != ours)
                    .map(|(at, ..)| at)
            }
        }
    }
}

/// Time, ARN and status of the first service's newest deployment in every state.
fn deployment_states(ran: &BenchRun) -> impl Iterator<Item = (f64, &str, &str)> {
    ran.states.iter().filter_map(|(at, services)| {
        let service = services.first()?;
        Some((*at, service.deployment.as_str(), service.deployment_status.as_str()))
    })
}

fn newer_deployments<'a>(
    initial_deployment: &'a str,
    ran: &'a BenchRun,
) -> impl Iterator<Item = (f64, &'a str, &'a str)> {
    deployment_states(ran).filter(move |(_, arn, _)| *arn != initial_deployment)
}

fn nth_time(mut times: Vec<f64>, count: usize) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(count - 1).copied()
}

/// The stopped tasks of the service as the API shows them now.
pub(crate) async fn stopped_tasks(cloud: &Cloud) -> Vec<StoppedTask> {
    let listed = call_ecs(
        cloud,
        "ListTasks",
        json!({"cluster": "acme", "serviceName": "backend", "desiredStatus": "STOPPED"}),
    )
    .await;
    let arns = &listed["taskArns"];
    assert!(listed["nextToken"].is_null(), "more than a page of stopped tasks");
    if arns.as_array().is_none_or(Vec::is_empty) {
        return Vec::new();
    }
    let shown = call_ecs(cloud, "DescribeTasks", json!({"cluster": "acme", "tasks": arns})).await;
    let task = |task: &Value| StoppedTask {
        stopping_at: task["stoppingAt"].as_f64().expect("a stopped task has stoppingAt"),
        reason: task["stoppedReason"].as_str().unwrap_or_default().to_owned(),
    };
    shown["tasks"].as_array().into_iter().flatten().map(task).collect()
}

/// The events of the service, oldest first.
pub(crate) async fn service_events(cloud: &Cloud) -> Vec<(f64, String)> {
    let shown =
        call_ecs(cloud, "DescribeServices", json!({"cluster": "acme", "services": ["backend"]})).await;
    let events = shown["services"][0]["events"].as_array().expect("events");
    let event = |event: &Value| {
        (
            event["createdAt"].as_f64().expect("createdAt"),
            event["message"].as_str().unwrap_or_default().to_owned(),
        )
    };
    events.iter().rev().map(event).collect()
}

async fn call_ecs(cloud: &Cloud, operation: &str, input: Value) -> Value {
    loop {
        let call = ServiceCall {
            service: "ecs".into(),
            operation: operation.into(),
            input: input.clone(),
            region: "eu-west-1".into(),
            access_key: Some("AKIAREHEARSAL0000001".into()),
        };
        match cloud.handle(call).await {
            Delivery::Reply(Ok(answer)) => return answer,
            Delivery::Reply(Err(refusal)) if refusal.code == "ThrottlingException" => {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            other => panic!("{operation}: {other:?}"),
        }
    }
}
