//! The changes: registering a definition and updating a service. Each is sent again only after reading whether the
//! first attempt happened, because a response can be lost after the change was made.

use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::super::error::AwsError;
use super::super::read::{
    EcsService, ServiceDeployment, list_field, optional_str, str_field, version_from_arn,
};
use super::super::reader::ServiceReader;
use super::super::staged::ObservedPrimary;
use super::super::task_definition::{definition, equality};
use super::super::write::{self, ServiceState, ServiceUpdate, ShiftRequest, UpdatePlan};
use super::refusals;
use crate::problem::{Code, Problem};
use crate::release::{Rollout, ShiftKind, Version};
use crate::retry::{self, Look, RetryPolicy, SendError, SendFailure, WriteError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;

/// A registration that AWS throttles is asked for again for so long: others who use the account may have used its budget
/// of one a second up.
const REGISTRATION_RETRY: RetryPolicy = WRITE_RETRY.with_rate_limit_timeout(Duration::from_secs(180));
/// How long reads may return a service as it was before a change (aws.md: up to 30 s).
pub const STALE_READ_WINDOW: Duration = Duration::from_secs(40);
/// How many revisions of a family are compared before a new one is registered.
pub const COMPARED_REVISIONS: i32 = 5;

/// Registers `wanted` and returns its version: an equal ACTIVE revision is reused.
pub async fn register_definition(
    reader: &ServiceReader,
    wanted: &Value,
    running: &Value,
) -> Result<Version, Problem> {
    retry::ambiguous(
        &REGISTRATION_RETRY,
        async |()| match reader.loader.client().register_task_definition(wanted).await {
            Ok(answer) => registered_version(&answer).map_err(SendError::rejected),
            Err(error) => Err(registration_error(error)),
        },
        async |failed| {
            if failed.is_some_and(|failed| !failed.is_ambiguous()) {
                return Ok(Look::Send(()));
            }
            let found = find_equal_revision(reader, wanted, running).await?;
            Ok(found.map(|arn| version_from_arn(&arn)).into())
        },
    )
    .await
    .map_err(unstaged_problem)
}

/// No traffic depends on a revision; a later run reuses an equal one.
fn unstaged_problem(error: WriteError<Problem>) -> Problem {
    let WriteError::Unknown(last) = error else { return error.into_error() };
    let sentence = "The response of ecs:RegisterTaskDefinition was lost, so a new revision may exist.";
    let help = "It has no traffic. Run the job again: an equal revision is reused.";
    Problem::error(Code::ChangeOutcomeUnknown, sentence).cause(last.to_string()).help(help)
}

fn registered_version(answer: &Value) -> Result<Version, Problem> {
    let arn = optional_str(&answer["taskDefinition"], "taskDefinitionArn");
    let missing = || {
        Problem::error(
            Code::ProviderError,
            "The response of ecs:RegisterTaskDefinition contains no revision.",
        )
    };
    arn.map(|arn| version_from_arn(&arn)).ok_or_else(missing)
}

fn registration_error(error: AwsError) -> SendError<Problem> {
    let sent = write_error(error.clone());
    if sent.failure != SendFailure::Rejected
        || !error.has_code(&["ClientException", "InvalidParameterException"])
    {
        return sent;
    }
    let problem = Problem::error(Code::TaskDefinitionInvalid, "AWS refused the task definition.");
    SendError::rejected(Problem { cause: error.problem.cause, ..problem })
}

/// What is known of a change of ECS whose request failed.
pub fn write_error(error: AwsError) -> SendError<Problem> {
    let cause = error.problem.cause.as_deref().unwrap_or_default();
    let is_crowded = cause.contains("Too many concurrent attempts");
    match error.send_failure() {
        SendFailure::Rejected if is_crowded => SendError::transient(error.problem),
        failure => SendError::new(failure, error.problem),
    }
}

/// The newest ACTIVE revision of the family that equals `wanted`, among the last few, which are read together.
async fn find_equal_revision(
    reader: &ServiceReader,
    wanted: &Value,
    running: &Value,
) -> Result<Option<String>, Problem> {
    let client = reader.loader.client();
    let running_arn = str_field(running, "taskDefinitionArn");
    let family = str_field(wanted, "family");
    let listed = match reader.ahead.take_revisions(&family) {
        Some(listed) => listed,
        None => client.list_task_definitions(&family, COMPARED_REVISIONS).await?,
    };
    let comparing =
        list_field(&listed, "taskDefinitionArns").iter().filter_map(Value::as_str).map(async |arn| {
            let same = match arn == running_arn {
                true => equality::is_equal(running, wanted),
                false => equality::is_equal(&read_revision(reader, arn).await?, wanted),
            };
            Ok::<_, AwsError>(same.then(|| arn.to_owned()))
        });
    Ok(try_join_all(comparing).await?.into_iter().flatten().next())
}

/// A revision with its tags, read now or kept.
async fn read_revision(reader: &ServiceReader, arn: &str) -> Result<Value, AwsError> {
    match reader.ahead.definition(arn) {
        Some(kept) => Ok(kept),
        None => Ok(definition::with_tags(&reader.loader.client().describe_task_definition(arn).await?)),
    }
}

/// Updates the service for a shift; idempotent.
pub async fn shift(reader: &ServiceReader, request: &ShiftRequest<'_>) -> Result<Rollout, ChangeError> {
    reader.loader.client().acquire_write_slot().await;
    let seen = read_state_at_start(reader, request).await.map_err(ChangeError::NotMade)?;
    match write::plan_shift(&seen, request) {
        UpdatePlan::NoOp(rollout) => Ok(rollout),
        UpdatePlan::Superseded(newer) => Err(ChangeError::NotMade(superseded_problem(&newer))),
        UpdatePlan::Update(wanted) => update_service(reader, &seen.service, &wanted).await,
        UpdatePlan::StopAndRollBack { arn } => stop_deployment(reader, request, &arn).await,
        UpdatePlan::Unsupported => Err(ChangeError::NotMade(unsupported_weights())),
    }
}

/// The rollout of a shift whose answer is missing: the plan for the state as it is now, without its call.
pub async fn find_shift(
    reader: &ServiceReader,
    request: &ShiftRequest<'_>,
) -> Result<Option<Rollout>, Problem> {
    match write::plan_shift(&read_state(reader, request.since).await?, request) {
        UpdatePlan::NoOp(rollout) => Ok(Some(rollout)),
        UpdatePlan::Superseded(newer) => Err(superseded_problem(&newer)),
        UpdatePlan::Update(_) | UpdatePlan::StopAndRollBack { .. } | UpdatePlan::Unsupported => Ok(None),
    }
}

fn unsupported_weights() -> Problem {
    let sentence = "ECS has no strategy for these traffic weights.";
    Problem::error(Code::Unsupported, sentence).help("Use one step (`canary`) or equal steps (`linear`).")
}

/// A newer deployment, described by `newer`, took over.
pub fn superseded_problem(newer: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer deployment took over and was not changed.").cause(newer)
}

/// As [`read_state`]. Before the first shift of a run the service most probably has the deployment that was observed: it is
/// read together with the service.
async fn read_state_at_start(
    reader: &ServiceReader,
    request: &ShiftRequest<'_>,
) -> Result<ServiceState, Problem> {
    let is_start = matches!(request.shift.kind, ShiftKind::Start { .. });
    let observed = request.since.filter(|_| is_start).and_then(|since| since.service_deployment.as_ref());
    let (service, ahead) = tokio::join!(reader.service(), read_deployment(reader, observed));
    let service = service?;
    let current = match service.service_deployment_arn.as_ref() == observed {
        true => ahead?,
        false => read_deployment(reader, service.service_deployment_arn.as_ref()).await?,
    };
    complete_state(reader, service, current, request.since).await
}

/// The service, its last service deployment, and its rollback version; what that deployment brought in, if it started
/// after `since`.
async fn read_state(
    reader: &ServiceReader,
    since: Option<&ObservedPrimary>,
) -> Result<ServiceState, Problem> {
    let service = reader.service().await?;
    let current = read_deployment(reader, service.service_deployment_arn.as_ref()).await?;
    complete_state(reader, service, current, since).await
}

async fn read_deployment(
    reader: &ServiceReader,
    arn: Option<&String>,
) -> Result<Option<ServiceDeployment>, Problem> {
    match arn {
        Some(arn) => none_if_denied(reader.loader.deployment(arn).await),
        None => Ok(None),
    }
}

async fn complete_state(
    reader: &ServiceReader,
    service: EcsService,
    current: Option<ServiceDeployment>,
    since: Option<&ObservedPrimary>,
) -> Result<ServiceState, Problem> {
    let newer = current.as_ref().filter(|current| since.is_some_and(|since| since.is_older_than(current)));
    let target = newer.and_then(|newer| newer.target_revision.as_ref());
    let deployed_definition = revision_definition(reader, target).await?;
    let state =
        ServiceState { service, last_deployment: current, deployed_definition, ..ServiceState::default() };
    let Some(flying) = state.last_deployment.as_ref().filter(|deployment| deployment.is_in_flight()) else {
        return Ok(state);
    };
    // With several sources ECS rolls back to the last one that completed, which is not reported here.
    let source = flying.source_revisions.first().filter(|_| flying.source_revisions.len() == 1);
    let rollback_definition = revision_definition(reader, source).await?;
    Ok(ServiceState { rollback_definition, ..state })
}

async fn revision_definition(
    reader: &ServiceReader,
    revision: Option<&String>,
) -> Result<Option<String>, Problem> {
    match revision {
        Some(arn) => {
            Ok(none_if_denied(reader.loader.revision(arn).await)?.map(|revision| revision.definition))
        }
        None => Ok(None),
    }
}

/// Without the permission to read it, a service deployment is treated as absent.
pub fn none_if_denied<T>(read: Result<Option<T>, AwsError>) -> Result<Option<T>, Problem> {
    match read {
        Err(error) if error.is_denied() => Ok(None),
        other => Ok(other?),
    }
}

/// Stops a service deployment with a rollback; if ECS cannot, deploys the version before, unless a newer deployment has
/// started.
async fn stop_deployment(
    reader: &ServiceReader,
    request: &ShiftRequest<'_>,
    arn: &str,
) -> Result<Rollout, ChangeError> {
    if let Some(rollout) = request_stop(reader, request, arn).await? {
        return Ok(rollout);
    }
    let seen = read_state(reader, request.since).await.map_err(ChangeError::NotMade)?;
    match write::plan_shift(&seen, request) {
        UpdatePlan::NoOp(rollout) => Ok(rollout),
        UpdatePlan::Superseded(newer) => Err(ChangeError::NotMade(superseded_problem(&newer))),
        UpdatePlan::Update(wanted) => update_service(reader, &seen.service, &wanted).await,
        UpdatePlan::StopAndRollBack { .. } | UpdatePlan::Unsupported => {
            let update = write::rolling_update(&seen.service, &request.shift.version.id, false);
            update_service(reader, &seen.service, &update).await
        }
    }
}

/// StopServiceDeployment; `None` if ECS cannot stop it. After a lost response the deployment is read before it is sent
/// again.
async fn request_stop(
    reader: &ServiceReader,
    request: &ShiftRequest<'_>,
    arn: &str,
) -> Result<Option<Rollout>, ChangeError> {
    retry::ambiguous(
        &WRITE_RETRY,
        async |()| match reader.loader.client().stop_service_deployment(arn).await {
            Ok(_) => Ok(Some(write::rollback_requested(request.shift, arn))),
            Err(error) if cannot_stop(&error) || error.is_denied() => Ok(None),
            Err(error) => Err(write_error(error)),
        },
        async |failed| {
            if failed.is_none() {
                return Ok(Look::Send(()));
            }
            Ok(match write::plan_shift(&read_state(reader, request.since).await?, request) {
                UpdatePlan::NoOp(rollout) => Look::Done(Some(rollout)),
                UpdatePlan::Superseded(newer) => Look::Stop(superseded_problem(&newer)),
                UpdatePlan::StopAndRollBack { .. } => Look::Send(()),
                UpdatePlan::Update(_) | UpdatePlan::Unsupported => Look::Done(None),
            })
        },
    )
    .await
}

fn cannot_stop(error: &AwsError) -> bool {
    error.has_code(&[
        "ServiceDeploymentNotFoundException",
        "ConflictException",
        "UnsupportedFeatureException",
    ])
}

/// What is known of an update whose request failed.
fn update_error(service: &str, error: AwsError) -> SendError<Problem> {
    match refusals::refused_update(service, &error) {
        Some(problem) => SendError::rejected(problem),
        None => write_error(error),
    }
}

/// UpdateService; after a lost response the service is read before it is sent again.
async fn update_service(
    reader: &ServiceReader,
    before: &EcsService,
    wanted: &ServiceUpdate,
) -> Result<Rollout, ChangeError> {
    let (cluster, name) = (&reader.settings.cluster, &reader.settings.service);
    retry::ambiguous(
        &WRITE_RETRY,
        async |()| {
            let sent = reader.loader.client().update_service(cluster, name, wanted.request_body()).await;
            let sent = sent.map_err(|error| update_error(name, error))?;
            let after = EcsService::from_json(&sent["service"]);
            Ok(write::rollout_after_update(before, &after, &wanted.definition))
        },
        async |failed| match failed {
            None => Ok(Look::Send(())),
            Some(failed) if failed.is_ambiguous() => find_update_result(reader, before, wanted).await,
            Some(_) => match find_newer_deployment(reader, before).await {
                Some(newer) => Ok(Look::Stop(superseded_problem(&newer))),
                None => Ok(Look::Send(())),
            },
        },
    )
    .await
}

/// The deployment that started while this call waited for the rate limit. A failed read does not block: nothing of ours
/// was changed.
async fn find_newer_deployment(reader: &ServiceReader, before: &EcsService) -> Option<String> {
    let now = reader.service().await.ok()?;
    let moved = now.primary().map(|primary| &primary.id) != before.primary().map(|primary| &primary.id);
    moved.then(|| now.service_deployment_arn.unwrap_or_default())
}

/// The result of an update whose response was lost: the rollout it started, also if ECS has rolled it back since; or that
/// it can be sent again.
///
/// The same update twice is one deployment for ECS, so it is sent again at once; a forced one is not, so the window of
/// stale reads is waited out first.
async fn find_update_result(
    reader: &ServiceReader,
    before: &EcsService,
    wanted: &ServiceUpdate,
) -> Result<Look<(), Rollout, Problem>, Problem> {
    let (begun, since) = (Instant::now(), ObservedPrimary::from_service(before));
    loop {
        let now = read_state(reader, since.as_ref()).await?;
        if let Some(rollout) = write::started_since(&now, before, &wanted.definition) {
            return Ok(Look::Done(rollout));
        }
        if now.service.primary().map(|p| &p.id) != before.primary().map(|p| &p.id) {
            let newer = now.service.service_deployment_arn.unwrap_or_default();
            return Ok(Look::Stop(superseded_problem(&newer)));
        }
        if !wanted.force || begun.elapsed() > STALE_READ_WINDOW {
            return Ok(Look::Send(()));
        }
        sleep(Duration::from_secs(2)).await;
    }
}
