//! How long a window must be before it is opened: a canary that cannot pass should be told so beforehand.

use super::{Settings, bound, dispersion};

/// The 80 % quantile of the normal distribution: how lucky a window need not be.
const LUCK: f64 = 0.841_621_233_572_914_4;
/// Ten days: a canary that needs longer needs another margin.
const MOST: u32 = 14_400;

/// The minutes, warm-up included, after which a healthy canary passes four times in five. `canary_per_minute` and
/// `baseline_per_minute` are requests, `bad_rate` the usual share of bad ones; with no traffic, or where ten days are
/// not enough, the answer is [`u32::MAX`].
pub fn minutes_needed(
    settings: &Settings,
    canary_per_minute: f64,
    baseline_per_minute: f64,
    bad_rate: f64,
) -> u32 {
    let passes = |minutes: &u32| {
        let minutes = f64::from(*minutes);
        passes(settings.margin, minutes * canary_per_minute, minutes * baseline_per_minute, minutes, bad_rate)
    };
    (1..=MOST).find(passes).map_or(u32::MAX, |minutes| minutes.saturating_add(settings.warm_up))
}

fn passes(margin: f64, canary: f64, baseline: f64, minutes: f64, rate: f64) -> bool {
    let divisor = expected_divisor(minutes, (canary + baseline) * rate);
    let sum_of_shares = 1.0 / canary + 1.0 / baseline;
    let deviation = (rate * (1.0 - rate) * sum_of_shares * divisor).sqrt();
    // A canary that is unlucky by so much, in requests that there can be.
    let unlucky = (rate + LUCK * deviation).min(1.0);
    let upper = bound::upper((canary, canary * unlucky), (baseline, baseline * rate), divisor);
    canary / divisor >= bound::least_sample(margin) && upper.is_some_and(|upper| upper < margin)
}

/// What the divisor will be if the bad requests turn out to be independent of each other.
fn expected_divisor(minutes: f64, bad: f64) -> f64 {
    // Minutes with bad requests, and bad requests in such a minute.
    let informative = minutes * -(-bad / minutes).exp_m1();
    if informative <= 0.0 {
        return 1.0;
    }
    let prior = dispersion::expected(bad / informative);
    let freedom = (informative - 1.0).max(0.0);
    ((freedom + dispersion::WEIGHT * prior) / (freedom + dispersion::WEIGHT)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_traffic_takes_long() {
        let settings = Settings::default();
        let at = |canary, rate| minutes_needed(&settings, canary, 9.0 * canary, rate);
        assert_eq!([at(600.0, 0.0), at(60.0, 0.0), at(6.0, 0.0), at(0.5, 0.0)], [4, 8, 48, 539]);
        assert!(at(6.0, 0.001) > at(6.0, 0.0) && at(6.0, 0.001) < 100, "{}", at(6.0, 0.001));
        assert!(at(6.0, 0.02) > at(6.0, 0.001));
        for nothing in [0.0, f64::NAN, -1.0] {
            assert_eq!(at(nothing, 0.001), u32::MAX);
        }
        assert_eq!(minutes_needed(&Settings { margin: 0.0, ..settings }, 6.0, 54.0, 0.0), u32::MAX);
    }

    #[test]
    fn a_wider_margin_needs_less() {
        let wide = Settings { margin: 0.05, ..Settings::default() };
        let need = |settings: &Settings| minutes_needed(settings, 6.0, 54.0, 0.001);
        assert!(need(&wide) < need(&Settings::default()) / 3);
    }
}
