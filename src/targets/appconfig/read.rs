//! Answers of AppConfig as our nouns: what exists, what was deployed, what serves. Pure.

use aws_sdk_appconfig::types as sdk;
use serde::{Deserialize, Serialize};

use crate::release::{Past, Version};

/// Something with an id and a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A configuration profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `AWS.AppConfig.FeatureFlags`.
    pub kind: String,
    /// `hosted`, or where else its content is.
    pub location: String,
}

impl Profile {
    /// Whether its content is feature flags.
    pub fn has_flags(&self) -> bool {
        self.kind == "AWS.AppConfig.FeatureFlags"
    }

    /// A version of it. The number alone says nothing to people who have several profiles.
    pub fn version(&self, number: &str) -> Version {
        let label = format!("{}:{number}", self.name);
        Version { id: label.clone(), label }
    }
}

/// The number of a version.
pub fn number(version: &str) -> &str {
    version.rsplit(':').next().unwrap_or(version)
}

/// A deployment strategy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Strategy {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How long the share of the clients grows.
    pub minutes: u64,
    /// How long the alarms are watched after that.
    pub bake: u64,
}

/// Everything that the deploy file names, as AppConfig knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Place {
    /// The application.
    pub application: Named,
    /// The environment.
    pub environment: Named,
    /// ARNs of the alarms that the environment monitors.
    pub monitors: Vec<String>,
    /// The profile.
    pub profile: Profile,
    /// The strategy.
    pub strategy: Strategy,
}

impl Place {
    /// Names of the alarms that are monitored.
    pub fn alarms(&self) -> Vec<String> {
        self.monitors.iter().filter_map(|arn| arn.split(":alarm:").nth(1)).map(str::to_owned).collect()
    }
}

/// A deployment in an environment, whatever its profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// Its number; a larger one is newer.
    pub number: i32,
    /// Id of its profile.
    pub profile: String,
    /// Name of its profile, or whatever AppConfig calls the configuration.
    pub name: String,
    /// The version of the configuration.
    pub version: String,
    /// Such as `DEPLOYING`.
    pub state: String,
    /// How many percent of the clients can get it.
    pub percent: u8,
    /// When it completed, in seconds since the epoch.
    pub completed: Option<i64>,
}

impl Deployment {
    /// Whether it goes towards its own version.
    pub fn advances(&self) -> bool {
        matches!(self.state.as_str(), "DEPLOYING" | "BAKING" | "VALIDATING")
    }

    /// Whether it is not over.
    pub fn in_flight(&self) -> bool {
        self.advances() || self.state == "ROLLING_BACK"
    }
}

/// One entry of a deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Such as `ROLLBACK_STARTED`.
    pub kind: String,
    /// Such as `CLOUDWATCH_ALARM`.
    pub by: String,
    /// AppConfig's words.
    pub words: String,
}

/// A deployment with its log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// The deployment.
    pub deployment: Deployment,
    /// What whoever started it wrote beside it.
    pub description: String,
    /// Its log, oldest first.
    pub events: Vec<Event>,
}

/// The environment's deployments, newest first, as far as they were read, as one profile sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// All of them.
    pub all: Vec<Deployment>,
    /// Id of the profile.
    pub profile: String,
}

impl History {
    fn own(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.all.iter().filter(|one| one.profile == self.profile)
    }

    /// The number of the newest deployment in the environment; 0 where there is none.
    pub fn latest(&self) -> i32 {
        self.all.first().map_or(0, |newest| newest.number)
    }

    /// The newest deployment of the profile.
    pub fn newest(&self) -> Option<&Deployment> {
        self.own().next()
    }

    /// A deployment of the profile that is newer than this number and serves, or is on its way to.
    pub fn newer_than(&self, number: i32) -> Option<&Deployment> {
        let counts = |one: &&Deployment| one.advances() || one.state == "COMPLETE";
        self.own().filter(|one| one.number > number).find(counts)
    }

    /// The deployment with this number.
    pub fn find(&self, number: i32) -> Option<&Deployment> {
        self.own().find(|one| one.number == number)
    }

    /// The deployment of the profile that is not over.
    pub fn flying(&self) -> Option<&Deployment> {
        self.newest().filter(|newest| newest.in_flight())
    }

