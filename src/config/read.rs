//! Reads a tree as a type: every error of the block at once, each with its line and what to write. One thing that is wrong is
//! one error: what follows from it is not reported.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::outline::describe_outer_block;
use super::read_advice::{Probe, ReadFailure, advise};
use super::read_error::{ReadError, WantedForm, describe_given};
use super::read_layout::{MisplacedKeys, find_misplaced, find_sibling_block, is_nested_twin, unread_values};
use super::tree::{ConfigEntry, ConfigNode, ConfigValue};
use super::value_path::{
    find_key_position, find_node, find_position, path_steps, remove_at, restore_indexes, shift_indexes,
    value_at,
};
use crate::problem::list::{MAX_PER_BLOCK, name_list};
use crate::problem::{Code, Problem, capitalize, suggest};

/// Errors of a large block for which other values are tried: each try reads the block again.
const MAX_ADVISED: usize = 5;
/// A block with as many values as this is large.
const LARGE_BLOCK: usize = 500;

/// Reads `node` as `T`. `what` names the block in messages, such as "service `backend`".
///
/// After each error the part that caused it is removed and the rest is read again, so that all errors are reported.
pub fn read<T: DeserializeOwned>(file: &str, what: &str, node: &ConfigNode) -> Result<T, Vec<Problem>> {
    let mut reader = BlockReader::new(file, what, node, first_failure::<T>);
    while let Some(failure) = first_failure::<T>(&reader.value) {
        if !reader.take(failure) {
            return Err(reader.problems);
        }
    }
    reader.take_unread_values();
    match serde_json::from_value(reader.value) {
        Ok(read) if reader.problems.is_empty() => Ok(read),
        _ => Err(reader.problems),
    }
}

fn first_failure<T: DeserializeOwned>(value: &Value) -> Option<ReadFailure> {
    let error = serde_path_to_error::deserialize::<_, T>(value).err()?;
    Some(ReadFailure { path: path_steps(error.path()), error: ReadError::parse(&error.inner().to_string()) })
}

/// A block while it is read.
struct BlockReader<'n> {
    file: &'n str,
    what: &'n str,
    root: &'n ConfigNode,
    first_failure: fn(&Value) -> Option<ReadFailure>,
    /// What is left to read.
    value: Value,
    problems: Vec<Problem>,
    /// What was removed, by its path in the file.
    removed: Vec<Vec<String>>,
    /// Keys that unknown ones were probably meant to be.
    meant: Vec<Vec<String>>,
    /// Keys that are missed, each with its problem.
    missing: Vec<(Vec<String>, Problem)>,
}

/// What to say about an error, and which values it is about.
#[derive(Default)]
struct Finding {
    /// `None` if the error follows from another one.
    problem: Option<Problem>,
    culprits: Vec<Vec<String>>,
    /// The key that was probably meant.
    meant: Option<Vec<String>>,
    /// The key that is missed.
    missing: Option<Vec<String>>,
}

