//! Commands that run once before any traffic moves: started, watched to their end, stopped when they take too long. No
//! service of the run moves before all of them have ended.

use std::time::Duration;

use futures::future::join_all;
use sha2::{Digest as _, Sha256};

use crate::problem::{Code, Problem};
use crate::release::{Failure, HumanDuration, Outcome, StartedTask, TaskCommand, TaskStatus};
use crate::run::context::RunContext;
use crate::run::progress_log::Mark;
use crate::run::rollout_state::{Phase, RunningCommand, SavedCommand, StopReason};
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, post_state, progress};
use crate::strategy::Step;
use crate::sys::signal::CancelLevel;
use crate::targets::ChangeError;

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long a command that is being stopped is waited for: ECS kills what does not end within 30 s, 2 min at most.
const STOP_GRACE: Duration = Duration::from_secs(180);

/// Runs the commands of all services that are about to start, and ends those services whose command did not succeed. After
/// a cancel they are left as they are, for [`stop`].
pub(in crate::run) async fn run_commands(ctx: &RunContext, environment: &str, services: &mut [ServiceRun]) {
    services
        .iter_mut()
        .filter(|service| has_pending_command(service))
        .for_each(|service| prepare_command(ctx, environment, service));
    if !services.iter().any(is_running_command) {
        return;
    }
    ctx.log_problems(&post_state::save(ctx, environment, services));
    if !start_commands(ctx, services).await {
        return;
    }
    while services.iter().any(is_running_command) && ctx.cancel.level() == CancelLevel::None {
        ctx.log_problems(&post_state::save(ctx, environment, services));
        let Some(readings) = cancel::until_cancelled(ctx, read_statuses(services)).await else { break };
        for (index, reading) in readings {
            on_status(ctx, &mut services[index], reading).await;
        }
        for service in services.iter_mut().filter(|service| has_no_task(service)) {
            stop_if_overdue(ctx, service).await;
        }
        if !start_commands(ctx, services).await {
            return;
        }
        if services.iter().any(is_running_command) {
            let _ =
                cancel::until_cancelled(ctx, tokio::time::sleep(progress::with_jitter(POLL_INTERVAL))).await;
        }
    }
}

fn has_pending_command(service: &ServiceRun) -> bool {
    service.rollout.starts_new() && service.rollout.steps().contains(&Step::RunCommand)
}

fn has_no_task(service: &ServiceRun) -> bool {
    matches!(&service.rollout.phase, Phase::RunningCommand(command) if command.task.is_none())
}

fn has_lost_answer(service: &ServiceRun) -> bool {
    matches!(&service.rollout.phase, Phase::RunningCommand(command) if command.lost_answer.is_some())
}

fn is_running_command(service: &ServiceRun) -> bool {
    matches!(service.rollout.phase, Phase::RunningCommand(_))
}

fn prepare_command(ctx: &RunContext, environment: &str, service: &mut ServiceRun) {
    let Some(before) = service.declared.config.before.clone() else { return };
    let (owner, key) = owner_and_key(ctx, environment, service.name());
    let words = before.run.display();
    let asked = TaskCommand {
        command: before.run.0,
        display: words,
        container: before.container,
        owner,
        idempotency_key: key,
    };
    let since = ctx.io.clock.elapsed();
    service.rollout.phase = Phase::RunningCommand(Box::new(RunningCommand {
        command: asked,
        task: None,
        requested_at: since,
        lost_answer: None,
        stop_reason: None,
    }));
}

/// Whose the command is: of the run, whatever its attempt; and a key of this attempt alone. A laptop has no runs, so there
/// every time is one of its own.
fn owner_and_key(ctx: &RunContext, environment: &str, service: &str) -> (String, String) {
    let own = || format!("{:016x}", fastrand::u64(..));
    let run = ctx.context.run_id.clone().unwrap_or_else(own);
    let attempt = ctx.context.run_attempt.clone().unwrap_or_else(|| "1".into());
    let repository = ctx.context.repository.as_deref().unwrap_or_default();
    let owner = format!("roadstead/{}/{}/{}", aws_token(&run), aws_token(environment), aws_token(service));
    (owner, format!("{repository}/{run}/{attempt}/{environment}/{service}"))
}

