//! Reading what AppConfig has for one service: which calls, in which order. What it means is said by `read` and `verdict`.

use super::client::Client;
use super::read::{History, Named, Place, Profile, Strategy, pick};
use super::settings::Settings;
use crate::problem::{Code, Problem, suggest};

/// Pages of fifty deployments that are read where the whole past is asked for.
pub const PAST: usize = 10;
/// And where it is enough to know what serves and what did before.
pub const RECENT: usize = 4;

/// Finds everything that a block names. Errors name what there is instead.
pub async fn place(client: &Client, settings: &Settings) -> Result<Place, Problem> {
    let applications = client.applications().await?;
    let application = found("application", settings.application.as_str(), &applications, |one: &Named| {
        (&one.id, &one.name)
    })?;
    let id = application.id.as_str();
    let (environments, profiles, strategies) =
        futures::join!(client.environments(id), client.profiles(id), client.strategies());
    let (environments, profiles, strategies) = (environments?, profiles?, strategies?);
    let wanted = settings.environment.as_str();
    let (environment, monitors) =
        found("environment", wanted, &environments, |(one, _): &(Named, Vec<String>)| (&one.id, &one.name))?;
    let of_profile = |one: &Profile| (one.id.clone(), one.name.clone());
    let profile = owned("profile", settings.profile.as_str(), &profiles, of_profile)?;
    let of_strategy = |one: &Strategy| (one.id.clone(), one.name.clone());
    let strategy = owned("strategy", settings.strategy.as_str(), &strategies, of_strategy)?;
    Ok(Place {
        application: application.clone(),
        environment: environment.clone(),
        monitors: monitors.clone(),
        profile,
        strategy,
    })
}

fn owned<T: Clone>(
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
    found(key, wanted, &named, |(id, name, _)| (id, name)).map(|(_, _, one)| (*one).clone())
}

fn found<'a, T>(
    key: &str,
    wanted: &str,
    all: &'a [T],
    of: impl Fn(&T) -> (&str, &str),
) -> Result<&'a T, Problem> {
    pick(all, wanted, of).map_err(|why| match why {
        Err(count) => {
            let sentence =
                format!("{count} things in AppConfig have the name `{wanted}` (`appconfig.{key}`).");
            Problem::error(Code::ServiceMissing, sentence).help("Give the id instead of the name.")
        }
        Ok(names) => {
            let sentence = format!("AppConfig has nothing named `{wanted}` (`appconfig.{key}`).");
            let near = suggest(wanted, names.iter().map(String::as_str));
            let near = near.map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
            let known = names.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { "There is none at all".into() } else { format!("There is: {known}") };
            let help = format!("{near}{known}. Check `aws.region` and the role, too.");
            Problem::error(Code::ServiceMissing, sentence).help(help)
        }
    })
}

/// The deployments of the environment, newest first: so many pages at most, and no more than it needs to know what serves
/// and what did before where that is enough.
pub async fn history(client: &Client, place: &Place, pages: usize) -> Result<History, Problem> {
    let mut history = History { all: Vec::new(), profile: place.profile.id.clone() };
    let mut next = None;
    for _ in 0..pages {
        let (items, more) = client.deployments(place, next).await?;
        history.all.extend(items);
        next = more;
        let enough = pages == RECENT && history.before().is_some();
        if next.is_none() || enough {
            break;
        }
    }
    Ok(history)
}
