//! Evidence beyond the provider's own word: gathered while a version is tested or baked, kept on the unit.

use std::time::Duration;

use super::unit::Unit;
use super::{Job, checks, undo, watch};
use crate::config::{Analysis, Metric};
use crate::gates::{Compared, Counts, Prober, Window};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Health, Hold, Version};
use crate::strategy::judge::{self, Ruling};
use crate::strategy::{self, Evidence, Step};

/// Counts are read so often; they change once a minute.
const EVERY: Duration = Duration::from_secs(20);
/// How long one reading of all sources may take: the health of the service is looked at in between.
const PATIENCE: Duration = Duration::from_secs(12);
/// The log hears of the counts so often at most.
const NEWS: Duration = Duration::from_secs(60);

/// What is kept while a step is under way; it ends with the step, and the probes with it.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// How long the step had been under way when sources were read last.
    read: Option<Duration>,
    /// The same for when the log heard of it.
    told: Option<Duration>,
    prober: Option<Prober>,
}

/// Brings the evidence of a unit up to date, where the step under way needs any.
pub(super) async fn gather(job: &Job, unit: &mut Unit, health: &Health) {
    if let Some(tried) = unit.tried.take() {
        return checks::conclude(job, unit, tried);
    }
    let Health::Holding(hold) = health else { return };
    let strategy = unit.service.common.strategy.clone();
    match (unit.step(), strategy::analysed(&strategy)) {
        (Some(Step::Bake(span)), Some((_, analysis, metrics))) if !metrics.is_empty() => {
            bake(job, unit, hold, &Bake { span: span.0, analysis, metrics }).await;
        }
        (step, _) if checks::of(unit, step).is_empty() => unit.evidence = Evidence::NotNeeded,
        _ => {}
    }
}

/// What a bake is judged by.
struct Bake<'c> {
    span: Duration,
    analysis: &'c Analysis,
    metrics: &'c [Metric],
}

async fn bake(job: &Job, unit: &mut Unit, hold: &Hold, bake: &Bake<'_>) {
    let here = job.doors.clock.elapsed().saturating_sub(unit.at_since);
    let Some(sources) = unit.sources.clone() else { return };
    if bake.metrics.iter().any(|metric| matches!(metric, Metric::Probe(_))) {
        let start = || Prober::start(bake.metrics, sources.web(), job.doors.clock, &job.cancel);
        unit.gathered.prober.get_or_insert_with(start);
    }
    let longest = strategy::longest(&unit.service.common.strategy).unwrap_or_default();
    if !is_due(unit.gathered.read, here, &[bake.span, longest]) {
        return;
    }
    unit.gathered.read = Some(here);
    let now = job.doors.clock.now();
    let since = now - here;
    let window = Window::between(since, now).enough_at(since + bake.span);
    let (canary, baseline) = versions(unit, hold);
    let compared =
        Compared { canary: &canary, baseline: &baseline, arms: hold.arms.as_ref(), percent: hold.percent };
    let reading = sources.counts(bake.metrics, &compared, &window, unit.gathered.prober.as_ref());
    let read = undo::or_cancel(job, tokio::time::timeout(PATIENCE, reading)).await;
    unit.evidence = match read {
        None => return,
        Some(Ok(Ok(counts))) => judged(job, unit, bake, here, hold.percent, &counts),
        Some(Ok(Err(problem))) => unread(job, unit, problem),
        Some(Err(_)) => unread(job, unit, slow()),
    };
}

/// Whether sources are to be read: now and then, and where a word of theirs decides.
fn is_due(read: Option<Duration>, here: Duration, turns: &[Duration]) -> bool {
    let Some(read) = read else { return true };
    here >= read + EVERY || turns.iter().any(|turn| read < *turn && here >= *turn)
}

