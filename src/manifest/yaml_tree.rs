//! YAML as a tree with the byte range of every node. Aliases are not expanded, so nothing grows.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::error::EditError;
use super::lines;

/// A node by its index in the tree.
pub(super) type NodeId = u32;

#[derive(Debug, Clone)]
pub(super) struct YamlNode<'t> {
    pub(super) kind: NodeKind<'t>,
    /// First and last byte. For block collections only the first is exact.
    pub(super) bytes: Range<usize>,
    pub(super) line: u32,
    /// In characters, from 0.
    pub(super) column: u32,
    /// Id of its anchor; 0 if there is none.
    pub(super) anchor: u32,
    pub(super) tag: Option<Box<str>>,
    /// The parent collection; its own index at the top of a document.
    pub(super) parent: NodeId,
    /// Its position there: the index of the item or entry.
    pub(super) index: u32,
    /// Changed or created by an edit: its style may differ.
    pub(super) edited: bool,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind<'t> {
    Scalar {
        text: Cow<'t, str>,
        style: ScalarStyle,
    },
    Sequence {
        items: Vec<NodeId>,
        flow: bool,
    },
    Mapping {
        entries: Vec<(NodeId, NodeId)>,
        flow: bool,
    },
    /// The id of the anchor that it refers to.
    Alias(u32),
}

#[derive(Debug, Default)]
pub(super) struct YamlTree<'t> {
    pub(super) nodes: Vec<YamlNode<'t>>,
    /// The top node of every document.
    pub(super) documents: Vec<NodeId>,
    /// The aliases of a node.
    pub(super) aliases: HashMap<NodeId, Vec<NodeId>>,
    /// The nodes of anchors, by id.
    pub(super) anchor_nodes: Vec<NodeId>,
}

