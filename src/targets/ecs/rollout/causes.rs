//! Why tasks fail: ECS's reports of stopped tasks and events, as problems (aws.md §1.9 e1–e8). Pure. What a text of AWS
//! means is in `stop_reason`, and when causes end the wait in `verdict`.

use super::super::read::{EcsTask, ServiceEvent, TaskContainer};
use super::container_exit::{self, find_first_exited, is_out_of_memory};
use super::stop_reason::{find_rule, rule_of_stop_code};
use super::stop_rule::{Origin, StopRule, Weight};
use crate::problem::{Code, Problem};
use crate::release::Failure;

/// A crash within this many seconds of its start is attributed to the version, not to its traffic.
const EARLY_EXIT_SECONDS: f64 = 120.0;

/// The cause in one stopped task or event.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureCause {
    /// The problem, complete.
    pub problem: Problem,
    /// Who caused it.
    pub origin: Origin,
    /// What it does to the wait.
    pub weight: Weight,
    /// The container that failed first, if one did.
    pub container: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i64>,
    /// The task's id, for its log stream; empty if no container has run.
    pub task_id: String,
}

impl FailureCause {
    fn from_rule(rule: &StopRule, words: &str) -> Self {
        let problem = Problem::error(rule.code, rule.sentence).cause(words).help(rule.help);
        Self {
            problem,
            origin: rule.origin,
            weight: rule.weight,
            container: None,
            exit_code: None,
            task_id: String::new(),
        }
    }
}

/// The cause in a stopped task; `None` if it ended because the service needs it no more. `essential` are the names of its
/// essential containers, if they are known.
pub fn from_task(task: &EcsTask, essential: &[String]) -> Option<FailureCause> {
    if !task.is_stopping || task.reason.starts_with("Scaling activity initiated by") {
        return None;
    }
    let words = words_of(task);
    let found = outside_cause(task, &words)
        .or_else(|| memory_cause(task, essential, &words))
        .or_else(|| text_cause(task, &words))
        .or_else(|| exit_cause(task, essential, &words))
        .unwrap_or_else(|| FailureCause::from_rule(&rule_of_stop_code(&task.stop_code), &words));
    let has_run = task.uptime_seconds > 0.0 || task.containers.iter().any(|it| it.exit_code.is_some());
    let task_id = if has_run { task.id().to_owned() } else { String::new() };
    Some(FailureCause { task_id, ..found })
}

/// AWS's words: the reasons of the containers, then of the task; the stop code where there is none.
fn words_of(task: &EcsTask) -> String {
    let reasons = task.containers.iter().map(|c| c.reason.as_str()).chain([task.reason.as_str()]);
    let mut all: Vec<&str> = reasons.filter(|text| !text.is_empty()).collect();
    all.dedup();
    if all.is_empty() { task.stop_code.clone() } else { all.join(" | ") }
}

/// What has a stop code of its own is never the version's fault: what its containers say is a consequence. A person's
/// reason is free text, so only the words for hosts are looked up in it.
fn outside_cause(task: &EcsTask, words: &str) -> Option<FailureCause> {
    let code = task.stop_code.as_str();
    if !matches!(code, "UserInitiated" | "SpotInterruption" | "TerminationNotice") {
        return None;
    }
    let by_text = find_rule(&task.reason).filter(|rule| rule.weight == Weight::Harmless);
    let rule = by_text.copied().unwrap_or_else(|| rule_of_stop_code(code));
    Some(FailureCause::from_rule(&rule, words))
}

fn memory_cause(task: &EcsTask, essential: &[String], words: &str) -> Option<FailureCause> {
    let killed = find_first_exited(&task.containers, essential).filter(|it| is_out_of_memory(it))?;
    Some(exited(task, killed, words))
}

/// The cause that AWS's text states: of a container first, then of the task.
fn text_cause(task: &EcsTask, words: &str) -> Option<FailureCause> {
    let of_container = task.containers.iter().find_map(|it| Some((find_rule(&it.reason)?, it.name.clone())));
    let (rule, container) = match of_container {
        Some((rule, name)) => (rule, Some(name)),
        None => (find_rule(&task.reason)?, unhealthy_container(task)),
    };
    let mut found = FailureCause::from_rule(rule, words);
    if let Some(name) = container.as_ref().filter(|_| task.containers.len() > 1) {
        let sentence = found.problem.sentence.trim_end_matches('.').to_owned();
        found.problem.sentence = format!("{sentence} (container `{name}`).");
    }
    Some(FailureCause { container, ..found })
}

