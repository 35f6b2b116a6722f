//! A second look at what runs, once nobody else works on it: where it is not what the plan was made for, there is a new one.

use crate::problem::Problem;
use crate::release::{Observed, Outcome};

use super::books::Books;
use super::{Job, Tone, Unit, returning, returns, walk};

/// Takes in what runs now.
pub(super) async fn look(job: &Job, books: &Books, unit: &mut Unit, look: Result<Observed, Problem>) {
    let seen = match look {
        Ok(seen) => seen,
        Err(problem) => {
            let problem = problem.of(unit.name());
            return unit.refused(job.doors.clock.now(), Outcome::Failed, problem);
        }
    };
    let same = is_same(&unit.seen, &seen);
    unit.see(seen);
    if same {
        return;
    }
    job.moment(unit, Tone::Plain, "it was changed in the meantime: planning anew");
    let mut problems = Vec::new();
    if returns(job) {
        problems.extend(returning::choose_one(job, books.session.as_ref(), unit).await.err());
    }
    problems.extend(unit.target.check(&unit.release, &unit.seen).await);
    let (wrong, dubious): (Vec<Problem>, Vec<Problem>) =
        problems.into_iter().map(|problem| problem.of(unit.name())).partition(Problem::is_error);
    unit.report
        .problems
        .extend(dubious.into_iter().filter(|one| !unit.report.problems.contains(one)).collect::<Vec<_>>());
    if wrong.is_empty() {
        return walk::make_plan(job, unit);
    }
    unit.end(job.doors.clock.now(), Outcome::Invalid, "stopped before any change");
    unit.report.problems.extend(wrong);
}

/// Whether two looks show the same, as far as a plan depends on it.
fn is_same(one: &Observed, other: &Observed) -> bool {
    let about = |seen: &Observed| {
        (
            seen.version.clone(),
            seen.image.clone(),
            seen.in_flight.clone(),
            seen.refuge().cloned(),
            seen.leftover,
        )
    };
    about(one) == about(other) && one.definition == other.definition
}
