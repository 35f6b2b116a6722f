//! Traffic as a scenario file says it. Types only.

use serde::Deserialize;

use super::super::faults::Version;

/// Requests that come to a load balancer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Traffic {
    /// Name of the load balancer; every one when absent.
    pub balancer: Option<String>,
    /// Requests a minute on average.
    pub requests_per_minute: f64,
    /// How versions behave; the first that is about a version says how.
    pub versions: Vec<Conduct>,
    /// Times in which everything is bad, whatever the version.
    pub outages: Vec<Outage>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { balancer: None, requests_per_minute: 60.0, versions: Vec::new(), outages: Vec::new() }
    }
}

/// How a version behaves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Conduct {
    /// Whose: what was deployed after the world began (`new`), what ran before (`old`), or `all`.
    pub version: Version,
    /// Instead of a version: tasks whose image reference contains this text.
    pub image: Option<String>,
    /// Share of requests that end in a 5xx, 0 to 1.
    pub bad_rate: f64,
    /// Median response time in seconds.
    pub median: f64,
    /// Standard deviation of the logarithm of response times.
    pub spread: f64,
    /// How it is worse just after its first request.
    pub warm_up: Option<WarmUp>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self { version: Version::All, image: None, bad_rate: 0.001, median: 0.08, spread: 0.5, warm_up: None }
    }
}

/// A version that has just begun.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WarmUp {
    /// Seconds after its first request.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// Share of bad requests meanwhile.
    #[serde(default)]
    pub bad_rate: f64,
    /// By what response times are multiplied meanwhile.
    #[serde(default = "one")]
    pub slowdown: f64,
}

/// A time in which everything is bad.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Outage {
    /// Seconds after the first deployment that the client starts.
    pub from: f64,
    /// How many seconds it lasts.
    #[serde(rename = "for")]
    pub lasts: f64,
    /// Share of bad requests meanwhile.
    #[serde(default)]
    pub bad_rate: f64,
    /// By what response times are multiplied meanwhile.
    #[serde(default = "one")]
    pub slowdown: f64,
}

fn one() -> f64 {
    1.0
}
