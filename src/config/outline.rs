//! The outline of a deploy file: which keys stand at which level. A key at the wrong level is reported once, with the level
//! that it belongs to, and nothing that follows from it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::blocks::{ENVIRONMENT_KEYS, SERVICE_KEYS};
use super::limits;
use super::read_error::describe_given;
use super::read_layout::{MisplacedKeys, find_misplaced};
use super::tree::{ConfigEntry, ConfigNode, ConfigValue};
use crate::problem::list::{MAX_PER_BLOCK, for_first, name_list};
use crate::problem::{Code, Problem, suggest};

/// Keys of the file as a whole.
const TOP_LEVEL_KEYS: [&str; 5] = ["environments", "services", "notify", "atomic", "registries"];
/// Keys that hold what users name.
const REQUIRED_KEYS: [&str; 2] = ["environments", "services"];
/// Keys of a service that are read apart from its other settings.
const SPECIAL_SERVICE_KEYS: [&str; 2] = ["build", "environments"];
/// Target keys of the contract that no kind exists for yet.
const PLANNED_TARGET_KEYS: [&str; 3] = ["lambda", "app-runner", "beanstalk"];

/// Whether a key of a service names a target: one that exists, or one that the contract reserves.
pub(super) fn is_target_key(key: &str, targets: &[&str]) -> bool {
    targets.contains(&key) || PLANNED_TARGET_KEYS.contains(&key)
}

fn is_service_key(key: &str) -> bool {
    SERVICE_KEYS.contains(&key) || SPECIAL_SERVICE_KEYS.contains(&key)
}

/// The block further out that has this key, for sentences.
pub(super) fn describe_outer_block(key: &str) -> Option<&'static str> {
    if is_service_key(key) {
        Some("a service")
    } else if ENVIRONMENT_KEYS.contains(&key) {
        Some("an environment")
    } else if TOP_LEVEL_KEYS.contains(&key) {
        Some("the deploy file")
    } else {
        None
    }
}

/// What is wrong with the keys of the file as a whole.
pub(super) fn top_level_problems(file: &str, root: &ConfigNode) -> Vec<Problem> {
    if let Some(problem) = form_problem(file, "the deploy file", root) {
        return vec![problem];
    }
    if root.entries().is_empty() {
        let sentence = "The deploy file is empty.";
        let help = "It needs the keys `environments` and `services`.";
        return vec![Problem::error(Code::ConfigInvalid, sentence).help(help).at_location(file, 1, 1)];
    }
    let nested: Vec<NestedKey<'_>> = REQUIRED_KEYS.iter().filter_map(|key| find_nested(root, key)).collect();
    let mut problems: Vec<Problem> = nested.iter().map(|nested| nested.problem(file)).collect();
    let unknown = unknown_keys(file, "the deploy file", root, &TOP_LEVEL_KEYS, top_level_help);
    problems.extend(unknown.problems);
    problems.extend(limits::count_problems(file, root));
    for key in REQUIRED_KEYS {
        let is_told = nested.iter().any(|nested| nested.entry.key == key)
            || unknown.meant.iter().any(|meant| meant == key);
        problems.extend(required_problem(file, root, key).filter(|_| !is_told));
    }
    problems
}

/// `services` or `environments`, where it is missing or has nothing in it.
fn required_problem(file: &str, root: &ConfigNode, key: &str) -> Option<Problem> {
    match root.get(key) {
        None => {
            let sentence = format!("Missing key `{key}` in the deploy file.");
            Some(Problem::error(Code::ConfigInvalid, sentence).at_location(file, root.line, root.column))
        }
        Some(node) if node.entries().is_empty() => {
            let empty = format!("`{key}` in the deploy file has no entries.");
            let empty = Problem::error(Code::ConfigInvalid, empty).at_location(file, node.line, node.column);
            Some(form_problem(file, &format!("`{key}`"), node).unwrap_or(empty))
        }
        Some(_) => None,
    }
}

/// A key of the file as a whole that stands in one of its blocks.
struct NestedKey<'n> {
    entry: &'n ConfigEntry,
    inside: &'static str,
}

