//! Image values in YAML files: found, read and replaced. Only the bytes of a value change; an ambiguous value is
//! rejected with the reason. Pure: text in, text out; files and repositories are read and written elsewhere.

mod containers;
#[cfg(test)]
mod containers_tests;
mod edit_buffer;
mod entries;
mod error;
mod file_kind;
mod kustomize;
#[cfg(test)]
mod kustomize_tests;
mod lines;
mod repository_names;
mod scalar;
mod values;
#[cfg(test)]
mod values_tests;
mod yaml_tree;

use crate::release::ImageRef;

use edit_buffer::EditBuffer;
use kustomize::EntryMatch;
use yaml_tree::YamlTree;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = yaml_tree::MAX_BYTES;

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
    /// Helm values at a path: a mapping with `repository` and `tag`, or one string.
    Values {
        /// Keys from the top; a number is an item of a list.
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
    /// Helm values at a path as users write it: keys with dots between them; `\.` is a dot in a key.
    pub fn from_values_path(path: &str) -> Self {
        let mut steps = vec![String::new()];
        let mut letters = path.chars().peekable();
        while let Some(letter) = letters.next() {
            let dot = letter == '\\' && letters.next_if_eq(&'.').is_some();
            match steps.last_mut() {
                Some(step) if letter != '.' => step.push(if dot { '.' } else { letter }),
                _ => steps.push(String::new()),
            }
        }
        Self::Values { path: steps }
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
    let tree = yaml_tree::parse_yaml(yaml_tree::decode_text(text)?)?;
    let mut found = match location {
        ImageLocation::Kustomize { .. } | ImageLocation::KustomizeByRepository { .. } => {
            kustomize::find_image(&tree, EntryMatch::from_location(location), image)?
        }
        _ => ImageValue::merge(
            image_targets(&tree, location, image)?.iter().map(|it| it.read_image(&tree, image)).collect(),
        ),
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
    apply_update(EditBuffer::new(yaml_tree::decode_text(text)?)?, location, update)
}

/// As [`edit`], with the location for the kind of the file: by its `path`, and by its shape.
///
/// # Errors
/// As [`edit`].
pub fn edit_file(path: &str, text: &[u8], update: &ImageUpdate) -> Result<EditedFile, EditError> {
    let draft = EditBuffer::new(yaml_tree::decode_text(text)?)?;
    let location = match file_kind::detect(path, &draft.tree) {
        FileKind::Kustomize => ImageLocation::Kustomize { name: None },
        FileKind::Values => ImageLocation::ValuesByRepository,
        FileKind::Manifest => ImageLocation::ContainersByRepository,
    };
    apply_update(draft, &location, update)
}

fn apply_update(
    mut draft: EditBuffer<'_>,
    location: &ImageLocation,
    update: &ImageUpdate,
) -> Result<EditedFile, EditError> {
    if update.image.tag.is_none() && update.image.digest.is_none() {
        return Err(EditError::ambiguous("neither a tag nor a digest is given"));
    }
    match location {
        ImageLocation::Kustomize { .. } | ImageLocation::KustomizeByRepository { .. } => {
            kustomize::edit_entry(&mut draft, EntryMatch::from_location(location), update)?;
        }
        _ => {
            for target in image_targets(&draft.tree, location, &update.image)? {
                target.edit(&mut draft, update)?;
            }
        }
    }
    draft.finish()
}

fn image_targets(
    tree: &YamlTree<'_>,
    location: &ImageLocation,
    image: &ImageRef,
) -> Result<Vec<values::ImageTarget>, EditError> {
    let texts = |ids: Vec<yaml_tree::NodeId>| ids.into_iter().map(values::ImageTarget::Text).collect();
    match location {
        ImageLocation::Values { path } => Ok(vec![values::find_at_path(tree, path, image)?]),
        ImageLocation::Container { name } => Ok(texts(containers::by_name(tree, name)?)),
        ImageLocation::ContainersByRepository => Ok(texts(containers::by_repository(tree, image)?)),
        ImageLocation::ValuesByRepository
        | ImageLocation::Kustomize { .. }
        | ImageLocation::KustomizeByRepository { .. } => values::by_repository(tree, image),
    }
}
