//! The changes: creating a version, starting, stopping and reverting deployments. Each is sent again only after reading
//! whether the first attempt happened, because a response can be lost after the change was made.

use std::cell::Cell;

use super::aws_error::AwsError;
use super::client::{Client, StartRequest};
use super::content;
use super::fetch::{RECENT_PAGES, fetch_history};
use super::read::{AppConfigLocation, Deployment, EnvironmentHistory, version_number};
use super::write::{self, DeploymentAction};
use crate::problem::{Code, Problem};
use crate::release::{DefinitionFile, Rollout, Version};
use crate::retry::{self, Look, SendError, SendFailure, WriteError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// The strategy of a rollback if nothing can be stopped or reverted.
const ALL_AT_ONCE_STRATEGY: &str = "AppConfig.AllAtOnce";

/// Creates a hosted version with the content of a file. The latest one is reused if its content is equal.
pub async fn create_version(
    client: &Client,
    place: &AppConfigLocation,
    file: &DefinitionFile,
) -> Result<Version, Problem> {
    let number = retry::ambiguous(
        &WRITE_RETRY,
        async |latest: i32| {
            let sent = client.create_version(place, &file.text, content::mime_type(&file.path), latest).await;
            sent.map_err(|error| version_error(error, &file.path))
        },
        async |_| {
            let latest = client.latest_version(place).await?;
            let is_there = latest > 0 && content::is_equal(&client.content(place, latest).await?, &file.text);
            Ok(if is_there { Look::Done(latest) } else { Look::Send(latest) })
        },
    )
    .await
    .map_err(unstaged_problem)?;
    Ok(place.profile.version(&number.to_string()))
}

/// No client gets a version that was not deployed; a later run reuses an equal one.
fn unstaged_problem(error: WriteError<Problem>) -> Problem {
    let WriteError::Unknown(last) = error else { return error.into_error() };
    let sentence =
        "The response of appconfig:CreateHostedConfigurationVersion was lost, so a new version may exist.";
    let help = "It is not deployed. Run the job again: an equal version is reused.";
    Problem::error(Code::ChangeOutcomeUnknown, sentence).cause(last.to_string()).help(help)
}

/// After a conflict, another writer created a version first, or the lost response was ours.
fn version_error(error: AwsError, path: &str) -> SendError<Problem> {
    if error.has_code(&["ConflictException"]) {
        return SendError::ambiguous(error.problem);
    }
    match error.send_failure() {
        SendFailure::Rejected => SendError::rejected(invalid_content_problem(error, path)),
        failure => SendError::new(failure, error.problem),
    }
}

fn invalid_content_problem(error: AwsError, path: &str) -> Problem {
    let ours = ["BadRequestException", "PayloadTooLargeException", "ServiceQuotaExceededException"];
    if !error.has_code(&ours) {
        return error.problem;
    }
    let sentence = format!("AppConfig rejected the configuration `{path}`; nothing was deployed.");
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).at_location(path, 1, 1);
    Problem { cause: error.problem.cause, ..problem }
}

fn exhausted_problem() -> Problem {
    Problem::error(Code::ProviderError, "AppConfig did not accept the change after several attempts.")
}

/// A newer deployment, described by `newer`, took over.
fn superseded_problem(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was not changed.").cause(newer)
}

/// Another deployment is in progress in the environment.
pub fn in_progress_problem(other: &Deployment) -> Problem {
    let sentence = format!("The environment is busy with {}.", write::describe_deployment(other));
    Problem::error(Code::DeploymentInProgress, sentence)
        .cause(format!("{}, {} % of the clients", other.state, other.percent))
        .help("AppConfig allows one deployment at a time per environment. Wait for it or stop it, then run the job again.")
}

/// A shift to a version.
#[derive(Debug, Clone, Copy)]
pub struct DeploymentShift<'m> {
    /// The version.
    pub version: &'m Version,
    /// Whether that version served before: it is restored the fastest way.
    pub is_rollback: bool,
    /// The description of a deployment that is started.
    pub description: &'m str,
    /// The newest deployment when the plan was made; a newer one of another writer is not changed.
    pub newest_known: i32,
}

