//! Faults of ECS and their effects: reads that lag, and outside changes of a service.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::faults::Fault;
use super::super::timed_faults;
use super::super::world::World;
use super::outside_changes;
use super::state::EcsState;

/// Reads that lag behind.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StaleReads {
    /// Seconds after an UpdateService during which service reads show the time before it.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// The answer of the update, too, does not know the new service deployment yet.
    #[serde(default)]
    pub in_answer: bool,
}

/// Somebody else's deployment of the same service.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SupersedingDeployment {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
    /// The service; the one that the client deployed when absent.
    #[serde(default)]
    pub service: Option<String>,
    /// Whether it is a redeployment of what the service runs by then (`forceNewDeployment`).
    #[serde(default)]
    pub same_version: bool,
}

/// Autoscaling sets another desired count.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DesiredCountChange {
    /// Seconds after the first deployment that the client starts.
    pub at: f64,
    /// The new desired count.
    pub to: u32,
    /// The service; the one that the client deployed when absent.
    #[serde(default)]
    pub service: Option<String>,
}

/// The client starts a deployment: plan what is counted from the first one, and keep what lagging reads will show.
pub(super) fn on_deployment(world: &mut World, service: usize, now: f64) {
    let lag = world.faults.list.iter().find_map(|fault| match fault {
        Fault::StaleReads(stale) => Some(stale.lasts),
        _ => None,
    });
    if let Some(seconds) = lag {
        let earlier = EcsState { stale: None, ..world.ecs.clone() };
        world.ecs.stale = Some((now + seconds, Box::new(earlier)));
    }
    if world.faults.first_deployment.is_none() {
        world.ecs.first_deployed = Some(service);
    }
    timed_faults::on_first_deployment(world, now);
}

/// Whether the answer of an update does not know its service deployment yet.
pub(super) fn is_response_stale(world: &World) -> bool {
    world.faults.list.iter().any(|fault| matches!(fault, Fault::StaleReads(stale) if stale.in_answer))
}

/// The time of a fault, in seconds after the client's first deployment.
pub(super) fn fault_time(fault: &Fault) -> Option<f64> {
    match fault {
        Fault::SupersedingDeployment(other) => Some(other.at),
        Fault::DesiredCount(scaling) => Some(scaling.at),
        _ => None,
    }
}

/// The time of a fault has come. It has no effect if the client's first deployment was not one of ECS.
pub(super) fn apply_fault(world: &mut World, fault: &Fault, now: f64) {
    let Some(service) = world.ecs.first_deployed else { return };
    match fault {
        Fault::SupersedingDeployment(other) if other.same_version => {
            outside_changes::redeploy(world, other.service.as_deref(), service, now);
        }
        Fault::SupersedingDeployment(other) => {
            outside_changes::deploy(world, other.service.as_deref(), service, now);
        }
        Fault::DesiredCount(scaling) => {
            outside_changes::scale(world, scaling.service.as_deref(), service, scaling.to, now);
        }
        _ => {}
    }
}
