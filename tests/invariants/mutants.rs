//! One mutant for each invariant: the same run by an engine that misbehaves in one way, made by changing what goes
//! over the wire between engine and cloud, or what is said. A law that no mutant can break would prove nothing.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use roadstead::rehearsal::call::Call;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};
use serde_json::{Value, json};

use super::case::{self, Blow, Case};
use super::laws;
use super::play::{EARLIER, FIRST, SENTINEL, play};

type Wire = fn(&Moment<'_>) -> Option<Interrupt>;
type After = fn(&Cloud, Option<f64>) -> LocalBoxFuture<'static, ()>;

/// A way to misbehave.
pub(super) struct Mutant {
    /// The invariant that it breaks.
    breaks: &'static str,
    /// What the broken engine does.
    about: &'static str,
    /// The case in which it shows.
    case: &'static str,
    /// What it does to a call.
    pub(super) wire: Option<Wire>,
    /// What it does after the run.
    pub(super) after: Option<After>,
    /// What it says.
    pub(super) says: &'static str,
}

const CALM: &str = "rolling 1 9999 Throttled";
const NONE: Mutant = Mutant { breaks: "", about: "", case: CALM, wire: None, after: None, says: "" };

const MUTANTS: &[Mutant] = &[
    Mutant {
        breaks: "I1",
        about: "lowers the healthy minimum to be quicker",
        wire: Some(|moment| {
            instead(
                moment,
                "UpdateService",
                json!({ "deploymentConfiguration": { "minimumHealthyPercent": 0, "maximumPercent": 100 } }),
            )
        }),
        ..NONE
    },
    Mutant {
        breaks: "I2",
        about: "does not deploy and takes the old version for the new one",
        wire: Some(|moment| {
            (moment.phase == Phase::Before)
                .then_some(())
                .filter(|()| moment.call.operation == "RegisterTaskDefinition")
                .map(|()| Interrupt::Answer(json!({ "taskDefinition": old(moment.call) })))
        }),
        ..NONE
    },
    Mutant {
        breaks: "I4",
        about: "goes on after a cancel",
        case: "rolling 1 40 Cancel",
        after: Some(deploys_late),
        ..NONE
    },
    Mutant {
        breaks: "I5",
        about: "takes what is not there for good",
        case: "canary-no-metrics 1 9999 Throttled",
        wire: Some(|moment| {
            moment_before(moment, "GetMetricData").then(|| Interrupt::Answer(imagined(&moment.call.input)))
        }),
        ..NONE
    },
    Mutant {
        breaks: "I3",
        about: "releases what the tag is, not the digest that was asked for",
        wire: Some(|moment| {
            moment_before(moment, "RegisterTaskDefinition").then(|| Interrupt::Instead(tagged(moment.call)))
        }),
        ..NONE
    },
    Mutant { breaks: "I6", about: "logs what it was given", says: SENTINEL, ..NONE },
    Mutant { breaks: "I7", about: "prints a line as it came", says: "\n##[error]from the container", ..NONE },
    Mutant { breaks: "I8", about: "deploys again what serves already", after: Some(deploys_again), ..NONE },
    Mutant {
        breaks: "I9",
        about: "brings its own version back after a newer run",
        case: "rolling 1 30 SecondRun",
        after: Some(deploys_its_own),
        ..NONE
    },
    Mutant {
        breaks: "I9",
        about: "brings an older version back when its run is started again",
        case: "rolling 1 9999 OldRun",
        after: Some(deploys_the_old),
        ..NONE
    },
    Mutant {
        breaks: "I10",
        about: "moves without knowing what to go back to",
        wire: Some(|moment| {
            moment_before(moment, "ListServiceDeployments")
                .then(|| Interrupt::Answer(json!({ "serviceDeployments": [] })))
        }),
        ..NONE
    },
    Mutant { breaks: "I12", about: "looks without a pause", after: Some(hammers), ..NONE },
    Mutant {
        breaks: "I11",
        about: "writes the number of copies",
        wire: Some(|moment| instead(moment, "UpdateService", json!({ "desiredCount": 2 }))),
        ..NONE
    },
];

fn moment_before(moment: &Moment<'_>, operation: &str) -> bool {
    moment.phase == Phase::Before && moment.call.operation == operation
}

/// The definition with the image that the service began with, by its tag.
fn tagged(call: &Call) -> Value {
    let mut containers = call.input["containerDefinitions"].clone();
    let image = containers[0]["image"].as_str().unwrap_or_default();
    let host = image.split('/').next().unwrap_or_default();
    containers[0]["image"] = json!(format!("{host}/backend:v1"));
    json!({ "containerDefinitions": containers })
}

/// Counts without a flaw for every metric that is asked for.
fn imagined(input: &Value) -> Value {
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

fn instead(moment: &Moment<'_>, operation: &str, members: Value) -> Option<Interrupt> {
    let hit = moment.phase == Phase::Before && moment.call.operation == operation;
    hit.then_some(Interrupt::Instead(members))
}

/// The answer of a registration that names the first revision.
fn old(call: &Call) -> Value {
    let family = call.input["family"].as_str().unwrap_or_default();
    let arn = format!("arn:aws:ecs:eu-west-1:111111111111:task-definition/{family}:1");
    json!({ "taskDefinitionArn": arn, "family": family, "revision": 1, "status": "ACTIVE" })
}

fn update(members: Value) -> Call {
    let mut input = json!({ "cluster": "acme", "service": "backend" });
    input.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Call {
        service: "ecs".into(),
        operation: "UpdateService".into(),
        input,
        region: "eu-west-1".into(),
        access_key: Some(FIRST.into()),
    }
}

fn deploys_late(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let _ = cloud.answer(update(json!({ "forceNewDeployment": true }))).await;
    })
}

