//! AWS AppConfig in the emulator: which operation goes where, and what happens by itself as time passes. Written
//! from <https://docs.aws.amazon.com/appconfig/latest/userguide/> and its API reference.

/// The built-in scenarios.
mod builtin;
/// Deployments: start, look at, list, stop.
pub mod deployments;
/// What AWS demands of feature flags.
pub mod flag_schema;
/// How a share of the clients grows.
pub mod growth_curve;
/// Versions of hosted configuration.
pub mod hosted;
/// What a deployment does as time passes.
pub mod progress;
/// Applications, environments, profiles and strategies.
pub mod resources;
/// AppConfig in a scenario file.
pub mod scenario;
/// What exists when the world begins.
pub mod seed;
/// All of AppConfig as plain data.
pub mod state;

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::builtin::Builtin;
use super::faults::Fault;
use super::input::{count_field, paginate, str_field};
use super::request::{ErrorDetails, ServiceCall, ServiceError, ServiceResult};
use super::scenario::Scenario;
use super::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use super::world::World;

/// What AppConfig calls the errors that every service has.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON
    .with_denied(403, "AccessDeniedException")
    .with_expired(403, "ExpiredTokenException")
    .with_unknown_token(403, "UnrecognizedClientException")
    .with_internal(500, "InternalServerException");

/// AWS AppConfig.
pub struct AppConfig;

impl Service for AppConfig {
    fn name(&self) -> &'static str {
        "appconfig"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::RestJson
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        world.appconfig = seed::seed(&scenario.appconfig, began);
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_call(world, call, now)
    }

    fn fault_time(&self, fault: &Fault) -> Option<f64> {
        match fault {
            Fault::AppconfigStopped(stopped) => Some(stopped.at),
            _ => None,
        }
    }

    fn apply_fault(&self, world: &mut World, fault: &Fault, now: f64) {
        if matches!(fault, Fault::AppconfigStopped(_)) {
            progress::stop_in_flight(world, now);
        }
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }

    fn add_watched_alarms(&self, scenario: &mut Scenario) {
        builtin::add_watched_alarms(scenario);
    }
}

/// Answers one call, or refuses it. Time passes elsewhere.
fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let input = &call.input;
    match call.operation.as_str() {
        "GetApplication" => resources::get_application(world, input),
        "ListApplications" => resources::list_applications(world, input),
        "GetEnvironment" => resources::get_environment(world, input),
        "ListEnvironments" => resources::list_environments(world, input),
        "GetConfigurationProfile" => resources::get_profile(world, input),
        "ListConfigurationProfiles" => resources::list_profiles(world, input),
        "GetDeploymentStrategy" => resources::get_strategy(world, input),
        "ListDeploymentStrategies" => resources::list_strategies(world, input),
        "CreateHostedConfigurationVersion" => hosted::create_version(world, input, now),
        "GetHostedConfigurationVersion" => hosted::get_version(world, input),
        "ListHostedConfigurationVersions" => hosted::list_versions(world, input),
        "StartDeployment" => deployments::start_deployment(world, input, now),
        "GetDeployment" => deployments::get_deployment(world, input),
        "ListDeployments" => deployments::list_deployments(world, input),
        "StopDeployment" => deployments::stop_deployment(world, input, now),
        _ => Err(unsupported_operation(call)),
    }
}

/// `Items` of a page, and the token of the next.
fn list_page(input: &Value, items: Vec<Value>) -> ServiceResult {
    let size = count_field(input, "MaxResults").unwrap_or(50).min(50);
    let (items, next) = paginate(items, size, str_field(input, "NextToken"))
        .ok_or_else(|| bad_request("The pagination token is invalid"))?;
    Ok(json!({ "Items": items, "NextToken": next }))
}

fn not_found(kind: &str, id: &str) -> ServiceError {
    let mut refusal =
        ServiceError::with_status(404, "ResourceNotFoundException", format!("{kind} {id} was not found"));
    let members = [("ResourceName".to_owned(), Value::from(kind))].into_iter().collect();
    refusal.details = Some(Box::new(ErrorDetails { members, ..ErrorDetails::default() }));
    refusal
}

fn bad_request(message: impl Into<String>) -> ServiceError {
    ServiceError::with_status(400, "BadRequestException", message)
}

fn conflict(message: impl Into<String>) -> ServiceError {
    ServiceError::with_status(409, "ConflictException", message)
}
