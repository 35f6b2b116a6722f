//! Rollback: after a failure and after a cancel. Traffic first, then confirmation.

use futures::future::join_all;

use crate::action::OnCancel;
use crate::problem::{Code, Problem, capitalize};
use crate::release::{Failure, Outcome};
use crate::rollback::{RollbackAction, rollback_action};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout::before_command;
use crate::run::rollout::before_command::StopReply;
use crate::run::rollout::{endings, request};
use crate::run::rollout_state::{Phase, RequestedShift};
use crate::run::service_run::ServiceRun;
use crate::run::{atomic_state, cancel, post_state, progress};
use crate::strategy::Direction;
use crate::targets::ChangeError;

/// Rolls one service back after `failure` and keeps watching until that is confirmed.
pub(in crate::run) async fn roll_back(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    // What was well does not stay for having failed.
    if service.target.limits(&service.observed).keeps_failed_version
        && failure.problem.code != Code::RolledBackWithPeers
    {
        return keep_failed(ctx, service, &failure);
    }
    match rollback_action(&service.observed, service.rollout.current_rollout()) {
        RollbackAction::Impossible => endings::mark_stranded(ctx, service, failure),
        RollbackAction::Shift(shift) => {
            let text = format!("rolling back to {}", shift.version.label);
            progress::record_event(ctx, service, Mark::Failure, &text);
            let now = ctx.io.clock.elapsed();
            let request = RequestedShift::new(shift, Direction::Back(failure), now);
            service.rollout.enter_requested(request, now);
            request::send_again(ctx, service).await;
        }
    }
}

/// Ends a service whose failed version stays (`on-failure: leave`): nothing healthy is proven to serve.
fn keep_failed(ctx: &RunContext, service: &mut ServiceRun, failure: &Failure) {
    let words = "the new version failed and stays: the deploy file says `on-failure: leave`";
    ctx.log.event(Some(service.name()), Mark::Failure, words);
    let problem = Problem::error(Code::FailedVersionKept, format!("{}.", capitalize(words)));
    let help = "Fix it and deploy again, or run `operation: rollback`.";
    service.report.problems.push(problem.help(help).for_service(service.name()));
    service.finish_stranded(ctx.io.clock.now(), failure, words);
}

/// Reply to the rollback that a cancelled run requested for a service.
enum RollbackReply {
    /// No rollback was requested.
    NotSent,
    /// It was requested, and no answer arrived in time.
    NoReply,
    /// The provider rolls back.
    Accepted,
    /// The provider rejected it.
    Refused(Problem),
    /// It could not be requested.
    NotRequested(Problem),
    /// No earlier version completed.
    NothingToReturnTo,
}

/// Replies to what a cancelled run requested for one service.
struct CancelReplies {
    rollback: RollbackReply,
    /// Reply to the request to stop the command that runs before the rollout.
    stop: StopReply,
}

/// Ends a cancelled run: every rollout in progress is rolled back, or left to itself with `on-cancel: leave`.
pub(in crate::run) async fn end_cancelled_run(
    ctx: &RunContext,
    environment: &str,
    services: &mut [ServiceRun],
) {
    let leave = ctx.inputs.on_cancel == OnCancel::Leave;
    atomic_state::reopen_waiting(services, leave);
    let open_state = post_state::current(environment, services);
    let mut open: Vec<&mut ServiceRun> =
        services.iter_mut().filter(|service| service.rollout.phase != Phase::Done).collect();
    let text =
        if leave { "cancelled: rollouts go on by themselves" } else { "cancelled: asking for rollbacks" };
    ctx.log.info(None, text);
    let requests = join_all(open.iter().map(|service| request_on_cancel(service, leave)));
    let replies = tokio::time::timeout(cancel::SHUTDOWN_GRACE, cancel::until_abandoned(ctx, requests)).await;
    let replies = replies.ok().flatten().unwrap_or_else(|| open.iter().map(|_| no_reply(leave)).collect());
    for (service, replies) in open.iter_mut().zip(replies) {
        finish_cancelled(ctx, service, &replies);
    }
    ctx.log_problems(&post_state::save_open(ctx, open_state));
}

