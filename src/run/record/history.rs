//! Reads the deployment records as far as this run needs them: until the release that serves is found for every service, or
//! until nothing older can be read. What remains unknown is noted.

use crate::github::RecordedDeployment;
use crate::release::{Digest, RecordedService};
use crate::run::context::RunContext;
use crate::run::coordination::{self, Coordinator};
use crate::run::rollout_state::Phase;
use crate::run::service_run::ServiceRun;

/// Reads the newest records, and older ones while the release of an open service is not among them.
pub(super) async fn read(ctx: &RunContext, coordinator: &mut Coordinator, services: &[ServiceRun]) {
    coordinator.read_history(ctx).await;
    let mut unknown: Vec<&ServiceRun> =
        services.iter().filter(|service| service.rollout.phase != Phase::Done).collect();
    loop {
        let Some(history) = &coordinator.history else { return };
        let (is_complete, entries) = (history.is_complete(), history.entries());
        let mut still = Vec::new();
        for service in unknown {
            if !is_known(ctx, coordinator, service, &entries).await {
                still.push(service);
            }
        }
        if still.is_empty() || is_complete {
            return;
        }
        if !coordinator.read_older(ctx).await {
            return note_unknown(ctx, coordinator, &still);
        }
        unknown = still;
    }
}

/// Notes that a run which may be older cannot know it. What a rollback returns to is known without records.
fn note_unknown(ctx: &RunContext, coordinator: &mut Coordinator, unknown: &[&ServiceRun]) {
    for service in unknown.iter().filter(|_| !ctx.is_rollback()) {
        coordinator.note_records_incomplete(service.name());
    }
}

/// Whether a record shows which release of the service is asked about: the one that serves, or the one that it returns to.
async fn is_known(
    ctx: &RunContext,
    coordinator: &Coordinator,
    service: &ServiceRun,
    entries: &[RecordedDeployment],
) -> bool {
    let digests = digests_to_find(ctx, service);
    let shows = |entry: &&RecordedDeployment| {
        let recorded = entry.record.services.get(service.name()).and_then(RecordedService::digest);
        recorded.is_some_and(|digest| match digests.is_empty() {
            true => entry.proven,
            false => digests.contains(&digest),
        })
    };
    for entry in entries.iter().filter(shows) {
        if !coordination::is_forged(ctx, Some(coordinator), entry).await {
            return true;
        }
    }
    false
}

fn digests_to_find<'s>(ctx: &RunContext, service: &'s ServiceRun) -> Vec<&'s Digest> {
    if ctx.is_rollback() {
        return service.release.image.iter().filter_map(|image| image.digest.as_ref()).collect();
    }
    service.observed.recorded_digests()
}