/// A name as AWS takes it, of at most 36 letters, digits, dashes and underscores; names that differ stay different.
fn aws_token(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.len() <= 36 && name.chars().all(fits) {
        return name.to_owned();
    }
    let head: String = name.chars().map(|c| if fits(c) { c } else { '-' }).take(23).collect();
    let digest = hex::encode(Sha256::digest(name));
    format!("{head}-{}", &digest[..12])
}

/// Starts those that have no task yet; `false` where the run was cancelled before every answer was in. To be called again
/// for those whose answer was lost: the same request starts a command once.
async fn start_commands(ctx: &RunContext, services: &mut [ServiceRun]) -> bool {
    let mut open: Vec<&mut ServiceRun> =
        services.iter_mut().filter(|service| has_unanswered_start(service)).collect();
    let asks = join_all(open.iter().map(|service| start_task(service)));
    let Some(answers) = cancel::with_grace(ctx, cancel::REPLY_GRACE, asks).await else { return false };
    for (service, answer) in open.iter_mut().zip(answers) {
        on_start_reply(ctx, service, answer);
    }
    true
}

/// Whether a command is to be started, or was requested without an answer. One that is being stopped is not started.
fn has_unanswered_start(service: &ServiceRun) -> bool {
    matches!(&service.rollout.phase,
        Phase::RunningCommand(command) if command.task.is_none() && command.stop_reason.is_none())
}

fn on_start_reply(ctx: &RunContext, service: &mut ServiceRun, reply: Result<StartedTask, ChangeError>) {
    let Phase::RunningCommand(command) = &mut service.rollout.phase else { return };
    match reply {
        Ok(task) => on_started(ctx, service, task),
        Err(error) if error.is_unknown() || command.lost_answer.is_some() => {
            let problem = error.into_error();
            let text = format!("the start of `{}` was requested and the answer was lost", command.display());
            command.lost_answer = Some(problem.clone());
            progress::log_if_changed(ctx, service, &format!("{text}, asking again ({problem})"));
        }
        Err(error) if error.error().code.is_user_error() => {
            let problem = error.into_error().for_service(service.name());
            service.fail_before_change(ctx.io.clock.now(), problem);
        }
        Err(error) => on_start_error(ctx, service, error.into_error()),
    }
}

async fn start_task(service: &ServiceRun) -> Result<StartedTask, ChangeError> {
    match (&service.rollout.phase, &service.report.version) {
        (Phase::RunningCommand(command), Some(version)) => {
            let tasks = service.tasks().map_err(ChangeError::NotMade)?;
            tasks.start(&service.staged_or(version), &command.command, &service.observed).await
        }
        _ => Err(ChangeError::NotMade(Problem::error(
            Code::Internal,
            "A command was to run before its version was made.",
        ))),
    }
}

fn on_started(ctx: &RunContext, service: &mut ServiceRun, task: StartedTask) {
    let words = format!("`{}` runs once, as task {}", task.display, task.label);
    if let Phase::RunningCommand(command) = &mut service.rollout.phase {
        command.task = Some(task);
    }
    progress::record_event(ctx, service, Mark::None, &words);
}

fn on_start_error(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) {
    let Phase::RunningCommand(command) = &service.rollout.phase else { return };
    let problem = match problem.code {
        Code::BeforeFailed => problem,
        _ => {
            let sentence = format!("The command `{}` could not be started.", command.display());
            let why = problem.cause.as_ref().map_or_else(String::new, |cause| format!(" {cause}"));
            let cause = format!("{}{why}", problem.sentence);
            Problem::error(Code::BeforeFailed, sentence).cause(cause).help(problem.help)
        }
    };
    finish_failed(ctx, service, Failure::permanent(problem));
}

/// One look at every command.
async fn read_statuses(services: &[ServiceRun]) -> Vec<(usize, Result<TaskStatus, Problem>)> {
    let open = services.iter().enumerate().filter_map(|(index, service)| match &service.rollout.phase {
        Phase::RunningCommand(command) => Some((index, service, command.task.clone()?)),
        _ => None,
    });
    join_all(open.map(|(index, service, task)| async move { (index, task_status(service, &task).await) }))
        .await
}

