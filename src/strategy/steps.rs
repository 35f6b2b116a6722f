//! Strategies as steps and as the course of a version to all traffic.

use std::time::Duration;

use serde::Serialize;

use crate::config::{Analysis, Bake, Check, Metric, Strategy};
use crate::problem::{Code, Problem};
use crate::release::{Ability, Course, Span, Traffic};

/// One thing the walk does. Order and meaning are decided here; how, by the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Make the new version exist, without traffic.
    Stage,
    /// Run the command that comes before any traffic, once.
    Before,
    /// Give it this share of traffic, in percent; with 0 it comes up beside the old one.
    Route(u8),
    /// Watch until it is proven with its share, or has failed.
    Verify,
    /// Check the test listener.
    Test,
    /// Watch it with its share for so long.
    Bake(Span),
    /// The service's own checks must hold, or it is taken back.
    Check,
    /// The service's own checks are tried, and what they say is told: there is no way back from here.
    Look,
    /// Take away what the movement left behind.
    Retire,
}

/// A strategy as what it does with traffic.
enum Outline<'c> {
    /// The provider replaces old copies by new ones; the new version is watched for so long after.
    InPlace(Bake),
    /// One share after the other.
    InShares(Shares<'c>),
}

/// The way through shares of the traffic.
struct Shares<'c> {
    /// Those between nothing and all, in percent.
    between: Vec<u8>,
    /// How long each of them is watched.
    bake: Bake,
    /// How long the old version stays ready after all traffic has moved.
    last: Bake,
    test: &'c [Check],
    /// What the versions are compared by, where they serve at the same time.
    judged: Option<(&'c Analysis, &'c [Metric])>,
}

fn outline(strategy: &Strategy) -> Outline<'_> {
    Outline::InShares(match strategy {
        Strategy::Rolling(all) => return Outline::InPlace(all.bake),
        Strategy::BlueGreen(all) => Shares {
            between: Vec::new(),
            bake: Bake::default(),
            last: all.bake,
            test: &all.test,
            judged: None,
        },
        Strategy::Linear(all) => Shares {
            between: (1..).map(|n| all.step.0.saturating_mul(n)).take_while(|share| *share < 100).collect(),
            bake: all.bake,
            last: all.final_bake,
            test: &all.test,
            judged: Some((&all.analysis, &all.metrics)),
        },
        Strategy::Canary(all) => Shares {
            between: vec![all.percent.0],
            bake: all.bake,
            last: all.final_bake,
            test: &all.test,
            judged: Some((&all.analysis, &all.metrics)),
        },
    })
}

/// The steps of a strategy. The bake with all traffic is the place's own where it keeps the old version for it, so
/// only `rolling` has it as a step.
pub fn steps(strategy: &Strategy) -> Vec<Step> {
    let mut steps = vec![Step::Stage];
    match outline(strategy) {
        Outline::InPlace(bake) => {
            steps.extend([Step::Route(100), Step::Verify]);
            steps.extend((bake.0 > Span::default()).then_some(Step::Bake(bake.0)));
        }
        Outline::InShares(way) => {
            steps.extend([Step::Route(0), Step::Verify]);
            steps.extend((!way.test.is_empty()).then_some(Step::Test));
            for share in way.between {
                steps.extend([Step::Route(share), Step::Verify, Step::Bake(way.bake.0)]);
            }
            steps.extend([Step::Route(100), Step::Verify, Step::Retire]);
        }
    }
    steps
}

/// The same steps with `check` for the service's own checks: once the version is proven with all traffic, while what
/// the movement left behind is still there.
pub fn checked(mut steps: Vec<Step>, check: Step) -> Vec<Step> {
    let end = if steps.last() == Some(&Step::Retire) { steps.len() - 1 } else { steps.len() };
    if end > 0 {
        steps.insert(end, check);
    }
    steps
}

/// The course of a strategy.
pub fn course(strategy: &Strategy) -> Course {
    let Outline::InShares(way) = outline(strategy) else { return Course::whole() };
    let shares = [0].into_iter().chain(way.between).chain([100]).collect();
    Course { shares, bake: way.last.0, patience: patience(strategy) }
}

/// How long any share may last, and a quarter of an hour: for checks, slow reads and a late runner.
fn patience(strategy: &Strategy) -> Span {
    Span(longest(strategy).unwrap_or_default() + Duration::from_secs(15 * 60))
}

/// The longest that one share is watched: the bake, or as far as it may be extended for want of data.
pub fn longest(strategy: &Strategy) -> Option<Duration> {
    let (bake, analysis, metrics) = analysed(strategy)?;
    let extended = analysis.max_window.map_or(bake * 2, |window| window.0.0);
    Some(if metrics.is_empty() { bake } else { bake.max(extended) })
}

