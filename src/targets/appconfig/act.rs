//! The changes: making a version, starting, stopping and reverting deployments. Each is asked for again only after a
//! look at what became of the first time, because an answer can get lost after the change was made.

use std::time::Duration;

use tokio::time::sleep;

use super::client::{Client, Wish};
use super::content;
use super::look::{RECENT, history};
use super::read::{Deployment, History, Place, number};
use super::refusal::{Refusal, passes};
use super::write::{self, Movement};
use crate::problem::{Code, Problem};
use crate::release::{Definition, Rollout, Version};

/// Tries of one change, with growing pauses.
const TRIES: u32 = 7;
/// The strategy by which an earlier version comes back where nothing can be stopped or reverted.
const AT_ONCE: &str = "AppConfig.AllAtOnce";

/// 1, 2, 4, 8, 8 … seconds, shortened at random by up to half.
async fn pause(attempt: u32) {
    let longest = 1000 << attempt.min(3);
    sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))).await;
}

/// Makes the content of a file exist as a hosted version: the latest one is used again where it says the same.
pub async fn create(client: &Client, place: &Place, file: &Definition) -> Result<Version, Problem> {
    let mut last = None;
    for attempt in 0..TRIES {
        let latest = client.latest_version(place).await?;
        if latest > 0 && content::same(&client.content(place, latest).await?, &file.text) {
            return Ok(place.profile.version(&latest.to_string()));
        }
        match client.create(place, &file.text, content::mime(&file.path), latest).await {
            Ok(made) => return Ok(place.profile.version(&made.to_string())),
            // Somebody else made a version meanwhile, or it may be ours.
            Err(refusal) if passes(&refusal) || refusal.is(&["ConflictException"]) => {
                last = Some(refusal.problem);
            }
            Err(refusal) => return Err(refused(refusal, &file.path)),
        }
        pause(attempt).await;
    }
    Err(last.unwrap_or_else(exhausted))
}

fn refused(refusal: Refusal, path: &str) -> Problem {
    let ours = ["BadRequestException", "PayloadTooLargeException", "ServiceQuotaExceededException"];
    if !refusal.is(&ours) {
        return refusal.problem;
    }
    let sentence = format!("AppConfig refused the configuration `{path}`; nothing was deployed.");
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).at(path, 1, 1);
    Problem { cause: refusal.problem.cause, ..problem }
}

fn exhausted() -> Problem {
    Problem::error(Code::ProviderError, "AppConfig did not take the change in several tries.")
}

/// A newer deployment, named here, took over.
fn superseded(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was left alone.").cause(newer)
}

/// Another deployment is in progress in the environment.
pub fn busy(other: &Deployment) -> Problem {
    let sentence = format!("AppConfig is busy in this environment with {}.", write::words(other));
    Problem::error(Code::DeploymentInProgress, sentence)
        .cause(format!("{}, {} % of the clients", other.state, other.percent))
        .help("It takes one deployment at a time in an environment. Wait for that one, or stop it, and run again.")
}

/// What is to be moved.
#[derive(Debug, Clone, Copy)]
pub struct Move<'m> {
    /// To which version.
    pub version: &'m Version,
    /// Whether that served before: it comes back by the quickest way.
    pub back: bool,
    /// What is written beside a deployment that is started.
    pub description: &'m str,
    /// The newest deployment that the plan was made for; a newer one of somebody else's is left alone.
    pub since: i32,
}

/// Brings a version in. Asking twice moves once.
pub async fn forward(client: &Client, place: &Place, wanted: Move<'_>) -> Result<Rollout, Problem> {
    settle(client, place, wanted, |seen| write::forward(seen, &wanted.version.id, wanted.back)).await
}

/// Takes back what was moved, as far as it was found to have begun.
pub async fn backward(
    client: &Client,
    place: &Place,
    wanted: Move<'_>,
    moved: Option<i32>,
) -> Result<Rollout, Problem> {
    let decide = |seen: &History| {
        let moved = moved.and_then(|number| seen.find(number));
        write::backward(seen, &wanted.version.id, moved)
    };
    settle(client, place, Move { back: true, since: i32::MAX, ..wanted }, decide).await
}

