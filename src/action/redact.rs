//! Secrets and their many forms: whatever was registered is `***` in every text that leaves this process.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;

/// What stands where a secret stood.
pub const MASK: &str = "***";
/// Shorter texts are not masked: they would blot out half the log and protect nothing.
const SHORTEST: usize = 4;
/// Encoded forms shorter than this appear by chance.
const SHORTEST_ENCODED: usize = 8;
/// Words that stand everywhere and are nobody's secret.
const COMMON: [&str; 4] = ["true", "false", "null", "none"];

/// A text that is never printed: `Debug` shows `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` into custody.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Every form of every registered secret.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.forms.len())
    }
}

impl Redactor {
    /// Registers a secret and gives the texts that the runner must mask: each of its lines, if it is new.
    /// Lines that are too short or too common to mask are left out, since the runner would mask even `}`.
    pub fn add(&mut self, secret: &Secret) -> Vec<String> {
        let before = self.forms.len();
        let lines: Vec<String> = lines(secret.expose()).map(str::to_owned).collect();
        for text in std::iter::once(secret.expose().trim()).chain(lines.iter().map(String::as_str)) {
            self.add_forms(text);
        }
        if self.forms.len() == before { Vec::new() } else { lines }
    }

    fn add_forms(&mut self, text: &str) {
        if !worth_masking(text) {
            return;
        }
        for form in forms(text) {
            if !self.forms.contains(&form) {
                self.forms.push(form);
            }
        }
    }

    /// `text` with `***` where a secret stood, in whatever form. Overlapping finds become one.
    pub fn redact(&self, text: &str) -> String {
        let mut found: Vec<(usize, usize)> = self.forms.iter().flat_map(|form| places(text, form)).collect();
        if found.is_empty() {
            return text.to_owned();
        }
        found.sort_unstable();
        let (mut out, mut at) = (String::with_capacity(text.len()), 0);
        for (start, end) in found {
            // What starts before `at` overlaps with what was just masked.
            if start >= at {
                out.push_str(&text[at..start]);
                out.push_str(MASK);
            }
            at = at.max(end);
        }
        out.push_str(&text[at..]);
        out
    }
}

/// Where `form` stands in `text`, also where it overlaps itself.
fn places(text: &str, form: &str) -> Vec<(usize, usize)> {
    let step = form.chars().next().map_or(1, char::len_utf8);
    let (mut places, mut from) = (Vec::new(), 0);
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(form)) {
        places.push((from + at, from + at + form.len()));
        from += at + step;
    }
    places
}

fn lines(secret: &str) -> impl Iterator<Item = &str> {
    secret.split(['\n', '\r']).map(str::trim).filter(|line| worth_masking(line))
}

fn worth_masking(text: &str) -> bool {
    text.chars().count() >= SHORTEST && !COMMON.contains(&text.to_ascii_lowercase().as_str())
}

/// The secret and what encoders make of it: the list of the runner's own masker, and hexadecimal.
fn forms(text: &str) -> Vec<String> {
    let mut forms =
        vec![text.to_owned(), json(text), uri(text), uri(text).to_lowercase(), form(text), xml(text)];
    let mut encoded = vec![hex::encode(text), hex::encode_upper(text)];
    encoded.extend([STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
    // Inside a longer text that is encoded as a whole, the secret starts at any of three offsets of a group of
    // three bytes; only its whole groups are sure to look the same.
    for shift in 0..3 {
        let rest = text.as_bytes().get(shift..).unwrap_or_default();
        let whole = &rest[..rest.len() - rest.len() % 3];
        encoded.extend([STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]);
    }
    forms.extend(encoded.into_iter().filter(|form| form.len() >= SHORTEST_ENCODED));
    forms
}

fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// RFC 3986: everything but the unreserved characters as `%XX`.
fn uri(text: &str) -> String {
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.add(&Secret::new(*secret));
        }
        redactor
    }

    #[test]
    fn a_secret_goes_in_every_form() {
        let secret = "\"p@ss \"w<rd\"/ü+1234\"";
        let redactor = knowing(&[secret]);
        for form in forms(secret) {
            assert_eq!(redactor.redact(&format!("before {form} after")), "before *** after", "{form}");
        }
    }

    #[test]
    fn a_secret_inside_base64_goes_at_every_offset() {
        let redactor = knowing(&["correct horse battery"]);
        for before in ["", "A", "AW", "AWS", "AWS:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}correct horse battery and more"));
            let redacted = redactor.redact(&encoded);
            assert!(redacted.contains(MASK), "{before}: {redacted}");
            assert!(!redacted.contains(&STANDARD_NO_PAD.encode("horse ")), "{before}: {redacted}");
        }
    }

    #[test]
    fn every_line_of_a_key_is_masked_but_not_its_braces() {
        let mut redactor = Redactor::default();
        let commands = redactor.add(&Secret::new("{\n  \"key\": \"abcdef\"\r\n}\n"));
        assert_eq!(commands, ["\"key\": \"abcdef\""]);
        assert_eq!(redactor.redact("{ \"key\": \"abcdef\" }"), "{ *** }");
        assert_eq!(redactor.add(&Secret::new("{\n  \"key\": \"abcdef\"\r\n}\n")), Vec::<String>::new());
    }

    #[test]
    fn trivial_texts_are_left_alone() {
        let redactor = knowing(&["", "a", "}", "abc", "true", "NULL", "   "]);
        assert_eq!(redactor.redact("a true } abc NULL"), "a true } abc NULL");
    }

    #[test]
    fn overlapping_secrets_leave_nothing_behind() {
        assert_eq!(knowing(&["abcdef", "defghi"]).redact("xabcdefghix"), "x***x");
        assert_eq!(knowing(&["anan"]).redact("bananana"), "b***a");
        assert_eq!(knowing(&["secret", "secret-longer"]).redact("secret-longer"), "***");
    }

    proptest::proptest! {
        #[test]
        fn what_was_registered_never_comes_out(secret in "[a-zA-Z0-9/+]{6,20}", before in ".{0,10}", after in ".{0,10}") {
            let out = knowing(&[&secret]).redact(&format!("{before}{secret}{after}{secret}"));
            proptest::prop_assert!(!out.contains(&secret));
        }
    }
}
