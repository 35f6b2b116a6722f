//! YAML that is the text of a value: edited as a file of its own, and put back line by line behind its indentation.

use std::borrow::Cow;

use granit_parser::ScalarStyle;

use super::edit_buffer::{EditBuffer, ReportedChange, Splice};
use super::error::EditError;
use super::yaml_tree::{NodeId, NodeKind, YamlTree};
use super::{ImageLocation, ImageUpdate, lines};

/// Where the lines of a block of text begin, in the text and in the file.
struct BlockLines {
    indent: String,
    inner_starts: Vec<usize>,
    outer_starts: Vec<usize>,
}

impl BlockLines {
    /// The place in the file of a byte of the text.
    fn outer_offset(&self, inner: usize) -> usize {
        let line = self.inner_starts.partition_point(|start| *start <= inner).saturating_sub(1);
        self.outer_starts[line] + inner - self.inner_starts[line]
    }
}

impl EditBuffer<'_> {
    /// Edits the YAML in the text of a value.
    pub(super) fn edit_inner(
        &mut self,
        id: NodeId,
        location: &ImageLocation,
        update: &ImageUpdate,
    ) -> Result<(), EditError> {
        let id = self.ensure_reachable(id)?;
        let text = self.tree.text(id).unwrap_or_default().to_owned();
        let block = self.block_lines(id, &text)?;
        let origin = text_origin(&self.tree, id);
        let mut inner = EditBuffer::new(&text).map_err(|error| error.within(origin))?;
        super::apply_update(&mut inner, location, update).map_err(|error| error.within(origin))?;
        let splices = inner.splices.clone();
        let edited = inner.finish().map_err(|error| error.within(origin))?;
        let path = self.tree.path(id);
        let newline = lines::newline_style(self.text, self.tree.node(id).bytes.start);
        self.splices.extend(splices.into_iter().map(|splice| block.outer_splice(splice, &path, newline)));
        if edited.bytes != text.as_bytes() {
            let node = &mut self.tree.nodes[id as usize];
            let text = Cow::Owned(String::from_utf8_lossy(&edited.bytes).into_owned());
            node.kind = NodeKind::Scalar { text, style: ScalarStyle::Literal };
            node.edited = true;
        }
        Ok(())
    }

    /// The lines of a literal block. Other notations have the text in another form than a file has it.
    fn block_lines(&self, id: NodeId, text: &str) -> Result<BlockLines, EditError> {
        let node = self.tree.node(id);
        if !matches!(node.kind, NodeKind::Scalar { style: ScalarStyle::Literal, .. }) {
            let why = format!("`{}` is YAML in a text that is not a block of lines", self.tree.path(id));
            return Err(self
                .tree
                .error_at(id, why)
                .help("Write it behind `|`, or as values and not as text."));
        }
        let first = lines::line_start(self.text, node.bytes.start);
        let indent = self.text[first..node.bytes.start].to_owned();
        let mut block = BlockLines { indent, inner_starts: Vec::new(), outer_starts: Vec::new() };
        let blank_before = text.len() - text.trim_start_matches('\n').len();
        let mut outer = first;
        for _ in 0..blank_before {
            let before = self.text[..outer].strip_suffix('\n').unwrap_or(&self.text[..outer]);
            let before = before.strip_suffix('\r').unwrap_or(before);
            outer = lines::line_start(self.text, before.len());
        }
        let mut inner = 0;
        for line in text.split_inclusive('\n') {
            let end = lines::line_end(self.text, outer);
            let content = (outer + block.indent.len()).min(end);
            if self.text.get(content..end) != Some(line.trim_end_matches('\n')) {
                let why = format!("the lines of `{}` are not those of the file", self.tree.path(id));
                return Err(self.tree.error_at(id, why));
            }
            block.inner_starts.push(inner);
            block.outer_starts.push(content);
            inner += line.len();
            outer = end + lines::newline_at(self.text, end).len();
        }
        // The end of a text without a last line break, as behind `|-`, is in its last line.
        if text.is_empty() || text.ends_with('\n') {
            block.inner_starts.push(inner);
            block.outer_starts.push((outer + block.indent.len()).min(lines::line_end(self.text, outer)));
        }
        Ok(block)
    }
}

impl BlockLines {
    fn outer_splice(&self, splice: Splice, path: &str, newline: &str) -> Splice {
        let outer_text = |text: &str| text.replace('\n', &format!("{newline}{}", self.indent));
        let change = splice.change.map(|change| {
            let dot = if change.path.starts_with('[') { "" } else { "." };
            let offset = outer_text(splice.text.get(..change.offset).unwrap_or_default()).len();
            ReportedChange { path: format!("{path}{dot}{}", change.path), offset, ..change }
        });
        let range = self.outer_offset(splice.range.start)..self.outer_offset(splice.range.end);
        Splice { range, text: outer_text(&splice.text), change }
    }
}

/// Line and column of the first line of a text.
pub(super) fn text_origin(tree: &YamlTree<'_>, id: NodeId) -> (usize, usize) {
    let (line, column) = tree.position(tree.resolve_alias(id));
    let text = tree.text(id).unwrap_or_default();
    (line.saturating_sub(text.len() - text.trim_start_matches('\n').len()).max(1), column)
}
