//! Whole runs over two services behind one listener rule: who gets which share, and what happens when it goes wrong.

use std::time::Duration;

use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::ScenarioSource;
use roadstead::release::Outcome;
use roadstead::sys::signal::{CancelLevel, CancelToken};
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::elbv2::balancers::{self, LISTENER_PORTS};
use roadstead_cloud::scenario::{AlarmSetting, Scenario};
use serde_json::Value;

use crate::support::{CONFIG, RunHarness, RunResult, TestRun, run_in_virtual_time};

pub(crate) const CANARY: &str = "{ canary: { percent: 10, bake: 3m, final-bake: 2m } }";

pub(crate) fn pair_scenario(faults: &str) -> Scenario {
    let mut world = Scenario::default_for([("acme", "backend")]).with_service_pairs();
    world.faults = Scenario::parse(&format!("faults: [{faults}]")).unwrap().faults;
    world
}

pub(crate) fn test_run(world: Scenario, strategy: &str, more: &str) -> TestRun {
    let rule = run_in_virtual_time({
        let world = world.clone();
        async move {
            Cloud::new(world, 1)
                .read(|world| balancers::listener_rule_arn(world, "backend", LISTENER_PORTS[0]))
        }
    });
    let pair = format!("container: app, pair: {{ service: backend-green, rule: \"{rule}\"{more} }} }}");
    let config = CONFIG.replace("container: app }", &pair) + &format!("    strategy: {strategy}\n");
    TestRun { config, scenario: ScenarioSource::Custom(Box::new(world)), ..TestRun::builtin("happy") }
}

fn rule_actions(cloud: &Cloud) -> Vec<Value> {
    cloud.read(|world| {
        world.load_balancing.rules[&balancers::listener_rule_arn(world, "backend", LISTENER_PORTS[0])]
            .actions
            .clone()
    })
}

/// The weights of `backend` and `backend-green`.
pub(crate) fn weights(cloud: &Cloud) -> (i64, i64) {
    let actions = rule_actions(cloud);
    let groups = &actions.last().unwrap()["ForwardConfig"]["TargetGroups"];
    let weight = |at: usize| match &groups[at]["Weight"] {
        Value::String(text) => text.parse().unwrap(),
        number => number.as_i64().unwrap(),
    };
    (weight(0), weight(1))
}

fn set_weights(cloud: &Cloud, first: u32, second: u32) {
    cloud.change(|world, _| {
        let rule = balancers::listener_rule_arn(world, "backend", LISTENER_PORTS[0]);
        let actions = &mut world.load_balancing.rules.get_mut(&rule).unwrap().actions;
        let groups = &mut actions.last_mut().unwrap()["ForwardConfig"]["TargetGroups"];
        (groups[0]["Weight"], groups[1]["Weight"]) = (first.into(), second.into());
    });
}

/// Every pair of weights that the rule was given, in order.
pub(crate) fn applied_weights(ran: &RunResult) -> Vec<(i64, i64)> {
    let given = ran.calls.iter().filter(|call| call.operation == "ModifyRule" && call.took_effect);
    given
        .map(|call| {
            let actions = call.input["Actions"].as_array().unwrap();
            let groups = &actions.last().unwrap()["ForwardConfig"]["TargetGroups"];
            let weight = |at: usize| groups[at]["Weight"].as_str().map(|text| text.parse().unwrap());
            let number = |at: usize| weight(at).or_else(|| groups[at]["Weight"].as_i64()).unwrap();
            (number(0), number(1))
        })
        .collect()
}

pub(crate) fn serving_version(cloud: &Cloud, service: &str) -> String {
    let serving = cloud.serving_state("acme", service).unwrap();
    serving.only_version().unwrap_or_else(|| panic!("{serving:?}")).rsplit('/').next().unwrap().to_owned()
}

