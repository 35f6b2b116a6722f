//! Reading: deploy file, environment, services, session, and what runs now. Every error at once, before any change.

use std::path::Path;
use std::rc::Rc;

use aws_config::SdkConfig;

use crate::action::{ConfigSource, Services};
use crate::aws;
use crate::config::{self, Choice, Document, Environment, Placeholders, Service};
use crate::image::Registry;
use crate::problem::{Code, Problem};
use crate::release::{Definition, Outcome, Release};
use crate::report::RunReport;
use crate::sys::disk;
use crate::targets::{self, Target};

use super::{Job, Unit, build, refuse};

/// Everything that was read.
pub(super) struct Prepared {
    /// The environment.
    pub(super) environment: String,
    /// The services, with what runs now.
    pub(super) units: Vec<Unit>,
    /// Warnings and notices of the run as a whole.
    pub(super) problems: Vec<Problem>,
    /// The registry of the images, where one was needed.
    pub(super) registry: Option<Rc<dyn Registry>>,
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

/// What the deploy file says about this run.
pub(super) struct Declared {
    pub(super) document: Document,
    pub(super) name: String,
    pub(super) environment: Environment,
    pub(super) services: Vec<Service>,
}

/// Reads everything that a walk needs.
pub(super) async fn prepare(job: &Job) -> Result<Prepared, Stop> {
    let declared = declared(job)?;
    let wrong = |problems: Vec<Problem>| Stop::Wrong(Some(declared.name.clone()), problems);
    let (session, mut problems) = session(job, &declared.environment).await.map_err(|p| wrong(vec![p]))?;
    let place = place(&session, &declared);
    let targets = targets::all(&place, &declared.document.file, &declared.services).map_err(wrong)?;
    let releases = releases(job, &declared).map_err(wrong)?;
    let linted: Vec<Problem> = targets
        .iter()
        .zip(&releases)
        .flat_map(|(target, release)| named(target.lint(release), release))
        .collect();
    if linted.iter().any(Problem::is_error) {
        return Err(wrong(linted));
    }
    problems.extend(linted);
    let units = observe(&declared, targets, releases).await.map_err(wrong)?;
    let (units, registry) = build::images(job, &session, units).await.map_err(wrong)?;
    let units = check(job, units).await.map_err(wrong)?;
    Ok(Prepared { environment: declared.name, units, problems, registry })
}

/// Where the targets of an environment are.
pub(super) fn place<'s>(session: &'s SdkConfig, declared: &Declared) -> targets::Place<'s> {
    targets::Place {
        session,
        region: session.region().map(ToString::to_string).unwrap_or_default(),
        account: declared.environment.aws.as_ref().and_then(|aws| aws.account.clone()),
    }
}

/// As [`declared`], for an environment that the main step chose already.
pub(super) fn declared_for(job: &Job, environment: &str) -> Result<Declared, Vec<Problem>> {
    declared_in(job, Some(environment)).map_err(|stop| match stop {
        Stop::Wrong(_, problems) => problems,
        Stop::Skip(reason) => vec![Problem::error(Code::ConfigInvalid, reason)],
    })
}

/// The deploy file, the environment and its services; no call is made.
pub(super) fn declared(job: &Job) -> Result<Declared, Stop> {
    declared_in(job, job.inputs.environment.as_deref())
}

fn declared_in(job: &Job, environment: Option<&str>) -> Result<Declared, Stop> {
    let refused: Vec<Problem> = refuse(job.inputs.operation).into_iter().collect();
    if !refused.is_empty() {
        return Err(Stop::Wrong(None, refused));
    }
    let (file, text) = config_text(job).map_err(|problem| Stop::Wrong(None, vec![problem]))?;
    let document = Document::parse(&file, &text).map_err(|problems| Stop::Wrong(None, problems))?;
    let environments = document.environments().map_err(|problems| Stop::Wrong(None, problems))?;
    let branch = job.context.base_branch().or_else(|| job.context.branch());
    let choice = config::choose(&environments, environment, branch);
    let name = match choice.map_err(|problem| Stop::Wrong(None, vec![problem]))? {
        Choice::Environment(name) => name,
        Choice::None(reason) => return Err(Stop::Skip(reason)),
    };
    let environment = environments.get(&name).cloned().unwrap_or_default();
    let problems: Vec<Problem> = later(&environment).into_iter().chain(wanted_changed(job)).collect();
    if !problems.is_empty() {
        return Err(Stop::Wrong(Some(name), problems));
    }
    let wanted = match &job.inputs.services {
        Services::Named(names) => names.clone(),
        Services::All | Services::Changed => Vec::new(),
    };
    let services = document.services(&name, &wanted, targets::NAMES, &placeholders(job, &name));
    let services = services.map_err(|problems| Stop::Wrong(Some(name.clone()), problems))?;
    Ok(Declared { document, name, environment, services })
}

