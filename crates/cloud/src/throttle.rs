//! Request-rate buckets: burst and sustained rate of each group of operations, per account and region. Which operation is in
//! which group, its service says.

use std::collections::BTreeMap;

/// The rate of a group of operations that share a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RequestRate {
    /// Name of the bucket.
    pub group: &'static str,
    /// Requests at once.
    pub burst: f64,
    /// Sustained requests a second.
    pub per_second: f64,
}

impl RequestRate {
    /// A rate.
    pub const fn new(group: &'static str, burst: f64, per_second: f64) -> Self {
        Self { group, burst, per_second }
    }
}

/// Tokens left by group, refilled as time passes.
#[derive(Debug, Clone, Default)]
pub struct RequestBuckets {
    levels: BTreeMap<&'static str, (f64, f64)>,
}

impl RequestBuckets {
    /// Take one token from a bucket; `false` when it is empty.
    pub fn take_token(&mut self, rate: RequestRate, now: f64) -> bool {
        let (level, since) = self.levels.entry(rate.group).or_insert((rate.burst, now));
        *level = (*level + (now - *since).max(0.0) * rate.per_second).min(rate.burst);
        *since = now;
        if *level < 1.0 {
            return false;
        }
        *level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_sustained_rate_follows() {
        let mut buckets = RequestBuckets::default();
        let rate = RequestRate::new("modify", 20.0, 1.0);
        assert_eq!((0..30).filter(|_| buckets.take_token(rate, 100.0)).count(), 20);
        assert!(buckets.take_token(rate, 101.0));
        assert!(!buckets.take_token(rate, 101.5));
        assert!(buckets.take_token(RequestRate::new("other", 1.0, 1.0), 101.5));
    }
}
