//! What the judge reads: counts of a closed minute, from sources that may be late, partial or wrong.

use serde::Serialize;

/// Requests (or jobs, or probes) of one arm in one closed minute, and how many of them were bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// All of them.
    pub total: u64,
    /// Those that failed, or took longer than they may.
    pub bad: u64,
}

/// The largest count that a source may report: beyond it a double no longer holds every integer.
const MOST: f64 = 9_007_199_254_740_992.0;

impl Count {
    /// A count from numbers as metric sources give them. Fractions (a source that extrapolates) are rounded; what is
    /// not a number, negative, beyond 2^53, or has more bad than there were, is no count.
    pub fn read(total: f64, bad: f64) -> Option<Self> {
        let readable = |value: f64| (0.0..=MOST).contains(&value);
        if !readable(total) || !readable(bad) {
            return None;
        }
        let count = Self { total: total.round() as u64, bad: bad.round() as u64 };
        count.is_possible().then_some(count)
    }

    /// Whether there can be such a count.
    pub fn is_possible(self) -> bool {
        self.bad <= self.total && self.total as f64 <= MOST
    }

    /// The share of bad ones; none of nothing.
    pub fn rate(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }
}

/// One closed minute of both arms. `None` is a minute that is missing, late or was rejected: it says nothing, and it
/// is never read as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// The new version.
    pub canary: Option<Count>,
    /// The old version in the same minute.
    pub baseline: Option<Count>,
}

impl Minute {
    /// Both arms, where both are there and possible.
    pub fn both(self) -> Option<(Count, Count)> {
        let possible = |count: &Count| count.is_possible();
        Some((self.canary.filter(possible)?, self.baseline.filter(possible)?))
    }
}

/// One metric over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What people call the metric, such as `5xx`. It may come from a deploy file.
    pub name: String,
    /// Closed minutes since the canary got traffic, oldest first.
    pub minutes: Vec<Minute>,
    /// The canary's share of the traffic, between 0 and 1, as it was configured; none where the traffic is not split
    /// (probes), and then the share is not checked.
    pub share: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_count_is_one() {
        assert_eq!(Count::read(10.0, 2.0), Some(Count { total: 10, bad: 2 }));
        assert_eq!(Count::read(9.6, 0.2), Some(Count { total: 10, bad: 0 }), "an extrapolated increase");
        assert_eq!(Count::read(0.0, 0.0), Some(Count { total: 0, bad: 0 }), "no traffic is a fact");
        for (total, bad) in [
            (f64::NAN, 0.0),
            (1.0, f64::NAN),
            (f64::INFINITY, 0.0),
            (1.0, f64::NEG_INFINITY),
            (-1.0, 0.0),
            (3.0, -1.0),
            (2.0, 3.0),
            (1e300, 0.0),
        ] {
            assert_eq!(Count::read(total, bad), None, "{total} {bad}");
        }
    }

    #[test]
    fn a_minute_needs_both_arms() {
        let good = Some(Count { total: 5, bad: 1 });
        let wrong = Some(Count { total: 1, bad: 5 });
        assert!(Minute { canary: good, baseline: good }.both().is_some());
        for (canary, baseline) in [(good, None), (None, good), (wrong, good), (good, wrong)] {
            assert_eq!(Minute { canary, baseline }.both(), None);
        }
    }
}
