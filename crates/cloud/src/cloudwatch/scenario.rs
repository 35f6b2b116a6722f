//! CloudWatch in a scenario file. Types and their defaults only.

use schemars::JsonSchema;
use serde::Deserialize;

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlarmSetting {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    #[serde(default = "default_state")]
    pub state: String,
    /// A composite alarm.
    #[serde(default)]
    pub composite: bool,
}

impl AlarmSetting {
    /// An alarm that is green.
    pub fn in_ok_state(name: &str) -> Self {
        Self { name: name.into(), state: default_state(), composite: false }
    }
}

fn default_state() -> String {
    "OK".into()
}
