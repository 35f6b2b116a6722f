//! Asks GitHub whether the commits of an event are merged, where the event alone does not prove it. What cannot be read is
//! not merged.

use crate::github::ApiError;
use crate::plan;
use crate::plan::{Allowed, MergeFacts, MergeProof};
use crate::run::context::RunContext;
use crate::run::event::event_decision;
use crate::run::run_config::{EarlyExit, RunConfig};

/// Ends a run whose event is about a commit that is not merged, before its first call to a provider.
pub(in crate::run) async fn check(ctx: &RunContext, config: &RunConfig) -> Result<(), EarlyExit> {
    let Allowed::OnlyMerged(mut commits) = event_decision(ctx).allowed else { return Ok(()) };
    // What is checked out is released, whatever the event is about.
    commits.extend(ctx.context.other_checkout().map(str::to_owned));
    let facts = MergeFacts {
        run_commit: ctx.context.sha.as_deref(),
        branch: ctx.context.branch(),
        default_branch: ctx.context.event.default_branch.as_deref(),
        environment_branches: &config.environment.branches,
    };
    match plan::merge_proof(&commits, &facts) {
        MergeProof::Proven => Ok(()),
        MergeProof::Compare { commits, branches } => {
            for commit in commits {
                let error = is_merged(ctx, commit, &branches).await;
                error.map_err(|why| skipped(commit, &branches, why.as_deref()))?;
            }
            Ok(())
        }
        MergeProof::NoBranch => Err(skipped(commits.first().map_or("", String::as_str), &[], None)),
    }
}

fn skipped(commit: &str, branches: &[&str], error: Option<&str>) -> EarlyExit {
    EarlyExit::Skipped(plan::not_merged_reason(commit, branches, error))
}

/// Whether one of `branches` contains `commit`; otherwise why that is not known, if it is not.
async fn is_merged(ctx: &RunContext, commit: &str, branches: &[&str]) -> Result<(), Option<String>> {
    let repository = match ctx.run_repository() {
        Some(Ok(repository)) => repository,
        Some(Err(problem)) => return Err(Some(problem.to_string())),
        None => return Err(Some("the run has no `github-token`".into())),
    };
    let mut unknown = None;
    for branch in branches {
        match repository.branch_contains(branch, commit).await {
            Ok(true) => return Ok(()),
            Ok(false) | Err(ApiError::NotFound(_)) => {}
            Err(error) => unknown = Some(error.reason()),
        }
    }
    Err(unknown)
}
