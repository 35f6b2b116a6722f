//! The decision table as a table.

use super::super::read::{EcsDeployment, EcsService, ServiceDeployment, ServiceRevision};
use super::super::serving::TargetCounts;
use super::super::write::ROLLBACK_ID;
use super::serving_proof::ServingEvidence;
use super::snapshot::{NewerDeployment, Snapshot};
use super::status::rollout_status;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Rollout, RolloutStatus};

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn ours() -> Rollout {
    Rollout { version: "new".into(), label: "new".into(), ids: vec!["ecs-svc/2".into(), "sd-2".into()] }
}

fn rollback() -> Rollout {
    Rollout { version: "old".into(), label: "old".into(), ids: vec![ROLLBACK_ID.into(), "sd-2".into()] }
}

fn primary(id: &str, definition: &str, rollout: &str, reason: &str) -> EcsDeployment {
    EcsDeployment {
        id: id.into(),
        status: "PRIMARY".into(),
        definition: definition.into(),
        rollout_state: rollout.into(),
        reason: reason.into(),
        desired: 2,
        running: 2,
        ..EcsDeployment::default()
    }
}

fn service(primary: EcsDeployment) -> EcsService {
    EcsService { desired: 2, deployments: vec![primary], ..EcsService::default() }
}

fn snapshot(status: &str) -> Snapshot {
    Snapshot {
        service: service(primary("ecs-svc/2", "new", "IN_PROGRESS", "")),
        own_deployment: Some(ServiceDeployment {
            arn: "sd-2".into(),
            status: status.into(),
            rollback_revision: Some("rev-1".into()),
            ..ServiceDeployment::default()
        }),
        ..Snapshot::default()
    }
}

fn evidence(definition: &str, asked: char, runs: char, healthy: Option<u32>) -> Option<ServingEvidence> {
    let image = ("app".to_owned(), format!("repo@{}", digest(asked)), digest(runs));
    let revision = ServiceRevision {
        arn: "rev-1".into(),
        definition: definition.into(),
        images: vec![image],
        target_groups: Vec::new(),
    };
    let not_healthy = vec!["10.0.0.1 Target.Timeout".to_owned()];
    let targets = healthy.map(|healthy| TargetCounts { healthy, unused: 0, not_healthy });
    Some(ServingEvidence {
        revision,
        container: "app".into(),
        platform_digests: Vec::new(),
        target_counts: targets,
    })
}

fn cause(permanent: bool) -> Option<Failure> {
    let problem = Problem::error(Code::ImagePullFailed, "x.");
    Some(Failure { problem, exit_code: None, logs: Vec::new(), permanent })
}

fn describe(health: &RolloutStatus) -> String {
    match health {
        RolloutStatus::Healthy(proof) => format!("healthy: {}", proof.evidence),
        RolloutStatus::Progressing(progress) => format!("progressing: {}", progress.stage),
        RolloutStatus::Paused(pause) => format!("paused {}", pause.percent),
        RolloutStatus::Failed(f) => format!("failing {}", f.problem.code),
        RolloutStatus::NotServing(f) => format!("not-serving {}", f.problem.code),
        RolloutStatus::RollingBack(f, _) => format!("rolling-back {}", f.problem.code),
        RolloutStatus::RolledBack(f, to) => {
            format!("rolled-back {} to {:?}", f.problem.code, to.as_ref().map(|v| &v.id))
        }
        RolloutStatus::RollbackFailed(f) => format!("rollback-failed {}", f.problem.code),
        RolloutStatus::Aborted(f) => format!("stopped {}", f.problem.code),
        RolloutStatus::Missed(f) => format!("missed {}", f.problem.code),
        RolloutStatus::Superseded(by) => format!("superseded by {by}"),
        RolloutStatus::HandedOff(handed) => format!("handed: {}", handed.evidence),
        RolloutStatus::Unknown(what) => format!("unknown: {what}"),
    }
}

fn describe_status(rollout: &Rollout, look: &Snapshot) -> String {
    describe(&rollout_status(rollout, look))
}