fn later(environment: &Environment) -> Option<Problem> {
    environment.promote_from.as_ref().map(|_| {
        Problem::error(Code::Unsupported, "This version cannot do `promote-from` yet.")
            .help("Take it out: without it, this environment would silently take unproven versions.")
    })
}

fn wanted_changed(job: &Job) -> Option<Problem> {
    (job.inputs.services == Services::Changed).then(|| {
        Problem::error(Code::Unsupported, "This version cannot find the changed services by itself yet.")
            .help(
                "Name them in the input `services`, or leave it out for all: unchanged ones are not touched.",
            )
    })
}

fn config_text(job: &Job) -> Result<(String, String), Problem> {
    match &job.inputs.config {
        ConfigSource::Text(text) => Ok(("input config".into(), text.clone())),
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
    if let Some(branch) = job.context.branch() {
        known.insert("branch", branch.to_owned());
    }
    if let Some(sha) = job.context.commit() {
        known.insert("sha", sha.to_owned());
        known.insert("short-sha", sha.chars().take(7).collect());
    }
    known
}

/// The AWS session of an environment. Inputs win over the file.
pub(super) async fn session(
    job: &Job,
    environment: &Environment,
) -> Result<(SdkConfig, Vec<Problem>), Problem> {
    let aws = environment.aws.clone().unwrap_or_default();
    let run = job.context.run_id.as_deref().unwrap_or("local");
    let wanted = aws::Wanted {
        region: job.inputs.aws_region.clone().or(aws.region),
        role: job.inputs.role_to_assume.clone().or(aws.role),
        session_name: format!("roadstead-{}-{run}", job.context.repository.as_deref().unwrap_or("laptop")),
    };
    aws::open(&job.doors, &wanted).await
}

fn releases(job: &Job, declared: &Declared) -> Result<Vec<Release>, Vec<Problem>> {
    let (mut releases, mut problems) = (Vec::new(), Vec::new());
    for service in &declared.services {
        match definition(&job.workspace, service) {
            Ok(definition) => releases.push(Release {
                service: service.name.clone(),
                environment: declared.name.clone(),
                image: None,
                definition,
                commit: job.context.commit().map(str::to_owned),
            }),
            Err(problem) => problems.push(problem.of(&service.name)),
        }
    }
    if problems.is_empty() { Ok(releases) } else { Err(problems) }
}

/// The definition file that a target's block names, read from the workspace and from nowhere else.
fn definition(workspace: &Path, service: &Service) -> Result<Option<Definition>, Problem> {
    let Some(node) = service.settings.get("task-definition") else { return Ok(None) };
    let serde_json::Value::String(path) = node.to_value() else { return Ok(None) };
    let outside = Path::new(&path)
        .components()
        .any(|part| matches!(part, std::path::Component::ParentDir | std::path::Component::RootDir));
    let problem = |why: String| {
        Problem::error(Code::FileUnreadable, format!("The task definition `{path}` cannot be read."))
            .cause(why)
    };
    if outside {
        return Err(problem("the path leaves the workspace".into()));
    }
    let text = disk::read_text(&workspace.join(&path)).map_err(|error| problem(format!("{error:#}")))?;
    Ok(Some(Definition { path: path.clone(), text }))
}

async fn observe(
    declared: &Declared,
    targets: Vec<Rc<dyn Target>>,
    releases: Vec<Release>,
) -> Result<Vec<Unit>, Vec<Problem>> {
    let seen = futures::future::join_all(targets.iter().map(|target| target.observe())).await;
    let (mut units, mut problems) = (Vec::new(), Vec::new());
    for (((service, target), release), seen) in declared.services.iter().zip(targets).zip(releases).zip(seen)
    {
        match seen {
            Ok(seen) => units.push(Unit::new(service.clone(), target, release, seen)),
            Err(problem) => problems.push(problem.of(&service.name)),
        }
    }
    if problems.is_empty() { Ok(units) } else { Err(problems) }
}

async fn check(job: &Job, mut units: Vec<Unit>) -> Result<Vec<Unit>, Vec<Problem>> {
    job.teller.line(None, "pre-flight: looking for what could go wrong, before any change");
    let found =
        futures::future::join_all(units.iter().map(|unit| unit.target.check(&unit.release, &unit.seen)))
            .await;
    let mut errors = Vec::new();
    for (unit, problems) in units.iter_mut().zip(found) {
        let problems = named(problems, &unit.release);
        errors.extend(problems.iter().filter(|problem| problem.is_error()).cloned());
        unit.report.problems.extend(problems);
    }
    if errors.is_empty() {
        return Ok(units);
    }
    // With an error the warnings are still worth reading: they may be its cause.
    Err(units.into_iter().flat_map(|unit| unit.report.problems).collect())
}

fn named(problems: Vec<Problem>, release: &Release) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.of(&release.service)).collect()
}
