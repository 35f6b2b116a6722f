//! What RunTask is sent, and what the task of a command says about itself. Pure.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::causes;
use super::read::{Task, TaskContainer, list, some_text, text};
use super::refusal::Refusal;
use crate::problem::{Code, Problem};
use crate::release::{Failure, LogLine, OneOff, OneOffState, TaskRun, Version};

/// The reason that we give when we stop a task.
pub const REASON: &str = "Stopped by Roadstead";

/// Members of the service that its tasks are placed and reached by; RunTask takes them under the same names.
const AS_THE_SERVICE: [&str; 5] = [
    "networkConfiguration",
    "platformVersion",
    "placementConstraints",
    "placementStrategy",
    "enableECSManagedTags",
];

/// What RunTask is sent: one task, where and how the service's own tasks run, with another command.
pub fn request(service: &Value, version: &Version, command: &OneOff, container: &str) -> Value {
    let mut members = Map::new();
    members.insert("cluster".into(), service["clusterArn"].clone());
    members.insert("taskDefinition".into(), json!(version.id));
    members.insert("count".into(), json!(1));
    members.insert("startedBy".into(), json!(command.owner));
    members.insert("clientToken".into(), json!(token(version, command)));
    let over = json!({ "name": container, "command": command.command });
    members.insert("overrides".into(), json!({ "containerOverrides": [over] }));
    for key in AS_THE_SERVICE {
        let given = service.get(key).filter(|value| !is_nothing(value));
        members.extend(given.map(|value| (key.to_owned(), value.clone())));
    }
    // A service has a launch type or providers, and RunTask takes one of the two.
    let place = ["capacityProviderStrategy", "launchType"].into_iter();
    let place = place.filter_map(|key| Some((key, service.get(key).filter(|value| !is_nothing(value))?)));
    members.extend(place.take(1).map(|(key, value)| (key.to_owned(), value.clone())));
    members.extend(tags(service));
    Value::Object(members)
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// The task gets the tags that the service's own tasks get. RunTask cannot take them from a service by itself.
fn tags(service: &Value) -> Option<(String, Value)> {
    match service["propagateTags"].as_str() {
        Some("TASK_DEFINITION") => Some(("propagateTags".into(), json!("TASK_DEFINITION"))),
        Some("SERVICE") => {
            let tags = service.get("tags").filter(|tags| !is_nothing(tags))?;
            Some(("tags".into(), tags.clone()))
        }
        _ => None,
    }
}

/// The same for the same attempt, version and command; 64 characters, as many as AWS takes.
fn token(version: &Version, command: &OneOff) -> String {
    let all = json!([command.key, version.id, command.command, command.container]);
    hex::encode(Sha256::digest(all.to_string()))
}

/// The ARN of the task that was started; why none was.
pub fn started(answer: &Value) -> Result<String, Problem> {
    if let Some(arn) = list(answer, "tasks").first().and_then(|task| some_text(task, "taskArn")) {
        return Ok(arn);
    }
    let failure = list(answer, "failures").first().cloned().unwrap_or_default();
    let said = [text(&failure, "reason"), text(&failure, "detail")].join(" ");
    Err(no_place(if said.trim().is_empty() { "RunTask answered with no task" } else { said.trim() }))
}

fn no_place(cause: &str) -> Problem {
    Problem::error(Code::NoCapacity, "ECS finds no place for the task of the command.")
        .cause(cause)
        .help("Add capacity, or run the job again later.")
}

/// Fargate says that it has no place in an error as well.
pub fn refused(problem: Problem) -> Problem {
    let cause = problem.cause.as_deref().unwrap_or_default();
    if cause.contains("Capacity is unavailable") { no_place(cause) } else { problem }
}

/// Another version's command of the same run is not done.
pub fn still_running(task: &TaskRun) -> Problem {
    let sentence = "The command that an earlier attempt of this run started with another version still runs.";
    Problem::error(Code::BeforeFailed, sentence)
        .cause(format!("task {}", task.label))
        .help("Wait for its end, or stop the task; then run the job again.")
}

/// A task that is found, as it was started.
pub fn known(task: &Value) -> TaskRun {
    let over = &task["overrides"]["containerOverrides"][0];
    let words: Vec<&str> = list(over, "command").iter().filter_map(Value::as_str).collect();
    let read = Task::read(task);
    TaskRun {
        label: read.id().to_owned(),
        container: text(over, "name"),
        version: read.definition,
        words: words.join(" "),
        id: read.arn,
    }
}

/// How far the task of a command is.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// The command has not ended.
    Open(String),
    /// It has.
    Ended(Ended),
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; `None` where it has none, so that nobody knows whether it did its work.
    pub exit: Option<i64>,
    /// Whether it ran at all.
    pub ran: bool,
    /// Whether other containers of its task run on.
    pub lingers: bool,
}

