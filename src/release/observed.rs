//! What a target saw, and what would change: values that plans are made of.

use serde::Serialize;
use serde_json::Value;

use super::{Digest, Health, ImageRef, Past};

/// A version as its target knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version {
    /// The provider's own identifier, such as a task definition ARN.
    pub id: String,
    /// The short form for people, such as `backend:42`.
    pub label: String,
}

/// What a target can do with traffic; a strategy beyond it is refused in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Traffic {
    /// The provider replaces old by new by itself.
    Whole,
    /// All traffic can be switched at once between two versions.
    Switch,
    /// Any share of traffic can go to the new version.
    Weighted,
}

/// What a place can do with the traffic of one service as it is set up now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ability {
    /// The most that it can do.
    pub traffic: Traffic,
    /// What is missing for more, and how to add it, in whole sentences; `None` where nothing is.
    pub lacks: Option<String>,
}

/// A movement of traffic that was started: what `probe` looks at.
///
/// The same version can be rolled out twice, so the version alone does not say which rollout is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Rollout {
    /// Identifier of the version that should get the traffic.
    pub version: String,
    /// The short form of that version.
    pub label: String,
    /// The provider's identifiers of the movement, such as deployment id and service deployment ARN, in the
    /// order the target documents; empty where nothing had to move.
    pub ids: Vec<String>,
}

/// A movement of traffic that somebody started and that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// The movement.
    pub rollout: Rollout,
    /// Whether the provider is already taking it back.
    pub rolling_back: bool,
}

/// What runs now.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The version that the provider is asked to run; `None` where nothing runs yet.
    pub version: Option<Version>,
    /// The image of the container we would change, as its definition says.
    pub image: Option<ImageRef>,
    /// The digest that really runs, where the provider says so.
    pub digest: Option<Digest>,
    /// How it fares.
    pub health: Health,
    /// The last version that completed healthy and is not the one asked for now: where a rollback on demand goes,
    /// whether or not `version` is healthy itself. What an undo of the *next* movement returns to is
    /// [`Observed::refuge`].
    pub previous: Option<Version>,
    /// What completed healthy here, newest first, as far as this look shows; the same version once for each time.
    pub history: Vec<Past>,
    /// Work in flight.
    pub in_flight: Option<InFlight>,
    /// How many copies are asked for.
    pub desired: u32,
    /// Settings that an earlier run of ours made for its movement and did not put back.
    pub leftover: bool,
    /// The running definition, word for word as the provider has it.
    pub definition: Value,
    /// The service itself, word for word as the provider describes it.
    pub raw: Value,
    /// Where people reach the service or look at it, for the summary.
    pub url: Option<String>,
}

#[cfg(test)]
impl Observed {
    /// One copy of which nothing else is known; tests say the rest.
    pub(crate) fn blank() -> Self {
        Self {
            version: None,
            image: None,
            digest: None,
            health: Health::Unknown(String::new()),
            previous: None,
            history: Vec::new(),
            in_flight: None,
            desired: 1,
            leftover: false,
            definition: Value::Null,
            raw: Value::Null,
            url: None,
        }
    }
}

impl Observed {
    /// Where the undo of a movement that starts now leads: the version that serves, if it completed healthy, else
    /// the last other one that did. Where there is no other, the version that is asked for now, if it ever completed:
    /// a rollback that failed or was overrun leaves it as the wish without saying that it is well.
    pub fn refuge(&self) -> Option<&Version> {
        let completed = |version: &&Version| self.history.iter().any(|past| past.version.id == version.id);
        match (&self.health, &self.version) {
            (Health::Healthy(_) | Health::Handed(_), Some(version)) => Some(version),
            (_, version) => self.previous.as_ref().or_else(|| version.as_ref().filter(completed)),
        }
    }
}

/// One field that would change; values of secrets are never in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What changes, such as `image`, `environment NEW_FLAG` or `memory`.
    pub field: String,
    /// Value now; `None` when it is new or must not be shown.
    pub from: Option<String>,
    /// Value after; `None` when it goes away or must not be shown.
    pub to: Option<String>,
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
