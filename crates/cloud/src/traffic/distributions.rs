//! Random counts from the emulator's generator: Poisson, binomial, normal. Exact for small means, normal beyond.

use super::super::rng::Rng;

/// A standard normal number (Box and Muller).
pub fn sample_normal(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.fraction(), rng.fraction());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// A Poisson count.
pub fn sample_poisson(rng: &mut Rng, mean: f64) -> u64 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > 100.0 {
        return sample_normal(rng).mul_add(mean.sqrt(), mean).round().max(0.0) as u64;
    }
    let (limit, mut product, mut count) = ((-mean).exp(), rng.fraction(), 0);
    while product > limit {
        product *= rng.fraction();
        count += 1;
    }
    count
}

/// How many of `n` events happen, each with probability `p`.
pub fn sample_binomial(rng: &mut Rng, n: u64, p: f64) -> u64 {
    let p = p.clamp(0.0, 1.0);
    if n <= 300 {
        return (0..n).filter(|_| rng.fraction() < p).count() as u64;
    }
    if p > 0.5 {
        return n - sample_binomial(rng, n, 1.0 - p);
    }
    let mean = n as f64 * p;
    if mean < 30.0 {
        return sample_poisson(rng, mean).min(n);
    }
    let count = sample_normal(rng).mul_add((mean * (1.0 - p)).sqrt(), mean).round();
    (count.max(0.0) as u64).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(draw: impl Fn(&mut Rng) -> u64) -> f64 {
        let mut rng = Rng::from_seed(7);
        (0..4000).map(|_| draw(&mut rng) as f64).sum::<f64>() / 4000.0
    }

    #[test]
    fn means_are_what_they_should_be() {
        assert!((mean(|c| sample_poisson(c, 3.0)) - 3.0).abs() < 0.15);
        assert!((mean(|c| sample_poisson(c, 600.0)) - 600.0).abs() < 2.0);
        assert!((mean(|c| sample_binomial(c, 60, 0.05)) - 3.0).abs() < 0.15);
        assert!((mean(|c| sample_binomial(c, 5000, 0.02)) - 100.0).abs() < 1.0);
        assert_eq!(sample_binomial(&mut Rng::from_seed(1), 5000, 1.0), 5000);
        assert_eq!(sample_poisson(&mut Rng::from_seed(1), 0.0), 0);
    }
}
