//! A rollback holds: before anything is staged, a run that nobody started by hand is asked whether it would bring in
//! again what was taken back here.

use crate::plan::Start;
use crate::problem::{Problem, Severity};
use crate::release::Outcome;
use crate::rollback::{self, Starter};

use super::unit::{Phase, Unit};
use super::{Job, returns};

/// So many versions are compared at most; each is a read.
const COMPARED: usize = 5;

/// Ends those units that would bring in again what was taken back. In a plan it is a warning.
pub(super) async fn check(job: &Job, units: &mut [Unit], planned: bool) {
    if returns(job) {
        return;
    }
    let starter = starter(job);
    for unit in units.iter_mut().filter(|unit| unit.phase == Phase::Ready) {
        let fresh = unit.plan.as_ref().is_some_and(|plan| matches!(plan.start, Start::Fresh { .. }));
        let Some(problem) = (if fresh { held(unit, starter).await } else { None }) else { continue };
        let problem = problem.of(unit.name());
        if planned {
            unit.report.problems.push(Problem { severity: Severity::Warning, ..problem });
        } else {
            job.teller.problem(&problem);
            unit.refused(job.doors.clock.now(), Outcome::Invalid, problem);
        }
    }
}

/// On a laptop and by `workflow_dispatch` it is a person who decides.
pub(super) fn starter(job: &Job) -> Starter {
    let by_hand = job.context.event_name.as_deref() == Some("workflow_dispatch");
    let again = job.context.run_attempt.as_deref().is_some_and(|attempt| attempt != "1");
    match (job.context.in_runner && !by_hand, again) {
        (false, _) => Starter::Person,
        (true, false) => Starter::Event,
        (true, true) => Starter::Rerun,
    }
}

/// Why the release of a unit is held. What cannot be read holds nothing: the check is there against accidents.
async fn held(unit: &Unit, starter: Starter) -> Option<Problem> {
    let (past, wish) = (&unit.seen.history, unit.seen.version.as_ref());
    for suspect in rollback::suspects(past, &unit.release, starter, wish).into_iter().take(COMPARED) {
        let Ok(former) = unit.target.recall(&suspect.version).await else { continue };
        if unit.target.equals(&unit.release, &unit.seen, &former) {
            return Some(rollback::hold(suspect, past, wish));
        }
    }
    None
}
