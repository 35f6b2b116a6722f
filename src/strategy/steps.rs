//! Strategies as steps and as traffic plans.

use std::time::Duration;

use serde::Serialize;

use crate::config::{AnalysisConfig, Bake, Check, Metric, Strategy};
use crate::problem::{Code, Problem};
use crate::release::{HumanDuration, TrafficControl, TrafficPlan, TrafficSupport};
use crate::strategy::judge::JudgeSettings;

/// One step of a rollout. Order and meaning are decided here; the target decides how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Create the new version, without traffic.
    Stage,
    /// Run the before command once.
    RunCommand,
    /// Shift this weight to it, in percent; with 0 it starts next to the old version.
    SetWeight(u8),
    /// Wait until it is verified at its weight, or has failed.
    WaitHealthy,
    /// Check the test listener.
    TestListener,
    /// Bake at its weight for this long.
    Bake(HumanDuration),
    /// Run the service's checks; roll back if they fail.
    Verify,
    /// Run the service's checks and report the result; there is nothing to roll back to.
    VerifyReportOnly,
    /// Remove what the rollout left behind.
    CleanUp,
}

/// A strategy by its effect on traffic.
enum TrafficOutline<'c> {
    /// The provider replaces old copies with new ones; then the new version bakes this long.
    InPlace(Bake),
    /// One weight after the other.
    Stepped(WeightSteps<'c>),
}

/// The weights of a gradual shift.
struct WeightSteps<'c> {
    /// Weights between nothing and all, in percent.
    weights: Vec<u8>,
    /// Bake time of each of them.
    bake: Bake,
    /// How long the old version stays ready after all traffic has shifted.
    final_bake: Bake,
    test_checks: &'c [Check],
    /// The metrics that the versions are compared by, while both serve.
    analysis: Option<(&'c AnalysisConfig, &'c [Metric])>,
}

fn traffic_outline(strategy: &Strategy) -> TrafficOutline<'_> {
    TrafficOutline::Stepped(match strategy {
        Strategy::Rolling(all) => return TrafficOutline::InPlace(all.bake),
        Strategy::BlueGreen(all) => WeightSteps {
            weights: Vec::new(),
            bake: Bake::default(),
            final_bake: all.bake,
            test_checks: &all.test,
            analysis: None,
        },
        Strategy::Linear(all) => WeightSteps {
            weights: (1..).map(|n| all.step.0.saturating_mul(n)).take_while(|share| *share < 100).collect(),
            bake: all.bake,
            final_bake: all.final_bake,
            test_checks: &all.test,
            analysis: Some((&all.analysis, &all.metrics)),
        },
        Strategy::Canary(all) => WeightSteps {
            weights: vec![all.percent.0],
            bake: all.bake,
            final_bake: all.final_bake,
            test_checks: &all.test,
            analysis: Some((&all.analysis, &all.metrics)),
        },
    })
}

/// The steps of a strategy. If the target keeps the old version for the final bake, that bake is the target's own, so
/// only `rolling` has it as a step.
pub fn steps(strategy: &Strategy) -> Vec<Step> {
    let mut steps = vec![Step::Stage];
    match traffic_outline(strategy) {
        TrafficOutline::InPlace(bake) => {
            steps.extend([Step::SetWeight(100), Step::WaitHealthy]);
            steps.extend((bake.0 > HumanDuration::default()).then_some(Step::Bake(bake.0)));
        }
        TrafficOutline::Stepped(outline) => {
            steps.extend([Step::SetWeight(0), Step::WaitHealthy]);
            steps.extend((!outline.test_checks.is_empty()).then_some(Step::TestListener));
            for share in outline.weights {
                steps.extend([Step::SetWeight(share), Step::WaitHealthy, Step::Bake(outline.bake.0)]);
            }
            steps.extend([Step::SetWeight(100), Step::WaitHealthy, Step::CleanUp]);
        }
    }
    steps
}

/// The same steps with `check` for the service's checks: after the version is verified with all traffic, and before the
/// cleanup.
pub fn with_checks(mut steps: Vec<Step>, check: Step) -> Vec<Step> {
    let end = if steps.last() == Some(&Step::CleanUp) { steps.len() - 1 } else { steps.len() };
    if end > 0 {
        steps.insert(end, check);
    }
    steps
}

/// The traffic plan of a strategy.
pub fn traffic_plan(strategy: &Strategy) -> TrafficPlan {
    let TrafficOutline::Stepped(outline) = traffic_outline(strategy) else { return TrafficPlan::in_place() };
    let shares = [0].into_iter().chain(outline.weights).chain([100]).collect();
    TrafficPlan { weights: shares, bake: outline.final_bake.0, hook_timeout: hook_timeout(strategy) }
}

/// The maximum duration of a weight plus 15 minutes: for checks, slow reads and a late runner.
fn hook_timeout(strategy: &Strategy) -> HumanDuration {
    HumanDuration(max_bake(strategy).unwrap_or_default() + Duration::from_secs(15 * 60))
}

