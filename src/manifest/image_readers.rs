//! Who reads a value that has an anchor. It may be edited if every place that reads it reads the image that is asked
//! for: then all of them are to change.

use std::collections::HashSet;

use crate::release::ImageRef;

use super::image_keys::{PartKind, classify_key};
use super::image_target::ImageTarget;
use super::image_text::{has_version, names_repository};
use super::values::find_parts;
use super::yaml_tree::{NodeId, YamlTree};

/// The nodes that are read as the requested image.
#[derive(Debug, Default)]
pub(super) struct ImageReaders {
    /// Single values, and aliases of them.
    values: HashSet<NodeId>,
    /// Collections that have the whole image in them: whoever reads them reads it.
    collections: HashSet<NodeId>,
}

impl ImageReaders {
    /// The nodes that belong to the images among `targets` that name the repository.
    pub(super) fn of(tree: &YamlTree<'_>, targets: &[ImageTarget], image: &ImageRef) -> Self {
        let mut readers = Self::default();
        for target in targets.iter().filter(|target| target.is_of(tree, image)) {
            for value in target.values() {
                let definition = tree.resolve_alias(value);
                let defined = definition == value || is_definition(tree, definition, image);
                readers.values.insert(value);
                readers.values.extend(defined.then_some(definition));
            }
            let owner = target.owner(tree);
            let part = matches!(target, ImageTarget::Parts(_));
            let replaced =
                |up: NodeId| part && up == owner && tree.aliases(up).iter().any(|it| is_renamed(tree, *it));
            let above = std::iter::once(owner).chain(tree.ancestors(owner));
            readers.collections.extend(above.filter(|up| !replaced(*up)));
        }
        readers
    }

    /// Whether an alias reads the image.
    pub(super) fn has_alias(&self, alias: NodeId) -> bool {
        self.values.contains(&alias)
    }

    /// Whether all that read an anchored node read the image.
    pub(super) fn are_all_of(&self, tree: &YamlTree<'_>, anchored: NodeId) -> bool {
        let value =
            self.values.contains(&anchored) && tree.aliases(anchored).iter().all(|it| self.has_alias(*it));
        value || self.collections.contains(&anchored)
    }
}

/// Whether a value under a key of its own is there to be read by others, and is nothing else by itself.
fn is_definition(tree: &YamlTree<'_>, id: NodeId, image: &ImageRef) -> bool {
    let text = tree.text(id).unwrap_or_default();
    if has_version(text) && names_repository(text, image, None) {
        return true;
    }
    let part = tree.key(id).and_then(classify_key).is_some_and(|part| part.kind != PartKind::OtherVersion);
    let others = find_parts(tree, tree.node(id).parent);
    let others = others.iter().filter(|parts| parts.values().any(|value| value == id));
    part && others.into_iter().all(|parts| !parts.is_named(tree) || parts.is_of(tree, image))
}

/// Whether a merge key adds the parts to a mapping with a name of its own.
fn is_renamed(tree: &YamlTree<'_>, alias: NodeId) -> bool {
    let parent = tree.node(alias).parent;
    let merge = [alias, parent].into_iter().find(|id| tree.key(*id) == Some("<<"));
    merge.is_some_and(|id| {
        let keys = tree.entries(tree.node(id).parent).iter().filter_map(|(key, _)| tree.text(*key));
        let mut kinds = keys.filter_map(classify_key).map(|part| part.kind);
        kinds.any(|kind| {
            matches!(kind, PartKind::Repository | PartKind::Registry | PartKind::Image | PartKind::Name)
        })
    })
}
