//! What can go wrong with GitHub, as a scenario file says it.

use schemars::JsonSchema;
use serde::Deserialize;

/// Somebody else's commit lands on the branch just before the client's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct OutsideCommit {
    /// How often.
    #[serde(default = "default_times")]
    pub times: u32,
    /// It changes the files that the client is about to change, by a line at their end, instead of a file of its own.
    #[serde(default)]
    pub same_file: bool,
    /// With `same-file`: this text is put in the place of another one.
    #[serde(default)]
    pub replace: Option<TextReplacement>,
}

/// An edit by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TextReplacement {
    /// The text in the file.
    pub from: String,
    /// The text that replaces it.
    pub to: String,
}

/// Requests are refused for their rate.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RateLimitFault {
    /// Operation, such as `createCommitOnBranch` or `git/create-ref`; `*` is any.
    #[serde(default = "default_operation")]
    pub operation: String,
    /// The number of requests that it applies to.
    #[serde(default = "default_times")]
    pub times: u32,
    /// Seconds in `retry-after`; no such header when absent.
    #[serde(default)]
    pub retry_after: Option<u32>,
    /// The requests of the hour are used up, and return after this number of seconds: a primary limit.
    #[serde(default)]
    pub resets_after: Option<f64>,
}

/// The gateway gives up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BadGatewayFault {
    /// Operation; `*` is any.
    #[serde(default = "default_operation")]
    pub operation: String,
    /// The number of requests that it applies to.
    #[serde(default = "default_times")]
    pub times: u32,
    /// Whether the request takes effect.
    #[serde(default)]
    pub effect: bool,
}

/// Reads come from a replica that lags behind.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicaLagFault {
    /// Seconds after a branch moved during which reads show where it was.
    #[serde(rename = "for")]
    pub lasts: f64,
}

fn default_times() -> u32 {
    1
}

fn default_operation() -> String {
    "*".into()
}
