//! Faults of tasks and pods: the tasks that they apply to, and the outcome of those. ECS and Argo CD decide what an outcome does.

use super::builtin::Builtin;
use super::ecs::stop_faults::StopCode;
use super::faults::{Fault, FaultState};

/// The built-in scenarios of tasks and pods.
pub(crate) const SCENARIOS: &[Builtin] = &[
    Builtin::new(
        "image-not-found",
        "The new image does not exist in its repository.",
        "[image-not-found: {}]",
    ),
    Builtin::new("wrong-platform", "The new image is built for another platform.", "[wrong-platform: {}]"),
    Builtin::new(
        "crash-on-start",
        "The new version exits with code 1 two seconds after its start.",
        "[crash-on-start: { exit-code: 1, after: 2, log: [\"starting\", \"panic: DATABASE_URL is not set\"] }]",
    ),
    Builtin::new("out-of-memory", "The new version is killed for its memory use.", "[out-of-memory: {}]"),
    Builtin::new(
        "failing-health-check",
        "The new version runs and never becomes healthy.",
        "[failing-health-check: {}]",
    ),
    Builtin::new(
        "flapping-health",
        "The new version is healthy for 30 seconds at a time.",
        "[flapping-health: { healthy: 30 }]",
    ),
    Builtin::new("secret-missing", "A secret of the new version does not exist.", "[secret-missing: {}]"),
    Builtin::new("no-capacity", "No task of the new version can be placed.", "[no-capacity: {}]"),
    Builtin::new(
        "capacity-later",
        "The new version can be placed after five minutes.",
        "[no-capacity: { for: 300 }]",
    ),
    Builtin::new(
        "exit-0",
        "The new version ends by itself with exit code 0.",
        "[crash-on-start: { exit-code: 0, log: [\"daemon started\"] }]",
    ),
    Builtin::new(
        "slow-start",
        "Tasks of the new version take two minutes longer to start.",
        "[slow-start: { seconds: 120 }]",
    ),
    Builtin::new(
        "rollback-fails",
        "The new version crashes, and the earlier one cannot start again.",
        "[crash-on-start: {}, rollback-fails: {}]",
    ),
];

macro_rules! task_fault {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            /// The version that it applies to.
            pub version: $crate::faults::VersionFilter,
            /// Instead of a version: tasks whose image reference contains this text.
            pub image: Option<String>,
            /// Only this service.
            pub service: Option<String>,
            /// Only this number of tasks, the first ones.
            pub tasks: Option<u32>,
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { version: $crate::faults::VersionFilter::New, image: None, service: None, tasks: None, $($field: $default,)* }
            }
        }

        impl $name {
            /// Whether it applies to one task more.
            pub fn applies_to(&self, subject: &$crate::faults::FaultTarget<'_>, spent: u32) -> bool {
                let version = match (&self.image, self.version) {
                    (Some(part), _) => subject.images.iter().any(|image| image.contains(part.as_str())),
                    (None, $crate::faults::VersionFilter::All) => true,
                    (None, $crate::faults::VersionFilter::Old) => subject.is_seed_version,
                    (None, $crate::faults::VersionFilter::New) => !subject.is_seed_version,
                };
                version
                    && self.service.as_deref().is_none_or(|name| name == subject.service)
                    && self.tasks.is_none_or(|most| spent < most)
            }
        }
    };
}

pub(crate) use task_fault;

task_fault! {
    /// A fault without details.
    Plain {}
}
task_fault! {
    /// No task can be placed.
    CapacityGap {
        /// Seconds after the first deployment for which that lasts; for ever when absent.
        #[serde(rename = "for")]
        lasts: Option<f64> = None,
    }
}
task_fault! {
    /// A container ends by itself.
    Crash {
        /// Its name; the first essential container when absent.
        container: Option<String> = None,
        /// Its exit code.
        exit_code: i64 = 1,
        /// Lines it writes before it ends.
        log: Vec<String> = vec!["panic: cannot start".into()],
        /// Seconds between RUNNING and the end.
        after: f64 = 2.0,
    }
}
task_fault! {
    /// Health comes and goes.
    Flap {
        /// Seconds of health before it goes again.
        healthy: f64 = 30.0,
    }
}
task_fault! {
    /// Everything before RUNNING takes longer.
    Slow {
        /// Seconds more.
        seconds: f64 = 120.0,
    }
}

/// A task about to be started.
#[derive(Debug, Clone)]
pub struct FaultTarget<'a> {
    /// It runs the definition that the service ran when the world began.
    pub is_seed_version: bool,
    /// Name of the service.
    pub service: &'a str,
    /// Image references of its containers.
    pub images: Vec<&'a str>,
}

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TaskOutcome {
    /// It starts, becomes healthy and stays so.
    #[default]
    Healthy,
    /// There is no such image.
    ImageNotFound,
    /// The image is not for this platform.
    WrongPlatform,
    /// A secret cannot be read.
    SecretMissing,
    /// It cannot start, for this stopped reason of ECS.
    FailToStart(String),
    /// It runs, and is stopped from outside.
    Stopped {
        /// The stop code.
        code: StopCode,
        /// The stopped reason.
        reason: String,
        /// Seconds of running.
        after: f64,
    },
    /// It ends by itself.
    Crash {
        /// The container that ends; the first essential one when absent.
        container: Option<String>,
        /// Its exit code.
        exit_code: i64,
        /// The container's reason, such as the out-of-memory one.
        reason: Option<String>,
        /// Lines written before the end.
        log_lines: Vec<String>,
        /// Seconds of running.
        after: f64,
    },
    /// Its health check never passes.
    Unhealthy,
    /// Its health check passes for this number of seconds, then fails.
    Flapping(f64),
}

