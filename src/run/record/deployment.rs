//! What a run releases, as a deployment in GitHub: opened before the first change, closed when its end is known. A
//! record is proven by nothing but its own success.

use std::collections::{BTreeMap, BTreeSet};

use crate::github::deployment_history::{CUT_OFF_THEN, status_description};
use crate::github::{
    ApiError, DeploymentHistory, DeploymentState, DeploymentStatus, NewDeployment, RecordedDeployment,
    deployment_history, status_encoding,
};
use crate::problem::Code;
use crate::release::{ContainerImages, DeploymentRecord, ImageRef, Outcome, RecordedService};
use crate::report::{RunReport, ServiceReport};
use crate::retry::{self, Look, RetryPolicy};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::held::OpenRecord;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, post_state};

/// A record that exists, and the descriptions of its first statuses, which nothing waits for.
pub(in crate::run) struct UnmarkedRecord {
    record: OpenRecord,
    told: Vec<String>,
}

/// Opens the record of what is about to change, or of what serves already and is recorded nowhere. If the record is in
/// statuses they are written here; otherwise that it is in progress remains to be said.
pub(in crate::run) async fn open(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    services: &[ServiceRun],
) -> Option<UnmarkedRecord> {
    let history = coordinator.history.clone()?;
    let about: Vec<&ServiceRun> = services.iter().filter(|service| is_recorded(service)).collect();
    let needed =
        cancel::until_cancelled(ctx, needed_record(ctx, coordinator, &history, &about)).await.flatten();
    let opened = cancel::until_cancelled(ctx, create(ctx, coordinator, &history, needed?)).await?;
    match opened {
        Ok((opened, told)) => {
            let names = about.iter().map(|service| service.name().to_owned()).collect();
            let opened = OpenRecord { services: names, ..opened };
            ctx.held.borrow_mut().record = Some(opened.clone());
            ctx.log_problems(&post_state::save(ctx, &coordinator.environment, services));
            let is_in_statuses = opened.tag.is_some();
            let unmarked = UnmarkedRecord { record: opened, told };
            if !is_in_statuses {
                return Some(unmarked);
            }
            mark_in_progress(ctx, coordinator, unmarked).await;
        }
        Err(error) => coordinator.note_not_recorded(error),
    }
    None
}

/// The record of what is about to change, or of what serves and is not recorded; `None` if there is nothing to record.
async fn needed_record(
    ctx: &RunContext,
    coordinator: &Coordinator,
    history: &DeploymentHistory,
    about: &[&ServiceRun],
) -> Option<DeploymentRecord> {
    let entries = history.entries();
    let record = build_record(ctx, coordinator, &entries, about).await;
    let moves = about.iter().any(|service| service.rollout.phase == Phase::Pending);
    if about.is_empty() || (!moves && is_already_recorded(coordinator, &entries, &record).await) {
        return None;
    }
    Some(record)
}

/// Whether a service is recorded: not if it ended before the first change for another reason than being unchanged.
fn is_recorded(service: &ServiceRun) -> bool {
    service.rollout.phase == Phase::Pending || service.report.outcome == Outcome::Unchanged
}

/// What is released. Services whose digest nobody knows are left out: of them nothing could be proven.
async fn build_record(
    ctx: &RunContext,
    coordinator: &Coordinator,
    entries: &[RecordedDeployment],
    about: &[&ServiceRun],
) -> DeploymentRecord {
    let mut services = BTreeMap::new();
    let mut commits = BTreeSet::new();
    for service in about {
        let recorded = released_images(service);
        commits.insert(released_commit(ctx, coordinator, service, recorded.as_ref(), entries).await);
        services.extend(recorded.map(|recorded| (service.name().to_owned(), recorded)));
    }
    // Services that return to different commits have none in common.
    let commit = if commits.len() == 1 { commits.pop_first().unwrap_or_default() } else { String::new() };
    DeploymentRecord { environment: coordinator.environment.clone(), commit, services }
}

