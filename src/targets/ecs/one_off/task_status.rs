//! The request of RunTask, and the status of a command's task. Pure.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::super::error::AwsError;
use super::super::read::{EcsTask, TaskContainer, list_field, optional_str, str_field};
use super::super::rollout::causes;
use crate::problem::{Code, Problem};
use crate::release::{Failure, LogLine, StartedTask, TaskCommand, TaskStatus, Version};

/// The reason of our StopTask calls.
pub const STOP_REASON: &str = "Stopped by Roadstead";

/// Members of the service for placement and network; RunTask has them under the same names.
const COPIED_MEMBERS: [&str; 5] = [
    "networkConfiguration",
    "platformVersion",
    "placementConstraints",
    "placementStrategy",
    "enableECSManagedTags",
];

/// The request of RunTask: one task, placed like the service's own, with another command.
pub fn run_task_request(service: &Value, version: &Version, command: &TaskCommand, container: &str) -> Value {
    let mut members = Map::new();
    members.insert("cluster".into(), service["clusterArn"].clone());
    members.insert("taskDefinition".into(), json!(version.id));
    members.insert("count".into(), json!(1));
    members.insert("startedBy".into(), json!(command.owner));
    members.insert("clientToken".into(), json!(client_token(version, command)));
    let over = json!({ "name": container, "command": command.command });
    members.insert("overrides".into(), json!({ "containerOverrides": [over] }));
    for key in COPIED_MEMBERS {
        let given = service.get(key).filter(|value| !is_empty_member(value));
        members.extend(given.map(|value| (key.to_owned(), value.clone())));
    }
    // A service has a launch type or capacity providers; RunTask accepts one of the two.
    let launch = ["capacityProviderStrategy", "launchType"].into_iter();
    let launch =
        launch.filter_map(|key| Some((key, service.get(key).filter(|value| !is_empty_member(value))?)));
    members.extend(launch.take(1).map(|(key, value)| (key.to_owned(), value.clone())));
    members.extend(task_tags(service));
    Value::Object(members)
}

