//! An old run does not undo a newer one: before anything is staged, GitHub is asked whether what serves has this run's
//! commit in its past. What cannot be found out refuses nothing.

use std::collections::BTreeMap;

use crate::github::{Entry, Kinship, Ledger};
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
    // The commit of a pull request is not what would be released, and what is promoted by its name is meant.
    if returns(job) || job.inputs.to.is_some() || job.context.is_pull_request() {
        return;
    }
    let Some(books) = books else { return };
    let entries = books.ledger.as_ref().map(Ledger::entries).unwrap_or_default();
    let mut kinships = BTreeMap::new();
    for unit in units.iter_mut().filter(|unit| is_fresh(unit)) {
        let Some(pair) = commits(&entries, unit) else { continue };
        let (ours, serving) = &pair;
        if !kinships.contains_key(&pair) {
            let asked = undo::or_cancel(job, books.project.kinship(ours, serving)).await;
            kinships.insert(pair.clone(), asked.and_then(Result::ok));
        }
        if kinships.get(&pair) == Some(&Some(Kinship::Ancestor)) {
            overtaken(job, unit, plan::overtaken(unit.name(), ours, serving), planned);
        }
    }
}

fn is_fresh(unit: &Unit) -> bool {
    let starts = unit.plan.as_ref().is_some_and(|plan| matches!(plan.start, Start::Fresh { .. }));
    unit.phase == Phase::Ready && starts
}

/// The commit of a unit and that of what serves, where both are known and not the same.
fn commits(entries: &[Entry], unit: &Unit) -> Option<(String, String)> {
    let known: Vec<Known<'_>> =
        entries.iter().map(|entry| Known { record: &entry.record, proven: entry.proven }).collect();
    let serving = plan::serving(unit.name(), &unit.seen, &known)?;
    let ours = unit.release.commit.as_deref().filter(|ours| *ours != serving)?;
    Some((ours.to_owned(), serving.to_owned()))
}

fn overtaken(job: &Job, unit: &mut Unit, problem: Problem, planned: bool) {
    let problem = problem.of(unit.name());
    if planned {
        return unit.report.problems.push(Problem { severity: Severity::Warning, ..problem });
    }
    job.teller.problem(&problem);
    unit.refused(job.doors.clock.now(), Outcome::Superseded, problem);
}