fn no_reply(leave: bool) -> CancelReplies {
    let rollback = if leave { RollbackReply::NotSent } else { RollbackReply::NoReply };
    CancelReplies { rollback, stop: StopReply::NoReply }
}

async fn request_on_cancel(service: &ServiceRun, leave: bool) -> CancelReplies {
    let has_shifted = service.rollout.requested_shift().is_some() || service.rollout.is_rolling_forward();
    let rollback = match rollback_action(&service.observed, service.rollout.current_rollout()) {
        _ if leave || !has_shifted => RollbackReply::NotSent,
        RollbackAction::Impossible => RollbackReply::NothingToReturnTo,
        RollbackAction::Shift(shift) => {
            match service.target.shift(&service.staged_or(&shift.version), &shift).await {
                Ok(_) => RollbackReply::Accepted,
                Err(ChangeError::Rejected(problem)) => RollbackReply::Refused(problem),
                Err(ChangeError::NotMade(problem)) => RollbackReply::NotRequested(problem),
                Err(ChangeError::Unknown(_)) => RollbackReply::NoReply,
            }
        }
    };
    CancelReplies { rollback, stop: before_command::stop_command(service).await }
}

/// The sentence for a service that this run did not change. A rollout that another run began is left to it.
fn untouched_message(in_flight: Option<&str>, serving: &str) -> String {
    match in_flight {
        Some(label) => {
            format!(
                "cancelled before any change; the rollout of {label} was under way already and continues on its own"
            )
        }
        None => format!("cancelled before any change: {serving} serves"),
    }
}

fn finish_cancelled(ctx: &RunContext, service: &mut ServiceRun, replies: &CancelReplies) {
    let text = cancelled_message(service, replies);
    let is_untouched = matches!(service.rollout.phase, Phase::Pending | Phase::RunningCommand(_));
    if service.observed.in_flight.is_some() || !is_untouched {
        service.clear_serving();
    }
    service.report.evidence = text.clone();
    let problem = Problem::error(Code::Cancelled, format!("{}.", capitalize(&text)));
    service.report.problems.push(problem.for_service(service.name()));
    ctx.log.event(Some(service.name()), Mark::Failure, &text);
    service.report.elapsed = ctx.io.clock.elapsed();
    service.finish(ctx.io.clock.now(), Outcome::Cancelled, &text);
}

fn cancelled_message(service: &ServiceRun, replies: &CancelReplies) -> String {
    let serving = service.serving_label();
    match (&service.rollout.phase, &replies.rollback) {
        (Phase::Pending, _) => {
            let in_flight = service.observed.in_flight.as_ref();
            untouched_message(in_flight.map(|flight| flight.rollout.label.as_str()), serving)
        }
        (Phase::RunningCommand(command), _) => {
            before_command::cancelled_message(command, &replies.stop, serving)
        }
        (Phase::Rolling(_, Direction::Back(_)), _) => {
            format!("cancelled while {serving} was being restored; the provider continues the rollback")
        }
        (Phase::Requested(request), RollbackReply::NotSent) => match request.direction {
            Direction::Back(_) => format!(
                "cancelled; the rollback to {serving} was requested, and it is not known what became of it"
            ),
            Direction::Forward => {
                "cancelled; the rollout was requested, and it is not known whether it started".to_owned()
            }
        },
        (_, RollbackReply::NotSent) => "cancelled; the rollout continues on its own".to_owned(),
        (_, RollbackReply::Accepted) => {
            format!("cancelled; the rollback to {serving} was requested; the post step confirms what serves")
        }
        (_, RollbackReply::Refused(problem)) => {
            format!("cancelled; the rollback to {serving} was refused: {problem}")
        }
        (_, RollbackReply::NotRequested(problem)) => {
            format!("cancelled; the rollback to {serving} could not be requested: {problem}")
        }
        (_, RollbackReply::NothingToReturnTo) => {
            "cancelled; there is no earlier version to return to".to_owned()
        }
        (_, RollbackReply::NoReply) => {
            format!("cancelled; the rollback to {serving} was sent, but no answer came in time")
        }
    }
}
