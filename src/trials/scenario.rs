//! The traffic that judges are tried on: how much of it, and what is the matter with the canary.

use super::chance::Chance;
use crate::strategy::judge::Count;

/// Mean requests a minute of each arm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Of the canary.
    pub canary: f64,
    /// Of the baseline.
    pub baseline: f64,
}

const fn level(canary: f64, baseline: f64) -> Level {
    Level { canary, baseline }
}

/// From nearly idle to busy.
pub const LEVELS: [Level; 5] =
    [level(0.5, 4.5), level(6.0, 54.0), level(60.0, 60.0), level(60.0, 540.0), level(600.0, 5400.0)];

/// What a case is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing is the matter: rolling back is wrong.
    Healthy,
    /// Nothing is the matter with the version, but the traffic is not what the method assumes.
    Adversarial,
    /// Worse by less than the margin: either end is right.
    Between,
    /// Worse by at least twice the margin: promoting is wrong.
    Worse,
    /// Half of the requests fail, or all.
    Down,
}

/// How the canary differs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// Not at all.
    Same,
    /// Its bad rate is higher by this share.
    Plus(f64),
    /// Its bad rate is so many times as high.
    Times(f64),
    /// Its host is better or worse than the others by chance: normal in the logarithm, with this deviation.
    Host(f64),
}

/// A case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// In a few words.
    pub name: &'static str,
    /// What it is for.
    pub kind: Kind,
    /// The baseline's bad rate.
    pub rate: f64,
    /// How the canary differs.
    pub effect: Effect,
    /// Squared coefficient of variation of the bad rate, by arm and minute.
    pub bursts: f64,
    /// An outage of both arms: minutes, and the bad rate in them.
    pub outage: Option<(usize, f64)>,
    /// The canary's first minutes: how many, and the least bad rate in them.
    pub cold: Option<(usize, f64)>,
}

const fn case(name: &'static str, kind: Kind, rate: f64, effect: Effect) -> Case {
    Case { name, kind, rate, effect, bursts: 0.0, outage: None, cold: None }
}

/// Every case there is.
pub const CASES: [Case; 14] = [
    case("same, 0.1 %", Kind::Healthy, 0.001, Effect::Same),
    case("same, 2 %", Kind::Healthy, 0.02, Effect::Same),
    Case {
        outage: Some((5, 0.2)),
        ..case("same, shared outage 5 min at 20 %", Kind::Adversarial, 0.001, Effect::Same)
    },
    Case { bursts: 1.0, ..case("same, 0.5 % in bursts, CV² 1", Kind::Adversarial, 0.005, Effect::Same) },
    Case { bursts: 4.0, ..case("same, 0.5 % in bursts, CV² 4", Kind::Adversarial, 0.005, Effect::Same) },
    Case {
        cold: Some((2, 0.05)),
        ..case("same, 0.1 %, cold 2 min at 5 %", Kind::Healthy, 0.001, Effect::Same)
    },
    case("same, 2 %, host effect σ 0.3", Kind::Adversarial, 0.02, Effect::Host(0.3)),
    case("0.1 → 0.6 %", Kind::Between, 0.001, Effect::Plus(0.005)),
    case("0.1 → 2.1 %", Kind::Worse, 0.001, Effect::Plus(0.02)),
    case("0.1 → 5.1 %", Kind::Worse, 0.001, Effect::Plus(0.05)),
    case("2 → 4 %", Kind::Worse, 0.02, Effect::Plus(0.02)),
    Case { bursts: 1.0, ..case("0.5 → 2.5 % in bursts, CV² 1", Kind::Worse, 0.005, Effect::Times(5.0)) },
    case("0.1 → 50 %", Kind::Down, 0.001, Effect::Plus(0.5)),
    case("0.1 → 100 %", Kind::Down, 0.001, Effect::Plus(1.0)),
];

/// What both arms counted in one minute: (canary, baseline).
pub(super) type Pair = (Count, Count);

/// The minutes of one run.
pub(super) fn traffic(level: Level, case: &Case, minutes: usize, chance: &mut Chance) -> Vec<Pair> {
    let outage = case.outage.map(|(long, rate)| {
        let from = chance.below(minutes.saturating_sub(long));
        (from..from + long, rate)
    });
    let host = match case.effect {
        Effect::Host(deviation) => (deviation * chance.normal()).exp(),
        _ => 1.0,
    };
    let minute = |at: usize| {
        let rate =
            outage.as_ref().filter(|(span, _)| span.contains(&at)).map_or(case.rate, |(_, rate)| *rate);
        let worse = case.cold.filter(|(long, _)| at < *long).map_or(0.0, |(_, rate)| rate);
        let canary = match case.effect {
            Effect::Same => rate,
            Effect::Plus(more) => rate + more,
            Effect::Times(times) => rate * times,
            Effect::Host(_) => rate * host,
        };
        let (canary, baseline) = (burst(canary.max(worse), case, chance), burst(rate, case, chance));
        (count(level.canary, canary, chance), count(level.baseline, baseline, chance))
    };
    (0..minutes).map(minute).collect()
}

fn burst(rate: f64, case: &Case, chance: &mut Chance) -> f64 {
    if case.bursts > 0.0 { rate * chance.gamma(1.0 / case.bursts) } else { rate }
}

fn count(requests: f64, rate: f64, chance: &mut Chance) -> Count {
    let total = chance.poisson(requests);
    Count { total, bad: chance.binomial(total, rate.min(1.0)) }
}
