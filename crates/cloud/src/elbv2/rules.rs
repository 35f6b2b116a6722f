//! Listeners and rules of load balancers: what is known of them, how they are shown, how a rule is modified.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::input::{count_field, list_field, paginate, str_field, str_list_field};
use super::super::request::{ServiceError, ServiceResult};
use super::super::world::World;
use super::forward;

/// All listeners and rules, by ARN.
#[derive(Debug, Clone, Default)]
pub struct LoadBalancing {
    /// Listeners.
    pub listeners: BTreeMap<String, Listener>,
    /// Rules.
    pub rules: BTreeMap<String, ListenerRule>,
}

/// A listener of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// ARN of its load balancer.
    pub balancer: String,
    /// Port.
    pub port: u16,
}

/// A rule of a listener.
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerRule {
    /// ARN of its listener.
    pub listener: String,
    /// Priority, or `default`.
    pub priority: String,
    /// Conditions, as the API shows them.
    pub conditions: Vec<Value>,
    /// Actions, as the API shows them.
    pub actions: Vec<Value>,
}

fn rule_not_found() -> ServiceError {
    ServiceError::new("RuleNotFound", "One or more rules not found")
}

fn listener_not_found() -> ServiceError {
    ServiceError::new("ListenerNotFound", "One or more listeners not found")
}

/// DescribeListeners, of a load balancer or by ARN.
pub fn describe_listeners(world: &World, input: &Value) -> ServiceResult {
    let (arns, balancer) = (str_list_field(input, "ListenerArns"), str_field(input, "LoadBalancerArn"));
    let all = &world.load_balancing.listeners;
    if arns.iter().any(|arn| !all.contains_key(arn)) {
        return Err(listener_not_found());
    }
    if !balancer.is_empty() && all.values().all(|it| it.balancer != balancer) {
        return Err(ServiceError::new("LoadBalancerNotFound", "One or more load balancers not found"));
    }
    if arns.is_empty() && balancer.is_empty() {
        let words = "You must specify either listener ARNs or a load balancer ARN";
        return Err(ServiceError::new("ValidationError", words));
    }
    let wanted = |(arn, it): &(&String, &Listener)| {
        if arns.is_empty() { it.balancer == balancer } else { arns.contains(arn) }
    };
    let found = all.iter().filter(wanted).map(|(arn, it)| listener_response(world, arn, it)).collect();
    page_response(found, input, "Listeners")
}

fn page_response(found: Vec<Value>, input: &Value, member: &str) -> ServiceResult {
    let (found, next) =
        paginate(found, count_field(input, "PageSize").unwrap_or(400), str_field(input, "Marker"))
            .ok_or_else(|| ServiceError::new("ValidationError", "The marker is not valid"))?;
    let mut answer = Map::from_iter([(member.to_owned(), Value::from(found))]);
    answer.insert("NextMarker".into(), next.map_or(Value::Null, Value::from));
    Ok(answer.into())
}

fn listener_response(world: &World, arn: &str, it: &Listener) -> Value {
    let default =
        world.load_balancing.rules.values().find(|rule| rule.listener == arn && rule.priority == "default");
    json!({
        "ListenerArn": arn, "LoadBalancerArn": it.balancer, "Port": it.port, "Protocol": "HTTP",
        "DefaultActions": default.map(|rule| rule.actions.clone()).unwrap_or_default(),
    })
}

/// DescribeRules, of a listener or by ARN.
pub fn describe_rules(world: &World, input: &Value) -> ServiceResult {
    let (arns, of) = (str_list_field(input, "RuleArns"), str_field(input, "ListenerArn"));
    let all = &world.load_balancing.rules;
    if arns.iter().any(|arn| !all.contains_key(arn)) {
        return Err(rule_not_found());
    }
    if !of.is_empty() && !world.load_balancing.listeners.contains_key(of) {
        return Err(listener_not_found());
    }
    if arns.is_empty() == of.is_empty() {
        let words = "You must specify either rule ARNs or a listener ARN";
        return Err(ServiceError::new("ValidationError", words));
    }
    let wanted = |(arn, it): &(&String, &ListenerRule)| {
        if of.is_empty() { arns.contains(arn) } else { it.listener == of }
    };
    page_response(all.iter().filter(wanted).map(|(arn, it)| rule_response(arn, it)).collect(), input, "Rules")
}

/// A rule as the API shows it. A single forward carries its group twice, as AWS does.
fn rule_response(arn: &str, it: &ListenerRule) -> Value {
    json!({
        "RuleArn": arn, "Priority": it.priority, "IsDefault": it.priority == "default",
        "Conditions": it.conditions,
        "Actions": it.actions.iter().map(action_response).collect::<Vec<_>>(),
    })
}

fn action_response(action: &Value) -> Value {
    let mut action = action.clone();
    // AWS never shows the secret of an OIDC client.
    if let Some(oidc) = action.get_mut("AuthenticateOidcConfig").and_then(Value::as_object_mut) {
        oidc.remove("ClientSecret");
    }
    action
}

/// ModifyRule: the lists that are given replace the rule's whole lists.
pub fn modify_rule(world: &mut World, input: &Value) -> ServiceResult {
    let arn = str_field(input, "RuleArn");
    let Some(known) = world.load_balancing.rules.get(arn) else { return Err(rule_not_found()) };
    if known.priority == "default" {
        return Err(ServiceError::new(
            "OperationNotPermitted",
            "Default rule '".to_owned() + arn + "' cannot be modified",
        ));
    }
    let actions: Vec<Value> = list_field(input, "Actions").iter().map(parse_action).collect();
    if !actions.is_empty() {
        forward::validate_actions(world, &actions)?;
        validate_client_secrets(&known.actions, &actions)?;
    }
    let conditions = list_field(input, "Conditions");
    let Some(it) = world.load_balancing.rules.get_mut(arn) else { return Err(rule_not_found()) };
    if !actions.is_empty() {
        it.actions = actions;
    }
    if !conditions.is_empty() {
        it.conditions = conditions.to_vec();
    }
    Ok(json!({ "Rules": [rule_response(arn, it)] }))
}

/// A form carries text only; the flags of an action are booleans.
fn parse_action(action: &Value) -> Value {
    let mut action = action.clone();
    for (config, flag) in [
        ("AuthenticateOidcConfig", "/UseExistingClientSecret"),
        ("ForwardConfig", "/TargetGroupStickinessConfig/Enabled"),
    ] {
        if let Some(value) = action.get_mut(config).and_then(|config| config.pointer_mut(flag))
            && let Some(text) = value.as_str()
        {
            *value = (text == "true").into();
        }
    }
    action
}

/// An OIDC action needs its client secret, or the word that the known one is kept.
fn validate_client_secrets(known: &[Value], given: &[Value]) -> Result<(), ServiceError> {
    let oidc = |action: &&Value| str_field(action, "Type") == "authenticate-oidc";
    let had = known.iter().any(|action| oidc(&action));
    for config in given.iter().filter(oidc).map(|action| &action["AuthenticateOidcConfig"]) {
        let keeps = had && config["UseExistingClientSecret"] == true;
        if str_field(config, "ClientSecret").is_empty() && !keeps {
            let words = "A client secret must be specified, or UseExistingClientSecret must be true";
            return Err(ServiceError::new("InvalidLoadBalancerAction", words));
        }
    }
    Ok(())
}
