//! Answers of ECS as our nouns: tolerant of what is missing, unknown or of another type. Pure.

use serde_json::Value;

use crate::release::Version;

/// A service as DescribeServices shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`; absent means `ECS`.
    pub controller: String,
    /// ARN of the task definition that is wished for.
    pub definition: String,
    /// Tasks that are wished for.
    pub desired: u32,
    /// ARN of the service deployment in flight or, where there is none, of the last one; may lag.
    pub current: Option<String>,
    /// ARNs of the revisions that run.
    pub revisions: Vec<String>,
    /// The deployments, the PRIMARY one first as AWS gives them.
    pub deployments: Vec<Deployment>,
    /// Events, newest first as AWS gives them.
    pub events: Vec<Event>,
    /// Target group ARNs, as the service names them.
    pub target_groups: Vec<String>,
    /// The whole answer.
    pub raw: Value,
}

/// A deployment inside a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployment {
    /// `ecs-svc/…`.
    pub id: String,
    /// `PRIMARY`, `ACTIVE`, `INACTIVE` or whatever AWS says.
    pub status: String,
    /// Task definition ARN.
    pub definition: String,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED` or whatever AWS says.
    pub rollout: String,
    /// AWS's words for it.
    pub reason: String,
    /// Tasks wished for, running, starting and failed.
    pub desired: u32,
    /// Running tasks.
    pub running: u32,
    /// Starting tasks.
    pub pending: u32,
    /// Failed tasks; AWS resets it once a task runs healthy.
    pub failed: u32,
    /// Epoch seconds on AWS's clock; 0 when not given.
    pub created: f64,
}

/// A line of the service's story.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// Epoch seconds on AWS's clock.
    pub at: f64,
    /// The line, untrusted.
    pub text: String,
}

/// A service deployment (also in its brief form from the list).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceDeployment {
    /// Its ARN.
    pub arn: String,
    /// One of nine statuses, or one we do not know.
    pub status: String,
    /// AWS's words for it.
    pub reason: String,
    /// Epoch seconds on AWS's clock.
    pub created: f64,
    /// Revision that it brings into service.
    pub target: Option<String>,
    /// Revisions that it replaces.
    pub sources: Vec<String>,
    /// Lifecycle stage; unknown ones are kept as they are.
    pub stage: String,
    /// Tasks of the target revision: wished for, running, starting.
    pub tasks: [u32; 3],
    /// Revision that a rollback went to or goes to.
    pub rollback: Option<String>,
    /// Why it is rolled back, in AWS's words.
    pub rollback_reason: String,
    /// Whether the circuit breaker fired.
    pub breaker_fired: bool,
    /// Names of the alarms that fired; `["?"]` when AWS names none.
    pub alarms_fired: Vec<String>,
    /// The share of production traffic that is asked for the target revision, in percent; where AWS says it.
    pub weight: Option<f64>,
    /// The lifecycle hooks that fired, as AWS lists them.
    pub hooks: Vec<FiredHook>,
    /// The deployment configuration that it goes by.
    pub configuration: Value,
}

/// A lifecycle hook that fired.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FiredHook {
    /// Its id.
    pub id: String,
    /// Whether it waits for a word; else it calls a function.
    pub pauses: bool,
    /// `AWAITING_ACTION`, `IN_PROGRESS`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or one we do not know.
    pub status: String,
    /// What happens when nobody acts: `ROLLBACK` or `CONTINUE`.
    pub timeout_action: String,
}

impl ServiceDeployment {
    /// Whether it can still change anything.
    pub fn in_flight(&self) -> bool {
        !matches!(self.status.as_str(), "SUCCESSFUL" | "STOPPED" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED")
    }

    /// Whether AWS is taking it back.
    pub fn rolling_back(&self) -> bool {
        matches!(self.status.as_str(), "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS")
    }
}

/// A service revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// Its task definition ARN.
    pub definition: String,
    /// Container name, image reference and resolved digest (which may be empty).
    pub images: Vec<(String, String, String)>,
    /// ARNs of the target groups that its tasks are in; they change places with each deployment in stages.
    pub groups: Vec<String>,
}

/// A task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Task {
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
    /// Whether it is to stop or has stopped.
    pub stopping: bool,
    /// Seconds between start and stop; 0 when it never started.
    pub uptime: f64,
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
}

impl Task {
    /// The last part of the ARN.
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

impl Service {
    /// Reads one member of `services`.
    pub fn read(value: &Value) -> Self {
        let controller = text(&value["deploymentController"], "type");
        let deployments: Vec<_> = list(value, "deployments").iter().map(Deployment::read).collect();
        // What ECS works towards is the PRIMARY deployment's definition, also while it goes back.
        let primary = deployments.iter().find(|d| d.status == "PRIMARY" && !d.definition.is_empty());
        let definition = primary.map_or_else(|| text(value, "taskDefinition"), |d| d.definition.clone());
        Self {
            status: text(value, "status"),
            controller: if controller.is_empty() { "ECS".into() } else { controller },
            definition,
            desired: count(value, "desiredCount"),
            current: some_text(value, "currentServiceDeployment"),
            revisions: list(value, "currentServiceRevisions").iter().map(|r| text(r, "arn")).collect(),
            deployments,
            events: list(value, "events").iter().map(Event::read).collect(),
            target_groups: list(value, "loadBalancers")
                .iter()
                .filter_map(|l| some_text(l, "targetGroupArn"))
                .collect(),
            raw: value.clone(),
        }
    }

    /// The deployment that AWS is asked to reach.
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
    }

    /// The deployment with this id.
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }
}

impl Deployment {
    fn read(value: &Value) -> Self {
        Self {
            id: text(value, "id"),
            status: text(value, "status"),
            definition: text(value, "taskDefinition"),
            rollout: text(value, "rolloutState"),
            reason: text(value, "rolloutStateReason"),
            desired: count(value, "desiredCount"),
            running: count(value, "runningCount"),
            pending: count(value, "pendingCount"),
            failed: count(value, "failedTasks"),
            created: seconds(value, "createdAt"),
        }
    }
}

impl Event {
    fn read(value: &Value) -> Self {
        Self { id: text(value, "id"), at: seconds(value, "createdAt"), text: text(value, "message") }
    }
}

impl ServiceDeployment {
    /// Reads a member of `serviceDeployments`, full or brief.
    pub fn read(value: &Value) -> Self {
        let target = &value["targetServiceRevision"];
        let number = |key| count(target, key);
        Self {
            arn: text(value, "serviceDeploymentArn"),
            status: text(value, "status"),
            reason: text(value, "statusReason"),
            created: seconds(value, "createdAt"),
            target: some_text(target, "arn").or_else(|| some_text(value, "targetServiceRevisionArn")),
            sources: list(value, "sourceServiceRevisions")
                .iter()
                .filter_map(|s| some_text(s, "arn"))
                .collect(),
            stage: text(value, "lifecycleStage"),
            tasks: [number("requestedTaskCount"), number("runningTaskCount"), number("pendingTaskCount")],
            rollback: some_text(&value["rollback"], "serviceRevisionArn"),
            rollback_reason: text(&value["rollback"], "reason"),
            breaker_fired: value["deploymentCircuitBreaker"]["status"] == "TRIGGERED",
            alarms_fired: alarms_fired(&value["alarms"]),
            weight: target["requestedProductionTrafficWeight"].as_f64(),
            hooks: list(value, "lifecycleHookDetails").iter().map(FiredHook::read).collect(),
            configuration: value["deploymentConfiguration"].clone(),
        }
    }
}

impl FiredHook {
    fn read(value: &Value) -> Self {
        Self {
            id: text(value, "hookId"),
            pauses: value["targetType"] == "PAUSE",
            status: text(value, "status"),
            timeout_action: text(value, "timeoutAction"),
        }
    }
}

fn alarms_fired(alarms: &Value) -> Vec<String> {
    if alarms["status"] != "TRIGGERED" {
        return Vec::new();
    }
    let names: Vec<String> =
        list(alarms, "triggeredAlarmNames").iter().filter_map(|n| n.as_str().map(Into::into)).collect();
    if names.is_empty() { vec!["?".into()] } else { names }
}

impl Revision {
    /// Reads a member of `serviceRevisions`.
    pub fn read(value: &Value) -> Self {
        let image = |i: &Value| (text(i, "containerName"), text(i, "image"), text(i, "imageDigest"));
        Self {
            arn: text(value, "serviceRevisionArn"),
            definition: text(value, "taskDefinition"),
            images: list(value, "containerImages").iter().map(image).collect(),
            groups: list(&value["resolvedConfiguration"], "loadBalancers")
                .iter()
                .filter_map(|l| some_text(l, "targetGroupArn"))
                .collect(),
        }
    }
}

impl Task {
    /// Reads a member of `tasks`.
    pub fn read(value: &Value) -> Self {
        let (from, to) =
            (seconds(value, "startedAt"), seconds(value, "stoppingAt").max(seconds(value, "stoppedAt")));
        let container = |c: &Value| TaskContainer {
            name: text(c, "name"),
            exit_code: c["exitCode"].as_i64(),
            reason: text(c, "reason"),
        };
        Self {
            arn: text(value, "taskArn"),
            definition: text(value, "taskDefinitionArn"),
            started_by: text(value, "startedBy"),
            stop_code: text(value, "stopCode"),
            reason: text(value, "stoppedReason"),
            // A task that failed its checks is to stop long before it has stopped.
            stopping: value["desiredStatus"] == "STOPPED" || value["lastStatus"] == "STOPPED",
            uptime: if from > 0.0 && to > from { to - from } else { 0.0 },
            containers: list(value, "containers").iter().map(container).collect(),
        }
    }
}

/// A task definition ARN as a version: `arn:…:task-definition/backend:42` is `backend:42`.
pub fn version(arn: &str) -> Version {
    let label = arn.rsplit_once("task-definition/").map_or(arn, |(_, label)| label);
    Version { id: arn.to_owned(), label: label.to_owned() }
}

/// The members of a list; empty when it is missing or no list.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// A string; empty when it is missing or no string.
pub fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// A string, unless it is missing, empty or no string.
pub fn some_text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().filter(|text| !text.is_empty()).map(Into::into)
}

fn count(value: &Value, key: &str) -> u32 {
    value[key].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Epoch seconds; json 1.1 writes them as numbers.
fn seconds(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nonsense_is_read_as_nothing_known() {
        let service =
            Service::read(&json!({"status": 3, "deployments": {"a": 1}, "events": [1], "desiredCount": "x"}));
        assert_eq!((service.status.as_str(), service.desired, service.deployments.len()), ("", 0, 0));
        assert_eq!(ServiceDeployment::read(&Value::Null), ServiceDeployment::default());
    }

    #[test]
    fn an_absent_controller_is_ecs() {
        assert_eq!(Service::read(&json!({})).controller, "ECS");
        assert_eq!(
            Service::read(&json!({"deploymentController":{"type":"CODE_DEPLOY"}})).controller,
            "CODE_DEPLOY"
        );
    }

    #[test]
    fn alarms_count_only_when_triggered() {
        let read = |alarms| ServiceDeployment::read(&json!({"alarms": alarms})).alarms_fired;
        assert!(read(json!({"status":"MONITORING","alarmNames":["a"]})).is_empty());
        assert_eq!(read(json!({"status":"TRIGGERED","triggeredAlarmNames":["a"]})), ["a"]);
        assert_eq!(read(json!({"status":"TRIGGERED"})), ["?"]);
    }

    #[test]
    fn a_task_that_is_to_stop_counts_before_it_has_stopped() {
        let task = Task::read(
            &json!({"desiredStatus":"STOPPED","lastStatus":"DEACTIVATING","startedAt":10,"stoppingAt":70.5}),
        );
        assert!(task.stopping);
        assert!((task.uptime - 60.5).abs() < f64::EPSILON);
    }

    #[test]
    fn an_arn_has_a_short_form() {
        assert_eq!(version("arn:aws:ecs:eu-west-1:1:task-definition/a-b:42").label, "a-b:42");
    }
}
