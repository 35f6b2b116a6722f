//! Files of variables as Compose reads them (`KEY=value`, quotes, comments): which variables they have, and the same file with one
//! of them changed. Every other byte stays. Pure.

use std::ops::Range;

use crate::release::EnvChange;

/// A variable in a file.
struct Entry {
    name: String,
    /// From the beginning of its first line to the end of its last one.
    lines: Range<usize>,
    /// Its value; `None` where other variables decide it.
    value: Option<String>,
}

/// A value, with what follows it on its line.
struct ReadValue {
    value: Option<String>,
    end: usize,
}

/// The file after the changes. A variable that is there keeps its place; a new one comes last.
pub fn with_changes(text: &str, changes: &[EnvChange]) -> String {
    changes.iter().fold(text.to_owned(), |text, change| with_change(&text, change))
}

/// Whether the variable has this value already, or is not there if it is to be removed.
pub fn is_made(text: &str, change: &EnvChange) -> bool {
    let entries = entries(text);
    // The last definition counts.
    let known = entries.iter().rfind(|entry| entry.name == change.name);
    match (&change.value, known) {
        (None, known) => known.is_none(),
        (Some(value), known) => known.is_some_and(|entry| entry.value.as_ref() == Some(value)),
    }
}

/// Whether the file has the variable.
pub fn has_variable(text: &str, name: &str) -> bool {
    entries(text).iter().any(|entry| entry.name == name)
}

fn with_change(text: &str, change: &EnvChange) -> String {
    if is_made(text, change) {
        return text.to_owned();
    }
    let mut line = change.value.as_ref().map(|value| format!("{}\n", assignment(&change.name, value)));
    let mut changed = String::new();
    let mut from = 0;
    for entry in entries(text).iter().filter(|entry| entry.name == change.name) {
        changed.push_str(&text[from..entry.lines.start]);
        changed.push_str(&line.take().unwrap_or_default());
        from = entry.lines.end;
    }
    changed.push_str(&text[from..]);
    if let Some(line) = line {
        let needs_end = !changed.is_empty() && !changed.ends_with('\n');
        changed.push_str(if needs_end { "\n" } else { "" });
        changed.push_str(&line);
    }
    changed
}

/// An assignment that every version of Compose reads as this very value. Single quotes would not do: a backslash before the last
/// one hides it.
fn assignment(name: &str, value: &str) -> String {
    let escaped = value.chars().map(|c| match c {
        '\\' => "\\\\".to_owned(),
        '"' => "\\\"".to_owned(),
        '$' => "\\$".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        other => other.to_string(),
    });
    format!("{name}=\"{}\"", escaped.collect::<String>())
}

fn entries(text: &str) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let line_end = end_of_line(text, at);
        let line = &text[at..line_end];
        let code = line.trim_start();
        let Some((name, value_at)) = read_name(code).filter(|_| !code.starts_with('#')) else {
            at = line_end;
            continue;
        };
        let read = match value_at {
            Some(offset) => read_value(text, at + (line.len() - code.len()) + offset),
            // A name alone has the value that the shell has.
            None => ReadValue { value: None, end: line_end },
        };
        found.push(Entry { name, lines: at..read.end, value: read.value });
        at = read.end;
    }
    found
}

/// The position after the next line break.
fn end_of_line(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |at| from + at + 1)
}

/// Name of a line, and where its value begins; `None` for a line that has no name.
fn read_name(code: &str) -> Option<(String, Option<usize>)> {
    let bare = code.strip_prefix("export ").map_or(code, str::trim_start);
    let before = code.len() - bare.len();
    let is_part = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
    let end = bare.find(|c| !is_part(c)).unwrap_or(bare.len());
    if end == 0 {
        return None;
    }
    let rest = bare[end..].trim_start_matches([' ', '\t']);
    let sign = rest.starts_with(['=', ':']);
    let value_at = sign.then(|| before + bare.len() - rest.len() + 1);
    Some((bare[..end].to_owned(), value_at))
}

fn read_value(text: &str, from: usize) -> ReadValue {
    let skipped = text[from..].trim_start_matches([' ', '\t']);
    let from = text.len() - skipped.len();
    match skipped.chars().next() {
        Some(quote @ ('"' | '\'')) => read_quoted(text, from, quote).unwrap_or_else(|| read_bare(text, from)),
        _ => read_bare(text, from),
    }
}

