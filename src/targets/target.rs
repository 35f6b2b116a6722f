//! The interface of one service at its target: the methods that every target has, and two optional traits. It must not
//! contain the name of a target.

use std::time::Duration;

use async_trait::async_trait;

use crate::problem::Problem;
use crate::release::{
    Changes, CompletedVersion, Diagnosis, Observed, Release, Resume, RollbackTarget, Rollout, RolloutStatus,
    Staged, StartedTask, TaskCommand, TaskStatus, TrafficPlan, TrafficShift, TrafficSupport, Variant,
    Version,
};
use crate::retry::WriteError;

/// Why a change at a target has no result: it was not made, or it is not known whether it was.
pub type ChangeError = WriteError<Problem>;

/// One service at its target: a release is brought into service, and rolled back.
///
/// Only `shift` affects users. `observe`, `preflight`, `status` and `history` read only; `stage` creates a version without
/// traffic. Nothing is remembered between two calls: the first call returns what the second needs.
#[async_trait(?Send)]
pub trait Target {
    /// The observed state. Errors if it cannot be read or the service does not exist.
    async fn observe(&self) -> Result<Observed, Problem>;

    /// Asks for what [`preflight`](Self::preflight) needs in any case, while the service is observed. `preflight` reports what fails.
    async fn ask_ahead(&self) {}

    /// The changes of `release`, field by field; empty means unchanged. Pure.
    fn diff(&self, release: &Release, observed: &Observed) -> Result<Changes, Vec<Problem>>;

    /// All problems that are known before the first change, whatever image the release has; reads only. It is asked before
    /// an image is built: `release` has none then.
    async fn preflight(&self, release: &Release, observed: &Observed) -> Vec<Problem>;

    /// The problems of the release's image, and of the version that it makes; reads only.
    async fn preflight_image(&self, _release: &Release, _observed: &Observed) -> Vec<Problem> {
        Vec::new()
    }

    /// Creates the new version without traffic; the same release twice gives the same version. For an earlier version,
    /// nothing is created.
    async fn stage(&self, release: &Release, observed: &Observed) -> Result<Staged, Problem>;

    /// Shifts traffic; idempotent. `staged` is the version that this run deploys, also if `shift` rolls back to another one
    /// because it failed. Once a request left, only the provider's own answer or state ends in another error than
    /// [`WriteError::Unknown`]: a read that fails says nothing about the change.
    async fn shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Rollout, ChangeError>;

    /// The rollout of a shift whose answer is missing; `None` while the state does not show it, which can be too early.
    /// Errors with `superseded` if a newer rollout took over; any other error says nothing. Reads only.
    async fn find_shift(&self, staged: &Staged, shift: &TrafficShift) -> Result<Option<Rollout>, Problem>;

    /// The status of a rollout from one poll, without waiting. An error is neither healthy nor failed.
    async fn status(&self, rollout: &Rollout) -> Result<RolloutStatus, Problem>;

    /// Why `version` does not run, for a person who must act: read when its rollback did not succeed. `None` where the target
    /// cannot say more than `status` did. Reads only.
    async fn diagnose(&self, _version: &Version) -> Result<Option<Diagnosis>, Problem> {
        Ok(None)
    }

    /// Cleans up after a rollout that has ended: restores temporary settings, removes idle copies. Never changes what the
    /// user set. Idempotent.
    async fn clean_up(&self, _rollout: &Rollout) -> Result<(), Problem> {
        Ok(())
    }

    /// What can be done with the service as it is set up. Pure.
    fn limits(&self, observed: &Observed) -> Limits;

    /// How the rollout in flight that was observed relates to `plan`, where there is one. Pure.
    fn resume(&self, _observed: &Observed, _plan: &TrafficPlan) -> Resume {
        Resume::Continue
    }

    /// The versions that a rollback can return to.
    fn history(&self) -> &dyn History;

    /// Commands that run once with a version; `None` where the target runs no containers itself.
    fn tasks(&self) -> Option<&dyn OneOffTasks> {
        None
    }

    /// What metrics know the service's traffic by; `None` where the target cannot say.
    fn metric_labels(&self) -> Option<&dyn MetricLabels> {
        None
    }
}

/// What can be done with a service as it is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The traffic control it supports, and the requirements that are missing for more.
    pub traffic: TrafficSupport,
    /// How long a rollout by the target's own plan takes; `None` if that is unknown or the strategy defines it.
    pub rollout_duration: Option<Duration>,
    /// How long a rollback plausibly takes; `None` if the target cannot tell.
    pub rollback_duration: Option<Duration>,
    /// Whether the deploy file keeps a version that fails.
    pub keeps_failed_version: bool,
}

impl From<TrafficSupport> for Limits {
    fn from(traffic: TrafficSupport) -> Self {
        Self { traffic, rollout_duration: None, rollback_duration: None, keeps_failed_version: false }
    }
}

/// The versions that completed at a target.
#[async_trait(?Send)]
pub trait History {
    /// Everything that completed healthy here, newest first, the same version once for each time. Reads only.
    async fn list(&self) -> Result<Vec<CompletedVersion>, Problem>;

    /// Whether the target knows that what it lists completed healthy. Where it cannot, deployment records are asked.
    fn knows_completion(&self) -> bool {
        true
    }

    /// What an earlier version is made of. Errors with `rollback-target-broken` where it is gone. Reads only.
    async fn load(&self, version: &Version) -> Result<RollbackTarget, Problem>;

    /// Whether staging `release` would give what `former` is, be it under another name. Pure.
    fn matches(&self, release: &Release, observed: &Observed, former: &RollbackTarget) -> bool;
}

/// Commands that run once with a version that was staged, beside the service and without traffic.
#[async_trait(?Send)]
pub trait OneOffTasks {
    /// Starts a command. With the same key it runs once; a command that an earlier attempt of the same run started, and
    /// that is still running, is resumed.
    async fn start(
        &self,
        staged: &Staged,
        command: &TaskCommand,
        observed: &Observed,
    ) -> Result<StartedTask, ChangeError>;

    /// The command of this owner that is still running. Reads only.
    async fn find(&self, owner: &str) -> Result<Option<StartedTask>, Problem>;

    /// The status of a started command from one poll, without waiting. An error does not mean that it failed.
    async fn status(&self, task: &StartedTask) -> Result<TaskStatus, Problem>;

    /// Stops a started command. Idempotent.
    async fn stop(&self, task: &StartedTask) -> Result<(), Problem>;
}

/// What metrics know the traffic of a service by.
#[async_trait(?Send)]
pub trait MetricLabels {
    /// The labels of each variant, whichever version it serves. Reads only.
    async fn read(&self, observed: &Observed) -> Result<Vec<Variant>, Problem>;
}
