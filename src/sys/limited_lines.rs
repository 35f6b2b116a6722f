//! Lines of a stream that may never end a line: what is longer than a limit is read, cut and counted.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// The longest line that is kept, in bytes.
const MAX_LINE_BYTES: usize = 16 << 10;

/// Reads a stream line by line.
pub(super) struct LimitedLines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    /// Bytes of the line that were not kept.
    cut_bytes: u64,
}

impl<R: AsyncRead + Unpin> LimitedLines<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { reader: BufReader::new(stream), line: Vec::new(), cut_bytes: 0 }
    }

    /// The next line without its end, bytes that are not UTF-8 replaced; `None` at the end of the stream or when it
    /// cannot be read any more. Safe to drop: what was read of a line is kept.
    pub(super) async fn next_line(&mut self) -> Option<String> {
        loop {
            let chunk = self.reader.fill_buf().await.unwrap_or_default();
            if chunk.is_empty() {
                return (!self.line.is_empty()).then(|| self.take_line());
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let kept = part.len().min(MAX_LINE_BYTES - self.line.len());
            self.line.extend_from_slice(&part[..kept]);
            self.cut_bytes += (part.len() - kept) as u64;
            let read = part.len() + usize::from(end.is_some());
            self.reader.consume(read);
            if end.is_some() {
                return Some(self.take_line());
            }
        }
    }

    fn take_line(&mut self) -> String {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        match std::mem::take(&mut self.cut_bytes) {
            0 => text,
            cut => format!("{text}… ({cut} bytes more)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = LimitedLines::new(bytes);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().await {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn lines_are_split_at_line_ends_and_the_last_needs_none() {
        for (bytes, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a\nb\r\n\nc", vec!["a", "b", "", "c"]),
            ("a\rb\n", vec!["a\rb"]),
            ("\n", vec![""]),
        ] {
            assert_eq!(lines(bytes.as_bytes()).await, expected, "{bytes:?}");
        }
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }

    #[tokio::test]
    async fn long_line_is_cut_and_the_next_one_is_whole() {
        let text = "x".repeat(MAX_LINE_BYTES + 1000) + "\nshort\n" + &"y".repeat(MAX_LINE_BYTES);
        let found = lines(text.as_bytes()).await;
        assert_eq!(found.len(), 3);
        assert!(found[0].ends_with("x… (1000 bytes more)"));
        assert_eq!((found[1].as_str(), found[2].len()), ("short", MAX_LINE_BYTES));
    }
}
