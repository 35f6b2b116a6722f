//! The next step of a rollout: more weight, or a bake.

use crate::problem::{Code, Problem};
use crate::release::{Rollout, ShiftKind, TrafficShift, Version};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress};
use crate::strategy;
use crate::strategy::Step;
use crate::targets::ChangeError;

/// Enters step `at`. A weight that the target rejects is requested again at the next poll.
pub(in crate::run) async fn advance(
    ctx: &RunContext,
    service: &mut ServiceRun,
    rollout: &Rollout,
    at: usize,
) {
    let Some(Step::SetWeight(percent)) = service.rollout.steps().get(at).copied() else {
        return enter_step(ctx, service, at);
    };
    let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
    let shift = TrafficShift { version, percent, kind: ShiftKind::Continue(rollout.clone()) };
    let staged = service.staged_or(&shift.version);
    match cancel::with_grace(ctx, cancel::REPLY_GRACE, service.target.shift(&staged, &shift)).await {
        None => {}
        Some(Ok(next)) => {
            progress::record_event(
                ctx,
                service,
                Mark::None,
                &format!("{percent} % of the traffic goes to {}", next.label),
            );
            service.rollout.phase = Phase::Rolling(next, strategy::Direction::Forward);
            service.rollout.enter_step(at + 1, ctx.io.clock.elapsed());
        }
        Some(Err(error)) if error.error().code == Code::Superseded => {
            progress::mark_superseded_by(ctx, service, error.error());
        }
        // The rollout is watched whether the weight was set or not.
        Some(Err(error)) => {
            let text = format!("could not go on, asking again: {}", error.error());
            progress::log_if_changed(ctx, service, &text);
        }
    }
}

/// Lets the rollout go on at the weight that it has. Returns the problem if the target refuses: then it can only go back.
pub(in crate::run) async fn go_on(
    ctx: &RunContext,
    service: &mut ServiceRun,
    rollout: &Rollout,
) -> Option<Problem> {
    let percent = service.rollout.weight().unwrap_or(100);
    let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
    let shift = TrafficShift { version, percent, kind: ShiftKind::Continue(rollout.clone()) };
    let staged = service.staged_or(&shift.version);
    match cancel::with_grace(ctx, cancel::REPLY_GRACE, service.target.shift(&staged, &shift)).await {
        None | Some(Ok(_)) => None,
        Some(Err(error)) if error.error().code == Code::Superseded => {
            progress::mark_superseded_by(ctx, service, error.error());
            None
        }
        Some(Err(ChangeError::Rejected(problem))) => Some(problem),
        Some(Err(error)) => {
            let text = format!("could not go on, asking again: {}", error.error());
            progress::log_if_changed(ctx, service, &text);
            None
        }
    }
}

fn enter_step(ctx: &RunContext, service: &mut ServiceRun, at: usize) {
    service.rollout.enter_step(at, ctx.io.clock.elapsed());
    if let (Some(Step::Bake(span)), Some(weight)) = (service.rollout.current_step(), service.rollout.weight())
    {
        progress::record_event(
            ctx,
            service,
            Mark::None,
            &format!("baking at {weight} % of the traffic for {span}"),
        );
    }
}
