//! What may stop a service before its first change: the lease of another run, and the guards. A guard only reads; a dry
//! run turns what it says into a warning.

mod analysis_forecast;
mod blocked_version;
pub(in crate::run) mod lease;
mod lease_wait;
mod reobserve;
mod rule;
mod stale_run;
mod time_budget;

use crate::action::Operation;
use crate::problem::{Problem, Severity};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::event::operation;
use crate::run::guard::rule::{Blocked, Guard};
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;

/// Takes the leases of the services that will change, then observes those again: nobody else changes them from here on.
/// A dry run changes nothing and needs none.
pub(in crate::run) async fn lock(
    ctx: &RunContext,
    coordinator: Option<&mut Coordinator>,
    services: &mut [ServiceRun],
) {
    if let Some(coordinator) = coordinator.filter(|_| operation(ctx) != Operation::Plan) {
        lease::acquire_leases(ctx, coordinator, services).await;
    }
}

/// Asks every guard about every service that would change. A service that one of them stops ends here.
pub(in crate::run) async fn admit(
    ctx: &RunContext,
    coordinator: Option<&Coordinator>,
    services: &mut [ServiceRun],
) {
    let stale_run = stale_run::StaleRun::new(coordinator);
    let blocked_version = blocked_version::BlockedVersion::new(coordinator);
    let guards: [&dyn Guard; 4] =
        [&time_budget::TimeBudget, &stale_run, &blocked_version, &analysis_forecast::AnalysisForecast];
    for guard in guards {
        for service in services.iter_mut().filter(|service| service.rollout.phase == Phase::Pending) {
            let Some(plan) = service.rollout.plan.clone() else { continue };
            if let Err(blocked) = guard.check(ctx, service, &plan).await {
                stop(ctx, service, blocked);
            }
        }
    }
}

/// Ends a service that a guard stopped. In a dry run that is a warning, and the plan continues.
fn stop(ctx: &RunContext, service: &mut ServiceRun, blocked: Blocked) {
    let problem = blocked.problem.for_service(service.name());
    if operation(ctx) == Operation::Plan {
        return service.report.problems.push(Problem { severity: Severity::Warning, ..problem });
    }
    ctx.log.problem(&problem);
    service.finish_blocked(ctx.io.clock.now(), blocked.outcome, problem);
}
