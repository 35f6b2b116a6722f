//! The ruling over all metrics, with everything that a person needs to follow it.

use serde::Serialize;

use super::ledger::{Ledger, Scales};
use super::{Count, Ruling, Series, Settings, words};

/// The most that evidence is said to be: beyond it the number has no meaning for people.
pub const MOST_EVIDENCE: f64 = 1e6;

/// What the judge says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opinion {
    /// Over all metrics.
    pub ruling: Ruling,
    /// Why, in words. It holds names of metrics, which may come from outside.
    pub reason: String,
    /// One per metric, in the order they were given.
    pub findings: Vec<Finding>,
}

/// What one metric says. Rates, excess and bounds are shares: 0.01 is one percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The metric.
    pub name: String,
    /// What it alone would mean.
    pub ruling: Ruling,
    /// Why, in words, without the metric's name.
    pub reason: String,
    /// Sums over the judged minutes.
    pub canary: Count,
    /// The same of the baseline.
    pub baseline: Count,
    /// The canary's configured share of the traffic, where it is checked.
    pub share: Option<f64>,
    /// How many times likelier the counts are if the canary is worse (the e-value), at most [`MOST_EVIDENCE`].
    pub evidence: f64,
    /// The most that the evidence was in any minute.
    pub highest_evidence: f64,
    /// The evidence that is needed to fail the canary.
    pub evidence_limit: f64,
    /// How many bad requests count as one witness.
    pub dispersion: f64,
    /// 95 % upper bound of the canary's rate minus the baseline's; none without requests.
    pub upper_bound: Option<f64>,
    /// What the upper bound must stay below.
    pub margin: f64,
    /// Minutes that were judged.
    pub minutes_used: u32,
    /// Minutes that were missing, late or impossible.
    pub minutes_rejected: u32,
    /// The bad rates of every minute, the warm-up included.
    pub rates: Vec<Rates>,
}

/// The bad rates of one minute; none where nothing is known or nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// Of the canary.
    pub canary: Option<f64>,
    /// Of the baseline.
    pub baseline: Option<f64>,
}

/// Rules on all metrics. Ask again with each closed minute: looking often costs nothing. [`Ruling::Pass`] comes only
/// when `window_over`; [`Ruling::Fail`] and [`Ruling::Inconclusive`] are final whenever they come.
pub fn rule(settings: &Settings, series: &[Series], window_over: bool) -> Opinion {
    let find = |one: &Series| finding(settings, series.len(), one, window_over);
    let findings: Vec<Finding> = series.iter().map(find).collect();
    let ruling = together(&findings, window_over);
    Opinion { ruling, reason: words::opinion(ruling, &findings), findings }
}

/// One metric that fails is enough; all must pass. Nothing measured is not healthy.
fn together(findings: &[Finding], window_over: bool) -> Ruling {
    let any = |ruling| findings.iter().any(|finding| finding.ruling == ruling);
    match findings {
        [] if window_over => Ruling::Inconclusive,
        [] => Ruling::Undecided,
        _ => [Ruling::Fail, Ruling::Inconclusive, Ruling::Undecided]
            .into_iter()
            .find(|ruling| any(*ruling))
            .unwrap_or(Ruling::Pass),
    }
}

fn finding(settings: &Settings, metrics: usize, series: &Series, window_over: bool) -> Finding {
    let mut ledger = Ledger::new(settings, metrics, series.share);
    let mut scales = ledger.weigh();
    let mut highest = scales.evidence;
    for minute in &series.minutes {
        ledger.close(*minute);
        scales = ledger.weigh();
        highest = highest.max(scales.evidence);
    }
    let ruling = ledger.ruling(&scales, window_over);
    let (canary, baseline) = ledger.sums();
    let (minutes_used, minutes_rejected) = ledger.minutes();
    Finding {
        name: series.name.clone(),
        ruling,
        reason: words::finding(ruling, &ledger, &scales),
        canary,
        baseline,
        share: series.share,
        evidence: shown(scales.evidence),
        highest_evidence: shown(highest),
        evidence_limit: shown(ledger.limit()),
        dispersion: scales.dispersion,
        upper_bound: scales.upper,
        margin: settings.margin,
        minutes_used,
        minutes_rejected,
        rates: series.minutes.iter().map(rates).collect(),
    }
}

fn rates(minute: &super::Minute) -> Rates {
    let rate = |count: Option<Count>| count.filter(|count| count.is_possible()).and_then(Count::rate);
    Rates { canary: rate(minute.canary), baseline: rate(minute.baseline) }
}

/// An e-value from its logarithm.
pub(super) fn shown(logarithm: f64) -> f64 {
    logarithm.exp().min(MOST_EVIDENCE)
}

impl Scales {
    /// The e-value as people see it.
    pub fn shown(&self) -> f64 {
        shown(self.evidence)
    }
}
