//! Percentiles and shares of response times: a mixture of log-normal parts, each with the noise of its own sample.

/// Response times of some requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatencySample {
    /// How many requests.
    pub requests: u64,
    /// Median, seconds.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub spread: f64,
    /// By how many standard errors this sample is slower than its distribution.
    pub sampling_error: f64,
}

/// The normal distribution function (Abramowitz and Stegun 26.2.17; error below 1e-7).
pub fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / 0.231_641_9_f64.mul_add(z.abs(), 1.0);
    let poly = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let sum = poly.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt() * sum;
    if z < 0.0 { tail } else { 1.0 - tail }
}

impl LatencySample {
    /// How many of the requests took at most so long; a whole number, as in a sample.
    fn count_within(&self, seconds: f64) -> f64 {
        if seconds <= 0.0 || self.requests == 0 {
            return 0.0;
        }
        let share = normal_cdf((seconds / self.median).ln() / self.spread.max(1e-6));
        let error = (share * (1.0 - share) / self.requests as f64).sqrt();
        let share = (self.sampling_error * -error + share).clamp(0.0, 1.0);
        (share * self.requests as f64).round()
    }

    fn mean(&self) -> f64 {
        self.median * (self.spread * self.spread / 2.0).exp()
    }
}

fn total_requests(parts: &[LatencySample]) -> f64 {
    parts.iter().map(|part| part.requests as f64).sum()
}

/// Percent of requests that took more than `from` and at most `to` seconds; `None` of no requests.
pub fn percentile_rank(parts: &[LatencySample], from: f64, to: f64) -> Option<f64> {
    let total = total_requests(parts);
    let within = |limit: f64| -> f64 {
        if limit.is_infinite() { total } else { parts.iter().map(|part| part.count_within(limit)).sum() }
    };
    (total > 0.0).then(|| (within(to) - within(from)).max(0.0) / total * 100.0)
}

/// The response time that `percent` of the requests do not exceed; `None` of no requests.
pub fn percentile(parts: &[LatencySample], percent: f64) -> Option<f64> {
    let total = total_requests(parts);
    if total <= 0.0 {
        return None;
    }
    let wanted = (total * percent / 100.0).clamp(0.5, total);
    let (mut low, mut high) = (0.0_f64, 3600.0_f64);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        let within: f64 = parts.iter().map(|part| part.count_within(middle)).sum();
        if within < wanted { low = middle } else { high = middle }
    }
    Some(high)
}

/// The mean response time; `None` of no requests.
pub fn mean(parts: &[LatencySample]) -> Option<f64> {
    let total = total_requests(parts);
    let sum: f64 = parts.iter().map(|part| part.mean() * part.requests as f64).sum();
    (total > 0.0).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: LatencySample =
        LatencySample { requests: 10_000, median: 0.1, spread: 0.5, sampling_error: 0.0 };

    #[test]
    fn percentiles_and_ranks_agree() {
        assert!((normal_cdf(1.96) - 0.975).abs() < 1e-4);
        let median = percentile(&[PLAIN], 50.0).unwrap();
        assert!((median - 0.1).abs() < 0.001, "{median}");
        let p99 = percentile(&[PLAIN], 99.0).unwrap();
        assert!((p99 - 0.1 * (0.5_f64 * 2.326).exp()).abs() < 0.01, "{p99}");
        assert!((percentile_rank(&[PLAIN], 0.0, p99).unwrap() - 99.0).abs() < 0.1);
        assert_eq!(percentile_rank(&[PLAIN], 0.0, f64::INFINITY), Some(100.0));
        let none = LatencySample { requests: 0, ..PLAIN };
        assert_eq!(
            (percentile(&[none], 50.0), percentile_rank(&[none], 0.0, 1.0), mean(&[])),
            (None, None, None)
        );
    }

    #[test]
    fn a_slow_part_is_seen_in_a_mixture() {
        let slow = LatencySample { median: 10.0, ..PLAIN };
        let share = percentile_rank(&[PLAIN, slow], 1.0, f64::INFINITY).unwrap();
        assert!((share - 50.0).abs() < 0.1, "{share}");
    }
}
