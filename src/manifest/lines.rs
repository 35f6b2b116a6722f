//! Places in a text as lines: where a line ends, how, and which line and column a byte is on.

/// The end of the line that byte `at` is on, without its line break.
pub(super) fn end(text: &str, at: usize) -> usize {
    text[at..].find(['\n', '\r']).map_or(text.len(), |found| at + found)
}

/// The first byte of the line that byte `at` is on.
pub(super) fn start(text: &str, at: usize) -> usize {
    text[..at].rfind(['\n', '\r']).map_or(0, |found| found + 1)
}

/// The line break at byte `at`; empty where there is none.
pub(super) fn break_at(text: &str, at: usize) -> &'static str {
    let rest = &text[at..];
    ["\r\n", "\n", "\r"].into_iter().find(|candidate| rest.starts_with(candidate)).unwrap_or("")
}

/// The line break for a new line behind byte `at`: that of the same line, else that of the first line.
pub(super) fn break_for(text: &str, at: usize) -> &'static str {
    let own = break_at(text, end(text, at));
    let first = break_at(text, end(text, 0));
    [own, first].into_iter().find(|found| !found.is_empty()).unwrap_or("\n")
}

/// Behind blanks, line breaks and comments from byte `at` on.
pub(super) fn skip(text: &str, mut at: usize) -> usize {
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at = end(text, at);
    }
}

/// Line and column, both from 1, of bytes in ascending order.
pub(super) fn places(text: &str, bytes: &[usize]) -> Vec<(usize, usize)> {
    let (mut line, mut seen) = (1, 0);
    let place = |at: &usize| {
        let between = &text.as_bytes()[seen..*at];
        let lone = |pair: &[u8]| pair[0] == b'\r' && pair[1] != b'\n';
        line += between.iter().filter(|b| **b == b'\n').count()
            + between.windows(2).filter(|it| lone(it)).count();
        seen = *at;
        (line, text[start(text, *at)..*at].trim_start_matches('\u{feff}').chars().count() + 1)
    };
    bytes.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_any_way() {
        let text = "a\r\nbc\nd";
        assert_eq!((end(text, 0), break_at(text, 1), start(text, 4)), (1, "\r\n", 3));
        assert_eq!((break_for(text, 0), break_for(text, 4), break_for(text, 6)), ("\r\n", "\n", "\r\n"));
        assert_eq!(places(text, &[0, 4, 6]), [(1, 1), (2, 2), (3, 1)]);
        assert_eq!(places("\u{feff}é b", &[6]), [(1, 3)]);
        assert_eq!(skip("  # x\n # y\n,", 0), 11);
    }
}
