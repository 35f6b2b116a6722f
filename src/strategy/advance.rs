//! Progress along the steps: whether a version may continue, by its weight, time, and analysis. Pure.

use std::time::Duration;

use super::steps::{Step, weight_at};
use super::watch::{NextAction, timed_out};
use crate::config::OnInconclusive;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Proof, RolloutStatus};

/// The progress of a service.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState<'s> {
    /// All steps.
    pub steps: &'s [Step],
    /// The current step.
    pub index: usize,
    /// How long the step has lasted.
    pub elapsed: Duration,
    /// What the analysis says, beyond the provider's status.
    pub analysis: Analysis,
    /// The maximum that a bake may be extended to.
    pub max_bake: Duration,
    /// What to do if the data never suffices.
    pub on_inconclusive: OnInconclusive,
}

/// The result of the analysis.
#[derive(Debug, Clone, PartialEq)]
pub enum Analysis {
    /// No analysis is configured.
    NotRequired,
    /// No result yet; the reason.
    Pending(String),
    /// It passed.
    Pass,
    /// It failed, for this reason.
    Fail(Problem),
}

/// What a healthy status means for the next step.
pub fn advance(stand: &StepState<'_>, health: &RolloutStatus, time_left: bool) -> NextAction {
    let (percent, proof) = match health {
        RolloutStatus::Paused(pause) => (pause.percent, None),
        RolloutStatus::Healthy(proof) => (100, Some(proof)),
        _ => return NextAction::Wait,
    };
    let reached = step_after_weight(stand.steps, percent);
    if reached > stand.index {
        return NextAction::Advance(reached);
    }
    if !time_left && proof.is_none() {
        return NextAction::RollBack(timed_out(&format!(
            "It had {percent} % of the traffic and was not complete"
        )));
    }
    match stand.steps.get(stand.index) {
        Some(Step::WaitHealthy) if weight_at(stand.steps, stand.index) == Some(percent) => {
            next_step(stand, proof)
        }
        Some(Step::TestListener) => decide_test_listener(stand, proof),
        Some(Step::Bake(span)) => decide_bake(stand, span.0, proof),
        Some(Step::Verify) => decide_verify(stand, proof, time_left),
        Some(Step::VerifyReportOnly) => decide_verify_report_only(stand, proof, time_left),
        Some(Step::WaitHealthy | Step::Stage | Step::RunCommand | Step::SetWeight(_)) => NextAction::Wait,
        Some(Step::CleanUp) | None => {
            proof.map_or(NextAction::Wait, |proof| NextAction::Succeeded(proof.clone()))
        }
    }
}

/// The step after the last one that gives `percent` or less, so that a lost response skips no step.
fn step_after_weight(steps: &[Step], percent: u8) -> usize {
    let routed = |step: &Step| matches!(step, Step::SetWeight(share) if *share <= percent);
    steps.iter().rposition(routed).map_or(0, |at| at + 1)
}

fn next_step(stand: &StepState<'_>, proof: Option<&Proof>) -> NextAction {
    match (stand.steps.get(stand.index + 1), proof) {
        (None | Some(Step::CleanUp), Some(proof)) => NextAction::Succeeded(proof.clone()),
        (None, None) => NextAction::Wait,
        _ => NextAction::Advance(stand.index + 1),
    }
}

fn decide_test_listener(stand: &StepState<'_>, proof: Option<&Proof>) -> NextAction {
    match &stand.analysis {
        Analysis::Pass | Analysis::NotRequired => next_step(stand, proof),
        Analysis::Pending(_) => NextAction::Wait,
        Analysis::Fail(problem) => NextAction::RollBack(Failure::permanent(problem.clone())),
    }
}

/// Only a check that passes is success. Waiting never uses the time that a rollback needs.
fn decide_verify(stand: &StepState<'_>, proof: Option<&Proof>, time_left: bool) -> NextAction {
    match &stand.analysis {
        Analysis::Pass => next_step(stand, proof),
        Analysis::Fail(problem) => NextAction::RollBack(Failure::permanent(problem.clone())),
        Analysis::Pending(_) | Analysis::NotRequired if time_left => NextAction::Wait,
        Analysis::Pending(why) => NextAction::RollBack(timed_out(why)),
        Analysis::NotRequired => NextAction::RollBack(timed_out("Its checks did not run")),
    }
}

