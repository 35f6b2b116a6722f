//! The core types: release, observed state, rollout status, outcome. Values only; no I/O, no time.

pub mod aws_values;
mod history;
mod host;
mod human_duration;
mod image;
mod observed;
mod one_off;
mod outcome;
mod record;
mod rollout_status;
mod traffic;
mod workflow_run;

pub use history::{CompletedVersion, RollbackTarget};
pub use host::{is_loopback, may_receive_credentials};
pub use human_duration::HumanDuration;
pub use image::{
    ContainerImages, DOCKER_HUB, Digest, ImageOverride, ImageRef, canonical_registry, digests_agree,
    ecr_repository, is_ecr_host, registry_of,
};
pub use observed::{
    Change, Changes, HiddenChange, InFlight, Observed, Rollout, TrafficControl, TrafficSupport, Version,
};
pub use one_off::{EnvChange, StartedTask, TaskCommand, TaskStatus};
pub use outcome::Outcome;
pub use record::{DeploymentRecord, RecordedService};
pub use rollout_status::{Diagnosis, Failure, Handoff, LogLine, Progress, Proof, RolloutStatus};
pub use traffic::{Pause, Resume, ShiftKind, Staged, TrafficPlan, TrafficShift, Variant, Variants};
pub use workflow_run::{RunNumber, WorkflowJob, WorkflowRun};

/// What a run brings to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Name of the service in the deploy file.
    pub service: String,
    /// Name of the environment in the deploy file.
    pub environment: String,
    /// The image, by digest; `None` if only settings change.
    pub image: Option<ImageRef>,
    /// The images of further containers of the same version; empty where only one image is deployed.
    pub container_images: ContainerImages,
    /// A tag of the same image, for targets that write tags next to digests.
    pub tag: Option<String>,
    /// The definition from the user's file, if the deploy file names one.
    pub definition: Option<DefinitionFile>,
    /// The earlier version to restore as it was; then neither images nor `definition` are applied.
    pub rollback_to: Option<RollbackTarget>,
    /// Variables to change in the running version; then neither images nor `definition` are applied.
    pub env_changes: Vec<EnvChange>,
    /// The source commit, for records and links.
    pub commit: Option<String>,
}

impl Release {
    /// A release of a service in which nothing is requested yet.
    pub fn of(service: &str, environment: &str) -> Self {
        Self {
            service: service.to_owned(),
            environment: environment.to_owned(),
            image: None,
            container_images: ContainerImages::new(),
            tag: None,
            definition: None,
            rollback_to: None,
            env_changes: Vec::new(),
            commit: None,
        }
    }

    /// Whether a new version is created for it, rather than an earlier one restored or variables changed.
    pub fn creates_version(&self) -> bool {
        self.rollback_to.is_none() && self.env_changes.is_empty()
    }
}

/// A definition file of the user, as read from disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefinitionFile {
    /// Its path as the user wrote it.
    pub path: String,
    /// Its text, unchanged.
    pub text: String,
}
