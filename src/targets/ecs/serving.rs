//! What serves now: running tasks and targets against the desired count, whether a rollout just ended or nothing moves.
//! Pure.

use super::aws_clients::TargetHealth;
use super::read::EcsService;
use crate::problem::{Code, Problem};
use crate::release::Failure;

/// The most events and targets that are shown.
const MAX_SHOWN: usize = 5;

/// The targets of one target group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupTargets {
    /// Its targets.
    pub targets: Vec<TargetHealth>,
    /// Whether a load balancer sends traffic to the group; read only if no target shows it.
    pub is_attached: bool,
}

/// The targets of a service, over its target groups; draining ones are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetCounts {
    /// The smallest number of healthy targets in any of its groups.
    pub healthy: u32,
    /// The targets of that group that count for nothing: the load balancer does not use them, whatever version runs.
    pub unused: u32,
    /// Those that are not healthy, with AWS's reason.
    pub not_healthy: Vec<String>,
}

impl TargetCounts {
    /// Whether the targets are those of `desired` tasks.
    pub fn are_enough(&self, desired: u32) -> bool {
        self.healthy + self.unused >= desired
    }

    /// The targets that are not healthy, for display.
    pub fn describe_others(&self) -> String {
        let mut shown = self.not_healthy.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.not_healthy.len() > MAX_SHOWN {
            shown.push_str(&format!(" and {} more", self.not_healthy.len() - MAX_SHOWN));
        }
        shown
    }
}

/// Whether the state of a group must be read further: without a healthy target, `unused` ones are the fault of nobody only
/// if no load balancer uses the group at all.
pub fn needs_attachment(targets: &[TargetHealth]) -> bool {
    let mut used = targets.iter().filter(|target| target.state != "draining").peekable();
    used.peek().is_some() && used.all(|target| target.state == "unused")
}

/// The counts of a service over its groups; those of the group with the fewest targets that count.
pub fn count_targets(groups: &[GroupTargets]) -> TargetCounts {
    let counts = groups.iter().map(count_group);
    let fewest = counts.clone().min_by_key(|group| (group.healthy + group.unused, group.healthy));
    let not_healthy = counts.flat_map(|group| group.not_healthy).collect();
    TargetCounts { not_healthy, ..fewest.unwrap_or_default() }
}

fn count_group(group: &GroupTargets) -> TargetCounts {
    let count = |state: &str| group.targets.iter().filter(|target| target.state == state).count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (healthy, unused) = (number(count("healthy")), number(count("unused")));
    let excused = healthy > 0 || !group.is_attached;
    let others = group.targets.iter().filter(|it| !matches!(it.state.as_str(), "healthy" | "draining"));
    let not_healthy =
        others.map(|it| format!("{} {} {}", it.id, it.state, it.reason).trim_end().to_owned()).collect();
    TargetCounts { healthy, unused: if excused { unused } else { 0 }, not_healthy }
}

/// Why nothing of the deployed version serves, although nothing moves; `None` if something of it does.
pub fn not_serving(
    service: &EcsService,
    name: &str,
    running: u32,
    targets: Option<&TargetCounts>,
) -> Option<Failure> {
    let desired = service.desired;
    let has_target = targets.is_none_or(|targets| targets.healthy > 0 || targets.unused > 0);
    if desired == 0 || running > 0 && has_target {
        return None;
    }
    let sentence = match targets {
        Some(targets) if running > 0 => format!(
            "Nothing of `{name}` serves: {running} of {desired} tasks run, and {} of {desired} targets are healthy.",
            targets.healthy
        ),
        _ => format!("Nothing of `{name}` serves: {running} of {desired} tasks run."),
    };
    let others = targets.map(TargetCounts::describe_others).filter(|others| !others.is_empty());
    let events = service.events.iter().take(MAX_SHOWN).map(|event| event.text.clone());
    let cause = others.into_iter().chain(events).collect::<Vec<_>>().join(" | ");
    let help = "Look at the stopped tasks of the service and their logs. A new version, `operation: rollback`, or the \
                repair of what it depends on brings it back.";
    let problem = Problem::error(Code::NotHealthy, sentence).help(help);
    Some(Failure::permanent(if cause.is_empty() { problem } else { problem.cause(cause) }))
}

/// What is known of a version that serves, and does not make it unhealthy.
pub fn remarks(desired: u32, running: u32, targets: Option<&TargetCounts>) -> Vec<Problem> {
    if desired == 0 {
        return vec![nothing_runs()];
    }
    let unused = targets.filter(|targets| targets.unused > 0).map(|targets| {
        let sentence = format!(
            "{} of {desired} targets are unused: the load balancer sends nothing to them.",
            targets.unused
        );
        Problem::notice(Code::NotHealthy, sentence).cause(targets.describe_others()).help(
            "Enable their Availability Zone at the load balancer, or use a listener for the target group.",
        )
    });
    let fewer = (running < desired).then(|| {
        Problem::warning(Code::NotHealthy, format!("{running} of {desired} tasks run."))
            .help("Look at the events of the service if this lasts.")
    });
    let sick = targets.filter(|targets| running >= desired && !targets.are_enough(desired)).map(|targets| {
        let sentence = format!("{} of {desired} targets are healthy.", targets.healthy);
        Problem::warning(Code::NotHealthy, sentence)
            .cause(targets.describe_others())
            .help("Look at the health check of the target group if this lasts.")
    });
    [unused, fewer, sick].into_iter().flatten().collect()
}