/// Runs beside something that happens as soon as the weights are these.
async fn run_until(stage: &RunHarness, at: (i64, i64), then: impl AsyncFnOnce(&Cloud)) -> Option<Outcome> {
    let outside_change = async {
        while weights(&stage.cloud) != at {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        then(&stage.cloud).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        report = stage.run() => Some(report.outcome),
        () = outside_change => None,
        () = tokio::time::sleep(Duration::from_secs(7200)) => None,
    }
}

#[test]
fn pair_canary_shifts_weights_and_keeps_the_old_service() {
    let ran = test_run(pair_scenario(""), CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(
        ran.change_operations(),
        ["RegisterTaskDefinition", "UpdateService", "ModifyRule", "ModifyRule"]
    );
    assert_eq!(applied_weights(&ran), [(90, 10), (0, 100)]);
    assert_eq!(
        (serving_version(&ran.cloud, "backend"), serving_version(&ran.cloud, "backend-green")),
        ("backend:1".into(), "backend:2".into())
    );
    assert!(ran.report.elapsed() >= Duration::from_secs(300), "both bakes: {:?}", ran.report.elapsed());
    let evidence = &ran.report.services[0].evidence;
    assert!(evidence.contains("backend 0 and backend-green 100"), "{evidence}");
    let update = ran.calls.iter().find(|call| call.operation == "UpdateService").unwrap();
    assert!(update.input.get("desiredCount").is_none(), "{}", update.input);
}

#[test]
fn serving_version_is_unchanged_and_the_next_one_uses_the_other_service() {
    let trial = test_run(pair_scenario(""), CANARY, "");
    run_in_virtual_time(async {
        let stage = trial.set_up();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = stage.cloud.calls().len();
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert!(stage.cloud.calls()[before..].iter().all(|call| !call.is_mutating));
        set_weights(&stage.cloud, 100, 0);
        // By hand on the old one: now `green` is idle and has the requested version.
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        let updates =
            stage.cloud.calls().iter().filter(|c| c.operation == "UpdateService" && c.took_effect).count();
        assert_eq!(updates, 1, "the tasks stand ready: only weights move");
    });
}

#[test]
fn blue_green_and_linear_shift_weights() {
    let table = [
        ("{ blue-green: { bake: 1m } }", vec![(0, 100)]),
        ("{ linear: { step: 40, bake: 1m, final-bake: 1m } }", vec![(60, 40), (20, 80), (0, 100)]),
        ("rolling", vec![]),
    ];
    for (strategy, expected) in table {
        let ran = test_run(pair_scenario(""), strategy, "").run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{strategy}: {:#?}", ran.lines);
        assert_eq!(applied_weights(&ran), expected, "{strategy}");
        let serves = if expected.is_empty() { "backend" } else { "backend-green" };
        assert_eq!(serving_version(&ran.cloud, serves), "backend:2", "{strategy}");
    }
}

#[test]
fn a_version_that_fails_without_traffic_never_gets_any() {
    for fault in ["failing-health-check: {}", "crash-on-start: {}", "image-not-found: {}"] {
        let ran = test_run(pair_scenario(&format!("{{ {fault} }}")), CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert_eq!((applied_weights(&ran), weights(&ran.cloud)), (vec![], (100, 0)), "{fault}");
        assert_eq!(serving_version(&ran.cloud, "backend"), "backend:1", "{fault}");
        assert_eq!(ran.report.services[0].serving_version.as_ref().unwrap().label, "backend:1", "{fault}");
    }
}

#[test]
fn a_version_that_fails_with_a_tenth_of_the_traffic_loses_it_at_once() {
    for fault in ["flapping-health: { healthy: 200 }", "alarm-red: { at: 200 }"] {
        let mut world = pair_scenario(&format!("{{ {fault} }}"));
        world.alarms.push(AlarmSetting { name: "backend-5xx".into(), state: "OK".into(), composite: false });
        let mut trial = test_run(world, CANARY, "");
        trial.config.push_str("    alarms: [backend-5xx]\n");
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert_eq!(
            (applied_weights(&ran), weights(&ran.cloud)),
            (vec![(90, 10), (100, 0)], (100, 0)),
            "{fault}"
        );
        assert_eq!(ran.report.services[0].serving_version.as_ref().unwrap().label, "backend:1", "{fault}");
    }
}

#[test]
fn version_failing_in_final_bake_is_rolled_back() {
    let ran = test_run(pair_scenario("{ flapping-health: { healthy: 330 } }"), CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(applied_weights(&ran), [(90, 10), (0, 100), (100, 0)]);
}

#[test]
fn a_rule_that_somebody_else_edits_is_left_alone() {
    let (trial, trial_green) = (test_run(pair_scenario(""), CANARY, ""), (50, 50));
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let outcome = run_until(&stage, (90, 10), async |cloud| set_weights(cloud, 50, 50)).await;
        // The outside change never ends after its edit: the run ends by itself.
        assert_eq!(outcome, Some(Outcome::Superseded), "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), trial_green);
        let lines = stage.lines.borrow().join("\n");
        assert!(lines.contains("the weights of the rule are backend 50 and backend-green 50"), "{lines}");
    });
}

#[test]
fn retryable_errors_shift_each_weight_once() {
    for fault in [
        "response-lost: { operation: ModifyRule, times: 2 }",
        "no-answer: { operation: ModifyRule, times: 2 }",
        "throttle: { operation: ModifyRule, times: 3 }",
        "response-lost: { operation: UpdateService, times: 1 }",
        "throttle: { operation: DescribeRules, times: 4 }",
        "stale-reads: { for: 30 }",
    ] {
        let ran = test_run(pair_scenario(&format!("{{ {fault} }}")), CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(applied_weights(&ran), [(90, 10), (0, 100)], "{fault}");
    }
}

#[test]
fn cancel_shifts_the_traffic_back() {
    let cancel = CancelToken::default();
    let trial = TestRun { cancel: cancel.clone(), ..test_run(pair_scenario(""), CANARY, "") };
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let outcome = run_until(&stage, (90, 10), async |_| cancel.set(CancelLevel::Cancel)).await;
        assert_eq!(outcome, Some(Outcome::Cancelled), "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (100, 0));
    });
}

#[test]
fn other_rule_settings_are_unchanged() {
    let mut world = pair_scenario("");
    world.balancers[0].authenticate = true;
    let trial = test_run(world, CANARY, "");
    run_in_virtual_time(async {
        let stage = trial.set_up();
        let before = rule_text(&stage.cloud);
        assert_eq!(stage.run().await.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        set_weights(&stage.cloud, 100, 0);
        assert_eq!(rule_text(&stage.cloud), before);
    });
}

/// The actions as they are, but for the secret that is never shown and the word that it is kept; numbers as text.
fn rule_text(cloud: &Cloud) -> String {
    let mut all = rule_actions(cloud);
    for action in &mut all {
        if let Some(oidc) = action.get_mut("AuthenticateOidcConfig").and_then(Value::as_object_mut) {
            oidc.remove("ClientSecret");
            oidc.remove("UseExistingClientSecret");
        }
    }
    let mut lines: Vec<String> = Vec::new();
    all.iter().for_each(|action| flatten("", action, &mut lines));
    lines.sort();
    lines.join("\n")
}

fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| flatten(&format!("{path}.{key}"), value, lines))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flatten(&format!("{path}[{at}]"), value, lines));
        }
        Value::String(text) => lines.push(format!("{path} {text}")),
        other => lines.push(format!("{path} {other}")),
    }
}

