//! A change in the making: what is cut and put in as bytes, and beside it the tree that must come out of it. It is
//! finished only when the new text reads as that tree: everything else as before, and what is new as plain strings.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::lines;
use super::refusal::Refusal;
use super::scalar::{self, Place};
use super::tree::{self, Id, Kind, Node, Tree};
use super::{Edited, Replaced};

pub(super) struct Draft<'t> {
    pub(super) text: &'t str,
    pub(super) tree: Tree<'t>,
    splices: Vec<Splice>,
    /// How many nodes were read; those above were made.
    read: Id,
    /// Mappings whose keys were found to differ from one another.
    distinct: HashSet<Id>,
}

struct Splice {
    cut: Range<usize>,
    put: String,
    /// What is reported: the path and the words before and after. Formatting alone is not.
    told: Option<Told>,
}

struct Told {
    path: String,
    from: Option<String>,
    to: Option<String>,
    /// Where in the new text of the splice the value begins.
    offset: usize,
}

impl<'t> Draft<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, Refusal> {
        let tree = tree::read(text)?;
        let read = Id::try_from(tree.nodes.len()).unwrap_or(Id::MAX);
        Ok(Self { text, tree, splices: Vec::new(), read, distinct: HashSet::new() })
    }

    /// Makes a scalar say `value`. Nothing happens where it says so already, to every reader.
    pub(super) fn set(&mut self, id: Id, value: &str) -> Result<(), Refusal> {
        self.check(id)?;
        let node = self.tree.node(id);
        let Kind::Scalar { text, style } = &node.kind else {
            return Err(self.tree.refuse(id, format!("`{}` is no single value", self.tree.path(id))));
        };
        let (text, style, bytes) = (text.to_string(), *style, node.bytes.clone());
        let sure = style != ScalarStyle::Plain || node.tag.is_some() || !scalar::reads_as_other(&text);
        if text == value && sure {
            return Ok(());
        }
        let from = Some(text).filter(|_| !self.tree.is_null(id));
        let told = Told { path: self.tree.path(id), from, to: Some(value.to_owned()), offset: 0 };
        let splice = if bytes.is_empty() {
            let at = self.after_colon(id)?;
            let put = format!(" {}", scalar::write(value, None, self.place(id, value)));
            Splice { cut: at..at, put, told: Some(Told { offset: 1, ..told }) }
        } else if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            Splice { cut: self.only_line(id)?, put: value.to_owned(), told: Some(told) }
        } else {
            let put = scalar::write(value, Some(style), self.place(id, value));
            Splice { cut: bytes, put, told: Some(told) }
        };
        self.splices.push(splice);
        let node = &mut self.tree.nodes[id as usize];
        node.kind = Kind::Scalar { text: Cow::Owned(value.to_owned()), style: ScalarStyle::Plain };
        node.edited = true;
        Ok(())
    }

    /// Puts in `put`, which says `to` from its byte `offset` on.
    pub(super) fn put(&mut self, at: usize, put: String, path: String, to: &str, offset: usize) {
        let told = Some(Told { path, from: None, to: Some(to.to_owned()), offset });
        self.splices.push(Splice { cut: at..at, put, told });
    }

    /// Cuts bytes out; the first of several tells what is gone.
    pub(super) fn cut(&mut self, cut: Range<usize>, gone: Option<(String, String)>) {
        let told = gone.map(|(path, from)| Told { path, from: Some(from), to: None, offset: 0 });
        self.splices.push(Splice { cut, put: String::new(), told });
    }

    /// Replaces bytes that held no value by `put`.
    pub(super) fn replace(&mut self, cut: Range<usize>, put: String, path: String, to: &str) {
        let told = Some(Told { path, from: None, to: Some(to.to_owned()), offset: 0 });
        self.splices.push(Splice { cut, put, told });
    }

    /// The nodes that were made here.
    pub(super) fn new_nodes(&self) -> std::ops::RangeFrom<Id> {
        self.read..
    }

    /// A new scalar for the tree that must come out.
    pub(super) fn scalar(&mut self, value: &str) -> Id {
        self.grow(Kind::Scalar { text: Cow::Owned(value.to_owned()), style: ScalarStyle::Plain })
    }

    /// A new node for the tree that must come out.
    pub(super) fn grow(&mut self, kind: Kind<'t>) -> Id {
        let id = Id::try_from(self.tree.nodes.len()).unwrap_or(Id::MAX);
        let (line, column, anchor, parent, slot) = (0, 0, 0, id, 0);
        self.tree.nodes.push(Node {
            kind,
            bytes: 0..0,
            line,
            column,
            anchor,
            tag: None,
            parent,
            slot,
            edited: true,
        });
        id
    }

    /// What must hold of a node before it, or something in it, is changed.
    pub(super) fn check(&mut self, id: Id) -> Result<(), Refusal> {
        let node = self.tree.node(id);
        if matches!(node.kind, Kind::Alias(_)) {
            let why = format!("`{}` is an alias of a value that stands elsewhere", self.tree.path(id));
            return Err(self
                .tree
                .refuse(id, why)
                .help("Write the value itself there, or point to the other place."));
        }
        if let Some(tag) = node.tag.as_deref().filter(|tag| !["tag:yaml.org,2002:str", "!"].contains(tag)) {
            let why = format!("`{}` carries the YAML tag `{tag}`", self.tree.path(id));
            if matches!(node.kind, Kind::Scalar { .. }) {
                return Err(self.tree.refuse(id, why));
            }
        }
        if self.is_template(id) {
            let why = format!("`{}` is filled in by a template", self.tree.path(id));
            return Err(self
                .tree
                .refuse(id, why)
                .help("Point to the values that the template is filled with."));
        }
        for at in std::iter::once(id).chain(self.tree.above(id)).collect::<Vec<_>>() {
            if self.tree.is_aliased(at) {
                let why = format!("`{}` is used in other places too, by an alias", self.tree.path(at));
                return Err(self
                    .tree
                    .refuse(at, why)
                    .help("Give the place that is to change a value of its own."));
            }
            self.distinct(at)?;
        }
        Ok(())
    }

    /// Placeholders of Helm, envsubst, Flux and Kubernetes.
    fn is_template(&self, id: Id) -> bool {
        let node = self.tree.node(id);
        let raw = self.text.get(node.bytes.clone()).unwrap_or_default();
        let braces = self.text[node.bytes.start..].starts_with("{{");
        match node.kind {
            Kind::Scalar { .. } => ["{{", "${", "$("].iter().any(|mark| raw.contains(mark)),
            _ => braces,
        }
    }

    /// Refuses a mapping in which a key stands twice.
    fn distinct(&mut self, id: Id) -> Result<(), Refusal> {
        if !self.distinct.insert(id) {
            return Ok(());
        }
        let mut seen = HashSet::new();
        for (key, _) in self.tree.entries(id) {
            if let Some(text) = self.tree.text(*key)
                && !seen.insert(text)
            {
                return Err(self
                    .tree
                    .refuse(*key, format!("the key `{text}` stands twice in the same mapping")));
            }
        }
        Ok(())
    }

    /// How a value would have to be quoted at `id`.
    fn place(&self, id: Id, value: &str) -> Place {
        let node = self.tree.node(id);
        let before = self.tree.text(id).unwrap_or_default();
        let colons = before.contains(':') || !value.contains(':');
        Place { flow: self.tree.is_flow(node.parent) && !colons, json: self.has_quoted_key(id) }
    }

    fn has_quoted_key(&self, id: Id) -> bool {
        let node = self.tree.node(id);
        let key = self.tree.entries(node.parent).get(node.slot as usize).map(|(key, _)| self.tree.node(*key));
        key.is_some_and(|key| self.text[key.bytes.clone()].starts_with('"'))
    }

    /// Behind the colon of the key of a value that is not there.
    pub(super) fn after_colon(&self, id: Id) -> Result<usize, Refusal> {
        let node = self.tree.node(id);
        let key = self.tree.entries(node.parent).get(node.slot as usize).map(|(key, _)| self.tree.node(*key));
        let end = key.map_or(0, |key| key.bytes.end);
        let blanks = self.text[end..].len() - self.text[end..].trim_start_matches([' ', '\t']).len();
        let bare = node.anchor == 0 && node.tag.is_none();
        match self.text[end + blanks..].starts_with(':') && bare {
            true => Ok(end + blanks + 1),
            false => Err(self
                .tree
                .refuse(id, format!("`{}` has no value that could be replaced", self.tree.path(id)))),
        }
    }

    /// The bytes of the content of a block scalar that is one line and does not keep its line end.
    fn only_line(&self, id: Id) -> Result<Range<usize>, Refusal> {
        let node = self.tree.node(id);
        let raw = &self.text[node.bytes.clone()];
        let content = raw.trim_end();
        match self.tree.text(id) == Some(content) && !content.contains(['\n', '\r']) {
            true => Ok(node.bytes.start..node.bytes.start + content.len()),
            false => {
                let why = format!(
                    "`{}` is a block of text that does not end with its last word",
                    self.tree.path(id)
                );
                Err(self.tree.refuse(id, why).help("Write it on the line of its key."))
            }
        }
    }

    /// The new text, once it is proven to read as it should.
    pub(super) fn finish(mut self) -> Result<Edited, Refusal> {
        if self.splices.is_empty() {
            return Ok(Edited { bytes: self.text.as_bytes().to_vec(), replaced: Vec::new() });
        }
        self.splices.sort_by_key(|splice| (splice.cut.start, splice.cut.end));
        let mut out = String::with_capacity(self.text.len() + 256);
        let (mut from, mut told) = (0, Vec::new());
        for Splice { cut, put, told: tells } in self.splices {
            out.push_str(self.text.get(from..cut.start).ok_or_else(unsafe_change)?);
            told.extend(tells.map(|tells| (out.len() + tells.offset, tells)));
            out.push_str(&put);
            from = cut.end;
        }
        out.push_str(self.text.get(from..).ok_or_else(unsafe_change)?);
        let after = tree::read(&out).map_err(|_| unsafe_change())?;
        if !same_documents(&self.tree, &after) {
            return Err(unsafe_change());
        }
        let offsets: Vec<usize> = told.iter().map(|(offset, _)| *offset).collect();
        let places = lines::places(&out, &offsets);
        let replaced = told.into_iter().zip(places).map(|((_, told), (line, column))| Replaced {
            path: told.path,
            line,
            column,
            from: told.from,
            to: told.to,
        });
        Ok(Edited { replaced: replaced.collect(), bytes: out.into_bytes() })
    }
}

