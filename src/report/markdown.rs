//! Markdown for GitHub. Every text from outside passes through here and becomes plain text: never a table border, HTML,
//! a mention or a link.

use crate::action::sanitize::{strip_escapes, truncate};

/// The longest text of one paragraph or cell, in bytes.
const MAX_BYTES: usize = 2000;
/// An invisible space: renders as nothing and keeps GitHub from linking.
const ZERO_WIDTH_SPACE: &str = "&#8203;";

/// Plain text on one line.
pub fn escape_all(outside: &str) -> String {
    let line = join_lines(outside);
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = line.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' => out.push_str("&#124;"),
            '\\' => out.push_str("&#92;"),
            '$' => out.push_str("&#36;"),
            '`' | '*' | '_' | '[' | ']' | '~' => out.extend(['\\', c]),
            '@' | '#' => {
                out.push(c);
                out.push_str(ZERO_WIDTH_SPACE);
            }
            // `scheme://host` and `www.host` become links without markup.
            ':' if rest.starts_with("//") => {
                out.push(c);
                out.push_str(ZERO_WIDTH_SPACE);
            }
            '.' if ends_with_www(&out) => {
                out.push_str(ZERO_WIDTH_SPACE);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn ends_with_www(out: &str) -> bool {
    out.len() >= 3 && out.is_char_boundary(out.len() - 3) && out[out.len() - 3..].eq_ignore_ascii_case("www")
}

/// Text in which pairs of backticks mean code, as in Roadstead's own sentences. Text between the backticks is inert,
/// whatever its origin.
pub fn escape(outside: &str) -> String {
    let line = join_lines(outside);
    let parts: Vec<&str> = line.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape_all(&line);
    }
    let dress = |(at, part): (usize, &&str)| match (at % 2, part.trim()) {
        // Two adjacent spans would be parsed as one.
        (0, "") if (1..parts.len() - 1).contains(&at) => " ".to_owned(),
        (0, _) => escape_all(part),
        (_, "") => "\\`\\`".to_owned(),
        (_, name) => code_span(name),
    };
    parts.iter().enumerate().map(dress).collect()
}

/// A code span on one line, with as many backticks around it as it needs; `–` for nothing.
pub fn code_span(outside: &str) -> String {
    let line = join_lines(outside);
    let line = line.trim();
    if line.is_empty() {
        return "–".into();
    }
    let ticks = "`".repeat(longest_backtick_run(line) + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{line}{pad}{ticks}")
}

/// A block of lines as they are, in a fence longer than any run of backticks in it.
pub fn code_block(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| truncate(&join_lines(line), 500).to_owned()).collect();
    let longest = lines.iter().map(|line| longest_backtick_run(line)).max().unwrap_or(0);
    let ticks = "`".repeat(3.max(longest + 1));
    format!("{ticks}text\n{}\n{ticks}", lines.join("\n"))
}

/// A link around a label that is Markdown already; the label alone where the address is not plain http or https.
pub fn link(label: &str, address: &str) -> String {
    let host = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let plain = host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric()));
    if !plain || address.len() > MAX_BYTES || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return label.to_owned();
    }
    let byte = |b: u8| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(b).to_string(),
        _ if b"-._~:/?#@!&=+,;%".contains(&b) => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    format!("[{label}]({})", address.bytes().map(byte).collect::<String>())
}

/// A row of a table, from cells that are Markdown already.
pub fn table_row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escape_pipes(cell)).collect();
    format!("| {} |", cells.join(" | "))
}

/// A table; the first row is its head.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines = vec![table_row(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>())];
    lines.push(format!("|{}", "---|".repeat(head.len())));
    lines.extend(rows.iter().map(|cells| table_row(cells)));
    lines.join("\n")
}

/// A fold with Markdown in it. The title is plain text of Roadstead or from outside.
pub fn details(title: &str, body: &str) -> String {
    let title = escape_html(title);
    format!("<details><summary>{title}</summary>\n\n{body}\n\n</details>")
}