fn find_nested<'n>(root: &'n ConfigNode, key: &str) -> Option<NestedKey<'n>> {
    if root.get(key).is_some() {
        return None;
    }
    let blocks = TOP_LEVEL_KEYS.into_iter().filter_map(|inside| Some((inside, root.get(inside)?)));
    blocks
        .flat_map(|(inside, block)| block.entries().iter().map(move |entry| NestedKey { entry, inside }))
        .find(|nested| nested.entry.key == key)
}

impl NestedKey<'_> {
    fn problem(&self, file: &str) -> Problem {
        let (key, inside) = (&self.entry.key, self.inside);
        let sentence = format!("`{key}` stands inside `{inside}`.");
        Problem::error(Code::ConfigInvalid, sentence)
            .help(format!(
                "It is a key of the deploy file: indent it, and all that is below it, as `{inside}` is."
            ))
            .at_location(file, self.entry.line, self.entry.column)
    }
}

/// What is wrong with a block of names or keys that is no such block.
pub(super) fn form_problem(file: &str, what: &str, node: &ConfigNode) -> Option<Problem> {
    let help = match &node.kind {
        ConfigValue::Mapping(_) => return None,
        ConfigValue::Scalar(Value::Null) => "Write its keys below it, indented further, or remove it.",
        ConfigValue::Scalar(_) => "Write its keys below it, indented further.",
        ConfigValue::Sequence(_) => "Write `name:` for each, without `- `.",
    };
    let given = describe_given(node);
    let predicate =
        if given == "has no value" { given } else { format!("{given}, but must be a block of keys") };
    let sentence = crate::problem::capitalize(&format!("{what} {predicate}."));
    Some(Problem::error(Code::ConfigInvalid, sentence).help(help).at_location(file, node.line, node.column))
}

/// Unknown keys of a block.
struct UnknownKeys {
    problems: Vec<Problem>,
    /// The keys that were probably meant, and those that others were meant to stand below.
    meant: Vec<String>,
}

/// Reports the unknown keys of a block, each once: as a typo, as keys of the empty one before them, or as `help` has it.
fn unknown_keys(
    file: &str,
    what: &str,
    node: &ConfigNode,
    known: &[&str],
    help: fn(&ConfigEntry) -> Option<String>,
) -> UnknownKeys {
    let names: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
    let (mut meant, mut told) = (Vec::new(), BTreeSet::new());
    let mut found = Vec::new();
    for entry in node.entries().iter().filter(|entry| !names.contains(&entry.key)) {
        if told.contains(entry.key.as_str()) {
            continue;
        }
        // Those after the first are only counted: each look reads the whole block.
        let is_reported = found.len() < MAX_PER_BLOCK;
        let near = is_reported.then(|| suggest(&entry.key, known.iter().copied())).flatten();
        let is_looked_up = is_reported && near.is_none();
        let misplaced = is_looked_up.then(|| find_misplaced(node, &entry.key, &names)).flatten();
        meant.extend(near.map(str::to_owned));
        if let Some(misplaced) = &misplaced {
            meant.push(misplaced.owner.key.clone());
            told.extend(misplaced.keys.iter().map(|entry| entry.key.as_str()));
        }
        found.push((entry, near, misplaced));
    }
    let list = name_list(known.iter().copied());
    let problems = for_first(found, |(entry, near, misplaced)| {
        if let Some(misplaced) = misplaced {
            return misplaced.problem(file);
        }
        let advice = match near {
            Some(near) => format!("Did you mean `{near}`? Known: {list}."),
            None => help(entry).unwrap_or_else(|| format!("Known: {list}.")),
        };
        Problem::error(Code::ConfigInvalid, format!("`{}` is not a key of {what}.", entry.key))
            .help(advice)
            .at_location(file, entry.line, entry.column)
    });
    UnknownKeys { problems, meant }
}

