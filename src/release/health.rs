//! How a version fares. Only [`Health::Healthy`] is success, and it carries its proof.

use serde::Serialize;

use super::{Digest, Hold, Version};
use crate::problem::Problem;

/// One look at a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Ours, complete, by our digest, with all traffic.
    Healthy(Proof),
    /// On its way; nothing speaks against it yet.
    Progressing(Progress),
    /// Healthy with a share of the traffic, and waiting for our word to go on.
    Holding(Hold),
    /// It will never become healthy, and nobody is taking it back yet.
    Failing(Failure),
    /// The provider is taking it back by itself.
    RollingBack(Failure),
    /// The provider took it back; `to` serves.
    RolledBack(Failure, Option<Version>),
    /// The provider tried to take it back and could not.
    RollbackFailed(Failure),
    /// It ended without success and without a rollback (stopped by a person, or rollback switched off).
    Stopped(Failure),
    /// A newer rollout, named here, took over.
    Superseded(String),
    /// It stands where the place takes its wishes from, and nobody here can see how it fares.
    Handed(Handed),
    /// The provider said something that we do not know, or nothing; never success and never failure.
    Unknown(String),
}

/// How success is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// The version that serves.
    pub version: Version,
    /// The digest that runs, as the provider resolved it.
    pub digest: Option<Digest>,
    /// The evidence in words, such as `service deployment SUCCESSFUL, 4 of 4 targets healthy`.
    pub evidence: String,
}

/// A wish that was handed over to a place that cannot be watched from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handed {
    /// The version that was asked for.
    pub version: Version,
    /// Its digest, where that is known.
    pub digest: Option<Digest>,
    /// Where it stands, in words, such as `committed to acme/manifests as 3f2a9c1`.
    pub evidence: String,
    /// Whether somebody has to accept it before it is a wish at all.
    pub proposed: bool,
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Copies of the new version that run.
    pub running: u32,
    /// Copies that start.
    pub pending: u32,
    /// Copies that are asked for.
    pub desired: u32,
    /// Copies of the new version that failed so far.
    pub failed: u32,
    /// The provider's own words for the stage, such as `IN_PROGRESS`.
    pub stage: String,
    /// Lines of the provider's story about this rollout that no earlier look showed, oldest first (untrusted text):
    /// over all looks of one target value, each line comes once.
    pub events: Vec<String>,
}

impl Progress {
    /// How far it is, in words. A place that does not count copies has its stage alone.
    pub fn words(&self) -> String {
        let Self { running, pending, desired, failed, stage, .. } = self;
        match (desired, failed) {
            (0, 0) => stage.clone(),
            (_, 0) => format!("{stage}: {running} of {desired} run, {pending} start"),
            _ => format!("{stage}: {running} of {desired} run, {pending} start, {failed} failed"),
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
    /// Whether waiting longer could not help.
    pub permanent: bool,
}

impl Failure {
    /// A failure that waiting does not help, of which nothing but the problem is known.
    pub fn permanent(problem: Problem) -> Self {
        Self { problem, exit_code: None, logs: Vec::new(), permanent: true }
    }
}

impl Health {
    /// Whether it may still become something else without anybody doing anything, or is not known.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Progressing(_) | Self::Holding(_) | Self::RollingBack(_) | Self::Unknown(_))
    }
}

/// A line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Milliseconds since the epoch, as the log service has it.
    pub at_ms: i64,
    /// The line, untrusted.
    pub text: String,
}
