//! The world of a rehearsal: every service of the deploy file runs in it, as the deploy file says.

use jiff::Timestamp;

use crate::config::{DeployFile, Environment, Placeholders, Service};
use crate::problem::Problem;
use crate::targets;
use roadstead_cloud::scenario::{AlarmSetting, RepositorySetting, Scenario};

use super::worlds::{SeedContext, seed_all};
use super::{Rehearsal, sites};

pub(super) const COMMIT: &str = "c0ffee1234567890c0ffee1234567890c0ffee12";

/// When a scenario begins.
pub fn start_time(scenario: &Scenario) -> Result<Timestamp, String> {
    Timestamp::from_microsecond((scenario.start_time()? * 1e6) as i64).map_err(|error| error.to_string())
}

/// An environment of the deploy file, with what of it exists in a rehearsal.
pub(super) struct DeclaredEnvironment {
    /// Its name.
    pub(super) name: String,
    /// Its block.
    pub(super) environment: Environment,
    /// Its services.
    pub(super) services: Vec<Service>,
    /// The topics that it notifies.
    topics: Vec<String>,
}

/// The environment with this name; the first of the file where none is named.
pub(super) fn declared_environment(
    rehearsal: &Rehearsal,
    name: Option<&str>,
) -> Result<DeclaredEnvironment, String> {
    let (file, text) = &rehearsal.config;
    let document = DeployFile::parse(file, text).map_err(|problems| format_problems(&problems))?;
    let (environments, mut problems) = document.environments();
    let first = || environments.keys().next().cloned();
    let name = name.map(str::to_owned).or_else(first).ok_or("the deploy file has no environment")?;
    let known = placeholders(&name);
    let (services, more) = document.services(&name, &[], &targets::keys(targets::KINDS), &known);
    problems.extend(more);
    if !problems.is_empty() {
        return Err(format_problems(&problems));
    }
    let environment = environments.get(&name).cloned().unwrap_or_default();
    let (notify, _) = document.notify_settings(&name, &environment, &known);
    let topics = notify.sns.map(|topic| topic.arn().to_owned()).into_iter().collect();
    Ok(DeclaredEnvironment { name, environment, services, topics })
}

/// The environment to rehearse, and the scenario's world with every service of the deploy file in it.
pub fn build_scenario(rehearsal: &Rehearsal) -> Result<(String, Scenario), String> {
    let target = declared_environment(rehearsal, rehearsal.environment.as_deref())?;
    let scenario = scenario_of(rehearsal, &target, None)?;
    Ok((target.name, scenario))
}

/// The scenario's world with the services of an environment, and with those of the one `beside` it.
pub(super) fn scenario_of(
    rehearsal: &Rehearsal,
    target: &DeclaredEnvironment,
    beside: Option<&DeclaredEnvironment>,
) -> Result<Scenario, String> {
    let aws = target.environment.aws.clone().unwrap_or_default();
    let mut scenario = rehearsal.source.base_scenario();
    scenario.region = aws.region.unwrap_or(scenario.region);
    scenario.account = aws.account.unwrap_or(scenario.account);
    let scenario = seed_environment(rehearsal, scenario, target)?;
    let mut scenario = beside
        .into_iter()
        .try_fold(scenario, |scenario, environment| seed_environment(rehearsal, scenario, environment))?;
    seed_repositories(&mut scenario, [Some(target), beside].into_iter().flatten());
    rehearsal.source.apply(scenario)
}

/// The repositories in ECR of the deploy file exist. One with the name of a service has the image that the service runs unless
/// the scenario names another.
fn seed_repositories<'d>(
    scenario: &mut Scenario,
    environments: impl Iterator<Item = &'d DeclaredEnvironment>,
) {
    for service in environments.flat_map(|declared| &declared.services) {
        let Some(name) = service.config.ecr_repository() else { continue };
        let is_running = scenario.services.iter().any(|running| running.name == name);
        scenario.repositories.entry(name.to_owned()).or_insert_with(|| match is_running {
            true => RepositorySetting::with_image("v1"),
            false => RepositorySetting::default(),
        });
    }
}

fn seed_environment(
    rehearsal: &Rehearsal,
    mut scenario: Scenario,
    declared: &DeclaredEnvironment,
) -> Result<Scenario, String> {
    let services = &declared.services;
    scenario.sites.extend(services.iter().flat_map(sites::check_sites));
    scenario.topics.extend(declared.topics.iter().cloned());
    for alarm in services.iter().flat_map(|service| &service.config.alarms) {
        let there = scenario.alarms.iter().any(|have| have.name == *alarm);
        scenario.alarms.extend((!there).then(|| AlarmSetting::in_ok_state(alarm)));
    }
    let own = rehearsal.variables.get("GITHUB_REPOSITORY").cloned();
    let own = own.unwrap_or_else(|| scenario.workflow.repository.clone());
    let context = SeedContext { workspace: &rehearsal.workspace, repository: &own };
    seed_all(scenario, services, &context)
}

/// The values of placeholders in a rehearsal.
pub(super) fn placeholders(environment: &str) -> Placeholders {
    [
        ("environment", environment.to_owned()),
        ("branch", "main".into()),
        ("sha", COMMIT.into()),
        ("short-sha", COMMIT[..7].into()),
    ]
    .into()
}

pub(super) fn format_problems(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match &problem.location {
        Some(at) => format!("{}:{}:{}: {problem}", at.file, at.line, at.column),
        None => problem.to_string(),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
