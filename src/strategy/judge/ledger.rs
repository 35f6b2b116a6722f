//! One metric, minute by minute: what the counts so far amount to. [`super::rule`] reads the whole series into it; the
//! trials feed it a minute at a time.

use super::bound;
use super::count::{Count, Minute};
use super::dispersion::Clusters;
use super::evidence::{RIVALS, Terms, mixture, share, terms};
use super::{Ruling, Settings};

/// Fewer bad requests of the canary than this never fail it.
const LEAST_BAD: f64 = 3.0;
/// A canary fails only after this many minutes with bad requests …
const LEAST_MINUTES: usize = 6;
/// … unless it is this much worse.
const LARGE: f64 = 0.1;
/// Part of the margin below which a difference fails no canary.
const SMALL: f64 = 0.25;
/// How much worse than the baseline, as part of the baseline's own rate, one host may be than another.
const HOSTS: f64 = 0.7;
/// Times the margin at which a difference is no longer put down to the hosts.
const BEYOND_HOSTS: f64 = 2.0;
/// Part of the judged minutes that may be missing.
const MOST_MISSING: f64 = 0.2;
/// So many minutes in a row without counts at the end are a silence.
pub const LAST: usize = 3;

/// A minute in which bad requests say something.
#[derive(Debug, Clone)]
struct Row {
    canary: (f64, f64),
    baseline: (f64, f64),
    terms: Terms,
}

impl Row {
    fn bad(&self) -> f64 {
        self.canary.1 + self.baseline.1
    }
}

/// What a metric's counts so far amount to.
#[derive(Debug, Clone)]
pub struct Ledger {
    settings: Settings,
    share: Option<f64>,
    limit: f64,
    rows: Vec<Row>,
    canary: Count,
    baseline: Count,
    seen: u32,
    used: u32,
    rejected: u32,
    silent: usize,
}

/// The numbers that a ruling rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// Natural logarithm of the e-value.
    pub evidence: f64,
    /// The same if bad requests were independent of each other.
    pub undivided: f64,
    /// How many bad requests count as one, in the mean.
    pub dispersion: f64,
    /// The canary's rate minus the baseline's; 0 where there is none.
    pub excess: f64,
    /// The least excess that can fail the canary.
    pub least_excess: f64,
    /// 95 % upper bound of the excess.
    pub upper: Option<f64>,
}

impl Ledger {
    /// An empty ledger of one of `metrics` metrics, between which the risk of a wrong rollback is shared.
    pub fn new(settings: &Settings, metrics: usize, share: Option<f64>) -> Self {
        let alpha = settings.alpha.clamp(f64::MIN_POSITIVE, 1.0) / metrics.max(1) as f64;
        Self {
            settings: *settings,
            share,
            limit: -alpha.ln(),
            rows: Vec::new(),
            canary: Count::default(),
            baseline: Count::default(),
            seen: 0,
            used: 0,
            rejected: 0,
            silent: 0,
        }
    }

    /// Enters the next minute.
    pub fn close(&mut self, minute: Minute) {
        self.seen = self.seen.saturating_add(1);
        if self.seen <= self.settings.warm_up {
            return;
        }
        let Some((canary, baseline)) = minute.both() else {
            self.rejected += 1;
            self.silent += 1;
            return;
        };
        self.silent = 0;
        self.used += 1;
        for (sum, count) in [(&mut self.canary, canary), (&mut self.baseline, baseline)] {
            sum.total = sum.total.saturating_add(count.total);
            sum.bad = sum.bad.saturating_add(count.bad);
        }
        if canary.total > 0 && baseline.total > 0 && canary.bad + baseline.bad > 0 {
            let (canary, baseline) = (pair(canary), pair(baseline));
            let terms = terms(self.settings.tolerance.max(1.0), canary, baseline);
            self.rows.push(Row { canary, baseline, terms });
        }
    }

