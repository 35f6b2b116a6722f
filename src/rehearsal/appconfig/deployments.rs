//! Deployments: one at a time in an environment; started, looked at, listed, stopped and reverted
//! (<https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_StopDeployment.html>).

use serde_json::{Value, json};

use super::super::call::{Answer, Refusal};
use super::super::members::{count, text};
use super::super::mishaps;
use super::super::world::World;
use super::resources::{find_application, find_environment, find_profile, find_strategy};
use super::state::{Application, Deployment, Environment, Logged};
use super::{bad, conflict, course, listed, missing};

/// How long after its end a deployment can be reverted: 72 hours.
const REVERTIBLE: f64 = 72.0 * 3600.0;

/// StartDeployment.
pub(super) fn start(world: &mut World, input: &Value, now: f64) -> Answer {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let place = find_environment(application, input)?;
    let strategy = find_strategy(&world.appconfig, input)?.clone();
    let profile = find_profile(application, input)?;
    let version = version(application, profile, text(input, "ConfigurationVersion"))?;
    free(&application.environments[place], input)?;
    let mut it = Deployment {
        profile,
        version,
        strategy,
        description: input["Description"].as_str().map(str::to_owned),
        state: "DEPLOYING",
        percent: 1.0,
        started: now,
        completed: None,
        events: Vec::new(),
    };
    it.note("DEPLOYMENT_STARTED", "USER", "Deployment started", now);
    let deployments = &mut world.appconfig.applications[at].environments[place].deployments;
    deployments.push(it);
    let number = deployments.len();
    mishaps::first_deployment(world, None, now);
    course::begin(world, (at, place, number - 1), now);
    shown(world, (at, place, number))
}

/// A hosted version by number or label.
fn version(application: &Application, profile: usize, wanted: &str) -> Result<usize, Refusal> {
    let versions = &application.profiles[profile].versions;
    let by_label = || versions.iter().rposition(|it| it.label.as_deref() == Some(wanted)).map(|at| at + 1);
    let found = wanted.parse::<usize>().ok().or_else(by_label);
    found
        .filter(|number| (1..=versions.len()).contains(number))
        .ok_or_else(|| missing("HostedConfigurationVersion", wanted))
}

/// Nothing is in flight, and the last deployment is the one that the caller knows.
fn free(environment: &Environment, input: &Value) -> Result<(), Refusal> {
    let last = environment.deployments.len();
    if environment.deployments.last().is_some_and(Deployment::in_flight) {
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
pub(super) fn get(world: &World, input: &Value) -> Answer {
    let place = find(world, input)?;
    shown(world, place)
}

fn find(world: &World, input: &Value) -> Result<(usize, usize, usize), Refusal> {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let place = find_environment(application, input)?;
    let number = count(input, "DeploymentNumber").unwrap_or_default();
    let exists = (1..=application.environments[place].deployments.len()).contains(&number);
    if exists { Ok((at, place, number)) } else { Err(missing("Deployment", &number.to_string())) }
}

/// ListDeployments, newest first.
pub(super) fn list(world: &World, input: &Value) -> Answer {
    let at = find_application(&world.appconfig, input)?;
    let application = &world.appconfig.applications[at];
    let environment = &application.environments[find_environment(application, input)?];
    let all = environment.deployments.iter().enumerate().rev();
    listed(input, all.map(|(index, it)| summary(application, it, index + 1)).collect())
}

/// StopDeployment. What is in progress rolls back; what is complete is reverted, where that is allowed and recent.
pub(super) fn stop(world: &mut World, input: &Value, now: f64) -> Answer {
    let (at, place, number) = find(world, input)?;
    let revert = input["AllowRevert"].as_bool().unwrap_or_default();
    let environment = &world.appconfig.applications[at].environments[place];
    let it = &environment.deployments[number - 1];
    match it.state {
        "DEPLOYING" => {}
        "BAKING" | "VALIDATING" if revert => {}
        "COMPLETE" if revert => return reverted(world, (at, place, number), now),
        state => return Err(bad(format!("Deployment cannot be stopped in the state {state}"))),
    }
    course::roll_back(world, (at, place, number - 1), "USER", "Rollback initiated by user", now);
    shown(world, (at, place, number))
}

fn reverted(world: &mut World, (at, place, number): (usize, usize, usize), now: f64) -> Answer {
    let environment = &mut world.appconfig.applications[at].environments[place];
    let it = &environment.deployments[number - 1];
    let older = environment.deployments[..number - 1].iter();
    let before = older.filter(|other| other.profile == it.profile && other.state == "COMPLETE").count();
    if before == 0 {
        return Err(bad("There is no earlier configuration to revert to"));
    }
    if it.completed.is_none_or(|ended| now - ended > REVERTIBLE) {
        return Err(bad("Deployment completed more than 72 hours ago and cannot be reverted"));
    }
    let it = &mut environment.deployments[number - 1];
    it.state = "REVERTED";
    it.note("REVERT_COMPLETED", "USER", "Deployment reverted", now);
    shown(world, (at, place, number))
}

fn shown(world: &World, (at, place, number): (usize, usize, usize)) -> Answer {
    let application = &world.appconfig.applications[at];
    let environment = &application.environments[place];
    let it = &environment.deployments[number - 1];
    let mut all = summary(application, it, number);
    all["ApplicationId"] = application.id.clone().into();
    all["EnvironmentId"] = environment.id.clone().into();
    all["DeploymentStrategyId"] = it.strategy.id.clone().into();
    all["ConfigurationLocationUri"] = application.profiles[it.profile].location.clone().into();
    all["Description"] = json!(it.description);
    all["EventLog"] = it.events.iter().rev().map(event).collect();
    if let Some(members) = all.as_object_mut() {
        members.remove("Type");
    }
    Ok(all)
}

fn event(it: &Logged) -> Value {
    json!({ "EventType": it.kind, "TriggeredBy": it.by, "Description": it.words, "OccurredAt": it.at })
}

fn summary(application: &Application, it: &Deployment, number: usize) -> Value {
    let profile = &application.profiles[it.profile];
    let label = profile.versions.get(it.version - 1).and_then(|version| version.label.clone());
    json!({
        "DeploymentNumber": number, "ConfigurationProfileId": profile.id, "ConfigurationName": profile.name,
        "ConfigurationVersion": it.version.to_string(), "VersionLabel": label, "Type": "USER",
        "DeploymentDurationInMinutes": it.strategy.minutes, "GrowthType": it.strategy.growth,
        "GrowthFactor": it.strategy.factor, "FinalBakeTimeInMinutes": it.strategy.bake, "State": it.state,
        "PercentageComplete": it.percent, "StartedAt": it.started, "CompletedAt": it.completed,
    })
}
