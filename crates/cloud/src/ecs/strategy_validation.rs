//! AWS's checks of a deployment configuration: ranges, hooks, what a strategy needs. Ranges from the API reference; the words
//! of most refusals are not known and are made up here, their codes are AWS's.

use serde_json::{Map, Value};

use super::super::request::ServiceError;
use super::{str_field, str_list_field};

type Validation = Result<(), ServiceError>;

fn invalid_parameter(message: impl Into<String>) -> Validation {
    Err(ServiceError::new("InvalidParameterException", message))
}

/// Check what was given (`given`, from the input) in the service that it makes (`members`, merged, with the strategy `before`).
pub(super) fn validate_configuration(
    given: &Value,
    members: &Map<String, Value>,
    before: Option<&Value>,
) -> Validation {
    let Some(whole) = members.get("deploymentConfiguration") else { return Ok(()) };
    let strategy = str_field(whole, "strategy").unwrap_or("ROLLING");
    if !["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy) {
        return invalid_parameter(format!("Invalid deployment strategy {strategy}."));
    }
    validate_steps(given, strategy)?;
    validate_ranges(given)?;
    let turns = strategy == "BLUE_GREEN" && before.is_none_or(|before| before["strategy"] != "BLUE_GREEN");
    if turns && given["bakeTimeInMinutes"].is_null() {
        return invalid_parameter("bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy.");
    }
    given["lifecycleHooks"].as_array().into_iter().flatten().try_for_each(validate_hook)?;
    validate_load_balancers(strategy, members)
}

/// Steps only with the strategy that takes them.
fn validate_steps(given: &Value, strategy: &str) -> Validation {
    for (member, owner) in [("linearConfiguration", "LINEAR"), ("canaryConfiguration", "CANARY")] {
        if given[member].is_object() && strategy != owner {
            return invalid_parameter(format!(
                "{member} is only valid with the {owner} deployment strategy."
            ));
        }
    }
    Ok(())
}

fn validate_ranges(given: &Value) -> Validation {
    validate_minutes(&given["bakeTimeInMinutes"], "bakeTimeInMinutes")?;
    let (canary, linear) = (&given["canaryConfiguration"], &given["linearConfiguration"]);
    validate_minutes(&canary["canaryBakeTimeInMinutes"], "canaryBakeTimeInMinutes")?;
    validate_minutes(&linear["stepBakeTimeInMinutes"], "stepBakeTimeInMinutes")?;
    validate_percent(&canary["canaryPercent"], "canaryPercent", 0.1)?;
    validate_percent(&linear["stepPercent"], "stepPercent", 3.0)
}

fn validate_minutes(value: &Value, name: &str) -> Validation {
    match value {
        Value::Null => Ok(()),
        _ if value.as_i64().is_some_and(|minutes| (0..=1440).contains(&minutes)) => Ok(()),
        _ => invalid_parameter(format!("{name} must be between 0 and 1440.")),
    }
}

fn validate_percent(value: &Value, name: &str, least: f64) -> Validation {
    let Some(percent) = value.as_f64() else { return Ok(()) };
    let tenths = percent * 10.0;
    if (least..=100.0).contains(&percent) && (tenths - tenths.round()).abs() < 1e-6 {
        return Ok(());
    }
    invalid_parameter(format!("{name} must be a multiple of 0.1 between {least} and 100.0."))
}

/// Stages at which hooks of any kind, and of functions only, may fire.
const HOOK_STAGES: [&str; 6] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "POST_SCALE_UP",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRE_PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
];
const SHIFT_STAGES: [&str; 2] = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];

fn validate_hook(hook: &Value) -> Validation {
    let stages = str_list_field(hook, "lifecycleStages");
    if stages.is_empty() {
        return invalid_parameter("lifecycleStages is required for a lifecycle hook.");
    }
    if let Some(stage) =
        stages.iter().find(|stage| !HOOK_STAGES.contains(stage) && !SHIFT_STAGES.contains(stage))
    {
        return invalid_parameter(format!("Invalid lifecycle stage {stage}."));
    }
    validate_timeout(&hook["timeoutConfiguration"])?;
    let has = |member: &str| hook[member].is_string();
    match str_field(hook, "targetType").unwrap_or("AWS_LAMBDA") {
        "AWS_LAMBDA" if has("hookTargetArn") && has("roleArn") => Ok(()),
        "AWS_LAMBDA" => invalid_parameter(
            "hookTargetArn and roleArn are required for a lifecycle hook of type AWS_LAMBDA.",
        ),
        "PAUSE" if has("hookTargetArn") || has("roleArn") => {
            invalid_parameter("hookTargetArn and roleArn are not valid for a lifecycle hook of type PAUSE.")
        }
        "PAUSE" if stages.iter().any(|stage| SHIFT_STAGES.contains(stage)) => {
            invalid_parameter("A lifecycle hook of type PAUSE is not supported at a traffic shift stage.")
        }
        "PAUSE" => Ok(()),
        other => invalid_parameter(format!("Invalid lifecycle hook target type {other}.")),
    }
}

fn validate_timeout(limit: &Value) -> Validation {
    let minutes = &limit["timeoutInMinutes"];
    if !minutes.is_null() && !minutes.as_i64().is_some_and(|minutes| (1..=20_160).contains(&minutes)) {
        return invalid_parameter("timeoutInMinutes must be between 1 and 20160.");
    }
    match str_field(limit, "action") {
        None | Some("ROLLBACK" | "CONTINUE") => Ok(()),
        Some(other) => invalid_parameter(format!("Invalid timeout action {other}.")),
    }
}

/// In stages every load balancer needs a pair of target groups and a rule. The message is one that AWS was seen to give.
fn validate_load_balancers(strategy: &str, members: &Map<String, Value>) -> Validation {
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
        return Err(ServiceError::new("ClientException", message));
    }
    Ok(())
}

/// Steps of another strategy do not outlive a change of strategy.
pub(super) fn remove_other_steps(configuration: &mut Value) {
    let strategy = str_field(configuration, "strategy").unwrap_or("ROLLING").to_owned();
    if let Some(members) = configuration.as_object_mut() {
        for (member, owner) in [("linearConfiguration", "LINEAR"), ("canaryConfiguration", "CANARY")] {
            if strategy != owner {
                members.remove(member);
            }
        }
    }
}
