//! An edit in progress: the bytes to cut and insert, and the tree that must result. It is
//! finished only if the new text parses as that tree: everything else as before, and new values as plain strings.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::error::EditError;
use super::image_readers::ImageReaders;
use super::lines;
use super::scalar::{self, ScalarContext};
use super::yaml_parser;
use super::yaml_tree::{NodeId, NodeKind, YamlNode, YamlTree};
use super::{EditedFile, Replacement};

pub(super) struct EditBuffer<'t> {
    pub(super) text: &'t str,
    pub(super) tree: YamlTree<'t>,
    pub(super) splices: Vec<Splice>,
    /// Who may read a value that is edited.
    readers: ImageReaders,
    /// The number of nodes that were read; those above were created.
    original_nodes: NodeId,
    /// Mappings whose keys were checked to be unique.
    distinct: HashSet<NodeId>,
}

/// Bytes that are replaced.
#[derive(Debug, Clone)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// The reported change: the path and the values before and after. Changes of formatting alone have none.
    pub(super) change: Option<ReportedChange>,
}

/// A change as users see it.
#[derive(Debug, Clone)]
pub(super) struct ReportedChange {
    pub(super) path: String,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// Where the value begins in the new text of the splice.
    pub(super) offset: usize,
}

impl<'t> EditBuffer<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, EditError> {
        let tree = yaml_parser::parse_yaml(text)?;
        let read = NodeId::try_from(tree.nodes.len()).unwrap_or(NodeId::MAX);
        let (splices, readers, distinct) = (Vec::new(), ImageReaders::default(), HashSet::new());
        Ok(Self { text, tree, splices, readers, original_nodes: read, distinct })
    }

    /// From now on, values with anchors can be edited if these read them and nothing else does.
    pub(super) fn allow_readers(&mut self, readers: ImageReaders) {
        self.readers = readers;
    }

    /// Sets a scalar to `value`. Nothing happens if it has that value already, for every parser.
    pub(super) fn set_scalar(&mut self, id: NodeId, value: &str) -> Result<(), EditError> {
        self.ensure_editable(id)?;
        let id = self.tree.resolve_alias(id);
        let node = self.tree.node(id);
        let NodeKind::Scalar { text, style } = &node.kind else {
            return Err(self.tree.error_at(id, format!("`{}` is not a single value", self.tree.path(id))));
        };
        let (text, style, bytes) = (text.to_string(), *style, node.bytes.clone());
        let sure = style != ScalarStyle::Plain || node.tag.is_some() || !scalar::needs_quotes(&text);
        if text == value && sure {
            return Ok(());
        }
        let from = Some(text).filter(|_| !self.tree.is_null(id));
        let reported =
            ReportedChange { path: self.tree.path(id), from, to: Some(value.to_owned()), offset: 0 };
        let splice = if bytes.is_empty() {
            let at = self.offset_after_colon(id)?;
            let put = format!(" {}", scalar::format_scalar(value, None, self.scalar_context(id, value)));
            Splice { range: at..at, text: put, change: Some(ReportedChange { offset: 1, ..reported }) }
        } else if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            Splice { range: self.single_line_range(id)?, text: value.to_owned(), change: Some(reported) }
        } else {
            let put = scalar::format_scalar(value, Some(style), self.scalar_context(id, value));
            Splice { range: bytes, text: put, change: Some(reported) }
        };
        self.splices.push(splice);
        let node = &mut self.tree.nodes[id as usize];
        node.kind = NodeKind::Scalar { text: Cow::Owned(value.to_owned()), style: ScalarStyle::Plain };
        node.edited = true;
        Ok(())
    }

    /// Inserts `put`, which contains `to` from its byte `offset` on.
    pub(super) fn insert(&mut self, at: usize, put: String, path: String, to: &str, offset: usize) {
        let reported = Some(ReportedChange { path, from: None, to: Some(to.to_owned()), offset });
        self.splices.push(Splice { range: at..at, text: put, change: reported });
    }

    /// Cuts bytes; the first of several is reported as the removal.
    pub(super) fn remove(&mut self, cut: Range<usize>, gone: Option<(String, String)>) {
        let reported =
            gone.map(|(path, from)| ReportedChange { path, from: Some(from), to: None, offset: 0 });
        self.splices.push(Splice { range: cut, text: String::new(), change: reported });
    }

    /// Replaces bytes that had no value by `put`.
    pub(super) fn replace(&mut self, cut: Range<usize>, put: String, path: String, to: &str) {
        let reported = Some(ReportedChange { path, from: None, to: Some(to.to_owned()), offset: 0 });
        self.splices.push(Splice { range: cut, text: put, change: reported });
    }

    /// The nodes that were created here.
    pub(super) fn new_nodes(&self) -> std::ops::RangeFrom<NodeId> {
        self.original_nodes..
    }

    /// A new scalar for the resulting tree.
    pub(super) fn add_scalar(&mut self, value: &str) -> NodeId {
        self.add_node(NodeKind::Scalar { text: Cow::Owned(value.to_owned()), style: ScalarStyle::Plain })
    }

    /// A new node for the resulting tree.
    pub(super) fn add_node(&mut self, kind: NodeKind<'t>) -> NodeId {
        let id = NodeId::try_from(self.tree.nodes.len()).unwrap_or(NodeId::MAX);
        let (line, column, anchor, parent, slot) = (0, 0, 0, id, 0);
        self.tree.nodes.push(YamlNode {
            kind,
            bytes: 0..0,
            line,
            column,
            anchor,
            tag: None,
            parent,
            index: slot,
            edited: true,
        });
        id
    }

    /// The conditions for changing a node or something in it.
    pub(super) fn ensure_editable(&mut self, id: NodeId) -> Result<(), EditError> {
        let id = self.ensure_reachable(id)?;
        if self.is_template(id) {
            let why = format!("`{}` is filled in by a template", self.tree.path(id));
            return Err(self.tree.error_at(id, why).help("Edit the values of the template instead."));
        }
        Ok(())
    }

    /// The node that is changed for `id`, if nothing else would change with it.
    pub(super) fn ensure_reachable(&mut self, id: NodeId) -> Result<NodeId, EditError> {
        if matches!(self.tree.node(id).kind, NodeKind::Alias(_)) && !self.readers.has_alias(id) {
            let why = format!("`{}` is an alias of a value elsewhere in the file", self.tree.path(id));
            return Err(self
                .tree
                .error_at(id, why)
                .help("Write the value itself there, or edit the anchored value."));
        }
        let id = self.tree.resolve_alias(id);
        let node = self.tree.node(id);
        if let Some(tag) = node.tag.as_deref().filter(|tag| !["tag:yaml.org,2002:str", "!"].contains(tag)) {
            let why = format!("`{}` carries the YAML tag `{tag}`", self.tree.path(id));
            if matches!(node.kind, NodeKind::Scalar { .. }) {
                return Err(self.tree.error_at(id, why));
            }
        }
        for at in std::iter::once(id).chain(self.tree.ancestors(id)).collect::<Vec<_>>() {
            let aliases = self.tree.aliases(at);
            if !aliases.is_empty() && !self.readers.are_all_of(&self.tree, at) {
                let other = aliases.iter().find(|alias| !self.readers.has_alias(**alias)).or(aliases.first());
                let line = other.map_or(0, |alias| self.tree.position(*alias).0);
                let why =
                    format!("`{}` is also used elsewhere, by an alias on line {line}", self.tree.path(at));
                return Err(self.tree.error_at(at, why).help("Replace the alias with a value of its own."));
            }
            self.distinct(at)?;
        }
        Ok(id)
    }

    /// Placeholders of Helm, envsubst, Flux and Kubernetes.
    fn is_template(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        let raw = self.text.get(node.bytes.clone()).unwrap_or_default();
        let braces = self.text[node.bytes.start..].starts_with("{{");
        match node.kind {
            NodeKind::Scalar { .. } => ["{{", "${", "$("].iter().any(|mark| raw.contains(mark)),
            _ => braces,
        }
    }

    /// Rejects a mapping in which a key occurs twice.
    fn distinct(&mut self, id: NodeId) -> Result<(), EditError> {
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
                    .error_at(*key, format!("the key `{text}` occurs twice in the same mapping")));
            }
        }
        Ok(())
    }

    /// The required quotes of a value at `id`.
    fn scalar_context(&self, id: NodeId, value: &str) -> ScalarContext {
        let node = self.tree.node(id);
        let before = self.tree.text(id).unwrap_or_default();
        let colons = before.contains(':') || !value.contains(':');
        ScalarContext { in_flow: self.tree.is_flow(node.parent) && !colons, in_json: self.has_quoted_key(id) }
    }

    fn has_quoted_key(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        let key =
            self.tree.entries(node.parent).get(node.index as usize).map(|(key, _)| self.tree.node(*key));
        key.is_some_and(|key| self.text[key.bytes.clone()].starts_with('"'))
    }

    /// Behind the colon of the key of a missing value.
    pub(super) fn offset_after_colon(&self, id: NodeId) -> Result<usize, EditError> {
        let node = self.tree.node(id);
        let key =
            self.tree.entries(node.parent).get(node.index as usize).map(|(key, _)| self.tree.node(*key));
        let end = key.map_or(0, |key| key.bytes.end);
        let blanks = self.text[end..].len() - self.text[end..].trim_start_matches([' ', '\t']).len();
        let bare = node.anchor == 0 && node.tag.is_none();
        match self.text[end + blanks..].starts_with(':') && bare {
            true => Ok(end + blanks + 1),
            false => Err(self.tree.error_at(id, format!("`{}` has no value to replace", self.tree.path(id)))),
        }
    }

    /// The bytes of the content of a block scalar of one line that does not keep its line end.
    fn single_line_range(&self, id: NodeId) -> Result<Range<usize>, EditError> {
        let node = self.tree.node(id);
        let raw = &self.text[node.bytes.clone()];
        let content = raw.trim_end();
        match self.tree.text(id) == Some(content) && !content.contains(['\n', '\r']) {
            true => Ok(node.bytes.start..node.bytes.start + content.len()),
            false => {
                let why = format!("`{}` is a block scalar that keeps its line end", self.tree.path(id));
                Err(self.tree.error_at(id, why).help("Write it on the line of its key."))
            }
        }
    }

    /// The new text, once it is verified to parse as the expected tree.
    pub(super) fn finish(mut self) -> Result<EditedFile, EditError> {
        if self.splices.is_empty() {
            return Ok(EditedFile { bytes: self.text.as_bytes().to_vec(), replacements: Vec::new() });
        }
        self.splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        let mut out = String::with_capacity(self.text.len() + 256);
        let (mut from, mut reported) = (0, Vec::new());
        for Splice { range: cut, text: put, change } in self.splices {
            out.push_str(self.text.get(from..cut.start).ok_or_else(unsafe_change_error)?);
            reported.extend(change.map(|change| (out.len() + change.offset, change)));
            out.push_str(&put);
            from = cut.end;
        }
        out.push_str(self.text.get(from..).ok_or_else(unsafe_change_error)?);
        let after = yaml_parser::parse_yaml(&out).map_err(|_| unsafe_change_error())?;
        if !is_same_documents(&self.tree, &after) {
            return Err(unsafe_change_error());
        }
        let offsets: Vec<usize> = reported.iter().map(|(offset, _)| *offset).collect();
        let places = lines::positions(&out, &offsets);
        let replaced = reported.into_iter().zip(places).map(|((_, reported), (line, column))| Replacement {
            path: reported.path,
            line,
            column,
            from: reported.from,
            to: reported.to,
        });
        Ok(EditedFile { replacements: replaced.collect(), bytes: out.into_bytes() })
    }
}

