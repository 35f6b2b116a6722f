//! Whole runs over two services behind one listener rule: who gets which share, and what happens when it goes wrong.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{CONFIG, Ran, Stage, Trial, virtually};
use roadstead::action::inputs::RawInputs;
use roadstead::cli::rehearse::Story;
use roadstead::rehearsal::balancers::{self, PORTS};
use roadstead::rehearsal::call::Refusal;
use roadstead::rehearsal::cloud::Cloud;
use roadstead::rehearsal::record::{Interrupt, Moment, Phase};
use roadstead::rehearsal::scenario::{AlarmSetting, Scenario};
use roadstead::release::Outcome;
use roadstead::sys::signal::{Cancel, Urgency};
use serde_json::Value;
use tokio::sync::Notify;

const CANARY: &str = "{ canary: { percent: 10, bake: 3m, final-bake: 2m } }";

fn world(faults: &str) -> Scenario {
    let mut world = Scenario::default_for([("acme", "backend")]).with_twins();
    world.faults = Scenario::parse(&format!("faults: [{faults}]")).unwrap().faults;
    world
}

fn trial(world: Scenario, strategy: &str, more: &str) -> Trial {
    let rule = virtually({
        let world = world.clone();
        async move { Cloud::new(world, 1).read(|world| balancers::rule(world, "backend", PORTS[0])) }
    });
    let pair = format!("container: app, pair: {{ service: backend-green, rule: \"{rule}\"{more} }} }}");
    let config = CONFIG.replace("container: app }", &pair) + &format!("    strategy: {strategy}\n");
    Trial { config, story: Story::Told(Box::new(world)), ..Trial::named("happy") }
}

fn actions(cloud: &Cloud) -> Vec<Value> {
    cloud.read(|world| world.balancing.rules[&balancers::rule(world, "backend", PORTS[0])].actions.clone())
}

/// The weights of `backend` and `backend-green`.
fn weights(cloud: &Cloud) -> (i64, i64) {
    let actions = actions(cloud);
    let groups = &actions.last().unwrap()["ForwardConfig"]["TargetGroups"];
    let weight = |at: usize| match &groups[at]["Weight"] {
        Value::String(text) => text.parse().unwrap(),
        number => number.as_i64().unwrap(),
    };
    (weight(0), weight(1))
}

fn set(cloud: &Cloud, first: u32, second: u32) {
    cloud.change(|world, _| {
        let rule = balancers::rule(world, "backend", PORTS[0]);
        let actions = &mut world.balancing.rules.get_mut(&rule).unwrap().actions;
        let groups = &mut actions.last_mut().unwrap()["ForwardConfig"]["TargetGroups"];
        (groups[0]["Weight"], groups[1]["Weight"]) = (first.into(), second.into());
    });
}

