//! Times as the cloud writes them. It reads no clock.

/// `2026-01-02T03:04:05Z`, with milliseconds when there are any; the epoch when out of range.
pub fn iso8601(epoch_seconds: f64) -> String {
    let millis = (epoch_seconds * 1000.0).round();
    // The cast saturates, and what is out of jiff's range is caught below.
    jiff::Timestamp::from_millisecond(millis as i64).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::iso8601;

    #[test]
    fn whole_seconds_fractions_and_nonsense() {
        assert_eq!(iso8601(1_767_225_600.0), "2026-01-01T00:00:00Z");
        assert_eq!(iso8601(0.25), "1970-01-01T00:00:00.25Z");
        assert_eq!(iso8601(f64::MAX), "1970-01-01T00:00:00Z");
    }
}
