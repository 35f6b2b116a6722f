//! The next action for one rollout status: wait, done, or roll back. Only proof ends in success, and time never does.

use super::advance::{StepState, advance};
use crate::problem::{Code, Problem};
use crate::release::{Failure, Handoff, Progress, Proof, RolloutStatus, Version};

/// The direction of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Direction {
    /// Towards the new version.
    Forward,
    /// Back to the previous version, for this reason.
    Back(Failure),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum NextAction {
    /// Read the status again.
    Wait,
    /// Continue with this step.
    Advance(usize),
    /// Let it go on at the weight that it has: to its next part.
    Continue,
    /// The new version serves and is verified.
    Succeeded(Proof),
    /// It was handed over and cannot be watched here.
    HandedOff(Handoff),
    /// The new version failed and the provider is not rolling it back: roll it back.
    RollBack(Failure),
    /// Request the rollout again for the state as it is now: nothing moved towards its version.
    RequestAgain(Failure),
    /// The provider is rolling it back: watch that.
    WatchProviderRollback(Failure),
    /// The previous version serves again, confirmed.
    RolledBack(Failure, Option<Version>),
    /// The rollback failed too.
    Stranded(Failure),
    /// The time for the rollback is over, and the provider is still rolling back.
    StillRollingBack(Failure, Progress),
    /// The time for the rollback is over, and its end was not seen; the last state, for display.
    Unconfirmed(Failure, String),
    /// A newer rollout took over; it is not changed.
    Superseded(String),
}

/// Returns the action for one status. `time_left` is false after the deadline of the current direction.
pub fn next_action(
    watching: &Direction,
    stand: &StepState<'_>,
    health: &RolloutStatus,
    time_left: bool,
) -> NextAction {
    match watching {
        Direction::Forward => decide_forward(stand, health, time_left),
        Direction::Back(cause) => decide_back(cause, health, time_left),
    }
}

fn decide_forward(stand: &StepState<'_>, health: &RolloutStatus, time_left: bool) -> NextAction {
    match health {
        RolloutStatus::Healthy(_) | RolloutStatus::Paused(_) => advance(stand, health, time_left),
        RolloutStatus::Failed(failure) | RolloutStatus::Aborted(failure) => {
            NextAction::RollBack(failure.clone())
        }
        // A rollback to the requested version was in progress, and it was taken for this rollout.
        RolloutStatus::Missed(failure) if time_left => NextAction::RequestAgain(failure.clone()),
        RolloutStatus::Missed(failure) => NextAction::RollBack(failure.clone()),
        RolloutStatus::RollingBack(failure, _) => NextAction::WatchProviderRollback(failure.clone()),
        RolloutStatus::RolledBack(failure, to) => NextAction::RolledBack(failure.clone(), to.clone()),
        RolloutStatus::RollbackFailed(failure) => NextAction::Stranded(failure.clone()),
        RolloutStatus::Superseded(by) => NextAction::Superseded(by.clone()),
        RolloutStatus::HandedOff(handed) => NextAction::HandedOff(handed.clone()),
        RolloutStatus::Progressing(progress) if time_left && progress.needs_continue => NextAction::Continue,
        RolloutStatus::Progressing(_) | RolloutStatus::NotServing(_) | RolloutStatus::Unknown(_)
            if time_left =>
        {
            NextAction::Wait
        }
        RolloutStatus::NotServing(failure) => NextAction::RollBack(timed_out(&failure.problem.sentence)),
        RolloutStatus::Progressing(progress) => NextAction::RollBack(timed_out_progress(progress)),
        RolloutStatus::Unknown(why) => NextAction::RollBack(timed_out(why)),
    }
}

/// A status as text, for the cause of a problem.
fn describe(status: &RolloutStatus) -> String {
    match status {
        RolloutStatus::Paused(pause) => pause.evidence.clone(),
        RolloutStatus::NotServing(failure) => failure.problem.sentence.clone(),
        RolloutStatus::Unknown(why) => why.clone(),
        _ => String::new(),
    }
}

