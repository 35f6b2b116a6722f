//! What holds on every tick of every deployment in stages: nobody's request is lost, enough healthy copies serve, weights are
//! never all zero, statuses follow each other as AWS documents.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::super::builtin::{Builtin, Need, builtin_scenarios};
use super::super::ecs::responses::serving::ServingState;
use super::super::elbv2::forward;
use super::invariants::is_legal_transition;
use super::staged_deployments::deploy_with;
use super::*;

fn find_violations(at: f64, it: &ServingState, statuses: &mut BTreeMap<String, &'static str>) -> Vec<String> {
    let mut broken = Vec::new();
    for (arn, status) in &it.deployments {
        let before = statuses.insert(arn.clone(), status);
        if before.is_some_and(|before| before != *status && !is_legal_transition(before, status)) {
            broken.push(format!("{at}: {status} after {before:?}"));
        }
    }
    let carried: f64 = it.traffic.values().sum();
    if it.desired > 0 && (it.lost_percent > 1e-9 || (carried - 100.0).abs() > 1e-6) {
        broken.push(format!("{at}: {} lost, {carried} carried: {it:?}", it.lost_percent));
    }
    if it.healthy_count() < it.desired {
        broken.push(format!("{at}: only {} healthy", it.healthy_count()));
    }
    let open =
        it.deployments.iter().filter(|(_, status)| ["IN_PROGRESS", "ROLLBACK_IN_PROGRESS"].contains(status));
    if open.count() > 1 {
        broken.push(format!("{at}: two deployments in progress"));
    }
    broken
}

fn strategy_for_seed(seed: u64) -> Value {
    match seed % 3 {
        0 => json!({"strategy": "CANARY", "bakeTimeInMinutes": 2,
                    "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 3}}),
        1 => json!({"strategy": "LINEAR", "bakeTimeInMinutes": 1,
                    "linearConfiguration": {"stepPercent": 25, "stepBakeTimeInMinutes": 1}}),
        _ => json!({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 4}),
    }
}

/// One deployment, and what somebody does to it after a while: nothing, a stop, or a newer deployment.
async fn run(named: &Builtin, seed: u64) -> Vec<String> {
    let mut world = named.apply_to(scenario()).unwrap();
    world.services[0].desired = 1 + (seed % 3) as u32;
    let cloud = Cloud::new(world, seed);
    let broken = Arc::new(Mutex::new(Vec::new()));
    let (written, mut statuses) = (broken.clone(), BTreeMap::new());
    cloud.on_tick(Box::new(move |at, services| {
        written.lock().unwrap().extend(find_violations(at, &services[0], &mut statuses));
    }));
    let (_, arn) = deploy_with(&cloud, strategy_for_seed(seed)).await;
    tokio::time::sleep(Duration::from_secs(seed * 53 % 600 + 1)).await;
    match seed / 3 % 3 {
        0 => {}
        1 => drop(send(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": arn})).await),
        _ => drop(deploy_v2(&cloud).await),
    }
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let all = cloud.read(|world| {
            let mut rules =
                world.load_balancing.rules.values().map(|rule| forward::forward_weights(&rule.actions));
            rules.all(|weights| weights.is_empty() || weights.iter().any(|(_, weight)| *weight > 0))
        });
        assert!(all, "a rule with no weight");
    }
    let end = cloud.serving_state("acme", "web").unwrap();
    let mut broken = broken.lock().unwrap().clone();
    if named.name != "canary-unhealthy" && end.only_version().is_none() {
        broken.push(format!("not whole in the end: {end:?}"));
    }
    broken.iter().map(|what| format!("{} seed {seed}: {what}", named.name)).collect()
}

#[tokio::test(start_paused = true)]
async fn no_staged_deployment_violates_the_invariants() {
    let mut broken = Vec::new();
    let staged = |need: &Need| matches!(need, Need::Strategy(_) | Need::Analysis);
    for named in builtin_scenarios().filter(|named| named.needs.iter().any(staged)) {
        for seed in 0..27 {
            broken.extend(run(named, seed).await);
        }
    }
    assert!(broken.is_empty(), "{} times: {:#?}", broken.len(), &broken[..broken.len().min(12)]);
}
