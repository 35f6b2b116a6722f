//! Entries that are added and removed: a new one is formatted like its neighbours (indentation, line end,
//! flow style, JSON quotes), and an old one is removed with its whitespace. Only text is decided here; `edit_buffer`
//! verifies it.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::edit_buffer::EditBuffer;
use super::error::EditError;
use super::lines;
use super::scalar::{self, ScalarContext};
use super::yaml_tree::{NodeId, NodeKind};

/// Keys with their values, in the order they are written.
pub(super) type Entries<'a> = [(&'a str, &'a str)];

impl EditBuffer<'_> {
    /// Inserts `key: value` behind entry number `after` of a mapping that has entries.
    pub(super) fn insert_entry(
        &mut self,
        mapping: NodeId,
        after: usize,
        key: &str,
        value: &str,
    ) -> Result<(), EditError> {
        self.ensure_editable(mapping)?;
        let flow = self.tree.is_flow(mapping);
        let (path, line) =
            (format!("{}.{key}", self.tree.path(mapping)), self.entry_text(mapping, after, key, value));
        let (at, lead) = match flow {
            true => {
                (self.flow_entry_end(mapping, after), format!(",{}", self.entry_separator(mapping, after)))
            }
            false => self.new_line_after(mapping, after),
        };
        let offset = lead.len() + line.len() - self.value_text(mapping, after, value).len();
        self.insert(at, lead + &line, path, value, offset);
        let pair = (self.add_scalar(key), self.add_scalar(value));
        let new = self.new_nodes();
        if let NodeKind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            let news = entries[after + 1..].iter().take_while(|(key, _)| new.contains(key)).count();
            entries.insert(after + 1 + news, pair);
        }
        self.tree.renumber(mapping);
        Ok(())
    }

    /// Removes an entry, and its comment at the end of the line.
    pub(super) fn remove_entry(&mut self, mapping: NodeId, slot: usize) -> Result<(), EditError> {
        let entries = self.tree.entries(mapping).to_vec();
        let Some((key, value)) = entries.get(slot).copied() else { return Ok(()) };
        self.ensure_editable(value)?;
        let gone = Some((self.tree.path(value), self.tree.text(value).unwrap_or_default().to_owned()));
        let new = self.new_nodes();
        let old = |slot: &usize| !new.contains(&entries[*slot].0);
        let next =
            (slot + 1..entries.len()).find(old).map(|slot| self.tree.node(entries[slot].0).bytes.start);
        let before = (0..slot).rev().find(old);
        let from = self.tree.node(key).bytes.start;
        let to = self.node_end(value).max(self.tree.node(key).bytes.end);
        if self.tree.is_flow(mapping) {
            let before = before.map(|slot| self.flow_entry_end(mapping, slot));
            self.remove_in_flow(before, from..self.flow_entry_end(mapping, slot), next, gone);
        } else {
            self.remove_lines(from, to, next, gone);
        }
        if let NodeKind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            entries.remove(slot);
        }
        self.tree.renumber(mapping);
        self.tree.remove_anchors(&[key, value]);
        Ok(())
    }

    fn remove_lines(&mut self, from: usize, to: usize, next: Option<usize>, gone: Option<(String, String)>) {
        let (start, end) = (lines::line_start(self.text, from), lines::line_end(self.text, to));
        let first_on_line = self.text[start..from].trim_start_matches('\u{feff}').trim().is_empty();
        let close = next.filter(|next| self.text[to..*next].trim().is_empty());
        let cut = match (first_on_line, close) {
            (true, _) if end < self.text.len() => from..end + lines::newline_at(self.text, end).len(),
            (true, _) => self.text[..start].trim_end_matches(['\n', '\r']).len()..end,
            (false, Some(next)) => from..next,
            (false, None) => from..to,
        };
        // Its indentation is removed too.
        let cut = if first_on_line && cut.start == from { start..cut.end } else { cut };
        self.remove(cut, gone);
    }

    /// `before` is where the entry in front of it ends.
    fn remove_in_flow(
        &mut self,
        before: Option<usize>,
        cut: Range<usize>,
        next: Option<usize>,
        gone: Option<(String, String)>,
    ) {
        if let Some(next) = next {
            let comma = lines::skip_blanks(self.text, cut.end) + 1;
            let clean = self.text[cut.end..next].chars().all(|c| c.is_whitespace() || c == ',');
            return self.remove(cut.start..if clean { next } else { comma }, gone);
        }
        match before {
            None => self.remove(cut, gone),
            Some(before) if self.text[before..cut.start].contains('#') => {
                let comma = lines::skip_blanks(self.text, before);
                self.remove(comma..comma + 1, None);
                self.remove(cut, gone);
            }
            Some(before) => self.remove(before..cut.end, gone),
        }
    }

    /// Adds an item with these entries to a list, or creates a list in place of an empty value.
    pub(super) fn append_item(
        &mut self,
        list: NodeId,
        entries: &Entries<'_>,
        reported: &str,
    ) -> Result<(), EditError> {
        self.ensure_editable(list)?;
        let path = format!("{}[{}]", self.tree.path(list), self.tree.items(list).len());
        let last = self.tree.items(list).last().copied();
        match last {
            Some(last) if self.tree.is_flow(list) => {
                let lead = self.blanks_before(self.tree.node(last).bytes.start);
                let lead = if self.tree.items(list).len() == 1 && lead.is_empty() { " " } else { lead };
                let item = format!(",{lead}{}", self.flow_item(Some(last), list, entries));
                self.insert_item(self.tree.node(last).bytes.end, item, path, reported, entries);
            }
            Some(last) => {
                let (indent, gap) = self.dash_style(list)?;
                let at = lines::line_end(self.text, self.node_end(last));
                let lead = format!("{}{indent}-{gap}", lines::newline_style(self.text, at));
                let item = if self.tree.is_flow(last) {
                    self.flow_item(Some(last), list, entries)
                } else {
                    block_item(entries, &format!("{}{indent} {gap}", lines::newline_style(self.text, at)))
                };
                self.insert_item(at, format!("{lead}{item}"), path, reported, entries);
            }
            None if self.tree.is_null(list) => self.fill_null(list, entries, path, reported)?,
            None => {
                let item = self.flow_item(None, list, entries);
                self.insert_item(self.tree.node(list).bytes.start + 1, item, path, reported, entries);
            }
        }
        self.add_item_nodes(list, entries);
        Ok(())
    }

    /// Creates a list in place of an empty value.
    fn fill_null(
        &mut self,
        value: NodeId,
        entries: &Entries<'_>,
        path: String,
        reported: &str,
    ) -> Result<(), EditError> {
        let (mapping, bytes) = (self.tree.node(value).parent, self.tree.node(value).bytes.clone());
        let empty = bytes.is_empty();
        let start = if empty { self.offset_after_colon(value)? } else { bytes.start };
        if self.tree.is_flow(mapping) {
            let item = format!("[{}]", self.flow_item(None, value, entries));
            let put = if empty { format!(" {item}") } else { item };
            self.replace(start..bytes.end.max(start), put, path, reported);
        } else {
            let at = lines::line_end(self.text, bytes.end.max(start));
            if !empty {
                self.remove(self.text[..bytes.start].trim_end_matches([' ', '\t']).len()..bytes.end, None);
            }
            let list = self.block_list(mapping, entries, at);
            self.insert_item(at, list, path, reported, entries);
        }
        Ok(())
    }

    /// Adds `key` with a list of one item at the end of a mapping.
    pub(super) fn add_list(
        &mut self,
        mapping: NodeId,
        key: &str,
        entries: &Entries<'_>,
        reported: &str,
    ) -> Result<(), EditError> {
        self.ensure_editable(mapping)?;
        let path = format!("{key}[0]");
        let last = self.tree.entries(mapping).len().checked_sub(1);
        match last {
            Some(last) if self.tree.is_flow(mapping) => {
                let (name, colon) = self.key_text(mapping, last, key);
                let item = self.flow_item(None, self.tree.entries(mapping)[last].1, entries);
                let lead = format!(",{}{name}{colon}[", self.entry_separator(mapping, last));
                self.insert_item(
                    self.flow_entry_end(mapping, last),
                    format!("{lead}{item}]"),
                    path,
                    reported,
                    entries,
                );
            }
            Some(last) => {
                let (at, lead) = self.new_line_after(mapping, last);
                let list = format!("{lead}{key}:{}", self.block_list(mapping, entries, at));
                self.insert_item(at, list, path, reported, entries);
            }
            None => {
                let item = format!("{key}: [{}]", self.flow_item(None, mapping, entries));
                self.insert_item(self.tree.node(mapping).bytes.start + 1, item, path, reported, entries);
            }
        }
        let list = self.add_node(NodeKind::Sequence { items: Vec::new(), flow: false });
        self.add_item_nodes(list, entries);
        let key = self.add_scalar(key);
        if let NodeKind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            entries.push((key, list));
        }
        Ok(())
    }

    /// Inserts text with a new item, reported at its first key.
    fn insert_item(&mut self, at: usize, text: String, path: String, reported: &str, entries: &Entries<'_>) {
        let offset = entries.first().and_then(|(key, _)| text.find(key)).unwrap_or_default();
        self.insert(at, text, path, reported, offset);
    }

    fn add_item_nodes(&mut self, list: NodeId, entries: &Entries<'_>) {
        let pairs =
            entries.iter().map(|(key, value)| (self.add_scalar(key), self.add_scalar(value))).collect();
        let item = self.add_node(NodeKind::Mapping { entries: pairs, flow: false });
        let node = &mut self.tree.nodes[list as usize];
        match &mut node.kind {
            NodeKind::Sequence { items, .. } => items.push(item),
            kind => {
                *kind = NodeKind::Sequence { items: vec![item], flow: false };
                node.edited = true;
            }
        }
    }

    /// A list of one item on new lines, indented like the other lists of the mapping.
    fn block_list(&self, mapping: NodeId, entries: &Entries<'_>, at: usize) -> String {
        let own = self.tree.node(mapping).column as usize;
        let model = self.tree.entries(mapping).iter().map(|(_, value)| *value);
        let model =
            model.filter(|value| !self.tree.is_flow(*value)).find_map(|value| self.dash_style(value).ok());
        let (indent, gap) = model.unwrap_or_else(|| (" ".repeat(own), " "));
        let line_end = lines::newline_style(self.text, at);
        format!("{line_end}{indent}-{gap}{}", block_item(entries, &format!("{line_end}{indent} {gap}")))
    }

    /// Where a new line behind an entry begins, with its line break and indentation.
    fn new_line_after(&self, mapping: NodeId, after: usize) -> (usize, String) {
        let (key, value) = self.tree.entries(mapping)[after];
        let at = lines::line_end(self.text, self.node_end(value).max(self.tree.node(key).bytes.end));
        let column = self.tree.node(key).column as usize;
        (at, format!("{}{}", lines::newline_style(self.text, at), " ".repeat(column)))
    }

    fn entry_text(&self, mapping: NodeId, model: usize, key: &str, value: &str) -> String {
        let (name, colon) = self.key_text(mapping, model, key);
        format!("{name}{colon}{}", self.value_text(mapping, model, value))
    }

    fn value_text(&self, mapping: NodeId, model: usize, value: &str) -> String {
        let json = self.is_quoted(self.tree.entries(mapping)[model].0);
        scalar::format_scalar(
            value,
            None,
            ScalarContext { in_flow: self.tree.is_flow(mapping), in_json: json },
        )
    }

    /// A key and the text between it and its value, formatted like the entry `model`.
    fn key_text(&self, mapping: NodeId, model: usize, key: &str) -> (String, String) {
        let (like, value) = self.tree.entries(mapping)[model];
        let quoted = self.is_quoted(like);
        let between = self.text.get(self.tree.node(like).bytes.end..self.tree.node(value).bytes.start);
        let colon = between.filter(|it| quoted && it.trim() == ":" && !it.contains('\n')).unwrap_or(": ");
        (if quoted { format!("\"{key}\"") } else { key.to_owned() }, colon.to_owned())
    }

    /// A mapping in braces, formatted like the mapping `model`; with JSON's quotes if `near` has them.
    fn flow_item(&self, model: Option<NodeId>, near: NodeId, entries: &Entries<'_>) -> String {
        let like = model.filter(|id| self.tree.is_flow(*id) && !self.tree.entries(*id).is_empty());
        let Some(like) = like else {
            let json = self.has_json_keys(near);
            let pair = |(key, value): &(&str, &str)| {
                let value =
                    scalar::format_scalar(value, None, ScalarContext { in_flow: true, in_json: json });
                if json { format!("\"{key}\": {value}") } else { format!("{key}: {value}") }
            };
            return format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "));
        };
        let open = self.blanks_before(self.tree.node(self.tree.entries(like)[0].0).bytes.start);
        let close = self.blanks_before(self.tree.node(like).bytes.end - 1);
        let pairs =
            entries.iter().map(|(key, value)| self.entry_text(like, 0, key, value)).collect::<Vec<_>>();
        format!("{{{open}{}{close}}}", pairs.join(&format!(",{}", self.entry_separator(like, 0))))
    }

    fn has_json_keys(&self, near: NodeId) -> bool {
        let top = self.tree.ancestors(near).last().unwrap_or(near);
        self.tree.is_flow(top) && self.tree.entries(top).first().is_some_and(|(key, _)| self.is_quoted(*key))
    }

    fn is_quoted(&self, key: NodeId) -> bool {
        matches!(self.tree.node(key).kind, NodeKind::Scalar { style: ScalarStyle::DoubleQuoted, .. })
    }

    /// The blanks and line breaks in front of a byte.
    fn blanks_before(&self, at: usize) -> &str {
        &self.text[self.text[..at].trim_end_matches([' ', '\t', '\n', '\r']).len()..at]
    }

    /// The text between a comma and the key of a new entry in braces.
    fn entry_separator(&self, mapping: NodeId, after: usize) -> &str {
        let entries = self.tree.entries(mapping);
        let before = |slot: usize| self.blanks_before(self.tree.node(entries[slot].0).bytes.start);
        match after {
            0 if before(0).contains('\n') => before(0),
            0 => (1..entries.len())
                .find(|slot| self.tree.node(entries[*slot].0).bytes.end > 0)
                .map_or(" ", before),
            _ => before(after),
        }
    }

    /// Behind the value of an entry in braces, even if it has none.
    fn flow_entry_end(&self, mapping: NodeId, slot: usize) -> usize {
        let (key, value) = self.tree.entries(mapping)[slot];
        let (key, bytes) = (self.tree.node(key).bytes.end, &self.tree.node(value).bytes);
        if bytes.is_empty() {
            self.offset_after_colon(value).unwrap_or(key.max(bytes.end))
        } else {
            bytes.end
        }
    }

    /// Behind the last character of a node, however deep it is.
    fn node_end(&self, id: NodeId) -> usize {
        let node = self.tree.node(id);
        match &node.kind {
            NodeKind::Sequence { items, flow: false } if !items.is_empty() => {
                self.node_end(items[items.len() - 1])
            }
            NodeKind::Mapping { entries, flow: false } if !entries.is_empty() => {
                let (key, value) = entries[entries.len() - 1];
                self.node_end(value).max(self.tree.node(key).bytes.end)
            }
            NodeKind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => {
                node.bytes.start + self.text[node.bytes.clone()].trim_end().len()
            }
            _ => node.bytes.end,
        }
    }

    /// How the items of a block list begin: the text in front of the dash, and behind it.
    fn dash_style(&self, list: NodeId) -> Result<(String, &str), EditError> {
        let of = |item: &NodeId| {
            let start = self.tree.node(*item).bytes.start;
            let dash = self.text[..start].trim_end_matches([' ', '\t', '\n', '\r']).strip_suffix('-')?.len();
            let indent = &self.text[lines::line_start(self.text, dash)..dash];
            let gap =
                self.text.get(dash + 1..start).filter(|gap| gap.bytes().all(|b| b == b' ')).unwrap_or(" ");
            Some((" ".repeat(indent.trim_start_matches('\u{feff}').chars().count()), gap))
        };
        let found = self.tree.items(list).iter().rev().find_map(of);
        found.ok_or_else(|| {
            self.tree.error_at(
                list,
                format!("the list `{}` has no item to copy the format of", self.tree.path(list)),
            )
        })
    }
}

fn block_item(entries: &Entries<'_>, lead: &str) -> String {
    let pair = |(key, value): &(&str, &str)| {
        format!("{key}: {}", scalar::format_scalar(value, None, ScalarContext::default()))
    };
    entries.iter().map(pair).collect::<Vec<_>>().join(lead)
}
