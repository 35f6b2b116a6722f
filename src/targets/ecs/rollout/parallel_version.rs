//! A new version in parallel to the old one: its target groups, their health, and the metric labels of both. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::read::{
    EcsService, ServiceDeployment, ServiceRevision, list_field, str_field, version_from_arn,
};
use super::super::serving::TargetCounts;
use super::ecs_strategy::{load_balancer_label, target_group_label};
use crate::release::{Pause, Variant, Variants};

/// A new version in parallel to the old one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParallelVersion {
    /// ARNs of the target groups of the new version's tasks.
    pub target_groups: Vec<String>,
    /// The metric labels of both, if they are known.
    pub variants: Option<Variants>,
    /// The health of its targets at the last read.
    pub target_counts: Option<TargetCounts>,
}

/// The target groups of the new version's tasks; if AWS does not resolve them, all of the service, so that no
/// unhealthy target is missed.
pub fn target_groups(service: &EcsService, new: &ServiceRevision) -> Vec<String> {
    if new.target_groups.is_empty() {
        target_group_pairs(service).into_iter().flatten().collect()
    } else {
        new.target_groups.clone()
    }
}

/// Both target groups of each load balancer entry.
fn target_group_pairs(service: &EcsService) -> Vec<[String; 2]> {
    let pair = |balancer: &Value| {
        let alternate = str_field(&balancer["advancedConfiguration"], "alternateTargetGroupArn");
        [str_field(balancer, "targetGroupArn"), alternate]
    };
    list_field(&service.raw, "loadBalancers").iter().map(pair).collect()
}

/// The metric labels of all the traffic of a service behind one load balancer.
pub fn service_labels(service: &EcsService, balancer: &str) -> Vec<Variant> {
    let groups = target_group_pairs(service).into_iter().flatten().filter(|group| !group.is_empty());
    groups.map(|group| variant(&service.definition, &group, Some(load_balancer_label(balancer)))).collect()
}

/// The metric labels of a version: its target group and its load balancer.
pub fn variant(definition: &str, group: &str, balancer: Option<String>) -> Variant {
    let mut labels = BTreeMap::from([("TargetGroup".to_owned(), target_group_label(group))]);
    labels.extend(balancer.map(|label| ("LoadBalancer".to_owned(), label)));
    Variant { version: version_from_arn(definition), labels }
}

/// The metric labels of both versions; `None` if AWS does not report which target group belongs to which.
pub fn variants(
    service: &EcsService,
    new: &ServiceRevision,
    old: &ServiceRevision,
    balancer: Option<&String>,
) -> Option<Variants> {
    let ours = new.target_groups.first()?;
    let pair = target_group_pairs(service).into_iter().find(|pair| pair.contains(ours));
    let other = || pair.into_iter().flatten().find(|group| group != ours && !group.is_empty());
    let theirs = old.target_groups.first().filter(|group| *group != ours).cloned().or_else(other)?;
    let balancer = balancer.map(|arn| load_balancer_label(arn));
    let canary = variant(&new.definition, ours, balancer.clone());
    Some(Variants { canary, baseline: variant(&old.definition, &theirs, balancer) })
}

/// The pause of a deployment at our hook, or the reason why it is not ready.
pub fn pause(
    deployment: &ServiceDeployment,
    weight: u8,
    parallel: Option<&ParallelVersion>,
) -> Result<Pause, String> {
    let [wanted, running, _] = deployment.task_counts;
    if running < wanted {
        return Err(format!("{running} of {wanted} new tasks running"));
    }
    let parallel = parallel.ok_or("its target groups are not known yet")?;
    let healthy = match &parallel.target_counts {
        None if wanted > 0 => return Err("its targets were not read yet".to_owned()),
        None => 0,
        Some(targets) if !targets.are_enough(wanted) => {
            return Err(format!(
                "{} of {wanted} new targets healthy {}",
                targets.healthy,
                targets.not_healthy.join(", ")
            ));
        }
        Some(_) => wanted,
    };
    let evidence =
        format!("{weight} % of traffic, {healthy} of {wanted} new targets healthy, paused at our hook");
    Ok(Pause { percent: weight, evidence, variants: parallel.variants.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/blue/1";
    const B: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/green/2";

    fn revision(definition: &str, groups: &[&str]) -> ServiceRevision {
        let groups = groups.iter().map(ToString::to_string).collect();
        ServiceRevision { definition: definition.into(), target_groups: groups, ..ServiceRevision::default() }
    }

    #[test]
    fn target_groups_follow_the_revisions() {
        let pair = json!({"targetGroupArn":A,"advancedConfiguration":{"alternateTargetGroupArn":B}});
        let service = EcsService::from_json(&json!({"loadBalancers":[pair]}));
        let balancer = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/3".to_owned();
        for (ours, theirs) in [(A, &[B][..]), (B, &[A]), (B, &[])] {
            let variants =
                variants(&service, &revision("new", &[ours]), &revision("old", theirs), Some(&balancer))
                    .unwrap();
            assert_eq!(variants.canary.labels["TargetGroup"], target_group_label(ours));
            assert_ne!(variants.baseline.labels["TargetGroup"], variants.canary.labels["TargetGroup"]);
            assert_eq!(
                (variants.canary.version.id.as_str(), variants.baseline.version.id.as_str()),
                ("new", "old")
            );
            assert_eq!(variants.baseline.labels["LoadBalancer"], "app/web/3");
        }
        assert_eq!(variants(&service, &revision("new", &[]), &revision("old", &[A]), None), None);
        assert_eq!(target_groups(&service, &revision("new", &[])), [A, B]);
    }

    #[test]
    fn pause_needs_all_tasks_and_all_targets() {
        let with = |wanted, running, healthy: Option<u32>| {
            let deployment =
                ServiceDeployment { task_counts: [wanted, running, 0], ..ServiceDeployment::default() };
            let targets = healthy.map(|healthy| TargetCounts { healthy, ..TargetCounts::default() });
            pause(
                &deployment,
                10,
                Some(&ParallelVersion { target_counts: targets, ..ParallelVersion::default() }),
            )
            .map(|pause| pause.percent)
        };
        assert_eq!(with(2, 2, Some(2)), Ok(10));
        assert_eq!(with(0, 0, None), Ok(10));
        for (wanted, running, healthy) in [(2, 1, Some(2)), (2, 2, Some(1)), (2, 2, None), (3, 3, Some(2))] {
            assert!(with(wanted, running, healthy).is_err(), "{wanted} {running} {healthy:?}");
        }
        assert!(pause(&ServiceDeployment::default(), 0, None).is_err());
    }
}
