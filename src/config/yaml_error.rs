//! What is wrong with text that is not YAML, and what to write instead.

use granit_parser::{ErrorKind, ScanError};

/// Why a text cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The reason.
    pub reason: String,
    /// It can be read, but a key occurs twice in the same mapping.
    pub is_duplicate_key: bool,
}

impl ParseError {
    pub(super) fn from_scan(error: &ScanError) -> Self {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let reason = match error.kind() {
            ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation => "a tab indents this line".into(),
            ErrorKind::UnknownAnchor => "this alias has no anchor (`&name`) before it".into(),
            _ => error.info().to_string(),
        };
        parse_error(line, column, reason)
    }
}

pub(super) fn parse_error(line: usize, column: usize, why: impl Into<String>) -> ParseError {
    ParseError { line, column, reason: why.into(), is_duplicate_key: false }
}

/// What to do about an error of syntax; empty where its reason is enough.
pub(super) fn explain_syntax(text: &str, error: &ParseError) -> &'static str {
    let line = text.lines().nth(error.line.saturating_sub(1)).unwrap_or_default();
    if error.is_duplicate_key {
        "Keep one of them, and check the indentation of the lines below it."
    } else if has_open_placeholder(line) {
        "Put the value in quotes: inside `{ }`, the `{` and `}` of a placeholder belong to YAML."
    } else if error.reason.contains("a tab") || line.trim_start_matches(' ').starts_with('\t') {
        "Indent with spaces."
    } else if line.contains(": @") || line.contains(": `") || line.contains(": %") {
        "Put the value in quotes: it begins with a character that YAML reserves."
    } else {
        "Check the indentation and the quotes of this line and of the line before it."
    }
}

/// Whether a placeholder stands without quotes inside a mapping on one line.
fn has_open_placeholder(line: &str) -> bool {
    let Some((before, _)) = line.split_once("${") else { return false };
    let is_quoted = before.matches('"').count() % 2 == 1 || before.matches('\'').count() % 2 == 1;
    before.contains('{') && !is_quoted
}
