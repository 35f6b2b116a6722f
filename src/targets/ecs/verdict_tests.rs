//! The decision table as a table.

use super::read::{Deployment, Revision, Service, ServiceDeployment};
use super::verdict::{Evidence, Look, Targets, decide};
use super::write::ROLLBACK;
use crate::problem::{Code, Problem};
use crate::release::{Failure, Health, Rollout};

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn ours() -> Rollout {
    Rollout { version: "new".into(), label: "new".into(), ids: vec!["ecs-svc/2".into(), "sd-2".into()] }
}

fn back() -> Rollout {
    Rollout { version: "old".into(), label: "old".into(), ids: vec![ROLLBACK.into(), "sd-2".into()] }
}

fn primary(id: &str, definition: &str, rollout: &str, reason: &str) -> Deployment {
    Deployment {
        id: id.into(),
        status: "PRIMARY".into(),
        definition: definition.into(),
        rollout: rollout.into(),
        reason: reason.into(),
        desired: 2,
        ..Deployment::default()
    }
}

fn service(primary: Deployment) -> Service {
    Service { desired: 2, deployments: vec![primary], ..Service::default() }
}

fn look(status: &str) -> Look {
    Look {
        service: service(primary("ecs-svc/2", "new", "IN_PROGRESS", "")),
        ours: Some(ServiceDeployment {
            arn: "sd-2".into(),
            status: status.into(),
            rollback: Some("rev-1".into()),
            ..ServiceDeployment::default()
        }),
        ..Look::default()
    }
}

fn evidence(definition: &str, asked: char, runs: char, healthy: Option<u32>) -> Option<Evidence> {
    let image = ("app".to_owned(), format!("repo@{}", digest(asked)), digest(runs));
    let revision = Revision {
        arn: "rev-1".into(),
        definition: definition.into(),
        images: vec![image],
        groups: Vec::new(),
    };
    let targets = healthy.map(|healthy| Targets { healthy, others: vec!["10.0.0.1 Target.Timeout".into()] });
    Some(Evidence { revision, container: "app".into(), parts: Vec::new(), targets })
}

fn cause(permanent: bool) -> Option<Failure> {
    let problem = Problem::error(Code::ImagePullFailed, "x.");
    Some(Failure { problem, exit_code: None, logs: Vec::new(), permanent })
}

fn word(health: &Health) -> String {
    match health {
        Health::Healthy(proof) => format!("healthy: {}", proof.evidence),
        Health::Progressing(progress) => format!("progressing: {}", progress.stage),
        Health::Holding(hold) => format!("holding {}", hold.percent),
        Health::Failing(f) => format!("failing {}", f.problem.code),
        Health::RollingBack(f) => format!("rolling-back {}", f.problem.code),
        Health::RolledBack(f, to) => {
            format!("rolled-back {} to {:?}", f.problem.code, to.as_ref().map(|v| &v.id))
        }
        Health::RollbackFailed(f) => format!("rollback-failed {}", f.problem.code),
        Health::Stopped(f) => format!("stopped {}", f.problem.code),
        Health::Superseded(by) => format!("superseded by {by}"),
        Health::Handed(handed) => format!("handed: {}", handed.evidence),
        Health::Unknown(what) => format!("unknown: {what}"),
    }
}

fn said(rollout: &Rollout, look: &Look) -> String {
    word(&decide(rollout, look))
}

#[test]
fn all_nine_statuses_have_their_meaning() {
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
        let look = Look { evidence: evidence("new", 'a', 'a', Some(2)), ..look(status) };
        assert_eq!(said(&ours(), &look), expected, "{status}");
    }
}

#[test]
fn a_rollback_is_success_only_when_the_version_before_serves() {
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
        ("SUCCESSFUL", "new", "stopped deployment-stopped"),
        ("STOPPED", "old", "stopped deployment-stopped"),
        ("ODD", "old", "unknown: service deployment status `ODD`"),
    ];
    for (status, serves, expected) in table {
        let look = Look { evidence: evidence(serves, 'a', 'a', Some(2)), cause: None, ..look(status) };
        assert_eq!(said(&back(), &look), expected, "{status}");
    }
}

#[test]
fn success_needs_proof() {
    let success = |evidence| Look { evidence, ..look("SUCCESSFUL") };
    let says = "service deployment SUCCESSFUL";
    let table = [
        (None, format!("progressing: {says}, not proven yet")),
        (evidence("old", 'a', 'a', Some(2)), "stopped digest-mismatch".into()),
        (evidence("new", 'a', 'b', Some(2)), "stopped digest-mismatch".into()),
        (
            evidence("new", 'a', 'a', Some(1)),
            format!("progressing: {says}, 1 of 2 targets healthy 10.0.0.1 Target.Timeout"),
        ),
        (
            evidence("new", 'a', 'a', None),
            format!("healthy: {says}, 2 tasks wished for, no load balancer to ask"),
        ),
    ];
    for (evidence, expected) in table {
        assert_eq!(said(&ours(), &success(evidence)), expected);
    }
    let mut idle = success(evidence("new", 'a', 'a', Some(0)));
    idle.service.desired = 0;
    assert_eq!(said(&ours(), &idle), format!("healthy: {says}, no tasks are wished for"));
    let mut index = success(evidence("new", 'a', 'b', Some(2)));
    index.evidence.as_mut().unwrap().parts = vec![digest('b')];
    let Health::Healthy(proof) = decide(&ours(), &index) else { panic!("{index:?}") };
    assert_eq!(proof.digest.map(|d| d.to_string()), Some(digest('a')));
}

