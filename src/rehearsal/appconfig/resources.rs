//! Applications, environments, configuration profiles and deployment strategies: found by id or name, shown and listed.

use serde_json::{Value, json};

use super::super::call::{Answer, Refusal};
use super::super::members::text;
use super::super::world::World;
use super::state::{Application, Environment, Profile, State, Strategy};
use super::{listed, missing};

/// The application that the input names, by its place.
pub(super) fn find_application(state: &State, input: &Value) -> Result<usize, Refusal> {
    let wanted = text(input, "ApplicationId");
    let found = state.applications.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| missing("Application", wanted))
}

/// The environment of an application that the input names, by its place.
pub(super) fn find_environment(application: &Application, input: &Value) -> Result<usize, Refusal> {
    let wanted = text(input, "EnvironmentId");
    let found = application.environments.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| missing("Environment", wanted))
}

/// The profile of an application that the input names, by its place.
pub(super) fn find_profile(application: &Application, input: &Value) -> Result<usize, Refusal> {
    let wanted = text(input, "ConfigurationProfileId");
    let found = application.profiles.iter().position(|it| it.id == wanted || it.name == wanted);
    found.ok_or_else(|| missing("ConfigurationProfile", wanted))
}

/// The strategy that the input names.
pub(super) fn find_strategy<'s>(state: &'s State, input: &Value) -> Result<&'s Strategy, Refusal> {
    let wanted = text(input, "DeploymentStrategyId");
    state.strategies.iter().find(|it| it.id == wanted).ok_or_else(|| missing("DeploymentStrategy", wanted))
}

/// GetApplication.
pub(super) fn application(world: &World, input: &Value) -> Answer {
    let at = find_application(&world.appconfig, input)?;
    Ok(shown(&world.appconfig.applications[at]))
}

/// ListApplications.
pub(super) fn applications(world: &World, input: &Value) -> Answer {
    listed(input, world.appconfig.applications.iter().map(shown).collect())
}

fn shown(application: &Application) -> Value {
    json!({ "Id": application.id, "Name": application.name })
}

/// GetEnvironment.
pub(super) fn environment(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let at = find_environment(application, input)?;
    Ok(environment_of(world, application, &application.environments[at]))
}

/// ListEnvironments.
pub(super) fn environments(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let each = application.environments.iter().map(|it| environment_of(world, application, it));
    listed(input, each.collect())
}

fn environment_of(world: &World, application: &Application, it: &Environment) -> Value {
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
pub(super) fn profile(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let it = &application.profiles[find_profile(application, input)?];
    Ok(profile_of(application, it))
}

/// ListConfigurationProfiles.
pub(super) fn profiles(world: &World, input: &Value) -> Answer {
    let application = &world.appconfig.applications[find_application(&world.appconfig, input)?];
    let kind = text(input, "Type");
    let wanted = application.profiles.iter().filter(|it| kind.is_empty() || it.kind == kind);
    listed(input, wanted.map(|it| profile_of(application, it)).collect())
}

fn profile_of(application: &Application, it: &Profile) -> Value {
    json!({
        "ApplicationId": application.id, "Id": it.id, "Name": it.name,
        "LocationUri": it.location, "Type": it.kind,
    })
}

/// GetDeploymentStrategy.
pub(super) fn strategy(world: &World, input: &Value) -> Answer {
    find_strategy(&world.appconfig, input).map(strategy_of)
}

/// ListDeploymentStrategies.
pub(super) fn strategies(world: &World, input: &Value) -> Answer {
    listed(input, world.appconfig.strategies.iter().map(strategy_of).collect())
}

fn strategy_of(it: &Strategy) -> Value {
    json!({
        "Id": it.id, "Name": it.name, "DeploymentDurationInMinutes": it.minutes, "GrowthType": it.growth,
        "GrowthFactor": it.factor, "FinalBakeTimeInMinutes": it.bake, "ReplicateTo": "NONE",
    })
}
