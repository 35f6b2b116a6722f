//! The post step: after a cancelled or lost main step it makes sure that the rollback was requested, and reports
//! which version serves. After a main step that ended it does nothing.

mod command;
mod finish;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use self::command::{CONFIRM_TIMEOUT, POLL_INTERVAL, confirm_command_stopped};
use self::finish::finish_with_status;
use crate::action::OnCancel;
use crate::plan::proof::ProofRules;
use crate::problem::{Code, Problem};
use crate::release::{Observed, Outcome, Release, Rollout, RolloutStatus, ShiftKind, TrafficShift, Version};
use crate::report::{ActionStep, RunReport};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::notify::Channels;
use crate::run::post_state::{PostState, ServiceState};
use crate::run::prepare::deploy_file;
use crate::run::service_run::ServiceRun;
use crate::run::{cleanup, notify, post_state, prepare, record, session};
use crate::sys::environment::Variables;
use crate::targets::{ChangeError, Target};

/// How long the first read of a service is repeated while it fails: the rollback is requested after it in any case.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the main step left something that may still move, or something at GitHub that has to be given back.
pub fn needs_post_step(variables: &Variables) -> bool {
    post_state::load(variables).is_some_and(|state| state.is_open())
}

/// Confirms what serves after a main step that did not end by itself; `None` where there is nothing to confirm.
pub async fn run_post_step(ctx: &RunContext) -> Option<RunReport> {
    let state = post_state::load(&ctx.io.variables).filter(|_| needs_post_step(&ctx.io.variables))?;
    let mut report = ctx.blank_report();
    report.environment = Some(state.environment.clone());
    let mut channels = Channels::default();
    let moves = state.services.iter().any(|saved| !saved.ended);
    if moves {
        match confirm_all(ctx, &state, &mut channels).await {
            Ok(services) => report.services = services.into_iter().map(ServiceRun::into_report).collect(),
            Err(problems) => report.problems = problems,
        }
        report.outcome =
            Outcome::most_severe(report.services.iter().map(|s| s.outcome)).unwrap_or(Outcome::Stranded);
    }
    close_held(ctx, state, &mut report).await;
    if !moves {
        return None;
    }
    Some(notify::send_notifications(ctx, &channels, ctx.finished_now(report), ActionStep::Post).await)
}

/// Closes the deployment record and releases the leases of the main step.
async fn close_held(ctx: &RunContext, state: PostState, report: &mut RunReport) {
    if state.held.is_empty() {
        return;
    }
    let mut ignored = Vec::new();
    let rules = ProofRules { environment: state.environment.clone(), ..ProofRules::default() };
    if let Some(coordinator) = Coordinator::open(ctx, rules, &mut ignored) {
        let failed = state.has_failure();
        *ctx.held.borrow_mut() = state.held;
        record::close_interrupted(ctx, coordinator, report, failed).await;
        ctx.log.info(None, "what the main step held at GitHub is given back");
    }
}

async fn confirm_all(
    ctx: &RunContext,
    state: &PostState,
    channels: &mut Channels,
) -> Result<Vec<ServiceRun>, Vec<Problem>> {
    let config = deploy_file::for_environment(ctx, &state.environment)?;
    *channels = Channels::without_session(&config);
    let session = session::open_session(ctx, &config).await.map_err(|problem| vec![problem])?;
    *channels = Channels::from_config(&config, &session);
    let (connected, mut failed) = prepare::connect_each(ctx, &config, &session);
    let find_open = |name: &str| state.services.iter().find(|saved| saved.service == name && !saved.ended);
    // A service that a rollback was refused for has nothing to confirm.
    failed.retain(|problem| problem.service.as_deref().is_none_or(|name| find_open(name).is_some()));
    if !failed.is_empty() {
        return Err(failed);
    }
    let until = Instant::now() + READ_TIMEOUT;
    let mut open = Vec::new();
    for (declared, target) in connected {
        let name = &declared.service.name;
        let Some(saved) = find_open(name) else { continue };
        let observed = observe(target.as_ref(), until).await;
        let commit = ctx.context.commit().map(str::to_owned);
        let release = Release { commit, ..Release::of(name, &state.environment) };
        let mut service = ServiceRun::new(declared.service.clone(), target, release, observed);
        service.report.previous_version = saved.rollback_to.clone().map(version_from_id);
        service.report.version = saved.requested_version.clone().map(version_from_id);
        service.staged = saved.staged.clone();
        open.push(read_open_service(service, saved).await);
    }
    Ok(confirm_services(ctx, state, open).await)
}

