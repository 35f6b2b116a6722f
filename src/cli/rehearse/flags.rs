//! The AppConfig part of a rehearsal's world: for every `appconfig` service the application, environment and profile that
//! the deploy file names, with an earlier and emptier configuration, and its strategy where AWS does not bring it.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::Service;
use crate::rehearsal::appconfig::setting::{AppConfig, Application, Environment, Profile, Strategy};
use crate::rehearsal::scenario::{AlarmSetting, Scenario};
use crate::sys::disk;

/// The key of such services in a deploy file.
pub(super) const TARGET: &str = "appconfig";

/// The scenario with what the configurations among these services need. What it has of that already stays as it is.
pub(super) fn with_flags(
    mut scenario: Scenario,
    services: &[Service],
    workspace: &Path,
) -> Result<Scenario, String> {
    for service in services.iter().filter(|service| service.target == TARGET) {
        let block = service.settings.to_value();
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        for alarm in &service.common.alarms {
            if !scenario.alarms.iter().any(|known| known.name == *alarm) {
                let known = AlarmSetting { name: alarm.clone(), state: "OK".into(), composite: false };
                scenario.alarms.push(known);
            }
        }
        let content = disk::read_text(&workspace.join(text("file"))).map_err(|error| format!("{error:#}"))?;
        let application = application(&mut scenario.appconfig, &text("application"));
        let environment = Environment { name: text("environment"), monitors: service.common.alarms.clone() };
        if !application.environments.iter().any(|known| known.name == environment.name) {
            application.environments.push(environment);
        }
        if !application.profiles.iter().any(|known| known.name == text("profile")) {
            application.profiles.push(profile(text("profile"), &content));
        }
        strategy(&mut scenario.appconfig, text("strategy"));
    }
    Ok(scenario)
}

fn application<'s>(appconfig: &'s mut AppConfig, name: &str) -> &'s mut Application {
    let known = appconfig.applications.iter().position(|known| known.name == name);
    let at = known.unwrap_or_else(|| {
        let fresh = Application { name: name.to_owned(), environments: Vec::new(), profiles: Vec::new() };
        appconfig.applications.push(fresh);
        appconfig.applications.len() - 1
    });
    &mut appconfig.applications[at]
}

/// A profile of the type that the content looks like.
fn profile(name: String, content: &str) -> Profile {
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
    Profile {
        name,
        kind: kind.into(),
        location: "hosted".into(),
        content_type: content_type.into(),
        versions: vec![before],
        deployed_hours_ago: 24.0,
    }
}

/// A strategy of the user's own: what it does is not known here, so it is a quick one.
fn strategy(appconfig: &mut AppConfig, name: String) {
    let known = name.starts_with("AppConfig.") || appconfig.strategies.iter().any(|known| known.name == name);
    if !known {
        let growth = "LINEAR".to_owned();
        appconfig.strategies.push(Strategy { name, minutes: 10, bake: 5, growth, factor: 20.0 });
    }
}
