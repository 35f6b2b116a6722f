//! What this run may do: the facts of its event, handed to the core, which decides. No decision here.

use super::Job;
use crate::action::Operation;
use crate::plan::{self, Earlier, May, Occasion, Ruling};

/// What the run may do, and for which branch.
pub(super) fn ruling(job: &Job) -> Ruling<'_> {
    let context = &job.context;
    plan::decide(&Occasion {
        event: context.event_name.as_deref(),
        action: context.event.action.as_deref(),
        branch: context.branch(),
        tag: context.tag(),
        base: context.base_branch(),
        named: job.inputs.environment.is_some(),
        withheld: context.secrets_withheld(),
        from_fork: context.from_fork(),
        deleted: context.event.deleted,
        about_pull_request: context.event.about_pull_request,
        after: earlier(job),
    })
}

fn earlier(job: &Job) -> Option<Earlier<'_>> {
    let after = job.context.event.after.as_ref()?;
    Some(Earlier {
        event: after.event.as_deref(),
        conclusion: after.conclusion.as_deref(),
        branch: after.head_branch.as_deref(),
        same_commit: after.head_sha.is_some() && after.head_sha == job.context.sha,
    })
}

/// What is done: what was asked for, unless the event allows a plan alone.
pub(super) fn operation(job: &Job) -> Operation {
    if ruling(job).may == May::Plan { Operation::Plan } else { job.inputs.operation }
}
