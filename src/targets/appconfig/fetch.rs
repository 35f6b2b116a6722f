//! Reads of AppConfig for one service: which calls, in which order. `read` and `status` interpret the responses.

use super::client::Client;
use super::read::{
    AppConfigLocation, ConfigurationProfile, DeploymentStrategy, EnvironmentHistory, NamedResource,
    find_unique,
};
use super::settings::Settings;
use crate::problem::{Code, Problem, suggest};

/// Pages of fifty deployments in a full history.
pub const HISTORY_PAGES: usize = 10;
/// Pages that show the serving version and the one before.
pub const RECENT_PAGES: usize = 4;

/// Finds every resource that the settings name. Errors list the existing names.
pub async fn fetch_location(client: &Client, settings: &Settings) -> Result<AppConfigLocation, Problem> {
    let applications = client.applications().await?;
    let application =
        find_named("application", settings.application.as_str(), &applications, |one: &NamedResource| {
            (&one.id, &one.name)
        })?;
    let id = application.id.as_str();
    let (environments, profiles, strategies) =
        futures::join!(client.environments(id), client.profiles(id), client.strategies());
    let (environments, profiles, strategies) = (environments?, profiles?, strategies?);
    let wanted = settings.environment.as_str();
    let (environment, monitors) =
        find_named("environment", wanted, &environments, |(one, _): &(NamedResource, Vec<String>)| {
            (&one.id, &one.name)
        })?;
    let of_profile = |one: &ConfigurationProfile| (one.id.clone(), one.name.clone());
    let profile = find_cloned("profile", settings.profile.as_str(), &profiles, of_profile)?;
    let of_strategy = |one: &DeploymentStrategy| (one.id.clone(), one.name.clone());
    let strategy = find_cloned("strategy", settings.strategy.as_str(), &strategies, of_strategy)?;
    Ok(AppConfigLocation {
        application: application.clone(),
        environment: environment.clone(),
        alarm_arns: monitors.clone(),
        profile,
        strategy,
    })
}

fn find_cloned<T: Clone>(
    key: &str,
    wanted: &str,
    all: &[T],
    of: impl Fn(&T) -> (String, String),
) -> Result<T, Problem> {
    let named: Vec<(String, String, &T)> = all
        .iter()
        .map(|one| {
            let (id, name) = of(one);
            (id, name, one)
        })
        .collect();
    find_named(key, wanted, &named, |(id, name, _)| (id, name)).map(|(_, _, one)| (*one).clone())
}

fn find_named<'a, T>(
    key: &str,
    wanted: &str,
    all: &'a [T],
    of: impl Fn(&T) -> (&str, &str),
) -> Result<&'a T, Problem> {
    find_unique(all, wanted, of).map_err(|reason| match reason {
        Err(count) => {
            let sentence =
                format!("{count} resources in AppConfig have the name `{wanted}` (`appconfig.{key}`).");
            Problem::error(Code::ServiceMissing, sentence).help("Use the id instead of the name.")
        }
        Ok(names) => {
            let sentence = format!("AppConfig has no resource named `{wanted}` (`appconfig.{key}`).");
            let near = suggest(wanted, names.iter().map(String::as_str));
            let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
            let known = names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() {
                "AppConfig has none".into()
            } else {
                format!("AppConfig has: {known}")
            };
            let help = format!("{near}{known}. Also check `aws.region` and the role.");
            Problem::error(Code::ServiceMissing, sentence).help(help)
        }
    })
}

/// The deployments of the environment, newest first. With a limit of pages, reading ends once the serving version and
/// the one before are known.
pub async fn fetch_history(
    client: &Client,
    place: &AppConfigLocation,
    pages: usize,
) -> Result<EnvironmentHistory, Problem> {
    let mut history = EnvironmentHistory { all: Vec::new(), profile: place.profile.id.clone() };
    let mut next = None;
    for _ in 0..pages {
        let (items, more) = client.deployments(place, next).await?;
        history.all.extend(items);
        next = more;
        let enough = pages == RECENT_PAGES && history.previous().is_some();
        if next.is_none() || enough {
            break;
        }
    }
    Ok(history)
}