fn is_empty_member(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The task gets the tags of the service's own tasks. RunTask cannot copy them from a service.
fn task_tags(service: &Value) -> Option<(String, Value)> {
    match service["propagateTags"].as_str() {
        Some("TASK_DEFINITION") => Some(("propagateTags".into(), json!("TASK_DEFINITION"))),
        Some("SERVICE") => {
            let tags = service.get("tags").filter(|tags| !is_empty_member(tags))?;
            Some(("tags".into(), tags.clone()))
        }
        _ => None,
    }
}

/// Equal for the same attempt, version and command; 64 characters, AWS's limit.
fn client_token(version: &Version, command: &TaskCommand) -> String {
    let all = json!([command.idempotency_key, version.id, command.command, command.container]);
    hex::encode(Sha256::digest(all.to_string()))
}

/// The ARN of the started task, or why none was started.
pub fn started_task_arn(answer: &Value) -> Result<String, Problem> {
    if let Some(arn) = list_field(answer, "tasks").first().and_then(|task| optional_str(task, "taskArn")) {
        return Ok(arn);
    }
    let failure = list_field(answer, "failures").first().cloned().unwrap_or_default();
    let reason = [str_field(&failure, "reason"), str_field(&failure, "detail")].join(" ");
    Err(no_capacity(if reason.trim().is_empty() { "RunTask returned no task" } else { reason.trim() }))
}

fn no_capacity(cause: &str) -> Problem {
    Problem::error(Code::NoCapacity, "ECS has no capacity for the task of the command.")
        .cause(cause)
        .help("Add capacity, or run the job again later.")
}

/// Fargate reports missing capacity as an error, too.
pub fn classify_capacity(problem: Problem) -> Problem {
    let cause = problem.cause.as_deref().unwrap_or_default();
    if cause.contains("Capacity is unavailable") { no_capacity(cause) } else { problem }
}

/// Another version's command of the same run has not ended.
pub fn other_version_running(task: &StartedTask) -> Problem {
    let sentence =
        "A command that an earlier attempt of this run started with another version is still running.";
    Problem::error(Code::BeforeFailed, sentence)
        .cause(format!("task {}", task.label))
        .help("Wait until it ends, or stop the task; then run the job again.")
}

/// A task that was found, in the form in which it was started.
pub fn find_started(task: &Value) -> StartedTask {
    let over = &task["overrides"]["containerOverrides"][0];
    let arguments: Vec<&str> = list_field(over, "command").iter().filter_map(Value::as_str).collect();
    let read = EcsTask::from_json(task);
    StartedTask {
        label: read.id().to_owned(),
        container: str_field(over, "name"),
        version: read.definition,
        display: arguments.join(" "),
        id: read.arn,
    }
}

/// The state of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandState {
    /// The command is running.
    Running(String),
    /// The command has ended.
    Ended(CommandEnd),
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandEnd {
    /// Its exit code; `None` if AWS reports none, so that its success is unknown.
    pub exit_code: Option<i64>,
    /// Whether it ran at all.
    pub has_run: bool,
    /// Whether other containers of its task are still running.
    pub task_still_runs: bool,
}

/// Reads the state from the command's own container, whatever the others of the task do.
pub fn command_state(task: &Value, container: &str) -> CommandState {
    let ours = list_field(task, "containers").iter().find(|it| it["name"] == container);
    let exit = ours.and_then(|it| it["exitCode"].as_i64());
    let last = str_field(task, "lastStatus");
    if exit.is_none() && last != "STOPPED" {
        return CommandState::Running(last);
    }
    let ran = task.get("startedAt").is_some_and(|at| !at.is_null());
    let lingers = task["desiredStatus"] == "RUNNING" && last != "STOPPED";
    CommandState::Ended(CommandEnd { exit_code: exit, has_run: ran, task_still_runs: lingers })
}

/// The final status. Without an exit code of 0 it is no success.
pub fn final_status(
    task: &StartedTask,
    shown: &EcsTask,
    ended: &CommandEnd,
    lines: Result<Vec<LogLine>, Problem>,
) -> TaskStatus {
    let (lines, unread) = match lines {
        Ok(lines) => (lines, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    if ended.exit_code == Some(0) {
        return TaskStatus::Succeeded(lines);
    }
    let problem = command_failure(task, shown, ended);
    let unread = unread.map(|problem| format!("its log lines could not be read: {}", problem.sentence));
    let cause = problem.cause.clone().filter(|cause| !cause.is_empty());
    let cause: Vec<String> = cause.into_iter().chain(unread).collect();
    let cause = (!cause.is_empty()).then(|| cause.join(" | "));
    let problem = Problem { cause, ..problem };
    TaskStatus::Failed(Box::new(Failure {
        problem,
        exit_code: ended.exit_code,
        logs: lines,
        permanent: true,
    }))
}

fn command_failure(task: &StartedTask, shown: &EcsTask, ended: &CommandEnd) -> Problem {
    let display = &task.display;
    let problem = |what: &str| Problem::error(Code::BeforeFailed, format!("The command `{display}` {what}."));
    // Only the command's own container counts.
    let ours: Vec<TaskContainer> =
        shown.containers.iter().filter(|it| !ended.has_run || it.name == task.container).cloned().collect();
    let reason = ours.iter().map(|it| it.reason.clone()).find(|reason| !reason.is_empty());
    let cause = reason.unwrap_or_else(|| shown.reason.clone());
    let found = causes::from_task(&EcsTask { containers: ours, ..shown.clone() }, &[]);
    match (ended.exit_code, found) {
        (_, Some(found)) if !ended.has_run => {
            let cause = found.problem.cause.unwrap_or_default();
            problem("could not be started")
                .cause(format!("{} {cause}", found.problem.sentence))
                .help(found.problem.help)
        }
        (_, None) if !ended.has_run => problem("was not started").cause(cause),
        (_, Some(found)) if found.problem.code == Code::OutOfMemory => {
            problem("was killed because it exceeded its memory limit").cause(cause).help(found.problem.help)
        }
        _ if shown.stop_code == "UserInitiated" => problem("was stopped by another user or tool")
            .cause(cause)
            .help("Find the caller of `StopTask` in CloudTrail."),
        (Some(code), _) => {
            let help = "Check its log lines. The next run starts it again.";
            problem(&format!("ended with exit code {code}")).cause(cause).help(help)
        }
        (None, _) => problem("ended without an exit code, so its result is unknown").cause(cause),
    }
}

/// A task that AWS does not know any more, or that has stopped.
pub fn is_unknown(refusal: &AwsError) -> bool {
    let cause = refusal.problem.cause.as_deref().unwrap_or_default();
    refusal.has_code(&["InvalidParameterException", "ClientException"]) && cause.contains("not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> TaskCommand {
        TaskCommand {
            command: vec!["./migrate".into(), "up".into()],
            display: "./migrate up".into(),
            container: None,
            owner: "roadstead/7/web".into(),
            idempotency_key: "7/1/web".into(),
        }
    }

    fn version() -> Version {
        Version { id: "arn:web:2".into(), label: "web:2".into() }
    }

    fn request_text(service: Value) -> String {
        let mut request = run_task_request(&service, &version(), &command(), "app");
        request["clientToken"].take();
        request.to_string()
    }

    #[test]
    fn command_is_placed_like_the_service_tasks() {
        let fargate = json!({"clusterArn":"arn:c","launchType":"FARGATE","platformVersion":"LATEST","capacityProviderStrategy":[],
            "networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}},"propagateTags":"SERVICE","tags":[{"key":"team","value":"a"}],
            "placementStrategy":[],"enableECSManagedTags":false,"loadBalancers":[{}]});
        let provider = json!({"clusterArn":"arn:c","launchType":"EC2","capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT"}],
            "propagateTags":"TASK_DEFINITION","placementConstraints":[{"type":"distinctInstance"}]});
        insta::assert_snapshot!([request_text(fargate), request_text(provider)].join("\n"), @r#"
        {"cluster":"arn:c","taskDefinition":"arn:web:2","count":1,"startedBy":"roadstead/7/web","clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}},"platformVersion":"LATEST","launchType":"FARGATE","tags":[{"key":"team","value":"a"}]}
        {"cluster":"arn:c","taskDefinition":"arn:web:2","count":1,"startedBy":"roadstead/7/web","clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"placementConstraints":[{"type":"distinctInstance"}],"capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT"}],"propagateTags":"TASK_DEFINITION"}
        "#);
    }

    #[test]
    fn client_token_depends_on_attempt_version_and_command() {
        let same = client_token(&version(), &command());
        assert_eq!((same.len(), &same), (64, &client_token(&version(), &command())));
        let others = [
            client_token(&Version { id: "arn:web:3".into(), label: String::new() }, &command()),
            client_token(&version(), &TaskCommand { idempotency_key: "7/2/web".into(), ..command() }),
            client_token(&version(), &TaskCommand { command: vec!["x".into()], ..command() }),
        ];
        assert!(others.iter().all(|other| *other != same));
    }

    fn describe(task: Value, lines: Result<Vec<LogLine>, Problem>) -> String {
        let run = StartedTask {
            id: "arn:task/c/1".into(),
            label: "1".into(),
            container: "app".into(),
            version: "arn:web:2".into(),
            display: "./migrate up".into(),
        };
        match command_state(&task, "app") {
            CommandState::Running(words) => format!("open: {words}"),
            CommandState::Ended(ended) => match final_status(&run, &EcsTask::from_json(&task), &ended, lines)
            {
                TaskStatus::InProgress(words) => words,
                TaskStatus::Succeeded(_) => {
                    format!(
                        "done{}",
                        if ended.task_still_runs { ", and the task is still running" } else { "" }
                    )
                }
                TaskStatus::Failed(failure) => format!("{:?} {}", failure.exit_code, failure.problem),
            },
        }
    }

    #[test]
    fn command_succeeds_only_with_exit_code_of_its_container() {
        let task = |last: &str, code: &str, reason: &str, containers: Value| {
            let desired = if code.is_empty() { "RUNNING" } else { "STOPPED" };
            json!({"taskArn":"arn:task/c/1","lastStatus":last,"desiredStatus":desired,"stopCode":code,"stoppedReason":reason,
                "startedAt":if last == "RUNNING" || containers[0].get("exitCode").is_some() { json!(5) } else { Value::Null },
                "containers":containers})
        };
        let exits =
            |app: Value, side: Value| json!([{"name":"app","exitCode":app},{"name":"side","exitCode":side}]);
        let essential = "Essential container in task exited";
        let nothing = json!([{"name":"app"}]);
        let all = [
            task("PENDING", "", "", nothing.clone()),
            task("RUNNING", "", "", exits(Value::Null, json!(1))),
            task("RUNNING", "", "", exits(json!(0), Value::Null)),
            task("DEPROVISIONING", "EssentialContainerExited", essential, exits(json!(0), json!(137))),
            task("STOPPED", "EssentialContainerExited", essential, exits(json!(3), json!(0))),
            task(
                "STOPPED",
                "EssentialContainerExited",
                essential,
                json!([{"name":"app","exitCode":137,"reason":"OutOfMemoryError: Container killed due to memory usage"}]),
            ),
            task("STOPPED", "UserInitiated", "by hand", exits(json!(143), json!(143))),
            task("STOPPED", "EssentialContainerExited", essential, exits(Value::Null, json!(0))),
            task("STOPPED", "TaskFailedToStart", "CannotPullContainerError: not found", nothing.clone()),
            task("STOPPED", "", "Host EC2 (instance i-1) terminated.", nothing),
        ];
        let lines: Vec<String> = all.into_iter().map(|task| describe(task, Ok(Vec::new()))).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        open: PENDING
        open: RUNNING
        done, and the task is still running
        done
        Some(3) The command `./migrate up` ended with exit code 3. (Essential container in task exited) Check its log lines. The next run starts it again.
        Some(137) The command `./migrate up` was killed because it exceeded its memory limit. (OutOfMemoryError: Container killed due to memory usage) Raise the memory of the container or of the task.
        Some(143) The command `./migrate up` was stopped by another user or tool. (by hand) Find the caller of `StopTask` in CloudTrail.
        None The command `./migrate up` ended without an exit code, so its result is unknown. (Essential container in task exited)
        None The command `./migrate up` could not be started. (ECS cannot pull the image. CannotPullContainerError: not found) Check that the image exists in that registry and that the execution role may pull it.
        None The command `./migrate up` could not be started. (The container instance of the task went away. Host EC2 (instance i-1) terminated.) Check the instances of the cluster. The new version is not the cause.
        ");
    }

    #[test]
    fn unreadable_log_lines_do_not_hide_the_exit_code() {
        let failed = json!({"lastStatus":"STOPPED","startedAt":1,"containers":[{"name":"app","exitCode":2}]});
        let denied = Problem::error(Code::PermissionMissing, "The permission logs:GetLogEvents is missing.");
        insta::assert_snapshot!(describe(failed, Err(denied)), @"Some(2) The command `./migrate up` ended with exit code 2. (its log lines could not be read: The permission logs:GetLogEvents is missing.) Check its log lines. The next run starts it again.");
    }

    #[test]
    fn failure_to_start_names_the_reason() {
        let answers = [
            json!({"tasks":[],"failures":[{"arn":"x","reason":"RESOURCE:MEMORY","detail":"no instance fits"}]}),
            json!({"tasks":[],"failures":[]}),
        ];
        let problems = answers.map(|answer| started_task_arn(&answer).unwrap_err().to_string());
        insta::assert_snapshot!(problems.join("\n"), @"
        ECS has no capacity for the task of the command. (RESOURCE:MEMORY no instance fits) Add capacity, or run the job again later.
        ECS has no capacity for the task of the command. (RunTask returned no task) Add capacity, or run the job again later.
        ");
    }
}
