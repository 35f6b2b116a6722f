//! The text of a file before it is parsed: its size and encoding, characters that only some parsers read as line ends,
//! and quoted text that is folded to the column of its key, which YAML 1.2 forbids and every YAML 1.1 parser reads.

use granit_parser::{ErrorKind, ScanError};

use super::error::EditError;
use super::lines;
use super::yaml_tree::{NodeKind, YamlTree};

/// Maximum bytes of a file.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// How many folded texts of one file are read.
pub(super) const MAX_FOLDED: usize = 50;
/// Line ends in YAML 1.1, and none in YAML 1.2.
const SEPARATORS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// The text of a file. An error if it is too large or not UTF-8.
pub(super) fn decode_text(bytes: &[u8]) -> Result<&str, EditError> {
    if bytes.len() > MAX_BYTES {
        return Err(EditError::unreadable(format!("its {} bytes are more than 8 MiB", bytes.len())));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        EditError::unreadable("it is not UTF-8").at(line, 1)
    })
}

/// An error if a character is a line end to some parsers and that matters: anywhere but in a comment that is followed
/// by another comment, or by nothing.
pub(super) fn check_separators(text: &str, tree: &YamlTree<'_>) -> Result<(), EditError> {
    for (at, letter) in text.match_indices(SEPARATORS) {
        if !is_end_of_comment(text, tree, at, at + letter.len()) {
            let position = lines::positions(text, &[at]).first().copied().unwrap_or((1, 1));
            let why = "it contains a character that is a line end in YAML 1.1 and not in YAML 1.2";
            return Err(EditError::ambiguous(why)
                .help("Remove U+0085, U+2028 and U+2029, or write them as escapes in quotes.")
                .at(position.0, position.1));
        }
    }
    Ok(())
}

fn is_end_of_comment(text: &str, tree: &YamlTree<'_>, at: usize, end: usize) -> bool {
    let line = &text[lines::line_start(text, at)..at];
    let is_mark = |(offset, _): &(usize, &str)| {
        let before = line[..*offset].chars().next_back();
        before.is_none_or(|letter| {
            letter.is_whitespace() || letter == '\u{feff}' || SEPARATORS.contains(&letter)
        }) && !is_in_scalar(tree, at - line.len() + offset)
    };
    let rest = &text[end..lines::line_end(text, end)];
    let rest = rest.split(SEPARATORS).next().unwrap_or_default().trim();
    line.match_indices('#').any(|mark| is_mark(&mark))
        && !is_in_scalar(tree, at)
        && (rest.is_empty() || rest.starts_with('#'))
}

/// Whether a byte belongs to a scalar. Nodes are in the order of the file.
fn is_in_scalar(tree: &YamlTree<'_>, at: usize) -> bool {
    let first_behind = tree.nodes.partition_point(|node| node.bytes.start <= at);
    let scalars = tree.nodes[..first_behind].iter().rev();
    let mut scalars = scalars.filter(|node| matches!(node.kind, NodeKind::Scalar { .. }));
    scalars.next().is_some_and(|node| at < node.bytes.end)
}

/// The text with the lines of a folded quotation joined, at the position of an error; byte for byte as long. Nothing if
/// the error is another one.
///
/// A line without a quotation mark cannot end the quotation, so the line break behind it is inside, too.
pub(super) fn join_folded(text: &str, error: &ScanError) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::InvalidQuotedScalarIndent) {
        return None;
    }
    let at = error.marker().byte_offset()?;
    let mut bytes = text.as_bytes().to_vec();
    let mut end = lines::line_start(text, at);
    let mut cut = text[..end].trim_end_matches(['\n', '\r']).len();
    loop {
        bytes[cut..end].iter_mut().for_each(|byte| *byte = b' ');
        cut = lines::line_end(text, end);
        if is_document_mark(&text[end..cut]) {
            return None;
        }
        if text[end..cut].contains(['"', '\'']) || cut == text.len() {
            break;
        }
        end = cut + lines::newline_at(text, cut).len();
    }
    String::from_utf8(bytes).ok()
}

fn is_document_mark(line: &str) -> bool {
    let behind = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    behind.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::super::yaml_parser::parse_yaml;

    #[test]
    fn separators_matter_outside_of_the_end_of_a_comment() {
        for text in [
            "# caf\u{e9}\u{2028}# copied\na: b\n",
            "a: b # x\u{2029}\nc: d\n",
            "# x\u{85}   # y\u{85}\n",
            "a: 'x # y' # z\u{2028}\n",
        ] {
            assert!(parse_yaml(text).is_ok(), "{text:?}");
        }
        for (text, position) in [
            ("a: b\n# caf\u{e9}\u{2028}(copied)\n", (2, 7)),
            ("# x\u{2028}image: y\n", (1, 4)),
            ("a: 'x # y\u{2028}'\n", (1, 10)),
            ("a: \"x\u{85}\" # y\n", (1, 6)),
            ("a: |\n  # x\u{2028}\n", (2, 6)),
            ("a: \u{2028}\n", (1, 4)),
            ("a: b#c\u{2028}\n", (1, 7)),
        ] {
            let refusal = parse_yaml(text).map(|_| ()).unwrap_err();
            assert_eq!(refusal.at, Some(position), "{text:?} {refusal:?}");
        }
    }

    #[test]
    fn quotations_folded_to_the_column_of_their_key_are_read() {
        for (text, line) in [
            ("a:\n  b: \"one\n  two\"\n  c: d\n", 4),
            ("a:\n  b: 'one\ntwo\n\n  three''s \"four\"\nfive'\n  c: d\n", 7),
            ("a:\r\n  b: \"one\r\n  two\"\r\n  c: d\r\n", 4),
            ("a:\n- b: \"one\\\n    two\n  three\"\n  c: d\n", 5),
            ("x: 'p\nq'\na:\n  b: \"r\n  s\"\n  c: d\n", 6),
        ] {
            let tree = parse_yaml(text).unwrap();
            let last = (0..).take(tree.nodes.len()).find(|id| tree.text(*id) == Some("d")).unwrap();
            assert_eq!(tree.position(last), (line, 6), "{text}");
            assert_eq!(&text[tree.node(last).bytes.clone()], "d");
        }
        assert!(parse_yaml("a: \"one\n---\ntwo\"\n").is_err());
        assert!(parse_yaml("a:\n  b: \"one\n  two\n  c: d\n").is_err());
    }
}
