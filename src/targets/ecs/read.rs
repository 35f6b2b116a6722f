//! Responses of ECS as values: tolerant of missing and unknown members and of other types. Pure.

use serde_json::Value;

use crate::release::Version;

/// A service as DescribeServices returns it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EcsService {
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`; absent means `ECS`.
    pub controller: String,
    /// ARN of the desired task definition.
    pub definition: String,
    /// The desired count.
    pub desired: u32,
    /// ARN of the service deployment in progress or, without one, of the last one; may lag.
    pub service_deployment_arn: Option<String>,
    /// ARNs of the running revisions.
    pub revision_arns: Vec<String>,
    /// The deployments, the PRIMARY one first as AWS gives them.
    pub deployments: Vec<EcsDeployment>,
    /// Events, newest first as AWS gives them.
    pub events: Vec<ServiceEvent>,
    /// Target group ARNs, as the service names them.
    pub target_groups: Vec<String>,
    /// The whole response.
    pub raw: Value,
}

/// A deployment inside a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EcsDeployment {
    /// `ecs-svc/…`.
    pub id: String,
    /// `PRIMARY`, `ACTIVE`, `INACTIVE` or others.
    pub status: String,
    /// Task definition ARN.
    pub definition: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED` or others.
    pub rollout_state: String,
    /// AWS's reason for it.
    pub reason: String,
    /// Tasks desired, running, pending and failed.
    pub desired: u32,
    /// Running tasks.
    pub running: u32,
    /// Pending tasks.
    pub pending: u32,
    /// Failed tasks; AWS resets it once a task runs healthy.
    pub failed: u32,
    /// Epoch seconds on AWS's clock; 0 if missing.
    pub created_at: f64,
}

/// An event of the service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceEvent {
    /// Its id.
    pub id: String,
    /// Epoch seconds on AWS's clock.
    pub created_at: f64,
    /// The line, untrusted.
    pub text: String,
}

/// A service deployment (also in its brief form from the list).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceDeployment {
    /// Its ARN.
    pub arn: String,
    /// One of nine statuses, or an unknown one.
    pub status: String,
    /// AWS's reason for it.
    pub reason: String,
    /// Epoch seconds on AWS's clock.
    pub created_at: f64,
    /// Epoch seconds on AWS's clock; 0 while it is in progress.
    pub finished_at: f64,
    /// The target revision.
    pub target_revision: Option<String>,
    /// The source revisions.
    pub source_revisions: Vec<String>,
    /// Lifecycle stage; unknown ones are kept as they are.
    pub lifecycle_stage: String,
    /// Tasks of the target revision: desired, running, pending.
    pub task_counts: [u32; 3],
    /// Revision of the rollback.
    pub rollback_revision: Option<String>,
    /// AWS's reason for the rollback.
    pub rollback_reason: String,
    /// Whether the circuit breaker was triggered.
    pub circuit_breaker_triggered: bool,
    /// Names of the alarms that fired; `["?"]` if AWS names none.
    pub triggered_alarms: Vec<String>,
    /// The requested weight of the target revision in production traffic, in percent; if AWS reports it.
    pub traffic_weight: Option<f64>,
    /// The lifecycle hooks that ran, as AWS lists them.
    pub fired_hooks: Vec<FiredHook>,
    /// Its deployment configuration.
    pub configuration: Value,
}

/// A lifecycle hook that ran.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FiredHook {
    /// Its id.
    pub id: String,
    /// Whether it pauses; else it calls a function.
    pub is_pause: bool,
    /// `AWAITING_ACTION`, `IN_PROGRESS`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or an unknown one.
    pub status: String,
    /// The action on timeout: `ROLLBACK` or `CONTINUE`.
    pub timeout_action: String,
}

impl ServiceDeployment {
    /// Whether it can still change anything.
    pub fn is_in_flight(&self) -> bool {
        !matches!(self.status.as_str(), "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED")
    }

    /// When it ended, else when it started; epoch seconds on AWS's clock.
    pub fn ended_at(&self) -> f64 {
        if self.finished_at > 0.0 { self.finished_at } else { self.created_at }
    }

    /// Whether AWS is rolling it back.
    pub fn is_rolling_back(&self) -> bool {
        matches!(self.status.as_str(), "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS")
    }
}

/// A service revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceRevision {
    /// Its ARN.
    pub arn: String,
    /// Its task definition ARN.
    pub definition: String,
    /// Container name, image reference and resolved digest (which may be empty).
    pub images: Vec<(String, String, String)>,
    /// ARNs of the target groups of its tasks; they swap with each staged deployment.
    pub target_groups: Vec<String>,
}

