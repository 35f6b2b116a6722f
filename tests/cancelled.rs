//! A cancelled run can be run again: a version that was rolled back only because its run was cancelled is not blocked. Runs
//! over the emulator, cancelled at many moments, with the post step and what comes next.

use std::time::Duration;

use crate::support::recorded_deployments::{HISTORY, MultiRunHarness};
use crate::support::run_in_virtual_time;
use crate::support::runner::{CONFIG, Runner, StepResult};

/// Longer than a rollback takes.
const SETTLE_TIME: Duration = Duration::from_secs(300);

/// What comes after the cancelled run.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Its second attempt.
    SecondAttempt,
    /// A new run of the same commit.
    NewRun,
    /// A run of a later commit, and then the cancelled run again.
    OtherCommit,
}

impl Next {
    fn runner(self, world: &MultiRunHarness) -> Runner {
        match self {
            Self::SecondAttempt => world.runner(7, "c2").with_variable("GITHUB_RUN_ATTEMPT", "2"),
            Self::NewRun => world.runner(8, "c2"),
            Self::OtherCommit => world.runner(8, "c3"),
        }
    }
}

/// A rollout that completes at ECS a minute before it is proven here.
const BAKING: &str = "    strategy: { rolling: { bake: 1m } }\n";
const READ_ONLY: &str = "github:\n  job-token: { access: read }\n";

/// How the runs of one world ended.
struct Ended {
    /// Whether the version had completed at the provider before it was rolled back.
    was_completed: bool,
    next: StepResult,
    /// The second attempt of the cancelled run, after a later commit was released.
    stale: Option<StepResult>,
}

/// The runs of one world: cancelled after so long, its post step, and what comes next.
fn run_after_cancel(scenario: &str, strategy: &str, cancel_after: Duration, next: Next) -> Ended {
    run_in_virtual_time(async {
        let world = MultiRunHarness::new(scenario);
        let config = |runner: Runner| runner.with_config(&format!("{CONFIG}{strategy}"));
        let mut first = config(world.runner(7, "c2"));
        first.cancel_after = Some(cancel_after);
        world.run_main(&first).await;
        world.run_post(&first).await;
        tokio::time::sleep(SETTLE_TIME).await;
        let was_completed = world.count_service_updates() == 2;
        let ended = world.run(&config(next.runner(&world))).await;
        let stale = match next {
            Next::OtherCommit => Some(world.run(&config(Next::SecondAttempt.runner(&world))).await),
            Next::SecondAttempt | Next::NewRun => None,
        };
        world.assert_valid_requests();
        Ended { was_completed, next: ended, stale }
    })
}

fn assert_deployed(ended: &Ended, after: Duration, next: Next) {
    let outcome = ended.next.output("outcome");
    assert!(
        ["deployed", "unchanged"].contains(&outcome),
        "{next:?} after a cancel at {after:?}: {outcome}\n{}",
        ended.next.annotation_lines()
    );
}

/// Moments from the beginning of the run to its end.
fn cancel_times(step: usize) -> impl Iterator<Item = Duration> {
    (1000..170_000).step_by(step).map(Duration::from_millis)
}

#[test]
fn cancelled_run_can_be_run_again() {
    let mut completed = 0;
    for next in [Next::SecondAttempt, Next::NewRun, Next::OtherCommit] {
        for after in cancel_times(7300) {
            let ended = run_after_cancel(HISTORY, BAKING, after, next);
            assert_deployed(&ended, after, next);
            if let Some(stale) = &ended.stale {
                assert_eq!(
                    stale.output("outcome"),
                    "superseded",
                    "cancelled at {after:?}, then a later commit"
                );
            }
            completed += usize::from(ended.was_completed);
        }
    }
    assert!(completed >= 12, "only {completed} runs were cancelled when all tasks ran");
}

/// What completed and is proven is not rolled back for a cancel, so that nobody has to know why it was.
#[test]
fn without_a_bake_a_cancelled_run_can_be_run_again_without_records() {
    let scenario = HISTORY.replace("github:\n", READ_ONLY);
    for after in cancel_times(1700).filter(|after| after.as_secs() > 85 && after.as_secs() < 115) {
        let ended = run_after_cancel(&scenario, "", after, Next::SecondAttempt);
        assert_deployed(&ended, after, Next::SecondAttempt);
        assert!(!ended.was_completed, "rolled back at {after:?}, although it had completed");
    }
}

/// Without the deployment records nobody knows why the version was rolled back: it counts as bad, and a person decides.
#[test]
fn without_records_a_rolled_back_version_stays_blocked() {
    let scenario = HISTORY.replace("github:\n", READ_ONLY);
    let ended = run_after_cancel(&scenario, BAKING, Duration::from_secs(140), Next::SecondAttempt);
    assert!(ended.was_completed);
    assert_eq!((ended.next.exit_code, ended.next.output("outcome")), (2, "invalid"));
    insta::assert_snapshot!(ended.next.annotation_lines(), @r"
    ::error title=backend%3A version blocked after rollback::backend:2 was rolled back here and is blocked; backend:1 serves since then.%0ADeploy a fix. To deploy this version anyway, start the workflow manually (`workflow_dispatch`).
    ::notice title=lease unavailable::This run holds no lease of what it works on.%0AGitHub responded with 403: Resource not accessible by integration%0ANothing but the provider keeps another run from working on the same service at the same time. The job needs `permissions: contents: write`.
    ");
}
