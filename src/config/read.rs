//! Reads a tree as a type: every error of the block at once, each with its line and the known keys.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::tree::{ConfigNode, ConfigValue};
use crate::problem::list::{MAX_PER_BLOCK, name_list};
use crate::problem::{Code, Problem, suggest};

/// Reads `node` as `T`. `what` names the block in messages, such as "service `backend`".
///
/// After each error the part that caused it is removed and the rest is read again, so that all errors are reported.
pub fn read<T: DeserializeOwned>(file: &str, what: &str, node: &ConfigNode) -> Result<T, Vec<Problem>> {
    let (mut value, mut problems, mut taken) = (node.to_value(), Vec::new(), Vec::new());
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if problems.is_empty() => return Ok(read),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let path = path_steps(error.path());
        let (problem, culprit) = explain_error(file, what, node, &path, &error.inner().to_string());
        let ours = parse_missing_field(error.inner())
            .is_some_and(|key| taken.contains(&[culprit.clone(), vec![key]].concat()))
            || is_emptied(&error.inner().to_string(), &culprit, &taken);
        let new = !ours && !problems.contains(&problem);
        // Each round reads the whole block again.
        if problems.len() == MAX_PER_BLOCK {
            problems.push(more_errors(what, problem));
            return Err(problems);
        }
        if new {
            problems.push(problem);
        }
        if !new || !remove_at(&mut value, &culprit) {
            return Err(problems);
        }
        taken.push(culprit);
    }
}

fn more_errors(what: &str, next: Problem) -> Problem {
    let sentence = format!("There are more errors in {what}, which are not listed.");
    let problem = Problem::error(next.code, sentence).help("Fix those that are listed first.");
    Problem { location: next.location, ..problem }
}

/// Whether a block of one key is invalid only because that key was removed.
fn is_emptied(error: &str, culprit: &[String], taken: &[Vec<String>]) -> bool {
    error.contains("map with a single key") && taken.iter().any(|path| path.starts_with(culprit))
}

enum PathStep {
    Key(String),
    Index(usize),
}

fn path_steps(path: &Path) -> Vec<PathStep> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(PathStep::Key(key.clone())),
            Segment::Seq { index } => Some(PathStep::Index(*index)),
            // A variant is written as the only key of a mapping.
            Segment::Enum { variant } => Some(PathStep::Key(variant.clone())),
            Segment::Unknown => None,
        })
        .collect()
}

/// The problem, and the path of the value to remove before reading on.
fn explain_error(
    file: &str,
    what: &str,
    root: &ConfigNode,
    path: &[PathStep],
    error: &str,
) -> (Problem, Vec<String>) {
    let mut culprit: Vec<String> = path.iter().map(step_name).collect();
    let shown = culprit.join(".");
    let (line, column) = find_position(root, path);
    if let Some((key, known)) = parse_unknown_field(error) {
        if culprit.last() != Some(&key) {
            culprit.push(key.clone());
        }
        let (line, column) = find_key_position(root, &culprit).unwrap_or((line, column));
        let sentence = format!("`{key}` is not a key of {what}{}.", parent_path_note(&culprit));
        return (
            Problem::error(Code::ConfigInvalid, sentence)
                .help(list_choices(&key, &known))
                .at_location(file, line, column),
            culprit,
        );
    }
    let location = if shown.is_empty() { what.to_owned() } else { format!("`{shown}` of {what}") };
    let sentence = match error.strip_prefix("missing field ") {
        Some(key) => format!("Missing key {key} in {location}."),
        None => format!("{location}: {}.", reword_error(error)),
    };
    let problem = Problem::error(Code::ConfigInvalid, sentence).at_location(file, line, column);
    let quoted = error.contains("expected a string")
        && (error.contains("integer") || error.contains("float") || error.contains("boolean"));
    (if quoted { problem.help("Put the value in quotes.") } else { problem }, culprit)
}

fn step_name(step: &PathStep) -> String {
    match step {
        PathStep::Key(key) => key.clone(),
        PathStep::Index(index) => index.to_string(),
    }
}

fn parent_path_note(culprit: &[String]) -> String {
    match culprit.split_last() {
        Some((_, above)) if !above.is_empty() => format!(" (in `{}`)", above.join(".")),
        _ => String::new(),
    }
}

