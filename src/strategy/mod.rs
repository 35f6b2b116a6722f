//! How a release reaches traffic: strategies as steps, what each look at a rollout means for the walk, and the judge
//! of canaries. Pure.

mod advance;
pub mod judge;
mod steps;
mod watch;

pub use advance::{Evidence, Stand, advance};
pub use steps::{
    Step, ability_missing, analysed, checked, checks, course, expected, longest, name, needs, share, steps,
    words,
};
pub use watch::{Verdict, Watching, decide};
