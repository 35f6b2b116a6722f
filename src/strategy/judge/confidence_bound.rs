//! An upper bound of how much worse the canary can be: Newcombe's bound of the difference of two rates
//! from Wilson's limits (Newcombe 1998, method 10).

/// The 95 % quantile of the normal distribution.
pub const ONE_SIDED_95: f64 = 1.644_853_626_951_472_2;

/// Wilson's limits of a rate.
pub fn wilson_interval(bad: f64, total: f64, z: f64) -> (f64, f64) {
    let rate = bad / total;
    let square = z * z / total;
    let middle = (rate + square / 2.0) / (1.0 + square);
    let half = z * (rate * (1.0 - rate) / total + square / (4.0 * total)).sqrt() / (1.0 + square);
    (middle - half, middle + half)
}

/// The minimum requests after which a variant without a bad request is shown to be within the margin. With fewer, a
/// canary could only pass because the baseline was unlucky.
pub fn min_sample_size(margin: f64) -> f64 {
    ONE_SIDED_95 * ONE_SIDED_95 * (1.0 - margin) / margin
}

/// The upper bound of the canary's rate minus the baseline's; each is (requests, bad requests), and `divisor` is how
/// many requests count as one. None if a variant had no requests.
pub fn upper_bound(canary: (f64, f64), baseline: (f64, f64), divisor: f64) -> Option<f64> {
    if canary.0 <= 0.0 || baseline.0 <= 0.0 {
        return None;
    }
    let limits = |(total, bad): (f64, f64)| wilson_interval(bad / divisor, total / divisor, ONE_SIDED_95);
    let (of_canary, of_baseline) = (canary.1 / canary.0, baseline.1 / baseline.0);
    let above = limits(canary).1 - of_canary;
    let below = of_baseline - limits(baseline).0;
    Some(of_canary - of_baseline + above.hypot(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wilson's limits of 81 in 263 at 95 % two-sided, and the difference of 56/70 and 48/80: the examples of
    /// Newcombe's
    /// papers (1998).
    #[test]
    fn bound_matches_the_published_examples() {
        let (low, high) = wilson_interval(81.0, 263.0, 1.959_963_985);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
        let upper_of_difference = {
            let above = wilson_interval(56.0, 70.0, 1.959_963_985).1 - 0.8;
            let below = 0.6 - wilson_interval(48.0, 80.0, 1.959_963_985).0;
            0.2 + above.hypot(below)
        };
        assert!((upper_of_difference - 0.3339).abs() < 5e-5, "{upper_of_difference}");
    }

    #[test]
    fn bound_without_requests_is_none() {
        assert_eq!(upper_bound((0.0, 0.0), (10.0, 0.0), 1.0), None);
        assert_eq!(upper_bound((10.0, 0.0), (0.0, 0.0), 1.0), None);
    }

    #[test]
    fn min_sample_size_is_what_a_flawless_canary_needs() {
        let least = min_sample_size(0.01).ceil();
        assert_eq!(least, 268.0);
        assert!(
            wilson_interval(0.0, least, ONE_SIDED_95).1 < 0.01
                && wilson_interval(0.0, least - 1.0, ONE_SIDED_95).1 > 0.01
        );
    }
}
