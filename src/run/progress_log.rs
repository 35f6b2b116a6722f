//! The progress log of a run: short calls over the events of the reporter. Nothing is decided here.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::action::{Redactor, Secret};
use crate::problem::Problem;
use crate::report::{LogEvent, LogSink as _, Reporter, RunReport};
use crate::sys::clock::Clock;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Something happens.
    None,
    /// Something is proven.
    Success,
    /// Something went wrong.
    Failure,
}

/// The log of a run; clones share the secrets that they mask.
#[derive(Clone)]
pub struct ProgressLog {
    reporter: Rc<Reporter<'static>>,
    clock: Clock,
    /// Secrets found inside of a call; they are masked before the next line is written.
    pending: Arc<Mutex<Vec<String>>>,
}

impl ProgressLog {
    /// Hands whole lines to `write`; in a runner it speaks the runner's commands.
    pub fn new(in_runner: bool, clock: Clock, write: impl FnMut(&str) + 'static) -> Self {
        let reporter = Rc::new(Reporter::new(in_runner, clock.now(), write));
        Self { reporter, clock, pending: Arc::default() }
    }

    /// Takes secrets from anywhere, such as from credentials that are renewed inside of a call. They are hidden before
    /// the next line, or anything else that leaves this process.
    pub fn secret_sink(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let pending = self.pending.clone();
        move |secret| pending.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned())
    }

    fn mask_pending(&self) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for secret in pending {
            self.reporter.emit(LogEvent::Mask(Secret::new(secret)));
        }
    }

    fn emit(&self, event: LogEvent) {
        self.mask_pending();
        self.reporter.emit(event);
    }

    /// A line of our own, about a service or the run.
    pub fn info(&self, service: Option<&str>, text: &str) {
        self.emit(LogEvent::Line { service: service.map(str::to_owned), text: text.to_owned() });
    }

    /// Something that happened to a service, with its time; what it quotes may come from outside.
    pub fn event(&self, service: Option<&str>, tone: Mark, words: &str) {
        let sign = match tone {
            Mark::None => "",
            Mark::Success => "✓ ",
            Mark::Failure => "✗ ",
        };
        let (at, text) = (self.clock.now(), format!("{sign}{words}"));
        self.emit(LogEvent::TimelineEntry { service: service.map(str::to_owned), at, text });
    }

    /// Text from outside.
    pub fn untrusted(&self, source: &str, text: &str) {
        self.emit(LogEvent::Untrusted { source: source.to_owned(), text: text.to_owned() });
    }

    /// A problem, as soon as it is known.
    pub fn problem(&self, problem: &Problem) {
        self.emit(LogEvent::Problem(problem.clone()));
    }

    /// Opens a group that the log folds.
    pub fn group(&self, title: &str) {
        self.emit(LogEvent::Group(title.to_owned()));
    }

    /// Closes the group.
    pub fn end_group(&self) {
        self.emit(LogEvent::EndGroup);
    }

    /// Hides `secret` from here on, and asks the runner to do the same. Must come before its first use.
    pub fn mask(&self, secret: &str) {
        self.emit(LogEvent::Mask(Secret::new(secret)));
    }

    /// The secrets known so far, for sinks that are not the log.
    pub fn redactor(&self) -> Redactor {
        self.mask_pending();
        self.reporter.redactor()
    }

    /// The end of the log.
    pub fn finish(&self, report: &RunReport) {
        self.mask_pending();
        self.reporter.finish(report);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pending_secret_is_masked_before_the_next_line() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let sink = lines.clone();
        let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
        let teller = ProgressLog::new(true, clock, move |line| sink.borrow_mut().push(line.to_owned()));
        let keep = teller.secret_sink();
        keep("s3cret-1");
        teller.info(None, "it is s3cret-1");
        keep("s3cret-2");
        assert_eq!(teller.redactor().redact("s3cret-2"), "***");
        assert_eq!(*lines.borrow(), ["::add-mask::s3cret-1", "it is ***", "::add-mask::s3cret-2"]);
    }
}
