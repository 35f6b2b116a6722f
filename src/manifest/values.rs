//! Images in Helm values and in custom resources: parts in a mapping, or one string.

use std::collections::HashSet;

use crate::release::ImageRef;

use super::chart_scope::{inherited_tag, registry_in_front};
use super::error::EditError;
use super::image_keys::is_image_key;
use super::image_parts::{ImageParts, group_fields, mapping_fields};
use super::image_target::ImageTarget;
use super::image_text::{has_image_key, has_version, is_surely_image, names_repository};
use super::yaml_tree::{NodeId, YamlTree};

/// Which strings with a version are images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringRule {
    /// Every string that can be nothing else, as in values.
    Reference,
    /// Those under a key of an image: the other fields of a custom resource mean what their operator says.
    ImageKey,
}

/// The images of the repository of `image` among the nodes of a subtree.
pub(super) fn find_in_scope(
    tree: &YamlTree<'_>,
    scope: NodeId,
    image: &ImageRef,
    rule: StringRule,
) -> Result<Vec<ImageTarget>, EditError> {
    let last = image.repository.rsplit('/').next().unwrap_or_default();
    let (mut targets, mut taken) = (Vec::new(), HashSet::new());
    for id in tree.subtree(scope) {
        for parts in find_parts(tree, id) {
            if parts.is_of(tree, image) && parts.is_complete() {
                taken.extend(parts.values());
                targets.push(ImageTarget::Parts(parts));
            }
        }
        let text = tree.text(id).filter(|text| text.contains(last) && !taken.contains(&id));
        if let Some(text) = text
            && is_value(tree, id)
            && is_string_of(tree, id, text, image, rule)
        {
            targets.push(text_target(tree, id, text)?);
        }
    }
    Ok(targets)
}

/// The images in parts of a mapping.
pub(super) fn find_parts(tree: &YamlTree<'_>, mapping: NodeId) -> Vec<ImageParts> {
    match tree.is_mapping(mapping) {
        true => group_fields(tree, mapping, &mapping_fields(tree, mapping)),
        false => Vec::new(),
    }
}

fn is_string_of(tree: &YamlTree<'_>, id: NodeId, text: &str, image: &ImageRef, rule: StringRule) -> bool {
    let image_key = has_image_key(tree, id);
    let global = image_key.then(|| registry_in_front(tree, id, text, image)).flatten();
    if !names_repository(text, image, global.as_deref()) {
        return false;
    }
    match rule {
        StringRule::Reference if has_version(text) => is_surely_image(tree, id, text),
        StringRule::ImageKey if has_version(text) => image_key,
        _ => tree.key(id).is_some_and(is_image_key),
    }
}

/// A string, unless its version may be elsewhere.
fn text_target(tree: &YamlTree<'_>, id: NodeId, text: &str) -> Result<ImageTarget, EditError> {
    let elsewhere = inherited_tag(tree, tree.node(id).parent).filter(|_| !has_version(text));
    match elsewhere {
        Some(other) => {
            let why = format!(
                "`{}` has no tag, and `{}` may be the version of the image",
                tree.path(id),
                tree.path(other)
            );
            Err(tree
                .error_at(id, why)
                .help("Write the whole image there, or name the other value by its path."))
        }
        None => Ok(ImageTarget::Text(id)),
    }
}

fn is_value(tree: &YamlTree<'_>, id: NodeId) -> bool {
    tree.key(id).is_some() || tree.is_sequence(tree.node(id).parent)
}
