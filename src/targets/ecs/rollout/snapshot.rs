//! What one poll of a rollout read. Data only.

use super::super::read::{EcsService, ServiceDeployment, version_from_arn};
use super::parallel_version::ParallelVersion;
use super::serving_proof::ServingEvidence;
use crate::release::{Failure, Rollout};

/// The responses of one poll.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The service.
    pub service: EcsService,
    /// The service deployment of the rollout, if AWS returns it.
    pub own_deployment: Option<ServiceDeployment>,
    /// A service deployment that started after ours.
    pub newer_deployment: Option<NewerDeployment>,
    /// Evidence of success; read once AWS reports the end.
    pub evidence: Option<ServingEvidence>,
    /// The new version in parallel to the old one; read while paused.
    pub parallel_version: Option<ParallelVersion>,
    /// The cause in the stopped tasks and events, and whether it ends the wait.
    pub top_failure: Option<Failure>,
    /// The most frequent cause so far, also one that never ends the wait.
    pub suspected_failure: Option<Failure>,
    /// The rollout started so recently that stale responses must be expected.
    pub is_recent: bool,
    /// New events of the service.
    pub events: Vec<String>,
}

/// A service deployment that started after ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerDeployment {
    /// Its ARN.
    pub arn: String,
    /// The task definition that it brings in, if that could be read.
    pub definition: Option<String>,
}

impl NewerDeployment {
    /// Whether it brings in the very version of a rollout: somebody forced a redeployment.
    pub fn is_of(&self, rollout: &Rollout) -> bool {
        self.definition.as_ref() == Some(&rollout.version)
    }

    /// For display.
    pub fn describe(&self) -> String {
        match &self.definition {
            Some(definition) => format!("{}, {}", version_from_arn(definition).label, self.arn),
            None => self.arn.clone(),
        }
    }
}
