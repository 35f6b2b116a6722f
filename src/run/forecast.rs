//! Before the start: how long the judge will need at the traffic of the last hour, and whether counts can be read.

use std::time::Duration;

use super::evidence::settings;
use super::unit::{Phase, Unit};
use super::{Job, undo};
use crate::config::Metric;
use crate::gates::Window;
use crate::problem::{Code, Problem, Severity};
use crate::release::{Outcome, Span};
use crate::strategy::judge::{Settings, minutes_needed};
use crate::strategy::{self, Step};

/// The time that is looked back.
const HOUR: Duration = Duration::from_secs(3600);

/// Says it for every service that will be judged by the counts of a load balancer. A permission that is missing ends
/// the service here, with nothing changed; in a plan it is a warning.
pub(super) async fn foretell(job: &Job, units: &mut [Unit], planning: bool) {
    for unit in units.iter_mut().filter(|unit| unit.phase == Phase::Ready && is_judged(unit)) {
        match undo::or_cancel(job, traffic(job, unit)).await {
            None => return,
            Some(Ok(Some(traffic))) => told(job, unit, traffic),
            Some(Ok(None)) => {
                let words = "the last hour has no counts, so it is not known how long the judge will need";
                job.teller.line(Some(unit.name()), words);
            }
            Some(Err(problem)) if problem.code == Code::PermissionMissing && !planning => {
                let problem = problem.of(unit.name());
                unit.refused(job.doors.clock.now(), Outcome::Invalid, problem);
            }
            Some(Err(problem)) => {
                unit.report.problems.push(Problem { severity: Severity::Warning, ..problem }.of(unit.name()));
            }
        }
    }
}

fn is_judged(unit: &Unit) -> bool {
    let bakes = unit.plan.as_ref().is_some_and(|plan| {
        !plan.course.is_whole() && plan.steps.iter().any(|step| matches!(step, Step::Bake(_)))
    });
    let counted = |metric: &Metric| matches!(metric, Metric::Errors(_) | Metric::Latency(_));
    let analysed = strategy::analysed(&unit.service.common.strategy);
    bakes && analysed.is_some_and(|(_, _, metrics)| metrics.iter().any(counted))
}

/// Requests a minute in the last hour, and the share of them that ended in a 5xx.
async fn traffic(job: &Job, unit: &Unit) -> Result<Option<(f64, f64)>, Problem> {
    let Some(sources) = &unit.sources else { return Ok(None) };
    let arms = unit.target.arms(&unit.seen).await?;
    let now = job.doors.clock.now();
    let counted = sources.traffic(&arms, &Window::between(now - HOUR, now)).await?;
    let minutes = HOUR.as_secs_f64() / 60.0;
    let rate = |requests: f64, bad: f64| if requests > 0.0 { (bad / requests).min(1.0) } else { 0.0 };
    Ok(counted.map(|(requests, bad)| (requests / minutes, rate(requests, bad))))
}

fn told(job: &Job, unit: &mut Unit, (per_minute, bad_rate): (f64, f64)) {
    let strategy = &unit.service.common.strategy;
    let (Some((_, analysis, _)), Some(longest)) = (strategy::analysed(strategy), strategy::longest(strategy))
    else {
        return;
    };
    let first = unit.plan.iter().flat_map(|plan| &plan.course.shares).find(|share| **share > 0);
    let share = first.copied().unwrap_or(100);
    let (words, enough) = forecast(&settings(analysis), per_minute, bad_rate, share, longest);
    job.teller.line(Some(unit.name()), &words);
    if !enough {
        let problem = Problem::warning(Code::Inconclusive, words).of(unit.name()).help(
            "Give it more traffic (`percent`), more time (`analysis.max-window`), a wider `analysis.margin`, or requests of its own (metric `probe`).",
        );
        unit.report.problems.push(problem);
    }
}

/// How long a PASS takes, in words, and whether that is within the longest time it may take.
fn forecast(
    settings: &Settings,
    per_minute: f64,
    bad_rate: f64,
    share: u8,
    longest: Duration,
) -> (String, bool) {
    let canary = per_minute * f64::from(share) / 100.0;
    let needed = minutes_needed(settings, canary, per_minute - canary, bad_rate);
    let enough = u64::from(needed) * 60 <= longest.as_secs();
    let traffic = format!(
        "In the last hour there were {} requests a minute; with {share} % of them",
        number(per_minute)
    );
    let words = match (needed, enough) {
        (u32::MAX, _) => format!("{traffic} a PASS is out of reach."),
        (_, true) => format!("{traffic} a PASS needs about {needed} minutes."),
        (_, false) => {
            let longest = Span(longest);
            format!("{traffic} a PASS needs about {needed} minutes, and it is watched for {longest} at most.")
        }
    };
    (words, enough)
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_pass_needs_is_said_beforehand() {
        let half_an_hour = HOUR / 2;
        let say = |per_minute, rate| {
            let (words, enough) = forecast(&Settings::default(), per_minute, rate, 10, half_an_hour);
            format!("{enough}: {words}")
        };
        let all = [say(6000.0, 0.001), say(60.0, 0.0), say(0.0, 0.0)];
        insta::assert_snapshot!(all.join("\n"), @r"
        true: In the last hour there were 6000 requests a minute; with 10 % of them a PASS needs about 4 minutes.
        false: In the last hour there were 60 requests a minute; with 10 % of them a PASS needs about 48 minutes, and it is watched for 30m at most.
        false: In the last hour there were 0.0 requests a minute; with 10 % of them a PASS is out of reach.
        ");
    }
}
