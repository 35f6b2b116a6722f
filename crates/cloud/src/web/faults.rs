//! What can go wrong at addresses, as a scenario file says it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::faults::VersionFilter;

/// Answers at addresses that are not the wanted ones.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct BadResponses {
    /// Only at this host. What is posted is only met by faults that name a host.
    pub host: Option<String>,
    /// Only at this path.
    pub path: Option<String>,
    /// Whose answers.
    pub version: VersionFilter,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Where it leads.
    pub location: Option<String>,
    /// Seconds until the answer comes.
    pub takes: f64,
    /// Seconds after the first deployment that the client starts.
    pub from: f64,
    /// How many seconds it lasts; for ever when absent.
    #[serde(rename = "for")]
    pub lasts: Option<f64>,
    /// The number of requests that it applies to; all when absent.
    pub times: Option<u32>,
}

impl Default for BadResponses {
    fn default() -> Self {
        Self {
            host: None,
            path: None,
            version: VersionFilter::New,
            status: 500,
            body: "Internal Server Error\n".into(),
            location: None,
            takes: 0.0,
            from: 0.0,
            lasts: None,
            times: None,
        }
    }
}