fn versions(unit: &Unit, hold: &Hold) -> (Version, Version) {
    if let Some(arms) = &hold.arms {
        return (arms.canary.version.clone(), arms.baseline.version.clone());
    }
    let nameless = || Version { id: String::new(), label: String::new() };
    let new = unit.report.version.clone().unwrap_or_else(nameless);
    (new, unit.seen.refuge().cloned().unwrap_or_else(nameless))
}

/// What the counts mean. Only a ruling that they are good enough is good.
fn judged(
    job: &Job,
    unit: &mut Unit,
    bake: &Bake<'_>,
    here: Duration,
    share: u8,
    counts: &Counts,
) -> Evidence {
    let opinion = judge::rule(&settings(bake.analysis), &counts.series, counts.over);
    let some = counts.series.iter().any(|series| !series.minutes.is_empty());
    let news = some && unit.gathered.told.is_none_or(|told| here >= told + NEWS);
    if news || opinion.ruling != Ruling::Undecided {
        unit.gathered.told = Some(here);
        watch::tell_once(job, unit, &opinion.reason);
    }
    let evidence = match opinion.ruling {
        Ruling::Pass => Evidence::Good,
        Ruling::Fail => Evidence::Bad(worse(&opinion.reason)),
        Ruling::Undecided | Ruling::Inconclusive => Evidence::Awaited(opinion.reason.clone()),
    };
    unit.report.analysis = Some(crate::report::Analysis { opinion, share });
    evidence
}

fn worse(reason: &str) -> Problem {
    Problem::error(Code::CanaryFailed, "The new version answers worse than the one before.")
        .cause(reason)
        .help("Look at what it answered: its logs, and the requests that failed. The summary has the counts.")
}

/// The settings of the judge.
pub(super) fn settings(analysis: &Analysis) -> judge::Settings {
    judge::Settings {
        margin: analysis.margin.share(),
        warm_up: u32::try_from(analysis.warm_up.0.whole_minutes()).unwrap_or(u32::MAX),
        ..judge::Settings::default()
    }
}

fn slow() -> Problem {
    let cause = format!("no answer in {} s", PATIENCE.as_secs());
    Problem::error(Code::MetricsUnreadable, "The counts could not be read.").cause(cause)
}

/// What cannot be read says nothing, and that is said once.
fn unread(job: &Job, unit: &mut Unit, problem: Problem) -> Evidence {
    let why = problem.to_string();
    watch::tell_once(job, unit, &format!("counts could not be read, reading again: {why}"));
    let warning = Problem { severity: Severity::Warning, ..problem }.of(unit.name());
    if unit.report.problems.iter().all(|known| known.code != warning.code) {
        unit.report.problems.push(warning);
    }
    Evidence::Awaited(why)
}

/// Says that a version goes on which nothing speaks for, where the deploy file wants that.
pub(super) fn promoted(job: &Job, unit: &mut Unit) {
    let (Some(Step::Bake(_)), Evidence::Awaited(why)) = (unit.step(), &unit.evidence) else { return };
    let sentence = "There was too little data to judge the new version, and it was promoted all the same.";
    let problem = Problem::warning(Code::Inconclusive, sentence)
        .cause(why.clone())
        .help("`on-inconclusive: promote` asks for that; `rollback` takes such a version back.")
        .of(unit.name());
    if !unit.report.problems.contains(&problem) {
        job.teller.problem(&problem);
        unit.report.problems.push(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_now_and_then_and_where_it_counts() {
        let s = Duration::from_secs;
        let turns = [s(900), s(1800)];
        assert!(is_due(None, s(1), &turns));
        assert!(!is_due(Some(s(60)), s(79), &turns));
        assert!(is_due(Some(s(60)), s(80), &turns));
        assert!(is_due(Some(s(895)), s(900), &turns), "the bake is over");
        assert!(is_due(Some(s(1795)), s(1801), &turns), "the longest time is over");
        assert!(!is_due(Some(s(900)), s(905), &turns));
    }
}