#[test]
fn all_nine_statuses_are_mapped() {
    let table = [
        ("PENDING", "progressing: PENDING"),
        ("IN_PROGRESS", "progressing: IN_PROGRESS"),
        ("SUCCESSFUL", "healthy: service deployment SUCCESSFUL, 2 of 2 targets healthy"),
        ("STOP_REQUESTED", "stopped deployment-stopped"),
        ("STOPPED", "stopped deployment-stopped"),
        ("ROLLBACK_REQUESTED", "rolling-back deployment-stopped"),
        ("ROLLBACK_IN_PROGRESS", "rolling-back deployment-stopped"),
        ("ROLLBACK_SUCCESSFUL", r#"rolled-back deployment-stopped to Some("new")"#),
        ("ROLLBACK_FAILED", "rollback-failed rollback-failed"),
        ("PAUSED_BY_MOON", "unknown: service deployment status `PAUSED_BY_MOON`"),
        ("", "unknown: service deployment status ``"),
    ];
    for (status, expected) in table {
        let look = Snapshot { evidence: evidence("new", 'a', 'a', Some(2)), ..snapshot(status) };
        assert_eq!(describe_status(&ours(), &look), expected, "{status}");
    }
}

#[test]
fn rollback_is_healthy_only_when_previous_version_serves() {
    let table = [
        ("IN_PROGRESS", "old", "progressing: IN_PROGRESS"),
        ("ROLLBACK_REQUESTED", "old", "progressing: ROLLBACK_REQUESTED"),
        (
            "ROLLBACK_SUCCESSFUL",
            "old",
            "healthy: service deployment ROLLBACK_SUCCESSFUL, 2 of 2 targets healthy",
        ),
        ("ROLLBACK_SUCCESSFUL", "third", "stopped digest-mismatch"),
        ("ROLLBACK_FAILED", "old", "rollback-failed rollback-failed"),
        ("SUCCESSFUL", "new", "missed deployment-stopped"),
        ("STOPPED", "old", "stopped deployment-stopped"),
        ("ODD", "old", "unknown: service deployment status `ODD`"),
    ];
    for (status, serves, expected) in table {
        let look = Snapshot {
            service: service(primary("ecs-svc/3", serves, "IN_PROGRESS", "")),
            evidence: evidence(serves, 'a', 'a', Some(2)),
            ..snapshot(status)
        };
        assert_eq!(describe_status(&rollback(), &look), expected, "{status}");
    }
}

#[test]
fn success_requires_evidence() {
    let success = |evidence| Snapshot { evidence, ..snapshot("SUCCESSFUL") };
    let says = "service deployment SUCCESSFUL";
    let table = [
        (None, format!("progressing: {says}, not verified yet")),
        (evidence("old", 'a', 'a', Some(2)), "stopped digest-mismatch".into()),
        (evidence("new", 'a', 'b', Some(2)), "stopped digest-mismatch".into()),
        (
            evidence("new", 'a', 'a', Some(1)),
            format!("progressing: {says}, 1 of 2 targets healthy 10.0.0.1 Target.Timeout"),
        ),
        (evidence("new", 'a', 'a', None), format!("healthy: {says}, 2 of 2 tasks running, no load balancer")),
    ];
    for (evidence, expected) in table {
        assert_eq!(describe_status(&ours(), &success(evidence)), expected);
    }
    let mut idle = success(evidence("new", 'a', 'a', Some(0)));
    idle.service.desired = 0;
    assert_eq!(
        describe_status(&ours(), &idle),
        format!("healthy: {says}, the desired count is 0: nothing runs, and nothing was proven")
    );
    let RolloutStatus::Healthy(proof) = rollout_status(&ours(), &idle) else { panic!("{idle:?}") };
    assert!(proof.nothing_runs());
    for (running, targets, expected) in [
        (0, None, "progressing: service deployment SUCCESSFUL, 0 of 2 tasks running"),
        (1, None, "progressing: service deployment SUCCESSFUL, 1 of 2 tasks running"),
        (1, Some(2), "progressing: service deployment SUCCESSFUL, 1 of 2 tasks running"),
        (3, None, "healthy: service deployment SUCCESSFUL, 2 of 2 tasks running, no load balancer"),
    ] {
        let mut look = success(evidence("new", 'a', 'a', targets));
        look.service.deployments[0].running = running;
        assert_eq!(describe_status(&ours(), &look), expected);
    }
    let mut index = success(evidence("new", 'a', 'b', Some(2)));
    index.evidence.as_mut().unwrap().platform_digests = vec![digest('b')];
    let RolloutStatus::Healthy(proof) = rollout_status(&ours(), &index) else { panic!("{index:?}") };
    assert_eq!(proof.digest.map(|d| d.to_string()), Some(digest('a')));
}

#[test]
fn stopped_deployment_is_superseded_by_a_newer_one() {
    for status in ["STOP_REQUESTED", "STOPPED"] {
        let newer = |definition: Option<&str>| {
            let newer = NewerDeployment { arn: "sd-3".into(), definition: definition.map(Into::into) };
            Snapshot { newer_deployment: Some(newer), ..snapshot(status) }
        };
        assert_eq!(describe_status(&ours(), &newer(None)), "superseded by sd-3");
        assert_eq!(describe_status(&ours(), &newer(Some("third"))), "superseded by third, sd-3");
        let followed = format!("progressing: {status}, a newer deployment of the same version is followed");
        assert_eq!(describe_status(&ours(), &newer(Some("new"))), followed);
        let young = Snapshot { is_recent: true, ..snapshot(status) };
        assert_eq!(describe_status(&ours(), &young), format!("progressing: {status}"));
    }
}

#[test]
fn alarms_and_circuit_breaker_are_named_failures() {
    let mut alarm = snapshot("IN_PROGRESS");
    alarm.own_deployment.as_mut().unwrap().triggered_alarms = vec!["5xx".into()];
    assert_eq!(describe_status(&ours(), &alarm), "rolling-back alarm-triggered");
    let mut breaker = snapshot("ROLLBACK_SUCCESSFUL");
    breaker.own_deployment.as_mut().unwrap().circuit_breaker_triggered = true;
    assert_eq!(describe_status(&ours(), &breaker), "rolled-back circuit-breaker to None");
    breaker.top_failure = cause(false);
    assert_eq!(describe_status(&ours(), &breaker), "rolled-back image-pull-failed to None");
    let mut reason = snapshot("ROLLBACK_IN_PROGRESS");
    reason.own_deployment.as_mut().unwrap().rollback_reason =
        "Service deployment rolled back because of alarm(s).".into();
    assert_eq!(describe_status(&ours(), &reason), "rolling-back alarm-triggered");
}

/// ECS ends the deployment although nothing that stopped was the version's fault.
#[test]
fn end_by_ecs_has_the_words_for_the_stopped_tasks() {
    let problem = Problem::error(Code::TaskStopped, "x.").cause("Your Spot Task was interrupted.");
    let suspected = Failure { problem, exit_code: None, logs: Vec::new(), permanent: false };
    let mut look = Snapshot { suspected_failure: Some(suspected), ..snapshot("ROLLBACK_IN_PROGRESS") };
    let cause_of = |look: &Snapshot| match rollout_status(&ours(), look) {
        RolloutStatus::RollingBack(failure, _) => failure.problem.cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(cause_of(&look).as_deref(), Some("Your Spot Task was interrupted."));
    let own = look.own_deployment.as_mut().unwrap();
    own.circuit_breaker_triggered = true;
    own.rollback_reason = "ECS deployment circuit breaker: tasks failed to start.".into();
    let both = "ECS deployment circuit breaker: tasks failed to start. | Your Spot Task was interrupted.";
    assert_eq!(cause_of(&look).as_deref(), Some(both));
}

#[test]
fn fired_detection_without_rollback_fails_at_once() {
    let fired = |status: &str, rollback: bool| {
        let mut look = Snapshot { is_recent: true, ..snapshot(status) };
        let deployment = look.own_deployment.as_mut().unwrap();
        deployment.circuit_breaker_triggered = true;
        deployment.configuration =
            serde_json::json!({"deploymentCircuitBreaker": {"enable": true, "rollback": rollback}});
        describe_status(&ours(), &look)
    };
    let table = [
        ("IN_PROGRESS", true, "rolling-back circuit-breaker"),
        ("IN_PROGRESS", false, "failing circuit-breaker"),
        ("STOP_REQUESTED", false, "stopped circuit-breaker"),
        ("STOPPED", false, "stopped circuit-breaker"),
        ("ROLLBACK_IN_PROGRESS", true, "rolling-back circuit-breaker"),
    ];
    for (status, rollback, expected) in table {
        assert_eq!(fired(status, rollback), expected, "{status} {rollback}");
    }
}

#[test]
fn rollback_in_progress_says_how_far_it_is() {
    let returning = |id: &str| EcsDeployment {
        running: 30,
        ..primary(id, "arn:task-definition/app:1", "IN_PROGRESS", "")
    };
    let leaving = EcsDeployment {
        status: "ACTIVE".into(),
        ..primary("ecs-svc/2", "arn:task-definition/app:2", "FAILED", "")
    };
    let look = |back: Option<EcsDeployment>| {
        let deployments = back.into_iter().chain([leaving.clone()]).collect();
        let service = EcsService { desired: 40, deployments, ..EcsService::default() };
        Snapshot { service, ..snapshot("ROLLBACK_IN_PROGRESS") }
    };
    for rollout in [ours(), rollback()] {
        let (RolloutStatus::RollingBack(_, progress) | RolloutStatus::Progressing(progress)) =
            rollout_status(&rollout, &look(Some(returning("ecs-svc/3"))))
        else {
            panic!("{rollout:?}")
        };
        assert_eq!(progress.describe_counts(), "30 of 40 run");
        assert_eq!(progress.stage, "ROLLBACK_IN_PROGRESS, draining app:2");
    }
}

#[test]
fn only_a_permanent_cause_fails_the_rollout() {
    for (permanent, expected) in [(true, "failing image-pull-failed"), (false, "progressing: IN_PROGRESS")] {
        let look = Snapshot { top_failure: cause(permanent), ..snapshot("IN_PROGRESS") };
        assert_eq!(describe_status(&ours(), &look), expected);
    }
    let late = Snapshot {
        top_failure: cause(true),
        evidence: evidence("new", 'a', 'a', Some(2)),
        ..snapshot("SUCCESSFUL")
    };
    assert!(describe_status(&ours(), &late).starts_with("healthy"));
}

#[test]
fn status_without_service_deployment_comes_from_service() {
    let breaker = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.";
    let table = [
        (primary("ecs-svc/2", "new", "IN_PROGRESS", ""), false, "progressing: IN_PROGRESS"),
        (
            primary("ecs-svc/2", "new", "COMPLETED", ""),
            false,
            "healthy: rollout COMPLETED, 2 of 2 targets healthy",
        ),
        (
            primary("ecs-svc/2", "new", "FAILED", "ECS deployment circuit breaker: tasks failed to start."),
            false,
            "stopped circuit-breaker",
        ),
        (primary("ecs-svc/2", "new", "ODD", ""), false, "unknown: rollout state `ODD`"),
        (primary("ecs-svc/1", "old", "COMPLETED", ""), true, "progressing: PENDING"),
        (primary("ecs-svc/1", "old", "COMPLETED", ""), false, "superseded by ecs-svc/1"),
        (primary("ecs-svc/3", "new", "IN_PROGRESS", ""), true, "progressing: PENDING"),
        (primary("ecs-svc/3", "new", "IN_PROGRESS", ""), false, "progressing: IN_PROGRESS"),
        (
            primary("ecs-svc/3", "new", "COMPLETED", ""),
            false,
            "healthy: rollout COMPLETED, 2 of 2 targets healthy",
        ),
        (primary("ecs-svc/3", "old", "IN_PROGRESS", breaker), true, "rolling-back circuit-breaker"),
        (
            primary("ecs-svc/3", "old", "COMPLETED", breaker),
            false,
            r#"rolled-back circuit-breaker to Some("old")"#,
        ),
        (
            primary("ecs-svc/3", "third", "IN_PROGRESS", "ECS deployment ecs-svc/3 in progress."),
            false,
            "superseded by ecs-svc/3",
        ),
    ];
    for (primary, young, expected) in table {
        let look = Snapshot {
            service: service(primary.clone()),
            own_deployment: None,
            is_recent: young,
            evidence: evidence("new", 'a', 'a', Some(2)),
            ..Snapshot::default()
        };
        assert_eq!(describe_status(&ours(), &look), expected, "{primary:?}");
    }
    assert_eq!(
        describe_status(&ours(), &Snapshot::default()),
        "unknown: the service shows no PRIMARY deployment"
    );
}

#[test]
fn no_op_rollout_requires_version_to_serve() {
    let still = Rollout { ids: Vec::new(), ..ours() };
    let seen = |definition: &str| Snapshot {
        service: service(primary("ecs-svc/9", definition, "COMPLETED", "")),
        evidence: evidence(definition, 'a', 'a', Some(2)),
        ..Snapshot::default()
    };
    assert!(describe_status(&still, &seen("new")).starts_with("healthy"));
    assert_eq!(describe_status(&still, &seen("old")), "superseded by ecs-svc/9");
}

#[test]
fn rolled_back_version_can_serve() {
    let still = Rollout { version: "old".into(), label: "old".into(), ids: Vec::new() };
    let serves = |status: &str, rollout: &str| Snapshot {
        service: service(primary("ecs-svc/9", "old", rollout, "")),
        evidence: evidence("old", 'a', 'a', Some(2)),
        ..snapshot(status)
    };
    let table = [
        (
            "ROLLBACK_SUCCESSFUL",
            "COMPLETED",
            "healthy: service deployment ROLLBACK_SUCCESSFUL, 2 of 2 targets healthy",
        ),
        ("SUCCESSFUL", "COMPLETED", "healthy: service deployment SUCCESSFUL, 2 of 2 targets healthy"),
        ("ROLLBACK_IN_PROGRESS", "IN_PROGRESS", "progressing: IN_PROGRESS"),
        ("STOPPED", "FAILED", "stopped deployment-stopped"),
    ];
    for (status, rollout, expected) in table {
        assert_eq!(describe_status(&still, &serves(status, rollout)), expected, "{status}");
    }
}

proptest::proptest! {
    #[test]
    fn only_known_status_is_success(status in "[A-Z_]{0,24}|(UN|NOT_|ROLLBACK_)?SUCCESSFULL?|successful") {
        let look = Snapshot { evidence: evidence("new", 'a', 'a', Some(2)), ..snapshot(&status) };
        let healthy = |rollout: &Rollout| matches!(rollout_status(rollout, &look), RolloutStatus::Healthy(_));
        let still = Rollout { ids: Vec::new(), ..ours() };
        let back = Rollout { version: "new".into(), ..rollback() };
        let is = |words: &[&str]| words.contains(&status.as_str());
        proptest::prop_assert_eq!(healthy(&ours()), is(&["SUCCESSFUL"]));
        proptest::prop_assert_eq!(healthy(&back), is(&["ROLLBACK_SUCCESSFUL"]));
        proptest::prop_assert_eq!(healthy(&still), is(&["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"]));
    }
}

#[test]
fn success_is_proven_only_if_every_container_runs_its_digest() {
    for (nginx, expected) in [(digest('n'), "healthy"), (digest('o'), "stopped digest-mismatch")] {
        let mut look = snapshot("SUCCESSFUL");
        look.evidence = evidence("new", 'a', 'a', Some(2));
        let images = &mut look.evidence.as_mut().unwrap().revision.images;
        images.push(("nginx".into(), format!("nginx@{}", digest('n')), nginx.clone()));
        assert!(describe(&rollout_status(&ours(), &look)).starts_with(expected), "{nginx}");
    }
}