    /// A deployment of another profile that is not over: AppConfig has one at a time in an environment.
    pub fn other(&self) -> Option<&Deployment> {
        self.all.iter().find(|one| one.profile != self.profile && one.in_flight())
    }

    /// The deployment whose version serves all clients, beside what is in flight.
    pub fn serves(&self) -> Option<&Deployment> {
        self.own().find(|one| one.state == "COMPLETE")
    }

    /// The deployment that would serve again if the one that serves were reverted.
    pub fn before(&self) -> Option<&Deployment> {
        self.own().filter(|one| one.state == "COMPLETE").nth(1)
    }

    /// What completed, newest first, the same version once for each time. What was reverted completed, too, and after
    /// it the version before it serves once more.
    pub fn completions(&self) -> Vec<(String, Option<i64>)> {
        let (mut found, mut serving): (Vec<(String, Option<i64>)>, Vec<&str>) = (Vec::new(), Vec::new());
        for one in self.own().rev() {
            match one.state.as_str() {
                "COMPLETE" => {
                    found.push((one.version.clone(), one.completed));
                    serving.push(&one.version);
                }
                "REVERTED" => {
                    found.push((one.version.clone(), one.completed));
                    found.extend(serving.last().map(|before| ((*before).to_owned(), None)));
                }
                _ => {}
            }
        }
        found.reverse();
        found
    }

    /// The same as versions of a profile.
    pub fn past(&self, profile: &Profile) -> Vec<Past> {
        let past = |(version, completed): (String, Option<i64>)| Past {
            version: profile.version(&version),
            image: None,
            digest: None,
            completed: completed.and_then(|at| jiff::Timestamp::from_second(at).ok()),
            commits: Vec::new(),
        };
        self.completions().into_iter().map(past).collect()
    }
}

/// One of several by its name, else by its id. Errors with the names that there are, or with how many have this one.
pub fn pick<'a, T>(
    all: &'a [T],
    wanted: &str,
    of: impl Fn(&T) -> (&str, &str),
) -> Result<&'a T, Result<Vec<String>, usize>> {
    let named: Vec<&T> = all.iter().filter(|one| of(one).1 == wanted).collect();
    match named.as_slice() {
        [one] => Ok(one),
        [] => {
            let by_id = all.iter().find(|one| of(one).0 == wanted);
            by_id.ok_or_else(|| Ok(all.iter().map(|one| of(one).1.to_owned()).collect()))
        }
        several => Err(Err(several.len())),
    }
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn whole(value: Option<i32>) -> u64 {
    u64::try_from(value.unwrap_or_default()).unwrap_or_default()
}

fn percent(value: Option<f32>) -> u8 {
    // The cast saturates.
    value.unwrap_or_default().round().clamp(0.0, 100.0) as u8
}

/// An application.
pub fn application(it: &sdk::Application) -> Named {
    Named { id: text(it.id()), name: text(it.name()) }
}

/// An environment and the alarms that it monitors.
pub fn environment(it: &sdk::Environment) -> (Named, Vec<String>) {
    let monitors = it.monitors().iter().map(|monitor| monitor.alarm_arn().to_owned()).collect();
    (Named { id: text(it.id()), name: text(it.name()) }, monitors)
}

