//! Responses of AppConfig as values: resources, deployments, and the serving version. Pure.

use aws_sdk_appconfig::types as sdk;
use serde::{Deserialize, Serialize};

use crate::release::{CompletedVersion, ContainerImages, Version};

/// A resource with id and name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamedResource {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A configuration profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfigurationProfile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Such as `AWS.AppConfig.FeatureFlags`.
    pub kind: String,
    /// `hosted`, or the URI of its content.
    pub location: String,
}

impl ConfigurationProfile {
    /// Whether its content is feature flags.
    pub fn has_flags(&self) -> bool {
        self.kind == "AWS.AppConfig.FeatureFlags"
    }

    /// A version of it. The label has the profile's name, because the number alone is ambiguous.
    pub fn version(&self, number: &str) -> Version {
        let label = format!("{}:{number}", self.name);
        Version { id: label.clone(), label }
    }
}

/// The number of a version.
pub fn version_number(version: &str) -> &str {
    version.rsplit(':').next().unwrap_or(version)
}

/// A deployment strategy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeploymentStrategy {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How long the weight grows.
    pub growth_minutes: u64,
    /// How long the alarms are monitored after that.
    pub bake_minutes: u64,
}

/// Every resource that the deploy file names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AppConfigLocation {
    /// The application.
    pub application: NamedResource,
    /// The environment.
    pub environment: NamedResource,
    /// ARNs of the alarms that the environment monitors.
    pub alarm_arns: Vec<String>,
    /// The profile.
    pub profile: ConfigurationProfile,
    /// The strategy.
    pub strategy: DeploymentStrategy,
}

impl AppConfigLocation {
    /// Names of the monitored alarms.
    pub fn alarm_names(&self) -> Vec<String> {
        self.alarm_arns.iter().filter_map(|arn| arn.split(":alarm:").nth(1)).map(str::to_owned).collect()
    }
}

/// A deployment in an environment, whatever its profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// Its number; a larger one is newer.
    pub number: i32,
    /// Id of its profile.
    pub profile: String,
    /// Name of its profile, or AppConfig's name for the configuration.
    pub name: String,
    /// The version of the configuration.
    pub version: String,
    /// Such as `DEPLOYING`.
    pub state: String,
    /// Percent of the clients that receive it.
    pub percent: u8,
    /// When it completed, in seconds since the epoch.
    pub completed_at: Option<i64>,
}

impl Deployment {
    /// Whether it advances towards its own version.
    pub fn is_advancing(&self) -> bool {
        matches!(self.state.as_str(), "DEPLOYING" | "BAKING" | "VALIDATING")
    }

    /// Whether it is not over.
    pub fn is_in_flight(&self) -> bool {
        self.is_advancing() || self.state == "ROLLING_BACK"
    }
}

/// One entry of a deployment's log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentEvent {
    /// Such as `ROLLBACK_STARTED`.
    pub kind: String,
    /// Such as `CLOUDWATCH_ALARM`.
    pub triggered_by: String,
    /// AppConfig's message.
    pub description: String,
}

/// A deployment with its log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentDetail {
    /// The deployment.
    pub deployment: Deployment,
    /// Its description.
    pub description: String,
    /// Its log, oldest first.
    pub events: Vec<DeploymentEvent>,
}

/// The environment's deployments, newest first, as far as they were read, from the view of one profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnvironmentHistory {
    /// All of them.
    pub all: Vec<Deployment>,
    /// Id of the profile.
    pub profile: String,
}

impl EnvironmentHistory {
    fn own_deployments(&self) -> impl DoubleEndedIterator<Item = &Deployment> {
        self.all.iter().filter(|one| one.profile == self.profile)
    }

    /// The number of the newest deployment in the environment; 0 if there is none.
    pub fn latest_number(&self) -> i32 {
        self.all.first().map_or(0, |newest| newest.number)
    }

    /// The newest deployment of the profile.
    pub fn newest(&self) -> Option<&Deployment> {
        self.own_deployments().next()
    }

    /// A deployment of the profile that is newer than this number and serves or advances.
    pub fn newer_than(&self, number: i32) -> Option<&Deployment> {
        let counts = |one: &&Deployment| one.is_advancing() || one.state == "COMPLETE";
        self.own_deployments().filter(|one| one.number > number).find(counts)
    }

    /// The deployment with this number.
    pub fn find(&self, number: i32) -> Option<&Deployment> {
        self.own_deployments().find(|one| one.number == number)
    }

    /// The deployment of the profile that is in progress.
    pub fn in_progress(&self) -> Option<&Deployment> {
        self.newest().filter(|newest| newest.is_in_flight())
    }

    /// A deployment of another profile in progress: AppConfig allows one at a time per environment.
    pub fn foreign(&self) -> Option<&Deployment> {
        self.all.iter().find(|one| one.profile != self.profile && one.is_in_flight())
    }

    /// The deployment whose version serves all clients, apart from one in progress.
    pub fn serving(&self) -> Option<&Deployment> {
        self.own_deployments().find(|one| one.state == "COMPLETE")
    }

    /// The deployment that would serve after a revert of the serving one.
    pub fn previous(&self) -> Option<&Deployment> {
        self.own_deployments().filter(|one| one.state == "COMPLETE").nth(1)
    }

    /// Completed versions, newest first, once for each time they completed. A reverted one completed too, and after it
    /// the version before serves again.
    pub fn completed(&self) -> Vec<(String, Option<i64>)> {
        let (mut found, mut serving): (Vec<(String, Option<i64>)>, Vec<&str>) = (Vec::new(), Vec::new());
        for one in self.own_deployments().rev() {
            match one.state.as_str() {
                "COMPLETE" => {
                    found.push((one.version.clone(), one.completed_at));
                    serving.push(&one.version);
                }
                "REVERTED" => {
                    found.push((one.version.clone(), one.completed_at));
                    found.extend(serving.last().map(|before| ((*before).to_owned(), None)));
                }
                _ => {}
            }
        }
        found.reverse();
        found
    }

