//! Waiting for the lease of one service: its holder, whether that run still works, and the takeover of a lease whose run
//! has ended.

use std::time::Duration;

use tokio::time::Instant;

use crate::github::{ApiError, Holder, Owner, lease};
use crate::plan::proof::may_hold_lease;
use crate::problem::{Code, Problem};
use crate::release::{HumanDuration, Outcome};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::progress_log::Mark;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, post_state, progress};

/// Time between two polls of a held lease; a token has a thousand requests an hour.
const POLL_INTERVAL: Duration = Duration::from_secs(12);
/// After so many failures in a row GitHub is not asked again.
const MAX_FAILURES: u32 = 4;
/// A limit of requests that lasts longer is not waited for.
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(120);

/// What this run is, for others, and how long it waits.
pub(super) struct LeaseRequest {
    /// The run.
    pub(super) owner: Owner,
    /// The tree that its commits have.
    pub(super) tree: String,
    /// The commit that its leases point to.
    pub(super) commit: String,
    /// When it stops waiting.
    pub(super) deadline: Instant,
}

/// What came of waiting for a lease.
pub(super) enum LeaseOutcome {
    /// It is ours.
    Acquired,
    /// Another run holds it, and the time is over.
    Held(ForeignLease),
    /// Leases cannot be had.
    Unavailable(ApiError),
    /// The run was cancelled.
    Cancelled,
}

/// What came of one try.
enum LeaseAttempt {
    Acquired,
    Held(ForeignLease),
    /// It was released just now.
    Released,
}

/// A lease of another run.
pub(super) struct ForeignLease {
    pub(super) holder: Holder,
    pub(super) state: HolderState,
}

/// What is known of the run of a holder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HolderState {
    /// It has ended.
    Ended,
    /// It still runs.
    Running,
    /// The token may not see it.
    Unknown,
}

/// Waits for a lease until it is acquired, its run has ended, or the time is over.
pub(super) async fn wait_for_lease(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    request: &LeaseRequest,
    service: &mut ServiceRun,
    reference: &str,
) -> LeaseOutcome {
    let (mut known, mut failures) = (None, 0);
    loop {
        let mut pause = POLL_INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64());
        match cancel::until_cancelled(ctx, try_acquire(ctx, coordinator, request, reference)).await {
            None => return LeaseOutcome::Cancelled,
            Some(Ok(LeaseAttempt::Acquired)) => return LeaseOutcome::Acquired,
            Some(Ok(LeaseAttempt::Released)) => {}
            Some(Ok(LeaseAttempt::Held(lease))) => {
                failures = 0;
                log_waiting(ctx, service, &lease.holder);
                known = Some(lease);
            }
            Some(Err(error)) => {
                failures += 1;
                match retry_after(&error).filter(|_| failures < MAX_FAILURES) {
                    Some(wait) => pause = pause.max(wait),
                    None => return LeaseOutcome::Unavailable(error),
                }
            }
        }
        if Instant::now() + pause > request.deadline {
            let never = || LeaseOutcome::Unavailable(ApiError::Transient("the time is over".into()));
            return known.map_or_else(never, LeaseOutcome::Held);
        }
        if cancel::until_cancelled(ctx, tokio::time::sleep(pause)).await.is_none() {
            return LeaseOutcome::Cancelled;
        }
    }
}

/// How long a setback may last at least; `None` where waiting would not help.
pub(super) fn retry_after(error: &ApiError) -> Option<Duration> {
    match error {
        ApiError::RateLimited { retry_after: wait, .. } => {
            Some(*wait).filter(|wait| *wait <= MAX_RATE_LIMIT_WAIT)
        }
        ApiError::Transient(_) | ApiError::Ambiguous(_) => Some(Duration::ZERO),
        _ => None,
    }
}

async fn try_acquire(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    request: &LeaseRequest,
    reference: &str,
) -> Result<LeaseAttempt, ApiError> {
    if coordinator.repository.acquire(reference, &request.commit).await? {
        return Ok(LeaseAttempt::Acquired);
    }
    let Some(holder) = coordinator.repository.holder(reference).await? else {
        return Ok(LeaseAttempt::Released);
    };
    // An answer that was lost before.
    if holder.commit == request.commit {
        return Ok(LeaseAttempt::Acquired);
    }
    let state = holder_state(coordinator, request, &holder).await;
    if state == HolderState::Ended && take_over(ctx, coordinator, request, reference, &holder).await? {
        return Ok(LeaseAttempt::Acquired);
    }
    Ok(LeaseAttempt::Held(ForeignLease { holder, state }))
}

