//! The only table of AWS permissions: which action, on which resource, when. Pre-flight simulates some of them; the
//! printed policy has all. Actions without resource-level permissions follow the Service Authorization Reference. Pure.

use super::settings::Settings;
use crate::targets::iam::partition;
use crate::targets::policy::PullSource;

/// The resource of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// The service.
    Service,
    /// The deployments of the service. AWS checks the service itself, too.
    ServiceDeployments,
    /// The revisions of the service. AWS checks the service itself, too.
    ServiceRevisions,
    /// The tasks of the cluster.
    Tasks,
    /// Lists of the cluster: no resource, but the cluster as a condition.
    Cluster,
    /// The revisions of the task definition.
    TaskDefinitions,
    /// The roles of the tasks, passed to ECS only.
    Roles,
    /// The logs of the containers.
    Logs,
    /// The repositories of the images.
    Repository,
    /// Those of them that images are pushed to.
    PushedRepository,
    /// The repositories in which promoted images were verified.
    Source,
    /// The listener rule in front of a pair of services.
    Rule,
    /// Actions without resource-level permissions.
    Everything,
    /// The role of the run itself.
    Caller,
}

/// When an action is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Always.
    Always,
    /// If a task definition is registered: not in a rollback.
    RegistersDefinition,
    /// If the definition has tags of its own.
    SetsTags,
    /// If ECS shifts traffic by weight: every strategy but rolling, for a service without a pair.
    ShiftsTraffic,
    /// If a command runs once before any traffic is shifted.
    RunsCommand,
    /// For a pair of services behind one rule, whatever the strategy.
    HasPair,
    /// For a canary analysis with metrics of the load balancer.
    ReadsMetrics,
    /// If the image is built and pushed, or copied.
    PushesImage,
    /// If the image was verified in another repository or registry, and is copied.
    PromotesImage,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// Such as `ecs:UpdateService`.
    pub action: &'static str,
    /// What it acts on.
    pub resource: Resource,
    /// When it is needed.
    pub condition: Condition,
    /// Whether pre-flight simulates it: changes, and reads that only the end of a run makes. The rest is called anyway.
    pub is_simulated: bool,
}

const fn read_grant(action: &'static str, on: Resource, when: Condition) -> Grant {
    Grant { action, resource: on, condition: when, is_simulated: false }
}

const fn simulated_grant(action: &'static str, on: Resource, when: Condition) -> Grant {
    Grant { action, resource: on, condition: when, is_simulated: true }
}

/// Every call of a deploy, a plan and a rollback, and PassRole, which AWS checks inside of them.
pub const GRANTS: &[Grant] = &[
    read_grant("ecs:DescribeServices", Resource::Service, Condition::Always),
    read_grant("ecs:ListServiceDeployments", Resource::Service, Condition::Always),
    simulated_grant("ecs:RegisterTaskDefinition", Resource::TaskDefinitions, Condition::RegistersDefinition),
    simulated_grant("ecs:UpdateService", Resource::Service, Condition::Always),
    simulated_grant("ecs:StopServiceDeployment", Resource::ServiceDeployments, Condition::Always),
    read_grant("ecs:DescribeServiceDeployments", Resource::ServiceDeployments, Condition::Always),
    simulated_grant("ecs:DescribeServiceRevisions", Resource::ServiceRevisions, Condition::Always),
    simulated_grant("ecs:DescribeTasks", Resource::Tasks, Condition::Always),
    simulated_grant("ecs:ContinueServiceDeployment", Resource::ServiceDeployments, Condition::ShiftsTraffic),
    simulated_grant("ecs:TagResource", Resource::TaskDefinitions, Condition::SetsTags),
    simulated_grant("ecs:RunTask", Resource::TaskDefinitions, Condition::RunsCommand),
    simulated_grant("ecs:StopTask", Resource::Tasks, Condition::RunsCommand),
    read_grant("ecs:TagResource", Resource::Tasks, Condition::RunsCommand),
    simulated_grant("iam:PassRole", Resource::Roles, Condition::Always),
    read_grant("ecs:ListTasks", Resource::Cluster, Condition::Always),
    read_grant("ecs:DescribeTaskDefinition", Resource::Everything, Condition::Always),
    read_grant("ecs:ListTaskDefinitions", Resource::Everything, Condition::Always),
    read_grant("elasticloadbalancing:DescribeTargetHealth", Resource::Everything, Condition::Always),
    read_grant("elasticloadbalancing:DescribeTargetGroups", Resource::Everything, Condition::ShiftsTraffic),
    read_grant("elasticloadbalancing:DescribeRules", Resource::Everything, Condition::ShiftsTraffic),
    read_grant("elasticloadbalancing:DescribeRules", Resource::Everything, Condition::HasPair),
    simulated_grant("elasticloadbalancing:ModifyRule", Resource::Rule, Condition::HasPair),
    read_grant("cloudwatch:DescribeAlarms", Resource::Everything, Condition::Always),
    read_grant("cloudwatch:GetMetricData", Resource::Everything, Condition::ReadsMetrics),
    read_grant("elasticloadbalancing:DescribeTargetGroups", Resource::Everything, Condition::ReadsMetrics),
    read_grant("logs:GetLogEvents", Resource::Logs, Condition::Always),
    read_grant("ecr:GetAuthorizationToken", Resource::Everything, Condition::Always),
    read_grant("ecr:BatchGetImage", Resource::Repository, Condition::Always),
    read_grant("ecr:DescribeImages", Resource::Repository, Condition::Always),
    read_grant("ecr:GetDownloadUrlForLayer", Resource::Repository, Condition::Always),
    read_grant("ecr:BatchCheckLayerAvailability", Resource::PushedRepository, Condition::PushesImage),
    read_grant("ecr:InitiateLayerUpload", Resource::PushedRepository, Condition::PushesImage),
    read_grant("ecr:UploadLayerPart", Resource::PushedRepository, Condition::PushesImage),
    read_grant("ecr:CompleteLayerUpload", Resource::PushedRepository, Condition::PushesImage),
    read_grant("ecr:PutImage", Resource::PushedRepository, Condition::PushesImage),
    read_grant("ecr:BatchGetImage", Resource::Source, Condition::PromotesImage),
    read_grant("ecr:GetDownloadUrlForLayer", Resource::Source, Condition::PromotesImage),
    read_grant("ecr:BatchCheckLayerAvailability", Resource::Source, Condition::PromotesImage),
    read_grant("iam:SimulatePrincipalPolicy", Resource::Caller, Condition::Always),
];

