//! The judge on trial: seeded traffic of healthy and of bad canaries, our judge beside re-implementations of the rules
//! that others document, and the limits that ours is held to. A peer outside: nothing of the engine is used but the
//! judge.

mod chance;
mod contest;
mod gate;
mod kayenta;
mod rules;
mod scenario;
mod table;
#[cfg(test)]
mod tests;

pub use contest::{Cell, Contest, Judge, Tally, hold};
pub use gate::{Limit, limits};
pub use scenario::{CASES, Case, Effect, Kind, LEVELS, Level};
pub use table::{summary, table, verdicts};
