//! One mutant for each invariant: the same run by an engine that misbehaves in one way, made by changing what goes
//! over the wire between engine and cloud, or what is said. A law that no mutant can break would prove nothing.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::request::{ServiceCall, ServiceError};
use serde_json::{Value, json};

use super::assertions;
use super::case::{self, Case, Fault};
use super::run::{EARLIER_KEY, FIRST_KEY, SENTINEL, run_case};

type CallMutation = fn(&CallHook<'_>) -> Option<Override>;
type AfterRun = fn(&Cloud, Option<f64>) -> LocalBoxFuture<'static, ()>;

/// A way to misbehave.
pub(super) struct Mutant {
    /// The invariant that it breaks.
    invariant: &'static str,
    /// What the broken engine does.
    behavior: &'static str,
    /// The case in which it shows.
    case: &'static str,
    /// What it does to a call.
    pub(super) on_call: Option<CallMutation>,
    /// What it does after the run.
    pub(super) after_run: Option<AfterRun>,
    /// What it says.
    pub(super) extra_output: &'static str,
}

const CASE_WITHOUT_FAULT: &str = "rolling 1 9999 Throttled";
const UNCHANGED: Mutant = Mutant {
    invariant: "",
    behavior: "",
    case: CASE_WITHOUT_FAULT,
    on_call: None,
    after_run: None,
    extra_output: "",
};

const MUTANTS: &[Mutant] = &[
    Mutant {
        invariant: "I1",
        behavior: "lowers the healthy minimum to be quicker",
        on_call: Some(|moment| {
            replace_input(
                moment,
                "UpdateService",
                json!({ "deploymentConfiguration": { "minimumHealthyPercent": 0, "maximumPercent": 100 } }),
            )
        }),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I2",
        behavior: "does not deploy and takes the old version for the new one",
        on_call: Some(|moment| {
            (moment.phase == HookPhase::Before)
                .then_some(())
                .filter(|()| moment.call.operation == "RegisterTaskDefinition")
                .map(|()| Override::Reply(json!({ "taskDefinition": first_revision_answer(moment.call) })))
        }),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I13",
        behavior: "takes a lost answer for a rejection",
        on_call: Some(|moment| {
            let moves =
                moment.call.operation == "UpdateService" && moment.call.input.get("taskDefinition").is_some();
            (moment.phase == HookPhase::After && moves)
                .then(|| Override::Fail(ServiceError::new("AccessDeniedException", "not authorized")))
        }),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I4",
        behavior: "goes on after a cancel",
        case: "rolling 1 40 Cancel",
        after_run: Some(deploy_late),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I5",
        behavior: "takes what is not there for good",
        case: "canary-no-metrics 1 9999 Throttled",
        on_call: Some(|moment| {
            is_before_call(moment, "GetMetricData")
                .then(|| Override::Reply(perfect_metrics(&moment.call.input)))
        }),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I3",
        behavior: "releases what the tag is, not the digest that was asked for",
        on_call: Some(|moment| {
            is_before_call(moment, "RegisterTaskDefinition")
                .then(|| Override::ReplaceInput(definition_by_tag(moment.call)))
        }),
        ..UNCHANGED
    },
    Mutant { invariant: "I6", behavior: "logs what it was given", extra_output: SENTINEL, ..UNCHANGED },
    Mutant {
        invariant: "I7",
        behavior: "prints a line as it came",
        extra_output: "\n##[error]from the container",
        ..UNCHANGED
    },
    Mutant {
        invariant: "I8",
        behavior: "deploys again what serves already",
        after_run: Some(deploy_again),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I9",
        behavior: "brings its own version back after a newer run",
        case: "rolling 1 30 SecondRun",
        after_run: Some(deploy_own_version),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I9",
        behavior: "brings an older version back when its run is started again",
        case: "rolling 1 9999 OldRun",
        after_run: Some(deploy_older_version),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I10",
        behavior: "moves without knowing what to go back to",
        on_call: Some(|moment| {
            is_before_call(moment, "ListServiceDeployments")
                .then(|| Override::Reply(json!({ "serviceDeployments": [] })))
        }),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I12",
        behavior: "looks without a pause",
        after_run: Some(poll_without_pause),
        ..UNCHANGED
    },
    Mutant {
        invariant: "I11",
        behavior: "writes the number of copies",
        on_call: Some(|moment| replace_input(moment, "UpdateService", json!({ "desiredCount": 2 }))),
        ..UNCHANGED
    },
];

fn is_before_call(moment: &CallHook<'_>, operation: &str) -> bool {
    moment.phase == HookPhase::Before && moment.call.operation == operation
}

/// The definition with the image that the service began with, by its tag.
fn definition_by_tag(call: &ServiceCall) -> Value {
    let mut containers = call.input["containerDefinitions"].clone();
    let image = containers[0]["image"].as_str().unwrap_or_default();
    let host = image.split('/').next().unwrap_or_default();
    containers[0]["image"] = json!(format!("{host}/backend:v1"));
    json!({ "containerDefinitions": containers })
}

/// Counts without a flaw for every metric that is asked for.
fn perfect_metrics(input: &Value) -> Value {
    let time = |name: &str| input[name].as_f64().unwrap_or_default();
    let minutes = ((time("EndTime") - time("StartTime")) / 60.0) as u32;
    let stamps: Vec<f64> = (0..minutes).map(|minute| time("StartTime") + 60.0 * f64::from(minute)).collect();
    let result = |query: &Value| {
        let metric = query["MetricStat"]["Metric"].to_string();
        let count = match (metric.contains("RequestCount"), metric.contains("alternate")) {
            (false, _) => 0.0,
            (true, true) => 1_000.0,
            (true, false) => 9_000.0,
        };
        let values = vec![count; stamps.len()];
        json!({ "Id": query["Id"], "StatusCode": "Complete", "Timestamps": stamps, "Values": values })
    };
    let queries = input["MetricDataQueries"].as_array().into_iter().flatten();
    json!({ "MetricDataResults": queries.map(result).collect::<Vec<_>>(), "Messages": [] })
}

fn replace_input(moment: &CallHook<'_>, operation: &str, members: Value) -> Option<Override> {
    let hit = moment.phase == HookPhase::Before && moment.call.operation == operation;
    hit.then_some(Override::ReplaceInput(members))
}

/// The answer of a registration that names the first revision.
fn first_revision_answer(call: &ServiceCall) -> Value {
    let family = call.input["family"].as_str().unwrap_or_default();
    let arn = format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/{family}:1");
    json!({ "taskDefinitionArn": arn, "family": family, "revision": 1, "status": "ACTIVE" })
}

fn update_service_call(members: Value) -> ServiceCall {
    let mut input = json!({ "cluster": "acme", "service": "backend" });
    input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    ServiceCall {
        service: "ecs".into(),
        operation: "UpdateService".into(),
        input,
        region: "eu-west-1".into(),
        access_key: Some(FIRST_KEY.into()),
    }
}

fn deploy_late(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let _ = cloud.handle(update_service_call(json!({ "forceNewDeployment": true }))).await;
    })
}