/// The result of a check changes nothing here: the caller reports it.
fn decide_verify_report_only(stand: &StepState<'_>, proof: Option<&Proof>, time_left: bool) -> NextAction {
    match &stand.analysis {
        Analysis::Pass | Analysis::Fail(_) => next_step(stand, proof),
        Analysis::Pending(_) | Analysis::NotRequired if time_left => NextAction::Wait,
        Analysis::Pending(_) | Analysis::NotRequired => next_step(stand, proof),
    }
}

fn decide_bake(stand: &StepState<'_>, span: Duration, proof: Option<&Proof>) -> NextAction {
    let over = stand.elapsed >= span;
    match &stand.analysis {
        Analysis::Fail(problem) => NextAction::RollBack(Failure::permanent(problem.clone())),
        Analysis::Pass | Analysis::NotRequired if over => next_step(stand, proof),
        Analysis::Pending(_) if over && stand.elapsed >= stand.max_bake => match stand.on_inconclusive {
            OnInconclusive::Promote => next_step(stand, proof),
            OnInconclusive::Rollback => {
                NextAction::RollBack(Failure::permanent(inconclusive_problem(&stand.analysis)))
            }
        },
        _ => NextAction::Wait,
    }
}

fn inconclusive_problem(analysis: &Analysis) -> Problem {
    let problem = Problem::error(Code::Inconclusive, "There was too little data to judge the new version.").help(
        "Give it more traffic (`percent`), more time (`bake`, `analysis.max-window`), a wider `analysis.margin`, or its own requests (metric `probe`).",
    );
    match analysis {
        Analysis::Pending(why) => problem.cause(why.clone()),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Canary, Strategy};
    use crate::release::{Pause, Version};
    use crate::strategy::steps;

    const STEPS: [Step; 7] = [
        Step::Stage,
        Step::SetWeight(0),
        Step::WaitHealthy,
        Step::SetWeight(10),
        Step::WaitHealthy,
        Step::Bake(crate::release::HumanDuration::from_minutes(15)),
        Step::SetWeight(100),
    ];

    fn step_state(at: usize, minutes: u64, analysis: Analysis) -> StepState<'static> {
        StepState {
            steps: &STEPS,
            index: at,
            elapsed: Duration::from_secs(minutes * 60),
            analysis,
            max_bake: Duration::from_secs(30 * 60),
            on_inconclusive: OnInconclusive::Rollback,
        }
    }

    fn paused(percent: u8) -> RolloutStatus {
        RolloutStatus::Paused(Pause { percent, evidence: String::new(), variants: None })
    }

    fn describe(verdict: &NextAction) -> String {
        match verdict {
            NextAction::RollBack(failure) => format!("roll back {}", failure.problem.code.name()),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn canary_advances_only_with_time_and_analysis() {
        let awaited = || Analysis::Pending("few requests".into());
        let failing = || Analysis::Fail(Problem::error(Code::CanaryFailed, "It fails more."));
        let table = [
            (step_state(2, 0, Analysis::NotRequired), 0, "Advance(3)"),
            (step_state(4, 0, Analysis::NotRequired), 0, "Wait"),
            (step_state(4, 0, Analysis::NotRequired), 10, "Advance(5)"),
            (step_state(2, 0, Analysis::NotRequired), 10, "Advance(4)"),
            (step_state(5, 14, Analysis::Pass), 10, "Wait"),
            (step_state(5, 15, Analysis::Pass), 10, "Advance(6)"),
            (step_state(5, 15, Analysis::NotRequired), 10, "Advance(6)"),
            (step_state(5, 15, awaited()), 10, "Wait"),
            (step_state(5, 30, awaited()), 10, "roll back inconclusive"),
            (step_state(5, 1, failing()), 10, "roll back canary-failed"),
        ];
        for (state, percent, expected) in table {
            assert_eq!(describe(&advance(&state, &paused(percent), true)), expected, "{state:?} {percent}");
        }
        let promote = StepState { on_inconclusive: OnInconclusive::Promote, ..step_state(5, 30, awaited()) };
        assert_eq!(describe(&advance(&promote, &paused(10), true)), "Advance(6)");
        assert_eq!(
            describe(&advance(&step_state(5, 1, Analysis::Pass), &paused(10), false)),
            "roll back timed-out"
        );
    }

    #[test]
    fn failed_check_rolls_back_a_deploy_and_is_only_reported_after_a_rollback() {
        let proof = Proof {
            version: Version { id: "a".into(), label: "a".into() },
            digest: None,
            evidence: String::new(),
            remarks: Vec::new(),
        };
        let healthy = RolloutStatus::Healthy(proof);
        let awaited = || Analysis::Pending("it responded with 500".into());
        let failing = || Analysis::Fail(Problem::error(Code::CheckFailed, "It does not hold."));
        let action_for = |step, analysis, time_left| {
            let plain = vec![Step::Stage, Step::SetWeight(100), Step::WaitHealthy];
            let ended = [plain.clone(), vec![Step::CleanUp]].concat();
            let [plain, ended] = [plain, ended].map(|steps| {
                let steps = steps::with_checks(steps, step);
                let state = StepState { steps: &steps, ..step_state(3, 0, Analysis::clone(&analysis)) };
                let action = describe(&advance(&state, &healthy, time_left));
                action.split('(').next().unwrap().to_owned()
            });
            assert_eq!(plain, ended, "cleanup afterwards changes nothing");
            plain
        };
        let table = [
            (Analysis::Pass, true, "Succeeded", "Succeeded"),
            (awaited(), true, "Wait", "Wait"),
            (Analysis::NotRequired, true, "Wait", "Wait"),
            (failing(), true, "roll back check-failed", "Succeeded"),
            (awaited(), false, "roll back timed-out", "Succeeded"),
            (Analysis::NotRequired, false, "roll back timed-out", "Succeeded"),
        ];
        for (analysis, time_left, check, report_only) in table {
            assert_eq!(action_for(Step::Verify, analysis.clone(), time_left), check, "{analysis:?}");
            assert_eq!(
                action_for(Step::VerifyReportOnly, analysis.clone(), time_left),
                report_only,
                "{analysis:?}"
            );
        }
        let steps = steps::with_checks(vec![Step::SetWeight(100), Step::WaitHealthy], Step::Verify);
        let verified = StepState { steps: &steps, ..step_state(1, 0, Analysis::NotRequired) };
        assert_eq!(advance(&verified, &healthy, true), NextAction::Advance(2), "health comes first");
        assert_eq!(
            steps::with_checks(Vec::new(), Step::Verify),
            [],
            "where nothing is done, nothing is checked"
        );
    }

    #[test]
    fn bake_with_all_traffic_precedes_success() {
        let proof = Proof {
            version: Version { id: "a".into(), label: "a".into() },
            digest: None,
            evidence: String::new(),
            remarks: Vec::new(),
        };
        let steps = [
            Step::Stage,
            Step::SetWeight(100),
            Step::WaitHealthy,
            Step::Bake(crate::release::HumanDuration::from_minutes(3)),
        ];
        let at = |at, minutes| StepState { steps: &steps, ..step_state(at, minutes, Analysis::NotRequired) };
        let healthy = RolloutStatus::Healthy(proof.clone());
        assert_eq!(advance(&at(2, 0), &healthy, true), NextAction::Advance(3));
        assert_eq!(advance(&at(3, 2), &healthy, true), NextAction::Wait);
        assert_eq!(advance(&at(3, 3), &healthy, true), NextAction::Succeeded(proof.clone()));
        let canary = steps::steps(&Strategy::Canary(Canary::default()));
        let last = StepState { steps: &canary, ..step_state(canary.len() - 2, 0, Analysis::NotRequired) };
        assert_eq!(advance(&last, &healthy, true), NextAction::Succeeded(proof));
    }
}
