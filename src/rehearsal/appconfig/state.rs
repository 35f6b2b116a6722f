//! All of AppConfig in the embedded cloud as plain data, and finding things in it.

/// AppConfig of the account.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Applications.
    pub applications: Vec<Application>,
    /// Deployment strategies.
    pub strategies: Vec<Strategy>,
}

/// An application.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its environments.
    pub environments: Vec<Environment>,
    /// Its configuration profiles.
    pub profiles: Vec<Profile>,
}

/// An environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Names of the alarms that it monitors.
    pub monitors: Vec<String>,
    /// Its deployments, oldest first: the number of one is its place from 1.
    pub deployments: Vec<Deployment>,
}

/// A configuration profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `AWS.Freeform` or `AWS.AppConfig.FeatureFlags`.
    pub kind: String,
    /// `hosted`, or a URI.
    pub location: String,
    /// Its hosted versions, oldest first: the number of one is its place from 1.
    pub versions: Vec<Hosted>,
}

/// A version of hosted configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
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
pub struct Strategy {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `DeploymentDurationInMinutes`.
    pub minutes: u32,
    /// `FinalBakeTimeInMinutes`.
    pub bake: u32,
    /// `GrowthType`.
    pub growth: String,
    /// `GrowthFactor`, in percent.
    pub factor: f64,
}

/// Something that happened to a deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// `EventType`.
    pub kind: &'static str,
    /// `TriggeredBy`.
    pub by: &'static str,
    /// `Description`.
    pub words: String,
    /// `OccurredAt`, epoch seconds.
    pub at: f64,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Place of its profile.
    pub profile: usize,
    /// Number of the hosted version.
    pub version: usize,
    /// Its strategy, as it was.
    pub strategy: Strategy,
    /// Its description.
    pub description: Option<String>,
    /// `State`.
    pub state: &'static str,
    /// `PercentageComplete`.
    pub percent: f64,
    /// When it started, epoch seconds.
    pub started: f64,
    /// When it ended.
    pub completed: Option<f64>,
    /// What happened, oldest first.
    pub events: Vec<Logged>,
}

/// States of a deployment that is not over.
pub const IN_FLIGHT: [&str; 4] = ["DEPLOYING", "BAKING", "VALIDATING", "ROLLING_BACK"];

impl Deployment {
    /// Whether it is not over.
    pub fn in_flight(&self) -> bool {
        IN_FLIGHT.contains(&self.state)
    }

    /// Writes something down.
    pub fn note(&mut self, kind: &'static str, by: &'static str, words: impl Into<String>, at: f64) {
        self.events.push(Logged { kind, by, words: words.into(), at });
    }
}

impl Environment {
    /// The number of the version of a profile that serves wholly here.
    pub fn serves(&self, profile: usize) -> Option<usize> {
        let complete = |it: &&Deployment| it.profile == profile && it.state == "COMPLETE";
        self.deployments.iter().rev().find(complete).map(|it| it.version)
    }
}

impl State {
    /// The content that serves wholly of a profile in an environment, all by name.
    pub fn serving(&self, application: &str, environment: &str, profile: &str) -> Option<(usize, &Hosted)> {
        let application = self.applications.iter().find(|it| it.name == application)?;
        let environment = application.environments.iter().find(|it| it.name == environment)?;
        let at = application.profiles.iter().position(|it| it.name == profile)?;
        let number = environment.serves(at)?;
        Some((number, application.profiles[at].versions.get(number - 1)?))
    }
}
