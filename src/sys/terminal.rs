//! Standard output and standard error: complete lines, flushed, never an error that would hide a result. Threads of their
//! own write them, so that a pipe that nobody reads blocks nothing else.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that wait to be written, in bytes. When it is full, the caller waits a moment.
const MAX_BYTES: usize = 4 << 20;
/// How long the caller waits for a reader that is slow. After that lines are dropped until the reader continues.
const SLOW_READER_LIMIT: Duration = Duration::from_secs(1);

static STDOUT: LazyLock<LineWriter> = LazyLock::new(|| LineWriter::start("stdout", std::io::stdout));
static STDERR: LazyLock<LineWriter> = LazyLock::new(|| LineWriter::start("stderr", std::io::stderr));

/// Writes `text` and a line end to standard output. A closed pipe is ignored; a pipe that is full delays a moment.
pub fn stdout_line(text: &str) {
    STDOUT.push(text);
}

/// Writes `text` and a line end to standard error: for users, next to a result that a program may read.
pub fn stderr_line(text: &str) {
    STDERR.push(text);
}

/// Waits until everything is written, however long the reader takes.
pub fn flush() {
    STDOUT.flush();
    STDERR.flush();
}

/// Whether everything is written.
pub fn is_written() -> bool {
    STDOUT.is_written() && STDERR.is_written()
}

/// Whether standard output is a terminal.
pub fn is_interactive() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal()
}

/// Lines on their way to a stream.
struct LineWriter {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    lines: Mutex<PendingLines>,
    /// Notified at every change.
    changed: Condvar,
}

#[derive(Default)]
struct PendingLines {
    lines: VecDeque<String>,
    /// The bytes of `lines` and of what is being written.
    bytes: usize,
    dropped: usize,
    /// Whether the reader was too slow; nobody waits for it until it continues.
    is_stuck: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, PendingLines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'q>(
        &self,
        lines: MutexGuard<'q, PendingLines>,
        limit: Duration,
        condition: impl FnMut(&mut PendingLines) -> bool,
    ) -> MutexGuard<'q, PendingLines> {
        let waited = self.changed.wait_timeout_while(lines, limit, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Takes all lines; waits for the first.
    fn take(&self) -> VecDeque<String> {
        let mut pending = self.lock();
        while pending.lines.is_empty() {
            pending = self.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut pending.lines)
    }

    /// Records that `bytes` were written. The number of lines that are missing before the next one.
    fn mark_written(&self, bytes: usize) -> usize {
        let mut pending = self.lock();
        pending.bytes -= bytes;
        pending.is_stuck = false;
        self.changed.notify_all();
        std::mem::take(&mut pending.dropped)
    }
}

impl LineWriter {
    fn start<W: Write>(name: &str, stream: impl FnOnce() -> W + Send + 'static) -> Self {
        let queue = Arc::<Queue>::default();
        let writer = queue.clone();
        let spawned =
            std::thread::Builder::new().name(name.into()).spawn(move || write_all(&writer, stream()));
        // Without a thread there is nobody to write: the lines are dropped at once.
        queue.lock().is_stuck = spawned.is_err();
        Self { queue }
    }

    fn push(&self, text: &str) {
        let length = text.len() + 1;
        let mut pending = self.queue.lock();
        let is_full = |pending: &mut PendingLines| {
            !pending.is_stuck && pending.bytes > 0 && pending.bytes + length > MAX_BYTES
        };
        pending = self.queue.wait_while(pending, SLOW_READER_LIMIT, is_full);
        if pending.bytes > 0 && pending.bytes + length > MAX_BYTES {
            pending.is_stuck = true;
            pending.dropped += 1;
            return;
        }
        pending.bytes += length;
        pending.lines.push_back(text.to_owned());
        self.queue.changed.notify_all();
    }

    fn is_written(&self) -> bool {
        self.queue.lock().bytes == 0
    }

    fn flush(&self) {
        let mut pending = self.queue.lock();
        while pending.bytes > 0 {
            pending = self.queue.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Writes lines for ever. An error is a closed pipe: later lines are still tried, and cost nothing.
fn write_all(queue: &Queue, mut stream: impl Write) {
    loop {
        for line in queue.take() {
            let _ = writeln!(stream, "{line}").and_then(|()| stream.flush());
            let missing = queue.mark_written(line.len() + 1);
            if missing > 0 {
                let _ = writeln!(
                    stream,
                    "({missing} lines are missing here: the reader of this log was too slow)"
                )
                .and_then(|()| stream.flush());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A stream that takes a line for each permission.
    struct Gate(mpsc::Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if bytes.contains(&b'\n') && self.0.recv().is_err() {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (LineWriter, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let ((open, wait), written) = (mpsc::channel(), Arc::default());
        let gate = Gate(wait, Arc::clone(&written));
        (LineWriter::start("test", move || gate), open, written)
    }

    #[test]
    fn stream_that_nobody_reads_blocks_for_a_moment_only() {
        let (writer, open, written) = gate();
        let started = std::time::Instant::now();
        let line = "x".repeat(100_000);
        (0..1000).for_each(|_| writer.push(&line));
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        assert!(!writer.is_written());
        (0..1000).for_each(|_| open.send(()).unwrap());
        writer.flush();
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines = text.lines().filter(|it| *it == line).count();
        assert!((30..50).contains(&lines), "{lines}");
        assert!(text.contains(&format!("({} lines are missing here", 1000 - lines)), "{}", text.len());
    }

    #[test]
    fn closed_stream_is_ignored() {
        let (writer, open, _) = gate();
        drop(open);
        (0..100).for_each(|_| writer.push("x"));
        writer.flush();
        assert!(writer.is_written());
    }
}