/// Shifts to a version. Idempotent: a second call does not deploy twice.
pub async fn start(
    client: &Client,
    place: &AppConfigLocation,
    wanted: DeploymentShift<'_>,
) -> Result<Rollout, ChangeError> {
    converge(client, place, wanted, |seen| start_action(seen, &wanted)).await
}

/// How a version is deployed that may have been requested before.
fn start_action(seen: &EnvironmentHistory, wanted: &DeploymentShift<'_>) -> DeploymentAction {
    match find_started(seen, wanted.newest_known, version_number(&wanted.version.id)) {
        Some(ours) if !wanted.is_rollback => DeploymentAction::NoOp(ours.number),
        _ => write::start_action(seen, &wanted.version.id, wanted.is_rollback),
    }
}

/// Rolls back deployment `moved`, if it is known to have started.
pub async fn roll_back(
    client: &Client,
    place: &AppConfigLocation,
    wanted: DeploymentShift<'_>,
    moved: Option<i32>,
) -> Result<Rollout, ChangeError> {
    let wanted = DeploymentShift { is_rollback: true, newest_known: i32::MAX, ..wanted };
    converge(client, place, wanted, |seen| rollback_action(seen, &wanted, moved)).await
}

fn rollback_action(
    seen: &EnvironmentHistory,
    wanted: &DeploymentShift<'_>,
    moved: Option<i32>,
) -> DeploymentAction {
    write::rollback_action(seen, &wanted.version.id, moved.and_then(|number| seen.find(number)))
}

/// The deployment of a shift whose answer is missing: the decision for the deployments as they are now, without its call.
/// `moved` is the deployment that it rolls back.
pub async fn find_shift(
    client: &Client,
    place: &AppConfigLocation,
    wanted: DeploymentShift<'_>,
    rolls_back: Option<Option<i32>>,
) -> Result<Option<Rollout>, Problem> {
    let seen = fetch_history(client, place, RECENT_PAGES).await?;
    let action = match rolls_back {
        None => start_action(&seen, &wanted),
        Some(moved) => rollback_action(&seen, &wanted, moved),
    };
    match action {
        DeploymentAction::NoOp(number) => Ok(Some(write::new_rollout(wanted.version, number))),
        DeploymentAction::Superseded(newer) => Err(superseded_problem(&newer)),
        DeploymentAction::Start
        | DeploymentAction::Revert(_)
        | DeploymentAction::Stop(_)
        | DeploymentAction::StopAndRetry(_) => Ok(None),
    }
}

/// What is left to do once nothing has to be stopped.
enum Converged {
    /// Nothing: this deployment leads to the version.
    There(i32),
    /// Start a deployment after these.
    Start(EnvironmentHistory),
}

/// A deployment to stop or to revert.
struct StopRequest {
    number: i32,
    /// Whether AppConfig returns to the requested version by that.
    restores: bool,
}

/// Reads the state and acts on it until the decision is that nothing is left to do.
async fn converge(
    client: &Client,
    place: &AppConfigLocation,
    wanted: DeploymentShift<'_>,
    decide: impl Fn(&EnvironmentHistory) -> DeploymentAction,
) -> Result<Rollout, ChangeError> {
    let (cannot_stop, has_stopped) = (Cell::new(false), Cell::new(false));
    let converged = retry::ambiguous(
        &WRITE_RETRY,
        async |StopRequest { number, restores }| {
            let stopped = stop_deployment(client, place, number).await?;
            has_stopped.set(has_stopped.get() || stopped);
            cannot_stop.set(restores && !stopped);
            match restores && stopped {
                true => Ok(Converged::There(number)),
                false => Err(SendError::transient(exhausted_problem())),
            }
        },
        async |_| {
            let seen = fetch_history(client, place, RECENT_PAGES).await?;
            Ok(match decide(&seen) {
                DeploymentAction::NoOp(number) => Look::Done(Converged::There(number)),
                DeploymentAction::Superseded(newer) => Look::Stop(superseded_problem(&newer)),
                DeploymentAction::Start => Look::Done(Converged::Start(seen)),
                DeploymentAction::Revert(_) if cannot_stop.get() => Look::Done(Converged::Start(seen)),
                DeploymentAction::StopAndRetry(number) => Look::Send(StopRequest { number, restores: false }),
                DeploymentAction::Stop(number) | DeploymentAction::Revert(number) => {
                    Look::Send(StopRequest { number, restores: true })
                }
            })
        },
    )
    .await;
    let after_steps = |error: ChangeError| if has_stopped.get() { error.after_change() } else { error };
    match converged.map_err(after_steps)? {
        Converged::There(number) => Ok(write::new_rollout(wanted.version, number)),
        Converged::Start(seen) => start_deployment(client, place, wanted, seen).await.map_err(after_steps),
    }
}