/// Text for places where GitHub reads HTML but no Markdown: it still looks for mentions there.
fn escape_html(outside: &str) -> String {
    let tagless = join_lines(outside).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let linkless = tagless.replace("://", &format!(":{ZERO_WIDTH_SPACE}//"));
    linkless
        .replace('@', &format!("@{ZERO_WIDTH_SPACE}"))
        .replace('#', &format!("#{ZERO_WIDTH_SPACE}"))
        .replace(&format!("&#{ZERO_WIDTH_SPACE}"), "&#")
}

/// A pipe in a cell needs a backslash of its own: an even number before it would leave it a border.
fn escape_pipes(cell: &str) -> String {
    let (mut out, mut slashes) = (String::with_capacity(cell.len()), 0);
    for c in cell.chars() {
        if c == '|' && slashes % 2 == 0 {
            out.push('\\');
        }
        slashes = if c == '\\' { slashes + 1 } else { 0 };
        out.push(c);
    }
    // A backslash at the end would escape the border of the cell.
    if slashes % 2 == 1 {
        out.push(' ');
    }
    out
}

fn join_lines(outside: &str) -> String {
    let clean = strip_escapes(outside).replace(['\n', '\r', '\t'], " ");
    let kept = truncate(&clean, MAX_BYTES);
    if kept.len() == clean.len() { clean } else { format!("{kept}…") }
}

fn longest_backtick_run(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_text_is_escaped() {
        assert_eq!(escape_all("<img src=x onerror=1>"), "&lt;img src=x onerror=1&gt;");
        assert_eq!(
            escape_all("[a](javascript:b) | @acme #1"),
            "\\[a\\](javascript:b) &#124; @&#8203;acme #&#8203;1"
        );
        assert_eq!(escape_all("https://a www.b"), "https:&#8203;//a www&#8203;.b");
        assert_eq!(escape_all("a\nb\r\u{1b}[1m\u{202e}c `$x$` \\|"), "a b c \\`&#36;x&#36;\\` &#92;&#124;");
    }

    #[test]
    fn paired_backticks_are_code_and_unpaired_ones_are_escaped() {
        assert_eq!(escape("The `a|<b>` is *not* `c`."), "The `a|<b>` is \\*not\\* `c`.");
        assert_eq!(escape("one ` tick"), "one \\` tick");
        assert_eq!(escape("`a``b` ``"), "`a` `b` \\`\\`");
    }

    #[test]
    fn code_span_has_more_backticks_than_its_text() {
        assert_eq!(code_span("a``b"), "```a``b```");
        assert_eq!(code_span("`a`"), "`` `a` ``");
        assert_eq!(code_span(" \n"), "–");
    }

    #[test]
    fn a_fence_cannot_be_closed_from_inside() {
        let block = code_block(&["```".into(), "````html".into(), "</details>".into()]);
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````"));
    }

    #[test]
    fn only_plain_addresses_are_links() {
        assert_eq!(link("x", "https://a.b/c(d)|e?f=g"), "[x](https://a.b/c%28d%29%7Ce?f=g)");
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            "https://a b",
            "//a",
            "",
            "https://",
            "https:///a",
            "HTTPS\n://a",
        ] {
            assert_eq!(link("x", bad), "x");
        }
    }

    #[test]
    fn cell_keeps_its_borders() {
        assert_eq!(
            table_row(&["`a|b`".into(), "c\\\\|d".into(), "e\\".into()]),
            "| `a\\|b` | c\\\\\\|d | e\\  |"
        );
    }

    /// Columns of a row as GitHub's table parser counts them: a backslash escapes the next character.
    fn columns(row: &str) -> usize {
        let (mut borders, mut chars) = (0, row.chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' => drop(chars.next()),
                '|' => borders += 1,
                _ => {}
            }
        }
        borders - 1
    }

    proptest::proptest! {
        #[test]
        fn no_text_adds_a_column_or_a_tag(a in "(\\PC|\\\\|\\||`|<|\n|@|\\[){0,20}", b in "(\\PC|\\\\|\\||`){0,20}") {
            let row = table_row(&[escape_all(&a), code_span(&b), escape(&a)]);
            proptest::prop_assert_eq!(columns(&row), 3, "{}", row);
            proptest::prop_assert!(!escape_all(&a).contains(['<', '>', '|', '\n']));
        }
    }
}
