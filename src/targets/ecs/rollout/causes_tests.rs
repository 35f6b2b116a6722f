//! ECS's reports of tasks and their meaning: AWS's texts verbatim (aws.md §1.6 and §1.9, the Developer Guide), and texts
//! near them that have no rule.

use super::super::read::{EcsTask, ServiceEvent, TaskContainer};
use super::causes::{FailureCause, from_alarm, from_event, from_task};
use super::stop_rule::Origin::{self, Person, Platform, Unknown, Version};
use super::stop_rule::Weight::{self, CanPass, FailedTask, Harmless, LateFailure, Permanent, UnlessRunning};
use crate::problem::Code;

fn container(name: &str, exit_code: Option<i64>, reason: &str) -> TaskContainer {
    TaskContainer { name: name.into(), exit_code, reason: reason.into(), is_unhealthy: false }
}

fn task(stop_code: &str, reason: &str, containers: Vec<TaskContainer>) -> EcsTask {
    EcsTask {
        arn: "arn:aws:ecs:eu-west-1:1:task/c/abc".into(),
        stop_code: stop_code.into(),
        reason: reason.into(),
        is_stopping: true,
        uptime_seconds: 5.0,
        containers,
        ..EcsTask::default()
    }
}

/// The cause of a task of one container that has no exit code.
fn cause_of(stop_code: &str, reason: &str) -> FailureCause {
    from_task(&task(stop_code, reason, vec![container("app", None, "")]), &[]).unwrap()
}

/// What a text means: who caused it, what it does to the wait, the code.
type Meaning = (Origin, Weight, Code);
const GONE_IMAGE: Meaning = (Version, Permanent, Code::ImagePullFailed);
const LATE_PULL: Meaning = (Platform, CanPass, Code::ImagePullFailed);
const ODD_PULL: Meaning = (Version, FailedTask, Code::ImagePullFailed);
const GONE_RESOURCE: Meaning = (Version, Permanent, Code::ResourceSetupFailed);
const LATE_RESOURCE: Meaning = (Platform, CanPass, Code::ResourceSetupFailed);
const ODD_RESOURCE: Meaning = (Version, FailedTask, Code::ResourceSetupFailed);
const ROLE: Meaning = (Version, Permanent, Code::TaskRoleNotAssumable);
const NOT_STARTED: Meaning = (Version, FailedTask, Code::ContainerExited);
const NO_CAPACITY: Meaning = (Platform, CanPass, Code::NoCapacity);
const SICK: Meaning = (Version, FailedTask, Code::HealthCheckFailed);
const HOST: Meaning = (Platform, CanPass, Code::TaskStopped);
const OUTSIDE: Meaning = (Platform, Harmless, Code::TaskStopped);
const OTHER: Meaning = (Unknown, FailedTask, Code::TaskStopped);

