//! Where the traffic of a rule goes at one moment: by weights, then evenly over the healthy targets. Reads only.

use std::collections::BTreeMap;

use super::super::elbv2::forward;
use super::super::world::World;

/// Where traffic goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RoutedTraffic {
    /// Share of all requests by target group and task definition (index), 0 to 1.
    pub shares: BTreeMap<(String, usize), f64>,
    /// Share of requests that no target takes: answered with 503 by the load balancer itself.
    pub lost_share: f64,
}

/// The flow through a rule.
pub fn route_traffic(world: &World, rule: &str) -> RoutedTraffic {
    let weights = world
        .load_balancing
        .rules
        .get(rule)
        .map(|rule| forward::forward_weights(&rule.actions))
        .unwrap_or_default();
    let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut flow = RoutedTraffic::default();
    if sum == 0 {
        flow.lost_share = 1.0;
        return flow;
    }
    for (group, weight) in weights.into_iter().filter(|(_, weight)| *weight > 0) {
        let share = weight as f64 / sum as f64;
        let takers = receiving_definitions(world, &group);
        if takers.is_empty() {
            flow.lost_share += share;
        }
        for definition in &takers {
            *flow.shares.entry((group.clone(), *definition)).or_default() += share / takers.len() as f64;
        }
    }
    flow
}

/// Task definitions of the targets of a group that get requests: the healthy ones, and where none is, all that are not
/// draining (a load balancer with no healthy target sends to every one).
pub fn receiving_definitions(world: &World, group: &str) -> Vec<usize> {
    let targets = world.targets.get(group).map_or(&[][..], Vec::as_slice);
    let of = |wanted: fn(&str) -> bool| -> Vec<usize> {
        let chosen = targets.iter().filter(|target| wanted(&target.state));
        chosen.filter_map(|target| world.ecs.definition_at(&target.id)).collect()
    };
    let healthy = of(|state| state == "healthy");
    if healthy.is_empty() { of(|state| state != "draining") } else { healthy }
}

/// Production rules whose forward names a target group: those of listeners that are not for tests.
pub fn find_production_rule<'w>(world: &'w World, group: &str) -> Option<&'w String> {
    let production = |listener: &str| {
        world
            .load_balancing
            .listeners
            .get(listener)
            .is_some_and(|it| it.port != super::super::elbv2::balancers::LISTENER_PORTS[1])
    };
    let names =
        |actions: &[serde_json::Value]| forward::forward_weights(actions).iter().any(|(arn, _)| arn == group);
    let mut rules = world.load_balancing.rules.iter();
    rules.find(|(_, rule)| production(&rule.listener) && names(&rule.actions)).map(|(arn, _)| arn)
}
