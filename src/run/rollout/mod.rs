//! The rollout of all services, together: record, stage, command, shift, watch. Services advance in one loop.

mod advance;
mod analysis;
mod atomic;
pub(in crate::run) mod before_command;
pub(in crate::run) mod checks;
mod endings;
mod request;
mod rollback;
mod stranded;
mod unanswered;
mod watch;
mod watch_time;

use futures::future::join_all;

use crate::action::Operation;
use crate::plan::Start;
use crate::problem::Problem;
use crate::release::{Outcome, Rollout, RolloutStatus, Staged, Version};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::event::operation;
use crate::run::progress_log::Mark;
use crate::run::record::deployment::{self, UnmarkedRecord};
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{atomic_state, cancel, cleanup, post_state};
use crate::strategy::Direction;
use crate::sys::signal::CancelLevel;

/// Brings every planned service to its end, whatever that is. A dry run ends with the plan.
pub(in crate::run) async fn execute(
    ctx: &RunContext,
    environment: &str,
    mut coordinator: Option<&mut Coordinator>,
    services: &mut [ServiceRun],
) {
    if operation(ctx) == Operation::Plan {
        return finish_planned(ctx, services);
    }
    finish_unchanged(ctx, services).await;
    let unmarked = record_and_stage(ctx, coordinator.as_deref_mut(), services).await;
    let marking = async {
        if let (Some(coordinator), Some(unmarked)) = (coordinator, unmarked) {
            deployment::mark_in_progress(ctx, coordinator, unmarked).await;
        }
    };
    tokio::join!(marking, Box::pin(roll_out(ctx, environment, services)));
}

/// Runs the commands, shifts traffic, and watches every rollout to its end.
async fn roll_out(ctx: &RunContext, environment: &str, services: &mut [ServiceRun]) {
    if ctx.cancel.level() == CancelLevel::None {
        atomic::skip_pending(ctx, services);
        Box::pin(before_command::run_commands(ctx, environment, services)).await;
        atomic::skip_pending(ctx, services);
    }
    start_rollouts(ctx, environment, services).await;
    watch::watch_until_done(ctx, environment, services).await;
    Box::pin(stranded::explain_all(ctx, environment, services)).await;
}

fn finish_planned(ctx: &RunContext, services: &mut [ServiceRun]) {
    for service in services.iter_mut().filter(|service| service.rollout.phase == Phase::Pending) {
        service.finish(ctx.io.clock.now(), Outcome::Planned, "planned; nothing was changed");
    }
}

/// Ends the services that serve already what was requested. What an earlier run left behind is cleaned up.
async fn finish_unchanged(ctx: &RunContext, services: &mut [ServiceRun]) {
    let now = ctx.io.clock.now();
    let is_no_op = |service: &&mut ServiceRun| service.rollout.starts_with(|start| *start == Start::NoOp);
    for service in services.iter_mut().filter(is_no_op) {
        match service.observed.status.clone() {
            RolloutStatus::Healthy(proof) => {
                service.finish_succeeded(now, Outcome::Unchanged, &proof);
                service.rollout.cleaned_up = !service.observed.needs_cleanup;
                let Version { id, label } = proof.version;
                let rollout = Rollout { version: id, label, ids: Vec::new() };
                // After a cancel nothing but a rollback is sent; the next run cleans up.
                if ctx.cancel.level() == CancelLevel::None {
                    cleanup::clean_up(ctx, service, &rollout).await;
                }
            }
            RolloutStatus::HandedOff(handoff) => {
                service.finish_unchanged_handoff(now, Outcome::Unchanged, &handoff);
            }
            RolloutStatus::NotServing(failure) => {
                ctx.log.event(Some(service.name()), Mark::Failure, &failure.problem.to_string());
                service.finish_not_serving(now, &failure);
            }
            _ => {}
        }
    }
}

