//! The analysis of a service while its version bakes: metrics are read, the core judges them. Checks of the current
//! step go through here too.

use std::time::Duration;

use crate::config::{AnalysisConfig, Metric};
use crate::gates::{AnalysisWindow, ComparedVariants, Prober, VariantCounts};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Pause, RolloutStatus, Version};
use crate::run::context::RunContext;
use crate::run::rollout::checks;
use crate::run::service_run::ServiceRun;
use crate::run::{cancel, progress};
use crate::strategy;
use crate::strategy::judge::Verdict;
use crate::strategy::{Analysis, Step, judge};

/// Counts are read so often; they change once a minute.
const READ_INTERVAL: Duration = Duration::from_secs(20);
/// How long one read of all sources may take; the rollout status is read in between.
const READ_TIMEOUT: Duration = Duration::from_secs(12);
/// The counts are logged so often at most.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Updates the analysis of a service, if the current step has one.
pub(in crate::run) async fn update(ctx: &RunContext, service: &mut ServiceRun, status: &RolloutStatus) {
    if let Some(tried) = service.rollout.pending_check.take() {
        return checks::on_result(ctx, service, tried);
    }
    let RolloutStatus::Paused(pause) = status else { return };
    let strategy = service.declared.config.strategy.clone();
    match (service.rollout.current_step(), strategy::analysis_config(&strategy)) {
        (Some(Step::Bake(span)), Some((_, analysis, metrics))) if !metrics.is_empty() => {
            analyze_bake(ctx, service, pause, &AnalyzedBake { duration: span.0, analysis, metrics }).await;
        }
        (step, _) if checks::checks_for(service, step).is_empty() => {
            service.rollout.analysis_result = Analysis::NotRequired
        }
        _ => {}
    }
}

/// What a bake is judged by.
struct AnalyzedBake<'c> {
    duration: Duration,
    analysis: &'c AnalysisConfig,
    metrics: &'c [Metric],
}

async fn analyze_bake(ctx: &RunContext, service: &mut ServiceRun, pause: &Pause, bake: &AnalyzedBake<'_>) {
    let here = ctx.io.clock.elapsed().saturating_sub(service.rollout.step_started);
    let Some(sources) = service.sources.clone() else { return };
    if bake.metrics.iter().any(|metric| matches!(metric, Metric::Probe(_))) {
        let start = || Prober::start(bake.metrics, sources.http(), ctx.io.clock, &ctx.cancel);
        service.rollout.analysis.prober.get_or_insert_with(start);
    }
    let longest = strategy::max_bake(&service.declared.config.strategy).unwrap_or_default();
    if !is_due(service.rollout.analysis.last_read, here, &[bake.duration, longest]) {
        return;
    }
    service.rollout.analysis.last_read = Some(here);
    let now = ctx.io.clock.now();
    let since = now - here;
    let window = AnalysisWindow::from_range(since, now).ends_at(since + bake.duration);
    let (canary, baseline) = compared_versions(service, pause);
    let compared = ComparedVariants {
        canary: &canary,
        baseline: &baseline,
        variants: pause.variants.as_ref(),
        canary_weight: pause.percent,
    };
    let reading =
        sources.read_counts(bake.metrics, &compared, &window, service.rollout.analysis.prober.as_ref());
    let read = cancel::until_cancelled(ctx, tokio::time::timeout(READ_TIMEOUT, reading)).await;
    service.rollout.analysis_result = match read {
        None => return,
        Some(Ok(Ok(counts))) => on_counts(ctx, service, bake, here, pause.percent, &counts),
        Some(Ok(Err(problem))) => on_read_error(ctx, service, problem),
        Some(Err(_)) => on_read_error(ctx, service, read_timeout_problem()),
    };
}

/// Whether the sources have to be read: at intervals, and when a deadline passes.
fn is_due(read: Option<Duration>, here: Duration, turns: &[Duration]) -> bool {
    let Some(read) = read else { return true };
    here >= read + READ_INTERVAL || turns.iter().any(|turn| read < *turn && here >= *turn)
}

fn compared_versions(service: &ServiceRun, pause: &Pause) -> (Version, Version) {
    if let Some(labels) = &pause.variants {
        return (labels.canary.version.clone(), labels.baseline.version.clone());
    }
    let nameless = || Version { id: String::new(), label: String::new() };
    let new = service.report.version.clone().unwrap_or_else(nameless);
    (new, service.observed.last_known_good().cloned().unwrap_or_else(nameless))
}

/// What the counts mean. Only a ruling that they are good enough is good.
fn on_counts(
    ctx: &RunContext,
    service: &mut ServiceRun,
    bake: &AnalyzedBake<'_>,
    here: Duration,
    weight: u8,
    counts: &VariantCounts,
) -> Analysis {
    let judgement =
        judge::judge(&strategy::judge_settings(bake.analysis), &counts.series, counts.is_complete);
    let some = counts.series.iter().any(|series| !series.minutes.is_empty());
    let news = some && service.rollout.analysis.last_logged.is_none_or(|told| here >= told + LOG_INTERVAL);
    if news || judgement.verdict != Verdict::Pending {
        service.rollout.analysis.last_logged = Some(here);
        progress::log_if_changed(ctx, service, &judgement.reason);
    }
    let evidence = match judgement.verdict {
        Verdict::Pass => Analysis::Pass,
        Verdict::Fail => Analysis::Fail(canary_failed_problem(&judgement.reason)),
        Verdict::Pending | Verdict::Inconclusive => Analysis::Pending(judgement.reason.clone()),
    };
    service.report.analysis = Some(crate::report::CanaryAnalysis { judgement, weight });
    evidence
}

fn canary_failed_problem(reason: &str) -> Problem {
    Problem::error(Code::CanaryFailed, "The new version performs worse than the current one.")
        .cause(reason)
        .help("Look at what it answered: its logs, and the requests that failed. The summary has the counts.")
}

fn read_timeout_problem() -> Problem {
    let cause = format!("no response within {} s", READ_TIMEOUT.as_secs());
    Problem::error(Code::MetricsUnreadable, "The counts could not be read.").cause(cause)
}

/// An unreadable source is neither good nor bad; it is reported once.
fn on_read_error(ctx: &RunContext, service: &mut ServiceRun, problem: Problem) -> Analysis {
    let why = problem.to_string();
    progress::log_if_changed(ctx, service, &format!("counts could not be read, reading again: {why}"));
    let warning = Problem { severity: Severity::Warning, ..problem }.for_service(service.name());
    if service.report.problems.iter().all(|known| known.code != warning.code) {
        service.report.problems.push(warning);
    }
    Analysis::Pending(why)
}

/// Reports that a version advances without enough data, as `on-inconclusive: promote` asks.
pub(in crate::run) fn warn_promoted(ctx: &RunContext, service: &mut ServiceRun) {
    let (Some(Step::Bake(_)), Analysis::Pending(why)) =
        (service.rollout.current_step(), &service.rollout.analysis_result)
    else {
        return;
    };
    let sentence = "There was too little data to judge the new version, and it was promoted anyway.";
    let problem = Problem::warning(Code::Inconclusive, sentence)
        .cause(why.clone())
        .help("`on-inconclusive: promote` asks for that; `rollback` takes such a version back.")
        .for_service(service.name());
    if !service.report.problems.contains(&problem) {
        ctx.log.problem(&problem);
        service.report.problems.push(problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_at_intervals_and_at_deadlines() {
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
