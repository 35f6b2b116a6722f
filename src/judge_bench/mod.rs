//! The judge benchmark: seeded traffic of healthy and bad canaries, our judge next to re-implementations of the rules
//! that other tools document, and the limits of ours. Nothing of the engine is used but the
//! judge.

mod cases;
mod kayenta;
mod limits;
mod rng;
mod rules;
mod simulation;
mod table;
#[cfg(test)]
mod tests;

pub use cases::{CASES, CanaryEffect, Case, CaseKind, TRAFFIC_LEVELS, TrafficLevel};
pub use limits::{ErrorLimit, check_limits};
pub use simulation::{Counts, Judge, ResultCell, Simulation, run_simulation};
pub use table::{limits_table, results_table, summary_table};
