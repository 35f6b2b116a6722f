//! Random counts from the cloud's dice: Poisson, binomial, normal. Exact for small means, normal beyond.

use super::super::chance::Chance;

/// A standard normal number (Box and Muller).
pub fn normal(chance: &mut Chance) -> f64 {
    let (radius, angle) = (1.0 - chance.unit(), chance.unit());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// A Poisson count.
pub fn poisson(chance: &mut Chance, mean: f64) -> u64 {
    if mean <= 0.0 {
        return 0;
    }
    if mean > 100.0 {
        return normal(chance).mul_add(mean.sqrt(), mean).round().max(0.0) as u64;
    }
    let (limit, mut product, mut count) = ((-mean).exp(), chance.unit(), 0);
    while product > limit {
        product *= chance.unit();
        count += 1;
    }
    count
}

/// How many of `n` are struck, each with probability `p`.
pub fn binomial(chance: &mut Chance, n: u64, p: f64) -> u64 {
    let p = p.clamp(0.0, 1.0);
    if n <= 300 {
        return (0..n).filter(|_| chance.unit() < p).count() as u64;
    }
    if p > 0.5 {
        return n - binomial(chance, n, 1.0 - p);
    }
    let mean = n as f64 * p;
    if mean < 30.0 {
        return poisson(chance, mean).min(n);
    }
    let count = normal(chance).mul_add((mean * (1.0 - p)).sqrt(), mean).round();
    (count.max(0.0) as u64).min(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(draw: impl Fn(&mut Chance) -> u64) -> f64 {
        let mut chance = Chance::seeded(7);
        (0..4000).map(|_| draw(&mut chance) as f64).sum::<f64>() / 4000.0
    }

    #[test]
    fn means_are_what_they_should_be() {
        assert!((mean(|c| poisson(c, 3.0)) - 3.0).abs() < 0.15);
        assert!((mean(|c| poisson(c, 600.0)) - 600.0).abs() < 2.0);
        assert!((mean(|c| binomial(c, 60, 0.05)) - 3.0).abs() < 0.15);
        assert!((mean(|c| binomial(c, 5000, 0.02)) - 100.0).abs() < 1.0);
        assert_eq!(binomial(&mut Chance::seeded(1), 5000, 1.0), 5000);
        assert_eq!(poisson(&mut Chance::seeded(1), 0.0), 0);
    }
}
