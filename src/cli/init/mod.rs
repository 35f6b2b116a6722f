//! `roadstead init`: a first deploy file and workflow, from what runs on Amazon ECS. Reads AWS; writes two files, both or
//! none, and never over what is there unless that was asked for.

mod deploy_file;
mod names;
mod words;
mod workflow;
pub mod yaml;

use std::path::Path;

use crate::action::neutral::neutralise;
use crate::aws::{self, Doors, Wanted};
use crate::github::names::branch;
use crate::problem::{Code, Problem};
use crate::sys::disk;
use crate::targets::ecs::survey::{self, Found, Only};

use super::arguments::InitOptions;

/// Where the two files belong in a repository.
const DEPLOY_FILE: &str = ".github/roadstead.yml";
const WORKFLOW: &str = ".github/workflows/deploy.yml";

/// What the two files are made of.
#[derive(Debug, Clone)]
struct Plan {
    /// Name of the environment.
    environment: String,
    /// Branch that is deployed there.
    branch: String,
    /// The services to be written, each with its name in the deploy file.
    services: Vec<(String, Found)>,
    /// The services that cannot be released to as they are.
    left_out: Vec<Found>,
}

impl Plan {
    /// A service that speaks for all: they are of one account and region.
    fn first(&self) -> Option<&Found> {
        self.services.first().map(|(_, found)| found)
    }
}

/// Looks, writes, and says what was found, what was written and what comes next; the result is the exit code. `write`
/// takes the lines.
pub async fn main(options: &InitOptions, doors: &Doors, mut write: impl FnMut(&str)) -> u8 {
    match init(options, doors).await {
        Ok(lines) => {
            lines.iter().for_each(|line| write(&neutralise(line)));
            0
        }
        Err(problem) => {
            write(&neutralise(&format!("error {}: {problem}", problem.code)));
            write("Nothing was written.");
            2
        }
    }
}

async fn init(options: &InitOptions, doors: &Doors) -> Result<Vec<String>, Problem> {
    sound(options)?;
    let folder = Path::new(&options.output);
    let files = [DEPLOY_FILE, WORKFLOW].map(|name| folder.join(name));
    files.iter().try_for_each(|path| free(path, options.force))?;
    let wanted = Wanted { region: options.region.clone(), role: None, session_name: "roadstead-init".into() };
    let (session, notices) = aws::open(doors, &wanted).await.map_err(without_workflow)?;
    let only = Only { cluster: options.cluster.clone(), service: options.service.clone() };
    let plan = plan(options, survey::survey(&session, &only).await?)?;
    let texts = [deploy_file::text(&plan), workflow::text(&plan)];
    for (path, text) in files.iter().zip(&texts) {
        disk::write(path, text.as_bytes()).map_err(|error| unwritable(path, &error))?;
    }
    Ok(words::told(&plan, &files, &notices))
}

fn plan(options: &InitOptions, found: Vec<Found>) -> Result<Plan, Problem> {
    let (services, left_out): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| found.against.is_none());
    if services.is_empty() {
        return Err(nothing(&left_out));
    }
    let names = names::names(&services);
    let services = names.into_iter().zip(services).collect();
    let (environment, branch) = (options.environment.clone(), options.branch.clone());
    Ok(Plan { environment, branch, services, left_out })
}

fn nothing(left_out: &[Found]) -> Problem {
    let reasons = left_out.iter().map(|it| format!("{}/{}: {}", it.cluster, it.service, words::against(it)));
    let reasons = reasons.collect::<Vec<_>>().join(" ");
    let sentence = "No ECS service was found that can be released to.";
    let problem = Problem::error(Code::ServiceMissing, sentence)
        .help("Check --region, --cluster, --service and the account of the credentials (AWS_PROFILE).");
    if reasons.is_empty() { problem } else { problem.cause(reasons) }
}

/// Names that stand in two YAML files, an expression of GitHub and a subject of OIDC must mean themselves in all of them.
fn sound(options: &InitOptions) -> Result<(), Problem> {
    let plain = |text: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
        text.bytes().all(known) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    let refused = |option: &str, text: &str| {
        Problem::error(Code::InputInvalid, format!("The option --{option} cannot be `{text}`."))
            .help("Letters, digits and - . _ / are taken; write any other name into the files yourself.")
    };
    if !plain(&options.environment) || options.environment.contains('/') {
        return Err(refused("environment", &options.environment));
    }
    if !plain(&options.branch) || branch(&options.branch).is_err() {
        return Err(refused("branch", &options.branch));
    }
    Ok(())
}

/// Refuses to overwrite, and to write through a link.
fn free(path: &Path, force: bool) -> Result<(), Problem> {
    let taken = |what: &str| {
        let sentence = format!("`{}` {what}.", path.display());
        Problem::error(Code::FileUnreadable, sentence)
    };
    if disk::link_target(path).is_some() {
        return Err(taken("is a symbolic link").help("Remove it, or choose another --output."));
    }
    if disk::exists(path) && !force {
        return Err(taken("exists already").help("--force overwrites it."));
    }
    Ok(())
}

/// The words for a workflow do not help on a laptop.
fn without_workflow(problem: Problem) -> Problem {
    match problem.code {
        Code::CredentialsMissing => {
            problem.help("Give --region or AWS_REGION, and credentials as for the AWS CLI (AWS_PROFILE).")
        }
        _ => problem,
    }
}

fn unwritable(path: &Path, error: &anyhow::Error) -> Problem {
    Problem::error(Code::FileUnreadable, format!("`{}` cannot be written.", path.display()))
        .cause(format!("{error:#}"))
}