/// What an unknown key at the top level probably is.
fn top_level_help(entry: &ConfigEntry) -> Option<String> {
    let has = |is_key: fn(&str) -> bool| entry.value.entries().iter().any(|below| is_key(&below.key));
    if ENVIRONMENT_KEYS.contains(&entry.key.as_str()) && !has(is_service_key) {
        Some("It is a key of an environment: indent it below the name of one.".into())
    } else if is_service_key(&entry.key) {
        Some("It is a key of a service: indent it below the name of one.".into())
    } else if has(is_service_key) {
        Some("It looks like a service: indent it below `services`.".into())
    } else if has(|key| ENVIRONMENT_KEYS.contains(&key)) {
        Some("It looks like an environment: indent it below `environments`.".into())
    } else {
        None
    }
}

/// Keys of a service after an empty one that they belong below.
pub(super) fn slipped_keys(file: &str, node: &ConfigNode, targets: &[&str]) -> Vec<Problem> {
    let known = [&SERVICE_KEYS[..], &SPECIAL_SERVICE_KEYS, &PLANNED_TARGET_KEYS, targets].concat();
    let names: Vec<String> = known.iter().map(|&key| key.to_owned()).collect();
    let owners = node.entries().iter().filter(|entry| names.contains(&entry.key));
    let slipped = owners.filter_map(|entry| find_misplaced(node, &entry.key, &names));
    let is_no_typo = |slipped: &MisplacedKeys<'_>| {
        slipped.keys.first().is_some_and(|first| suggest(&first.key, known.iter().copied()).is_none())
    };
    for_first(slipped.filter(is_no_typo), |slipped| slipped.problem(file))
}

/// Problems of the unknown keys of a service.
pub(super) fn unknown_service_keys(
    file: &str,
    service: &str,
    node: &ConfigNode,
    targets: &[&str],
) -> Vec<Problem> {
    // Planned targets are known, and not listed: no kind exists for them.
    let listed = [&SERVICE_KEYS[..], &SPECIAL_SERVICE_KEYS, targets].concat();
    let node = ConfigNode {
        kind: ConfigValue::Mapping(
            node.entries()
                .iter()
                .filter(|entry| !PLANNED_TARGET_KEYS.contains(&entry.key.as_str()))
                .cloned()
                .collect(),
        ),
        ..node.clone()
    };
    unknown_keys(file, &format!("service `{service}`"), &node, &listed, service_help).problems
}

fn service_help(entry: &ConfigEntry) -> Option<String> {
    let is_service = entry.value.entries().iter().any(|below| is_service_key(&below.key));
    if is_service {
        return Some("It looks like a service of its own: indent it as the other services are.".into());
    }
    let is_outer = TOP_LEVEL_KEYS.contains(&entry.key.as_str());
    is_outer.then(|| "It is a key of the deploy file: indent it as `services` is.".into())
}

/// Whether a service without a target has an unknown key that was probably meant as one.
pub(super) fn has_misspelled_target(node: &ConfigNode, targets: &[&str]) -> bool {
    let known = [&SERVICE_KEYS[..], &SPECIAL_SERVICE_KEYS, targets].concat();
    let unknown = node.entries().iter().filter(|entry| !known.contains(&entry.key.as_str()));
    unknown.take(MAX_PER_BLOCK).any(|entry| match suggest(&entry.key, known.iter().copied()) {
        Some(near) => targets.contains(&near),
        None => matches!(entry.value.kind, ConfigValue::Mapping(_)),
    })
}

/// Keys of services or environments that stand at the level of their names.
pub(super) struct MisplacedNames<'n> {
    groups: Vec<NameGroup<'n>>,
    /// What they are keys of.
    kind: &'static str,
}

/// Such keys that follow each other, and the name that they belong below, if one stands before them.
struct NameGroup<'n> {
    owner: Option<&'n ConfigEntry>,
    keys: Vec<&'n ConfigEntry>,
}

