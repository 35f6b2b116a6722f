//! The way of a new version to all traffic: its shares, how it is started, continued and taken back.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Rollout, Span, Version};

/// The planned way of a version to all traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Course {
    /// Shares of the traffic in percent, in order; the last is 100. `[100]` is the provider's own replacement of old
    /// by new; `[0, 100]` a switch (blue-green); `[0, n, 100]` a canary; equal steps are linear. With a 0 the version
    /// comes up without traffic first.
    pub shares: Vec<u8>,
    /// How long the old version stays able to take over after all traffic has moved, where the place can keep it.
    pub bake: Span,
    /// The longest that any share waits for our word. A place that waits longer takes the version back by itself, so
    /// that a run that died leaves nothing half-way.
    pub patience: Span,
}

impl Course {
    /// The provider's own replacement of old by new.
    pub fn whole() -> Self {
        Self { shares: vec![100], bake: Span::default(), patience: Span::default() }
    }

    /// Whether the provider is left to replace old by new in its own way.
    pub fn is_whole(&self) -> bool {
        self.shares == [100]
    }
}

/// How a movement that is in flight relates to the course that is wished for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flight {
    /// It goes along it, as far as the place shows.
    Along,
    /// It was started as the place's own replacement of old by new and goes on by itself: it can only be watched.
    ByItself,
    /// It waits for the words of another course, which this run would never say; what it is, for people.
    Elsewhere(String),
}

/// Who gets which share of traffic, and what that continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The version that gets `percent`; the rest stays where it is.
    pub version: Version,
    /// 0 to 100.
    pub percent: u8,
    /// How this split relates to what moves already.
    pub way: Way,
}

/// How a split relates to what moves already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// A new movement along a course, of which the split is the first share.
    Start {
        /// The whole way.
        course: Course,
        /// Start again even where the version already is the provider's wish (a redeploy after a failure).
        again: bool,
    },
    /// The next share of this movement.
    Onward(Rollout),
    /// Back to a version that served before. Names the movement that this takes back, when it does: nothing that is
    /// newer is touched then.
    Back(Option<Rollout>),
}

/// A version that is healthy with a share of the traffic and waits for our word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Its share of the production traffic, in percent, as the provider says.
    pub percent: u8,
    /// How that is known, in words.
    pub evidence: String,
    /// What tells its traffic from that of the version before; `None` where the place cannot say.
    pub arms: Option<Arms>,
}

/// The two versions that serve at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arms {
    /// The new version.
    pub canary: Arm,
    /// The version before.
    pub baseline: Arm,
}

/// What tells the traffic of one version from that of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arm {
    /// The version.
    pub version: Version,
    /// What sources of evidence know it by, such as `TargetGroup` = `targetgroup/blue/1` and
    /// `LoadBalancer` = `app/web/2`.
    pub labels: BTreeMap<String, String>,
}
