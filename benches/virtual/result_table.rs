//! Numbers, what they come to, and the board that shows them beside their targets.

use std::process::ExitCode;

/// Numbers of one kind.
#[derive(Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub(crate) fn push(&mut self, number: f64) {
        self.0.push(number);
    }

    /// Their mean.
    pub(crate) fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// The number that this share of them does not exceed (nearest rank).
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }
}

/// Where lines go; it counts the targets.
#[derive(Default)]
pub(crate) struct ResultTable {
    met: u32,
    missed: u32,
}

impl ResultTable {
    /// A heading.
    pub(crate) fn print_title(&self, words: &str) {
        println!("\n{words}");
    }

    /// A detection lag in seconds: success has its mean and its p95 bounded, a failure its p95.
    pub(crate) fn print_lag(&mut self, name: &str, lags: &Samples, success: bool) {
        let (mean, p95, most) = (lags.mean(), lags.quantile(0.95), lags.quantile(1.0));
        let met = p95 <= 5.0 && (!success || mean <= 2.0);
        let target = if success { "mean ≤ 2 s, p95 ≤ 5 s" } else { "p95 ≤ 5 s" };
        self.print_row(
            name,
            &format!("lag mean {mean:5.2} s  p95 {p95:5.2} s  max {most:5.2} s"),
            target,
            met,
        );
    }

    /// Calls per second; the mean is bounded.
    pub(crate) fn print_rate(&mut self, name: &str, rates: &Samples, bound: f64) {
        let (mean, p95) = (rates.mean(), rates.quantile(0.95));
        self.print_row(
            name,
            &format!("mean {mean:5.2} /s  p95 {p95:5.2} /s"),
            &format!("mean ≤ {bound}"),
            mean <= bound,
        );
    }

    /// A count without a target.
    pub(crate) fn print_count(&self, name: &str, counts: &Samples) {
        println!("{name:<40} mean {:5.2}     max {:5}", counts.mean(), counts.quantile(1.0));
    }

    /// Any figure with its target.
    pub(crate) fn print_row(&mut self, name: &str, figure: &str, target: &str, met: bool) {
        if met {
            self.met += 1
        } else {
            self.missed += 1
        }
        println!("{name:<40} {figure:<46} {target:<24} {}", if met { "met" } else { "MISSED" });
    }

    /// The last line, and the exit code that says the same.
    pub(crate) fn finish(&self) -> ExitCode {
        println!("\n{} targets met, {} missed", self.met, self.missed);
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
