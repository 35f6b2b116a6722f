//! Deployments of the target under faults, on the emulator in virtual time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::target_tests::{
    EcsFixture, ShiftByVersion, config, force_shift_to, roll_back, scenario, shift_to,
};
use super::super::{Ecs, ExpectedAccount, SharedClients};
use crate::problem::Code;
use crate::release::RolloutStatus;
use crate::targets::Target;

#[tokio::test(start_paused = true)]
async fn failing_redeploy_of_same_definition_is_rolled_back() {
    let rig = EcsFixture::new(scenario("crash-on-start: { version: all, tasks: 2, exit-code: 9 }"));
    let seen = rig.target.observe().await.unwrap();
    let split = force_shift_to(seen.version.as_ref().unwrap());
    let rollout = rig.target.shift_by_version(&split).await.unwrap();
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    let RolloutStatus::Failed(failure) = &health else { panic!("{health:?}") };
    assert_eq!((failure.problem.code, failure.exit_code), (Code::ContainerExited, Some(9)));
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert_eq!(undo.ids, ["rollback", rollout.ids[1].as_str()]);
    let (health, _) = rig.wait_for_end(&undo, 1200).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn transient_faults_are_waited_out() {
    for fault in [
        "desired-count: { at: 20, to: 4 }",
        "server-errors: { from: 5, for: 60 }",
        "slow-start: { seconds: 200 }",
        "crash-on-start: { tasks: 1 }",
        "no-answer: { operation: DescribeServices, times: 3 }",
        "no-answer: { operation: UpdateService, times: 1 }",
        "no-answer: { operation: RegisterTaskDefinition, times: 1 }",
        "throttle: { operation: '*', times: 4 }",
        "stale-reads: { for: 30 }; response-lost: { operation: UpdateService, times: 2 }",
    ] {
        let rig = EcsFixture::new(scenario(fault));
        let (_, rollout) = rig.start_rollout("v2").await;
        let (health, took) = rig.wait_for_end(&rollout, 2400).await;
        let RolloutStatus::Healthy(proof) = &health else { panic!("{fault} after {took:?}: {health:?}") };
        assert_eq!(proof.version.label, "web:2", "{fault}");
        assert_eq!(
            (rig.call_count("RegisterTaskDefinition"), rig.deployment_count().await),
            (1, 2),
            "{fault}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn firing_alarm_ends_deployment() {
    let mut watched = scenario("alarm-red: { at: 40 }");
    watched.alarms.push(serde_json::from_str(r#"{"name":"5xx"}"#).unwrap());
    let mut by_ecs = watched.clone();
    by_ecs.services[0].deployment.alarms = serde_json::from_str(r#"{"names":["5xx"]}"#).unwrap();

    let rig = EcsFixture::new(by_ecs);
    let (_, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 2400).await;
    let RolloutStatus::RolledBack(failure, _) = &health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::AlarmTriggered);
    assert!(failure.problem.sentence.contains("5xx"), "{}", failure.problem);

    let rig = EcsFixture::new(watched);
    let settings = rig.target.settings().clone();
    let target = Ecs::new(
        settings,
        ExpectedAccount::default(),
        vec!["5xx".into()],
        &SharedClients::new(&config(&rig.cloud)),
    );
    let rig = EcsFixture { target, ..rig };
    let (_, rollout) = rig.start_rollout("v2").await;
    let (health, took) = rig.wait_for_end(&rollout, 2400).await;
    let RolloutStatus::Failed(failure) = &health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::AlarmTriggered);
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn failed_rollback_has_status_rollback_failed() {
    let mut scenario = scenario("crash-on-start: {}; rollback-fails: {}");
    // All old tasks are stopped before new ones start, so the rollback has to start them again.
    scenario.services[0].deployment.minimum_healthy_percent = Some(0);
    scenario.services[0].deployment.maximum_percent = Some(100);
    let rig = EcsFixture::new(scenario);
    let (seen, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    assert!(matches!(health, RolloutStatus::Failed(_)), "{health:?}");
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    let (health, _) = rig.wait_for_end(&undo, 6000).await;
    let RolloutStatus::RollbackFailed(failure) = health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::RollbackFailed);
}

#[tokio::test(start_paused = true)]
async fn previous_version_is_unchanged_and_healthy_after_rollback() {
    let rig = EcsFixture::new(scenario("crash-on-start: {}"));
    let (before, _) = rig.start_rollout("v2").await;
    sleep(Duration::from_secs(3000)).await;
    let seen = rig.target.observe().await.unwrap();
    assert_eq!((&seen.version, seen.in_flight.is_none()), (&before.version, true));
    let version = seen.version.clone().unwrap();
    let rollout = rig.target.shift_by_version(&shift_to(&version)).await.unwrap();
    assert!(rollout.ids.is_empty());
    let (health, _) = rig.wait_for_end(&rollout, 60).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)), "{health:?}");
    assert_eq!(rig.call_count("UpdateService"), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_twice_stops_once() {
    for fault in ["response-lost: { operation: StopServiceDeployment, times: 1 }", ""] {
        let rig = EcsFixture::new(scenario(fault));
        let (seen, rollout) = rig.start_rollout("v2").await;
        sleep(Duration::from_secs(10)).await;
        let first = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
        let second = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
        assert_eq!((first.ids[0].as_str(), &first.ids), ("rollback", &second.ids), "{fault}");
        let (health, _) = rig.wait_for_end(&second, 1200).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)), "{fault}: {health:?}");
        assert_eq!(rig.call_count("UpdateService"), 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn late_rollback_deploys_previous_version() {
    let rig = EcsFixture::new(scenario(""));
    let (seen, rollout) = rig.start_rollout("v2").await;
    let (health, _) = rig.wait_for_end(&rollout, 1200).await;
    assert!(matches!(health, RolloutStatus::Healthy(_)));
    let undo = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert!(undo.ids[0].starts_with("ecs-svc/"), "{undo:?}");
    let (health, _) = rig.wait_for_end(&undo, 1200).await;
    let RolloutStatus::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version.label, "web:1");
    let again = rig.target.shift_by_version(&roll_back(&seen, &rollout)).await.unwrap();
    assert_eq!((again.ids.len(), rig.call_count("UpdateService")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn success_is_detected_within_seconds() {
    let mut worst = Duration::ZERO;
    for seed in 0..5 {
        let rig = EcsFixture::seeded(scenario(""), seed);
        let (_, rollout) = rig.start_rollout("v2").await;
        let cloud = rig.cloud.clone();
        let truth = tokio::spawn(async move {
            while cloud.serving_state("acme", "web").is_none_or(|now| now.deployment_status != "SUCCESSFUL") {
                sleep(Duration::from_millis(50)).await;
            }
            Instant::now()
        });
        // The deployment that came before is SUCCESSFUL too: ours is the newest by now.
        let (health, _) = rig.wait_for_end(&rollout, 1200).await;
        assert!(matches!(health, RolloutStatus::Healthy(_)));
        worst = worst.max(Instant::now().duration_since(truth.await.unwrap()));
    }
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

#[tokio::test(start_paused = true)]
async fn dropped_caller_does_not_fail_shared_reads() {
    let rig = EcsFixture::new(scenario(""));
    let shared = SharedClients::new(&config(&rig.cloud));
    let settings = rig.target.settings().clone();
    let target = || Ecs::new(settings.clone(), ExpectedAccount::default(), Vec::new(), &shared);
    let (first, second) = (target(), target());
    let impatient = tokio::time::timeout(Duration::ZERO, first.reader.service());
    let (gave_up, seen) = tokio::join!(impatient, second.reader.service());
    assert!(gave_up.is_err());
    assert_eq!(seen.unwrap().status, "ACTIVE");
}
