//! The scenario file of the emulator: what exists, how long things take, what goes wrong. Types and reading only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::appconfig::scenario::AppConfigSettings;
use super::argocd::scenario::ArgoCdSettings;
use super::compose::scenario::ComposeHostSetting;
use super::elbv2::balancers::LoadBalancerSetting;
use super::faults::Fault;
use super::github;
use super::kubernetes::scenario::KubernetesSettings;
use super::oidc::Workflow;
use super::one_off_commands::OneOffCommand;
use super::policy::CallerPolicy;
use super::rng::{SecondsRange, seconds_range};
use super::service::SERVICES;
use super::sts::RoleTrust;
use super::traffic::settings::TrafficSetting;
use super::web::Site;
use super::world::BackingRegistry;

pub use super::cloudwatch::scenario::AlarmSetting;
pub use super::ecr::scenario::{ForeignRegistry, ImageSetting, RepositorySetting};
pub use super::ecs::scenario::{
    BreakerThreshold, CircuitBreakerSetting, DeploymentAlarms, DeploymentSetting, ServiceSetting,
    TargetGroupSetting,
};

/// A world to begin with, and its faults. Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Scenario {
    /// When the world begins, such as `2026-03-02T09:00:00Z`.
    pub start: String,
    /// Account id.
    pub account: String,
    /// Region.
    pub region: String,
    /// Clusters besides those of the services.
    pub clusters: Vec<String>,
    /// Services that run when the world begins.
    pub services: Vec<ServiceSetting>,
    /// Load balancers in front of their target groups.
    pub balancers: Vec<LoadBalancerSetting>,
    /// Requests that come to them.
    pub traffic: Vec<TrafficSetting>,
    /// What stands at addresses, besides load balancers.
    pub sites: Vec<Site>,
    /// Topics of SNS, by ARN or name.
    pub topics: Vec<String>,
    /// Alarms.
    pub alarms: Vec<AlarmSetting>,
    /// Repositories by name.
    pub repositories: BTreeMap<String, RepositorySetting>,
    /// AppConfig: applications, profiles, strategies.
    pub appconfig: AppConfigSettings,
    /// Argo CD and its applications.
    pub argocd: ArgoCdSettings,
    /// Servers with Docker Compose.
    pub compose: Vec<ComposeHostSetting>,
    /// Clusters of Kubernetes and their workloads.
    pub kubernetes: KubernetesSettings,
    /// How long things take.
    pub timings: Timings,
    /// Which actions the caller may take.
    pub policy: CallerPolicy,
    /// Whom the account's roles trust.
    pub trust: RoleTrust,
    /// The workflow run that the runner's token endpoint vouches for.
    pub workflow: Workflow,
    /// A real registry behind ECR.
    pub registry: Option<BackingRegistry>,
    /// Registries of other accounts and regions.
    pub registries: Vec<ForeignRegistry>,
    /// Whether registries mount layers of one repository into another.
    pub blob_mounting: bool,
    /// GitHub: repositories and tokens.
    pub github: github::scenario::GitHubSettings,
    /// Whether documented request rates are enforced.
    pub throttling: bool,
    /// How commands end that are run once.
    pub one_off: Vec<OneOffCommand>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// How long things take, in seconds: one number, or the least and the most.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timings {
    /// From the scheduler noticing a change to its acting on it.
    pub schedule: SecondsRange,
    /// A task's network interface and host: PROVISIONING.
    pub provision: SecondsRange,
    /// Pulling the images: PENDING.
    pub pull: SecondsRange,
    /// From pulled to RUNNING.
    pub start: SecondsRange,
    /// From RUNNING to healthy, where the service has a health check.
    pub health: SecondsRange,
    /// From RUNNING to counted as healthy, where it has none (ECS waits 40 seconds).
    pub settle: SecondsRange,
    /// From RUNNING to stopped for failing its health check.
    pub unhealthy: SecondsRange,
    /// Until a pull that cannot succeed is given up.
    pub pull_failure: SecondsRange,
    /// Until a secret that cannot be read fails the task.
    pub init_failure: SecondsRange,
    /// Draining a target.
    pub deregistration: SecondsRange,
    /// From SIGTERM to the end of the containers.
    pub stop: SecondsRange,
    /// Taking down the network interface: DEPROVISIONING.
    pub deprovision: SecondsRange,
    /// From the last old task's end to COMPLETED.
    pub complete: SecondsRange,
    /// How often ECS looks at the alarms of a deployment.
    pub alarm_poll: SecondsRange,
    /// How long a finished deployment with alarms is watched before it counts as completed.
    pub alarm_bake: SecondsRange,
    /// From new weights on a listener rule to traffic following them.
    pub traffic_shift: SecondsRange,
    /// From the end of a minute to its metrics.
    pub metrics_lag: SecondsRange,
    /// One call's way to the cloud and back.
    pub latency: SecondsRange,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            schedule: seconds_range(1.0, 3.0),
            provision: seconds_range(3.0, 6.0),
            pull: seconds_range(8.0, 15.0),
            start: seconds_range(4.0, 9.0),
            health: seconds_range(10.0, 20.0),
            settle: seconds_range(40.0, 40.0),
            unhealthy: seconds_range(60.0, 90.0),
            pull_failure: seconds_range(40.0, 90.0),
            init_failure: seconds_range(20.0, 40.0),
            deregistration: seconds_range(30.0, 30.0),
            stop: seconds_range(2.0, 6.0),
            deprovision: seconds_range(3.0, 6.0),
            complete: seconds_range(8.0, 15.0),
            alarm_poll: seconds_range(10.0, 10.0),
            alarm_bake: seconds_range(30.0, 60.0),
            traffic_shift: seconds_range(3.0, 8.0),
            metrics_lag: seconds_range(60.0, 120.0),
            latency: seconds_range(0.02, 0.06),
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            start: "2026-03-02T09:00:00Z".into(),
            account: "111111111111".into(),
            region: "eu-west-1".into(),
            clusters: Vec::new(),
            services: Vec::new(),
            balancers: Vec::new(),
            traffic: Vec::new(),
            sites: Vec::new(),
            topics: Vec::new(),
            alarms: Vec::new(),
            repositories: BTreeMap::new(),
            appconfig: AppConfigSettings::default(),
            argocd: ArgoCdSettings::default(),
            compose: Vec::new(),
            kubernetes: KubernetesSettings::default(),
            timings: Timings::default(),
            policy: CallerPolicy::default(),
            trust: RoleTrust::default(),
            workflow: Workflow::default(),
            registry: None,
            registries: Vec::new(),
            blob_mounting: false,
            github: github::scenario::GitHubSettings::default(),
            throttling: true,
            one_off: Vec::new(),
            faults: Vec::new(),
        }
    }
}