impl<'n> BlockReader<'n> {
    fn new(
        file: &'n str,
        what: &'n str,
        root: &'n ConfigNode,
        first_failure: fn(&Value) -> Option<ReadFailure>,
    ) -> Self {
        let (value, problems) = (root.to_value(), Vec::new());
        Self {
            file,
            what,
            root,
            first_failure,
            value,
            problems,
            removed: Vec::new(),
            meant: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Reports an error and removes what caused it; false if reading on would not help.
    fn take(&mut self, failure: ReadFailure) -> bool {
        let path = restore_indexes(self.root, &failure.path, &self.removed);
        if self.replace_written(&path, &failure) {
            return true;
        }
        let Finding { problem, culprits, meant, missing } = match self.find_list_for_block(&path) {
            Some(list) => self.explain_form(list, &WantedForm::Block),
            None => self.explain(&path, failure.error),
        };
        if let Some(meant) = &meant {
            self.forget_missing(meant);
        }
        self.meant.extend(meant);
        self.missing.extend(missing.zip(problem.clone()));
        self.report(problem) && self.remove_all(culprits)
    }

    /// Withdraws the problem of a missing key that was found in another place since.
    fn forget_missing(&mut self, found: &[String]) {
        let gone = self.missing.iter().filter(|(key, _)| key == found).map(|(_, problem)| problem.clone());
        let gone: Vec<Problem> = gone.collect();
        self.problems.retain(|problem| !gone.contains(problem));
    }

    /// Adds a problem; false if there are too many.
    fn report(&mut self, problem: Option<Problem>) -> bool {
        let Some(problem) = problem.filter(|problem| !self.problems.contains(problem)) else { return true };
        let is_last = self.problems.len() == MAX_PER_BLOCK;
        self.problems.push(if is_last { more_errors(self.what, problem) } else { problem });
        !is_last
    }

    fn remove_all(&mut self, culprits: Vec<Vec<String>>) -> bool {
        let mut is_removed = false;
        for path in culprits {
            is_removed |= remove_at(&mut self.value, &shift_indexes(self.root, &path, &self.removed));
            self.removed.push(path);
        }
        is_removed
    }

    /// Keys without a value and lists in place of blocks, which serde reads as if nothing stood there.
    fn take_unread_values(&mut self) {
        let found = unread_values(&self.probe(), self.root, &self.removed);
        for (path, wanted) in found {
            let Finding { problem, .. } = self.explain_form(&path, &wanted);
            if !self.report(problem) {
                return;
            }
        }
    }

    /// Puts the text of numbers and booleans in their place, where a type wants it as it is written.
    fn replace_written(&mut self, path: &[String], failure: &ReadFailure) -> bool {
        let (Some((_, above)), Some((_, block))) = (failure.path.split_last(), path.split_last()) else {
            return false;
        };
        // All values of such a mapping have the same type.
        let is_all = failure.error == ReadError::WrongForm(WantedForm::WrittenValue);
        let is_one = failure.error == ReadError::WrongForm(WantedForm::WrittenDigits);
        let entries = find_node(self.root, block).map(ConfigNode::entries).unwrap_or_default();
        let Some(Value::Object(values)) = value_at(&mut self.value, above) else { return false };
        let mut is_replaced = false;
        for entry in entries.iter().filter(|entry| is_all || is_one && path.last() == Some(&entry.key)) {
            let value = values.get_mut(&entry.key).filter(|value| value.is_number() || value.is_boolean());
            if let (Some(value), Some(written)) = (value, &entry.value.written) {
                *value = Value::String(written.clone());
                is_replaced |= path.last() == Some(&entry.key);
            }
        }
        is_replaced
    }

    /// The list above an error that stands in place of a block: serde takes its items for the values of the keys.
    fn find_list_for_block<'p>(&self, path: &'p [String]) -> Option<&'p [String]> {
        let is_list = |path: &&[String]| {
            find_node(self.root, path).is_some_and(|node| matches!(node.kind, ConfigValue::Sequence(_)))
        };
        let above = (0..path.len()).filter(|_| self.is_advised()).map(|end| &path[..end]);
        above
            .filter(is_list)
            .find(|list| self.probe().is_block(&shift_indexes(self.root, list, &self.removed)))
    }

    /// Whether an error follows from what was removed below it.
    fn follows_from_removed(&self, path: &[String]) -> bool {
        self.removed.iter().any(|gone| gone.len() > path.len() && gone.starts_with(path))
    }

    fn is_advised(&self) -> bool {
        self.problems.len() < MAX_ADVISED || self.root.count_nodes() < LARGE_BLOCK
    }

