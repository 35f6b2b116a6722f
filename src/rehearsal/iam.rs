//! IAM: what a principal may do, by the policy of the scenario.

use serde_json::{Value, json};

use super::call::{Answer, Call, Refusal};
use super::dispatch::not_modelled;
use super::gate;
use super::members::{count, page, text, texts};
use super::policy::Denial;
use super::world::World;

/// Answers a call to IAM.
pub fn answer(world: &World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "SimulatePrincipalPolicy" => simulate(world, &call.input),
        _ => Err(not_modelled(call)),
    }
}

fn simulate(world: &World, input: &Value) -> Answer {
    let source = text(input, "PolicySourceArn");
    // A session's ARN is refused: a client must name the role that the session belongs to.
    let principal = ["user/", "role/", "group/"].iter().any(|kind| {
        source
            .strip_prefix("arn:aws:iam::")
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(_, e)| e.starts_with(kind))
    });
    if !principal {
        let words = format!("Invalid Entity Arn: {source} does not clearly define entity type and name.");
        return Err(Refusal::new("InvalidInput", words));
    }
    let (actions, resources) = (texts(input, "ActionNames"), texts(input, "ResourceArns"));
    let results = actions.iter().map(|action| result(world, action, &resources)).collect();
    let (results, marker) = page(results, count(input, "MaxItems").unwrap_or(100), text(input, "Marker"))
        .ok_or_else(|| Refusal::new("InvalidInput", "Invalid Marker"))?;
    Ok(json!({ "EvaluationResults": results, "IsTruncated": marker.is_some(), "Marker": marker }))
}

fn result(world: &World, action: &str, resources: &[String]) -> Value {
    let decision = match gate::permits(world, action) {
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
    use crate::rehearsal::policy::Policy;

    #[test]
    fn each_action_is_decided_and_a_session_is_no_principal() {
        let allow_some = Policy { allow: vec!["ecs:*".into()], deny: vec!["ecs:Stop*".into()] };
        let world = World { policy: allow_some, ..World::default() };
        let mut input = json!({
            "PolicySourceArn": "arn:aws:iam::111111111111:role/deploy",
            "ActionNames": ["ecs:UpdateService", "ecs:StopServiceDeployment", "ecr:PutImage"],
        });
        let answer = simulate(&world, &input).unwrap();
        let decisions: Vec<&str> =
            answer["EvaluationResults"].as_array().unwrap().iter().map(|r| text(r, "EvalDecision")).collect();
        assert_eq!(decisions, ["allowed", "explicitDeny", "implicitDeny"]);
        assert_eq!(answer["IsTruncated"], json!(false));
        input["PolicySourceArn"] = json!("arn:aws:sts::111111111111:assumed-role/deploy/x");
        assert_eq!(simulate(&world, &input).unwrap_err().code, "InvalidInput");
    }
}
