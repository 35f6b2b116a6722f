//! Application Auto Scaling: the scalable targets that clients register, and that nothing scales by itself here. By the API
//! reference of RegisterScalableTarget, DescribeScalableTargets and DeregisterScalableTarget.

use serde_json::{Value, json};

use crate::input::{count_field, paginate, str_field, str_list_field};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service::{ErrorCodes, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// Application Auto Scaling.
pub struct AutoScaling;

static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON.with_internal(500, "InternalServiceException");

impl Service for AutoScaling {
    fn name(&self) -> &'static str {
        "application-autoscaling"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::AwsJson { target: "AnyScaleFrontendService" }
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "RegisterScalableTarget" => register(world, &call.input, now),
            "DeregisterScalableTarget" => deregister(world, &call.input),
            "DescribeScalableTargets" => describe_targets(world, &call.input),
            "DescribeScalingPolicies" => describe_nothing(&call.input, "ScalingPolicies"),
            "DescribeScheduledActions" => describe_nothing(&call.input, "ScheduledActions"),
            "DescribeScalingActivities" => describe_nothing(&call.input, "ScalingActivities"),
            _ => Err(unsupported_operation(call)),
        }
    }
}

/// What names a target.
const KEY: [&str; 3] = ["ServiceNamespace", "ResourceId", "ScalableDimension"];

fn same_target(target: &Value, input: &Value) -> bool {
    KEY.iter().all(|member| target[*member] == input[*member])
}

fn validate_key(input: &Value, required: &[&str]) -> Result<(), ServiceError> {
    match required.iter().find(|member| str_field(input, member).is_empty()) {
        Some(member) => {
            let words = format!(
                "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
            );
            Err(ServiceError::new("ValidationException", words))
        }
        None => Ok(()),
    }
}

/// A target that is registered again keeps what the call does not name.
fn register(world: &mut World, input: &Value, now: f64) -> ServiceResult {
    validate_key(input, &KEY)?;
    let known = world.scalable_targets.iter().position(|target| same_target(target, input));
    let mut target = known.map_or_else(|| json!({}), |index| world.scalable_targets[index].clone());
    let limits = |member: &str| {
        let given = input[member].as_i64().or(target[member].as_i64());
        let words = format!("{member} is required to register a new scalable target.");
        given.ok_or_else(|| ServiceError::new("ValidationException", words))
    };
    let (least, most) = (limits("MinCapacity")?, limits("MaxCapacity")?);
    if least > most {
        let words = "Maximum capacity cannot be less than minimum capacity";
        return Err(ServiceError::new("ValidationException", words));
    }
    for member in KEY {
        target[member] = input[member].clone();
    }
    (target["MinCapacity"], target["MaxCapacity"]) = (least.into(), most.into());
    if target["CreationTime"].is_null() {
        target["CreationTime"] = now.into();
        target["SuspendedState"] = json!({"DynamicScalingInSuspended": false, "DynamicScalingOutSuspended": false,
                                          "ScheduledScalingSuspended": false});
        target["RoleARN"] = format!(
            "arn:aws:iam::{}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
            world.account
        )
        .into();
    }
    match known {
        Some(index) => world.scalable_targets[index] = target,
        None => world.scalable_targets.push(target),
    }
    Ok(json!({}))
}

fn deregister(world: &mut World, input: &Value) -> ServiceResult {
    validate_key(input, &KEY)?;
    let before = world.scalable_targets.len();
    world.scalable_targets.retain(|target| !same_target(target, input));
    if world.scalable_targets.len() == before {
        let words = format!("No scalable target found for resource ID: {}", str_field(input, "ResourceId"));
        return Err(ServiceError::new("ObjectNotFoundException", words));
    }
    Ok(json!({}))
}

fn describe_targets(world: &World, input: &Value) -> ServiceResult {
    validate_key(input, &["ServiceNamespace"])?;
    let wanted = str_list_field(input, "ResourceIds");
    let fits = |target: &&Value| {
        target["ServiceNamespace"] == input["ServiceNamespace"]
            && (wanted.is_empty() || wanted.iter().any(|id| target["ResourceId"] == id.as_str()))
            && (input["ScalableDimension"].is_null()
                || target["ScalableDimension"] == input["ScalableDimension"])
    };
    page(input, world.scalable_targets.iter().filter(fits).cloned().collect(), "ScalableTargets")
}

/// There are no policies, scheduled actions and activities.
fn describe_nothing(input: &Value, member: &str) -> ServiceResult {
    validate_key(input, &["ServiceNamespace"])?;
    page(input, Vec::new(), member)
}

fn page(input: &Value, all: Vec<Value>, member: &str) -> ServiceResult {
    let size = count_field(input, "MaxResults").unwrap_or(50).min(50);
    let (page, next) = paginate(all, size, str_field(input, "NextToken"))
        .ok_or_else(|| ServiceError::new("InvalidNextTokenException", "Invalid next token."))?;
    let mut answer = json!({ member: page });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str) -> Value {
        json!({"ServiceNamespace": "ecs", "ResourceId": id, "ScalableDimension": "ecs:service:DesiredCount"})
    }

    #[test]
    fn registered_targets_are_described_by_resource() {
        let mut world = World::default();
        let asked = json!({"ServiceNamespace": "ecs"});
        assert_eq!(describe_targets(&world, &asked).unwrap(), json!({"ScalableTargets": []}));
        for id in ["service/acme/web", "service/acme/api"] {
            let mut input = target(id);
            assert_eq!(register(&mut world, &input, 1.0).unwrap_err().code, "ValidationException");
            (input["MinCapacity"], input["MaxCapacity"]) = (1.into(), 4.into());
            register(&mut world, &input, 1.0).unwrap();
        }
        let mut again = target("service/acme/web");
        again["MaxCapacity"] = 8.into();
        register(&mut world, &again, 2.0).unwrap();
        let one = json!({"ServiceNamespace": "ecs", "ResourceIds": ["service/acme/web"]});
        let answer = describe_targets(&world, &one).unwrap();
        let shown = &answer["ScalableTargets"][0];
        assert_eq!(answer["ScalableTargets"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&shown["MinCapacity"], &shown["MaxCapacity"], &shown["CreationTime"]),
            (&json!(1), &json!(8), &json!(1.0))
        );
        deregister(&mut world, &again).unwrap();
        assert_eq!(deregister(&mut world, &again).unwrap_err().code, "ObjectNotFoundException");
        assert_eq!(describe_targets(&world, &json!({})).unwrap_err().code, "ValidationException");
    }
}
