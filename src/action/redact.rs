//! Secrets in every form that decodes to them, and user info in URLs: `***` in every text that leaves this process.

use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::decode::decoded_views;
use super::user_info;

/// The replacement of a secret.
pub const MASK: &str = "***";
/// Shorter texts are not masked: that would hide half of the log and protect nothing.
const MIN_SECRET_CHARS: usize = 4;
/// Encoded forms shorter than this appear by chance.
const MIN_ENCODED_CHARS: usize = 8;
/// Common words that are never secrets.
const COMMON_WORDS: [&str; 4] = ["true", "false", "null", "none"];

/// A text that is never printed: `Debug` shows `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the caller that must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// How often a text is decoded: a secret in base64 in a percent-encoded text needs two.
const MAX_DECODINGS: usize = 3;

/// Every form of every registered secret.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The secrets themselves; they are also looked for in decoded texts.
    secrets: Vec<String>,
    forms: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.forms.len())
    }
}

impl Redactor {
    /// Registers a secret and returns the texts that the runner must mask: each of its lines, if it is new.
    /// Lines that are too short or too common to mask are left out, since the runner would mask even `}`.
    pub fn register(&mut self, secret: &Secret) -> Vec<String> {
        let before = self.forms.len();
        let lines: Vec<String> = secret_lines(secret.reveal()).map(str::to_owned).collect();
        for text in std::iter::once(secret.reveal().trim()).chain(lines.iter().map(String::as_str)) {
            self.register_forms(text);
        }
        if self.forms.len() == before { Vec::new() } else { lines }
    }

    fn register_forms(&mut self, text: &str) {
        if !is_worth_masking(text) {
            return;
        }
        if !self.secrets.iter().any(|known| known == text) {
            self.secrets.push(text.to_owned());
        }
        for form in encoded_forms(text) {
            if !self.forms.contains(&form) {
                self.forms.push(form);
            }
        }
    }