/// Reads how far it is: by its own container, whatever the others of the task do.
pub fn stage(task: &Value, container: &str) -> Stage {
    let ours = list(task, "containers").iter().find(|it| it["name"] == container);
    let exit = ours.and_then(|it| it["exitCode"].as_i64());
    let last = text(task, "lastStatus");
    if exit.is_none() && last != "STOPPED" {
        return Stage::Open(last);
    }
    let ran = task.get("startedAt").is_some_and(|at| !at.is_null());
    let lingers = task["desiredStatus"] == "RUNNING" && last != "STOPPED";
    Stage::Ended(Ended { exit, ran, lingers })
}

/// What the end means, in words. Without an exit code of 0 it is no success.
pub fn verdict(
    task: &TaskRun,
    shown: &Task,
    ended: &Ended,
    lines: Result<Vec<LogLine>, Problem>,
) -> OneOffState {
    let (lines, unread) = match lines {
        Ok(lines) => (lines, None),
        Err(problem) => (Vec::new(), Some(problem)),
    };
    if ended.exit == Some(0) {
        return OneOffState::Done(lines);
    }
    let problem = failure(task, shown, ended);
    let unread = unread.map(|problem| format!("its lines could not be read: {}", problem.sentence));
    let said = problem.cause.clone().filter(|said| !said.is_empty());
    let cause: Vec<String> = said.into_iter().chain(unread).collect();
    let cause = (!cause.is_empty()).then(|| cause.join(" | "));
    let problem = Problem { cause, ..problem };
    OneOffState::Failed(Box::new(Failure { problem, exit_code: ended.exit, logs: lines, permanent: true }))
}

fn failure(task: &TaskRun, shown: &Task, ended: &Ended) -> Problem {
    let words = &task.words;
    let problem = |what: &str| Problem::error(Code::BeforeFailed, format!("The command `{words}` {what}."));
    // Only the container that the command ran in speaks for it.
    let ours: Vec<TaskContainer> =
        shown.containers.iter().filter(|it| !ended.ran || it.name == task.container).cloned().collect();
    let because = ours.iter().map(|it| it.reason.clone()).find(|reason| !reason.is_empty());
    let cause = because.unwrap_or_else(|| shown.reason.clone());
    let found = causes::of_task(&Task { containers: ours, ..shown.clone() });
    match (ended.exit, found) {
        (_, Some(found)) if !ended.ran => {
            let cause = found.problem.cause.unwrap_or_default();
            problem("could not be started")
                .cause(format!("{} {cause}", found.problem.sentence))
                .help(found.problem.help)
        }
        (_, None) if !ended.ran => problem("was not started").cause(cause),
        (_, Some(found)) if found.problem.code == Code::OutOfMemory => {
            problem("was killed for its memory").cause(cause).help(found.problem.help)
        }
        _ if shown.stop_code == "UserInitiated" => problem("was stopped from outside")
            .cause(cause)
            .help("CloudTrail has the call `StopTask` and who made it."),
        (Some(code), _) => {
            let help = "Read the lines that it wrote. The next run runs it again.";
            problem(&format!("ended with exit code {code}")).cause(cause).help(help)
        }
        (None, _) => {
            problem("ended without an exit code, so that nobody knows whether it did its work").cause(cause)
        }
    }
}

