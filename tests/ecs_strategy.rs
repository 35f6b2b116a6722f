//! Whole runs by ECS's own strategies on the emulator: forward, back, after a cancel and after a crash.

use std::time::Duration;

use roadstead::release::Outcome;
use roadstead_cloud::call_log::{CallHook, HookPhase, LoggedCall};

use crate::support::runner::Runner;
use crate::support::{CONFIG, RunResult, TestRun, run_in_virtual_time};

const STRATEGIES: [&str; 3] = ["blue-green: { bake: 2m }", LINEAR, CANARY];
const LINEAR: &str = "linear: { step: 40, bake: 1m, final-bake: 1m }";
const CANARY: &str = "canary: { percent: 10, bake: 3m, final-bake: 1m }";

fn config(strategy: &str) -> String {
    format!("{CONFIG}    strategy: {{ {strategy} }}\n")
}

fn run(strategy: &str, scenario: &str) -> RunResult {
    TestRun { config: config(strategy), ..TestRun::builtin(scenario) }.run()
}

/// Whether the last thing that was set of the deployment configuration is what was there before.
fn is_configuration_restored(calls: &[LoggedCall]) -> bool {
    let set = calls.iter().filter(|call| call.operation == "UpdateService" && call.took_effect);
    let set = set.map(|call| call.input["deploymentConfiguration"].clone()).rfind(|set| set.is_object());
    set.is_some_and(|set| {
        set["strategy"] == "ROLLING" && set["lifecycleHooks"].as_array().is_some_and(Vec::is_empty)
    })
}

fn serving_version(ran: &RunResult) -> String {
    let serving = ran.cloud.serving_state("acme", "backend").unwrap();
    serving.only_version().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}

#[test]
fn each_strategy_shifts_all_traffic_and_cleans_up() {
    for (strategy, words) in STRATEGIES.into_iter().zip([1, 3, 2]) {
        let ran = run(strategy, "canary-healthy");
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{strategy}: {:#?}", ran.lines);
        let mut expected = vec!["RegisterTaskDefinition", "UpdateService"];
        expected.extend(vec!["ContinueServiceDeployment"; words]);
        expected.push("UpdateService");
        assert_eq!(ran.change_operations(), expected, "{strategy}");
        assert!(is_configuration_restored(&ran.calls));
        assert_eq!(serving_version(&ran), "backend:2");
        assert_eq!(ran.problem_codes(), Vec::<&str>::new(), "{strategy}");
    }
}

#[test]
fn failed_strategy_is_rolled_back_and_cleaned_up() {
    for (fault, code) in [
        ("failing-health-check: {}", "health-check-failed"),
        ("crash-on-start: {}", "container-exited"),
        ("crash-on-start: { after: 200 }", "container-exited"),
        ("image-not-found: {}", "image-pull-failed"),
    ] {
        let ran =
            TestRun { config: config(CANARY), ..TestRun::custom(&alternate_group_scenario(fault)) }.run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert!(ran.problem_codes().contains(&code), "{fault}: {:?}", ran.problem_codes());
        assert!(is_configuration_restored(&ran.calls), "{fault}");
        assert_eq!(serving_version(&ran), "backend:1", "{fault}");
    }
}

/// A paired world in which something goes wrong.
fn alternate_group_scenario(fault: &str) -> String {
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
fn unsupported_service_is_rejected_in_the_plan() {
    let ran = run(CANARY, "happy");
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.problem_codes().contains(&"unsupported"), "{:?}", ran.problem_codes());
    assert!(ran.change_operations().is_empty());
}

#[test]
fn newer_deployment_is_left_alone_and_not_paused_by_our_hook() {
    // With `at: 400` it begins while ours holds.
    let ran = run("canary: { percent: 10, bake: 10m }", "canary-superseded");
    assert_eq!(ran.report.outcome, Outcome::Superseded, "{:#?}", ran.lines);
    assert!(is_configuration_restored(&ran.calls), "{:?}", ran.change_operations());
    assert!(!ran.change_operations().contains(&"StopServiceDeployment"));
}

#[test]
fn missing_continue_permission_is_reported_before_the_start() {
    let ran = run(CANARY, "hook-timeout");
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.change_operations().is_empty());
}

#[test]
fn post_step_after_cancel_confirms_and_restores_settings() {
    for seconds in [20, 120, 245, 300] {
        let mut runner = Runner::builtin("canary-healthy");
        let file = format!("{}    strategy: {{ {CANARY} }}\n", crate::support::runner::CONFIG);
        runner = runner.with_config(&file);
        runner.cancel_after = Some(Duration::from_secs(seconds));
        let (main, post) = runner.run_main_and_post();
        assert_eq!(
            (main.exit_code, main.count_calls("StopServiceDeployment")),
            (130, 1),
            "{seconds}: {:#?}",
            main.lines
        );
        let confirmed = post.lines.join("\n").contains("backend:1");
        assert!(confirmed, "{seconds}: {:#?}", post.lines);
        assert!(
            is_configuration_restored(&post.calls) || post.visible_summary().contains("being restored"),
            "{seconds}: {:#?}",
            post.lines
        );
    }
}

/// The process dies at a change; some time later the job runs again.
fn run_killed_at_change(
    strategy: &str,
    change: usize,
    phase: HookPhase,
    later: u64,
) -> (Outcome, Vec<LoggedCall>, Option<String>) {
    run_in_virtual_time(async {
        let trial = TestRun { config: config(strategy), ..TestRun::builtin("canary-healthy") };
        let stage = trial.set_up();
        let mutating = ["RegisterTaskDefinition", "UpdateService", "ContinueServiceDeployment"];
        let counts = move |moment: &CallHook<'_>| {
            moment.phase == phase && mutating.contains(&moment.call.operation.as_str())
        };
        stage.run_until_killed(change, counts).await;
        tokio::time::sleep(Duration::from_secs(later)).await;
        let again = stage.run_again().await.outcome;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let serving = stage.cloud.serving_state("acme", "backend").unwrap();
        (again, stage.cloud.calls(), serving.only_version().map(str::to_owned))
    })
}

#[test]
fn run_killed_at_any_change_is_finished_by_the_next() {
    for change in 1..=5 {
        for (phase, later) in [(HookPhase::Before, 5), (HookPhase::After, 7200), (HookPhase::After, 5)] {
            let (outcome, calls, serves) = run_killed_at_change(CANARY, change, phase, later);
            let case = format!("change {change} {phase:?}, again after {later} s");
            assert!(matches!(outcome, Outcome::Deployed | Outcome::Unchanged), "{case}: {outcome:?}");
            let begun = calls.iter().any(|call| call.operation == "UpdateService" && call.took_effect);
            assert!(begun && is_configuration_restored(&calls), "{case}");
            assert!(serves.unwrap().ends_with("backend:2"), "{case}");
        }
    }
}
