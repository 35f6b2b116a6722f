//! The deploy file's own types: environments and what all services share. Blocks that belong to an adapter
//! (a target, the build) are kept as trees and read by the adapter.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::before::Before;
use super::strategy::Strategy;
use super::{Check, Notify};

/// A place to deploy to, chosen by branch or by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Environment {
    /// Branches that deploy here; `*` stands for anything but a slash, `**` for anything.
    #[serde(default)]
    pub branches: Vec<String>,
    /// The AWS account and region.
    pub aws: Option<Aws>,
    /// Only versions proven in this environment may come here (promotion).
    pub promote_from: Option<String>,
    /// Who hears of runs here, instead of what the file says for all environments: key by key.
    pub notify: Option<Notify>,
}

/// An AWS account and region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Aws {
    /// Region such as `eu-west-1`.
    pub region: Option<String>,
    /// The account that must be the one the credentials belong to; 12 digits, in quotes.
    pub account: Option<String>,
    /// ARN of the role to assume with the job's OIDC token.
    pub role: Option<String>,
}

/// What every service has, whatever its target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Common {
    /// Paths whose changes concern this service, for `services: changed`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Repository of the image in the environment's registry, such as `acme/backend`.
    pub repository: Option<String>,
    /// How the new version reaches traffic.
    #[serde(default)]
    pub strategy: Strategy,
    /// A command that runs once with the new version, before any traffic moves.
    pub before: Option<Before>,
    /// CloudWatch alarms that must be green before, and stay green during, the deployment.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// Addresses that must answer well once the new version is proven, or it is taken back.
    #[serde(default)]
    pub verify: Vec<Check>,
}

/// The keys of a service that belong to [`Common`]; the others are a target, `build` or `environments`.
pub(super) const COMMON: [&str; 6] = ["paths", "repository", "strategy", "before", "alarms", "verify"];

/// Values that stand for `${name}`.
pub type Placeholders = BTreeMap<&'static str, String>;