/// Every pair of weights that the rule was given, in order.
fn shares(ran: &Ran) -> Vec<(i64, i64)> {
    let given = ran.calls.iter().filter(|call| call.operation == "ModifyRule" && call.effective);
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

fn whole(cloud: &Cloud, service: &str) -> String {
    let serving = cloud.serving("acme", service).unwrap();
    serving.whole().unwrap_or_else(|| panic!("{serving:?}")).rsplit('/').next().unwrap().to_owned()
}

/// Runs beside something that happens as soon as the weights are these.
async fn run_until(stage: &Stage, at: (i64, i64), then: impl AsyncFnOnce(&Cloud)) -> Option<Outcome> {
    let meddle = async {
        while weights(&stage.cloud) != at {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        then(&stage.cloud).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        report = stage.run() => Some(report.outcome),
        () = meddle => None,
        () = tokio::time::sleep(Duration::from_secs(7200)) => None,
    }
}

#[test]
fn a_canary_moves_by_weights_and_the_old_service_stays_ready() {
    let ran = trial(world(""), CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.changes(), ["RegisterTaskDefinition", "UpdateService", "ModifyRule", "ModifyRule"]);
    assert_eq!(shares(&ran), [(90, 10), (0, 100)]);
    assert_eq!(
        (whole(&ran.cloud, "backend"), whole(&ran.cloud, "backend-green")),
        ("backend:1".into(), "backend:2".into())
    );
    assert!(ran.report.took() >= Duration::from_secs(300), "both bakes: {:?}", ran.report.took());
    let evidence = &ran.report.services[0].evidence;
    assert!(evidence.contains("backend 0 and backend-green 100"), "{evidence}");
    let update = ran.calls.iter().find(|call| call.operation == "UpdateService").unwrap();
    assert!(update.input.get("desiredCount").is_none(), "{}", update.input);
}

#[test]
fn what_serves_already_is_not_deployed_again_and_the_next_version_goes_the_other_way() {
    let trial = trial(world(""), CANARY, "");
    virtually(async {
        let stage = trial.stage();
        assert_eq!(stage.run().await.outcome, Outcome::Deployed);
        let before = stage.cloud.calls().len();
        assert_eq!(stage.run().await.outcome, Outcome::Unchanged);
        assert!(stage.cloud.calls()[before..].iter().all(|call| !call.mutating));
        set(&stage.cloud, 100, 0);
        // By hand on the old one: now `green` is idle and stands at the very version that is asked for.
        let report = stage.run().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        let updates =
            stage.cloud.calls().iter().filter(|c| c.operation == "UpdateService" && c.effective).count();
        assert_eq!(updates, 1, "the tasks stand ready: only weights move");
    });
}

#[test]
fn blue_green_and_linear_move_by_weights_too() {
    let table = [
        ("{ blue-green: { bake: 1m } }", vec![(0, 100)]),
        ("{ linear: { step: 40, bake: 1m, final-bake: 1m } }", vec![(60, 40), (20, 80), (0, 100)]),
        ("rolling", vec![]),
    ];
    for (strategy, expected) in table {
        let ran = trial(world(""), strategy, "").run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{strategy}: {:#?}", ran.lines);
        assert_eq!(shares(&ran), expected, "{strategy}");
        let serves = if expected.is_empty() { "backend" } else { "backend-green" };
        assert_eq!(whole(&ran.cloud, serves), "backend:2", "{strategy}");
    }
}

#[test]
fn a_version_that_fails_without_traffic_never_gets_any() {
    for fault in ["failing-health-check: {}", "crash-on-start: {}", "image-not-found: {}"] {
        let ran = trial(world(&format!("{{ {fault} }}")), CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert_eq!((shares(&ran), weights(&ran.cloud)), (vec![], (100, 0)), "{fault}");
        assert_eq!(whole(&ran.cloud, "backend"), "backend:1", "{fault}");
        assert_eq!(ran.report.services[0].serves.as_ref().unwrap().label, "backend:1", "{fault}");
    }
}

#[test]
fn a_version_that_fails_with_a_tenth_of_the_traffic_loses_it_at_once() {
    for fault in ["flapping-health: { healthy: 200 }", "alarm-red: { at: 200 }"] {
        let mut world = world(&format!("{{ {fault} }}"));
        world.alarms.push(AlarmSetting { name: "backend-5xx".into(), state: "OK".into(), composite: false });
        let mut trial = trial(world, CANARY, "");
        trial.config.push_str("    alarms: [backend-5xx]\n");
        let ran = trial.run();
        assert_eq!(ran.report.outcome, Outcome::Failed, "{fault}: {:#?}", ran.lines);
        assert_eq!((shares(&ran), weights(&ran.cloud)), (vec![(90, 10), (100, 0)], (100, 0)), "{fault}");
        assert_eq!(ran.report.services[0].serves.as_ref().unwrap().label, "backend:1", "{fault}");
    }
}

#[test]
fn a_version_that_fails_in_the_last_bake_goes_back_as_well() {
    let ran = trial(world("{ flapping-health: { healthy: 330 } }"), CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    assert_eq!(shares(&ran), [(90, 10), (0, 100), (100, 0)]);
}

#[test]
fn a_rule_that_somebody_else_edits_is_left_alone() {
    let (trial, trial_green) = (trial(world(""), CANARY, ""), (50, 50));
    virtually(async {
        let stage = trial.stage();
        let outcome = run_until(&stage, (90, 10), async |cloud| set(cloud, 50, 50)).await;
        // The meddler waits for ever after its edit: the run ends by itself.
        assert_eq!(outcome, Some(Outcome::Superseded), "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), trial_green);
        let lines = stage.lines.borrow().join("\n");
        assert!(lines.contains("the weights of the rule are backend 50 and backend-green 50 now"), "{lines}");
    });
}

#[test]
fn lost_answers_and_refusals_that_pass_move_each_weight_once() {
    for fault in [
        "response-lost: { operation: ModifyRule, times: 2 }",
        "no-answer: { operation: ModifyRule, times: 2 }",
        "throttle: { operation: ModifyRule, times: 3 }",
        "response-lost: { operation: UpdateService, times: 1 }",
        "throttle: { operation: DescribeRules, times: 4 }",
        "stale-reads: { for: 30 }",
    ] {
        let ran = trial(world(&format!("{{ {fault} }}")), CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Deployed, "{fault}: {:#?}", ran.lines);
        assert_eq!(shares(&ran), [(90, 10), (0, 100)], "{fault}");
    }
}

#[test]
fn the_next_run_goes_on_where_one_died() {
    let trial = trial(world(""), CANARY, "");
    virtually(async {
        let stage = trial.stage();
        let died = tokio::select! {
            _ = stage.run() => false,
            () = reached(&stage.cloud, (90, 10)) => true,
        };
        assert!(died);
        tokio::time::sleep(Duration::from_secs(600)).await;
        let report = stage.run_again().await;
        assert_eq!(report.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        let calls = stage.cloud.calls();
        let made = |name: &str| calls.iter().filter(|c| c.operation == name && c.effective).count();
        assert_eq!((made("RegisterTaskDefinition"), made("UpdateService"), made("ModifyRule")), (1, 1, 2));
    });
}

#[test]
fn wherever_a_run_dies_around_a_weight_the_next_one_finishes() {
    for (call, phase, expected) in [
        (0, Phase::Before, Outcome::Deployed),
        (0, Phase::After, Outcome::Deployed),
        (1, Phase::Before, Outcome::Deployed),
        (1, Phase::After, Outcome::Unchanged),
    ] {
        let trial = trial(world(""), CANARY, "");
        virtually(async {
            let stage = trial.stage();
            let (dead, mut seen) = (Arc::new(Notify::new()), 0);
            let die = dead.clone();
            stage.cloud.on_call(Box::new(move |moment: &Moment<'_>| {
                let mine = moment.call.operation == "ModifyRule";
                let here = mine && seen == call && moment.phase == phase;
                seen += usize::from(mine && moment.phase == Phase::After);
                if here {
                    die.notify_one();
                    return Interrupt::Silence;
                }
                Interrupt::Pass
            }));
            tokio::select! {
                _ = stage.run() => panic!("{call} {phase:?}: it ended"),
                () = dead.notified() => {}
            }
            stage.cloud.on_call(Box::new(|_| Interrupt::Pass));
            tokio::time::sleep(Duration::from_secs(60)).await;
            let report = stage.run_again().await;
            assert_eq!(report.outcome, expected, "{call} {phase:?}: {:#?}", stage.lines.borrow());
            assert_eq!(weights(&stage.cloud), (0, 100), "{call} {phase:?}");
        });
    }
}

/// The change was made, and reading it back failed: it is ours all the same, and what becomes ill with it loses it at once.
#[test]
fn a_weight_that_could_not_be_read_back_is_still_ours() {
    for (faults, expected) in
        [("", vec![(90, 10), (0, 100)]), ("{ flapping-health: { healthy: 130 } }", vec![(90, 10), (100, 0)])]
    {
        let trial = trial(world(faults), CANARY, "");
        virtually(async {
            let stage = trial.stage();
            let (mut moved, mut refused) = (false, false);
            stage.cloud.on_call(Box::new(move |moment: &Moment<'_>| {
                moved |= moment.call.operation == "ModifyRule" && moment.phase == Phase::After;
                if moved && !refused && moment.call.operation == "DescribeRules" {
                    refused = true;
                    let words = "The security token included in the request is expired";
                    return Interrupt::Refuse(Refusal::new("ExpiredTokenException", words));
                }
                Interrupt::Pass
            }));
            let report = stage.run().await;
            let good = faults.is_empty();
            let outcome = if good { Outcome::Deployed } else { Outcome::Failed };
            assert_eq!(report.outcome, outcome, "{faults}: {:#?}", stage.lines.borrow());
            let ran =
                Ran { report, lines: Vec::new(), calls: stage.cloud.calls(), cloud: stage.cloud.clone() };
            assert_eq!(shares(&ran), expected, "{faults}");
        });
    }
}

async fn reached(cloud: &Cloud, at: (i64, i64)) {
    while weights(cloud) != at {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn the_next_run_takes_back_a_bad_version_that_a_dead_one_left_with_traffic() {
    let trial = trial(world("{ flapping-health: { healthy: 200 } }"), CANARY, "");
    virtually(async {
        let stage = trial.stage();
        tokio::select! {
            _ = stage.run() => panic!("it ended: {:#?}", stage.lines.borrow()),
            () = reached(&stage.cloud, (90, 10)) => {}
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(weights(&stage.cloud), (90, 10));
        let report = stage.run_again().await;
        assert_eq!(report.outcome, Outcome::Failed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (100, 0));
        assert_eq!(report.services[0].serves.as_ref().unwrap().label, "backend:1");
    });
}

#[test]
fn a_cancel_takes_the_traffic_back() {
    let cancel = Cancel::default();
    let trial = Trial { cancel: cancel.clone(), ..trial(world(""), CANARY, "") };
    virtually(async {
        let stage = trial.stage();
        let outcome = run_until(&stage, (90, 10), async |_| cancel.raise(Urgency::Cancel)).await;
        assert_eq!(outcome, Some(Outcome::Cancelled), "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (100, 0));
    });
}

#[test]
fn everything_else_in_the_rule_stays_as_it_was() {
    let mut world = world("");
    world.balancers[0].authenticate = true;
    let trial = trial(world, CANARY, "");
    virtually(async {
        let stage = trial.stage();
        let before = shown(&stage.cloud);
        assert_eq!(stage.run().await.outcome, Outcome::Deployed, "{:#?}", stage.lines.borrow());
        assert_eq!(weights(&stage.cloud), (0, 100));
        set(&stage.cloud, 100, 0);
        assert_eq!(shown(&stage.cloud), before);
    });
}

/// The actions as they are, but for the secret that is never shown and the word that it is kept; numbers as text.
fn shown(cloud: &Cloud) -> String {
    let mut all = actions(cloud);
    for action in &mut all {
        if let Some(oidc) = action.get_mut("AuthenticateOidcConfig").and_then(Value::as_object_mut) {
            oidc.remove("ClientSecret");
            oidc.remove("UseExistingClientSecret");
        }
    }
    let mut lines: Vec<String> = Vec::new();
    all.iter().for_each(|action| flat("", action, &mut lines));
    lines.sort();
    lines.join("\n")
}

fn flat(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| flat(&format!("{path}.{key}"), value, lines))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| flat(&format!("{path}[{at}]"), value, lines));
        }
        Value::String(text) => lines.push(format!("{path} {text}")),
        other => lines.push(format!("{path} {other}")),
    }
}

#[test]
fn a_service_with_fewer_tasks_is_raised_first_and_that_is_said() {
    let mut world = world("");
    world.services[1].desired = 0;
    let ran = trial(world, CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.cloud.serving("acme", "backend-green").unwrap().desired, 2);
    let said = ran.report.all_problems().iter().any(|p| p.sentence.contains("it is raised to 2 before"));
    assert!(said, "{:#?}", ran.report.all_problems());
    let raised = ran.calls.iter().filter(|call| call.input.get("desiredCount").is_some());
    assert_eq!(raised.count(), 1);
}

#[test]
fn the_old_service_is_taken_down_only_where_that_is_wished_and_only_after_success() {
    let down = ", scale-down: true";
    let ran = trial(world(""), CANARY, down).run();
    assert_eq!(ran.report.outcome, Outcome::Deployed, "{:#?}", ran.lines);
    assert_eq!(ran.cloud.serving("acme", "backend").unwrap().desired, 0);
    let ran = trial(world("{ flapping-health: { healthy: 200 } }"), CANARY, down).run();
    assert_eq!(ran.report.outcome, Outcome::Failed, "{:#?}", ran.lines);
    let desired = |name| ran.cloud.serving("acme", name).unwrap().desired;
    assert_eq!((desired("backend"), desired("backend-green")), (2, 2));
}

#[test]
fn a_rule_that_cannot_be_used_is_refused_with_the_reason_and_nothing_changes() {
    for reason in ["Neither service", "stickiness", "does not forward to"] {
        let mut world = world("");
        match reason {
            "stickiness" => world.balancers[0].sticky = Some(60),
            "Neither service" => world.balancers[0].groups[0].weight = 0,
            _ => drop(world.balancers[0].groups.pop()),
        }
        let ran = trial(world, CANARY, "").run();
        assert_eq!(ran.report.outcome, Outcome::Invalid, "{reason}: {:#?}", ran.lines);
        assert!(ran.changes().is_empty(), "{reason}: {:?}", ran.changes());
        let said = format!("{:?}", ran.report.all_problems());
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn a_missing_permission_is_found_before_any_change() {
    let ran = trial(world("{ deny: { action: \"elasticloadbalancing:ModifyRule\" } }"), CANARY, "").run();
    assert_eq!(ran.report.outcome, Outcome::Invalid, "{:#?}", ran.lines);
    assert!(ran.changes().is_empty());
    let said = format!("{:?}", ran.report.all_problems());
    assert!(said.contains("elasticloadbalancing:ModifyRule"), "{said}");
}

#[test]
fn a_plan_says_the_steps_and_changes_nothing() {
    let inputs = RawInputs { operation: Some("plan".into()), ..RawInputs::default() };
    let ran = Trial { inputs, ..trial(world(""), CANARY, "") }.run();
    assert_eq!(ran.report.outcome, Outcome::Planned, "{:#?}", ran.lines);
    assert!(ran.changes().is_empty());
    let lines = ran.lines.join("\n");
    assert!(lines.contains("bring it up without traffic → verify → route 10 %"), "{lines}");
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
        let ran = Trial { config: config.clone(), ..Trial::named(scenario) }.run();
        assert_eq!(ran.report.outcome, expected, "{scenario}: {:#?}", ran.lines);
        let (serves, version) = match expected {
            Outcome::Deployed => ("other", "backend:2"),
            _ => ("backend", "backend:1"),
        };
        let serving = ran.cloud.serving("acme", serves).unwrap();
        assert_eq!(serving.whole().unwrap().rsplit('/').next(), Some(version), "{scenario}");
        assert!(serving.traffic.values().any(|share| *share > 99.9), "{scenario}: {serving:?}");
    }
}