    /// Weighs everything entered so far.
    pub fn weigh(&self) -> Scales {
        let dispersion = self.dispersion();
        let mut whole: Terms = [0.0; RIVALS.len()];
        for row in &self.rows {
            for (sum, term) in whole.iter_mut().zip(&row.terms) {
                *sum += term;
            }
        }
        let baseline_rate = self.baseline.rate().unwrap_or_default();
        let margin = self.settings.margin;
        Scales {
            evidence: mixture(&whole.map(|sum| sum / dispersion)),
            undivided: mixture(&whole),
            dispersion,
            excess: self.canary.rate().unwrap_or_default() - baseline_rate,
            least_excess: (HOSTS * baseline_rate).min(BEYOND_HOSTS * margin).max(SMALL * margin),
            upper: bound::upper(pair(self.canary), pair(self.baseline), dispersion),
        }
    }

    fn dispersion(&self) -> f64 {
        let part = |(total, bad): (f64, f64)| (bad + 0.5) / (total + 1.0);
        let ratio = part(pair(self.canary)) / part(pair(self.baseline));
        let mut clusters = Clusters::default();
        for row in &self.rows {
            clusters.add(row.canary.1, row.bad(), share(ratio, row.canary.0, row.baseline.0));
        }
        clusters.divisor()
    }

    /// What the counts so far mean.
    pub fn ruling(&self, scales: &Scales, window_over: bool) -> Ruling {
        if self.is_mislabelled() {
            return Ruling::Inconclusive;
        }
        if scales.evidence >= self.limit && self.is_grave(scales) && self.is_broad(scales) {
            return Ruling::Fail;
        }
        match window_over {
            false => Ruling::Undecided,
            true if self.has_gaps() || !self.is_within_margin(scales) => Ruling::Inconclusive,
            true => Ruling::Pass,
        }
    }

    /// Whether the difference would matter if the bad requests were independent of each other. Such a canary does not
    /// pass, however bursty they are: more bad requests never make a canary look better.
    pub fn is_grave(&self, scales: &Scales) -> bool {
        scales.undivided >= self.limit
            && scales.excess >= scales.least_excess
            && self.canary.bad as f64 >= LEAST_BAD
    }

    fn is_broad(&self, scales: &Scales) -> bool {
        self.rows.len() >= LEAST_MINUTES || scales.excess >= LARGE
    }

    /// Whether the canary had as many requests as one without any bad ones would need to pass.
    pub fn has_enough(&self, scales: &Scales) -> bool {
        self.canary.total as f64 / scales.dispersion >= bound::least_sample(self.settings.margin)
    }

    /// Whether the canary is worse by less than the margin, as far as can be known.
    pub fn is_within_margin(&self, scales: &Scales) -> bool {
        self.has_enough(scales)
            && !self.is_grave(scales)
            && scales.upper.is_some_and(|upper| upper < self.settings.margin)
    }

    /// Whether too much is missing to call anything healthy: more than a fifth of the minutes, or all of the last ones.
    pub fn has_gaps(&self) -> bool {
        let judged = f64::from(self.used + self.rejected);
        self.used == 0 || self.silent >= LAST || f64::from(self.rejected) > MOST_MISSING * judged
    }

    /// Whether the traffic is not split as configured: then it is not known whose counts these are.
    pub fn is_mislabelled(&self) -> bool {
        let Some(share) = self.share else { return false };
        let (canary, all) = (self.canary.total as f64, (self.canary.total + self.baseline.total) as f64);
        let expected = all * share;
        let odds = canary * (1.0 - share) / ((all - canary) * share);
        // Four times the variance of independent requests: one client may bring many over one connection.
        let far = (canary - expected).abs() > 4.0 * (4.0 * expected * (1.0 - share)).sqrt();
        self.used as usize >= LAST && all > 0.0 && far && !(0.5..=2.0).contains(&odds)
    }

    /// The logarithm that the evidence must reach.
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// Sums of the canary and of the baseline over the judged minutes.
    pub fn sums(&self) -> (Count, Count) {
        (self.canary, self.baseline)
    }

    /// Minutes that were judged, and those among them that could not be used: (used, rejected).
    pub fn minutes(&self) -> (u32, u32) {
        (self.used, self.rejected)
    }

    /// How many of the last minutes, without a break, could not be used.
    pub fn silent(&self) -> usize {
        self.silent
    }

    /// What was asked for.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The configured share of the traffic.
    pub fn share(&self) -> Option<f64> {
        self.share
    }
}

fn pair(count: Count) -> (f64, f64) {
    (count.total as f64, count.bad as f64)
}
