//! Guard: a rollout whose own time and that of a rollback do not fit into what is left of the time of the run is not begun.

use async_trait::async_trait;

use crate::plan::{ServicePlan, Start};
use crate::problem::Problem;
use crate::release::Outcome;
use crate::run::context::RunContext;
use crate::run::guard::rule::{Blocked, Guard};
use crate::run::service_run::ServiceRun;
use crate::run::time_budget::{exceeds_timeout, no_time_left};

/// Stops a service whose rollout needs longer than the run has left.
pub(super) struct TimeBudget;

#[async_trait(?Send)]
impl Guard for TimeBudget {
    async fn check(
        &self,
        ctx: &RunContext,
        service: &mut ServiceRun,
        plan: &ServicePlan,
    ) -> Result<(), Blocked> {
        match problem(ctx, service, &plan.start) {
            Some(problem) => Err(Blocked { outcome: Outcome::Invalid, problem }),
            None => Ok(()),
        }
    }
}

/// Why a new version of the service does not fit into the time of the run. A version that is restored is not rejected for
/// its time, nor is a rollout in progress.
pub(super) fn problem(ctx: &RunContext, service: &ServiceRun, start: &Start) -> Option<Problem> {
    if !matches!(start, Start::New { .. }) || service.release.rollback_to.is_some() {
        return None;
    }
    let own = service.target.limits(&service.observed).rollout_duration.unwrap_or_default();
    exceeds_timeout(ctx.inputs.timeout, service.name(), own).or_else(|| {
        let elapsed = ctx.io.clock.elapsed();
        no_time_left(ctx.inputs.timeout, elapsed, service.name(), service.min_rollout_time(ctx))
    })
}