impl TaskOutcome {
    /// Whether it is a stop of ECS, which pods do not have.
    pub fn is_of_ecs(&self) -> bool {
        matches!(self, Self::FailToStart(_) | Self::Stopped { .. })
    }
}

impl FaultState {
    /// The outcome of a task about to start, and the delay of its start in seconds.
    pub fn choose_outcome(&mut self, subject: &FaultTarget<'_>) -> (TaskOutcome, f64) {
        let (mut outcome, mut delay) = (TaskOutcome::Healthy, 0.0);
        for (fault, spent) in self.list.iter().zip(&mut self.trigger_counts) {
            if let Fault::SlowStart(slow) = fault {
                if slow.applies_to(subject, *spent) {
                    *spent += 1;
                    delay += slow.seconds;
                }
            } else if outcome == TaskOutcome::Healthy
                && let Some(found) = fault.task_outcome(subject, *spent)
            {
                *spent += 1;
                outcome = found;
            }
        }
        (outcome, delay)
    }

    /// What keeps a task from starting that no service started; what happens to a process that runs is the command's own.
    pub fn choose_start_outcome(&mut self, subject: &FaultTarget<'_>) -> TaskOutcome {
        for (fault, spent) in self.list.iter().zip(&mut self.trigger_counts) {
            let outcome = fault.task_outcome(subject, *spent);
            if let Some(
                outcome @ (TaskOutcome::ImageNotFound
                | TaskOutcome::WrongPlatform
                | TaskOutcome::SecretMissing
                | TaskOutcome::FailToStart(_)),
            ) = outcome
            {
                *spent += 1;
                return outcome;
            }
        }
        TaskOutcome::Healthy
    }

    /// Whether every lack of capacity has passed.
    pub fn is_capacity_back(&self, now: f64) -> bool {
        let began = self.first_change_at().unwrap_or(now);
        let is_over = |gap: &CapacityGap| gap.lasts.is_some_and(|seconds| now >= began + seconds);
        self.list.iter().all(|fault| !matches!(fault, Fault::NoCapacity(gap) if !is_over(gap)))
    }

    /// Whether there is no capacity for this task.
    pub fn trigger_no_capacity(&mut self, subject: &FaultTarget<'_>, now: f64) -> bool {
        let began = self.first_change_at().unwrap_or(now);
        let lasts = |gap: &CapacityGap| gap.lasts.is_none_or(|seconds| now < began + seconds);
        self.trigger_first(
            |fault, spent| matches!(fault, Fault::NoCapacity(gap) if lasts(gap) && gap.applies_to(subject, spent)),
        )
    }
}

impl Fault {
    fn task_outcome(&self, subject: &FaultTarget<'_>, spent: u32) -> Option<TaskOutcome> {
        let plain = |plain: &Plain, outcome: TaskOutcome| plain.applies_to(subject, spent).then_some(outcome);
        match self {
            Self::ImageNotFound(on) => plain(on, TaskOutcome::ImageNotFound),
            Self::WrongPlatform(on) => plain(on, TaskOutcome::WrongPlatform),
            Self::SecretMissing(on) => plain(on, TaskOutcome::SecretMissing),
            Self::OutOfMemory(on) => plain(on, out_of_memory_outcome()),
            Self::FailingHealthCheck(on) => plain(on, TaskOutcome::Unhealthy),
            Self::FlappingHealth(flap) => {
                flap.applies_to(subject, spent).then_some(TaskOutcome::Flapping(flap.healthy))
            }
            Self::RollbackFails(on) => {
                let meant = on.service.as_deref().is_none_or(|name| name == subject.service);
                (meant && subject.is_seed_version).then_some(TaskOutcome::ImageNotFound)
            }
            Self::TaskStop(stop) => {
                let image = subject.images.first().copied().unwrap_or_default();
                stop.applies_to(subject, spent).then(|| stop.outcome(image))
            }
            Self::CrashOnStart(crash) => crash.applies_to(subject, spent).then(|| TaskOutcome::Crash {
                container: crash.container.clone(),
                exit_code: crash.exit_code,
                reason: None,
                log_lines: crash.log.clone(),
                after: crash.after,
            }),
            _ => None,
        }
    }
}

fn out_of_memory_outcome() -> TaskOutcome {
    TaskOutcome::Crash {
        container: None,
        exit_code: 137,
        reason: Some("OutOfMemoryError: Container killed due to memory usage".into()),
        log_lines: vec!["loading everything into memory".into()],
        after: 6.0,
    }
}
