//! The traffic of the judge benchmark: how much of it, and how the canary differs.

use super::rng::Rng;
use crate::strategy::judge::Count;

/// Mean requests per minute of each variant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrafficLevel {
    /// Of the canary.
    pub canary: f64,
    /// Of the baseline.
    pub baseline: f64,
}

const fn level(canary: f64, baseline: f64) -> TrafficLevel {
    TrafficLevel { canary, baseline }
}

/// From nearly idle to busy.
pub const TRAFFIC_LEVELS: [TrafficLevel; 5] =
    [level(0.5, 4.5), level(6.0, 54.0), level(60.0, 60.0), level(60.0, 540.0), level(600.0, 5400.0)];

/// The expectation of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseKind {
    /// The canary is healthy: rolling back is wrong.
    Healthy,
    /// The version is healthy, but the traffic breaks the assumptions of the method.
    Adversarial,
    /// Worse by less than the margin: either result is right.
    Between,
    /// Worse by at least twice the margin: promoting is wrong.
    Worse,
    /// Half of the requests fail, or all.
    Down,
}

/// How the canary differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CanaryEffect {
    /// Not at all.
    Same,
    /// Its bad rate is higher by this fraction.
    Plus(f64),
    /// Its bad rate is this many times as high.
    Times(f64),
    /// Its host is better or worse than the others by chance: normal in the logarithm, with this deviation.
    Host(f64),
}

/// A case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// A short name.
    pub name: &'static str,
    /// The expectation.
    pub kind: CaseKind,
    /// The baseline's bad rate.
    pub rate: f64,
    /// How the canary differs.
    pub effect: CanaryEffect,
    /// Squared coefficient of variation of the bad rate, by variant and minute.
    pub burst_variation: f64,
    /// An outage of both variants: minutes, and the bad rate in them.
    pub outage: Option<(usize, f64)>,
    /// The canary's first minutes: how many, and the minimum bad rate in them.
    pub cold_start: Option<(usize, f64)>,
}

const fn case(name: &'static str, kind: CaseKind, rate: f64, effect: CanaryEffect) -> Case {
    Case { name, kind, rate, effect, burst_variation: 0.0, outage: None, cold_start: None }
}

/// Every case.
pub const CASES: [Case; 14] = [
    case("same, 0.1 %", CaseKind::Healthy, 0.001, CanaryEffect::Same),
    case("same, 2 %", CaseKind::Healthy, 0.02, CanaryEffect::Same),
    Case {
        outage: Some((5, 0.2)),
        ..case("same, shared outage 5 min at 20 %", CaseKind::Adversarial, 0.001, CanaryEffect::Same)
    },
    Case {
        burst_variation: 1.0,
        ..case("same, 0.5 % in bursts, CV² 1", CaseKind::Adversarial, 0.005, CanaryEffect::Same)
    },
    Case {
        burst_variation: 4.0,
        ..case("same, 0.5 % in bursts, CV² 4", CaseKind::Adversarial, 0.005, CanaryEffect::Same)
    },
    Case {
        cold_start: Some((2, 0.05)),
        ..case("same, 0.1 %, cold 2 min at 5 %", CaseKind::Healthy, 0.001, CanaryEffect::Same)
    },
    case("same, 2 %, host effect σ 0.3", CaseKind::Adversarial, 0.02, CanaryEffect::Host(0.3)),
    case("0.1 → 0.6 %", CaseKind::Between, 0.001, CanaryEffect::Plus(0.005)),
    case("0.1 → 2.1 %", CaseKind::Worse, 0.001, CanaryEffect::Plus(0.02)),
    case("0.1 → 5.1 %", CaseKind::Worse, 0.001, CanaryEffect::Plus(0.05)),
    case("2 → 4 %", CaseKind::Worse, 0.02, CanaryEffect::Plus(0.02)),
    Case {
        burst_variation: 1.0,
        ..case("0.5 → 2.5 % in bursts, CV² 1", CaseKind::Worse, 0.005, CanaryEffect::Times(5.0))
    },
    case("0.1 → 50 %", CaseKind::Down, 0.001, CanaryEffect::Plus(0.5)),
    case("0.1 → 100 %", CaseKind::Down, 0.001, CanaryEffect::Plus(1.0)),
];

/// The counts of both variants in one minute: (canary, baseline).
pub(super) type CountPair = (Count, Count);

/// The minutes of one run.
pub(super) fn simulate_traffic(
    level: TrafficLevel,
    case: &Case,
    minutes: usize,
    chance: &mut Rng,
) -> Vec<CountPair> {
    let outage = case.outage.map(|(long, rate)| {
        let from = chance.index_below(minutes.saturating_sub(long));
        (from..from + long, rate)
    });
    let host = match case.effect {
        CanaryEffect::Host(deviation) => (deviation * chance.normal()).exp(),
        _ => 1.0,
    };
    let minute = |at: usize| {
        let rate =
            outage.as_ref().filter(|(span, _)| span.contains(&at)).map_or(case.rate, |(_, rate)| *rate);
        let worse = case.cold_start.filter(|(long, _)| at < *long).map_or(0.0, |(_, rate)| rate);
        let canary = match case.effect {
            CanaryEffect::Same => rate,
            CanaryEffect::Plus(more) => rate + more,
            CanaryEffect::Times(times) => rate * times,
            CanaryEffect::Host(_) => rate * host,
        };
        let (canary, baseline) =
            (draw_burst_rate(canary.max(worse), case, chance), draw_burst_rate(rate, case, chance));
        (draw_count(level.canary, canary, chance), draw_count(level.baseline, baseline, chance))
    };
    (0..minutes).map(minute).collect()
}

fn draw_burst_rate(rate: f64, case: &Case, chance: &mut Rng) -> f64 {
    if case.burst_variation > 0.0 { rate * chance.gamma(1.0 / case.burst_variation) } else { rate }
}

fn draw_count(requests: f64, rate: f64, chance: &mut Rng) -> Count {
    let total = chance.poisson(requests);
    Count { total, bad: chance.binomial(total, rate.min(1.0)) }
}
