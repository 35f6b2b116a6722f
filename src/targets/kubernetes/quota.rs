//! Whether the quotas of a namespace have room for the one pod more that a rollout begins with. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::read::{Metadata, WorkloadObject};
use super::settings::{WorkloadKind, WorkloadName};
use super::template::template_containers;
use crate::problem::{Code, Problem};

/// A ResourceQuota.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct QuotaObject {
    /// Its name.
    pub metadata: Metadata,
    /// Its scopes.
    pub spec: QuotaSpec,
    /// Its limits, and what is used.
    pub status: QuotaStatus,
}

/// Which pods a quota is about.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QuotaSpec {
    /// Classes of pods; where there are some, it is not about all pods.
    pub scopes: Vec<String>,
    /// The same in another form.
    pub scope_selector: Value,
}

/// The limits of a quota, and what is used of them, as quantities by resource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    /// The limits.
    pub hard: BTreeMap<String, String>,
    /// What is used.
    pub used: BTreeMap<String, String>,
}

/// A warning for each quota that has no room for the first new pod of a Deployment that removes none before.
pub fn quota_warnings(
    name: &WorkloadName,
    workload: &WorkloadObject,
    quotas: &[QuotaObject],
) -> Vec<Problem> {
    if name.kind != WorkloadKind::Deployment || removes_first(workload) {
        return Vec::new();
    }
    let needed = pod_needs(&workload.spec.template);
    let warning = |quota: &QuotaObject| {
        let is_general = quota.spec.scopes.is_empty() && quota.spec.scope_selector.is_null();
        let full = needed.iter().find_map(|need| need.refusal(&quota.status)).filter(|_| is_general)?;
        let sentence = format!(
            "The quota `{}` has no room for one more pod of `{name}` ({full}), and the rollout removes no pod before a new one is ready.",
            quota.metadata.name
        );
        let help = "Raise the quota, lower requests, or set `maxUnavailable` above 0. Otherwise the rollout waits until its deadline.";
        Some(Problem::warning(Code::NoCapacity, sentence).help(help))
    };
    quotas.iter().filter_map(warning).collect()
}

/// Whether the rollout makes room by itself: it recreates, or may have fewer pods than desired.
fn removes_first(workload: &WorkloadObject) -> bool {
    let strategy = &workload.spec.strategy;
    if strategy.kind == "Recreate" {
        return true;
    }
    let copies = workload.spec.replicas.unwrap_or(1);
    let rolling = strategy.rolling_update.as_ref();
    let limit = |value: Option<&Value>, rounds_up| value.map_or(0, |value| resolve(value, copies, rounds_up));
    let surge = limit(rolling.and_then(|rolling| rolling.max_surge.as_ref()), true);
    let unavailable = limit(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), false);
    // Both at 0: Kubernetes takes one pod away then.
    unavailable > 0 || surge == 0
}

/// A number, or a percentage of the copies.
fn resolve(value: &Value, copies: u32, rounds_up: bool) -> u64 {
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<u64>().ok());
    match percent {
        Some(percent) if rounds_up => (u64::from(copies) * percent).div_ceil(100),
        Some(percent) => u64::from(copies) * percent / 100,
        None => value.as_u64().unwrap_or_default(),
    }
}

/// What one pod takes of a resource of quotas.
#[derive(Debug, Clone, PartialEq)]
struct PodNeed {
    resource: String,
    amount: f64,
}

impl PodNeed {
    /// What a quota says against it, in its own quantities.
    fn refusal(&self, quota: &QuotaStatus) -> Option<String> {
        let (hard, zero) = (quota.hard.get(&self.resource)?, "0".to_owned());
        let used = quota.used.get(&self.resource).unwrap_or(&zero);
        let room = parse_quantity(hard)? - parse_quantity(used)?;
        (self.amount > room + 1e-9).then(|| format!("{}: {used} of {hard} used", self.resource))
    }
}

