//! What exists of AppConfig when the world begins: what the scenario says, and the strategies that AWS brings
//! (<https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-deployment-strategy-predefined.html>).

use super::flags;
use super::setting::{self, AppConfig};
use super::state::{Application, Deployment, Environment, Hosted, Profile, State, Strategy};

const DAY: f64 = 86_400.0;

/// Name, minutes of growth, minutes of bake, growth, factor.
const PREDEFINED: [(&str, u32, u32, &str, f64); 4] = [
    ("AppConfig.AllAtOnce", 0, 10, "LINEAR", 100.0),
    ("AppConfig.Linear50PercentEvery30Seconds", 1, 1, "LINEAR", 50.0),
    ("AppConfig.Canary10Percent20Minutes", 20, 10, "EXPONENTIAL", 10.0),
    ("AppConfig.Linear20PercentEvery6Minutes", 30, 30, "LINEAR", 20.0),
];

/// AppConfig as a scenario says.
pub fn found(setting: &AppConfig, began: f64) -> State {
    let mut ids = 0;
    let mut next = |kind: char| {
        ids += 1;
        format!("{kind}{ids:05}")
    };
    let mut strategies: Vec<Strategy> = PREDEFINED.map(predefined).into();
    strategies.extend(setting.strategies.iter().map(|one| own(one, next('s'))));
    let all_at_once = strategies[0].clone();
    let mut applications = Vec::new();
    for one in &setting.applications {
        let mut application = Application {
            id: next('a'),
            name: one.name.clone(),
            environments: one.environments.iter().map(|it| environment(it, next('e'))).collect(),
            profiles: one.profiles.iter().map(|it| profile(it, next('p'), began)).collect(),
        };
        deployed(&mut application, one, &all_at_once, began);
        applications.push(application);
    }
    State { applications, strategies }
}

fn predefined((name, minutes, bake, growth, factor): (&str, u32, u32, &str, f64)) -> Strategy {
    Strategy { id: name.into(), name: name.into(), minutes, bake, growth: growth.into(), factor }
}

fn own(setting: &setting::Strategy, id: String) -> Strategy {
    let setting::Strategy { name, minutes, bake, growth, factor } = setting.clone();
    Strategy { id, name, minutes, bake, growth, factor }
}

fn environment(setting: &setting::Environment, id: String) -> Environment {
    let setting::Environment { name, monitors } = setting.clone();
    Environment { id, name, monitors, deployments: Vec::new() }
}

fn profile(setting: &setting::Profile, id: String, began: f64) -> Profile {
    let hosted = |content: &String| Hosted {
        content: if setting.kind == flags::KIND { flags::stamped(content, began) } else { content.clone() },
        content_type: setting.content_type.clone(),
        description: None,
        label: None,
    };
    Profile {
        id,
        name: setting.name.clone(),
        kind: setting.kind.clone(),
        location: setting.location.clone(),
        versions: setting.versions.iter().map(hosted).collect(),
    }
}

/// Every version was deployed to every environment, one after the other.
fn deployed(application: &mut Application, setting: &setting::Application, strategy: &Strategy, began: f64) {
    for environment in &mut application.environments {
        for (at, profile) in setting.profiles.iter().enumerate() {
            let count = profile.versions.len();
            for version in 1..=count {
                let ended = began - profile.deployed_hours_ago * 3600.0 - DAY * (count - version) as f64;
                environment.deployments.push(completed(at, version, strategy, ended));
            }
        }
        environment.deployments.sort_by(|a, b| a.started.total_cmp(&b.started));
    }
}

fn completed(profile: usize, version: usize, strategy: &Strategy, ended: f64) -> Deployment {
    let started = ended - f64::from(strategy.minutes + strategy.bake) * 60.0;
    let mut it = Deployment {
        profile,
        version,
        strategy: strategy.clone(),
        description: None,
        state: "COMPLETE",
        percent: 100.0,
        started,
        completed: Some(ended),
        events: Vec::new(),
    };
    it.note("DEPLOYMENT_STARTED", "USER", "Deployment started", started);
    it.note("DEPLOYMENT_COMPLETED", "APPCONFIG", "Deployment completed", ended);
    it
}
