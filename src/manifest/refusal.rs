//! Why a file is left alone: in words for whoever reads it, with the place where it is so.

use crate::problem::{Code, Problem};

/// A change that would have been a guess, or a file that cannot be read. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable name of the kind of refusal.
    pub code: Code,
    /// The reason: half a sentence, without period.
    pub why: String,
    /// What to do about it; may be empty.
    pub help: String,
    /// Line and column in characters, both from 1, where one place is the reason.
    pub at: Option<(usize, usize)>,
}

impl Refusal {
    /// The file can be read, but what is to be changed there is not clear.
    pub(super) fn unclear(why: impl Into<String>) -> Self {
        Self { code: Code::ManifestUnclear, why: why.into(), help: String::new(), at: None }
    }

    /// The file cannot be read as YAML, or is larger than what is read.
    pub(super) fn unreadable(why: impl Into<String>) -> Self {
        Self { code: Code::ManifestUnreadable, ..Self::unclear(why) }
    }

    pub(super) fn at(mut self, line: usize, column: usize) -> Self {
        self.at = Some((line, column));
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The same as a problem of `file`.
    pub fn problem(&self, file: &str) -> Problem {
        let sentence = format!("`{file}` is left as it is: {}.", self.why);
        let problem = Problem::error(self.code, sentence).help(&self.help);
        match self.at {
            Some((line, column)) => problem.at(file, line, column),
            None => problem,
        }
    }
}
