//! Deployments of the target while the world around misbehaves, on the embedded cloud in virtual time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::rehearsals::{Rig, again, back, config, scenario, to};
use super::{Declared, Ecs, Shared};
use crate::problem::Code;
use crate::release::Health;
use crate::targets::Target;

#[tokio::test(start_paused = true)]
async fn a_failing_redeploy_of_the_same_definition_is_taken_back() {
    let rig = Rig::new(scenario("crash-on-start: { version: all, tasks: 2, exit-code: 9 }"));
    let seen = rig.target.observe().await.unwrap();
    let split = again(seen.version.as_ref().unwrap());
    let rollout = rig.target.route(&split).await.unwrap();
    let (health, _) = rig.wait(&rollout, 1200).await;
    let Health::Failing(failure) = &health else { panic!("{health:?}") };
    assert_eq!((failure.problem.code, failure.exit_code), (Code::ContainerExited, Some(9)));
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert_eq!(undo.ids, ["rollback", rollout.ids[1].as_str()]);
    let (health, _) = rig.wait(&undo, 1200).await;
    assert!(matches!(health, Health::Healthy(_)), "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn trouble_that_passes_is_waited_out() {
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
        let rig = Rig::new(scenario(fault));
        let (_, rollout) = rig.start("v2").await;
        let (health, took) = rig.wait(&rollout, 2400).await;
        let Health::Healthy(proof) = &health else { panic!("{fault} after {took:?}: {health:?}") };
        assert_eq!(proof.version.label, "web:2", "{fault}");
        assert_eq!((rig.count("RegisterTaskDefinition"), rig.deployments().await), (1, 2), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn alarms_end_a_deployment_whoever_watches_them() {
    let mut watched = scenario("alarm-red: { at: 40 }");
    watched.alarms.push(serde_json::from_str(r#"{"name":"5xx"}"#).unwrap());
    let mut by_ecs = watched.clone();
    by_ecs.services[0].deployment.alarms = serde_json::from_str(r#"{"names":["5xx"]}"#).unwrap();

    let rig = Rig::new(by_ecs);
    let (_, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 2400).await;
    let Health::RolledBack(failure, _) = &health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::AlarmTriggered);
    assert!(failure.problem.sentence.contains("5xx"), "{}", failure.problem);

    let rig = Rig::new(watched);
    let settings = rig.target.settings().clone();
    let target =
        Ecs::new(settings, Declared::default(), vec!["5xx".into()], &Shared::new(&config(&rig.cloud)));
    let rig = Rig { target, ..rig };
    let (_, rollout) = rig.start("v2").await;
    let (health, took) = rig.wait(&rollout, 2400).await;
    let Health::Failing(failure) = &health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::AlarmTriggered);
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_is_said_to_have_failed() {
    let mut scenario = scenario("crash-on-start: {}; rollback-fails: {}");
    // All old tasks are stopped before new ones start, so the rollback has to start them again.
    scenario.services[0].deployment.minimum_healthy_percent = Some(0);
    scenario.services[0].deployment.maximum_percent = Some(100);
    let rig = Rig::new(scenario);
    let (seen, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 1200).await;
    assert!(matches!(health, Health::Failing(_)), "{health:?}");
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    let (health, _) = rig.wait(&undo, 6000).await;
    let Health::RollbackFailed(failure) = health else { panic!("{health:?}") };
    assert_eq!(failure.problem.code, Code::RollbackFailed);
}

#[tokio::test(start_paused = true)]
async fn after_a_rollback_the_version_before_is_unchanged_and_healthy() {
    let rig = Rig::new(scenario("crash-on-start: {}"));
    let (before, _) = rig.start("v2").await;
    sleep(Duration::from_secs(3000)).await;
    let seen = rig.target.observe().await.unwrap();
    assert_eq!((&seen.version, seen.in_flight.is_none()), (&before.version, true));
    let version = seen.version.clone().unwrap();
    let rollout = rig.target.route(&to(&version)).await.unwrap();
    assert!(rollout.ids.is_empty());
    let (health, _) = rig.wait(&rollout, 60).await;
    assert!(matches!(health, Health::Healthy(_)), "{health:?}");
    assert_eq!(rig.count("UpdateService"), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_twice_is_stopping_once() {
    for fault in ["response-lost: { operation: StopServiceDeployment, times: 1 }", ""] {
        let rig = Rig::new(scenario(fault));
        let (seen, rollout) = rig.start("v2").await;
        sleep(Duration::from_secs(10)).await;
        let first = rig.target.route(&back(&seen, &rollout)).await.unwrap();
        let second = rig.target.route(&back(&seen, &rollout)).await.unwrap();
        assert_eq!((first.ids[0].as_str(), &first.ids), ("rollback", &second.ids), "{fault}");
        let (health, _) = rig.wait(&second, 1200).await;
        assert!(matches!(health, Health::Healthy(_)), "{fault}: {health:?}");
        assert_eq!(rig.count("UpdateService"), 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_comes_too_late_goes_forward_to_the_version_before() {
    let rig = Rig::new(scenario(""));
    let (seen, rollout) = rig.start("v2").await;
    let (health, _) = rig.wait(&rollout, 1200).await;
    assert!(matches!(health, Health::Healthy(_)));
    let undo = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert!(undo.ids[0].starts_with("ecs-svc/"), "{undo:?}");
    let (health, _) = rig.wait(&undo, 1200).await;
    let Health::Healthy(proof) = health else { panic!("{health:?}") };
    assert_eq!(proof.version.label, "web:1");
    let again = rig.target.route(&back(&seen, &rollout)).await.unwrap();
    assert_eq!((again.ids.len(), rig.count("UpdateService")), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn success_is_noticed_within_seconds() {
    let mut worst = Duration::ZERO;
    for seed in 0..5 {
        let rig = Rig::seeded(scenario(""), seed);
        let (_, rollout) = rig.start("v2").await;
        let cloud = rig.cloud.clone();
        let truth = tokio::spawn(async move {
            while cloud.serving("acme", "web").is_none_or(|now| now.deployment_status != "SUCCESSFUL") {
                sleep(Duration::from_millis(50)).await;
            }
            Instant::now()
        });
        // The deployment that came before is SUCCESSFUL too: ours is the newest by now.
        let (health, _) = rig.wait(&rollout, 1200).await;
        assert!(matches!(health, Health::Healthy(_)));
        worst = worst.max(Instant::now().duration_since(truth.await.unwrap()));
    }
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_does_not_take_the_others_along() {
    let rig = Rig::new(scenario(""));
    let shared = Shared::new(&config(&rig.cloud));
    let settings = rig.target.settings().clone();
    let target = || Ecs::new(settings.clone(), Declared::default(), Vec::new(), &shared);
    let (first, second) = (target(), target());
    let impatient = tokio::time::timeout(Duration::ZERO, first.eyes.service());
    let (gave_up, seen) = tokio::join!(impatient, second.eyes.service());
    assert!(gave_up.is_err());
    assert_eq!(seen.unwrap().status, "ACTIVE");
}