/// Opens the record of what is about to change, and creates the new versions meanwhile: they get no traffic, so nothing
/// is changed before the record is open.
async fn record_and_stage(
    ctx: &RunContext,
    coordinator: Option<&mut Coordinator>,
    services: &mut [ServiceRun],
) -> Option<UnmarkedRecord> {
    let planned: &[ServiceRun] = services;
    let opening = async {
        match coordinator {
            Some(coordinator) => deployment::open(ctx, coordinator, planned).await,
            None => None,
        }
    };
    let staging = cancel::with_grace(ctx, cancel::REPLY_GRACE, stage_versions(ctx, planned));
    let (unmarked, staged) = tokio::join!(opening, staging);
    for (index, staged) in staged.unwrap_or_default() {
        take_staged(ctx, &mut services[index], staged);
    }
    unmarked
}

/// Creates the new versions, unless the run is cancelled or must not begin; gives them with the index of their service.
async fn stage_versions(ctx: &RunContext, services: &[ServiceRun]) -> Vec<(usize, Result<Staged, Problem>)> {
    if ctx.cancel.level() != CancelLevel::None || atomic_state::is_broken(services) {
        return Vec::new();
    }
    let new = services.iter().enumerate().filter(|(_, service)| service.rollout.starts_new());
    let staging =
        new.map(async |(at, service)| (at, service.target.stage(&service.release, &service.observed).await));
    join_all(staging).await
}

/// Takes what staging gave. After an error a service ends with nothing changed.
fn take_staged(ctx: &RunContext, service: &mut ServiceRun, staged: Result<Staged, Problem>) {
    let now = ctx.io.clock.now();
    match staged {
        Ok(staged) => {
            let text = format!("version {} is ready", staged.version.label);
            service.report.add_timeline_entry(now, text.clone());
            ctx.log.info(Some(service.name()), &text);
            service.report.version = Some(staged.version.clone());
            service.staged = Some(staged);
        }
        Err(problem) => service.fail_before_change(now, problem),
    }
}

/// Shifts traffic, or resumes the rollout of an earlier attempt. The state is saved before and after, so that the post
/// step finds a trace if the run is lost in between.
async fn start_rollouts(ctx: &RunContext, environment: &str, services: &mut [ServiceRun]) {
    // After a cancel nothing is resumed: a rollout in progress may be that of a run which holds the lease.
    let is_cancelled = ctx.cancel.level() != CancelLevel::None;
    for service in services.iter_mut().filter(|it| !is_cancelled && it.rollout.phase == Phase::Pending) {
        match service.rollout.plan.as_ref().map(|plan| plan.start.clone()) {
            Some(Start::Resume(rollout)) => resume(ctx, service, rollout),
            Some(Start::New { .. }) => request::enter_first_shift(ctx, service),
            Some(Start::NoOp) | None => {}
        }
    }
    ctx.log_problems(&post_state::save(ctx, environment, services));
    let mut requested: Vec<&mut ServiceRun> =
        services.iter_mut().filter(|service| service.rollout.requested_shift().is_some()).collect();
    let shifting = join_all(requested.iter().filter_map(|service| request::send(service)));
    let replies = cancel::with_grace(ctx, cancel::REPLY_GRACE, shifting).await;
    let Some(replies) = replies else { return };
    for (service, reply) in requested.iter_mut().zip(replies) {
        if let Some(problem) = request::on_reply(ctx, service, reply) {
            service.fail_before_change(ctx.io.clock.now(), problem);
        }
    }
    ctx.log_problems(&post_state::save(ctx, environment, services));
}

fn resume(ctx: &RunContext, service: &mut ServiceRun, rollout: Rollout) {
    let now = ctx.io.clock.now();
    service.report.version = Some(Version { id: rollout.version.clone(), label: rollout.label.clone() });
    service.report.add_timeline_entry(now, "took up the rollout that an earlier run began");
    service.enter_rolling(ctx, rollout, Direction::Forward);
}
