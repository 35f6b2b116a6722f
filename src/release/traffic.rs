//! The traffic plan of a version: weights, and how a shift is started, continued and rolled back.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{HumanDuration, Rollout, Version};

/// The traffic plan of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrafficPlan {
    /// Weights in percent, in order; the last is 100. `[100]` is the provider's own replacement of old
    /// copies; `[0, 100]` is blue/green; `[0, n, 100]` a canary; equal steps are linear. With a leading 0 the version
    /// starts without traffic.
    pub weights: Vec<u8>,
    /// How long the old version can take over again after all traffic has shifted, if the target can keep it.
    pub bake: HumanDuration,
    /// The maximum duration of a pause. The provider rolls the version back after that time, so a lost run leaves no
    /// rollout half-way.
    pub hook_timeout: HumanDuration,
}

impl TrafficPlan {
    /// The provider replaces old copies with new ones.
    pub fn in_place() -> Self {
        Self { weights: vec![100], bake: HumanDuration::default(), hook_timeout: HumanDuration::default() }
    }

    /// Whether the provider replaces the copies in its own way.
    pub fn is_in_place(&self) -> bool {
        self.weights == [100]
    }
}

/// How a rollout in progress relates to the requested traffic plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// It follows the plan, as far as the target shows.
    Continue,
    /// It was started as the provider's own replacement and needs no continue: it can only be watched.
    WatchOnly,
    /// It pauses for another traffic plan, which this run would never continue; the plan, for display.
    Restart(String),
}

/// A version that exists without traffic, with what its target must know to shift traffic to it. A value, so that nothing
/// is remembered between staging and shifting, and another process can go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The version.
    pub version: Version,
    /// What the target recorded when it staged the version; its own format, empty for a version that existed before.
    pub handle: Value,
}

impl Staged {
    /// A version that was staged, with what the target records.
    pub fn new(version: Version, handle: &impl Serialize) -> Self {
        Self { version, handle: serde_json::to_value(handle).unwrap_or_default() }
    }

    /// A version that existed before this run.
    pub fn existing(version: Version) -> Self {
        Self { version, handle: Value::Null }
    }

    /// What the target recorded; `None` for a version that existed before.
    pub fn read_handle<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(&self.handle).ok()
    }
}

/// A shift of traffic to a version, and what it continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficShift {
    /// The version that gets `percent`; the other version keeps the rest.
    pub version: Version,
    /// 0 to 100.
    pub percent: u8,
    /// How this shift relates to a rollout in progress.
    pub kind: ShiftKind,
}

/// How a shift relates to a rollout in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShiftKind {
    /// A new rollout by a traffic plan; the shift is its first weight.
    Start {
        /// The complete plan.
        plan: TrafficPlan,
        /// Start again even if the provider already has this version (a redeploy after a failure).
        force: bool,
    },
    /// The next weight of this rollout.
    Continue(Rollout),
    /// A rollback to a version that served before. Names the rollout that it rolls back, if any: newer rollouts
    /// are not touched.
    RollBack(Option<Rollout>),
}

/// A version that is healthy with part of the traffic and waits to be continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pause {
    /// Its percent of the production traffic, as the provider reports it.
    pub percent: u8,
    /// The evidence, as text.
    pub evidence: String,
    /// The metric labels of both versions; `None` if the target cannot tell their traffic apart.
    pub variants: Option<Variants>,
}

/// The two versions that serve at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variants {
    /// The new version.
    pub canary: Variant,
    /// The previous version.
    pub baseline: Variant,
}

/// The labels that identify the traffic of one version in metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Variant {
    /// The version.
    pub version: Version,
    /// Its names in metric sources, such as `TargetGroup` = `targetgroup/blue/1` and
    /// `LoadBalancer` = `app/web/2`.
    pub labels: BTreeMap<String, String>,
}
