//! How the share of the clients that get a new configuration grows
//! (<https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-deployment-strategy.html>). Pure.

use super::state::Strategy;

/// The shares in percent, in order; the last is 100. Linear adds the factor each time, exponential doubles it: `G*(2^N)`.
pub fn shares(strategy: &Strategy) -> Vec<f64> {
    if strategy.minutes == 0 {
        return vec![100.0];
    }
    let factor = strategy.factor.clamp(1.0, 100.0);
    let mut shares = Vec::new();
    let mut share = factor;
    while share < 100.0 {
        shares.push(share);
        share = if strategy.growth == "EXPONENTIAL" { share * 2.0 } else { share + factor };
    }
    shares.push(100.0);
    shares
}

/// When each share is reached, in seconds after the start: evenly over the time of the strategy.
pub fn schedule(strategy: &Strategy) -> Vec<(f64, f64)> {
    let shares = shares(strategy);
    let each = f64::from(strategy.minutes) * 60.0 / shares.len() as f64;
    shares.into_iter().enumerate().map(|(step, share)| (each * (step + 1) as f64, share)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(minutes: u32, growth: &str, factor: f64) -> Strategy {
        Strategy { id: "s".into(), name: "s".into(), minutes, bake: 0, growth: growth.into(), factor }
    }

    #[test]
    fn shares_grow_as_the_documentation_says() {
        assert_eq!(shares(&strategy(600, "LINEAR", 20.0)), [20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(shares(&strategy(20, "EXPONENTIAL", 10.0)), [10.0, 20.0, 40.0, 80.0, 100.0]);
        assert_eq!(shares(&strategy(9, "EXPONENTIAL", 2.0))[..3], [2.0, 4.0, 8.0]);
        assert_eq!(shares(&strategy(0, "LINEAR", 10.0)), [100.0]);
    }

    #[test]
    fn they_are_spread_evenly_over_the_time() {
        assert_eq!(schedule(&strategy(1, "LINEAR", 50.0)), [(30.0, 50.0), (60.0, 100.0)]);
        assert_eq!(schedule(&strategy(0, "LINEAR", 100.0)), [(0.0, 100.0)]);
    }
}
