//! How bursty the bad requests are. Errors come in clusters; ten of one cluster are not ten witnesses.
//!
//! The divisor says how many bad requests count as one. It is estimated from the data so far, over a prior that fades as
//! minutes come in. Where bad requests are so few that hardly two fall into one minute, they cannot come in bursts, and
//! the prior asks for less.

/// The most that a bad request is divided by before anything was seen.
pub const PRIOR: f64 = 3.0;
/// The correlation of two bad requests in one minute that is assumed before anything was seen.
pub const CORRELATION: f64 = 0.1;
/// How many minutes the assumption weighs.
pub const WEIGHT: f64 = 3.0;

/// Sums over the minutes with bad requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clusters {
    minutes: f64,
    bad: f64,
    surplus: f64,
}

impl Clusters {
    /// Adds a minute with `bad` bad requests, `canary` of them the canary's, whose expected share is `share`.
    pub fn add(&mut self, canary: f64, bad: f64, share: f64) {
        let share = share.clamp(1e-6, 1.0 - 1e-6);
        let off = canary - bad * share;
        self.minutes += 1.0;
        self.bad += bad;
        self.surplus += off * off / (bad * share * (1.0 - share));
    }

    /// How many bad requests count as one, at least 1.
    pub fn divisor(&self) -> f64 {
        if self.minutes < 1.0 {
            return 1.0;
        }
        let prior = expected(self.bad / self.minutes);
        let freedom = (self.minutes - 1.0).max(0.0);
        ((self.surplus + WEIGHT * prior) / (freedom + WEIGHT)).max(1.0)
    }
}

/// What is assumed where a minute with bad requests has this many of them in the mean.
pub fn expected(bad: f64) -> f64 {
    (1.0 + (bad - 1.0) * CORRELATION).clamp(1.0, PRIOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divisor(rows: &[(f64, f64)], share: f64) -> f64 {
        let mut clusters = Clusters::default();
        rows.iter().for_each(|(canary, bad)| clusters.add(*canary, *bad, share));
        clusters.divisor()
    }

    #[test]
    fn lone_bad_requests_are_no_burst() {
        assert_eq!(Clusters::default().divisor(), 1.0);
        let lone = [(1.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 1.0)];
        assert!(divisor(&lone, 0.5) < 1.2);
    }

    #[test]
    fn the_assumption_fades_as_even_minutes_come_in() {
        let even = vec![(5.0, 50.0); 40];
        assert!(divisor(&even[..1], 0.1) > 2.0);
        assert_eq!(divisor(&even, 0.1), 1.0);
    }

    #[test]
    fn bursts_count_for_less() {
        let bursts = [(40.0, 50.0), (0.0, 50.0), (0.0, 30.0), (25.0, 30.0), (0.0, 9.0), (0.0, 20.0)];
        assert!(divisor(&bursts, 0.3) > 10.0);
    }
}