/// Which service, and what is known of what belongs to it; `*` for what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantScope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The region.
    pub region: String,
    /// The account.
    pub account: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub service: String,
    /// The other service of its pair, and the rule in front of both.
    pub pair: Option<(String, String)>,
    /// Family of the task definition.
    pub family: String,
    /// Names or ARNs of the roles of its tasks; empty if they have none.
    pub roles: Vec<String>,
    /// Log groups of its containers.
    pub log_groups: Vec<String>,
    /// Names or ARNs of the repositories of its images; empty if they are in no ECR.
    pub repositories: Vec<String>,
    /// Those of them that images are pushed to.
    pub pushed_repositories: Vec<String>,
    /// The repositories that its images are promoted from, where those are others.
    pub pull_sources: Vec<PullSource>,
    /// ARN of the role that the run assumes.
    pub caller_role: Option<String>,
}

impl GrantScope {
    /// A service of which only its settings are known.
    pub fn from_settings(settings: &Settings, region: &str, account: &str) -> Self {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            partition: partition(region).into(),
            region: region.into(),
            account: account.into(),
            cluster: last(&settings.cluster),
            service: last(&settings.service),
            pair: settings.pair.as_ref().map(|pair| (last(&pair.service), pair.rule.as_str().to_owned())),
            family: "*".into(),
            roles: vec!["*".into()],
            log_groups: vec!["*".into()],
            repositories: vec!["*".into()],
            pushed_repositories: vec!["*".into()],
            pull_sources: Vec::new(),
            caller_role: None,
        }
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.partition, self.region, self.account)
    }

    /// The ARN of the cluster.
    pub fn cluster_arn(&self) -> String {
        self.arn("ecs", &format!("cluster/{}", self.cluster))
    }

    /// A bare role name stands for a role of this account.
    fn role_arn(&self, name: &str) -> String {
        match name.starts_with("arn:") {
            true => name.to_owned(),
            false => format!("arn:{}:iam::{}:role/{name}", self.partition, self.account),
        }
    }

    fn repository_arns(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| self.repository_arn(name)).collect()
    }

    /// A bare name stands for a repository of this account and region.
    fn repository_arn(&self, name: &str) -> String {
        match name.starts_with("arn:") {
            true => name.to_owned(),
            false => self.arn("ecr", &format!("repository/{name}")),
        }
    }

    /// The ARNs of an action's resources, its own kind first.
    pub fn resource_arns(&self, on: Resource) -> Vec<String> {
        let ecs = |rest: String| self.arn("ecs", &rest);
        let cluster = &self.cluster;
        let services = || std::iter::once(&self.service).chain(self.pair.iter().map(|(other, _)| other));
        let own = || services().map(|service| ecs(format!("service/{cluster}/{service}")));
        let of = |kind: &str| {
            let all = services().map(|service| ecs(format!("{kind}/{cluster}/{service}/*")));
            all.chain(own()).collect()
        };
        match on {
            Resource::Service => own().collect(),
            Resource::ServiceDeployments => of("service-deployment"),
            Resource::ServiceRevisions => of("service-revision"),
            Resource::Rule => self.pair.iter().map(|(_, rule)| rule.clone()).collect(),
            Resource::Tasks => vec![ecs(format!("task/{cluster}/*"))],
            Resource::TaskDefinitions => vec![ecs(format!("task-definition/{}:*", self.family))],
            Resource::Roles => self.roles.iter().map(|name| self.role_arn(name)).collect(),
            Resource::Logs => {
                let stream = |group: &String| self.arn("logs", &format!("log-group:{group}:log-stream:*"));
                self.log_groups.iter().map(stream).collect()
            }
            Resource::Repository => self.repository_arns(&self.repositories),
            Resource::PushedRepository => self.repository_arns(&self.pushed_repositories),
            Resource::Source => self.pull_sources.iter().map(|source| source.arn(&self.partition)).collect(),
            Resource::Caller => vec![self.caller_role.clone().unwrap_or_else(|| self.role_arn("*"))],
            Resource::Cluster | Resource::Everything => vec!["*".into()],
        }
    }
}
