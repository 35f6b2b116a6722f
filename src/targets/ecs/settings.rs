//! The settings `ecs:` of the deploy file. Types only; placeholders and merging are in `config`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patience::Patience;
use super::setting_names;
use crate::config::{WrittenText, written_texts};
use crate::release::aws_values::Arn;
use crate::targets::further_images::FurtherImages;

/// A service on Amazon ECS, driven by the ECS deployment controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Name or ARN of the cluster.
    #[serde(deserialize_with = "setting_names::read_cluster")]
    pub cluster: String,
    /// Name of the service.
    #[serde(deserialize_with = "setting_names::read_service")]
    pub service: String,
    /// Name of the container whose image is deployed. Default: the only container of the task definition, or the only
    /// essential one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "setting_names::read_container"
    )]
    pub container: Option<String>,
    /// Path of a task definition in JSON or YAML, relative to the repository. Default: the running task definition, of
    /// which only image and environment are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Environment variables to set on that container; all others stay as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "written_texts")]
    #[schemars(with = "BTreeMap<String, WrittenText>")]
    pub environment: BTreeMap<String, String>,
    /// Images of further containers of the task definition, by the name of the container. They are deployed with the image
    /// of the service in one revision.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: FurtherImages,
    /// A second service that takes turns with this one behind a listener rule, for blue-green, linear and canary if the
    /// service has no alternate target group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairSettings>,
    /// What a rollout survives before it is rolled back: failed tasks, and waiting for capacity.
    #[serde(default)]
    pub patience: Patience,
}

/// The second service of a pair, and the rule that splits the traffic between the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PairSettings {
    /// Name of the second service, in the same cluster, with a target group of its own.
    #[serde(deserialize_with = "setting_names::read_service")]
    pub service: String,
    /// ARN of the listener rule that forwards to the target groups of both services.
    pub rule: RuleArn,
    /// Scale the service without traffic to no tasks after a successful deployment. By default it keeps its tasks, so
    /// that a rollback takes seconds.
    #[serde(default)]
    pub scale_down: bool,
}

/// ARN of a rule of a listener of an Application Load Balancer, such as
/// `arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RuleArn(String);

impl RuleArn {
    /// The ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RuleArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let arn = Arn::parse(&text).filter(|arn| arn.service == "elasticloadbalancing");
        let fits = arn.is_some_and(|arn| arn.resource.starts_with("listener-rule/app/"));
        if let Some(why) = arn.and_then(|arn| arn.check_place().err()).filter(|_| fits) {
            return Err(format!("in the ARN of the rule, {why}"));
        }
        let wrong = format!(
            "`{text}` is not the ARN of a listener rule of an Application Load Balancer (`arn:…:listener-rule/app/…`)"
        );
        fits.then_some(Self(text)).ok_or(wrong)
    }
}

impl From<RuleArn> for String {
    fn from(arn: RuleArn) -> Self {
        arn.0
    }
}

/// The declared account and region; nothing is changed anywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExpectedAccount {
    /// Account id of 12 digits.
    pub account: Option<String>,
    /// Region such as `eu-west-1`.
    pub region: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_strict_and_kebab_case() {
        let text = r#"{"cluster":"c","service":"s","task-definition":"td.json","environment":{"A":""}}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.task_definition.as_deref(), Some("td.json"));
        assert_eq!(settings.environment["A"], "");
        let unknown =
            serde_json::from_str::<Settings>(r#"{"cluster":"c","service":"s","taskDefinition":"x"}"#);
        assert!(unknown.unwrap_err().to_string().contains("taskDefinition"));
    }

    #[test]
    fn further_containers_have_a_build_a_repository_or_a_fixed_image() {
        let read = |entry: &str| {
            let text = format!(r#"{{"cluster":"c","service":"s","images":{{"nginx":{entry}}}}}"#);
            serde_json::from_str::<Settings>(&text).map(|settings| settings.images["nginx"].clone())
        };
        let built = read(r#"{"build":{"context":"nginx"},"repository":"acme/nginx"}"#).unwrap();
        assert!(built.build.is_some() && built.repository.as_deref() == Some("acme/nginx"));
        assert_eq!(read(r#"{"image":"nginx:1.27"}"#).unwrap().image.as_deref(), Some("nginx:1.27"));
        assert!(read(r#"{"tag":"1"}"#).unwrap_err().to_string().contains("unknown field `tag`"));
    }

    #[test]
    fn pair_rule_must_be_of_an_application_load_balancer() {
        let with = |rule: &str| {
            let pair =
                serde_json::json!({"cluster":"c","service":"blue","pair":{"service":"green","rule":rule}});
            serde_json::from_value::<Settings>(pair).map(|settings| settings.pair.unwrap())
        };
        let pair =
            with("arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener-rule/app/web/1/2/3").unwrap();
        assert!(!pair.scale_down);
        for wrong in ["", "web", "arn:aws:elasticloadbalancing:eu-west-1:111111111111:listener/app/web/1/2"] {
            assert!(
                with(wrong).unwrap_err().to_string().contains("is not the ARN of a listener rule"),
                "{wrong}"
            );
        }
    }
}