/// The observed state, read again while that fails: the post step requests the rollback although it cannot read.
async fn observe(target: &dyn Target, until: Instant) -> Observed {
    loop {
        match target.observe().await {
            Ok(observed) => return observed,
            Err(problem) if Instant::now() >= until => return Observed::unreadable(problem.to_string()),
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}

/// A service that the main step left open, and how its rollout is.
struct OpenService<'s> {
    service: ServiceRun,
    saved: &'s ServiceState,
    rollout: Option<Rollout>,
    status: RolloutStatus,
}

async fn read_open_service(service: ServiceRun, saved: &ServiceState) -> OpenService<'_> {
    let rollout = saved.rollout.clone().or_else(|| matching_rollout(&service.observed, saved));
    let status = match &rollout {
        Some(rollout) => read_status(service.target.as_ref(), rollout).await,
        None => service.observed.status.clone(),
    };
    OpenService { service, saved, rollout, status }
}

async fn read_status(target: &dyn Target, rollout: &Rollout) -> RolloutStatus {
    let status = target.status(rollout).await;
    status.unwrap_or_else(|problem| RolloutStatus::Unknown(problem.to_string()))
}

/// Confirms what serves. The services of an atomic run are all rolled back, unless each is proven.
async fn confirm_services(
    ctx: &RunContext,
    state: &PostState,
    open: Vec<OpenService<'_>>,
) -> Vec<ServiceRun> {
    let all_proven = !state.broken
        && state.services.iter().all(|saved| saved.command.is_none())
        && open.iter().all(|open| is_proven(&open.status));
    let confirm = async |mut open: OpenService<'_>| {
        match &open.saved.command {
            Some(command) => confirm_command_stopped(ctx, &mut open.service, command).await,
            None => {
                let rolls_back =
                    must_roll_back(&open.status, ctx.inputs.on_cancel, state.atomic && !all_proven);
                let shift =
                    if rolls_back { rollback_shift(ctx, &open.service, open.saved).await } else { None };
                confirm_service(ctx, &mut open, shift).await;
            }
        }
        open.service
    };
    join_all(open.into_iter().map(confirm)).await
}

fn is_proven(status: &RolloutStatus) -> bool {
    matches!(status, RolloutStatus::Healthy(_) | RolloutStatus::HandedOff(_))
}

async fn confirm_service(ctx: &RunContext, open: &mut OpenService<'_>, shift: Option<TrafficShift>) {
    let until = Instant::now() + CONFIRM_TIMEOUT;
    let mut watched = open.rollout.take();
    if let Some(shift) = &shift {
        let text = format!("making sure that {} comes back", shift.version.label);
        ctx.log.info(Some(open.service.name()), &text);
        match request_rollback(&open.service, shift, until).await {
            Ok(rollout) => watched = Some(rollout),
            Err(error) => open.status = status_after_error(&error),
        }
    }
    if is_unanswered(open) {
        watched = settle(open, shift.as_ref(), watched, until).await;
    }
    let service = &mut open.service;
    let mut status = match &watched {
        Some(watched) => wait_for_rollout(service.target.as_ref(), watched, until).await,
        None => open.status.clone(),
    };
    // The rollback came too late for the rollout: it is requested for the state as it is now.
    if let (RolloutStatus::Aborted(_) | RolloutStatus::Missed(_), Some(shift)) = (&status, &shift) {
        match request_rollback(service, shift, until).await {
            Ok(rollout) => {
                status = wait_for_rollout(service.target.as_ref(), &rollout, until).await;
                watched = Some(rollout);
            }
            Err(error) => status = status_after_error(&error),
        }
    }
    finish_with_status(ctx, service, &status);
    clean_up_after(ctx, service, watched, &status).await;
}

