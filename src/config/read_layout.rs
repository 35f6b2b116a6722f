//! Keys of a block that are indented too little or too far, and values that serde takes for nothing.

use serde_json::Value;

use super::read_advice::Probe;
use super::read_error::WantedForm;
use super::tree::{ConfigEntry, ConfigNode, ConfigValue};
use super::value_path::{find_node, shift_indexes};
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};

/// Keys that stand beside the block that they belong to.
#[derive(Debug)]
pub(super) struct MisplacedKeys<'n> {
    /// The empty key that they belong below.
    pub(super) owner: &'n ConfigEntry,
    /// The keys, in the order of the file.
    pub(super) keys: Vec<&'n ConfigEntry>,
}

/// The keys after an empty one that the block does not know: they are not indented. `key` is one of them, or the empty one.
pub(super) fn find_misplaced<'n>(
    block: &'n ConfigNode,
    key: &str,
    known: &[String],
) -> Option<MisplacedKeys<'n>> {
    let entries = block.entries();
    let at = entries.iter().position(|entry| entry.key == key)?;
    let is_known = |entry: &ConfigEntry| known.contains(&entry.key);
    let owner_at = entries[..=at].iter().rposition(is_known)?;
    let owner = entries.get(owner_at)?;
    let follows =
        |entry: &&ConfigEntry| !is_known(entry) && entry.column == owner.column && entry.line > owner.line;
    let keys: Vec<&ConfigEntry> = entries.iter().skip(owner_at + 1).take_while(follows).collect();
    (is_empty_value(&owner.value) && !keys.is_empty()).then_some(MisplacedKeys { owner, keys })
}

impl MisplacedKeys<'_> {
    /// One problem for all of them, at the first.
    pub(super) fn problem(&self, file: &str) -> Problem {
        let names = name_list(self.keys.iter().map(|entry| entry.key.as_str()));
        let (verb, them) = if self.keys.len() == 1 { ("stands", "it") } else { ("stand", "them") };
        let owner = &self.owner.key;
        let sentence = format!("{names} {verb} beside `{owner}`, which has no value.");
        let problem = Problem::error(Code::ConfigInvalid, sentence)
            .help(format!("Indent {them} below `{owner}` (line {}).", self.owner.line));
        let first = self
            .keys
            .first()
            .map_or((self.owner.line, self.owner.column), |entry| (entry.line, entry.column));
        problem.at_location(file, first.0, first.1)
    }
}

fn is_empty_value(node: &ConfigNode) -> bool {
    match &node.kind {
        ConfigValue::Scalar(value) => value.is_null(),
        // `{}` is meant; a name of a strategy without a block is not written.
        ConfigValue::Mapping(entries) => entries.is_empty() && node.written.is_none(),
        ConfigValue::Sequence(_) => false,
    }
}

/// The block beside `key` that knows it: `key` is a line too far left.
pub(super) fn find_sibling_block(
    probe: &Probe<'_>,
    root: &ConfigNode,
    above: &[String],
    key: &str,
) -> Option<String> {
    let siblings = find_node(root, above)?.entries().iter().filter(|entry| entry.key != key);
    let is_open = |entry: &&ConfigEntry| matches!(entry.value.kind, ConfigValue::Mapping(_));
    let knows = |entry: &&ConfigEntry| {
        probe.keys_below(above, &entry.key).is_some_and(|known| known.iter().any(|one| one == key))
    };
    siblings.filter(is_open).take(MAX_SIBLINGS).find(knows).map(|entry| entry.key.clone())
}

/// Blocks of which it is asked whether a key belongs to them.
const MAX_SIBLINGS: usize = 10;

/// Whether an unknown key holds a block like the one that it stands in: it is indented too far.
pub(super) fn is_nested_twin(block: &ConfigNode, key: &str, known: &[String]) -> bool {
    let inner = block.get(key).map(ConfigNode::entries).unwrap_or_default();
    !inner.is_empty() && inner.iter().all(|entry| known.contains(&entry.key))
}

/// Values that were read without an error and ignored: keys without a value, and lists in place of blocks of keys.
pub(super) fn unread_values(
    probe: &Probe<'_>,
    root: &ConfigNode,
    removed: &[Vec<String>],
) -> Vec<(Vec<String>, WantedForm)> {
    let mut found = Candidates::default();
    found.collect(root, &mut Vec::new());
    let is_left = |path: &Vec<String>| !removed.iter().any(|gone| path.starts_with(gone));
    let is_block = |path: &Vec<String>| probe.is_block(&shift_indexes(root, path, removed));
    let empty = found.empty.into_iter().filter(is_left).map(|path| (path, WantedForm::Nothing));
    let lists =
        found.lists.into_iter().filter(is_left).filter(is_block).map(|path| (path, WantedForm::Block));
    empty.chain(lists).collect()
}

/// Candidates of each kind: a list is tried as a block, and each try reads the block again.
const MAX_CANDIDATES: usize = 30;

/// Paths of values that may have been ignored.
#[derive(Default)]
struct Candidates {
    empty: Vec<Vec<String>>,
    lists: Vec<Vec<String>>,
}

impl Candidates {
    fn collect(&mut self, node: &ConfigNode, path: &mut Vec<String>) {
        match &node.kind {
            ConfigValue::Scalar(Value::Null) if node.written.is_none() => add(&mut self.empty, path),
            ConfigValue::Scalar(_) => {}
            ConfigValue::Sequence(items) => {
                add(&mut self.lists, path);
                items
                    .iter()
                    .enumerate()
                    .for_each(|(at, item)| self.collect_below(item, at.to_string(), path));
            }
            ConfigValue::Mapping(entries) => {
                entries.iter().for_each(|entry| self.collect_below(&entry.value, entry.key.clone(), path));
            }
        }
    }

    fn collect_below(&mut self, node: &ConfigNode, step: String, path: &mut Vec<String>) {
        path.push(step);
        self.collect(node, path);
        path.pop();
    }
}

fn add(list: &mut Vec<Vec<String>>, path: &[String]) {
    if list.len() < MAX_CANDIDATES {
        list.push(path.to_vec());
    }
}
