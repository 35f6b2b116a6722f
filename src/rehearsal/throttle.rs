//! Request-rate buckets: burst and sustained rate of each group of operations, per account and region.

use std::collections::BTreeMap;

/// Tokens left by group, refilled as time passes.
#[derive(Debug, Clone, Default)]
pub struct Buckets {
    levels: BTreeMap<&'static str, (f64, f64)>,
}

impl Buckets {
    /// Take one token for the operation; `false` when its bucket is empty. Operations without a documented rate always pass.
    pub fn take(&mut self, service: &str, operation: &str, now: f64) -> bool {
        let Some((group, burst, rate)) = limit(service, operation) else { return true };
        let (level, since) = self.levels.entry(group).or_insert((burst, now));
        *level = (*level + (now - *since).max(0.0) * rate).min(burst);
        *since = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

/// Group, burst and sustained requests a second. Source: ECS request throttling page, ECR quotas, and for DescribeAlarms
/// the published quota of 9 a second. Stop and Continue are in no documented group and share the service-modify budget.
fn limit(service: &str, operation: &str) -> Option<(&'static str, f64, f64)> {
    Some(match (service, operation) {
        ("ecs", "DescribeServices" | "ListServices") => ("service read", 100.0, 20.0),
        (
            "ecs",
            "CreateService"
            | "UpdateService"
            | "DeleteService"
            | "StopServiceDeployment"
            | "ContinueServiceDeployment",
        ) => ("service modify", 50.0, 5.0),
        ("ecs", "DescribeServiceDeployments" | "ListServiceDeployments") => {
            ("service deployment", 50.0, 20.0)
        }
        ("ecs", "DescribeServiceRevisions") => ("service revision", 50.0, 20.0),
        ("ecs", "DescribeTasks" | "ListTasks") => ("cluster resource read", 100.0, 20.0),
        ("ecs", "RunTask" | "StopTask") => ("cluster resource modify", 100.0, 40.0),
        ("ecs", "RegisterTaskDefinition" | "DeregisterTaskDefinition") => {
            ("task definition modify", 20.0, 1.0)
        }
        ("ecs", "DescribeTaskDefinition" | "ListTaskDefinitions") => ("task definition read", 50.0, 20.0),
        ("ecs", "DescribeClusters" | "ListClusters") => ("cluster read", 50.0, 20.0),
        ("ecs", "TagResource" | "UntagResource") => ("tag modify", 20.0, 10.0),
        ("ecs", "ListTagsForResource") => ("tag read", 50.0, 20.0),
        ("ecr", "PutImage") => ("ecr put image", 10.0, 10.0),
        ("monitoring", "DescribeAlarms") => ("describe alarms", 9.0, 9.0),
        ("monitoring", "GetMetricData") => ("metric data", 50.0, 50.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_sustained_rate_follows() {
        let mut buckets = Buckets::default();
        let passed = (0..30).filter(|_| buckets.take("ecs", "RegisterTaskDefinition", 100.0)).count();
        assert_eq!(passed, 20);
        assert!(buckets.take("ecs", "RegisterTaskDefinition", 101.0));
        assert!(!buckets.take("ecs", "RegisterTaskDefinition", 101.5));
        assert!((0..1000).all(|_| buckets.take("sts", "GetCallerIdentity", 100.0)));
    }
}
