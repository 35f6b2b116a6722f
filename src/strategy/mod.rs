//! How a release gets traffic: strategies as steps, the next action for each rollout status, and the judge
//! of canaries. Pure.

mod advance;
pub mod judge;
mod steps;
mod unanswered;
mod watch;

pub use advance::{Analysis, StepState, advance};
pub use steps::{
    Step, analysis_config, describe, expected_duration, judge_settings, max_bake, name, required_control,
    steps, test_listener_checks, traffic_plan, unsupported_problem, weight_at, with_checks,
};
pub use unanswered::{NextSearch, SearchState, Sighting, next_search};
pub use watch::{Direction, NextAction, next_action};