/// Status of a command that was started.
pub(in crate::run) async fn task_status(
    service: &ServiceRun,
    task: &StartedTask,
) -> Result<TaskStatus, Problem> {
    service.tasks()?.status(task).await
}

async fn stop_task(service: &ServiceRun, task: &StartedTask) -> Result<(), Problem> {
    service.tasks()?.stop(task).await
}

async fn on_status(ctx: &RunContext, service: &mut ServiceRun, reading: Result<TaskStatus, Problem>) {
    match reading {
        Ok(TaskStatus::InProgress(words)) => progress::log_if_changed(ctx, service, &words),
        Ok(TaskStatus::Succeeded(lines)) => return on_success(ctx, service, &lines),
        Ok(TaskStatus::Failed(failure)) => return on_failure(ctx, service, *failure),
        Err(problem) => {
            progress::log_if_changed(ctx, service, &format!("could not be read, looking again: {problem}"))
        }
    }
    stop_if_overdue(ctx, service).await;
}

/// It did its work: the service may start, if there is time left for that.
fn on_success(ctx: &RunContext, service: &mut ServiceRun, lines: &[crate::release::LogLine]) {
    lines.iter().for_each(|line| ctx.log.untrusted(service.name(), &line.text));
    let Phase::RunningCommand(command) = &service.rollout.phase else { return };
    let took = HumanDuration(Duration::from_secs(
        (ctx.io.clock.elapsed().saturating_sub(command.requested_at)).as_secs(),
    ));
    let display = command.display().to_owned();
    let words = format!("`{display}` ended with exit code 0 after {took}");
    if !ctx.has_time_left() {
        let sentence = format!("{words}, and no time is left for the release.");
        let problem = Problem::error(Code::BeforeFailed, sentence).help("Raise the input `timeout`.");
        return finish_failed(ctx, service, Failure::permanent(problem));
    }
    progress::record_event(ctx, service, Mark::Success, &words);
    service.rollout.finished_command = Some(display);
    service.rollout.phase = Phase::Pending;
}

/// A command that is being stopped failed because of that, whatever its exit code.
fn on_failure(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    let Phase::RunningCommand(command) = &service.rollout.phase else { return };
    let failure = match &command.stop_reason {
        Some(stop) => Failure { problem: timeout_problem(command, &stop.reason), ..failure },
        None => failure,
    };
    finish_failed(ctx, service, failure);
}

fn timeout_problem(command: &RunningCommand, why: &str) -> Problem {
    Problem::error(Code::BeforeFailed, format!("The command `{}` {why} and was stopped.", command.display()))
        .help("Check its log lines. If it only needs longer, raise `before.timeout` and the input `timeout`.")
}

/// Ends a service whose command failed: no traffic was shifted.
fn finish_failed(ctx: &RunContext, service: &mut ServiceRun, failure: Failure) {
    let failure = Failure { problem: failure.problem.for_service(service.name()), ..failure };
    progress::log_failure(ctx, service, &failure);
    let before = service.serving_label().to_owned();
    service.report.evidence = match has_no_task(service) && has_lost_answer(service) {
        true => format!("no traffic was moved: {before} serves; the command may have run"),
        false => format!("nothing was moved: {before} serves"),
    };
    service.report.elapsed = ctx.io.clock.elapsed();
    service.report.failure = Some(failure);
    service.finish(ctx.io.clock.now(), Outcome::Failed, "stopped before any traffic moved");
}

/// Stops a command whose time is over, again and again until the provider accepts; and gives up on one that does not end
/// even then.
async fn stop_if_overdue(ctx: &RunContext, service: &mut ServiceRun) {
    let now = ctx.io.clock.elapsed();
    let Some(stop) = overdue_reason(ctx, service, now) else { return };
    let Phase::RunningCommand(command) = &mut service.rollout.phase else { return };
    let (saved, is_first) = (command.to_saved(), command.stop_reason.is_none());
    command.stop_reason = Some(stop.clone());
    if is_first {
        let text = format!("the command {}: stopping it", stop.reason);
        progress::record_event(ctx, service, Mark::Failure, &text);
    }
    let stopping = stop_saved_command(service, &saved);
    match cancel::with_grace(ctx, cancel::REPLY_GRACE, stopping).await {
        Some(Ok(Some(task))) => remember_task(service, task),
        Some(Ok(None)) | None => {}
        Some(Err(problem)) => {
            let text = format!("its stop was not accepted, requesting it again: {problem}");
            progress::log_if_changed(ctx, service, &text);
        }
    }
    if now >= stop.since + STOP_GRACE.min(ctx.rollback_reserve()) {
        let Phase::RunningCommand(command) = &service.rollout.phase else { return };
        let problem = match &command.task {
            Some(_) => timeout_problem(command, &stop.reason)
                .cause("its stop was requested, and its end was not seen"),
            None => unknown_start_problem(command),
        };
        finish_failed(ctx, service, Failure::permanent(problem));
    }
}

