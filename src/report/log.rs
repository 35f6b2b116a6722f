//! The live log, line by line. Everything from outside is sanitized and redacted here, for the runner and for a laptop.

use std::cell::RefCell;
use std::time::Duration;

use jiff::Timestamp;

use super::annotations::annotations;
use super::run_report::RunReport;
use super::terminal::terminal;
use super::text::{format_duration, format_time};
use crate::action::sanitize::{self, sanitize_line};
use crate::action::{Redactor, Secret, command};
use crate::problem::{Problem, Severity};

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEvent {
    /// From here to [`LogEvent::EndGroup`] the lines belong together and can be folded. Groups do not nest.
    Group(String),
    /// The end of the group.
    EndGroup,
    /// A line of Roadstead itself.
    Line {
        /// The service, if the line is about one.
        service: Option<String>,
        /// One line; may quote text from outside.
        text: String,
    },
    /// Text of a child process, a container or a provider; may have several lines.
    Untrusted {
        /// Its source, such as `docker`.
        source: String,
        /// The text, unchanged.
        text: String,
    },
    /// A step of the rollout.
    TimelineEntry {
        /// The service, if the step is about one.
        service: Option<String>,
        /// When it happened.
        at: Timestamp,
        /// One line; may quote text from outside.
        text: String,
    },
    /// A problem, when it is found. Its annotation follows at the end, within the runner's limits.
    Problem(Problem),
    /// A secret: masked from here on. Precedes every line that could contain it.
    Mask(Secret),
    /// A line for debugging Roadstead; shown only with debug logging.
    Debug(String),
}

/// Receives events; the shell has a [`Reporter`], tests have an [`EventRecorder`].
pub trait LogSink {
    /// Writes the event at once.
    fn emit(&self, event: LogEvent);
}

/// A line of Roadstead itself, without a service.
pub fn line_event(text: impl Into<String>) -> LogEvent {
    LogEvent::Line { service: None, text: text.into() }
}

/// Receives whole lines, without their line ends.
type LineWriter<'a> = Box<dyn FnMut(&str) + 'a>;

/// Writes events as lines: workflow commands in a runner, plain text on a laptop.
pub struct Reporter<'a> {
    write: RefCell<LineWriter<'a>>,
    state: RefCell<LogState>,
    in_runner: bool,
    started: Timestamp,
}

#[derive(Default)]
struct LogState {
    redactor: Redactor,
    in_group: bool,
}

impl<'a> Reporter<'a> {
    /// A reporter that passes whole lines, without their ends, to `write`. Times are shown relative to `started`.
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
                self.write_command(&annotation.command());
            }
        }
        terminal(&report).lines().for_each(|line| self.write_line(line));
    }

    fn write_command(&self, line: &str) {
        (self.write.borrow_mut())(line);
    }

    /// The only exit for everything that is not a command.
    fn write_line(&self, text: &str) {
        let clean = self.state.borrow().redactor.redact(text);
        let clean = self.state.borrow().redactor.redact(&sanitize_line(&clean));
        (self.write.borrow_mut())(&clean);
    }

    fn write_prefixed(&self, prefix: Option<&str>, text: &str) {
        match prefix {
            Some(prefix) if !prefix.is_empty() => self.write_line(&format!("{prefix} │ {text}")),
            _ => self.write_line(text),
        }
    }

    fn write_untrusted(&self, source: &str, text: &str) {
        // A secret of several lines is recognised only before they are taken apart.
        let text = self.redactor().redact(text);
        sanitize::sanitize_lines(&text).for_each(|line| self.write_prefixed(Some(source), &line));
    }

    fn start_group(&self, title: &str) {
        self.end_group();
        let title = self.redactor().redact(title);
        if self.in_runner {
            self.write_command(&command::group(&title));
        } else {
            self.write_line(&format!("── {title}"));
        }
        self.state.borrow_mut().in_group = true;
    }

    fn end_group(&self) {
        let was_open = std::mem::take(&mut self.state.borrow_mut().in_group);
        if was_open && self.in_runner {
            self.write_command(&command::end_group());
        }
    }

    fn mask_secret(&self, secret: &Secret) {
        let lines = self.state.borrow_mut().redactor.register(secret);
        if self.in_runner {
            lines.iter().for_each(|line| self.write_command(&command::add_mask(line)));
        }
    }

    fn write_timeline_entry(&self, service: Option<&str>, at: Timestamp, text: &str) {
        let since = Duration::try_from(at.duration_since(self.started)).unwrap_or_default();
        self.write_prefixed(service, &format!("{} (+{}) {text}", format_time(at), format_distance(since)));
    }

    fn write_problem(&self, problem: &Problem) {
        let severity = match problem.severity {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let position = problem.location.as_ref().map(|at| format!("{}:{}:{} ", at.file, at.line, at.column));
        let text = format!("{severity} {}: {}{problem}", problem.code, position.unwrap_or_default());
        self.write_prefixed(problem.service.as_deref(), &text);
    }

    fn write_debug(&self, text: &str) {
        if self.in_runner {
            let text = self.redactor().redact(text);
            self.write_command(&command::debug(&sanitize_line(&text)));
        }
    }
}

/// `<1 s`, `1 min 12 s`.
fn format_distance(since: Duration) -> String {
    match since.as_secs() {
        0 if since.is_zero() => "0 s".into(),
        0 => "<1 s".into(),
        _ => format_duration(since),
    }
}

impl LogSink for Reporter<'_> {
    fn emit(&self, event: LogEvent) {
        match event {
            LogEvent::Group(title) => self.start_group(&title),
            LogEvent::EndGroup => self.end_group(),
            LogEvent::Line { service, text } => self.write_prefixed(service.as_deref(), &text),
            LogEvent::Untrusted { source, text } => self.write_untrusted(&source, &text),
            LogEvent::TimelineEntry { service, at, text } => {
                self.write_timeline_entry(service.as_deref(), at, &text)
            }
            LogEvent::Problem(problem) => self.write_problem(&problem),
            LogEvent::Mask(secret) => self.mask_secret(&secret),
            LogEvent::Debug(text) => self.write_debug(&text),
        }
    }
}

/// Keeps events instead of writing them.
#[derive(Debug, Default)]
pub struct EventRecorder(RefCell<Vec<LogEvent>>);

impl EventRecorder {
    /// The events so far, oldest first.
    pub fn events(&self) -> Vec<LogEvent> {
        self.0.borrow().clone()
    }
}

impl LogSink for EventRecorder {
    fn emit(&self, event: LogEvent) {
        self.0.borrow_mut().push(event);
    }
}

#[cfg(test)]
mod tests;