/// The container whose own health check fails.
fn unhealthy_container(task: &EcsTask) -> Option<String> {
    task.containers.iter().find(|it| it.is_unhealthy).map(|it| it.name.clone())
}

/// The cause of a task that ended because a container did.
fn exit_cause(task: &EcsTask, essential: &[String], words: &str) -> Option<FailureCause> {
    let container = find_first_exited(&task.containers, essential)?;
    let ended = task.stop_code == "EssentialContainerExited";
    let failed =
        task.stop_code != "ServiceSchedulerInitiated" && container.exit_code.is_some_and(|code| code != 0);
    (ended || failed).then(|| exited(task, container, words))
}

fn exited(task: &EcsTask, container: &TaskContainer, words: &str) -> FailureCause {
    let (sentence, help) = container_exit::describe(container);
    let code = if is_out_of_memory(container) { Code::OutOfMemory } else { Code::ContainerExited };
    let early = task.uptime_seconds < EARLY_EXIT_SECONDS;
    FailureCause {
        problem: Problem::error(code, sentence).cause(words).help(help),
        origin: Origin::Version,
        weight: if early { Weight::FailedTask } else { Weight::LateFailure },
        container: Some(container.name.clone()),
        exit_code: container.exit_code,
        task_id: String::new(),
    }
}

/// The cause in an event; `None` for ordinary events.
pub fn from_event(event: &ServiceEvent) -> Option<FailureCause> {
    let text = event.text.as_str();
    let lower = text.to_lowercase();
    let contains = |words: &str| lower.contains(words);
    let cause = |rule: &StopRule| Some(FailureCause::from_rule(rule, text));
    if contains("is unable to consistently start tasks successfully") {
        return cause(&StopRule::version(
            Weight::UnlessRunning,
            Code::ContainerExited,
            "Tasks of the service repeatedly fail to start.",
            "ECS throttles the starts of tasks; check the stopped tasks of the service.",
        ));
    }
    if contains("permissions policies have been misconfigured") || contains("unable to assume the role") {
        let sentence = "ECS cannot use a role of the service.";
        return cause(&StopRule::version(Weight::Permanent, Code::TaskRoleNotAssumable, sentence, ""));
    }
    if contains("because of the service deployment configuration") {
        return cause(&StopRule::version(
            Weight::Permanent,
            Code::DeploymentPercentagesDeadlock,
            "The deployment configuration leaves ECS no room to replace a task.",
            "Raise maximumPercent or lower minimumHealthyPercent.",
        ));
    }
    if contains("unable to place a task") || contains("unable to reach steady state. reason:") {
        return find_rule(text).and_then(cause);
    }
    contains("failed to launch a task with").then(|| launch_failure(text))
}

/// `failed to launch a task with (error …)`: ECS tries it again.
fn launch_failure(text: &str) -> FailureCause {
    let help = "Check the network configuration, the launch type and the roles of the service.";
    let sentence = "ECS cannot start tasks of the service.";
    let other = StopRule::platform(Weight::CanPass, Code::TaskStopped, sentence, help);
    FailureCause::from_rule(find_rule(text).unwrap_or(&other), text)
}

/// The cause in an alarm of the deploy file; `None` while it is not firing. A missing alarm counts as firing.
pub fn from_alarm(name: &str, state: Option<&str>) -> Option<FailureCause> {
    let (code, sentence, help, words) = match state {
        Some("ALARM") => (
            Code::AlarmTriggered,
            format!("The alarm `{name}` fired during the deployment."),
            "Check the metric of the alarm.",
            "ALARM",
        ),
        Some(_) => return None,
        None => (
            Code::AlarmMissing,
            format!("The alarm `{name}` does not exist any more, so a bad version would not be detected."),
            "Restore it, or remove it from the deploy file.",
            "",
        ),
    };
    let rule = StopRule::version(Weight::Permanent, code, "", help);
    let mut found = FailureCause::from_rule(&rule, words);
    found.problem.sentence = sentence;
    Some(found)
}

/// The failure of unhealthy targets of the load balancer, while their version is paused in parallel to the old one.
pub fn from_targets(which: &str) -> FailureCause {
    let rule = StopRule::version(
        Weight::Permanent,
        Code::HealthCheckFailed,
        "The targets of the new version became unhealthy.",
        "Check the path, port and codes of the health check, and the log lines of the container.",
    );
    FailureCause::from_rule(&rule, which)
}

/// The cause of a failure, with the task whose logs to fetch.
pub fn root_cause<'a>(failure: &Failure, causes: &'a [FailureCause]) -> Option<&'a FailureCause> {
    causes.iter().rev().find(|cause| cause.problem == failure.problem)
}
