//! Traffic as a scenario file says it. Types only.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::faults::VersionFilter;

/// Requests that come to a load balancer.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrafficSetting {
    /// Name of the load balancer; every one when absent.
    pub balancer: Option<String>,
    /// Requests a minute on average.
    pub requests_per_minute: f64,
    /// How versions behave; the first that is about a version says how.
    pub versions: Vec<VersionBehavior>,
    /// Times in which everything is bad, whatever the version.
    pub outages: Vec<Degradation>,
}

impl Default for TrafficSetting {
    fn default() -> Self {
        Self { balancer: None, requests_per_minute: 60.0, versions: Vec::new(), outages: Vec::new() }
    }
}

/// How a version behaves.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct VersionBehavior {
    /// Whose: what was deployed after the world began (`new`), what ran before (`old`), or `all`.
    pub version: VersionFilter,
    /// Instead of a version: tasks whose image reference contains this text.
    pub image: Option<String>,
    /// Share of requests that end in a 5xx, 0 to 1.
    pub bad_rate: f64,
    /// Median response time in seconds.
    pub median: f64,
    /// Standard deviation of the logarithm of response times.
    pub spread: f64,
    /// How it is worse just after its first request.
    pub warm_up: Option<Degradation>,
}

impl Default for VersionBehavior {
    fn default() -> Self {
        Self {
            version: VersionFilter::All,
            image: None,
            bad_rate: 0.001,
            median: 0.08,
            spread: 0.5,
            warm_up: None,
        }
    }
}

/// A time in which responses are worse than usual.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Degradation {
    /// When it begins, in seconds: of an outage after the first deployment that the client starts, of a warm-up after the first
    /// request to the version.
    #[serde(default)]
    pub from: f64,
    /// How many seconds it lasts.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// Share of bad requests in this time.
    #[serde(default)]
    pub bad_rate: f64,
    /// Factor of the response times in this time.
    #[serde(default = "default_slowdown")]
    pub slowdown: f64,
}

fn default_slowdown() -> f64 {
    1.0
}