/// The images by their digests; `None` if that of the service is not known.
fn released_images(service: &ServiceRun) -> Option<RecordedService> {
    let unchanged = service.report.outcome == Outcome::Unchanged;
    let container_images = released_container_images(service);
    released_image(service).map(|image| RecordedService { image, container_images, unchanged })
}

/// The image by its digest, asked for or, where only settings change, running.
fn released_image(service: &ServiceRun) -> Option<ImageRef> {
    let asked = service.release.image.as_ref();
    asked.and_then(pinned).or_else(|| {
        let runs = service.observed.image.as_ref().filter(|_| asked.is_none())?;
        let digest = runs.digest.clone().or_else(|| service.observed.digest.clone())?;
        Some(runs.with_digest(digest))
    })
}

/// The images of further containers by their digests, asked for or running. A version that returns has its own and no others.
fn released_container_images(service: &ServiceRun) -> ContainerImages {
    let (release, observed) = (&service.release, &service.observed);
    let kept = observed.container_images.iter().filter(|_| release.rollback_to.is_none());
    // Those that were asked for replace those that run.
    let all = kept.chain(&release.container_images);
    let images: ContainerImages = all.map(|(name, image)| (name.clone(), image.clone())).collect();
    images.into_iter().filter_map(|(name, image)| Some((name, pinned(&image)?))).collect()
}

fn pinned(image: &ImageRef) -> Option<ImageRef> {
    image.digest.clone().map(|digest| image.with_digest(digest))
}

/// The commit in full; empty where it is not known. A version that returns, or that gets other variables, is of the commit
/// that its image was recorded with, by a record that is no forgery.
async fn released_commit(
    ctx: &RunContext,
    coordinator: &Coordinator,
    service: &ServiceRun,
    released: Option<&RecordedService>,
    entries: &[RecordedDeployment],
) -> String {
    if !ctx.is_rollback() && !ctx.is_set_env() {
        return service.release.commit.clone().unwrap_or_default();
    }
    let same = |entry: &&RecordedDeployment| {
        let known = entry.record.services.get(service.name());
        let is_same = released.zip(known).is_some_and(|(released, known)| known.is_same_release(released));
        is_same && !entry.record.commit.is_empty()
    };
    for entry in entries.iter().filter(same) {
        if !coordinator.is_forged(entry).await {
            return entry.record.commit.clone();
        }
    }
    String::new()
}

/// Whether the newest proven record that is no forgery has the same content.
async fn is_already_recorded(
    coordinator: &Coordinator,
    entries: &[RecordedDeployment],
    record: &DeploymentRecord,
) -> bool {
    for entry in entries.iter().filter(|entry| entry.proven) {
        let same = |(name, one): (&String, &RecordedService)| {
            entry.record.services.get(name).is_some_and(|known| known.has_same_images(one))
        };
        if !coordinator.is_forged(entry).await {
            return entry.record.commit == record.commit && record.services.iter().all(same);
        }
    }
    false
}

/// The deployment for `record`, and the descriptions to post first. If the job names the environment, GitHub has
/// created a deployment already: it gets the record as statuses, unless that is too long for them.
async fn create(
    ctx: &RunContext,
    coordinator: &Coordinator,
    history: &DeploymentHistory,
    record: DeploymentRecord,
) -> Result<(OpenRecord, Vec<String>), ApiError> {
    let begins = || vec![status_description(None, "under way")];
    if let Some((deployment, (tag, parts))) =
        history.job_deployment(coordinator.run.id).zip(status_encoding::encode(&record))
    {
        return Ok((OpenRecord { deployment, tag: Some(tag), services: Vec::new() }, parts));
    }
    let run = deployment_history::run_name(coordinator.run.id, coordinator.run.attempt);
    if let Some(deployment) = history.open_deployment_with(&run, &record) {
        return Ok((OpenRecord { deployment, tag: None, services: Vec::new() }, begins()));
    }
    let shown = Some(record.commit.clone()).filter(|commit| commit.len() >= 40);
    let commit = shown.or_else(|| ctx.context.commit().map(str::to_owned)).unwrap_or_default();
    let description = format!("Roadstead {}", ctx.inputs.operation.as_str());
    let new = NewDeployment { commit, record, run: run.clone(), description };
    let deployment = retry::ambiguous(
        &RetryPolicy::ONCE,
        async |()| Ok(coordinator.repository.create_deployment(&new).await?),
        async |failed| match failed {
            None => Ok(Look::Send(())),
            Some(_) => {
                let found = |it: &DeploymentHistory| it.open_deployment_with(&run, &new.record);
                let reading = coordinator
                    .repository
                    .recent_deployments(&coordinator.environment, |it| found(it).is_some());
                Ok(found(&reading.await?).into())
            }
        },
    )
    .await?;
    Ok((OpenRecord { deployment, tag: None, services: Vec::new() }, begins()))
}

