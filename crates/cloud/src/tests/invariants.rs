//! What holds in every scenario, with every seed: legal transitions of service deployments, and the scheduler's limits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::super::builtin::{Builtin, builtin_scenarios};
use super::super::ecs::responses::serving::ServingState;
use super::*;

/// The state machine of a service deployment as AWS documents it.
pub(super) fn is_legal_transition(from: &str, to: &str) -> bool {
    let allowed: &[&str] = match from {
        "PENDING" => &["IN_PROGRESS", "ROLLBACK_REQUESTED", "STOP_REQUESTED", "STOPPED"],
        "IN_PROGRESS" => {
            &["SUCCESSFUL", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS", "STOPPED"]
        }
        "STOP_REQUESTED" => &["STOPPED"],
        "ROLLBACK_REQUESTED" => &["SUCCESSFUL", "ROLLBACK_IN_PROGRESS", "STOPPED"],
        "ROLLBACK_IN_PROGRESS" => &["ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"],
        _ => &[],
    };
    allowed.contains(&to)
}

/// Watch every state; what breaks a law is written down.
fn watch_invariants(cloud: &Cloud, sound: bool) -> Arc<Mutex<Vec<String>>> {
    let broken = Arc::new(Mutex::new(Vec::new()));
    let written = broken.clone();
    let mut statuses: BTreeMap<String, String> = BTreeMap::new();
    cloud.on_tick(Box::new(move |at, services| {
        let it: &ServingState = &services[0];
        let mut written = written.lock().unwrap();
        let before = statuses.insert(it.deployment.clone(), it.deployment_status.clone());
        if before.as_ref().is_some_and(|from| {
            *from != it.deployment_status && !is_legal_transition(from, &it.deployment_status)
        }) {
            written.push(format!("{at}: {} after {}", it.deployment_status, before.unwrap()));
        }
        let running: usize = it.versions.values().map(|served| served.running).sum();
        if running > it.desired * 2 {
            written.push(format!("{at}: {running} tasks run"));
        }
        if sound && it.healthy_count() < it.min_healthy.min(2) {
            written.push(format!("{at}: only {} healthy", it.healthy_count()));
        }
    }));
    broken
}

async fn run(named: &Builtin, seed: u64, stop_after: Option<u64>) -> Vec<String> {
    let cloud = Cloud::new(named.apply_to(scenario()).unwrap(), seed);
    // Tasks that were healthy and fail later are not the scheduler's doing.
    let broken = watch_invariants(&cloud, named.name != "flapping-health");
    let update = json!({"cluster": "acme", "service": "web", "taskDefinition": "web:2"});
    cloud.push_image("web", &["v2"], "linux/amd64", "v2");
    let family = call_ok(&cloud, "DescribeTaskDefinition", json!({"taskDefinition": "web"})).await;
    let mut definition = family["taskDefinition"].clone();
    definition["containerDefinitions"][0]["image"] =
        "111111111111.dkr.ecr.eu-west-1.amazonaws.com/web:v2".into();
    call_ok(&cloud, "RegisterTaskDefinition", definition).await;
    send(&cloud, "UpdateService", update).await;
    let newest = cloud.serving_state("acme", "web").unwrap().deployment;
    if let Some(seconds) = stop_after {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        send(&cloud, "StopServiceDeployment", json!({"serviceDeploymentArn": newest})).await;
    }
    tokio::time::sleep(Duration::from_secs(3000)).await;
    let end = cloud.serving_state("acme", "web").unwrap();
    let mut broken = broken.lock().unwrap().clone();
    let endless = ["no-capacity", "flapping-health"].contains(&named.name) && stop_after.is_none();
    if !endless
        && ["PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"].contains(&end.deployment_status.as_str())
    {
        broken.push(format!("still {}", end.deployment_status));
    }
    broken.iter().map(|what| format!("{} seed {seed} stop {stop_after:?}: {what}", named.name)).collect()
}

#[tokio::test(start_paused = true)]
async fn no_scenario_violates_the_invariants() {
    let mut broken = Vec::new();
    let of_ecs = |named: &&Builtin| !named.name.starts_with("argocd-") && !named.name.starts_with("git");
    for named in builtin_scenarios().filter(of_ecs) {
        for seed in 0..8 {
            broken.extend(run(named, seed, None).await);
            broken.extend(run(named, seed, Some(seed * 17 + 1)).await);
        }
    }
    assert!(broken.is_empty(), "{} times: {:#?}", broken.len(), &broken[..broken.len().min(12)]);
}
