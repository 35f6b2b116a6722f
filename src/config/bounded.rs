//! Values of a strategy with bounds, so that an error points at its line. No meaning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parsed_string::parsed_string;
use crate::release::HumanDuration;

/// Declares a number with bounds.
macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident($number:ty, $low:literal..=$high:literal), $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "u64")]
        pub struct $name(#[schemars(range(min = $low, max = $high))] pub $number);

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(value: u64) -> Result<Self, String> {
                let fits = <$number>::try_from(value).ok().filter(|value| ($low..=$high).contains(value));
                fits.map(Self).ok_or_else(|| format!("{value} is not between {} and {} {}", $low, $high, $what))
            }
        }
    };
}

bounded_number!(
    /// The weight of a canary, in percent.
    CanaryPercent(u8, 1..=99), "percent"
);
bounded_number!(
    /// The step of a linear shift, in percent (ECS: 3 to 100; above 50 there would be one step).
    StepPercent(u8, 3..=50), "percent"
);

bounded_number!(
    /// Requests to a URL per minute.
    PerMinute(u16, 1..=600), "requests per minute"
);
bounded_number!(
    /// An HTTP status.
    Status(u16, 100..=599), "as an HTTP status is"
);
bounded_number!(
    /// A latency limit: up to an hour.
    Milliseconds(u32, 1..=3_600_000), "milliseconds"
);

impl Default for PerMinute {
    fn default() -> Self {
        Self(60)
    }
}

impl Status {
    /// 200.
    pub const OK: Self = Self(200);
}

impl Default for Status {
    fn default() -> Self {
        Self::OK
    }
}

/// A bake time, up to 24 hours: the maximum of ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "HumanDuration")]
#[schemars(with = "HumanDuration")]
pub struct Bake(pub HumanDuration);

impl TryFrom<HumanDuration> for Bake {
    type Error = String;

    fn try_from(span: HumanDuration) -> Result<Self, String> {
        let fits = span <= HumanDuration::from_minutes(24 * 60);
        fits.then_some(Self(span)).ok_or_else(|| format!("{span} is longer than 24h"))
    }
}

/// Hundredths of a percentage point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64")]
#[schemars(with = "f64")]
pub struct Margin(pub u32);

impl Margin {
    /// As a fraction: 1 percentage point is 0.01.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl TryFrom<f64> for Margin {
    type Error = String;

    fn try_from(points: f64) -> Result<Self, String> {
        if !(0.05..=50.0).contains(&points) {
            return Err(format!("{points} is not between 0.05 and 50 percentage points"));
        }
        Ok(Self((points * 100.0).round() as u32))
    }
}

parsed_string!(
    /// An HTTP or HTTPS URL, without credentials in it.
    Address, check_address
);
parsed_string!(
    /// A PromQL query.
    Query, check_query
);

fn check_address(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or_else(|| format!("`{text}` does not begin with `https://` or `http://`"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err("a URL must not contain credentials, because logs would show them".into());
    }
    let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    let named = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    if !named || !text.chars().all(plain) || text.len() > 2000 {
        return Err(format!("`{text}` is not a URL"));
    }
    Ok(())
}

/// The maximum that fits into the URL of a request to the server.
const MAX_QUERY_BYTES: usize = 4000;

fn check_query(text: &str) -> Result<(), String> {
    match text.len() {
        _ if text.trim().is_empty() => Err("the query is empty".into()),
        length if length > MAX_QUERY_BYTES => {
            Err(format!("the query has {length} bytes, more than {MAX_QUERY_BYTES}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_are_accepted() {
        for good in ["https://x.example/a?b=c", "http://127.0.0.1:9090", "http://[::1]:80/x"] {
            assert!(Address::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "x.example",
            "ftp://x",
            "file:///etc/passwd",
            "https://",
            "https:///a",
            "https://u:p@x",
            "http://a b",
            "http://x\n",
            "http://-x",
            "https://x/{{variant}}",
        ] {
            assert!(Address::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        assert_eq!(PerMinute::try_from(600), Ok(PerMinute(600)));
        assert!(PerMinute::try_from(0).is_err() && PerMinute::try_from(601).is_err());
        assert!(Status::try_from(99).is_err() && Status::try_from(70_000).is_err());
        assert!(Margin::try_from(f64::NAN).is_err() && Margin::try_from(0.01).is_err());
    }
}