/// A task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EcsTask {
    /// Its ARN.
    pub arn: String,
    /// Its task definition ARN.
    pub definition: String,
    /// The deployment id that started it.
    pub started_by: String,
    /// `TaskFailedToStart`, `EssentialContainerExited` and others.
    pub stop_code: String,
    /// Why it stopped, untrusted.
    pub reason: String,
    /// Whether its desired status is STOPPED.
    pub is_stopping: bool,
    /// Whether its last status is STOPPED.
    pub has_stopped: bool,
    /// Seconds between start and stop; 0 if it never started.
    pub uptime_seconds: f64,
    /// Its containers.
    pub containers: Vec<TaskContainer>,
}

/// A container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskContainer {
    /// Its name.
    pub name: String,
    /// Its exit code, once it ended.
    pub exit_code: Option<i64>,
    /// Why it ended, untrusted.
    pub reason: String,
    /// Whether its own health check fails.
    pub is_unhealthy: bool,
}

impl EcsTask {
    /// Whether its containers ended it, and their exit codes are not shown yet.
    pub fn awaits_exit_code(&self) -> bool {
        let known = |it: &TaskContainer| it.exit_code.is_some() || !it.reason.is_empty();
        self.stop_code == "EssentialContainerExited"
            && !self.has_stopped
            && !self.containers.iter().any(known)
    }

    /// The last part of the ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

impl EcsService {
    /// Reads one member of `services`.
    pub fn from_json(value: &Value) -> Self {
        let controller = str_field(&value["deploymentController"], "type");
        let deployments: Vec<_> =
            list_field(value, "deployments").iter().map(EcsDeployment::from_json).collect();
        // The PRIMARY deployment's definition is the desired one, also during a rollback.
        let primary = deployments.iter().find(|d| d.status == "PRIMARY" && !d.definition.is_empty());
        let definition = primary.map_or_else(|| str_field(value, "taskDefinition"), |d| d.definition.clone());
        Self {
            status: str_field(value, "status"),
            controller: if controller.is_empty() { "ECS".into() } else { controller },
            definition,
            desired: count_field(value, "desiredCount"),
            service_deployment_arn: optional_str(value, "currentServiceDeployment"),
            revision_arns: list_field(value, "currentServiceRevisions")
                .iter()
                .map(|r| str_field(r, "arn"))
                .collect(),
            deployments,
            events: list_field(value, "events").iter().map(ServiceEvent::from_json).collect(),
            target_groups: list_field(value, "loadBalancers")
                .iter()
                .filter_map(|l| optional_str(l, "targetGroupArn"))
                .collect(),
            raw: value.clone(),
        }
    }

    /// The PRIMARY deployment.
    pub fn primary(&self) -> Option<&EcsDeployment> {
        self.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
    }

    /// The running tasks of a task definition, over all deployments.
    pub fn running_of(&self, definition: &str) -> u32 {
        let all = self.deployments.iter().filter(|deployment| deployment.definition == definition);
        all.map(|deployment| deployment.running).sum()
    }

