//! YAML as a tree with positions, so that every problem points at its line.
//! Aliases and merge keys are resolved here; duplicate keys are errors; size and depth are bounded, also after aliases.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::limits::TreeSize;
use super::scalar::resolve_scalar;
use super::yaml_error::{explain_syntax, parse_error};
use crate::problem::{Code, Problem};

pub use super::yaml_error::ParseError;

const MAX_DEPTH: usize = 64;

/// A value and its position.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigNode {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The value itself.
    pub kind: ConfigValue,
    /// A number, a boolean, `null` or `{}` as the file has it: `1.10`, not 1.1. `None` where nothing is written, and for
    /// everything else.
    pub written: Option<String>,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// A list.
    Sequence(Vec<ConfigNode>),
    /// Keys in the order of the file.
    Mapping(Vec<ConfigEntry>),
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigEntry {
    /// The key.
    pub key: String,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// Its value.
    pub value: ConfigNode,
}

impl ConfigNode {
    /// A mapping without entries and without a position.
    pub fn empty_mapping() -> Self {
        Self { line: 1, column: 1, kind: ConfigValue::Mapping(Vec::new()), written: None }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[ConfigEntry] {
        match &self.kind {
            ConfigValue::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&ConfigNode> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The number of values in this, itself included.
    pub fn count_nodes(&self) -> usize {
        1 + match &self.kind {
            ConfigValue::Scalar(_) => 0,
            ConfigValue::Sequence(items) => items.iter().map(ConfigNode::count_nodes).sum(),
            ConfigValue::Mapping(entries) => entries.iter().map(|entry| entry.value.count_nodes()).sum(),
        }
    }

    /// The same value without positions.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            ConfigValue::Scalar(value) => value.clone(),
            ConfigValue::Sequence(items) => items.iter().map(ConfigNode::to_value).collect(),
            ConfigValue::Mapping(entries) => Value::Object(
                entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// This mapping without `key`, and the value of `key`.
    pub fn take_key(mut self, key: &str) -> (Self, Option<ConfigNode>) {
        let mut taken = None;
        if let ConfigValue::Mapping(entries) = &mut self.kind
            && let Some(at) = entries.iter().position(|entry| entry.key == key)
        {
            taken = Some(entries.remove(at).value);
        }
        (self, taken)
    }

    /// `over` merged over this: mappings key by key, everything else replaced.
    pub fn with_overrides(mut self, over: ConfigNode) -> ConfigNode {
        let ConfigValue::Mapping(added) = over.kind else { return over };
        let ConfigValue::Mapping(entries) = &mut self.kind else {
            return ConfigNode { kind: ConfigValue::Mapping(added), ..over };
        };
        let mut places: HashMap<String, usize> =
            entries.iter().enumerate().map(|(at, have)| (have.key.clone(), at)).collect();
        for entry in added {
            match places.get(&entry.key).and_then(|at| entries.get_mut(*at)) {
                Some(have) => {
                    let under = std::mem::replace(&mut have.value, ConfigNode::empty_mapping());
                    let ConfigEntry { key, line, column, value } = entry;
                    *have = ConfigEntry { key, line, column, value: under.with_overrides(value) };
                }
                None => {
                    places.insert(entry.key.clone(), entries.len());
                    entries.push(entry);
                }
            }
        }
        self
    }

    /// Changes every string value in place; keys stay.
    pub fn map_strings(&mut self, change: &mut impl FnMut(&mut String, usize, usize)) {
        match &mut self.kind {
            ConfigValue::Scalar(Value::String(text)) => change(text, self.line, self.column),
            ConfigValue::Scalar(_) => {}
            ConfigValue::Sequence(items) => items.iter_mut().for_each(|item| item.map_strings(change)),
            ConfigValue::Mapping(entries) => {
                entries.iter_mut().for_each(|entry| entry.value.map_strings(change))
            }
        }
    }
}

/// As [`read`]; `file` names the text in the problem.
pub fn parse(file: &str, text: &str) -> Result<ConfigNode, Problem> {
    read(text).map_err(|fault| {
        let sentence = format!("{file} is not valid YAML: {}.", fault.reason);
        let problem = Problem::error(Code::ConfigInvalid, sentence).help(explain_syntax(text, &fault));
        problem.at_location(file, fault.line, fault.column)
    })
}

/// Reads the only document of `text`; an empty one is an empty mapping.
pub fn read(text: &str) -> Result<ConfigNode, ParseError> {
    // Comments mean nothing here, and the parser keeps only a limited number of them at once.
    let mut options = Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = TreeBuilder { parser, anchors: HashMap::new(), size: TreeSize::default() };
    let node = builder.read_document()?;
    builder.expect_end()?;
    Ok(node)
}

struct TreeBuilder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Anchor>,
    size: TreeSize,
}

/// A node that aliases repeat.
struct Anchor {
    node: ConfigNode,
    size: TreeSize,
}

impl<'t> TreeBuilder<'t> {
    fn next_event(&mut self) -> Result<(Event<'t>, Span), ParseError> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => return Err(ParseError::from_scan(&error)),
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn read_document(&mut self) -> Result<ConfigNode, ParseError> {
        loop {
            match self.next_event()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(ConfigNode::empty_mapping()),
                (event, span) => return self.read_node(event, span, 0),
            }
        }
    }

    fn expect_end(&mut self) -> Result<(), ParseError> {
        loop {
            match self.next_event()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    return Err(parse_error(span.start.line(), 1, "it contains more than one document"));
                }
                _ => {}
            }
        }
    }

    fn read_node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<ConfigNode, ParseError> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let before = self.size;
        self.size.add(TreeSize { nodes: 1, text_bytes: scalar_bytes(&event) });
        if depth > MAX_DEPTH || self.size.exceeds_limits() {
            return Err(parse_error(line, column, "it is too deep or too large"));
        }
        let mut written = None;
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                let value = if plain { resolve_scalar(&text) } else { Value::String(text.to_string()) };
                // The parser writes `~` for a value that is not there.
                let is_there = span.start.index() < span.end.index();
                written = (!value.is_string() && is_there).then(|| text.into_owned());
                (anchor, ConfigValue::Scalar(value))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, ConfigValue::Sequence(self.read_sequence(depth)?)),
            Event::MappingStart(_, anchor, _) => (anchor, ConfigValue::Mapping(self.read_mapping(depth)?)),
            Event::Alias(id) => return self.resolve_alias(id, line, column),
            _ => return Err(parse_error(line, column, "a value is missing")),
        };
        if matches!(&kind, ConfigValue::Mapping(entries) if entries.is_empty()) {
            written = Some("{}".to_owned());
        }
        let node = ConfigNode { line, column, kind, written };
        if anchor > 0 {
            self.anchors.insert(anchor, Anchor { node: node.clone(), size: self.size.since(before) });
        }
        Ok(node)
    }

    fn resolve_alias(&mut self, id: usize, line: usize, column: usize) -> Result<ConfigNode, ParseError> {
        let found = self.anchors.get(&id);
        let anchor = found.ok_or_else(|| parse_error(line, column, "an alias refers to itself"))?;
        self.size.add(anchor.size);
        if self.size.exceeds_limits() {
            return Err(parse_error(line, column, "its aliases make it too large"));
        }
        Ok(anchor.node.clone())
    }

    fn read_sequence(&mut self, depth: usize) -> Result<Vec<ConfigNode>, ParseError> {
        let mut items = Vec::new();
        loop {
            match self.next_event()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.read_node(event, span, depth + 1)?),
            }
        }
    }

    fn read_mapping(&mut self, depth: usize) -> Result<Vec<ConfigEntry>, ParseError> {
        let (mut entries, mut merged, mut keys) = (Vec::<ConfigEntry>::new(), Vec::new(), HashSet::new());
        loop {
            let (event, span) = self.next_event()?;
            let (line, column) = (span.start.line(), span.start.col() + 1);
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(parse_error(line, column, "a key is not plain text")),
            };
            self.size.text_bytes += key.len();
            let (event, span) = self.next_event()?;
            let value = self.read_node(event, span, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if !keys.insert(key.clone()) {
                let why = format!("the key `{key}` occurs twice in the same mapping");
                return Err(ParseError { is_duplicate_key: true, ..parse_error(line, column, why) });
            } else {
                entries.push(ConfigEntry { key, line, column, value });
            }
        }
        merged.into_iter().for_each(|node| apply_merge_key(&mut entries, &mut keys, node));
        Ok(entries)
    }
}

