//! The live log: what happens, line by line, while it happens. Whatever comes from outside is made harmless here and
//! loses its secrets here, for runner and laptop alike.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;

use super::annotations::annotations;
use super::terminal::terminal;
use super::values::RunReport;
use super::words::{clock, span};
use crate::action::neutral::{self, neutralise};
use crate::action::{Redactor, Secret, command};
use crate::problem::{Problem, Severity};

/// Something to say.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// From here to [`Event::EndGroup`] the lines belong together and may be folded. Groups do not nest.
    Group(String),
    /// The end of the group.
    EndGroup,
    /// A line of ours.
    Line {
        /// The service it is about.
        service: Option<String>,
        /// One line; may quote text from outside.
        text: String,
    },
    /// Text of a child process, a container or a provider; may have several lines.
    Untrusted {
        /// Who says so, such as `docker`.
        source: String,
        /// The text as it came.
        text: String,
    },
    /// A step of the rollout.
    Moment {
        /// The service it is about.
        service: Option<String>,
        /// When it happened.
        at: Timestamp,
        /// One line; may quote text from outside.
        text: String,
    },
    /// A problem, when it is found. Its annotation follows at the end, within the runner's limits.
    Problem(Problem),
    /// A secret: from here on nothing shows it. Comes before anything that could.
    Mask(Secret),
    /// A line for those who look for mistakes in Roadstead; shown only with debug logging.
    Debug(String),
}

/// Takes events; the shell has a [`Reporter`], tests have [`Recorded`].
pub trait Sink {
    /// Says it now.
    fn tell(&self, event: Event);
}

/// A line of ours, without a service.
pub fn line(text: impl Into<String>) -> Event {
    Event::Line { service: None, text: text.into() }
}

/// Takes whole lines, without their ends.
type Write<'a> = Box<dyn FnMut(&str) + 'a>;

/// Writes events as lines: workflow commands in a runner, plain text on a laptop.
pub struct Reporter<'a> {
    write: RefCell<Write<'a>>,
    state: RefCell<State>,
    in_runner: bool,
    started: Timestamp,
}

#[derive(Default)]
struct State {
    redactor: Redactor,
    in_group: bool,
}

impl<'a> Reporter<'a> {
    /// A reporter that hands whole lines, without their ends, to `write`. Times are told as distances from `started`.
    pub fn new(in_runner: bool, started: Timestamp, write: impl FnMut(&str) + 'a) -> Self {
        Self { write: RefCell::new(Box::new(write)), state: RefCell::default(), in_runner, started }
    }

    /// The secrets known so far, for sinks that are not the log.
    pub fn redactor(&self) -> Redactor {
        self.state.borrow().redactor.clone()
    }

    /// The end of the log: annotations in a runner, the whole report on a laptop.
    pub fn finish(&self, report: &RunReport) {
        self.end_group();
        let report = report.clone().redacted(&self.redactor());
        if self.in_runner {
            for annotation in annotations(&report) {
                self.command(&annotation.command());
            }
        }
        terminal(&report).lines().for_each(|line| self.line(line));
    }

    fn command(&self, line: &str) {
        (self.write.borrow_mut())(line);
    }

    /// The one way out for everything that is not a command.
    fn line(&self, text: &str) {
        let clean = self.state.borrow().redactor.redact(text);
        let clean = self.state.borrow().redactor.redact(&neutralise(&clean));
        (self.write.borrow_mut())(&clean);
    }

    fn prefixed(&self, prefix: Option<&str>, text: &str) {
        match prefix {
            Some(prefix) if !prefix.is_empty() => self.line(&format!("{prefix} │ {text}")),
            _ => self.line(text),
        }
    }

    fn untrusted(&self, source: &str, text: &str) {
        // A secret of several lines is recognised only before they are taken apart.
        let text = self.redactor().redact(text);
        neutral::lines(&text).for_each(|line| self.prefixed(Some(source), &line));
    }

    fn group(&self, title: &str) {
        self.end_group();
        let title = self.redactor().redact(title);
        if self.in_runner {
            self.command(&command::group(&title));
        } else {
            self.line(&format!("── {title}"));
        }
        self.state.borrow_mut().in_group = true;
    }

    fn end_group(&self) {
        let was_open = std::mem::take(&mut self.state.borrow_mut().in_group);
        if was_open && self.in_runner {
            self.command(&command::end_group());
        }
    }

    fn mask(&self, secret: &Secret) {
        let lines = self.state.borrow_mut().redactor.add(secret);
        if self.in_runner {
            lines.iter().for_each(|line| self.command(&command::add_mask(line)));
        }
    }

    fn moment(&self, service: Option<&str>, at: Timestamp, text: &str) {
        let since = Duration::try_from(at.duration_since(self.started)).unwrap_or_default();
        self.prefixed(service, &format!("{} (+{}) {text}", clock(at), span(since).replace('–', "0 s")));
    }

    fn problem(&self, problem: &Problem) {
        let word = match problem.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let place = problem.at.as_ref().map(|at| format!("{}:{}:{} ", at.file, at.line, at.column));
        let text = format!("{word} {}: {}{problem}", problem.code, place.unwrap_or_default());
        self.prefixed(problem.service.as_deref(), &text);
    }

    fn debug(&self, text: &str) {
        if self.in_runner {
            let text = self.redactor().redact(text);
            self.command(&command::debug(&neutralise(&text)));
        }
    }
}

impl Sink for Reporter<'_> {
    fn tell(&self, event: Event) {
        match event {
            Event::Group(title) => self.group(&title),
            Event::EndGroup => self.end_group(),
            Event::Line { service, text } => self.prefixed(service.as_deref(), &text),
            Event::Untrusted { source, text } => self.untrusted(&source, &text),
            Event::Moment { service, at, text } => self.moment(service.as_deref(), at, &text),
            Event::Problem(problem) => self.problem(&problem),
            Event::Mask(secret) => self.mask(&secret),
            Event::Debug(text) => self.debug(&text),
        }
    }
}

/// Keeps events instead of writing them.
#[derive(Debug, Default)]
pub struct Recorded(RefCell<Vec<Event>>);

impl Recorded {
    /// What was told so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }
}

impl Sink for Recorded {
    fn tell(&self, event: Event) {
        self.0.borrow_mut().push(event);
    }
}

#[cfg(test)]
mod tests;