fn unsafe_change() -> Refusal {
    Refusal::unclear("the change cannot be made without changing something else in the file")
}

fn same_documents(wanted: &Tree<'_>, have: &Tree<'_>) -> bool {
    wanted.documents.len() == have.documents.len()
        && wanted.documents.iter().zip(&have.documents).all(|(a, b)| same((wanted, *a), (have, *b)))
}

/// Whether two nodes say the same. What was edited may look different, but must read as a string to everybody.
fn same((wanted, a): (&Tree<'_>, Id), (have, b): (&Tree<'_>, Id)) -> bool {
    let (one, other) = (wanted.node(a), have.node(b));
    let each = |x: &Id, y: &Id| same((wanted, *x), (have, *y));
    let same_kind = match (&one.kind, &other.kind) {
        (Kind::Scalar { text, style }, Kind::Scalar { text: text_now, style: style_now }) => {
            let sure =
                *style_now != ScalarStyle::Plain || other.tag.is_some() || !scalar::reads_as_other(text_now);
            text == text_now && if one.edited { sure } else { style == style_now }
        }
        (Kind::Alias(anchor), Kind::Alias(anchor_now)) => anchor == anchor_now,
        (Kind::Sequence { items, flow }, Kind::Sequence { items: items_now, flow: flow_now }) => {
            (one.edited || flow == flow_now)
                && items.len() == items_now.len()
                && items.iter().zip(items_now).all(|(x, y)| each(x, y))
        }
        (Kind::Mapping { entries, flow }, Kind::Mapping { entries: entries_now, flow: flow_now }) => {
            (one.edited || flow == flow_now)
                && entries.len() == entries_now.len()
                && entries.iter().zip(entries_now).all(|(x, y)| each(&x.0, &y.0) && each(&x.1, &y.1))
        }
        _ => false,
    };
    same_kind && one.anchor == other.anchor && one.tag == other.tag
}
