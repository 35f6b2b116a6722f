//! Who hears of what happens, while it happens: short words for the shell over the reporter's events.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::action::{Redactor, Secret};
use crate::problem::Problem;
use crate::report::{Event, Reporter, RunReport, Sink as _};
use crate::sys::clock::Clock;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something happens.
    Plain,
    /// Something is proven.
    Good,
    /// Something went wrong.
    Bad,
}

/// Tells a person what happens; clones share the secrets they hide.
#[derive(Clone)]
pub struct Teller {
    reporter: Rc<Reporter<'static>>,
    clock: Clock,
    /// Secrets that came up inside of a call; they are hidden before anything else is said.
    pending: Arc<Mutex<Vec<String>>>,
}

impl Teller {
    /// Hands whole lines to `write`; in a runner it speaks the runner's commands.
    pub fn new(in_runner: bool, clock: Clock, write: impl FnMut(&str) + 'static) -> Self {
        let reporter = Rc::new(Reporter::new(in_runner, clock.now(), write));
        Self { reporter, clock, pending: Arc::default() }
    }

    /// Takes secrets from anywhere, such as from credentials that are renewed inside of a call. They are hidden before
    /// the next line, or anything else that leaves this process.
    pub fn keeper(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let pending = self.pending.clone();
        move |secret| pending.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned())
    }

    fn hide_pending(&self) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for secret in pending {
            self.reporter.tell(Event::Mask(Secret::new(secret)));
        }
    }

    fn event(&self, event: Event) {
        self.hide_pending();
        self.reporter.tell(event);
    }

    /// A line of our own, about a service or the run.
    pub fn line(&self, service: Option<&str>, text: &str) {
        self.event(Event::Line { service: service.map(str::to_owned), text: text.to_owned() });
    }

    /// Something that happened to a service, with its time; what it quotes may come from outside.
    pub fn tell(&self, service: Option<&str>, tone: Tone, words: &str) {
        let sign = match tone {
            Tone::Plain => "",
            Tone::Good => "✓ ",
            Tone::Bad => "✗ ",
        };
        let (at, text) = (self.clock.now(), format!("{sign}{words}"));
        self.event(Event::Moment { service: service.map(str::to_owned), at, text });
    }

    /// Text that somebody else wrote.
    pub fn outside(&self, source: &str, text: &str) {
        self.event(Event::Untrusted { source: source.to_owned(), text: text.to_owned() });
    }

    /// A problem, as soon as it is known.
    pub fn problem(&self, problem: &Problem) {
        self.event(Event::Problem(problem.clone()));
    }

    /// Opens a group that the log folds.
    pub fn group(&self, title: &str) {
        self.event(Event::Group(title.to_owned()));
    }

    /// Closes the group.
    pub fn end_group(&self) {
        self.event(Event::EndGroup);
    }

    /// Hides `secret` from here on, and asks the runner to do the same. Must come before its first use.
    pub fn mask(&self, secret: &str) {
        self.event(Event::Mask(Secret::new(secret)));
    }

    /// The secrets known so far, for sinks that are not the log.
    pub fn redactor(&self) -> Redactor {
        self.hide_pending();
        self.reporter.redactor()
    }

    /// The end of the log.
    pub fn finish(&self, report: &RunReport) {
        self.hide_pending();
        self.reporter.finish(report);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_secret_from_inside_a_call_is_hidden_before_the_next_line() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let sink = lines.clone();
        let clock = Clock::starting_at(jiff::Timestamp::UNIX_EPOCH);
        let teller = Teller::new(true, clock, move |line| sink.borrow_mut().push(line.to_owned()));
        let keep = teller.keeper();
        keep("s3cret-1");
        teller.line(None, "it is s3cret-1");
        keep("s3cret-2");
        assert_eq!(teller.redactor().redact("s3cret-2"), "***");
        assert_eq!(*lines.borrow(), ["::add-mask::s3cret-1", "it is ***", "::add-mask::s3cret-2"]);
    }
}
