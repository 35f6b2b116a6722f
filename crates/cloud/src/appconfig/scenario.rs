//! AppConfig in a scenario file: what exists and what was deployed before. Types only.

use schemars::JsonSchema;
use serde::Deserialize;

/// AppConfig of the account.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AppConfigSettings {
    /// Applications.
    pub applications: Vec<ApplicationSetting>,
    /// Deployment strategies beside those that AWS brings.
    pub strategies: Vec<StrategySetting>,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ApplicationSetting {
    /// Its name.
    pub name: String,
    /// Its environments.
    #[serde(default)]
    pub environments: Vec<EnvironmentSetting>,
    /// Its configuration profiles.
    #[serde(default)]
    pub profiles: Vec<ProfileSetting>,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EnvironmentSetting {
    /// Its name.
    pub name: String,
    /// Names of the CloudWatch alarms that it monitors.
    #[serde(default)]
    pub monitors: Vec<String>,
}

/// A configuration profile.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProfileSetting {
    /// Its name.
    pub name: String,
    /// `AWS.Freeform` or `AWS.AppConfig.FeatureFlags`.
    #[serde(default = "default_profile_type", rename = "type")]
    pub kind: String,
    /// Where its content is: `hosted`, or a URI.
    #[serde(default = "hosted")]
    pub location: String,
    /// MIME type of its versions.
    #[serde(default = "json")]
    pub content_type: String,
    /// Contents of its hosted versions, oldest first: each was deployed to every environment.
    #[serde(default)]
    pub versions: Vec<String>,
    /// How many hours ago the last of them was; the others one day before each other.
    #[serde(default = "a_day")]
    pub deployed_hours_ago: f64,
}

/// A deployment strategy.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StrategySetting {
    /// Its name.
    pub name: String,
    /// `DeploymentDurationInMinutes`.
    pub minutes: u32,
    /// `FinalBakeTimeInMinutes`.
    #[serde(default)]
    pub bake: u32,
    /// `GrowthType`: `LINEAR` or `EXPONENTIAL`.
    #[serde(default = "linear")]
    pub growth: String,
    /// `GrowthFactor`, in percent.
    pub factor: f64,
}

fn default_profile_type() -> String {
    "AWS.Freeform".into()
}
fn hosted() -> String {
    "hosted".into()
}
fn json() -> String {
    "application/json".into()
}
fn linear() -> String {
    "LINEAR".into()
}
fn a_day() -> f64 {
    24.0
}
