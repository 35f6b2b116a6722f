//! Runs over two services that are killed around a shift of weights, and the run after them.

use std::sync::Arc;
use std::time::Duration;

use roadstead::release::Outcome;
use roadstead_cloud::call_log::{CallHook, HookPhase, Override};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::request::ServiceError;
use tokio::sync::Notify;

use crate::pair::{CANARY, applied_weights, pair_scenario, test_run, weights};
use crate::support::{RunResult, run_in_virtual_time};

#[test]
fn next_run_resumes_a_killed_run() {
    let trial = test_run(pair_scenario(""), CANARY, "");
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let died = tokio::select! {
            _ = stage.run() => false,
            () = wait_for_weights(&stage.cloud, (90, 10)) => true,
        };
        assert!(died);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let report = stage.run_again().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        let calls = stage.cloud.calls();
        let made = |name: &str| calls.iter().filter(|c| c.operation == name && c.took_effect).count();
        assert_eq!((made("RegisterTaskDefinition"), made("UpdateService"), made("ModifyRule")), (1, 1, 2));
    });
}

#[test]
fn run_killed_around_a_shift_is_finished_by_the_next() {
    for (call, phase, expected) in [
        (0, HookPhase::Before, Outcome::Deployed),
        (0, HookPhase::After, Outcome::Deployed),
        (1, HookPhase::Before, Outcome::Deployed),
        (1, HookPhase::After, Outcome::Unchanged),
    ] {
        let trial = test_run(pair_scenario(""), CANARY, "");
        run_in_virtual_time(async {
            let stage = trial.set_up();
            let (dead, mut seen) = (Arc::new(Notify::new()), 0);
            let die = dead.clone();
            stage.cloud.on_call(Box::new(move |moment: &CallHook<'_>| {
                let mine = moment.call.operation == "ModifyRule";
                let here = mine && seen == call && moment.phase == phase;
                seen += usize::from(mine && moment.phase == HookPhase::After);
                if here {
                    die.notify_one();
                    return Override::NoReply;
                }
                Override::Pass
            }));
            tokio::select! {
                _ = stage.run() => panic!("{call} {phase:?}: it ended"),
                () = dead.notified() => {}
            }
            stage.cloud.on_call(Box::new(|_| Override::Pass));
            tokio::time::sleep(Duration::from_secs(60)).await;
            let report = stage.run_again().await;
            assert_eq!(report.outcome, expected, "{call} {phase:?}: {:#?}", stage.lines.borrow());
            assert_eq!(weights(&stage.cloud), (0, 100), "{call} {phase:?}");
        });
    }
}

/// The change was made, and reading it failed: it is still our change, and a version that fails with this weight loses it
/// at once.
#[test]
fn unconfirmed_weight_is_still_treated_as_ours() {
    for (faults, expected) in
        [("", vec![(90, 10), (0, 100)]), ("{ flapping-health: { healthy: 130 } }", vec![(90, 10), (100, 0)])]
    {
        let trial = test_run(pair_scenario(faults), CANARY, "");
        run_in_virtual_time(async {
            let stage = trial.set_up();
            let (mut moved, mut refused) = (false, false);
            stage.cloud.on_call(Box::new(move |moment: &CallHook<'_>| {
                moved |= moment.call.operation == "ModifyRule" && moment.phase == HookPhase::After;
                if moved && !refused && moment.call.operation == "DescribeRules" {
                    refused = true;
                    let words = "The security token included in the request is expired";
                    return Override::Fail(ServiceError::new("ExpiredTokenException", words));
                }
                Override::Pass
            }));
            let report = stage.run().await;
            let good = faults.is_empty();
            let outcome = if good { Outcome::Deployed } else { Outcome::Failed };
            assert_eq!(report.outcome, outcome, "{faults}: {:#?}", stage.lines.borrow());
            let ran = RunResult {
                report,
                lines: Vec::new(),
                calls: stage.cloud.calls(),
                cloud: stage.cloud.clone(),
            };
            assert_eq!(applied_weights(&ran), expected, "{faults}");
        });
    }
}

async fn wait_for_weights(cloud: &Cloud, at: (i64, i64)) {
    while weights(cloud) != at {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn next_run_rolls_back_a_bad_version_left_with_traffic() {
    let trial = test_run(pair_scenario("{ flapping-health: { healthy: 200 } }"), CANARY, "");
    run_in_virtual_time(async {
        let stage = trial.set_up();
        tokio::select! {
            _ = stage.run() => panic!("it ended: {:#?}", stage.lines.borrow()),
            () = wait_for_weights(&stage.cloud, (90, 10)) => {}
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(weights(&stage.cloud), (90, 10));
        let report = stage.run_again().await;
        assert_eq!(report.outcome, Outcome::Failed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (100, 0));
        assert_eq!(report.services[0].serving_version.as_ref().unwrap().label, "backend:1");
    });
}
