//! A pair of services on the emulator: another process continues and rolls back by the rollout's ids.

use std::time::Duration;

use tokio::time::sleep;

use super::super::pair::{PairOptions, ServicePair, member_settings};
use super::super::settings::RuleArn;
use super::super::target_tests::{ECR, ShiftByVersion, config};
use super::super::{Ecs, ExpectedAccount, Settings, SharedClients};
use crate::problem::Code;
use crate::release::{
    HumanDuration, Observed, Release, Rollout, RolloutStatus, ShiftKind, TrafficPlan, TrafficShift, Version,
};
use crate::targets::Target;
use crate::targets::ecs::settings::PairSettings;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::elbv2::balancers::{self, LISTENER_PORTS};
use roadstead_cloud::scenario::Scenario;

fn cloud_with_pair() -> Cloud {
    fastrand::seed(7);
    Cloud::new(Scenario::default_for([("acme", "web")]).with_service_pairs(), 7)
}

/// The pair in another process.
fn pair(cloud: &Cloud) -> ServicePair {
    let rule = cloud.read(|world| balancers::listener_rule_arn(world, "web", LISTENER_PORTS[0]));
    let rule = RuleArn::try_from(rule).unwrap();
    let second = PairSettings { service: "web-green".into(), rule, scale_down: false };
    let settings = Settings { cluster: "acme".into(), service: "web".into(), ..Settings::default() };
    let config = config(cloud);
    let (shared, wish) = (
        SharedClients::new(&config),
        PairOptions { shifts_traffic: true, bake: HumanDuration::from_minutes(1) },
    );
    let members = member_settings(&settings, &second)
        .map(|settings| Ecs::new(settings, ExpectedAccount::default(), Vec::new(), &shared));
    ServicePair::new(members, second, &shared, wish)
}

fn release(cloud: &Cloud, content: &str) -> Release {
    let digest = cloud.push_image("web", &[content], "linux/amd64", content);
    Release {
        image: Some(format!("{ECR}/web@{digest}").parse().unwrap()),
        ..Release::of("web", "production")
    }
}

fn set_weights(cloud: &Cloud, first: u32, second: u32) {
    cloud.change(|world, _| {
        let rule = balancers::listener_rule_arn(world, "web", LISTENER_PORTS[0]);
        let actions = &mut world.load_balancing.rules.get_mut(&rule).unwrap().actions;
        let groups = &mut actions[0]["ForwardConfig"]["TargetGroups"];
        (groups[0]["Weight"], groups[1]["Weight"]) = (first.into(), second.into());
    });
}

async fn weights(pair: &ServicePair) -> [i32; 2] {
    pair.read_state().await.unwrap().weights().0
}

fn traffic_shift(version: &Version, percent: u8, way: ShiftKind) -> TrafficShift {
    TrafficShift { version: version.clone(), percent, kind: way }
}

fn plan() -> TrafficPlan {
    TrafficPlan {
        weights: vec![0, 10, 100],
        bake: HumanDuration::from_minutes(2),
        hook_timeout: HumanDuration::from_minutes(30),
    }
}

/// Brings a version up without traffic; waits until the shift is paused.
async fn start_paused_shift(
    cloud: &Cloud,
    pair: &ServicePair,
    content: &str,
) -> (Observed, Version, Rollout) {
    let seen = pair.observe().await.unwrap();
    let version = pair.stage(&release(cloud, content), &seen).await.unwrap().version;
    let way = ShiftKind::Start { plan: plan(), force: false };
    let rollout = pair.shift_by_version(&traffic_shift(&version, 0, way)).await.unwrap();
    wait_for_result(pair, &rollout).await;
    (seen, version, rollout)
}

async fn wait_for_result(pair: &ServicePair, rollout: &Rollout) -> RolloutStatus {
    for _ in 0..600 {
        let health = pair.status(rollout).await.unwrap();
        if !matches!(health, RolloutStatus::Progressing(_) | RolloutStatus::Unknown(_)) {
            return health;
        }
        sleep(Duration::from_secs(2)).await;
    }
    panic!("never settled")
}

#[tokio::test(start_paused = true)]
async fn pause_names_both_variants() {
    let cloud = cloud_with_pair();
    let pair = pair(&cloud);
    let (_, version, rollout) = start_paused_shift(&cloud, &pair, "v2").await;
    let rollout =
        pair.shift_by_version(&traffic_shift(&version, 10, ShiftKind::Continue(rollout))).await.unwrap();
    let RolloutStatus::Paused(pause) = pair.status(&rollout).await.unwrap() else { panic!() };
    let variants = pause.variants.unwrap();
    assert_eq!(
        (pause.percent, variants.canary.version.label.as_str(), variants.baseline.version.label.as_str()),
        (10, "web:2", "web:1")
    );
    let group = |name: &str| cloud.read(|world| balancers::target_group_arn(world, name));
    let balancer = cloud.read(|world| balancers::load_balancer_arn(world, "web"));
    assert!(group("web-green").ends_with(&format!(":{}", variants.canary.labels["TargetGroup"])));
    assert!(group("web").ends_with(&format!(":{}", variants.baseline.labels["TargetGroup"])));
    assert!(balancer.ends_with(&format!("/{}", variants.canary.labels["LoadBalancer"])), "{balancer}");
    assert_eq!(cloud.serving_state("acme", "web-green").unwrap().traffic.values().sum::<f64>(), 10.0);
}

