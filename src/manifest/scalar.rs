//! A string as a YAML scalar: its quotes, and whether existing text is parsed as that string by every
//! parser, of YAML 1.1 (go-yaml, PyYAML, Ruby) and of YAML 1.2. If in doubt it is quoted.

use granit_parser::ScalarStyle;

/// The context of a scalar, as far as it decides on quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ScalarContext {
    /// Inside `{}` or `[]`.
    pub(super) in_flow: bool,
    /// The key next to it is in double quotes, as in JSON.
    pub(super) in_json: bool,
}

/// `text` as a scalar. `style` is that of the previous scalar, which is kept if possible.
pub(super) fn format_scalar(text: &str, style: Option<ScalarStyle>, context: ScalarContext) -> String {
    match style {
        Some(ScalarStyle::SingleQuoted) if text.chars().all(is_printable) => single_quoted(text),
        None | Some(ScalarStyle::Plain) if !context.in_json && is_plain(text, context.in_flow) => {
            text.to_owned()
        }
        _ => double_quoted(text),
    }
}

/// Whether a plain `text` is a string to every parser, and allowed in its context.
///
/// Narrower than YAML allows: ASCII words with the punctuation of image references, and nothing else.
pub(super) fn is_plain(text: &str, flow: bool) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"._-/@+=".contains(&b) || (b == b':' && !flow);
    let edges = [text.bytes().next(), text.bytes().last()];
    edges.iter().all(|edge| edge.is_some_and(|b| b.is_ascii_alphanumeric()))
        && text.bytes().all(word)
        && !needs_quotes(text)
}

/// Whether a plain `text` is a number, a boolean, null, a date or a special key to some parser.
///
/// The union of YAML 1.2's core schema (chapter 10.3.2), YAML 1.1's types (yaml.org/type) and what go-yaml adds:
/// underscores in every number, prefixes in upper case.
pub(super) fn needs_quotes(text: &str) -> bool {
    const WORDS: [&str; 14] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "=", ".nan"];
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
        || unsigned.eq_ignore_ascii_case(".inf")
        || is_number(&unsigned.replace('_', "").to_ascii_lowercase())
        || is_date(text)
}

/// An integer of any base, a decimal fraction, an exponent, or digits in sixties; without sign and underscores.
fn is_number(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let digits = |text: &str, base| !text.is_empty() && text.chars().all(|c| c.is_digit(base));
    let based = [("0x", 16), ("0o", 8), ("0b", 2)];
    if let Some((prefix, base)) = based.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return digits(&text[prefix.len()..], *base);
    }
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(m, e)| (m, Some(e)));
    if exponent.is_some_and(|e| !digits(e.strip_prefix(['+', '-']).unwrap_or(e), 10)) {
        return false;
    }
    let (head, tail) = mantissa.rsplit_once(':').unwrap_or(("", mantissa));
    let sixties = head.is_empty() || head.split(':').all(|part| digits(part, 10));
    let fraction = tail.bytes().filter(|b| *b == b'.').count() <= 1;
    sixties && fraction && tail.bytes().any(|b| b.is_ascii_digit()) && digits(&tail.replace('.', ""), 10)
}

/// Begins like a date: `2024-01-02`, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let part = |part: Option<&str>, lengths: [usize; 2]| {
        part.is_some_and(|it| lengths.contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit()))
    };
    let day = |text: &str| {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
        (1..=2).contains(&(text.len() - rest.len()))
            && (rest.is_empty() || rest.starts_with(['T', 't', ' ', '\t']))
    };
    part(parts.next(), [4, 4]) && part(parts.next(), [1, 2]) && parts.next().is_some_and(day)
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// With the escapes of chapter 5.7 that JSON has too, so that a JSON file stays one.
fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

/// Can be in quotes unchanged: printable, and no line break to any parser.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_some_parser_reads_as_another_type_is_quoted() {
        for text in [
            "",
            "~",
            "null",
            "Null",
            "true",
            "FALSE",
            "yes",
            "No",
            "on",
            "OFF",
            "y",
            "N",
            "1",
            "10",
            "1.10",
            "0123",
            "0o17",
            "0O17",
            "0x1f",
            "0X1F",
            "0b11",
            "1e3",
            "1E3",
            "12e03456",
            "12e+3",
            "1_000",
            "1__0",
            ".5",
            "5.",
            "+1",
            "-1",
            "+.inf",
            ".INF",
            ".NaN",
            "12:30:45",
            "1:30",
            "190:20:30.15",
            "2024-01-01",
            "2024-1-2",
            "2001-12-14t21:59:43.10-05:00",
            "<<",
            "=",
            "08",
            "1.5e-7",
            "685_230.15",
            "0x_0A_74_AE",
            "1e1_0",
        ] {
            assert!(needs_quotes(text), "{text}");
            assert!(!is_plain(text, false), "{text}");
        }
    }

    #[test]
    fn text_that_every_parser_reads_as_a_string_stays_plain() {
        for text in [
            "1.2.3",
            "v1",
            "v1.10",
            "1.2.3-rc.1",
            "sha-0123456",
            "1a2b3c4",
            "c0ffee1",
            "latest",
            "0x",
            "1e",
            "e1",
            "12e",
            "0xyz",
            "2024-01-01-abc",
            "2024.01.01",
            "20240101-120000",
            "1.2.3.4",
            "nope",
            "one",
            "acme/app:1.2",
            "localhost:5000/app@sha256:00",
            "2024-01-01_1",
            "1-2",
            "12-34-56",
            "0.1-2",
        ] {
            assert!(is_plain(text, false), "{text}");
        }
    }

    #[test]
    fn punctuation_is_never_left_plain() {
        for text in [
            "a: b", "a #b", " a", "a ", "a:", "- a", "-a", "&a", "*a", "!a", "{a", "[a", "%a", "@a", "`a",
            "#a",
        ] {
            assert!(!is_plain(text, false), "{text}");
        }
        assert!(!is_plain("a:b", true));
    }

    #[test]
    fn previous_style_is_kept() {
        let block = ScalarContext::default();
        let write_as = |text, style| format_scalar(text, Some(style), block);
        assert_eq!(write_as("1.2", ScalarStyle::SingleQuoted), "'1.2'");
        assert_eq!(write_as("v1", ScalarStyle::DoubleQuoted), "\"v1\"");
        assert_eq!(write_as("v1", ScalarStyle::Plain), "v1");
        assert_eq!(write_as("1.10", ScalarStyle::Plain), "\"1.10\"");
        assert_eq!(write_as("it's", ScalarStyle::SingleQuoted), "'it''s'");
        assert_eq!(format_scalar("v1", None, ScalarContext { in_flow: true, in_json: true }), "\"v1\"");
        assert_eq!(
            format_scalar("a\u{1}\"\\\u{2028}\u{7f}\n", None, block),
            r#""a\u0001\"\\\u2028\u007f\n""#
        );
        assert_eq!(format_scalar("a\nb", Some(ScalarStyle::SingleQuoted), block), r#""a\nb""#);
    }
}