fn read_bare(text: &str, from: usize) -> ReadValue {
    let end = end_of_line(text, from);
    let line = &text[from..end];
    let value = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
    ReadValue { value: (!value.contains('$')).then(|| value.trim().to_owned()), end }
}

/// A value in quotes, which can have line breaks; `None` if they are not closed.
fn read_quoted(text: &str, from: usize, quote: char) -> Option<ReadValue> {
    let mut value = String::new();
    let mut depends = false;
    let mut chars = text[from + 1..].char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let end = end_of_line(text, from + 1 + at);
                return Some(ReadValue { value: (!depends).then_some(value), end });
            }
            '\\' => {
                let (_, next) = chars.next()?;
                value.push_str(&unescape(next, quote));
            }
            c => {
                depends |= c == '$' && quote == '"';
                value.push(c);
            }
        }
    }
    None
}

fn unescape(next: char, quote: char) -> String {
    match (next, quote) {
        ('n', '"') => "\n".to_owned(),
        ('r', '"') => "\r".to_owned(),
        ('t', '"') => "\t".to_owned(),
        ('\\' | '"' | '$', '"') | ('\'', '\'') => next.to_string(),
        (other, _) => format!("\\{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, value: Option<&str>) -> EnvChange {
        EnvChange { name: name.into(), value: value.map(str::to_owned) }
    }

    const FILE: &str =
        "# settings\nA=1\nexport B = two # old\nTEXT='first\nA=not this'\nC: \"x\\ty\"\nALONE\nLAST=$A";

    #[test]
    fn one_variable_changes_and_every_other_byte_stays() {
        let table = [
            ("A", Some("2"), FILE.replace("\nA=1\n", "\nA=\"2\"\n")),
            ("B", Some("3"), FILE.replace("export B = two # old\n", "B=\"3\"\n")),
            ("TEXT", Some("t"), FILE.replace("TEXT='first\nA=not this'\n", "TEXT=\"t\"\n")),
            ("TEXT", None, FILE.replace("TEXT='first\nA=not this'\n", "")),
            ("ALONE", Some(""), FILE.replace("ALONE\n", "ALONE=\"\"\n")),
            ("LAST", Some("z"), FILE.replace("LAST=$A", "LAST=\"z\"\n")),
            ("NEW", Some("a b"), format!("{FILE}\nNEW=\"a b\"\n")),
            ("NEW", None, FILE.to_owned()),
            ("A", Some("1"), FILE.to_owned()),
            ("B", Some("two"), FILE.to_owned()),
            ("C", Some("x\ty"), FILE.to_owned()),
        ];
        for (name, value, expected) in table {
            assert_eq!(with_changes(FILE, &[change(name, value)]), expected, "{name} {value:?}");
        }
    }

    #[test]
    fn the_last_of_several_definitions_counts_and_one_is_left() {
        let text = "A=1\nB=2\nA=3\n";
        assert!(is_made(text, &change("A", Some("3"))) && !is_made(text, &change("A", Some("1"))));
        assert_eq!(with_changes(text, &[change("A", Some("4"))]), "A=\"4\"\nB=2\n");
        assert_eq!(with_changes(text, &[change("A", None), change("B", None)]), "");
    }

    #[test]
    fn value_that_was_written_is_read_as_the_same() {
        let values = [
            "",
            " edges ",
            "$",
            "$$",
            "${X}",
            "'",
            "\"",
            "#",
            "a #b",
            "\\",
            "end\\",
            "\\'",
            "\n",
            "\r\n",
            "\t",
            "🚀",
            "`id`",
            "{\"a\": \"b\"}",
            "\\n",
            "a=b",
        ];
        for value in values {
            let text = with_changes("A=1\n", &[change("X", Some(value))]);
            assert!(is_made(&text, &change("X", Some(value))), "{value:?} in {text:?}");
            assert!(is_made(&text, &change("A", Some("1"))) && text.lines().count() == 2, "{text:?}");
        }
    }

    #[test]
    fn value_that_depends_on_others_is_never_the_same() {
        for text in ["X=$Y", "X=\"$Y\"", "X", "X=\"open", "Y=1"] {
            assert!(!is_made(text, &change("X", Some("$Y"))), "{text}");
        }
        assert!(is_made("X='$Y'", &change("X", Some("$Y"))));
    }
}
