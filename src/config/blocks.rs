//! The deploy file's own types: environments and settings that all services share. Settings of an adapter
//! (a target, the build) stay trees and are read by the adapter.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::aws_settings;
use super::before_command::BeforeCommand;
use super::parsed_string::parsed_string;
use super::proof::{ImagePattern, WorkflowFile};
use super::strategy::Strategy;
use super::{Check, NotifySettings};
use crate::release::ecr_repository;

/// An environment, selected by branch or by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Environment {
    /// Branches that deploy here; `*` matches anything but a slash, `**` anything.
    #[serde(default)]
    pub branches: Vec<String>,
    /// The AWS account and region.
    pub aws: Option<Aws>,
    /// Only versions proven in this environment can be deployed here (promotion).
    pub promote_from: Option<String>,
    /// Workflow files whose runs prove versions here, such as `deploy.yml`; by default the workflow of the run that
    /// reads the proof.
    #[serde(default)]
    pub workflows: Vec<WorkflowFile>,
    /// Repositories, such as `ghcr.io/acme/*`, whose images count as proven here, besides the `repository` of each
    /// service.
    #[serde(default)]
    pub image_repositories: Vec<ImagePattern>,
    /// Notifications of this environment; overrides the file's `notify`, merged key by key.
    pub notify: Option<NotifySettings>,
}

/// An AWS account and region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Aws {
    /// Region such as `eu-west-1`.
    #[serde(default, deserialize_with = "aws_settings::read_region")]
    pub region: Option<String>,
    /// The required AWS account; 12 digits.
    #[serde(default, deserialize_with = "aws_settings::read_account")]
    #[schemars(with = "Option<AccountForm>")]
    pub account: Option<String>,
    /// ARN of the role to assume with the job's OIDC token.
    #[serde(default, deserialize_with = "aws_settings::read_role")]
    pub role: Option<String>,
}

/// An account as a deploy file may write it.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum AccountForm {
    Text(String),
    Digits(u64),
}

/// Settings of every service, whatever its target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServiceConfig {
    /// Paths whose changes affect this service, for `services: changed`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Repository of the image: in the environment's ECR, such as `acme/backend`, or with its registry, such as
    /// `ghcr.io/acme/backend`.
    pub repository: Option<String>,
    /// How the new version gets traffic.
    #[serde(default)]
    pub strategy: Strategy,
    /// Names of environment variables whose values a plan shows. The values of all others are hidden; in the plan of a
    /// pull request every value is.
    #[serde(default)]
    pub show_env: Vec<EnvName>,
    /// A command that runs once with the new version, before the traffic shift.
    pub before: Option<BeforeCommand>,
    /// CloudWatch alarms that must not fire before and during the deployment.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// HTTP checks after the new version is verified; if one fails, the release is rolled back.
    #[serde(default)]
    pub verify: Vec<Check>,
}

impl ServiceConfig {
    /// The name of the repository, if it is in ECR: in the environment's account, or in that of the address.
    pub fn ecr_repository(&self) -> Option<&str> {
        self.repository.as_deref().and_then(ecr_repository)
    }
}

parsed_string!(
    /// The name of one environment variable; no pattern.
    EnvName, check_env_name
);

fn check_env_name(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match !text.is_empty() && text.len() <= 200 && text.chars().all(plain) {
        true => Ok(()),
        false => Err(format!("`{text}` is not the name of an environment variable")),
    }
}

/// A `build` block inside the settings of a target, as written in the file: the image adapter reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuildBlock(Value);

impl JsonSchema for BuildBlock {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BuildBlock".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "$ref": "#/$defs/Build" })
    }
}

/// The keys of a service that belong to [`Common`]; the others are a target, `build` or `environments`.
pub(super) const SERVICE_KEYS: [&str; 7] =
    ["paths", "repository", "strategy", "show-env", "before", "alarms", "verify"];

/// The keys of an environment.
pub(super) const ENVIRONMENT_KEYS: [&str; 6] =
    ["branches", "aws", "promote-from", "workflows", "image-repositories", "notify"];

/// Values of the placeholders `${name}`.
pub type Placeholders = BTreeMap<&'static str, String>;
