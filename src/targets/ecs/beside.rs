//! A new version beside the old one: where its tasks are, how healthy, and what tells their traffic apart. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::native::{balancer_label, group_label};
use super::read::{Revision, Service, ServiceDeployment, list, text, version};
use super::verdict::Targets;
use crate::release::{Arm, Arms, Hold};

/// A new version beside the old one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// ARNs of the target groups that the new version's tasks are in.
    pub groups: Vec<String>,
    /// What tells the traffic of the two apart, where that is known.
    pub arms: Option<Arms>,
    /// How its targets fared at the last read.
    pub targets: Option<Targets>,
}

/// The target groups of the new version's tasks; where AWS does not resolve them, all of the service, so that
/// nothing unhealthy is missed.
pub fn groups(service: &Service, new: &Revision) -> Vec<String> {
    if new.groups.is_empty() { pairs(service).into_iter().flatten().collect() } else { new.groups.clone() }
}

/// Both target groups of each load balancer entry.
fn pairs(service: &Service) -> Vec<[String; 2]> {
    let pair = |balancer: &Value| {
        let alternate = text(&balancer["advancedConfiguration"], "alternateTargetGroupArn");
        [text(balancer, "targetGroupArn"), alternate]
    };
    list(&service.raw, "loadBalancers").iter().map(pair).collect()
}

/// What all the traffic of a service is known by, behind one load balancer.
pub fn traffic(service: &Service, balancer: &str) -> Vec<Arm> {
    let groups = pairs(service).into_iter().flatten().filter(|group| !group.is_empty());
    groups.map(|group| arm(&service.definition, &group, Some(balancer_label(balancer)))).collect()
}

/// What tells the traffic of a version: its target group, and what the load balancer is called.
pub fn arm(definition: &str, group: &str, balancer: Option<String>) -> Arm {
    let mut labels = BTreeMap::from([("TargetGroup".to_owned(), group_label(group))]);
    labels.extend(balancer.map(|label| ("LoadBalancer".to_owned(), label)));
    Arm { version: version(definition), labels }
}

/// What tells the two apart; `None` where AWS does not say which target group is whose.
pub fn arms(service: &Service, new: &Revision, old: &Revision, balancer: Option<&String>) -> Option<Arms> {
    let ours = new.groups.first()?;
    let pair = pairs(service).into_iter().find(|pair| pair.contains(ours));
    let other = || pair.into_iter().flatten().find(|group| group != ours && !group.is_empty());
    let theirs = old.groups.first().filter(|group| *group != ours).cloned().or_else(other)?;
    let balancer = balancer.map(|arn| balancer_label(arn));
    let canary = arm(&new.definition, ours, balancer.clone());
    Some(Arms { canary, baseline: arm(&old.definition, &theirs, balancer) })
}

/// The hold of a deployment that waits for our word, or what is missing for it in words.
pub fn hold(deployment: &ServiceDeployment, share: u8, beside: Option<&Beside>) -> Result<Hold, String> {
    let [wanted, running, _] = deployment.tasks;
    if running < wanted {
        return Err(format!("{running} of {wanted} new tasks run"));
    }
    let beside = beside.ok_or("its target groups are not known yet")?;
    let healthy = match &beside.targets {
        None if wanted > 0 => return Err("its targets were not read yet".to_owned()),
        None => 0,
        Some(targets) if targets.healthy < wanted => {
            return Err(format!(
                "{} of {wanted} new targets healthy {}",
                targets.healthy,
                targets.others.join(", ")
            ));
        }
        Some(_) => wanted,
    };
    let evidence = format!(
        "{share} % of the traffic, {healthy} of {wanted} new targets healthy, waiting at our pause hook"
    );
    Ok(Hold { percent: share, evidence, arms: beside.arms.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1";
    const B: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/green/2";

    fn revision(definition: &str, groups: &[&str]) -> Revision {
        let groups = groups.iter().map(ToString::to_string).collect();
        Revision { definition: definition.into(), groups, ..Revision::default() }
    }

    #[test]
    fn which_group_is_live_is_what_the_revisions_say() {
        let pair = json!({"targetGroupArn":A,"advancedConfiguration":{"alternateTargetGroupArn":B}});
        let service = Service::read(&json!({"loadBalancers":[pair]}));
        let balancer = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/3".to_owned();
        for (ours, theirs) in [(A, &[B][..]), (B, &[A]), (B, &[])] {
            let arms =
                arms(&service, &revision("new", &[ours]), &revision("old", theirs), Some(&balancer)).unwrap();
            assert_eq!(arms.canary.labels["TargetGroup"], group_label(ours));
            assert_ne!(arms.baseline.labels["TargetGroup"], arms.canary.labels["TargetGroup"]);
            assert_eq!((arms.canary.version.id.as_str(), arms.baseline.version.id.as_str()), ("new", "old"));
            assert_eq!(arms.baseline.labels["LoadBalancer"], "app/web/3");
        }
        assert_eq!(arms(&service, &revision("new", &[]), &revision("old", &[A]), None), None);
        assert_eq!(groups(&service, &revision("new", &[])), [A, B]);
    }

    #[test]
    fn a_hold_needs_all_tasks_and_all_targets() {
        let with = |wanted, running, healthy: Option<u32>| {
            let deployment =
                ServiceDeployment { tasks: [wanted, running, 0], ..ServiceDeployment::default() };
            let targets = healthy.map(|healthy| Targets { healthy, others: Vec::new() });
            hold(&deployment, 10, Some(&Beside { targets, ..Beside::default() })).map(|hold| hold.percent)
        };
        assert_eq!(with(2, 2, Some(2)), Ok(10));
        assert_eq!(with(0, 0, None), Ok(10));
        for (wanted, running, healthy) in [(2, 1, Some(2)), (2, 2, Some(1)), (2, 2, None), (3, 3, Some(2))] {
            assert!(with(wanted, running, healthy).is_err(), "{wanted} {running} {healthy:?}");
        }
        assert!(hold(&ServiceDeployment::default(), 0, None).is_err());
    }
}
