//! Whole runs by ECS's own strategies on the embedded cloud: forward, back, after a cancel and after a crash.

use std::time::Duration;

use roadstead::rehearsal::record::{Moment, Phase, Record};
use roadstead::release::Outcome;

use crate::support::runner::Runner;
use crate::support::{CONFIG, Ran, Trial, virtually};

const ALL: [&str; 3] = ["blue-green: { bake: 2m }", LINEAR, CANARY];
const LINEAR: &str = "linear: { step: 40, bake: 1m, final-bake: 1m }";
const CANARY: &str = "canary: { percent: 10, bake: 3m, final-bake: 1m }";

fn config(strategy: &str) -> String {
    format!("{CONFIG}    strategy: {{ {strategy} }}\n")
}

fn run(strategy: &str, scenario: &str) -> Ran {
    Trial { config: config(strategy), ..Trial::named(scenario) }.run()
}

/// Whether the last thing that was set of the deployment configuration is what was there before.
fn put_back(calls: &[Record]) -> bool {
    let set = calls.iter().filter(|call| call.operation == "UpdateService" && call.effective);
    let set = set.map(|call| call.input["deploymentConfiguration"].clone()).rfind(|set| set.is_object());
    set.is_some_and(|set| {
        set["strategy"] == "ROLLING" && set["lifecycleHooks"].as_array().is_some_and(Vec::is_empty)
    })
}

fn whole(ran: &Ran) -> String {
    let serving = ran.cloud.serving("acme", "backend").unwrap();
    serving.whole().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

#[test]
fn each_strategy_ends_with_all_traffic_and_nothing_left() {
    for (strategy, words) in ALL.into_iter().zip([1, 3, 2]) {
        let ran = run(strategy, "canary-healthy");
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{strategy}: {:#?}", ran.lines);
        let mut expected = vec!["RegisterTaskDefinition", "UpdateService"];
        expected.extend(vec!["ContinueServiceDeployment"; words]);
        expected.push("UpdateService");
        assert_eq!(ran.changes(), expected, "{strategy}");
        assert!(put_back(&ran.calls));
        assert_eq!(whole(&ran), "backend:2");
        assert_eq!(ran.codes(), Vec::<&str>::new(), "{strategy}");
    }
}

#[test]
fn what_fails_is_taken_back_and_nothing_is_left() {
    for (fault, code) in [
        ("failing-health-check: {}", "health-check-failed"),
        ("crash-on-start: {}", "container-exited"),
        ("crash-on-start: { after: 200 }", "container-exited"),
        ("image-not-found: {}", "image-pull-failed"),
    ] {
        let ran = Trial { config: config(CANARY), ..Trial::told(&paired(fault)) }.run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert!(ran.codes().contains(&code), "{fault}: {:?}", ran.codes());
        assert!(put_back(&ran.calls), "{fault}");
        assert_eq!(whole(&ran), "backend:1", "{fault}");
    }
}

/// A paired world in which something goes wrong.
fn paired(fault: &str) -> String {
    let group = "{ arn: backend, alternate: backend-alternate, balancer: backend }";
    format!(
        "balancers: [{{ name: backend, groups: [{{ arn: backend, weight: 100 }}, {{ arn: backend-alternate }}] }}]
services: [{{ cluster: acme, name: backend, target-groups: [{group}] }}]
repositories: {{ backend: {{ images: [{{ tags: [v1] }}] }} }}
faults: [{{ {fault} }}]
"
    )
}

#[test]
fn a_service_that_cannot_is_refused_in_the_plan() {
    let ran = run(CANARY, "happy");
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.codes().contains(&"unsupported"), "{:?}", ran.codes());
    assert!(ran.changes().is_empty());
}

#[test]
fn a_newer_deployment_is_left_alone_and_does_not_stall_at_our_hook() {
    // With `at: 400` it begins while ours holds.
    let ran = run("canary: { percent: 10, bake: 10m }", "canary-superseded");
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert!(put_back(&ran.calls), "{:?}", ran.changes());
    assert!(!ran.changes().contains(&"StopServiceDeployment"));
}

#[test]
fn a_word_that_may_not_be_given_is_missed_before_the_start() {
    let ran = run(CANARY, "hook-timeout");
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.changes().is_empty());
}

#[test]
fn after_a_cancel_the_post_step_confirms_and_puts_back() {
    for seconds in [20, 120, 245, 300] {
        let mut runner = Runner::named("canary-healthy");
        let file = format!("{}    strategy: {{ {CANARY} }}\n", crate::support::runner::CONFIG);
        runner = runner.config(&file);
        runner.cancel_after = Some(Duration::from_secs(seconds));
        let (main, post) = runner.main_and_post();
        assert_eq!(
            (main.code, main.times("StopServiceDeployment")),
            (130, 1),
            "{seconds}: {:#?}",
            main.lines
        );
        let confirmed = post.lines.join("\n").contains("backend:1");
        assert!(confirmed, "{seconds}: {:#?}", post.lines);
        assert!(put_back(&post.calls) || post.top().contains("coming back"), "{seconds}: {:#?}", post.lines);
    }
}

/// The process dies at a change; some time later the job runs again.
fn dies(strategy: &str, change: usize, phase: Phase, later: u64) -> (Outcome, Vec<Record>, Option<String>) {
    virtually(async {
        let trial = Trial { config: config(strategy), ..Trial::named("canary-healthy") };
        let stage = trial.stage();
        let mutating = ["RegisterTaskDefinition", "UpdateService", "ContinueServiceDeployment"];
        let counts = move |moment: &Moment<'_>| {
            moment.phase == phase && mutating.contains(&moment.call.operation.as_str())
        };
        stage.run_and_die(change, counts).await;
        tokio::time::sleep(Duration::from_secs(later)).await;
        let again = stage.run_again().await.outcome;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let serving = stage.cloud.serving("acme", "backend").unwrap();
        (again, stage.cloud.calls(), serving.whole().map(str::to_owned))
    })
}

#[test]
fn a_run_that_died_at_any_change_is_finished_by_the_next() {
    for change in 1..=5 {
        for (phase, later) in [(Phase::Before, 5), (Phase::After, 7200), (Phase::After, 5)] {
            let (outcome, calls, serves) = dies(CANARY, change, phase, later);
            let case = format!("change {change} {phase:?}, again after {later} s");
            assert!(matches!(outcome, Outcome::Deployed | Outcome::Unchanged), "{case}: {outcome:?}");
            let begun = calls.iter().any(|call| call.operation == "UpdateService" && call.effective);
            assert!(begun && put_back(&calls), "{case}");
            assert!(serves.unwrap().ends_with("backend:2"), "{case}");
        }
    }
}