    /// `text` with `***` in place of every secret, in whatever form, and of the user info of every URL. Overlapping
    /// matches become one.
    pub fn redact(&self, text: &str) -> String {
        let forms = self.forms.iter().flat_map(|form| occurrences(text, form));
        let mut found: Vec<Range<usize>> = forms.chain(user_info::find(text)).collect();
        found.extend(self.find_decoded(text.as_bytes(), MAX_DECODINGS));
        if found.is_empty() {
            return text.to_owned();
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
        for Range { start, end } in found {
            // What starts before `at` overlaps with what was just masked.
            if start >= at {
                out.extend_from_slice(&text.as_bytes()[at..start]);
                out.extend_from_slice(MASK.as_bytes());
            }
            at = at.max(end);
        }
        out.extend_from_slice(&text.as_bytes()[at..]);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Where a decoded form of `text` has a secret.
    fn find_decoded(&self, text: &[u8], decodings: usize) -> Vec<Range<usize>> {
        if decodings == 0 || self.secrets.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        for view in decoded_views(text) {
            let plain = self.secrets.iter().flat_map(|secret| find_bytes(&view.bytes, secret.as_bytes()));
            let inner = self.find_decoded(&view.bytes, decodings - 1);
            found.extend(plain.chain(inner).map(|range| view.original(&range)));
        }
        found
    }
}

/// The positions of a secret in decoded bytes.
fn find_bytes(bytes: &[u8], secret: &[u8]) -> Vec<Range<usize>> {
    let starts = bytes.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret);
    starts.map(|(start, _)| start..start + secret.len()).collect()
}

/// The positions of `form` in `text`, overlapping ones included.
fn occurrences(text: &str, form: &str) -> Vec<Range<usize>> {
    let step = form.chars().next().map_or(1, char::len_utf8);
    let (mut places, mut from) = (Vec::new(), 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(form)) {
        places.push(from + at..from + at + form.len());
        from += at + step;
    }
    places
}

fn secret_lines(secret: &str) -> impl Iterator<Item = &str> {
    secret.split(['\n', '\r']).map(str::trim).filter(|line| is_worth_masking(line))
}

fn is_worth_masking(text: &str) -> bool {
    text.chars().count() >= MIN_SECRET_CHARS && !COMMON_WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The secret and its encoded forms: the list of the runner's own masker, and hexadecimal.
fn encoded_forms(text: &str) -> Vec<String> {
    let mut forms = vec![
        text.to_owned(),
        json_escaped(text),
        percent_encoded(text),
        percent_encoded(text).to_lowercase(),
        form_encoded(text),
        xml_escaped(text),
    ];
    let mut encoded = vec![hex::encode(text), hex::encode_upper(text)];
    encoded.extend([STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
    // Inside a longer text that is encoded as a whole, the secret starts at any of three offsets of a group of
    // three bytes; only its whole groups are sure to look the same.
    for shift in 0..3 {
        let rest = text.as_bytes().get(shift..).unwrap_or_default();
        let whole = &rest[..rest.len() - rest.len() % 3];
        encoded.extend([STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
    }
    forms.extend(encoded.into_iter().filter(|form| form.len() >= MIN_ENCODED_CHARS));
    forms
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// RFC 3986: everything but the unreserved characters as `%XX`.
fn percent_encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor_for(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.register(&Secret::new(*secret));
        }
        redactor
    }

    #[test]
    fn redact_replaces_every_encoded_form() {
        let secret = "\"p@ss \"w<rd\"/ü+1234\"";
        let redactor = redactor_for(&[secret]);
        for form in encoded_forms(secret) {
            assert_eq!(redactor.redact(&format!("before {form} after")), "before *** after", "{form}");
        }
    }

    #[test]
    fn redact_replaces_base64_at_every_offset() {
        let redactor = redactor_for(&["correct horse battery"]);
        for before in ["", "A", "AW", "AWS", "AWS:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}correct horse battery and more"));
            let redacted = redactor.redact(&encoded);
            assert!(redacted.contains(MASK), "{before}: {redacted}");
            assert!(!redacted.contains(&STANDARD_NO_PAD.encode("horse ")), "{before}: {redacted}");
        }
    }

    #[test]
    fn redact_replaces_everything_that_decodes_to_a_secret() {
        let secret = "hunter2/\u{fc}+x";
        let redactor = redactor_for(&[secret]);
        let all_percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let all_json: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let twice = STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(format!("user:{secret}")));
        let mixed = percent_encoded(&STANDARD_NO_PAD.encode(format!("{{\"a\":\"{secret}\"}}")));
        for form in [all_percent, all_json, "hunter2\\/\u{fc}+x".into(), twice, mixed] {
            let redacted = redactor.redact(&format!("<{form}>"));
            assert!(redacted.contains(MASK) && redacted.len() < form.len() + 5, "{form}: {redacted}");
        }
        let redacted = redactor.redact(&STANDARD_NO_PAD.encode(format!("a{secret}b")));
        assert!(redacted.starts_with(MASK) || redacted[1..].starts_with(MASK), "{redacted}");
    }

    #[test]
    fn user_info_of_urls_is_redacted_without_any_secret() {
        let redact = |text: &str| Redactor::default().redact(text);
        assert_eq!(redact("DSN postgres://u:pw@db/x?y"), "DSN postgres://***@db/x?y");
        assert_eq!(redact("https://ghp_x@github.com/a"), "https://***@github.com/a");
    }

    #[test]
    fn every_line_of_a_key_is_masked_except_braces() {
        let mut redactor = Redactor::default();
        let commands = redactor.register(&Secret::new("{\n  \"key\": \"abcdef\"\r\n}\n"));
        assert_eq!(commands, ["\"key\": \"abcdef\""]);
        assert_eq!(redactor.redact("{ \"key\": \"abcdef\" }"), "{ *** }");
        assert_eq!(redactor.register(&Secret::new("{\n  \"key\": \"abcdef\"\r\n}\n")), Vec::<String>::new());
    }

    #[test]
    fn trivial_texts_are_not_masked() {
        let redactor = redactor_for(&["", "a", "}", "abc", "true", "NULL", "   "]);
        assert_eq!(redactor.redact("a true } abc NULL"), "a true } abc NULL");
    }

    #[test]
    fn overlapping_secrets_are_redacted_completely() {
        assert_eq!(redactor_for(&["abcdef", "defghi"]).redact("xabcdefghix"), "x***x");
        assert_eq!(redactor_for(&["anan"]).redact("bananana"), "b***a");
        assert_eq!(redactor_for(&["secret", "secret-longer"]).redact("secret-longer"), "***");
    }

    proptest::proptest! {
        #[test]
        fn what_was_registered_never_comes_out(secret in "[a-zA-Z0-9/+]{6,20}", before in ".{0,10}", after in ".{0,10}") {
            let out = redactor_for(&[&secret]).redact(&format!("{before}{secret}{after}{secret}"));
            proptest::prop_assert!(!out.contains(&secret));
        }

        #[test]
        fn base64_of_a_secret_never_comes_out(secret in "[a-z0-9]{9,20}", before in ".{0,7}", after in ".{0,7}") {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
            let out = redactor_for(&[&secret]).redact(&format!("Basic {encoded}=="));
            proptest::prop_assert!(out.contains(MASK));
            let decoded = decoded_views(out.as_bytes()).into_iter().map(|view| view.bytes);
            proptest::prop_assert!(decoded.into_iter().all(|bytes| find_bytes(&bytes, secret.as_bytes()).is_empty()));
        }

        #[test]
        fn any_text_is_redacted_without_a_panic(text in "(\\PC|%|\\\\|&|@|:|/){0,40}", secret in "\\PC{4,8}") {
            redactor_for(&[&secret]).redact(&text);
        }
    }
}
