//! Which permissions a run and its rollback need, on which resources. Pure.

use serde_json::Value;

use super::grants::{Grant, On, Scope, TABLE, When};
use super::read::{Service, some_text, text};
use super::refusal::Refusal;
use super::settings::Settings;
use crate::problem::Problem;
use crate::targets::permits;

pub use crate::targets::permits::{Need, missing, principal};

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
        When::Pairs | When::Counts | When::Pushes | When::Promotes => false,
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

/// The simulation itself is not possible.
pub fn unchecked(refusal: Option<&Refusal>) -> Problem {
    permits::unchecked(refusal.and_then(|refusal| refusal.problem.cause.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
