//! The sequential test of one metric, minute by minute. [`super::judge`] feeds it the whole series; the
//! benchmark feeds it a minute at a time.

use super::confidence_bound;
use super::counts::{Count, Minute};
use super::e_value::{ALTERNATIVES, Terms, expected_canary_share, log_mixture, minute_terms};
use super::overdispersion::Overdispersion;
use super::{JudgeSettings, Verdict};

/// Fewer bad requests of the canary than this never fail it.
const MIN_BAD_REQUESTS: f64 = 3.0;
/// A canary fails only after this many minutes with bad requests …
const MIN_BAD_MINUTES: usize = 6;
/// … unless it is this much worse.
const LARGE_EXCESS: f64 = 0.1;
/// Part of the margin below which a difference fails no canary.
const MIN_EXCESS_PER_MARGIN: f64 = 0.25;
/// How much worse than the baseline, as part of the baseline's own rate, one host may be than another.
const HOST_VARIATION: f64 = 0.7;
/// Times the margin at which a difference is no longer attributed to the hosts.
const MAX_HOST_VARIATION_MARGINS: f64 = 2.0;
/// Part of the judged minutes that may be missing.
const MAX_MISSING_SHARE: f64 = 0.2;
/// Minutes in a row without counts at the end that count as silence.
pub const SILENCE_MINUTES: usize = 3;

/// A minute in which bad requests count.
#[derive(Debug, Clone)]
struct InformativeMinute {
    canary: (f64, f64),
    baseline: (f64, f64),
    terms: Terms,
}

impl InformativeMinute {
    fn bad_requests(&self) -> f64 {
        self.canary.1 + self.baseline.1
    }
}

/// The counts of a metric so far.
#[derive(Debug, Clone)]
pub struct SequentialTest {
    settings: JudgeSettings,
    share: Option<f64>,
    limit: f64,
    informative_minutes: Vec<InformativeMinute>,
    canary: Count,
    baseline: Count,
    seen_minutes: u32,
    used_minutes: u32,
    rejected_minutes: u32,
    silent_minutes: usize,
}

/// The numbers that a verdict is based on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestStatistics {
    /// Natural logarithm of the e-value.
    pub log_e_value: f64,
    /// The same if bad requests were independent of each other.
    pub log_e_value_if_independent: f64,
    /// How many bad requests count as one, in the mean.
    pub dispersion: f64,
    /// The canary's rate minus the baseline's; 0 where there is none.
    pub excess: f64,
    /// The minimum excess that can fail the canary.
    pub min_excess: f64,
    /// 95 % upper bound of the excess.
    pub upper_bound: Option<f64>,
}

impl SequentialTest {
    /// An empty test of one of `metrics` metrics, which divide the risk of a wrong rollback among them.
    pub fn new(settings: &JudgeSettings, metrics: usize, share: Option<f64>) -> Self {
        let alpha = settings.alpha.clamp(f64::MIN_POSITIVE, 1.0) / metrics.max(1) as f64;
        Self {
            settings: *settings,
            share,
            limit: -alpha.ln(),
            informative_minutes: Vec::new(),
            canary: Count::default(),
            baseline: Count::default(),
            seen_minutes: 0,
            used_minutes: 0,
            rejected_minutes: 0,
            silent_minutes: 0,
        }
    }

    /// Adds the next minute.
    pub fn update(&mut self, minute: Minute) {
        self.seen_minutes = self.seen_minutes.saturating_add(1);
        if self.seen_minutes <= self.settings.warm_up {
            return;
        }
        let Some((canary, baseline)) = minute.valid_counts() else {
            self.rejected_minutes += 1;
            self.silent_minutes += 1;
            return;
        };
        self.silent_minutes = 0;
        self.used_minutes += 1;
        for (sum, count) in [(&mut self.canary, canary), (&mut self.baseline, baseline)] {
            sum.total = sum.total.saturating_add(count.total);
            sum.bad = sum.bad.saturating_add(count.bad);
        }
        if canary.total > 0 && baseline.total > 0 && canary.bad + baseline.bad > 0 {
            let (canary, baseline) = (as_floats(canary), as_floats(baseline));
            let terms = minute_terms(self.settings.tolerance.max(1.0), canary, baseline);
            self.informative_minutes.push(InformativeMinute { canary, baseline, terms });
        }
    }

    /// Computes the statistics of everything added so far.
    pub fn statistics(&self) -> TestStatistics {
        let dispersion = self.estimate_dispersion();
        let mut whole: Terms = [0.0; ALTERNATIVES.len()];
        for row in &self.informative_minutes {
            for (sum, term) in whole.iter_mut().zip(&row.terms) {
                *sum += term;
            }
        }
        let baseline_rate = self.baseline.rate().unwrap_or_default();
        let margin = self.settings.margin;
        TestStatistics {
            log_e_value: log_mixture(&whole.map(|sum| sum / dispersion)),
            log_e_value_if_independent: log_mixture(&whole),
            dispersion,
            excess: self.canary.rate().unwrap_or_default() - baseline_rate,
            min_excess: (HOST_VARIATION * baseline_rate)
                .min(MAX_HOST_VARIATION_MARGINS * margin)
                .max(MIN_EXCESS_PER_MARGIN * margin),
            upper_bound: confidence_bound::upper_bound(
                as_floats(self.canary),
                as_floats(self.baseline),
                dispersion,
            ),
        }
    }

