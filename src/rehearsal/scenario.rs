//! The scenario file of the embedded cloud: what exists, how long things take, what goes wrong. Types and reading only.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::appconfig::setting::AppConfig;
use super::argocd::setting::ArgoCd;
use super::balancers::Balancer;
use super::chance::{Span, span};
use super::commands::Command;
use super::ecs;
use super::faults::Fault;
use super::github;
use super::oidc::Workflow;
use super::policy::Policy;
use super::sts::Trust;
use super::traffic::settings::Traffic;
use super::web::Site;
use super::world::Registry;

/// A world to begin with, and its faults. Every key has a default; an unknown key is an error.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    pub services: Vec<Service>,
    /// Load balancers in front of their target groups.
    pub balancers: Vec<Balancer>,
    /// Requests that come to them.
    pub traffic: Vec<Traffic>,
    /// What stands at addresses, besides load balancers.
    pub sites: Vec<Site>,
    /// Topics of SNS, by ARN or name.
    pub topics: Vec<String>,
    /// Alarms.
    pub alarms: Vec<AlarmSetting>,
    /// Repositories by name.
    pub repositories: BTreeMap<String, RepositorySetting>,
    /// AppConfig: applications, profiles, strategies.
    pub appconfig: AppConfig,
    /// Argo CD and its applications.
    pub argocd: ArgoCd,
    /// How long things take.
    pub timings: Timings,
    /// Which actions the caller may take.
    pub policy: Policy,
    /// Whom the account's roles trust.
    pub trust: Trust,
    /// The workflow run that the runner's token endpoint vouches for.
    pub workflow: Workflow,
    /// A real registry behind ECR.
    pub registry: Option<Registry>,
    /// Registries of other accounts and regions.
    pub registries: Vec<ForeignRegistry>,
    /// Whether registries mount layers of one repository into another.
    pub blob_mounting: bool,
    /// GitHub: repositories and tokens.
    pub github: github::settings::Settings,
    /// Whether documented request rates are enforced.
    pub throttling: bool,
    /// How commands end that are run once.
    pub one_off: Vec<Command>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// A service that runs when the world begins.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// Name of its cluster.
    #[serde(default = "default_cluster")]
    pub cluster: String,
    /// Its name.
    pub name: String,
    /// Desired count.
    #[serde(default = "two")]
    pub desired: u32,
    /// Deployment controller: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    #[serde(default = "by_ecs")]
    pub controller: String,
    /// Launch type: `FARGATE`, `EC2` or `EXTERNAL`.
    #[serde(default = "fargate")]
    pub launch_type: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    #[serde(default = "active")]
    pub status: String,
    /// Whether its first deployment completed; without one there is nothing to roll back to.
    #[serde(default = "yes")]
    pub completed: bool,
    /// How deployments run.
    #[serde(default)]
    pub deployment: DeploymentSetting,
    /// Seconds after the start of a task during which failing load balancer checks are ignored.
    #[serde(default)]
    pub health_check_grace: Option<u32>,
    /// Target groups that its tasks are registered in.
    #[serde(default)]
    pub target_groups: Vec<TargetGroup>,
    /// Name of the container, when no task definition is given.
    #[serde(default = "app")]
    pub container: String,
    /// Image of the container, when no task definition is given; `v1` of the repository with the service's name when absent.
    #[serde(default)]
    pub image: Option<String>,
    /// The running task definition, in the words of RegisterTaskDefinition.
    #[serde(default)]
    pub task_definition: Option<Value>,
}

/// A target group of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TargetGroup {
    /// Its ARN, or a name to make one from.
    pub arn: String,
    /// Container that listens; the service's container when absent.
    #[serde(default)]
    pub container: Option<String>,
    /// Port it listens on; the first one of that container in the task definition when absent, or 8080.
    #[serde(default)]
    pub port: Option<u16>,
    /// The group that deployments in stages take turns with, by name or ARN; it needs a load balancer too.
    #[serde(default)]
    pub alternate: Option<String>,
    /// Name of the load balancer whose rules forward to both groups.
    #[serde(default)]
    pub balancer: Option<String>,
}

