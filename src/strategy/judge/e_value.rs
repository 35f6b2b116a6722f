//! The e-value: how much more likely the split of the bad requests is if the canary is worse than if it is not.
//!
//! Given all bad requests of a minute, those of the canary are at worst binomial, with the probability that its traffic
//! explains. Conditioning on the sum removes what both variants have in common: an outage, night and day.

/// The rate ratios beyond the tolerated one that the test covers, and the weight of each. Small ratios get most
/// of the weight: large ones show quickly anyway.
pub const ALTERNATIVES: [(f64, f64); 7] =
    [(1.4, 0.16), (1.8, 0.26), (2.4, 0.24), (4.0, 0.16), (8.0, 0.1), (20.0, 0.05), (60.0, 0.03)];

/// The natural logarithm of a likelihood ratio for each of [`RIVALS`].
pub type Terms = [f64; ALTERNATIVES.len()];

/// The fraction of the bad requests that falls on the canary if its rate is `ratio` times the baseline's.
pub fn expected_canary_share(ratio: f64, canary: f64, baseline: f64) -> f64 {
    ratio * canary / (ratio * canary + baseline)
}

/// Adds one minute: `canary` and `baseline` are (requests, bad requests). A minute in which a variant had no requests
/// is skipped.
pub fn minute_terms(tolerated: f64, canary: (f64, f64), baseline: (f64, f64)) -> Terms {
    if canary.0 <= 0.0 || baseline.0 <= 0.0 {
        return [0.0; ALTERNATIVES.len()];
    }
    let null = expected_canary_share(tolerated, canary.0, baseline.0);
    ALTERNATIVES.map(|(rival, _)| {
        let other = expected_canary_share(tolerated * rival, canary.0, baseline.0);
        canary.1 * (other / null).ln() + baseline.1 * ((1.0 - other) / (1.0 - null)).ln()
    })
}

/// The logarithm of the mean over the ratios.
pub fn log_mixture(sums: &Terms) -> f64 {
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let whole: f64 =
        sums.iter().zip(ALTERNATIVES).map(|(sum, (_, weight))| weight * (sum - most).exp()).sum();
    most + whole.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binomial(n: u32, share: f64) -> Vec<f64> {
        let mut row = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; row.len() + 1];
            for (k, p) in row.iter().enumerate() {
                next[k] += p * (1.0 - share);
                next[k + 1] += p * share;
            }
            row = next;
        }
        row
    }

    #[test]
    fn weights_of_the_alternatives_sum_to_one() {
        assert!((ALTERNATIVES.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(ALTERNATIVES.iter().all(|(rival, weight)| *rival > 1.0 && *weight > 0.0));
    }

    /// By enumeration of every outcome: whatever happened before (any weights of the alternatives), the next
    /// minute's factor
    /// has expectation at most 1 while the canary is at most as bad as tolerated, and exactly 1 at the border.
    #[test]
    fn healthy_canary_has_expected_factor_of_at_most_one() {
        for tolerated in [1.0, 1.25, 2.0] {
            for (canary, baseline) in [(6.0, 54.0), (60.0, 60.0), (1.0, 999.0), (90.0, 10.0)] {
                for bad in 0..=30_u32 {
                    for true_ratio in [0.0, 0.3, 0.9, 1.0] {
                        let split =
                            binomial(bad, expected_canary_share(tolerated * true_ratio, canary, baseline));
                        for rival in 0..ALTERNATIVES.len() {
                            let factor = |k: usize| {
                                minute_terms(
                                    tolerated,
                                    (canary, k as f64),
                                    (baseline, f64::from(bad) - k as f64),
                                )[rival]
                                    .exp()
                            };
                            let mean: f64 = split.iter().enumerate().map(|(k, p)| p * factor(k)).sum();
                            assert!(mean <= 1.0 + 1e-9, "{tolerated} {canary}/{baseline} {bad}: {mean}");
                            assert!(true_ratio < 1.0 || (mean - 1.0).abs() < 1e-9);
                        }
                    }
                }
            }
        }
    }

    /// The same for the mixture over two minutes, the second with another split of the traffic.
    #[test]
    fn mixture_has_expectation_one_at_the_border() {
        let variants = [(6.0, 54.0), (30.0, 30.0)];
        let splits =
            variants.map(|(canary, baseline)| binomial(9, expected_canary_share(1.25, canary, baseline)));
        let mut mean = 0.0;
        for first in 0..=9_usize {
            for second in 0..=9_usize {
                let of = |variant: usize, k: usize| {
                    minute_terms(1.25, (variants[variant].0, k as f64), (variants[variant].1, 9.0 - k as f64))
                };
                let (a, b) = (of(0, first), of(1, second));
                let sums: Terms = std::array::from_fn(|at| a[at] + b[at]);
                mean += splits[0][first] * splits[1][second] * log_mixture(&sums).exp();
            }
        }
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn each_bad_request_of_the_canary_raises_the_e_value() {
        for k in 0..20 {
            let at = |k: i32| minute_terms(1.25, (60.0, f64::from(k)), (540.0, 3.0));
            assert!(at(k).iter().zip(at(k + 1)).all(|(less, more)| *less < more));
        }
        assert_eq!(minute_terms(1.25, (0.0, 0.0), (5.0, 5.0)), [0.0; ALTERNATIVES.len()]);
        assert_eq!(minute_terms(1.25, (5.0, 5.0), (0.0, 0.0)), [0.0; ALTERNATIVES.len()]);
    }
}