/// Requests the rollback until the provider accepts or rejects it, or the time is over.
async fn request_rollback(
    service: &ServiceRun,
    shift: &TrafficShift,
    until: Instant,
) -> Result<Rollout, ChangeError> {
    let staged = service.staged_or(&shift.version);
    loop {
        match service.target.shift(&staged, shift).await {
            Err(error) if error.error().code == Code::Superseded => return Err(error),
            Err(ChangeError::NotMade(_) | ChangeError::Unknown(_)) if Instant::now() < until => {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            reply => return reply,
        }
    }
}

/// What is known after a rollback that was not accepted: not what served before.
fn status_after_error(error: &ChangeError) -> RolloutStatus {
    let problem = error.error();
    match error {
        _ if problem.code == Code::Superseded => {
            RolloutStatus::Superseded(problem.cause.clone().unwrap_or_else(|| "no name given".into()))
        }
        ChangeError::Unknown(_) => RolloutStatus::Unknown(format!(
            "the rollback was requested, and it is not known what became of it ({problem})"
        )),
        ChangeError::NotMade(_) | ChangeError::Rejected(_) => {
            RolloutStatus::Unknown(format!("the rollback could not be requested ({problem})"))
        }
    }
}

/// Whether the main step requested a rollout and no answer came: what is read now can be from before the request.
fn is_unanswered(open: &OpenService<'_>) -> bool {
    open.saved.rollout.is_none() && !matches!(open.status, RolloutStatus::Superseded(_))
}

/// Reads, or requests the rollback, until what is read cannot be from before the request of the main step any more. A
/// rollback that leads to what already serves changes nothing, however often it is requested.
async fn settle(
    open: &mut OpenService<'_>,
    shift: Option<&TrafficShift>,
    mut watched: Option<Rollout>,
    until: Instant,
) -> Option<Rollout> {
    while Instant::now() < until && watched.as_ref().is_none_or(|rollout| rollout.ids.is_empty()) {
        let found = match shift {
            Some(shift) => {
                let staged = open.service.staged_or(&shift.version);
                match open.service.target.shift(&staged, shift).await {
                    Err(error) if is_final_error(&error) => {
                        open.status = status_after_error(&error);
                        return watched;
                    }
                    reply => reply.ok(),
                }
            }
            None => {
                open.service.target.observe().await.ok().and_then(|seen| matching_rollout(&seen, open.saved))
            }
        };
        watched = found.or(watched);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    watched
}

/// Whether another request cannot change the answer.
fn is_final_error(error: &ChangeError) -> bool {
    error.error().code == Code::Superseded || matches!(error, ChangeError::Rejected(_))
}

/// Cleans up after the rollout of the main step, once that has ended.
async fn clean_up_after(
    ctx: &RunContext,
    service: &mut ServiceRun,
    watched: Option<Rollout>,
    status: &RolloutStatus,
) {
    if let Some(rollout) = watched.filter(|_| !status.is_pending()) {
        service.rollout.cleaned_up = false;
        cleanup::clean_up(ctx, service, &rollout).await;
    }
}

/// Whether a rollback still has to be requested: not if the new version is proven (unless that of an atomic peer is
/// not, `others`), nor if it is already in progress.
fn must_roll_back(status: &RolloutStatus, on_cancel: OnCancel, others: bool) -> bool {
    let open = matches!(
        status,
        RolloutStatus::Progressing(_)
            | RolloutStatus::Paused(_)
            | RolloutStatus::Failed(_)
            | RolloutStatus::Aborted(_)
            | RolloutStatus::Missed(_)
            | RolloutStatus::Unknown(_)
    );
    (open || is_proven(status) && others) && on_cancel == OnCancel::Rollback
}

fn matching_rollout(observed: &Observed, saved: &ServiceState) -> Option<Rollout> {
    let flight = observed.in_flight.as_ref()?;
    (Some(&flight.rollout.version) == saved.requested_version.as_ref()).then(|| flight.rollout.clone())
}

async fn rollback_shift(
    ctx: &RunContext,
    service: &ServiceRun,
    saved: &ServiceState,
) -> Option<TrafficShift> {
    let id = saved.rollback_to.clone()?;
    if !has_served(service, &id).await {
        let words = format!("the saved state names {id}, which never served here: it is not rolled back to");
        ctx.log.info(Some(service.name()), &words);
        return None;
    }
    let observed = service.observed.last_known_good().cloned().filter(|version| version.id == id);
    let version = observed.unwrap_or_else(|| version_from_id(id));
    Some(TrafficShift { version, percent: 100, kind: ShiftKind::RollBack(saved.rollout.clone()) })
}

/// Whether a version is one that the provider knows as having served: the saved state comes through the runner's
/// environment. A history that cannot be read does not prevent a rollback.
async fn has_served(service: &ServiceRun, id: &str) -> bool {
    let observed = &service.observed;
    let shown = [observed.version.as_ref(), observed.previous.as_ref(), observed.last_known_good()];
    if shown.into_iter().flatten().any(|version| version.id == id)
        || observed.history.iter().any(|completed| completed.version.id == id)
    {
        return true;
    }
    match service.target.history().list().await {
        Ok(history) => history.iter().any(|completed| completed.version.id == id),
        Err(_) => true,
    }
}

/// A version of which only the identifier was kept.
fn version_from_id(id: String) -> Version {
    let label = id.rsplit('/').next().unwrap_or(&id).to_owned();
    Version { id, label }
}

async fn wait_for_rollout(target: &dyn Target, rollout: &Rollout, until: Instant) -> RolloutStatus {
    loop {
        let status = read_status(target, rollout).await;
        if !status.is_pending() || Instant::now() >= until {
            return status;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}
