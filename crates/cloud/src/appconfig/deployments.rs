//! Deployments: one at a time in an environment; started, looked at, listed, stopped and reverted
//! (<https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_StopDeployment.html>).

use serde_json::{Value, json};

use super::super::input::{count_field, str_field};
use super::super::request::{ServiceError, ServiceResult};
use super::super::timed_faults;
use super::super::world::World;
use super::resources::{find_application, find_environment, find_profile, find_strategy};
use super::state::{AppConfigApplication, AppConfigDeployment, AppConfigEnvironment, DeploymentLogEntry};
use super::{bad_request, conflict, list_page, not_found, progress};

/// How long after its end a deployment can be reverted: 72 hours.
const REVERT_WINDOW: f64 = 72.0 * 3600.0;

/// StartDeployment.
pub(super) fn start_deployment(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let place = find_environment(application, input)?;
    let strategy = find_strategy(&world.appconfig, input)?.clone();
    let profile = find_profile(application, input)?;
    let version = resolve_version(application, profile, str_field(input, "ConfigurationVersion"))?;
    check_can_start(&application.environments[place], input)?;
    let mut it = AppConfigDeployment {
        profile,
        version,
        strategy,
        description: input["Description"].as_str().map(str::to_owned),
        state: "DEPLOYING",
        percent: 1.0,
        started_at: now,
        completed_at: None,
        event_log: Vec::new(),
    };
    it.log_event("DEPLOYMENT_STARTED", "USER", "Deployment started", now);
    let deployments = &mut world.appconfig.applications[at].environments[place].deployments;
    deployments.push(it);
    let number = deployments.len();
    timed_faults::on_first_deployment(world, now);
    progress::schedule_progress(world, (at, place, number - 1), now);
    deployment_json(world, (at, place, number))
}

/// A hosted version by number or label.
fn resolve_version(
    application: &AppConfigApplication,
    profile: usize,
    wanted: &str,
) -> Result<usize, ServiceError> {
    let versions = &application.profiles[profile].versions;
    let by_label = || versions.iter().rposition(|it| it.label.as_deref() == Some(wanted)).map(|at| at + 1);
    let found = wanted.parse::<usize>().ok().or_else(by_label);
    found
        .filter(|number| (1..=versions.len()).contains(number))
        .ok_or_else(|| not_found("HostedConfigurationVersion", wanted))
}

/// Nothing is in flight, and the last deployment is the one that the caller knows.
fn check_can_start(environment: &AppConfigEnvironment, input: &Value) -> Result<(), ServiceError> {
    let last = environment.deployments.len();
    if environment.deployments.last().is_some_and(AppConfigDeployment::is_in_flight) {
        return Err(conflict(format!("Deployment number {last} is in progress")));
    }
    match input["LatestDeploymentNumber"].as_u64() {
        Some(known) if known != last as u64 => {
            Err(conflict(format!("Deployment number {last} already exists")))
        }
        _ => Ok(()),
    }
}

/// GetDeployment.
pub(super) fn get_deployment(world: &World, input: &Value) -> ServiceResult {
    let place = find_deployment(world, input)?;
    deployment_json(world, place)
}

fn find_deployment(world: &World, input: &Value) -> Result<(usize, usize, usize), ServiceError> {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let place = find_environment(application, input)?;
    let number = count_field(input, "DeploymentNumber").unwrap_or_default();
    let exists = (1..=application.environments[place].deployments.len()).contains(&number);
    if exists { Ok((at, place, number)) } else { Err(not_found("Deployment", &number.to_string())) }
}

/// ListDeployments, newest first.
pub(super) fn list_deployments(world: &World, input: &Value) -> ServiceResult {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let environment = &application.environments[find_environment(application, input)?];
    let all = environment.deployments.iter().enumerate().rev();
    list_page(input, all.map(|(index, it)| summary_json(application, it, index + 1)).collect())
}

/// StopDeployment. What is in progress rolls back; what is complete is reverted, where that is allowed and recent.
pub(super) fn stop_deployment(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    let (at, place, number) = find_deployment(world, input)?;
    let revert = input["AllowRevert"].as_bool().unwrap_or_default();
    let environment = &world.appconfig.applications[at].environments[place];
    let it = &environment.deployments[number - 1];
    match it.state {
        "DEPLOYING" => {}
        "BAKING" | "VALIDATING" if revert => {}
        "COMPLETE" if revert => return revert_deployment(world, (at, place, number), now),
        state => return Err(bad_request(format!("Deployment cannot be stopped in the state {state}"))),
    }
    progress::roll_back(world, (at, place, number - 1), "USER", "Rollback initiated by user", now);
    deployment_json(world, (at, place, number))
}

fn revert_deployment(
    world: &mut World,
    (at, place, number): (usize, usize, usize),
    now: f64,
) -> ServiceResult {
    let environment = &mut world.appconfig.applications[at].environments[place];
    let it = &environment.deployments[number - 1];
    let older = environment.deployments[..number - 1].iter();
    let before = older.filter(|other| other.profile == it.profile && other.state == "COMPLETE").count();
    if before == 0 {
        return Err(bad_request("There is no earlier configuration to revert to"));
    }
    if it.completed_at.is_none_or(|ended| now - ended > REVERT_WINDOW) {
        return Err(bad_request("Deployment completed more than 72 hours ago and cannot be reverted"));
    }
    let it = &mut environment.deployments[number - 1];
    it.state = "REVERTED";
    it.log_event("REVERT_COMPLETED", "USER", "Deployment reverted", now);
    deployment_json(world, (at, place, number))
}

fn deployment_json(world: &World, (at, place, number): (usize, usize, usize)) -> ServiceResult {
    let application = &world.appconfig.applications[at];
    let environment = &application.environments[place];
    let it = &environment.deployments[number - 1];
    let mut all = summary_json(application, it, number);
    all["ApplicationId"] = application.id.clone().into();
    all["EnvironmentId"] = environment.id.clone().into();
    all["DeploymentStrategyId"] = it.strategy.id.clone().into();
    all["ConfigurationLocationUri"] = application.profiles[it.profile].location.clone().into();
    all["Description"] = json!(it.description);
    all["EventLog"] = it.event_log.iter().rev().map(log_entry_json).collect();
    if let Some(members) = all.as_object_mut() {
        members.remove("Type");
    }
    Ok(all)
}

fn log_entry_json(it: &DeploymentLogEntry) -> Value {
    json!({ "EventType": it.event_type, "TriggeredBy": it.triggered_by, "Description": it.description, "OccurredAt": it.occurred_at })
}

fn summary_json(application: &AppConfigApplication, it: &AppConfigDeployment, number: usize) -> Value {
    let profile = &application.profiles[it.profile];
    let label = profile.versions.get(it.version - 1).and_then(|version| version.label.clone());
    json!({
        "DeploymentNumber": number, "ConfigurationProfileId": profile.id, "ConfigurationName": profile.name,
        "ConfigurationVersion": it.version.to_string(), "VersionLabel": label, "Type": "USER",
        "DeploymentDurationInMinutes": it.strategy.duration_minutes, "GrowthType": it.strategy.growth_type,
        "GrowthFactor": it.strategy.growth_factor, "FinalBakeTimeInMinutes": it.strategy.bake_minutes, "State": it.state,
        "PercentageComplete": it.percent, "StartedAt": it.started_at, "CompletedAt": it.completed_at,
    })
}
