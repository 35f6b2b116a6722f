//! Problems that are known before the first change. Reads only.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::client::Client;
use super::content;
use super::grants;
use super::mutations::in_progress_problem;
use super::read::{AppConfigLocation, EnvironmentHistory};
use super::write::{self, DeploymentAction};
use crate::problem::{Code, Problem};
use crate::release::{Changes, Release};
use crate::targets::iam;

/// The service of this run that deploys in each environment: AppConfig allows one deployment at a time.
pub type EnvironmentClaims = RefCell<BTreeMap<(String, String), String>>;

/// What the pre-flight checks.
#[derive(Debug, Clone, Copy)]
pub struct PreflightRequest<'i> {
    /// The release.
    pub release: &'i Release,
    /// The planned changes.
    pub changes: &'i Changes,
    /// The resources in AppConfig.
    pub location: &'i AppConfigLocation,
    /// The deployments of the environment.
    pub history: &'i EnvironmentHistory,
    /// Alarms of the deploy file.
    pub alarms: &'i [String],
    /// The account of the environment, if declared.
    pub account: Option<&'i str>,
}

/// All problems.
pub async fn check(
    client: &Client,
    intent: PreflightRequest<'_>,
    claims: &EnvironmentClaims,
) -> Vec<Problem> {
    let mut found: Vec<Problem> =
        not_hosted_problem(intent.location).into_iter().chain(flags_not_json_problem(&intent)).collect();
    found.extend(unmonitored_alarm_problems(intent.location, intent.alarms));
    found.extend(check_caller(client, &intent).await);
    if !intent.changes.is_empty() {
        found.extend(environment_busy_problem(&intent).or_else(|| claim_environment(&intent, claims)));
        found.extend(check_alarms(client, &intent).await);
    }
    found
}

/// Roadstead can only create versions of hosted content.
fn not_hosted_problem(place: &AppConfigLocation) -> Option<Problem> {
    let profile = &place.profile;
    (profile.location != "hosted").then(|| {
        let sentence =
            format!("The profile `{}` takes its content from `{}`.", profile.name, profile.location);
        let help = "Only content hosted by AppConfig is supported: create a hosted profile.";
        Problem::error(Code::Unsupported, sentence).help(help)
    })
}

/// Feature flags are JSON, whatever the name of the file.
fn flags_not_json_problem(intent: &PreflightRequest<'_>) -> Option<Problem> {
    let file = intent.release.definition.as_ref().filter(|_| intent.location.profile.has_flags())?;
    if content::mime_type(&file.path) == "application/json" {
        return None;
    }
    let sentence = format!("`{}` holds feature flags and is not a `.json` file.", file.path);
    Some(
        Problem::error(Code::ConfigurationInvalid, sentence)
            .help("Feature flags are JSON: rename the file.")
            .at_location(&file.path, 1, 1),
    )
}

/// Alarms of the deploy file must be monitored by the environment.
fn unmonitored_alarm_problems(place: &AppConfigLocation, alarms: &[String]) -> Vec<Problem> {
    let monitored = place.alarm_names();
    let missing = alarms.iter().filter(|alarm| !monitored.contains(alarm));
    let problem = |alarm: &String| {
        let sentence =
            format!("The environment `{}` does not monitor the alarm `{alarm}`.", place.environment.name);
        Problem::error(Code::AlarmMissing, sentence)
            .help("Add it to the monitors of the environment in AppConfig, or remove it from `alarms`.")
    };
    missing.map(problem).collect()
}

/// The caller's identity and its permissions.
async fn check_caller(client: &Client, intent: &PreflightRequest<'_>) -> Vec<Problem> {
    let (account, arn) = match client.caller_identity().await {
        Ok(caller) => caller,
        Err(refusal) => return vec![refusal.problem],
    };
    let mut found: Vec<Problem> = account_mismatch_problem(&account, intent.account).into_iter().collect();
    if !intent.changes.is_empty() {
        found.extend(check_permissions(client, &arn, &account, intent).await);
    }
    found
}

async fn check_permissions(
    client: &Client,
    arn: &str,
    account: &str,
    intent: &PreflightRequest<'_>,
) -> Vec<Problem> {
    let Some(principal) = iam::principal(arn) else { return vec![iam::unchecked_notice(None)] };
    let makes = intent.release.rollback_to.is_none();
    let needs = grants::required_permissions(intent.location, client.region(), account, makes);
    match client.simulate_permissions(&principal, needs).await {
        Ok(results) => iam::missing_permissions(&results),
        Err(refusal) => vec![iam::unchecked_notice(refusal.problem.cause)],
    }
}

/// The account must be the declared one.
fn account_mismatch_problem(account: &str, declared: Option<&str>) -> Option<Problem> {
    let declared = declared?;
    (account != declared).then(|| {
        let sentence =
            format!("The credentials are of account {account}, but the deploy file declares {declared}.");
        Problem::error(Code::AccountMismatch, sentence).help("Check `aws.account` and the role.")
    })
}

/// Another deployment is in progress. A rollback stops one of this profile.
fn environment_busy_problem(intent: &PreflightRequest<'_>) -> Option<Problem> {
    let target = intent.release.rollback_to.as_ref();
    let quick = target.is_some_and(|target| {
        let action = write::start_action(intent.history, &target.version.id, true);
        matches!(action, DeploymentAction::Stop(_) | DeploymentAction::Revert(_) | DeploymentAction::NoOp(_))
    });
    let own = intent.history.in_progress().filter(|_| target.is_none());
    let blocking = own.or(intent.history.foreign().filter(|_| !quick));
    // A deployment that rolls back ends in seconds and is waited for.
    blocking.filter(|one| one.is_advancing()).map(in_progress_problem)
}

/// Two services of one run cannot deploy in one environment at the same time.
fn claim_environment(intent: &PreflightRequest<'_>, claims: &EnvironmentClaims) -> Option<Problem> {
    let (service, place) = (&intent.release.service, intent.location);
    let key = (place.application.id.clone(), place.environment.id.clone());
    let mut claims = claims.borrow_mut();
    let first = claims.entry(key).or_insert_with(|| service.clone());
    (first != service).then(|| {
        let sentence = format!("`{first}` and `{service}` both change the same environment of AppConfig.");
        Problem::error(Code::DeploymentInProgress, sentence).help(
            "AppConfig allows one deployment at a time per environment: release them in two steps with the input `services`.",
        )
    })
}

/// With a firing alarm, AppConfig would roll the deployment back at once. It does not block a rollback.
async fn check_alarms(client: &Client, intent: &PreflightRequest<'_>) -> Option<Problem> {
    let names = intent.location.alarm_names();
    if names.is_empty() || intent.release.rollback_to.is_some() {
        return None;
    }
    match client.firing_alarms(names).await {
        Ok(red) if red.is_empty() => None,
        Ok(red) => {
            let sentence = format!("The alarm `{}` is firing before the deployment.", red.join("`, `"));
            let help = "AppConfig would roll back at once. Resolve the alarm, then deploy again.";
            Some(Problem::error(Code::AlarmAlreadyFiring, sentence).help(help))
        }
        Err(refusal) if refusal.problem.code == Code::PermissionMissing => {
            let sentence = "The state of the monitored alarms was not checked before the deployment.";
            let problem = Problem::notice(Code::PermissionUnchecked, sentence);
            Some(problem.help("Allow cloudwatch:DescribeAlarms to enable this check."))
        }
        Err(refusal) => Some(refusal.problem),
    }
}
