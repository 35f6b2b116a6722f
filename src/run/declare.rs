//! What the deploy file says about this run, and everything that is wrong with it, before any call is made.

use std::path::{Component, Path};

use crate::action::{ConfigSource, Operation, Services};
use crate::config::{self, Choice, Document, Environment, Notify, Placeholders, Service};
use crate::image::Build;
use crate::problem::{Code, Problem};
use crate::release::{Definition, Outcome};
use crate::report::RunReport;
use crate::sys::disk;
use crate::targets;

use super::{Job, announce, occasion, operation, promote, returns, sets_variables, settings, timing};

/// What a deploy file is called that stands in the input itself.
pub(super) const INLINE: &str = "input config";

/// What the deploy file says about this run.
pub(super) struct Declared {
    pub(super) document: Document,
    pub(super) name: String,
    pub(super) environment: Environment,
    pub(super) services: Vec<Service>,
    /// Who hears of the end of this run.
    pub(super) notify: Notify,
    /// How each service is built; `None` where it is not.
    pub(super) builds: Vec<Option<Build>>,
    /// The definition file of each service; `None` where it names none.
    pub(super) definitions: Vec<Option<Definition>>,
    /// Whether the services of a run belong together: all of them, or none.
    pub(super) atomic: bool,
    /// Everything that is wrong or dubious; with an error among it nothing may be changed.
    pub(super) problems: Vec<Problem>,
}

impl Declared {
    /// Whether the run cannot go on.
    pub(super) fn is_wrong(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }
}

/// Why a run ends before it starts.
pub(super) enum Stop {
    /// Nothing is to be done, for this reason.
    Skip(String),
    /// Something is wrong; nothing was changed.
    Wrong(Option<String>, Vec<Problem>),
}

impl Stop {
    pub(super) fn into_report(self, mut report: RunReport) -> RunReport {
        match self {
            Self::Skip(reason) => {
                report.outcome = Outcome::Skipped;
                report.reason = Some(reason);
            }
            Self::Wrong(environment, problems) => {
                let cancelled = problems.iter().any(|problem| problem.code == Code::Cancelled);
                report.outcome = if cancelled { Outcome::Cancelled } else { Outcome::Invalid };
                report.environment = environment;
                report.problems = problems;
            }
        }
        report
    }
}

/// As [`declared`], for an environment that the main step chose already.
pub(super) fn declared_for(job: &Job, environment: &str) -> Result<Declared, Vec<Problem>> {
    match declared_in(job, Some(environment)) {
        Ok(declared) if declared.is_wrong() => Err(declared.problems),
        Ok(declared) => Ok(declared),
        Err(Stop::Wrong(_, problems)) => Err(problems),
        Err(Stop::Skip(reason)) => Err(vec![Problem::error(Code::ConfigInvalid, reason)]),
    }
}

/// The deploy file, the environment and its services; no call is made.
pub(super) fn declared(job: &Job) -> Result<Declared, Stop> {
    declared_in(job, job.inputs.environment.as_deref())
}

fn declared_in(job: &Job, environment: Option<&str>) -> Result<Declared, Stop> {
    let (file, text) = config_text(job).map_err(|problem| Stop::Wrong(None, vec![problem]))?;
    let document = Document::parse(&file, &text).map_err(|problems| Stop::Wrong(None, problems))?;
    let (environments, mut problems) = document.environments();
    let branch = occasion::ruling(job).branch;
    problems.extend(document.ambiguous(branch));
    let choice = config::choose(&environments, environment, branch);
    let is_chosen = choice.is_ok();
    let name = match (choice, problems.is_empty()) {
        (Ok(Choice::Environment(name)), _) => name,
        (Ok(Choice::None(reason)), true) => return Err(Stop::Skip(reason)),
        // Without a choice the services are still checked, as they stand in some environment.
        (choice, _) => {
            let told = |problem: &Problem| problems.iter().any(|known| known.code == problem.code);
            let untold = choice.err().filter(|problem| !told(problem) || problem.code == Code::NameUnknown);
            problems.extend(untold);
            environments.keys().next().cloned().unwrap_or_default()
        }
    };
    let environment = environments.get(&name).cloned().unwrap_or_default();
    problems.extend(promote::misused(job, &name, &environment).filter(|_| is_chosen));
    problems.extend(settings::input_problems(job));
    let (atomic, more) = document.atomic();
    problems.extend(more);
    let known = placeholders(job, &name);
    let (notify, more) = document.notify(&name, &environment, &known);
    problems.extend(more);
    problems.extend(announce::unset(job, &notify));
    let (services, more) = document.services(&name, &wanted(job), targets::NAMES, &known);
    problems.extend(more);
    problems.extend(targets::problems(&file, &services));
    problems.extend(settings::target_problems(job, &file, &services));
    let looks = operation(job) == Operation::Verify;
    if !returns(job) && !looks {
        problems.extend(timing::problems(job.inputs.timeout, &services));
    }
    let (builds, definitions) = if returns(job) || looks || sets_variables(job) {
        // What is broken in the commit at hand must not keep an earlier version from coming back or from being seen, nor
        // a variable from being set.
        (vec![None; services.len()], vec![None; services.len()])
    } else {
        let (builds, more) = builds(&file, &services);
        problems.extend(more);
        let (definitions, more) = definitions(job, &file, &services);
        problems.extend(more);
        (builds, definitions)
    };
    Ok(Declared { document, name, environment, services, notify, atomic, builds, definitions, problems })
}

