//! Seeded draws: the same seed gives the same traffic.

use std::f64::consts::TAU;

/// Above this variance a count is drawn from the rounded normal distribution.
const LARGE: f64 = 40.0;

/// A source of draws.
#[derive(Debug)]
pub(super) struct Chance(fastrand::Rng);

impl Chance {
    /// Draws that are the same for the same two numbers.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed ^ stream.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }

    /// An integer below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
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
        if mean > LARGE {
            return rounded(mean + mean.sqrt() * self.normal(), f64::MAX);
        }
        let (mut count, mut product, least) = (0, self.uniform(), (-mean).exp());
        while product > least {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// How many of `n` happen, each with chance `p`.
    pub(super) fn binomial(&mut self, n: u64, p: f64) -> u64 {
        let all = n as f64;
        if p > 0.5 {
            return n - self.binomial(n, 1.0 - p);
        }
        if all * p * (1.0 - p) > LARGE {
            let draw = all * p + (all * p * (1.0 - p)).sqrt() * self.normal();
            return rounded(draw, all);
        }
        // Inversion: from the chance of none upwards.
        let (mut left, mut chance, mut count) = (self.uniform(), (all * (-p).ln_1p()).exp(), 0);
        while left > chance && count < n {
            left -= chance;
            chance *= (all - count as f64) / (count as f64 + 1.0) * p / (1.0 - p);
            count += 1;
        }
        count
    }
}

fn rounded(value: f64, most: f64) -> u64 {
    value.round().clamp(0.0, most) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut(&mut Chance) -> f64) -> (f64, f64) {
        let mut chance = Chance::new(7, 7);
        let draws: Vec<f64> = (0..20_000).map(|_| draw(&mut chance)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        (mean, draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64)
    }

    #[test]
    fn draws_have_the_mean_and_the_variance_they_should() {
        let near = |(mean, variance): (f64, f64), m: f64, v: f64| {
            assert!((mean - m).abs() < 0.04 * m.max(1.0), "mean {mean}, not {m}");
            assert!((variance - v).abs() < 0.12 * v, "variance {variance}, not {v}");
        };
        near(moments(Chance::normal), 0.0, 1.0);
        near(moments(|c| c.gamma(0.25)), 1.0, 4.0);
        near(moments(|c| c.gamma(1.0)), 1.0, 1.0);
        near(moments(|c| c.poisson(0.5) as f64), 0.5, 0.5);
        near(moments(|c| c.poisson(600.0) as f64), 600.0, 600.0);
        near(moments(|c| c.binomial(54, 0.02) as f64), 1.08, 1.0584);
        near(moments(|c| c.binomial(600, 0.5) as f64), 300.0, 150.0);
        near(moments(|c| c.binomial(10, 0.9) as f64), 9.0, 0.9);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draws = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..9).map(|_| chance.poisson(5.0)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
    }
}