const FAILED_TO_START: &[(&str, Meaning)] = &[
    (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref r/a:t: r/a:t: not found",
        GONE_IMAGE,
    ),
    (
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref r/a@sha256:429500: not found",
        GONE_IMAGE,
    ),
    (
        "CannotPullContainerError: Error response from daemon: manifest for acme/connection:v1 not found: manifest unknown",
        GONE_IMAGE,
    ),
    (
        "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
        GONE_IMAGE,
    ),
    (
        "CannotPullContainerError: failed to copy: httpReadSeeker: failed open: unexpected status code https://r/v2/a: 403 Forbidden",
        GONE_IMAGE,
    ),
    (
        "CannotPullContainerError: pull access denied for acme/app, repository does not exist or may require 'docker login'",
        GONE_IMAGE,
    ),
    (
        "CannotPullECRContainerError: AccessDeniedException: User is not authorized to perform: ecr:GetAuthorizationToken",
        GONE_IMAGE,
    ),
    ("CannotPullContainerError: no basic auth credentials", GONE_IMAGE),
    ("CannotPullContainerError: dial tcp 1.2.3.4:443: i/o timeout", LATE_PULL),
    (
        "CannotPullContainerError: 429 Too Many Requests - toomanyrequests: You have reached your pull rate limit",
        LATE_PULL,
    ),
    ("CannotPullContainerError: unexpected status code https://r/v2/a: 503 Service Unavailable", LATE_PULL),
    ("CannotPullContainerError: net/http: TLS handshake timeout", LATE_PULL),
    ("CannotPullContainerError: read tcp 10.0.0.1:1->1.2.3.4:443: read: connection reset by peer", LATE_PULL),
    ("CannotPullContainerError: lookup r.example on 10.0.0.2:53: no such host", LATE_PULL),
    ("CannotPullContainerError: context canceled", LATE_PULL),
    (
        "CannotPullContainerError: ref pull has been retried 1 time(s): failed to extract layer sha256:1: write /x: no space left on device",
        ODD_PULL,
    ),
    ("CannotPullContainerError: the moon is in the wrong quarter", ODD_PULL),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: AccessDeniedException: User is not authorized",
        GONE_RESOURCE,
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
        GONE_RESOURCE,
    ),
    (
        "ResourceInitializationError: unable to pull secrets: invalid character 'x' looking for beginning of value",
        GONE_RESOURCE,
    ),
    (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1",
        GONE_RESOURCE,
    ),
    (
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: b'mount.nfs4: mounting fs-1:/data failed, reason given by server: No such file or directory' : unsuccessful EFS utils command execution; code: 32",
        GONE_RESOURCE,
    ),
    ("ResourceInitializationError: unable to pull secrets: context deadline exceeded", LATE_RESOURCE),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR.",
        LATE_RESOURCE,
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: pull command failed: : signal: killed",
        LATE_RESOURCE,
    ),
    (
        "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: context deadline exceeded",
        LATE_RESOURCE,
    ),
    ("ResourceInitializationError: the moon is in the wrong quarter", ODD_RESOURCE),
    ("ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this task.", ROLE),
    (
        "ECS was unable to assume the configured ECS Infrastructure Role 'arn:aws:iam::1:role/x'. Please verify that the role being passed has the proper trust relationship with Amazon ECS",
        (Version, FailedTask, Code::TaskRoleNotAssumable),
    ),
    ("CannotStartContainerError: exec format error", NOT_STARTED),
    (
        "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: OCI runtime create failed: exec: \"serve\": stat serve: no such file or directory",
        NOT_STARTED,
    ),
    ("CannotCreateContainerError: API error (400): invalid mount config", NOT_STARTED),
    (
        "ContainerRuntimeError: unable to start container process: exec: \"x\": executable file not found in $PATH",
        NOT_STARTED,
    ),
    (
        "dependency graph: failed to resolve container ordering dependency [init] for target [app] as dependency did not exit successfully.",
        NOT_STARTED,
    ),
    (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1': InsufficientFreeAddressesInSubnet",
        LATE_RESOURCE,
    ),
    (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled in subnet 'subnet-1'",
        LATE_RESOURCE,
    ),
    ("Timeout waiting for network interface provisioning to complete.", LATE_RESOURCE),
    ("Unable to attach network interface to unused device index", LATE_RESOURCE),
    ("Timeout waiting for EphemeralStorage provisioning to complete.", LATE_RESOURCE),
    ("ECS failed to set up the EBS volume. Encountered IdempotentParameterMismatch", ODD_RESOURCE),
    ("ECS timed out while configuring the EBS volume attachment to your Task", ODD_RESOURCE),
    ("CannotCreateVolumeError: Error response from daemon: create v: driver not found", ODD_RESOURCE),
    (
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        NO_CAPACITY,
    ),
    ("RESOURCE:MEMORY", NO_CAPACITY),
    ("EMPTY CAPACITY PROVIDER", NO_CAPACITY),
    ("TaskFailedToStart: NO ACTIVE INSTANCES", NO_CAPACITY),
    ("No Container Instances were found in your capacity provider.", NO_CAPACITY),
    ("ATTRIBUTE", NO_CAPACITY),
    ("TaskFailedToStart: MemberOf placement constraint unsatisfied.", NO_CAPACITY),
    (
        "The selected task definition is not compatible with the selected compute strategy",
        (Version, Permanent, Code::TaskStopped),
    ),
    ("DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s", HOST),
    ("ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m: <>", HOST),
    ("CannotInspectContainerError: Could not transition to inspecting; timed out after waiting 30s", HOST),
    ("InternalError: unable to attach", HOST),
    ("AGENT", HOST),
    ("Task failed to start", OTHER),
    ("The moon is in the wrong quarter.", OTHER),
    ("", OTHER),
];

const SCHEDULER: &str = "ServiceSchedulerInitiated";
const STOPPED: &[(&str, &str, Meaning)] = &[
    (SCHEDULER, "Task failed ELB health checks in (target-group arn:aws:x)", SICK),
    (SCHEDULER, "Task failed ELB health checks in (elb front)", SICK),
    (SCHEDULER, "Task failed container health checks", SICK),
    (SCHEDULER, "ECS is performing maintenance on the underlying infrastructure hosting the task", OUTSIDE),
    (
        SCHEDULER,
        "Service web: ECS is performing maintenance on the underlying infrastructure hosting the task",
        OUTSIDE,
    ),
    (SCHEDULER, "Task stopped because its container instance is in DRAINING state", OUTSIDE),
    (SCHEDULER, "A reason of the year 2030", OUTSIDE),
    ("UserInitiated", "Task stopped by user", (Person, Harmless, Code::TaskStopped)),
    (
        "UserInitiated",
        "restarting after CannotPullContainerError: not found",
        (Person, Harmless, Code::TaskStopped),
    ),
    ("UserInitiated", "", (Person, Harmless, Code::TaskStopped)),
    ("UserInitiated", "Container instance deregistration forced by user", OUTSIDE),
    ("SpotInterruption", "Your Spot Task was interrupted.", OUTSIDE),
    ("SpotInterruption", "", OUTSIDE),
    ("TerminationNotice", "Host EC2 (instance i-1) terminated.", OUTSIDE),
    ("TerminationNotice", "A reason of the year 2030", OUTSIDE),
    ("EssentialContainerExited", "Essential container in task exited", NOT_STARTED),
    ("Earthquake", "The ground moved.", OTHER),
    ("", "The ground moved.", OTHER),
];