/// Stops or reverts a deployment; false if AppConfig does not, as when it completed too long ago.
async fn stop_deployment(
    client: &Client,
    place: &AppConfigLocation,
    number: i32,
) -> Result<bool, SendError<Problem>> {
    match client.stop_deployment(place, number).await {
        Ok(()) => Ok(true),
        Err(error) if error.has_code(&["BadRequestException"]) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Starts a deployment after those in `seen`. If the response is lost, or another deployment was first, it reads the
/// deployments again before it retries.
async fn start_deployment(
    client: &Client,
    place: &AppConfigLocation,
    wanted: DeploymentShift<'_>,
    seen: EnvironmentHistory,
) -> Result<Rollout, ChangeError> {
    // A rollback has just read the deployments newer than the one it rolls back.
    let since = wanted.newest_known.min(seen.latest_number());
    let version = version_number(&wanted.version.id);
    let strategy = if wanted.is_rollback { ALL_AT_ONCE_STRATEGY } else { place.strategy.id.as_str() };
    let request = StartRequest { version, strategy_id: strategy, description: wanted.description };
    let number = retry::ambiguous(
        &WRITE_RETRY,
        async |latest: i32| {
            let sent = client.start_deployment(place, &request, latest).await;
            sent.map(|detail| detail.deployment.number)
                .map_err(|error| start_error(error, wanted.is_rollback))
        },
        async |failed| {
            let now = match failed {
                None => seen.clone(),
                Some(_) => fetch_history(client, place, RECENT_PAGES).await?,
            };
            if let Some(ours) = find_started(&now, since, version).filter(|_| failed.is_some()) {
                return Ok(Look::Done(ours.number));
            }
            Ok(match blocking_problem(&now, since, version) {
                Some(problem) => Look::Stop(problem),
                None => Look::Send(now.latest_number()),
            })
        },
    )
    .await?;
    Ok(write::new_rollout(wanted.version, number))
}

/// After a conflict, another deployment was first, or the lost response was ours.
fn start_error(error: AwsError, is_rollback: bool) -> SendError<Problem> {
    if error.has_code(&["BadRequestException"]) && !is_rollback {
        return SendError::rejected(rejected_problem(error));
    }
    match error.has_code(&["ConflictException"]) {
        true => SendError::ambiguous(error.problem),
        false => error.into(),
    }
}

/// A deployment of this version that is newer than the plan.
fn find_started<'h>(seen: &'h EnvironmentHistory, since: i32, version: &str) -> Option<&'h Deployment> {
    seen.newest().filter(|newest| newest.number > since && newest.version == version)
}

/// Why nothing can be started now: another writer was first, or a deployment is in progress.
fn blocking_problem(seen: &EnvironmentHistory, since: i32, version: &str) -> Option<Problem> {
    if let Some(newer) = seen.newer_than(since).filter(|newer| newer.version != version) {
        return Some(superseded_problem(&write::describe_deployment(newer)));
    }
    let flying = seen.in_progress().filter(|flying| flying.is_advancing() && flying.version != version);
    seen.foreign().or(flying).filter(|one| one.is_advancing()).map(in_progress_problem)
}

/// The validators of the profile run when a deployment starts.
fn rejected_problem(error: AwsError) -> Problem {
    let sentence = "AppConfig rejected the deployment of the configuration; the version before still serves.";
    let help = "The validators of the profile report the errors; fix the content.";
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).help(help);
    Problem { cause: error.problem.cause, ..problem }
}
