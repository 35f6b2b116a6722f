//! The last observation before the plan, once no other run works on a service. If the service has changed since it was
//! prepared, its release is prepared and checked again.

use futures::future::join_all;

use crate::problem::Problem;
use crate::release::{Observed, Outcome};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::progress_log::Mark;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress, rollback_version};

/// Observes services again, concurrently, so that their reads can share requests.
pub(super) async fn reobserve_all(
    ctx: &RunContext,
    coordinator: &Coordinator,
    services: Vec<&mut ServiceRun>,
) {
    let reading = join_all(services.iter().map(|service| service.target.observe()));
    let Some(readings) = cancel::until_cancelled(ctx, reading).await else { return };
    for (service, reading) in services.into_iter().zip(readings) {
        cancel::until_cancelled(ctx, on_reading(ctx, coordinator, service, reading)).await;
    }
}

async fn on_reading(
    ctx: &RunContext,
    coordinator: &Coordinator,
    service: &mut ServiceRun,
    reading: Result<Observed, Problem>,
) {
    let observed = match reading {
        Ok(observed) => observed,
        Err(problem) => {
            let problem = problem.for_service(service.name());
            return service.finish_blocked(ctx.io.clock.now(), Outcome::Failed, problem);
        }
    };
    let is_unchanged = is_same_state(&service.observed, &observed);
    service.set_observed(observed);
    if !is_unchanged {
        progress::record_event(
            ctx,
            service,
            Mark::None,
            "the service changed in the meantime; planning again",
        );
        prepare_again(ctx, coordinator, service).await;
    }
}

/// Selects the version to return to and runs the pre-flight checks for what was observed last.
async fn prepare_again(ctx: &RunContext, coordinator: &Coordinator, service: &mut ServiceRun) {
    let mut problems = Vec::new();
    if ctx.is_rollback() {
        let session = coordinator.session.as_ref();
        problems.extend(rollback_version::select_version(ctx, session, service).await.err());
    }
    problems.extend(service.target.preflight(&service.release, &service.observed).await);
    let problems = problems.into_iter().map(|problem| problem.for_service(service.name()));
    let (errors, warnings): (Vec<Problem>, Vec<Problem>) = problems.partition(Problem::is_error);
    for warning in warnings {
        if !service.report.problems.contains(&warning) {
            service.report.problems.push(warning);
        }
    }
    if !errors.is_empty() {
        service.finish(ctx.io.clock.now(), Outcome::Invalid, "stopped before any change");
        service.report.problems.extend(errors);
    }
}

/// Whether two observations are the same, as far as a plan depends on them.
fn is_same_state(one: &Observed, other: &Observed) -> bool {
    one.version == other.version
        && one.image == other.image
        && one.in_flight == other.in_flight
        && one.last_known_good() == other.last_known_good()
        && one.needs_cleanup == other.needs_cleanup
        && one.definition == other.definition
}