#[test]
fn every_stop_has_an_origin_a_weight_and_the_words_of_aws() {
    let started = FAILED_TO_START.iter().map(|(reason, meaning)| ("TaskFailedToStart", *reason, *meaning));
    for (stop_code, reason, meaning) in started.chain(STOPPED.iter().copied()) {
        let cause = cause_of(stop_code, reason);
        assert_eq!((cause.origin, cause.weight, cause.problem.code), meaning, "{stop_code}: {reason}");
        let words = if reason.is_empty() { stop_code } else { reason };
        assert_eq!(cause.problem.cause.as_deref(), Some(words), "{stop_code}: {reason}");
        assert!(cause.problem.sentence.ends_with('.') && !cause.problem.help.is_empty(), "{reason}");
    }
}

#[test]
fn reason_of_a_container_counts_like_that_of_the_task() {
    for (reason, meaning) in FAILED_TO_START.iter().filter(|(_, meaning)| *meaning != OTHER) {
        let containers = vec![container("app", None, ""), container("envoy", None, reason)];
        let cause = from_task(&task("TaskFailedToStart", "Task failed to start", containers), &[]).unwrap();
        assert_eq!((cause.origin, cause.weight, cause.problem.code), *meaning, "{reason}");
        assert_eq!(cause.container.as_deref(), Some("envoy"), "{reason}");
        assert!(cause.problem.sentence.contains("`envoy`"), "{}", cause.problem.sentence);
        let words = format!("{reason} | Task failed to start");
        assert_eq!(cause.problem.cause, Some(words), "{reason}");
    }
}

/// What stays, where a name that users choose contains words of a rule.
#[test]
fn names_of_users_decide_nothing() {
    for (reason, meaning) in [
        (
            "CannotPullContainerError: failed to resolve ref r.example/connection/timeout:503: not found",
            GONE_IMAGE,
        ),
        (
            "CannotPullContainerError: Head https://r.example/denied/platform/app: dial tcp 1.2.3.4:443: i/o timeout",
            LATE_PULL,
        ),
        (
            "ResourceInitializationError: unable to retrieve arn:aws:secretsmanager:eu-west-1:1:secret:denied: context deadline exceeded",
            LATE_RESOURCE,
        ),
    ] {
        let cause = cause_of("TaskFailedToStart", reason);
        assert_eq!((cause.origin, cause.weight, cause.problem.code), meaning, "{reason}");
    }
}

#[test]
fn exits_name_the_container_that_failed_first() {
    let exits = |text: &str| {
        let one = |part: &str| {
            let (name, code) = part.split_once('=').unwrap();
            container(name, code.parse().ok(), "")
        };
        let containers = text.split_whitespace().map(one).collect();
        from_task(&task("EssentialContainerExited", "Essential container in task exited", containers), &[])
            .map(|cause| (cause.container.unwrap_or_default(), cause.exit_code, cause.problem.sentence))
            .unwrap()
    };
    let table = [
        ("app=3", "app", 3, "The container `app` exits with code 3."),
        ("app=0 envoy=143", "app", 0, "The container `app` ended by itself with exit code 0."),
        ("app=143 envoy=1", "envoy", 1, "The container `envoy` exits with code 1."),
        ("app=137 envoy=143", "app", 137, "The container `app` was killed with exit code 137."),
        ("app=143", "app", 143, "The container `app` exits with code 143."),
    ];
    for (containers, name, code, sentence) in table {
        assert_eq!(exits(containers), (name.to_owned(), Some(code), sentence.to_owned()), "{containers}");
    }
}

#[test]
fn memory_comes_before_every_other_reason() {
    let killed = "OutOfMemoryError: Container killed due to memory usage";
    let containers = vec![container("app", Some(1), ""), container("envoy", Some(137), killed)];
    let cause =
        from_task(&task("EssentialContainerExited", "Essential container in task exited", containers), &[]);
    let cause = cause.unwrap();
    assert_eq!((cause.problem.code, cause.container.as_deref()), (Code::OutOfMemory, Some("envoy")));
    assert_eq!(
        cause.problem.cause.as_deref(),
        Some(&*format!("{killed} | Essential container in task exited"))
    );
    assert_eq!((cause.weight, cause.task_id.as_str()), (FailedTask, "abc"));
}

