//! What ECS says about tasks, word for word, and what it means.

use super::causes::{Cause, of_alarm, of_event, of_task, weigh};
use super::read::{Event, Task, TaskContainer};
use crate::problem::Code;

fn task(stop_code: &str, reason: &str, container: (&str, Option<i64>), uptime: f64) -> Task {
    Task {
        arn: "arn:aws:ecs:eu-west-1:1:task/c/abc".into(),
        stop_code: stop_code.into(),
        reason: reason.into(),
        stopping: true,
        uptime,
        containers: vec![TaskContainer {
            name: "app".into(),
            exit_code: container.1,
            reason: container.0.into(),
        }],
        ..Task::default()
    }
}

/// Stop code, stopped reason, the container's reason and exit code, seconds of life; then code and how many suffice.
type Said = (&'static str, &'static str, &'static str, Option<i64>, f64, Code, Option<u32>);
const NO_START: &str = "TaskFailedToStart";
const EXITED: &str = "EssentialContainerExited";
const ENDED: &str = "Essential container in task exited";
const SCHEDULER: &str = "ServiceSchedulerInitiated";
const OOM: &str = "OutOfMemoryError: Container killed due to memory usage";
const NO_MANIFEST: &str =
    "CannotPullContainerError: pull image manifest has been retried 1 time(s): r:t: not found";
const PLATFORM: &str =
    "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'";
const FORBIDDEN: &str = "CannotPullContainerError: 403 Forbidden";
const TIMEOUT: &str = "CannotPullContainerError: dial tcp 1.2.3.4:443: i/o timeout";
const LIMIT: &str = "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit";
const DENIED: &str =
    "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException";
const NETWORK: &str = "ResourceInitializationError: unable to pull secrets: context deadline exceeded";
const ROLE: &str = "ECS was unable to assume the role 'arn:aws:iam::1:role/x'";
const EXEC: &str = "CannotStartContainerError: exec format error";
const ELB: &str = "Task failed ELB health checks in (target-group arn:x)";
const CHECKS: &str = "Task failed container health checks";
const SAID: [Said; 14] = [
    (NO_START, NO_MANIFEST, "", None, 0.0, Code::ImagePullFailed, Some(1)),
    (NO_START, PLATFORM, "", None, 0.0, Code::ImagePullFailed, Some(1)),
    (NO_START, FORBIDDEN, "", None, 0.0, Code::ImagePullFailed, Some(1)),
    (NO_START, TIMEOUT, "", None, 0.0, Code::ImagePullFailed, Some(2)),
    (NO_START, LIMIT, "", None, 0.0, Code::ImagePullFailed, Some(2)),
    (NO_START, DENIED, "", None, 0.0, Code::ResourceSetupFailed, Some(1)),
    (NO_START, NETWORK, "", None, 0.0, Code::ResourceSetupFailed, Some(2)),
    (NO_START, ROLE, "", None, 0.0, Code::RoleUnusable, Some(1)),
    (NO_START, EXEC, "", None, 0.0, Code::ContainerExited, Some(2)),
    (EXITED, ENDED, "", Some(1), 5.0, Code::ContainerExited, Some(2)),
    (EXITED, ENDED, "", Some(1), 4000.0, Code::ContainerExited, None),
    (EXITED, ENDED, OOM, Some(137), 5.0, Code::OutOfMemory, Some(2)),
    (SCHEDULER, ELB, "", None, 50.0, Code::HealthCheckFailed, Some(2)),
    (SCHEDULER, CHECKS, "", Some(143), 50.0, Code::HealthCheckFailed, Some(2)),
];

#[test]
fn reasons_become_causes() {
    for (stop, reason, container, exit, life, code, enough) in SAID {
        let cause = of_task(&task(stop, reason, (container, exit), life)).unwrap();
        assert_eq!((cause.problem.code, cause.enough), (code, enough), "{reason}");
    }
}

#[test]
fn ends_that_say_nothing_are_no_cause() {
    for (code, reason, exit) in [
        ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)", Some(143)),
        ("UserInitiated", "stopped by me", Some(137)),
        ("SpotInterruption", "Your Spot Task was interrupted.", Some(143)),
        ("EssentialContainerExited", "Essential container in task exited", Some(0)),
    ] {
        assert_eq!(of_task(&task(code, reason, ("", exit), 1.0)), None, "{reason}");
    }
    let running = Task { stopping: false, ..task("", "", ("", Some(1)), 1.0) };
    assert_eq!(of_task(&running), None);
}

#[test]
fn events_are_read() {
    let event = |text: &str| {
        of_event(&Event { text: text.into(), ..Event::default() }).map(|c| (c.problem.code, c.enough))
    };
    assert_eq!(event("(service s) has reached a steady state."), None);
    assert_eq!(
        event("(service s) is unable to consistently start tasks successfully. For more information"),
        Some((Code::ContainerExited, Some(1)))
    );
    assert_eq!(
        event("(service s) was unable to place a task. Reason: Capacity is unavailable at this time."),
        Some((Code::NoCapacity, Some(3)))
    );
    assert_eq!(
        event(
            "(service s) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently."
        ),
        Some((Code::NoCapacity, Some(1)))
    );
}

#[test]
fn one_crash_is_not_the_end_and_two_are() {
    let crash =
        of_task(&task("EssentialContainerExited", "Essential container in task exited", ("", Some(3)), 5.0))
            .unwrap();
    let one = weigh(std::slice::from_ref(&crash), 1).unwrap();
    assert_eq!((one.permanent, one.exit_code), (false, Some(3)));
    assert!(weigh(&[crash.clone(), crash.clone()], 1).unwrap().permanent);
    let late = Cause { enough: None, ..crash };
    assert!(!weigh(&vec![late.clone(); 2], 4).unwrap().permanent);
    assert!(weigh(&vec![late.clone(); 3], 4).unwrap().permanent);
    assert!(!weigh(&vec![late.clone(); 9], 20).unwrap().permanent);
    assert!(weigh(&vec![late; 10], 20).unwrap().permanent);
    assert_eq!(weigh(&[], 1), None);
}

#[test]
fn a_permanent_cause_speaks_before_a_frequent_one() {
    let crash = of_task(&task(
        "EssentialContainerExited",
        "Essential container in task exited",
        ("", Some(3)),
        500.0,
    ))
    .unwrap();
    let pull =
        of_task(&task("TaskFailedToStart", "CannotPullContainerError: not found", ("", None), 0.0)).unwrap();
    let failure = weigh(&[crash.clone(), crash, pull], 8).unwrap();
    assert_eq!((failure.problem.code, failure.permanent), (Code::ImagePullFailed, true));
}

#[test]
fn a_red_alarm_and_one_that_is_gone_are_the_end() {
    let said = |state| of_alarm("5xx", state).map(|cause| (cause.problem.code, cause.enough));
    assert_eq!(said(Some("ALARM")), Some((Code::AlarmTriggered, Some(1))));
    assert_eq!(said(None), Some((Code::AlarmMissing, Some(1))));
    assert_eq!((said(Some("OK")), said(Some("INSUFFICIENT_DATA"))), (None, None));
}