impl<'t> YamlTree<'t> {
    pub(super) fn node(&self, id: NodeId) -> &YamlNode<'t> {
        &self.nodes[id as usize]
    }

    /// The node itself; for an alias, the node that it refers to.
    pub(super) fn resolve_alias(&self, id: NodeId) -> NodeId {
        match self.node(id).kind {
            NodeKind::Alias(anchor) => self.anchor_nodes.get(anchor as usize).copied().unwrap_or(id),
            _ => id,
        }
    }

    /// The text of a scalar; for an alias, that of the node that it refers to.
    pub(super) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(self.resolve_alias(id)).kind {
            NodeKind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The key of a node; none for items and keys.
    pub(super) fn key(&self, id: NodeId) -> Option<&str> {
        let node = self.node(id);
        let (key, value) = self.entries(node.parent).get(node.index as usize)?;
        self.text(*key).filter(|_| *value == id)
    }

    pub(super) fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.node(id).kind {
            NodeKind::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    pub(super) fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.node(id).kind {
            NodeKind::Sequence { items, .. } => items,
            _ => &[],
        }
    }

    pub(super) fn is_mapping(&self, id: NodeId) -> bool {
        matches!(self.node(id).kind, NodeKind::Mapping { .. })
    }

    pub(super) fn is_sequence(&self, id: NodeId) -> bool {
        matches!(self.node(id).kind, NodeKind::Sequence { .. })
    }

    pub(super) fn is_flow(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).kind,
            NodeKind::Mapping { flow: true, .. } | NodeKind::Sequence { flow: true, .. }
        )
    }

    /// Nothing, or a form of null.
    pub(super) fn is_null(&self, id: NodeId) -> bool {
        let plain = matches!(self.node(id).kind, NodeKind::Scalar { style: ScalarStyle::Plain, .. });
        plain
            && self.node(id).tag.is_none()
            && matches!(self.text(id), Some("" | "~" | "null" | "Null" | "NULL"))
    }

    /// Nothing, or an empty string.
    pub(super) fn is_empty(&self, id: NodeId) -> bool {
        self.is_null(id) || self.text(id) == Some("")
    }

    /// The index of the entry `key` in a mapping. An error if the key occurs twice.
    pub(super) fn entry_index(&self, mapping: NodeId, key: &str) -> Result<Option<usize>, EditError> {
        let mut found = (0..).zip(self.entries(mapping)).filter(|(_, (k, _))| self.text(*k) == Some(key));
        let first = found.next().map(|(slot, _)| slot);
        match found.next() {
            Some((_, (second, _))) => {
                Err(self.error_at(*second, format!("the key `{key}` occurs twice in the same mapping")))
            }
            None => Ok(first),
        }
    }

    /// The value under `key` of a mapping. An error if the key occurs twice.
    pub(super) fn get(&self, mapping: NodeId, key: &str) -> Result<Option<NodeId>, EditError> {
        Ok(self.entry_index(mapping, key)?.map(|slot| self.entries(mapping)[slot].1))
    }

    /// Updates the positions of the entries of a mapping after some were added or removed.
    pub(super) fn renumber(&mut self, mapping: NodeId) {
        for (slot, (key, value)) in (0..).zip(self.entries(mapping).to_vec()) {
            for id in [key, value] {
                let node = &mut self.nodes[id as usize];
                (node.parent, node.index) = (mapping, slot);
            }
        }
    }

    /// Counts the anchors again without those of removed nodes. No alias refers to one of these.
    pub(super) fn remove_anchors(&mut self, gone: &[NodeId]) {
        let mut anchors: Vec<u32> =
            gone.iter().map(|id| self.node(*id).anchor).filter(|it| *it > 0).collect();
        anchors.sort_unstable();
        for anchor in anchors.into_iter().rev() {
            for node in &mut self.nodes {
                let own = match &mut node.kind {
                    NodeKind::Alias(own) => own,
                    _ => &mut node.anchor,
                };
                *own -= u32::from(*own > anchor);
            }
        }
    }

    /// An error that points to a node.
    pub(super) fn error_at(&self, id: NodeId, why: impl Into<String>) -> EditError {
        let (line, column) = self.position(id);
        EditError::ambiguous(why).at(line, column)
    }

    /// Line and column of a node, both from 1.
    pub(super) fn position(&self, id: NodeId) -> (usize, usize) {
        (self.node(id).line as usize, self.node(id).column as usize + 1)
    }

    /// The ancestors of a node up to the top of its document.
    pub(super) fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(id), |id| Some(self.node(*id).parent).filter(|up| up != id)).skip(1)
    }

    /// Whether the file has aliases.
    pub(super) fn has_aliases(&self) -> bool {
        !self.aliases.is_empty()
    }

    /// The aliases of this node.
    pub(super) fn aliases(&self, id: NodeId) -> &[NodeId] {
        self.aliases.get(&id).map_or(&[], Vec::as_slice)
    }

    /// A node and everything in it: nodes are in the order of the file.
    pub(super) fn subtree(&self, id: NodeId) -> std::ops::Range<NodeId> {
        let mut last = id;
        loop {
            let inner = match &self.node(last).kind {
                NodeKind::Sequence { items, .. } => items.last().copied(),
                NodeKind::Mapping { entries, .. } => entries.last().map(|(_, value)| *value),
                _ => None,
            };
            match inner {
                Some(inner) => last = inner,
                None => return id..last + 1,
            }
        }
    }

    /// Takes lines and columns from the bytes of each node.
    pub(super) fn measure_positions(&mut self, text: &str) {
        let mut nodes: Vec<&mut YamlNode<'t>> = self.nodes.iter_mut().collect();
        nodes.sort_by_key(|node| node.bytes.start);
        let offsets: Vec<usize> = nodes.iter().map(|node| node.bytes.start).collect();
        for (node, (line, column)) in nodes.into_iter().zip(lines::positions(text, &offsets)) {
            node.line = u32::try_from(line).unwrap_or(0);
            node.column = u32::try_from(column - 1).unwrap_or(0);
        }
    }

    /// The path of a node, such as `spec.containers[0].image`.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut path: Vec<String> =
            std::iter::once(id).chain(self.ancestors(id)).map(|id| self.path_step(id)).collect();
        path.reverse();
        path.concat().trim_start_matches('.').to_owned()
    }

    fn path_step(&self, id: NodeId) -> String {
        let node = self.node(id);
        match &self.node(node.parent).kind {
            _ if node.parent == id => String::new(),
            NodeKind::Sequence { .. } => format!("[{}]", node.index),
            _ => {
                let key = self.entries(node.parent).get(node.index as usize).map(|(key, _)| *key);
                match key.and_then(|key| self.text(key)).unwrap_or("?") {
                    key if key.contains(['.', '[', ']']) => format!("[{key:?}]"),
                    key => format!(".{key}"),
                }
            }
        }
    }
}
