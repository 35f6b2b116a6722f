//! Standard output, and standard error: whole lines, flushed, never an error that would hide a result.

use std::io::Write as _;

/// Writes `text` and a line end to standard output. A closed pipe is nobody's loss.
pub fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Writes `text` and a line end to standard error: for people, beside a result that a program may read.
pub fn aside(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Whether a person looks at standard output.
pub fn is_interactive() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal()
}
