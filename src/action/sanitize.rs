//! Sanitizes untrusted text for a log: never a workflow command, no terminal escapes, no endless lines.
//! The runner compares with culture rules, which ignore invisible characters; so those are removed first.

/// The longest line that is written, in bytes.
const MAX_LINE_BYTES: usize = 4096;

/// The lines of `text`, split wherever the runner splits, each sanitized.
pub fn sanitize_lines(text: &str) -> impl Iterator<Item = String> {
    text.trim_end_matches(['\n', '\r']).split(['\n', '\r']).map(sanitize_line)
}

/// One sanitized line; line breaks in it become blanks.
pub fn sanitize_line(line: &str) -> String {
    let line = strip_escapes(line).replace(['\n', '\r'], " ");
    shorten_line(&break_commands(&line))
}

/// `text` without escape sequences and invisible characters; tabs and line breaks stay.
pub fn strip_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut searched) = (text, SearchedLine::default());
    while let Some(c) = rest.chars().next() {
        let length = escape_length(rest, &mut searched);
        if length == 0 && !is_invisible(c) {
            out.push(c);
        }
        rest = &rest[length.max(c.len_utf8())..];
    }
    out
}

/// The length of the escape sequence that `text` starts with; 0 if there is none (ECMA-48).
fn escape_length(text: &str, searched: &mut SearchedLine) -> usize {
    let mut chars = text.chars();
    let (kind, head) = match chars.next() {
        Some('\u{1b}') => match chars.next() {
            Some(kind) => (kind, 1 + kind.len_utf8()),
            None => return 1,
        },
        Some('\u{9b}') => ('[', 2),
        Some('\u{9d}') => (']', 2),
        Some('\u{90}') => ('P', 2),
        _ => return 0,
    };
    let body = &text[head..];
    match kind {
        '[' => head + control_sequence(body),
        ']' | 'P' | 'X' | '^' | '_' => head + string_sequence(body, searched),
        // Never more than the escape itself and one printable character: a line break is not part of it.
        kind if kind.is_control() => 1,
        _ => head,
    }
}

/// Parameters up to the final byte, which is part of it.
fn control_sequence(body: &str) -> usize {
    let parameters = body.bytes().take_while(|b| (0x20..0x40).contains(b)).count();
    let has_end = body.as_bytes().get(parameters).is_some_and(|b| (0x40..0x7f).contains(b));
    parameters + usize::from(has_end)
}

/// The end of a line in which no terminator was found, counted from the end of the text. What starts before
/// it has no terminator either, so a line of nothing but starts takes linear time.
#[derive(Default)]
struct SearchedLine {
    left_after: Option<usize>,
}

/// Up to the terminator on the same line; without one, nothing: the text behind it must not disappear.
fn string_sequence(body: &str, searched: &mut SearchedLine) -> usize {
    if searched.left_after.is_some_and(|left| body.len() >= left) {
        return 0;
    }
    let line = body.find(['\n', '\r']).map_or(body, |end| &body[..end]);
    let ends = [("\u{7}", 1), ("\u{1b}\\", 2), ("\u{9c}", 2)];
    let found = ends.iter().filter_map(|(end, length)| line.find(end).map(|at| at + length)).min();
    if found.is_none() {
        searched.left_after = Some(body.len() - line.len());
    }
    found.unwrap_or(0)
}

/// Controls (but tab and line breaks), direction marks and overrides, and characters without width and weight in a
/// comparison (Unicode: Cc, Cf, Default_Ignorable_Code_Point, noncharacters).
fn is_invisible(c: char) -> bool {
    let code = u32::from(c);
    match c {
        '\t' | '\n' | '\r' => false,
        _ if c.is_control() => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' => true,
        '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' => true,
        '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' => true,
        '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => code & 0xfffe == 0xfffe,
    }
}

/// Disables both command grammars in a line: `::name::` at its start, and `##[name]` anywhere. Characters beyond
/// ASCII count
/// as absent, in case a comparison ignores one that this file does not know.
fn break_commands(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 2);
    let start = line.chars().find(|c| c.is_ascii() && !c.is_whitespace());
    if start == Some(':') {
        out.push_str("| ");
    }
    let mut hashes = 0;
    for c in line.chars() {
        if c == '[' && hashes >= 2 {
            out.push(' ');
        }
        if c.is_ascii() {
            hashes = if c == '#' { hashes + 1 } else { 0 };
        }
        out.push(c);
    }
    out
}