fn wanted(job: &Job) -> Vec<String> {
    if sets_variables(job) {
        return settings::services(job);
    }
    match &job.inputs.services {
        Services::Named(names) => names.clone(),
        Services::All | Services::Changed => Vec::new(),
    }
}

/// The definition file of each service, and what is wrong with it.
fn definitions(job: &Job, file: &str, services: &[Service]) -> (Vec<Option<Definition>>, Vec<Problem>) {
    let (mut definitions, mut problems) = (Vec::new(), Vec::new());
    for service in services {
        let definition = definition(&job.workspace, service).unwrap_or_else(|problem| {
            problems.push(problem.of(&service.name));
            None
        });
        problems.extend(targets::lint(file, service, definition.as_ref()));
        definitions.push(definition);
    }
    (definitions, problems)
}

/// How each service is built (`None`: it is not), and what is wrong with that.
fn builds(file: &str, services: &[Service]) -> (Vec<Option<Build>>, Vec<Problem>) {
    let (mut builds, mut problems) = (Vec::new(), Vec::new());
    for service in services {
        let build = build(file, service).unwrap_or_else(|more| {
            problems.extend(more.into_iter().map(|problem| problem.of(&service.name)));
            None
        });
        builds.push(build);
    }
    (builds, problems)
}

fn build(file: &str, service: &Service) -> Result<Option<Build>, Vec<Problem>> {
    let build = match &service.build {
        Some(node) => config::read::<Build>(file, &format!("`build` of service `{}`", service.name), node)?,
        None => Build::default(),
    };
    if let (None, Some(node)) = (&service.common.repository, &service.build) {
        let problem =
            Problem::error(Code::ConfigInvalid, "There is a `build` but no `repository` to push to.");
        return Err(vec![problem.at(file, node.line, node.column)]);
    }
    let errors: Vec<Problem> = build.problems().into_iter().filter(Problem::is_error).collect();
    if errors.is_empty() { Ok(service.common.repository.as_ref().map(|_| build)) } else { Err(errors) }
}

fn config_text(job: &Job) -> Result<(String, String), Problem> {
    match &job.inputs.config {
        ConfigSource::Text(text) => Ok((INLINE.into(), text.clone())),
        ConfigSource::Path(path) => match disk::read_text(&job.workspace.join(path)) {
            Ok(text) => Ok((path.clone(), text)),
            Err(error) => {
                Err(Problem::error(Code::ConfigMissing, format!("The deploy file `{path}` cannot be read."))
                    .cause(format!("{error:#}"))
                    .help(
                        "Check the input `config`, and that the repository was checked out before this step.",
                    ))
            }
        },
    }
}

fn placeholders(job: &Job, environment: &str) -> Placeholders {
    let mut known: Placeholders = [("environment", environment.to_owned())].into();
    // What a pull request would be after its merge is what its plan is about.
    if let Some(branch) = occasion::ruling(job).branch {
        known.insert("branch", branch.to_owned());
    }
    if let Some(sha) = job.context.commit() {
        known.insert("sha", sha.to_owned());
        known.insert("short-sha", sha.chars().take(7).collect());
    }
    known
}

/// The file that a target's block names, read from the workspace and from nowhere else.
fn definition(workspace: &Path, service: &Service) -> Result<Option<Definition>, Problem> {
    let Some((what, path)) = targets::file_of(service) else { return Ok(None) };
    let outside =
        Path::new(&path).components().any(|part| matches!(part, Component::ParentDir | Component::RootDir));
    let problem = |why: String| {
        Problem::error(Code::FileUnreadable, format!("The {what} `{path}` cannot be read.")).cause(why)
    };
    if outside {
        return Err(problem("the path leaves the workspace".into()));
    }
    let text = disk::read_text(&workspace.join(&path)).map_err(|error| problem(format!("{error:#}")))?;
    Ok(Some(Definition { path: path.clone(), text }))
}
