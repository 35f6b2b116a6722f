//! The AppConfig part of a rehearsal's world: for every `appconfig` service the application, environment and profile that
//! the deploy file names, with an earlier and emptier configuration, and its strategy where AWS does not bring it.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::Service;
use crate::sys::disk;
use crate::targets::Kind;
use crate::targets::appconfig::kind::AppConfigKind;
use roadstead_cloud::appconfig::scenario::{
    AppConfigSettings, ApplicationSetting, EnvironmentSetting, ProfileSetting, StrategySetting,
};
use roadstead_cloud::scenario::Scenario;

use super::example::{ExampleFile, ExampleFiles};
use super::worlds::{SeedContext, World};

const EXAMPLE: &str = "environments:
  production: { branches: [main], aws: { region: eu-west-1 } }
services:
  flags:
    appconfig: { application: shop, environment: production, profile: flags, file: flags.json, strategy: AppConfig.Canary10Percent20Minutes }
";

const FLAGS: &str = r#"{ "version": "1", "flags": { "beta": { "name": "Beta" } }, "values": { "beta": { "enabled": true } } }"#;

/// The world of configurations.
pub(super) struct AppConfigWorld;

impl World for AppConfigWorld {
    fn key(&self) -> &'static str {
        AppConfigKind::KEY
    }

    fn example(&self) -> ExampleFiles {
        let flags = ExampleFile { name: "flags.json", text: FLAGS };
        ExampleFiles { others: vec![flags], ..ExampleFiles::of_deploy_file(EXAMPLE) }
    }

    fn seed(
        &self,
        mut scenario: Scenario,
        services: &[&Service],
        context: &SeedContext<'_>,
    ) -> Result<Scenario, String> {
        services.iter().try_for_each(|service| seed_service(&mut scenario, service, context.workspace))?;
        Ok(scenario)
    }
}

fn seed_service(scenario: &mut Scenario, service: &Service, workspace: &Path) -> Result<(), String> {
    let block = service.settings.to_value();
    let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
    let content = disk::read_text_within(workspace, Path::new(&text("file")));
    let content = content.map_err(|error| format!("{error:#}"))?;
    let application = add_application(&mut scenario.appconfig, &text("application"));
    let environment =
        EnvironmentSetting { name: text("environment"), monitors: service.config.alarms.clone() };
    if !application.environments.iter().any(|known| known.name == environment.name) {
        application.environments.push(environment);
    }
    if !application.profiles.iter().any(|known| known.name == text("profile")) {
        application.profiles.push(earlier_profile(text("profile"), &content));
    }
    add_strategy(&mut scenario.appconfig, text("strategy"));
    Ok(())
}

fn add_application<'s>(appconfig: &'s mut AppConfigSettings, name: &str) -> &'s mut ApplicationSetting {
    let known = appconfig.applications.iter().position(|known| known.name == name);
    let at = known.unwrap_or_else(|| {
        let fresh =
            ApplicationSetting { name: name.to_owned(), environments: Vec::new(), profiles: Vec::new() };
        appconfig.applications.push(fresh);
        appconfig.applications.len() - 1
    });
    &mut appconfig.applications[at]
}

/// A profile of the type that the content looks like.
fn earlier_profile(name: String, content: &str) -> ProfileSetting {
    let read: Option<Value> = serde_json::from_str(content).ok();
    let flags = read.as_ref().is_some_and(|value| value["flags"].is_object() && value["version"].is_string());
    let (kind, content_type, before) = match (flags, read) {
        (true, _) => {
            let before = json!({ "version": "1", "flags": {}, "values": {} });
            ("AWS.AppConfig.FeatureFlags", "application/json", before.to_string())
        }
        (false, Some(_)) => ("AWS.Freeform", "application/json", "{}".to_owned()),
        (false, None) => ("AWS.Freeform", "text/plain", "an earlier configuration\n".to_owned()),
    };
    ProfileSetting {
        name,
        kind: kind.into(),
        location: "hosted".into(),
        content_type: content_type.into(),
        versions: vec![before],
        deployed_hours_ago: 24.0,
    }
}

/// A strategy of the user's own: what it does is not known here, so it is a quick one.
fn add_strategy(appconfig: &mut AppConfigSettings, name: String) {
    let known = name.starts_with("AppConfig.") || appconfig.strategies.iter().any(|known| known.name == name);
    if !known {
        let growth = "LINEAR".to_owned();
        appconfig.strategies.push(StrategySetting { name, minutes: 10, bake: 5, growth, factor: 20.0 });
    }
}
