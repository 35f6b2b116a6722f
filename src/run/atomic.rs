//! Services that belong together (`atomic`): when one of a run fails, nothing more is started, and what was moved is taken
//! back and watched until that is confirmed. A rollback is not undone: what has returned stays.

use crate::plan::Start;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Outcome};
use crate::strategy::Watching;

use super::unit::{Phase, Unit};
use super::{Job, Tone, undo, walk};

/// Whether a service has failed, or is on its way to that. One that a newer deployment took over has not: whoever deploys
/// it now decides about the others, too.
fn is_bad(unit: &Unit) -> bool {
    match &unit.phase {
        Phase::Moving(_, Watching::Back(failure)) => failure.problem.code != Code::TakenBack,
        Phase::Done => {
            let outcome = unit.report.outcome;
            let own =
                unit.report.failure.as_ref().is_none_or(|failure| failure.problem.code != Code::TakenBack);
            own && matches!(
                outcome,
                Outcome::Failed | Outcome::Invalid | Outcome::Inconclusive | Outcome::Stranded
            )
        }
        _ => false,
    }
}

/// Whether services that belong together are so no more: one of them failed.
pub(super) fn are_apart(units: &[Unit]) -> bool {
    culprit(units).is_some()
}

/// The first service that failed, where the services of the run belong together.
fn culprit(units: &[Unit]) -> Option<String> {
    units.iter().find(|unit| unit.together && is_bad(unit)).map(|unit| unit.name().to_owned())
}

/// Ends what was not begun, once a service has failed. What an earlier attempt began is taken up, and back.
pub(super) fn hold_back(job: &Job, units: &mut [Unit]) {
    let Some(culprit) = culprit(units) else { return };
    let adopts = |unit: &Unit| unit.plan.as_ref().is_some_and(|plan| matches!(plan.start, Start::Adopt(_)));
    for unit in units.iter_mut().filter(|unit| unit.phase == Phase::Ready && !adopts(unit)) {
        let serves = walk::before(&unit.seen).to_owned();
        let words = format!("not begun because `{culprit}` failed: {serves} serves");
        job.teller.tell(Some(unit.name()), Tone::Bad, &words);
        unit.report.evidence = words.clone();
        unit.end(job.doors.clock.now(), Outcome::Skipped, &words);
    }
}

/// Takes back what was moved, once a service has failed: what is under way, and what was proven already.
pub(super) async fn keep_together(job: &Job, units: &mut [Unit]) {
    let Some(culprit) = culprit(units) else { return };
    hold_back(job, units);
    for unit in units.iter_mut().filter(|unit| goes_back(unit)) {
        reopened(unit);
        let sentence = format!("Taken back because `{culprit}` failed.");
        let help =
            format!("The services of this run belong together (`atomic: true`). See why `{culprit}` failed.");
        let problem = Problem::error(Code::TakenBack, sentence).help(help).of(unit.name());
        job.moment(unit, Tone::Bad, &format!("`{culprit}` failed, and they belong together"));
        undo::back(job, unit, Failure::permanent(problem)).await;
    }
}

fn goes_back(unit: &Unit) -> bool {
    unit.together && (unit.awaits || matches!(unit.phase, Phase::Moving(_, Watching::Forward)))
}

/// An end that waited for the others is none: its last rollout is under way again.
fn reopened(unit: &mut Unit) {
    if std::mem::take(&mut unit.awaits)
        && let Some(rollout) = unit.last.clone()
    {
        unit.phase = Phase::Moving(rollout, Watching::Forward);
    }
}

/// On a cancel the ends that waited for the others are open again, so that all are taken back; unless they are to be left.
pub(super) fn reopen(units: &mut [Unit], leave: bool) {
    let open = units.iter().any(|unit| unit.phase != Phase::Done);
    if open && !leave {
        units.iter_mut().for_each(reopened);
    }
}

/// What has ended well waits for the others.
pub(super) fn await_others(job: &Job, unit: &mut Unit) {
    unit.awaits = unit.together;
    if unit.awaits {
        job.moment(unit, Tone::Plain, "stands when all services of this run do (`atomic`)");
    }
}
