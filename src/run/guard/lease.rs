//! One writer: the leases of the services that will change are acquired before the first change, and released at the
//! end.

use std::time::Duration;

use futures::stream;
use futures::stream::StreamExt as _;
use tokio::time::Instant;

use crate::github::{ApiError, lease};
use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::coordination::{Coordinator, LeaseCommit};
use crate::run::guard::lease_wait::{self, LeaseOutcome, LeaseRequest};
use crate::run::guard::{reobserve, time_budget};
use crate::run::held::HeldLease;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, planning, post_state};

/// The longest wait for another run.
const MAX_WAIT: Duration = Duration::from_secs(30 * 60);
/// Number of concurrent requests about leases.
const MAX_CONCURRENT: usize = 8;

/// Acquires the leases of all services that will change, and observes those again.
pub(super) async fn acquire_leases(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    services: &mut [ServiceRun],
) {
    let mut leased: Vec<&mut ServiceRun> =
        services.iter_mut().filter(|service| needs_lease(ctx, service)).collect();
    leased.sort_by(|one, other| one.name().cmp(other.name()));
    if leased.is_empty() {
        return;
    }
    let created = cancel::until_cancelled(ctx, create_request(ctx, coordinator)).await;
    // Nothing that was read before the lease decides after it, if another run can have changed it meanwhile.
    coordinator.forget_passing_answers();
    let Some(created) = created else { return };
    let request = match created {
        Ok(request) => request,
        Err(error) => return coordinator.note_no_lease(error),
    };
    // Without a lease, too, the plan is made after the wait, from what serves then.
    if let Err(error) = acquire_all(ctx, coordinator, &request, &mut leased).await {
        coordinator.note_no_lease(error);
    }
    leased.retain(|service| service.rollout.phase == Phase::Pending);
    reobserve::reobserve_all(ctx, coordinator, leased).await;
}

/// Whether a service will change. What serves already needs no lease, and an error that is known without a lease is not
/// waited for: the plan that counts is made after the last observation.
fn needs_lease(ctx: &RunContext, service: &ServiceRun) -> bool {
    if service.rollout.phase == Phase::Done {
        return false;
    }
    let start = planning::expected_start(service).filter(|start| *start != Start::NoOp);
    start.is_some_and(|start| time_budget::problem(ctx, service, &start).is_none())
}

async fn create_request(ctx: &RunContext, coordinator: &mut Coordinator) -> Result<LeaseRequest, ApiError> {
    let LeaseCommit { owner, tree, commit } = match coordinator.lease_commit.take() {
        Some(made) => made,
        None => coordinator.create_lease_commit(ctx).await?,
    };
    let deadline = Instant::now() + ctx.time_left().min(MAX_WAIT);
    Ok(LeaseRequest { owner, tree, commit, deadline })
}

/// Acquires all at once if they are free. Otherwise one after the other in the order of their names: a run that waits
/// holds only leases that come before the one that it waits for, so no two runs wait for each other.
async fn acquire_all(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    request: &LeaseRequest,
    leased: &mut [&mut ServiceRun],
) -> Result<(), ApiError> {
    let references: Vec<String> =
        leased.iter().map(|service| lease::ref_name(&coordinator.environment, service.name())).collect();
    let held =
        |reference: &String| HeldLease { reference: reference.clone(), commit: request.commit.clone() };
    ctx.held.borrow_mut().leases = references.iter().map(held).collect();
    // Saved before it is true: a lease that is in doubt is released.
    let is_atomic = leased.iter().any(|service| service.atomic);
    ctx.log_problems(&post_state::save_before_change(ctx, &coordinator.environment, is_atomic));
    let Some(acquired) = acquire_free(ctx, coordinator, request, &references).await? else { return Ok(()) };
    for (service, reference) in leased.iter_mut().zip(&references).skip(acquired) {
        match lease_wait::wait_for_lease(ctx, coordinator, request, service, reference).await {
            LeaseOutcome::Acquired => {}
            LeaseOutcome::Held(lease) => {
                ctx.held.borrow_mut().leases.retain(|lease| lease.reference != *reference);
                lease_wait::block_on_lease(ctx, coordinator, request, service, &lease);
            }
            LeaseOutcome::Unavailable(error) => return Err(error),
            LeaseOutcome::Cancelled => return Ok(()),
        }
    }
    Ok(())
}

/// Acquires the first leases that are free, up to one that is not; gives their number. `None` after a cancel.
async fn acquire_free(
    ctx: &RunContext,
    coordinator: &Coordinator,
    request: &LeaseRequest,
    references: &[String],
) -> Result<Option<usize>, ApiError> {
    let (repository, commit) = (&coordinator.repository, &request.commit);
    let acquiring = stream::iter(references).map(|reference| repository.acquire(reference, commit));
    let acquiring = acquiring.buffered(MAX_CONCURRENT).collect::<Vec<_>>();
    let Some(acquired) = cancel::until_cancelled(ctx, acquiring).await else { return Ok(None) };
    let free = acquired.iter().take_while(|acquired| matches!(acquired, Ok(true))).count();
    if let Some(Err(error)) = acquired.get(free)
        && lease_wait::retry_after(error).is_none()
    {
        return Err(error.clone());
    }
    if free < references.len() {
        let later = stream::iter(&references[free..]).map(|reference| repository.release(reference, commit));
        cancel::until_cancelled(ctx, later.buffered(MAX_CONCURRENT).collect::<Vec<_>>()).await;
    }
    Ok(Some(free))
}

/// Whether each of the held leases is still ours, in their order.
pub(in crate::run) async fn look_at_leases(
    ctx: &RunContext,
    coordinator: &Coordinator,
) -> Vec<Result<bool, ApiError>> {
    let leases = ctx.held.borrow().leases.clone();
    let (repository, leases) = (&coordinator.repository, &leases);
    let looking = stream::iter(leases).map(|lease| repository.points_to(&lease.reference, &lease.commit));
    looking.buffered(MAX_CONCURRENT).collect().await
}

/// Releases all leases that are held, as [`look_at_leases`] saw them just now.
pub(in crate::run) async fn release_leases(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    looks: Vec<Result<bool, ApiError>>,
) {
    let leases = std::mem::take(&mut ctx.held.borrow_mut().leases);
    let repository = &coordinator.repository;
    let giving = stream::iter(leases.iter().zip(looks))
        .map(async |(lease, look)| repository.release_if(look?, &lease.reference, &lease.commit).await);
    let given = giving.buffered(MAX_CONCURRENT).collect::<Vec<_>>().await;
    if let Some(error) = given.into_iter().find_map(Result::err) {
        let sentence = "A lease could not be given back.";
        let help = "The next run takes it over as soon as this one has ended.";
        coordinator.add_notice(Problem::notice(Code::LeaseUnavailable, sentence).help(help), error);
    }
}
