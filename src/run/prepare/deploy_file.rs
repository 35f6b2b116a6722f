//! Reads the deploy file for a run and collects its problems, before the first call.

use std::ops::Deref;
use std::path::Path;

use crate::action::Operation;
use crate::config;
use crate::config::{DeployFile, EnvironmentSelection, NotifySettings, Service};
use crate::image::Build;
use crate::problem::{Code, Problem};
use crate::release::DefinitionFile;
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::config_source::{
    initial_credential_urls, is_unmerged, read_config_text, requested_services,
};
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::prepare::{containers, missing_file, promote, restorable_file, set_env};
use crate::run::run_config::{DeclaredService, EarlyExit, RunConfig};
use crate::run::{event, notify_settings, time_budget};
use crate::sys::disk;
use crate::targets::{self, ServiceSpec, SourceFile};

/// As [`load_config`], for the environment that the main step selected.
pub(in crate::run) fn for_environment(
    ctx: &RunContext,
    environment: &str,
) -> Result<RunConfig, Vec<Problem>> {
    match load_config_for(ctx, Some(environment)) {
        Ok(config) if config.has_errors() => Err(config.problems),
        Ok(config) => Ok(config),
        Err(EarlyExit::Invalid(_, problems)) => Err(problems),
        Err(EarlyExit::Skipped(reason)) => Err(vec![Problem::error(Code::ConfigInvalid, reason)]),
        Err(EarlyExit::Cancelled) => Err(Vec::new()),
    }
}

/// The deploy file, the environment and its services; no call is made.
pub(in crate::run) fn load_config(ctx: &RunContext) -> Result<RunConfig, EarlyExit> {
    load_config_for(ctx, ctx.inputs.environment.as_deref())
}

fn load_config_for(ctx: &RunContext, environment: Option<&str>) -> Result<RunConfig, EarlyExit> {
    match ctx.is_rollback() {
        true => restorable_file::load_restorable(ctx, environment),
        false => load_strict(ctx, environment),
    }
}

/// As every operation but a rollback reads it: any error ends the run before the first call.
fn load_strict(ctx: &RunContext, environment: Option<&str>) -> Result<RunConfig, EarlyExit> {
    let (file, text) = read_config_text(ctx).map_err(|problem| EarlyExit::Invalid(None, vec![problem]))?;
    let document = DeployFile::parse(&file, &text).map_err(|problems| EarlyExit::Invalid(None, problems))?;
    let (environments, mut problems) = document.environments();
    let branch = event::event_decision(ctx).branch;
    problems.extend(document.ambiguous_branch(branch));
    let choice = config::select_environment(&environments, environment, branch);
    let is_chosen = choice.is_ok();
    let name = match (choice, problems.is_empty()) {
        (Ok(EnvironmentSelection::Environment(name)), _) => name,
        (Ok(EnvironmentSelection::NoEnvironment(reason)), true) => return Err(EarlyExit::Skipped(reason)),
        // Without a choice the services are still checked, as they stand in some environment.
        (choice, _) => {
            let is_known = |problem: &Problem| problems.iter().any(|known| known.code == problem.code);
            let new = choice.err().filter(|problem| !is_known(problem) || problem.code == Code::NameUnknown);
            problems.extend(new);
            environments.keys().next().cloned().unwrap_or_default()
        }
    };
    let environment = environments.get(&name).cloned().unwrap_or_default();
    problems.extend(promote::invalid_inputs(ctx, &name, &environment).filter(|_| is_chosen));
    problems.extend(set_env::input_problems(ctx));
    let (atomic, more) = document.read_atomic();
    problems.extend(more);
    let known = run_placeholders(ctx, &name);
    let (notify, more) = document.notify_settings(&name, &environment, &known);
    problems.extend(notify_problems(ctx, &notify, more));
    let (registries, more) = document.registries(&known);
    problems.extend(more);
    let targets = targets::keys(ctx.kinds);
    let (mut services, more) = document.services(&name, &requested_services(ctx), &targets, &known);
    problems.extend(more);
    if operation(ctx) != Operation::Verify {
        // All services, also those that this run does not deploy. What else is wrong with those is not said.
        let (all, _) = document.services(&name, &[], &targets, &known);
        problems.extend(targets::shared_resources(&targets::read_specs(ctx.kinds, &file, all).0));
    }
    if is_unmerged(ctx) {
        // It must not decide what everybody can read.
        services.iter_mut().for_each(|service| service.config.show_env.clear());
    }
    let (services, more) = targets::read_specs(ctx.kinds, &file, services);
    problems.extend(more);
    problems.extend(service_problems(ctx, &file, &services));
    let (services, more) = declare_services(ctx, &file, services);
    problems.extend(more);
    problems.extend(path_problems(ctx, &document, &services));
    problems.extend(missing_file::other_extension_warning(ctx));
    let credential_urls = initial_credential_urls(ctx);
    let environment_name = name;
    Ok(RunConfig {
        document,
        environment_name,
        environment,
        services,
        refused: Vec::new(),
        notify,
        registries,
        atomic,
        credential_urls,
        problems,
    })
}

