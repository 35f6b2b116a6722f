//! The one table of what AWS must allow: which action, on what, when. Pre-flight has a part of it simulated, the policy
//! that is printed is all of it. What supports no resource is so by the Service Authorization Reference. Pure.

use super::settings::Settings;
use crate::targets::permits::partition;

/// What an action acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// The service.
    Service,
    /// The deployments of the service. AWS asks for the service itself, too.
    ServiceDeployments,
    /// The revisions of the service. AWS asks for the service itself, too.
    ServiceRevisions,
    /// The tasks of the cluster.
    Tasks,
    /// Lists of the cluster: no resource, but the cluster as a condition.
    Cluster,
    /// The revisions of the task definition.
    TaskDefinitions,
    /// The roles of the tasks, handed to ECS and to nobody else.
    Roles,
    /// What the containers wrote.
    Logs,
    /// The repository of the image.
    Repository,
    /// The repository that a promoted image was proven in.
    Source,
    /// The listener rule in front of two services that take turns.
    Rule,
    /// Actions that AWS cannot limit to a resource.
    Everything,
    /// The role of the run itself.
    Caller,
}

/// When an action is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// Where a definition is registered: not in a rollback.
    Registers,
    /// Where the definition has tags of its own.
    Tags,
    /// Where ECS shifts traffic in shares: every strategy but rolling, for a service that stands alone.
    Shifts,
    /// Where a command runs once before any traffic moves.
    Runs,
    /// Where two services take turns behind one rule, whatever the strategy.
    Pairs,
    /// Where a canary is judged by counts of the load balancer.
    Counts,
    /// Where the image is built and pushed, or copied.
    Pushes,
    /// Where the image was proven in another repository or registry, and is copied.
    Promotes,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Grant {
    /// Such as `ecs:UpdateService`.
    pub action: &'static str,
    /// What it acts on.
    pub on: On,
    /// When it is needed.
    pub when: When,
    /// Whether pre-flight has it simulated: changes, and what only the end of a run reads. The rest is tried.
    pub simulated: bool,
}

const fn read(action: &'static str, on: On, when: When) -> Grant {
    Grant { action, on, when, simulated: false }
}

const fn asked(action: &'static str, on: On, when: When) -> Grant {
    Grant { action, on, when, simulated: true }
}

/// Everything that a deploy, a plan and a rollback call, and PassRole, which AWS checks inside of them.
pub const TABLE: &[Grant] = &[
    read("ecs:DescribeServices", On::Service, When::Always),
    read("ecs:ListServiceDeployments", On::Service, When::Always),
    asked("ecs:RegisterTaskDefinition", On::TaskDefinitions, When::Registers),
    asked("ecs:UpdateService", On::Service, When::Always),
    asked("ecs:StopServiceDeployment", On::ServiceDeployments, When::Always),
    read("ecs:DescribeServiceDeployments", On::ServiceDeployments, When::Always),
    asked("ecs:DescribeServiceRevisions", On::ServiceRevisions, When::Always),
    asked("ecs:DescribeTasks", On::Tasks, When::Always),
    asked("ecs:ContinueServiceDeployment", On::ServiceDeployments, When::Shifts),
    asked("ecs:TagResource", On::TaskDefinitions, When::Tags),
    asked("ecs:RunTask", On::TaskDefinitions, When::Runs),
    asked("ecs:StopTask", On::Tasks, When::Runs),
    read("ecs:TagResource", On::Tasks, When::Runs),
    asked("iam:PassRole", On::Roles, When::Always),
    read("ecs:ListTasks", On::Cluster, When::Always),
    read("ecs:DescribeTaskDefinition", On::Everything, When::Always),
    read("ecs:ListTaskDefinitions", On::Everything, When::Always),
    read("elasticloadbalancing:DescribeTargetHealth", On::Everything, When::Always),
    read("elasticloadbalancing:DescribeTargetGroups", On::Everything, When::Shifts),
    read("elasticloadbalancing:DescribeRules", On::Everything, When::Shifts),
    read("elasticloadbalancing:DescribeRules", On::Everything, When::Pairs),
    asked("elasticloadbalancing:ModifyRule", On::Rule, When::Pairs),
    read("cloudwatch:DescribeAlarms", On::Everything, When::Always),
    read("cloudwatch:GetMetricData", On::Everything, When::Counts),
    read("elasticloadbalancing:DescribeTargetGroups", On::Everything, When::Counts),
    read("logs:GetLogEvents", On::Logs, When::Always),
    read("ecr:GetAuthorizationToken", On::Everything, When::Always),
    read("ecr:BatchGetImage", On::Repository, When::Always),
    read("ecr:DescribeImages", On::Repository, When::Always),
    read("ecr:GetDownloadUrlForLayer", On::Repository, When::Always),
    read("ecr:BatchCheckLayerAvailability", On::Repository, When::Pushes),
    read("ecr:InitiateLayerUpload", On::Repository, When::Pushes),
    read("ecr:UploadLayerPart", On::Repository, When::Pushes),
    read("ecr:CompleteLayerUpload", On::Repository, When::Pushes),
    read("ecr:PutImage", On::Repository, When::Pushes),
    read("ecr:BatchGetImage", On::Source, When::Promotes),
    read("ecr:GetDownloadUrlForLayer", On::Source, When::Promotes),
    read("ecr:BatchCheckLayerAvailability", On::Source, When::Promotes),
    read("iam:SimulatePrincipalPolicy", On::Caller, When::Always),
];

