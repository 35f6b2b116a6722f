//! Image values in YAML files, found, read and replaced: only the bytes of a value change, and what is not clear is
//! refused with its reason. Pure: text in, text out; who reads and writes files or repositories is not known here.

mod containers;
#[cfg(test)]
mod containers_tests;
mod draft;
mod insert;
mod kind;
mod kustomize;
#[cfg(test)]
mod kustomize_tests;
mod lines;
mod names;
mod refusal;
mod scalar;
mod tree;
mod values;
#[cfg(test)]
mod values_tests;

use crate::release::ImageRef;

use draft::Draft;
use kustomize::Meant;
use tree::Tree;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: usize = tree::MAX_BYTES;

pub use kind::{Kind, kind_of};
pub use refusal::Refusal;

/// Where in a file the image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// An entry of a kustomization's `images`, added when missing.
    Kustomize {
        /// Its `name`; `None` finds it by what the image is called.
        name: Option<String>,
    },
    /// An entry of a kustomization's `images` of this repository, whatever its registry; added under the image's own name
    /// when missing.
    KustomizeOf {
        /// Repository without a registry, such as `acme/app`.
        repository: String,
    },
    /// Helm values at a path: a mapping with `repository` and `tag`, or one string.
    Values {
        /// Keys from the top; a number is an item of a list.
        path: Vec<String>,
    },
    /// Helm values: every pair and every string of the image's repository.
    ValuesOf,
    /// The containers of this name, of workloads of any kind.
    Container {
        /// Name of the container.
        name: String,
    },
    /// Every container whose image is of the image's repository.
    Repository,
}

impl Spot {
    /// Helm values at a path as people write it: keys with dots between them; `\.` is a dot in a key.
    pub fn values(path: &str) -> Self {
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

/// What the tag of Helm values says where a digest is wished and has no key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pin {
    /// The tag with the digest behind it: what `repository:tag` renders to is exact.
    #[default]
    Digest,
    /// The tag alone.
    Tag,
}

/// What a file is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Name, and tag or digest or both.
    pub image: ImageRef,
    /// Only for Helm values without a `digest`.
    pub pin: Pin,
}

/// What stands in a file now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The image, where it can be read as one; where several places are meant, only when they agree. Its name is
    /// spelled as the image that was asked for, where both mean the same repository.
    pub image: Option<ImageRef>,
    /// The same as it is written, joined from its pieces; `None` where nothing stands there yet.
    pub text: Option<String>,
    /// Line of the first place, from 1.
    pub line: usize,
    /// Column of the first place in characters, from 1.
    pub column: usize,
}

impl Found {
    fn nothing((line, column): (usize, usize)) -> Self {
        Self { image: None, text: None, line, column }
    }

    fn text(text: String, (line, column): (usize, usize)) -> Self {
        Self { image: text.parse().ok(), text: Some(text), line, column }
    }

    fn together(all: Vec<Found>) -> Self {
        let agree = all.windows(2).all(|pair| pair[0].text == pair[1].text);
        let first = all.into_iter().next().unwrap_or_else(|| Self::nothing((1, 1)));
        if agree { first } else { Self { image: None, ..first } }
    }
}

/// A file after an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// What changed, in the order of the file; empty when nothing did.
    pub replaced: Vec<Replaced>,
}

/// One value that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The way to it, such as `spec.template.spec.containers[0].image`.
    pub path: String,
    /// Line in the file after the edit, from 1.
    pub line: usize,
    /// Column there, in characters, from 1.
    pub column: usize,
    /// What it said; `None` when it is new.
    pub from: Option<String>,
    /// What it says; `None` when it is gone.
    pub to: Option<String>,
}

/// What stands at a spot. `image` says of which repository, where the spot does not.
///
/// # Errors
/// Where the file cannot be read, or where it is not clear which value is meant.
pub fn look(text: &[u8], spot: &Spot, image: &ImageRef) -> Result<Found, Refusal> {
    let tree = tree::read(tree::text_of(text)?)?;
    let mut found = match spot {
        Spot::Kustomize { .. } | Spot::KustomizeOf { .. } => kustomize::look(&tree, Meant::of(spot), image)?,
        _ => Found::together(targets(&tree, spot, image)?.iter().map(|it| it.look(&tree, image)).collect()),
    };
    if let Some(now) = found.image.as_mut().filter(|now| names::same_repository(now, image)) {
        (now.registry, now.repository) = (image.registry.clone(), image.repository.clone());
    }
    Ok(found)
}

/// The file with the wish fulfilled at the spot, and every other byte as it was.
///
/// # Errors
/// Where the file cannot be read, where it is not clear which value is meant, or where the change would change more.
pub fn edit(text: &[u8], spot: &Spot, wish: &Wish) -> Result<Edited, Refusal> {
    fulfil(Draft::new(tree::text_of(text)?)?, spot, wish)
}

/// As [`edit`], with the spot that fits the kind of the file: by its `path`, and by its shape.
///
/// # Errors
/// As [`edit`].
pub fn edit_file(path: &str, text: &[u8], wish: &Wish) -> Result<Edited, Refusal> {
    let draft = Draft::new(tree::text_of(text)?)?;
    let spot = match kind::of_tree(path, &draft.tree) {
        Kind::Kustomize => Spot::Kustomize { name: None },
        Kind::Values => Spot::ValuesOf,
        Kind::Manifest => Spot::Repository,
    };
    fulfil(draft, &spot, wish)
}

fn fulfil(mut draft: Draft<'_>, spot: &Spot, wish: &Wish) -> Result<Edited, Refusal> {
    if wish.image.tag.is_none() && wish.image.digest.is_none() {
        return Err(Refusal::unclear("neither a tag nor a digest is given"));
    }
    match spot {
        Spot::Kustomize { .. } | Spot::KustomizeOf { .. } => {
            kustomize::edit(&mut draft, Meant::of(spot), wish)?;
        }
        _ => {
            for target in targets(&draft.tree, spot, &wish.image)? {
                target.edit(&mut draft, wish)?;
            }
        }
    }
    draft.finish()
}

fn targets(tree: &Tree<'_>, spot: &Spot, image: &ImageRef) -> Result<Vec<values::Target>, Refusal> {
    let texts = |ids: Vec<tree::Id>| ids.into_iter().map(values::Target::Text).collect();
    match spot {
        Spot::Values { path } => Ok(vec![values::at_path(tree, path, image)?]),
        Spot::Container { name } => Ok(texts(containers::named(tree, name)?)),
        Spot::Repository => Ok(texts(containers::of_repository(tree, image)?)),
        Spot::ValuesOf | Spot::Kustomize { .. } | Spot::KustomizeOf { .. } => {
            values::of_repository(tree, image)
        }
    }
}
