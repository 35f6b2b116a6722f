//! Why a file is not changed: the reason for the reader, with its location.

use crate::problem::{Code, Problem};

/// A change that would be a guess, or a file that cannot be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditError {
    /// The problem code.
    pub code: Code,
    /// The reason: half a sentence, without period.
    pub reason: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// Line and column in characters, both from 1, if one location is the reason.
    pub at: Option<(usize, usize)>,
}

impl EditError {
    /// The file can be read, but it is not clear what to change.
    pub(super) fn ambiguous(why: impl Into<String>) -> Self {
        Self { code: Code::ManifestAmbiguous, reason: why.into(), help: String::new(), at: None }
    }

    /// The file cannot be read as YAML, or is too large.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self { code: Code::ManifestUnreadable, ..Self::ambiguous(why) }
    }

    pub(super) fn at(mut self, line: usize, column: usize) -> Self {
        self.at = Some((line, column));
        self
    }

    /// The same of a text inside of the file that begins at `origin`.
    pub(super) fn within(mut self, origin: (usize, usize)) -> Self {
        let (line, column) = self.at.unwrap_or((1, 1));
        self.at = Some((origin.0 + line - 1, origin.1 + column.max(1) - 1));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The same as a problem of `file`.
    pub fn problem(&self, file: &str) -> Problem {
        let sentence = format!("`{file}` was not changed: {}.", self.reason);
        let problem = Problem::error(self.code, sentence).help(&self.help);
        match self.at {
            Some((line, column)) => problem.at_location(file, line, column),
            None => problem,
        }
    }
}
