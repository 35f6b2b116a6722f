//! Which permissions a run and its rollback need, on which resources, and what a policy simulation says. Pure.

use serde_json::Value;

use super::read::{Service, text};
use super::refusal::Refusal;
use crate::problem::{Code, Problem};

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

/// The changes that a run or its rollback makes, and what only the end of a run reads. What is read before the first
/// change is not here: it is tried. `shifts` says that traffic is shifted in shares.
pub fn needs(service: &Service, wanted: &Value, shifts: bool) -> Vec<Need> {
    let arn = text(&service.raw, "serviceArn");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, _, region, account, path] = parts[..] else { return Vec::new() };
    let of = |rest: String| format!("arn:{partition}:ecs:{region}:{account}:{rest}");
    let cluster_arn = text(&service.raw, "clusterArn");
    let cluster = cluster_arn.rsplit('/').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let family = of(format!("task-definition/{}:*", text(wanted, "family")));
    let deployments = of(format!("service-deployment/{cluster}/{name}/*"));
    let mut all = vec![
        Need { action: "ecs:RegisterTaskDefinition", resource: family.clone() },
        Need { action: "ecs:UpdateService", resource: arn.clone() },
        Need { action: "ecs:StopServiceDeployment", resource: deployments.clone() },
        Need {
            action: "ecs:DescribeServiceRevisions",
            resource: of(format!("service-revision/{cluster}/{name}/*")),
        },
        Need { action: "ecs:DescribeTasks", resource: of(format!("task/{cluster}/*")) },
    ];
    if shifts {
        all.push(Need { action: "ecs:ContinueServiceDeployment", resource: deployments });
    }
    if wanted.get("tags").is_some() {
        all.push(Need { action: "ecs:TagResource", resource: family });
    }
    let roles = ["executionRoleArn", "taskRoleArn"].map(|key| text(wanted, key));
    // A bare role name stands for a role of this account.
    let role = |name: &String| match name.starts_with("arn:") {
        true => name.clone(),
        false => format!("arn:{partition}:iam::{account}:role/{name}"),
    };
    let mut roles: Vec<String> = roles.iter().filter(|name| !name.is_empty()).map(role).collect();
    roles.dedup();
    all.extend(roles.into_iter().map(|resource| Need { action: "iam:PassRole", resource }));
    all
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

/// The simulation itself is not possible.
pub fn unchecked(refusal: Option<&Refusal>) -> Problem {
    let sentence = "The permissions were not checked before the start.";
    let help = "Allow iam:SimulatePrincipalPolicy on the role itself to have them checked.";
    let problem = Problem::notice(Code::PermissionUnchecked, sentence).help(help);
    Problem { cause: refusal.and_then(|refusal| refusal.problem.cause.clone()), ..problem }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn needs_are_asked_on_their_own_resources() {
        let raw = json!({"serviceArn":"arn:aws:ecs:eu-west-1:1:service/acme/web","clusterArn":"arn:aws:ecs:eu-west-1:1:cluster/acme"});
        let wanted =
            json!({"family":"web","taskRoleArn":"web-task","executionRoleArn":"arn:aws:iam::1:role/exec"});
        let all = needs(&Service::read(&raw), &wanted, false);
        let lines: Vec<String> =
            all.iter().map(|need| format!("{} {}", need.action, need.resource)).collect();
        assert_eq!(
            lines,
            [
                "ecs:RegisterTaskDefinition arn:aws:ecs:eu-west-1:1:task-definition/web:*",
                "ecs:UpdateService arn:aws:ecs:eu-west-1:1:service/acme/web",
                "ecs:StopServiceDeployment arn:aws:ecs:eu-west-1:1:service-deployment/acme/web/*",
                "ecs:DescribeServiceRevisions arn:aws:ecs:eu-west-1:1:service-revision/acme/web/*",
                "ecs:DescribeTasks arn:aws:ecs:eu-west-1:1:task/acme/*",
                "iam:PassRole arn:aws:iam::1:role/exec",
                "iam:PassRole arn:aws:iam::1:role/web-task",
            ]
        );
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
