//! The rules that Flagger and Argo Rollouts document, re-implemented on the same counts, at the settings of their
//! examples. They have two ends: what they do not roll back they promote.

use super::contest::End;
use super::scenario::Pair;
use crate::strategy::judge::Ruling;

/// Flagger: a minute without traffic, or with a success rate below the least, is a failed check; at `threshold` of
/// them it rolls back.
pub(super) fn flagger(minutes: &[Pair], least: f64, threshold: usize) -> End {
    let mut failed = 0;
    stop(minutes, |(canary, _)| {
        failed += usize::from(canary.rate().is_none_or(|rate| 1.0 - rate < least));
        failed >= threshold
    })
}

/// Argo Rollouts: more than `limit` measurements below the least fail the analysis; more than four in a row without a
/// value (`consecutiveErrorLimit`) end it in an error, which aborts as well.
pub(super) fn argo(minutes: &[Pair], least: f64, limit: usize) -> End {
    const CONSECUTIVE_ERRORS: usize = 4;
    let (mut failed, mut errors) = (0, 0);
    stop(minutes, |(canary, _)| {
        match canary.rate() {
            Some(rate) => {
                errors = 0;
                failed += usize::from(1.0 - rate < least);
            }
            None => errors += 1,
        }
        failed > limit || errors > CONSECUTIVE_ERRORS
    })
}

fn stop(minutes: &[Pair], mut stops: impl FnMut(&Pair) -> bool) -> End {
    match minutes.iter().position(&mut stops) {
        Some(at) => End { ruling: Ruling::Fail, minute: at + 1 },
        None => End { ruling: Ruling::Pass, minute: minutes.len() },
    }
}
