//! Text as YAML: a scalar that reads back unchanged, and a comment that stays a comment. Pure.

use crate::action::sanitize;

/// Words that YAML reads as something else than text.
const RESERVED_WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// `text` as a scalar, on one line, in a block or between brackets.
pub fn scalar(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/".contains(&b);
    let reserved = RESERVED_WORDS.contains(&text.to_ascii_lowercase().as_str());
    let simple = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(plain) && !reserved;
    if simple { text.to_owned() } else { quote(text) }
}

/// A scalar in which text that looks like a placeholder is escaped.
pub fn value_scalar(text: &str) -> String {
    scalar(&text.replace("${", "$${"))
}

/// Double-quoted, with everything but printable ASCII escaped.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ if u32::from(c) <= 0xffff => out += &format!("\\u{:04x}", u32::from(c)),
            _ => out += &format!("\\U{:08x}", u32::from(c)),
        }
    }
    out + "\""
}

/// Untrusted text inside a comment: one line, without invisible characters.
pub fn comment(text: &str) -> String {
    sanitize::sanitize_line(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::tree;

    fn read(yaml: &str) -> serde_json::Value {
        tree::parse("x.yml", yaml).unwrap().to_value()
    }

    #[test]
    fn scalar_plain_text_is_not_quoted() {
        for text in ["backend", "acme/backend", "acme-5xx", "v1.2"] {
            assert_eq!(scalar(text), text);
        }
        for text in
            ["", "1", "0x1f", "true", "No", "null", "~", "-", "a: b", "a #b", "*x", "&x", "!x", "\u{85}"]
        {
            assert!(scalar(text).starts_with('"'), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC*|[\\x00-\\x7f]*|(\\$?\\$\\{sha\\}|[\"'\\\\:#,\\[\\]{}&*!|>% \\n\u{85}\u{2028}])*") {
            let name = scalar(&text);
            let expected = serde_json::json!({ "a": [text], "b": { "c": text }, "d": text });
            prop_assert_eq!(read(&format!("a: [{name}]\nb: {{ c: {name} }}\nd: {name}\n")), expected);
        }

        #[test]
        fn a_comment_stays_a_comment(text in "\\PC*|[\\x00-\\x7f]*|[\\r\\n\u{85}\u{2028}a:]*") {
            let yaml = format!("a: 1 # {}\nb: 2\n", comment(&text));
            prop_assert_eq!(read(&yaml), serde_json::json!({ "a": 1, "b": 2 }));
        }
    }
}
