//! The judgement over all metrics, with everything that a person needs to follow it.

use serde::Serialize;

use super::sequential_test::{SequentialTest, TestStatistics};
use super::{Count, JudgeSettings, MetricSeries, Verdict, messages};

/// The maximum e-value for display: beyond it the number has no meaning for users.
pub const MAX_E_VALUE: f64 = 1e6;

/// The result of the judge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The verdict over all metrics.
    pub verdict: Verdict,
    /// The reason. It contains names of metrics, which are untrusted.
    pub reason: String,
    /// One result per metric, in their order.
    pub metric_results: Vec<MetricResult>,
}

/// The result of one metric. Rates, excess and bounds are fractions: 0.01 is one percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricResult {
    /// The metric.
    pub name: String,
    /// Its verdict alone.
    pub verdict: Verdict,
    /// The reason, without the metric's name.
    pub reason: String,
    /// Sums over the judged minutes.
    pub canary: Count,
    /// The same for the baseline.
    pub baseline: Count,
    /// The canary's configured weight, if it is checked.
    pub share: Option<f64>,
    /// How many times likelier the counts are if the canary is worse (the e-value), at most [`MAX_E_VALUE`].
    pub e_value: f64,
    /// The maximum e-value of any minute.
    pub max_e_value: f64,
    /// The e-value that fails the canary.
    pub e_value_limit: f64,
    /// How many bad requests count as one independent observation.
    pub dispersion: f64,
    /// 95 % upper bound of the canary's rate minus the baseline's; none without requests.
    pub upper_bound: Option<f64>,
    /// The limit of the upper bound.
    pub margin: f64,
    /// Minutes that were judged.
    pub minutes_used: u32,
    /// Minutes that were missing, late or impossible.
    pub minutes_rejected: u32,
    /// The bad rates of every minute, the warm-up included.
    pub rates: Vec<BadRates>,
}

/// The bad rates of one minute; none if nothing is known or there were no requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BadRates {
    /// Of the canary.
    pub canary: Option<f64>,
    /// Of the baseline.
    pub baseline: Option<f64>,
}

/// Judges all metrics. Call it with each closed minute: the test allows any number of reads. [`Verdict::Pass`] comes
/// only
/// when `window_over`; [`Verdict::Fail`] and [`Verdict::Inconclusive`] are final whenever they come.
pub fn judge(settings: &JudgeSettings, series: &[MetricSeries], window_over: bool) -> Judgement {
    let find = |one: &MetricSeries| judge_metric(settings, series.len(), one, window_over);
    let results: Vec<MetricResult> = series.iter().map(find).collect();
    let verdict = combine_verdicts(&results, window_over);
    Judgement { verdict, reason: messages::judgement_reason(verdict, &results), metric_results: results }
}

/// One metric that fails is enough; all must pass. Without data nothing passes.
fn combine_verdicts(results: &[MetricResult], window_over: bool) -> Verdict {
    let any = |verdict| results.iter().any(|result| result.verdict == verdict);
    match results {
        [] if window_over => Verdict::Inconclusive,
        [] => Verdict::Pending,
        _ => [Verdict::Fail, Verdict::Inconclusive, Verdict::Pending]
            .into_iter()
            .find(|verdict| any(*verdict))
            .unwrap_or(Verdict::Pass),
    }
}

fn judge_metric(
    settings: &JudgeSettings,
    metrics: usize,
    series: &MetricSeries,
    window_over: bool,
) -> MetricResult {
    let mut test = SequentialTest::new(settings, metrics, series.share);
    let mut statistics = test.statistics();
    let mut highest = statistics.log_e_value;
    for minute in &series.minutes {
        test.update(*minute);
        statistics = test.statistics();
        highest = highest.max(statistics.log_e_value);
    }
    let verdict = test.verdict(&statistics, window_over);
    let (canary, baseline) = test.total_counts();
    let (minutes_used, minutes_rejected) = test.used_and_rejected_minutes();
    MetricResult {
        name: series.name.clone(),
        verdict,
        reason: messages::metric_reason(verdict, &test, &statistics),
        canary,
        baseline,
        share: series.share,
        e_value: capped_e_value(statistics.log_e_value),
        max_e_value: capped_e_value(highest),
        e_value_limit: capped_e_value(test.limit()),
        dispersion: statistics.dispersion,
        upper_bound: statistics.upper_bound,
        margin: settings.margin,
        minutes_used,
        minutes_rejected,
        rates: series.minutes.iter().map(bad_rates).collect(),
    }
}

fn bad_rates(minute: &super::Minute) -> BadRates {
    let rate = |count: Option<Count>| count.filter(|count| count.is_possible()).and_then(Count::rate);
    BadRates { canary: rate(minute.canary), baseline: rate(minute.baseline) }
}

/// An e-value from its logarithm.
pub(super) fn capped_e_value(logarithm: f64) -> f64 {
    logarithm.exp().min(MAX_E_VALUE)
}

impl TestStatistics {
    /// The e-value for display.
    pub fn e_value(&self) -> f64 {
        capped_e_value(self.log_e_value)
    }
}
