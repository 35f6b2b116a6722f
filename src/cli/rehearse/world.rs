//! The world of a rehearsal: every service of the deploy file runs in it, as the deploy file says.

use std::path::Path;

use jiff::Timestamp;

use crate::config::{self, Document, Placeholders, tree};
use crate::problem::Problem;
use crate::rehearsal::scenario::{AlarmSetting, Scenario, Service};
use crate::sys::disk;
use crate::targets;

use super::{Rehearsal, addresses, flags, manifests};

pub(super) const COMMIT: &str = "c0ffee1234567890c0ffee1234567890c0ffee12";

/// When a scenario begins.
pub fn start(scenario: &Scenario) -> Result<Timestamp, String> {
    Timestamp::from_microsecond((scenario.began()? * 1e6) as i64).map_err(|error| error.to_string())
}

/// The environment to rehearse, and the scenario's world with every service of the deploy file in it.
pub fn world(rehearsal: &Rehearsal) -> Result<(String, Scenario), String> {
    let (file, text) = &rehearsal.config;
    let document = Document::parse(file, text).map_err(|problems| words(&problems))?;
    let (environments, mut problems) = document.environments();
    let first = || environments.keys().next().cloned();
    let name = rehearsal.environment.clone().or_else(first).ok_or("the deploy file has no environment")?;
    let aws = environments.get(&name).and_then(|environment| environment.aws.clone()).unwrap_or_default();
    let mut scenario = rehearsal.story.begin();
    scenario.region = aws.region.unwrap_or(scenario.region);
    scenario.account = aws.account.unwrap_or(scenario.account);
    let known: Placeholders = [
        ("environment", name.clone()),
        ("branch", "main".into()),
        ("sha", COMMIT.into()),
        ("short-sha", COMMIT[..7].into()),
    ]
    .into();
    let (services, more) = document.services(&name, &[], targets::NAMES, &known);
    problems.extend(more);
    if !problems.is_empty() {
        return Err(words(&problems));
    }
    for service in &services {
        let Some(running) = running(&rehearsal.workspace, service)? else { continue };
        let there =
            scenario.services.iter().any(|have| have.cluster == running.cluster && have.name == running.name);
        let twin = twin(service);
        scenario = if there { scenario } else { scenario.with_service(running.clone()) };
        // The second service of a pair, with the rule that the file names.
        if let Some((name, rule)) = twin {
            scenario = scenario.with_twin(&running, &name, Some(rule));
        }
    }
    scenario.sites.extend(services.iter().flat_map(addresses::sites));
    let environment = environments.get(&name).cloned().unwrap_or_default();
    let (notify, _) = document.notify(&name, &environment, &known);
    scenario.topics.extend(notify.sns.map(|topic| topic.arn().to_owned()));
    for alarm in services.iter().flat_map(|service| &service.common.alarms) {
        let there = scenario.alarms.iter().any(|have| have.name == *alarm);
        scenario.alarms.extend((!there).then(|| AlarmSetting::quiet(alarm)));
    }
    let own = rehearsal.variables.get("GITHUB_REPOSITORY").cloned();
    let own = own.unwrap_or_else(|| scenario.workflow.repository.clone());
    let scenario = flags::with_flags(scenario, &services, &rehearsal.workspace)?;
    let scenario = manifests::with_gitops(scenario, &services, &rehearsal.workspace, &own)?;
    Ok((name, rehearsal.story.happen(scenario)?))
}

/// The service as it runs before the rehearsal: with the user's own task definition where there is one.
fn running(workspace: &Path, service: &config::Service) -> Result<Option<Service>, String> {
    let word =
        |key: &str| service.settings.get(key).and_then(|node| node.to_value().as_str().map(str::to_owned));
    if [manifests::TARGET, flags::TARGET].contains(&service.target.as_str()) {
        return Ok(None);
    }
    let (Some(cluster), Some(name)) = (word("cluster"), word("service")) else { return Ok(None) };
    let mut running = Service::named(cluster, name);
    running.container = word("container").unwrap_or(running.container);
    if let Some(path) = word("task-definition") {
        let text = disk::read_text(&workspace.join(&path)).map_err(|error| format!("{error:#}"))?;
        let tree = tree::parse(&path, &text).map_err(|problem| problem.to_string())?.to_value();
        running.task_definition = Some(tree.get("taskDefinition").cloned().unwrap_or(tree));
    }
    Ok(Some(running))
}

/// The second service of a pair, and the rule in front of both.
fn twin(service: &config::Service) -> Option<(String, String)> {
    let pair = service.settings.get("pair")?.to_value();
    let word = |key: &str| pair[key].as_str().map(str::to_owned);
    word("service").zip(word("rule"))
}

pub(super) fn words(problems: &[Problem]) -> String {
    let line = |problem: &Problem| match &problem.at {
        Some(at) => format!("{}:{}:{}: {problem}", at.file, at.line, at.column),
        None => problem.to_string(),
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}