/// Says that a record is in progress, unless the run is cancelled.
pub(in crate::run) async fn mark_in_progress(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    unmarked: UnmarkedRecord,
) {
    for description in unmarked.told {
        let status = build_status(ctx, DeploymentState::InProgress, description, None);
        let posting = post_status(coordinator, unmarked.record.deployment, &status);
        match cancel::until_cancelled(ctx, posting).await {
            Some(Ok(())) => {}
            Some(Err(error)) => return coordinator.note_not_recorded(error),
            None => return,
        }
    }
}

fn build_status(
    ctx: &RunContext,
    state: DeploymentState,
    description: String,
    environment_url: Option<String>,
) -> DeploymentStatus {
    let description = ctx.log.redactor().redact(&description);
    DeploymentStatus { state, description, log_url: ctx.context.run_url(), environment_url }
}

/// The final status of a deployment record.
pub(in crate::run) struct FinalStatus {
    state: DeploymentState,
    description: String,
    environment_url: Option<String>,
}

impl FinalStatus {
    /// That of a run that ended by itself, for the services that its record is about.
    pub(in crate::run) fn from_report(ctx: &RunContext, report: &RunReport) -> Self {
        let recorded =
            ctx.held.borrow().record.iter().flat_map(|record| record.services.clone()).collect::<Vec<_>>();
        // Others ended before the first change, and say nothing of these.
        let is_recorded = |service: &&ServiceReport| recorded.contains(&service.name);
        let services: Vec<&ServiceReport> = report.services.iter().filter(is_recorded).collect();
        let worst = Outcome::most_severe(services.iter().map(|service| service.outcome));
        let state = match worst.map_or(DeploymentState::Error, deployment_state) {
            DeploymentState::Success if services.iter().copied().any(nothing_runs) => DeploymentState::Queued,
            state => state,
        };
        let url = services.iter().find_map(|service| service.url.clone());
        let environment_url = url.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        Self { state, description: describe_services(&services), environment_url }
    }

    /// That of a run that was cut off: nothing of it is proven, whatever serves now. `failed`: it was rolling back
    /// already, for a failure that was found.
    pub(in crate::run) fn interrupted(report: &RunReport, failed: bool) -> Self {
        let description = match report.services.as_slice() {
            [] => "cut off before its end".to_owned(),
            services => {
                format!("{CUT_OFF_THEN}{}", describe_services(&services.iter().collect::<Vec<_>>()))
            }
        };
        let state = if failed { DeploymentState::Failure } else { DeploymentState::Error };
        Self { state, description, environment_url: None }
    }
}

/// Whether no copy of a service is desired, so that its version was not observed to serve.
fn nothing_runs(service: &ServiceReport) -> bool {
    service.problems.iter().any(|problem| problem.code == Code::NothingRuns)
}

