//! YAML as a tree that knows the bytes of every node. Aliases stay aliases, so nothing grows; size and depth are
//! bounded. Reading only.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag};

use super::refusal::Refusal;

/// Bytes of a file.
pub(super) const MAX_BYTES: usize = 8 << 20;
const MAX_NODES: usize = 1_000_000;
/// Of block and of flow collections each.
const MAX_DEPTH: usize = 100;

/// A node by its number in the tree.
pub(super) type Id = u32;

#[derive(Debug, Clone)]
pub(super) struct Node<'t> {
    pub(super) kind: Kind<'t>,
    /// First and last byte. Of block collections only the first is true.
    pub(super) bytes: Range<usize>,
    pub(super) line: u32,
    /// In characters, from 0.
    pub(super) column: u32,
    /// Number of its anchor; 0 without.
    pub(super) anchor: u32,
    pub(super) tag: Option<Box<str>>,
    /// The collection it stands in; its own number at the top of a document.
    pub(super) parent: Id,
    /// Where it stands there: the number of the item or entry.
    pub(super) slot: u32,
    /// Changed or made by an edit: may differ in style from what it was.
    pub(super) edited: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Kind<'t> {
    Scalar {
        text: Cow<'t, str>,
        style: ScalarStyle,
    },
    Sequence {
        items: Vec<Id>,
        flow: bool,
    },
    Mapping {
        entries: Vec<(Id, Id)>,
        flow: bool,
    },
    /// The number of the anchor it stands for.
    Alias(u32),
}

#[derive(Debug, Default)]
pub(super) struct Tree<'t> {
    pub(super) nodes: Vec<Node<'t>>,
    /// The top node of every document.
    pub(super) documents: Vec<Id>,
    /// Anchors that some alias stands for.
    aliased: HashSet<u32>,
    /// The nodes of anchors, by number.
    anchored: Vec<Id>,
}

/// The text of a file. Refused when too large, not UTF-8, or with characters that some readers take as line ends.
pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Refusal::unreadable(format!("its {} bytes are more than 8 MiB", bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|b| **b == b'\n').count();
        Refusal::unreadable("it is not UTF-8").at(line, 1)
    })?;
    match text.find(['\u{85}', '\u{2028}', '\u{2029}']) {
        Some(at) => {
            let line = 1 + text[..at].matches('\n').count();
            let why = "it holds a character that readers of YAML 1.1 take as a line end and others do not";
            Err(Refusal::unclear(why).help("Remove U+0085, U+2028 and U+2029.").at(line, 1))
        }
        None => Ok(text),
    }
}

/// Reads all documents of `text`.
pub(super) fn read(text: &str) -> Result<Tree<'_>, Refusal> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { tree: Tree::default(), open: Vec::new() };
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| not_yaml(text, &error))?;
        builder.take(event, &span)?;
    }
    Ok(builder.tree)
}

fn not_yaml(text: &str, error: &granit_parser::ScanError) -> Refusal {
    let refusal = match text.contains("{{") {
        true => Refusal::unclear(format!("it is a template, or no YAML ({})", error.info()))
            .help("Point to the values that the template is filled with."),
        false => Refusal::unreadable(format!("it is not YAML that can be read ({})", error.info())),
    };
    refusal.at(error.marker().line(), error.marker().col() + 1)
}

