//! Deployments by ECS's own strategies on the embedded cloud, in virtual time: forward, back, and what is put back.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::configuration;
use super::rehearsals::{Rig, back, scenario, to};
use crate::problem::Code;
use crate::rehearsal::balancers;
use crate::release::{Course, Health, Hold, Observed, Rollout, Span, Split, Traffic, Version, Way};
use crate::targets::Target;

const CANARY: &[u8] = &[0, 10, 100];
const COURSES: [&[u8]; 3] = [&[0, 100], CANARY, &[0, 40, 80, 100]];

fn course(shares: &[u8]) -> Course {
    Course { shares: shares.to_vec(), bake: Span::minutes(2), patience: Span::minutes(20) }
}

fn along(version: &Version, shares: &[u8]) -> Split {
    let way = Way::Start { course: course(shares), again: false };
    Split { version: version.clone(), percent: shares[0], way }
}

fn onward(rollout: &Rollout, percent: u8) -> Split {
    let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
    Split { version, percent, way: Way::Onward(rollout.clone()) }
}

/// A service with a pair of target groups, and faults.
fn pairs(faults: &str) -> Rig {
    Rig::new(scenario(faults).in_pairs())
}

impl Rig {
    async fn configuration(&self) -> Value {
        self.target.eyes.service().await.unwrap().raw["deploymentConfiguration"].clone()
    }

    async fn begin(&self, content: &str, shares: &[u8]) -> (Observed, Rollout) {
        let seen = self.target.observe().await.unwrap();
        let version = self.target.stage(&self.release(content), &seen).await.unwrap();
        let rollout = self.target.route(&along(&version, shares)).await.unwrap();
        (seen, rollout)
    }

    /// Watches until it holds at a share.
    async fn hold(&self, rollout: &Rollout) -> Hold {
        match self.wait(rollout, 2400).await.0 {
            Health::Holding(hold) => hold,
            other => panic!("{other:?}"),
        }
    }

    /// Goes from share to share up to `last`, as an engine would; the shares at which it held.
    async fn walk(&self, rollout: &Rollout, shares: &[u8], last: u8) -> Vec<u8> {
        let mut held = Vec::new();
        loop {
            let percent = self.until(rollout, held.last().copied()).await;
            held.push(percent);
            if percent >= last {
                return held;
            }
            let next = *shares.iter().find(|share| **share > percent).unwrap();
            assert_eq!(&self.target.route(&onward(rollout, next)).await.unwrap(), rollout);
            if next == 100 {
                return held;
            }
        }
    }

    /// Watches until it holds at another share than before: an old answer may still show that one.
    async fn until(&self, rollout: &Rollout, before: Option<u8>) -> u8 {
        for _ in 0..600 {
            let percent = self.hold(rollout).await.percent;
            if Some(percent) != before {
                return percent;
            }
            sleep(Duration::from_secs(2)).await;
        }
        panic!("it stays at {before:?}");
    }

    async fn update(&self, members: Value) {
        let members: Map<String, Value> = members.as_object().unwrap().clone();
        self.target.eyes.loader.client().update_service("acme", "web", members).await.unwrap();
    }
}

fn same(before: &Value, after: &Value) {
    for member in [
        "strategy",
        "bakeTimeInMinutes",
        "maximumPercent",
        "minimumHealthyPercent",
        "deploymentCircuitBreaker",
    ] {
        let value = |of: &Value| match (member, &of[member]) {
            ("strategy", Value::Null) => json!("ROLLING"),
            ("bakeTimeInMinutes", Value::Null) => json!(0),
            (_, other) => other.clone(),
        };
        assert_eq!(value(before), value(after), "{member}: {before} {after}");
    }
    let hooks = |of: &Value| of["lifecycleHooks"].as_array().cloned().unwrap_or_default();
    assert_eq!(hooks(before), hooks(after));
}