    fn estimate_dispersion(&self) -> f64 {
        let part = |(total, bad): (f64, f64)| (bad + 0.5) / (total + 1.0);
        let ratio = part(as_floats(self.canary)) / part(as_floats(self.baseline));
        let mut clusters = Overdispersion::default();
        for row in &self.informative_minutes {
            clusters.add_minute(
                row.canary.1,
                row.bad_requests(),
                expected_canary_share(ratio, row.canary.0, row.baseline.0),
            );
        }
        clusters.inflation()
    }

    /// The verdict on the counts so far.
    pub fn verdict(&self, statistics: &TestStatistics, window_over: bool) -> Verdict {
        if self.share_is_implausible() {
            return Verdict::Inconclusive;
        }
        if statistics.log_e_value >= self.limit
            && self.exceeds_limit(statistics)
            && self.is_sustained_or_large(statistics)
        {
            return Verdict::Fail;
        }
        match window_over {
            false => Verdict::Pending,
            true if self.has_missing_minutes() || !self.is_within_margin(statistics) => Verdict::Inconclusive,
            true => Verdict::Pass,
        }
    }

    /// Whether the difference would matter if the bad requests were independent of each other. Such a canary does not
    /// pass, however bursty they are: more bad requests never make a canary look better.
    pub fn exceeds_limit(&self, statistics: &TestStatistics) -> bool {
        statistics.log_e_value_if_independent >= self.limit
            && statistics.excess >= statistics.min_excess
            && self.canary.bad as f64 >= MIN_BAD_REQUESTS
    }

    fn is_sustained_or_large(&self, statistics: &TestStatistics) -> bool {
        self.informative_minutes.len() >= MIN_BAD_MINUTES || statistics.excess >= LARGE_EXCESS
    }

    /// Whether the canary had as many requests as one without any bad ones would need to pass.
    pub fn has_enough_requests(&self, statistics: &TestStatistics) -> bool {
        self.canary.total as f64 / statistics.dispersion
            >= confidence_bound::min_sample_size(self.settings.margin)
    }

    /// Whether the canary is worse by less than the margin, as far as can be known.
    pub fn is_within_margin(&self, statistics: &TestStatistics) -> bool {
        self.has_enough_requests(statistics)
            && !self.exceeds_limit(statistics)
            && statistics.upper_bound.is_some_and(|upper| upper < self.settings.margin)
    }

    /// Whether too much is missing to call anything healthy: more than a fifth of the minutes, or all of the last ones.
    pub fn has_missing_minutes(&self) -> bool {
        let judged = f64::from(self.used_minutes + self.rejected_minutes);
        self.used_minutes == 0
            || self.silent_minutes >= SILENCE_MINUTES
            || f64::from(self.rejected_minutes) > MAX_MISSING_SHARE * judged
    }

    /// Whether the traffic is not split as configured: then the counts may belong to the wrong version.
    pub fn share_is_implausible(&self) -> bool {
        let Some(share) = self.share else { return false };
        let (canary, all) = (self.canary.total as f64, (self.canary.total + self.baseline.total) as f64);
        let expected = all * share;
        let odds = canary * (1.0 - share) / ((all - canary) * share);
        // Four times the variance of independent requests: one client may send many over one connection.
        let far = (canary - expected).abs() > 4.0 * (4.0 * expected * (1.0 - share)).sqrt();
        self.used_minutes as usize >= SILENCE_MINUTES && all > 0.0 && far && !(0.5..=2.0).contains(&odds)
    }

    /// The logarithm that fails the canary.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Sums of the canary and of the baseline over the judged minutes.
    pub fn total_counts(&self) -> (Count, Count) {
        (self.canary, self.baseline)
    }

    /// Minutes that were judged, and those among them that could not be used: (used, rejected).
    pub fn used_and_rejected_minutes(&self) -> (u32, u32) {
        (self.used_minutes, self.rejected_minutes)
    }

    /// The number of last minutes in a row that could not be used.
    pub fn silent_minutes(&self) -> usize {
        self.silent_minutes
    }

    /// The settings.
    pub fn settings(&self) -> &JudgeSettings {
        &self.settings
    }

    /// The configured weight.
    pub fn share(&self) -> Option<f64> {
        self.share
    }
}

fn as_floats(count: Count) -> (f64, f64) {
    (count.total as f64, count.bad as f64)
}
