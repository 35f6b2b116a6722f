//! Both services and the rule between them at one moment: which one serves, and what prevents shifting. Pure.

use aws_sdk_elasticloadbalancingv2::types::Rule;

use super::super::read::{EcsService, list_field, str_field};
use super::listener_rule::{self, PairMember, RuleWeights};

/// The position of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairPosition {
    /// One service has all of it.
    Serving(PairMember),
    /// Both have some: a shift towards `new` started and has not ended.
    Shifting {
        /// The service that was deployed last.
        new: PairMember,
        /// Its weight in percent.
        percent: u8,
    },
    /// Neither has any: both weights are 0, or the rule forwards elsewhere.
    NoTraffic,
}

/// Both services and the rule between them.
#[derive(Debug, Clone, PartialEq)]
pub struct PairState {
    /// The services, in the order of [`PairMember::BOTH`].
    pub services: [EcsService; 2],
    /// The rule.
    pub rule: Rule,
}

impl PairState {
    /// The target group of each service; empty if it has none.
    pub fn target_groups(&self) -> [String; 2] {
        self.services.each_ref().map(|service| service.target_groups.first().cloned().unwrap_or_default())
    }

    /// The service of a member.
    pub fn service(&self, side: PairMember) -> &EcsService {
        side.select(&self.services)
    }

    /// The weights of both.
    pub fn weights(&self) -> RuleWeights {
        listener_rule::rule_weights(&self.rule, &self.target_groups())
    }

    /// The position of the traffic. During a shift the new one is the one that was deployed last: the weight does not
    /// show it, since it may be more than half.
    pub fn position(&self) -> PairPosition {
        let weights = self.weights();
        if let Some(side) = weights.all_traffic_to() {
            return PairPosition::Serving(side);
        }
        let new =
            if self.is_newest_member(PairMember::Second) { PairMember::Second } else { PairMember::First };
        weights
            .percent(new)
            .map_or(PairPosition::NoTraffic, |percent| PairPosition::Shifting { new, percent })
    }

    /// Whether the last deployment of a member started after that of the other.
    pub fn is_newest_member(&self, side: PairMember) -> bool {
        let begun = |side: PairMember| self.service(side).primary().map_or(0.0, |primary| primary.created_at);
        begun(side) > begun(side.other())
    }

    /// The member that a run starts from: the serving one, or the new one of a shift in progress, or the first.
    pub fn stable_member(&self) -> PairMember {
        match self.position() {
            PairPosition::Serving(side) => side,
            PairPosition::Shifting { new, .. } => new,
            PairPosition::NoTraffic => PairMember::First,
        }
    }

    /// Why traffic cannot be shifted between the two, and what to do; `None` if it can.
    pub fn missing_requirements(&self) -> Option<String> {
        for service in &self.services {
            let name = str_field(&service.raw, "serviceName");
            if service.target_groups.len() != 1 {
                let count = service.target_groups.len();
                return Some(format!(
                    "The service `{name}` has {count} target groups; a service of a pair must have exactly one."
                ));
            }
        }
        let groups = self.target_groups();
        if groups[0] == groups[1] {
            return Some(format!(
                "Both services of the pair are in {}; give each its own target group.",
                groups[0]
            ));
        }
        self.owned_by_ecs().or_else(|| listener_rule::missing_requirements(&self.rule, &groups))
    }

    /// A rule that ECS changes is never changed here.
    fn owned_by_ecs(&self) -> Option<String> {
        let arn = self.rule.rule_arn()?;
        let names = |service: &&EcsService| {
            list_field(&service.raw, "loadBalancers").iter().any(|balancer| {
                let advanced = &balancer["advancedConfiguration"];
                [&advanced["productionListenerRule"], &advanced["testListenerRule"]]
                    .into_iter()
                    .any(|rule| *rule == arn)
            })
        };
        let owner = str_field(&self.services.iter().find(names)?.raw, "serviceName");
        Some(format!(
            "The rule belongs to ECS: `{owner}` names it in its `advancedConfiguration`, and ECS sets its weights. \
             Remove `pair` from the deploy file: that service supports every strategy alone."
        ))
    }

    /// The weights for display, such as `blue 90 and green 10`.
    pub fn describe_weights(&self) -> String {
        describe(&self.weights(), &self.services)
    }
}

fn describe(weights: &RuleWeights, services: &[EcsService; 2]) -> String {
    let one = |side: PairMember| {
        format!("{} {}", str_field(&side.select(services).raw, "serviceName"), side.select(&weights.0))
    };
    PairMember::BOTH.map(one).join(" and ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{
        Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple,
    };
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, groups: &[&str], created: f64) -> EcsService {
        let balancers: Vec<Value> = groups.iter().map(|arn| json!({"targetGroupArn": arn})).collect();
        let primary = json!({"id":"ecs-svc/1","status":"PRIMARY","createdAt":created});
        EcsService::from_json(&json!({"serviceName":name,"loadBalancers":balancers,"deployments":[primary]}))
    }

    fn state(blue: i32, green: i32) -> PairState {
        let tuple =
            |arn: &str, weight| TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build();
        let config = ForwardActionConfig::builder()
            .target_groups(tuple("arn:a", blue))
            .target_groups(tuple("arn:b", green));
        let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config.build()).build();
        PairState {
            services: [service("blue", &["arn:a"], 1.0), service("green", &["arn:b"], 2.0)],
            rule: Rule::builder().rule_arn("arn:rule").actions(action).build(),
        }
    }

    #[test]
    fn weights_decide_the_serving_member() {
        assert_eq!(state(100, 0).position(), PairPosition::Serving(PairMember::First));
        assert_eq!(state(0, 1).position(), PairPosition::Serving(PairMember::Second));
        assert_eq!(state(20, 80).position(), PairPosition::Shifting { new: PairMember::Second, percent: 80 });
        assert_eq!(state(0, 0).position(), PairPosition::NoTraffic);
        let mut back = state(20, 80);
        back.services[0] = service("blue", &["arn:a"], 3.0);
        assert_eq!(
            (back.position(), back.stable_member()),
            (PairPosition::Shifting { new: PairMember::First, percent: 20 }, PairMember::First)
        );
        assert_eq!(state(90, 10).describe_weights(), "blue 90 and green 10");
    }

    #[test]
    fn missing_requirements_are_named() {
        assert_eq!(state(100, 0).missing_requirements(), None);
        let lacks = |change: &dyn Fn(&mut PairState)| {
            let mut sight = state(100, 0);
            change(&mut sight);
            sight.missing_requirements().unwrap()
        };
        let two = lacks(&|sight| sight.services[1] = service("green", &["arn:b", "arn:c"], 2.0));
        assert!(two.contains("`green` has 2 target groups"), "{two}");
        let same = lacks(&|sight| sight.services[1] = service("green", &["arn:a"], 2.0));
        assert!(same.contains("its own target group"), "{same}");
        for member in ["productionListenerRule", "testListenerRule"] {
            let owned = lacks(&|sight| {
                sight.services[0].raw["loadBalancers"][0]["advancedConfiguration"] =
                    json!({member: "arn:rule"});
            });
            assert!(owned.contains("belongs to ECS: `blue`"), "{owned}");
        }
    }
}