#[test]
fn service_with_fewer_tasks_is_scaled_up_first_with_a_notice() {
    let mut world = pair_scenario("");
    world.services[1].desired = 0;
    let ran = test_run(world, CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.cloud.serving_state("acme", "backend-green").unwrap().desired, 2);
    let is_reported =
        ran.report.all_problems().iter().any(|p| p.sentence.contains("it is raised to 2 before"));
    assert!(is_reported, "{:#?}", ran.report.all_problems());
    let raised = ran.calls.iter().filter(|call| call.input.get("desiredCount").is_some());
    assert_eq!(raised.count(), 1);
}

#[test]
fn old_service_is_scaled_down_only_if_configured_and_after_success() {
    let down = ", scale-down: true";
    let ran = test_run(pair_scenario(""), CANARY, down).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.cloud.serving_state("acme", "backend").unwrap().desired, 0);
    let ran = test_run(pair_scenario("{ flapping-health: { healthy: 200 } }"), CANARY, down).run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let desired = |name| ran.cloud.serving_state("acme", name).unwrap().desired;
    assert_eq!((desired("backend"), desired("backend-green")), (2, 2));
}

#[test]
fn unusable_rule_is_rejected_and_nothing_changes() {
    for reason in ["Neither service", "stickiness", "does not forward to"] {
        let mut world = pair_scenario("");
        match reason {
            "stickiness" => world.balancers[0].sticky = Some(60),
            "Neither service" => world.balancers[0].groups[0].weight = 0,
            _ => drop(world.balancers[0].groups.pop()),
        }
        let ran = test_run(world, CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{reason}: {:#?}", ran.lines);
        assert!(ran.change_operations().is_empty(), "{reason}: {:?}", ran.change_operations());
        let problems = format!("{:?}", ran.report.all_problems());
        assert!(problems.contains(reason), "{reason}: {problems}");
    }
}

#[test]
fn a_missing_permission_is_found_before_any_change() {
    let ran =
        test_run(pair_scenario("{ deny: { action: \"elasticloadbalancing:ModifyRule\" } }"), CANARY, "")
            .run();
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.change_operations().is_empty());
    let problems = format!("{:?}", ran.report.all_problems());
    assert!(problems.contains("elasticloadbalancing:ModifyRule"), "{problems}");
}

#[test]
fn plan_lists_the_steps_and_changes_nothing() {
    let inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = TestRun { inputs, ..test_run(pair_scenario(""), CANARY, "") }.run();
    assert_eq!(ran.report.outcome, Outcome::Planned, "{:#?}", ran.lines);
    assert!(ran.change_operations().is_empty());
    let lines = ran.lines.join("\n");
    assert!(lines.contains("start it without traffic → verify → shift 10 %"), "{lines}");
}

/// Everything but the deploy file is made: the second service, the rule with its ARN, and traffic through it.
#[test]
fn a_deploy_file_with_a_pair_can_be_rehearsed() {
    let rule = "arn:aws:elasticloadbalancing:eu-west-1:222222222222:listener-rule/app/front/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee";
    let pair = format!("container: app, pair: {{ service: other, rule: \"{rule}\" }} }}");
    let judged =
        "{ canary: { percent: 20, bake: 8m, final-bake: 1m, metrics: [5xx], analysis: { margin: 3 } } }";
    let config = CONFIG.replace("container: app }", &pair) + &format!("    strategy: {judged}\n");
    for (scenario, expected) in [
        ("canary-healthy", Outcome::Deployed),
        ("canary-5xx", Outcome::Failed),
        ("crash-on-start", Outcome::Failed),
        ("canary-no-metrics", Outcome::Inconclusive),
    ] {
        let ran = TestRun { config: config.clone(), ..TestRun::builtin(scenario) }.run();
        assert_eq!(ran.report.outcome, expected, "{scenario}: {:#?}", ran.lines);
        let (serves, version) = match expected {
            Outcome::Deployed => ("other", "backend:2"),
            _ => ("backend", "backend:1"),
        };
        let serving = ran.cloud.serving_state("acme", serves).unwrap();
        assert_eq!(serving.only_version().unwrap().rsplit('/').next(), Some(version), "{scenario}");
        assert!(serving.traffic.values().any(|share| *share > 99.9), "{scenario}: {serving:?}");
    }
}
