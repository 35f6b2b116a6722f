//! The built-in scenarios of Kubernetes.

use crate::builtin::{Builtin, Need};

/// A service of the target `kubernetes`.
const KUBERNETES: &[Need] = &[Need::Target("kubernetes")];

/// All of them.
pub(super) const SCENARIOS: &[Builtin] = &[
    scenario("kubernetes-happy", "A Deployment is patched and becomes healthy.", "[]"),
    scenario(
        "kubernetes-quota",
        "A quota leaves no room for pods of the new version.",
        "[kubernetes-quota: {}]",
    ),
    scenario(
        "kubernetes-quota-later",
        "A quota leaves no room for new pods for two minutes.",
        "[kubernetes-quota: { for: 120 }]",
    ),
    scenario(
        "kubernetes-image-set",
        "Somebody sets another image while the workload rolls.",
        "[kubernetes-image-set: { at: 10 }]",
    ),
    scenario(
        "kubernetes-paused",
        "Somebody pauses the workload while it rolls.",
        "[kubernetes-paused: { at: 10 }]",
    ),
    scenario(
        "kubernetes-scaled",
        "An autoscaler changes the number of copies while the workload rolls.",
        "[kubernetes-scaled: { at: 10, replicas: 4 }]",
    ),
];

const fn scenario(name: &'static str, description: &'static str, faults: &'static str) -> Builtin {
    Builtin::new(name, description, faults).with_needs(KUBERNETES)
}