fn decide_back(cause: &Failure, health: &RolloutStatus, time_left: bool) -> NextAction {
    match health {
        RolloutStatus::Healthy(proof) => NextAction::RolledBack(cause.clone(), Some(proof.version.clone())),
        RolloutStatus::RolledBack(_, to) => NextAction::RolledBack(cause.clone(), to.clone()),
        RolloutStatus::Aborted(_) | RolloutStatus::Missed(_) if time_left => {
            NextAction::RollBack(cause.clone())
        }
        // A rollback that cannot be observed is not confirmed.
        RolloutStatus::Failed(_)
        | RolloutStatus::Aborted(_)
        | RolloutStatus::Missed(_)
        | RolloutStatus::RollbackFailed(_)
        | RolloutStatus::HandedOff(_) => NextAction::Stranded(cause.clone()),
        RolloutStatus::Superseded(by) => NextAction::Superseded(by.clone()),
        RolloutStatus::RollingBack(..)
        | RolloutStatus::Progressing(_)
        | RolloutStatus::NotServing(_)
        | RolloutStatus::Paused(_)
        | RolloutStatus::Unknown(_)
            if time_left =>
        {
            NextAction::Wait
        }
        RolloutStatus::RollingBack(_, progress) | RolloutStatus::Progressing(progress) => {
            NextAction::StillRollingBack(cause.clone(), progress.clone())
        }
        RolloutStatus::NotServing(_) | RolloutStatus::Paused(_) | RolloutStatus::Unknown(_) => {
            NextAction::Unconfirmed(cause.clone(), describe(health))
        }
    }
}

/// The time is over. The failure reports the suspected cause too: its message, its exit code and what to do about it.
fn timed_out_progress(progress: &Progress) -> Failure {
    let failure = timed_out(&progress.describe());
    let Some(suspected) = &progress.suspected else { return failure };
    let words = failure.problem.cause.into_iter().chain(suspected.problem.cause.clone());
    let problem = Problem {
        cause: Some(words.collect::<Vec<_>>().join(" | ")),
        help: suspected.problem.help.clone(),
        ..failure.problem
    };
    Failure { problem, exit_code: suspected.exit_code, ..failure }
}

