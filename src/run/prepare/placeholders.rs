//! The values of `${…}` in a deploy file, as the event of the run gives them.

use crate::config::Placeholders;
use crate::run::context::RunContext;
use crate::run::event;

/// The placeholders of a run in an environment.
pub(in crate::run) fn run_placeholders(ctx: &RunContext, environment: &str) -> Placeholders {
    let mut known: Placeholders = [("environment", environment.to_owned())].into();
    // What a pull request would be after its merge is what its plan is about.
    if let Some(branch) = event::event_decision(ctx).branch {
        known.insert("branch", branch.to_owned());
    }
    if let Some(tag) = ctx.context.tag() {
        known.insert("tag", tag.to_owned());
    }
    if let Some(sha) = ctx.context.commit() {
        known.insert("sha", sha.to_owned());
        known.insert("short-sha", sha.chars().take(7).collect());
    }
    known
}
