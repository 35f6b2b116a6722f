//! Listeners and rules of load balancers: what is known of them, how they are shown, how a rule is modified.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::call::{Answer, Refusal};
use super::super::members::{count, list, page, text, texts};
use super::super::world::World;
use super::forward;

/// All listeners and rules, by ARN.
#[derive(Debug, Clone, Default)]
pub struct Balancing {
    /// Listeners.
    pub listeners: BTreeMap<String, Listener>,
    /// Rules.
    pub rules: BTreeMap<String, Rule>,
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
pub struct Rule {
    /// ARN of its listener.
    pub listener: String,
    /// Priority, or `default`.
    pub priority: String,
    /// Conditions, as the API shows them.
    pub conditions: Vec<Value>,
    /// Actions, as the API shows them.
    pub actions: Vec<Value>,
}

fn no_rule() -> Refusal {
    Refusal::new("RuleNotFound", "One or more rules not found")
}

fn no_listener() -> Refusal {
    Refusal::new("ListenerNotFound", "One or more listeners not found")
}

/// DescribeListeners, of a load balancer or by ARN.
pub fn listeners(world: &World, input: &Value) -> Answer {
    let (arns, balancer) = (texts(input, "ListenerArns"), text(input, "LoadBalancerArn"));
    let all = &world.balancing.listeners;
    if arns.iter().any(|arn| !all.contains_key(arn)) {
        return Err(no_listener());
    }
    if !balancer.is_empty() && all.values().all(|it| it.balancer != balancer) {
        return Err(Refusal::new("LoadBalancerNotFound", "One or more load balancers not found"));
    }
    if arns.is_empty() && balancer.is_empty() {
        let words = "You must specify either listener ARNs or a load balancer ARN";
        return Err(Refusal::new("ValidationError", words));
    }
    let wanted = |(arn, it): &(&String, &Listener)| {
        if arns.is_empty() { it.balancer == balancer } else { arns.contains(arn) }
    };
    let found = all.iter().filter(wanted).map(|(arn, it)| listener(world, arn, it)).collect();
    paged(found, input, "Listeners")
}

fn paged(found: Vec<Value>, input: &Value, member: &str) -> Answer {
    let (found, next) = page(found, count(input, "PageSize").unwrap_or(400), text(input, "Marker"))
        .ok_or_else(|| Refusal::new("ValidationError", "The marker is not valid"))?;
    let mut answer = Map::from_iter([(member.to_owned(), Value::from(found))]);
    answer.insert("NextMarker".into(), next.map_or(Value::Null, Value::from));
    Ok(answer.into())
}

fn listener(world: &World, arn: &str, it: &Listener) -> Value {
    let default =
        world.balancing.rules.values().find(|rule| rule.listener == arn && rule.priority == "default");
    json!({
        "ListenerArn": arn, "LoadBalancerArn": it.balancer, "Port": it.port, "Protocol": "HTTP",
        "DefaultActions": default.map(|rule| rule.actions.clone()).unwrap_or_default(),
    })
}

/// DescribeRules, of a listener or by ARN.
pub fn rules(world: &World, input: &Value) -> Answer {
    let (arns, of) = (texts(input, "RuleArns"), text(input, "ListenerArn"));
    let all = &world.balancing.rules;
    if arns.iter().any(|arn| !all.contains_key(arn)) {
        return Err(no_rule());
    }
    if !of.is_empty() && !world.balancing.listeners.contains_key(of) {
        return Err(no_listener());
    }
    if arns.is_empty() == of.is_empty() {
        let words = "You must specify either rule ARNs or a listener ARN";
        return Err(Refusal::new("ValidationError", words));
    }
    let wanted =
        |(arn, it): &(&String, &Rule)| if of.is_empty() { arns.contains(arn) } else { it.listener == of };
    paged(all.iter().filter(wanted).map(|(arn, it)| rule(arn, it)).collect(), input, "Rules")
}

/// A rule as the API shows it. A single forward carries its group twice, as AWS does.
fn rule(arn: &str, it: &Rule) -> Value {
    json!({
        "RuleArn": arn, "Priority": it.priority, "IsDefault": it.priority == "default",
        "Conditions": it.conditions,
        "Actions": it.actions.iter().map(shown).collect::<Vec<_>>(),
    })
}

fn shown(action: &Value) -> Value {
    let mut action = action.clone();
    // AWS never shows the secret of an OIDC client.
    if let Some(oidc) = action.get_mut("AuthenticateOidcConfig").and_then(Value::as_object_mut) {
        oidc.remove("ClientSecret");
    }
    action
}

/// ModifyRule: the lists that are given replace the rule's whole lists.
pub fn modify(world: &mut World, input: &Value) -> Answer {
    let arn = text(input, "RuleArn");
    let Some(known) = world.balancing.rules.get(arn) else { return Err(no_rule()) };
    if known.priority == "default" {
        return Err(Refusal::new(
            "OperationNotPermitted",
            "Default rule '".to_owned() + arn + "' cannot be modified",
        ));
    }
    let actions: Vec<Value> = list(input, "Actions").iter().map(typed).collect();
    if !actions.is_empty() {
        forward::check(world, &actions)?;
        secrets(&known.actions, &actions)?;
    }
    let conditions = list(input, "Conditions");
    let Some(it) = world.balancing.rules.get_mut(arn) else { return Err(no_rule()) };
    if !actions.is_empty() {
        it.actions = actions;
    }
    if !conditions.is_empty() {
        it.conditions = conditions.to_vec();
    }
    Ok(json!({ "Rules": [rule(arn, it)] }))
}

/// A form carries text only; the flags of an action are booleans.
fn typed(action: &Value) -> Value {
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
fn secrets(known: &[Value], given: &[Value]) -> Result<(), Refusal> {
    let oidc = |action: &&Value| text(action, "Type") == "authenticate-oidc";
    let had = known.iter().any(|action| oidc(&action));
    for config in given.iter().filter(oidc).map(|action| &action["AuthenticateOidcConfig"]) {
        let keeps = had && config["UseExistingClientSecret"] == true;
        if text(config, "ClientSecret").is_empty() && !keeps {
            let words = "A client secret must be specified, or UseExistingClientSecret must be true";
            return Err(Refusal::new("InvalidLoadBalancerAction", words));
        }
    }
    Ok(())
}
