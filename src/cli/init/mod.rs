//! `roadstead init`: a first deploy file and workflow for services on Amazon ECS, or of a Compose file. Reads AWS, or that file; writes
//! two files, both or none, and overwrites only with `--force`.

mod compose;
mod deploy_file;
mod messages;
mod names;
mod workflow;
pub mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::action::sanitize::sanitize_line;
use crate::aws::{self, Io, SessionRequest};
use crate::config::DeployFile;
use crate::github::validate::branch;
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::targets;
use crate::targets::ecs::discover::{self, DiscoveredService, Filter};

use super::arguments::InitOptions;

/// Paths of the two files in a repository.
const DEPLOY_FILE: &str = ".github/roadstead.yml";
const WORKFLOW: &str = ".github/workflows/deploy.yml";

/// The contents of the two files.
#[derive(Debug, Clone)]
struct InitPlan {
    /// Name of the environment.
    environment: String,
    /// Branch that is deployed there.
    branch: String,
    /// The services to write, each with its name in the deploy file.
    services: Vec<(String, DiscoveredService)>,
    /// The services that Roadstead cannot deploy to as they are.
    unsupported: Vec<DiscoveredService>,
}

impl InitPlan {
    /// Any of the services: all are in one account and region.
    fn any_service(&self) -> Option<&DiscoveredService> {
        self.services.first().map(|(_, found)| found)
    }
}

/// Discovers the services, writes the files and reports what comes next; returns the exit code. `write` receives the
/// lines.
pub async fn main(options: &InitOptions, io: &Io, mut write: impl FnMut(&str)) -> u8 {
    match write_files(options, io).await {
        Ok(lines) => {
            lines.iter().for_each(|line| write(&sanitize_line(line)));
            0
        }
        Err(problem) => {
            write(&sanitize_line(&format!("error {}: {problem}", problem.code)));
            write("No file was written.");
            2
        }
    }
}

async fn write_files(options: &InitOptions, io: &Io) -> Result<Vec<String>, Problem> {
    check_options(options)?;
    let folder = Path::new(&options.output);
    let files = [DEPLOY_FILE, WORKFLOW].map(|name| folder.join(name));
    files.iter().try_for_each(|path| check_overwrite(path, options.force))?;
    if let Some(file) = &options.compose {
        return write_compose_files(options, folder, file, &files);
    }
    let request =
        SessionRequest { region: options.region.clone(), role: None, session_name: "roadstead-init".into() };
    let (session, notices) = aws::open_session(io, &request).await.map_err(with_local_help)?;
    let only = Filter { cluster: options.cluster.clone(), service: options.service.clone() };
    let plan = build_plan(options, discover::discover_services(&session, &only).await?)?;
    let texts =
        [deploy_file::deploy_file_text(&plan), workflow::workflow_text(&plan.environment, &plan.branch)];
    write_texts(&files, &texts)?;
    Ok(messages::closing_text(&plan, &files, &notices))
}

fn write_texts(files: &[PathBuf; 2], texts: &[String; 2]) -> Result<(), Problem> {
    let mut each = files.iter().zip(texts);
    each.try_for_each(|(path, text)| {
        disk::write(path, text.as_bytes()).map_err(|error| write_problem(path, &error))
    })
}

/// The same for the services of a Compose file: no call is made.
fn write_compose_files(
    options: &InitOptions,
    folder: &Path,
    file: &str,
    files: &[PathBuf; 2],
) -> Result<Vec<String>, Problem> {
    let file = file.trim_start_matches("./");
    let text = disk::read_text_within(folder, Path::new(file)).map_err(|error| {
        Problem::error(Code::FileUnreadable, format!("The Compose file `{file}` cannot be read."))
            .cause(format!("{error:#}"))
            .help("Its path counts from --output, the folder of the repository.")
    })?;
    let host = options.host.as_deref().unwrap_or("deploy@server.example");
    let plan = compose::read_plan(file, &text, host, options.directory.as_deref())?;
    let (environment, branch) = (&options.environment, &options.branch);
    let texts = [
        compose::deploy_file_text(&plan, environment, branch),
        workflow::compose_workflow_text(environment, branch),
    ];
    check_deploy_file(&texts[0])?;
    write_texts(files, &texts)?;
    let written: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
    Ok(compose::closing_text(&plan, environment, &written))
}

