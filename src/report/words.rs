//! Small words that every sink shares: spans of time, short names, and text dressed for its place.

use std::time::Duration;

use jiff::Timestamp;

use super::markdown;
use crate::action::neutral::neutralise;

/// How a text from outside is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// For GitHub.
    Markdown,
    /// For a log or a terminal.
    Plain,
}

impl Dress {
    /// A name that stands in a sentence.
    pub fn name(self, outside: &str) -> String {
        match self {
            Self::Markdown => markdown::code(outside),
            Self::Plain => neutralise(outside),
        }
    }

    /// A sentence, in which backticks mean code.
    pub fn prose(self, outside: &str) -> String {
        match self {
            Self::Markdown => markdown::prose(outside),
            Self::Plain => neutralise(outside),
        }
    }
}

/// `48 s`, `1 min 12 s`, `2 h 5 min`; `–` for no time at all.
pub fn span(duration: Duration) -> String {
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
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `2026-11-21 12:03 UTC`.
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The first seven digits of a commit; text that is no commit stays as it is.
pub fn short_commit(sha: &str) -> &str {
    if is_commit(sha) { &sha[..7] } else { sha }
}

/// Whether `sha` is the hexadecimal name of a commit, 7 to 64 digits.
pub fn is_commit(sha: &str) -> bool {
    (7..=64).contains(&sha.len()) && sha.bytes().all(|b| b.is_ascii_hexdigit())
}

/// `1 problem`, `2 problems`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub fn and(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

/// A long value with digests cut to twelve digits and its middle left out beyond 60 characters.
pub fn brief(value: &str) -> String {
    let value = match value.split_once("sha256:") {
        Some((name, hex)) if hex.len() == 64 && hex.is_ascii() => format!("{name}sha256:{}…", &hex[..12]),
        _ => value.to_owned(),
    };
    let letters: Vec<char> = value.chars().collect();
    if letters.len() <= 60 {
        return value;
    }
    let part = |range: std::ops::Range<usize>| letters[range].iter().collect::<String>();
    format!("{}…{}", part(0..40), part(letters.len() - 16..letters.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_like_speech() {
        let cases =
            [(0, "–"), (48, "48 s"), (72, "1 min 12 s"), (120, "2 min"), (3600, "1 h"), (7530, "2 h 5 min")];
        for (seconds, words) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), words);
        }
        assert_eq!(span(Duration::from_millis(3)), "under 1 s");
    }

    #[test]
    fn only_a_commit_is_cut_to_seven() {
        assert_eq!(short_commit("c0ffee1234567"), "c0ffee1");
        assert_eq!(short_commit("üüüüüüüü"), "üüüüüüüü");
        assert_eq!(short_commit("main"), "main");
    }

    #[test]
    fn long_values_keep_their_ends() {
        assert_eq!(brief(&format!("a/b@sha256:{}", "c".repeat(64))), "a/b@sha256:cccccccccccc…");
        assert_eq!(brief(&"é".repeat(100)).chars().count(), 57);
    }

    #[test]
    fn lists_read_like_speech() {
        let parts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(
            [and(&parts[..0]), and(&parts[..1]), and(&parts[..2]), and(&parts)],
            ["", "a", "a and b", "a, b and c"]
        );
    }
}
