//! Which version to return to, and the steps that lead there. Pure. A rollback is a forward move to an older version.

use crate::release::{Observed, Split, Version};

/// The way back from a change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Give all traffic to this version, which ran before.
    Route(Split),
    /// Nothing ran before; there is nowhere to go back to.
    Nowhere,
}

/// How to take back what was done after `seen` was seen.
pub fn undo(seen: &Observed) -> Undo {
    target(seen).map_or(Undo::Nowhere, |version| Undo::Route(Split { version, percent: 100, force: false }))
}

/// The version to return to: the last one that completed healthy, never "revision minus one".
pub fn target(seen: &Observed) -> Option<Version> {
    seen.previous.clone()
}
