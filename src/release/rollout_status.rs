//! The status of a rollout. Only [`RolloutStatus::Healthy`] is success, and it carries its proof.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Digest, Pause, Version};
use crate::problem::{Code, Problem};

/// The status of a rollout at one read.
#[derive(Debug, Clone, PartialEq)]
pub enum RolloutStatus {
    /// The requested rollout, complete, by digest, with all traffic.
    Healthy(Proof),
    /// In progress; nothing has failed yet.
    Progressing(Progress),
    /// Healthy with part of the traffic, and paused until it is continued.
    Paused(Pause),
    /// It cannot become healthy, and the provider is not rolling it back.
    Failed(Failure),
    /// The provider is rolling it back, and how far that is.
    RollingBack(Failure, Progress),
    /// The provider rolled it back; `to` serves.
    RolledBack(Failure, Option<Version>),
    /// The provider tried to roll it back and failed.
    RollbackFailed(Failure),
    /// It ended without success and without a rollback: stopped by a user, or rollback is switched off.
    Aborted(Failure),
    /// It completed earlier, and nothing of it serves now: no copy runs, or no target is healthy.
    NotServing(Failure),
    /// The requested rollback came too late: the rollout that it was to end had completed, and its version serves. It is
    /// requested again for the state as it is now.
    Missed(Failure),
    /// A newer rollout, named here, took over.
    Superseded(String),
    /// The change is where the target reads it from, and its rollout cannot be observed here.
    HandedOff(Handoff),
    /// The provider reported an unknown status or none; never success and never failure.
    Unknown(String),
}

/// The proof of success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The version that serves.
    pub version: Version,
    /// The digest that runs, as the provider resolved it.
    pub digest: Option<Digest>,
    /// The evidence as text, such as `service deployment SUCCESSFUL, 4 of 4 targets healthy`.
    pub evidence: String,
    /// What is known of it and does not make it unhealthy, such as targets that count for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Problem>,
}

impl Proof {
    /// Whether no copy is desired: nothing runs, so nothing was proven.
    pub fn nothing_runs(&self) -> bool {
        self.remarks.iter().any(|remark| remark.code == Code::NothingRuns)
    }

    /// What the role was not allowed to read of it: the rest was counted, and is no proof of health by itself.
    pub fn unread(&self) -> Option<&Problem> {
        self.remarks.iter().find(|remark| remark.code == Code::PermissionMissing)
    }
}

/// A change that was handed over to a target that cannot be watched from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handoff {
    /// The requested version.
    pub version: Version,
    /// Its digest, if known.
    pub digest: Option<Digest>,
    /// Where the change is, as text, such as `committed to acme/manifests as 3f2a9c1`.
    pub evidence: String,
    /// Whether a person must accept it first, as in a pull request.
    pub needs_merge: bool,
}

/// The progress of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Running copies of the new version.
    pub running: u32,
    /// Pending copies.
    pub pending: u32,
    /// Desired copies.
    pub desired: u32,
    /// Copies of the new version that failed so far.
    pub failed: u32,
    /// The provider's name of the stage, such as `IN_PROGRESS`.
    pub stage: String,
    /// New event lines of the provider for this rollout, oldest first (untrusted text):
    /// each line occurs once over all reads of one target value.
    pub events: Vec<String>,
    /// The most frequent failure of its copies so far; it has not ended the wait.
    pub suspected: Option<Box<Failure>>,
    /// Whether it has come as far as it does by itself: it goes on when it is continued at the same weight.
    pub needs_continue: bool,
    /// In how long a look can show more, where the target knows that: it is made then, if the usual one comes later.
    pub due_in: Option<Duration>,
}

impl Progress {
    /// How many of the desired copies run. A target that does not count copies has its stage alone.
    pub fn describe_counts(&self) -> String {
        match self.desired {
            0 => self.stage.clone(),
            desired => format!("{} of {desired} run", self.running),
        }
    }

    /// The progress as text. A target that does not count copies has its stage alone.
    pub fn describe(&self) -> String {
        let Self { running, pending, desired, failed, stage, .. } = self;
        let counts = match (desired, failed) {
            (0, 0) => stage.clone(),
            (_, 0) => format!("{stage}: {running}/{desired} running, {pending} pending"),
            _ => format!("{stage}: {running}/{desired} running, {pending} pending, {failed} failed"),
        };
        match &self.suspected {
            Some(failure) => format!("{counts}. {}", failure.problem.sentence),
            None => counts,
        }
    }
}

/// Why a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The cause as a problem: code, sentence, help.
    pub problem: Problem,
    /// The exit code of the container, if one exited.
    pub exit_code: Option<i64>,
    /// The last lines the container wrote, oldest first, at most 20 (untrusted text).
    pub logs: Vec<LogLine>,
    /// Whether more waiting cannot help.
    pub permanent: bool,
}

impl Failure {
    /// A failure that waiting cannot change, with the problem alone.
    pub fn permanent(problem: Problem) -> Self {
        Self { problem, exit_code: None, logs: Vec::new(), permanent: true }
    }
}

/// What is known of a version that should run and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Copies and targets as text, such as `0 of 2 tasks of backend:41 run, 0 of 2 targets healthy`.
    pub counts: String,
    /// Why its copies do not run; `None` if no reason was found.
    pub failure: Option<Failure>,
}

impl RolloutStatus {
    /// Whether the status can still change without any action, or is unknown.
    pub fn is_pending(&self) -> bool {
        matches!(
            self,
            Self::Progressing(_)
                | Self::Paused(_)
                | Self::RollingBack(..)
                | Self::NotServing(_)
                | Self::Unknown(_)
        )
    }
}

/// A log line of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Milliseconds since the epoch, as the log service reports it; 0 where it reports none.
    pub at_ms: i64,
    /// The line, untrusted.
    pub text: String,
}

impl LogLine {
    /// A line of which nobody says when it was written.
    pub fn undated(text: impl Into<String>) -> Self {
        Self { at_ms: 0, text: text.into() }
    }

    /// When it was written, if the log service reports that.
    pub fn time(&self) -> Option<Timestamp> {
        if self.at_ms == 0 { None } else { Timestamp::from_millisecond(self.at_ms).ok() }
    }
}
