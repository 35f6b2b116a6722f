//! Which permissions a run and its rollback need, on which resources, and what a policy simulation says. Pure.

use serde_json::Value;

use super::grants::{Grant, On, Scope, TABLE, When};
use super::read::{Service, some_text, text};
use super::refusal::Refusal;
use super::settings::Settings;
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

/// What is about to be done, as far as permissions are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doing {
    /// A definition is registered; in a rollback it exists already.
    pub registers: bool,
    /// Traffic is shifted in shares.
    pub shifts: bool,
    /// A command runs once before.
    pub runs: bool,
}

/// The changes that a run or its rollback makes, and what only the end of a run reads: the rows of the table that are
/// simulated. What is read before the first change is not here: it is tried.
pub fn needs(service: &Service, wanted: &Value, doing: Doing) -> Vec<Need> {
    let Some(scope) = scope(service, wanted) else { return Vec::new() };
    let applies = |grant: &&Grant| match grant.when {
        When::Always => true,
        When::Registers => doing.registers,
        When::Tags => doing.registers && wanted.get("tags").is_some(),
        When::Shifts => doing.shifts,
        When::Runs => doing.runs,
        When::Pairs | When::Counts | When::Pushes => false,
    };
    let simulated = TABLE.iter().filter(|grant| grant.simulated).filter(applies);
    let each = simulated.flat_map(|grant| {
        let resources = scope.resources(grant.on);
        // Only PassRole is asked about for several resources: elsewhere the first is the action's own kind.
        let count = if grant.on == On::Roles { resources.len() } else { 1 };
        resources.into_iter().take(count).map(|resource| Need { action: grant.action, resource })
    });
    each.collect()
}

fn scope(service: &Service, wanted: &Value) -> Option<Scope> {
    let arn = text(&service.raw, "serviceArn");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, _, region, account, path] = parts[..] else { return None };
    let settings =
        Settings { cluster: text(&service.raw, "clusterArn"), service: path.into(), ..Settings::default() };
    let roles = ["executionRoleArn", "taskRoleArn"].iter().filter_map(|key| some_text(wanted, key));
    let mut roles: Vec<String> = roles.collect();
    roles.dedup();
    let known = Scope::of(&settings, region, account);
    Some(Scope { partition: partition.into(), family: text(wanted, "family"), roles, ..known })
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
        let all = needs(&Service::read(&raw), &wanted, Doing { registers: true, shifts: false, runs: false });
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
