//! A command that runs once with a staged version: RunTask, looks at its task, StopTask. Which calls, in which order;
//! what is sent and what the answers mean is `one_off_read`'s.

use serde_json::Value;

use super::act::{TRIES, passes, pause};
use super::look::Eyes;
use super::one_off_read as read;
use super::read::{Task, list};
use super::refusal::Refusal;
use super::{definition, read::text};
use crate::problem::{Code, Problem};
use crate::release::{LogLine, Observed, OneOff, OneOffState, TaskRun, Version};

/// At most so many lines of the command are read.
const LOG_LINES: i32 = 20;

/// Starts the command, unless the task of an earlier attempt of the same run still runs: then that one is taken up. The
/// key makes a request that is repeated start it once.
pub async fn run(
    eyes: &Eyes,
    version: &Version,
    command: &OneOff,
    seen: &Observed,
) -> Result<TaskRun, Problem> {
    let wanted = described(eyes, &version.id).await?;
    let named = command.container.as_deref().or(eyes.settings.container.as_deref());
    let index = definition::find_container(&wanted, named)?;
    let container = text(&definition::containers(&wanted)[index], "name");
    if let Some(task) = find(eyes, &command.owner).await? {
        return if task.version == version.id { Ok(task) } else { Err(read::still_running(&task)) };
    }
    let members = read::request(&seen.raw, version, command, &container);
    let answer = asked(eyes, &members).await?;
    let arn = read::started(&answer)?;
    Ok(TaskRun {
        label: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        id: arn,
        container,
        version: version.id.clone(),
        words: command.words.clone(),
    })
}

/// RunTask, again and again while that makes sense: the token of the request makes it one task.
async fn asked(eyes: &Eyes, members: &Value) -> Result<Value, Problem> {
    for attempt in 0..TRIES {
        match eyes.loader.client().run_task(members).await {
            Err(refusal) if passes(&refusal) && attempt + 1 < TRIES => pause(attempt).await,
            answer => return answer.map_err(|refusal| read::refused(refusal.problem)),
        }
    }
    Err(Problem::error(Code::ProviderError, "AWS did not start the task in several tries."))
}

async fn described(eyes: &Eyes, version: &str) -> Result<Value, Problem> {
    let answer = eyes.loader.client().describe_task_definition(version).await?;
    Ok(definition::with_tags(&answer))
}

/// The task of this owner that is to run.
pub async fn find(eyes: &Eyes, owner: &str) -> Result<Option<TaskRun>, Problem> {
    let client = eyes.loader.client();
    let listed = client.list_tasks_started_by(&eyes.settings.cluster, owner).await?;
    let Some(arn) = list(&listed, "taskArns").first().and_then(Value::as_str) else { return Ok(None) };
    let answer = client.describe_tasks(&eyes.settings.cluster, vec![arn.to_owned()]).await?;
    Ok(list(&answer, "tasks").first().map(read::known))
}

/// One look. A task whose container has ended is told to stop when others of its containers run on.
pub async fn look(eyes: &Eyes, task: &TaskRun) -> Result<OneOffState, Problem> {
    let client = eyes.loader.client();
    let answer = client.describe_tasks(&eyes.settings.cluster, vec![task.id.clone()]).await?;
    let Some(shown) = list(&answer, "tasks").first() else {
        return Ok(OneOffState::Open("ECS does not show the task yet".into()));
    };
    let ended = match read::stage(shown, &task.container) {
        read::Stage::Open(words) => return Ok(OneOffState::Open(words)),
        read::Stage::Ended(ended) => ended,
    };
    if ended.lingers {
        // It has done its work: what becomes of the rest of the task does not matter for that.
        let _ = stop(eyes, task).await;
    }
    let lines = match ended.ran {
        true => lines(eyes, task).await,
        false => Ok(Vec::new()),
    };
    Ok(read::verdict(task, &Task::read(shown), &ended, lines.map_err(|refusal| refusal.problem)))
}

/// The last lines that the command wrote, where its container logs to CloudWatch.
async fn lines(eyes: &Eyes, task: &TaskRun) -> Result<Vec<LogLine>, Refusal> {
    let answer = eyes.loader.client().describe_task_definition(&task.version).await?;
    let of = definition::with_tags(&answer);
    match definition::log_stream(&of, &task.container, &task.label) {
        Some((group, stream)) => match eyes.around.log_tail(&group, &stream, LOG_LINES).await {
            // A stream is made with the first line.
            Err(refusal) if refusal.is(&["ResourceNotFoundException"]) => Ok(Vec::new()),
            read => read,
        },
        None => Ok(Vec::new()),
    }
}

/// StopTask. A task that is gone is as good as stopped.
pub async fn stop(eyes: &Eyes, task: &TaskRun) -> Result<(), Problem> {
    match eyes.loader.client().stop_task(&eyes.settings.cluster, &task.id, read::REASON).await {
        Ok(_) => Ok(()),
        Err(refusal) if read::is_gone(&refusal) => Ok(()),
        Err(refusal) => Err(refusal.problem),
    }
}
