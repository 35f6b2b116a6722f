//! What a run leaves at GitHub: the deployment record, the commits of the summary, the plan of a pull request. Nothing
//! here changes a service.

pub(in crate::run) mod commits;
pub(in crate::run) mod deployment;
mod history;
pub(in crate::run) mod pull_request;

use deployment::FinalStatus;

use crate::action::Operation;
use crate::report::RunReport;
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::event::operation;
use crate::run::guard::lease;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, post_state};
use crate::sys::signal::CancelLevel;

/// Reads the earlier deployment records, if any service may still change, and closes those of lost runs. A dry run only
/// reads; the plan of a pull request does not even that.
pub(in crate::run) async fn read_history(
    ctx: &RunContext,
    coordinator: Option<&mut Coordinator>,
    services: &[ServiceRun],
) {
    let is_dry_run = operation(ctx) == Operation::Plan;
    let Some(coordinator) = coordinator else { return };
    let is_open = |service: &ServiceRun| service.rollout.phase != Phase::Done;
    let may_change = services.iter().any(is_open) || !coordinator.ended_owners.is_empty();
    if is_dry_run && ctx.context.is_pull_request() || !is_dry_run && !may_change {
        return;
    }
    history::read(ctx, coordinator, services).await;
    if !is_dry_run {
        cancel::until_cancelled(ctx, deployment::close_abandoned(ctx, coordinator)).await;
    }
}

/// Records how the run ended and releases its leases. After a cancel the post step does that.
pub(in crate::run) async fn close(
    ctx: &RunContext,
    coordinator: Option<Coordinator>,
    report: &mut RunReport,
) {
    let Some(mut coordinator) = coordinator else { return };
    if ctx.cancel.level() == CancelLevel::None {
        close_all(ctx, &mut coordinator, &FinalStatus::from_report(ctx, report)).await;
        ctx.log_problems(&post_state::save_held(ctx));
    }
    report.problems.append(&mut coordinator.notices);
}

/// The same in the post step, for a main step that was interrupted. `report` has what serves now; `failed`: the main step
/// had found a failure.
pub(in crate::run) async fn close_interrupted(
    ctx: &RunContext,
    mut coordinator: Coordinator,
    report: &mut RunReport,
    failed: bool,
) {
    let ending = FinalStatus::interrupted(report, failed);
    deployment::find_open_record(ctx, &coordinator).await;
    close_all(ctx, &mut coordinator, &ending).await;
    report.problems.append(&mut coordinator.notices);
}

/// Closes the record, then releases the leases: the next run finds the record closed.
async fn close_all(ctx: &RunContext, coordinator: &mut Coordinator, ending: &FinalStatus) {
    let looking = lease::look_at_leases(ctx, coordinator);
    let (closed, looks) = tokio::join!(deployment::close(ctx, coordinator, ending), looking);
    if let Err(error) = closed {
        coordinator.note_not_recorded(error);
    }
    lease::release_leases(ctx, coordinator, looks).await;
}
