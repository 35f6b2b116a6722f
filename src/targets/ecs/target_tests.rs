//! Whole deployments of the target on the emulator, with the real SDK, in virtual time.

use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_types::timeout::TimeoutConfig;
use tokio::time::{Instant, sleep};

use super::{Ecs, ExpectedAccount, Settings, SharedClients};
use crate::problem::{Code, Problem};
use crate::release::{
    Observed, Release, Rollout, RolloutStatus, ShiftKind, Staged, TrafficPlan, TrafficShift, Version,
};
use crate::retry::WriteError;
use crate::targets::Target;
use roadstead_cloud::client::http_client;
use roadstead_cloud::cloud::Cloud;
use roadstead_cloud::scenario::Scenario;

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

/// A scenario with the service `web` in the cluster `acme`, and faults in YAML.
pub(super) fn scenario(faults: &str) -> Scenario {
    let mut scenario = Scenario::default_for([("acme", "web")]);
    let parsed = Scenario::parse(&format!("faults: [{}]", yaml_faults(faults))).unwrap();
    scenario.faults = parsed.faults;
    scenario
}

/// `a: {}; b: {}` as a YAML list.
fn yaml_faults(faults: &str) -> String {
    let each = faults.split(';').map(str::trim).filter(|fault| !fault.is_empty());
    each.map(|fault| format!("{{ {fault} }}")).collect::<Vec<_>>().join(", ")
}

pub(super) struct EcsFixture {
    pub(super) cloud: Cloud,
    pub(super) target: Ecs,
}

