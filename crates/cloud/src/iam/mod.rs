//! IAM: what a principal may do, by the policy of the scenario.

use serde_json::{Value, json};

use crate::admission;
use crate::ecs::task_definitions;
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
            "GetRole" => get_role(world, &call.input),
            _ => Err(unsupported_operation(call)),
        }
    }
}

/// Who may assume a role of tasks, as GetRole has it: URL-encoded by RFC 3986.
const TASK_TRUST: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C\
                          %22Principal%22%3A%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D%2C\
                          %22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";

/// A role exists here if a task definition names it, or if the caller has it.
fn get_role(world: &World, input: &Value) -> ServiceResult {
    let name = str_field(input, "RoleName");
    let known = role_arns(world).find(|arn| arn.rsplit('/').next() == Some(name));
    let Some(arn) = known.filter(|_| !name.is_empty()) else {
        let words = format!("The role with name {name} cannot be found.");
        return Err(ServiceError::with_status(404, "NoSuchEntity", words));
    };
    let path = arn.split_once(":role").and_then(|(_, path)| path.strip_suffix(name)).unwrap_or("/");
    Ok(json!({"Role": {
        "Path": path, "RoleName": name, "RoleId": "AROAEMULATEDROLE00001", "Arn": arn,
        "CreateDate": "2020-01-01T00:00:00Z", "AssumeRolePolicyDocument": TASK_TRUST, "MaxSessionDuration": 3600,
    }}))
}

fn role_arns(world: &World) -> impl Iterator<Item = String> {
    let full = move |role: &str| match role.starts_with("arn:") {
        true => role.to_owned(),
        false => format!("arn:aws:iam::{}:role/{role}", world.account),
    };
    let of_callers =
        world.sessions.values().map(|session| session.arn.as_str()).chain([world.caller.as_str()]);
    let of_callers = of_callers.filter_map(|arn| arn.split_once(":assumed-role/")?.1.split('/').next());
    task_definitions::named_roles(world).chain(of_callers).map(full)
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

    #[test]
    fn role_of_a_definition_or_of_the_caller_exists() {
        let caller = "arn:aws:sts::111111111111:assumed-role/deploy/run-1".to_owned();
        let world = World { account: "111111111111".into(), caller, ..World::default() };
        let role = get_role(&world, &json!({"RoleName": "deploy"})).unwrap();
        assert_eq!(role["Role"]["Arn"], "arn:aws:iam::111111111111:role/deploy");
        assert_eq!(role["Role"]["Path"], "/");
        let missing = get_role(&world, &json!({"RoleName": "deployer"})).unwrap_err();
        assert_eq!((missing.code.as_str(), missing.status), ("NoSuchEntity", 404));
    }
}
