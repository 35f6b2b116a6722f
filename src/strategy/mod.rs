//! How a release reaches traffic: strategies as steps, and what each look at a rollout means for the walk. Pure.

pub mod judge;
mod watch;

use serde::Serialize;

use crate::config::Strategy;
use crate::release::Traffic;

pub use watch::{Verdict, Watching, judge};

/// One thing the walk does. Order and meaning are decided here; how, by the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Make the new version exist, without traffic.
    Stage,
    /// Give it this share of traffic, in percent.
    Route(u8),
    /// Watch until it is proven or has failed.
    Verify,
    /// Take away what the old version left behind.
    Retire,
}

/// The steps of a strategy.
pub fn steps(strategy: Strategy) -> Vec<Step> {
    match strategy {
        Strategy::Rolling => vec![Step::Stage, Step::Route(100), Step::Verify],
    }
}

/// What a place must be able to do with traffic for a strategy.
pub fn needs(strategy: Strategy) -> Traffic {
    match strategy {
        Strategy::Rolling => Traffic::Whole,
    }
}

/// The strategy's name for people.
pub fn name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling => "rolling",
    }
}
