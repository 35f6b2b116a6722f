//! YAML as a tree that remembers where everything stands, so that every finding points at its line.
//! Aliases and merge keys are resolved here; duplicate keys are errors; size and depth are bounded.

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use crate::problem::{Code, Problem};

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// The value itself.
    pub kind: Kind,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Null, a boolean, a number or a string.
    Scalar(Value),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys in the order of the file.
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A mapping without entries, standing nowhere.
    pub fn empty() -> Self {
        Self { line: 1, column: 1, kind: Kind::Mapping(Vec::new()) }
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The value under `key` of a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The same value without positions.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Sequence(items) => items.iter().map(Node::to_value).collect(),
            Kind::Mapping(entries) => Value::Object(
                entries.iter().map(|e| (e.key.clone(), e.value.to_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// This mapping without `key`, and what stood there.
    pub fn without(mut self, key: &str) -> (Self, Option<Node>) {
        let mut taken = None;
        if let Kind::Mapping(entries) = &mut self.kind
            && let Some(at) = entries.iter().position(|entry| entry.key == key)
        {
            taken = Some(entries.remove(at).value);
        }
        (self, taken)
    }

    /// `over` laid over this: mappings key by key, everything else replaced.
    pub fn overlaid(mut self, over: Node) -> Node {
        let Kind::Mapping(added) = over.kind else { return over };
        let Kind::Mapping(entries) = &mut self.kind else {
            return Node { kind: Kind::Mapping(added), ..over };
        };
        for entry in added {
            match entries.iter_mut().find(|have| have.key == entry.key) {
                Some(have) => {
                    let under = std::mem::replace(&mut have.value, Node::empty());
                    *have = Entry { value: under.overlaid(entry.value.clone()), ..entry };
                }
                None => entries.push(entry),
            }
        }
        self
    }

    /// Changes every string value in place; keys stay.
    pub fn each_string(&mut self, change: &mut impl FnMut(&mut String, usize, usize)) {
        match &mut self.kind {
            Kind::Scalar(Value::String(text)) => change(text, self.line, self.column),
            Kind::Scalar(_) => {}
            Kind::Sequence(items) => items.iter_mut().for_each(|item| item.each_string(change)),
            Kind::Mapping(entries) => entries.iter_mut().for_each(|entry| entry.value.each_string(change)),
        }
    }
}

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong, in words.
    pub why: String,
    /// It can be read, but a key stands twice in the same mapping.
    pub twice: bool,
}

/// As [`read`]; `file` names the text in the problem.
pub fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    read(text).map_err(|fault| {
        let sentence = format!("{file} is not YAML that can be read: {}.", fault.why);
        Problem::error(Code::ConfigInvalid, sentence).at(file, fault.line, fault.column)
    })
}

/// Reads the only document of `text`; an empty one is an empty mapping.
pub fn read(text: &str) -> Result<Node, Fault> {
    // Comments mean nothing here, and the parser keeps only so many of them at once.
    let mut options = Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, anchors: Vec::new(), nodes: 0 };
    let node = builder.document()?;
    builder.end()?;
    Ok(node)
}

fn fault(line: usize, column: usize, why: impl Into<String>) -> Fault {
    Fault { line, column, why: why.into(), twice: false }
}

struct Builder<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    return Err(fault(error.marker().line(), error.marker().col() + 1, error.info()));
                }
                None => return Ok((Event::StreamEnd, Span::default())),
            }
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node::empty()),
                (event, span) => return self.node(event, span, 0),
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), span) => {
                    return Err(fault(span.start.line(), 1, "it holds more than one document"));
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Fault> {
        let (line, column) = (span.start.line(), span.start.col() + 1);
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(fault(line, column, "it is too deep or too large"));
        }
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (anchor, Kind::Scalar(if plain { resolve(&text) } else { Value::String(text.into_owned()) }))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Kind::Sequence(self.sequence(depth)?)),
            Event::MappingStart(_, anchor, _) => (anchor, Kind::Mapping(self.mapping(depth)?)),
            Event::Alias(id) => return self.alias(id, line, column),
            _ => return Err(fault(line, column, "a value is missing")),
        };
        let node = Node { line, column, kind };
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, line: usize, column: usize) -> Result<Node, Fault> {
        let found = self.anchors.iter().find(|(anchor, _)| *anchor == id).map(|(_, node)| node.clone());
        let node = found.ok_or_else(|| fault(line, column, "an alias refers to itself"))?;
        self.nodes += size(&node);
        if self.nodes > MAX_NODES {
            return Err(fault(line, column, "its aliases make it too large"));
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<Entry>, Fault> {
        let (mut entries, mut merged) = (Vec::<Entry>::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            let (line, column) = (span.start.line(), span.start.col() + 1);
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(fault(line, column, "a key is not plain text")),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if key == "<<" {
                merged.push(value);
            } else if entries.iter().any(|entry| entry.key == key) {
                let why = format!("the key `{key}` stands twice in the same mapping");
                return Err(Fault { twice: true, ..fault(line, column, why) });
            } else {
                entries.push(Entry { key, line, column, value });
            }
        }
        merged.iter().for_each(|node| merge(&mut entries, node));
        Ok(entries)
    }
}

/// The merge key of YAML 1.1: what the mapping says itself wins.
fn merge(entries: &mut Vec<Entry>, from: &Node) {
    if let Kind::Sequence(items) = &from.kind {
        items.iter().for_each(|item| merge(entries, item));
    }
    for entry in from.entries() {
        if !entries.iter().any(|have| have.key == entry.key) {
            entries.push(entry.clone());
        }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::Sequence(items) => items.iter().map(size).sum(),
        Kind::Mapping(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

/// A plain scalar by the core schema of YAML 1.2 (chapter 10.3.2), without octal and hexadecimal numbers: what is
/// not surely a number, a boolean or null stays text.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let decimal = digits == "0" || (digits.starts_with(|c: char| ('1'..='9').contains(&c)));
    if decimal && let Ok(number) = text.parse::<i64>() {
        return Value::Number(number.into());
    }
    let fraction = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains('.');
    if fraction
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
    {
        return Value::Number(number);
    }
    Value::String(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse("f.yml", text).unwrap().to_value()
    }

    #[test]
    fn comments_may_be_as_many_as_people_like() {
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
    fn what_cannot_be_meant_is_refused_where_it_stands() {
        for (text, line) in [("a: 1\na: 2", 2), ("a: [1", 1), ("a: 1\n---\nb: 2", 2), ("? [x]\n: 1", 1)] {
            let at = parse("f.yml", text).unwrap_err().at.unwrap();
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
    }

    #[test]
    fn overlaying_goes_key_by_key() {
        let base = parse("f.yml", "a: {b: 1, c: 2}\nd: [1]").unwrap();
        let over = parse("f.yml", "a: {c: 3}\nd: [2]\ne: x").unwrap();
        assert_eq!(base.overlaid(over).to_value(), json!({"a": {"b": 1, "c": 3}, "d": [2], "e": "x"}));
    }
}
