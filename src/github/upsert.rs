//! Common parts of checks and comments: each exists once, is updated, and is searched
//! again after a lost response before anything is sent a second time.

use std::time::Duration;

use super::client::read_policy;
use crate::retry::{Jitter, RetryPolicy};

/// The result of an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upserted {
    /// It was created.
    Created,
    /// It existed, and was updated.
    Updated,
    /// It was up to date, or should not be created; nothing was sent.
    Unchanged,
}

/// A short timeout, because this only informs.
pub(super) const LOOKUP_RETRY: RetryPolicy = read_policy(
    Duration::from_secs(25),
    &[Duration::from_millis(300), Duration::from_millis(900), Duration::from_millis(2700)],
);
/// Retries of a write whose response was lost, each after another read: a new object may not be visible everywhere yet.
pub(super) const UPSERT_RETRY: RetryPolicy =
    RetryPolicy::with_backoff(&[Duration::from_secs(2), Duration::from_secs(4)], Jitter::None);
/// Maximum entries of a GitHub page.
pub(super) const PAGE_SIZE: usize = 100;