/// The desired count is 0.
pub fn nothing_runs() -> Problem {
    let sentence = "The desired count is 0: nothing runs, and nothing was proven.";
    Problem::warning(Code::NothingRuns, sentence)
        .help("Raise the desired count, and run `operation: verify` when tasks run.")
}

/// What was counted, for display.
pub fn describe(desired: u32, running: u32, targets: Option<&TargetCounts>) -> String {
    match targets {
        _ if desired == 0 => "the desired count is 0: nothing runs, and nothing was proven".to_owned(),
        Some(targets) if targets.unused > 0 => format!(
            "{} of {desired} targets healthy, {} unused, {} of {desired} tasks running",
            targets.healthy.min(desired),
            targets.unused,
            running.min(desired)
        ),
        Some(targets) => format!("{} of {desired} targets healthy", targets.healthy.min(desired)),
        None => format!("{} of {desired} tasks running, no load balancer", running.min(desired)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::ecs::read::ServiceEvent;

    /// A group whose targets have these states.
    fn group(states: &str, is_attached: bool) -> GroupTargets {
        let target = |state: &str| TargetHealth { id: "t".into(), state: state.into(), reason: "R".into() };
        GroupTargets { targets: states.split_whitespace().map(target).collect(), is_attached }
    }

    fn service(desired: u32) -> EcsService {
        let event = |text: &str| ServiceEvent { text: text.into(), ..ServiceEvent::default() };
        EcsService { desired, events: vec![event("newest"), event("older")], ..EcsService::default() }
    }

    #[test]
    fn targets_that_no_load_balancer_uses_count_for_nothing() {
        // groups, desired, enough
        let table = [
            (vec![group("healthy healthy", true)], 2, true),
            (vec![group("healthy unhealthy", true)], 2, false),
            (vec![group("healthy draining", true)], 2, false),
            (vec![group("healthy initial", true)], 2, false),
            (vec![group("healthy unused", true)], 2, true),
            (vec![group("healthy unused unhealthy", true)], 3, false),
            (vec![group("unused unused", true)], 2, false),
            (vec![group("unused unused", false)], 2, true),
            (vec![group("", true)], 2, false),
            (vec![group("", false)], 2, false),
            (vec![group("healthy healthy", true), group("healthy", true)], 2, false),
            (vec![group("healthy healthy", true), group("unused unused", false)], 2, true),
            (vec![group("healthy unused", true), group("unhealthy unused", true)], 2, false),
        ];
        for (groups, desired, enough) in table {
            assert_eq!(count_targets(&groups).are_enough(desired), enough, "{groups:?}");
        }
    }

    #[test]
    fn attachment_matters_only_if_every_target_is_unused() {
        for (states, needs) in [("unused unused", true), ("unused draining", true), ("unused healthy", false)]
        {
            assert_eq!(needs_attachment(&group(states, true).targets), needs, "{states}");
        }
        assert!(!needs_attachment(&[]) && !needs_attachment(&group("draining", true).targets));
    }

    #[test]
    fn nothing_serves_without_a_running_task_or_a_healthy_target() {
        let counts = |states: &str, is_attached| Some(count_targets(&[group(states, is_attached)]));
        // desired, running, targets, the sentence
        let table = [
            (2, 2, None, None),
            (2, 1, None, None),
            (2, 0, None, Some("Nothing of `web` serves: 0 of 2 tasks run.")),
            (0, 0, None, None),
            (2, 2, counts("healthy healthy", true), None),
            (2, 2, counts("healthy unhealthy", true), None),
            (2, 0, counts("unhealthy draining", true), Some("Nothing of `web` serves: 0 of 2 tasks run.")),
            (
                2,
                2,
                counts("unhealthy unhealthy", true),
                Some("Nothing of `web` serves: 2 of 2 tasks run, and 0 of 2 targets are healthy."),
            ),
            (
                2,
                2,
                counts("unused unused", true),
                Some("Nothing of `web` serves: 2 of 2 tasks run, and 0 of 2 targets are healthy."),
            ),
            (2, 2, counts("unused unused", false), None),
        ];
        for (desired, running, targets, expected) in table {
            let found = not_serving(&service(desired), "web", running, targets.as_ref());
            let sentence = found.map(|failure| failure.problem.sentence);
            assert_eq!(sentence.as_deref(), expected, "{desired} {running} {targets:?}");
        }
        let down = not_serving(&service(2), "web", 0, counts("unhealthy", true).as_ref()).unwrap();
        assert_eq!(down.problem.cause.as_deref(), Some("t unhealthy R | newest | older"));
    }

    #[test]
    fn less_than_desired_is_a_remark() {
        let codes = |desired, running, states: &str| {
            let targets = count_targets(&[group(states, true)]);
            let found = remarks(desired, running, Some(&targets));
            found.iter().map(|problem| problem.sentence.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(codes(2, 2, "healthy healthy"), "");
        assert_eq!(codes(2, 1, "healthy"), "1 of 2 tasks run.");
        assert_eq!(codes(2, 2, "healthy unhealthy"), "1 of 2 targets are healthy.");
        assert_eq!(
            codes(2, 2, "healthy unused"),
            "1 of 2 targets are unused: the load balancer sends nothing to them."
        );
        assert_eq!(codes(0, 0, ""), "The desired count is 0: nothing runs, and nothing was proven.");
    }
}
