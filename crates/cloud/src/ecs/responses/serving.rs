//! What tests see of a service without asking the API: which version serves, and how far its deployment is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::super::cloud::Cloud;
use super::super::super::traffic::routing;
use super::super::super::world::World;
use super::super::{listener_routes, scheduler, services};

/// What runs of one task definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServedVersion {
    /// Tasks that run and shall run.
    pub running: usize,
    /// Those of them that count as healthy.
    pub healthy: usize,
    /// Image digests of their containers.
    pub digests: BTreeSet<String>,
}

/// What serves, and how far the newest deployment is.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingState {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub service: String,
    /// Its status.
    pub status: String,
    /// Desired count.
    pub desired: usize,
    /// The fewest healthy tasks that its deployments leave.
    pub min_healthy: usize,
    /// What runs, by ARN of the task definition.
    pub versions: BTreeMap<String, ServedVersion>,
    /// Task definition of the PRIMARY deployment; empty when there is none.
    pub primary: String,
    /// `rolloutState` of the PRIMARY deployment.
    pub rollout_state: String,
    /// ARN of the newest service deployment; empty when there is none.
    pub deployment: String,
    /// Its status.
    pub deployment_status: String,
    /// The service's own deployment configuration, as it was set.
    pub configuration: Value,
    /// All its service deployments with their statuses, oldest first.
    pub deployments: Vec<(String, &'static str)>,
    /// Percent of the traffic in front of it that each version has now, by ARN of the task definition: by the weights of the
    /// listener rule, then evenly over healthy targets. Without a load balancer, evenly over healthy tasks.
    pub traffic: BTreeMap<String, f64>,
    /// Percent of that traffic that nobody takes.
    pub lost_percent: f64,
}

impl ServingState {
    /// Healthy tasks of all versions.
    pub fn healthy_count(&self) -> usize {
        self.versions.values().map(|served| served.healthy).sum()
    }

    /// Whether one version alone runs, with all the tasks it shall have, all healthy: its ARN.
    pub fn only_version(&self) -> Option<&str> {
        match self.versions.iter().next() {
            Some((arn, served)) if self.versions.len() == 1 && served.healthy == self.desired => Some(arn),
            _ => None,
        }
    }
}

/// What serves of one service.
pub fn serving_state(world: &World, cluster: &str, service: &str) -> Option<ServingState> {
    let ecs = &world.ecs;
    let cluster = ecs.clusters.iter().position(|name| name == cluster)?;
    services::find_by_name(ecs, cluster, service).map(|index| read_serving_state(world, index))
}

/// The tasks that no service started, oldest first: who did, and how far each is.
pub fn describe_one_offs(world: &World) -> Vec<String> {
    let all = world.ecs.one_off_tasks.iter();
    all.map(|it| format!("{} {}", it.started_by.as_deref().unwrap_or("-"), it.last_status)).collect()
}

/// What serves of every service that is not gone.
pub fn all_serving_states(world: &World) -> Vec<ServingState> {
    let ecs = &world.ecs;
    (0..ecs.services.len())
        .filter(|&index| ecs.services[index].status != "INACTIVE")
        .map(|index| read_serving_state(world, index))
        .collect()
}

/// Traffic of each version of a service, and what is lost in front of it.
fn traffic_by_version(
    world: &World,
    index: usize,
    versions: &BTreeMap<String, ServedVersion>,
) -> (BTreeMap<String, f64>, f64) {
    let it = &world.ecs.services[index];
    let revision = it.deployments.first().map(|&deployment| world.ecs.deployments[deployment].revision);
    let groups = revision
        .map(|revision| listener_routes::target_groups(&world.ecs.revisions[revision]))
        .unwrap_or_default();
    let rule = groups.first().and_then(|(group, _)| routing::find_production_rule(world, group));
    let Some(rule) = rule else {
        let all: usize = versions.values().map(|served| served.healthy).sum();
        let share = |served: &ServedVersion| 100.0 * served.healthy as f64 / all.max(1) as f64;
        return (versions.iter().map(|(arn, served)| (arn.clone(), share(served))).collect(), 0.0);
    };
    let flow = routing::route_traffic(world, rule);
    let mut shares: BTreeMap<String, f64> = BTreeMap::new();
    for ((_, definition), share) in flow.shares {
        let arn = &world.ecs.definitions[definition].arn;
        // A rule may lead to other services too.
        if versions.contains_key(arn) {
            *shares.entry(arn.clone()).or_default() += 100.0 * share;
        }
    }
    (shares, 100.0 * flow.lost_share)
}

fn read_serving_state(world: &World, index: usize) -> ServingState {
    let ecs = &world.ecs;
    let it = &ecs.services[index];
    let mut versions: BTreeMap<String, ServedVersion> = BTreeMap::new();
    for task in it.tasks.iter().map(|&task| &ecs.tasks[task]).filter(|task| task.is_serving()) {
        let served = versions.entry(ecs.definitions[task.definition].arn.clone()).or_default();
        served.running += 1;
        served.healthy += usize::from(task.healthy);
        served.digests.extend(task.containers.iter().filter_map(|container| container.digest.clone()));
    }
    let primary = it.deployments.first().map(|&deployment| &ecs.deployments[deployment]);
    let rollout = it.service_deployments.last().map(|&rollout| &ecs.service_deployments[rollout]);
    let definition = primary.map(|d| &ecs.definitions[ecs.revisions[d.revision].definition]);
    let (traffic, lost) = traffic_by_version(world, index, &versions);
    ServingState {
        cluster: ecs.clusters[it.cluster].clone(),
        service: it.name.clone(),
        status: it.status.into(),
        desired: it.desired as usize,
        min_healthy: scheduler::task_limits(it).0,
        versions,
        primary: definition.map(|d| d.arn.clone()).unwrap_or_default(),
        rollout_state: primary.map_or("", |d| d.state).into(),
        deployment: rollout.map(|r| r.arn.clone()).unwrap_or_default(),
        deployment_status: rollout.map_or("", |r| r.status.name()).into(),
        configuration: it.members.get("deploymentConfiguration").cloned().unwrap_or_default(),
        deployments: it
            .service_deployments
            .iter()
            .map(|&rollout| {
                (ecs.service_deployments[rollout].arn.clone(), ecs.service_deployments[rollout].status.name())
            })
            .collect(),
        traffic,
        lost_percent: lost,
    }
}

impl Cloud {
    /// What serves of a service now.
    pub fn serving_state(&self, cluster: &str, service: &str) -> Option<ServingState> {
        self.read(|world| serving_state(world, cluster, service))
    }
}