#[tokio::test(start_paused = true)]
async fn another_process_rolls_back_from_rollout_ids() {
    let cloud = cloud_with_pair();
    let first = pair(&cloud);
    let (seen, version, early) = start_paused_shift(&cloud, &first, "v2").await;
    first.shift_by_version(&traffic_shift(&version, 10, ShiftKind::Continue(early.clone()))).await.unwrap();
    // The run ended before it could save that it requested 10 %.
    let other = pair(&cloud);
    let back = traffic_shift(seen.last_known_good().unwrap(), 100, ShiftKind::RollBack(Some(early)));
    let rollout = other.shift_by_version(&back).await.unwrap();
    assert_eq!(weights(&other).await, [100, 0]);
    let RolloutStatus::Healthy(proof) = wait_for_result(&other, &rollout).await else { panic!() };
    assert_eq!(proof.version.label, "web:1");
    assert!(proof.evidence.ends_with("weights web 100 and web-green 0"), "{}", proof.evidence);
    assert_eq!(other.shift_by_version(&back).await.unwrap(), rollout, "a second call changes nothing");
}

#[tokio::test(start_paused = true)]
async fn foreign_weights_are_not_changed() {
    let cloud = cloud_with_pair();
    let pair = pair(&cloud);
    let (seen, version, rollout) = start_paused_shift(&cloud, &pair, "v2").await;
    set_weights(&cloud, 70, 30);
    let onward = traffic_shift(&version, 10, ShiftKind::Continue(rollout.clone()));
    assert_eq!(pair.shift_by_version(&onward).await.unwrap_err().code, Code::Superseded);
    let back =
        traffic_shift(seen.last_known_good().unwrap(), 100, ShiftKind::RollBack(Some(rollout.clone())));
    assert_eq!(pair.shift_by_version(&back).await.unwrap_err().code, Code::Superseded);
    assert!(matches!(pair.status(&rollout).await.unwrap(), RolloutStatus::Superseded(_)));
    assert_eq!(weights(&pair).await, [70, 30]);
}

#[tokio::test(start_paused = true)]
async fn traffic_is_not_shifted_to_a_service_without_healthy_targets() {
    let cloud = cloud_with_pair();
    let pair = pair(&cloud);
    let (seen, version, rollout) = start_paused_shift(&cloud, &pair, "v2").await;
    let rollout = pair.shift_by_version(&traffic_shift(&version, 100, ShiftKind::Continue(rollout))).await;
    let rollout = rollout.unwrap();
    pair.client.scale("acme", "web", 0, None).await.unwrap();
    sleep(Duration::from_secs(120)).await;
    let back =
        traffic_shift(seen.last_known_good().unwrap(), 100, ShiftKind::RollBack(Some(rollout.clone())));
    assert_eq!(pair.shift_by_version(&back).await.unwrap_err().code, Code::RollbackTargetBroken);
    assert_eq!(weights(&pair).await, [0, 100]);
    pair.client.scale("acme", "web", 2, None).await.unwrap();
    sleep(Duration::from_secs(300)).await;
    pair.shift_by_version(&back).await.unwrap();
    assert_eq!(weights(&pair).await, [100, 0]);
}

#[tokio::test(start_paused = true)]
async fn rollback_on_demand_shifts_weights_when_old_version_is_ready() {
    let cloud = cloud_with_pair();
    let pair = pair(&cloud);
    let (_, version, rollout) = start_paused_shift(&cloud, &pair, "v2").await;
    pair.shift_by_version(&traffic_shift(&version, 100, ShiftKind::Continue(rollout))).await.unwrap();
    let seen = pair.observe().await.unwrap();
    assert_eq!(seen.version.as_ref().map(|v| v.label.as_str()), Some("web:2"));
    let before = seen.previous.clone().unwrap();
    assert_eq!(before.label, "web:1");
    let rollout =
        pair.shift_by_version(&traffic_shift(&before, 100, ShiftKind::RollBack(None))).await.unwrap();
    assert_eq!(weights(&pair).await, [100, 0]);
    assert!(matches!(wait_for_result(&pair, &rollout).await, RolloutStatus::Healthy(_)));
    let after = pair.observe().await.unwrap();
    assert_eq!(after.version, Some(before));
    assert_eq!(after.previous, None, "a rolled-back version is no rollback target");
}

#[tokio::test(start_paused = true)]
async fn new_version_first_ends_the_shift_of_a_lost_run() {
    let cloud = cloud_with_pair();
    let first = pair(&cloud);
    let (_, version, rollout) = start_paused_shift(&cloud, &first, "v2").await;
    first.shift_by_version(&traffic_shift(&version, 10, ShiftKind::Continue(rollout.clone()))).await.unwrap();
    let second = pair(&cloud);
    let seen = second.observe().await.unwrap();
    assert_eq!(
        seen.in_flight.as_ref().map(|flight| flight.rollout.version.as_str()),
        Some(version.id.as_str())
    );
    assert_eq!(seen.last_known_good().map(|version| version.label.as_str()), Some("web:1"));
    let third = second.stage(&release(&cloud, "v3"), &seen).await.unwrap().version;
    let way = ShiftKind::Start { plan: plan(), force: false };
    let rollout_3 = second.shift_by_version(&traffic_shift(&third, 0, way)).await.unwrap();
    assert_eq!(weights(&second).await, [100, 0]);
    assert!(matches!(wait_for_result(&second, &rollout_3).await, RolloutStatus::Paused(_)));
    // The lost run resumes: it changes nothing any more.
    let onward = traffic_shift(&version, 100, ShiftKind::Continue(rollout));
    assert_eq!(first.shift_by_version(&onward).await.unwrap_err().code, Code::Superseded);
    assert_eq!(weights(&first).await, [100, 0]);
}