/// Bake, analysis and metrics of a strategy under which two versions serve at the same time.
pub fn analysed(strategy: &Strategy) -> Option<(Duration, &Analysis, &[Metric])> {
    let Outline::InShares(way) = outline(strategy) else { return None };
    way.judged.map(|(analysis, metrics)| (way.bake.0.0, analysis, metrics))
}

/// What must hold on the test listener before production traffic moves.
pub fn checks(strategy: &Strategy) -> &[Check] {
    match outline(strategy) {
        Outline::InPlace(_) => &[],
        Outline::InShares(way) => way.test,
    }
}

/// The time that all bakes of a strategy take together, at least.
pub fn expected(strategy: &Strategy) -> Duration {
    let bakes = steps(strategy).into_iter().map(|step| match step {
        Step::Bake(span) => span.0,
        _ => Duration::ZERO,
    });
    bakes.sum::<Duration>() + course(strategy).bake.0
}

/// The share of traffic that the version has at a step.
pub fn share(steps: &[Step], at: usize) -> Option<u8> {
    steps.get(..=at)?.iter().rev().find_map(|step| match step {
        Step::Route(percent) => Some(*percent),
        _ => None,
    })
}

/// What a place must be able to do with traffic for a strategy.
pub fn needs(strategy: &Strategy) -> Traffic {
    match strategy {
        Strategy::Rolling(_) => Traffic::Whole,
        Strategy::BlueGreen(_) => Traffic::Switch,
        Strategy::Linear(_) | Strategy::Canary(_) => Traffic::Weighted,
    }
}

/// Why a place cannot do a strategy, when it cannot.
pub fn ability_missing(service: &str, strategy: &Strategy, ability: &Ability) -> Option<Problem> {
    (needs(strategy) > ability.traffic).then(|| {
        let sentence =
            format!("`{service}` cannot be released by the strategy `{}` as it is set up.", name(strategy));
        let lacks = ability
            .lacks
            .clone()
            .unwrap_or_else(|| "Its place can only replace old copies by new ones.".into());
        Problem::error(Code::Unsupported, sentence).help(lacks).of(service)
    })
}

/// The strategy's name in the deploy file.
pub fn name(strategy: &Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling(_) => "rolling",
        Strategy::BlueGreen(_) => "blue-green",
        Strategy::Linear(_) => "linear",
        Strategy::Canary(_) => "canary",
    }
}

/// The strategy for people, such as `canary 10 %, 15m bake`.
pub fn words(strategy: &Strategy) -> String {
    let bake = |span: Span| if span > Span::default() { format!(", {span} bake") } else { String::new() };
    match strategy {
        Strategy::Rolling(all) => format!("rolling{}", bake(all.bake.0)),
        Strategy::BlueGreen(all) => format!("blue-green{}", bake(all.bake.0)),
        Strategy::Linear(all) => format!("linear {} %{} each", all.step.0, bake(all.bake.0)),
        Strategy::Canary(all) => format!("canary {} %{}", all.percent.0, bake(all.bake.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BlueGreen, Canary, Linear, Rolling, StepPercent};

    fn shown(strategy: &Strategy) -> String {
        let steps = steps(strategy).iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join(" ");
        format!("{}: {steps}; {:?}", words(strategy), course(strategy).shares)
    }

    #[test]
    fn strategies_are_steps() {
        let linear = Linear { step: StepPercent(40), ..Linear::default() };
        let all = [
            Strategy::Rolling(Rolling::default()),
            Strategy::Rolling(Rolling { bake: Bake(Span::minutes(3)) }),
            Strategy::BlueGreen(BlueGreen::default()),
            Strategy::Linear(linear),
            Strategy::Canary(Canary::default()),
        ];
        insta::assert_snapshot!(all.iter().map(shown).collect::<Vec<_>>().join("\n"), @r"
        rolling: Stage Route(100) Verify; [100]
        rolling, 3m bake: Stage Route(100) Verify Bake(Span(180s)); [100]
        blue-green, 5m bake: Stage Route(0) Verify Route(100) Verify Retire; [0, 100]
        linear 40 %, 5m bake each: Stage Route(0) Verify Route(40) Verify Bake(Span(300s)) Route(80) Verify Bake(Span(300s)) Route(100) Verify Retire; [0, 40, 80, 100]
        canary 10 %, 15m bake: Stage Route(0) Verify Route(10) Verify Bake(Span(900s)) Route(100) Verify Retire; [0, 10, 100]
        ");
    }

    #[test]
    fn a_place_waits_longer_than_we_may_need() {
        let canary = Strategy::Canary(Canary::default());
        assert_eq!(course(&canary).patience, Span::minutes(30));
        assert_eq!(expected(&canary), Duration::from_secs(20 * 60));
    }
}
