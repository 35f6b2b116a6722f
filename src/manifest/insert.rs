//! Entries that come and go: how a new one is written so that it looks like its neighbours (indentation, line end,
//! flow style, JSON's quotes), and what an old one takes with it. Only text is decided here; `draft` proves it.

use std::ops::Range;

use granit_parser::ScalarStyle;

use super::draft::Draft;
use super::lines;
use super::refusal::Refusal;
use super::scalar::{self, Place};
use super::tree::{Id, Kind};

/// Keys with their values, in the order they are written.
pub(super) type Entries<'a> = [(&'a str, &'a str)];

impl Draft<'_> {
    /// Puts `key: value` behind entry number `after` of a mapping that has entries.
    pub(super) fn insert(
        &mut self,
        mapping: Id,
        after: usize,
        key: &str,
        value: &str,
    ) -> Result<(), Refusal> {
        self.check(mapping)?;
        let flow = self.tree.is_flow(mapping);
        let (path, line) =
            (format!("{}.{key}", self.tree.path(mapping)), self.entry_text(mapping, after, key, value));
        let (at, lead) = match flow {
            true => (self.end_in_flow(mapping, after), format!(",{}", self.lead(mapping, after))),
            false => self.new_line(mapping, after),
        };
        let offset = lead.len() + line.len() - self.value_text(mapping, after, value).len();
        self.put(at, lead + &line, path, value, offset);
        let pair = (self.scalar(key), self.scalar(value));
        let new = self.new_nodes();
        if let Kind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            let news = entries[after + 1..].iter().take_while(|(key, _)| new.contains(key)).count();
            entries.insert(after + 1 + news, pair);
        }
        self.tree.renumber(mapping);
        Ok(())
    }

    /// Takes an entry out, and of the rest of its line only its comment.
    pub(super) fn remove(&mut self, mapping: Id, slot: usize) -> Result<(), Refusal> {
        let entries = self.tree.entries(mapping).to_vec();
        let Some((key, value)) = entries.get(slot).copied() else { return Ok(()) };
        self.check(value)?;
        let gone = Some((self.tree.path(value), self.tree.text(value).unwrap_or_default().to_owned()));
        let new = self.new_nodes();
        let old = |slot: &usize| !new.contains(&entries[*slot].0);
        let next =
            (slot + 1..entries.len()).find(old).map(|slot| self.tree.node(entries[slot].0).bytes.start);
        let before = (0..slot).rev().find(old);
        let from = self.tree.node(key).bytes.start;
        let to = self.end_of(value).max(self.tree.node(key).bytes.end);
        if self.tree.is_flow(mapping) {
            let before = before.map(|slot| self.end_in_flow(mapping, slot));
            self.remove_in_flow(before, from..self.end_in_flow(mapping, slot), next, gone);
        } else {
            self.remove_lines(from, to, next, gone);
        }
        if let Kind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            entries.remove(slot);
        }
        self.tree.renumber(mapping);
        self.tree.forget(&[key, value]);
        Ok(())
    }

    fn remove_lines(&mut self, from: usize, to: usize, next: Option<usize>, gone: Option<(String, String)>) {
        let (start, end) = (lines::start(self.text, from), lines::end(self.text, to));
        let first_on_line = self.text[start..from].trim_start_matches('\u{feff}').trim().is_empty();
        let close = next.filter(|next| self.text[to..*next].trim().is_empty());
        let cut = match (first_on_line, close) {
            (true, _) if end < self.text.len() => from..end + lines::break_at(self.text, end).len(),
            (true, _) => self.text[..start].trim_end_matches(['\n', '\r']).len()..end,
            (false, Some(next)) => from..next,
            (false, None) => from..to,
        };
        // The indentation of the line goes with it.
        let cut = if first_on_line && cut.start == from { start..cut.end } else { cut };
        self.cut(cut, gone);
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
            let comma = lines::skip(self.text, cut.end) + 1;
            let clean = self.text[cut.end..next].chars().all(|c| c.is_whitespace() || c == ',');
            return self.cut(cut.start..if clean { next } else { comma }, gone);
        }
        match before {
            None => self.cut(cut, gone),
            Some(before) if self.text[before..cut.start].contains('#') => {
                let comma = lines::skip(self.text, before);
                self.cut(comma..comma + 1, None);
                self.cut(cut, gone);
            }
            Some(before) => self.cut(before..cut.end, gone),
        }
    }

    /// Adds an item with these entries to a list, or makes a list of what is nothing yet.
    pub(super) fn append(&mut self, list: Id, entries: &Entries<'_>, told: &str) -> Result<(), Refusal> {
        self.check(list)?;
        let path = format!("{}[{}]", self.tree.path(list), self.tree.items(list).len());
        let last = self.tree.items(list).last().copied();
        match last {
            Some(last) if self.tree.is_flow(list) => {
                let lead = self.blanks_before(self.tree.node(last).bytes.start);
                let lead = if self.tree.items(list).len() == 1 && lead.is_empty() { " " } else { lead };
                let item = format!(",{lead}{}", self.flow_item(Some(last), list, entries));
                self.put_item(self.tree.node(last).bytes.end, item, path, told, entries);
            }
            Some(last) => {
                let (indent, gap) = self.dash(list)?;
                let at = lines::end(self.text, self.end_of(last));
                let lead = format!("{}{indent}-{gap}", lines::break_for(self.text, at));
                let item = if self.tree.is_flow(last) {
                    self.flow_item(Some(last), list, entries)
                } else {
                    block_item(entries, &format!("{}{indent} {gap}", lines::break_for(self.text, at)))
                };
                self.put_item(at, format!("{lead}{item}"), path, told, entries);
            }
            None if self.tree.is_null(list) => self.fill(list, entries, path, told)?,
            None => {
                let item = self.flow_item(None, list, entries);
                self.put_item(self.tree.node(list).bytes.start + 1, item, path, told, entries);
            }
        }
        self.grow_item(list, entries);
        Ok(())
    }

    /// Makes a list of a value that is nothing.
    fn fill(&mut self, value: Id, entries: &Entries<'_>, path: String, told: &str) -> Result<(), Refusal> {
        let (mapping, bytes) = (self.tree.node(value).parent, self.tree.node(value).bytes.clone());
        let empty = bytes.is_empty();
        let start = if empty { self.after_colon(value)? } else { bytes.start };
        if self.tree.is_flow(mapping) {
            let item = format!("[{}]", self.flow_item(None, value, entries));
            let put = if empty { format!(" {item}") } else { item };
            self.replace(start..bytes.end.max(start), put, path, told);
        } else {
            let at = lines::end(self.text, bytes.end.max(start));
            if !empty {
                self.cut(self.text[..bytes.start].trim_end_matches([' ', '\t']).len()..bytes.end, None);
            }
            let list = self.block_list(mapping, entries, at);
            self.put_item(at, list, path, told, entries);
        }
        Ok(())
    }

    /// Adds `key` with a list of one item at the end of a mapping.
    pub(super) fn add_list(
        &mut self,
        mapping: Id,
        key: &str,
        entries: &Entries<'_>,
        told: &str,
    ) -> Result<(), Refusal> {
        self.check(mapping)?;
        let path = format!("{key}[0]");
        let last = self.tree.entries(mapping).len().checked_sub(1);
        match last {
            Some(last) if self.tree.is_flow(mapping) => {
                let (name, colon) = self.key_text(mapping, last, key);
                let item = self.flow_item(None, self.tree.entries(mapping)[last].1, entries);
                let lead = format!(",{}{name}{colon}[", self.lead(mapping, last));
                self.put_item(self.end_in_flow(mapping, last), format!("{lead}{item}]"), path, told, entries);
            }
            Some(last) => {
                let (at, lead) = self.new_line(mapping, last);
                let list = format!("{lead}{key}:{}", self.block_list(mapping, entries, at));
                self.put_item(at, list, path, told, entries);
            }
            None => {
                let item = format!("{key}: [{}]", self.flow_item(None, mapping, entries));
                self.put_item(self.tree.node(mapping).bytes.start + 1, item, path, told, entries);
            }
        }
        let list = self.grow(Kind::Sequence { items: Vec::new(), flow: false });
        self.grow_item(list, entries);
        let key = self.scalar(key);
        if let Kind::Mapping { entries, .. } = &mut self.tree.nodes[mapping as usize].kind {
            entries.push((key, list));
        }
        Ok(())
    }

    /// Puts in text with a new item, which is told of at its first key.
    fn put_item(&mut self, at: usize, text: String, path: String, told: &str, entries: &Entries<'_>) {
        let offset = entries.first().and_then(|(key, _)| text.find(key)).unwrap_or_default();
        self.put(at, text, path, told, offset);
    }

    fn grow_item(&mut self, list: Id, entries: &Entries<'_>) {
        let pairs = entries.iter().map(|(key, value)| (self.scalar(key), self.scalar(value))).collect();
        let item = self.grow(Kind::Mapping { entries: pairs, flow: false });
        let node = &mut self.tree.nodes[list as usize];
        match &mut node.kind {
            Kind::Sequence { items, .. } => items.push(item),
            kind => {
                *kind = Kind::Sequence { items: vec![item], flow: false };
                node.edited = true;
            }
        }
    }

    /// A list of one item on new lines, indented as the other lists of the mapping are.
    fn block_list(&self, mapping: Id, entries: &Entries<'_>, at: usize) -> String {
        let own = self.tree.node(mapping).column as usize;
        let model = self.tree.entries(mapping).iter().map(|(_, value)| *value);
        let model = model.filter(|value| !self.tree.is_flow(*value)).find_map(|value| self.dash(value).ok());
        let (indent, gap) = model.unwrap_or_else(|| (" ".repeat(own), " "));
        let line_end = lines::break_for(self.text, at);
        format!("{line_end}{indent}-{gap}{}", block_item(entries, &format!("{line_end}{indent} {gap}")))
    }

    /// Where a new line behind an entry begins, and the line break and indentation it begins with.
    fn new_line(&self, mapping: Id, after: usize) -> (usize, String) {
        let (key, value) = self.tree.entries(mapping)[after];
        let at = lines::end(self.text, self.end_of(value).max(self.tree.node(key).bytes.end));
        let column = self.tree.node(key).column as usize;
        (at, format!("{}{}", lines::break_for(self.text, at), " ".repeat(column)))
    }

    fn entry_text(&self, mapping: Id, model: usize, key: &str, value: &str) -> String {
        let (name, colon) = self.key_text(mapping, model, key);
        format!("{name}{colon}{}", self.value_text(mapping, model, value))
    }

    fn value_text(&self, mapping: Id, model: usize, value: &str) -> String {
        let json = self.is_quoted(self.tree.entries(mapping)[model].0);
        scalar::write(value, None, Place { flow: self.tree.is_flow(mapping), json })
    }

    /// A key and what stands between it and its value, written as the entry `model` is.
    fn key_text(&self, mapping: Id, model: usize, key: &str) -> (String, String) {
        let (like, value) = self.tree.entries(mapping)[model];
        let quoted = self.is_quoted(like);
        let between = self.text.get(self.tree.node(like).bytes.end..self.tree.node(value).bytes.start);
        let colon = between.filter(|it| quoted && it.trim() == ":" && !it.contains('\n')).unwrap_or(": ");
        (if quoted { format!("\"{key}\"") } else { key.to_owned() }, colon.to_owned())
    }

    /// A mapping in braces, written as the mapping `model` is; with JSON's quotes where `near` has them.
    fn flow_item(&self, model: Option<Id>, near: Id, entries: &Entries<'_>) -> String {
        let like = model.filter(|id| self.tree.is_flow(*id) && !self.tree.entries(*id).is_empty());
        let Some(like) = like else {
            let json = self.has_json_keys(near);
            let pair = |(key, value): &(&str, &str)| {
                let value = scalar::write(value, None, Place { flow: true, json });
                if json { format!("\"{key}\": {value}") } else { format!("{key}: {value}") }
            };
            return format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "));
        };
        let open = self.blanks_before(self.tree.node(self.tree.entries(like)[0].0).bytes.start);
        let close = self.blanks_before(self.tree.node(like).bytes.end - 1);
        let pairs =
            entries.iter().map(|(key, value)| self.entry_text(like, 0, key, value)).collect::<Vec<_>>();
        format!("{{{open}{}{close}}}", pairs.join(&format!(",{}", self.lead(like, 0))))
    }

    fn has_json_keys(&self, near: Id) -> bool {
        let top = self.tree.above(near).last().unwrap_or(near);
        self.tree.is_flow(top) && self.tree.entries(top).first().is_some_and(|(key, _)| self.is_quoted(*key))
    }

    fn is_quoted(&self, key: Id) -> bool {
        matches!(self.tree.node(key).kind, Kind::Scalar { style: ScalarStyle::DoubleQuoted, .. })
    }

    /// The blanks and line breaks in front of a byte.
    fn blanks_before(&self, at: usize) -> &str {
        &self.text[self.text[..at].trim_end_matches([' ', '\t', '\n', '\r']).len()..at]
    }

    /// What stands between a comma and the key of a new entry in braces.
    fn lead(&self, mapping: Id, after: usize) -> &str {
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

    /// Behind the value of an entry in braces, also where it has none.
    fn end_in_flow(&self, mapping: Id, slot: usize) -> usize {
        let (key, value) = self.tree.entries(mapping)[slot];
        let (key, bytes) = (self.tree.node(key).bytes.end, &self.tree.node(value).bytes);
        if bytes.is_empty() { self.after_colon(value).unwrap_or(key.max(bytes.end)) } else { bytes.end }
    }

    /// Behind the last word of a node, however deep it stands.
    fn end_of(&self, id: Id) -> usize {
        let node = self.tree.node(id);
        match &node.kind {
            Kind::Sequence { items, flow: false } if !items.is_empty() => self.end_of(items[items.len() - 1]),
            Kind::Mapping { entries, flow: false } if !entries.is_empty() => {
                let (key, value) = entries[entries.len() - 1];
                self.end_of(value).max(self.tree.node(key).bytes.end)
            }
            Kind::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. } => {
                node.bytes.start + self.text[node.bytes.clone()].trim_end().len()
            }
            _ => node.bytes.end,
        }
    }

    /// How the items of a list in lines begin: what is in front of the dash, and behind it.
    fn dash(&self, list: Id) -> Result<(String, &str), Refusal> {
        let of = |item: &Id| {
            let start = self.tree.node(*item).bytes.start;
            let dash = self.text[..start].trim_end_matches([' ', '\t', '\n', '\r']).strip_suffix('-')?.len();
            let indent = &self.text[lines::start(self.text, dash)..dash];
            let gap =
                self.text.get(dash + 1..start).filter(|gap| gap.bytes().all(|b| b == b' ')).unwrap_or(" ");
            Some((" ".repeat(indent.trim_start_matches('\u{feff}').chars().count()), gap))
        };
        let found = self.tree.items(list).iter().rev().find_map(of);
        found.ok_or_else(|| {
            self.tree.refuse(list, format!("the list `{}` has no item to follow", self.tree.path(list)))
        })
    }
}

fn block_item(entries: &Entries<'_>, lead: &str) -> String {
    let pair =
        |(key, value): &(&str, &str)| format!("{key}: {}", scalar::write(value, None, Place::default()));
    entries.iter().map(pair).collect::<Vec<_>>().join(lead)
}
