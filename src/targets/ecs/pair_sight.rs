//! Both services and the rule between them at one moment: which one serves, and what stands against shifting. Pure.

use aws_sdk_elasticloadbalancingv2::types::Rule;

use super::read::{Service, list, text};
use super::rule::{self, Side, Weights};

/// Who has the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stance {
    /// One service has all of it.
    Live(Side),
    /// Both have some: a shift towards `new` began and did not end.
    Shifting {
        /// The service that was deployed to last.
        new: Side,
        /// Its share in percent.
        percent: u8,
    },
    /// Neither has any: both weights are 0, or the rule forwards elsewhere.
    Nobody,
}

/// Both services and the rule between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sight {
    /// The services, in the order of [`Side::BOTH`].
    pub services: [Service; 2],
    /// The rule.
    pub rule: Rule,
}

impl Sight {
    /// The target group of each service; empty where it has none.
    pub fn groups(&self) -> [String; 2] {
        self.services.each_ref().map(|service| service.target_groups.first().cloned().unwrap_or_default())
    }

    /// The service of a side.
    pub fn service(&self, side: Side) -> &Service {
        side.of(&self.services)
    }

    /// The weights of both.
    pub fn weights(&self) -> Weights {
        rule::weights(&self.rule, &self.groups())
    }

    /// Who has the traffic. During a shift the new one is the one that was deployed to last: its share does not say,
    /// since it may be more than half.
    pub fn stance(&self) -> Stance {
        let weights = self.weights();
        if let Some(side) = weights.all_to() {
            return Stance::Live(side);
        }
        let new = if self.newer(Side::Second) { Side::Second } else { Side::First };
        weights.share(new).map_or(Stance::Nobody, |percent| Stance::Shifting { new, percent })
    }

    /// Whether the last deployment of a side began after that of the other.
    pub fn newer(&self, side: Side) -> bool {
        let begun = |side: Side| self.service(side).primary().map_or(0.0, |primary| primary.created);
        begun(side) > begun(side.other())
    }

    /// The side that a run starts from: what serves, or the new one of a shift that did not end, or the first.
    pub fn basis(&self) -> Side {
        match self.stance() {
            Stance::Live(side) => side,
            Stance::Shifting { new, .. } => new,
            Stance::Nobody => Side::First,
        }
    }

    /// Why no traffic can be shifted between the two, and what to do about it; `None` where it can.
    pub fn lacks(&self) -> Option<String> {
        for service in &self.services {
            let name = text(&service.raw, "serviceName");
            if service.target_groups.len() != 1 {
                let count = service.target_groups.len();
                return Some(format!(
                    "The service `{name}` has {count} target groups; a service of a pair has exactly one."
                ));
            }
        }
        let groups = self.groups();
        if groups[0] == groups[1] {
            return Some(format!(
                "Both services of the pair are in {}; give each its own target group.",
                groups[0]
            ));
        }
        self.owned().or_else(|| rule::lacks(&self.rule, &groups))
    }

    /// A rule that ECS changes by itself is never touched.
    fn owned(&self) -> Option<String> {
        let arn = self.rule.rule_arn()?;
        let names = |service: &&Service| {
            list(&service.raw, "loadBalancers").iter().any(|balancer| {
                let advanced = &balancer["advancedConfiguration"];
                [&advanced["productionListenerRule"], &advanced["testListenerRule"]]
                    .into_iter()
                    .any(|rule| *rule == arn)
            })
        };
        let owner = text(&self.services.iter().find(names)?.raw, "serviceName");
        Some(format!(
            "The rule belongs to ECS: `{owner}` names it in its `advancedConfiguration`, and ECS sets its weights by itself. \
             Take `pair` out of the deploy file: that service can do every strategy alone."
        ))
    }

    /// The weights in words, such as `blue 90 and green 10`.
    pub fn words(&self) -> String {
        said(&self.weights(), &self.services)
    }
}

fn said(weights: &Weights, services: &[Service; 2]) -> String {
    let one = |side: Side| format!("{} {}", text(&side.of(services).raw, "serviceName"), side.of(&weights.0));
    Side::BOTH.map(one).join(" and ")
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{
        Action, ActionTypeEnum, ForwardActionConfig, TargetGroupTuple,
    };
    use serde_json::{Value, json};

    use super::*;

    fn service(name: &str, groups: &[&str], created: f64) -> Service {
        let balancers: Vec<Value> = groups.iter().map(|arn| json!({"targetGroupArn": arn})).collect();
        let primary = json!({"id":"ecs-svc/1","status":"PRIMARY","createdAt":created});
        Service::read(&json!({"serviceName":name,"loadBalancers":balancers,"deployments":[primary]}))
    }

    fn sight(blue: i32, green: i32) -> Sight {
        let tuple =
            |arn: &str, weight| TargetGroupTuple::builder().target_group_arn(arn).weight(weight).build();
        let config = ForwardActionConfig::builder()
            .target_groups(tuple("arn:a", blue))
            .target_groups(tuple("arn:b", green));
        let action = Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config.build()).build();
        Sight {
            services: [service("blue", &["arn:a"], 1.0), service("green", &["arn:b"], 2.0)],
            rule: Rule::builder().rule_arn("arn:rule").actions(action).build(),
        }
    }

    #[test]
    fn the_weights_say_who_serves() {
        assert_eq!(sight(100, 0).stance(), Stance::Live(Side::First));
        assert_eq!(sight(0, 1).stance(), Stance::Live(Side::Second));
        assert_eq!(sight(20, 80).stance(), Stance::Shifting { new: Side::Second, percent: 80 });
        assert_eq!(sight(0, 0).stance(), Stance::Nobody);
        let mut back = sight(20, 80);
        back.services[0] = service("blue", &["arn:a"], 3.0);
        assert_eq!(
            (back.stance(), back.basis()),
            (Stance::Shifting { new: Side::First, percent: 20 }, Side::First)
        );
        assert_eq!(sight(90, 10).words(), "blue 90 and green 10");
    }

    #[test]
    fn what_stands_against_a_pair_is_said() {
        assert_eq!(sight(100, 0).lacks(), None);
        let lacks = |change: &dyn Fn(&mut Sight)| {
            let mut sight = sight(100, 0);
            change(&mut sight);
            sight.lacks().unwrap()
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