/// The merge key of YAML 1.1: the mapping's own keys win.
fn apply_merge_key(entries: &mut Vec<ConfigEntry>, keys: &mut HashSet<String>, from: ConfigNode) {
    match from.kind {
        ConfigValue::Sequence(items) => {
            items.into_iter().for_each(|item| apply_merge_key(entries, keys, item));
        }
        ConfigValue::Mapping(more) => {
            entries.extend(more.into_iter().filter(|entry| keys.insert(entry.key.clone())));
        }
        ConfigValue::Scalar(_) => {}
    }
}

fn scalar_bytes(event: &Event<'_>) -> usize {
    match event {
        Event::Scalar(text, ..) => text.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse("f.yml", text).unwrap().to_value()
    }

    #[test]
    fn comments_are_not_limited() {
        let text = format!("a:\n{}  b: 1\n", "  # one more\n".repeat(300));
        assert!(parse("f", &text).is_ok());
    }

    #[test]
    fn scalars_anchors_and_merge_keys() {
        assert_eq!(
            value("a: 1\nb: '1'\nc: on\nd: 0123\ne: [true, ~, 1.5]"),
            json!({"a": 1, "b": "1", "c": "on", "d": "0123", "e": [true, null, 1.5]})
        );
        assert_eq!(
            value("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}"),
            json!({"x": {"a": 1, "b": 2}, "y": {"b": 3, "a": 1}})
        );
        assert_eq!(value(""), json!({}));
    }

    #[test]
    fn positions_are_counted_from_one() {
        let node = parse("f.yml", "a:\n  b: c\n").unwrap();
        let b = node.get("a").unwrap().get("b").unwrap();
        assert_eq!((b.line, b.column), (2, 6));
    }

    #[test]
    fn invalid_yaml_is_reported_at_its_position() {
        for (text, line) in [("a: 1\na: 2", 2), ("a: [1", 1), ("a: 1\n---\nb: 2", 2), ("? [x]\n: 1", 1)] {
            let at = parse("f.yml", text).unwrap_err().location.unwrap();
            assert!(at.line >= line, "{text}: {at:?}");
        }
    }

    #[test]
    fn depth_and_expansion_are_bounded() {
        assert!(parse("f.yml", &"[".repeat(20_000)).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..9 {
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
        }
        assert!(parse("f.yml", &bomb).is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(","));
        assert!(parse("f.yml", &long).unwrap_err().sentence.contains("aliases"));
    }

    #[test]
    fn overrides_are_merged_key_by_key() {
        let base = parse("f.yml", "a: {b: 1, c: 2}\nd: [1]").unwrap();
        let over = parse("f.yml", "a: {c: 3}\nd: [2]\ne: x").unwrap();
        assert_eq!(base.with_overrides(over).to_value(), json!({"a": {"b": 1, "c": 3}, "d": [2], "e": "x"}));
    }
}