pub(super) fn timed_out(state: &str) -> Failure {
    let problem =
        Problem::error(Code::TimedOut, "The new version did not become healthy before the timeout.")
            .cause(state)
            .help("Check its logs and health checks. If it only needs more time, raise the input `timeout`.");
    Failure { problem, exit_code: None, logs: Vec::new(), permanent: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::config::OnInconclusive;
    use crate::release::Pause;
    use crate::strategy::{Analysis, Step};

    fn failure() -> Failure {
        let problem = Problem::error(Code::ContainerExited, "It exits.");
        Failure { problem, exit_code: Some(3), logs: Vec::new(), permanent: true }
    }

    fn proof() -> Proof {
        let version = Version { id: "arn".into(), label: "app:2".into() };
        Proof { version, digest: None, evidence: "seen".into(), remarks: Vec::new() }
    }

    /// At the last step of a rolling deployment.
    fn last_step() -> StepState<'static> {
        StepState {
            steps: &[Step::Stage, Step::SetWeight(100), Step::WaitHealthy],
            index: 2,
            elapsed: Duration::ZERO,
            analysis: Analysis::NotRequired,
            max_bake: Duration::ZERO,
            on_inconclusive: OnInconclusive::Rollback,
        }
    }

    fn all_statuses() -> Vec<RolloutStatus> {
        vec![
            RolloutStatus::Healthy(proof()),
            RolloutStatus::Paused(Pause { percent: 10, evidence: String::new(), variants: None }),
            RolloutStatus::Progressing(Progress::default()),
            RolloutStatus::Failed(failure()),
            RolloutStatus::RollingBack(failure(), Progress::default()),
            RolloutStatus::NotServing(failure()),
            RolloutStatus::RolledBack(failure(), None),
            RolloutStatus::RollbackFailed(failure()),
            RolloutStatus::Aborted(failure()),
            RolloutStatus::Missed(failure()),
            RolloutStatus::Superseded("x".into()),
            RolloutStatus::Unknown("?".into()),
            RolloutStatus::HandedOff(Handoff {
                version: proof().version,
                digest: None,
                evidence: String::new(),
                needs_merge: false,
            }),
        ]
    }

    #[test]
    fn only_proof_succeeds_and_time_never_does() {
        for health in all_statuses() {
            for time_left in [true, false] {
                let verdict = next_action(&Direction::Forward, &last_step(), &health, time_left);
                assert_eq!(
                    matches!(verdict, NextAction::Succeeded(_)),
                    matches!(health, RolloutStatus::Healthy(_)),
                    "{health:?}"
                );
                assert!(time_left || verdict != NextAction::Wait, "{health:?} waits for ever");
            }
        }
    }

    #[test]
    fn rollback_ends_rolled_back_stranded_or_superseded() {
        for health in all_statuses() {
            let verdict = next_action(&Direction::Back(failure()), &last_step(), &health, false);
            let fine = matches!(
                verdict,
                NextAction::RolledBack(..)
                    | NextAction::Stranded(_)
                    | NextAction::StillRollingBack(..)
                    | NextAction::Unconfirmed(..)
                    | NextAction::Superseded(_)
            );
            assert!(fine, "{health:?} gives {verdict:?}");
            // What can still end well has not failed.
            let is_open = matches!(verdict, NextAction::Unconfirmed(..) | NextAction::StillRollingBack(..));
            assert_eq!(is_open, health.is_pending(), "{health:?}");
        }
        let still = next_action(
            &Direction::Back(failure()),
            &last_step(),
            &RolloutStatus::RollingBack(failure(), Progress::default()),
            true,
        );
        assert_eq!(still, NextAction::Wait);
    }

    #[test]
    fn rollback_that_still_moves_at_the_end_says_how_far_it_is() {
        let progress = Progress { running: 30, desired: 40, ..Progress::default() };
        for health in [
            RolloutStatus::RollingBack(failure(), progress.clone()),
            RolloutStatus::Progressing(progress.clone()),
        ] {
            let verdict = next_action(&Direction::Back(failure()), &last_step(), &health, false);
            assert_eq!(verdict, NextAction::StillRollingBack(failure(), progress.clone()), "{health:?}");
        }
        assert_eq!(progress.describe_counts(), "30 of 40 run");
    }

    #[test]
    fn missed_rollback_is_requested_again_in_the_direction_of_the_run() {
        let missed = RolloutStatus::Missed(failure());
        let after = |watching: Direction, time_left| next_action(&watching, &last_step(), &missed, time_left);
        assert_eq!(after(Direction::Forward, true), NextAction::RequestAgain(failure()));
        assert_eq!(after(Direction::Forward, false), NextAction::RollBack(failure()));
        assert_eq!(after(Direction::Back(failure()), true), NextAction::RollBack(failure()));
        assert_eq!(after(Direction::Back(failure()), false), NextAction::Stranded(failure()));
    }

    #[test]
    fn rollout_that_awaits_us_is_continued_while_there_is_time() {
        let waiting = RolloutStatus::Progressing(Progress { needs_continue: true, ..Progress::default() });
        let after =
            |watching: &Direction, time_left| next_action(watching, &last_step(), &waiting, time_left);
        assert_eq!(after(&Direction::Forward, true), NextAction::Continue);
        assert!(matches!(after(&Direction::Forward, false), NextAction::RollBack(_)));
        assert_eq!(after(&Direction::Back(failure()), true), NextAction::Wait);
    }

    #[test]
    fn newer_rollout_supersedes_in_both_directions() {
        let newer = RolloutStatus::Superseded("ecs-svc/9".into());
        for watching in [Direction::Forward, Direction::Back(failure())] {
            assert_eq!(
                next_action(&watching, &last_step(), &newer, true),
                NextAction::Superseded("ecs-svc/9".into())
            );
        }
    }
}
