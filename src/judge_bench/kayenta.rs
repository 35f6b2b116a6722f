//! Kayenta's judge on rates by minute: a Mann-Whitney test with a 98 % confidence interval of the shift, and a
//! tolerance
//! of a quarter of the estimated shift; rank statistic and correction after its source.

use super::cases::CountPair;
use super::simulation::RunEnd;
use crate::strategy::judge::Verdict;

const QUANTILE: f64 = 2.326_347_874_040_841;
const TOLERANCE: f64 = 0.25;
/// The precision of a shift: far below any rate.
const PRECISION: f64 = 1e-9;

/// Judges once, at the end.
pub(super) fn kayenta(minutes: &[CountPair]) -> RunEnd {
    let rates = |pick: fn(&CountPair) -> Option<f64>| minutes.iter().filter_map(pick).collect::<Vec<_>>();
    let canary = rates(|(canary, _)| canary.rate());
    let baseline = rates(|(_, baseline)| baseline.rate());
    let verdict = match (canary.is_empty(), baseline.is_empty()) {
        (false, false) if is_worse(&canary, &baseline) => Verdict::Fail,
        (false, false) => Verdict::Pass,
        _ => Verdict::Inconclusive,
    };
    RunEnd { verdict, minute: minutes.len() }
}

fn is_worse(canary: &[f64], baseline: &[f64]) -> bool {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let all_alike = canary.iter().chain(baseline).all(|rate| *rate == canary[0]);
    if all_alike || sorted_copy(canary) == sorted_copy(baseline) {
        return false;
    }
    let low = minimum(canary) - maximum(baseline);
    let high = maximum(canary) - minimum(baseline);
    let root = |quantile: f64| shift_at_quantile(canary, baseline, low, high, quantile);
    let (lower, estimate) = (root(-QUANTILE), root(0.0));
    let ratio_is_up = mean(baseline) == 0.0 || mean(canary) / mean(baseline) >= 1.0;
    lower > TOLERANCE * estimate.abs() && ratio_is_up
}

/// The shift at which the statistic has this quantile: bisection between the minimum and the maximum.
fn shift_at_quantile(canary: &[f64], baseline: &[f64], low: f64, high: f64, quantile: f64) -> f64 {
    let (mut low, mut high) = (low, high);
    // `quantile` is minus the statistic's: a shift that is too small leaves it large.
    let at = |shift: f64| rank_sum_statistic(canary, baseline, shift) + quantile;
    if at(low) <= 0.0 {
        return low;
    }
    if at(high) >= 0.0 {
        return high;
    }
    while high - low > PRECISION {
        let middle = f64::midpoint(low, high);
        if at(middle) > 0.0 { low = middle } else { high = middle }
    }
    // Many equal rates make the statistic jump at exactly no shift: the rest of the bracket there is no shift.
    let root = f64::midpoint(low, high);
    if root.abs() < 2.0 * PRECISION { 0.0 } else { root }
}

/// Standardised rank sum of the shifted canary, corrected for continuity and ties.
fn rank_sum_statistic(canary: &[f64], baseline: &[f64], shift: f64) -> f64 {
    let (m, n) = (canary.len() as f64, baseline.len() as f64);
    let mut all: Vec<(f64, bool)> = canary.iter().map(|rate| (rate - shift, true)).collect();
    all.extend(baseline.iter().map(|rate| (*rate, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut from) = (0.0, 0.0, 0);
    while from < all.len() {
        let long = all[from..].iter().take_while(|(rate, _)| *rate == all[from].0).count();
        let rank = from as f64 + (long as f64 + 1.0) / 2.0;
        ranks += rank * all[from..from + long].iter().filter(|(_, canary)| *canary).count() as f64;
        ties += (long as f64).powi(3) - long as f64;
        from += long;
    }
    let off = ranks - m * (m + 1.0) / 2.0 - m * n / 2.0;
    let variance = m * n / 12.0 * ((m + n + 1.0) - ties / ((m + n) * (m + n - 1.0)));
    let correction = if off == 0.0 { 0.0 } else { off.signum() * 0.5 };
    if variance > 0.0 { (off - correction) / variance.sqrt() } else { 0.0 }
}

fn sorted_copy(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn maximum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
