//! Paths into a block of the deploy file: the node and the position of each, and changes of the value that is read.
//! A step is a key, or the index of an item.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::tree::{ConfigNode, ConfigValue};

/// The steps of an error's path.
pub(super) fn path_steps(path: &Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { index } => Some(index.to_string()),
            // A variant is written as the only key of a mapping.
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect()
}

/// `path` as the file counts it, after the items `removed` were taken out of their lists.
pub(super) fn restore_indexes(root: &ConfigNode, path: &[String], removed: &[Vec<String>]) -> Vec<String> {
    let mut restored: Vec<String> = Vec::new();
    for step in path {
        let index = list_index(root, &restored, step);
        let is_gone = |at: &usize| removed.contains(&[&restored[..], &[at.to_string()]].concat());
        let original = index.and_then(|index| (0..).filter(|at| !is_gone(at)).nth(index));
        restored.push(original.map_or_else(|| step.clone(), |at| at.to_string()));
    }
    restored
}

/// `path` of the file as the value counts it that is left after `removed`.
pub(super) fn shift_indexes(root: &ConfigNode, path: &[String], removed: &[Vec<String>]) -> Vec<String> {
    let shifted = |(at, step): (usize, &String)| {
        let above = &path[..at];
        let Some(index) = list_index(root, above, step) else { return step.clone() };
        let is_gone = |before: &usize| removed.contains(&[above, &[before.to_string()]].concat());
        (index - (0..index).filter(is_gone).count()).to_string()
    };
    path.iter().enumerate().map(shifted).collect()
}

/// The index that a step is, if what it stands below is a list.
fn list_index(root: &ConfigNode, above: &[String], step: &str) -> Option<usize> {
    let is_list = matches!(find_node(root, above)?.kind, ConfigValue::Sequence(_));
    step.parse().ok().filter(|_| is_list)
}

/// The node at `path`.
pub(super) fn find_node<'n>(root: &'n ConfigNode, path: &[String]) -> Option<&'n ConfigNode> {
    path.iter().try_fold(root, |node, step| below(node, step))
}

fn below<'n>(node: &'n ConfigNode, step: &str) -> Option<&'n ConfigNode> {
    match &node.kind {
        ConfigValue::Sequence(items) => items.get(step.parse::<usize>().ok()?),
        _ => node.get(step),
    }
}

/// The position of the node at `path`, or of the nearest node above it.
pub(super) fn find_position(root: &ConfigNode, path: &[String]) -> (usize, usize) {
    let mut node = root;
    for step in path {
        match below(node, step) {
            Some(next) => node = next,
            None => break,
        }
    }
    (node.line, node.column)
}

/// The position of the key at the end of `path`.
pub(super) fn find_key_position(root: &ConfigNode, path: &[String]) -> Option<(usize, usize)> {
    let (last, above) = path.split_last()?;
    let entries = find_node(root, above)?.entries();
    entries.iter().find(|entry| entry.key == *last).map(|entry| (entry.line, entry.column))
}

/// The value at `path`.
pub(super) fn value_at<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |at, step| match at {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
        _ => None,
    })
}

/// Removes the value at `path`; false if there is none (then reading again would not help).
pub(super) fn remove_at(value: &mut Value, path: &[String]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    match value_at(value, above) {
        Some(Value::Object(map)) => map.shift_remove(last).is_some(),
        Some(Value::Array(items)) => {
            let index = last.parse::<usize>().ok().filter(|index| *index < items.len());
            index.map(|index| items.remove(index)).is_some()
        }
        _ => false,
    }
}
