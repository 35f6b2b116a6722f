//! How large a deploy file may be, so that reading it takes bounded time and memory whatever it contains.

use super::tree::ConfigNode;
use crate::problem::{Code, Problem};

/// The text of the file.
const MAX_BYTES: usize = 1 << 20;
/// Its services.
const MAX_SERVICES: usize = 1000;
/// Its environments.
const MAX_ENVIRONMENTS: usize = 200;
/// Branches of all environments together: each is compared with each.
pub(super) const MAX_BRANCHES: usize = 200;
/// The pattern of a branch: its pieces are the bits of a number.
pub(super) const MAX_PATTERN_BYTES: usize = 120;
/// The name of a branch; GitHub's limit is lower than this.
pub(super) const MAX_BRANCH_BYTES: usize = 255;

/// Its keys and values, with every alias written out.
const MAX_NODES: usize = 200_000;
/// The text of all keys and values, with every alias written out.
const MAX_TEXT_BYTES: usize = 8 << 20;

/// How large a part of the tree is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TreeSize {
    pub(super) nodes: usize,
    pub(super) text_bytes: usize,
}

impl TreeSize {
    pub(super) fn add(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.text_bytes += other.text_bytes;
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self { nodes: self.nodes - before.nodes, text_bytes: self.text_bytes - before.text_bytes }
    }

    pub(super) fn exceeds_limits(self) -> bool {
        self.nodes > MAX_NODES || self.text_bytes > MAX_TEXT_BYTES
    }
}

/// The problem of a text that is too long to be parsed.
pub(super) fn text_problem(file: &str, text: &str) -> Option<Problem> {
    let sentence = format!("{file} has {} bytes, more than {MAX_BYTES}.", text.len());
    let problem = Problem::error(Code::ConfigInvalid, sentence).at_location(file, 1, 1);
    (text.len() > MAX_BYTES)
        .then(|| problem.help("Split it into several deploy files, each with its own step."))
}

/// The problems of a file with too many services or environments.
pub(super) fn count_problems(file: &str, root: &ConfigNode) -> Vec<Problem> {
    let exceeds = |(key, limit): (&str, usize)| {
        let entries = root.get(key)?.entries();
        let first = entries.get(limit)?;
        let sentence = format!("The deploy file has {} {key}, more than {limit}.", entries.len());
        let problem = Problem::error(Code::ConfigInvalid, sentence);
        Some(problem.help("Split it into several deploy files.").at_location(file, first.line, first.column))
    };
    [("services", MAX_SERVICES), ("environments", MAX_ENVIRONMENTS)].into_iter().filter_map(exceeds).collect()
}
