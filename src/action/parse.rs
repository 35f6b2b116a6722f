//! Parsers for the values of inputs: an error names the problem and the expected form.

use std::time::Duration;

use crate::release::HumanDuration;
use crate::release::aws_values;

/// The minimum and maximum timeout of an operation.
const TIMEOUT_BOUNDS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));

/// The parts of a list, separated by commas or lines, trimmed, without empty ones.
pub(super) fn list(text: &str) -> Vec<&str> {
    text.split([',', '\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The lines of a value, trimmed, without empty ones.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// A duration such as `90s`, `30m` or `1h30m`, from a minute to a day.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let HumanDuration(span) = text.parse()?;
    if span < TIMEOUT_BOUNDS.0 || span > TIMEOUT_BOUNDS.1 {
        return Err(format!("`{text}` is not between 1m and 24h"));
    }
    Ok(span)
}

/// A region such as `eu-west-1`.
pub(super) fn region(text: &str) -> Result<String, String> {
    aws_values::check_region(text).map(|()| text.to_owned())
}

/// `arn:aws:iam::111111111111:role/name`, in any partition.
pub(super) fn role(text: &str) -> Result<String, String> {
    aws_values::check_role(text).map(|()| text.to_owned())
}

/// A name on one line, without control characters.
pub(super) fn name(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("it contains a line break or another control character".into());
    }
    if text.len() > 512 {
        return Err(format!("it has {} bytes; the maximum is 512", text.len()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("1h0m1s", 3601), ("24h", 86400)]
        {
            assert_eq!(timeout(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected() {
        let huge = "99999999999999999999h";
        for text in
            ["", "30", "m", "-5m", "1.5h", "30 m", "30min", "1m1h", "1m1m", "٣m", "1d", "59s", "25h", huge]
        {
            assert!(timeout(text).is_err(), "{text}");
        }
        assert!(timeout("18446744073709551615h59m").is_err(), "no overflow");
    }

    #[test]
    fn missing_unit_is_reported() {
        assert_eq!(timeout("2h30").unwrap_err(), "`2h30` has no unit after its last number: write `2h30m`");
        assert_eq!(timeout("30").unwrap_err(), "`30` has no unit: write `30m` or `30s`");
    }

    #[test]
    fn lists_are_split_at_commas_and_lines() {
        assert_eq!(list(" a, b\r\n c ,,\n"), ["a", "b", "c"]);
        assert_eq!(lines("a=1,2\r\n\n b "), ["a=1,2", "b"]);
    }

    #[test]
    fn regions_and_roles_are_validated() {
        for good in ["eu-west-1", "us-gov-east-1", "ap-southeast-12"] {
            assert!(region(good).is_ok(), "{good}");
        }
        for bad in ["eu-west", "EU-WEST-1", "eu_west_1", "1", "eu--1", "eu-west-1\n"] {
            assert!(region(bad).is_err(), "{bad}");
        }
        assert!(role("arn:aws-cn:iam::111111111111:role/a/b").is_ok());
        for bad in [
            "deploy",
            "arn:aws:iam::1:role/x",
            "arn:aws:iam::111111111111:user/x",
            "arn:aws:iam::111111111111:role/",
        ] {
            assert!(role(bad).is_err(), "{bad}");
        }
    }
}