/// `deploymentConfiguration` of a service; what is absent keeps AWS's default.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentSetting {
    /// `minimumHealthyPercent`.
    pub minimum_healthy_percent: Option<u32>,
    /// `maximumPercent`.
    pub maximum_percent: Option<u32>,
    /// The circuit breaker.
    pub circuit_breaker: Option<BreakerSetting>,
    /// Alarms that end a deployment.
    pub alarms: Option<DeploymentAlarms>,
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BreakerSetting {
    /// Whether it watches.
    #[serde(default = "yes")]
    pub enable: bool,
    /// Whether it rolls back.
    #[serde(default = "yes")]
    pub rollback: bool,
    /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT` with a value.
    #[serde(default)]
    pub threshold: Option<Threshold>,
    /// Whether a healthy task sets the count back to zero.
    #[serde(default = "yes")]
    pub reset_on_healthy_task: bool,
}

/// When the circuit breaker opens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Threshold {
    /// `COUNT`, `BOUNDED_PERCENT` or `UNBOUNDED_PERCENT`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Failed tasks, or percent of the desired count.
    pub value: u32,
}

/// Alarms of `deploymentConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeploymentAlarms {
    /// Names.
    pub names: Vec<String>,
    /// Whether they are watched.
    #[serde(default = "yes")]
    pub enable: bool,
    /// Whether a red one rolls back.
    #[serde(default = "yes")]
    pub rollback: bool,
}

/// A CloudWatch alarm.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AlarmSetting {
    /// Its name.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    #[serde(default = "ok")]
    pub state: String,
    /// A composite alarm.
    #[serde(default)]
    pub composite: bool,
}

impl AlarmSetting {
    /// An alarm that is green.
    pub fn quiet(name: &str) -> Self {
        Self { name: name.into(), state: ok(), composite: false }
    }
}

/// An ECR repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RepositorySetting {
    /// Tags may not be moved.
    pub immutable: bool,
    /// Accounts that the repository's policy lets pull.
    pub readers: Vec<String>,
    /// Images, oldest first.
    pub images: Vec<ImageSetting>,
}

/// A registry of another account or region.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ForeignRegistry {
    /// Its account.
    pub account: String,
    /// Its region.
    pub region: String,
    /// Repositories by name.
    #[serde(default)]
    pub repositories: BTreeMap<String, RepositorySetting>,
}

/// An image in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ImageSetting {
    /// Its tags.
    pub tags: Vec<String>,
    /// Its platform, or several with commas between them: then it is an index.
    #[serde(default = "platform")]
    pub platform: String,
}