/// Whether the run of a holder still runs.
async fn holder_state(coordinator: &Coordinator, request: &LeaseRequest, holder: &Holder) -> HolderState {
    let Some(owner) = &holder.owner else {
        return if holder.is_foreign { HolderState::Ended } else { HolderState::Unknown };
    };
    if owner.is_earlier_attempt_of(&request.owner) {
        return HolderState::Ended;
    }
    match coordinator.repository.is_running(owner, request.owner.run, may_hold_lease).await {
        Ok(Some(true)) => HolderState::Running,
        Ok(Some(false)) => HolderState::Ended,
        Ok(None) | Err(_) => HolderState::Unknown,
    }
}

/// Takes over the lease of a run that has ended, from its commit: of two runs that try it, the second fails.
async fn take_over(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    request: &LeaseRequest,
    reference: &str,
    holder: &Holder,
) -> Result<bool, ApiError> {
    let commit = coordinator
        .repository
        .create_lease_commit(&request.owner, &request.tree, Some(&holder.commit))
        .await?;
    let before = set_lease_commit(ctx, reference, &commit);
    ctx.log_problems(&post_state::save_held(ctx));
    let taken = coordinator.repository.take_over(reference, &commit).await?;
    if taken {
        log_take_over(ctx, reference, holder);
        coordinator.ended_owners.extend(holder.owner.clone());
    } else if let Some(before) = before {
        set_lease_commit(ctx, reference, &before);
    }
    Ok(taken)
}

fn log_take_over(ctx: &RunContext, reference: &str, holder: &Holder) {
    let words = match &holder.owner {
        Some(owner) => format!("took over the lease that run {} left behind", owner.run),
        None => format!("took over the ref `{reference}`, which no run made"),
    };
    ctx.log.info(None, &words);
}

/// Saves the commit of our lease; gives the one before.
fn set_lease_commit(ctx: &RunContext, reference: &str, commit: &str) -> Option<String> {
    let mut held = ctx.held.borrow_mut();
    let lease = held.leases.iter_mut().find(|lease| lease.reference == reference)?;
    Some(std::mem::replace(&mut lease.commit, commit.to_owned()))
}

fn log_waiting(ctx: &RunContext, service: &mut ServiceRun, holder: &Holder) {
    let words = format!("waiting for {}", describe_holder(ctx, holder));
    if service.rollout.last_progress != words {
        progress::record_event(ctx, service, Mark::None, &words);
        service.rollout.last_progress = words;
    }
}

fn describe_holder(ctx: &RunContext, holder: &Holder) -> String {
    let Some(owner) = &holder.owner else {
        return "somebody who holds the lease and does not say who it is".into();
    };
    let since = match owner.held_since.as_str() {
        "" => String::new(),
        time => format!(" since {time}"),
    };
    let page = ctx.context.page_of_run(owner.run).map(|page| format!(": {page}")).unwrap_or_default();
    format!("run {}, which holds the lease{since}{page}", owner.run)
}

/// Ends a service whose lease another run kept.
pub(super) fn block_on_lease(
    ctx: &RunContext,
    coordinator: &Coordinator,
    request: &LeaseRequest,
    service: &mut ServiceRun,
    foreign: &ForeignLease,
) {
    let owner = foreign.holder.owner.as_ref();
    let name = owner.map_or_else(|| "Somebody".to_owned(), |owner| format!("Run {}", owner.run));
    let waited = HumanDuration(ctx.io.clock.elapsed());
    let sentence = format!(
        "{name} holds the lease of `{}` in {} and did not release it within the time of this run ({waited}).",
        service.name(),
        coordinator.environment
    );
    let reference = lease::ref_name(&coordinator.environment, service.name());
    let help = match (owner, foreign.state) {
        (Some(_), HolderState::Unknown) => format!(
            "Whether that run is at work cannot be seen without `permissions: actions: read`. If it is not, delete the \
             ref `{reference}`."
        ),
        (Some(_), _) => "Wait for that run, or cancel it; then run this job again.".to_owned(),
        (None, _) => format!("Look at the ref `{reference}`, and delete it if no run is active."),
    };
    let cause = owner.and_then(|owner| ctx.context.page_of_run(owner.run));
    let problem =
        Problem { cause, ..Problem::error(Code::LeaseHeld, sentence) }.help(help).for_service(service.name());
    ctx.log.problem(&problem);
    let runs = foreign.state == HolderState::Running;
    let newer = runs && owner.is_some_and(|owner| owner.run > request.owner.run);
    let outcome = if newer { Outcome::Superseded } else { Outcome::Failed };
    service.report.evidence = "nothing was moved".into();
    service.finish_blocked(ctx.io.clock.now(), outcome, problem);
}
