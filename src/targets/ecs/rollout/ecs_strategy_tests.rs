//! Deployments by ECS's own strategies on the emulator, in virtual time: forward, back, and the restored settings.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::super::target_tests::{EcsFixture, ShiftByVersion, roll_back, scenario, shift_to};
use super::deployment_configuration;
use crate::problem::Code;
use crate::release::{
    HumanDuration, Observed, Pause, Rollout, RolloutStatus, ShiftKind, TrafficControl, TrafficPlan,
    TrafficShift, Version,
};
use crate::targets::Target;
use roadstead_cloud::elbv2::balancers;

const CANARY: &[u8] = &[0, 10, 100];
const PLANS: [&[u8]; 3] = [&[0, 100], CANARY, &[0, 40, 80, 100]];

fn plan(shares: &[u8]) -> TrafficPlan {
    TrafficPlan {
        weights: shares.to_vec(),
        bake: HumanDuration::from_minutes(2),
        hook_timeout: HumanDuration::from_minutes(20),
    }
}

fn start_shift(version: &Version, shares: &[u8]) -> TrafficShift {
    let way = ShiftKind::Start { plan: plan(shares), force: false };
    TrafficShift { version: version.clone(), percent: shares[0], kind: way }
}

fn continue_shift(rollout: &Rollout, percent: u8) -> TrafficShift {
    let version = Version { id: rollout.version.clone(), label: rollout.label.clone() };
    TrafficShift { version, percent, kind: ShiftKind::Continue(rollout.clone()) }
}

/// A service with a pair of target groups, and faults.
fn fixture_with_target_group_pairs(faults: &str) -> EcsFixture {
    EcsFixture::new(scenario(faults).with_target_group_pairs())
}

impl EcsFixture {
    async fn configuration(&self) -> Value {
        self.target.reader.service().await.unwrap().raw["deploymentConfiguration"].clone()
    }

    async fn start_shifting(&self, content: &str, shares: &[u8]) -> (Observed, Rollout) {
        let seen = self.target.observe().await.unwrap();
        let version = self.target.stage(&self.release(content), &seen).await.unwrap().version;
        let rollout = self.target.shift_by_version(&start_shift(&version, shares)).await.unwrap();
        (seen, rollout)
    }

    /// Watches until it is paused at a weight.
    async fn wait_for_pause(&self, rollout: &Rollout) -> Pause {
        match self.wait_for_end(rollout, 2400).await.0 {
            RolloutStatus::Paused(hold) => hold,
            other => panic!("{other:?}"),
        }
    }

    /// Continues from weight to weight up to `last`, as the engine would; returns the weights at which it was paused.
    async fn shift_through(&self, rollout: &Rollout, shares: &[u8], last: u8) -> Vec<u8> {
        let mut held = Vec::new();
        loop {
            let percent = self.wait_for_other_weight(rollout, held.last().copied()).await;
            held.push(percent);
            if percent >= last {
                return held;
            }
            let next = *shares.iter().find(|share| **share > percent).unwrap();
            assert_eq!(&self.target.shift_by_version(&continue_shift(rollout, next)).await.unwrap(), rollout);
            if next == 100 {
                return held;
            }
        }
    }

    /// Watches until it is paused at another weight than before: a stale response may still show that one.
    async fn wait_for_other_weight(&self, rollout: &Rollout, before: Option<u8>) -> u8 {
        for _ in 0..600 {
            let percent = self.wait_for_pause(rollout).await.percent;
            if Some(percent) != before {
                return percent;
            }
            sleep(Duration::from_secs(2)).await;
        }
        panic!("it stays at {before:?}");
    }

    async fn update_service(&self, members: Value) {
        let members: Map<String, Value> = members.as_object().unwrap().clone();
        self.target.reader.loader.client().update_service("acme", "web", members).await.unwrap();
    }
}