/// A task that AWS does not know any more, or that has stopped.
pub fn is_gone(refusal: &Refusal) -> bool {
    let cause = refusal.problem.cause.as_deref().unwrap_or_default();
    refusal.is(&["InvalidParameterException", "ClientException"]) && cause.contains("not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> OneOff {
        OneOff {
            command: vec!["./migrate".into(), "up".into()],
            words: "./migrate up".into(),
            container: None,
            owner: "roadstead/7/web".into(),
            key: "7/1/web".into(),
        }
    }

    fn version() -> Version {
        Version { id: "arn:web:2".into(), label: "web:2".into() }
    }

    fn sent(service: Value) -> String {
        let mut request = request(&service, &version(), &command(), "app");
        request["clientToken"].take();
        request.to_string()
    }

    #[test]
    fn a_command_runs_where_the_tasks_of_the_service_run() {
        let fargate = json!({"clusterArn":"arn:c","launchType":"FARGATE","platformVersion":"LATEST","capacityProviderStrategy":[],
            "networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}},"propagateTags":"SERVICE","tags":[{"key":"team","value":"a"}],
            "placementStrategy":[],"enableECSManagedTags":false,"loadBalancers":[{}]});
        let provider = json!({"clusterArn":"arn:c","launchType":"EC2","capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT"}],
            "propagateTags":"TASK_DEFINITION","placementConstraints":[{"type":"distinctInstance"}]});
        insta::assert_snapshot!([sent(fargate), sent(provider)].join("\n"), @r#"
        {"cluster":"arn:c","taskDefinition":"arn:web:2","count":1,"startedBy":"roadstead/7/web","clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"networkConfiguration":{"awsvpcConfiguration":{"subnets":["s"]}},"platformVersion":"LATEST","launchType":"FARGATE","tags":[{"key":"team","value":"a"}]}
        {"cluster":"arn:c","taskDefinition":"arn:web:2","count":1,"startedBy":"roadstead/7/web","clientToken":null,"overrides":{"containerOverrides":[{"name":"app","command":["./migrate","up"]}]},"placementConstraints":[{"type":"distinctInstance"}],"capacityProviderStrategy":[{"capacityProvider":"FARGATE_SPOT"}],"propagateTags":"TASK_DEFINITION"}
        "#);
    }

    #[test]
    fn the_token_is_that_of_the_attempt_the_version_and_the_command() {
        let same = token(&version(), &command());
        assert_eq!((same.len(), &same), (64, &token(&version(), &command())));
        let others = [
            token(&Version { id: "arn:web:3".into(), label: String::new() }, &command()),
            token(&version(), &OneOff { key: "7/2/web".into(), ..command() }),
            token(&version(), &OneOff { command: vec!["x".into()], ..command() }),
        ];
        assert!(others.iter().all(|other| *other != same));
    }

    fn told(task: Value, lines: Result<Vec<LogLine>, Problem>) -> String {
        let run = TaskRun {
            id: "arn:task/c/1".into(),
            label: "1".into(),
            container: "app".into(),
            version: "arn:web:2".into(),
            words: "./migrate up".into(),
        };
        match stage(&task, "app") {
            Stage::Open(words) => format!("open: {words}"),
            Stage::Ended(ended) => match verdict(&run, &Task::read(&task), &ended, lines) {
                OneOffState::Open(words) => words,
                OneOffState::Done(_) => {
                    format!("done{}", if ended.lingers { ", and the task runs on" } else { "" })
                }
                OneOffState::Failed(failure) => format!("{:?} {}", failure.exit_code, failure.problem),
            },
        }
    }

    #[test]
    fn only_the_exit_code_of_its_own_container_says_that_a_command_did_its_work() {
        let task = |last: &str, code: &str, reason: &str, containers: Value| {
            let wish = if code.is_empty() { "RUNNING" } else { "STOPPED" };
            json!({"taskArn":"arn:task/c/1","lastStatus":last,"desiredStatus":wish,"stopCode":code,"stoppedReason":reason,
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
        let lines: Vec<String> = all.into_iter().map(|task| told(task, Ok(Vec::new()))).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        open: PENDING
        open: RUNNING
        done, and the task runs on
        done
        Some(3) The command `./migrate up` ended with exit code 3. (Essential container in task exited) Read the lines that it wrote. The next run runs it again.
        Some(137) The command `./migrate up` was killed for its memory. (OutOfMemoryError: Container killed due to memory usage) Raise the memory of the container or of the task.
        Some(143) The command `./migrate up` was stopped from outside. (by hand) CloudTrail has the call `StopTask` and who made it.
        None The command `./migrate up` ended without an exit code, so that nobody knows whether it did its work. (Essential container in task exited)
        None The command `./migrate up` could not be started. (ECS cannot pull the image. CannotPullContainerError: not found) Check that the image exists in that registry and that the execution role may pull it.
        None The command `./migrate up` was not started. (Host EC2 (instance i-1) terminated.)
        ");
    }

    #[test]
    fn lines_that_cannot_be_read_do_not_hide_the_end() {
        let failed = json!({"lastStatus":"STOPPED","startedAt":1,"containers":[{"name":"app","exitCode":2}]});
        let denied = Problem::error(Code::PermissionMissing, "The permission logs:GetLogEvents is missing.");
        insta::assert_snapshot!(told(failed, Err(denied)), @"Some(2) The command `./migrate up` ended with exit code 2. (its lines could not be read: The permission logs:GetLogEvents is missing.) Read the lines that it wrote. The next run runs it again.");
    }

    #[test]
    fn why_no_task_was_started_is_said() {
        let answers = [
            json!({"tasks":[],"failures":[{"arn":"x","reason":"RESOURCE:MEMORY","detail":"no instance fits"}]}),
            json!({"tasks":[],"failures":[]}),
        ];
        let told = answers.map(|answer| started(&answer).unwrap_err().to_string());
        insta::assert_snapshot!(told.join("\n"), @"
        ECS finds no place for the task of the command. (RESOURCE:MEMORY no instance fits) Add capacity, or run the job again later.
        ECS finds no place for the task of the command. (RunTask answered with no task) Add capacity, or run the job again later.
        ");
    }
}