fn shorten_line(line: &str) -> String {
    if line.len() <= MAX_LINE_BYTES {
        return line.to_owned();
    }
    let kept = truncate(line, MAX_LINE_BYTES);
    format!("{kept}… ({} bytes more)", line.len() - kept.len())
}

/// The start of `text`, at most `bytes` long, at a character boundary.
pub fn truncate(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;
    use crate::action::command::oracle;

    #[test]
    fn harmless_text_is_unchanged() {
        for line in
            ["", "  #[derive(Debug)] a::b::c", "#1 [internal] load", "tab\there", "Grüße 日本", "12:04:11 x"]
        {
            assert_eq!(sanitize_line(line), line);
        }
    }

    #[test]
    fn commands_are_disabled() {
        assert_eq!(sanitize_line("  ::add-mask::x"), "|   ::add-mask::x");
        assert_eq!(sanitize_line("x ##[error]y"), "x ## [error]y");
        assert_eq!(sanitize_line("\u{feff}:\u{200d}:add-mask::x"), "| ::add-mask::x");
        assert_eq!(sanitize_line("#\u{ad}#\u{301}[group]"), "##\u{301} [group]");
        assert_eq!(
            sanitize_lines("a\r::error::b\r\nc\n").collect::<Vec<_>>(),
            ["a", "| ::error::b", "", "c"]
        );
    }

    #[test]
    fn escape_sequences_are_removed() {
        assert_eq!(
            sanitize_line("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y"),
            "red xy"
        );
        assert_eq!(sanitize_line("a\u{202e}b\u{9b}2Jc\u{0}d\u{8}"), "abcd");
        assert_eq!(sanitize_line("\u{1b}]0;never ends ::x"), "0;never ends ::x");
        assert_eq!(strip_escapes("a\u{1b}\nb\u{1b}"), "a\nb");
        assert_eq!(strip_escapes("\u{1b}]x\u{1b}]y\n\u{1b}]z\u{7}1\n\u{1b}Pq\u{9d}r"), "xy\n1\nqr");
    }

    #[test]
    fn text_of_unfinished_escapes_takes_linear_time() {
        let text = "\u{1b}]".repeat(500_000);
        assert_eq!(strip_escapes(&text), "");
        assert_eq!(strip_escapes(&format!("{text}\n{text}x")), "\nx");
    }

    #[test]
    fn endless_line_is_cut_at_a_character_boundary() {
        let line = sanitize_line(&"ü".repeat(10_000));
        assert!(line.ends_with("ü… (15904 bytes more)"), "{}", &line[line.len() - 40..]);
        assert_eq!(truncate("aüb", 2), "a");
    }

    /// Noise of every kind around a command that is whole, so that most cases would be one without the filter.
    fn hostile() -> impl Strategy<Value = String> {
        let commands =
            ["::error::x", "::add-mask::y", "::SET-OUTPUT name=a::b", "##[error]x", "##[save-state name=a]b"];
        let noise = [
            "::",
            ":",
            "##",
            "#",
            "[",
            "]",
            " ",
            "\t",
            "\u{200b}",
            "\u{ad}",
            "\u{301}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{1b}[0m",
            "\u{1b}]0;",
            "\u{1b}",
            "\u{7}",
            "\u{9b}",
            "\r",
            "\n",
            "\u{202e}",
            "é",
            "\0",
            "%0A",
            "：",
            "\u{a0}",
            "\u{e0041}",
            "\u{fffe}",
        ];
        let noise = || proptest::collection::vec(proptest::sample::select(noise.to_vec()), 0..4);
        let halves = proptest::sample::select(commands.to_vec()).prop_flat_map(|command| {
            (0..=command.len()).prop_map(move |at| (&command[..at], &command[at..]))
        });
        (noise(), halves, noise(), "\\PC{0,3}").prop_map(|(before, (head, tail), within, after)| {
            let within = if within.len() > 1 { String::new() } else { within.concat() };
            format!("{}{head}{within}{tail}{after}", before.concat())
        })
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { cases: 2000, ..Default::default() })]
        #[test]
        fn no_line_from_outside_is_a_command(text in hostile()) {
            for line in sanitize_lines(&text).chain([sanitize_line(&text)]) {
                proptest::prop_assert!(!line.contains(['\n', '\r']));
                proptest::prop_assert_eq!(oracle::parse(&line), None);
                let visible: String = line.chars().filter(char::is_ascii).collect();
                proptest::prop_assert_eq!(oracle::parse(&visible), None);
            }
        }
    }
}
