//! The pre-flight checks of one service, within the time of the run. A rollback is not bounded by more than the run itself.

use crate::problem::{Code, Problem};
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// What the target says before the first change.
pub(super) async fn check_target(ctx: &RunContext, service: &ServiceRun) -> Vec<Problem> {
    let left = match service.release.rollback_to {
        Some(_) => ctx.inputs.timeout.saturating_sub(ctx.io.clock.elapsed()),
        None => service.time_before_rollout(ctx),
    };
    let checking = service.target.preflight(&service.release, &service.observed);
    match tokio::time::timeout(left, checking).await {
        Ok(problems) => problems,
        Err(_) => {
            let sentence = format!(
                "The pre-flight checks of `{}` did not end in the time that its rollout leaves. Nothing was changed.",
                service.name()
            );
            vec![
                Problem::error(Code::TimedOut, sentence)
                    .help("Give the input `timeout` more, and run the job again."),
            ]
        }
    }
}
