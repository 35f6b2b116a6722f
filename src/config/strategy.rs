//! The `strategy:` of a service: values with their bounds. `strategy` and `gates` define their meaning.
//!
//! A bare name means its block with defaults; the document expands it before this is read.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::Check;
use super::bounded::{
    Address, Bake, CanaryPercent, Margin, Milliseconds, PerMinute, Query, Status, StepPercent,
};
use crate::release::HumanDuration;

/// How a new version gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = or_its_name)]
pub enum Strategy {
    /// The provider replaces old copies with new ones, a few at a time.
    Rolling(Rolling),
    /// The new version starts next to the old one and gets all traffic at once.
    BlueGreen(BlueGreen),
    /// The new version gets traffic in equal steps.
    Linear(Linear),
    /// The new version gets a small weight, is analyzed, and then gets the rest.
    Canary(Canary),
}

impl Default for Strategy {
    fn default() -> Self {
        Self::Rolling(Rolling::default())
    }
}

/// Settings of `rolling`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rolling {
    /// Bake time after the new version has all traffic.
    pub bake: Bake,
}

/// Settings of `blue-green`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BlueGreen {
    /// How long the old version can take over again after the new one has all traffic.
    pub bake: Bake,
    /// Checks on the test listener before production traffic shifts.
    pub test: Vec<Check>,
}

impl Default for BlueGreen {
    fn default() -> Self {
        Self { bake: Bake(HumanDuration::from_minutes(5)), test: Vec::new() }
    }
}

/// Settings of `linear`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Linear {
    /// The weight that is added at each step, in percent.
    pub step: StepPercent,
    /// Bake time of each step.
    pub bake: Bake,
    /// How long the old version can take over again after the new one has all traffic.
    pub final_bake: Bake,
    /// Checks on the test listener before production traffic shifts.
    pub test: Vec<Check>,
    /// Metrics that the two versions are compared by.
    pub metrics: Vec<Metric>,
    /// How they are compared.
    pub analysis: AnalysisConfig,
}

impl Default for Linear {
    fn default() -> Self {
        Self {
            step: StepPercent(20),
            bake: Bake(HumanDuration::from_minutes(5)),
            final_bake: Bake(HumanDuration::from_minutes(5)),
            test: Vec::new(),
            metrics: Vec::new(),
            analysis: AnalysisConfig::default(),
        }
    }
}

/// Settings of `canary`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Canary {
    /// The first weight of the new version, in percent of the traffic.
    pub percent: CanaryPercent,
    /// Bake time at that weight.
    pub bake: Bake,
    /// How long the old version can take over again after the new one has all traffic.
    pub final_bake: Bake,
    /// Checks on the test listener before production traffic shifts.
    pub test: Vec<Check>,
    /// Metrics that the two versions are compared by.
    pub metrics: Vec<Metric>,
    /// How they are compared.
    pub analysis: AnalysisConfig,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            percent: CanaryPercent(10),
            bake: Bake(HumanDuration::from_minutes(15)),
            final_bake: Bake(HumanDuration::from_minutes(5)),
            test: Vec::new(),
            metrics: Vec::new(),
            analysis: AnalysisConfig::default(),
        }
    }
}

/// How the two versions are compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AnalysisConfig {
    /// How much worse the new version may be and still pass, in percentage points.
    pub margin: Margin,
    /// How much of the new version's first traffic is ignored.
    pub warm_up: Bake,
    /// Maximum extension of the bake while there is too little data; twice the bake by default.
    pub max_window: Option<Bake>,
    /// Action if the data never suffices.
    pub on_inconclusive: OnInconclusive,
}

impl Default for AnalysisConfig {
    fn default() -> Self {
        Self {
            margin: Margin(100),
            warm_up: Bake(HumanDuration::from_minutes(3)),
            max_window: None,
            on_inconclusive: OnInconclusive::default(),
        }
    }
}

/// Action if the data never suffices to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusive {
    /// Roll the new version back and end with the outcome `inconclusive`.
    #[default]
    Rollback,
    /// Continue as if the analysis had passed, and report it.
    Promote,
}

/// A metric of two versions: counts of all and of bad requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = or_its_name)]
pub enum Metric {
    /// Responses of the targets with a status of 500 or more, as the load balancer counts them.
    #[serde(rename = "5xx")]
    Errors(NoOptions),
    /// Requests that take longer than a limit, as the load balancer measures them.
    Latency(Latency),
    /// Counts from a Prometheus server.
    Prometheus(Prometheus),
    /// Requests that this run sends, for services with little traffic.
    Probe(Probe),
}

/// A block without settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// Settings of the metric `latency`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Latency {
    /// Requests that take longer are bad, in milliseconds.
    pub over_ms: Milliseconds,
}

impl Default for Latency {
    fn default() -> Self {
        Self { over_ms: Milliseconds(1000) }
    }
}

/// Settings of the metric `prometheus`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prometheus {
    /// A display name.
    pub name: String,
    /// URL of the server, such as `https://prometheus.acme.dev`.
    pub url: Address,
    /// PromQL for all requests of one variant in the last minute; `{{variant}}` stands for `canary` or `baseline`,
    /// `{{version}}` for the version's short form, each as the text inside a quoted label value.
    pub total: Query,
    /// PromQL for its bad requests in the last minute, with the same placeholders. An empty result means that
    /// nothing is
    /// known: add `or vector(0)` if it means that there were none.
    pub bad: Query,
}

/// Settings of the metric `probe`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Probe {
    /// URL that only the new version serves, such as one on the test listener.
    pub canary: Address,
    /// URL that only the previous version serves.
    pub baseline: Address,
    /// The expected status.
    #[serde(default)]
    pub status: Status,
    /// Requests per minute to each of the two, 1 to 600.
    #[serde(default)]
    pub per_minute: PerMinute,
}

/// A bare name is its block with defaults.
fn or_its_name(schema: &mut Schema) {
    let names: Vec<serde_json::Value> = schema
        .get("oneOf")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("required")?.get(0).cloned())
        .filter(|name| !matches!(name.as_str(), Some("prometheus" | "probe")))
        .collect();
    if let Some(all) = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut) {
        all.push(serde_json::json!({ "type": "string", "enum": names }));
    }
}
