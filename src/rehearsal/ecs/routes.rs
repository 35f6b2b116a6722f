//! The traffic of a service with a pair of target groups: which group a revision is in, and ECS setting weights on the
//! listener rules. When it does so is decided by `stages` and `retreat`.

use serde_json::{Map, Value};

use super::super::elbv2::forward;
use super::super::world::World;
use super::state::{Revision, State};

/// A load balancer of a revision that has an alternate target group.
pub(super) struct Pair {
    /// Group of the revision, and the other one.
    pub(super) own: String,
    pub(super) other: String,
    pub(super) production: String,
    pub(super) test: Option<String>,
}

/// The pairs of target groups of a revision.
pub(super) fn pairs(revision: &Revision) -> Vec<Pair> {
    balancers(&revision.members).iter().filter_map(|balancer| pair(balancer, revision.alternate)).collect()
}

fn balancers(members: &Map<String, Value>) -> &[Value] {
    members.get("loadBalancers").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn pair(balancer: &Value, alternate: bool) -> Option<Pair> {
    let advanced = &balancer["advancedConfiguration"];
    let first = balancer["targetGroupArn"].as_str()?.to_owned();
    let second = advanced["alternateTargetGroupArn"].as_str()?.to_owned();
    let (own, other) = if alternate { (second, first) } else { (first, second) };
    Some(Pair {
        own,
        other,
        production: advanced["productionListenerRule"].as_str()?.to_owned(),
        test: advanced["testListenerRule"].as_str().map(String::from),
    })
}

/// Target group ARN and port of each load balancer of a revision: the group that its tasks are registered in.
pub(super) fn target_groups(revision: &Revision) -> Vec<(String, u16)> {
    let group = |balancer: &Value| {
        let own = pair(balancer, revision.alternate).map(|pair| pair.own);
        let arn = own.or_else(|| Some(balancer["targetGroupArn"].as_str()?.to_owned()))?;
        Some((arn, balancer["containerPort"].as_u64().unwrap_or(80) as u16))
    };
    balancers(&revision.members).iter().filter_map(group).collect()
}

/// The same for a task.
pub(super) fn of_task(ecs: &State, task: usize) -> Vec<(String, u16)> {
    target_groups(&ecs.revisions[ecs.deployments[ecs.tasks[task].deployment].revision])
}

/// Whether every production rule of a revision is a forward to both of its groups.
pub(super) fn sound(world: &World, revision: usize) -> bool {
    pairs(&world.ecs.revisions[revision]).iter().all(|pair| {
        let groups = [(pair.own.clone(), 0), (pair.other.clone(), 0)];
        let rule = world.balancing.rules.get(&pair.production);
        rule.is_some_and(|rule| forward::forwards_to(&rule.actions, &groups))
    })
}

/// Which rules a shift is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Production,
    Test,
}

/// Give a revision so many percent of the traffic, and the other group the rest. `false` when a rule cannot carry it.
pub(super) fn shift(world: &mut World, revision: usize, kind: Kind, percent: f64) -> bool {
    let (own, other) = split(percent);
    let pairs = pairs(&world.ecs.revisions[revision]);
    pairs.into_iter().all(|pair| {
        let rule = match kind {
            Kind::Production => Some(pair.production),
            Kind::Test => pair.test,
        };
        let weights = [(pair.own, own), (pair.other, other)];
        rule.is_none_or(|rule| forward::set(world, &rule, &weights))
    })
}

/// Weights for a percentage: whole percents where they do, else as near as 999 allows.
fn split(percent: f64) -> (u64, u64) {
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
        assert_eq!((split(0.0), split(5.0), split(100.0)), ((0, 100), (5, 95), (100, 0)));
        assert_eq!((split(0.1), split(33.4), split(99.9)), ((1, 999), (334, 666), (999, 1)));
    }
}