/// Only a version that was observed to serve is proven. A handed-off release stays queued.
fn deployment_state(outcome: Outcome) -> DeploymentState {
    match outcome {
        Outcome::Deployed | Outcome::Unchanged | Outcome::Verified | Outcome::RolledBack => {
            DeploymentState::Success
        }
        Outcome::Committed | Outcome::Proposed => DeploymentState::Queued,
        Outcome::Failed | Outcome::Inconclusive => DeploymentState::Failure,
        Outcome::Superseded => DeploymentState::Inactive,
        Outcome::Planned | Outcome::Skipped | Outcome::Invalid | Outcome::Stranded | Outcome::Cancelled => {
            DeploymentState::Error
        }
    }
}

/// Such as `deployed: backend (backend:2 serves); failed: web (web:7 serves)`.
fn describe_services(services: &[&ServiceReport]) -> String {
    let one = |service: &&ServiceReport| match &service.serving_version {
        Some(version) => format!("{} ({} serves)", service.name, version.label),
        None => service.name.clone(),
    };
    let group = |outcome: Outcome| {
        let all: Vec<String> =
            services.iter().filter(|service| service.outcome == outcome).map(one).collect();
        (!all.is_empty()).then(|| format!("{outcome}: {}", all.join(", ")))
    };
    Outcome::ALL.into_iter().rev().filter_map(group).collect::<Vec<_>>().join("; ")
}

/// Closes the record, if one is open.
pub(in crate::run) async fn close(
    ctx: &RunContext,
    coordinator: &Coordinator,
    ending: &FinalStatus,
) -> Result<(), ApiError> {
    let Some(opened) = ctx.held.borrow_mut().record.take() else { return Ok(()) };
    let description = status_description(opened.tag.as_deref(), &ending.description);
    let status = build_status(ctx, ending.state, description, ending.environment_url.clone());
    post_status(coordinator, opened.deployment, &status).await
}

/// Posts a status. If the answer was lost, the status is looked for before it is sent again: without it the record is
/// incomplete or not proven.
async fn post_status(
    coordinator: &Coordinator,
    deployment: u64,
    status: &DeploymentStatus,
) -> Result<(), ApiError> {
    retry::ambiguous(
        &RetryPolicy::TWICE,
        async |()| Ok(coordinator.repository.add_status(deployment, status).await?),
        async |failed| match failed {
            None => Ok(Look::Send(())),
            Some(_) => {
                let (repository, environment) = (&coordinator.repository, &coordinator.environment);
                let history =
                    repository.recent_deployments(environment, |it| it.contains(deployment)).await?;
                Ok(history.has_status(deployment, status).then_some(()).into())
            }
        },
    )
    .await
    .map_err(ApiError::from)
}

/// Finds the record that a run opened which was cut off, perhaps before it wrote that down.
pub(in crate::run) async fn find_open_record(ctx: &RunContext, coordinator: &Coordinator) {
    if ctx.held.borrow().record.is_some() {
        return;
    }
    let run = deployment_history::run_name(coordinator.run.id, coordinator.run.attempt);
    let (repository, environment) = (&coordinator.repository, &coordinator.environment);
    let reading = repository.recent_deployments(environment, |it| it.open_deployment_of(&run).is_some());
    let history = reading.await.unwrap_or_default();
    let opened = history.open_deployment_of(&run).map(|deployment| OpenRecord {
        deployment,
        tag: None,
        services: Vec::new(),
    });
    ctx.held.borrow_mut().record = opened;
}

/// Closes the records of lost runs. A failure here does not matter: an open record proves nothing.
pub(in crate::run) async fn close_abandoned(ctx: &RunContext, coordinator: &Coordinator) {
    let Some(history) = &coordinator.history else { return };
    for gone in &coordinator.ended_owners {
        let run = deployment_history::run_name(gone.run, u32::try_from(gone.attempt).unwrap_or_default());
        if let Some(deployment) = history.open_deployment_of(&run) {
            let words = status_description(None, &format!("cut off; run {} goes on", coordinator.run.id));
            let _ = coordinator
                .repository
                .add_status(deployment, &build_status(ctx, DeploymentState::Error, words, None))
                .await;
        }
    }
}
