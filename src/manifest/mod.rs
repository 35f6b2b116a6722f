//! Image values in YAML files: found, read and replaced. Only the bytes of a value change; an ambiguous value is
//! rejected with the reason. Pure: text in, text out; files and repositories are read and written elsewhere.

mod chart_scope;
mod containers;
#[cfg(test)]
mod containers_tests;
mod edit_buffer;
mod embedded;
#[cfg(test)]
mod embedded_tests;
mod entries;
mod error;
mod file_kind;
mod image_keys;
mod image_parts;
mod image_readers;
mod image_target;
mod image_text;
mod inner_text;
mod known_images;
mod kustomize;
#[cfg(test)]
mod kustomize_tests;
mod lines;
mod repository_names;
mod scalar;
mod value_path;
mod values;
#[cfg(test)]
mod values_tests;
mod yaml_parser;
mod yaml_text;
mod yaml_tree;

use std::collections::HashSet;

use crate::release::ImageRef;

use edit_buffer::EditBuffer;
use embedded::{Embedded, find_embedded};
use image_readers::ImageReaders;
use image_target::ImageTarget;
use kustomize::EntryMatch;
use values::StringRule;
use yaml_tree::YamlTree;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = yaml_text::MAX_BYTES;

pub use error::EditError;
pub use file_kind::{FileKind, detect_kind};

/// The location of the image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLocation {
    /// An entry of a kustomization's `images`, added if missing.
    Kustomize {
        /// Its `name`; `None` finds it by the name of the image.
        name: Option<String>,
    },
    /// An entry of a kustomization's `images` of this repository, whatever its registry; added under the image's own
    /// name
    /// if missing.
    KustomizeByRepository {
        /// Repository without a registry, such as `acme/app`.
        repository: String,
    },
    /// A path in Helm values or in an object of any kind: an image in parts, one string, an entry of kustomize's
    /// images, or a parameter of Helm.
    Values {
        /// Keys from the top; a number is an item of a list, `[]` every item.
        path: Vec<String>,
    },
    /// Helm values: every pair and every string of the image's repository.
    ValuesByRepository,
    /// The containers of this name, of workloads of any kind.
    Container {
        /// Name of the container.
        name: String,
    },
    /// Every container whose image is of the image's repository.
    ContainersByRepository,
}

impl ImageLocation {
    /// A path as users write it: `a.b`, `a[0]`, `a["b.c"]`, `a[].b`, or `a/b[]/c` as kustomize writes it; `\.` is a dot
    /// in a key.
    pub fn from_values_path(path: &str) -> Self {
        Self::Values { path: value_path::parse_path(path) }
    }
}

/// How a digest is written if Helm values have no key for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HelmPin {
    /// In the tag, with the digest behind it: `repository:tag` then renders to an exact reference.
    #[default]
    Digest,
    /// The tag alone.
    Tag,
}

/// The requested image of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUpdate {
    /// Name, and tag or digest or both.
    pub image: ImageRef,
    /// Only for Helm values without a `digest`.
    pub pin: HelmPin,
}

/// The current image of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageValue {
    /// The image, if it can be parsed as one; for several locations, only if they agree. Its name is
    /// spelled like the requested image, if both are the same repository.
    pub image: Option<ImageRef>,
    /// The same as written, joined from its parts; `None` if there is no value yet.
    pub text: Option<String>,
    /// Line of the first location, from 1.
    pub line: usize,
    /// Column of the first location in characters, from 1.
    pub column: usize,
}

impl ImageValue {
    fn empty_at((line, column): (usize, usize)) -> Self {
        Self { image: None, text: None, line, column }
    }

    fn text(text: String, (line, column): (usize, usize)) -> Self {
        Self { image: text.parse().ok(), text: Some(text), line, column }
    }

    fn merge(all: Vec<ImageValue>) -> Self {
        let agree = all.windows(2).all(|pair| pair[0].text == pair[1].text);
        let first = all.into_iter().next().unwrap_or_else(|| Self::empty_at((1, 1)));
        if agree { first } else { Self { image: None, ..first } }
    }
}

/// A file after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedFile {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The changes, in the order of the file; empty if there are none.
    pub replacements: Vec<Replacement>,
}

/// One value that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// Its path, such as `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Line in the file after the edit, from 1.
    pub line: usize,
    /// Column there, in characters, from 1.
    pub column: usize,
    /// The value before; `None` if it is new.
    pub from: Option<String>,
    /// The value after; `None` if it was removed.
    pub to: Option<String>,
}

/// The current value at a location. `image` gives the repository if the location does not.
///
/// # Errors
/// If the file cannot be read, or if it is not clear which value to read.
pub fn find_image(text: &[u8], location: &ImageLocation, image: &ImageRef) -> Result<ImageValue, EditError> {
    read_location(&yaml_parser::parse_yaml(yaml_text::decode_text(text)?)?, location, image)
}

fn read_location(
    tree: &YamlTree<'_>,
    location: &ImageLocation,
    image: &ImageRef,
) -> Result<ImageValue, EditError> {
    let mut found = match location {
        ImageLocation::Kustomize { .. } | ImageLocation::KustomizeByRepository { .. } => {
            kustomize::find_image(tree, EntryMatch::from_location(location), image)?
        }
        _ => {
            let targets = image_targets(tree, location, image)?;
            ImageValue::merge(targets.iter().map(|it| it.read_image(tree, image)).collect::<Result<_, _>>()?)
        }
    };
    if let Some(now) = found.image.as_mut().filter(|now| repository_names::is_same_repository(now, image)) {
        (now.registry, now.repository) = (image.registry.clone(), image.repository.clone());
    }
    Ok(found)
}

