//! The traffic of a service with a pair of target groups: which group a revision is in, and ECS setting weights on the
//! listener rules. When it does so is decided by `stages` and `retreat`.

use serde_json::{Map, Value};

use super::super::elbv2::forward;
use super::super::world::World;
use super::state::{EcsState, ServiceRevision};

/// A load balancer of a revision that has an alternate target group.
pub(super) struct TargetGroupPair {
    /// Group of the revision, and the other one.
    pub(super) own: String,
    pub(super) other: String,
    pub(super) production_rule: String,
    pub(super) test_rule: Option<String>,
}

/// The pairs of target groups of a revision.
pub(super) fn target_group_pairs(revision: &ServiceRevision) -> Vec<TargetGroupPair> {
    load_balancers(&revision.members)
        .iter()
        .filter_map(|balancer| parse_pair(balancer, revision.in_alternate_group))
        .collect()
}

fn load_balancers(members: &Map<String, Value>) -> &[Value] {
    members.get("loadBalancers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn parse_pair(balancer: &Value, alternate: bool) -> Option<TargetGroupPair> {
    let advanced = &balancer["advancedConfiguration"];
    let first = balancer["targetGroupArn"].as_str()?.to_owned();
    let second = advanced["alternateTargetGroupArn"].as_str()?.to_owned();
    let (own, other) = if alternate { (second, first) } else { (first, second) };
    Some(TargetGroupPair {
        own,
        other,
        production_rule: advanced["productionListenerRule"].as_str()?.to_owned(),
        test_rule: advanced["testListenerRule"].as_str().map(String::from),
    })
}

/// Target group ARN and port of each load balancer of a revision: the group that its tasks are registered in.
pub(super) fn target_groups(revision: &ServiceRevision) -> Vec<(String, u16)> {
    let group = |balancer: &Value| {
        let own = parse_pair(balancer, revision.in_alternate_group).map(|pair| pair.own);
        let arn = own.or_else(|| Some(balancer["targetGroupArn"].as_str()?.to_owned()))?;
        Some((arn, balancer["containerPort"].as_u64().unwrap_or(80) as u16))
    };
    load_balancers(&revision.members).iter().filter_map(group).collect()
}

/// The same for a task.
pub(super) fn task_target_groups(ecs: &EcsState, task: usize) -> Vec<(String, u16)> {
    target_groups(&ecs.revisions[ecs.deployments[ecs.tasks[task].deployment].revision])
}

/// Whether every production rule of a revision is a forward to both of its groups.
pub(super) fn has_valid_rules(world: &World, revision: usize) -> bool {
    target_group_pairs(&world.ecs.revisions[revision]).iter().all(|pair| {
        let groups = [(pair.own.clone(), 0), (pair.other.clone(), 0)];
        let rule = world.load_balancing.rules.get(&pair.production_rule);
        rule.is_some_and(|rule| forward::forwards_to(&rule.actions, &groups))
    })
}

/// Which rules a shift is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrafficKind {
    Production,
    Test,
}

/// Gives a revision this percentage of the traffic, and the other group the rest. `false` when a rule has no weight for both.
pub(super) fn shift_traffic(world: &mut World, revision: usize, kind: TrafficKind, percent: f64) -> bool {
    let (own, other) = rule_weights(percent);
    let pairs = target_group_pairs(&world.ecs.revisions[revision]);
    pairs.into_iter().all(|pair| {
        let rule = match kind {
            TrafficKind::Production => Some(pair.production_rule),
            TrafficKind::Test => pair.test_rule,
        };
        let weights = [(pair.own, own), (pair.other, other)];
        rule.is_none_or(|rule| forward::set_weights(world, &rule, &weights))
    })
}

/// Weights for a percentage: whole percents where they do, else as near as 999 allows.
fn rule_weights(percent: f64) -> (u64, u64) {
    if percent.fract() == 0.0 {
        return (percent as u64, 100 - percent as u64);
    }
    // Tenths of a percent fit the range only without the full thousand.
    let own = (percent * 10.0).round() as u64;
    let other = 1000 - own;
    if other > 999 { (1, 999) } else { (own, other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_in_range_and_never_both_zero() {
        assert_eq!(
            (rule_weights(0.0), rule_weights(5.0), rule_weights(100.0)),
            ((0, 100), (5, 95), (100, 0))
        );
        assert_eq!(
            (rule_weights(0.1), rule_weights(33.4), rule_weights(99.9)),
            ((1, 999), (334, 666), (999, 1))
        );
    }
}