impl Scenario {
    /// Read a scenario file. The error names the place and what is known there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        scenario.validate().map(|()| scenario)
    }

    /// What types cannot say: the start is a time, and what each service has to say against its part.
    fn validate(&self) -> Result<(), String> {
        self.start_time()?;
        SERVICES.iter().try_for_each(|service| service.validate(self))
    }

    /// A calm world for these services, given as cluster and name: two Fargate tasks each behind a target group, circuit
    /// breaker with rollback, an image `v1` in the repository with the service's name.
    pub fn default_for<C: Into<String>, N: Into<String>>(services: impl IntoIterator<Item = (C, N)>) -> Self {
        let mut scenario = Self::default();
        for (cluster, name) in services {
            scenario = scenario.with_service(ServiceSetting::with_defaults(cluster, name));
        }
        scenario
    }

    /// The same with one service more, and a repository for it when it has no image of its own.
    pub fn with_service(mut self, service: ServiceSetting) -> Self {
        if service.image.is_none() && service.task_definition.is_none() {
            let images = || RepositorySetting::with_image("v1");
            self.repositories.entry(service.name.clone()).or_insert_with(images);
        }
        self.services.push(service);
        self
    }

    /// The same with one fault more.
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// When the world begins, epoch seconds.
    pub fn start_time(&self) -> Result<f64, String> {
        self.start
            .parse::<jiff::Timestamp>()
            .map(|start| start.as_millisecond() as f64 / 1000.0)
            .map_err(|error| format!("start: {error}"))
    }
}

/// Whether a value is one of those known.
pub(crate) fn check_one_of(key: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        Ok(())
    } else {
        Err(format!("{key}: {value} is none of {}", known.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenario_file_lists_resources_and_faults() {
        let scenario = Scenario::parse(
            r#"
start: 2026-05-01T00:00:00Z
services:
  - { cluster: acme, name: web, desired: 3, deployment: { circuit-breaker: { threshold: { type: COUNT, value: 1 } } } }
timings: { pull: 4, start: [1, 2] }
policy: { deny: ["ecs:StopServiceDeployment"] }
faults:
  - crash-on-start: { exit-code: 3, after: 1.5 }
  - image-not-found: { image: ":v2", tasks: 1 }
  - stale-reads: { for: 20 }
"#,
        )
        .unwrap();
        assert_eq!(scenario.services[0].desired, 3);
        assert_eq!(scenario.timings.pull, seconds_range(4.0, 4.0));
        assert_eq!(scenario.timings.start, seconds_range(1.0, 2.0));
        assert_eq!(scenario.faults.len(), 3);
        assert_eq!(scenario.account, "111111111111");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_what_is_known() {
        let error =
            Scenario::parse("region: eu-west-1\nfaults:\n  - crash-on-start: { exitcode: 3 }\n").unwrap_err();
        assert!(
            error.contains("line 3") && error.contains("exitcode") && error.contains("exit-code"),
            "{error}"
        );
        let error = Scenario::parse("services:\n  - { name: web, colour: blue }\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("colour"), "{error}");
        let error = Scenario::parse("faults:\n  - earthquake: {}\n").unwrap_err();
        assert!(error.contains("earthquake") && error.contains("out-of-memory"), "{error}");
    }

    #[test]
    fn service_that_aws_rejects_is_an_error() {
        let error = Scenario::parse("services: [{ name: web, image: 'bad image' }]").unwrap_err();
        assert!(error.contains("web: Container.image"), "{error}");
        assert!(Scenario::parse("start: yesterday").unwrap_err().contains("start"));
        let error = Scenario::parse("services: [{ name: web, controller: MINE }]").unwrap_err();
        assert!(error.contains("CODE_DEPLOY"), "{error}");
    }
}