#[test]
fn late_exit_is_weighed_like_the_circuit_breaker_does() {
    let mut late = task(
        "EssentialContainerExited",
        "Essential container in task exited",
        vec![container("app", Some(1), "")],
    );
    late.uptime_seconds = 4000.0;
    assert_eq!(from_task(&late, &[]).unwrap().weight, LateFailure);
}

#[test]
fn unhealthy_container_is_the_one_that_is_named() {
    let mut containers = vec![container("app", Some(143), ""), container("envoy", Some(143), "")];
    containers[1].is_unhealthy = true;
    let cause = from_task(&task(SCHEDULER, "Task failed container health checks", containers), &[]).unwrap();
    assert_eq!((cause.container.as_deref(), cause.weight), (Some("envoy"), FailedTask));
}

#[test]
fn benign_stops_have_no_cause() {
    let scaled = task(SCHEDULER, "Scaling activity initiated by (deployment ecs-svc/1)", Vec::new());
    assert_eq!(from_task(&scaled, &[]), None);
    let running = EcsTask { is_stopping: false, ..task("", "", vec![container("app", Some(1), "")]) };
    assert_eq!(from_task(&running, &[]), None);
}

/// Words for a task that never ran: there are no log lines to read.
#[test]
fn only_a_task_that_ran_has_log_lines() {
    let never = EcsTask {
        uptime_seconds: 0.0,
        ..task("TaskFailedToStart", "RESOURCE:ENI", vec![container("app", None, "")])
    };
    assert_eq!(from_task(&never, &[]).unwrap().task_id, "");
}

#[test]
fn events_have_causes() {
    let event = |text: &str| {
        let event = ServiceEvent { id: "e".into(), created_at: 0.0, text: text.into() };
        let cause = from_event(&event)?;
        assert_eq!(cause.problem.cause.as_deref(), Some(text));
        Some((cause.origin, cause.weight, cause.problem.code))
    };
    let quota = Some((Platform, UnlessRunning, Code::NoCapacity));
    let table = [
        ("(service s) has reached a steady state.", None),
        ("(service s) has started 2 tasks: (task a) (task b).", None),
        ("(service s) (task a) failed container health checks.", None),
        (
            "(service s) is unable to consistently start tasks successfully. For more information",
            Some((Version, UnlessRunning, Code::ContainerExited)),
        ),
        (
            "(service s) was unable to place a task. Reason: Capacity is unavailable at this time.",
            Some(NO_CAPACITY),
        ),
        (
            "(service s) was unable to place a task. Reason: Internal error.",
            Some((Platform, CanPass, Code::NoCapacity)),
        ),
        (
            "(service s) was unable to place a task because no container instance met all of its requirements. The closest matching container-instance i has insufficient CPU units available.",
            Some(NO_CAPACITY),
        ),
        (
            "(service s) was unable to place a task because no container instance met all of its requirements. The closest matching container-instance i encountered error \"AGENT\".",
            Some(NO_CAPACITY),
        ),
        (
            "(service s) was unable to reach steady state. Reason: No Container Instances were found in your capacity provider.",
            Some(NO_CAPACITY),
        ),
        (
            "(service s) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
            quota,
        ),
        (
            "(service s) was unable to place a task. Reason: You've reached the limit on the number of tasks you can run concurrently",
            quota,
        ),
        (
            "(service s) was unable to place a task. Reason: The requested CPU configuration is above your limit.",
            Some((Platform, Permanent, Code::NoCapacity)),
        ),
        (
            "(service s) failed to launch a task with (error ECS was unable to assume the role 'arn:aws:iam::1:role/x').",
            Some(ROLE),
        ),
        (
            "(service s) failed to launch a task with (error The ground moved.).",
            Some((Platform, CanPass, Code::TaskStopped)),
        ),
        (
            "(service s) was unable to stop or start tasks during a deployment because of the service deployment configuration.",
            Some((Version, Permanent, Code::DeploymentPercentagesDeadlock)),
        ),
    ];
    for (text, expected) in table {
        assert_eq!(event(text), expected, "{text}");
    }
}

#[test]
fn firing_or_missing_alarm_is_permanent() {
    let cause = |state| from_alarm("5xx", state).map(|cause| (cause.problem.code, cause.weight));
    assert_eq!(cause(Some("ALARM")), Some((Code::AlarmTriggered, Permanent)));
    assert_eq!(cause(None), Some((Code::AlarmMissing, Permanent)));
    assert_eq!((cause(Some("OK")), cause(Some("INSUFFICIENT_DATA"))), (None, None));
}