/// A profile.
pub fn profile(it: &sdk::ConfigurationProfileSummary) -> Profile {
    Profile {
        id: text(it.id()),
        name: text(it.name()),
        kind: text(it.r#type()),
        location: text(it.location_uri()),
    }
}

/// A strategy.
pub fn strategy(it: &sdk::DeploymentStrategy) -> Strategy {
    Strategy {
        id: text(it.id()),
        name: text(it.name()),
        minutes: whole(Some(it.deployment_duration_in_minutes())),
        bake: whole(Some(it.final_bake_time_in_minutes())),
    }
}

/// A deployment in a list.
pub fn summary(it: &sdk::DeploymentSummary) -> Deployment {
    Deployment {
        number: it.deployment_number(),
        profile: text(it.configuration_profile_id()),
        name: text(it.configuration_name()),
        version: text(it.configuration_version()),
        state: text(it.state().map(|state| state.as_str())),
        percent: percent(it.percentage_complete()),
        completed: it.completed_at().map(aws_smithy_types::DateTime::secs),
    }
}

/// A deployment as GetDeployment, StartDeployment and StopDeployment show it; each has an output type of its own.
macro_rules! detail {
    ($it:expr) => {{
        let it = $it;
        let event =
            |one: &aws_sdk_appconfig::types::DeploymentEvent| $crate::targets::appconfig::read::Event {
                kind: one.event_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                by: one.triggered_by().map(|by| by.as_str().to_owned()).unwrap_or_default(),
                words: one.description().unwrap_or_default().to_owned(),
            };
        $crate::targets::appconfig::read::Detail {
            deployment: $crate::targets::appconfig::read::Deployment {
                number: it.deployment_number(),
                profile: it.configuration_profile_id().unwrap_or_default().to_owned(),
                name: it.configuration_name().unwrap_or_default().to_owned(),
                version: it.configuration_version().unwrap_or_default().to_owned(),
                state: it.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
                percent: it.percentage_complete().unwrap_or_default().round().clamp(0.0, 100.0) as u8,
                completed: it.completed_at().map(aws_smithy_types::DateTime::secs),
            },
            description: it.description().unwrap_or_default().to_owned(),
            // AppConfig lists the newest first.
            events: it.event_log().iter().rev().map(event).collect(),
        }
    }};
}
pub(super) use detail;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Newest last: `1C 2C 3R` are deployments 1 to 3 of the versions 1, 2 and 3 of one profile, complete (`C`),
    /// reverted (`R`), rolled back (`B`), rolling back (`b`), deploying (`D`); `x` after it is another profile's.
    pub(in super::super) fn history(text: &str) -> History {
        let one = |(at, word): (usize, &str)| {
            let state = match word.chars().find(char::is_ascii_alphabetic) {
                Some('C') => "COMPLETE",
                Some('R') => "REVERTED",
                Some('B') => "ROLLED_BACK",
                Some('b') => "ROLLING_BACK",
                _ => "DEPLOYING",
            };
            Deployment {
                number: at as i32 + 1,
                profile: if word.ends_with('x') { "other" } else { "p1" }.into(),
                name: "flags".into(),
                version: word.chars().take_while(char::is_ascii_digit).collect(),
                state: state.into(),
                ..Deployment::default()
            }
        };
        let mut all: Vec<Deployment> = text.split_whitespace().enumerate().map(one).collect();
        all.reverse();
        History { all, profile: "p1".into() }
    }

    #[test]
    fn what_serves_is_what_completed_and_was_not_reverted() {
        let table = [
            ("", None, None),
            ("1C", Some("1"), None),
            ("1C 2C", Some("2"), Some("1")),
            ("1C 2R", Some("1"), None),
            ("1C 2C 3B", Some("2"), Some("1")),
            ("1C 2D", Some("1"), None),
            ("1C 9Cx", Some("1"), None),
        ];
        for (text, serves, before) in table {
            let history = history(text);
            let version = |one: Option<&Deployment>| one.map(|one| one.version.clone());
            assert_eq!(version(history.serves()).as_deref(), serves, "{text}");
            assert_eq!(version(history.before()).as_deref(), before, "{text}");
        }
    }

    #[test]
    fn a_version_that_was_reverted_completed_and_the_one_before_did_again() {
        let completed = |text: &str| {
            history(text).completions().into_iter().map(|(version, _)| version).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(completed("1C 2C 3B 4D"), "2 1");
        assert_eq!(completed("1C 2R"), "1 2 1");
        assert_eq!(completed("1C 2R 3C"), "3 1 2 1");
        assert_eq!(completed("2R"), "2");
        assert_eq!(completed("7Cx"), "");
    }

    #[test]
    fn names_win_over_ids_and_must_be_clear() {
        let all = [("a1", "shop"), ("shop", "till"), ("a3", "twice"), ("a4", "twice")];
        let pick = |wanted: &str| pick(&all, wanted, |one| (one.0, one.1)).map(|one| one.0);
        assert_eq!(pick("shop"), Ok("a1"));
        assert_eq!(pick("a3"), Ok("a3"));
        assert_eq!(pick("twice"), Err(Err(2)));
        assert!(matches!(pick("none"), Err(Ok(names)) if names.len() == 4));
    }
}