/// Keys of services at the level of the services' names.
pub(super) fn misplaced_service_keys<'n>(entries: &'n [ConfigEntry], targets: &[&str]) -> MisplacedNames<'n> {
    let is_key = |key: &str| is_service_key(key) || is_target_key(key, targets);
    let has_target =
        |entry: &ConfigEntry| entry.value.entries().iter().any(|below| is_target_key(&below.key, targets));
    // A key that stands too far left takes what follows it in, also the target of its service.
    let is_misplaced = |entry: &ConfigEntry, owner: Option<&ConfigEntry>| {
        is_key(&entry.key) && (!has_target(entry) || owner.is_some_and(|owner| !has_target(owner)))
    };
    MisplacedNames { groups: group_misplaced(entries, is_misplaced), kind: "service" }
}

/// Keys of environments at the level of the environments' names.
pub(super) fn misplaced_environment_keys(entries: &[ConfigEntry]) -> MisplacedNames<'_> {
    let is_misplaced = |entry: &ConfigEntry, _: Option<&ConfigEntry>| {
        let below = entry.value.entries();
        let has_key = below.iter().any(|below| ENVIRONMENT_KEYS.contains(&below.key.as_str()));
        let is_bare = matches!(entry.value.kind, ConfigValue::Scalar(Value::Null));
        let is_environment = has_key || is_bare || is_empty_block(&entry.value);
        ENVIRONMENT_KEYS.contains(&entry.key.as_str()) && !is_environment
    };
    MisplacedNames { groups: group_misplaced(entries, is_misplaced), kind: "environment" }
}

fn is_empty_block(node: &ConfigNode) -> bool {
    matches!(&node.kind, ConfigValue::Mapping(entries) if entries.is_empty())
}

fn group_misplaced<'n>(
    entries: &'n [ConfigEntry],
    is_misplaced: impl Fn(&ConfigEntry, Option<&ConfigEntry>) -> bool,
) -> Vec<NameGroup<'n>> {
    let (mut groups, mut owner) = (Vec::<NameGroup<'n>>::new(), None);
    let mut is_following = false;
    for entry in entries {
        let is_key = is_misplaced(entry, owner);
        match groups.last_mut().filter(|_| is_key && is_following) {
            Some(group) => group.keys.push(entry),
            None if is_key => groups.push(NameGroup { owner, keys: vec![entry] }),
            None => owner = Some(entry),
        }
        is_following = is_key;
    }
    groups
}

impl MisplacedNames<'_> {
    /// Whether an entry is such a key, and no service or environment.
    pub(super) fn contains(&self, entry: &ConfigEntry) -> bool {
        self.groups.iter().any(|group| group.keys.iter().any(|key| key.key == entry.key))
    }

    /// Whether such keys belong below an entry.
    pub(super) fn is_owner(&self, entry: &ConfigEntry) -> bool {
        self.groups.iter().any(|group| group.owner.is_some_and(|owner| owner.key == entry.key))
    }

    pub(super) fn problems(&self, file: &str) -> Vec<Problem> {
        self.problems_of(file, |_| true)
    }

    /// The problems of the groups that belong to entries which are `wanted`.
    pub(super) fn problems_of(&self, file: &str, wanted: impl Fn(&&ConfigEntry) -> bool) -> Vec<Problem> {
        let is_wanted = |group: &&NameGroup<'_>| group.owner.is_none_or(|owner| wanted(&owner));
        for_first(self.groups.iter().filter(is_wanted), |group| group.problem(file, self.kind))
    }
}

impl NameGroup<'_> {
    fn problem(&self, file: &str, kind: &str) -> Problem {
        let names = name_list(self.keys.iter().map(|entry| entry.key.as_str()));
        let (verb, noun, them) = match self.keys.len() {
            1 => ("stands", "it is a key", "it"),
            _ => ("stand", "they are keys", "them"),
        };
        let sentence = format!("{names} {verb} where the name of {} {kind} is expected.", article(kind));
        let help = match self.owner {
            Some(owner) => {
                format!("If {noun} of `{}` (line {}), indent {them} below that.", owner.key, owner.line)
            }
            None => format!("Write the name of the {kind} above, and indent {them} below it."),
        };
        let first = self.keys.first().map_or((1, 1), |entry| (entry.line, entry.column));
        Problem::error(Code::ConfigInvalid, sentence).help(help).at_location(file, first.0, first.1)
    }
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
