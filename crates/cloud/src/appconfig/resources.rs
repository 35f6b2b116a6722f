//! Applications, environments, configuration profiles and deployment strategies: found by id or name, shown and listed.

use serde_json::{Value, json};

use super::super::input::str_field;
use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::state::{
    AppConfigApplication, AppConfigEnvironment, AppConfigProfile, AppConfigState, AppConfigStrategy,
};
use super::{list_page, not_found};

/// The application that the input names, by its place.
pub(super) fn find_application(state: &AppConfigState, input: &Value) -> Result<usize, ServiceError> {
    let wanted = str_field(input, "ApplicationId");
    let found = state.applications.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| not_found("Application", wanted))
}

/// The environment of an application that the input names, by its place.
pub(super) fn find_environment(
    application: &AppConfigApplication,
    input: &Value,
) -> Result<usize, ServiceError> {
    let wanted = str_field(input, "EnvironmentId");
    let found = application.environments.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| not_found("Environment", wanted))
}

/// The profile of an application that the input names, by its place.
pub(super) fn find_profile(application: &AppConfigApplication, input: &Value) -> Result<usize, ServiceError> {
    let wanted = str_field(input, "ConfigurationProfileId");
    let found = application.profiles.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| not_found("ConfigurationProfile", wanted))
}

/// The strategy that the input names.
pub(super) fn find_strategy<'s>(
    state: &'s AppConfigState,
    input: &Value,
) -> Result<&'s AppConfigStrategy, ServiceError> {
    let wanted = str_field(input, "DeploymentStrategyId");
    state.strategies.iter().find(|it| it.id == wanted).ok_or_else(|| not_found("DeploymentStrategy", wanted))
}

/// GetApplication.
pub(super) fn get_application(world: &World, input: &Value) -> ServiceResult {
    let at = find_application(&world.appconfig, input)?;
    Ok(application_json(&world.appconfig.applications[at]))
}

/// ListApplications.
pub(super) fn list_applications(world: &World, input: &Value) -> ServiceResult {
    list_page(input, world.appconfig.applications.iter().map(application_json).collect())
}

fn application_json(application: &AppConfigApplication) -> Value {
    json!({ "Id": application.id, "Name": application.name })
}

/// GetEnvironment.
pub(super) fn get_environment(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let at = find_environment(application, input)?;
    Ok(environment_json(world, application, &application.environments[at]))
}

/// ListEnvironments.
pub(super) fn list_environments(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let each = application.environments.iter().map(|it| environment_json(world, application, it));
    list_page(input, each.collect())
}

fn environment_json(world: &World, application: &AppConfigApplication, it: &AppConfigEnvironment) -> Value {
    let state = match it.deployments.last().map_or("COMPLETE", |last| last.state) {
        "DEPLOYING" | "BAKING" | "VALIDATING" => "DEPLOYING",
        "ROLLING_BACK" => "ROLLING_BACK",
        "ROLLED_BACK" => "ROLLED_BACK",
        "REVERTED" => "REVERTED",
        _ => "READY_FOR_DEPLOYMENT",
    };
    let monitors = it.monitors.iter().map(|name| json!({ "AlarmArn": alarm_arn(world, name) }));
    json!({
        "ApplicationId": application.id, "Id": it.id, "Name": it.name, "State": state,
        "Monitors": monitors.collect::<Vec<_>>(),
    })
}

/// The ARN of an alarm of this account.
pub(super) fn alarm_arn(world: &World, name: &str) -> String {
    format!("arn:aws:cloudwatch:{}:{}:alarm:{name}", world.region, world.account)
}

/// GetConfigurationProfile.
pub(super) fn get_profile(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let it = &application.profiles[find_profile(application, input)?];
    Ok(profile_json(application, it))
}

/// ListConfigurationProfiles.
pub(super) fn list_profiles(world: &World, input: &Value) -> ServiceResult {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let kind = str_field(input, "Type");
    let wanted = application.profiles.iter().filter(|it| kind.is_empty() || it.profile_type == kind);
    list_page(input, wanted.map(|it| profile_json(application, it)).collect())
}

fn profile_json(application: &AppConfigApplication, it: &AppConfigProfile) -> Value {
    json!({
        "ApplicationId": application.id, "Id": it.id, "Name": it.name,
        "LocationUri": it.location, "Type": it.profile_type,
    })
}

/// GetDeploymentStrategy.
pub(super) fn get_strategy(world: &World, input: &Value) -> ServiceResult {
    find_strategy(&world.appconfig, input).map(strategy_json)
}

/// ListDeploymentStrategies.
pub(super) fn list_strategies(world: &World, input: &Value) -> ServiceResult {
    list_page(input, world.appconfig.strategies.iter().map(strategy_json).collect())
}

fn strategy_json(it: &AppConfigStrategy) -> Value {
    json!({
        "Id": it.id, "Name": it.name, "DeploymentDurationInMinutes": it.duration_minutes, "GrowthType": it.growth_type,
        "GrowthFactor": it.growth_factor, "FinalBakeTimeInMinutes": it.bake_minutes, "ReplicateTo": "NONE",
    })
}
