//! What ECS knows, as plain data. Indices never change: nothing is removed from these lists, only marked as ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use super::super::faults::TaskOutcome;
use super::one_off::OneOffTask;
use super::staged_deployment::StagedDeployment;

/// All of ECS.
#[derive(Debug, Clone, Default)]
pub struct EcsState {
    pub(super) clusters: Vec<String>,
    pub(super) definitions: Vec<TaskDefinition>,
    pub(super) families: BTreeMap<String, Vec<usize>>,
    pub(super) services: Vec<Service>,
    pub(super) deployments: Vec<Deployment>,
    pub(super) service_deployments: Vec<ServiceDeployment>,
    pub(super) revisions: Vec<ServiceRevision>,
    pub(super) tasks: Vec<Task>,
    pub(super) one_off_tasks: Vec<OneOffTask>,
    pub(super) task_ids: BTreeMap<String, usize>,
    pub(super) tags: BTreeMap<String, Vec<Value>>,
    /// Target groups whose load balancer is not enabled in the second zone.
    pub(super) disabled_zone_groups: BTreeSet<String>,
    /// What service reads show until that time (epoch seconds), when they lag.
    pub(super) stale: Option<(f64, Box<EcsState>)>,
    /// The service (index) of the client's first deployment, where that is one of ECS.
    pub(super) first_deployed: Option<usize>,
}

impl EcsState {
    /// The definition (index) that the living task at an address runs.
    pub fn definition_at(&self, ip: &str) -> Option<usize> {
        let living = self.services.iter().flat_map(|service| &service.tasks).map(|&task| &self.tasks[task]);
        living.filter(|task| !task.is_stopped()).find(|task| task.ip == ip).map(|task| task.definition)
    }

    /// Whether some service ran the definition with this ARN when the world began.
    pub fn is_seed_definition(&self, arn: &str) -> bool {
        let place = self.definitions.iter().position(|definition| definition.arn == arn);
        place.is_some_and(|place| self.services.iter().any(|service| service.seed_definition == Some(place)))
    }

    /// Whether some service ran a definition when the world began, and the definition's image references.
    pub fn seed_and_images(&self, definition: usize) -> (bool, Vec<&str>) {
        let images = self.definitions[definition].containers.iter().map(|it| it.image.as_str()).collect();
        (self.services.iter().any(|service| service.seed_definition == Some(definition)), images)
    }
}

/// A registered task definition.
#[derive(Debug, Clone)]
pub(super) struct TaskDefinition {
    pub(super) arn: String,
    pub(super) family: String,
    pub(super) revision: u32,
    /// What Describe shows: all that was given, and what AWS adds.
    pub(super) response: Value,
    pub(super) containers: Vec<ContainerDefinition>,
    pub(super) active: bool,
}

/// What the scheduler needs to know of a container.
#[derive(Debug, Clone)]
pub(super) struct ContainerDefinition {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) essential: bool,
    pub(super) health_check: bool,
    /// Group and prefix of its awslogs driver.
    pub(super) logs: Option<(String, String)>,
    /// First secret it needs.
    pub(super) secret: Option<String>,
}

/// A service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) cluster: usize,
    pub(super) status: &'static str,
    pub(super) desired: u32,
    pub(super) definition: usize,
    /// The definition it ran when the world began.
    pub(super) seed_definition: Option<usize>,
    pub(super) controller: String,
    /// Whether a client named the controller: then it is shown, also the default one.
    pub(super) is_controller_given: bool,
    pub(super) created_at: f64,
    /// Members that Create and Update take and Describe shows as they are.
    pub(super) members: Map<String, Value>,
    /// `ecs-svc/…`, newest first; ended ones are removed.
    pub(super) deployments: Vec<usize>,
    /// Service deployments, oldest first.
    pub(super) service_deployments: Vec<usize>,
    /// The deployment that completed last: where a rollback leads.
    pub(super) last_completed: Option<usize>,
    /// Tasks that live or stopped less than an hour ago.
    pub(super) tasks: Vec<usize>,
    pub(super) events: VecDeque<ServiceEvent>,
    /// When the scheduler looks next, if a look is planned.
    pub(super) next_reconcile: Option<f64>,
    /// The last "steady state" event still holds.
    pub(super) is_steady: bool,
    /// Since when an event says that no task can be placed.
    pub(super) unplaced_since: Option<f64>,
}

/// A service event.
#[derive(Debug, Clone)]
pub(super) struct ServiceEvent {
    pub(super) id: String,
    pub(super) at: f64,
    pub(super) message: String,
}

/// What DescribeServices calls a deployment: `ecs-svc/…`.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) id: String,
    pub(super) service: usize,
    pub(super) status: &'static str,
    pub(super) revision: usize,
    pub(super) service_deployment: usize,
    pub(super) created_at: f64,
    pub(super) updated_at: f64,
    pub(super) state: &'static str,
    pub(super) reason: String,
    pub(super) failed_tasks: u32,
    /// No launch before this time: back-off after failures.
    pub(super) launch_after: f64,
    /// Nothing is launched any more: it failed and nobody rolled it back.
    pub(super) is_stalled: bool,
    /// The condition for completion holds; checked again when the time has come.
    pub(super) is_finishing: bool,
    /// Whether the event about inconsistent starts was written.
    pub(super) is_impaired: bool,
}

