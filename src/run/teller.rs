//! Who hears of what happens, while it happens: short words for the shell over the reporter's events.

use std::rc::Rc;

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
}

impl Teller {
    /// Hands whole lines to `write`; in a runner it speaks the runner's commands.
    pub fn new(in_runner: bool, clock: Clock, write: impl FnMut(&str) + 'static) -> Self {
        Self { reporter: Rc::new(Reporter::new(in_runner, clock.now(), write)), clock }
    }

    /// A line of our own, about a service or the run.
    pub fn line(&self, service: Option<&str>, text: &str) {
        self.reporter.tell(Event::Line { service: service.map(str::to_owned), text: text.to_owned() });
    }

    /// Something that happened to a service, with its time; what it quotes may come from outside.
    pub fn tell(&self, service: Option<&str>, tone: Tone, words: &str) {
        let sign = match tone {
            Tone::Plain => "",
            Tone::Good => "✓ ",
            Tone::Bad => "✗ ",
        };
        let (at, text) = (self.clock.now(), format!("{sign}{words}"));
        self.reporter.tell(Event::Moment { service: service.map(str::to_owned), at, text });
    }

    /// Text that somebody else wrote.
    pub fn outside(&self, source: &str, text: &str) {
        self.reporter.tell(Event::Untrusted { source: source.to_owned(), text: text.to_owned() });
    }

    /// A problem, as soon as it is known.
    pub fn problem(&self, problem: &Problem) {
        self.reporter.tell(Event::Problem(problem.clone()));
    }

    /// Opens a group that the log folds.
    pub fn group(&self, title: &str) {
        self.reporter.tell(Event::Group(title.to_owned()));
    }

    /// Closes the group.
    pub fn end_group(&self) {
        self.reporter.tell(Event::EndGroup);
    }

    /// Hides `secret` from here on, and asks the runner to do the same. Must come before its first use.
    pub fn mask(&self, secret: &str) {
        self.reporter.tell(Event::Mask(Secret::new(secret)));
    }

    /// The secrets known so far, for sinks that are not the log.
    pub fn redactor(&self) -> Redactor {
        self.reporter.redactor()
    }

    /// The end of the log.
    pub fn finish(&self, report: &RunReport) {
        self.reporter.finish(report);
    }
}
