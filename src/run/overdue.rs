//! The one deadline around a run. Every wait has a limit of its own; this one holds if one of them is wrong.

use std::time::Duration;

use crate::problem::{Code, Problem};
use crate::release::Outcome;
use crate::report::RunReport;
use crate::run::context::RunContext;
use crate::run::post_state::{self, SavedChanges};

/// What a run may take longer than its `timeout`: to end a rollback that it watches, and to report.
const REPORT_GRACE: Duration = Duration::from_secs(300);

/// When a run is ended, whatever it waits for.
pub fn time_limit(timeout: Duration) -> Duration {
    timeout.saturating_add(REPORT_GRACE)
}

/// The report of a run that was ended. Its rollouts, if there are any, are left to the post step.
pub(in crate::run) fn report(ctx: &RunContext) -> RunReport {
    let (outcome, reason) = match post_state::changes_so_far(ctx) {
        SavedChanges::None => (Outcome::Failed, "the time of the run was over"),
        SavedChanges::InProgress => {
            (Outcome::Stranded, "the run ended during a change; see which version serves")
        }
        SavedChanges::Ended => {
            (Outcome::Stranded, "the run ended before it reported its changes; see which version serves")
        }
    };
    let problem = Problem::error(
        Code::TimedOut,
        "The run did not end within the input `timeout`, and was ended.",
    )
    .help("The last line of the log says what it waited for. If that takes longer, give `timeout` more.");
    ctx.log.problem(&problem);
    let report = RunReport { outcome, reason: Some(reason.into()), ..ctx.blank_report() };
    ctx.finished_now(RunReport { problems: vec![problem], ..report })
}