fn assert_same_configuration(before: &Value, after: &Value) {
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
async fn each_traffic_plan_completes_and_restores_settings_twice() {
    for shares in PLANS {
        let rig = fixture_with_target_group_pairs("");
        let before = rig.configuration().await;
        for (content, label) in [("v2", "web:2"), ("v3", "web:3")] {
            let (seen, rollout) = rig.start_shifting(content, shares).await;
            assert_eq!(rig.target.limits(&seen).traffic.control, TrafficControl::Weighted);
            let held = rig.shift_through(&rollout, shares, 100).await;
            assert_eq!(held, shares[..shares.len() - 1]);
            let (health, _) = rig.wait_for_end(&rollout, 2400).await;
            let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
            assert_eq!((proof.version.label.as_str(), proof.digest.is_some()), (label, true));
            assert!(proof.evidence.ends_with("2 of 2 targets healthy"), "{}", proof.evidence);
            assert!(rig.target.observe().await.unwrap().needs_cleanup);
            rig.target.clean_up(&rollout).await.unwrap();
            assert_same_configuration(&before, &rig.configuration().await);
            assert!(!rig.target.observe().await.unwrap().needs_cleanup);
        }
        // One update to start and one to restore, each time; one continue for each weight.
        assert_eq!(rig.call_count("UpdateService"), 4, "{shares:?}");
        assert_eq!(rig.call_count("ContinueServiceDeployment"), 2 * (shares.len() - 1));
        assert_eq!(rig.deployment_count().await, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn variant_labels_follow_target_groups() {
    let rig = fixture_with_target_group_pairs("");
    let mut live = "targetgroup/web/";
    for content in ["v2", "v3"] {
        let (_, rollout) = rig.start_shifting(content, CANARY).await;
        let hold = rig.wait_for_pause(&rollout).await;
        assert_eq!(hold.percent, 0);
        let arms = hold.variants.unwrap();
        assert_eq!(arms.canary.version.id, rollout.version);
        assert_ne!(arms.baseline.version.id, rollout.version);
        assert!(arms.baseline.labels["TargetGroup"].starts_with(live), "{arms:?}");
        assert_ne!(arms.baseline.labels["TargetGroup"], arms.canary.labels["TargetGroup"]);
        assert!(arms.canary.labels["LoadBalancer"].starts_with("app/web/"), "{arms:?}");
        rig.shift_through(&rollout, CANARY, 100).await;
        assert!(matches!(rig.wait_for_end(&rollout, 2400).await.0, RolloutStatus::Healthy(_)));
        live = "targetgroup/web-alternate/";
    }
}

#[tokio::test(start_paused = true)]
async fn rollback_from_every_weight_restores_previous_version() {
    for shares in PLANS {
        for &last in &shares[..shares.len() - 1] {
            let rig = fixture_with_target_group_pairs("");
            let before = rig.configuration().await;
            let (seen, rollout) = rig.start_shifting("v2", shares).await;
            rig.shift_through(&rollout, shares, last).await;
            let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
            assert_eq!(undo.ids[0], "rollback");
            let (health, _) = rig.wait_for_end(&undo, 2400).await;
            let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
            assert_eq!(proof.version.label, "web:1");
            rig.target.clean_up(&undo).await.unwrap();
            assert_same_configuration(&before, &rig.configuration().await);
            assert_eq!((rig.call_count("UpdateService"), rig.call_count("StopServiceDeployment")), (2, 1));
            let after = rig.target.observe().await.unwrap();
            assert_eq!((after.version, after.needs_cleanup), (seen.version, false));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rollback_is_possible_while_final_step_bakes() {
    let rig = fixture_with_target_group_pairs("");
    let (seen, rollout) = rig.start_shifting("v2", CANARY).await;
    rig.shift_through(&rollout, CANARY, 100).await;
    sleep(Duration::from_secs(60)).await;
    let RolloutStatus::Progressing(progress) = rig.target.status(&rollout).await.unwrap() else { panic!() };
    assert_eq!(progress.stage, "IN_PROGRESS BAKE_TIME");
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert!(matches!(rig.wait_for_end(&undo, 2400).await.0, RolloutStatus::Healthy(_)));
}

#[tokio::test(start_paused = true)]
async fn next_run_resumes_rollout_of_dead_run() {
    for last in [0, 10] {
        let rig = fixture_with_target_group_pairs("");
        let before = rig.configuration().await;
        let (_, rollout) = rig.start_shifting("v2", CANARY).await;
        rig.shift_through(&rollout, CANARY, last).await;
        let next = EcsFixture { target: EcsFixture::new_process(&rig.cloud), cloud: rig.cloud.clone() };
        let seen = next.target.observe().await.unwrap();
        assert!(seen.needs_cleanup);
        let adopted = seen.in_flight.unwrap().rollout;
        assert_eq!(adopted, rollout);
        assert_eq!(next.wait_for_pause(&adopted).await.percent, last);
        next.shift_through(&adopted, CANARY, 100).await;
        assert!(matches!(next.wait_for_end(&adopted, 2400).await.0, RolloutStatus::Healthy(_)));
        next.target.clean_up(&adopted).await.unwrap();
        assert_same_configuration(&before, &next.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn abandoned_rollout_is_rolled_back_by_ecs_and_next_start_restores_settings() {
    for shares in [&[100][..], CANARY] {
        let rig = fixture_with_target_group_pairs("");
        let before = rig.configuration().await;
        let (_, rollout) = rig.start_shifting("v2", CANARY).await;
        rig.shift_through(&rollout, CANARY, 10).await;
        sleep(Duration::from_secs(25 * 60)).await;
        let (health, _) = rig.wait_for_end(&rollout, 2400).await;
        let RolloutStatus::RolledBack(failure, _) = health else { panic!("{health:?}") };
        assert!(failure.problem.sentence.contains("timed out"), "{}", failure.problem);

        let next = EcsFixture { target: EcsFixture::new_process(&rig.cloud), cloud: rig.cloud.clone() };
        let (seen, again) = next.start_shifting("v3", shares).await;
        assert!(seen.needs_cleanup && seen.in_flight.is_none());
        if shares == [100] {
            assert_same_configuration(&before, &next.configuration().await);
            assert_eq!(next.call_count("UpdateService"), 2);
        } else {
            next.shift_through(&again, CANARY, 100).await;
        }
        assert!(matches!(next.wait_for_end(&again, 2400).await.0, RolloutStatus::Healthy(_)));
        next.target.clean_up(&again).await.unwrap();
        assert_same_configuration(&before, &next.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn no_op_release_restores_settings() {
    let rig = fixture_with_target_group_pairs("");
    let before = rig.configuration().await;
    let (_, rollout) = rig.start_shifting("v2", &[0, 100]).await;
    rig.shift_through(&rollout, &[0, 100], 100).await;
    sleep(Duration::from_secs(1200)).await;
    let next = EcsFixture::new_process(&rig.cloud);
    let seen = next.observe().await.unwrap();
    assert!(seen.needs_cleanup && matches!(seen.status, RolloutStatus::Healthy(_)), "{:?}", seen.status);
    let Version { id, label } = seen.version.unwrap();
    next.clean_up(&Rollout { version: id, label, ids: Vec::new() }).await.unwrap();
    assert_same_configuration(&before, &rig.configuration().await);
    next.clean_up(&rollout).await.unwrap();
    assert_eq!(rig.call_count("UpdateService"), 2);
}

#[tokio::test(start_paused = true)]
async fn lost_and_stale_answers_shift_once() {
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
        let rig = fixture_with_target_group_pairs(fault);
        let before = rig.configuration().await;
        let (_, rollout) = rig.start_shifting("v2", CANARY).await;
        assert_eq!(rig.shift_through(&rollout, CANARY, 100).await, [0, 10], "{fault}");
        let (health, _) = rig.wait_for_end(&rollout, 2400).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{fault}: {health:?}");
        rig.target.clean_up(&rollout).await.unwrap();
        sleep(Duration::from_secs(60)).await;
        assert_same_configuration(&before, &rig.configuration().await);
        assert_eq!(
            (rig.deployment_count().await, rig.call_count("ContinueServiceDeployment")),
            (2, 2),
            "{fault}"
        );
    }
    let rig =
        fixture_with_target_group_pairs("response-lost: { operation: StopServiceDeployment, times: 1 }");
    let (seen, rollout) = rig.start_shifting("v2", CANARY).await;
    rig.shift_through(&rollout, CANARY, 10).await;
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert!(matches!(rig.wait_for_end(&undo, 2400).await.0, RolloutStatus::Healthy(_)));
    assert_eq!(rig.deployment_count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn user_hooks_and_steps_are_kept() {
    let rig = fixture_with_target_group_pairs("");
    let lambda = json!({"targetType":"AWS_LAMBDA","hookTargetArn":"arn:aws:lambda:eu-west-1:1:function:f","roleArn":"arn:aws:iam::1:role/r","lifecycleStages":["POST_SCALE_UP"]});
    let pause = json!({"targetType":"PAUSE","lifecycleStages":["POST_TEST_TRAFFIC_SHIFT"],"timeoutConfiguration":{"timeoutInMinutes":60,"action":"CONTINUE"}});
    let steps = json!({"stepPercent": 5.5, "stepBakeTimeInMinutes": 3});
    rig.update_service(json!({"deploymentConfiguration":{"strategy":"LINEAR","bakeTimeInMinutes":4,"linearConfiguration":steps,"lifecycleHooks":[lambda, pause]}})).await;
    let before = rig.configuration().await;
    let (_, rollout) = rig.start_shifting("v2", CANARY).await;
    let mut stage = String::new();
    for _ in 0..200 {
        let health = rig.target.status(&rollout).await.unwrap();
        let RolloutStatus::Progressing(progress) = health else { panic!("{health:?}") };
        stage = progress.stage;
        if stage.contains("foreign pause hook") {
            break;
        }
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(stage, "IN_PROGRESS POST_TEST_TRAFFIC_SHIFT, paused at a foreign pause hook");
    assert_eq!(rig.target.shift_by_version(&continue_shift(&rollout, 10)).await.unwrap(), rollout);
    assert_eq!(rig.call_count("ContinueServiceDeployment"), 0);
    let flying = rig.target.reader.loader.deployment(&rollout.ids[1]).await.unwrap().unwrap();
    let waiting = flying.fired_hooks.iter().find(|hook| hook.status == "AWAITING_ACTION").unwrap();
    rig.target.reader.loader.client().continue_service_deployment(&flying.arn, &waiting.id).await.unwrap();
    assert_eq!(rig.shift_through(&rollout, CANARY, 100).await, [0, 10]);
    assert!(matches!(rig.wait_for_end(&rollout, 2400).await.0, RolloutStatus::Healthy(_)));
    rig.target.clean_up(&rollout).await.unwrap();
    let after = rig.configuration().await;
    assert_same_configuration(&before, &after);
    assert_eq!(before["linearConfiguration"], after["linearConfiguration"]);
}

#[tokio::test(start_paused = true)]
async fn foreign_deployment_is_continued_at_our_hook() {
    let rig = fixture_with_target_group_pairs("");
    let before = rig.configuration().await;
    let (seen, rollout) = rig.start_shifting("v2", &[0, 100]).await;
    rig.wait_for_pause(&rollout).await;
    let other = rig.target.stage(&rig.release("theirs"), &seen).await.unwrap().version;
    rig.update_service(json!({"taskDefinition": other.id})).await;
    sleep(Duration::from_secs(240)).await;
    let (health, _) = rig.wait_for_end(&rollout, 600).await;
    assert!(matches!(health, RolloutStatus::Superseded(_)), "{health:?}");
    rig.target.clean_up(&rollout).await.unwrap();
    assert_same_configuration(&before, &rig.configuration().await);
    let theirs = Rollout { version: other.id.clone(), label: other.label.clone(), ids: Vec::new() };
    sleep(Duration::from_secs(600)).await;
    let (health, _) = rig.wait_for_end(&theirs, 600).await;
    let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version, other);
}

#[tokio::test(start_paused = true)]
async fn older_run_keeps_hook_of_newer_run() {
    let rig = fixture_with_target_group_pairs("");
    let before = rig.configuration().await;
    let (seen, first) = rig.start_shifting("v2", CANARY).await;
    rig.shift_through(&first, CANARY, 10).await;
    let newer = EcsFixture { target: EcsFixture::new_process(&rig.cloud), cloud: rig.cloud.clone() };
    let (_, second) = newer.start_shifting("v3", CANARY).await;
    let (health, _) = rig.wait_for_end(&first, 600).await;
    assert!(matches!(health, RolloutStatus::Superseded(_)), "{health:?}");
    rig.target.clean_up(&first).await.unwrap();
    let refused = rig.target.shift_by_version(&roll_back(&seen, &first)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    let refused = rig.target.shift_by_version(&continue_shift(&first, 100)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    assert!(deployment_configuration::our_hook(&rig.configuration().await).is_some());
    assert_eq!(newer.shift_through(&second, CANARY, 100).await, [0, 10]);
    assert!(matches!(newer.wait_for_end(&second, 2400).await.0, RolloutStatus::Healthy(_)));
    newer.target.clean_up(&second).await.unwrap();
    assert_same_configuration(&before, &newer.configuration().await);
}

#[tokio::test(start_paused = true)]
async fn failure_while_paused_ends_the_wait() {
    for (fault, expected) in [
        ("crash-on-start: { exit-code: 9 }", Code::ContainerExited),
        ("crash-on-start: { exit-code: 9, after: 200 }", Code::ContainerExited),
        ("failing-health-check: {}", Code::HealthCheckFailed),
        ("flapping-health: { healthy: 100 }", Code::HealthCheckFailed),
        ("image-not-found: {}", Code::ImagePullFailed),
    ] {
        let rig = fixture_with_target_group_pairs(fault);
        let before = rig.configuration().await;
        let (seen, rollout) = rig.start_shifting("v2", CANARY).await;
        let mut health = rig.target.status(&rollout).await.unwrap();
        for _ in 0..1200 {
            if !matches!(health, RolloutStatus::Progressing(_) | RolloutStatus::Paused(_)) {
                break;
            }
            sleep(Duration::from_secs(2)).await;
            health = rig.target.status(&rollout).await.unwrap();
        }
        let RolloutStatus::Failed(failure) = health else { panic!("{fault}: {health:?}") };
        assert_eq!(failure.problem.code, expected, "{fault}: {}", failure.problem);
        let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
        let (health, _) = rig.wait_for_end(&undo, 2400).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{fault}: {health:?}");
        rig.target.clean_up(&undo).await.unwrap();
        assert_same_configuration(&before, &rig.configuration().await);
    }
}

#[tokio::test(start_paused = true)]
async fn rollout_completes_with_any_desired_count() {
    for (desired, fault) in [(0, ""), (1, ""), (2, "desired-count: { at: 130, to: 5 }")] {
        let mut scenario = scenario(fault).with_target_group_pairs();
        scenario.services[0].desired = desired;
        let rig = EcsFixture::new(scenario);
        let (_, rollout) = rig.start_shifting("v2", CANARY).await;
        assert_eq!(rig.shift_through(&rollout, CANARY, 100).await, [0, 10], "{desired}");
        let (health, _) = rig.wait_for_end(&rollout, 2400).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{desired} {health:?}");
    }
    let mut first = scenario("").with_target_group_pairs();
    first.services[0].completed = false;
    let rig = EcsFixture::new(first);
    let (_, rollout) = rig.start_shifting("v2", CANARY).await;
    // No version to split the traffic with: one continue shifts all of it.
    assert_eq!(rig.wait_for_pause(&rollout).await.percent, 0);
    rig.target.shift_by_version(&continue_shift(&rollout, 10)).await.unwrap();
    assert!(matches!(rig.wait_for_end(&rollout, 2400).await.0, RolloutStatus::Healthy(_)));
}

#[tokio::test(start_paused = true)]
async fn service_without_second_target_group_names_missing_requirements() {
    let rig = EcsFixture::new(scenario(""));
    let ability = rig.target.limits(&rig.target.observe().await.unwrap()).traffic;
    assert_eq!(ability.control, TrafficControl::InPlace);
    assert!(ability.missing.unwrap().contains("--cluster acme --service web"));
    let version = rig.target.observe().await.unwrap().version.unwrap();
    let odd = start_shift(&version, &[0, 3, 4, 100]);
    assert_eq!(rig.target.shift_by_version(&odd).await.unwrap_err().code, Code::Unsupported);
    assert_eq!(rig.target.shift_by_version(&shift_to(&version)).await.unwrap().ids.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_without_both_target_groups_fails_preflight() {
    let rig = fixture_with_target_group_pairs("");
    let rig = EcsFixture { target: rig.target.with_traffic_shift(true), cloud: rig.cloud };
    let seen = rig.target.observe().await.unwrap();
    let problems = rig.target.preflight(&rig.release("v2"), &seen).await;
    assert!(problems.is_empty(), "{problems:?}");
    let only = json!([{"Type": "forward", "Order": 1, "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": "x"}]}}]);
    rig.cloud.change(|world, _| {
        let rule = balancers::listener_rule_arn(world, "web", balancers::LISTENER_PORTS[0]);
        world.load_balancing.rules.get_mut(&rule).unwrap().actions = only.as_array().unwrap().clone();
    });
    let problems = rig.target.preflight(&rig.release("v2"), &seen).await;
    assert_eq!(
        problems.iter().map(|p| (p.code, p.is_error())).collect::<Vec<_>>(),
        [(Code::Unsupported, true)]
    );
    assert!(problems[0].sentence.contains("targetgroup/web-alternate/"), "{}", problems[0]);
}

#[tokio::test(start_paused = true)]
async fn each_missing_permission_of_a_traffic_plan_fails_preflight() {
    for action in [
        "ecs:ContinueServiceDeployment",
        "ecs:StopServiceDeployment",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeRules",
    ] {
        let rig = fixture_with_target_group_pairs(&format!("deny: {{ action: '{action}' }}"));
        let rig = EcsFixture { target: rig.target.with_traffic_shift(true), cloud: rig.cloud };
        let seen = rig.target.observe().await.unwrap();
        let problems = rig.target.preflight(&rig.release("v2"), &seen).await;
        let found: Vec<_> = problems.iter().map(|p| (p.code, p.is_error())).collect();
        assert_eq!(found, [(Code::PermissionMissing, true)], "{action} {problems:?}");
    }
}
