//! A pair of services on the embedded cloud: what another process can do with a movement by its ids alone.

use std::time::Duration;

use tokio::time::sleep;

use super::pair::{Pair, Wish};
use super::rehearsals::{ECR, config};
use super::settings::RuleArn;
use super::{Declared, Settings, Shared};
use crate::problem::Code;
use crate::rehearsal::balancers::{self, PORTS};
use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::scenario::Scenario;
use crate::release::{Course, Health, Observed, Release, Rollout, Span, Split, Version, Way};
use crate::targets::Target;
use crate::targets::ecs::settings::PairSettings;

fn world() -> Cloud {
    fastrand::seed(7);
    Cloud::new(Scenario::default_for([("acme", "web")]).with_twins(), 7)
}

/// The pair as another process sees it.
fn pair(cloud: &Cloud) -> Pair {
    let rule = cloud.read(|world| balancers::rule(world, "web", PORTS[0]));
    let rule = RuleArn::try_from(rule).unwrap();
    let second = PairSettings { service: "web-green".into(), rule, scale_down: false };
    let settings = Settings { cluster: "acme".into(), service: "web".into(), ..Settings::default() };
    let config = config(cloud);
    let (shared, wish) = (Shared::new(&config), Wish { shifts: true, bake: Span::minutes(1) });
    Pair::new(&settings, second, (Declared::default(), Vec::new()), (&shared, &config), wish)
}

fn release(cloud: &Cloud, content: &str) -> Release {
    let digest = cloud.push("web", &[content], "linux/amd64", content);
    Release {
        service: "web".into(),
        environment: "production".into(),
        image: Some(format!("{ECR}/web@{digest}").parse().unwrap()),
        tag: None,
        definition: None,
        commit: None,
        former: None,
        settings: Vec::new(),
    }
}

fn set(cloud: &Cloud, first: u32, second: u32) {
    cloud.change(|world, _| {
        let rule = balancers::rule(world, "web", PORTS[0]);
        let actions = &mut world.balancing.rules.get_mut(&rule).unwrap().actions;
        let groups = &mut actions[0]["ForwardConfig"]["TargetGroups"];
        (groups[0]["Weight"], groups[1]["Weight"]) = (first.into(), second.into());
    });
}

async fn weights(pair: &Pair) -> [i32; 2] {
    pair.sight().await.unwrap().weights().0
}

fn split(version: &Version, percent: u8, way: Way) -> Split {
    Split { version: version.clone(), percent, way }
}

fn course() -> Course {
    Course { shares: vec![0, 10, 100], bake: Span::minutes(2), patience: Span::minutes(30) }
}

/// Brings a version up without traffic; waits until it holds.
async fn beside(cloud: &Cloud, pair: &Pair, content: &str) -> (Observed, Version, Rollout) {
    let seen = pair.observe().await.unwrap();
    let version = pair.stage(&release(cloud, content), &seen).await.unwrap();
    let way = Way::Start { course: course(), again: false };
    let rollout = pair.route(&split(&version, 0, way)).await.unwrap();
    settled(pair, &rollout).await;
    (seen, version, rollout)
}

async fn settled(pair: &Pair, rollout: &Rollout) -> Health {
    for _ in 0..600 {
        let health = pair.probe(rollout).await.unwrap();
        if !matches!(health, Health::Progressing(_) | Health::Unknown(_)) {
            return health;
        }
        sleep(Duration::from_secs(2)).await;
    }
    panic!("never settled")
}

#[tokio::test(start_paused = true)]
async fn a_hold_names_both_arms() {
    let cloud = world();
    let pair = pair(&cloud);
    let (_, version, rollout) = beside(&cloud, &pair, "v2").await;
    let rollout = pair.route(&split(&version, 10, Way::Onward(rollout))).await.unwrap();
    let Health::Holding(hold) = pair.probe(&rollout).await.unwrap() else { panic!() };
    let arms = hold.arms.unwrap();
    assert_eq!(
        (hold.percent, arms.canary.version.label.as_str(), arms.baseline.version.label.as_str()),
        (10, "web:2", "web:1")
    );
    let group = |name: &str| cloud.read(|world| balancers::target_group(world, name));
    let balancer = cloud.read(|world| balancers::balancer(world, "web"));
    assert!(group("web-green").ends_with(&format!(":{}", arms.canary.labels["TargetGroup"])));
    assert!(group("web").ends_with(&format!(":{}", arms.baseline.labels["TargetGroup"])));
    assert!(balancer.ends_with(&format!("/{}", arms.canary.labels["LoadBalancer"])), "{balancer}");
    assert_eq!(cloud.serving("acme", "web-green").unwrap().traffic.values().sum::<f64>(), 10.0);
}