/// How long things take, in seconds: one number, or the least and the most.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Timings {
    /// From the scheduler noticing a change to its acting on it.
    pub schedule: Span,
    /// A task's network interface and host: PROVISIONING.
    pub provision: Span,
    /// Pulling the images: PENDING.
    pub pull: Span,
    /// From pulled to RUNNING.
    pub start: Span,
    /// From RUNNING to healthy, where the service has a health check.
    pub health: Span,
    /// From RUNNING to counted as healthy, where it has none (ECS waits 40 seconds).
    pub settle: Span,
    /// From RUNNING to stopped for failing its health check.
    pub unhealthy: Span,
    /// Until a pull that cannot succeed is given up.
    pub pull_failure: Span,
    /// Until a secret that cannot be read fails the task.
    pub init_failure: Span,
    /// Draining a target.
    pub deregistration: Span,
    /// From SIGTERM to the end of the containers.
    pub stop: Span,
    /// Taking down the network interface: DEPROVISIONING.
    pub deprovision: Span,
    /// From the last old task's end to COMPLETED.
    pub complete: Span,
    /// How often ECS looks at the alarms of a deployment.
    pub alarm_poll: Span,
    /// How long a finished deployment with alarms is watched before it counts as completed.
    pub alarm_bake: Span,
    /// From new weights on a listener rule to traffic following them.
    pub traffic_shift: Span,
    /// From the end of a minute to its metrics.
    pub metrics_lag: Span,
    /// One call's way to the cloud and back.
    pub latency: Span,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            schedule: span(1.0, 3.0),
            provision: span(3.0, 6.0),
            pull: span(8.0, 15.0),
            start: span(4.0, 9.0),
            health: span(10.0, 20.0),
            settle: span(40.0, 40.0),
            unhealthy: span(60.0, 90.0),
            pull_failure: span(40.0, 90.0),
            init_failure: span(20.0, 40.0),
            deregistration: span(30.0, 30.0),
            stop: span(2.0, 6.0),
            deprovision: span(3.0, 6.0),
            complete: span(8.0, 15.0),
            alarm_poll: span(10.0, 10.0),
            alarm_bake: span(30.0, 60.0),
            traffic_shift: span(3.0, 8.0),
            metrics_lag: span(60.0, 120.0),
            latency: span(0.02, 0.06),
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
            appconfig: AppConfig::default(),
            argocd: ArgoCd::default(),
            timings: Timings::default(),
            policy: Policy::default(),
            trust: Trust::default(),
            workflow: Workflow::default(),
            registry: None,
            registries: Vec::new(),
            blob_mounting: false,
            github: github::settings::Settings::default(),
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
        scenario.check().map(|()| scenario)
    }

    /// What types cannot say: the start is a time, task definitions are what AWS accepts, names are known ones.
    fn check(&self) -> Result<(), String> {
        self.began()?;
        self.argocd.check()?;
        self.github.repositories.iter().try_for_each(|it| github::history::check(&it.history))?;
        for service in &self.services {
            ecs::founding::check(service, &self.account, &self.region)?;
            one_of("status", &service.status, &["ACTIVE", "DRAINING", "INACTIVE"])?;
            one_of("controller", &service.controller, &["ECS", "CODE_DEPLOY", "EXTERNAL"])?;
            one_of("launch-type", &service.launch_type, &["FARGATE", "EC2", "EXTERNAL"])?;
        }
        self.alarms.iter().try_for_each(|a| one_of("state", &a.state, &["OK", "ALARM", "INSUFFICIENT_DATA"]))
    }

    /// A calm world for these services, given as cluster and name: two Fargate tasks each behind a target group, circuit
    /// breaker with rollback, an image `v1` in the repository with the service's name.
    pub fn default_for<C: Into<String>, N: Into<String>>(services: impl IntoIterator<Item = (C, N)>) -> Self {
        let mut scenario = Self::default();
        for (cluster, name) in services {
            scenario = scenario.with_service(Service::named(cluster, name));
        }
        scenario
    }

    /// The same with one service more, and a repository for it when it has no image of its own.
    pub fn with_service(mut self, service: Service) -> Self {
        if service.image.is_none() && service.task_definition.is_none() {
            let v1 = ImageSetting { tags: vec!["v1".into()], platform: platform() };
            let images = RepositorySetting { images: vec![v1], ..RepositorySetting::default() };
            self.repositories.entry(service.name.clone()).or_insert(images);
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
    pub fn began(&self) -> Result<f64, String> {
        self.start
            .parse::<jiff::Timestamp>()
            .map(|start| start.as_millisecond() as f64 / 1000.0)
            .map_err(|error| format!("start: {error}"))
    }
}

impl Service {
    /// A service with two tasks behind a target group and a circuit breaker that rolls back.
    pub fn named(cluster: impl Into<String>, name: impl Into<String>) -> Self {
        let name = name.into();
        let breaker =
            BreakerSetting { enable: true, rollback: true, threshold: None, reset_on_healthy_task: true };
        Self {
            cluster: cluster.into(),
            desired: 2,
            controller: by_ecs(),
            launch_type: fargate(),
            status: active(),
            completed: true,
            deployment: DeploymentSetting { circuit_breaker: Some(breaker), ..DeploymentSetting::default() },
            health_check_grace: None,
            target_groups: vec![TargetGroup { arn: name.clone(), ..TargetGroup::default() }],
            container: app(),
            image: None,
            task_definition: None,
            name,
        }
    }
}

fn one_of(key: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        Ok(())
    } else {
        Err(format!("{key}: {value} is none of {}", known.join(", ")))
    }
}

fn default_cluster() -> String {
    "default".into()
}
fn two() -> u32 {
    2
}
fn by_ecs() -> String {
    "ECS".into()
}
fn fargate() -> String {
    "FARGATE".into()
}
fn active() -> String {
    "ACTIVE".into()
}
fn app() -> String {
    "app".into()
}
fn ok() -> String {
    "OK".into()
}
fn yes() -> bool {
    true
}
fn platform() -> String {
    "linux/amd64".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_exists_and_what_goes_wrong() {
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
        assert_eq!(scenario.timings.pull, span(4.0, 4.0));
        assert_eq!(scenario.timings.start, span(1.0, 2.0));
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
    fn what_aws_would_refuse_is_refused() {
        let error = Scenario::parse("services: [{ name: web, image: 'bad image' }]").unwrap_err();
        assert!(error.contains("web: Container.image"), "{error}");
        assert!(Scenario::parse("start: yesterday").unwrap_err().contains("start"));
        let error = Scenario::parse("services: [{ name: web, controller: MINE }]").unwrap_err();
        assert!(error.contains("CODE_DEPLOY"), "{error}");
    }
}
