//! Whole deployments of the target on the embedded cloud, with the real SDK, in virtual time.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::{Instant, sleep};

use super::{Declared, Ecs, Settings, Shared};
use crate::problem::{Code, Problem};
use crate::rehearsal::client::http_client;
use crate::rehearsal::cloud::Cloud;
use crate::rehearsal::scenario::Scenario;
use crate::release::{Course, Health, Observed, Release, Rollout, Split, Version, Way};
use crate::targets::Target;

pub(super) const ECR: &str = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";

pub(super) fn config(cloud: &Cloud) -> SdkConfig {
    let keys = Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test");
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(10)).build();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url("http://cloud.invalid")
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .timeout_config(timeouts)
        .retry_config(aws_smithy_types::retry::RetryConfig::standard().with_max_attempts(5))
        .http_client(http_client(cloud.clone()))
        .build()
}

/// A world with the service `web` in the cluster `acme`, and faults in YAML.
pub(super) fn scenario(faults: &str) -> Scenario {
    let mut scenario = Scenario::default_for([("acme", "web")]);
    let parsed = Scenario::parse(&format!("faults: [{}]", braced(faults))).unwrap();
    scenario.faults = parsed.faults;
    scenario
}

/// `a: {}; b: {}` as a YAML list.
fn braced(faults: &str) -> String {
    let each = faults.split(';').map(str::trim).filter(|fault| !fault.is_empty());
    each.map(|fault| format!("{{ {fault} }}")).collect::<Vec<_>>().join(", ")
}

pub(super) struct Rig {
    pub(super) cloud: Cloud,
    pub(super) target: Ecs,
}

