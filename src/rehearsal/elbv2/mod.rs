//! Elastic Load Balancing v2: which operation goes where. Target groups are `groups`, listeners and rules `rules`,
//! the weights of a forward `forward`. What traffic makes of it is not decided here.

/// Forward actions and their weights.
pub mod forward;
/// Target groups and the health of their targets.
pub mod groups;
/// Listeners and rules: state, answers, changes.
pub mod rules;

use super::call::{Answer, Call};
use super::dispatch::not_modelled;
use super::world::World;

/// Answers a call to Elastic Load Balancing.
pub fn answer(world: &mut World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "DescribeTargetHealth" => groups::health(world, &call.input),
        "DescribeTargetGroups" => groups::groups(world, &call.input),
        "DescribeListeners" => rules::listeners(world, &call.input),
        "DescribeRules" => rules::rules(world, &call.input),
        "ModifyRule" => rules::modify(world, &call.input),
        _ => Err(not_modelled(call)),
    }
}
