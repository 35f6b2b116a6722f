//! A command that runs once with a staged version: RunTask, reads of its task, StopTask. The sequence of calls;
//! requests and the meaning of responses are in `task_status`.

pub mod task_status;

use serde_json::Value;

use super::error::AwsError;
use super::read::str_field;
use super::read::{EcsTask, list_field};
use super::reader::ServiceReader;
use super::rollout::mutations::write_error;
use super::task_definition::definition;
use crate::problem::Problem;
use crate::release::{LogLine, Observed, StartedTask, TaskCommand, TaskStatus, Version};
use crate::retry::{self, WriteError};
use crate::targets::ChangeError;
use crate::targets::aws_error::WRITE_RETRY;
use task_status as read;

/// The most log lines of the command that are read.
const MAX_LOG_LINES: i32 = 20;

/// Starts the command, unless the task of an earlier attempt of the same run is still running: then that one is
/// resumed. The client token makes a repeated request start it once.
pub async fn start(
    reader: &ServiceReader,
    version: &Version,
    command: &TaskCommand,
    seen: &Observed,
) -> Result<StartedTask, ChangeError> {
    let container = container_of(reader, version, command).await.map_err(WriteError::NotMade)?;
    match find(reader, &command.owner).await.map_err(WriteError::NotMade)? {
        Some(task) if task.version == version.id => return Ok(task),
        Some(task) => return Err(WriteError::NotMade(read::other_version_running(&task))),
        None => {}
    }
    let members = read::run_task_request(&seen.raw, version, command, &container);
    let answer = send_run_task(reader, &members).await?;
    let arn = read::started_task_arn(&answer).map_err(WriteError::Rejected)?;
    Ok(StartedTask {
        label: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        id: arn,
        container,
        version: version.id.clone(),
        display: command.display.clone(),
    })
}

/// RunTask, retried while that can help: the client token makes it one task.
async fn send_run_task(reader: &ServiceReader, members: &Value) -> Result<Value, ChangeError> {
    let send = async || reader.loader.client().run_task(members).await.map_err(write_error);
    retry::idempotent(&WRITE_RETRY, send).await.map_err(|error| error.map(read::classify_capacity))
}

/// The container that the command runs in.
async fn container_of(
    reader: &ServiceReader,
    version: &Version,
    command: &TaskCommand,
) -> Result<String, Problem> {
    let wanted = read_definition(reader, &version.id).await?;
    let named = command.container.as_deref().or(reader.settings.container.as_deref());
    let index = definition::find_container(&wanted, named)?;
    Ok(str_field(&definition::containers(&wanted)[index], "name"))
}

async fn read_definition(reader: &ServiceReader, version: &str) -> Result<Value, Problem> {
    let answer = reader.loader.client().describe_task_definition(version).await?;
    Ok(definition::with_tags(&answer))
}

/// The task of this owner with desired status RUNNING.
pub async fn find(reader: &ServiceReader, owner: &str) -> Result<Option<StartedTask>, Problem> {
    let client = reader.loader.client();
    let listed = client.list_tasks_started_by(&reader.settings.cluster, owner).await?;
    let Some(arn) = list_field(&listed, "taskArns").first().and_then(Value::as_str) else { return Ok(None) };
    let answer = client.describe_tasks(&reader.settings.cluster, vec![arn.to_owned()]).await?;
    Ok(list_field(&answer, "tasks").first().map(read::find_started))
}

/// One poll. A task whose container has ended is stopped if other containers still run.
pub async fn status(reader: &ServiceReader, task: &StartedTask) -> Result<TaskStatus, Problem> {
    let client = reader.loader.client();
    let answer = client.describe_tasks(&reader.settings.cluster, vec![task.id.clone()]).await?;
    let Some(shown) = list_field(&answer, "tasks").first() else {
        return Ok(TaskStatus::InProgress("ECS does not show the task yet".into()));
    };
    let ended = match read::command_state(shown, &task.container) {
        read::CommandState::Running(words) => return Ok(TaskStatus::InProgress(words)),
        read::CommandState::Ended(ended) => ended,
    };
    if ended.task_still_runs {
        // The command has ended: the result of stopping the task does not matter.
        let _ = stop(reader, task).await;
    }
    let lines = match ended.has_run {
        true => log_lines(reader, task).await,
        false => Ok(Vec::new()),
    };
    Ok(read::final_status(task, &EcsTask::from_json(shown), &ended, lines.map_err(|error| error.problem)))
}

/// The last lines of the command, if its container logs to CloudWatch.
async fn log_lines(reader: &ServiceReader, task: &StartedTask) -> Result<Vec<LogLine>, AwsError> {
    let answer = reader.loader.client().describe_task_definition(&task.version).await?;
    let of = definition::with_tags(&answer);
    match definition::log_stream(&of, &task.container, &task.label) {
        Some((group, stream)) => match reader.support.log_tail(&group, &stream, MAX_LOG_LINES).await {
            // A stream is created with the first line.
            Err(error) if error.has_code(&["ResourceNotFoundException"]) => Ok(Vec::new()),
            read => read,
        },
        None => Ok(Vec::new()),
    }
}

/// StopTask. A task that does not exist any more counts as stopped.
pub async fn stop(reader: &ServiceReader, task: &StartedTask) -> Result<(), Problem> {
    match reader.loader.client().stop_task(&reader.settings.cluster, &task.id, read::STOP_REASON).await {
        Ok(_) => Ok(()),
        Err(error) if read::is_unknown(&error) => Ok(()),
        Err(error) => Err(error.problem),
    }
}
