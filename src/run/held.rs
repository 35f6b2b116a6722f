//! What a run holds at GitHub until its end is known: leases and an open deployment record. Values only.

use serde::{Deserialize, Serialize};

/// What a run holds at GitHub until its end is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct HeldResources {
    /// Leases that it has, or may have.
    pub(in crate::run) leases: Vec<HeldLease>,
    /// The deployment record while it is in progress.
    pub(in crate::run) record: Option<OpenRecord>,
}

impl HeldResources {
    /// Whether nothing is held.
    pub(in crate::run) fn is_empty(&self) -> bool {
        self.leases.is_empty() && self.record.is_none()
    }
}

/// A lease that a run has, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct HeldLease {
    /// The ref.
    pub(in crate::run) reference: String,
    /// The commit that it points to while it is ours.
    pub(in crate::run) commit: String,
}

/// A deployment record that is in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::run) struct OpenRecord {
    /// GitHub's number of the deployment.
    pub(in crate::run) deployment: u64,
    /// What names the record among the statuses of a deployment that is not ours.
    pub(in crate::run) tag: Option<String>,
    /// The services that it is about. Others of the run were refused before, and say nothing of these.
    #[serde(default)]
    pub(in crate::run) services: Vec<String>,
}