/// The maximum bake of one weight, extensions for lack of data included.
pub fn max_bake(strategy: &Strategy) -> Option<Duration> {
    let (bake, analysis, metrics) = analysis_config(strategy)?;
    let extended = analysis.max_window.map_or(bake * 2, |window| window.0.0);
    Some(if metrics.is_empty() { bake } else { bake.max(extended) })
}

/// Bake, analysis and metrics of a strategy that runs two versions at the same time.
pub fn analysis_config(strategy: &Strategy) -> Option<(Duration, &AnalysisConfig, &[Metric])> {
    let TrafficOutline::Stepped(outline) = traffic_outline(strategy) else { return None };
    outline.analysis.map(|(analysis, metrics)| (outline.bake.0.0, analysis, metrics))
}

/// The settings of the judge for an analysis of the deploy file.
pub fn judge_settings(analysis: &AnalysisConfig) -> JudgeSettings {
    JudgeSettings {
        margin: analysis.margin.fraction(),
        warm_up: u32::try_from(analysis.warm_up.0.ceil_minutes()).unwrap_or(u32::MAX),
        ..JudgeSettings::default()
    }
}

/// The checks of the test listener before production traffic shifts.
pub fn test_listener_checks(strategy: &Strategy) -> &[Check] {
    match traffic_outline(strategy) {
        TrafficOutline::InPlace(_) => &[],
        TrafficOutline::Stepped(outline) => outline.test_checks,
    }
}

/// The minimum time of all bakes of a strategy together.
pub fn expected_duration(strategy: &Strategy) -> Duration {
    let bakes = steps(strategy).into_iter().map(|step| match step {
        Step::Bake(span) => span.0,
        _ => Duration::ZERO,
    });
    bakes.sum::<Duration>() + traffic_plan(strategy).bake.0
}

/// The weight of the version at a step.
pub fn weight_at(steps: &[Step], at: usize) -> Option<u8> {
    steps.get(..=at)?.iter().rev().find_map(|step| match step {
        Step::SetWeight(percent) => Some(*percent),
        _ => None,
    })
}

/// The traffic control that a strategy needs.
pub fn required_control(strategy: &Strategy) -> TrafficControl {
    match strategy {
        Strategy::Rolling(_) => TrafficControl::InPlace,
        Strategy::BlueGreen(_) => TrafficControl::Switch,
        Strategy::Linear(_) | Strategy::Canary(_) => TrafficControl::Weighted,
    }
}

/// Why a target cannot run a strategy; `None` if it can.
pub fn unsupported_problem(service: &str, strategy: &Strategy, support: &TrafficSupport) -> Option<Problem> {
    (required_control(strategy) > support.control).then(|| {
        let sentence =
            format!("The service `{service}` is not set up for the strategy `{}`.", name(strategy));
        let lacks = support
            .missing
            .clone()
            .unwrap_or_else(|| "Its target can only replace old copies with new ones.".into());
        Problem::error(Code::Unsupported, sentence).help(lacks).for_service(service)
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

/// The strategy for display, such as `canary 10 %, 15m bake`.
pub fn describe(strategy: &Strategy) -> String {
    let bake = |span: HumanDuration| {
        if span > HumanDuration::default() { format!(", {span} bake") } else { String::new() }
    };
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

    fn describe_steps(strategy: &Strategy) -> String {
        let steps = steps(strategy).iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join(" ");
        format!("{}: {steps}; {:?}", describe(strategy), traffic_plan(strategy).weights)
    }

    #[test]
    fn strategy_steps_are_in_order() {
        let linear = Linear { step: StepPercent(40), ..Linear::default() };
        let all = [
            Strategy::Rolling(Rolling::default()),
            Strategy::Rolling(Rolling { bake: Bake(HumanDuration::from_minutes(3)) }),
            Strategy::BlueGreen(BlueGreen::default()),
            Strategy::Linear(linear),
            Strategy::Canary(Canary::default()),
        ];
        insta::assert_snapshot!(all.iter().map(describe_steps).collect::<Vec<_>>().join("\n"), @r"
        rolling: Stage SetWeight(100) WaitHealthy; [100]
        rolling, 3m bake: Stage SetWeight(100) WaitHealthy Bake(HumanDuration(180s)); [100]
        blue-green, 5m bake: Stage SetWeight(0) WaitHealthy SetWeight(100) WaitHealthy CleanUp; [0, 100]
        linear 40 %, 5m bake each: Stage SetWeight(0) WaitHealthy SetWeight(40) WaitHealthy Bake(HumanDuration(300s)) SetWeight(80) WaitHealthy Bake(HumanDuration(300s)) SetWeight(100) WaitHealthy CleanUp; [0, 40, 80, 100]
        canary 10 %, 15m bake: Stage SetWeight(0) WaitHealthy SetWeight(10) WaitHealthy Bake(HumanDuration(900s)) SetWeight(100) WaitHealthy CleanUp; [0, 10, 100]
        ");
    }

    #[test]
    fn hook_timeout_exceeds_the_longest_bake() {
        let canary = Strategy::Canary(Canary::default());
        assert_eq!(traffic_plan(&canary).hook_timeout, HumanDuration::from_minutes(30));
        assert_eq!(expected_duration(&canary), Duration::from_secs(20 * 60));
    }
}
