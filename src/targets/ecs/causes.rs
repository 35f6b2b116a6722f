//! Why tasks do not come up: what ECS says about stopped tasks and in events, as problems (aws.md §1.9 e1–e8). Pure.

use std::collections::BTreeMap;

use super::read::{Event, Task};
use crate::problem::{Code, Problem};
use crate::release::Failure;

/// A crash within this many seconds of its start says more about the version than about its traffic.
const SHORT_LIFE: f64 = 120.0;

/// What one stopped task says.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The problem, complete.
    pub problem: Problem,
    /// How many tasks must say so before waiting is over: 1, 2, or `None` for as many as ECS's own breaker wants.
    pub enough: Option<u32>,
    /// The container that ended, if one did.
    pub container: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// The task's id, for its log stream; empty when the cause is an event.
    pub task: String,
}

fn any(text: &str, needles: &[&str]) -> bool {
    needles.iter().any(|needle| text.contains(needle))
}

/// What a stopped task says about its version; `None` when its end says nothing (draining, stopped by a person,
/// Spot).
pub fn of_task(task: &Task) -> Option<Cause> {
    let benign = task.reason.starts_with("Scaling activity initiated by (deployment")
        || matches!(task.stop_code.as_str(), "UserInitiated" | "SpotInterruption" | "TerminationNotice")
        || task.reason.starts_with("Your Spot Task was interrupted")
        || any(&task.reason, &["Host EC2", "Host instance"]);
    if !task.stopping || benign {
        return None;
    }
    let said = task.containers.iter().map(|c| c.reason.as_str()).chain([task.reason.as_str()]);
    let mut words: Vec<&str> = said.filter(|text| !text.is_empty()).collect();
    words.dedup();
    let all = words.join(" | ");
    start_failure(&all)
        .or_else(|| exit(task, &all))
        .map(|cause| Cause { task: task.id().to_owned(), ..cause })
}

fn cause(code: Code, sentence: &str, help: &str, all: &str, enough: Option<u32>) -> Cause {
    let problem = Problem::error(code, sentence).cause(all).help(help);
    Cause { problem, enough, container: None, exit_code: None, task: String::new() }
}

/// Causes that keep a task from starting.
fn start_failure(all: &str) -> Option<Cause> {
    let lower = all.to_lowercase();
    if any(all, &["CannotPullContainer", "CannotPullImage", "CannotPullECR"]) {
        return Some(pull_failure(all, &lower));
    }
    if all.contains("ResourceInitializationError") {
        let network =
            any(&lower, &["context deadline exceeded", "connection", "i/o timeout", "no such host"]);
        let help = if network {
            "The task cannot reach the service it needs: check route, NAT gateway or VPC endpoints."
        } else {
            "Check that the secret, parameter, log group or file system exists and that the execution role may use it."
        };
        let enough = if network { 2 } else { 1 };
        let sentence = "ECS cannot set up what the task needs before it starts.";
        return Some(cause(Code::ResourceSetupFailed, sentence, help, all, Some(enough)));
    }
    if lower.contains("unable to assume the role") {
        let help = "Check that the role exists and trusts ecs-tasks.amazonaws.com.";
        return Some(cause(Code::RoleUnusable, "ECS cannot assume a role of the task.", help, all, Some(1)));
    }
    if any(all, &["CannotStartContainer", "CannotCreateContainer"]) {
        let help = "Check command, entry point, user, ports and mounts of the container.";
        return Some(cause(Code::ContainerExited, "The container cannot be started.", help, all, Some(2)));
    }
    None
}

fn pull_failure(all: &str, lower: &str) -> Cause {
    let platform = lower.contains("descriptor matching platform");
    let passing = any(
        lower,
        &[
            "i/o timeout",
            "toomanyrequests",
            "429",
            "500 internal",
            "502 ",
            "503 ",
            "504 ",
            "deadline exceeded",
            "connection",
        ],
    );
    let help = if platform {
        "The image has no manifest for the task's platform: build for it, or set runtimePlatform.cpuArchitecture."
    } else if passing {
        "The registry or the way to it is troubled: check route, NAT gateway, VPC endpoints and pull limits."
    } else {
        "Check that the image exists in that registry and that the execution role may pull it."
    };
    let enough = if passing && !platform { 2 } else { 1 };
    cause(Code::ImagePullFailed, "ECS cannot pull the image.", help, all, Some(enough))
}

