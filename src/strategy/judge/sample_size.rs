//! The minimum length of a window: a canary that cannot pass is reported before it starts.

use super::{JudgeSettings, confidence_bound, overdispersion};

/// The 80 % quantile of the normal distribution: four windows of five suffice.
const POWER_80_QUANTILE: f64 = 0.841_621_233_572_914_4;
/// Ten days: a canary that needs longer needs another margin.
const MAX_MINUTES: u32 = 14_400;

/// The minutes, warm-up included, after which a healthy canary passes four times in five. `canary_per_minute` and
/// `baseline_per_minute` are requests, `bad_rate` the usual rate of bad requests; without traffic, or if ten days are
/// not enough, the result is [`u32::MAX`].
pub fn minutes_needed(
    settings: &JudgeSettings,
    canary_per_minute: f64,
    baseline_per_minute: f64,
    bad_rate: f64,
) -> u32 {
    let passes = |minutes: &u32| {
        let minutes = f64::from(*minutes);
        would_pass(
            settings.margin,
            minutes * canary_per_minute,
            minutes * baseline_per_minute,
            minutes,
            bad_rate,
        )
    };
    (1..=MAX_MINUTES).find(passes).map_or(u32::MAX, |minutes| minutes.saturating_add(settings.warm_up))
}

fn would_pass(margin: f64, canary: f64, baseline: f64, minutes: f64, rate: f64) -> bool {
    let divisor = expected_inflation(minutes, (canary + baseline) * rate);
    let sum_of_shares = 1.0 / canary + 1.0 / baseline;
    let deviation = (rate * (1.0 - rate) * sum_of_shares * divisor).sqrt();
    // The requests of a canary that is unlucky by this much.
    let unlucky = (rate + POWER_80_QUANTILE * deviation).min(1.0);
    let upper =
        confidence_bound::upper_bound((canary, canary * unlucky), (baseline, baseline * rate), divisor);
    canary / divisor >= confidence_bound::min_sample_size(margin) && upper.is_some_and(|upper| upper < margin)
}

/// The divisor if the bad requests turn out to be independent of each other.
fn expected_inflation(minutes: f64, bad: f64) -> f64 {
    // Minutes with bad requests, and bad requests in such a minute.
    let informative = minutes * -(-bad / minutes).exp_m1();
    if informative <= 0.0 {
        return 1.0;
    }
    let prior = overdispersion::prior_inflation(bad / informative);
    let freedom = (informative - 1.0).max(0.0);
    ((freedom + overdispersion::PRIOR_MINUTES * prior) / (freedom + overdispersion::PRIOR_MINUTES)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_traffic_needs_a_long_window() {
        let settings = JudgeSettings::default();
        let at = |canary, rate| minutes_needed(&settings, canary, 9.0 * canary, rate);
        assert_eq!([at(600.0, 0.0), at(60.0, 0.0), at(6.0, 0.0), at(0.5, 0.0)], [4, 8, 48, 539]);
        assert!(at(6.0, 0.001) > at(6.0, 0.0) && at(6.0, 0.001) < 100, "{}", at(6.0, 0.001));
        assert!(at(6.0, 0.02) > at(6.0, 0.001));
        for nothing in [0.0, f64::NAN, -1.0] {
            assert_eq!(at(nothing, 0.001), u32::MAX);
        }
        assert_eq!(minutes_needed(&JudgeSettings { margin: 0.0, ..settings }, 6.0, 54.0, 0.0), u32::MAX);
    }

    #[test]
    fn wider_margin_needs_a_shorter_window() {
        let wide = JudgeSettings { margin: 0.05, ..JudgeSettings::default() };
        let need = |settings: &JudgeSettings| minutes_needed(settings, 6.0, 54.0, 0.001);
        assert!(need(&wide) < need(&JudgeSettings::default()) / 3);
    }
}
