//! What exists of AppConfig when the world begins: what the scenario says, and the strategies that AWS brings
//! (<https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-deployment-strategy-predefined.html>).

use super::flag_schema;
use super::scenario::{self, AppConfigSettings};
use super::state::{
    AppConfigApplication, AppConfigDeployment, AppConfigEnvironment, AppConfigProfile, AppConfigState,
    AppConfigStrategy, HostedVersion,
};

const DAY: f64 = 86_400.0;

/// Name, minutes of growth, minutes of bake, growth, factor.
const PREDEFINED: [(&str, u32, u32, &str, f64); 4] = [
    ("AppConfig.AllAtOnce", 0, 10, "LINEAR", 100.0),
    ("AppConfig.Linear50PercentEvery30Seconds", 1, 1, "LINEAR", 50.0),
    ("AppConfig.Canary10Percent20Minutes", 20, 10, "EXPONENTIAL", 10.0),
    ("AppConfig.Linear20PercentEvery6Minutes", 30, 30, "LINEAR", 20.0),
];

/// AppConfig as a scenario says.
pub fn seed(setting: &AppConfigSettings, began: f64) -> AppConfigState {
    let mut ids = 0;
    let mut next = |kind: char| {
        ids += 1;
        format!("{kind}{ids:05}")
    };
    let mut strategies: Vec<AppConfigStrategy> = PREDEFINED.map(predefined_strategy).into();
    strategies.extend(setting.strategies.iter().map(|one| custom_strategy(one, next('s'))));
    let all_at_once = strategies[0].clone();
    let mut applications = Vec::new();
    for one in &setting.applications {
        let mut application = AppConfigApplication {
            id: next('a'),
            name: one.name.clone(),
            environments: one.environments.iter().map(|it| seed_environment(it, next('e'))).collect(),
            profiles: one.profiles.iter().map(|it| seed_profile(it, next('p'), began)).collect(),
        };
        seed_deployments(&mut application, one, &all_at_once, began);
        applications.push(application);
    }
    AppConfigState { applications, strategies }
}

fn predefined_strategy(
    (name, minutes, bake, growth, factor): (&str, u32, u32, &str, f64),
) -> AppConfigStrategy {
    AppConfigStrategy {
        id: name.into(),
        name: name.into(),
        duration_minutes: minutes,
        bake_minutes: bake,
        growth_type: growth.into(),
        growth_factor: factor,
    }
}

fn custom_strategy(setting: &scenario::StrategySetting, id: String) -> AppConfigStrategy {
    let scenario::StrategySetting { name, minutes, bake, growth, factor } = setting.clone();
    AppConfigStrategy {
        id,
        name,
        duration_minutes: minutes,
        bake_minutes: bake,
        growth_type: growth,
        growth_factor: factor,
    }
}

fn seed_environment(setting: &scenario::EnvironmentSetting, id: String) -> AppConfigEnvironment {
    let scenario::EnvironmentSetting { name, monitors } = setting.clone();
    AppConfigEnvironment { id, name, monitors, deployments: Vec::new() }
}

fn seed_profile(setting: &scenario::ProfileSetting, id: String, began: f64) -> AppConfigProfile {
    let hosted = |content: &String| HostedVersion {
        content: if setting.kind == flag_schema::FEATURE_FLAGS_TYPE {
            flag_schema::with_timestamps(content, began)
        } else {
            content.clone()
        },
        content_type: setting.content_type.clone(),
        description: None,
        label: None,
    };
    AppConfigProfile {
        id,
        name: setting.name.clone(),
        profile_type: setting.kind.clone(),
        location: setting.location.clone(),
        versions: setting.versions.iter().map(hosted).collect(),
    }
}

/// Every version was deployed to every environment, one after the other.
fn seed_deployments(
    application: &mut AppConfigApplication,
    setting: &scenario::ApplicationSetting,
    strategy: &AppConfigStrategy,
    began: f64,
) {
    for environment in &mut application.environments {
        for (at, profile) in setting.profiles.iter().enumerate() {
            let count = profile.versions.len();
            for version in 1..=count {
                let ended = began - profile.deployed_hours_ago * 3600.0 - DAY * (count - version) as f64;
                environment.deployments.push(completed_deployment(at, version, strategy, ended));
            }
        }
        environment.deployments.sort_by(|a, b| a.started_at.total_cmp(&b.started_at));
    }
}

fn completed_deployment(
    profile: usize,
    version: usize,
    strategy: &AppConfigStrategy,
    ended: f64,
) -> AppConfigDeployment {
    let started = ended - f64::from(strategy.duration_minutes + strategy.bake_minutes) * 60.0;
    let mut it = AppConfigDeployment {
        profile,
        version,
        strategy: strategy.clone(),
        description: None,
        state: "COMPLETE",
        percent: 100.0,
        started_at: started,
        completed_at: Some(ended),
        event_log: Vec::new(),
    };
    it.log_event("DEPLOYMENT_STARTED", "USER", "Deployment started", started);
    it.log_event("DEPLOYMENT_COMPLETED", "APPCONFIG", "Deployment completed", ended);
    it
}
