//! Elastic Load Balancing v2: which operation goes where. Target groups are `groups`, listeners and rules `rules`,
//! the weights of a forward `forward`. What traffic makes of it is not decided here.

/// Load balancers of a scenario.
pub mod balancers;
/// The built-in scenarios.
pub(crate) mod builtin;
/// Forward actions and their weights.
pub mod forward;
/// Listeners and rules: state, answers, changes.
pub mod rules;
/// Target groups and the health of their targets.
pub mod target_groups;

use super::builtin::Builtin;
use super::request::{ServiceCall, ServiceResult};
use super::scenario::Scenario;
use super::service::{ErrorCodes, QueryApi, Service, ServiceProtocol, unsupported_operation};
use super::world::World;

/// Elastic Load Balancing v2.
pub struct Elbv2;

impl Service for Elbv2 {
    fn name(&self) -> &'static str {
        "elasticloadbalancing"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Query(QueryApi {
            version: "2015-12-01",
            namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
        })
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_QUERY
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, _began: f64) {
        scenario.balancers.iter().for_each(|balancer| balancers::seed(world, balancer));
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, _now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "DescribeTargetHealth" => target_groups::describe_target_health(world, &call.input),
            "DescribeTargetGroups" => target_groups::describe_target_groups(world, &call.input),
            "DescribeListeners" => rules::describe_listeners(world, &call.input),
            "DescribeRules" => rules::describe_rules(world, &call.input),
            "ModifyRule" => rules::modify_rule(world, &call.input),
            _ => Err(unsupported_operation(call)),
        }
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}
