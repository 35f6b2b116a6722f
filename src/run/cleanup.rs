//! Restores what was changed for a rollout, once it has ended.

use crate::problem::{Code, Problem};
use crate::release::Rollout;
use crate::run::context::RunContext;
use crate::run::service_run::ServiceRun;

/// Restores temporary settings. What cannot be restored is a warning: the next run does it.
pub(in crate::run) async fn clean_up(ctx: &RunContext, service: &mut ServiceRun, rollout: &Rollout) {
    if service.rollout.cleaned_up {
        return;
    }
    service.rollout.cleaned_up = true;
    if let Err(problem) = service.target.clean_up(rollout).await {
        let sentence = "Settings that were changed for the deployment could not be put back.";
        let cause = problem
            .cause
            .clone()
            .map_or_else(|| problem.to_string(), |why| format!("{}: {why}", problem.sentence));
        let left = Problem::warning(Code::CleanupIncomplete, sentence).cause(cause).help(
            "The next run puts them back; until then, deployments of others may wait for a word of ours.",
        );
        ctx.log.problem(&left);
        service.report.problems.push(left.for_service(service.name()));
    }
}
