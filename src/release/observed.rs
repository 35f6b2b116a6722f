//! The observed state of a target, and the diff: the values that plans are made of.

use serde::Serialize;
use serde_json::Value;

use super::{
    CompletedVersion, ContainerImages, Digest, ImageRef, RecordedService, RolloutStatus, digests_agree,
};

/// A version as the target identifies it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Version {
    /// The provider's own identifier, such as a task definition ARN.
    pub id: String,
    /// The short form for display, such as `backend:42`.
    pub label: String,
}

/// What a target can do with traffic; a strategy that needs more is rejected in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrafficControl {
    /// The provider replaces old copies with new ones.
    InPlace,
    /// All traffic can be switched at once between two versions.
    Switch,
    /// Any weight can be given to the new version.
    Weighted,
}

/// What the target can do with the traffic of one service as it is set up now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficSupport {
    /// The maximum.
    pub control: TrafficControl,
    /// What is missing for more, and how to add it, in complete sentences; `None` if nothing is missing.
    pub missing: Option<String>,
}

/// A rollout that was started: what `status` reads.
///
/// The same version can be rolled out twice, so the version alone does not identify a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Rollout {
    /// Identifier of the version that gets the traffic.
    pub version: String,
    /// The short form of that version.
    pub label: String,
    /// The provider's identifiers of the rollout, such as deployment id and service deployment ARN, in the
    /// order that the target documents; empty if there was nothing to shift.
    pub ids: Vec<String>,
}

/// A rollout in progress, whoever started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The rollout.
    pub rollout: Rollout,
    /// Whether the provider is already rolling it back.
    pub rolling_back: bool,
}

/// The observed state of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The version that the provider is requested to run; `None` if nothing runs yet.
    pub version: Option<Version>,
    /// The image of the deployed container, as the definition names it.
    pub image: Option<ImageRef>,
    /// The images of further containers that the deploy file names, by the digests that run where the provider reports them.
    pub container_images: ContainerImages,
    /// The digest that runs, if the provider reports it.
    pub digest: Option<Digest>,
    /// Its rollout status.
    pub status: RolloutStatus,
    /// The newest completed version other than the requested one: the default of a manual rollback,
    /// whether or not `version` is healthy. The version that an automatic rollback of the *next* rollout returns to is
    /// [`Observed::last_known_good`].
    pub previous: Option<Version>,
    /// Completed versions, newest first, as far as this read shows; one entry for each completion.
    pub history: Vec<CompletedVersion>,
    /// The rollout in progress.
    pub in_flight: Option<InFlight>,
    /// The desired number of copies.
    pub desired_count: u32,
    /// Temporary settings of an earlier run that were not restored.
    pub needs_cleanup: bool,
    /// The running definition, exactly as the provider stores it.
    pub definition: Value,
    /// The service, exactly as the provider describes it.
    pub raw: Value,
    /// URL of the service, or of its console page, for the summary.
    pub url: Option<String>,
}

#[cfg(test)]
impl Observed {
    /// One copy with nothing else known; tests set the rest.
    pub(crate) fn for_tests() -> Self {
        Self::unreadable(String::new())
    }
}

impl Observed {
    /// A service that could not be read, for this reason.
    pub fn unreadable(reason: String) -> Self {
        Self {
            version: None,
            image: None,
            container_images: ContainerImages::new(),
            digest: None,
            status: RolloutStatus::Unknown(reason),
            previous: None,
            history: Vec::new(),
            in_flight: None,
            desired_count: 1,
            needs_cleanup: false,
            definition: Value::Null,
            raw: Value::Null,
            url: None,
        }
    }

    /// The digests by which a deployment record names what the service runs: that of the definition, and that which runs.
    pub fn recorded_digests(&self) -> Vec<&Digest> {
        self.image.iter().filter_map(|image| image.digest.as_ref()).chain(&self.digest).collect()
    }

    /// Whether a deployment record names what the service runs, with all images that both know.
    pub fn runs(&self, recorded: &RecordedService) -> bool {
        let is_main = recorded.digest().is_some_and(|digest| self.recorded_digests().contains(&digest));
        is_main && digests_agree(&recorded.container_images, &self.container_images)
    }

    /// The version that a rollback of the next rollout returns to: the serving version if it completed healthy, else
    /// the newest other completed version. If there is no other: the requested version, if it ever completed. A
    /// rollback
    /// that failed or was interrupted leaves a version as the requested one without a sign that it is healthy.
    pub fn last_known_good(&self) -> Option<&Version> {
        let completed = |version: &&Version| self.history.iter().any(|one| one.version.id == version.id);
        match (&self.status, &self.version) {
            // A version that completed and is down now is still what the provider returns to.
            (
                RolloutStatus::Healthy(_) | RolloutStatus::HandedOff(_) | RolloutStatus::NotServing(_),
                Some(version),
            ) => Some(version),
            (_, version) => self.previous.as_ref().or_else(|| version.as_ref().filter(completed)),
        }
    }
}

/// One field that would change; never contains a value that must not be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What changes, such as `image`, `environment NEW_FLAG` or `memory`.
    pub field: String,
    /// Value now; `None` if the field is new or the value must not be shown.
    pub from: Option<String>,
    /// Value after the change; `None` if the field is removed or the value must not be shown.
    pub to: Option<String>,
    /// What happens to a value that must not be shown; `None` if both values are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<HiddenChange>,
}

/// What happens to a value that must not be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HiddenChange {
    /// It is new.
    Added,
    /// It is removed.
    Removed,
    /// It is another one.
    Changed,
}

impl HiddenChange {
    /// By whether there is a value before and after.
    pub fn between(before: bool, after: bool) -> Self {
        match (before, after) {
            (false, true) => Self::Added,
            (true, false) => Self::Removed,
            (true, true) | (false, false) => Self::Changed,
        }
    }

    /// For people, after the name of the field.
    pub fn text(self) -> &'static str {
        match self {
            Self::Added => "added (value hidden)",
            Self::Removed => "removed (value hidden)",
            Self::Changed => "changed (value hidden)",
        }
    }
}

impl Change {
    /// A change whose values can be shown.
    pub fn shown(field: impl Into<String>, from: Option<String>, to: Option<String>) -> Self {
        Self { field: field.into(), from, to, hidden: None }
    }

    /// A change whose values must not be shown.
    pub fn hidden(field: impl Into<String>, hidden: HiddenChange) -> Self {
        Self { field: field.into(), from: None, to: None, hidden: Some(hidden) }
    }
}

/// Everything that would change; empty means unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Changes(pub Vec<Change>);

impl Changes {
    /// Nothing would change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