fn deploys_its_own(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let _ = cloud.answer(update(json!({ "taskDefinition": "backend:1" }))).await;
    })
}

fn deploys_the_old(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        let call = update(json!({ "taskDefinition": "backend:2" }));
        let _ = cloud.answer(Call { access_key: Some(EARLIER.into()), ..call }).await;
    })
}

fn hammers(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        for _ in 0..400 {
            let input = json!({ "cluster": "acme", "services": ["backend"] });
            let look = Call { operation: "DescribeServices".into(), input, ..update(json!({})) };
            let _ = cloud.answer(look).await;
        }
    })
}

fn deploys_again(cloud: &Cloud, _: Option<f64>) -> LocalBoxFuture<'static, ()> {
    let cloud = cloud.clone();
    Box::pin(async move {
        let _ = cloud.answer(update(json!({ "forceNewDeployment": true }))).await;
    })
}

#[test]
fn every_invariant_has_a_mutant() {
    for number in 1..=12 {
        let law = format!("I{number}");
        assert!(MUTANTS.iter().any(|mutant| mutant.breaks == law), "{law} has no mutant");
    }
}

#[test]
fn every_mutant_is_caught_by_its_law() {
    for mutant in MUTANTS {
        let case = case::read(mutant.case);
        assert_eq!(laws::check(&case, &play(case, None)), Ok(()), "without the mutant that {}", mutant.about);
        let caught = laws::check(&case, &play(case, Some(mutant)));
        let named = caught.as_ref().is_err_and(|why| why.starts_with(&format!("{}:", mutant.breaks)));
        assert!(named, "a mutant that {} ({}) ended {caught:?}", mutant.about, mutant.breaks);
    }
}

#[test]
fn a_replay_line_reads_back() {
    let case = Case::of(7);
    let line = case.to_string();
    let text = line.split('\'').nth(1).unwrap();
    let again = case::read(text);
    assert_eq!((again.to_string(), again.blow), (line, case.blow));
    assert_ne!(Case::of(8).to_string(), Case { blow: Blow::Cancel, ..Case::of(7) }.to_string());
}