fn deploy_own_version(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = cloud.handle(update_service_call(json!({ "taskDefinition": "backend:1" }))).await;
    })
}

fn deploy_older_version(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        let call = update_service_call(json!({ "taskDefinition": "backend:2" }));
        let _ = cloud.handle(ServiceCall { access_key: Some(EARLIER_KEY.into()), ..call }).await;
    })
}

fn poll_without_pause(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        for _ in 0..400 {
            let input = json!({ "cluster": "acme", "services": ["backend"] });
            let look =
                ServiceCall { operation: "DescribeServices".into(), input, ..update_service_call(json!({})) };
            let _ = cloud.handle(look).await;
        }
    })
}

fn deploy_again(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        let _ = cloud.handle(update_service_call(json!({ "forceNewDeployment": true }))).await;
    })
}

#[test]
fn every_invariant_has_a_mutant() {
    for number in 1..=13 {
        let law = format!("I{number}");
        assert!(MUTANTS.iter().any(|mutant| mutant.invariant == law), "{law} has no mutant");
    }
}

#[test]
fn every_mutant_is_caught_by_its_invariant() {
    for mutant in MUTANTS {
        let case = case::parse_case(mutant.case);
        assert_eq!(
            assertions::check_invariants(&case, &run_case(case, None)),
            Ok(()),
            "without the mutant that {}",
            mutant.behavior
        );
        let caught = assertions::check_invariants(&case, &run_case(case, Some(mutant)));
        let named = caught.as_ref().is_err_and(|why| why.starts_with(&format!("{}:", mutant.invariant)));
        assert!(named, "a mutant that {} ({}) ended {caught:?}", mutant.behavior, mutant.invariant);
    }
}

#[test]
fn replay_line_parses_back() {
    let case = Case::from_seed(7);
    let line = case.to_string();
    let text = line.split('\'').nth(1).unwrap();
    let again = case::parse_case(text);
    assert_eq!((again.to_string(), again.fault), (line, case.fault));
    assert_ne!(
        Case::from_seed(8).to_string(),
        Case { fault: Fault::Cancel, ..Case::from_seed(7) }.to_string()
    );
}
