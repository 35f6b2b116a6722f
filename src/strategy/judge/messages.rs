//! The reasons of a judgement, for users. Rates are in percent, differences in percentage points.

use super::confidence_bound::min_sample_size;
use super::judgement::{MAX_E_VALUE, MetricResult, capped_e_value};
use super::sequential_test::{SILENCE_MINUTES, SequentialTest, TestStatistics};
use super::{Count, Verdict};

/// The reason of the verdict over all metrics.
pub(super) fn judgement_reason(verdict: Verdict, results: &[MetricResult]) -> String {
    if results.is_empty() {
        return "nothing was measured".into();
    }
    let decisive = results.iter().filter(|result| result.verdict == verdict);
    let reasons: Vec<String> = decisive.map(|result| format!("{}: {}", result.name, result.reason)).collect();
    reasons.join("; ")
}

/// The reason of one metric's verdict.
pub(super) fn metric_reason(verdict: Verdict, test: &SequentialTest, statistics: &TestStatistics) -> String {
    match verdict {
        Verdict::Fail => format!("{}; {}", describe_counts(test), describe_e_value(test, statistics)),
        Verdict::Pass => describe_bound(test, statistics),
        Verdict::Pending => format!("{}; {}", describe_counts(test), describe_e_value(test, statistics)),
        Verdict::Inconclusive => inconclusive_reason(test, statistics),
    }
}

fn inconclusive_reason(test: &SequentialTest, statistics: &TestStatistics) -> String {
    let (used, rejected) = test.used_and_rejected_minutes();
    if test.share_is_implausible() {
        return implausible_share_reason(test);
    }
    if used == 0 {
        return "no minute has counts of both versions".into();
    }
    if test.silent_minutes() >= SILENCE_MINUTES {
        return format!("the counts of the last {} minutes are missing", test.silent_minutes());
    }
    if test.has_missing_minutes() {
        return format!("the counts of {rejected} of {} minutes are missing", used + rejected);
    }
    if test.exceeds_limit(statistics) {
        let (both, evidence) = (describe_counts(test), describe_e_value(test, statistics));
        return format!("{both}, but the bad requests come in bursts, which count less; {evidence}");
    }
    if !test.has_enough_requests(statistics) {
        let need = (min_sample_size(test.settings().margin) * statistics.dispersion).ceil() as u64;
        let had = group_thousands(test.total_counts().0.total);
        return format!("the canary had {had} requests; at least {} are needed", group_thousands(need));
    }
    format!("{}; {}", describe_bound(test, statistics), describe_e_value(test, statistics))
}

fn implausible_share_reason(test: &SequentialTest) -> String {
    let (canary, baseline) = test.total_counts();
    let observed = canary.total as f64 / (canary.total + baseline.total).max(1) as f64;
    let configured = test.share().unwrap_or_default();
    format!(
        "the canary got {} of the traffic instead of the configured {}, so the counts may belong to the wrong version",
        format_percent(observed),
        format_percent(configured)
    )
}

fn describe_counts(test: &SequentialTest) -> String {
    let (canary, baseline) = test.total_counts();
    let variant = |count: Count| {
        let rate = count.rate().map_or("–".to_owned(), format_percent);
        format!("{rate} of {} requests", group_thousands(count.total))
    };
    format!("{} were bad on the canary, and {} on the baseline", variant(canary), variant(baseline))
}

fn describe_e_value(test: &SequentialTest, statistics: &TestStatistics) -> String {
    let limit = capped_e_value(test.limit());
    format!(
        "the e-value is {}, and {} fails the canary",
        format_e_value(statistics.e_value()),
        format_e_value(limit)
    )
}

fn describe_bound(test: &SequentialTest, statistics: &TestStatistics) -> String {
    let limit = format_points(test.settings().margin);
    match statistics.upper_bound {
        None => "one of the versions had no requests".into(),
        Some(upper) if upper <= 0.0 => {
            format!("with 95 % confidence the canary is no worse (limit {limit} percentage points)")
        }
        Some(upper) => format!(
            "with 95 % confidence the canary is at most {} percentage points worse (limit {limit})",
            format_points(upper)
        ),
    }
}

/// A fraction in percent: `0.09 %`.
fn format_percent(share: f64) -> String {
    format!("{} %", format_points(share))
}

/// A fraction in percentage points.
fn format_points(share: f64) -> String {
    let points = 100.0 * share;
    if points.abs() < 1.0 { format!("{points:.2}") } else { format!("{points:.1}") }
}

/// An e-value: one decimal if it is small, and capped.
pub fn format_e_value(value: f64) -> String {
    match value {
        _ if value >= MAX_E_VALUE => format!("more than {}", group_thousands(MAX_E_VALUE as u64)),
        _ if value < 10.0 => format!("{value:.1}"),
        _ => group_thousands(value.round() as u64),
    }
}

/// A number with commas between thousands.
pub fn group_thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
