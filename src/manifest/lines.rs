//! Byte offsets as lines and columns, and line breaks.

/// The end of the line that byte `at` is on, without its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |found| at + found)
}

/// The first byte of the line that byte `at` is on.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |found| found + 1)
}

/// The line break at byte `at`; empty if there is none.
pub(super) fn newline_at(text: &str, at: usize) -> &'static str {
    let rest = &text[at..];
    ["\r\n", "\n", "\r"].into_iter().find(|candidate| rest.starts_with(candidate)).unwrap_or("")
}

/// The line break for a new line behind byte `at`: that of the same line, else that of the first line.
pub(super) fn newline_style(text: &str, at: usize) -> &'static str {
    let own = newline_at(text, line_end(text, at));
    let first = newline_at(text, line_end(text, 0));
    [own, first].into_iter().find(|found| !found.is_empty()).unwrap_or("\n")
}

/// Behind blanks, line breaks and comments from byte `at` on.
pub(super) fn skip_blanks(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at = line_end(text, at);
    }
}

/// Line and column, both from 1, of bytes in ascending order.
pub(super) fn positions(text: &str, bytes: &[usize]) -> Vec<(usize, usize)> {
    let (mut line, mut passed) = (1, 0);
    let position = |at: &usize| {
        let between = &text.as_bytes()[passed..*at];
        let lone = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
        line += between.iter().filter(|b| **b == b'\n').count()
            + between.windows(2).filter(|it| lone(it)).count();
        passed = *at;
        (line, text[line_start(text, *at)..*at].trim_start_matches('\u{feff}').chars().count() + 1)
    };
    bytes.iter().map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_right_for_every_line_ending() {
        let text = "a\r\nbc\nd";
        assert_eq!((line_end(text, 0), newline_at(text, 1), line_start(text, 4)), (1, "\r\n", 3));
        assert_eq!(
            (newline_style(text, 0), newline_style(text, 4), newline_style(text, 6)),
            ("\r\n", "\n", "\r\n")
        );
        assert_eq!(positions(text, &[0, 4, 6]), [(1, 1), (2, 2), (3, 1)]);
        assert_eq!(positions("\u{feff}é b", &[6]), [(1, 3)]);
        assert_eq!(skip_blanks("  # x\n # y\n,", 0), 11);
    }
}
