//! The results of policy simulations, for the permissions of a run and its rollback. Pure; each target lists its
//! permissions itself.

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
pub struct RequiredPermission {
    /// Such as `ecs:UpdateService`.
    pub action: &'static str,
    /// ARN, or a pattern of ARNs that the policy's pattern is compared with.
    pub resource: String,
}

/// The simulation result of a [`RequiredPermission`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PermissionCheck {
    /// The permission.
    pub permission: RequiredPermission,
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// Whether the result is certain: a condition without a value in the simulation makes it uncertain.
    pub is_certain: bool,
}

/// The result for a permission: that of its resource, else that of its action.
pub fn evaluate(results: &[EvaluationResult], need: RequiredPermission) -> PermissionCheck {
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
    PermissionCheck {
        is_allowed: decision == "allowed",
        is_certain: !decision.is_empty() && missing.is_empty(),
        permission: need,
    }
}

/// The principal whose policies apply: the role of a session (its path is not in the session's ARN), or the user.
/// `None` for a principal that cannot be simulated.
pub fn principal(caller: &str) -> Option<String> {
    if caller.contains(":user/") || caller.contains(":role/") {
        return Some(caller.to_owned());
    }
    let (head, rest) = caller.split_once(":assumed-role/")?;
    let role = rest.split('/').next()?;
    Some(format!("{}:role/{role}", head.replacen(":sts:", ":iam:", 1)))
}

/// The missing permissions, and those with an uncertain result.
pub fn missing_permissions(results: &[PermissionCheck]) -> Vec<Problem> {
    let mut found = Vec::new();
    for result in results.iter().filter(|result| !result.is_allowed) {
        let RequiredPermission { action, resource } = &result.permission;
        if result.is_certain {
            let sentence = format!("The permission {action} on {resource} is missing.");
            let help = "Add it to the policy of the role: the run or its rollback needs it.";
            found.push(Problem::error(Code::PermissionMissing, sentence).help(help));
        } else {
            let sentence = format!(
                "Cannot determine whether {action} on {resource} is allowed: the policy has a condition that cannot be evaluated."
            );
            found.push(Problem::notice(Code::PermissionUnchecked, sentence));
        }
    }
    found
}

/// The simulation itself is not possible, for this cause if it is known.
pub fn unchecked_notice(cause: Option<String>) -> Problem {
    let sentence = "The permissions were not checked before the deployment.";
    let help = "Allow iam:SimulatePrincipalPolicy on the role itself to enable this check.";
    let problem = Problem::notice(Code::PermissionUnchecked, sentence).help(help);
    Problem { cause, ..problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_principal_is_its_role() {
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
    fn denial_that_depends_on_a_condition_is_a_notice() {
        let need = RequiredPermission { action: "ecs:UpdateService", resource: "arn".into() };
        let result = |allowed, sure| PermissionCheck {
            permission: need.clone(),
            is_allowed: allowed,
            is_certain: sure,
        };
        let found = missing_permissions(&[result(true, true), result(false, true), result(false, false)]);
        assert_eq!(
            found.iter().map(|p| p.code).collect::<Vec<_>>(),
            [Code::PermissionMissing, Code::PermissionUnchecked]
        );
        assert_eq!(found.iter().map(Problem::is_error).collect::<Vec<_>>(), [true, false]);
    }
}
