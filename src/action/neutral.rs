//! Text from outside, made harmless for a log: never a workflow command, no terminal tricks, no endless lines.
//! The runner compares with the rules of a culture, which ignore invisible characters; so those go first.

/// The longest line that is written, in bytes.
const LONGEST: usize = 4096;

/// The lines of `text`, split wherever the runner splits, each made harmless.
pub fn lines(text: &str) -> impl Iterator<Item = String> {
    text.trim_end_matches(['\n', '\r']).split(['\n', '\r']).map(neutralise)
}

/// One harmless line; line breaks in it become blanks.
pub fn neutralise(line: &str) -> String {
    let line = strip(line).replace(['\n', '\r'], " ");
    shorten(&break_commands(&line))
}

/// `text` without escape sequences and invisible characters; tabs and line breaks stay.
pub fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = escape_length(rest);
        if length == 0 && !invisible(c) {
            out.push(c);
        }
        rest = &rest[length.max(c.len_utf8())..];
    }
    out
}

/// The bytes of the escape sequence that `text` starts with; 0 where it starts with none (ECMA-48).
fn escape_length(text: &str) -> usize {
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
        ']' | 'P' | 'X' | '^' | '_' => head + string_sequence(body),
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

/// Up to the terminator on the same line; without one, nothing: the text behind must not disappear.
fn string_sequence(body: &str) -> usize {
    let line = body.find(['\n', '\r']).map_or(body, |end| &body[..end]);
    let ends = [("\u{7}", 1), ("\u{1b}\\", 2), ("\u{9c}", 2)];
    ends.iter().filter_map(|(end, length)| line.find(end).map(|at| at + length)).min().unwrap_or(0)
}

/// Controls (but tab and line breaks), direction marks and overrides, and whatever has no width and no weight in a
/// comparison (Unicode: Cc, Cf, Default_Ignorable_Code_Point, noncharacters).
fn invisible(c: char) -> bool {
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

/// Takes a line out of both grammars: `::name::` at its start, and `##[name]` anywhere. Characters beyond ASCII count
/// as if they were not there, in case a comparison ignores one that this file does not know.
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

fn shorten(line: &str) -> String {
    if line.len() <= LONGEST {
        return line.to_owned();
    }
    let kept = cut(line, LONGEST);
    format!("{kept}… ({} bytes more)", line.len() - kept.len())
}

/// The start of `text`, at most `bytes` long, never half a character.
pub fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;
    use crate::action::command::oracle;

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for line in
            ["", "  #[derive(Debug)] a::b::c", "#1 [internal] load", "tab\there", "Grüße 日本", "12:04:11 x"]
        {
            assert_eq!(neutralise(line), line);
        }
    }

    #[test]
    fn commands_are_taken_apart() {
        assert_eq!(neutralise("  ::add-mask::x"), "|   ::add-mask::x");
        assert_eq!(neutralise("x ##[error]y"), "x ## [error]y");
        assert_eq!(neutralise("\u{feff}:\u{200d}:add-mask::x"), "| ::add-mask::x");
        assert_eq!(neutralise("#\u{ad}#\u{301}[group]"), "##\u{301} [group]");
        assert_eq!(lines("a\r::error::b\r\nc\n").collect::<Vec<_>>(), ["a", "| ::error::b", "", "c"]);
    }

    #[test]
    fn terminal_tricks_are_gone() {
        assert_eq!(
            neutralise("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}]8;;http://a\u{1b}\\y"),
            "red xy"
        );
        assert_eq!(neutralise("a\u{202e}b\u{9b}2Jc\u{0}d\u{8}"), "abcd");
        assert_eq!(neutralise("\u{1b}]0;never ends ::x"), "0;never ends ::x");
        assert_eq!(strip("a\u{1b}\nb\u{1b}"), "a\nb");
    }

    #[test]
    fn a_line_without_end_is_cut_on_a_character() {
        let line = neutralise(&"ü".repeat(10_000));
        assert!(line.ends_with("ü… (15904 bytes more)"), "{}", &line[line.len() - 40..]);
        assert_eq!(cut("aüb", 2), "a");
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
            for line in lines(&text).chain([neutralise(&text)]) {
                proptest::prop_assert!(!line.contains(['\n', '\r']));
                proptest::prop_assert_eq!(oracle::parse(&line), None);
                let visible: String = line.chars().filter(char::is_ascii).collect();
                proptest::prop_assert_eq!(oracle::parse(&visible), None);
            }
        }
    }
}
