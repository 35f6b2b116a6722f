//! A shift whose answer is missing: what follows a look for it. Nothing is concluded from a look that failed, nor from one
//! that may be too early: providers show changes late.

use std::time::Duration;

use super::Direction;

/// How long reads may show the state from before a change (aws.md: up to 30 s), with a margin.
const STALE_READ_WINDOW: Duration = Duration::from_secs(60);
/// How many looks must agree that there is nothing.
const MIN_MISSES: u32 = 2;
/// How often a rollout is requested at most.
const MAX_REQUESTS: u32 = 3;

/// What a look showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// The rollout is there.
    Found,
    /// The state was read, and the rollout is not there.
    Missing,
    /// The state could not be read.
    Unreadable,
}

/// The history of a shift whose answer is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchState {
    /// Time since it was requested last.
    pub since_request: Duration,
    /// Looks since then that did not show it, with this one.
    pub misses: u32,
    /// How often it was requested.
    pub requests: u32,
    /// Whether another service of an atomic run failed, so that this one must not start.
    pub must_not_start: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextSearch {
    /// Watch the rollout.
    Watch,
    /// Look again.
    LookAgain,
    /// Request it again.
    RequestAgain,
    /// It did not happen.
    NotMade,
    /// The time is over, and what became of it is not known.
    GiveUp,
}

/// Returns the action after one look. A rollback is requested again at once: what it leads to is the same, however often it
/// is requested. `time_left` is false after the deadline of the direction.
pub fn next_search(
    direction: &Direction,
    state: SearchState,
    sighting: Sighting,
    time_left: bool,
) -> NextSearch {
    let is_settled = state.misses >= MIN_MISSES && state.since_request >= STALE_READ_WINDOW;
    match (sighting, direction) {
        (Sighting::Found, _) => NextSearch::Watch,
        (Sighting::Missing, Direction::Back(_)) if time_left => NextSearch::RequestAgain,
        (Sighting::Missing, Direction::Forward) if is_settled => {
            let may_request = time_left && state.requests < MAX_REQUESTS && !state.must_not_start;
            if may_request { NextSearch::RequestAgain } else { NextSearch::NotMade }
        }
        _ if time_left => NextSearch::LookAgain,
        _ => NextSearch::GiveUp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Code, Problem};
    use crate::release::Failure;

    fn state(seconds: u64, misses: u32, requests: u32) -> SearchState {
        let since_request = Duration::from_secs(seconds);
        SearchState { since_request, misses, requests, must_not_start: false }
    }

    fn back() -> Direction {
        Direction::Back(Failure::permanent(Problem::error(Code::ContainerExited, "It exits.")))
    }

    #[test]
    fn rollout_is_requested_again_only_after_the_window_of_stale_reads() {
        use NextSearch::*;
        use Sighting::*;
        let blocked = SearchState { must_not_start: true, ..state(60, 2, 1) };
        let table = [
            (state(5, 0, 1), Found, true, Watch),
            (state(5, 0, 1), Found, false, Watch),
            (state(5, 1, 1), Missing, true, LookAgain),
            (state(59, 9, 1), Missing, true, LookAgain),
            (state(90, 1, 1), Missing, true, LookAgain),
            (state(60, 2, 1), Missing, true, RequestAgain),
            (state(60, 2, 3), Missing, true, NotMade),
            (state(60, 2, 1), Missing, false, NotMade),
            (blocked, Missing, true, NotMade),
            (state(59, 2, 1), Missing, false, GiveUp),
            (state(600, 5, 1), Unreadable, true, LookAgain),
            (state(600, 5, 1), Unreadable, false, GiveUp),
        ];
        for (state, sighting, time_left, expected) in table {
            let next = next_search(&Direction::Forward, state, sighting, time_left);
            assert_eq!(next, expected, "{state:?} {sighting:?} {time_left}");
        }
    }

    #[test]
    fn rollback_is_requested_as_long_as_there_is_time() {
        use NextSearch::*;
        use Sighting::*;
        let table = [
            (Found, true, Watch),
            (Missing, true, RequestAgain),
            (Missing, false, GiveUp),
            (Unreadable, true, LookAgain),
            (Unreadable, false, GiveUp),
        ];
        for (sighting, time_left, expected) in table {
            let next = next_search(&back(), state(1, 1, 20), sighting, time_left);
            assert_eq!(next, expected, "{sighting:?} {time_left}");
        }
    }

    #[test]
    fn only_looks_that_succeeded_conclude_and_time_ends_every_search() {
        for direction in [Direction::Forward, back()] {
            for misses in 0..4 {
                let blind = next_search(&direction, state(3600, misses, 1), Sighting::Unreadable, true);
                assert_eq!(blind, NextSearch::LookAgain);
                for sighting in [Sighting::Missing, Sighting::Unreadable] {
                    let late = next_search(&direction, state(10, misses, 1), sighting, false);
                    assert_eq!(late, NextSearch::GiveUp);
                }
            }
        }
    }
}
