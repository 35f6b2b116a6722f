//! AWS AppConfig in the embedded cloud: which operation goes where, and what happens by itself as time passes. Written
//! from <https://docs.aws.amazon.com/appconfig/latest/userguide/> and its API reference.

/// What a deployment does as time passes.
pub mod course;
/// Deployments: start, look at, list, stop.
pub mod deployments;
/// What AWS demands of feature flags.
pub mod flags;
/// What exists when the world begins.
pub mod founding;
/// How a share of the clients grows.
pub mod growth;
/// Versions of hosted configuration.
pub mod hosted;
/// Applications, environments, profiles and strategies.
pub mod resources;
/// AppConfig in a scenario file.
pub mod setting;
/// All of AppConfig as plain data.
pub mod state;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::call::{Answer, Call, More, Refusal};
use super::members::{count, page, text};
use super::world::World;

pub use course::{Happening, happen};

/// Answers one call, or refuses it. Time passes elsewhere.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let input = &call.input;
    match call.operation.as_str() {
        "GetApplication" => resources::application(world, input),
        "ListApplications" => resources::applications(world, input),
        "GetEnvironment" => resources::environment(world, input),
        "ListEnvironments" => resources::environments(world, input),
        "GetConfigurationProfile" => resources::profile(world, input),
        "ListConfigurationProfiles" => resources::profiles(world, input),
        "GetDeploymentStrategy" => resources::strategy(world, input),
        "ListDeploymentStrategies" => resources::strategies(world, input),
        "CreateHostedConfigurationVersion" => hosted::create(world, input, now),
        "GetHostedConfigurationVersion" => hosted::get(world, input),
        "ListHostedConfigurationVersions" => hosted::list(world, input),
        "StartDeployment" => deployments::start(world, input, now),
        "GetDeployment" => deployments::get(world, input),
        "ListDeployments" => deployments::list(world, input),
        "StopDeployment" => deployments::stop(world, input, now),
        _ => Err(super::dispatch::not_modelled(call)),
    }
}

/// `Items` of a page, and the token of the next.
fn listed(input: &Value, items: Vec<Value>) -> Answer {
    let size = count(input, "MaxResults").unwrap_or(50).min(50);
    let (items, next) =
        page(items, size, text(input, "NextToken")).ok_or_else(|| bad("The pagination token is invalid"))?;
    Ok(json!({ "Items": items, "NextToken": next }))
}

fn missing(kind: &str, id: &str) -> Refusal {
    let mut refusal = Refusal::of(404, "ResourceNotFoundException", format!("{kind} {id} was not found"));
    let members = [("ResourceName".to_owned(), Value::from(kind))].into_iter().collect();
    refusal.more = Some(Box::new(More { members, ..More::default() }));
    refusal
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::of(400, "BadRequestException", message)
}

fn conflict(message: impl Into<String>) -> Refusal {
    Refusal::of(409, "ConflictException", message)
}