impl Rig {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self::seeded(scenario, 7)
    }

    pub(super) fn seeded(scenario: Scenario, seed: u64) -> Self {
        fastrand::seed(seed);
        let cloud = Cloud::new(scenario, seed);
        let target = Self::another(&cloud);
        Self { cloud, target }
    }

    /// The same service seen by another process.
    pub(super) fn another(cloud: &Cloud) -> Ecs {
        let settings = Settings { cluster: "acme".into(), service: "web".into(), ..Settings::default() };
        Ecs::new(settings, Declared::default(), Vec::new(), &Shared::new(&config(cloud)))
    }

    pub(super) fn release(&self, content: &str) -> Release {
        let digest = self.cloud.push("web", &[content], "linux/amd64", content);
        Release {
            service: "web".into(),
            environment: "production".into(),
            image: Some(format!("{ECR}/web@{digest}").parse().unwrap()),
            tag: None,
            definition: None,
            former: None,
            settings: Vec::new(),
            commit: None,
        }
    }

    pub(super) async fn start(&self, content: &str) -> (Observed, Rollout) {
        let release = self.release(content);
        let seen = self.target.observe().await.unwrap();
        let version = self.target.stage(&release, &seen).await.unwrap();
        let rollout = self.target.route(&to(&version)).await.unwrap();
        (seen, rollout)
    }

    /// Looks every two seconds until the rollout is over or `limit` has passed.
    pub(super) async fn wait(&self, rollout: &Rollout, limit: u64) -> (Health, Duration) {
        let begun = Instant::now();
        loop {
            let health = self.target.probe(rollout).await;
            let over = match &health {
                Ok(Health::Progressing(_) | Health::RollingBack(_) | Health::Unknown(_)) | Err(_) => false,
                Ok(_) => true,
            };
            if over || begun.elapsed().as_secs() > limit {
                return (health.unwrap(), begun.elapsed());
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    /// How many service deployments there have been, the first one included.
    pub(super) async fn deployments(&self) -> usize {
        self.target.eyes.history().await.unwrap().len()
    }

    pub(super) fn count(&self, operation: &str) -> usize {
        self.cloud.calls().iter().filter(|call| call.operation == operation && call.effective).count()
    }
}

pub(super) fn to(version: &Version) -> Split {
    Split {
        version: version.clone(),
        percent: 100,
        way: Way::Start { course: Course::whole(), again: false },
    }
}

pub(super) fn again(version: &Version) -> Split {
    Split { way: Way::Start { course: Course::whole(), again: true }, ..to(version) }
}

pub(super) fn back(seen: &Observed, rollout: &Rollout) -> Split {
    Split { way: Way::Back(Some(rollout.clone())), ..to(seen.refuge().unwrap()) }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_proven_and_nothing_is_left_to_change() {
    let rig = Rig::new(scenario(""));
    let (seen, rollout) = rig.start("v2").await;
    assert!(matches!(seen.health, Health::Healthy(_)), "{:?}", seen.health);
    let (health, _) = rig.wait(&rollout, 1200).await;
    let Health::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.evidence, "service deployment SUCCESSFUL, 2 of 2 targets healthy");
    assert_eq!(proof.digest, rig.release("v2").image.unwrap().digest);
    assert_eq!(proof.version.label, "web:2");

    let after = rig.target.observe().await.unwrap();
    assert!(rig.target.changes(&rig.release("v2"), &after).unwrap().is_empty());
    assert_eq!(after.previous.as_ref().map(|v| v.label.as_str()), Some("web:1"));
    assert_eq!(after.refuge().map(|v| v.label.as_str()), Some("web:2"));
    assert_eq!(after.digest, proof.digest);
    let again = rig.target.stage(&rig.release("v2"), &after).await.unwrap();
    let still = rig.target.route(&to(&again)).await.unwrap();
    assert!(matches!(rig.target.probe(&still).await.unwrap(), Health::Healthy(_)));
    assert_eq!((rig.count("RegisterTaskDefinition"), rig.count("UpdateService")), (1, 1));
    let update = rig.cloud.calls().into_iter().find(|call| call.operation == "UpdateService").unwrap();
    let mut keys: Vec<_> = update.input.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["cluster", "service", "taskDefinition"]);
}

#[tokio::test(start_paused = true)]
async fn one_service_costs_few_reads_and_success_is_noticed_soon() {
    let rig = Rig::new(scenario(""));
    let (_, rollout) = rig.start("v2").await;
    let before = rig.cloud.calls().len();
    let (_, took) = rig.wait(&rollout, 1200).await;
    let calls = rig.cloud.calls().len() - before;
    #[allow(clippy::cast_precision_loss)]
    let rate = calls as f64 / took.as_secs_f64();
    assert!(rate <= 0.75, "{calls} calls in {took:?}");
}

#[tokio::test(start_paused = true)]
async fn permanent_causes_are_named_while_the_deployment_still_runs() {
    let table = [
        ("image-not-found: {}", Code::ImagePullFailed, None, 0),
        ("wrong-platform: {}", Code::ImagePullFailed, None, 0),
        ("crash-on-start: { exit-code: 3, log: [one, two] }", Code::ContainerExited, Some(3), 2),
        ("out-of-memory: {}", Code::OutOfMemory, Some(137), 0),
        ("failing-health-check: {}", Code::HealthCheckFailed, None, 0),
        ("flapping-health: {}", Code::HealthCheckFailed, None, 0),
        ("no-capacity: {}", Code::NoCapacity, None, 0),
    ];
    for (fault, code, exit, logs) in table {
        let rig = Rig::new(scenario(fault));
        let (seen, rollout) = rig.start("v2").await;
        let (health, took) = rig.wait(&rollout, 1800).await;
        let Health::Failing(failure) = &health else { panic!("{fault} after {took:?}: {health:?}") };
        assert_eq!((failure.problem.code, failure.permanent), (code, true), "{fault}: {failure:?}");
        if exit.is_some() {
            assert_eq!(failure.exit_code, exit, "{fault}");
        }
        assert!(failure.logs.len() >= logs, "{fault}: {:?}", failure.logs);

        let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
        assert_eq!(undo.ids[0], "rollback", "{fault}");
        let (health, _) = rig.wait(&undo, 1800).await;
        let Health::Healthy(proof) = health else { panic!("{fault}: {health:?}") };
        assert_eq!(proof.version.label, "web:1", "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_reads_lead_nobody_astray() {
    let rig = Rig::new(scenario("stale-reads: { for: 30 }"));
    let (_, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 1200).await;
    assert!(matches!(health, Health::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_newer_deployment_is_left_alone() {
    let rig = Rig::new(scenario("superseding-deployment: { at: 20 }"));
    let (seen, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 1200).await;
    assert!(matches!(health, Health::Superseded(_)), "{health:?}");
    let refused: Problem = rig.target.route(&back(&seen, &rollout)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    assert_eq!((rig.count("UpdateService"), rig.count("StopServiceDeployment")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_changes_nothing_twice() {
    for operation in ["RegisterTaskDefinition", "UpdateService"] {
        let rig = Rig::new(scenario(&format!("response-lost: {{ operation: {operation}, times: 1 }}")));
        let (_, rollout) = rig.start("v2").await;
        assert_eq!((rig.count("RegisterTaskDefinition"), rig.count("UpdateService")), (1, 1), "{operation}");
        let (health, _) = rig.wait(&rollout, 1200).await;
        assert!(matches!(health, Health::Healthy(_)), "{operation}: {health:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_forced_update_with_a_lost_answer_starts_once() {
    for faults in ["", "stale-reads: { for: 30 };"] {
        let rig =
            Rig::new(scenario(&format!("{faults} response-lost: {{ operation: UpdateService, times: 1 }}")));
        let seen = rig.target.observe().await.unwrap();
        let split = again(seen.version.as_ref().unwrap());
        let rollout = rig.target.route(&split).await.unwrap();
        assert_eq!(rig.count("UpdateService"), 1, "{faults}");
        let (health, _) = rig.wait(&rollout, 1200).await;
        assert!(matches!(health, Health::Healthy(_)), "{health:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_made_again() {
    let faults = ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"]
        .map(|operation| format!("throttle: {{ operation: {operation}, times: 4 }}"));
    let rig = Rig::new(scenario(&faults.join(";")));
    let (_, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 1200).await;
    assert!(matches!(health, Health::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_again_adopts_what_flies() {
    let rig = Rig::new(scenario(""));
    let (_, rollout) = rig.start("v2").await;
    sleep(Duration::from_secs(10)).await;
    let other = Rig::another(&rig.cloud);
    let seen = other.observe().await.unwrap();
    assert_eq!(seen.in_flight.as_ref().map(|flying| &flying.rollout), Some(&rollout));
    assert!(other.changes(&rig.release("v2"), &seen).unwrap().is_empty());
    let version = other.stage(&rig.release("v2"), &seen).await.unwrap();
    assert_eq!(other.route(&to(&version)).await.unwrap(), rollout);
    assert_eq!((rig.count("RegisterTaskDefinition"), rig.count("UpdateService")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_breaker_without_rollback_ends_stopped_and_a_person_can_be_spared() {
    let mut scenario = scenario("flapping-health: { healthy: 5 }");
    scenario.services[0].deployment.circuit_breaker.as_mut().unwrap().rollback = false;
    let rig = Rig::new(scenario);
    let (seen, rollout) = rig.start("v2").await;
    // Nobody looks until the breaker has fired.
    sleep(Duration::from_secs(3000)).await;
    let (health, _) = rig.wait(&rollout, 600).await;
    assert!(matches!(health, Health::Stopped(_) | Health::Failing(_)), "{health:?}");
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    let (health, _) = rig.wait(&undo, 1200).await;
    let Health::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version.label, "web:1");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_ecs_is_a_failure_with_its_cause() {
    let rig = Rig::new(scenario("crash-on-start: { exit-code: 7 }"));
    let (_, rollout) = rig.start("v2").await;
    sleep(Duration::from_secs(3000)).await;
    let (health, _) = rig.wait(&rollout, 600).await;
    let Health::RolledBack(failure, to) = health else { panic!("{health:?}") };
    assert_eq!((failure.problem.code, failure.exit_code), (Code::ContainerExited, Some(7)));
    assert_eq!(to.map(|version| version.label).as_deref(), Some("web:1"));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_cannot_stop_goes_by_the_definition_before() {
    let rig = Rig::new(scenario("failing-health-check: {}; deny: { action: 'ecs:StopServiceDeployment' }"));
    let (seen, rollout) = rig.start("v2").await;
    sleep(Duration::from_secs(15)).await;
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert_eq!(undo.version, seen.version.unwrap().id);
    let (health, _) = rig.wait(&undo, 1200).await;
    assert!(matches!(health, Health::Healthy(_)), "{health:?}");
    assert_eq!((rig.count("UpdateService"), rig.count("StopServiceDeployment")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_or_service_that_is_not_there_is_named() {
    let rig = Rig::new(scenario(""));
    for (cluster, service, code) in
        [("nope", "web", Code::ClusterMissing), ("acme", "nope", Code::ServiceMissing)]
    {
        let settings = Settings { cluster: cluster.into(), service: service.into(), ..Settings::default() };
        let target = Ecs::new(settings, Declared::default(), Vec::new(), &Shared::new(&config(&rig.cloud)));
        assert_eq!(target.observe().await.unwrap_err().code, code);
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_services_share_their_reads() {
    let names: Vec<String> = (0..50).map(|i| format!("s{i}")).collect();
    let rig = Rig::new(Scenario::default_for(names.iter().map(|name| ("acme", name.as_str()))));
    let shared = Shared::new(&config(&rig.cloud));
    let target = |name: &String| {
        let settings = Settings { cluster: "acme".into(), service: name.clone(), ..Settings::default() };
        Ecs::new(settings, Declared::default(), Vec::new(), &shared)
    };
    let mut flying = Vec::new();
    for name in &names {
        let target = target(name);
        let seen = target.observe().await.unwrap();
        let split = again(seen.version.as_ref().unwrap());
        let rollout = target.route(&split).await.unwrap();
        flying.push((target, rollout));
    }
    let (before, begun) = (rig.cloud.calls().len(), Instant::now());
    while !flying.is_empty() {
        let looks = flying.iter().map(|(target, rollout)| target.probe(rollout));
        let healths = together(looks.collect()).await;
        let mut healths = healths.into_iter();
        flying.retain(|_| !matches!(healths.next(), Some(Ok(Health::Healthy(_)))));
        sleep(Duration::from_secs(2)).await;
    }
    let calls = rig.cloud.calls().split_off(before);
    let mut by: std::collections::BTreeMap<&str, usize> = Default::default();
    for call in &calls {
        *by.entry(&call.operation).or_default() += 1;
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = calls.len() as f64 / begun.elapsed().as_secs_f64();
    assert!(rate <= 3.0, "{rate:.2}/s over {:?}: {by:?}", begun.elapsed());
}

/// All at once in one task, as the walk does it.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in all.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *output = Some(value);
            }
        }
        if all.iter().all(|(_, output)| output.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}