/// A task that was found although the answer to its start is missing.
fn remember_task(service: &mut ServiceRun, task: StartedTask) {
    if let Phase::RunningCommand(command) = &mut service.rollout.phase {
        command.task.get_or_insert(task);
    }
}

fn unknown_start_problem(command: &RunningCommand) -> Problem {
    let sentence = format!(
        "The start of the command `{}` was requested, and it is not known what became of it.",
        command.display()
    );
    let problem = Problem::error(Code::BeforeFailed, sentence)
        .help("Look at the tasks of the cluster: it may have run, or run still. Then run the job again.");
    match &command.lost_answer {
        Some(last) => problem.cause(last.to_string()),
        None => problem,
    }
}

/// Why the command of a service has to stop, and since when; `None` while it has time.
fn overdue_reason(ctx: &RunContext, service: &ServiceRun, now: Duration) -> Option<StopReason> {
    let limit = service.declared.config.before.as_ref().map_or(Duration::MAX, |before| before.timeout.0.0);
    let Phase::RunningCommand(command) = &service.rollout.phase else { return None };
    let reason = match now.saturating_sub(command.requested_at) >= limit {
        true => format!("did not end within {}", HumanDuration(limit)),
        false if !ctx.has_time_left() => "did not end within the time of the run".to_owned(),
        false => return None,
    };
    Some(command.stop_reason.clone().unwrap_or(StopReason { reason, since: now }))
}

/// Reply to the request to stop a command.
pub(super) enum StopReply {
    /// No command runs.
    NotSent,
    /// It was requested, and no answer arrived in time.
    NoReply,
    /// The provider stops it.
    Accepted,
    /// The provider rejected it.
    Refused(Problem),
}

/// Stops the command of a service, because the run is cancelled. If the answer to its start is missing, it is searched for.
pub(super) async fn stop_command(service: &ServiceRun) -> StopReply {
    let Phase::RunningCommand(command) = &service.rollout.phase else { return StopReply::NotSent };
    match stop_saved_command(service, &command.to_saved()).await {
        Ok(_) => StopReply::Accepted,
        Err(problem) => StopReply::Refused(problem),
    }
}

/// Stops a command; `None` if none runs.
pub(in crate::run) async fn stop_saved_command(
    service: &ServiceRun,
    saved: &SavedCommand,
) -> Result<Option<StartedTask>, Problem> {
    let task = match &saved.task {
        Some(task) => Some(task.clone()),
        None => service.tasks()?.find(&saved.owner).await?,
    };
    if let Some(task) = &task {
        stop_task(service, task).await?;
    }
    Ok(task)
}

/// The sentence about a command whose run was cancelled.
pub(super) fn cancelled_message(command: &RunningCommand, stop: &StopReply, serving: &str) -> String {
    let stopped = match stop {
        StopReply::Accepted => "its stop was requested".to_owned(),
        StopReply::Refused(problem) => format!("its stop was refused: {problem}"),
        StopReply::NotSent | StopReply::NoReply => {
            "its stop was requested, and no answer came in time".to_owned()
        }
    };
    format!("cancelled while `{}` ran; {stopped}. No traffic was moved: {serving} serves", command.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_tokens_are_valid_and_distinct() {
        assert_eq!(aws_token("backend-2_x"), "backend-2_x");
        let odd = ["a.b", "a:b", "ä b", &"x".repeat(37), &"x".repeat(38)].map(aws_token);
        let fits = |name: &String| {
            name.len() <= 36 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        assert!(odd.iter().all(fits), "{odd:?}");
        let mut once = odd.to_vec();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), odd.len());
    }
}
