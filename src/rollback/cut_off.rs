//! Releases that were cut off: cancelled, or their runner was lost. A version that was rolled back only for that is not
//! known to be bad. The provider records a rollback but not its reason, so the deployment records decide. Pure.

use jiff::Timestamp;

use crate::release::{CompletedVersion, RecordedService, Version, digests_agree};

/// A release of one service, as a deployment record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseAttempt<'r> {
    /// What was released.
    pub released: &'r RecordedService,
    /// When it was recorded, which is before its first change.
    pub recorded_at: Timestamp,
    /// Whether it was cut off, and nothing was found against it before.
    pub is_cut_off: bool,
    /// Whether an earlier attempt of this run made it.
    pub is_own: bool,
}

/// The history without releases that were cut off and rolled back at once. `attempts` are newest first.
pub(super) fn without_cut_off<'p>(
    history: &'p [CompletedVersion],
    attempts: &[ReleaseAttempt<'_>],
) -> Vec<&'p CompletedVersion> {
    let mut rest = history;
    let mut kept = Vec::new();
    while let [first, others @ ..] = rest {
        rest = match cut_off_release(rest, attempts) {
            Some(_) => &rest[2..],
            None => {
                kept.push(first);
                others
            }
        };
    }
    kept
}

/// The newest releases that were cut off, if nothing else completed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NewestCutOff {
    /// How many completions they and their rollbacks are.
    pub(super) completions: usize,
    /// Whether an earlier attempt of this run is one of them.
    pub(super) has_own: bool,
}

/// Finds the newest releases that were cut off.
pub(super) fn newest_cut_off(history: &[CompletedVersion], attempts: &[ReleaseAttempt<'_>]) -> NewestCutOff {
    let mut found = NewestCutOff::default();
    while let Some(attempt) = cut_off_release(&history[found.completions..], attempts) {
        found.completions += 2;
        found.has_own |= attempt.is_own;
    }
    found
}

/// Whether the newest completion is a release that was cut off, and the rollback that ends it is still in progress:
/// `requested` is the version before it.
pub(super) fn is_rolling_back_cut_off(
    history: &[CompletedVersion],
    attempts: &[ReleaseAttempt<'_>],
    requested: Option<&Version>,
) -> bool {
    let [tried, older @ ..] = history else { return false };
    let is_back = requested.is_some_and(|requested| {
        *requested != tried.version && older.first().is_none_or(|before| before.version == *requested)
    });
    is_back
        && attempt_at(attempts, tried)
            .is_some_and(|attempt| attempt.is_cut_off && runs(tried, attempt.released))
}

/// The release that was cut off, if the two newest completions are that release and the rollback that ended it: back to
/// the version before it, and before anything else was recorded.
fn cut_off_release<'a, 'r>(
    history: &[CompletedVersion],
    attempts: &'a [ReleaseAttempt<'r>],
) -> Option<&'a ReleaseAttempt<'r>> {
    let [back, tried, older @ ..] = history else { return None };
    let is_back = older.first().is_none_or(|before| before.version == back.version);
    let attempt = attempt_at(attempts, tried).filter(|attempt| attempt.is_cut_off)?;
    let is_same = attempt_at(attempts, back) == Some(attempt);
    (is_back && is_same && back.version != tried.version && runs(tried, attempt.released)).then_some(attempt)
}

/// The newest release that was recorded before a version completed.
fn attempt_at<'a, 'r>(
    attempts: &'a [ReleaseAttempt<'r>],
    completed: &CompletedVersion,
) -> Option<&'a ReleaseAttempt<'r>> {
    let at = completed.completed_at?;
    attempts.iter().find(|attempt| attempt.recorded_at <= at)
}

fn runs(completed: &CompletedVersion, released: &RecordedService) -> bool {
    let pinned = completed.image.as_ref().and_then(|image| image.digest.as_ref());
    let digest =
        released.digest().filter(|digest| [completed.digest.as_ref(), pinned].contains(&Some(*digest)));
    digest.is_some() && digests_agree(&completed.container_images, &released.container_images)
}
