//! The e-value: how much more likely the split of the bad requests is if the canary is worse than if it is not.
//!
//! Given all bad requests of a minute, those of the canary are at worst binomial, with the share that its traffic
//! explains. Conditioning on the sum removes what both arms have in common: an outage, night and day.

/// The ratios beyond the tolerated one that the evidence is spread over, and how much of it each gets. Much of it on
/// the small ones: large ones show quickly anyway.
pub const RIVALS: [(f64, f64); 7] =
    [(1.4, 0.16), (1.8, 0.26), (2.4, 0.24), (4.0, 0.16), (8.0, 0.1), (20.0, 0.05), (60.0, 0.03)];

/// The natural logarithm of a likelihood ratio for each of [`RIVALS`].
pub type Terms = [f64; RIVALS.len()];

/// The share of the bad requests that falls on the canary if its rate is `ratio` times the baseline's.
pub fn share(ratio: f64, canary: f64, baseline: f64) -> f64 {
    ratio * canary / (ratio * canary + baseline)
}

/// What one minute says: `canary` and `baseline` are (requests, bad ones). A minute in which an arm had no requests
/// says nothing.
pub fn terms(tolerated: f64, canary: (f64, f64), baseline: (f64, f64)) -> Terms {
    if canary.0 <= 0.0 || baseline.0 <= 0.0 {
        return [0.0; RIVALS.len()];
    }
    let null = share(tolerated, canary.0, baseline.0);
    RIVALS.map(|(rival, _)| {
        let other = share(tolerated * rival, canary.0, baseline.0);
        canary.1 * (other / null).ln() + baseline.1 * ((1.0 - other) / (1.0 - null)).ln()
    })
}

/// The logarithm of the mean over the rivals.
pub fn mixture(sums: &Terms) -> f64 {
    let most = sums.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let whole: f64 = sums.iter().zip(RIVALS).map(|(sum, (_, weight))| weight * (sum - most).exp()).sum();
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
    fn the_weights_are_a_mean() {
        assert!((RIVALS.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(RIVALS.iter().all(|(rival, weight)| *rival > 1.0 && *weight > 0.0));
    }

    /// By enumeration of every outcome: whatever happened before (any weights of the rivals), the next minute's factor
    /// has expectation at most 1 while the canary is at most as bad as tolerated, and exactly 1 at the border.
    #[test]
    fn a_healthy_canary_gains_no_evidence_in_the_mean() {
        for tolerated in [1.0, 1.25, 2.0] {
            for (canary, baseline) in [(6.0, 54.0), (60.0, 60.0), (1.0, 999.0), (90.0, 10.0)] {
                for bad in 0..=30_u32 {
                    for true_ratio in [0.0, 0.3, 0.9, 1.0] {
                        let split = binomial(bad, share(tolerated * true_ratio, canary, baseline));
                        for rival in 0..RIVALS.len() {
                            let factor = |k: usize| {
                                terms(tolerated, (canary, k as f64), (baseline, f64::from(bad) - k as f64))
                                    [rival]
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
    fn the_mixture_has_expectation_one_at_the_border() {
        let arms = [(6.0, 54.0), (30.0, 30.0)];
        let splits = arms.map(|(canary, baseline)| binomial(9, share(1.25, canary, baseline)));
        let mut mean = 0.0;
        for first in 0..=9_usize {
            for second in 0..=9_usize {
                let of = |arm: usize, k: usize| {
                    terms(1.25, (arms[arm].0, k as f64), (arms[arm].1, 9.0 - k as f64))
                };
                let (a, b) = (of(0, first), of(1, second));
                let sums: Terms = std::array::from_fn(|at| a[at] + b[at]);
                mean += splits[0][first] * splits[1][second] * mixture(&sums).exp();
            }
        }
        assert!((mean - 1.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn each_bad_request_of_the_canary_adds_evidence() {
        for k in 0..20 {
            let at = |k: i32| terms(1.25, (60.0, f64::from(k)), (540.0, 3.0));
            assert!(at(k).iter().zip(at(k + 1)).all(|(less, more)| *less < more));
        }
        assert_eq!(terms(1.25, (0.0, 0.0), (5.0, 5.0)), [0.0; RIVALS.len()]);
        assert_eq!(terms(1.25, (5.0, 5.0), (0.0, 0.0)), [0.0; RIVALS.len()]);
    }
}
