//! Which version to return to, and the steps that lead there. Pure. A rollback is a forward move to an older version.

mod choice;
mod hold;

use crate::release::{Observed, Rollout, Split, Version, Way};

pub use choice::{asks_for_commit, choose, withdrawn};
pub use hold::{Starter, hold, suspects};

/// The way back from a change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Give all traffic to this version, which ran before.
    Route(Split),
    /// Nothing ran before; there is nowhere to go back to.
    Nowhere,
}

/// How to take back the movement `moved` that was made after `seen` was seen. `None` where it was asked for and no
/// answer came, so that it may or may not have begun.
pub fn undo(seen: &Observed, moved: Option<&Rollout>) -> Undo {
    let back = |version| Split { version, percent: 100, way: Way::Back(moved.cloned()) };
    target(seen).map_or(Undo::Nowhere, |version| Undo::Route(back(version)))
}

/// The version to return to: the one that served healthy before the movement, else the last other one that
/// completed; never "revision minus one".
pub fn target(seen: &Observed) -> Option<Version> {
    seen.refuge().cloned()
}
