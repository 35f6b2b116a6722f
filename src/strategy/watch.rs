//! What one look at a rollout means: wait, done, or take it back. Only proof ends in success, and time never does.

use super::advance::{Stand, advance};
use crate::problem::{Code, Problem};
use crate::release::{Failure, Handed, Health, Proof, Version};

/// Which way a service is moving.
#[derive(Debug, Clone, PartialEq)]
pub enum Watching {
    /// Towards the new version.
    Forward,
    /// Back to the previous one, because of this.
    Back(Failure),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Look again.
    Wait,
    /// Go on with this step.
    Onward(usize),
    /// The new version serves, proven.
    Succeeded(Proof),
    /// It was handed over, and there is nothing here to watch it by.
    Handed(Handed),
    /// The new version failed and nobody is taking it back: we must.
    Undo(Failure),
    /// The provider is taking it back by itself: watch that.
    FollowBack(Failure),
    /// The previous version serves again, which is confirmed.
    Returned(Failure, Option<Version>),
    /// The way back failed too.
    Stranded(Failure),
    /// A newer rollout took over; it is left alone.
    Superseded(String),
}

/// Says what one look means. `time_left` is false once the deadline of the direction we move in has passed.
pub fn decide(watching: &Watching, stand: &Stand<'_>, health: &Health, time_left: bool) -> Verdict {
    match watching {
        Watching::Forward => forward(stand, health, time_left),
        Watching::Back(cause) => back(cause, health, time_left),
    }
}

fn forward(stand: &Stand<'_>, health: &Health, time_left: bool) -> Verdict {
    match health {
        Health::Healthy(_) | Health::Holding(_) => advance(stand, health, time_left),
        Health::Failing(failure) | Health::Stopped(failure) => Verdict::Undo(failure.clone()),
        Health::RollingBack(failure) => Verdict::FollowBack(failure.clone()),
        Health::RolledBack(failure, to) => Verdict::Returned(failure.clone(), to.clone()),
        Health::RollbackFailed(failure) => Verdict::Stranded(failure.clone()),
        Health::Superseded(by) => Verdict::Superseded(by.clone()),
        Health::Handed(handed) => Verdict::Handed(handed.clone()),
        Health::Progressing(_) | Health::Unknown(_) if time_left => Verdict::Wait,
        Health::Progressing(progress) => Verdict::Undo(late(&progress.words())),
        Health::Unknown(why) => Verdict::Undo(late(why)),
    }
}

fn back(cause: &Failure, health: &Health, time_left: bool) -> Verdict {
    match health {
        Health::Healthy(proof) => Verdict::Returned(cause.clone(), Some(proof.version.clone())),
        Health::RolledBack(_, to) => Verdict::Returned(cause.clone(), to.clone()),
        // The request came too late for the movement that it was to take back: ask again, as things are now.
        Health::Stopped(_) if time_left => Verdict::Undo(cause.clone()),
        // A way back that nobody can see is not confirmed.
        Health::Failing(_) | Health::Stopped(_) | Health::RollbackFailed(_) | Health::Handed(_) => {
            Verdict::Stranded(cause.clone())
        }
        Health::Superseded(by) => Verdict::Superseded(by.clone()),
        Health::RollingBack(_) | Health::Progressing(_) | Health::Holding(_) | Health::Unknown(_)
            if time_left =>
        {
            Verdict::Wait
        }
        Health::RollingBack(_) | Health::Progressing(_) | Health::Holding(_) | Health::Unknown(_) => {
            Verdict::Stranded(cause.clone())
        }
    }
}

pub(super) fn late(state: &str) -> Failure {
    let problem = Problem::error(Code::TimedOut, "The new version was not healthy within the time given.")
        .cause(state)
        .help("If it only needs longer, raise the input `timeout`; else look at its logs and health checks.");
    Failure { problem, exit_code: None, logs: Vec::new(), permanent: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::config::OnInconclusive;
    use crate::release::{Hold, Progress};
    use crate::strategy::{Evidence, Step};

    fn failure() -> Failure {
        let problem = Problem::error(Code::ContainerExited, "It exits.");
        Failure { problem, exit_code: Some(3), logs: Vec::new(), permanent: true }
    }

    fn proof() -> Proof {
        let version = Version { id: "arn".into(), label: "app:2".into() };
        Proof { version, digest: None, evidence: "seen".into() }
    }

    /// At the last step of a rolling deployment.
    fn last() -> Stand<'static> {
        Stand {
            steps: &[Step::Stage, Step::Route(100), Step::Verify],
            at: 2,
            here: Duration::ZERO,
            evidence: Evidence::NotNeeded,
            longest: Duration::ZERO,
            on_inconclusive: OnInconclusive::Rollback,
        }
    }

    fn all() -> Vec<Health> {
        vec![
            Health::Healthy(proof()),
            Health::Holding(Hold { percent: 10, evidence: String::new(), arms: None }),
            Health::Progressing(Progress::default()),
            Health::Failing(failure()),
            Health::RollingBack(failure()),
            Health::RolledBack(failure(), None),
            Health::RollbackFailed(failure()),
            Health::Stopped(failure()),
            Health::Superseded("x".into()),
            Health::Unknown("?".into()),
            Health::Handed(Handed {
                version: proof().version,
                digest: None,
                evidence: String::new(),
                proposed: false,
            }),
        ]
    }

    #[test]
    fn only_proof_succeeds_and_time_never_does() {
        for health in all() {
            for time_left in [true, false] {
                let verdict = decide(&Watching::Forward, &last(), &health, time_left);
                assert_eq!(
                    matches!(verdict, Verdict::Succeeded(_)),
                    matches!(health, Health::Healthy(_)),
                    "{health:?}"
                );
                assert!(time_left || verdict != Verdict::Wait, "{health:?} waits for ever");
            }
        }
    }

    #[test]
    fn the_way_back_ends_confirmed_stranded_or_superseded() {
        for health in all() {
            let verdict = decide(&Watching::Back(failure()), &last(), &health, false);
            let fine =
                matches!(verdict, Verdict::Returned(..) | Verdict::Stranded(_) | Verdict::Superseded(_));
            assert!(fine, "{health:?} gives {verdict:?}");
        }
        let still = decide(&Watching::Back(failure()), &last(), &Health::RollingBack(failure()), true);
        assert_eq!(still, Verdict::Wait);
    }

    #[test]
    fn a_newer_rollout_is_left_alone_in_both_directions() {
        let newer = Health::Superseded("ecs-svc/9".into());
        for watching in [Watching::Forward, Watching::Back(failure())] {
            assert_eq!(decide(&watching, &last(), &newer, true), Verdict::Superseded("ecs-svc/9".into()));
        }
    }
}