    /// The same as versions of a profile.
    pub fn completed_versions(&self, profile: &ConfigurationProfile) -> Vec<CompletedVersion> {
        let past = |(version, completed): (String, Option<i64>)| CompletedVersion {
            version: profile.version(&version),
            image: None,
            container_images: ContainerImages::new(),
            digest: None,
            completed_at: completed.and_then(|at| jiff::Timestamp::from_second(at).ok()),
            commits: Vec::new(),
        };
        self.completed().into_iter().map(past).collect()
    }
}

/// The item with this name, else with this id. Errors with the existing names, or with the number of matches.
pub fn find_unique<'a, T>(
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

fn owned_text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn to_u64(value: Option<i32>) -> u64 {
    u64::try_from(value.unwrap_or_default()).unwrap_or_default()
}

fn to_percent(value: Option<f32>) -> u8 {
    // The cast saturates.
    value.unwrap_or_default().round().clamp(0.0, 100.0) as u8
}

/// An application.
pub fn application(it: &sdk::Application) -> NamedResource {
    NamedResource { id: owned_text(it.id()), name: owned_text(it.name()) }
}

/// An environment and the alarms that it monitors.
pub fn environment(it: &sdk::Environment) -> (NamedResource, Vec<String>) {
    let monitors = it.monitors().iter().map(|monitor| monitor.alarm_arn().to_owned()).collect();
    (NamedResource { id: owned_text(it.id()), name: owned_text(it.name()) }, monitors)
}

/// A profile.
pub fn profile(it: &sdk::ConfigurationProfileSummary) -> ConfigurationProfile {
    ConfigurationProfile {
        id: owned_text(it.id()),
        name: owned_text(it.name()),
        kind: owned_text(it.r#type()),
        location: owned_text(it.location_uri()),
    }
}

/// A strategy.
pub fn strategy(it: &sdk::DeploymentStrategy) -> DeploymentStrategy {
    DeploymentStrategy {
        id: owned_text(it.id()),
        name: owned_text(it.name()),
        growth_minutes: to_u64(Some(it.deployment_duration_in_minutes())),
        bake_minutes: to_u64(Some(it.final_bake_time_in_minutes())),
    }
}

/// A deployment in a list.
pub fn deployment(it: &sdk::DeploymentSummary) -> Deployment {
    Deployment {
        number: it.deployment_number(),
        profile: owned_text(it.configuration_profile_id()),
        name: owned_text(it.configuration_name()),
        version: owned_text(it.configuration_version()),
        state: owned_text(it.state().map(|state| state.as_str())),
        percent: to_percent(it.percentage_complete()),
        completed_at: it.completed_at().map(aws_smithy_types::DateTime::secs),
    }
}

/// A deployment as GetDeployment, StartDeployment and StopDeployment return it; each has its own output type.
macro_rules! detail {
    ($it:expr) => {{
        let it = $it;
        let event = |one: &aws_sdk_appconfig::types::DeploymentEvent| {
            $crate::targets::appconfig::read::DeploymentEvent {
                kind: one.event_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                triggered_by: one.triggered_by().map(|by| by.as_str().to_owned()).unwrap_or_default(),
                description: one.description().unwrap_or_default().to_owned(),
            }
        };
        $crate::targets::appconfig::read::DeploymentDetail {
            deployment: $crate::targets::appconfig::read::Deployment {
                number: it.deployment_number(),
                profile: it.configuration_profile_id().unwrap_or_default().to_owned(),
                name: it.configuration_name().unwrap_or_default().to_owned(),
                version: it.configuration_version().unwrap_or_default().to_owned(),
                state: it.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
                percent: it.percentage_complete().unwrap_or_default().round().clamp(0.0, 100.0) as u8,
                completed_at: it.completed_at().map(aws_smithy_types::DateTime::secs),
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
    /// reverted (`R`), rolled back (`B`), rolling back (`b`), deploying (`D`); `x` marks another profile's.
    pub(in super::super) fn history(text: &str) -> EnvironmentHistory {
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
        EnvironmentHistory { all, profile: "p1".into() }
    }

    #[test]
    fn serving_is_the_newest_complete_deployment() {
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
            assert_eq!(version(history.serving()).as_deref(), serves, "{text}");
            assert_eq!(version(history.previous()).as_deref(), before, "{text}");
        }
    }

    #[test]
    fn completed_reverted_version_is_followed_by_the_previous_one() {
        let completed = |text: &str| {
            history(text).completed().into_iter().map(|(version, _)| version).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(completed("1C 2C 3B 4D"), "2 1");
        assert_eq!(completed("1C 2R"), "1 2 1");
        assert_eq!(completed("1C 2R 3C"), "3 1 2 1");
        assert_eq!(completed("2R"), "2");
        assert_eq!(completed("7Cx"), "");
    }

    #[test]
    fn find_unique_prefers_names_and_rejects_duplicates() {
        let all = [("a1", "shop"), ("shop", "till"), ("a3", "twice"), ("a4", "twice")];
        let pick = |wanted: &str| find_unique(&all, wanted, |one| (one.0, one.1)).map(|one| one.0);
        assert_eq!(pick("shop"), Ok("a1"));
        assert_eq!(pick("a3"), Ok("a3"));
        assert_eq!(pick("twice"), Err(Err(2)));
        assert!(matches!(pick("none"), Err(Ok(names)) if names.len() == 4));
    }
}
