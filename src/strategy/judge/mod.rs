//! The judge of a canary: counts of both arms in, a ruling out. It never takes silence for health.
//! Pure: no source, no clock, no chance. The method is explained in docs/strategies/canary.md.

pub mod bound;
mod count;
pub mod dispersion;
pub mod evidence;
pub mod ledger;
mod opinion;
mod sample;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;

pub use count::{Count, Minute, Series};
pub use opinion::{Finding, MOST_EVIDENCE, Opinion, Rates, rule};
pub use sample::minutes_needed;
pub use words::{grouped, number};

/// What counts as worse, and how sure the judge must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// A canary passes if its bad rate is above the baseline's by less than this share (0.01 is one percentage point).
    pub margin: f64,
    /// Minutes at the start that are not judged: caches are cold, connections new.
    pub warm_up: u32,
    /// The evidence is against a canary whose bad rate is at most this many times the baseline's; less than 1 is read
    /// as 1. Above 1, small differences are found later.
    pub tolerance: f64,
    /// Risk of rolling back a canary within the tolerance, over the whole window and all metrics together.
    pub alpha: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { margin: 0.01, warm_up: 3, tolerance: 1.0, alpha: 0.01 }
    }
}

/// What the counts mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// The window is open and nothing is proven.
    Undecided,
    /// The window is over and the canary is worse by less than the margin.
    Pass,
    /// The canary is worse.
    Fail,
    /// Neither is shown and the window is over, or the counts cannot be trusted and more of them would not help.
    Inconclusive,
}
