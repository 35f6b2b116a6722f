//! One poll loop for all services: look, judge, act on the verdict. A read error is neither healthy nor failed.

use std::time::Duration;

use futures::future::{self, join_all};

use crate::problem::Problem;
use crate::release::{Failure, Progress, Rollout, RolloutStatus};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout::{
    advance, analysis, atomic, checks, endings, request, rollback, unanswered, watch_time,
};
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{atomic_state, cancel, cleanup, post_state, progress};
use crate::strategy::{Direction, NextAction, Step, next_action};
use crate::sys::signal::CancelLevel;

/// Time between two polls; a jitter of a tenth keeps the runs of one account apart.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two polls while nothing is expected to change.
const BAKE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause after reads that failed.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// How long a cancelled run waits for its last read: the rollback has to be requested within two seconds.
const LAST_READ_TIMEOUT: Duration = Duration::from_millis(800);

/// Looks at all rollouts until every one has ended, or the run is cancelled: then what has not ended is closed, also
/// what was never begun.
pub(in crate::run) async fn watch_until_done(
    ctx: &RunContext,
    environment: &str,
    services: &mut [ServiceRun],
) {
    let mut pause = POLL_INTERVAL;
    atomic::roll_back_peers(ctx, services).await;
    while services.iter().any(|service| service.rollout.direction().is_some()) {
        let looks = future::join(read_statuses(services), unanswered::search_all(services));
        let looked = cancel::until_cancelled(ctx, looks).await;
        let looked = looked.filter(|_| ctx.cancel.level() == CancelLevel::None);
        let Some((readings, found)) = looked else { break };
        let failed = readings.iter().any(|(_, reading)| reading.is_err())
            || found.iter().any(|(_, found)| found.is_err());
        Box::pin(checks::run_all(ctx, services, &readings)).await;
        let due_in = readings.iter().filter_map(|(_, reading)| time_to_look(reading.as_ref().ok()?)).min();
        for (index, reading) in readings {
            poll_one(ctx, &mut services[index], reading).await;
            clean_up_if_done(ctx, &mut services[index]).await;
        }
        for (index, found) in found {
            let must_not_start = atomic_state::is_broken(services);
            Box::pin(unanswered::on_look(ctx, &mut services[index], found, must_not_start)).await;
            clean_up_if_done(ctx, &mut services[index]).await;
        }
        atomic::roll_back_peers(ctx, services).await;
        ctx.log_problems(&post_state::save(ctx, environment, services));
        pause = if failed { (pause * 2).min(MAX_POLL_INTERVAL) } else { poll_interval(services) };
        if services.iter().any(|service| service.rollout.direction().is_some()) {
            let usual = progress::with_jitter(pause);
            let wait = due_in.map_or(usual, |due| due.min(usual));
            let _ = cancel::until_cancelled(ctx, tokio::time::sleep(wait)).await;
        }
    }
    release_waiting(ctx, environment, services).await;
    let is_open = |service: &ServiceRun| service.rollout.phase != Phase::Done;
    if ctx.cancel.level() == CancelLevel::None || !services.iter().any(is_open) {
        return;
    }
    finish_proven(ctx, services).await;
    if services.iter().any(is_open) {
        rollback::end_cancelled_run(ctx, environment, services).await;
    }
}

/// Ends the services of a cancelled run whose rollout completed since the last poll, with nothing left to check: a
/// version that is proven is not rolled back for a cancel, as in the post step.
async fn finish_proven(ctx: &RunContext, services: &mut [ServiceRun]) {
    let reading = cancel::until_abandoned(ctx, read_statuses(services));
    let Ok(Some(readings)) = tokio::time::timeout(LAST_READ_TIMEOUT, reading).await else { return };
    for (index, reading) in readings {
        let service = &mut services[index];
        let Phase::Rolling(rollout, Direction::Forward) = service.rollout.phase.clone() else { continue };
        let Some(status) = reading.ok().filter(|_| !service.atomic) else { continue };
        let verdict = next_action(&Direction::Forward, &service.step_state(ctx), &status, true);
        if matches!(verdict, NextAction::Succeeded(_)) {
            apply(ctx, service, &rollout, verdict).await;
        }
    }
}

