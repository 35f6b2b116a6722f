//! What tests see of a service without asking the API: which version serves, and how far its deployment is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::state::State;
use super::{scheduler, services};

/// What runs of one task definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Served {
    /// Tasks that run and shall run.
    pub running: usize,
    /// Those of them that count as healthy.
    pub healthy: usize,
    /// Image digests of their containers.
    pub digests: BTreeSet<String>,
}

/// What serves, and how far the newest deployment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Name of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub service: String,
    /// Its status.
    pub status: String,
    /// Desired count.
    pub desired: usize,
    /// The fewest healthy tasks that its deployments leave.
    pub least_healthy: usize,
    /// What runs, by ARN of the task definition.
    pub versions: BTreeMap<String, Served>,
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
}

impl Serving {
    /// Healthy tasks of all versions.
    pub fn healthy(&self) -> usize {
        self.versions.values().map(|served| served.healthy).sum()
    }

    /// Whether one version alone runs, with all the tasks it shall have, all healthy: its ARN.
    pub fn whole(&self) -> Option<&str> {
        match self.versions.iter().next() {
            Some((arn, served)) if self.versions.len() == 1 && served.healthy == self.desired => Some(arn),
            _ => None,
        }
    }
}

/// What serves of one service.
pub fn serving(ecs: &State, cluster: &str, service: &str) -> Option<Serving> {
    let cluster = ecs.clusters.iter().position(|name| name == cluster)?;
    services::named(ecs, cluster, service).map(|index| look(ecs, index))
}

/// What serves of every service that is not gone.
pub fn all(ecs: &State) -> Vec<Serving> {
    (0..ecs.services.len())
        .filter(|&index| ecs.services[index].status != "INACTIVE")
        .map(|index| look(ecs, index))
        .collect()
}

fn look(ecs: &State, index: usize) -> Serving {
    let it = &ecs.services[index];
    let mut versions: BTreeMap<String, Served> = BTreeMap::new();
    for task in it.tasks.iter().map(|&task| &ecs.tasks[task]).filter(|task| task.serves()) {
        let served = versions.entry(ecs.definitions[task.definition].arn.clone()).or_default();
        served.running += 1;
        served.healthy += usize::from(task.healthy);
        served.digests.extend(task.containers.iter().filter_map(|container| container.digest.clone()));
    }
    let primary = it.deployments.first().map(|&deployment| &ecs.deployments[deployment]);
    let rollout = it.rollouts.last().map(|&rollout| &ecs.rollouts[rollout]);
    let definition = primary.map(|d| &ecs.definitions[ecs.revisions[d.revision].definition]);
    Serving {
        cluster: ecs.clusters[it.cluster].clone(),
        service: it.name.clone(),
        status: it.status.into(),
        desired: it.desired as usize,
        least_healthy: scheduler::limits(it).0,
        versions,
        primary: definition.map(|d| d.arn.clone()).unwrap_or_default(),
        rollout_state: primary.map_or("", |d| d.state).into(),
        deployment: rollout.map(|r| r.arn.clone()).unwrap_or_default(),
        deployment_status: rollout.map_or("", |r| r.status.name()).into(),
        configuration: it.members.get("deploymentConfiguration").cloned().unwrap_or_default(),
    }
}
