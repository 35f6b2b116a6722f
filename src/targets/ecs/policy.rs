//! What the role of a run must be allowed for one service, out of the table of grants. Pure.

use serde_json::Value;

use super::ecr_image::{EcrImage, parse_ecr_image};
use super::grants::{self, GRANTS, Grant, GrantScope, Resource};
use super::read::optional_str;
use super::settings::Settings;
use super::task_definition::definition::containers;
use super::task_definition::document::TaskDefinitionDocument;
use crate::config::{Metric, Strategy};
use crate::targets::Spec;
use crate::targets::policy::{Condition, Permission, PolicyScope, StatementId, repository_arn};

/// A service with what its permissions depend on.
#[derive(Debug, Clone)]
pub struct ServicePermissions {
    scope: GrantScope,
    shifts_traffic: bool,
    reads_metrics: bool,
    pushes_image: bool,
    sets_tags: bool,
    runs_command: bool,
}

impl ServicePermissions {
    /// The service from the deploy file, with its definition if the file names one.
    pub fn new(mut scope: GrantScope, spec: &Spec<'_, Settings>, place: &PolicyScope) -> Self {
        let (common, definition) = (&spec.service.config, spec.source);
        let read = definition.and_then(|file| TaskDefinitionDocument::parse(&file.path, &file.text).ok());
        let known = read.map(|document| document.value).unwrap_or_default();
        if let Some(family) = optional_str(&known, "family") {
            scope.family = family;
            scope.roles = ["executionRoleArn", "taskRoleArn"]
                .iter()
                .filter_map(|key| optional_str(&known, key))
                .collect();
            let group =
                |container: &Value| optional_str(&container["logConfiguration"]["options"], "awslogs-group");
            scope.log_groups = containers(&known).iter().filter_map(group).collect();
        }
        set_repositories(&mut scope, spec, place);
        Self {
            pushes_image: !scope.pushed_repositories.is_empty(),
            shifts_traffic: scope.pair.is_none() && !matches!(common.strategy, Strategy::Rolling(_)),
            scope,
            reads_metrics: strategy_metrics(&common.strategy)
                .iter()
                .any(|m| matches!(m, Metric::Errors(_) | Metric::Latency(_))),
            runs_command: common.before.is_some(),
            sets_tags: known["tags"].as_array().is_some_and(|tags| !tags.is_empty()) || known.is_null(),
        }
    }

    /// The permissions that this service needs.
    pub fn permissions(&self) -> Vec<Permission> {
        GRANTS
            .iter()
            .filter(|grant| self.meets(grant.condition))
            .map(|grant| self.permission(grant))
            .collect()
    }

    fn permission(&self, grant: &Grant) -> Permission {
        Permission {
            statement: statement_id(grant.resource),
            action: grant.action,
            resources: self.scope.resource_arns(grant.resource),
            condition: self.condition(grant.resource),
        }
    }

    fn condition(&self, resource: Resource) -> Condition {
        match resource {
            Resource::Roles => {
                Condition::StringEquals { key: "iam:PassedToService", value: "ecs-tasks.amazonaws.com" }
            }
            Resource::Cluster => {
                Condition::ArnLike { key: "ecs:cluster", arns: [self.scope.cluster_arn()].into() }
            }
            Resource::Service
            | Resource::ServiceDeployments
            | Resource::ServiceRevisions
            | Resource::Tasks
            | Resource::TaskDefinitions
            | Resource::Logs
            | Resource::Repository
            | Resource::PushedRepository
            | Resource::Source
            | Resource::Rule
            | Resource::Everything
            | Resource::Caller => Condition::None,
        }
    }

    fn meets(&self, when: grants::Condition) -> bool {
        use grants::Condition;
        match when {
            Condition::Always | Condition::RegistersDefinition => true,
            Condition::SetsTags => self.sets_tags,
            Condition::ShiftsTraffic => self.shifts_traffic,
            Condition::RunsCommand => self.runs_command,
            Condition::HasPair => self.scope.pair.is_some(),
            Condition::ReadsMetrics => self.reads_metrics,
            Condition::PushesImage => self.pushes_image,
            Condition::PromotesImage => self.pushes_image && !self.scope.pull_sources.is_empty(),
        }
    }
}

/// The repositories of all images; other registries need nothing of IAM. Where the service has none, its image may be in any
/// repository, and is only read.
fn set_repositories(scope: &mut GrantScope, spec: &Spec<'_, Settings>, place: &PolicyScope) {
    let further = spec.settings.images.values();
    let pushed =
        spec.service.config.repository.iter().chain(further.clone().filter_map(|it| it.repository.as_ref()));
    scope.pushed_repositories = pushed.filter_map(|name| repository_arn(name, place)).collect();
    if spec.service.config.repository.is_some() {
        let is_same = |known: &str, own: &str| known == "*" || known == own;
        let is_here = |image: &EcrImage| {
            is_same(&scope.region, &image.region) && is_same(&scope.account, &image.account)
        };
        let fixed = further.filter_map(|it| parse_ecr_image(it.image.as_deref()?)).filter(is_here);
        let fixed = fixed.map(|image| image.repository);
        scope.repositories = scope.pushed_repositories.iter().cloned().chain(fixed).collect();
    }
}

/// The statement of what acts on a resource.
fn statement_id(resource: Resource) -> StatementId {
    match resource {
        Resource::Service => StatementId { rank: 0, sid: "Service" },
        Resource::ServiceDeployments => StatementId { rank: 1, sid: "ServiceDeployments" },
        Resource::ServiceRevisions => StatementId { rank: 2, sid: "ServiceRevisions" },
        Resource::Tasks => StatementId { rank: 3, sid: "Tasks" },
        Resource::Cluster => StatementId { rank: 4, sid: "Cluster" },
        Resource::TaskDefinitions => StatementId { rank: 5, sid: "TaskDefinitions" },
        Resource::Roles => StatementId { rank: 6, sid: "Roles" },
        Resource::Logs => StatementId { rank: 7, sid: "Logs" },
        Resource::Repository | Resource::PushedRepository => StatementId::REPOSITORY,
        Resource::Source => StatementId::SOURCE,
        Resource::Rule => StatementId { rank: 10, sid: "Rule" },
        Resource::Everything => StatementId::EVERYTHING,
        Resource::Caller => StatementId { rank: 12, sid: "Caller" },
    }
}

fn strategy_metrics(strategy: &Strategy) -> &[Metric] {
    match strategy {
        Strategy::Linear(all) => &all.metrics,
        Strategy::Canary(all) => &all.metrics,
        Strategy::Rolling(_) | Strategy::BlueGreen(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::super::grants::Condition;
    use super::*;
    use crate::targets::policy::push_permissions;

    #[test]
    fn grants_on_repository_are_those_of_pushing() {
        let scope = PolicyScope::from_aws(&crate::config::Aws::default());
        let mut pushing: Vec<&str> = push_permissions("acme/web", &scope)
            .iter()
            .filter(|permission| permission.statement == StatementId::REPOSITORY)
            .map(|permission| permission.action)
            .collect();
        let rows = GRANTS
            .iter()
            .filter(|grant| matches!(grant.resource, Resource::Repository | Resource::PushedRepository));
        let rows = rows.filter(|grant| matches!(grant.condition, Condition::Always | Condition::PushesImage));
        let mut granted: Vec<&str> = rows.map(|grant| grant.action).collect();
        pushing.sort_unstable();
        granted.sort_unstable();
        assert_eq!(pushing, granted);
    }
}
