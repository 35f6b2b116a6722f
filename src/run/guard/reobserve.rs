//! The last observation before the plan, once no other run works on a service, and the deployment records as they are now.
//! If the service has changed since it was prepared, its release is prepared and checked again.

use futures::future::{join, join_all};

use crate::problem::Problem;
use crate::release::{Observed, Outcome};
use crate::run::context::RunContext;
use crate::run::coordination::Coordinator;
use crate::run::progress_log::Mark;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress, rollback_version};

/// Observes services again, concurrently, so that their reads can share requests, and reads the newest records.
pub(super) async fn reobserve_all(
    ctx: &RunContext,
    coordinator: &mut Coordinator,
    services: Vec<&mut ServiceRun>,
) {
    let observing = join_all(services.iter().map(|service| service.target.observe()));
    let history = coordinator.repository.deployment_history(&coordinator.environment);
    let Some((readings, history)) = cancel::until_cancelled(ctx, join(observing, history)).await else {
        return;
    };
    coordinator.set_history(history);
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
        problems
            .extend(rollback_version::select_version(ctx, session, Some(coordinator), service).await.err());
    }
    let (target, release, observed) = (&service.target, &service.release, &service.observed);
    let checks = join(target.preflight(release, observed), target.preflight_image(release, observed));
    let (general, image) = checks.await;
    problems.extend(general.into_iter().chain(image));
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