/// Looks what is there and does what that asks for, until it is done.
async fn settle(
    client: &Client,
    place: &Place,
    wanted: Move<'_>,
    decide: impl Fn(&History) -> Movement,
) -> Result<Rollout, Problem> {
    let mut refused = false;
    for attempt in 0..TRIES {
        let seen = history(client, place, RECENT).await?;
        match decide(&seen) {
            Movement::Nothing(number) => return Ok(write::rollout(wanted.version, number)),
            Movement::Superseded(newer) => return Err(superseded(&newer)),
            Movement::Start => return start(client, place, wanted, seen).await,
            Movement::Revert(_) if refused => return start(client, place, wanted, seen).await,
            Movement::Clear(number) => drop(stopped(client, place, number).await?),
            Movement::Stop(number) | Movement::Revert(number) => {
                if stopped(client, place, number).await? {
                    return Ok(write::rollout(wanted.version, number));
                }
                refused = true;
            }
        }
        pause(attempt).await;
    }
    Err(exhausted())
}

/// Stops or reverts a deployment; false where AppConfig will not, as when it completed too long ago.
async fn stopped(client: &Client, place: &Place, number: i32) -> Result<bool, Problem> {
    match client.stop(place, number).await {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.is(&["BadRequestException"]) => Ok(false),
        Err(refusal) => Err(refusal.problem),
    }
}

/// Starts a deployment after those that were seen. When its answer is lost, or another one was first, it looks what is
/// there now.
async fn start(
    client: &Client,
    place: &Place,
    wanted: Move<'_>,
    mut seen: History,
) -> Result<Rollout, Problem> {
    // On the way back it was looked just now what is newer than what is taken back.
    let since = wanted.since.min(seen.latest());
    let version = number(&wanted.version.id);
    let strategy = if wanted.back { AT_ONCE } else { place.strategy.id.as_str() };
    let wish = Wish { version, strategy, description: wanted.description };
    let mut last = None;
    for attempt in 0..TRIES {
        if let Some(problem) = hindered(&seen, since, version) {
            return Err(problem);
        }
        let refusal = match client.start(place, &wish, seen.latest()).await {
            Ok(detail) => return Ok(write::rollout(wanted.version, detail.deployment.number)),
            Err(refusal) => refusal,
        };
        let invalid = refusal.is(&["BadRequestException"]) && !wanted.back;
        match refusal {
            refusal if invalid => return Err(unfit(refusal)),
            refusal if passes(&refusal) || refusal.is(&["ConflictException"]) => last = Some(refusal.problem),
            refusal => return Err(refusal.problem),
        }
        pause(attempt).await;
        seen = history(client, place, RECENT).await?;
        if let Some(ours) = begun(&seen, since, version) {
            return Ok(write::rollout(wanted.version, ours.number));
        }
    }
    Err(last.unwrap_or_else(exhausted))
}

/// A deployment of this very version that is newer than what the plan was made for.
fn begun<'h>(seen: &'h History, since: i32, version: &str) -> Option<&'h Deployment> {
    seen.newest().filter(|newest| newest.number > since && newest.version == version)
}

/// Why nothing may be started now: somebody was first, or the environment is busy with something that goes on.
fn hindered(seen: &History, since: i32, version: &str) -> Option<Problem> {
    if let Some(newer) = seen.newer_than(since).filter(|newer| newer.version != version) {
        return Some(superseded(&write::words(newer)));
    }
    let flying = seen.flying().filter(|flying| flying.advances() && flying.version != version);
    seen.other().or(flying).filter(|one| one.advances()).map(busy)
}

/// The validators of the profile are asked when a deployment starts.
fn unfit(refusal: Refusal) -> Problem {
    let sentence = "AppConfig refused to deploy the configuration; what served before serves still.";
    let help = "The validators of the profile say what is wrong with it.";
    let problem = Problem::error(Code::ConfigurationInvalid, sentence).help(help);
    Problem { cause: refusal.problem.cause, ..problem }
}