struct Builder<'t> {
    tree: Tree<'t>,
    /// Collections that are not closed yet, and the key that waits for its value.
    open: Vec<(Id, Option<Id>)>,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, span: &Span) -> Result<(), Refusal> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let implicit = text == "~" && span.start.index() == span.end.index();
                let text = if implicit { Cow::Borrowed("") } else { text };
                self.add(Kind::Scalar { text, style }, anchor, tag, span)?;
            }
            Event::Alias(anchor) => {
                let anchor = u32::try_from(anchor).unwrap_or(0);
                self.tree.aliased.insert(anchor);
                self.add(Kind::Alias(anchor), 0, None, span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let flow = style == StructureStyle::Flow;
                let id = self.add(Kind::Sequence { items: Vec::new(), flow }, anchor, tag, span)?;
                self.open.push((id, None));
            }
            Event::MappingStart(style, anchor, tag) => {
                let flow = style == StructureStyle::Flow;
                let id = self.add(Kind::Mapping { entries: Vec::new(), flow }, anchor, tag, span)?;
                self.open.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, _)) = self.open.pop() {
                    self.tree.nodes[id as usize].bytes.end = span.byte_range().unwrap_or_default().end;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(
        &mut self,
        kind: Kind<'t>,
        anchor: usize,
        tag: Option<Cow<'t, Tag>>,
        span: &Span,
    ) -> Result<Id, Refusal> {
        let (line, column) = (span.start.line(), span.start.col());
        let id = Id::try_from(self.tree.nodes.len()).unwrap_or(Id::MAX);
        if self.tree.nodes.len() >= MAX_NODES {
            return Err(Refusal::unreadable("it has too many values").at(line, column + 1));
        }
        let (parent, slot) = self.place(id);
        let anchor = u32::try_from(anchor).unwrap_or(0);
        if anchor > 0 {
            let anchored = &mut self.tree.anchored;
            anchored.resize(anchored.len().max(anchor as usize + 1), Id::MAX);
            anchored[anchor as usize] = id;
        }
        self.tree.nodes.push(Node {
            kind,
            bytes: span.byte_range().unwrap_or_default(),
            line: u32::try_from(line).unwrap_or(0),
            column: u32::try_from(column).unwrap_or(0),
            anchor,
            tag: tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into()),
            parent,
            slot,
            edited: false,
        });
        Ok(id)
    }

    /// Hangs node `id` into the innermost open collection, and says where that is.
    fn place(&mut self, id: Id) -> (Id, u32) {
        let Some((parent, key)) = self.open.last_mut() else {
            self.tree.documents.push(id);
            return (id, 0);
        };
        let slot = match &mut self.tree.nodes[*parent as usize].kind {
            Kind::Sequence { items, .. } => {
                items.push(id);
                items.len() - 1
            }
            Kind::Mapping { entries, .. } => match key.take() {
                Some(key) => {
                    entries.push((key, id));
                    entries.len() - 1
                }
                None => {
                    *key = Some(id);
                    entries.len()
                }
            },
            _ => 0,
        };
        (*parent, u32::try_from(slot).unwrap_or(0))
    }
}

