//! The job of a rehearsal: real in everything but its doors and its builder.

use std::rc::Rc;

use jiff::Timestamp;

use crate::action::files::RunnerFiles;
use crate::action::inputs::RawInputs;
use crate::action::redact::Secret;
use crate::action::{GithubContext, Inputs};
use crate::aws;
use crate::image::ImageBuilder;
use crate::report::RunReport;
use crate::run::{self, RunContext, RunEnvironment};
use crate::sys::clock::Clock;
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::network::PrivateClients;
use crate::targets::KINDS;
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::github::run::RunStart;
use roadstead_cloud::oidc::Workflow;

use super::builder::EmulatedBuilder;
use super::hosts::EmulatedHosts;
use super::scenario::{COMMIT, build_scenario, format_problems, start_time};
use super::{Rehearsal, sites};

/// Runs a rehearsal inside a runtime (whose time should be virtual) and gives the cloud back to be looked at.
pub async fn rehearse(rehearsal: Rehearsal) -> Result<(RunReport, Cloud), String> {
    fastrand::seed(rehearsal.seed);
    let (environment, scenario) = build_scenario(&rehearsal)?;
    let began = start_time(&scenario)?;
    let cloud = Cloud::new(scenario, rehearsal.seed);
    let report = run_against(&rehearsal, &cloud, environment, began).await?;
    Ok((report, cloud))
}

/// Runs the rehearsal's job on a cloud that exists already, as a second try does.
pub async fn run_against(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<RunReport, String> {
    let job = run_context(rehearsal, cloud, environment, began)?;
    // Boxed, because it is large and deep: whoever waits for it should not have to be.
    let report = Box::pin(run::run(&job)).await;
    if let Some(run) = run_number(&job.context) {
        let conclusion = if report.outcome.exit_code() == 0 { "success" } else { "failure" };
        cloud.end_run(&repository(&job.context), run, conclusion);
    }
    Ok(report)
}

/// The embedded GitHub learns of the run that these variables describe, and of its commit.
pub fn register_run(cloud: &Cloud, context: &GithubContext) {
    let attempt = context.run_attempt.as_deref().and_then(|attempt| attempt.parse().ok());
    cloud.start_run(RunStart {
        repository: &repository(context),
        sha: context.sha.as_deref().unwrap_or(COMMIT),
        reference: context.full_ref.as_deref().unwrap_or("refs/heads/main"),
        run_id: run_number(context),
        attempt: attempt.unwrap_or(1),
        event: context.event_name.as_deref().unwrap_or("push"),
        environment: None,
    });
}

fn repository(context: &GithubContext) -> String {
    context.repository.clone().unwrap_or_else(|| Workflow::default().repository)
}

fn run_number(context: &GithubContext) -> Option<u64> {
    context.run_id.as_deref()?.parse().ok()
}

/// The job of a rehearsal: real in everything but its doors and its builder.
pub fn run_context(
    rehearsal: &Rehearsal,
    cloud: &Cloud,
    environment: String,
    began: Timestamp,
) -> Result<RunContext, String> {
    let raw = RawInputs {
        config: Some(format!("{}\n", rehearsal.config.1)),
        environment: Some(environment.clone()),
        ..with_tokens(rehearsal.inputs.clone())
    };
    let inputs = Inputs::parse(raw).map_err(|problems| format_problems(&problems))?;
    let http = http_client(cloud.clone());
    let doors = aws::Io {
        private_clients: PrivateClients::Fixed(http.clone()),
        http,
        clock: Clock::starting_at(began),
        variables: sites::with_made_up_values(
            rehearsal,
            &environment,
            with_credentials(rehearsal.variables.clone()),
        ),
        mask: aws::Mask::new(rehearsal.log.secret_sink()),
    };
    let read = GithubContext::from_variables(&rehearsal.variables);
    let event = read.event_path.as_ref().and_then(|path| disk::read_text(path.as_ref()).ok());
    let read = event.into_iter().fold(read, |read, text| read.with_event(&text));
    let context = GithubContext {
        sha: read.sha.clone().or_else(|| Some(COMMIT.into())),
        repository: Some(repository(&read)),
        ..read
    };
    register_run(cloud, &context);
    let environment = RunEnvironment {
        files: RunnerFiles::from_variables(&rehearsal.variables),
        io: doors,
        cancel: rehearsal.cancel.clone(),
        log: rehearsal.log.clone(),
        builder: Some(emulated_builder(cloud)),
        remote_hosts: Rc::new(EmulatedHosts(cloud.clone())),
        commit_history: None,
        kinds: KINDS,
        workspace: rehearsal.workspace.clone(),
        rehearsal: true,
    };
    Ok(RunContext::new(inputs, context, environment))
}

/// Tokens for the embedded GitHub and Argo CD where none are given; they open nothing else.
fn with_tokens(mut inputs: RawInputs) -> RawInputs {
    inputs.github_token.get_or_insert_with(|| Secret::new("rehearsal-github-token"));
    inputs.argocd_token.get_or_insert_with(|| Secret::new("rehearsal-argocd-token"));
    inputs
}

/// A builder that pretends: the image appears in the embedded registry, with a digest of its own.
pub fn emulated_builder(cloud: &Cloud) -> Rc<dyn ImageBuilder> {
    Rc::new(EmulatedBuilder(cloud.clone()))
}

/// Credentials for the embedded cloud where none are given, be they empty: keys, and for deploy files with a role the
/// endpoint that gives the runner's tokens.
fn with_credentials(mut variables: Variables) -> Variables {
    let missing = |variables: &Variables, names: &[(&str, &str)]| {
        names.iter().all(|(name, _)| !variables.contains_key(*name))
    };
    for group in [CREDENTIALS, OIDC_VARIABLES] {
        if missing(&variables, group) {
            variables.extend(group.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        }
    }
    variables
}

/// Any host leads to the embedded cloud.
const OIDC_VARIABLES: &[(&str, &str)] = &[
    ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://runner.invalid/oidc/token?api-version=2.0"),
    ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "rehearsal-request-token"),
];

/// Credentials that the embedded cloud knows; they open nothing else. The token keeps them from being taken for
/// long-lived keys.
const CREDENTIALS: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAREHEARSAL0000001"),
    ("AWS_SECRET_ACCESS_KEY", "rehearsal-secret-key-0000000000000000000"),
    ("AWS_SESSION_TOKEN", "rehearsal"),
];
