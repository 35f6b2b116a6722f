//! Services of an atomic run: which one failed, which have to be rolled back, which wait for the others. No call is made here.

use crate::problem::Code;
use crate::release::Outcome;
use crate::run::context::RunContext;
use crate::run::progress;
use crate::run::progress_log::Mark;
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;
use crate::strategy::Direction;

/// Whether a service has failed or is being rolled back. A superseded service has not failed: the newer deployment
/// decides about the others, too.
fn has_failed(service: &ServiceRun) -> bool {
    if let Some(Direction::Back(failure)) = service.rollout.direction() {
        return failure.problem.code != Code::RolledBackWithPeers;
    }
    match &service.rollout.phase {
        Phase::Done => {
            let outcome = service.report.outcome;
            let own = service
                .report
                .failure
                .as_ref()
                .is_none_or(|failure| failure.problem.code != Code::RolledBackWithPeers);
            own && matches!(
                outcome,
                Outcome::Failed | Outcome::Invalid | Outcome::Inconclusive | Outcome::Stranded
            )
        }
        _ => false,
    }
}

/// Whether one of the services of an atomic run failed.
pub(in crate::run) fn is_broken(services: &[ServiceRun]) -> bool {
    first_failed(services).is_some()
}

/// The first service that failed, in an atomic run.
pub(in crate::run) fn first_failed(services: &[ServiceRun]) -> Option<String> {
    services
        .iter()
        .find(|service| service.atomic && has_failed(service))
        .map(|service| service.name().to_owned())
}

pub(in crate::run) fn must_roll_back(service: &ServiceRun) -> bool {
    service.atomic
        && (service.rollout.awaiting_peers
            || matches!(service.rollout.phase, Phase::Rolling(_, Direction::Forward)))
}

/// Reopens a service that waited for its peers: its last rollout counts as in progress again.
pub(in crate::run) fn reopen_one(service: &mut ServiceRun) {
    if std::mem::take(&mut service.rollout.awaiting_peers)
        && let Some(rollout) = service.rollout.last_rollout.clone()
    {
        service.rollout.phase = Phase::Rolling(rollout, Direction::Forward);
    }
}

/// After a cancel, services that waited for their peers are reopened and rolled back, unless rollouts are left.
pub(in crate::run) fn reopen_waiting(services: &mut [ServiceRun], leave: bool) {
    let open = services.iter().any(|service| service.rollout.phase != Phase::Done);
    if open && !leave {
        services.iter_mut().for_each(reopen_one);
    }
}

/// Makes a successful service of an atomic run wait for its peers.
pub(in crate::run) fn await_peers(ctx: &RunContext, service: &mut ServiceRun) {
    service.rollout.awaiting_peers = service.atomic;
    if service.rollout.awaiting_peers {
        progress::record_event(
            ctx,
            service,
            Mark::None,
            "stands when all services of this run do (`atomic`)",
        );
    }
}
