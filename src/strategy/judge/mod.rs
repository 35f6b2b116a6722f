//! The judge of a canary: counts of both variants in, a judgement out. Missing data is never health.
//! Pure: no source, no clock, no randomness. docs/strategies/canary.md explains the method.

pub mod confidence_bound;
mod counts;
pub mod e_value;
mod judgement;
mod messages;
pub mod overdispersion;
mod sample_size;
pub mod sequential_test;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use counts::{Count, MetricSeries, Minute};
pub use judgement::{BadRates, Judgement, MAX_E_VALUE, MetricResult, judge};
pub use messages::{format_e_value, group_thousands};
pub use sample_size::minutes_needed;

/// What counts as worse, and how sure the judge must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgeSettings {
    /// A canary passes if its bad rate exceeds the baseline's by less than this fraction (0.01 is one percentage
    /// point).
    pub margin: f64,
    /// Minutes at the start that are not judged: caches are cold, connections new.
    pub warm_up: u32,
    /// The test is against a canary whose bad rate is at most this many times the baseline's; less than 1 is read
    /// as 1. Above 1, small differences are found later.
    pub tolerance: f64,
    /// Risk of rolling back a canary within the tolerance, over the whole window and all metrics together.
    pub alpha: f64,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self { margin: 0.01, warm_up: 3, tolerance: 1.0, alpha: 0.01 }
    }
}

/// The verdict on the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The window is open and nothing is shown yet.
    Pending,
    /// The window is over and the canary is worse by less than the margin.
    Pass,
    /// The canary is worse.
    Fail,
    /// Neither is shown and the window is over, or the counts cannot be trusted and more of them would not help.
    Inconclusive,
}