/// The file with the requested image at the location, and every other byte unchanged.
///
/// # Errors
/// If the file cannot be read, if it is not clear which value to change, or if the change would change something else.
pub fn edit_image(
    text: &[u8],
    location: &ImageLocation,
    update: &ImageUpdate,
) -> Result<EditedFile, EditError> {
    let mut draft = EditBuffer::new(yaml_text::decode_text(text)?)?;
    apply_update(&mut draft, location, update)?;
    draft.finish()
}

/// As [`edit`], with the location for the kind of the file: by its `path`, and by its shape.
///
/// # Errors
/// As [`edit`].
pub fn edit_file(path: &str, text: &[u8], update: &ImageUpdate) -> Result<EditedFile, EditError> {
    let mut draft = EditBuffer::new(yaml_text::decode_text(text)?)?;
    let location = match file_kind::detect(path, &draft.tree) {
        FileKind::Kustomize => ImageLocation::Kustomize { name: None },
        FileKind::Values => ImageLocation::ValuesByRepository,
        FileKind::Manifest => ImageLocation::ContainersByRepository,
    };
    apply_update(&mut draft, &location, update)?;
    draft.finish()
}

fn apply_update(
    draft: &mut EditBuffer<'_>,
    location: &ImageLocation,
    update: &ImageUpdate,
) -> Result<(), EditError> {
    if update.image.tag.is_none() && update.image.digest.is_none() {
        return Err(EditError::ambiguous("neither a tag nor a digest is given"));
    }
    match location {
        ImageLocation::Kustomize { .. } | ImageLocation::KustomizeByRepository { .. } => {
            kustomize::edit_entry(draft, EntryMatch::from_location(location), update)
        }
        _ => {
            let targets = image_targets(&draft.tree, location, &update.image)?;
            if draft.tree.has_aliases() {
                let known = known_targets(&draft.tree, &update.image);
                let all: Vec<ImageTarget> = targets.iter().cloned().chain(known).collect();
                draft.allow_readers(ImageReaders::of(&draft.tree, &all, &update.image));
            }
            targets.iter().try_for_each(|target| target.edit(draft, update))
        }
    }
}

fn image_targets(
    tree: &YamlTree<'_>,
    location: &ImageLocation,
    image: &ImageRef,
) -> Result<Vec<ImageTarget>, EditError> {
    let found = match location {
        ImageLocation::Values { path } => return value_path::find_at_path(tree, path, image),
        ImageLocation::Container { name } => {
            return Ok(containers::by_name(tree, name)?.into_iter().map(ImageTarget::Text).collect());
        }
        ImageLocation::ContainersByRepository => find_in_manifests(tree, image)?,
        ImageLocation::ValuesByRepository
        | ImageLocation::Kustomize { .. }
        | ImageLocation::KustomizeByRepository { .. } => find_values(tree, image)?,
    };
    match found.is_empty() {
        true => Err(missing_image(tree, image)),
        false => Ok(found),
    }
}

fn missing_image(tree: &YamlTree<'_>, image: &ImageRef) -> EditError {
    let known = known_images::known_images(tree);
    let name = image.name();
    match known.contains(&name) {
        true => EditError::ambiguous(format!("`{name}` is not where such a file has images"))
            .help("Name its path in the deploy file."),
        false => EditError::ambiguous(format!("no image in the file is `{name}`"))
            .help(known_images::list_names(&known)),
    }
}

/// The images of a repository in Helm values.
fn find_values(tree: &YamlTree<'_>, image: &ImageRef) -> Result<Vec<ImageTarget>, EditError> {
    let mut found = Vec::new();
    for document in &tree.documents {
        found.extend(values::find_in_scope(tree, *document, image, StringRule::Reference)?);
    }
    for embedded in find_embedded(tree).into_iter().filter(|it| !matches!(it, Embedded::Values(_))) {
        found.extend(embedded::images_of(tree, embedded, image)?);
    }
    Ok(without_repetition(found))
}

/// The images of a repository in objects of any kind.
fn find_in_manifests(tree: &YamlTree<'_>, image: &ImageRef) -> Result<Vec<ImageTarget>, EditError> {
    let mut found: Vec<ImageTarget> =
        containers::by_repository(tree, image)?.into_iter().map(ImageTarget::Text).collect();
    for embedded in find_embedded(tree) {
        found.extend(embedded::images_of(tree, embedded, image)?);
    }
    Ok(without_repetition(found))
}

/// Each image once, although it may be found in several ways.
fn without_repetition(found: Vec<ImageTarget>) -> Vec<ImageTarget> {
    let mut seen = HashSet::new();
    let is_new = |target: &ImageTarget| {
        let values = target.values();
        values.is_empty() || values.into_iter().fold(false, |new, value| seen.insert(value) || new)
    };
    found.into_iter().filter(is_new).collect()
}

/// Every image of the repository that is found without a location, in a file of any kind.
fn known_targets(tree: &YamlTree<'_>, image: &ImageRef) -> Vec<ImageTarget> {
    match file_kind::detect("", tree) {
        FileKind::Kustomize => Vec::new(),
        FileKind::Values => find_values(tree, image).unwrap_or_default(),
        FileKind::Manifest => find_in_manifests(tree, image).unwrap_or_default(),
    }
}
