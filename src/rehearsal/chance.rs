//! The embedded cloud's own dice: the same seed gives the same run. No other randomness is used in here.

use serde::Deserialize;

/// A span of seconds to choose from: `[8, 15]`, or one number for exactly that long.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(from = "SpanForm")]
pub struct Span {
    /// Shortest, in seconds.
    pub least: f64,
    /// Longest, in seconds.
    pub most: f64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpanForm {
    Exactly(f64),
    Between([f64; 2]),
}

impl From<SpanForm> for Span {
    fn from(form: SpanForm) -> Self {
        match form {
            SpanForm::Exactly(seconds) => Self { least: seconds, most: seconds },
            SpanForm::Between([least, most]) => Self { least, most },
        }
    }
}

/// Shorthand for a span of `least` to `most` seconds.
pub const fn span(least: f64, most: f64) -> Span {
    Span { least, most }
}

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub struct Chance(fastrand::Rng);

impl Default for Chance {
    fn default() -> Self {
        Self::seeded(0)
    }
}

impl Chance {
    /// Dice that always fall the same way for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Seconds out of the span.
    pub fn seconds(&mut self, span: Span) -> f64 {
        span.least + self.0.f64() * (span.most - span.least).max(0.0)
    }

    /// A number from 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        self.0.f64()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.0.u32(0..end.max(1))
    }

    /// `count` hexadecimal digits, as in task ids.
    pub fn hex(&mut self, count: usize) -> String {
        self.pick(b"0123456789abcdef", count)
    }

    /// `count` decimal digits without a leading zero, as in deployment ids.
    pub fn digits(&mut self, count: usize) -> String {
        let first = self.pick(b"123456789", 1);
        first + &self.pick(b"0123456789", count.saturating_sub(1))
    }

    /// `count` letters and digits, as in service deployment ids and access keys.
    pub fn token(&mut self, count: usize) -> String {
        self.pick(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count)
    }

    /// A UUID's shape.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn pick(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(alphabet[self.0.usize(0..alphabet.len())])).collect()
    }
}