/// Ends that waited for those of the others stand now, unless the run is cancelled.
async fn release_waiting(ctx: &RunContext, environment: &str, services: &mut [ServiceRun]) {
    if ctx.cancel.level() != CancelLevel::None
        || !services.iter().any(|service| service.rollout.awaiting_peers)
    {
        return;
    }
    for service in services.iter_mut().filter(|service| service.rollout.awaiting_peers) {
        service.rollout.awaiting_peers = false;
        clean_up_if_done(ctx, service).await;
    }
    ctx.log_problems(&post_state::save(ctx, environment, services));
}

/// When a look at this rollout can show more, where its target knows that.
fn time_to_look(status: &RolloutStatus) -> Option<Duration> {
    match status {
        RolloutStatus::Progressing(progress) => progress.due_in,
        _ => None,
    }
}

/// A bake takes minutes: looking less often leaves the account's requests to others.
fn poll_interval(services: &[ServiceRun]) -> Duration {
    let mut moving = services.iter().filter(|service| matches!(service.rollout.phase, Phase::Rolling(..)));
    let calm = |service: &ServiceRun| {
        matches!(service.rollout.phase, Phase::Rolling(_, Direction::Forward))
            && matches!(service.rollout.current_step(), Some(Step::Bake(_)))
    };
    if moving.all(calm) { BAKE_POLL_INTERVAL } else { POLL_INTERVAL }
}

/// Cleans up a service as soon as its rollout has ended, unless the run is cancelled: then the post step does it.
async fn clean_up_if_done(ctx: &RunContext, service: &mut ServiceRun) {
    if service.rollout.phase != Phase::Done
        || service.rollout.awaiting_peers
        || ctx.cancel.level() != CancelLevel::None
    {
        return;
    }
    if let Some(rollout) = service.rollout.last_rollout.clone() {
        let _ = cancel::until_cancelled(ctx, cleanup::clean_up(ctx, service, &rollout)).await;
    }
}

/// Reads the status of every rollout, concurrently, so that the reads can share requests.
async fn read_statuses(services: &[ServiceRun]) -> Vec<(usize, Result<RolloutStatus, Problem>)> {
    let moving = services.iter().enumerate().filter_map(|(index, service)| match &service.rollout.phase {
        Phase::Rolling(rollout, _) => Some(async move { (index, service.target.status(rollout).await) }),
        _ => None,
    });
    join_all(moving).await
}

async fn poll_one(ctx: &RunContext, service: &mut ServiceRun, reading: Result<RolloutStatus, Problem>) {
    let Phase::Rolling(rollout, watching) = service.rollout.phase.clone() else { return };
    let status = match reading {
        Ok(status) => {
            service.rollout.unreadable_since = None;
            status
        }
        Err(problem) if endings::has_lost_credentials(ctx, service, &problem) => {
            return endings::mark_unreadable(ctx, service, problem);
        }
        Err(problem) => {
            progress::log_if_changed(ctx, service, &format!("could not be read, looking again: {problem}"));
            RolloutStatus::Unknown(problem.to_string())
        }
    };
    if let RolloutStatus::Progressing(progress) | RolloutStatus::RollingBack(_, progress) = &status {
        log_progress(ctx, service, progress);
    }
    let time_left = watch_time::has_time_left(ctx, service, &watching);
    if watching == Direction::Forward {
        analysis::update(ctx, service, &status).await;
    }
    let verdict = next_action(&watching, &service.step_state(ctx), &status, time_left);
    apply(ctx, service, &rollout, verdict).await;
}

