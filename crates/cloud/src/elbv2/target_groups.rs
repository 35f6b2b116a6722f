//! Target groups, and the health of their targets.

use serde_json::{Value, json};

use super::super::input::{count_field, list_field, paginate, str_field, str_list_field};
use super::super::request::{ServiceError, ServiceResult};
use super::super::world::{TargetState, World};
use super::forward;

fn target_group_not_found() -> ServiceError {
    ServiceError::new("TargetGroupNotFound", "One or more target groups not found")
}

/// DescribeTargetHealth.
pub fn describe_target_health(world: &World, input: &Value) -> ServiceResult {
    let targets = world.targets.get(str_field(input, "TargetGroupArn")).ok_or_else(target_group_not_found)?;
    let asked = list_field(input, "Targets");
    let descriptions: Vec<Value> = if asked.is_empty() {
        targets.iter().map(|target| health_response(world, target)).collect()
    } else {
        asked.iter().flat_map(|wanted| requested_health(world, targets, wanted)).collect()
    };
    Ok(json!({ "TargetHealthDescriptions": descriptions }))
}

/// What is known of one asked target: one description for each of its ports, or that it is not registered.
fn requested_health(world: &World, targets: &[TargetState], wanted: &Value) -> Vec<Value> {
    let port = count_field(wanted, "Port");
    let matches = |target: &&TargetState| {
        target.id == str_field(wanted, "Id") && port.is_none_or(|port| port == usize::from(target.port))
    };
    let found: Vec<Value> =
        targets.iter().filter(matches).map(|target| health_response(world, target)).collect();
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

fn health_response(world: &World, target: &TargetState) -> Value {
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
pub fn describe_target_groups(world: &World, input: &Value) -> ServiceResult {
    let (arns, names) = (str_list_field(input, "TargetGroupArns"), str_list_field(input, "Names"));
    let known = |arn: &String| arns.contains(arn) || names.iter().any(|wanted| wanted == group_name(arn));
    let of = str_field(input, "LoadBalancerArn");
    let all = arns.is_empty() && names.is_empty() && of.is_empty();
    let wanted = |arn: &&String| {
        all || known(arn) || !of.is_empty() && load_balancer_arns(world, arn).contains(&of.into())
    };
    let found: Vec<Value> =
        world.targets.keys().filter(wanted).map(|arn| group_response(world, arn)).collect();
    if found.len() < arns.len().max(names.len()) {
        return Err(target_group_not_found());
    }
    let (groups, next) =
        paginate(found, count_field(input, "PageSize").unwrap_or(400), str_field(input, "Marker"))
            .ok_or_else(|| ServiceError::new("ValidationError", "The marker is not valid"))?;
    Ok(json!({ "TargetGroups": groups, "NextMarker": next }))
}

/// `arn:…:targetgroup/NAME/ID` → `NAME`.
fn group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

/// Load balancers whose rules forward to a group.
fn load_balancer_arns(world: &World, arn: &str) -> Vec<String> {
    let all = &world.load_balancing;
    let named = |actions: &[Value]| forward::forward_weights(actions).iter().any(|(group, _)| group == arn);
    let rules = all.rules.values().filter(|rule| named(&rule.actions));
    let mut found: Vec<String> =
        rules.filter_map(|rule| Some(all.listeners.get(&rule.listener)?.balancer.clone())).collect();
    found.dedup();
    found
}

/// A target group for tasks, with AWS's defaults for its health check.
fn group_response(world: &World, arn: &str) -> Value {
    json!({
        "TargetGroupArn": arn, "TargetGroupName": group_name(arn), "Protocol": "HTTP", "ProtocolVersion": "HTTP1",
        "Port": 80, "TargetType": "ip", "IpAddressType": "ipv4", "LoadBalancerArns": load_balancer_arns(world, arn),
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
        let all = describe_target_health(&world(), &json!({ "TargetGroupArn": GROUP })).unwrap();
        assert_eq!(all["TargetHealthDescriptions"].as_array().unwrap().len(), 2);
        assert_eq!(all["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"], Value::Null);
        let asked = json!({ "TargetGroupArn": GROUP, "Targets": [{ "Id": "10.0.0.2", "Port": 8080 }, { "Id": "10.9.9.9" }] });
        let some = describe_target_health(&world(), &asked).unwrap();
        let states: Vec<&str> = some["TargetHealthDescriptions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|described| str_field(&described["TargetHealth"], "Reason"))
            .collect();
        assert_eq!(states, ["Target.Timeout", "Target.NotRegistered"]);
    }

    #[test]
    fn a_group_that_does_not_exist_is_not_found() {
        assert_eq!(
            describe_target_health(&world(), &json!({ "TargetGroupArn": "arn:x" })).unwrap_err(),
            target_group_not_found()
        );
        assert_eq!(
            describe_target_groups(&world(), &json!({ "Names": ["backend", "x"] })).unwrap_err(),
            target_group_not_found()
        );
        assert_eq!(
            describe_target_groups(&world(), &json!({ "Names": ["backend"] })).unwrap()["TargetGroups"][0]["TargetGroupArn"],
            GROUP
        );
    }
}
