//! One place of a file with an image: how it is read, and how it is edited.

use crate::release::ImageRef;

use super::chart_scope::registry_in_front;
use super::edit_buffer::EditBuffer;
use super::error::EditError;
use super::image_parts::ImageParts;
use super::image_text::{names_repository, split_assignment, updated_text};
use super::inner_text::text_origin;
use super::yaml_parser;
use super::yaml_tree::{NodeId, YamlTree};
use super::{ImageLocation, ImageUpdate, ImageValue, kustomize};

/// Where a file has an image.
#[derive(Debug, Clone)]
pub(super) enum ImageTarget {
    /// In parts.
    Parts(ImageParts),
    /// In one string, perhaps behind `name=`.
    Text(NodeId),
    /// In an entry of a list of kustomize's images.
    Entry(NodeId),
    /// In YAML that is the text of a value.
    Inner {
        /// The text.
        text: NodeId,
        /// Where it is in the text.
        location: ImageLocation,
    },
}

impl ImageTarget {
    /// The image as it is now.
    pub(super) fn read_image(&self, tree: &YamlTree<'_>, wanted: &ImageRef) -> Result<ImageValue, EditError> {
        match self {
            Self::Parts(parts) => Ok(parts.read_image(tree, wanted)),
            Self::Text(id) => Ok(read_text(tree, *id, wanted)),
            Self::Entry(item) => kustomize::read_entry(tree, *item),
            Self::Inner { text, location } => {
                let inner_text = tree.text(*text).unwrap_or_default();
                let (line, column) = text_origin(tree, *text);
                let within = |error: EditError| error.within((line, column));
                let inner = yaml_parser::parse_yaml(inner_text).map_err(within)?;
                let value = super::read_location(&inner, location, wanted).map_err(within)?;
                Ok(ImageValue { line: line + value.line - 1, column: column + value.column - 1, ..value })
            }
        }
    }

    /// Sets it to the requested image.
    pub(super) fn edit(&self, draft: &mut EditBuffer<'_>, update: &ImageUpdate) -> Result<(), EditError> {
        match self {
            Self::Parts(parts) => parts.edit(draft, update),
            Self::Text(id) => {
                let now = draft.tree.text(*id).unwrap_or_default();
                let global = registry_in_front(&draft.tree, *id, now, &update.image);
                let text = updated_text(now, &update.image, global.as_deref());
                draft.set_scalar(*id, &text)
            }
            Self::Entry(item) => kustomize::update_entry(draft, *item, update),
            Self::Inner { text, location } => draft.edit_inner(*text, location, update),
        }
    }

    /// Whether the place itself names the repository of `wanted`, so that whoever reads it reads that image.
    pub(super) fn is_of(&self, tree: &YamlTree<'_>, wanted: &ImageRef) -> bool {
        match self {
            Self::Parts(parts) => parts.is_of(tree, wanted),
            Self::Text(id) => {
                let (_, reference) = split_assignment(tree.text(*id).unwrap_or_default());
                names_repository(reference, wanted, None)
            }
            Self::Entry(_) | Self::Inner { .. } => false,
        }
    }

    /// The values that are read together as this image.
    pub(super) fn values(&self) -> Vec<NodeId> {
        match self {
            Self::Parts(parts) => parts.values().collect(),
            Self::Text(id) => vec![*id],
            Self::Entry(_) | Self::Inner { .. } => Vec::new(),
        }
    }

    /// The smallest node that has the whole image in it.
    pub(super) fn owner(&self, tree: &YamlTree<'_>) -> NodeId {
        match self {
            Self::Parts(parts) => parts.owner(),
            Self::Text(id) => tree.node(tree.resolve_alias(*id)).parent,
            Self::Entry(id) | Self::Inner { text: id, .. } => *id,
        }
    }
}

fn read_text(tree: &YamlTree<'_>, id: NodeId, wanted: &ImageRef) -> ImageValue {
    let (_, reference) = split_assignment(tree.text(id).unwrap_or_default());
    let value = ImageValue::text(reference.to_owned(), tree.position(id));
    let global = registry_in_front(tree, id, reference, wanted);
    match value.image {
        // The chart puts the registry in front.
        Some(image) if names_repository(reference, wanted, global.as_deref()) => {
            let (registry, repository) = (wanted.registry.clone(), wanted.repository.clone());
            ImageValue { image: Some(ImageRef { registry, repository, ..image }), ..value }
        }
        image => ImageValue { image, ..value },
    }
}
