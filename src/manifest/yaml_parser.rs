//! Text to a tree, with the events of the parser. Size and depth are bounded.

use std::borrow::Cow;

use granit_parser::{Event, Options, Parser, ScanError, Span, StrInput, StructureStyle, Tag};

use super::error::EditError;
use super::yaml_text;
use super::yaml_tree::{NodeId, NodeKind, YamlNode, YamlTree};

const MAX_NODES: usize = 1_000_000;
/// Maximum depth of block and of flow collections each.
const MAX_DEPTH: usize = 100;

/// Reads all documents of `text`.
pub(super) fn parse_yaml(text: &str) -> Result<YamlTree<'_>, EditError> {
    let mut parsed = read_events(text, |scalar| scalar);
    let mut joined = text.to_owned();
    for _ in 0..yaml_text::MAX_FOLDED {
        match parsed {
            Err(ParseError::Syntax(error)) => match yaml_text::join_folded(&joined, &error) {
                Some(again) => {
                    parsed = read_events(&again, |scalar| Cow::Owned(scalar.into_owned()));
                    joined = again;
                }
                None => return Err(yaml_error(text, &error)),
            },
            _ => break,
        }
    }
    let mut tree = parsed.map_err(|error| match error {
        ParseError::Syntax(error) => yaml_error(text, &error),
        ParseError::Limit(refusal) => refusal,
    })?;
    if joined != text {
        tree.measure_positions(text);
    }
    yaml_text::check_separators(text, &tree)?;
    Ok(tree)
}

enum ParseError {
    Syntax(ScanError),
    Limit(EditError),
}

/// The tree of a text. `keep` makes its scalars live as long as the tree.
fn read_events<'s, 't>(
    text: &'s str,
    keep: fn(Cow<'s, str>) -> Cow<'t, str>,
) -> Result<YamlTree<'t>, ParseError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text, options);
    let mut builder = YamlTreeBuilder { tree: YamlTree::default(), open_collections: Vec::new() };
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(ParseError::Syntax)?;
        builder.on_event(event, &span, keep).map_err(ParseError::Limit)?;
    }
    Ok(builder.tree)
}

fn yaml_error(text: &str, error: &ScanError) -> EditError {
    let refusal = match text.contains("{{") {
        true => EditError::ambiguous(format!("it is a template, or not valid YAML ({})", error.info()))
            .help("Edit the values of the template instead."),
        false => EditError::unreadable(format!("it is not valid YAML ({})", error.info())),
    };
    refusal.at(error.marker().line(), error.marker().col() + 1)
}

struct YamlTreeBuilder<'t> {
    tree: YamlTree<'t>,
    /// Open collections, and the key that waits for its value.
    open_collections: Vec<(NodeId, Option<NodeId>)>,
}

impl<'t> YamlTreeBuilder<'t> {
    fn on_event<'s>(
        &mut self,
        event: Event<'s>,
        span: &Span,
        keep: fn(Cow<'s, str>) -> Cow<'t, str>,
    ) -> Result<(), EditError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let implicit = text == "~" && span.start.index() == span.end.index();
                let text = if implicit { Cow::Borrowed("") } else { keep(text) };
                self.add_node(NodeKind::Scalar { text, style }, anchor, tag, span)?;
            }
            Event::Alias(anchor) => {
                let anchor = u32::try_from(anchor).unwrap_or(0);
                let id = self.add_node(NodeKind::Alias(anchor), 0, None, span)?;
                self.tree.aliases.entry(self.tree.resolve_alias(id)).or_default().push(id);
            }
            Event::SequenceStart(style, anchor, tag) => {
                let flow = style == StructureStyle::Flow;
                let id = self.add_node(NodeKind::Sequence { items: Vec::new(), flow }, anchor, tag, span)?;
                self.open_collections.push((id, None));
            }
            Event::MappingStart(style, anchor, tag) => {
                let flow = style == StructureStyle::Flow;
                let id = self.add_node(NodeKind::Mapping { entries: Vec::new(), flow }, anchor, tag, span)?;
                self.open_collections.push((id, None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some((id, _)) = self.open_collections.pop() {
                    self.tree.nodes[id as usize].bytes.end = span.byte_range().unwrap_or_default().end;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_node(
        &mut self,
        kind: NodeKind<'t>,
        anchor: usize,
        tag: Option<Cow<'_, Tag>>,
        span: &Span,
    ) -> Result<NodeId, EditError> {
        let (line, column) = (span.start.line(), span.start.col());
        let id = NodeId::try_from(self.tree.nodes.len()).unwrap_or(NodeId::MAX);
        if self.tree.nodes.len() >= MAX_NODES {
            return Err(EditError::unreadable("it has too many values").at(line, column + 1));
        }
        let (parent, slot) = self.attach(id);
        let anchor = u32::try_from(anchor).unwrap_or(0);
        if anchor > 0 {
            let anchored = &mut self.tree.anchor_nodes;
            anchored.resize(anchored.len().max(anchor as usize + 1), NodeId::MAX);
            anchored[anchor as usize] = id;
        }
        self.tree.nodes.push(YamlNode {
            kind,
            bytes: span.byte_range().unwrap_or_default(),
            line: u32::try_from(line).unwrap_or(0),
            column: u32::try_from(column).unwrap_or(0),
            anchor,
            tag: tag.map(|tag| format!("{}{}", tag.handle(), tag.suffix()).into()),
            parent,
            index: slot,
            edited: false,
        });
        Ok(id)
    }

    /// Adds node `id` to the innermost open collection, and returns its position.
    fn attach(&mut self, id: NodeId) -> (NodeId, u32) {
        let Some((parent, key)) = self.open_collections.last_mut() else {
            self.tree.documents.push(id);
            return (id, 0);
        };
        let slot = match &mut self.tree.nodes[*parent as usize].kind {
            NodeKind::Sequence { items, .. } => {
                items.push(id);
                items.len() - 1
            }
            NodeKind::Mapping { entries, .. } => match key.take() {
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
