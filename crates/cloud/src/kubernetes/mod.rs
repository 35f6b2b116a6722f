//! Kubernetes: API servers of clusters with Deployments, StatefulSets, DaemonSets and Jobs, and EKS, which knows where they are.
//! Written from the sources of Kubernetes 1.37 and its API reference.

/// The API server.
mod api;
/// The built-in scenarios.
mod builtin;
/// The controllers of workloads.
pub mod controller;
/// Workloads that clients make and delete.
mod created;
/// Amazon EKS.
pub mod eks;
/// What controllers and nodes say of it.
mod events;
/// What can go wrong.
pub mod faults;
/// Jobs.
mod jobs;
/// Services, endpoints and routes.
mod network;
/// Workloads and revisions as objects.
pub mod objects;
/// Patches.
pub mod patch;
/// Pods as objects.
pub mod pods;
/// Errors and lists.
pub mod responses;
/// The scenario's words.
pub mod scenario;
/// Clusters as they are when the world begins.
mod seed;
/// Kubernetes as a service of the cloud.
pub mod service;
/// State.
pub mod state;
#[cfg(test)]
mod tests;

use super::events::Event;
use super::world::World;

pub use service::Kubernetes;

/// Something that happens in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KubernetesEvent {
    /// Something changes in a workload.
    WorkloadDue {
        /// Place of the cluster.
        cluster: usize,
        /// Place of the workload.
        place: usize,
        /// Number of the look: only the newest counts.
        number: u64,
    },
}

impl From<KubernetesEvent> for Event {
    fn from(happening: KubernetesEvent) -> Self {
        Self::new("kubernetes", move |world, at| on_event(world, &happening, at))
    }
}

fn on_event(world: &mut World, happening: &KubernetesEvent, now: f64) {
    let KubernetesEvent::WorkloadDue { cluster, place, number } = *happening;
    if world.kubernetes.clusters[cluster].workloads[place].wake_number == number {
        controller::reconcile(world, cluster, place, now);
    }
}