async fn apply(ctx: &RunContext, service: &mut ServiceRun, rollout: &Rollout, verdict: NextAction) {
    let now = ctx.io.clock.now();
    service.report.elapsed = ctx.io.clock.elapsed();
    match verdict {
        NextAction::Wait => {}
        NextAction::Advance(at) => {
            analysis::warn_promoted(ctx, service);
            advance::advance(ctx, service, rollout, at).await;
        }
        NextAction::Continue => {
            if let Some(problem) = advance::go_on(ctx, service, rollout).await {
                let failure = Failure::permanent(problem);
                progress::log_failure(ctx, service, &failure);
                rollback::roll_back(ctx, service, failure).await;
            }
        }
        NextAction::Succeeded(proof) => {
            ctx.log.event(
                Some(service.name()),
                Mark::Success,
                &format!("{} serves: {}", proof.version.label, proof.evidence),
            );
            service.finish_succeeded(now, ctx.success_outcome(), &proof);
            atomic_state::await_peers(ctx, service);
        }
        NextAction::HandedOff(handed) => {
            ctx.log.event(Some(service.name()), Mark::Success, &handed.evidence);
            checks::warn_skipped(service);
            service.finish_handed_off(now, &handed);
            atomic_state::await_peers(ctx, service);
        }
        NextAction::WatchProviderRollback(failure) => {
            progress::log_failure(ctx, service, &failure);
            progress::record_event(ctx, service, Mark::Failure, "the provider is rolling back");
            service.enter_rolling(ctx, rollout.clone(), Direction::Back(failure));
        }
        NextAction::RequestAgain(failure) => request_again(ctx, service, failure).await,
        NextAction::RollBack(failure) => {
            progress::log_failure(ctx, service, &failure);
            rollback::roll_back(ctx, service, failure).await;
        }
        NextAction::RolledBack(failure, to) => {
            service.finish_rolled_back(now, &failure, to);
            ctx.log.event(Some(service.name()), Mark::Failure, &service.report.evidence.clone());
        }
        NextAction::Stranded(failure) => endings::mark_stranded(ctx, service, failure),
        NextAction::StillRollingBack(failure, progress) => {
            endings::mark_still_rolling_back(ctx, service, &failure, &progress);
        }
        NextAction::Unconfirmed(failure, state) => {
            endings::mark_unconfirmed(ctx, service, &failure, &state);
        }
        NextAction::Superseded(by) => {
            progress::mark_superseded(ctx, service, &by);
            Box::pin(show_serving(ctx, service)).await;
        }
    }
}

/// Reads once more what serves after a newer deployment took over; unknown while that is in progress.
async fn show_serving(ctx: &RunContext, service: &mut ServiceRun) {
    if let Some(Ok(observed)) = cancel::until_cancelled(ctx, service.target.observe()).await
        && let RolloutStatus::Healthy(proof) = observed.status
        && !proof.nothing_runs()
    {
        service.report.serving_version = Some(proof.version);
        service.report.serving_digest = proof.digest;
    }
}

/// Requests the first shift again. A rollout of an earlier run, which nothing was staged for, is rolled back.
async fn request_again(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    let text = format!("requesting the rollout again: {}", failure.problem.sentence);
    progress::record_event(ctx, service, Mark::None, &text);
    request::enter_first_shift(ctx, service);
    let refused = match service.rollout.requested_shift() {
        Some(_) => request::send_again(ctx, service).await,
        None => Some(failure.problem.clone()),
    };
    if let Some(problem) = refused {
        rollback::roll_back(ctx, service, Failure { problem, ..failure }).await;
    }
}

fn log_progress(ctx: &RunContext, service: &mut ServiceRun, progress: &Progress) {
    for event in &progress.events {
        ctx.log.untrusted(service.name(), event);
        service.report.add_provider_event(ctx.io.clock.now(), event.clone());
    }
    progress::log_if_changed(ctx, service, &progress.describe());
}
