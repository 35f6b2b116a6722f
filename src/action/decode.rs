//! Texts as a reader would decode them, with the place of every byte in the original: percent-encoding, JSON and XML
//! escapes, base64. Pure. `redact` looks for secrets in them.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A text after decoding: its bytes, and the range of the original that each byte comes from.
#[derive(Debug, Default)]
pub(super) struct DecodedView {
    pub(super) bytes: Vec<u8>,
    origins: Vec<Range<usize>>,
}

impl DecodedView {
    /// The range of the original that a range of the decoded bytes comes from.
    pub(super) fn original(&self, decoded: &Range<usize>) -> Range<usize> {
        self.origins[decoded.start].start..self.origins[decoded.end - 1].end
    }

    fn push(&mut self, byte: u8, origin: Range<usize>) {
        self.bytes.push(byte);
        self.origins.push(origin);
    }

    fn extend(&mut self, bytes: &[u8], origin: &Range<usize>) {
        bytes.iter().for_each(|byte| self.push(*byte, origin.clone()));
    }
}

/// The shortest run of base64 that is decoded: shorter ones hold no secret.
const MIN_BASE64_CHARS: usize = 6;

/// Every decoded form of `text` that differs from it.
pub(super) fn decoded_views(text: &[u8]) -> Vec<DecodedView> {
    let mut views: Vec<DecodedView> =
        [decode_percent(text), decode_escapes(text)].into_iter().flatten().collect();
    for run in base64_runs(text) {
        views.extend((0..4).filter_map(|shift| decode_base64(text, run.start + shift..run.end)));
    }
    views
}

/// `%XX`, and `+` as itself; `None` without any.
fn decode_percent(text: &[u8]) -> Option<DecodedView> {
    let hex = |at: usize| {
        let digits = std::str::from_utf8(text.get(at + 1..at + 3)?).ok()?;
        u8::from_str_radix(digits, 16).ok().filter(|_| text[at] == b'%')
    };
    decode_with(text, b'%', |at| Some((vec![hex(at)?], 3)))
}

/// The escapes of JSON strings and the entities of XML; `None` without any.
fn decode_escapes(text: &[u8]) -> Option<DecodedView> {
    let escapes = decode_with(text, b'\\', |at| json_escape(text, at));
    let entities = decode_with(text, b'&', |at| xml_entity(text, at));
    escapes.or(entities)
}

/// The text with what begins at a `mark` replaced by its bytes; `None` if nothing is.
fn decode_with(
    text: &[u8],
    mark: u8,
    decode: impl Fn(usize) -> Option<(Vec<u8>, usize)>,
) -> Option<DecodedView> {
    let (mut view, mut at, mut found) = (DecodedView::default(), 0, false);
    if !text.contains(&mark) {
        return None;
    }
    while at < text.len() {
        let decoded = if text[at] == mark { decode(at) } else { None };
        match decoded {
            Some((bytes, length)) => {
                found = true;
                view.extend(&bytes, &(at..at + length));
                at += length;
            }
            None => {
                view.push(text[at], at..at + 1);
                at += 1;
            }
        }
    }
    found.then_some(view)
}

fn json_escape(text: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    let plain = |byte: u8| Some((vec![byte], 2));
    match text.get(at + 1)? {
        byte @ (b'"' | b'\\' | b'/') => plain(*byte),
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'u' => {
            let unit = |at: usize| {
                let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
                u16::from_str_radix(digits, 16).ok().filter(|_| text[at..].starts_with(b"\\u"))
            };
            let units: Vec<u16> = [unit(at), unit(at + 6)].into_iter().map_while(|unit| unit).collect();
            let first = char::decode_utf16(units).next()?.ok()?;
            Some((first.to_string().into_bytes(), 6 * first.len_utf16()))
        }
        _ => None,
    }
}

fn xml_entity(text: &[u8], at: usize) -> Option<(Vec<u8>, usize)> {
    const NAMED: [(&[u8], u8); 6] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
        (b"&#39;", b'\''),
    ];
    let entity = NAMED.iter().find(|(name, _)| text[at..].starts_with(name))?;
    Some((vec![entity.1], entity.0.len()))
}

/// The longest runs of characters of base64, with line breaks inside of them.
fn base64_runs(text: &[u8]) -> Vec<Range<usize>> {
    let (mut runs, mut start) = (Vec::new(), None);
    for at in 0..=text.len() {
        match (start, text.get(at).is_some_and(|byte| is_base64(*byte))) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                runs.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    runs.retain(|run| run.len() >= MIN_BASE64_CHARS);
    runs
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::RequireNone);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// A run of base64 in either alphabet, as far as it can be decoded.
fn decode_base64(text: &[u8], run: Range<usize>) -> Option<DecodedView> {
    let usable = |length: usize| if length % 4 == 1 { length - 1 } else { length };
    let run = run.start..run.start + usable(run.len());
    let standard = |byte: &u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let characters: Vec<u8> = text.get(run.clone())?.iter().map(standard).collect();
    let bytes = STANDARD.decode(characters).ok()?;
    let group = |index: usize| {
        let first = run.start + index * 4 / 3;
        first..(first + 2).min(run.end)
    };
    let origins = (0..bytes.len()).map(group).collect();
    Some(DecodedView { bytes, origins })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        decoded_views(text.as_bytes())
            .iter()
            .map(|view| String::from_utf8_lossy(&view.bytes).into_owned())
            .collect()
    }

    #[test]
    fn texts_are_decoded_in_every_form() {
        assert_eq!(shown("a%70%5Fb %zz %4"), ["ap_b %zz %4"]);
        assert_eq!(shown(r#"\u0070\/\"x\\ \q \ud83d\ude00"#), ["p/\"x\\ \\q 😀"]);
        assert_eq!(shown("a&amp;b &x;"), ["a&b &x;"]);
        assert_eq!(shown("a b c"), Vec::<String>::new());
        assert!(shown("cGFzc3dvcmQ").contains(&"password".to_owned()));
        assert!(shown("xcGFzc3dvcmQ").contains(&"password".to_owned()));
        assert!(shown("Pj4-Pz8_").contains(&">>>???".to_owned()));
    }

    #[test]
    fn decoded_bytes_know_their_place() {
        let view = decode_percent(b"x%70%71y").unwrap();
        assert_eq!((view.original(&(0..1)), view.original(&(1..3))), (0..1, 1..7));
        let view = decode_base64(b"..cGFzc3dvcmQ", 2..13).unwrap();
        assert_eq!((view.original(&(0..8)), view.original(&(3..4))), (2..13, 6..8));
    }
}
