//! An outage that begins with a change: its answer is lost, and for a while every call of the same service is answered by
//! nothing that says what became of it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::admission::Admission;
use super::faults::Fault;
use super::request::{Delivery, ServiceCall, ServiceError};
use super::service::find_service;
use super::world::World;

/// A change whose answer is lost, and what follows.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outage {
    /// The operation that it begins with, such as `UpdateService`.
    pub operation: String,
    /// Which call of it, from 1.
    #[serde(default = "first")]
    pub call: u32,
    /// Whether that call takes effect.
    #[serde(default = "yes")]
    pub effect: bool,
    /// How many seconds it lasts; until the end when absent.
    #[serde(default, rename = "for")]
    pub lasts: Option<f64>,
    /// How many calls it strikes at most.
    #[serde(default)]
    pub times: Option<u32>,
    /// What replaces answers.
    #[serde(default)]
    pub answers: OutageAnswer,
}

/// What a client gets during an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutageAnswer {
    /// The connection breaks.
    #[default]
    Reset,
    /// Nothing comes back.
    Silence,
    /// A page of something in between, with status 200.
    Html,
    /// The permission is missing, with status 400.
    AccessDenied,
    /// A server error.
    ServerError,
    /// Too many requests.
    Throttled,
}

/// How far an outage is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OutageProgress {
    /// Calls of its operation so far.
    seen: u32,
    /// The service and the time of its beginning, epoch seconds.
    began: Option<(String, f64)>,
    /// Calls that it struck.
    struck: u32,
}

fn first() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// What becomes of a call during an outage, or at its beginning; `None` if none concerns it.
pub fn strike(world: &mut World, call: &ServiceCall, now: f64) -> Option<Admission> {
    let outages = world.faults.list.iter().enumerate().filter_map(|(place, fault)| match fault {
        Fault::Outage(outage) => Some((place, outage.clone())),
        _ => None,
    });
    let outages: Vec<(usize, Outage)> = outages.collect();
    for (place, outage) in outages {
        let progress = world.faults.outages.entry(place).or_default();
        if let Some((service, began)) = &progress.began {
            let over = outage.lasts.is_some_and(|seconds| now >= began + seconds)
                || outage.times.is_some_and(|times| progress.struck >= times);
            if over || *service != call.service {
                continue;
            }
            progress.struck += 1;
            return Some(Admission::Deliver(delivery(outage.answers, call)));
        }
        progress.seen += u32::from(outage.operation == call.operation);
        if outage.operation == call.operation && progress.seen == outage.call {
            progress.began = Some((call.service.clone(), now));
            return Some(match outage.effect {
                true => Admission::AdmitAndDisconnect,
                false => Admission::Deliver(Delivery::ConnectionLost),
            });
        }
    }
    None
}

/// What replaces an answer.
pub fn delivery(answers: OutageAnswer, call: &ServiceCall) -> Delivery {
    let errors = find_service(&call.service).errors();
    let error = match answers {
        OutageAnswer::Reset => return Delivery::ConnectionLost,
        OutageAnswer::Silence => return Delivery::NoReply,
        OutageAnswer::Html => return Delivery::Page(PAGE.into()),
        OutageAnswer::AccessDenied => {
            let message = format!("User is not authorized to perform: {}", call.operation);
            ServiceError::with_status(errors.denied.status, errors.denied.code, message)
        }
        OutageAnswer::ServerError => errors.internal.to_error(),
        OutageAnswer::Throttled => errors.throttled.to_error(),
    };
    Delivery::Reply(Err(error))
}

/// A page as company networks show it. Its words must not be taken for an error of the provider.
const PAGE: &str =
    "<html><head><title>Sign in</title></head><body>Enter your identity and credentials.</body></html>";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud::Cloud;
    use crate::scenario::Scenario;

    fn call(operation: &str, input: serde_json::Value) -> ServiceCall {
        ServiceCall {
            service: "ecs".into(),
            operation: operation.into(),
            input,
            region: "eu-west-1".into(),
            access_key: Some("AKIAREHEARSAL0000001".into()),
        }
    }

    fn cloud(fault: &str) -> Cloud {
        let mut scenario = Scenario::default_for([("acme", "web")]);
        scenario.faults = Scenario::parse(&format!("faults: [outage: {fault}]")).unwrap().faults;
        Cloud::new(scenario, 1)
    }

    async fn update(cloud: &Cloud) -> Delivery {
        let input = json!({ "cluster": "acme", "service": "web", "forceNewDeployment": true });
        cloud.handle(call("UpdateService", input)).await
    }

    async fn describe(cloud: &Cloud) -> Delivery {
        cloud.handle(call("DescribeServices", json!({ "cluster": "acme", "services": ["web"] }))).await
    }

    #[tokio::test(start_paused = true)]
    async fn outage_begins_with_the_change_and_ends_by_itself() {
        for effect in [true, false] {
            let cloud =
                cloud(&format!("{{ operation: UpdateService, effect: {effect}, for: 20, answers: html }}"));
            assert!(matches!(describe(&cloud).await, Delivery::Reply(Ok(_))));
            assert_eq!(update(&cloud).await, Delivery::ConnectionLost);
            assert!(matches!(describe(&cloud).await, Delivery::Page(_)));
            assert!(matches!(update(&cloud).await, Delivery::Page(_)), "nothing passes");
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            let Delivery::Reply(Ok(answer)) = describe(&cloud).await else { panic!("the outage goes on") };
            let deployments = answer["services"][0]["deployments"].as_array().unwrap().len();
            assert_eq!(deployments, 1 + usize::from(effect), "effect: {effect}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn outage_can_strike_a_number_of_calls() {
        let cloud = cloud("{ operation: UpdateService, call: 2, times: 1, answers: access-denied }");
        assert!(matches!(update(&cloud).await, Delivery::Reply(Ok(_))));
        assert_eq!(update(&cloud).await, Delivery::ConnectionLost);
        let Delivery::Reply(Err(denied)) = describe(&cloud).await else { panic!("it is not struck") };
        assert_eq!((denied.status, denied.code.as_str()), (400, "AccessDeniedException"));
        assert!(matches!(describe(&cloud).await, Delivery::Reply(Ok(_))));
    }
}
