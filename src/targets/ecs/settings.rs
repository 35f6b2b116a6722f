//! The `ecs:` block of the deploy file. Types only; placeholders and merging are the configuration's.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service on Amazon ECS, driven by the ECS deployment controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Name or ARN of the cluster.
    pub cluster: String,
    /// Name of the service.
    pub service: String,
    /// Name of the container whose image is deployed. May be left out when the task definition has one container,
    /// or one that is essential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Path of a task definition in JSON or YAML, relative to the repository. Left out: the running one is taken
    /// and only image and environment are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Environment variables to set on that container; all others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// The account and region that the deploy file declares; nothing is changed anywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// Account id of 12 digits.
    pub account: Option<String>,
    /// Region such as `eu-west-1`.
    pub region: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_is_strict_and_kebab_case() {
        let text = r#"{"cluster":"c","service":"s","task-definition":"td.json","environment":{"A":""}}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.task_definition.as_deref(), Some("td.json"));
        assert_eq!(settings.environment["A"], "");
        let unknown =
            serde_json::from_str::<Settings>(r#"{"cluster":"c","service":"s","taskDefinition":"x"}"#);
        assert!(unknown.unwrap_err().to_string().contains("taskDefinition"));
    }
}
