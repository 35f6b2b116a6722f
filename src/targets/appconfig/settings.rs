//! The settings `appconfig:` of the deploy file. Types only; placeholders and merging are in `config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::release::aws_values;

/// Configuration or feature flags hosted by AWS AppConfig, deployed gradually without a build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Name or id of the application.
    pub application: AppConfigName,
    /// Name or id of the environment. The CloudWatch alarms that it monitors roll a deployment back.
    pub environment: AppConfigName,
    /// Name or id of the configuration profile; its content must be hosted by AppConfig.
    pub profile: AppConfigName,
    /// Path of the content, relative to the repository: JSON (required for feature flags), YAML or any other text.
    pub file: String,
    /// Name or id of the deployment strategy, such as `AppConfig.Canary10Percent20Minutes` or your own.
    pub strategy: AppConfigName,
}

/// Name or id of a resource in AppConfig: 1 to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AppConfigName(String);

impl AppConfigName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AppConfigName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        aws_values::reject_arn(&text, "the name or the id")?;
        let fits = (1..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let wrong =
            format!("`{}` is not a valid name in AppConfig (1 to 128 characters)", text.escape_debug());
        fits.then_some(Self(text)).ok_or(wrong)
    }
}

impl From<AppConfigName> for String {
    fn from(name: AppConfigName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_reject_unknown_and_missing_keys() {
        let whole = r#"{"application":"shop","environment":"production","profile":"flags","file":"f.json","strategy":"AppConfig.AllAtOnce"}"#;
        let settings: Settings = serde_json::from_str(whole).unwrap();
        assert_eq!(settings.strategy.as_str(), "AppConfig.AllAtOnce");
        for wrong in [
            whole.replace("\"shop\"", "\"\""),
            whole.replace("\"file\":\"f.json\",", ""),
            whole.replace("file", "path"),
        ] {
            assert!(serde_json::from_str::<Settings>(&wrong).is_err(), "{wrong}");
        }
    }
}
