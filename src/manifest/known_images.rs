//! What a rejection lists: the images that a file has.

use std::collections::BTreeSet;

use crate::release::ImageRef;

use super::embedded::{Embedded, find_embedded, parameter_images};
use super::image_text::{has_image_key, has_version, split_assignment};
use super::values::find_parts;
use super::yaml_parser;
use super::yaml_tree::{NodeId, NodeKind, YamlTree};

const MAX_LISTED: usize = 10;

/// The names of the images in a file, in a sentence.
pub(super) fn list_known(tree: &YamlTree<'_>) -> String {
    list_names(&known_images(tree))
}

/// Names in a sentence.
pub(super) fn list_names(known: &BTreeSet<String>) -> String {
    let some: Vec<String> = known.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match known.len().saturating_sub(MAX_LISTED) {
        0 if some.is_empty() => "The file has no images.".into(),
        0 => format!("The file has {}.", some.join(", ")),
        more => format!("The file has {}, and {more} more.", some.join(", ")),
    }
}

/// The names of the images in a file, as written.
pub(super) fn known_images(tree: &YamlTree<'_>) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for id in (0..).take(tree.nodes.len()) {
        known.extend(find_parts(tree, id).iter().filter_map(|parts| parts.known_name(tree)));
        known.extend(whole_image(tree, id));
        known.extend(entry_name(tree, id));
    }
    for embedded in find_embedded(tree) {
        match embedded {
            Embedded::ValuesText(id) => {
                let inner = tree.text(id).and_then(|text| yaml_parser::parse_yaml(text).ok());
                known.extend(inner.iter().flat_map(known_images));
            }
            Embedded::Parameters(id) => {
                known.extend(parameter_images(tree, id).iter().filter_map(|parts| parts.known_name(tree)));
            }
            _ => {}
        }
    }
    known
}

/// The name in a value that is one image.
fn whole_image(tree: &YamlTree<'_>, id: NodeId) -> Option<String> {
    let is_value = tree.key(id).is_some() || tree.is_sequence(tree.node(id).parent);
    if matches!(tree.node(id).kind, NodeKind::Alias(_)) || !is_value {
        return None;
    }
    let (_, reference) = split_assignment(tree.text(id)?);
    let image: ImageRef = reference.parse().ok()?;
    let sure = has_image_key(tree, id) || (has_version(reference) && image.repository.contains('/'));
    sure.then(|| image.name())
}

/// The name of an entry of kustomize's images.
fn entry_name(tree: &YamlTree<'_>, id: NodeId) -> Option<String> {
    let text = |key| tree.get(id, key).ok().flatten().and_then(|id| tree.text(id));
    let list = tree.node(id).parent;
    let listed = tree.is_sequence(list) && tree.key(list) == Some("images");
    listed.then(|| text("newName").or(text("name")).map(str::to_owned)).flatten()
}
