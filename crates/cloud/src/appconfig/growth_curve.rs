//! How the share of the clients that get a new configuration grows
//! (<https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-deployment-strategy.html>). Pure.

use super::state::AppConfigStrategy;

/// The shares in percent, in order; the last is 100. Linear adds the factor each time, exponential doubles it: `G*(2^N)`.
pub fn percentages(strategy: &AppConfigStrategy) -> Vec<f64> {
    if strategy.duration_minutes == 0 {
        return vec![100.0];
    }
    let factor = strategy.growth_factor.clamp(1.0, 100.0);
    let mut shares = Vec::new();
    let mut share = factor;
    while share < 100.0 {
        shares.push(share);
        share = if strategy.growth_type == "EXPONENTIAL" { share * 2.0 } else { share + factor };
    }
    shares.push(100.0);
    shares
}

/// When each share is reached, in seconds after the start: evenly over the time of the strategy.
pub fn growth_schedule(strategy: &AppConfigStrategy) -> Vec<(f64, f64)> {
    let shares = percentages(strategy);
    let each = f64::from(strategy.duration_minutes) * 60.0 / shares.len() as f64;
    shares.into_iter().enumerate().map(|(step, share)| (each * (step + 1) as f64, share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(minutes: u32, growth: &str, factor: f64) -> AppConfigStrategy {
        AppConfigStrategy {
            id: "s".into(),
            name: "s".into(),
            duration_minutes: minutes,
            bake_minutes: 0,
            growth_type: growth.into(),
            growth_factor: factor,
        }
    }

    #[test]
    fn percentages_grow_as_documented() {
        assert_eq!(percentages(&strategy(600, "LINEAR", 20.0)), [20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(percentages(&strategy(20, "EXPONENTIAL", 10.0)), [10.0, 20.0, 40.0, 80.0, 100.0]);
        assert_eq!(percentages(&strategy(9, "EXPONENTIAL", 2.0))[..3], [2.0, 4.0, 8.0]);
        assert_eq!(percentages(&strategy(0, "LINEAR", 10.0)), [100.0]);
    }

    #[test]
    fn growth_is_spread_evenly_over_the_duration() {
        assert_eq!(growth_schedule(&strategy(1, "LINEAR", 50.0)), [(30.0, 50.0), (60.0, 100.0)]);
        assert_eq!(growth_schedule(&strategy(0, "LINEAR", 100.0)), [(0.0, 100.0)]);
    }
}
