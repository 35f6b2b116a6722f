//! The `strategy:` of a service: values with their bounds. Meaning is given to them by `strategy` and `gates`.
//!
//! A name alone stands for its block with defaults; the document writes it out before this is read.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::Check;
use super::bounds::{
    Address, Bake, CanaryPercent, Margin, Milliseconds, PerMinute, Query, Status, StepPercent,
};
use crate::release::Span;

/// How a new version reaches traffic.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = or_its_name)]
pub enum Strategy {
    /// The provider replaces old copies by new ones, a few at a time.
    Rolling(Rolling),
    /// The new version comes up beside the old one and gets all traffic at once.
    BlueGreen(BlueGreen),
    /// The new version gets one equal share after the other.
    Linear(Linear),
    /// The new version gets a small share, is judged by it, and then gets the rest.
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
    /// How long the new version is watched after it has all traffic.
    pub bake: Bake,
}

/// Settings of `blue-green`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BlueGreen {
    /// How long the old version stays ready to take over after the new one has all traffic.
    pub bake: Bake,
    /// What must hold on the test listener before any production traffic moves.
    pub test: Vec<Check>,
}

impl Default for BlueGreen {
    fn default() -> Self {
        Self { bake: Bake(Span::minutes(5)), test: Vec::new() }
    }
}

/// Settings of `linear`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Linear {
    /// The share that is added at each step, in percent.
    pub step: StepPercent,
    /// How long each share is watched before the next one.
    pub bake: Bake,
    /// How long the old version stays ready to take over after the new one has all traffic.
    pub final_bake: Bake,
    /// What must hold on the test listener before any production traffic moves.
    pub test: Vec<Check>,
    /// What the two versions are compared by.
    pub metrics: Vec<Metric>,
    /// How they are compared.
    pub analysis: Analysis,
}

impl Default for Linear {
    fn default() -> Self {
        Self {
            step: StepPercent(20),
            bake: Bake(Span::minutes(5)),
            final_bake: Bake(Span::minutes(5)),
            test: Vec::new(),
            metrics: Vec::new(),
            analysis: Analysis::default(),
        }
    }
}

/// Settings of `canary`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Canary {
    /// The share of the traffic that the new version gets first, in percent.
    pub percent: CanaryPercent,
    /// How long it is watched with that share.
    pub bake: Bake,
    /// How long the old version stays ready to take over after the new one has all traffic.
    pub final_bake: Bake,
    /// What must hold on the test listener before any production traffic moves.
    pub test: Vec<Check>,
    /// What the two versions are compared by.
    pub metrics: Vec<Metric>,
    /// How they are compared.
    pub analysis: Analysis,
}

impl Default for Canary {
    fn default() -> Self {
        Self {
            percent: CanaryPercent(10),
            bake: Bake(Span::minutes(15)),
            final_bake: Bake(Span::minutes(5)),
            test: Vec::new(),
            metrics: Vec::new(),
            analysis: Analysis::default(),
        }
    }
}

/// How the two versions are compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Analysis {
    /// How much worse the new version may be and still pass, in percentage points.
    pub margin: Margin,
    /// How long the new version's first traffic is left out.
    pub warm_up: Bake,
    /// How long the bake may be extended while there is too little data; twice the bake when left out.
    pub max_window: Option<Bake>,
    /// What to do when the data never suffices.
    pub on_inconclusive: OnInconclusive,
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            margin: Margin(100),
            warm_up: Bake(Span::minutes(3)),
            max_window: None,
            on_inconclusive: OnInconclusive::default(),
        }
    }
}

/// What to do when the data never suffices to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInconclusive {
    /// Take the new version back and end with the outcome `inconclusive`.
    #[default]
    Rollback,
    /// Go on as if it had passed, and say so.
    Promote,
}

/// What two versions are compared by: counts of all and of bad requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = or_its_name)]
pub enum Metric {
    /// Answers of the targets with a status of 500 or more, as the load balancer counts them.
    #[serde(rename = "5xx")]
    Errors(Nothing),
    /// Requests that take longer than a limit, as the load balancer measures them.
    Latency(Latency),
    /// Counts from a Prometheus server.
    Prometheus(Prometheus),
    /// Requests that this run makes itself, for services with little traffic of their own.
    Probe(Probe),
}

/// A block without settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Settings of the metric `latency`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Latency {
    /// A request that takes longer is bad, in milliseconds.
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
    /// A name for people.
    pub name: String,
    /// Address of the server, such as `https://prometheus.acme.dev`.
    pub url: Address,
    /// PromQL for all requests of one arm in the last minute; `{{arm}}` stands for `canary` or `baseline`,
    /// `{{version}}` for the version's short form, each as the text inside a quoted label value.
    pub total: Query,
    /// PromQL for its bad requests in the last minute, with the same placeholders. Without an answer nothing is known:
    /// add `or vector(0)` where none means that there were none.
    pub bad: Query,
}

/// Settings of the metric `probe`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Probe {
    /// Address that only the new version answers, such as one on the test listener.
    pub canary: Address,
    /// Address that the version before answers.
    pub baseline: Address,
    /// The status that a good answer has.
    #[serde(default)]
    pub status: Status,
    /// Requests a minute to each of the two, 1 to 600.
    #[serde(default)]
    pub per_minute: PerMinute,
}

/// A name alone is its block with defaults.
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
