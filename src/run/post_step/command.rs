//! A command that was started before the first shift: it is stopped, and its end is awaited.

use std::time::Duration;

use tokio::time::Instant;

use super::finish::finish_with_status;
use crate::release::{Outcome, RolloutStatus, StartedTask, TaskStatus};
use crate::run::context::RunContext;
use crate::run::rollout::before_command;
use crate::run::rollout_state::SavedCommand;
use crate::run::service_run::ServiceRun;

/// How long the confirmation may take: the runner gives post steps of a cancelled job about 45 s.
pub(super) const CONFIRM_TIMEOUT: Duration = Duration::from_secs(38);
/// The time between two looks of the post step.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Stops a command that was started before the first shift, and waits for its end.
pub(super) async fn confirm_command_stopped(
    ctx: &RunContext,
    service: &mut ServiceRun,
    saved: &SavedCommand,
) {
    ctx.log
        .info(Some(service.name()), "making sure that the command which was to run before does not run on");
    let words = match before_command::stop_saved_command(service, saved).await {
        Ok(None) => "no command runs".to_owned(),
        Ok(Some(task)) => wait_for_command(service, &task).await,
        Err(problem) => format!("the command could not be told to stop: {problem}"),
    };
    let now = ctx.io.clock.now();
    service.report.elapsed = ctx.io.clock.elapsed();
    match service.observed.status.clone() {
        // No traffic was shifted, so there is nothing to roll back.
        RolloutStatus::Healthy(proof) => service.finish_succeeded(now, Outcome::Unchanged, &proof),
        status => finish_with_status(ctx, service, &status),
    }
    service.report.evidence = format!("{words}; no traffic was moved. {}", service.report.evidence);
    ctx.log.info(Some(service.name()), &service.report.evidence.clone());
}

async fn wait_for_command(service: &ServiceRun, task: &StartedTask) -> String {
    let until = Instant::now() + CONFIRM_TIMEOUT;
    while Instant::now() < until {
        match before_command::task_status(service, task).await {
            Ok(TaskStatus::InProgress(_)) | Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
            Ok(TaskStatus::Succeeded(_)) => return format!("`{}` had ended with exit code 0", task.display),
            Ok(TaskStatus::Failed(_)) => return format!("`{}` was stopped", task.display),
        }
    }
    format!("`{}` was told to stop and has not ended yet", task.display)
}
