//! What a simulation of policies says of the permissions that a run and its rollback need. Pure; which those are, each
//! target says itself.

use aws_sdk_iam::types::EvaluationResult;

use crate::problem::{Code, Problem};

/// The partition of a region.
pub fn partition(region: &str) -> &'static str {
    match region {
        cn if cn.starts_with("cn-") => "aws-cn",
        gov if gov.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// An action on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Such as `ecs:UpdateService`.
    pub action: &'static str,
    /// ARN, or a pattern of ARNs that a policy's own pattern is compared with.
    pub resource: String,
}

/// What a policy simulation says of a [`Need`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// What was asked.
    pub need: Need,
    /// Whether it is allowed.
    pub allowed: bool,
    /// Whether the answer is sure: a condition on something that the simulation was not told makes it unsure.
    pub sure: bool,
}

/// The result for a need: that of its resource, else that of its action.
pub fn judged(results: &[EvaluationResult], need: Need) -> Simulated {
    let of = results.iter().find(|result| result.eval_action_name() == need.action);
    let specific = of.and_then(|result| {
        let mut all = result.resource_specific_results().iter();
        all.find(|one| one.eval_resource_name() == need.resource)
    });
    let (decision, missing) = match (of, specific) {
        (_, Some(one)) => (one.eval_resource_decision().as_str(), one.missing_context_values()),
        (Some(one), None) => (one.eval_decision().as_str(), one.missing_context_values()),
        (None, None) => ("", &[][..]),
    };
    Simulated { allowed: decision == "allowed", sure: !decision.is_empty() && missing.is_empty(), need }
}

/// The principal whose policies apply: the role of a session (its path is not in the session's ARN), or the user.
/// `None` for whoever cannot be simulated.
pub fn principal(caller: &str) -> Option<String> {
    if caller.contains(":user/") || caller.contains(":role/") {
        return Some(caller.to_owned());
    }
    let (head, rest) = caller.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    Some(format!("{}:role/{role}", head.replacen(":sts:", ":iam:", 1)))
}

/// What is missing, and what could not be told.
pub fn missing(results: &[Simulated]) -> Vec<Problem> {
    let mut found = Vec::new();
    for result in results.iter().filter(|result| !result.allowed) {
        let Need { action, resource } = &result.need;
        if result.sure {
            let sentence = format!("The permission {action} on {resource} is missing.");
            let help = "Add it to the policy of the role; the run or its rollback needs it.";
            found.push(Problem::error(Code::PermissionMissing, sentence).help(help));
        } else {
            let sentence = format!(
                "Whether {action} on {resource} is allowed hangs on a condition that cannot be checked."
            );
            found.push(Problem::notice(Code::PermissionUnchecked, sentence));
        }
    }
    found
}

/// The simulation itself is not possible, for this cause where it is known.
pub fn unchecked(cause: Option<String>) -> Problem {
    let sentence = "The permissions were not checked before the start.";
    let help = "Allow iam:SimulatePrincipalPolicy on the role itself to have them checked.";
    let problem = Problem::notice(Code::PermissionUnchecked, sentence).help(help);
    Problem { cause, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_belongs_to_its_role() {
        let table = [
            ("arn:aws:sts::1:assumed-role/deploy/run-7", Some("arn:aws:iam::1:role/deploy")),
            ("arn:aws-cn:sts::1:assumed-role/deploy/run-7", Some("arn:aws-cn:iam::1:role/deploy")),
            ("arn:aws:iam::1:user/ci", Some("arn:aws:iam::1:user/ci")),
            ("arn:aws:iam::1:root", None),
            ("arn:aws:sts::1:federated-user/x", None),
        ];
        for (caller, expected) in table {
            assert_eq!(principal(caller).as_deref(), expected);
        }
    }

    #[test]
    fn a_denial_that_hangs_on_a_condition_stops_nobody() {
        let need = Need { action: "ecs:UpdateService", resource: "arn".into() };
        let result = |allowed, sure| Simulated { need: need.clone(), allowed, sure };
        let found = missing(&[result(true, true), result(false, true), result(false, false)]);
        assert_eq!(
            found.iter().map(|p| p.code).collect::<Vec<_>>(),
            [Code::PermissionMissing, Code::PermissionUnchecked]
        );
        assert_eq!(found.iter().map(Problem::is_error).collect::<Vec<_>>(), [true, false]);
    }
}