/// A repository that images are copied from; `*` for what is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// Its name.
    pub repository: String,
}

/// Which service, and what is known of what belongs to it; `*` for what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
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
    /// The service that takes turns with it, and the rule in front of both.
    pub beside: Option<(String, String)>,
    /// Family of the task definition.
    pub family: String,
    /// Names or ARNs of the roles of its tasks; empty where they have none.
    pub roles: Vec<String>,
    /// Log groups of its containers.
    pub logs: Vec<String>,
    /// Repositories of its image.
    pub repositories: Vec<String>,
    /// The repository that its image is promoted from, where that is another one.
    pub source: Option<Pulled>,
    /// ARN of the role that the run assumes.
    pub caller: Option<String>,
}

impl Scope {
    /// A service of which only the block of the deploy file is known.
    pub fn of(settings: &Settings, region: &str, account: &str) -> Self {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        Self {
            partition: partition(region).into(),
            region: region.into(),
            account: account.into(),
            cluster: last(&settings.cluster),
            service: last(&settings.service),
            beside: settings.pair.as_ref().map(|pair| (last(&pair.service), pair.rule.as_str().to_owned())),
            family: "*".into(),
            roles: vec!["*".into()],
            logs: vec!["*".into()],
            repositories: vec!["*".into()],
            source: None,
            caller: None,
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
    fn role(&self, name: &str) -> String {
        match name.starts_with("arn:") {
            true => name.to_owned(),
            false => format!("arn:{}:iam::{}:role/{name}", self.partition, self.account),
        }
    }

    /// The ARNs of what an action acts on, its own kind first.
    pub fn resources(&self, on: On) -> Vec<String> {
        let ecs = |rest: String| self.arn("ecs", &rest);
        let cluster = &self.cluster;
        let services = || std::iter::once(&self.service).chain(self.beside.iter().map(|(other, _)| other));
        let own = || services().map(|service| ecs(format!("service/{cluster}/{service}")));
        let of = |kind: &str| {
            let all = services().map(|service| ecs(format!("{kind}/{cluster}/{service}/*")));
            all.chain(own()).collect()
        };
        match on {
            On::Service => own().collect(),
            On::ServiceDeployments => of("service-deployment"),
            On::ServiceRevisions => of("service-revision"),
            On::Rule => self.beside.iter().map(|(_, rule)| rule.clone()).collect(),
            On::Tasks => vec![ecs(format!("task/{cluster}/*"))],
            On::TaskDefinitions => vec![ecs(format!("task-definition/{}:*", self.family))],
            On::Roles => self.roles.iter().map(|name| self.role(name)).collect(),
            On::Logs => {
                let stream = |group: &String| self.arn("logs", &format!("log-group:{group}:log-stream:*"));
                self.logs.iter().map(stream).collect()
            }
            On::Repository => {
                self.repositories.iter().map(|name| self.arn("ecr", &format!("repository/{name}"))).collect()
            }
            On::Source => {
                let arn = |of: &Pulled| {
                    let (partition, Pulled { region, account, repository }) = (&self.partition, of);
                    format!("arn:{partition}:ecr:{region}:{account}:repository/{repository}")
                };
                self.source.iter().map(arn).collect()
            }
            On::Caller => vec![self.caller.clone().unwrap_or_else(|| self.role("*"))],
            On::Cluster | On::Everything => vec!["*".into()],
        }
    }
}
