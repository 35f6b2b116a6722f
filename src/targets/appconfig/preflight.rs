//! What can be known to go wrong before the first change. Reads only.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::act::busy;
use super::client::Client;
use super::content;
use super::grants;
use super::read::{History, Place};
use super::write::{self, Movement};
use crate::problem::{Code, Problem};
use crate::release::{Changes, Release};
use crate::targets::permits;

/// Which service of this run deploys in which environment: AppConfig takes one deployment at a time.
pub type Claims = RefCell<BTreeMap<(String, String), String>>;

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
pub struct Intent<'i> {
    /// What is released.
    pub release: &'i Release,
    /// What would change.
    pub changes: &'i Changes,
    /// Where.
    pub place: &'i Place,
    /// What was deployed there.
    pub history: &'i History,
    /// Alarms that the deploy file names.
    pub alarms: &'i [String],
    /// The account that the environment declares.
    pub account: Option<&'i str>,
}

/// Everything that is wrong.
pub async fn check(client: &Client, intent: Intent<'_>, claims: &Claims) -> Vec<Problem> {
    let mut found: Vec<Problem> = foreign(intent.place).into_iter().chain(unfit(&intent)).collect();
    found.extend(unwatched(intent.place, intent.alarms));
    found.extend(caller(client, &intent).await);
    if !intent.changes.is_empty() {
        found.extend(occupied(&intent).or_else(|| claimed(&intent, claims)));
        found.extend(red(client, &intent).await);
    }
    found
}

/// Content that is not hosted is not ours to make a version of.
fn foreign(place: &Place) -> Option<Problem> {
    let profile = &place.profile;
    (profile.location != "hosted").then(|| {
        let sentence =
            format!("The profile `{}` takes its content from `{}`.", profile.name, profile.location);
        let help = "Only content that AppConfig hosts can be released: make a hosted profile.";
        Problem::error(Code::Unsupported, sentence).help(help)
    })
}

/// Feature flags are JSON, whatever the name of the file.
fn unfit(intent: &Intent<'_>) -> Option<Problem> {
    let file = intent.release.definition.as_ref().filter(|_| intent.place.profile.has_flags())?;
    if content::mime(&file.path) == "application/json" {
        return None;
    }
    let sentence = format!("`{}` holds feature flags and is not a `.json` file.", file.path);
    Some(
        Problem::error(Code::ConfigurationInvalid, sentence)
            .help("Feature flags are JSON.")
            .at(&file.path, 1, 1),
    )
}

/// Alarms that are named must be watched by somebody, and that is the environment.
fn unwatched(place: &Place, alarms: &[String]) -> Vec<Problem> {
    let monitored = place.alarms();
    let missing = alarms.iter().filter(|alarm| !monitored.contains(alarm));
    let problem = |alarm: &String| {
        let sentence =
            format!("The environment `{}` does not monitor the alarm `{alarm}`.", place.environment.name);
        Problem::error(Code::AlarmMissing, sentence).help(
            "Add it to the monitors of the environment in AppConfig, which then rolls back by itself, or take it out of `alarms`.",
        )
    };
    missing.map(problem).collect()
}

/// Who we are, and what we may do.
async fn caller(client: &Client, intent: &Intent<'_>) -> Vec<Problem> {
    let (account, arn) = match client.caller().await {
        Ok(caller) => caller,
        Err(refusal) => return vec![refusal.problem],
    };
    let mut found: Vec<Problem> = elsewhere(&account, intent.account).into_iter().collect();
    if !intent.changes.is_empty() {
        found.extend(allowed(client, &arn, &account, intent).await);
    }
    found
}

async fn allowed(client: &Client, arn: &str, account: &str, intent: &Intent<'_>) -> Vec<Problem> {
    let Some(principal) = permits::principal(arn) else { return vec![permits::unchecked(None)] };
    let makes = intent.release.former.is_none();
    let needs = grants::needs(intent.place, client.region(), account, makes);
    match client.simulate(&principal, needs).await {
        Ok(results) => permits::missing(&results),
        Err(refusal) => vec![permits::unchecked(refusal.problem.cause)],
    }
}

/// The account must be the declared one.
fn elsewhere(account: &str, declared: Option<&str>) -> Option<Problem> {
    let declared = declared?;
    (account != declared).then(|| {
        let sentence =
            format!("The credentials are of account {account}, and the deploy file says {declared}.");
        Problem::error(Code::AccountMismatch, sentence).help("Check `aws.account` and the role.")
    })
}

/// A deployment of somebody else stands in the way. One of this profile is stopped by a rollback on demand.
fn occupied(intent: &Intent<'_>) -> Option<Problem> {
    let former = intent.release.former.as_ref();
    let quick = former.is_some_and(|former| {
        let way = write::forward(intent.history, &former.version.id, true);
        matches!(way, Movement::Stop(_) | Movement::Revert(_) | Movement::Nothing(_))
    });
    let own = intent.history.flying().filter(|_| former.is_none());
    let blocking = own.or(intent.history.other().filter(|_| !quick));
    // One that rolls back is over in seconds, and waited for.
    blocking.filter(|one| one.advances()).map(busy)
}

/// Two services of one run cannot deploy in one environment at the same time.
fn claimed(intent: &Intent<'_>, claims: &Claims) -> Option<Problem> {
    let (service, place) = (&intent.release.service, intent.place);
    let key = (place.application.id.clone(), place.environment.id.clone());
    let mut claims = claims.borrow_mut();
    let first = claims.entry(key).or_insert_with(|| service.clone());
    (first != service).then(|| {
        let sentence = format!("`{first}` and `{service}` both change in the same environment of AppConfig.");
        Problem::error(Code::DeploymentInProgress, sentence).help(
            "It takes one deployment at a time in an environment: release them in two steps, with the input `services`.",
        )
    })
}

/// With a red alarm AppConfig would take the deployment back at once. A rollback is not held up by it.
async fn red(client: &Client, intent: &Intent<'_>) -> Option<Problem> {
    let names = intent.place.alarms();
    if names.is_empty() || intent.release.former.is_some() {
        return None;
    }
    match client.red(names).await {
        Ok(red) if red.is_empty() => None,
        Ok(red) => {
            let sentence = format!("The alarm `{}` is red before the deployment.", red.join("`, `"));
            let help = "AppConfig would roll back at once. Find out why it is red; deploy when it is green.";
            Some(Problem::error(Code::AlarmRed, sentence).help(help))
        }
        Err(refusal) if refusal.problem.code == Code::PermissionMissing => {
            let sentence = "Whether the monitored alarms are green was not checked before the start.";
            let problem = Problem::notice(Code::PermissionUnchecked, sentence);
            Some(problem.help("Allow cloudwatch:DescribeAlarms to have it checked."))
        }
        Err(refusal) => Some(refusal.problem),
    }
}
