//! A tree into a type: every error of the block at once, each on its line, with the keys that exist.

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::tree::{Kind, Node};
use crate::problem::{Code, Problem, suggest};

/// Reads `node` as `T`. `what` names the block in sentences, such as "service `backend`".
///
/// After each error the part that caused it is taken out and the rest is read again, so that all errors show.
pub fn read<T: DeserializeOwned>(file: &str, what: &str, node: &Node) -> Result<T, Vec<Problem>> {
    let (mut value, mut problems, mut taken) = (node.to_value(), Vec::new(), Vec::new());
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if problems.is_empty() => return Ok(read),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let path = steps(error.path());
        let (problem, culprit) = explain(file, what, node, &path, &error.inner().to_string());
        let ours = missing_field(error.inner())
            .is_some_and(|key| taken.contains(&[culprit.clone(), vec![key]].concat()))
            || emptied(&error.inner().to_string(), &culprit, &taken);
        let new = !ours && !problems.contains(&problem);
        if new {
            problems.push(problem);
        }
        if !new || !take(&mut value, &culprit) {
            return Err(problems);
        }
        taken.push(culprit);
    }
}

/// Whether a block of one key is wrong only because that key was taken out.
fn emptied(error: &str, culprit: &[String], taken: &[Vec<String>]) -> bool {
    error.contains("map with a single key") && taken.iter().any(|path| path.starts_with(culprit))
}

enum Step {
    Key(String),
    Index(usize),
}

fn steps(path: &Path) -> Vec<Step> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            // A variant is written as the only key of a mapping.
            Segment::Enum { variant } => Some(Step::Key(variant.clone())),
            Segment::Unknown => None,
        })
        .collect()
}

/// The problem, and the path of the value to take out before reading on.
fn explain(file: &str, what: &str, root: &Node, path: &[Step], error: &str) -> (Problem, Vec<String>) {
    let mut culprit: Vec<String> = path.iter().map(name).collect();
    let shown = culprit.join(".");
    let (line, column) = position(root, path);
    if let Some((key, known)) = unknown_field(error) {
        if culprit.last() != Some(&key) {
            culprit.push(key.clone());
        }
        let (line, column) = key_position(root, &culprit).unwrap_or((line, column));
        let sentence = format!("`{key}` is not a key of {what}{}.", inside(&culprit));
        return (
            Problem::error(Code::ConfigInvalid, sentence).help(choices(&key, &known)).at(file, line, column),
            culprit,
        );
    }
    let place = if shown.is_empty() { what.to_owned() } else { format!("`{shown}` of {what}") };
    let problem =
        Problem::error(Code::ConfigInvalid, format!("{place}: {}.", plain(error))).at(file, line, column);
    let quoted = error.contains("expected a string")
        && (error.contains("integer") || error.contains("float") || error.contains("boolean"));
    (if quoted { problem.help("Put the value in quotes.") } else { problem }, culprit)
}

fn name(step: &Step) -> String {
    match step {
        Step::Key(key) => key.clone(),
        Step::Index(index) => index.to_string(),
    }
}

fn inside(culprit: &[String]) -> String {
    match culprit.split_last() {
        Some((_, above)) if !above.is_empty() => format!(" (in `{}`)", above.join(".")),
        _ => String::new(),
    }
}

/// serde's "unknown field `x`, expected one of `a`, `b`".
fn unknown_field(error: &str) -> Option<(String, Vec<String>)> {
    let rest = error.strip_prefix("unknown field `").or_else(|| error.strip_prefix("unknown variant `"))?;
    let (key, rest) = rest.split_once('`')?;
    Some((key.to_owned(), rest.split('`').skip(1).step_by(2).map(str::to_owned).collect()))
}

fn missing_field(error: &serde_json::Error) -> Option<String> {
    let text = error.to_string();
    Some(text.strip_prefix("missing field `")?.split_once('`')?.0.to_owned())
}

fn choices(key: &str, known: &[String]) -> String {
    let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match suggest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`? Known: {list}."),
        None => format!("Known: {list}."),
    }
}

fn plain(error: &str) -> String {
    error
        .replace("invalid type: ", "")
        .replace("invalid value: ", "")
        .replace("missing field", "this key is missing:")
        .replace("map, expected map with a single key", "several keys where there is one to choose")
        .replace("expected u64", "expected a whole number")
        .replace("expected f64", "expected a number")
}

fn position(root: &Node, path: &[Step]) -> (usize, usize) {
    let mut node = root;
    for step in path {
        let below = match (&node.kind, step) {
            (Kind::Mapping(_), Step::Key(key)) => node.get(key),
            (Kind::Sequence(items), Step::Index(index)) => items.get(*index),
            _ => None,
        };
        match below {
            Some(below) => node = below,
            None => break,
        }
    }
    (node.line, node.column)
}

fn key_position(root: &Node, path: &[String]) -> Option<(usize, usize)> {
    let (last, above) = path.split_last()?;
    let mut node = root;
    for key in above {
        node = match &node.kind {
            Kind::Sequence(items) => items.get(key.parse::<usize>().ok()?)?,
            _ => node.get(key)?,
        };
    }
    node.entries().iter().find(|entry| entry.key == *last).map(|entry| (entry.line, entry.column))
}

/// Takes the value at `path` out; false when there is none (then reading again would not help).
fn take(value: &mut Value, path: &[String]) -> bool {
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
            .map(|p| format!("{}:{} {p}", p.at.as_ref().unwrap().line, p.at.as_ref().unwrap().column))
            .collect()
    }

    #[test]
    fn every_error_shows_on_its_own_line() {
        insta::assert_snapshot!(problems("clustr: a\ncount: many\ninner:\n  names: [1, b]\n  nams: []\ncluster: 12\n").join("\n"), @r#"
        1:1 `clustr` is not a key of service `a`. Did you mean `cluster`? Known: `cluster`, `count`, `inner`.
        2:8 `count` of service `a`: string "many", expected u32.
        4:11 `inner.names.0` of service `a`: integer `1`, expected a string. Put the value in quotes.
        5:3 `nams` is not a key of service `a` (in `inner`). Did you mean `names`? Known: `names`.
        6:10 `cluster` of service `a`: integer `12`, expected a string. Put the value in quotes.
        "#);
    }

    #[test]
    fn a_good_block_is_read() {
        let node = parse("f.yml", "cluster: a\ncount: 3\n").unwrap();
        assert_eq!(read::<Block>("f.yml", "x", &node).unwrap().cluster, "a");
    }
}
