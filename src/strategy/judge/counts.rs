//! The input of the judge: counts of a closed minute, from sources that may be late, partial or wrong.

use serde::Serialize;

/// Requests (or jobs, or probes) of one variant in one closed minute, and how many of them were bad: failed or slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// All of them.
    pub total: u64,
    /// Those that failed, or took longer than the limit.
    pub bad: u64,
}

/// The largest count that a source may report: beyond it a double no longer holds every integer.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

impl Count {
    /// A count from numbers as metric sources return them. Fractions (a source that extrapolates) are rounded; a
    /// value that
    /// is not a number, negative, beyond 2^53, or has more bad requests than requests, is no count.
    pub fn from_numbers(total: f64, bad: f64) -> Option<Self> {
        let readable = |value: f64| (0.0..=MAX_COUNT).contains(&value);
        if !readable(total) || !readable(bad) {
            return None;
        }
        let count = Self { total: total.round() as u64, bad: bad.round() as u64 };
        count.is_possible().then_some(count)
    }

    /// Whether such a count is possible.
    pub fn is_possible(self) -> bool {
        self.bad <= self.total && self.total as f64 <= MAX_COUNT
    }

    /// The rate of bad requests; 0 if there were none.
    pub fn rate(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }
}

/// One closed minute of both variants. `None` is a minute that is missing, late or rejected: it proves nothing, and it
/// is never read as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Minute {
    /// The new version.
    pub canary: Option<Count>,
    /// The old version in the same minute.
    pub baseline: Option<Count>,
}

impl Minute {
    /// Both variants, if both are present and possible.
    pub fn valid_counts(self) -> Option<(Count, Count)> {
        let possible = |count: &Count| count.is_possible();
        Some((self.canary.filter(possible)?, self.baseline.filter(possible)?))
    }
}

/// One metric over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// The display name of the metric, such as `5xx`. It may come from a deploy file.
    pub name: String,
    /// Closed minutes since the canary got traffic, oldest first.
    pub minutes: Vec<Minute>,
    /// The canary's weight, between 0 and 1, as configured; none if the traffic is not split
    /// (probes), and then the weight is not checked.
    pub share: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_numbers_are_rejected() {
        assert_eq!(Count::from_numbers(10.0, 2.0), Some(Count { total: 10, bad: 2 }));
        assert_eq!(
            Count::from_numbers(9.6, 0.2),
            Some(Count { total: 10, bad: 0 }),
            "an extrapolated increase"
        );
        assert_eq!(Count::from_numbers(0.0, 0.0), Some(Count { total: 0, bad: 0 }), "no traffic is a fact");
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
            assert_eq!(Count::from_numbers(total, bad), None, "{total} {bad}");
        }
    }

    #[test]
    fn minute_needs_both_variants() {
        let good = Some(Count { total: 5, bad: 1 });
        let wrong = Some(Count { total: 1, bad: 5 });
        assert!(Minute { canary: good, baseline: good }.valid_counts().is_some());
        for (canary, baseline) in [(good, None), (None, good), (wrong, good), (good, wrong)] {
            assert_eq!(Minute { canary, baseline }.valid_counts(), None);
        }
    }
}
