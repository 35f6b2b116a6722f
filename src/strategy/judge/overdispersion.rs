//! How bursty the bad requests are: ten errors in one burst are not ten independent observations.
//!
//! The divisor says how many bad requests count as one. It is estimated from the data so far, over a prior that fades
//! as minutes come in. If bad requests are so few that hardly two fall into one minute, they cannot come in bursts,
//! and the prior requires less.

/// The maximum divisor before there is data.
pub const MAX_PRIOR_INFLATION: f64 = 3.0;
/// The correlation of two bad requests in one minute that is assumed before there is data.
pub const PRIOR_CORRELATION: f64 = 0.1;
/// The weight of the assumption, in minutes.
pub const PRIOR_MINUTES: f64 = 3.0;

/// Sums over the minutes with bad requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overdispersion {
    minutes: f64,
    bad: f64,
    chi_square: f64,
}

impl Overdispersion {
    /// Adds a minute with `bad` bad requests, `canary` of them the canary's, whose expected fraction is `share`.
    pub fn add_minute(&mut self, canary: f64, bad: f64, share: f64) {
        let share = share.clamp(1e-6, 1.0 - 1e-6);
        let off = canary - bad * share;
        self.minutes += 1.0;
        self.bad += bad;
        self.chi_square += off * off / (bad * share * (1.0 - share));
    }

    /// How many bad requests count as one, at least 1.
    pub fn inflation(&self) -> f64 {
        if self.minutes < 1.0 {
            return 1.0;
        }
        let prior = prior_inflation(self.bad / self.minutes);
        let freedom = (self.minutes - 1.0).max(0.0);
        ((self.chi_square + PRIOR_MINUTES * prior) / (freedom + PRIOR_MINUTES)).max(1.0)
    }
}

/// The assumption for minutes with bad requests, by the mean number of them.
pub fn prior_inflation(bad: f64) -> f64 {
    (1.0 + (bad - 1.0) * PRIOR_CORRELATION).clamp(1.0, MAX_PRIOR_INFLATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflation_of(rows: &[(f64, f64)], share: f64) -> f64 {
        let mut clusters = Overdispersion::default();
        rows.iter().for_each(|(canary, bad)| clusters.add_minute(*canary, *bad, share));
        clusters.inflation()
    }

    #[test]
    fn single_bad_requests_are_not_a_burst() {
        assert_eq!(Overdispersion::default().inflation(), 1.0);
        let lone = [(1.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 1.0)];
        assert!(inflation_of(&lone, 0.5) < 1.2);
    }

    #[test]
    fn prior_fades_with_even_minutes() {
        let even = vec![(5.0, 50.0); 40];
        assert!(inflation_of(&even[..1], 0.1) > 2.0);
        assert_eq!(inflation_of(&even, 0.1), 1.0);
    }

    #[test]
    fn bursts_count_less() {
        let bursts = [(40.0, 50.0), (0.0, 50.0), (0.0, 30.0), (25.0, 30.0), (0.0, 9.0), (0.0, 20.0)];
        assert!(inflation_of(&bursts, 0.3) > 10.0);
    }
}
