//! The permissions of a run and its rollback, with their resources. Pure.

use serde_json::Value;

use super::error::AwsError;
use super::grants::{Condition, GRANTS, Grant, GrantScope, Resource};
use super::read::{EcsService, optional_str, str_field};
use super::settings::Settings;
use crate::problem::Problem;
use crate::targets::iam;

pub use crate::targets::iam::{RequiredPermission, missing_permissions, principal};

/// The planned actions that need permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedActions {
    /// A definition is registered; in a rollback it exists already.
    pub registers_definition: bool,
    /// Traffic is shifted by weight.
    pub shifts_traffic: bool,
    /// A command runs once before.
    pub runs_command: bool,
}

/// The permissions to simulate: the changes of a run or its rollback, and what only the end of a run reads. Reads
/// before the first change are not in it: a missing permission shows there anyway.
pub fn required_permissions(
    service: &EcsService,
    wanted: &Value,
    doing: PlannedActions,
) -> Vec<RequiredPermission> {
    let Some(scope) = grant_scope(service, wanted) else { return Vec::new() };
    let applies = |grant: &&Grant| match grant.condition {
        Condition::Always => true,
        Condition::RegistersDefinition => doing.registers_definition,
        Condition::SetsTags => doing.registers_definition && wanted.get("tags").is_some(),
        Condition::ShiftsTraffic => doing.shifts_traffic,
        Condition::RunsCommand => doing.runs_command,
        Condition::HasPair | Condition::ReadsMetrics | Condition::PushesImage | Condition::PromotesImage => {
            false
        }
    };
    let simulated = GRANTS.iter().filter(|grant| grant.is_simulated).filter(applies);
    let each = simulated.flat_map(|grant| {
        let resources = scope.resource_arns(grant.resource);
        // Only PassRole is simulated for several resources: elsewhere the first is the action's own kind.
        let count = if grant.resource == Resource::Roles { resources.len() } else { 1 };
        resources
            .into_iter()
            .take(count)
            .map(|resource| RequiredPermission { action: grant.action, resource })
    });
    each.collect()
}

fn grant_scope(service: &EcsService, wanted: &Value) -> Option<GrantScope> {
    let arn = str_field(&service.raw, "serviceArn");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, partition, _, region, account, path] = parts[..] else { return None };
    let settings = Settings {
        cluster: str_field(&service.raw, "clusterArn"),
        service: path.into(),
        ..Settings::default()
    };
    let roles = ["executionRoleArn", "taskRoleArn"].iter().filter_map(|key| optional_str(wanted, key));
    let mut roles: Vec<String> = roles.collect();
    roles.dedup();
    let known = GrantScope::from_settings(&settings, region, account);
    Some(GrantScope { partition: partition.into(), family: str_field(wanted, "family"), roles, ..known })
}

/// The simulation itself is not possible.
pub fn unchecked_notice(refusal: Option<&AwsError>) -> Problem {
    iam::unchecked_notice(refusal.and_then(|refusal| refusal.problem.cause.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn permissions_are_required_on_their_own_resources() {
        let raw = json!({"serviceArn":"arn:aws:ecs:eu-west-1:1:service/acme/web","clusterArn":"arn:aws:ecs:eu-west-1:1:cluster/acme"});
        let wanted =
            json!({"family":"web","taskRoleArn":"web-task","executionRoleArn":"arn:aws:iam::1:role/exec"});
        let all = required_permissions(
            &EcsService::from_json(&raw),
            &wanted,
            PlannedActions { registers_definition: true, shifts_traffic: false, runs_command: false },
        );
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
