//! A rule for stopped tasks: who caused the stop, what it does to the wait, and the message for it. Types only.

use crate::problem::Code;

/// Who caused a stop. In this order they take the blame for a failed rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// What the release brings: image, command, task definition, secrets, roles.
    Version,
    /// AWS gave a reason that has no rule.
    Unknown,
    /// AWS or the network: capacity, addresses, hosts, registries.
    Platform,
    /// Somebody stopped the task.
    Person,
}

/// What a cause does to the wait for a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// It cannot pass, so it ends the wait at once.
    Permanent,
    /// It ends the wait while no task of the new version runs, unless a cause that can pass is known too.
    UnlessRunning,
    /// A failed task: enough of them end the wait.
    FailedTask,
    /// A task that failed after it had run for a while: the share of ECS's circuit breaker ends the wait.
    LateFailure,
    /// It can pass by itself: it ends the wait when it has lasted for too long.
    CanPass,
    /// It never ends the wait.
    Harmless,
}

/// What a text of AWS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRule {
    /// Who caused it.
    pub origin: Origin,
    /// What it does to the wait.
    pub weight: Weight,
    /// The code of the problem.
    pub code: Code,
    /// What happened.
    pub sentence: &'static str,
    /// What to do.
    pub help: &'static str,
}

/// A rule, and the words that it is recognized by: one of each list must occur.
pub(super) struct Row {
    pub(super) words: &'static [&'static [&'static str]],
    pub(super) rule: StopRule,
}

impl StopRule {
    /// A rule for what the release brings.
    pub(super) const fn version(
        weight: Weight,
        code: Code,
        sentence: &'static str,
        help: &'static str,
    ) -> Self {
        Self { origin: Origin::Version, weight, code, sentence, help }
    }

    /// A rule for what AWS or the network does.
    pub(super) const fn platform(
        weight: Weight,
        code: Code,
        sentence: &'static str,
        help: &'static str,
    ) -> Self {
        Self { origin: Origin::Platform, weight, code, sentence, help }
    }
}
