//! Checks of addresses while a version is watched: tried for all services in one breath, then concluded from for each.

use std::time::Duration;

use futures::future::join_all;

use super::unit::{Phase, Unit};
use super::{Job, Tone, undo, watch};
use crate::config::Check;
use crate::gates::http::{self, Tried};
use crate::problem::{Code, Problem, Severity};
use crate::release::Health;
use crate::report::words::count;
use crate::strategy::{self, Evidence, Step, Watching};

/// The checks that belong to a step.
pub(super) fn of(unit: &Unit, step: Option<Step>) -> &[Check] {
    match step {
        Some(Step::Test) => strategy::checks(&unit.service.common.strategy),
        Some(Step::Check | Step::Look) => &unit.service.common.verify,
        _ => &[],
    }
}

/// One try of the checks of every service that stands at some and is healthy, all at the same time: one that answers
/// slowly keeps no other waiting.
pub(super) async fn try_all(job: &Job, units: &mut [Unit], looks: &[(usize, Result<Health, Problem>)]) {
    let healthy =
        |look: &Result<Health, Problem>| matches!(look, Ok(Health::Healthy(_) | Health::Holding(_)));
    let due = looks
        .iter()
        .filter(|(_, look)| healthy(look))
        .filter_map(|(index, _)| units.get(*index).zip(Some(*index)));
    let tries = due.filter_map(|(unit, index)| {
        let forward = matches!(unit.phase, Phase::Moving(_, Watching::Forward));
        let checks = of(unit, unit.step().filter(|_| forward));
        let visitor = unit.sources.as_ref().filter(|_| !checks.is_empty())?.visitor();
        let since = job.doors.clock.elapsed().saturating_sub(unit.at_since);
        Some(async move { (index, http::check(visitor, checks, since).await) })
    });
    let tries: Vec<_> = tries.collect();
    if tries.is_empty() {
        return;
    }
    let Some(tried) = undo::or_cancel(job, join_all(tries)).await else { return };
    for (index, tried) in tried {
        units[index].tried = Some(tried);
    }
}

/// What a try means for the step under way.
pub(super) fn conclude(job: &Job, unit: &mut Unit, tried: Tried) {
    let step = unit.step();
    let checks = of(unit, step).len();
    unit.evidence = match (tried, step) {
        (Tried::NotYet(why), _) => {
            watch::tell_once(job, unit, &format!("the check does not hold yet: {why}"));
            Evidence::Awaited(why)
        }
        (Tried::Failed(problem), Some(Step::Test)) => {
            Evidence::Bad(problem.help("No production traffic was moved to the new version by this step."))
        }
        (Tried::Failed(problem), Some(Step::Look)) => {
            let problem =
                problem.help("The rollback is done and nothing more is changed: look at what answers there.");
            told(job, unit, Problem { severity: Severity::Warning, ..problem });
            unit.checked = Some("a check does not hold".into());
            Evidence::Good
        }
        (Tried::Failed(problem), _) => {
            Evidence::Bad(problem.help("Look at the logs of the new version: its place found it healthy."))
        }
        (Tried::Holds(unseen), _) => {
            unit.checked = (step != Some(Step::Test)).then(|| holds(checks, &unseen)).or(unit.checked.take());
            unseen.iter().for_each(|what| not_seen(unit, what));
            Evidence::Good
        }
    };
}

/// `2 checks hold`, and no more than was looked at.
pub(super) fn holds(checks: usize, unseen: &[String]) -> String {
    let verb = if checks == 1 { "holds" } else { "hold" };
    let but = if unseen.is_empty() { "" } else { ", as far as could be looked" };
    format!("{} {verb}{but}", count(checks, "check"))
}

/// Says what was not looked at.
pub(super) fn not_seen(unit: &mut Unit, what: &str) {
    let problem = Problem::notice(Code::CheckIncomplete, "A part of a check was not made.").cause(what);
    let problem = problem.of(unit.service.name.clone());
    if !unit.report.problems.contains(&problem) {
        unit.report.problems.push(problem);
    }
}

fn told(job: &Job, unit: &mut Unit, problem: Problem) {
    let problem = problem.of(unit.name());
    job.teller.tell(Some(unit.name()), Tone::Bad, &problem.to_string());
    unit.report.problems.push(problem);
}

/// Says that the checks of a service were not made, because nobody here sees when its new version serves.
pub(super) fn unmade(unit: &mut Unit) {
    if unit.service.common.verify.is_empty() {
        return;
    }
    let sentence = "The checks were not made: when the new version serves cannot be seen from here.";
    let help = "Give the service an Argo CD server to ask, or run `operation: verify` afterwards.";
    let problem = Problem::notice(Code::CheckIncomplete, sentence).help(help);
    unit.report.problems.push(problem.of(unit.service.name.clone()));
}

/// The longest that the checks of a service may take together: they are tried at the same time.
pub(super) fn longest(checks: &[Check]) -> Duration {
    checks.iter().map(|check| check.within.0).max().unwrap_or_default()
}
