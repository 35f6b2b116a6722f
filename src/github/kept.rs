//! What the checks and the comments of a run have in common: each is there once, is brought up to date, and is looked
//! for again after a lost answer before anything is sent a second time.

use std::time::Duration;

use super::door::Endurance;

/// What was done to have something there as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    Made,
    /// It was there, and other than it should be.
    Updated,
    /// It was there as it should be, or was not wanted anew; nothing was sent.
    Same,
}

/// Nobody waits long for what is only told.
pub(super) const LOOKING: Endurance = Endurance {
    whole: Duration::from_secs(25),
    pauses: &[Duration::from_millis(300), Duration::from_millis(900), Duration::from_millis(2700)],
};
/// So often a write is tried whose answer was lost, each time after another look.
pub(super) const TRIES: u32 = 3;
/// Before another look: what was just made may not be seen everywhere yet.
pub(super) const PAUSE: Duration = Duration::from_secs(2);
/// The most entries that GitHub puts on a page.
pub(super) const PAGE: usize = 100;
