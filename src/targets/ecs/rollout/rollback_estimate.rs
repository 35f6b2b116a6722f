//! How long a rollback of a service plausibly takes: its tasks start, the others drain and stop, in as many rounds as the
//! percentages require. Pure.

use std::time::Duration;

use serde_json::Value;

use super::super::read::{EcsService, list_field};
use super::super::task_definition::definition::containers;

/// How long ECS takes to place, pull and start a task.
const TASK_START: Duration = Duration::from_secs(60);
/// How long a target drains, unless the target group has another deregistration delay (the default of Elastic Load
/// Balancing).
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
/// How long a container may take to stop, unless its definition says otherwise (the default of ECS).
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// The time of a rollback from the definition that is deployed next.
pub fn rollback_duration(service: &EcsService, definition: &Value) -> Duration {
    let is_balanced = !list_field(&service.raw, "loadBalancers").is_empty();
    let drain = if is_balanced { DEREGISTRATION_DELAY } else { Duration::ZERO };
    let grace = service.raw["healthCheckGracePeriodSeconds"].as_u64().filter(|_| is_balanced);
    let stop = containers(definition).iter().filter_map(|it| it["stopTimeout"].as_u64()).max();
    let round = TASK_START
        + Duration::from_secs(grace.unwrap_or_default())
        + drain
        + stop.map_or(STOP_TIMEOUT, Duration::from_secs);
    round * rounds(service)
}

/// In how many rounds the tasks are replaced.
fn rounds(service: &EcsService) -> u32 {
    let percent =
        |key: &str, default: u64| service.raw["deploymentConfiguration"][key].as_u64().unwrap_or(default);
    let desired = u64::from(service.desired);
    let most = desired * percent("maximumPercent", 200) / 100;
    let least = (desired * percent("minimumHealthyPercent", 100)).div_ceil(100);
    let room = most.saturating_sub(least).max(1);
    u32::try_from(desired.div_ceil(room).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rollback_takes_start_drain_and_stop_in_rounds() {
        let balanced = json!([{"targetGroupArn": "arn:a"}]);
        let service = |desired: u32, least: u32, most: u32, balancers: &Value| {
            EcsService::from_json(&json!({
                "desiredCount": desired, "loadBalancers": balancers,
                "deploymentConfiguration": {"minimumHealthyPercent": least, "maximumPercent": most},
            }))
        };
        let definition =
            |stop: Value| json!({"containerDefinitions": [{"name": "app", "stopTimeout": stop}]});
        // service, stop timeout, seconds
        let table = [
            (service(2, 100, 200, &balanced), Value::Null, 390),
            (service(2, 100, 200, &json!([])), Value::Null, 90),
            (service(2, 100, 200, &json!([])), json!(120), 180),
            (service(40, 100, 125, &balanced), Value::Null, 4 * 390),
            (service(0, 100, 200, &json!([])), Value::Null, 90),
            (service(1, 100, 100, &json!([])), Value::Null, 90),
        ];
        for (service, stop, seconds) in table {
            let found = rollback_duration(&service, &definition(stop.clone()));
            assert_eq!(found, Duration::from_secs(seconds), "{} {stop}", service.raw);
        }
    }
}