/// What the options brought into the deploy file is checked before it is written.
fn check_deploy_file(text: &str) -> Result<(), Problem> {
    let unreadable = |problems: Vec<Problem>| {
        let internal = || Problem::error(Code::Internal, "The deploy file could not be made.");
        problems.into_iter().next().unwrap_or_else(internal)
    };
    let document = DeployFile::parse(DEPLOY_FILE, text).map_err(unreadable)?;
    let (environments, mut problems) = document.environments();
    for name in environments.keys() {
        let (services, more) = document.services(name, &[], &targets::keys(targets::KINDS), &BTreeMap::new());
        problems.extend(more);
        problems.extend(targets::read_specs(targets::KINDS, DEPLOY_FILE, services).1);
    }
    match problems.into_iter().find(Problem::is_error) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn build_plan(options: &InitOptions, found: Vec<DiscoveredService>) -> Result<InitPlan, Problem> {
    let (services, left_out): (Vec<DiscoveredService>, Vec<DiscoveredService>) =
        found.into_iter().partition(|found| found.unsupported_reason.is_none());
    if services.is_empty() {
        return Err(nothing_found_problem(&left_out));
    }
    let names = names::service_names(&services);
    let services = names.into_iter().zip(services).collect();
    let (environment, branch) = (options.environment.clone(), options.branch.clone());
    Ok(InitPlan { environment, branch, services, unsupported: left_out })
}

fn nothing_found_problem(left_out: &[DiscoveredService]) -> Problem {
    let reasons = left_out
        .iter()
        .map(|it| format!("{}/{}: {}", it.cluster, it.service, messages::unsupported_reason(it)));
    let reasons = reasons.collect::<Vec<_>>().join(" ");
    let sentence = "No ECS service was found that Roadstead can deploy to.";
    let problem = Problem::error(Code::ServiceMissing, sentence)
        .help("Check --region, --cluster, --service and the account of the credentials (AWS_PROFILE).");
    if reasons.is_empty() { problem } else { problem.cause(reasons) }
}

/// Rejects names that would change their meaning in one of the YAML files, an expression of GitHub or an OIDC subject.
fn check_options(options: &InitOptions) -> Result<(), Problem> {
    let plain = |text: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
        text.bytes().all(known) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let refused = |option: &str, text: &str| {
        Problem::error(Code::InputInvalid, format!("The option --{option} cannot be `{text}`."))
            .help("Use letters, digits and - . _ / only; write any other name into the files yourself.")
    };
    if !plain(&options.environment) || options.environment.contains('/') {
        return Err(refused("environment", &options.environment));
    }
    let of_server = [("host", &options.host), ("directory", &options.directory)];
    if let Some((option, _)) = of_server.iter().find(|(_, text)| options.compose.is_none() && text.is_some())
    {
        let sentence = format!("The option --{option} needs --compose.");
        return Err(
            Problem::error(Code::InputInvalid, sentence).help("Name the Compose file, or leave it out.")
        );
    }
    if !plain(&options.branch) || branch(&options.branch).is_err() {
        return Err(refused("branch", &options.branch));
    }
    Ok(())
}

/// Rejects an existing file and a symbolic link.
fn check_overwrite(path: &Path, force: bool) -> Result<(), Problem> {
    let conflict = |what: &str| {
        let sentence = format!("`{}` {what}.", path.display());
        Problem::error(Code::FileUnreadable, sentence)
    };
    if disk::link_target(path).is_some() {
        return Err(conflict("is a symbolic link").help("Remove it, or choose another --output."));
    }
    if disk::exists(path) && !force {
        return Err(conflict("already exists").help("Pass --force to overwrite it."));
    }
    Ok(())
}

/// Replaces the help for workflows, which does not apply on a laptop.
fn with_local_help(problem: Problem) -> Problem {
    match problem.code {
        Code::CredentialsMissing => problem
            .help("Set --region or AWS_REGION, and provide credentials as for the AWS CLI (AWS_PROFILE)."),
        _ => problem,
    }
}

fn write_problem(path: &Path, error: &anyhow::Error) -> Problem {
    Problem::error(Code::FileUnreadable, format!("`{}` was not written.", path.display()))
        .cause(format!("{error:#}"))
}
