//! Forward actions: reading and setting the weights of their target groups, and AWS's checks of them.

use serde_json::{Value, json};

use super::super::input::{list_field, str_field};
use super::super::request::ServiceError;
use super::super::world::World;

/// Target groups and weights of the forward action of a list of actions; one group without a configuration has weight 1.
pub fn forward_weights(actions: &[Value]) -> Vec<(String, u64)> {
    let Some(action) = actions.iter().find(|action| str_field(action, "Type") == "forward") else {
        return Vec::new();
    };
    let groups = list_field(&action["ForwardConfig"], "TargetGroups");
    if groups.is_empty() {
        return vec![(str_field(action, "TargetGroupArn").into(), 1)];
    }
    let weight = |group: &Value| {
        (str_field(group, "TargetGroupArn").to_owned(), group["Weight"].as_u64().unwrap_or(1))
    };
    groups.iter().map(weight).collect()
}

/// Set the weights of a rule's forward action and keep all else, as ECS does. `false` when the rule is no weighted
/// forward to exactly these groups.
pub fn set_weights(world: &mut World, rule: &str, wanted: &[(String, u64)]) -> bool {
    let Some(rule) = world.load_balancing.rules.get_mut(rule) else { return false };
    if !forwards_to(&rule.actions, wanted) {
        return false;
    }
    let Some(action) = rule.actions.iter_mut().find(|action| str_field(action, "Type") == "forward") else {
        return false;
    };
    let groups: Vec<Value> =
        wanted.iter().map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight})).collect();
    action["ForwardConfig"]["TargetGroups"] = groups.into();
    if let Some(action) = action.as_object_mut() {
        action.remove("TargetGroupArn");
    }
    true
}

/// Whether a list of actions forwards to all of these groups and to no other.
pub fn forwards_to(actions: &[Value], wanted: &[(String, u64)]) -> bool {
    let known = forward_weights(actions);
    known.len() == wanted.len() && wanted.iter().all(|(arn, _)| known.iter().any(|(other, _)| other == arn))
}

/// What AWS refuses of the actions of a rule. Weights that are all zero pass: then all traffic is lost.
pub fn validate_actions(world: &World, actions: &[Value]) -> Result<(), ServiceError> {
    let invalid = |words: &str| Err(ServiceError::new("ValidationError", words));
    let kinds: Vec<&str> = actions.iter().map(|action| str_field(action, "Type")).collect();
    let ends = |kind: &&&str| ["forward", "redirect", "fixed-response"].contains(*kind);
    if kinds.iter().filter(ends).count() != 1 || !kinds.last().is_some_and(|last| ends(&last)) {
        let words = "The last action must be exactly one of forward, redirect or fixed-response";
        return Err(ServiceError::new("InvalidLoadBalancerAction", words));
    }
    for action in actions.iter().filter(|action| str_field(action, "Type") == "forward") {
        let groups = list_field(&action["ForwardConfig"], "TargetGroups");
        if groups.is_empty() && str_field(action, "TargetGroupArn").is_empty() {
            return invalid("You must specify a target group");
        }
        let weight = |group: &Value| group["Weight"].as_i64().unwrap_or(1);
        if groups.iter().any(|group| !(0..=999).contains(&weight(group))) {
            return invalid("Weight must be between 0 and 999");
        }
        let direct = str_field(action, "TargetGroupArn");
        if !direct.is_empty() && groups.iter().any(|group| str_field(group, "TargetGroupArn") != direct) {
            return invalid("TargetGroupArn and ForwardConfig must name the same single target group");
        }
        validate_stickiness(&action["ForwardConfig"]["TargetGroupStickinessConfig"])?;
        if forward_weights(actions).iter().any(|(arn, _)| !world.targets.contains_key(arn)) {
            return Err(ServiceError::new("TargetGroupNotFound", "One or more target groups not found"));
        }
    }
    Ok(())
}

fn validate_stickiness(config: &Value) -> Result<(), ServiceError> {
    let lasts = config["DurationSeconds"].as_i64();
    if config["Enabled"] == true && !lasts.is_some_and(|seconds| (1..=604_800).contains(&seconds)) {
        let words = "Target group stickiness duration must be between 1 and 604800 seconds";
        return Err(ServiceError::new("ValidationError", words));
    }
    Ok(())
}