/// What is wrong with the notifications. It keeps nothing from being verified.
fn notify_problems(ctx: &RunContext, notify: &NotifySettings, wrong: Vec<Problem>) -> Vec<Problem> {
    let all = wrong.into_iter().chain(notify_settings::missing_variables(ctx, notify));
    match operation(ctx) {
        Operation::Verify => all.map(Problem::into_warning).collect(),
        _ => all.collect(),
    }
}

/// What is wrong with the services, as far as no other file is read for it.
fn service_problems(ctx: &RunContext, file: &str, services: &[ServiceSpec]) -> Vec<Problem> {
    let mut problems = set_env::target_problems(ctx, file, services);
    if operation(ctx) != Operation::Verify {
        problems.extend(time_budget::problems(ctx.inputs.timeout, services.iter().map(Deref::deref)));
    }
    problems
}

/// What the checked-out files show of the `paths` of services. Only an operation that selects services by them reads them.
fn path_problems(ctx: &RunContext, document: &DeployFile, services: &[DeclaredService]) -> Vec<Problem> {
    if !matches!(operation(ctx), Operation::Deploy | Operation::Plan) || ctx.is_rollback() {
        return Vec::new();
    }
    let files = missing_file::Workspace(&ctx.workspace);
    let problems = services.iter().flat_map(|declared| {
        let context = declared.build.as_ref().map(|build| build.context.as_str());
        document.workspace_problems(&declared.service, context, &files)
    });
    problems.collect()
}

/// Reads what belongs to each service. A broken build or file of this commit must not keep the running version from being
/// verified, nor a variable from being set: those read neither.
fn declare_services(
    ctx: &RunContext,
    file: &str,
    services: Vec<ServiceSpec>,
) -> (Vec<DeclaredService>, Vec<Problem>) {
    let reads_files = !ctx.is_set_env() && operation(ctx) != Operation::Verify;
    let plain = |service| DeclaredService { service, build: None, containers: Vec::new(), definition: None };
    let mut declared: Vec<DeclaredService> = services.into_iter().map(plain).collect();
    if !reads_files {
        return (declared, Vec::new());
    }
    let mut problems = Vec::new();
    for one in &mut declared {
        let (build, more) = read_build(file, &one.service);
        one.build = build;
        problems.extend(more.into_iter().map(|problem| problem.for_service(&one.service.name)));
        let (containers, more) = containers::read(file, &one.service);
        one.containers = containers;
        problems.extend(more.into_iter().map(|problem| problem.for_service(&one.service.name)));
    }
    for one in &mut declared {
        one.definition = read_definition(&ctx.workspace, &one.service).unwrap_or_else(|problem| {
            problems.push(problem.for_service(&one.service.name));
            None
        });
        problems.extend(one.service.lint(one.definition.as_ref()));
    }
    (declared, problems)
}

/// How the image of a service is built, and what is wrong with that: with an error it is not built.
fn read_build(file: &str, service: &Service) -> (Option<Build>, Vec<Problem>) {
    let Some(node) = &service.build else {
        return (service.config.repository.as_ref().map(|_| Build::default()), Vec::new());
    };
    if service.config.repository.is_none() {
        let problem =
            Problem::error(Code::ConfigInvalid, "There is a `build` but no `repository` to push to.");
        return (None, vec![problem.at_location(file, node.line, node.column)]);
    }
    match config::read::<Build>(file, &format!("`build` of service `{}`", service.name), node) {
        Ok(build) => {
            let problems = build.problems_at(file, node);
            let is_valid = !problems.iter().any(Problem::is_error);
            (is_valid.then_some(build), problems)
        }
        Err(problems) => (None, problems),
    }
}

/// The file that a target's block names, read from the workspace and from nowhere else.
fn read_definition(workspace: &Path, service: &ServiceSpec) -> Result<Option<DefinitionFile>, Problem> {
    let Some(SourceFile { description, path }) = service.source_file() else { return Ok(None) };
    let at = |problem| config::locate_in(&service.location.file, &service.settings, problem);
    if config::paths::leaves_workspace(&path) {
        let sentence = format!("The {description} `{path}` cannot be read.");
        return Err(
            at(Problem::error(Code::FileUnreadable, sentence).cause("the path leaves the workspace")),
        );
    }
    let text = disk::read_text_within(workspace, Path::new(&path))
        .map_err(|error| at(missing_file::source_file_problem(workspace, description, &path, &error)))?;
    Ok(Some(DefinitionFile { path: path.clone(), text }))
}