#[test]
fn a_stopped_deployment_is_superseded_when_a_newer_one_runs() {
    for status in ["STOP_REQUESTED", "STOPPED"] {
        let newer = Look { newer: Some("sd-3".into()), ..look(status) };
        assert_eq!(said(&ours(), &newer), "superseded by sd-3");
        let young = Look { young: true, ..look(status) };
        assert_eq!(said(&ours(), &young), format!("progressing: {status}"));
    }
}

#[test]
fn alarms_and_breaker_are_failures_with_their_names() {
    let mut alarm = look("IN_PROGRESS");
    alarm.ours.as_mut().unwrap().alarms_fired = vec!["5xx".into()];
    assert_eq!(said(&ours(), &alarm), "rolling-back alarm-triggered");
    let mut breaker = look("ROLLBACK_SUCCESSFUL");
    breaker.ours.as_mut().unwrap().breaker_fired = true;
    assert_eq!(said(&ours(), &breaker), "rolled-back circuit-breaker to None");
    breaker.cause = cause(false);
    assert_eq!(said(&ours(), &breaker), "rolled-back image-pull-failed to None");
    let mut reason = look("ROLLBACK_IN_PROGRESS");
    reason.ours.as_mut().unwrap().rollback_reason =
        "Service deployment rolled back because of alarm(s).".into();
    assert_eq!(said(&ours(), &reason), "rolling-back alarm-triggered");
}

#[test]
fn a_permanent_cause_ends_the_wait_and_another_does_not() {
    for (permanent, expected) in [(true, "failing image-pull-failed"), (false, "progressing: IN_PROGRESS")] {
        let look = Look { cause: cause(permanent), ..look("IN_PROGRESS") };
        assert_eq!(said(&ours(), &look), expected);
    }
    let late =
        Look { cause: cause(true), evidence: evidence("new", 'a', 'a', Some(2)), ..look("SUCCESSFUL") };
    assert!(said(&ours(), &late).starts_with("healthy"));
}

#[test]
fn without_a_service_deployment_the_service_speaks() {
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
        let look = Look {
            service: service(primary.clone()),
            ours: None,
            young,
            evidence: evidence("new", 'a', 'a', Some(2)),
            ..Look::default()
        };
        assert_eq!(said(&ours(), &look), expected, "{primary:?}");
    }
    assert_eq!(said(&ours(), &Look::default()), "unknown: the service shows no PRIMARY deployment");
}

#[test]
fn nothing_moved_means_that_the_version_itself_must_serve() {
    let still = Rollout { ids: Vec::new(), ..ours() };
    let seen = |definition: &str| Look {
        service: service(primary("ecs-svc/9", definition, "COMPLETED", "")),
        evidence: evidence(definition, 'a', 'a', Some(2)),
        ..Look::default()
    };
    assert!(said(&still, &seen("new")).starts_with("healthy"));
    assert_eq!(said(&still, &seen("old")), "superseded by ecs-svc/9");
}

#[test]
fn a_version_that_was_returned_to_serves_like_any_other() {
    let still = Rollout { version: "old".into(), label: "old".into(), ids: Vec::new() };
    let serves = |status: &str, rollout: &str| Look {
        service: service(primary("ecs-svc/9", "old", rollout, "")),
        evidence: evidence("old", 'a', 'a', Some(2)),
        ..look(status)
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
        assert_eq!(said(&still, &serves(status, rollout)), expected, "{status}");
    }
}

proptest::proptest! {
    #[test]
    fn no_word_but_the_right_one_is_success(status in "[A-Z_]{0,24}|(UN|NOT_|ROLLBACK_)?SUCCESSFULL?|successful") {
        let look = Look { evidence: evidence("new", 'a', 'a', Some(2)), ..look(&status) };
        let healthy = |rollout: &Rollout| matches!(decide(rollout, &look), Health::Healthy(_));
        let still = Rollout { ids: Vec::new(), ..ours() };
        let back = Rollout { version: "new".into(), ..back() };
        let is = |words: &[&str]| words.contains(&status.as_str());
        proptest::prop_assert_eq!(healthy(&ours()), is(&["SUCCESSFUL"]));
        proptest::prop_assert_eq!(healthy(&back), is(&["ROLLBACK_SUCCESSFUL"]));
        proptest::prop_assert_eq!(healthy(&still), is(&["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"]));
    }
}
