//! The `appconfig:` block of the deploy file. Types only; placeholders and merging are the configuration's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration or feature flags hosted by AWS AppConfig, deployed gradually without a build.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Name or id of the application.
    pub application: Name,
    /// Name or id of the environment. The CloudWatch alarms that it monitors roll a deployment back.
    pub environment: Name,
    /// Name or id of the configuration profile; its content must be hosted by AppConfig.
    pub profile: Name,
    /// Path of the content, relative to the repository: JSON (which feature flags always are), YAML or any other text.
    pub file: String,
    /// Name or id of the deployment strategy, such as `AppConfig.Canary10Percent20Minutes` or one of your own.
    pub strategy: Name,
}

/// A name or an id of something in AppConfig: 1 to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Name(String);

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = (1..=128).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        let wrong = format!("`{}` is no name in AppConfig: 1 to 128 characters", text.escape_debug());
        fits.then_some(Self(text)).ok_or(wrong)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_strict_and_every_key_is_needed() {
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
