//! What can go wrong with GitHub, as a scenario file says it.

use serde::Deserialize;

/// Somebody else's commit lands on the branch just before the client's.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rival {
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
    /// It changes the files that the client is about to change, by a line at their end, instead of a file of its own.
    #[serde(default)]
    pub same_file: bool,
    /// With `same-file`: this text is put in the place of another one.
    #[serde(default)]
    pub replace: Option<Replacement>,
}

/// An edit by somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Replacement {
    /// The text in the file.
    pub from: String,
    /// What stands in its place afterwards.
    pub to: String,
}

/// Requests are refused for their rate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RateLimit {
    /// Operation, such as `createCommitOnBranch` or `git/create-ref`; `*` is any.
    #[serde(default = "any")]
    pub operation: String,
    /// How many requests it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// Seconds in `retry-after`; no such header when absent.
    #[serde(default)]
    pub retry_after: Option<u32>,
    /// The hour's requests are used up, and are back after so many seconds: a primary limit.
    #[serde(default)]
    pub resets_after: Option<f64>,
}

/// The gateway gives up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BadGateway {
    /// Operation; `*` is any.
    #[serde(default = "any")]
    pub operation: String,
    /// How many requests it strikes.
    #[serde(default = "once")]
    pub times: u32,
    /// What was asked for is done nevertheless.
    #[serde(default)]
    pub effect: bool,
}

/// Reads come from a replica that lags behind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ReplicaLag {
    /// Seconds after a branch moved during which reads show where it was.
    #[serde(rename = "for")]
    pub lasts: f64,
}

fn once() -> u32 {
    1
}

fn any() -> String {
    "*".into()
}
