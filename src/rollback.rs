//! Which version to return to, and the steps of the rollback. Pure. A rollback is a forward rollout of an older
//! version.

mod blocked;
mod cut_off;
mod recorded;
mod selection;

use crate::problem::Code;
use crate::release::{Observed, Rollout, ShiftKind, TrafficShift, Version};

pub use blocked::{TriggeredBy, blocked_problem, blocked_versions};
pub use cut_off::ReleaseAttempt;
pub use recorded::{RecordedResult, RecordedVersion, without_recorded_failures};
pub use selection::{
    describe_versions, distinct_versions, names_commit, rolled_back_versions, select, selector_for,
};

/// How to roll a change back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackAction {
    /// Give all traffic to this version, which ran before.
    Shift(TrafficShift),
    /// Nothing ran before; there is nothing to roll back to.
    Impossible,
}

/// How to roll back the rollout `moved` that was started after `observed` was observed. `None` if it was requested
/// and no
/// response came, so that it may or may not have started.
pub fn rollback_action(observed: &Observed, moved: Option<&Rollout>) -> RollbackAction {
    let back = |version| TrafficShift { version, percent: 100, kind: ShiftKind::RollBack(moved.cloned()) };
    last_known_good(observed)
        .map_or(RollbackAction::Impossible, |version| RollbackAction::Shift(back(version)))
}

/// Whether a problem that is known before the first change makes a rollback impossible. Every other one is a warning: what
/// serves is bad, and waiting does not make it better.
pub fn is_obstacle(code: Code) -> bool {
    use Code::*;
    !matches!(
        code,
        AlarmAlreadyFiring
            | AlarmMissing
            | SecretInPlainText
            | CredentialsStatic
            | CredentialWithheld
            | ImageMissing
            | PlatformMissing
            | PermissionUnchecked
            | RollbackTargetMissing
            | MetricsUnreadable
            | NotificationFailed
            | NotRecorded
            | LeaseUnavailable
    )
}

/// The version to return to: the one that served healthy before the rollout, else the newest other completed one;
/// never "revision minus one".
pub fn last_known_good(observed: &Observed) -> Option<Version> {
    observed.last_known_good().cloned()
}
