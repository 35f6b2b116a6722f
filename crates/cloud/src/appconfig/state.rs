//! All of AppConfig in the emulator as plain data, and finding things in it.

/// AppConfig of the account.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AppConfigState {
    /// Applications.
    pub applications: Vec<AppConfigApplication>,
    /// Deployment strategies.
    pub strategies: Vec<AppConfigStrategy>,
}

/// An application.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigApplication {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environments.
    pub environments: Vec<AppConfigEnvironment>,
    /// Its configuration profiles.
    pub profiles: Vec<AppConfigProfile>,
}

/// An environment.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigEnvironment {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Names of the alarms that it monitors.
    pub monitors: Vec<String>,
    /// Its deployments, oldest first: the number of one is its place from 1.
    pub deployments: Vec<AppConfigDeployment>,
}

/// A configuration profile.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigProfile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `AWS.Freeform` or `AWS.AppConfig.FeatureFlags`.
    pub profile_type: String,
    /// `hosted`, or a URI.
    pub location: String,
    /// Its hosted versions, oldest first: the number of one is its place from 1.
    pub versions: Vec<HostedVersion>,
}

/// A version of hosted configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedVersion {
    /// The content.
    pub content: String,
    /// Its MIME type.
    pub content_type: String,
    /// Its description.
    pub description: Option<String>,
    /// Its label.
    pub label: Option<String>,
}

/// A deployment strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigStrategy {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `DeploymentDurationInMinutes`.
    pub duration_minutes: u32,
    /// `FinalBakeTimeInMinutes`.
    pub bake_minutes: u32,
    /// `GrowthType`.
    pub growth_type: String,
    /// `GrowthFactor`, in percent.
    pub growth_factor: f64,
}

/// Something that happened to a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentLogEntry {
    /// `EventType`.
    pub event_type: &'static str,
    /// `TriggeredBy`.
    pub triggered_by: &'static str,
    /// `Description`.
    pub description: String,
    /// `OccurredAt`, epoch seconds.
    pub occurred_at: f64,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfigDeployment {
    /// Place of its profile.
    pub profile: usize,
    /// Number of the hosted version.
    pub version: usize,
    /// Its strategy, as it was.
    pub strategy: AppConfigStrategy,
    /// Its description.
    pub description: Option<String>,
    /// `State`.
    pub state: &'static str,
    /// `PercentageComplete`.
    pub percent: f64,
    /// When it started, epoch seconds.
    pub started_at: f64,
    /// When it ended.
    pub completed_at: Option<f64>,
    /// What happened, oldest first.
    pub event_log: Vec<DeploymentLogEntry>,
}

/// States of a deployment that is not over.
pub const IN_FLIGHT_STATES: [&str; 4] = ["DEPLOYING", "BAKING", "VALIDATING", "ROLLING_BACK"];

impl AppConfigDeployment {
    /// Whether it is not over.
    pub fn is_in_flight(&self) -> bool {
        IN_FLIGHT_STATES.contains(&self.state)
    }

    /// Writes something down.
    pub fn log_event(&mut self, kind: &'static str, by: &'static str, words: impl Into<String>, at: f64) {
        self.event_log.push(DeploymentLogEntry {
            event_type: kind,
            triggered_by: by,
            description: words.into(),
            occurred_at: at,
        });
    }
}

impl AppConfigEnvironment {
    /// The number of the version of a profile that serves wholly here.
    pub fn serving_version(&self, profile: usize) -> Option<usize> {
        let complete = |it: &&AppConfigDeployment| it.profile == profile && it.state == "COMPLETE";
        self.deployments.iter().rev().find(complete).map(|it| it.version)
    }
}

impl AppConfigState {
    /// The content that serves wholly of a profile in an environment, all by name.
    pub fn serving_content(
        &self,
        application: &str,
        environment: &str,
        profile: &str,
    ) -> Option<(usize, &HostedVersion)> {
        let application = self.applications.iter().find(|it| it.name == application)?;
        let environment = application.environments.iter().find(|it| it.name == environment)?;
        let at = application.profiles.iter().position(|it| it.name == profile)?;
        let number = environment.serving_version(at)?;
        Some((number, application.profiles[at].versions.get(number - 1)?))
    }
}
