//! The outcome of a run: the contract of outcomes and exit codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of a run or of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new version serves and is verified.
    Deployed,
    /// The change is committed to Git; its rollout was not watched.
    Committed,
    /// The change is in a pull request that waits to be merged.
    Proposed,
    /// The requested version already serves.
    Unchanged,
    /// The plan was made; nothing was changed.
    Planned,
    /// The serving version was checked and is healthy.
    Verified,
    /// A requested rollback is complete.
    RolledBack,
    /// There was nothing to do, for the given reason.
    Skipped,
    /// Inputs, file or permissions are not valid; nothing was changed.
    Invalid,
    /// The new version did not become healthy; the previous one serves.
    Failed,
    /// The rollback failed, there was nothing to roll back to, or it is not known what became of a requested change: manual
    /// action is required.
    Stranded,
    /// A newer deployment took over and was not changed.
    Superseded,
    /// There was too little data to judge.
    Inconclusive,
    /// Stopped by a signal.
    Cancelled,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Outcome; 14] = [
        Self::Deployed,
        Self::Committed,
        Self::Proposed,
        Self::Unchanged,
        Self::Planned,
        Self::Verified,
        Self::RolledBack,
        Self::Skipped,
        Self::Invalid,
        Self::Failed,
        Self::Stranded,
        Self::Superseded,
        Self::Inconclusive,
        Self::Cancelled,
    ];

    /// The value of the output `outcome`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Committed => "committed",
            Self::Proposed => "proposed",
            Self::Unchanged => "unchanged",
            Self::Planned => "planned",
            Self::Verified => "verified",
            Self::RolledBack => "rolled-back",
            Self::Skipped => "skipped",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Stranded => "stranded",
            Self::Superseded => "superseded",
            Self::Inconclusive => "inconclusive",
            Self::Cancelled => "cancelled",
        }
    }

    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 2,
            Self::Failed => 3,
            Self::Stranded => 4,
            Self::Superseded => 5,
            Self::Inconclusive => 6,
            Self::Cancelled => 130,
            _ => 0,
        }
    }

    /// The outcome of a run of several services: the most urgent one. `invalid` means that nothing was changed, so a run that
    /// refused one service and changed another one has failed.
    pub fn most_severe(all: impl IntoIterator<Item = Outcome>) -> Option<Outcome> {
        let all: Vec<Outcome> = all.into_iter().collect();
        let worst = all.iter().copied().max_by_key(|outcome| outcome.severity_rank())?;
        let is_partial = worst == Self::Invalid && all.iter().any(|outcome| outcome.may_have_changed());
        Some(if is_partial { Self::Failed } else { worst })
    }

    /// Whether something of the service was changed, or may have been.
    fn may_have_changed(self) -> bool {
        match self {
            Self::Deployed | Self::Committed | Self::Proposed | Self::RolledBack => true,
            Self::Failed | Self::Stranded | Self::Superseded | Self::Inconclusive | Self::Cancelled => true,
            Self::Unchanged | Self::Planned | Self::Verified | Self::Skipped | Self::Invalid => false,
        }
    }

    fn severity_rank(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Unchanged => 1,
            Self::Planned => 2,
            Self::Verified => 3,
            Self::RolledBack => 4,
            Self::Deployed => 5,
            Self::Committed => 6,
            Self::Proposed => 7,
            Self::Superseded => 8,
            Self::Inconclusive => 9,
            Self::Invalid => 10,
            Self::Cancelled => 11,
            Self::Failed => 12,
            Self::Stranded => 13,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_severe_outcome_is_the_outcome_of_the_run() {
        assert_eq!(
            Outcome::most_severe([Outcome::Deployed, Outcome::Stranded, Outcome::Failed]),
            Some(Outcome::Stranded)
        );
        assert_eq!(Outcome::most_severe([Outcome::Unchanged, Outcome::Deployed]), Some(Outcome::Deployed));
        assert_eq!(Outcome::most_severe([]), None);
    }

    #[test]
    fn refused_service_makes_a_run_invalid_only_if_nothing_was_changed() {
        use Outcome::*;
        for (other, expected) in [
            (Deployed, Failed),
            (Committed, Failed),
            (Proposed, Failed),
            (RolledBack, Failed),
            (Inconclusive, Failed),
            (Superseded, Failed),
            (Failed, Failed),
            (Stranded, Stranded),
            (Cancelled, Cancelled),
            (Unchanged, Invalid),
            (Planned, Invalid),
            (Verified, Invalid),
            (Skipped, Invalid),
            (Invalid, Invalid),
        ] {
            assert_eq!(Outcome::most_severe([other, Invalid]), Some(expected), "{other}");
        }
    }

    #[test]
    fn as_str_is_what_serde_writes() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
