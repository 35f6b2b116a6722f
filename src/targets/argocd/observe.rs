//! What runs now: the files, the application, and where the files name no image yet, the image that its workloads run.

use serde_json::{Value, json};

use super::ArgoCdTarget;
use super::baseline::ApplicationBaseline;
use super::branch_state::BranchState;
use super::client::Client;
use super::watch::WatchedCommit;
use crate::problem::Problem;
use crate::release::{ImageRef, Observed, RolloutStatus, Version};

/// The application as it was observed.
struct ObservedApplication {
    status: RolloutStatus,
    /// The version that its workloads run, where the files name none.
    live: Option<Version>,
    state: Option<ApplicationBaseline>,
}

impl ArgoCdTarget {
    /// The observed state of the service.
    pub(super) async fn observe_service(&self) -> Result<Observed, Problem> {
        let snapshot = self.snapshot().await?;
        let sight = self.branch_state(&snapshot)?;
        let application = self.observe_application(&sight).await?;
        let raw = application.state.map_or(Value::Null, |state| json!(state));
        let url = self.client.as_ref().map(Client::page_url);
        let observed = sight.to_observed(&snapshot, application.status, url);
        Ok(Observed { raw, version: observed.version.clone().or(application.live), ..observed })
    }

    async fn observe_application(&self, sight: &BranchState) -> Result<ObservedApplication, Problem> {
        let commit = WatchedCommit { oid: sight.last_writer(), baseline: None };
        let unversioned = |name: &ImageRef| ImageRef { tag: None, digest: None, ..name.clone() };
        let live_only = sight.current.image.is_none() && self.client.is_some();
        let unversioned = self.image_name.as_ref().filter(|_| live_only).map(unversioned);
        let Some(image) = sight.current.image.as_ref().or(unversioned.as_ref()) else {
            let status = RolloutStatus::Unknown("the files have no image of this service yet".into());
            return Ok(ObservedApplication { status, live: None, state: None });
        };
        let (status, state) = self.application_status(&self.version(image), image, commit).await?;
        let live = state.as_ref().and_then(|state| state.live_image(image)).map(|live| self.version(&live));
        let live = live.filter(|_| unversioned.is_some());
        let status = match (&unversioned, &live) {
            (None, _) => status,
            (Some(_), Some(_)) => with_version(status, live.as_ref()),
            (Some(_), None) => RolloutStatus::Unknown("the files have no image of this service yet".into()),
        };
        Ok(ObservedApplication { status, live, state })
    }
}

fn with_version(status: RolloutStatus, live: Option<&Version>) -> RolloutStatus {
    match (status, live) {
        (RolloutStatus::Healthy(proof), Some(live)) => {
            RolloutStatus::Healthy(crate::release::Proof { version: live.clone(), ..proof })
        }
        (status, _) => status,
    }
}
