//! Reads the deploy file for a rollback: what a rollback does not need is a warning, and a service that cannot be read is
//! refused alone.

use crate::config::{self, DeployFile, Environment, EnvironmentSelection};
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::prepare::config_source::{initial_credential_urls, read_config_text, requested_services};
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::run_config::{DeclaredService, EarlyExit, RefusedService, RunConfig};
use crate::run::{event, notify_settings};
use crate::targets;

/// The deploy file, the environment, and the services that can be read; no call is made.
pub(super) fn load_restorable(ctx: &RunContext, environment: Option<&str>) -> Result<RunConfig, EarlyExit> {
    let none = |problems| EarlyExit::Invalid(None, problems);
    let (file, text) = read_config_text(ctx).map_err(|problem| none(vec![problem]))?;
    let (document, mut warnings) = DeployFile::parse_restorable(&file, &text).map_err(none)?;
    let (name, environment, more) = choose_environment(ctx, &document, environment)?;
    warnings.extend(more);
    warnings.extend(document.read_atomic().1);
    let known = run_placeholders(ctx, &name);
    let (notify, more) = document.notify_settings(&name, &environment, &known);
    warnings.extend(more);
    warnings.extend(notify_settings::missing_variables(ctx, &notify));
    let (registries, more) = document.registries(&known);
    warnings.extend(more);
    let wanted = requested_services(ctx);
    let (services, more) = document.restorable_services(&name, &wanted, &targets::keys(ctx.kinds), &known);
    let (specs, unreadable) = targets::read_specs(ctx.kinds, &file, services);
    let (errors, more): (Vec<Problem>, Vec<Problem>) =
        more.into_iter().chain(unreadable).partition(Problem::is_error);
    let (of_services, errors): (Vec<Problem>, Vec<Problem>) =
        errors.into_iter().partition(|problem| problem.service.is_some());
    let warnings: Vec<Problem> = warnings.into_iter().chain(more).map(Problem::into_warning).collect();
    let mut problems = [errors, ignored_notice(&warnings).into_iter().collect(), warnings].concat();
    if specs.is_empty() {
        problems = [of_services.clone(), problems].concat();
    }
    let plain = |service| DeclaredService { service, build: None, containers: Vec::new(), definition: None };
    Ok(RunConfig {
        document,
        environment_name: name,
        environment,
        services: specs.into_iter().map(plain).collect(),
        refused: RefusedService::from_problems(of_services),
        notify,
        registries,
        atomic: false,
        credential_urls: initial_credential_urls(ctx),
        problems,
    })
}

/// The name and the settings of the environment, with what is wrong beside it.
fn choose_environment(
    ctx: &RunContext,
    document: &DeployFile,
    named: Option<&str>,
) -> Result<(String, Environment, Vec<Problem>), EarlyExit> {
    let (environments, mut problems) = document.environments();
    let branch = event::event_decision(ctx).branch;
    let ambiguous = document.ambiguous_branch(branch);
    let name = match config::select_environment(&environments, named, branch) {
        Ok(EnvironmentSelection::Environment(name)) if named.is_some() || ambiguous.is_empty() => name,
        Ok(EnvironmentSelection::NoEnvironment(reason)) if problems.is_empty() && ambiguous.is_empty() => {
            return Err(EarlyExit::Skipped(reason));
        }
        choice => {
            let is_new = |problem: &Problem| ambiguous.iter().all(|known| known.code != problem.code);
            let new = choice.err().filter(is_new);
            return Err(EarlyExit::Invalid(None, [problems, ambiguous, Vec::from_iter(new)].concat()));
        }
    };
    let environment = match problems.is_empty() {
        true => environments.get(&name).cloned().unwrap_or_default(),
        false => document
            .restorable_environment(&name)
            .map_err(|errors| EarlyExit::Invalid(Some(name.clone()), errors))?,
    };
    problems.extend(ambiguous);
    Ok((name, environment, problems))
}

/// Says once why errors of the deploy file are warnings here.
fn ignored_notice(warnings: &[Problem]) -> Option<Problem> {
    let is_of_file = |problem: &&Problem| problem.location.is_some();
    warnings.iter().find(is_of_file).map(|_| {
        let sentence =
            "The deploy file has errors that this rollback does not need, so it continues without them.";
        Problem::notice(Code::ConfigInvalid, sentence).help("Correct them before the next deployment.")
    })
}