fn unsafe_change_error() -> EditError {
    EditError::ambiguous("the change would also change something else in the file")
}

fn is_same_documents(wanted: &YamlTree<'_>, have: &YamlTree<'_>) -> bool {
    wanted.documents.len() == have.documents.len()
        && wanted.documents.iter().zip(&have.documents).all(|(a, b)| is_same_node((wanted, *a), (have, *b)))
}

/// Whether two nodes have the same value. An edited one may look different, but must be a string to every parser.
fn is_same_node((wanted, a): (&YamlTree<'_>, NodeId), (have, b): (&YamlTree<'_>, NodeId)) -> bool {
    let (one, other) = (wanted.node(a), have.node(b));
    let each = |x: &NodeId, y: &NodeId| is_same_node((wanted, *x), (have, *y));
    let same_kind = match (&one.kind, &other.kind) {
        (NodeKind::Scalar { text, style }, NodeKind::Scalar { text: text_now, style: style_now }) => {
            let sure =
                *style_now != ScalarStyle::Plain || other.tag.is_some() || !scalar::needs_quotes(text_now);
            text == text_now && if one.edited { sure } else { style == style_now }
        }
        (NodeKind::Alias(anchor), NodeKind::Alias(anchor_now)) => anchor == anchor_now,
        (NodeKind::Sequence { items, flow }, NodeKind::Sequence { items: items_now, flow: flow_now }) => {
            (one.edited || flow == flow_now)
                && items.len() == items_now.len()
                && items.iter().zip(items_now).all(|(x, y)| each(x, y))
        }
        (NodeKind::Mapping { entries, flow }, NodeKind::Mapping { entries: entries_now, flow: flow_now }) => {
            (one.edited || flow == flow_now)
                && entries.len() == entries_now.len()
                && entries.iter().zip(entries_now).all(|(x, y)| each(&x.0, &y.0) && each(&x.1, &y.1))
        }
        _ => false,
    };
    same_kind && one.anchor == other.anchor && one.tag == other.tag
}