impl<'t> Tree<'t> {
    pub(super) fn node(&self, id: Id) -> &Node<'t> {
        &self.nodes[id as usize]
    }

    /// The node itself; of an alias, what it stands for.
    pub(super) fn resolved(&self, id: Id) -> Id {
        match self.node(id).kind {
            Kind::Alias(anchor) => self.anchored.get(anchor as usize).copied().unwrap_or(id),
            _ => id,
        }
    }

    /// The words of a scalar; of an alias, those of what it stands for.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match &self.node(self.resolved(id)).kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The key that a node stands under; none for items and keys.
    pub(super) fn key(&self, id: Id) -> Option<&str> {
        let node = self.node(id);
        let (key, value) = self.entries(node.parent).get(node.slot as usize)?;
        self.text(*key).filter(|_| *value == id)
    }

    pub(super) fn entries(&self, id: Id) -> &[(Id, Id)] {
        match &self.node(id).kind {
            Kind::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self, id: Id) -> &[Id] {
        match &self.node(id).kind {
            Kind::Sequence { items, .. } => items,
            _ => &[],
        }
    }

    pub(super) fn is_mapping(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Mapping { .. })
    }

    pub(super) fn is_sequence(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Sequence { .. })
    }

    pub(super) fn is_flow(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Mapping { flow: true, .. } | Kind::Sequence { flow: true, .. })
    }

    /// Nothing, or one of the words for nothing.
    pub(super) fn is_null(&self, id: Id) -> bool {
        let plain = matches!(self.node(id).kind, Kind::Scalar { style: ScalarStyle::Plain, .. });
        plain
            && self.node(id).tag.is_none()
            && matches!(self.text(id), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// Nothing, or a string without words.
    pub(super) fn is_void(&self, id: Id) -> bool {
        self.is_null(id) || self.text(id) == Some("")
    }

    /// The number of the entry `key` in a mapping. Refused when the key stands there twice.
    pub(super) fn entry(&self, mapping: Id, key: &str) -> Result<Option<usize>, Refusal> {
        let mut found = (0..).zip(self.entries(mapping)).filter(|(_, (k, _))| self.text(*k) == Some(key));
        let first = found.next().map(|(slot, _)| slot);
        match found.next() {
            Some((_, (second, _))) => {
                Err(self.refuse(*second, format!("the key `{key}` stands twice in the same mapping")))
            }
            None => Ok(first),
        }
    }

    /// The value under `key` of a mapping. Refused when the key stands there twice.
    pub(super) fn get(&self, mapping: Id, key: &str) -> Result<Option<Id>, Refusal> {
        Ok(self.entry(mapping, key)?.map(|slot| self.entries(mapping)[slot].1))
    }

    /// Tells the entries of a mapping where they stand, after some came or went.
    pub(super) fn renumber(&mut self, mapping: Id) {
        for (slot, (key, value)) in (0..).zip(self.entries(mapping).to_vec()) {
            for id in [key, value] {
                let node = &mut self.nodes[id as usize];
                (node.parent, node.slot) = (mapping, slot);
            }
        }
    }

    /// Counts the anchors anew without those of nodes that are gone. No alias stands for one of these.
    pub(super) fn forget(&mut self, gone: &[Id]) {
        let mut anchors: Vec<u32> =
            gone.iter().map(|id| self.node(*id).anchor).filter(|it| *it > 0).collect();
        anchors.sort_unstable();
        for anchor in anchors.into_iter().rev() {
            for node in &mut self.nodes {
                let own = match &mut node.kind {
                    Kind::Alias(own) => own,
                    _ => &mut node.anchor,
                };
                *own -= u32::from(*own > anchor);
            }
        }
    }

    /// A refusal that points to a node.
    pub(super) fn refuse(&self, id: Id, why: impl Into<String>) -> Refusal {
        let (line, column) = self.place(id);
        Refusal::unclear(why).at(line, column)
    }

    /// Line and column of a node, both from 1.
    pub(super) fn place(&self, id: Id) -> (usize, usize) {
        (self.node(id).line as usize, self.node(id).column as usize + 1)
    }

    /// From a node up to the top of its document, without the node itself.
    pub(super) fn above(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        std::iter::successors(Some(id), |id| Some(self.node(*id).parent).filter(|up| up != id)).skip(1)
    }

    /// Whether some alias stands for this very node.
    pub(super) fn is_aliased(&self, id: Id) -> bool {
        self.aliased.contains(&self.node(id).anchor)
    }

    /// The way to a node, such as `spec.containers[0].image`.
    pub(super) fn path(&self, id: Id) -> String {
        let mut way: Vec<String> =
            std::iter::once(id).chain(self.above(id)).map(|id| self.step(id)).collect();
        way.reverse();
        way.concat().trim_start_matches('.').to_owned()
    }

    fn step(&self, id: Id) -> String {
        let node = self.node(id);
        match &self.node(node.parent).kind {
            _ if node.parent == id => String::new(),
            Kind::Sequence { .. } => format!("[{}]", node.slot),
            _ => {
                let key = self.entries(node.parent).get(node.slot as usize).map(|(key, _)| *key);
                format!(".{}", key.and_then(|key| self.text(key)).unwrap_or("?"))
            }
        }
    }
}
