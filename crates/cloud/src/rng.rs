//! The emulator's random number generator: the same seed gives the same run. Nothing else here is random.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A span of seconds to choose from: `[8, 15]`, or one number for exactly that long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondsRange {
    /// Shortest, in seconds.
    pub min: f64,
    /// Longest, in seconds.
    pub max: f64,
}

impl JsonSchema for SecondsRange {
    fn schema_name() -> Cow<'static, str> {
        "SecondsRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Seconds such as `8`, or the least and the most such as `[8, 15]`.",
            "anyOf": [
                { "type": "number" },
                { "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 },
            ],
        })
    }
}

impl<'de> Deserialize<'de> for SecondsRange {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SecondsVisitor)
    }
}

struct SecondsVisitor;

impl<'de> Visitor<'de> for SecondsVisitor {
    type Value = SecondsRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seconds such as `8`, or the least and the most such as `[8, 15]`")
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<SecondsRange, E> {
        Ok(seconds_range(seconds, seconds))
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<SecondsRange, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<SecondsRange, E> {
        self.visit_f64(seconds as f64)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SecondsRange, A::Error> {
        let (least, most) = (items.next_element::<f64>()?, items.next_element::<f64>()?);
        match (least, most, items.next_element::<f64>()?) {
            (Some(least), Some(most), None) => Ok(seconds_range(least, most)),
            _ => Err(A::Error::custom("two numbers are needed: the least and the most seconds")),
        }
    }
}

/// Shorthand for a span of `least` to `most` seconds.
pub const fn seconds_range(least: f64, most: f64) -> SecondsRange {
    SecondsRange { min: least, max: most }
}

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub struct Rng(fastrand::Rng);

impl Default for Rng {
    fn default() -> Self {
        Self::from_seed(0)
    }
}

impl Rng {
    /// A generator with the same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Seconds out of the span.
    pub fn pick_seconds(&mut self, span: SecondsRange) -> f64 {
        span.min + self.0.f64() * (span.max - span.min).max(0.0)
    }

    /// A number from 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        self.0.f64()
    }

    /// A number below `end`.
    pub fn number_below(&mut self, end: u32) -> u32 {
        self.0.u32(0..end.max(1))
    }

    /// `count` hexadecimal digits, as in task ids.
    pub fn hex_digits(&mut self, count: usize) -> String {
        self.pick_chars(b"0123456789abcdef", count)
    }

    /// `count` decimal digits without a leading zero, as in deployment ids.
    pub fn digits(&mut self, count: usize) -> String {
        let first = self.pick_chars(b"123456789", 1);
        first + &self.pick_chars(b"0123456789", count.saturating_sub(1))
    }

    /// `count` letters and digits, as in service deployment ids and access keys.
    pub fn token(&mut self, count: usize) -> String {
        self.pick_chars(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count)
    }

    /// A UUID's shape.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex_digits(32);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    fn pick_chars(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(alphabet[self.0.usize(0..alphabet.len())])).collect()
    }
}