    fn probe(&self) -> Probe<'_> {
        Probe { value: &self.value, first_failure: self.first_failure }
    }

    fn explain(&self, path: &[String], error: ReadError) -> Finding {
        match error {
            ReadError::UnknownKey(key, known) => self.explain_unknown_key(path, &key, &known),
            ReadError::UnknownName(name, known) => self.explain_unknown_name(path, &name, &known),
            ReadError::MissingKey(key) => self.explain_missing_key(path, key),
            ReadError::WrongForm(wanted) => self.explain_form(path, &wanted),
            ReadError::Rejected(_) if self.follows_from_removed(path) => {
                Finding { culprits: vec![path.to_vec()], ..Finding::default() }
            }
            ReadError::Rejected(why) => {
                self.finding(path, format!("{}: {why}.", self.place(path)), String::new())
            }
        }
    }

    /// A problem about the value at `path`.
    fn finding(&self, path: &[String], sentence: String, help: String) -> Finding {
        let (line, column) = find_position(self.root, path);
        let problem = Problem::error(Code::ConfigInvalid, capitalize(&sentence)).help(help);
        let problem = Some(problem.at_location(self.file, line, column));
        Finding { problem, culprits: vec![path.to_vec()], meant: None, missing: None }
    }

    /// The value at `path`, for sentences.
    fn place(&self, path: &[String]) -> String {
        if path.is_empty() { self.what.to_owned() } else { format!("`{}` of {}", path.join("."), self.what) }
    }

    fn explain_missing_key(&self, path: &[String], key: String) -> Finding {
        let sentence = format!("Missing key `{key}` in {}.", self.place(path));
        let missing = [path, &[key]].concat();
        let follows = self.removed.contains(&missing) || self.meant.contains(&missing);
        let finding = self.finding(path, sentence, String::new());
        Finding { problem: finding.problem.filter(|_| !follows), missing: Some(missing), ..finding }
    }

    fn explain_unknown_key(&self, path: &[String], key: &str, known: &[String]) -> Finding {
        let mut full = path.to_vec();
        let is_inside = find_node(self.root, path).is_some_and(|node| node.get(key).is_some());
        if is_inside || full.last().is_none_or(|last| last != key) {
            full.push(key.to_owned());
        }
        let above = &full[..full.len() - 1];
        let block = find_node(self.root, above).unwrap_or(self.root);
        let near = suggest(key, known.iter().map(String::as_str));
        let misplaced = find_misplaced(block, key, known).filter(|_| near.is_none());
        if let Some(misplaced) = misplaced {
            return self.explain_misplaced(above, &misplaced);
        }
        let sibling =
            self.is_advised().then(|| find_sibling_block(&self.probe(), self.root, above, key)).flatten();
        let help = match &sibling {
            Some(sibling) => format!("It is a key of `{sibling}`: indent it below that."),
            None => self.unknown_key_help(block, above, key, known),
        };
        let note = if above.is_empty() { String::new() } else { format!(" (in `{}`)", above.join(".")) };
        let (line, column) = find_key_position(self.root, &full).unwrap_or((block.line, block.column));
        let sentence = format!("`{key}` is not a key of {}{note}.", self.what);
        let problem = Problem::error(Code::ConfigInvalid, sentence).help(help);
        let problem = Some(problem.at_location(self.file, line, column));
        let meant = match sibling {
            Some(sibling) => Some([above, &[sibling, key.to_owned()]].concat()),
            None => near.map(|near| [above, &[near.to_owned()]].concat()),
        };
        Finding { problem, culprits: vec![full], meant, missing: None }
    }

    fn unknown_key_help(&self, block: &ConfigNode, above: &[String], key: &str, known: &[String]) -> String {
        if suggest(key, known.iter().map(String::as_str)).is_none() {
            if is_nested_twin(block, key, known) {
                let what =
                    if above.is_empty() { self.what.to_owned() } else { format!("`{}`", above.join(".")) };
                return format!("It looks like a block beside {what}: indent it less.");
            }
            if let Some(outer) = describe_outer_block(key) {
                return format!("It is a key of {outer}: indent it less.");
            }
        }
        list_choices(key, known)
    }

    fn explain_misplaced(&self, above: &[String], misplaced: &MisplacedKeys<'_>) -> Finding {
        let path = |entry: &ConfigEntry| [above, std::slice::from_ref(&entry.key)].concat();
        let culprits =
            misplaced.keys.iter().map(|entry| path(entry)).chain([path(misplaced.owner)]).collect();
        Finding { problem: Some(misplaced.problem(self.file)), culprits, meant: None, missing: None }
    }

    fn explain_unknown_name(&self, path: &[String], name: &str, known: &[String]) -> Finding {
        // The name is a value, or the only key of a mapping.
        let is_key = path.last().is_some_and(|last| last == name)
            && find_node(self.root, path).is_some_and(|node| !matches!(node.kind, ConfigValue::Scalar(_)));
        let path = if is_key { &path[..path.len() - 1] } else { path };
        let sentence = format!("`{name}` is not a value of {}.", self.place(path));
        self.finding(path, sentence, list_choices(name, known))
    }

    fn explain_form(&self, path: &[String], wanted: &WantedForm) -> Finding {
        if self.follows_from_removed(path) {
            return Finding { culprits: vec![path.to_vec()], ..Finding::default() };
        }
        let node = find_node(self.root, path).unwrap_or(self.root);
        if let Some(finding) = self.explain_empty_owner(path, node) {
            return finding;
        }
        if let (WantedForm::Choice, ConfigValue::Mapping(entries)) = (wanted, &node.kind) {
            return self.explain_choice(path, node, entries);
        }
        let advice = if self.is_advised() {
            advise(&self.probe(), &shift_indexes(self.root, path, &self.removed), node, wanted)
        } else {
            Default::default()
        };
        let place = self.place(path);
        let sentence = match advice.reason {
            Some(reason) => format!("{place}: {reason}."),
            None => format!("{place} {}.", describe_mismatch(node, wanted)),
        };
        self.finding(path, sentence, advice.help)
    }

    /// A key without a value, if the keys after it are unknown: they are not indented.
    fn explain_empty_owner(&self, path: &[String], node: &ConfigNode) -> Option<Finding> {
        let (last, above) = path.split_last().filter(|_| node.kind == ConfigValue::Scalar(Value::Null))?;
        let known = self.probe().known_keys(&shift_indexes(self.root, above, &self.removed))?;
        let misplaced = find_misplaced(find_node(self.root, above)?, last, &known)?;
        Some(self.explain_misplaced(above, &misplaced))
    }

    /// Several keys where one of several is allowed, or none.
    fn explain_choice(&self, path: &[String], node: &ConfigNode, entries: &[ConfigEntry]) -> Finding {
        let known =
            self.probe().known_keys(&shift_indexes(self.root, path, &self.removed)).unwrap_or_default();
        let unknown = entries.iter().find(|entry| !known.contains(&entry.key));
        let misplaced = unknown.and_then(|entry| find_misplaced(node, &entry.key, &known));
        if let Some(misplaced) = misplaced {
            let finding = self.explain_misplaced(path, &misplaced);
            return Finding { culprits: vec![path.to_vec()], ..finding };
        }
        if let Some(entry) = unknown.filter(|_| entries.iter().any(|entry| known.contains(&entry.key))) {
            let finding = self.explain_unknown_key(path, &entry.key, &known);
            return Finding { culprits: vec![path.to_vec()], ..finding };
        }
        let sentence = format!("{} has {} keys, but must have one.", self.place(path), entries.len());
        let help = format!("Keep one of: {}.", name_list(known.iter().map(String::as_str)));
        self.finding(path, sentence, help)
    }
}

fn describe_mismatch(node: &ConfigNode, wanted: &WantedForm) -> String {
    let given = describe_given(node);
    match (&node.kind, wanted) {
        (ConfigValue::Scalar(Value::Null), _) => given,
        (ConfigValue::Scalar(Value::Number(number)), WantedForm::WholeNumber) if !number.is_f64() => {
            format!("{given}, which is too small or too large")
        }
        _ => format!("{given}, but must be {}", wanted.describe()),
    }
}

fn more_errors(what: &str, next: Problem) -> Problem {
    let sentence = format!("There are more errors in {what}, which are not listed.");
    let problem = Problem::error(next.code, sentence).help("Fix those that are listed first.");
    Problem { location: next.location, ..problem }
}

pub(super) fn list_choices(key: &str, known: &[String]) -> String {
    let list = name_list(known.iter().map(String::as_str));
    match suggest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("Did you mean `{near}`? Known: {list}."),
        None if known.is_empty() => "It has no keys.".into(),
        None => format!("Known: {list}."),
    }
}

#[cfg(test)]
mod tests;
