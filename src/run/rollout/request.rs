//! Requests a shift, and takes its answer. A request that left without a result keeps the service in motion.

use std::future::Future;

use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Rollout, ShiftKind, TrafficPlan, TrafficShift};
use crate::run::context::RunContext;
use crate::run::rollout::endings;
use crate::run::rollout_state::RequestedShift;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress};
use crate::strategy::Direction;
use crate::targets::ChangeError;

/// Enters the first shift of a service whose version was staged, to be sent.
pub(in crate::run) fn enter_first_shift(ctx: &RunContext, service: &mut ServiceRun) {
    let Some(staged) = service.staged.as_ref() else { return };
    let plan = service.rollout.plan.as_ref();
    let force = plan.is_some_and(|plan| plan.start == Start::New { force: true });
    let plan = plan.map_or_else(TrafficPlan::in_place, |plan| plan.traffic_plan.clone());
    let percent = plan.weights.first().copied().unwrap_or(100);
    let version = staged.version.clone();
    let shift = TrafficShift { version, percent, kind: ShiftKind::Start { plan, force } };
    let now = ctx.io.clock.elapsed();
    service.rollout.enter_requested(RequestedShift::new(shift, Direction::Forward, now), now);
}

/// Requests the shift of a service; `None` if none is to be requested.
pub(in crate::run) fn send(
    service: &ServiceRun,
) -> Option<impl Future<Output = Result<Rollout, ChangeError>>> {
    let shift = service.rollout.requested_shift()?.shift.clone();
    let staged = service.staged_or(&shift.version);
    Some(async move { service.target.shift(&staged, &shift).await })
}

/// Requests the shift and takes the answer; the problem if the rollout was not made.
pub(in crate::run) async fn send_again(ctx: &RunContext, service: &mut ServiceRun) -> Option<Problem> {
    let reply = cancel::with_grace(ctx, cancel::REPLY_GRACE, send(service)?).await;
    on_reply(ctx, service, reply?)
}

/// Takes the answer to a requested shift. Returns the problem if a rollout was not made: then nothing was moved by it.
pub(in crate::run) fn on_reply(
    ctx: &RunContext,
    service: &mut ServiceRun,
    reply: Result<Rollout, ChangeError>,
) -> Option<Problem> {
    let is_forward = service.rollout.direction() == Some(&Direction::Forward);
    match reply {
        Ok(rollout) => begin_rolling(ctx, service, rollout),
        Err(error) if error.error().code == Code::Superseded => {
            progress::mark_superseded_by(ctx, service, error.error());
        }
        Err(ChangeError::NotMade(problem) | ChangeError::Rejected(problem)) if is_forward => {
            return Some(problem);
        }
        Err(ChangeError::Unknown(problem)) => note_lost_answer(ctx, service, problem),
        // Another request would not change the answer.
        Err(ChangeError::Rejected(problem))
            if matches!(problem.code, Code::PermissionMissing | Code::UpdateRefused)
                && !is_in_doubt(service) =>
        {
            end_refused_rollback(ctx, service, problem);
        }
        Err(error) => note_refused_rollback(ctx, service, error.into_error()),
    }
    None
}

/// Takes `rollout` as the one that was requested.
pub(in crate::run) fn begin_rolling(ctx: &RunContext, service: &mut ServiceRun, rollout: Rollout) {
    let direction = service.rollout.direction().cloned().unwrap_or(Direction::Forward);
    if direction == Direction::Forward {
        let id = rollout.ids.first().map_or("no id", String::as_str);
        let text = format!("rollout of {} started ({id})", rollout.label);
        ctx.log.info(Some(service.name()), &text);
        service.report.add_timeline_entry(ctx.io.clock.now(), text);
    }
    service.enter_rolling(ctx, rollout, direction);
}

/// Keeps a service in motion whose request left and has no result.
fn note_lost_answer(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let Some(request) = service.rollout.requested_shift().cloned() else { return };
    let what = match request.direction {
        Direction::Forward => "rollout",
        Direction::Back(_) => "rollback",
    };
    let text = format!("the {what} was requested and the answer was lost: looking for it");
    if request.problem.is_none() {
        service.report.add_timeline_entry(ctx.io.clock.now(), text.clone());
    }
    progress::log_if_changed(ctx, service, &format!("{text} ({problem})"));
    keep_problem(service, RequestedShift { is_in_doubt: true, ..request }, problem);
}

/// Keeps a rollback requested that was not accepted.
fn note_refused_rollback(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let text = format!("the rollback was not accepted, asking again: {problem}");
    progress::log_if_changed(ctx, service, &text);
    if let Some(request) = service.rollout.requested_shift().cloned() {
        keep_problem(service, request, problem);
    }
}

fn is_in_doubt(service: &ServiceRun) -> bool {
    service.rollout.requested_shift().is_some_and(|request| request.is_in_doubt)
}

fn keep_problem(service: &mut ServiceRun, request: RequestedShift, problem: Problem) {
    let at = service.rollout.phase_started;
    service.rollout.enter_requested(RequestedShift { problem: Some(problem), ..request }, at);
}

fn end_refused_rollback(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let Some(Direction::Back(failure)) = service.rollout.direction().cloned() else { return };
    service.report.problems.push(problem.for_service(service.name()));
    endings::mark_stranded(ctx, service, failure);
}