/// serde's "unknown field `x`, expected one of `a`, `b`".
fn parse_unknown_field(error: &str) -> Option<(String, Vec<String>)> {
    let rest = error.strip_prefix("unknown field `").or_else(|| error.strip_prefix("unknown variant `"))?;
    let (key, rest) = rest.split_once('`')?;
    Some((key.to_owned(), rest.split('`').skip(1).step_by(2).map(str::to_owned).collect()))
}

fn parse_missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    Some(text.strip_prefix("missing field `")?.split_once('`')?.0.to_owned())
}

fn list_choices(key: &str, known: &[String]) -> String {
    let list = name_list(known.iter().map(String::as_str));
    match suggest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`? Known: {list}."),
        None => format!("Known: {list}."),
    }
}

fn reword_error(error: &str) -> String {
    error
        .replace("invalid type: ", "")
        .replace("invalid value: ", "")
        .replace("map, expected map with a single key", "several keys where one is allowed")
        .replace("expected u64", "expected a whole number")
        .replace("expected f64", "expected a number")
}

fn find_position(root: &ConfigNode, path: &[PathStep]) -> (usize, usize) {
    let mut node = root;
    for step in path {
        let below = match (&node.kind, step) {
            (ConfigValue::Mapping(_), PathStep::Key(key)) => node.get(key),
            (ConfigValue::Sequence(items), PathStep::Index(index)) => items.get(*index),
            _ => None,
        };
        match below {
            Some(below) => node = below,
            None => break,
        }
    }
    (node.line, node.column)
}

fn find_key_position(root: &ConfigNode, path: &[String]) -> Option<(usize, usize)> {
    let (last, above) = path.split_last()?;
    let mut node = root;
    for key in above {
        node = match &node.kind {
            ConfigValue::Sequence(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => node.get(key)?,
        };
    }
    node.entries().iter().find(|entry| entry.key == *last).map(|entry| (entry.line, entry.column))
}

/// Removes the value at `path`; false if there is none (then reading again would not help).
fn remove_at(value: &mut Value, path: &[String]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let mut at = value;
    for key in above {
        let below = match at {
            Value::Object(map) => map.get_mut(key),
            Value::Array(items) => key.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        match below {
            Some(below) => at = below,
            None => return false,
        }
    }
    match at {
        Value::Object(map) => map.shift_remove(last).is_some(),
        Value::Array(items) => last.parse::<usize>().is_ok_and(|index| {
            index < items.len() && {
                items.remove(index);
                true
            }
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Block {
        cluster: String,
        count: Option<u32>,
        inner: Option<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        names: Vec<String>,
    }

    fn problems(text: &str) -> Vec<String> {
        let node = parse("f.yml", text).unwrap();
        let problems = read::<Block>("f.yml", "service `a`", &node).unwrap_err();
        problems
            .iter()
            .map(|p| {
                format!("{}:{} {p}", p.location.as_ref().unwrap().line, p.location.as_ref().unwrap().column)
            })
            .collect()
    }

    #[test]
    fn every_error_is_reported_on_its_own_line() {
        insta::assert_snapshot!(problems("clustr: a\ncount: many\ninner:\n  names: [1, b]\n  nams: []\ncluster: 12\n").join("\n"), @r#"
        1:1 `clustr` is not a key of service `a`. Did you mean `cluster`? Known: `cluster`, `count`, `inner`.
        2:8 `count` of service `a`: string "many", expected u32.
        4:11 `inner.names.0` of service `a`: integer `1`, expected a string. Put the value in quotes.
        5:3 `nams` is not a key of service `a` (in `inner`). Did you mean `names`? Known: `names`.
        6:10 `cluster` of service `a`: integer `12`, expected a string. Put the value in quotes.
        "#);
    }

    #[test]
    fn errors_of_a_block_are_limited() {
        let lines: String = (0..2000).map(|number| format!("key{number}: x\n")).collect();
        let found = problems(&format!("cluster: a\n{lines}"));
        assert_eq!(found.len(), 21);
        assert!(found[20].contains("more errors in service `a`"), "{}", found[20]);
    }

    #[test]
    fn valid_block_is_read() {
        let node = parse("f.yml", "cluster: a\ncount: 3\n").unwrap();
        assert_eq!(read::<Block>("f.yml", "x", &node).unwrap().cluster, "a");
    }
}
