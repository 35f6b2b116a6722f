//! Reads the deployment records as far as this run needs them: until the release that serves is found for every service, or
//! until nothing older can be read. What remains unknown is noted.

use crate::github::RecordedDeployment;
use crate::release::{ContainerImages, Digest, RecordedService, digests_agree};
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
    let wanted = ReleaseToFind::from_service(ctx, service);
    let shows = |entry: &&RecordedDeployment| {
        entry
            .record
            .services
            .get(service.name())
            .is_some_and(|recorded| wanted.matches(recorded, entry.proven))
    };
    for entry in entries.iter().filter(shows) {
        if !coordination::is_forged(ctx, Some(coordinator), entry).await {
            return true;
        }
    }
    false
}

/// The release of a service that is asked about.
struct ReleaseToFind<'s> {
    digests: Vec<&'s Digest>,
    container_images: &'s ContainerImages,
}

impl<'s> ReleaseToFind<'s> {
    fn from_service(ctx: &RunContext, service: &'s ServiceRun) -> Self {
        let (release, observed) = (&service.release, &service.observed);
        match ctx.is_rollback() {
            true => Self {
                digests: release.image.iter().filter_map(|image| image.digest.as_ref()).collect(),
                container_images: &release.container_images,
            },
            false => {
                Self { digests: observed.recorded_digests(), container_images: &observed.container_images }
            }
        }
    }

    /// Whether a record is of it; where no digest is known, every proven one may be.
    fn matches(&self, recorded: &RecordedService, is_proven: bool) -> bool {
        match recorded.digest() {
            Some(_) if self.digests.is_empty() => is_proven,
            Some(digest) => {
                self.digests.contains(&digest)
                    && digests_agree(&recorded.container_images, self.container_images)
            }
            None => false,
        }
    }
}
