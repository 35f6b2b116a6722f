//! AWS's checks of a deployment configuration: ranges, hooks, what a strategy needs. Ranges from the API reference; the words
//! of most refusals are not known and are made up here, their codes are AWS's.

use serde_json::{Map, Value};

use super::super::call::Refusal;
use super::{text, texts};

type Checked = Result<(), Refusal>;

fn invalid(message: impl Into<String>) -> Checked {
    Err(Refusal::new("InvalidParameterException", message))
}

/// Check what was given (`given`, from the input) in the service that it makes (`members`, merged, with the strategy `before`).
pub(super) fn check(given: &Value, members: &Map<String, Value>, before: Option<&Value>) -> Checked {
    let Some(whole) = members.get("deploymentConfiguration") else { return Ok(()) };
    let strategy = text(whole, "strategy").unwrap_or("ROLLING");
    if !["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy) {
        return invalid(format!("Invalid deployment strategy {strategy}."));
    }
    fitting(given, strategy)?;
    ranges(given)?;
    let turns = strategy == "BLUE_GREEN" && before.is_none_or(|before| before["strategy"] != "BLUE_GREEN");
    if turns && given["bakeTimeInMinutes"].is_null() {
        return invalid("bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy.");
    }
    given["lifecycleHooks"].as_array().into_iter().flatten().try_for_each(hook)?;
    balanced(strategy, members)
}

/// Steps only with the strategy that takes them.
fn fitting(given: &Value, strategy: &str) -> Checked {
    for (member, owner) in [("linearConfiguration", "LINEAR"), ("canaryConfiguration", "CANARY")] {
        if given[member].is_object() && strategy != owner {
            return invalid(format!("{member} is only valid with the {owner} deployment strategy."));
        }
    }
    Ok(())
}

fn ranges(given: &Value) -> Checked {
    minutes(&given["bakeTimeInMinutes"], "bakeTimeInMinutes")?;
    let (canary, linear) = (&given["canaryConfiguration"], &given["linearConfiguration"]);
    minutes(&canary["canaryBakeTimeInMinutes"], "canaryBakeTimeInMinutes")?;
    minutes(&linear["stepBakeTimeInMinutes"], "stepBakeTimeInMinutes")?;
    percent(&canary["canaryPercent"], "canaryPercent", 0.1)?;
    percent(&linear["stepPercent"], "stepPercent", 3.0)
}

fn minutes(value: &Value, name: &str) -> Checked {
    match value {
        Value::Null => Ok(()),
        _ if value.as_i64().is_some_and(|minutes| (0..=1440).contains(&minutes)) => Ok(()),
        _ => invalid(format!("{name} must be between 0 and 1440.")),
    }
}

fn percent(value: &Value, name: &str, least: f64) -> Checked {
    let Some(percent) = value.as_f64() else { return Ok(()) };
    let tenths = percent * 10.0;
    if (least..=100.0).contains(&percent) && (tenths - tenths.round()).abs() < 1e-6 {
        return Ok(());
    }
    invalid(format!("{name} must be a multiple of 0.1 between {least} and 100.0."))
}

/// Stages at which hooks of any kind, and of functions only, may fire.
const STAGES: [&str; 6] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];
const SHIFTS: [&str; 2] = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];

fn hook(hook: &Value) -> Checked {
    let stages = texts(hook, "lifecycleStages");
    if stages.is_empty() {
        return invalid("lifecycleStages is required for a lifecycle hook.");
    }
    if let Some(stage) = stages.iter().find(|stage| !STAGES.contains(stage) && !SHIFTS.contains(stage)) {
        return invalid(format!("Invalid lifecycle stage {stage}."));
    }
    limit(&hook["timeoutConfiguration"])?;
    let has = |member: &str| hook[member].is_string();
    match text(hook, "targetType").unwrap_or("AWS_LAMBDA") {
        "AWS_LAMBDA" if has("hookTargetArn") && has("roleArn") => Ok(()),
        "AWS_LAMBDA" => {
            invalid("hookTargetArn and roleArn are required for a lifecycle hook of type AWS_LAMBDA.")
        }
        "PAUSE" if has("hookTargetArn") || has("roleArn") => {
            invalid("hookTargetArn and roleArn are not valid for a lifecycle hook of type PAUSE.")
        }
        "PAUSE" if stages.iter().any(|stage| SHIFTS.contains(stage)) => {
            invalid("A lifecycle hook of type PAUSE is not supported at a traffic shift stage.")
        }
        "PAUSE" => Ok(()),
        other => invalid(format!("Invalid lifecycle hook target type {other}.")),
    }
}

fn limit(limit: &Value) -> Checked {
    let minutes = &limit["timeoutInMinutes"];
    if !minutes.is_null() && !minutes.as_i64().is_some_and(|minutes| (1..=20_160).contains(&minutes)) {
        return invalid("timeoutInMinutes must be between 1 and 20160.");
    }
    match text(limit, "action") {
        None | Some("ROLLBACK" | "CONTINUE") => Ok(()),
        Some(other) => invalid(format!("Invalid timeout action {other}.")),
    }
}

/// In stages every load balancer needs a pair of target groups and a rule. The message is one that AWS was seen to give.
fn balanced(strategy: &str, members: &Map<String, Value>) -> Checked {
    let kind = match strategy {
        "BLUE_GREEN" => "blue/green",
        "LINEAR" => "linear",
        "CANARY" => "canary",
        _ => return Ok(()),
    };
    let balancers = members.get("loadBalancers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let whole = |balancer: &Value| {
        let advanced = &balancer["advancedConfiguration"];
        ["alternateTargetGroupArn", "productionListenerRule", "roleArn"]
            .iter()
            .all(|it| advanced[*it].is_string())
    };
    if balancers.is_empty() || !balancers.iter().all(whole) {
        let message = format!(
            "advancedConfiguration field is required for all loadBalancers when using the {kind} deployment strategy"
        );
        return Err(Refusal::new("ClientException", message));
    }
    Ok(())
}

/// Steps of another strategy do not outlive a change of strategy.
pub(super) fn prune(configuration: &mut Value) {
    let strategy = text(configuration, "strategy").unwrap_or("ROLLING").to_owned();
    if let Some(members) = configuration.as_object_mut() {
        for (member, owner) in [("linearConfiguration", "LINEAR"), ("canaryConfiguration", "CANARY")] {
            if strategy != owner {
                members.remove(member);
            }
        }
    }
}