/// What a pod of a template takes, as far as the template says it.
fn pod_needs(template: &Value) -> Vec<PodNeed> {
    let one = |resource: &str| PodNeed { resource: resource.to_owned(), amount: 1.0 };
    let mut all = vec![one("pods"), one("count/pods")];
    for (list, prefix) in [("requests", "requests."), ("limits", "limits.")] {
        for resource in ["cpu", "memory"] {
            let amount = containers_sum(template, list, resource);
            all.push(PodNeed { resource: format!("{prefix}{resource}"), amount });
            if list == "requests" {
                all.push(PodNeed { resource: resource.to_owned(), amount });
            }
        }
    }
    all
}

fn containers_sum(template: &Value, list: &str, resource: &str) -> f64 {
    let regular = template["spec"]["containers"].as_array().map_or(0, Vec::len);
    let amounts = template_containers(template).take(regular);
    amounts.filter_map(|one| parse_quantity(one["resources"][list][resource].as_str()?)).sum()
}

/// A quantity of Kubernetes, such as `500m`, `2` or `1Gi`.
fn parse_quantity(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(split);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        // Such as `1e3`.
        _ => return text.parse().ok(),
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn quota(hard: Value, used: Value) -> QuotaObject {
        serde_json::from_value(json!({
            "metadata": { "name": "compute" }, "status": { "hard": hard, "used": used },
        }))
        .unwrap()
    }

    fn workload(strategy: Value) -> WorkloadObject {
        let resources = json!({ "requests": { "cpu": "500m", "memory": "1Gi" } });
        serde_json::from_value(json!({ "spec": {
            "replicas": 4, "strategy": strategy,
            "template": { "spec": { "containers": [{ "name": "app", "resources": resources }] } },
        } }))
        .unwrap()
    }

    fn rolling(surge: Value, unavailable: Value) -> Value {
        json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } })
    }

    fn warning(strategy: Value, quota: QuotaObject) -> Option<String> {
        let name = WorkloadName::try_from("deployment/api".to_owned()).unwrap();
        quota_warnings(&name, &workload(strategy), &[quota]).pop().map(|problem| problem.sentence)
    }

    #[test]
    fn quota_without_room_for_the_first_pod_is_a_warning() {
        let careful = rolling(json!("25%"), json!(0));
        let table = [
            (json!({ "pods": "4" }), json!({ "pods": "4" }), Some("pods: 4 of 4 used")),
            (json!({ "pods": "5" }), json!({ "pods": "4" }), None),
            (
                json!({ "requests.cpu": "2" }),
                json!({ "requests.cpu": "1800m" }),
                Some("requests.cpu: 1800m of 2 used"),
            ),
            (json!({ "cpu": "2" }), json!({ "cpu": "1500m" }), None),
            (
                json!({ "requests.memory": "4Gi" }),
                json!({ "requests.memory": "3500Mi" }),
                Some("3500Mi of 4Gi used"),
            ),
            (json!({ "limits.cpu": "1" }), json!({ "limits.cpu": "1" }), None),
            (json!({ "services": "0" }), json!({}), None),
            (json!({ "pods": "what" }), json!({ "pods": "4" }), None),
        ];
        for (hard, used, expected) in table {
            let found = warning(careful.clone(), quota(hard.clone(), used));
            let fits = match (&found, expected) {
                (Some(sentence), Some(part)) => sentence.contains(part),
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(fits, "{hard}: {found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn rollout_that_removes_a_pod_first_needs_no_room() {
        let full = || quota(json!({ "pods": "4" }), json!({ "pods": "4" }));
        let table = [
            (rolling(json!("25%"), json!("25%")), false),
            (rolling(json!("25%"), json!("24%")), true),
            (rolling(json!(1), json!(0)), true),
            (rolling(json!(0), json!(1)), false),
            (json!({ "type": "Recreate" }), false),
        ];
        for (strategy, warns) in table {
            assert_eq!(warning(strategy.clone(), full()).is_some(), warns, "{strategy}");
        }
        let scoped = QuotaObject {
            spec: QuotaSpec { scopes: vec!["BestEffort".into()], ..QuotaSpec::default() },
            ..full()
        };
        assert_eq!(warning(rolling(json!(1), json!(0)), scoped), None);
    }
}
