//! ECS in a scenario file. Types and their defaults only.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// A service that runs when the world begins.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ServiceSetting {
    /// Name of its cluster.
    #[serde(default = "default_cluster")]
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Desired count.
    #[serde(default = "default_desired")]
    pub desired: u32,
    /// Deployment controller: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    #[serde(default = "by_ecs")]
    pub controller: String,
    /// Launch type: `FARGATE`, `EC2`, `EXTERNAL` or `MANAGED_INSTANCES`; `FARGATE` when absent.
    #[serde(default)]
    pub launch_type: Option<String>,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    #[serde(default = "active")]
    pub status: String,
    /// Tasks that run when the world begins; all of them when absent. The scheduler starts what is missing.
    #[serde(default)]
    pub running: Option<u32>,
    /// Whether the running task definition was deregistered since: it is INACTIVE, and its tasks run on.
    #[serde(default)]
    pub deregistered: bool,
    /// Names of the ports that Service Connect publishes.
    #[serde(default)]
    pub service_connect: Vec<String>,
    /// Capacity providers instead of a launch type.
    #[serde(default)]
    pub capacity_providers: Vec<String>,
    /// Whether its first deployment completed; without one there is nothing to roll back to.
    #[serde(default = "default_true")]
    pub completed: bool,
    /// How deployments run.
    #[serde(default)]
    pub deployment: DeploymentSetting,
    /// Seconds after the start of a task during which failing load balancer checks are ignored.
    #[serde(default)]
    pub health_check_grace: Option<u32>,
    /// Target groups that its tasks are registered in.
    #[serde(default)]
    pub target_groups: Vec<TargetGroupSetting>,
    /// Name of the container, when no task definition is given.
    #[serde(default = "app")]
    pub container: String,
    /// Image of the container, when no task definition is given; `v1` of the repository with the service's name when absent.
    #[serde(default)]
    pub image: Option<String>,
    /// The running task definition, in the words of RegisterTaskDefinition.
    #[serde(default)]
    pub task_definition: Option<Value>,
}

/// A target group of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroupSetting {
    /// Its ARN, or a name to make one from.
    pub arn: String,
    /// Container that listens; the service's container when absent.
    #[serde(default)]
    pub container: Option<String>,
    /// Port it listens on; the first one of that container in the task definition when absent, or 8080.
    #[serde(default)]
    pub port: Option<u16>,
    /// The group that deployments in stages take turns with, by name or ARN; it needs a load balancer too.
    #[serde(default)]
    pub alternate: Option<String>,
    /// Name of the load balancer whose rules forward to both groups.
    #[serde(default)]
    pub balancer: Option<String>,
    /// Whether the load balancer is not enabled in the second zone, where every second task runs.
    #[serde(default)]
    pub disabled_zone: bool,
}

/// `deploymentConfiguration` of a service; what is absent keeps AWS's default.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentSetting {
    /// `minimumHealthyPercent`.
    pub minimum_healthy_percent: Option<u32>,
    /// `maximumPercent`.
    pub maximum_percent: Option<u32>,
    /// The circuit breaker.
    pub circuit_breaker: Option<CircuitBreakerSetting>,
    /// Alarms that end a deployment.
    pub alarms: Option<DeploymentAlarms>,
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CircuitBreakerSetting {
    /// Whether it watches.
    #[serde(default = "default_true")]
    pub enable: bool,
    /// Whether it rolls back.
    #[serde(default = "default_true")]
    pub rollback: bool,
    /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT` with a value.
    #[serde(default)]
    pub threshold: Option<BreakerThreshold>,
    /// Whether a healthy task sets the count back to zero.
    #[serde(default = "default_true")]
    pub reset_on_healthy_task: bool,
}

/// When the circuit breaker opens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BreakerThreshold {
    /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Failed tasks, or percent of the desired count.
    pub value: u32,
}

/// Alarms of `deploymentConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentAlarms {
    /// Names.
    pub names: Vec<String>,
    /// Whether they are watched.
    #[serde(default = "default_true")]
    pub enable: bool,
    /// Whether a red one rolls back.
    #[serde(default = "default_true")]
    pub rollback: bool,
}

impl ServiceSetting {
    /// A service with two tasks behind a target group and a circuit breaker that rolls back.
    pub fn with_defaults(cluster: impl Into<String>, name: impl Into<String>) -> Self {
        let name = name.into();
        let breaker = CircuitBreakerSetting {
            enable: true,
            rollback: true,
            threshold: None,
            reset_on_healthy_task: true,
        };
        Self {
            cluster: cluster.into(),
            desired: 2,
            controller: by_ecs(),
            launch_type: None,
            status: active(),
            running: None,
            deregistered: false,
            service_connect: Vec::new(),
            capacity_providers: Vec::new(),
            completed: true,
            deployment: DeploymentSetting { circuit_breaker: Some(breaker), ..DeploymentSetting::default() },
            health_check_grace: None,
            target_groups: vec![TargetGroupSetting { arn: name.clone(), ..TargetGroupSetting::default() }],
            container: app(),
            image: None,
            task_definition: None,
            name,
        }
    }
}

fn default_cluster() -> String {
    "default".into()
}
fn default_desired() -> u32 {
    2
}
fn by_ecs() -> String {
    "ECS".into()
}
fn active() -> String {
    "ACTIVE".into()
}
fn app() -> String {
    "app".into()
}
fn default_true() -> bool {
    true
}
