//! What can go wrong with Kubernetes alone, as a scenario file says it.

use schemars::JsonSchema;
use serde::Deserialize;

/// A quota that leaves no room for pods of a version.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct QuotaExceeded {
    /// Only this workload.
    pub workload: Option<String>,
    /// Whether it is the version that ran at the beginning, rather than a new one.
    pub old: bool,
    /// Seconds after the first change for which that lasts; for ever when absent.
    #[serde(rename = "for")]
    pub lasts: Option<f64>,
}

impl QuotaExceeded {
    /// Why a pod of this workload cannot be made, `since` seconds after the first change.
    pub fn refusal(&self, workload: &str, is_seed_version: bool, since: f64) -> Option<String> {
        let applies = self.workload.as_deref().is_none_or(|name| name == workload)
            && self.old == is_seed_version
            && self.lasts.is_none_or(|seconds| since < seconds);
        applies.then(|| quota_refusal(workload, 4, 4))
    }
}

/// A pod that a quota has no room for.
pub fn quota_refusal(workload: &str, used: usize, limit: u32) -> String {
    format!(
        "pods \"{workload}-\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods={used}, limited: pods={limit}"
    )
}

/// Somebody sets another image.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ImageSetByHand {
    /// Seconds after the first change.
    pub at: f64,
    /// The image.
    pub image: String,
}

impl Default for ImageSetByHand {
    fn default() -> Self {
        Self { at: 10.0, image: "public.ecr.aws/somebody/else:v0".into() }
    }
}

/// An autoscaler changes the number of copies.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ReplicasScaled {
    /// Seconds after the first change.
    pub at: f64,
    /// The number.
    pub replicas: u32,
}

impl Default for ReplicasScaled {
    fn default() -> Self {
        Self { at: 10.0, replicas: 4 }
    }
}
