//! Target groups, and the health of their targets.

use serde_json::{Value, json};

use super::super::call::{Answer, Refusal};
use super::super::members::{count, list, page, text, texts};
use super::super::world::{TargetState, World};
use super::forward;

fn no_group() -> Refusal {
    Refusal::new("TargetGroupNotFound", "One or more target groups not found")
}

/// DescribeTargetHealth.
pub fn health(world: &World, input: &Value) -> Answer {
    let targets = world.targets.get(text(input, "TargetGroupArn")).ok_or_else(no_group)?;
    let asked = list(input, "Targets");
    let descriptions: Vec<Value> = if asked.is_empty() {
        targets.iter().map(|target| described(world, target)).collect()
    } else {
        asked.iter().flat_map(|wanted| picked(world, targets, wanted)).collect()
    };
    Ok(json!({ "TargetHealthDescriptions": descriptions }))
}

/// What is known of one asked target: one description for each of its ports, or that it is not registered.
fn picked(world: &World, targets: &[TargetState], wanted: &Value) -> Vec<Value> {
    let port = count(wanted, "Port");
    let matches = |target: &&TargetState| {
        target.id == text(wanted, "Id") && port.is_none_or(|port| port == usize::from(target.port))
    };
    let found: Vec<Value> = targets.iter().filter(matches).map(|target| described(world, target)).collect();
    if !found.is_empty() {
        return found;
    }
    vec![json!({
        "Target": { "Id": wanted.get("Id"), "Port": wanted.get("Port") },
        "TargetHealth": {
            "State": "unused", "Reason": "Target.NotRegistered",
            "Description": "Target is not registered to the target group",
        },
    })]
}

fn described(world: &World, target: &TargetState) -> Value {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "Target": { "Id": target.id, "Port": target.port, "AvailabilityZone": format!("{}a", world.region) },
        "HealthCheckPort": target.port.to_string(),
        "TargetHealth": {
            "State": target.state, "Reason": some(&target.reason), "Description": some(&target.description),
        },
    })
}

/// DescribeTargetGroups, all of them, by name, by ARN or of a load balancer.
pub fn groups(world: &World, input: &Value) -> Answer {
    let (arns, names) = (texts(input, "TargetGroupArns"), texts(input, "Names"));
    let known = |arn: &String| arns.contains(arn) || names.iter().any(|wanted| wanted == name(arn));
    let of = text(input, "LoadBalancerArn");
    let all = arns.is_empty() && names.is_empty() && of.is_empty();
    let wanted =
        |arn: &&String| all || known(arn) || !of.is_empty() && balancers(world, arn).contains(&of.into());
    let found: Vec<Value> = world.targets.keys().filter(wanted).map(|arn| group(world, arn)).collect();
    if found.len() < arns.len().max(names.len()) {
        return Err(no_group());
    }
    let (groups, next) = page(found, count(input, "PageSize").unwrap_or(400), text(input, "Marker"))
        .ok_or_else(|| Refusal::new("ValidationError", "The marker is not valid"))?;
    Ok(json!({ "TargetGroups": groups, "NextMarker": next }))
}

/// `arn:…:targetgroup/NAME/ID` → `NAME`.
fn name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

/// Load balancers whose rules forward to a group.
fn balancers(world: &World, arn: &str) -> Vec<String> {
    let all = &world.balancing;
    let named = |actions: &[Value]| forward::weights(actions).iter().any(|(group, _)| group == arn);
    let rules = all.rules.values().filter(|rule| named(&rule.actions));
    let mut found: Vec<String> =
        rules.filter_map(|rule| Some(all.listeners.get(&rule.listener)?.balancer.clone())).collect();
    found.dedup();
    found
}

/// A target group for tasks, with AWS's defaults for its health check.
fn group(world: &World, arn: &str) -> Value {
    json!({
        "TargetGroupArn": arn, "TargetGroupName": name(arn), "Protocol": "HTTP", "ProtocolVersion": "HTTP1",
        "Port": 80, "TargetType": "ip", "IpAddressType": "ipv4", "LoadBalancerArns": balancers(world, arn),
        "HealthCheckEnabled": true, "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port",
        "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "Matcher": { "HttpCode": "200" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/backend/0123456789abcdef";

    fn world() -> World {
        let target = |id: &str, state: &str, reason: &str| TargetState {
            id: id.into(),
            port: 8080,
            state: state.into(),
            reason: reason.into(),
            description: reason.into(),
        };
        let targets =
            vec![target("10.0.0.1", "healthy", ""), target("10.0.0.2", "unhealthy", "Target.Timeout")];
        World { region: "eu-west-1".into(), targets: [(GROUP.into(), targets)].into(), ..World::default() }
    }

    #[test]
    fn every_target_or_those_asked_for() {
        let all = health(&world(), &json!({ "TargetGroupArn": GROUP })).unwrap();
        assert_eq!(all["TargetHealthDescriptions"].as_array().unwrap().len(), 2);
        assert_eq!(all["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"], Value::Null);
        let asked = json!({ "TargetGroupArn": GROUP, "Targets": [{ "Id": "10.0.0.2", "Port": 8080 }, { "Id": "10.9.9.9" }] });
        let some = health(&world(), &asked).unwrap();
        let states: Vec<&str> = some["TargetHealthDescriptions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|described| text(&described["TargetHealth"], "Reason"))
            .collect();
        assert_eq!(states, ["Target.Timeout", "Target.NotRegistered"]);
    }

    #[test]
    fn a_group_that_does_not_exist_is_not_found() {
        assert_eq!(health(&world(), &json!({ "TargetGroupArn": "arn:x" })).unwrap_err(), no_group());
        assert_eq!(groups(&world(), &json!({ "Names": ["backend", "x"] })).unwrap_err(), no_group());
        assert_eq!(
            groups(&world(), &json!({ "Names": ["backend"] })).unwrap()["TargetGroups"][0]["TargetGroupArn"],
            GROUP
        );
    }
}
