//! A duration as users write it: `90s`, `30m`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole hours, minutes and seconds, each at most once and in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// Whole minutes.
    pub const fn from_minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }

    /// In minutes, rounded up, because providers count in minutes.
    pub fn ceil_minutes(self) -> u64 {
        self.0.as_secs().div_ceil(60)
    }
}

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [('h', 3600), ('m', 60), ('s', 1)];
        let (mut total, mut rest, mut next) = (Duration::ZERO, text, 0);
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u64 = rest[..digits].parse().map_err(|_| invalid_duration(text))?;
            let Some(unit) = rest[digits..].chars().next() else {
                return Err(missing_unit_error(text, units.get(next).map(|(unit, _)| *unit)));
            };
            let found = units.iter().position(|(known, _)| *known == unit).filter(|at| *at >= next);
            let at = found.ok_or_else(|| invalid_duration(text))?;
            total += Duration::from_secs(number.saturating_mul(units[at].1).min(1 << 40));
            (rest, next) = (&rest[digits + unit.len_utf8()..], at + 1);
        }
        if next == 0 { Err(invalid_duration(text)) } else { Ok(Self(total)) }
    }
}

fn invalid_duration(text: &str) -> String {
    let near = probable_duration(text).map(|near| format!("; did you mean `{near}`")).unwrap_or_default();
    format!("`{text}` is not a time such as `90s`, `30m` or `1h30m`{near}")
}

/// One number with a unit that others use: `30 min`, `1.5h`, `2 days`.
fn probable_duration(text: &str) -> Option<HumanDuration> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let seconds = match unit.trim() {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    let total = number.parse::<f64>().ok().filter(|number| *number < 1000.0)? * seconds;
    (total >= 1.0).then(|| HumanDuration(Duration::from_secs(total.round() as u64)))
}

fn missing_unit_error(text: &str, unit: Option<char>) -> String {
    match unit {
        Some('h') => format!("`{text}` has no unit: write `{text}m` or `{text}s`"),
        Some(unit) => format!("`{text}` has no unit after its last number: write `{text}{unit}`"),
        None => invalid_duration(text),
    }
}

impl TryFrom<String> for HumanDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HumanDuration> for String {
    fn from(span: HumanDuration) -> Self {
        span.to_string()
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
        if seconds == 0 {
            return f.write_str("0s");
        }
        parts.iter().filter(|(count, _)| *count > 0).try_for_each(|(count, unit)| write!(f, "{count}{unit}"))
    }
}

impl schemars::JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A time such as `90s`, `30m` or `1h30m`.",
            "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
            "minLength": 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(text.parse(), Ok(HumanDuration(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["1h30m", "45s", "0s", "24h", "1h1m1s"] {
            assert_eq!(text.parse::<HumanDuration>().map(|span| span.to_string()).as_deref(), Ok(text));
        }
        for (text, near) in [("30 min", "30m"), ("1.5h", "1h30m"), ("1d", "24h"), ("90 Seconds", "1m30s")] {
            let why = text.parse::<HumanDuration>().unwrap_err();
            assert!(why.ends_with(&format!("did you mean `{near}`")), "{why}");
        }
        assert!(!"soon".parse::<HumanDuration>().unwrap_err().contains("did you mean"));
        assert_eq!("61s".parse::<HumanDuration>().map(HumanDuration::ceil_minutes), Ok(2));
    }
}
