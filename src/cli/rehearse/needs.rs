//! Checks that a deploy file has what a scenario needs. Without it the run would succeed and prove nothing.

use crate::config::{Metric, Service, Strategy};
use roadstead_cloud::builtin::{Builtin, Need};

/// The error if no service of `environment` in `file` has what the scenario needs.
pub(super) fn missing_need(
    scenario: &Builtin,
    services: &[Service],
    environment: &str,
    file: &str,
) -> Option<String> {
    let missing = scenario.needs.iter().find(|need| !services.iter().any(|service| has(service, need)))?;
    Some(format!(
        "The scenario `{}` needs {}, and `{environment}` in {file} has none. Add one, rehearse another environment with \
         `--environment`, or choose another scenario: `roadstead rehearse --list` prints them.",
        scenario.name,
        describe_need(missing)
    ))
}

fn has(service: &Service, need: &Need) -> bool {
    match need {
        Need::Target(key) => service.target == *key,
        Need::Strategy(keys) => keys.contains(&strategy_key(&service.config.strategy)),
        Need::Analysis => !metrics(&service.config.strategy).is_empty(),
        Need::Checks => !service.config.verify.is_empty(),
        Need::Pair => service.settings.get("pair").is_some(),
    }
}

fn strategy_key(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling(_) => "rolling",
        Strategy::BlueGreen(_) => "blue-green",
        Strategy::Linear(_) => "linear",
        Strategy::Canary(_) => "canary",
    }
}

fn metrics(strategy: &Strategy) -> &[Metric] {
    match strategy {
        Strategy::Rolling(_) | Strategy::BlueGreen(_) => &[],
        Strategy::Linear(linear) => &linear.metrics,
        Strategy::Canary(canary) => &canary.metrics,
    }
}

fn describe_need(need: &Need) -> String {
    match need {
        Need::Target(key) => format!("a service with the target `{key}`"),
        Need::Strategy(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let Some((last, first)) = keys.split_last() else { return "a service".to_owned() };
            let either = if first.is_empty() { String::new() } else { format!("{} or ", first.join(", ")) };
            format!("a service with the strategy {either}{last}")
        }
        Need::Analysis => "a service with the strategy `canary` or `linear` and with `metrics`".to_owned(),
        Need::Checks => "a service with `verify`".to_owned(),
        Need::Pair => "a service of ECS with `pair`".to_owned(),
    }
}