#[tokio::test(start_paused = true)]
async fn each_course_is_walked_proven_and_put_back_twice_over() {
    for shares in COURSES {
        let rig = pairs("");
        let before = rig.configuration().await;
        for (content, label) in [("v2", "web:2"), ("v3", "web:3")] {
            let (seen, rollout) = rig.begin(content, shares).await;
            assert_eq!(rig.target.ability(&seen).traffic, Traffic::Weighted);
            let held = rig.walk(&rollout, shares, 100).await;
            assert_eq!(held, shares[..shares.len() - 1]);
            let (health, _) = rig.wait(&rollout, 2400).await;
            let Health::Healthy(proof) = health else { panic!("{health:?}") };
            assert_eq!((proof.version.label.as_str(), proof.digest.is_some()), (label, true));
            assert!(proof.evidence.ends_with("2 of 2 targets healthy"), "{}", proof.evidence);
            assert!(rig.target.observe().await.unwrap().leftover);
            rig.target.retire(&rollout).await.unwrap();
            same(&before, &rig.configuration().await);
            assert!(!rig.target.observe().await.unwrap().leftover);
        }
        // One update to start and one to put back, each time; one word for each share.
        assert_eq!(rig.count("UpdateService"), 4, "{shares:?}");
        assert_eq!(rig.count("ContinueServiceDeployment"), 2 * (shares.len() - 1));
        assert_eq!(rig.deployments().await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_tells_the_two_versions_apart_follows_the_groups() {
    let rig = pairs("");
    let mut live = "targetgroup/web/";
    for content in ["v2", "v3"] {
        let (_, rollout) = rig.begin(content, CANARY).await;
        let hold = rig.hold(&rollout).await;
        assert_eq!(hold.percent, 0);
        let arms = hold.arms.unwrap();
        assert_eq!(arms.canary.version.id, rollout.version);
        assert_ne!(arms.baseline.version.id, rollout.version);
        assert!(arms.baseline.labels["TargetGroup"].starts_with(live), "{arms:?}");
        assert_ne!(arms.baseline.labels["TargetGroup"], arms.canary.labels["TargetGroup"]);
        assert!(arms.canary.labels["LoadBalancer"].starts_with("app/web/"), "{arms:?}");
        rig.walk(&rollout, CANARY, 100).await;
        assert!(matches!(rig.wait(&rollout, 2400).await.0, Health::Healthy(_)));
        live = "targetgroup/web-alternate/";
    }
}

#[tokio::test(start_paused = true)]
async fn from_every_share_the_way_back_leads_to_what_was() {
    for shares in COURSES {
        for &last in &shares[..shares.len() - 1] {
            let rig = pairs("");
            let before = rig.configuration().await;
            let (seen, rollout) = rig.begin("v2", shares).await;
            rig.walk(&rollout, shares, last).await;
            let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
            assert_eq!(undo.ids[0], "rollback");
            let (health, _) = rig.wait(&undo, 2400).await;
            let Health::Healthy(proof) = health else { panic!("{health:?}") };
            assert_eq!(proof.version.label, "web:1");
            rig.target.retire(&undo).await.unwrap();
            same(&before, &rig.configuration().await);
            assert_eq!((rig.count("UpdateService"), rig.count("StopServiceDeployment")), (2, 1));
            let after = rig.target.observe().await.unwrap();
            assert_eq!((after.version, after.leftover), (seen.version, false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_the_last_word_the_way_back_is_open_while_it_bakes() {
    let rig = pairs("");
    let (seen, rollout) = rig.begin("v2", CANARY).await;
    rig.walk(&rollout, CANARY, 100).await;
    sleep(Duration::from_secs(60)).await;
    let Health::Progressing(progress) = rig.target.probe(&rollout).await.unwrap() else { panic!() };
    assert_eq!(progress.stage, "IN_PROGRESS BAKE_TIME");
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert!(matches!(rig.wait(&undo, 2400).await.0, Health::Healthy(_)));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_died_is_taken_up_by_the_next() {
    for last in [0, 10] {
        let rig = pairs("");
        let before = rig.configuration().await;
        let (_, rollout) = rig.begin("v2", CANARY).await;
        rig.walk(&rollout, CANARY, last).await;
        let next = Rig { target: Rig::another(&rig.cloud), cloud: rig.cloud.clone() };
        let seen = next.target.observe().await.unwrap();
        assert!(seen.leftover);
        let adopted = seen.in_flight.unwrap().rollout;
        assert_eq!(adopted, rollout);
        assert_eq!(next.hold(&adopted).await.percent, last);
        next.walk(&adopted, CANARY, 100).await;
        assert!(matches!(next.wait(&adopted, 2400).await.0, Health::Healthy(_)));
        next.target.retire(&adopted).await.unwrap();
        same(&before, &next.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_takes_up_is_taken_back_by_ecs_and_what_it_left_is_put_back_by_the_next_start() {
    for shares in [&[100][..], CANARY] {
        let rig = pairs("");
        let before = rig.configuration().await;
        let (_, rollout) = rig.begin("v2", CANARY).await;
        rig.walk(&rollout, CANARY, 10).await;
        sleep(Duration::from_secs(25 * 60)).await;
        let (health, _) = rig.wait(&rollout, 2400).await;
        let Health::RolledBack(failure, _) = health else { panic!("{health:?}") };
        assert!(failure.problem.sentence.contains("in time"), "{}", failure.problem);

        let next = Rig { target: Rig::another(&rig.cloud), cloud: rig.cloud.clone() };
        let (seen, again) = next.begin("v3", shares).await;
        assert!(seen.leftover && seen.in_flight.is_none());
        if shares == [100] {
            same(&before, &next.configuration().await);
            assert_eq!(next.count("UpdateService"), 2);
        } else {
            next.walk(&again, CANARY, 100).await;
        }
        assert!(matches!(next.wait(&again, 2400).await.0, Health::Healthy(_)));
        next.target.retire(&again).await.unwrap();
        same(&before, &next.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_new_to_release_still_puts_back_what_was_left() {
    let rig = pairs("");
    let before = rig.configuration().await;
    let (_, rollout) = rig.begin("v2", &[0, 100]).await;
    rig.walk(&rollout, &[0, 100], 100).await;
    sleep(Duration::from_secs(1200)).await;
    let next = Rig::another(&rig.cloud);
    let seen = next.observe().await.unwrap();
    assert!(seen.leftover && matches!(seen.health, Health::Healthy(_)), "{:?}", seen.health);
    let Version { id, label } = seen.version.unwrap();
    next.retire(&Rollout { version: id, label, ids: Vec::new() }).await.unwrap();
    same(&before, &rig.configuration().await);
    next.retire(&rollout).await.unwrap();
    assert_eq!(rig.count("UpdateService"), 2);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_old_ones_move_nothing_twice() {
    for fault in [
        "response-lost: { operation: ContinueServiceDeployment, times: 1 }",
        "response-lost: { operation: UpdateService, times: 2 }",
        "no-answer: { operation: ContinueServiceDeployment, times: 2 }",
        "no-answer: { operation: UpdateService, times: 1 }",
        "throttle: { operation: ContinueServiceDeployment, times: 3 }",
        "throttle: { operation: '*', times: 4 }",
        "stale-reads: { for: 30 }",
        "stale-reads: { for: 30, in-answer: true }; response-lost: { operation: ContinueServiceDeployment, times: 2 }",
    ] {
        let rig = pairs(fault);
        let before = rig.configuration().await;
        let (_, rollout) = rig.begin("v2", CANARY).await;
        assert_eq!(rig.walk(&rollout, CANARY, 100).await, [0, 10], "{fault}");
        let (health, _) = rig.wait(&rollout, 2400).await;
        assert!(matches!(health, Health::Healthy(_)), "{fault}: {health:?}");
        rig.target.retire(&rollout).await.unwrap();
        sleep(Duration::from_secs(60)).await;
        same(&before, &rig.configuration().await);
        assert_eq!((rig.deployments().await, rig.count("ContinueServiceDeployment")), (2, 2), "{fault}");
    }
    let rig = pairs("response-lost: { operation: StopServiceDeployment, times: 1 }");
    let (seen, rollout) = rig.begin("v2", CANARY).await;
    rig.walk(&rollout, CANARY, 10).await;
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert!(matches!(rig.wait(&undo, 2400).await.0, Health::Healthy(_)));
    assert_eq!(rig.deployments().await, 2);
}

#[tokio::test(start_paused = true)]
async fn hooks_and_steps_of_the_user_come_through() {
    let rig = pairs("");
    let lambda = json!({"targetType":"AWS_LAMBDA","hookTargetArn":"arn:aws:lambda:eu-west-1:1:function:f","roleArn":"arn:aws:iam::1:role/r","lifecycleStages":["POST_SCALE_UP"]});
    let pause = json!({"targetType":"PAUSE","lifecycleStages":["POST_TEST_TRAFFIC_SHIFT"],"timeoutConfiguration":{"timeoutInMinutes":60,"action":"CONTINUE"}});
    let steps = json!({"stepPercent": 5.5, "stepBakeTimeInMinutes": 3});
    rig.update(json!({"deploymentConfiguration":{"strategy":"LINEAR","bakeTimeInMinutes":4,"linearConfiguration":steps,"lifecycleHooks":[lambda, pause]}})).await;
    let before = rig.configuration().await;
    let (_, rollout) = rig.begin("v2", CANARY).await;
    let mut stage = String::new();
    for _ in 0..200 {
        let health = rig.target.probe(&rollout).await.unwrap();
        let Health::Progressing(progress) = health else { panic!("{health:?}") };
        stage = progress.stage;
        if stage.contains("somebody else") {
            break;
        }
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(
        stage,
        "IN_PROGRESS POST_TEST_TRAFFIC_SHIFT, waits at a pause hook for a word of somebody else"
    );
    assert_eq!(rig.target.route(&onward(&rollout, 10)).await.unwrap(), rollout);
    assert_eq!(rig.count("ContinueServiceDeployment"), 0);
    let flying = rig.target.eyes.loader.deployment(&rollout.ids[1]).await.unwrap().unwrap();
    let waiting = flying.hooks.iter().find(|hook| hook.status == "AWAITING_ACTION").unwrap();
    rig.target.eyes.loader.client().continue_service_deployment(&flying.arn, &waiting.id).await.unwrap();
    assert_eq!(rig.walk(&rollout, CANARY, 100).await, [0, 10]);
    assert!(matches!(rig.wait(&rollout, 2400).await.0, Health::Healthy(_)));
    rig.target.retire(&rollout).await.unwrap();
    let after = rig.configuration().await;
    same(&before, &after);
    assert_eq!(before["linearConfiguration"], after["linearConfiguration"]);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_deployment_does_not_wait_for_ever_at_our_hook() {
    let rig = pairs("");
    let before = rig.configuration().await;
    let (seen, rollout) = rig.begin("v2", &[0, 100]).await;
    rig.hold(&rollout).await;
    let other = rig.target.stage(&rig.release("theirs"), &seen).await.unwrap();
    rig.update(json!({"taskDefinition": other.id})).await;
    sleep(Duration::from_secs(240)).await;
    let (health, _) = rig.wait(&rollout, 600).await;
    assert!(matches!(health, Health::Superseded(_)), "{health:?}");
    rig.target.retire(&rollout).await.unwrap();
    same(&before, &rig.configuration().await);
    let theirs = Rollout { version: other.id.clone(), label: other.label.clone(), ids: Vec::new() };
    sleep(Duration::from_secs(600)).await;
    let (health, _) = rig.wait(&theirs, 600).await;
    let Health::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version, other);
}

#[tokio::test(start_paused = true)]
async fn a_newer_run_of_ours_keeps_its_hook_and_the_older_one_touches_nothing() {
    let rig = pairs("");
    let before = rig.configuration().await;
    let (seen, first) = rig.begin("v2", CANARY).await;
    rig.walk(&first, CANARY, 10).await;
    let newer = Rig { target: Rig::another(&rig.cloud), cloud: rig.cloud.clone() };
    let (_, second) = newer.begin("v3", CANARY).await;
    let (health, _) = rig.wait(&first, 600).await;
    assert!(matches!(health, Health::Superseded(_)), "{health:?}");
    rig.target.retire(&first).await.unwrap();
    let refused = rig.target.route(&back(&seen, &first)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    let refused = rig.target.route(&onward(&first, 100)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    assert!(configuration::our_hook(&rig.configuration().await).is_some());
    assert_eq!(newer.walk(&second, CANARY, 100).await, [0, 10]);
    assert!(matches!(newer.wait(&second, 2400).await.0, Health::Healthy(_)));
    newer.target.retire(&second).await.unwrap();
    same(&before, &newer.configuration().await);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_while_it_holds_ends_the_wait() {
    for (fault, expected) in [
        ("crash-on-start: { exit-code: 9 }", Code::ContainerExited),
        ("crash-on-start: { exit-code: 9, after: 200 }", Code::ContainerExited),
        ("failing-health-check: {}", Code::HealthCheckFailed),
        ("flapping-health: { healthy: 100 }", Code::HealthCheckFailed),
        ("image-not-found: {}", Code::ImagePullFailed),
    ] {
        let rig = pairs(fault);
        let before = rig.configuration().await;
        let (seen, rollout) = rig.begin("v2", CANARY).await;
        let mut health = rig.target.probe(&rollout).await.unwrap();
        for _ in 0..1200 {
            if !matches!(health, Health::Progressing(_) | Health::Holding(_)) {
                break;
            }
            sleep(Duration::from_secs(2)).await;
            health = rig.target.probe(&rollout).await.unwrap();
        }
        let Health::Failing(failure) = health else { panic!("{fault}: {health:?}") };
        assert_eq!(failure.problem.code, expected, "{fault}: {}", failure.problem);
        let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
        let (health, _) = rig.wait(&undo, 2400).await;
        assert!(matches!(health, Health::Healthy(_)), "{fault}: {health:?}");
        rig.target.retire(&undo).await.unwrap();
        same(&before, &rig.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn few_tasks_no_tasks_and_more_tasks_are_all_one() {
    for (desired, fault) in [(0, ""), (1, ""), (2, "desired-count: { at: 130, to: 5 }")] {
        let mut scenario = scenario(fault).in_pairs();
        scenario.services[0].desired = desired;
        let rig = Rig::new(scenario);
        let (_, rollout) = rig.begin("v2", CANARY).await;
        assert_eq!(rig.walk(&rollout, CANARY, 100).await, [0, 10], "{desired}");
        let (health, _) = rig.wait(&rollout, 2400).await;
        assert!(matches!(health, Health::Healthy(_)), "{desired} {health:?}");
    }
    let mut first = scenario("").in_pairs();
    first.services[0].completed = false;
    let rig = Rig::new(first);
    let (_, rollout) = rig.begin("v2", CANARY).await;
    // There is nothing to share the traffic with: one word, and it has all.
    assert_eq!(rig.hold(&rollout).await.percent, 0);
    rig.target.route(&onward(&rollout, 10)).await.unwrap();
    assert!(matches!(rig.wait(&rollout, 2400).await.0, Health::Healthy(_)));
}

#[tokio::test(start_paused = true)]
async fn a_service_without_a_pair_says_what_is_missing() {
    let rig = Rig::new(scenario(""));
    let ability = rig.target.ability(&rig.target.observe().await.unwrap());
    assert_eq!(ability.traffic, Traffic::Whole);
    assert!(ability.lacks.unwrap().contains("--cluster acme --service web"));
    let version = rig.target.observe().await.unwrap().version.unwrap();
    let odd = along(&version, &[0, 3, 4, 100]);
    assert_eq!(rig.target.route(&odd).await.unwrap_err().code, Code::Unsupported);
    assert_eq!(rig.target.route(&to(&version)).await.unwrap().ids.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_carry_both_groups_is_refused_before_the_start() {
    let rig = pairs("");
    let rig = Rig { target: rig.target.shifting(true), cloud: rig.cloud };
    let seen = rig.target.observe().await.unwrap();
    let problems = rig.target.check(&rig.release("v2"), &seen).await;
    assert!(problems.is_empty(), "{problems:?}");
    let only = json!([{"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "x"}]}}]);
    rig.cloud.change(|world, _| {
        let rule = balancers::rule(world, "web", balancers::PORTS[0]);
        world.balancing.rules.get_mut(&rule).unwrap().actions = only.as_array().unwrap().clone();
    });
    let problems = rig.target.check(&rig.release("v2"), &seen).await;
    assert_eq!(
        problems.iter().map(|p| (p.code, p.is_error())).collect::<Vec<_>>(),
        [(Code::Unsupported, true)]
    );
    assert!(problems[0].sentence.contains("targetgroup/web-alternate/"), "{}", problems[0]);
}

#[tokio::test(start_paused = true)]
async fn each_permission_of_a_course_is_missed_before_the_start() {
    for action in [
        "ecs:ContinueServiceDeployment",
        "ecs:StopServiceDeployment",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeRules",
    ] {
        let rig = pairs(&format!("deny: {{ action: '{action}' }}"));
        let rig = Rig { target: rig.target.shifting(true), cloud: rig.cloud };
        let seen = rig.target.observe().await.unwrap();
        let problems = rig.target.check(&rig.release("v2"), &seen).await;
        let found: Vec<_> = problems.iter().map(|p| (p.code, p.is_error())).collect();
        assert_eq!(found, [(Code::PermissionMissing, true)], "{action} {problems:?}");
    }
}
