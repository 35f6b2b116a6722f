//! How a run ended: the contract of outcomes and exit codes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is true at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new version serves, proven.
    Deployed,
    /// The change stands in Git; its rollout could not be watched.
    Committed,
    /// The change stands in a pull request and waits for somebody to merge it.
    Proposed,
    /// What was asked for already serves.
    Unchanged,
    /// The plan was made; nothing was changed.
    Planned,
    /// What serves was looked at and is good.
    Verified,
    /// A rollback was asked for and is done.
    RolledBack,
    /// Nothing was to be done, with a reason.
    Skipped,
    /// Inputs, file or permissions are wrong; nothing was changed.
    Invalid,
    /// The new version did not become healthy; the previous one serves.
    Failed,
    /// The rollback failed too: a person is needed now.
    Stranded,
    /// A newer deployment took over and was left alone.
    Superseded,
    /// Too little data to judge.
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

    /// The word that stands in the output `outcome`.
    pub fn word(self) -> &'static str {
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

    /// The outcome that speaks for a run of several services: the one that needs a person most.
    pub fn worst(all: impl IntoIterator<Item = Outcome>) -> Option<Outcome> {
        all.into_iter().max_by_key(|outcome| outcome.weight())
    }

    fn weight(self) -> u8 {
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
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranded_service_speaks_for_the_whole_run() {
        assert_eq!(
            Outcome::worst([Outcome::Deployed, Outcome::Stranded, Outcome::Failed]),
            Some(Outcome::Stranded)
        );
        assert_eq!(Outcome::worst([Outcome::Unchanged, Outcome::Deployed]), Some(Outcome::Deployed));
        assert_eq!(Outcome::worst([]), None);
    }

    #[test]
    fn the_word_is_what_serde_writes() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.word());
        }
    }
}