    /// The deployment with this id.
    pub fn deployment(&self, id: &str) -> Option<&EcsDeployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}

impl EcsDeployment {
    fn from_json(value: &Value) -> Self {
        Self {
            id: str_field(value, "id"),
            status: str_field(value, "status"),
            definition: str_field(value, "taskDefinition"),
            rollout_state: str_field(value, "rolloutState"),
            reason: str_field(value, "rolloutStateReason"),
            desired: count_field(value, "desiredCount"),
            running: count_field(value, "runningCount"),
            pending: count_field(value, "pendingCount"),
            failed: count_field(value, "failedTasks"),
            created_at: seconds_field(value, "createdAt"),
        }
    }
}

impl ServiceEvent {
    fn from_json(value: &Value) -> Self {
        Self {
            id: str_field(value, "id"),
            created_at: seconds_field(value, "createdAt"),
            text: str_field(value, "message"),
        }
    }
}

impl ServiceDeployment {
    /// Reads a member of `serviceDeployments`, full or brief.
    pub fn from_json(value: &Value) -> Self {
        let target = &value["targetServiceRevision"];
        let number = |key| count_field(target, key);
        Self {
            arn: str_field(value, "serviceDeploymentArn"),
            status: str_field(value, "status"),
            reason: str_field(value, "statusReason"),
            created_at: seconds_field(value, "createdAt"),
            finished_at: seconds_field(value, "finishedAt"),
            target_revision: optional_str(target, "arn")
                .or_else(|| optional_str(value, "targetServiceRevisionArn")),
            source_revisions: list_field(value, "sourceServiceRevisions")
                .iter()
                .filter_map(|s| optional_str(s, "arn"))
                .collect(),
            lifecycle_stage: str_field(value, "lifecycleStage"),
            task_counts: [
                number("requestedTaskCount"),
                number("runningTaskCount"),
                number("pendingTaskCount"),
            ],
            rollback_revision: optional_str(&value["rollback"], "serviceRevisionArn"),
            rollback_reason: str_field(&value["rollback"], "reason"),
            circuit_breaker_triggered: value["deploymentCircuitBreaker"]["status"] == "TRIGGERED",
            triggered_alarms: triggered_alarms(&value["alarms"]),
            traffic_weight: target["requestedProductionTrafficWeight"].as_f64(),
            fired_hooks: list_field(value, "lifecycleHookDetails").iter().map(FiredHook::from_json).collect(),
            configuration: value["deploymentConfiguration"].clone(),
        }
    }
}

impl FiredHook {
    fn from_json(value: &Value) -> Self {
        Self {
            id: str_field(value, "hookId"),
            is_pause: value["targetType"] == "PAUSE",
            status: str_field(value, "status"),
            timeout_action: str_field(value, "timeoutAction"),
        }
    }
}

fn triggered_alarms(alarms: &Value) -> Vec<String> {
    if alarms["status"] != "TRIGGERED" {
        return Vec::new();
    }
    let names: Vec<String> =
        list_field(alarms, "triggeredAlarmNames").iter().filter_map(|n| n.as_str().map(Into::into)).collect();
    if names.is_empty() { vec!["?".into()] } else { names }
}

impl ServiceRevision {
    /// Reads a member of `serviceRevisions`.
    pub fn from_json(value: &Value) -> Self {
        let image =
            |i: &Value| (str_field(i, "containerName"), str_field(i, "image"), str_field(i, "imageDigest"));
        Self {
            arn: str_field(value, "serviceRevisionArn"),
            definition: str_field(value, "taskDefinition"),
            images: list_field(value, "containerImages").iter().map(image).collect(),
            target_groups: list_field(&value["resolvedConfiguration"], "loadBalancers")
                .iter()
                .filter_map(|l| optional_str(l, "targetGroupArn"))
                .collect(),
        }
    }
}

impl EcsTask {
    /// Reads a member of `tasks`.
    pub fn from_json(value: &Value) -> Self {
        let (from, to) = (
            seconds_field(value, "startedAt"),
            seconds_field(value, "stoppingAt").max(seconds_field(value, "stoppedAt")),
        );
        let container = |c: &Value| TaskContainer {
            name: str_field(c, "name"),
            exit_code: c["exitCode"].as_i64(),
            reason: str_field(c, "reason"),
            is_unhealthy: c["healthStatus"] == "UNHEALTHY",
        };
        Self {
            arn: str_field(value, "taskArn"),
            definition: str_field(value, "taskDefinitionArn"),
            started_by: str_field(value, "startedBy"),
            stop_code: str_field(value, "stopCode"),
            reason: str_field(value, "stoppedReason"),
            // A task that failed its checks has desired status STOPPED long before it has stopped.
            is_stopping: value["desiredStatus"] == "STOPPED" || value["lastStatus"] == "STOPPED",
            has_stopped: value["lastStatus"] == "STOPPED",
            uptime_seconds: if from > 0.0 && to > from { to - from } else { 0.0 },
            containers: list_field(value, "containers").iter().map(container).collect(),
        }
    }
}

/// A task definition ARN as a version: `arn:…:task-definition/backend:42` is `backend:42`.
pub fn version_from_arn(arn: &str) -> Version {
    let label = arn.rsplit_once("task-definition/").map_or(arn, |(_, label)| label);
    Version { id: arn.to_owned(), label: label.to_owned() }
}

/// The items of a list; empty if it is missing or no list.
pub fn list_field<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// A string; empty if it is missing or no string.
pub fn str_field(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// A string, unless it is missing, empty or no string.
pub fn optional_str(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().filter(|text| !text.is_empty()).map(Into::into)
}

fn count_field(value: &Value, key: &str) -> u32 {
    value[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Epoch seconds; json 1.1 writes them as numbers.
pub fn seconds_field(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(0.0)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
