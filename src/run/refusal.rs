//! Services that are refused while a run is prepared. Without `atomic` the others go on; a run of which nothing is left, or
//! that is atomic, ends before any change. No call is made here.

use crate::problem::Problem;
use crate::release::Outcome;
use crate::run::context::RunContext;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;

/// Ends a service before any change, for this reason.
pub(in crate::run) fn refuse(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let problem = problem.for_service(service.name());
    service.report.evidence = "nothing was changed".into();
    service.finish_blocked(ctx.io.clock.now(), Outcome::Invalid, problem);
}

/// The services that are not refused.
pub(in crate::run) fn open(services: &[ServiceRun]) -> impl Iterator<Item = &ServiceRun> {
    services.iter().filter(|service| is_open(service))
}

/// As [`open`], to change them.
pub(in crate::run) fn open_mut(services: &mut [ServiceRun]) -> impl Iterator<Item = &mut ServiceRun> {
    services.iter_mut().filter(|service| is_open(service))
}

/// Whether a service is not refused.
pub(in crate::run) fn is_open(service: &ServiceRun) -> bool {
    service.rollout.phase == Phase::Pending
}

/// The services, if the run goes on; otherwise all their problems. With an error the warnings are still worth reading: they
/// may be its cause.
pub(in crate::run) fn unless_all_end(services: Vec<ServiceRun>) -> Result<Vec<ServiceRun>, Vec<Problem>> {
    let is_refused = |service: &ServiceRun| service.report.problems.iter().any(Problem::is_error);
    let ends = match services.iter().any(|service| service.atomic) {
        true => services.iter().any(is_refused),
        false => services.iter().any(is_refused) && open(&services).next().is_none(),
    };
    match ends {
        true => Err(services.into_iter().flat_map(|service| service.report.problems).collect()),
        false => Ok(services),
    }
}
