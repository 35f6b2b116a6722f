//! An old run does not undo a newer one: before anything is staged, GitHub is asked whether what serves has this run's
//! commit in its past. What cannot be found out refuses nothing.

use crate::github::{Kinship, Ledger};
use crate::plan::{self, Known, Start};
use crate::problem::{Problem, Severity};
use crate::release::Outcome;

use super::books::Books;
use super::unit::{Phase, Unit};
use super::{Job, returns, undo};

/// As [`check`], for a plan: nothing was read for it yet.
pub(super) async fn foretell(job: &Job, books: Option<&mut Books>, units: &mut [Unit]) {
    let Some(books) = books.filter(|_| !job.context.is_pull_request()) else { return };
    books.read(job).await;
    check(job, Some(books), units, true).await;
}

/// Ends those units whose service is ahead of this run. In a plan it is a warning.
pub(super) async fn check(job: &Job, books: Option<&Books>, units: &mut [Unit], planned: bool) {
    // The commit of a pull request is not what would be released.
    if returns(job) || job.context.is_pull_request() {
        return;
    }
    let Some(books) = books else { return };
    for unit in units.iter_mut().filter(|unit| unit.phase == Phase::Ready) {
        let fresh = unit.plan.as_ref().is_some_and(|plan| matches!(plan.start, Start::Fresh { .. }));
        let asked = if fresh { undo::or_cancel(job, overtaken(books, unit)).await.flatten() } else { None };
        let Some(problem) = asked.map(|problem| problem.of(unit.name())) else { continue };
        if planned {
            unit.report.problems.push(Problem { severity: Severity::Warning, ..problem });
        } else {
            job.teller.problem(&problem);
            unit.refused(job.doors.clock.now(), Outcome::Superseded, problem);
        }
    }
}

/// Why this run's commit may not replace what serves.
async fn overtaken(books: &Books, unit: &Unit) -> Option<Problem> {
    let ours = unit.release.commit.as_deref()?;
    let serving = serving(books.ledger.as_ref(), unit)?;
    if serving == ours {
        return None;
    }
    let kinship = books.project.kinship(ours, &serving).await;
    (kinship == Ok(Kinship::Ancestor)).then(|| plan::overtaken(unit.name(), ours, &serving))
}

/// The commit of what serves.
fn serving(ledger: Option<&Ledger>, unit: &Unit) -> Option<String> {
    let entries = ledger.map(Ledger::entries).unwrap_or_default();
    let known: Vec<Known<'_>> =
        entries.iter().map(|entry| Known { record: &entry.record, proven: entry.proven }).collect();
    plan::serving(unit.name(), &unit.seen, &known).map(str::to_owned)
}
