//! Seeded random numbers: the same seed gives the same traffic.

use std::f64::consts::TAU;

/// Above this variance a count is drawn from the rounded normal distribution.
const NORMAL_APPROXIMATION_VARIANCE: f64 = 40.0;

/// A source of random numbers.
#[derive(Debug)]
pub(super) struct Rng(fastrand::Rng);

impl Rng {
    /// Random numbers that are the same for the same two seeds.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed ^ stream.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// An integer below `limit`.
    pub(super) fn index_below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit.max(1))
    }

    /// Above 0, at most 1.
    fn uniform(&mut self) -> f64 {
        1.0 - self.0.f64()
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (TAU * self.uniform()).cos()
    }

    /// Gamma with this shape and mean 1, by Marsaglia and Tsang.
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        let boost = if shape < 1.0 { self.uniform().powf(1.0 / shape) } else { 1.0 };
        let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
        loop {
            let x = self.normal();
            let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v * boost / shape;
            }
        }
    }

    /// Poisson with this mean.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean > NORMAL_APPROXIMATION_VARIANCE {
            return round_to_count(mean + mean.sqrt() * self.normal(), f64::MAX);
        }
        let (mut count, mut product, least) = (0, self.uniform(), (-mean).exp());
        while product > least {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// How many of `n` occur, each with probability `p`.
    pub(super) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        let all = n as f64;
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if all * p * (1.0 - p) > NORMAL_APPROXIMATION_VARIANCE {
            let draw = all * p + (all * p * (1.0 - p)).sqrt() * self.normal();
            return round_to_count(draw, all);
        }
        // Inversion: from the probability of none upwards.
        let (mut left, mut chance, mut count) = (self.uniform(), (all * (-p).ln_1p()).exp(), 0);
        while left > chance && count < n {
            left -= chance;
            chance *= (all - count as f64) / (count as f64 + 1.0) * p / (1.0 - p);
            count += 1;
        }
        count
    }
}

fn round_to_count(value: f64, most: f64) -> u64 {
    value.round().clamp(0.0, most) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_variance(mut draw: impl FnMut(&mut Rng) -> f64) -> (f64, f64) {
        let mut chance = Rng::new(7, 7);
        let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut chance)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        (mean, draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64)
    }

    #[test]
    fn random_numbers_have_the_expected_mean_and_variance() {
        let near = |(mean, variance): (f64, f64), m: f64, v: f64| {
            assert!((mean - m).abs() < 0.04 * m.max(1.0), "mean {mean}, not {m}");
            assert!((variance - v).abs() < 0.12 * v, "variance {variance}, not {v}");
        };
        near(mean_and_variance(Rng::normal), 0.0, 1.0);
        near(mean_and_variance(|c| c.gamma(0.25)), 1.0, 4.0);
        near(mean_and_variance(|c| c.gamma(1.0)), 1.0, 1.0);
        near(mean_and_variance(|c| c.poisson(0.5) as f64), 0.5, 0.5);
        near(mean_and_variance(|c| c.poisson(600.0) as f64), 600.0, 600.0);
        near(mean_and_variance(|c| c.binomial(54, 0.02) as f64), 1.08, 1.0584);
        near(mean_and_variance(|c| c.binomial(600, 0.5) as f64), 300.0, 150.0);
        near(mean_and_variance(|c| c.binomial(10, 0.9) as f64), 9.0, 0.9);
    }

    #[test]
    fn same_seed_gives_the_same_numbers() {
        let draws = |seed, stream| {
            let mut chance = Rng::new(seed, stream);
            (0..9).map(|_| chance.poisson(5.0)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
    }
}