#[tokio::test(start_paused = true)]
async fn another_process_takes_back_from_the_ids_alone_also_what_they_do_not_know_yet() {
    let cloud = world();
    let first = pair(&cloud);
    let (seen, version, early) = beside(&cloud, &first, "v2").await;
    first.route(&split(&version, 10, Way::Onward(early.clone()))).await.unwrap();
    // The run died before it could write down that it gave 10 %.
    let other = pair(&cloud);
    let back = split(seen.refuge().unwrap(), 100, Way::Back(Some(early)));
    let rollout = other.route(&back).await.unwrap();
    assert_eq!(weights(&other).await, [100, 0]);
    let Health::Healthy(proof) = settled(&other, &rollout).await else { panic!() };
    assert_eq!(proof.version.label, "web:1");
    assert!(proof.evidence.ends_with("weights web 100 and web-green 0"), "{}", proof.evidence);
    assert_eq!(other.route(&back).await.unwrap(), rollout, "asking twice moves once");
}

#[tokio::test(start_paused = true)]
async fn weights_that_are_not_ours_are_left_alone_in_either_direction() {
    let cloud = world();
    let pair = pair(&cloud);
    let (seen, version, rollout) = beside(&cloud, &pair, "v2").await;
    set(&cloud, 70, 30);
    let onward = split(&version, 10, Way::Onward(rollout.clone()));
    assert_eq!(pair.route(&onward).await.unwrap_err().code, Code::Superseded);
    let back = split(seen.refuge().unwrap(), 100, Way::Back(Some(rollout.clone())));
    assert_eq!(pair.route(&back).await.unwrap_err().code, Code::Superseded);
    assert!(matches!(pair.probe(&rollout).await.unwrap(), Health::Superseded(_)));
    assert_eq!(weights(&pair).await, [70, 30]);
}

#[tokio::test(start_paused = true)]
async fn no_traffic_goes_to_a_service_without_a_healthy_target() {
    let cloud = world();
    let pair = pair(&cloud);
    let (seen, version, rollout) = beside(&cloud, &pair, "v2").await;
    let rollout = pair.route(&split(&version, 100, Way::Onward(rollout))).await;
    let rollout = rollout.unwrap();
    pair.client.scale("acme", "web", 0, None).await.unwrap();
    sleep(Duration::from_secs(120)).await;
    let back = split(seen.refuge().unwrap(), 100, Way::Back(Some(rollout.clone())));
    assert_eq!(pair.route(&back).await.unwrap_err().code, Code::RollbackTargetBroken);
    assert_eq!(weights(&pair).await, [0, 100]);
    pair.client.scale("acme", "web", 2, None).await.unwrap();
    sleep(Duration::from_secs(300)).await;
    pair.route(&back).await.unwrap();
    assert_eq!(weights(&pair).await, [100, 0]);
}

#[tokio::test(start_paused = true)]
async fn back_on_demand_goes_by_weights_where_the_old_version_stands_ready() {
    let cloud = world();
    let pair = pair(&cloud);
    let (_, version, rollout) = beside(&cloud, &pair, "v2").await;
    pair.route(&split(&version, 100, Way::Onward(rollout))).await.unwrap();
    let seen = pair.observe().await.unwrap();
    assert_eq!(seen.version.as_ref().map(|v| v.label.as_str()), Some("web:2"));
    let before = seen.previous.clone().unwrap();
    assert_eq!(before.label, "web:1");
    let rollout = pair.route(&split(&before, 100, Way::Back(None))).await.unwrap();
    assert_eq!(weights(&pair).await, [100, 0]);
    assert!(matches!(settled(&pair, &rollout).await, Health::Healthy(_)));
    let after = pair.observe().await.unwrap();
    assert_eq!(after.version, Some(before));
    assert_eq!(after.previous, None, "what was taken back is nothing to return to");
}

#[tokio::test(start_paused = true)]
async fn a_third_version_takes_back_the_shift_of_a_dead_run_first() {
    let cloud = world();
    let first = pair(&cloud);
    let (_, version, rollout) = beside(&cloud, &first, "v2").await;
    first.route(&split(&version, 10, Way::Onward(rollout.clone()))).await.unwrap();
    let second = pair(&cloud);
    let seen = second.observe().await.unwrap();
    assert_eq!(
        seen.in_flight.as_ref().map(|flight| flight.rollout.version.as_str()),
        Some(version.id.as_str())
    );
    assert_eq!(seen.refuge().map(|version| version.label.as_str()), Some("web:1"));
    let third = second.stage(&release(&cloud, "v3"), &seen).await.unwrap();
    let way = Way::Start { course: course(), again: false };
    let rollout_3 = second.route(&split(&third, 0, way)).await.unwrap();
    assert_eq!(weights(&second).await, [100, 0]);
    assert!(matches!(settled(&second, &rollout_3).await, Health::Holding(_)));
    // The run that was thought dead wakes up: it changes nothing any more.
    let onward = split(&version, 100, Way::Onward(rollout));
    assert_eq!(first.route(&onward).await.unwrap_err().code, Code::Superseded);
    assert_eq!(weights(&first).await, [100, 0]);
}