impl EcsFixture {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self::seeded(scenario, 7)
    }

    pub(super) fn seeded(scenario: Scenario, seed: u64) -> Self {
        fastrand::seed(seed);
        let cloud = Cloud::new(scenario, seed);
        let target = Self::new_process(&cloud);
        Self { cloud, target }
    }

    /// The same service in another process.
    pub(super) fn new_process(cloud: &Cloud) -> Ecs {
        let settings = Settings { cluster: "acme".into(), service: "web".into(), ..Settings::default() };
        Ecs::new(settings, ExpectedAccount::default(), Vec::new(), &SharedClients::new(&config(cloud)))
    }

    pub(super) fn release(&self, content: &str) -> Release {
        let digest = self.cloud.push_image("web", &[content], "linux/amd64", content);
        Release {
            image: Some(format!("{ECR}/web@{digest}").parse().unwrap()),
            ..Release::of("web", "production")
        }
    }

    pub(super) async fn start_rollout(&self, content: &str) -> (Observed, Rollout) {
        let release = self.release(content);
        let seen = self.target.observe().await.unwrap();
        let staged = self.target.stage(&release, &seen).await.unwrap();
        let rollout = self.target.shift(&staged, &shift_to(&staged.version)).await.unwrap();
        (seen, rollout)
    }

    /// Polls every two seconds until the rollout is over or `limit` has passed.
    pub(super) async fn wait_for_end(&self, rollout: &Rollout, limit: u64) -> (RolloutStatus, Duration) {
        let begun = Instant::now();
        loop {
            let health = self.target.status(rollout).await;
            let over = match &health {
                Ok(
                    RolloutStatus::Progressing(_)
                    | RolloutStatus::RollingBack(..)
                    | RolloutStatus::Unknown(_),
                )
                | Err(_) => false,
                Ok(_) => true,
            };
            if over || begun.elapsed().as_secs() > limit {
                return (health.unwrap(), begun.elapsed());
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    /// Number of service deployments so far, including the first one.
    pub(super) async fn deployment_count(&self) -> usize {
        self.target.reader.recent_deployments().await.unwrap().len()
    }

    pub(super) fn call_count(&self, operation: &str) -> usize {
        self.cloud.calls().iter().filter(|call| call.operation == operation && call.took_effect).count()
    }
}

/// Shifts of a version of which only the identifier is known, as another process knows it.
pub(in crate::targets::ecs) trait ShiftByVersion: Target {
    async fn shift_by_version(&self, shift: &TrafficShift) -> Result<Rollout, Problem> {
        let reply = self.shift(&Staged::existing(shift.version.clone()), shift).await;
        reply.map_err(WriteError::into_error)
    }
}

impl<T: Target> ShiftByVersion for T {}

pub(super) fn shift_to(version: &Version) -> TrafficShift {
    TrafficShift {
        version: version.clone(),
        percent: 100,
        kind: ShiftKind::Start { plan: TrafficPlan::in_place(), force: false },
    }
}

pub(super) fn force_shift_to(version: &Version) -> TrafficShift {
    TrafficShift {
        kind: ShiftKind::Start { plan: TrafficPlan::in_place(), force: true },
        ..shift_to(version)
    }
}

pub(super) fn roll_back(seen: &Observed, rollout: &Rollout) -> TrafficShift {
    TrafficShift {
        kind: ShiftKind::RollBack(Some(rollout.clone())),
        ..shift_to(seen.last_known_good().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn completed_deployment_is_proven_and_has_empty_diff() {
    let rig = EcsFixture::new(scenario(""));
    let (seen, rollout) = rig.start_rollout("v2").await;
    assert!(matches!(seen.status, RolloutStatus::Healthy(_)), "{:?}", seen.status);
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.evidence, "service deployment SUCCESSFUL, 2 of 2 targets healthy");
    assert_eq!(proof.digest, rig.release("v2").image.unwrap().digest);
    assert_eq!(proof.version.label, "web:2");

    let after = rig.target.observe().await.unwrap();
    assert!(rig.target.diff(&rig.release("v2"), &after).unwrap().is_empty());
    assert_eq!(after.previous.as_ref().map(|v| v.label.as_str()), Some("web:1"));
    assert_eq!(after.last_known_good().map(|v| v.label.as_str()), Some("web:2"));
    assert_eq!(after.digest, proof.digest);
    let again = rig.target.stage(&rig.release("v2"), &after).await.unwrap().version;
    let still = rig.target.shift_by_version(&shift_to(&again)).await.unwrap();
    assert!(matches!(rig.target.status(&still).await.unwrap(), RolloutStatus::Healthy(_)));
    assert_eq!((rig.call_count("RegisterTaskDefinition"), rig.call_count("UpdateService")), (1, 1));
    let update = rig.cloud.calls().into_iter().find(|call| call.operation == "UpdateService").unwrap();
    let mut keys: Vec<_> = update.input.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["cluster", "service", "taskDefinition"]);
}

#[tokio::test(start_paused = true)]
async fn one_service_costs_few_reads_and_success_is_detected_soon() {
    let rig = EcsFixture::new(scenario(""));
    let (_, rollout) = rig.start_rollout("v2").await;
    let before = rig.cloud.calls().len();
    let (_, took) = rig.wait_for_end(&rollout, 1200).await;
    let calls = rig.cloud.calls().len() - before;
    #[allow(clippy::cast_precision_loss)]
    let rate = calls as f64 / took.as_secs_f64();
    assert!(rate <= 0.75, "{calls} calls in {took:?}");
}

#[tokio::test(start_paused = true)]
async fn permanent_causes_are_reported_during_the_deployment() {
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
        let rig = EcsFixture::new(scenario(fault));
        let (seen, rollout) = rig.start_rollout("v2").await;
        let (health, took) = rig.wait_for_end(&rollout, 1800).await;
        let RolloutStatus::Failed(failure) = &health else { panic!("{fault} after {took:?}: {health:?}") };
        assert_eq!((failure.problem.code, failure.permanent), (code, true), "{fault}: {failure:?}");
        if exit.is_some() {
            assert_eq!(failure.exit_code, exit, "{fault}");
        }
        assert!(failure.logs.len() >= logs, "{fault}: {:?}", failure.logs);

        let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
        assert_eq!(undo.ids[0], "rollback", "{fault}");
        let (health, _) = rig.wait_for_end(&undo, 1800).await;
        let RolloutStatus::Healthy(proof) = health else { panic!("{fault}: {health:?}") };
        assert_eq!(proof.version.label, "web:1", "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn stale_reads_are_ignored() {
    let rig = EcsFixture::new(scenario("stale-reads: { for: 30 }"));
    let (_, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn newer_deployment_is_not_touched() {
    let rig = EcsFixture::new(scenario("superseding-deployment: { at: 20 }"));
    let (seen, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    assert!(matches!(health, RolloutStatus::Superseded(_)), "{health:?}");
    let refused: Problem = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap_err();
    assert_eq!(refused.code, Code::Superseded);
    assert_eq!((rig.call_count("UpdateService"), rig.call_count("StopServiceDeployment")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn lost_answer_changes_once() {
    for operation in ["RegisterTaskDefinition", "UpdateService"] {
        let rig =
            EcsFixture::new(scenario(&format!("response-lost: {{ operation: {operation}, times: 1 }}")));
        let (_, rollout) = rig.start_rollout("v2").await;
        assert_eq!(
            (rig.call_count("RegisterTaskDefinition"), rig.call_count("UpdateService")),
            (1, 1),
            "{operation}"
        );
        let (health, _) = rig.wait_for_end(&rollout, 1200).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{operation}: {health:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn forced_update_with_lost_response_starts_once() {
    for faults in ["", "stale-reads: { for: 30 };"] {
        let rig = EcsFixture::new(scenario(&format!(
            "{faults} response-lost: {{ operation: UpdateService, times: 1 }}"
        )));
        let seen = rig.target.observe().await.unwrap();
        let split = force_shift_to(seen.version.as_ref().unwrap());
        let rollout = rig.target.shift_by_version(&split).await.unwrap();
        assert_eq!(rig.call_count("UpdateService"), 1, "{faults}");
        let (health, _) = rig.wait_for_end(&rollout, 1200).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_are_retried() {
    let faults = ["RegisterTaskDefinition", "UpdateService", "StopServiceDeployment"]
        .map(|operation| format!("throttle: {{ operation: {operation}, times: 4 }}"));
    let rig = EcsFixture::new(scenario(&faults.join(";")));
    let (_, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn restarted_process_resumes_rollout_in_flight() {
    let rig = EcsFixture::new(scenario(""));
    let (_, rollout) = rig.start_rollout("v2").await;
    sleep(Duration::from_secs(10)).await;
    let other = EcsFixture::new_process(&rig.cloud);
    let seen = other.observe().await.unwrap();
    assert_eq!(seen.in_flight.as_ref().map(|flying| &flying.rollout), Some(&rollout));
    assert!(other.diff(&rig.release("v2"), &seen).unwrap().is_empty());
    let version = other.stage(&rig.release("v2"), &seen).await.unwrap().version;
    assert_eq!(other.shift_by_version(&shift_to(&version)).await.unwrap(), rollout);
    assert_eq!((rig.call_count("RegisterTaskDefinition"), rig.call_count("UpdateService")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn breaker_without_rollback_ends_aborted_and_can_be_rolled_back() {
    let mut scenario = scenario("flapping-health: { healthy: 5 }");
    scenario.services[0].deployment.circuit_breaker.as_mut().unwrap().rollback = false;
    let rig = EcsFixture::new(scenario);
    let (seen, rollout) = rig.start_rollout("v2").await;
    // Nothing polls until the circuit breaker has fired.
    sleep(Duration::from_secs(3000)).await;
    let (health, _) = rig.wait_for_end(&rollout, 600).await;
    assert!(matches!(health, RolloutStatus::Aborted(_) | RolloutStatus::Failed(_)), "{health:?}");
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    let (health, _) = rig.wait_for_end(&undo, 1200).await;
    let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version.label, "web:1");
}

#[tokio::test(start_paused = true)]
async fn rollback_by_ecs_is_a_failure_with_its_cause() {
    let rig = EcsFixture::new(scenario("crash-on-start: { exit-code: 7 }"));
    let (_, rollout) = rig.start_rollout("v2").await;
    sleep(Duration::from_secs(3000)).await;
    let (health, _) = rig.wait_for_end(&rollout, 600).await;
    let RolloutStatus::RolledBack(failure, to) = health else { panic!("{health:?}") };
    assert_eq!((failure.problem.code, failure.exit_code), (Code::ContainerExited, Some(7)));
    assert_eq!(to.map(|version| version.label).as_deref(), Some("web:1"));
}

#[tokio::test(start_paused = true)]
async fn rollback_that_cannot_stop_deploys_previous_definition() {
    let rig =
        EcsFixture::new(scenario("failing-health-check: {}; deny: { action: 'ecs:StopServiceDeployment' }"));
    let (seen, rollout) = rig.start_rollout("v2").await;
    sleep(Duration::from_secs(15)).await;
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert_eq!(undo.version, seen.version.unwrap().id);
    let (health, _) = rig.wait_for_end(&undo, 1200).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
    assert_eq!((rig.call_count("UpdateService"), rig.call_count("StopServiceDeployment")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn missing_cluster_or_service_is_named() {
    let rig = EcsFixture::new(scenario(""));
    for (cluster, service, code) in
        [("nope", "web", Code::ClusterMissing), ("acme", "nope", Code::ServiceMissing)]
    {
        let settings = Settings { cluster: cluster.into(), service: service.into(), ..Settings::default() };
        let target = Ecs::new(
            settings,
            ExpectedAccount::default(),
            Vec::new(),
            &SharedClients::new(&config(&rig.cloud)),
        );
        let problem = target.observe().await.unwrap_err();
        assert_eq!(problem.code, code);
        assert!(problem.sentence.contains("`nope`"), "{problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_services_batch_their_reads() {
    let names: Vec<String> = (0..50).map(|i| format!("s{i}")).collect();
    let rig = EcsFixture::new(Scenario::default_for(names.iter().map(|name| ("acme", name.as_str()))));
    let shared = SharedClients::new(&config(&rig.cloud));
    let target = |name: &String| {
        let settings = Settings { cluster: "acme".into(), service: name.clone(), ..Settings::default() };
        Ecs::new(settings, ExpectedAccount::default(), Vec::new(), &shared)
    };
    let mut flying = Vec::new();
    for name in &names {
        let target = target(name);
        let seen = target.observe().await.unwrap();
        let split = force_shift_to(seen.version.as_ref().unwrap());
        let rollout = target.shift_by_version(&split).await.unwrap();
        flying.push((target, rollout));
    }
    let (before, begun) = (rig.cloud.calls().len(), Instant::now());
    while !flying.is_empty() {
        let looks = flying.iter().map(|(target, rollout)| target.status(rollout));
        let healths = join_all(looks.collect()).await;
        let mut healths = healths.into_iter();
        flying.retain(|_| !matches!(healths.next(), Some(Ok(RolloutStatus::Healthy(_)))));
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

/// All at once in one task, as the engine does it.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
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
