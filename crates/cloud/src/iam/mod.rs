//! IAM: what a principal may do, by the policy of the scenario.

use serde_json::{Value, json};

use crate::admission;
use crate::input::{count_field, paginate, str_field, str_list_field};
use crate::policy::Denial;
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::service::{ErrorCodes, QueryApi, Service, ServiceProtocol, unsupported_operation};
use crate::world::World;

/// AWS IAM.
pub struct Iam;

impl Service for Iam {
    fn name(&self) -> &'static str {
        "iam"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Query(QueryApi {
            version: "2010-05-08",
            namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
        })
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ErrorCodes::AWS_QUERY
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, _now: f64) -> ServiceResult {
        match call.operation.as_str() {
            "SimulatePrincipalPolicy" => simulate_policy(world, &call.input),
            _ => Err(unsupported_operation(call)),
        }
    }
}

fn simulate_policy(world: &World, input: &Value) -> ServiceResult {
    let source = str_field(input, "PolicySourceArn");
    // A session's ARN is refused: a client must name the role that the session belongs to.
    let principal = ["user/", "role/", "group/"].iter().any(|kind| {
        source
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(_, e)| e.starts_with(kind))
    });
    if !principal {
        let words = format!("Invalid Entity Arn: {source} does not clearly define entity type and name.");
        return Err(ServiceError::new("InvalidInput", words));
    }
    let (actions, resources) = (str_list_field(input, "ActionNames"), str_list_field(input, "ResourceArns"));
    let results = actions.iter().map(|action| evaluation_result(world, action, &resources)).collect();
    let (results, marker) =
        paginate(results, count_field(input, "MaxItems").unwrap_or(100), str_field(input, "Marker"))
            .ok_or_else(|| ServiceError::new("InvalidInput", "Invalid Marker"))?;
    Ok(json!({ "EvaluationResults": results, "IsTruncated": marker.is_some(), "Marker": marker }))
}

fn evaluation_result(world: &World, action: &str, resources: &[String]) -> Value {
    let decision = match admission::simulate_action(world, action) {
        None => "allowed",
        Some(Denial::Explicit) => "explicitDeny",
        Some(Denial::Implicit) => "implicitDeny",
    };
    let each = |resource: &String| {
        json!({
            "EvalResourceName": resource, "EvalResourceDecision": decision,
            "MatchedStatements": [], "MissingContextValues": [],
        })
    };
    json!({
        "EvalActionName": action,
        "EvalResourceName": resources.first().map_or("*", String::as_str),
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": [],
        "ResourceSpecificResults": resources.iter().map(each).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::CallerPolicy;

    #[test]
    fn each_action_is_decided_and_a_session_is_no_principal() {
        let allow_some = CallerPolicy { allow: vec!["ecs:*".into()], deny: vec!["ecs:Stop*".into()] };
        let world = World { policy: allow_some, ..World::default() };
        let mut input = json!({
            "PolicySourceArn": "arn:aws:iam::111111111111:role/deploy",
            "ActionNames": ["ecs:UpdateService", "ecs:StopServiceDeployment", "ecr:PutImage"],
        });
        let answer = simulate_policy(&world, &input).unwrap();
        let decisions: Vec<&str> = answer["EvaluationResults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| str_field(r, "EvalDecision"))
            .collect();
        assert_eq!(decisions, ["allowed", "explicitDeny", "implicitDeny"]);
        assert_eq!(answer["IsTruncated"], json!(false));
        input["PolicySourceArn"] = json!("arn:aws:sts::111111111111:assumed-role/deploy/x");
        assert_eq!(simulate_policy(&world, &input).unwrap_err().code, "InvalidInput");
    }
}