/// A service deployment.
#[derive(Debug, Clone)]
pub(super) struct ServiceDeployment {
    pub(super) arn: String,
    pub(super) service: usize,
    pub(super) target: usize,
    pub(super) sources: Vec<(usize, u32)>,
    /// The `ecs-svc/…` that carries it, then the one that rolls it back.
    pub(super) deployment: usize,
    pub(super) rollback_deployment: Option<usize>,
    pub(super) status: ServiceDeploymentStatus,
    pub(super) status_reason: String,
    pub(super) created_at: f64,
    pub(super) started_at: Option<f64>,
    pub(super) finished_at: Option<f64>,
    pub(super) stopped_at: Option<f64>,
    pub(super) updated_at: f64,
    /// What it started with.
    pub(super) configuration: Value,
    /// Its way in stages; none when it is rolling.
    pub(super) staged: Option<StagedDeployment>,
    pub(super) rollback: Option<DeploymentRollback>,
    /// The reason of a requested rollback.
    pub(super) rollback_reason: &'static str,
    pub(super) breaker: CircuitBreaker,
    pub(super) alarms: AlarmMonitor,
}

/// Where a service deployment returned to, and why.
#[derive(Debug, Clone)]
pub(super) struct DeploymentRollback {
    pub(super) reason: String,
    pub(super) started_at: f64,
    pub(super) revision: usize,
}

/// The circuit breaker of one service deployment.
#[derive(Debug, Clone)]
pub(super) struct CircuitBreaker {
    pub(super) enable: bool,
    pub(super) rollback: bool,
    pub(super) status: &'static str,
    pub(super) failure_count: u32,
    pub(super) threshold: u32,
    pub(super) resets_on_healthy: bool,
}

/// The alarms of one service deployment.
#[derive(Debug, Clone)]
pub(super) struct AlarmMonitor {
    pub(super) enable: bool,
    pub(super) rollback: bool,
    pub(super) status: &'static str,
    pub(super) names: Vec<String>,
    /// Red when the deployment started: ignored for all of it.
    pub(super) ignored: Vec<String>,
    pub(super) triggered: Vec<String>,
}

/// Status of a service deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServiceDeploymentStatus {
    Pending,
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl ServiceDeploymentStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::StopRequested => "STOP_REQUESTED",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed)
    }
}

/// A service revision: what a deployment runs.
#[derive(Debug, Clone)]
pub(super) struct ServiceRevision {
    pub(super) arn: String,
    pub(super) service: usize,
    pub(super) definition: usize,
    pub(super) created_at: f64,
    /// Container name, image reference, digest (absent when it cannot be resolved).
    pub(super) images: Vec<(String, String, Option<String>)>,
    /// Its tasks are in the alternate target group.
    pub(super) in_alternate_group: bool,
    /// Launch type, network, load balancers as they were.
    pub(super) members: Map<String, Value>,
}

/// A task.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) arn: String,
    pub(super) service: usize,
    pub(super) deployment: usize,
    pub(super) definition: usize,
    /// Whether ExecuteCommand was enabled when it was made.
    pub(super) takes_commands: bool,
    pub(super) last_status: &'static str,
    /// It shall run; false once anything stopped it.
    pub(super) should_run: bool,
    /// It counts as healthy for the scheduler.
    pub(super) healthy: bool,
    pub(super) health: &'static str,
    pub(super) ip: String,
    pub(super) attachment: String,
    /// Whether it runs in the second zone.
    pub(super) in_second_zone: bool,
    pub(super) outcome: TaskOutcome,
    pub(super) change_count: u32,
    pub(super) times: TaskTimes,
    pub(super) stop_code: Option<&'static str>,
    pub(super) stopped_reason: Option<String>,
    pub(super) containers: Vec<TaskContainer>,
}

/// When what happened to a task, epoch seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskTimes {
    pub(super) created: f64,
    pub(super) pull_started: Option<f64>,
    pub(super) pull_stopped: Option<f64>,
    pub(super) started: Option<f64>,
    pub(super) stopping: Option<f64>,
    pub(super) execution_stopped: Option<f64>,
    pub(super) stopped: Option<f64>,
}

/// A container of a task.
#[derive(Debug, Clone)]
pub(super) struct TaskContainer {
    pub(super) digest: Option<String>,
    pub(super) exit_code: Option<i64>,
    pub(super) reason: Option<String>,
}

impl Task {
    /// It is RUNNING and shall run.
    pub(super) fn is_serving(&self) -> bool {
        self.should_run && self.last_status == "RUNNING"
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }
}
