//! A command that runs once with a release: a container of the service beside it, without traffic, on the first server. Its name is
//! that of the attempt of the run, so that the same request makes one container.

use sha2::{Digest as _, Sha256};

use super::client::{Answer, Client};
use super::mutations;
use super::write::ServerRequest;
use crate::problem::{Code, Problem};
use crate::release::{Failure, LogLine, StartedTask, TaskCommand, TaskStatus, Version};
use crate::retry::WriteError;
use crate::targets::ChangeError;

/// Digits for a text that can have anything in it.
fn digits_of(text: &str) -> String {
    hex::encode(Sha256::digest(text))[..16].to_owned()
}

/// The name of the task: it says which release it is of.
fn task_name(command: &TaskCommand, release: &str) -> String {
    format!("{}-r{release}", digits_of(&command.idempotency_key))
}

/// The release of a task, by its name.
fn release_of(name: &str) -> &str {
    name.rsplit_once("-r").map_or("", |(_, release)| release)
}

/// Starts the command, unless that of an earlier attempt of the same run still runs with the same release.
pub async fn start(
    client: &Client,
    request: &ServerRequest,
    version: &Version,
    command: &TaskCommand,
) -> Result<StartedTask, ChangeError> {
    let found = find(client, &request.clone().with_operation("task-find"), &command.owner).await;
    let found = found.map_err(WriteError::NotMade)?;
    if let Some(task) = found.filter(|task| task.version == version.id) {
        return Ok(StartedTask { display: command.display.clone(), ..task });
    }
    let name = task_name(command, &version.id);
    let request = request.clone().with_task(&name, &digits_of(&command.owner));
    let request = request.with_release(&version.id).with_command(&command.command);
    match client.start_task(&request).await.map_err(mutations::change_error)? {
        Answer::Accepted(_) => Ok(started_task(&name, &command.display)),
        Answer::Refused { reason, cause } => {
            Err(WriteError::Rejected(mutations::refusal_problem(&reason, &cause)))
        }
    }
}

fn started_task(name: &str, display: &str) -> StartedTask {
    StartedTask {
        id: name.to_owned(),
        label: name.to_owned(),
        container: String::new(),
        version: release_of(name).to_owned(),
        display: display.to_owned(),
    }
}

/// The command of this owner that is still running.
pub async fn find(
    client: &Client,
    request: &ServerRequest,
    owner: &str,
) -> Result<Option<StartedTask>, Problem> {
    let lines = client.task_lines("ListTasks", &request.clone().with_task("", &digits_of(owner))).await?;
    Ok(read_task(&lines).map(|(name, ..)| started_task(name, "the command")))
}

/// One look at the command.
pub async fn status(
    client: &Client,
    request: &ServerRequest,
    task: &StartedTask,
) -> Result<TaskStatus, Problem> {
    let lines = client.task_lines("DescribeTask", &request.clone().with_task(&task.id, "")).await?;
    Ok(read_status(&lines, task))
}

/// Stops the command. One that is gone counts as stopped.
pub async fn stop(client: &Client, request: &ServerRequest, task: &StartedTask) -> Result<(), Problem> {
    client.task_lines("StopTask", &request.clone().with_task(&task.id, "")).await.map(|_| ())
}

/// Name, status and exit code of `task NAME STATUS EXIT`.
fn read_task(lines: &[String]) -> Option<(&str, &str, i64)> {
    let rest = lines.iter().find_map(|line| line.strip_prefix("task "))?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [name, status, exit] = words[..] else { return None };
    Some((name, status, exit.parse().unwrap_or_default()))
}

fn read_status(lines: &[String], task: &StartedTask) -> TaskStatus {
    let logs = lines.iter().filter_map(|line| line.strip_prefix("task-log "));
    let logs: Vec<LogLine> = logs.map(LogLine::undated).collect();
    match read_task(lines) {
        Some((_, "exited" | "dead", 0)) => TaskStatus::Succeeded(logs),
        Some((_, "exited" | "dead", code)) => {
            let sentence = format!("The command `{}` ended with exit code {code}.", task.display);
            let problem = Problem::error(Code::BeforeFailed, sentence)
                .help("Check its log lines. No traffic was shifted.");
            TaskStatus::Failed(Box::new(Failure { problem, exit_code: Some(code), logs, permanent: true }))
        }
        Some((_, status, _)) => TaskStatus::InProgress(format!("the container of the command is {status}")),
        None => {
            let sentence = format!("The container of the command `{}` was removed.", task.display);
            let problem = Problem::error(Code::BeforeFailed, sentence).help("Find out who removed it.");
            TaskStatus::Failed(Box::new(Failure::permanent(problem)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(lines: &[&str]) -> String {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        match read_status(&lines, &started_task("ab-r7", "./migrate")) {
            TaskStatus::InProgress(text) => text,
            TaskStatus::Succeeded(logs) => format!("succeeded with {} lines", logs.len()),
            TaskStatus::Failed(failure) => {
                format!("{} {:?} {} lines", failure.problem.sentence, failure.exit_code, failure.logs.len())
            }
        }
    }

    #[test]
    fn each_state_of_the_container_has_its_status() {
        let all = [
            describe(&["task ab-r7 created 0"]),
            describe(&["task ab-r7 running 0", "task-log a"]),
            describe(&["task ab-r7 exited 0", "task-log a", "task-log b"]),
            describe(&["task ab-r7 exited 3", "task-log a"]),
            describe(&["task ab-r7 dead 137"]),
            describe(&[]),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        the container of the command is created
        the container of the command is running
        succeeded with 2 lines
        The command `./migrate` ended with exit code 3. Some(3) 1 lines
        The command `./migrate` ended with exit code 137. Some(137) 0 lines
        The container of the command `./migrate` was removed. None 0 lines
        ");
    }

    #[test]
    fn name_says_which_release_a_command_is_of() {
        let command = TaskCommand {
            command: vec!["./migrate".into()],
            display: "./migrate".into(),
            container: None,
            owner: "run".into(),
            idempotency_key: "acme/7/1".into(),
        };
        let name = task_name(&command, "12");
        assert_eq!((release_of(&name), release_of("x"), name.len()), ("12", "", 20));
    }
}