/// Causes that end a task that ran.
fn exit(task: &Task, all: &str) -> Option<Cause> {
    if any(&task.reason, &["failed ELB health checks", "failed container health checks"]) {
        let help = "Check path, port and codes of the health check, how long the start takes \
                    (healthCheckGracePeriodSeconds, startPeriod), and the lines that the container wrote.";
        let found = cause(Code::HealthCheckFailed, "The task fails its health checks.", help, all, Some(2));
        let name = task.containers.first().map(|container| container.name.clone());
        return Some(Cause { container: name, ..found });
    }
    let failed = |c: &&super::read::TaskContainer| c.exit_code.is_some_and(|code| code != 0);
    let memory = task.containers.iter().find(|c| c.reason.contains("OutOfMemory"));
    let container = memory.or_else(|| task.containers.iter().find(failed))?;
    let enough = if task.uptime < SHORT_LIFE { Some(2) } else { None };
    let code = container.exit_code;
    let found = match memory {
        Some(_) => {
            let sentence = format!("The container `{}` was killed for its memory.", container.name);
            cause(
                Code::OutOfMemory,
                &sentence,
                "Raise the memory of the container or of the task.",
                all,
                enough,
            )
        }
        None => {
            let number = code.unwrap_or_default();
            let sentence = format!("The container `{}` exits with code {number}.", container.name);
            cause(Code::ContainerExited, &sentence, "Read the lines that it wrote.", all, enough)
        }
    };
    Some(Cause { container: Some(container.name.clone()), exit_code: code, ..found })
}

/// What an event says about the version; `None` for the ordinary story.
pub fn of_event(event: &Event) -> Option<Cause> {
    let text = event.text.as_str();
    let lower = text.to_lowercase();
    if any(&lower, &["is unable to consistently start tasks successfully"]) {
        let help = "ECS starts tasks only rarely now; see the stopped tasks of the service.";
        return Some(cause(Code::ContainerExited, "The tasks keep failing to start.", help, text, Some(1)));
    }
    if any(&lower, &["permissions policies have been misconfigured", "unable to assume the role"]) {
        return Some(cause(Code::RoleUnusable, "ECS cannot use a role of the service.", "", text, Some(1)));
    }
    let limit = lower.contains("reached the limit on the number of");
    if lower.contains("because of the service deployment configuration") {
        let help = "Raise maximumPercent or lower minimumHealthyPercent.";
        return Some(cause(Code::PercentagesStuck, "ECS has no room to move a task.", help, text, Some(1)));
    }
    if limit || lower.contains("was unable to place a task") {
        let help = if limit { "Ask for a higher quota." } else { "Add capacity, or ask for less." };
        let enough = if limit { Some(1) } else { Some(3) };
        return Some(cause(Code::NoCapacity, "ECS finds no place for a task.", help, text, enough));
    }
    None
}

/// What an alarm of the deploy file says; `None` while it is not red. One that is gone counts as red.
pub fn of_alarm(name: &str, state: Option<&str>) -> Option<Cause> {
    let help = "Look at what the alarm watches.";
    match state {
        Some("ALARM") => {
            let sentence = format!("The alarm `{name}` went red during the deployment.");
            Some(cause(Code::AlarmTriggered, &sentence, help, "ALARM", Some(1)))
        }
        Some(_) => None,
        None => {
            let sentence = format!("The alarm `{name}` is gone, so nobody would notice a bad version.");
            Some(cause(Code::AlarmMissing, &sentence, "Restore it or take it out of the file.", "", Some(1)))
        }
    }
}

/// What targets of the load balancer say that stay unhealthy while their version waits beside the old one.
pub fn of_targets(which: &str) -> Cause {
    let help =
        "Look at the path, port and codes of the health check, and at the lines that the container wrote.";
    let sentence = "The targets of the new version became unhealthy.";
    cause(Code::HealthCheckFailed, sentence, help, which, Some(1))
}

/// The cause that most of them name, and whether waiting is over.
pub fn weigh(causes: &[Cause], desired: u32) -> Option<Failure> {
    let mut counts: BTreeMap<Code, (u32, &Cause)> = BTreeMap::new();
    for cause in causes {
        let entry = counts.entry(cause.problem.code).or_insert((0, cause));
        entry.0 += 1;
        // The strictest reading speaks for its kind; of equals the latest, whose logs are the freshest.
        if cause.enough.unwrap_or(u32::MAX) <= entry.1.enough.unwrap_or(u32::MAX) {
            entry.1 = cause;
        }
    }
    let breaker = desired.div_ceil(2).clamp(3, 200);
    let over = |(count, cause): &(u32, &Cause)| *count >= cause.enough.unwrap_or(breaker);
    let best = counts.into_values().max_by_key(|entry| (over(entry), entry.0))?;
    Some(Failure {
        problem: best.1.problem.clone(),
        exit_code: best.1.exit_code,
        logs: Vec::new(),
        permanent: over(&best),
    })
}

/// The cause that a failure was made of: whose logs to fetch.
pub fn behind<'a>(failure: &Failure, causes: &'a [Cause]) -> Option<&'a Cause> {
    causes.iter().rev().find(|cause| cause.problem == failure.problem)
}
