//! The identity of a rollout: number and owner of an attempt on the server. Pure.

use serde::{Deserialize, Serialize};

use crate::release::{Rollout, Version};
use crate::targets::RunInfo;

/// Number and owner of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutIds {
    /// Its number on the server.
    pub attempt: u32,
    /// Which run it is of, in one word.
    pub owner: String,
}

impl RolloutIds {
    /// The attempt that a run would start after `newest`.
    pub fn next(run: &RunInfo, newest: Option<u32>, release: u32) -> Self {
        let run = match &run.number {
            Some(number) => format!("run-{}.{}", number.id, number.attempt),
            None => format!("laptop-{:08x}", fastrand::u32(..)),
        };
        Self { attempt: newest.unwrap_or_default() + 1, owner: format!("{run}-{release}") }
    }

    /// The attempt of a rollout; `None` if it started none.
    pub fn of(rollout: &Rollout) -> Option<Self> {
        let [attempt, owner] = &rollout.ids[..] else { return None };
        Some(Self { attempt: attempt.parse().ok()?, owner: owner.clone() })
    }

    /// The attempt that goes back from this one, which has ended.
    pub fn back(&self) -> Self {
        Self { attempt: self.attempt + 1, owner: format!("{}-back", self.owner) }
    }

    /// The attempt that this one goes back from; `None` if it goes back from none.
    pub fn forth(&self) -> Option<Self> {
        let owner = self.owner.strip_suffix("-back")?.to_owned();
        Some(Self { attempt: self.attempt.checked_sub(1)?, owner })
    }

    /// The rollout that this attempt is.
    pub fn rollout(&self, version: &Version) -> Rollout {
        Rollout {
            version: version.id.clone(),
            label: version.label.clone(),
            ids: vec![self.attempt.to_string(), self.owner.clone()],
        }
    }
}
