//! The rules that Flagger and Argo Rollouts document, re-implemented on the same counts, at the settings of their
//! examples. They have two results: a canary that is not rolled back is promoted.

use super::cases::CountPair;
use super::simulation::RunEnd;
use crate::strategy::judge::Verdict;

/// Flagger: a minute without traffic, or with a success rate below the minimum, is a failed check; at `threshold` of
/// them it rolls back.
pub(super) fn flagger(minutes: &[CountPair], least: f64, threshold: usize) -> RunEnd {
    let mut failed = 0;
    stop_at_first(minutes, |(canary, _)| {
        failed += usize::from(canary.rate().is_none_or(|rate| 1.0 - rate < least));
        failed >= threshold
    })
}

/// Argo Rollouts: more than `limit` measurements below the minimum fail the analysis; more than four in a row without a
/// value (`consecutiveErrorLimit`) end it in an error, which aborts as well.
pub(super) fn argo(minutes: &[CountPair], least: f64, limit: usize) -> RunEnd {
    const CONSECUTIVE_ERRORS: usize = 4;
    let (mut failed, mut errors) = (0, 0);
    stop_at_first(minutes, |(canary, _)| {
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

fn stop_at_first(minutes: &[CountPair], mut stops: impl FnMut(&CountPair) -> bool) -> RunEnd {
    match minutes.iter().position(&mut stops) {
        Some(at) => RunEnd { verdict: Verdict::Fail, minute: at + 1 },
        None => RunEnd { verdict: Verdict::Pass, minute: minutes.len() },
    }
}
