//! Text formatting that every sink shares: durations, short names, and text for its sink.

use std::time::Duration;

use jiff::Timestamp;

use super::markdown;
use crate::action::sanitize::sanitize_line;
use crate::release::LogLine;

/// Characters of a value that still fit into a cell.
const MAX_VALUE_CHARS: usize = 60;

/// How untrusted text is escaped for its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// For GitHub.
    Markdown,
    /// For a log or a terminal.
    Plain,
}

impl TextStyle {
    /// A name inside a sentence.
    pub fn format_name(self, outside: &str) -> String {
        match self {
            Self::Markdown => markdown::code_span(outside),
            Self::Plain => sanitize_line(outside),
        }
    }

    /// A sentence, in which backticks mean code.
    pub fn format_prose(self, outside: &str) -> String {
        match self {
            Self::Markdown => markdown::escape(outside),
            Self::Plain => sanitize_line(outside),
        }
    }
}

/// `48 s`, `1 min 12 s`, `2 h 5 min`; `–` for no time at all.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) if duration.is_zero() => "–".into(),
        (0, 0, 0) => "under 1 s".into(),
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// `12:03:42`, in UTC.
pub fn format_time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// A log line with its time, if that is known.
pub fn log_line(line: &LogLine) -> String {
    match line.time() {
        Some(at) => format!("{} {}", format_time(at), line.text),
        None => line.text.clone(),
    }
}

/// `2026-11-21 12:03 UTC`.
pub fn format_date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The first seven digits of a commit; other text stays as it is.
pub fn short_commit(sha: &str) -> &str {
    if is_commit(sha) { &sha[..7] } else { sha }
}

/// Whether `sha` is the hexadecimal name of a commit, 7 to 64 digits.
pub fn is_commit(sha: &str) -> bool {
    (7..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `1 problem`, `2 problems`.
pub fn pluralize(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub fn join_with_and(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

/// A long value with digests cut to twelve digits. Beyond 60 characters an image loses its registry, then anything its
/// middle.
pub fn truncate(value: &str) -> String {
    let value = match value.split_once("sha256:") {
        Some((name, hex)) if hex.len() == 64 && hex.is_ascii() => format!("{name}sha256:{}…", &hex[..12]),
        _ => value.to_owned(),
    };
    let value = if value.chars().count() > MAX_VALUE_CHARS { without_registry(&value) } else { value };
    let letters: Vec<char> = value.chars().collect();
    if letters.len() <= MAX_VALUE_CHARS {
        return value;
    }
    let part = |range: std::ops::Range<usize>| letters[range].iter().collect::<String>();
    format!("{}…{}", part(0..40), part(letters.len() - 16..letters.len()))
}

/// `…/backend@sha256:0123` for an image whose name begins with a host; anything else as it is.
fn without_registry(value: &str) -> String {
    match value.split_once('/') {
        Some((host, name)) if host.contains('.') && !value.contains("://") && !value.contains(' ') => {
            format!("…/{name}")
        }
        _ => value.to_owned(),
    }
}

/// `text` with the resource alone in place of each ARN: `task/acme/5d2e` for `arn:aws:ecs:eu-west-1:1:task/acme/5d2e`.
pub fn shorten_arns(text: &str) -> String {
    let mut parts = text.split("arn:aws");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.splitn(5, ':').nth(4) {
            // Partition, service, region and account have no blanks in them.
            Some(resource) if !part[..part.len() - resource.len()].contains(char::is_whitespace) => {
                out.push_str(resource);
            }
            _ => out.push_str(&format!("arn:aws{part}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_formatted_for_people() {
        let cases =
            [(0, "–"), (48, "48 s"), (72, "1 min 12 s"), (120, "2 min"), (3600, "1 h"), (7530, "2 h 5 min")];
        for (seconds, words) in cases {
            assert_eq!(format_duration(Duration::from_secs(seconds)), words);
        }
        assert_eq!(format_duration(Duration::from_millis(3)), "under 1 s");
    }

    #[test]
    fn only_a_commit_is_cut_to_seven() {
        assert_eq!(short_commit("c0ffee1234567"), "c0ffee1");
        assert_eq!(short_commit("üüüüüüüü"), "üüüüüüüü");
        assert_eq!(short_commit("main"), "main");
    }

    #[test]
    fn long_values_are_truncated_in_the_middle() {
        assert_eq!(truncate(&format!("a/b@sha256:{}", "c".repeat(64))), "a/b@sha256:cccccccccccc…");
        assert_eq!(truncate(&"é".repeat(100)).chars().count(), 57);
    }

    #[test]
    fn long_images_keep_repository_and_digest() {
        let host = "111111111111.dkr.ecr.eu-west-1.amazonaws.com";
        let image = format!("{host}/acme/backend@sha256:{}", "c".repeat(64));
        assert_eq!(truncate(&image), "…/acme/backend@sha256:cccccccccccc…");
        assert_eq!(truncate(&format!("{host}/acme/backend:1")), format!("{host}/acme/backend:1"));
        let address = format!("https://acme.dev/{}", "x".repeat(60));
        assert!(truncate(&address).starts_with("https://acme.dev/"));
    }

    #[test]
    fn arns_are_shortened_to_their_resource() {
        let text = "registered 1 targets in (target-group arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/f0) of arn:aws-cn:ecs:r:1:task/c/x";
        assert_eq!(shorten_arns(text), "registered 1 targets in (target-group targetgroup/a/f0) of task/c/x");
        for text in ["no arn here", "arn:aws", "arn:aws is a word: a: b: c: d"] {
            assert_eq!(shorten_arns(text), text);
        }
    }

    #[test]
    fn lists_are_joined_with_and() {
        let parts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            [
                join_with_and(&parts[..0]),
                join_with_and(&parts[..1]),
                join_with_and(&parts[..2]),
                join_with_and(&parts)
            ],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
