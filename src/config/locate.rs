//! The lines of problems that a block reports about its own values, after it was read.

use super::tree::{ConfigNode, ConfigValue};
use crate::problem::{Location, Problem};

/// `problem` at the first of the keys and values below `node` that its sentence quotes, or at `node` itself.
pub fn locate_in(file: &str, node: &ConfigNode, problem: Problem) -> Problem {
    if problem.location.is_some() {
        return problem;
    }
    let quoted = problem.sentence.split('`').skip(1).step_by(2);
    let (line, column) =
        quoted.filter_map(|word| find_word(node, word)).next().unwrap_or((node.line, node.column));
    Problem { location: Some(Location { file: file.to_owned(), line, column }), ..problem }
}

/// The position of a key or a text.
fn find_word(node: &ConfigNode, word: &str) -> Option<(usize, usize)> {
    match &node.kind {
        ConfigValue::Scalar(value) => (value.as_str() == Some(word)).then_some((node.line, node.column)),
        ConfigValue::Sequence(items) => items.iter().find_map(|item| find_word(item, word)),
        ConfigValue::Mapping(entries) => entries.iter().find_map(|entry| {
            let is_key = (entry.key == word).then_some((entry.line, entry.column));
            is_key.or_else(|| find_word(&entry.value, word))
        }),
    }
}
