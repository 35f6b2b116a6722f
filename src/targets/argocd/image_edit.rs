//! An edit of a service's files, and its precondition. Values only.

use super::restore::FileRestore;
use crate::manifest::{HelmPin, ImageLocation, ImageUpdate};
use crate::release::ImageRef;
use crate::targets::RunNumber;

/// The reason of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EditKind {
    /// A new version.
    Deploy,
    /// An earlier version, on request.
    Rollback,
    /// The version before, because this one failed.
    AutoRollback,
}

impl EditKind {
    const ALL: [Self; 3] = [Self::Deploy, Self::Rollback, Self::AutoRollback];

    /// The value in trailers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::AutoRollback => "undo",
        }
    }

    /// The kind of a value in a trailer.
    pub fn from_trailer(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// A field with the image of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageField {
    /// The file.
    pub path: String,
    /// Its position in the file.
    pub location: ImageLocation,
    /// How a file without a field for the digest pins the image.
    pub pin: HelmPin,
}

impl ImageField {
    /// The requested image in the form of this field.
    pub fn image_update(&self, image: &ImageRef) -> ImageUpdate {
        ImageUpdate { image: image.clone(), pin: self.pin }
    }
}

/// What the files must have for the edit to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The images observed when the plan was made, field by field; a change by an older run since then is overwritten.
    AsObserved(Vec<Option<ImageRef>>),
    /// The image that this run wrote, and nothing else: for a rollback.
    OurImage(ImageRef),
    /// The last image of this run, by its record.
    OurLastEdit,
}

/// An edit of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageEdit {
    /// Name of the service.
    pub service: String,
    /// The key of the service in trailers.
    pub service_key: String,
    /// All fields of its image.
    pub fields: Vec<ImageField>,
    /// The image.
    pub image: ImageRef,
    /// The precondition.
    pub precondition: Precondition,
    /// The image before.
    pub previous_image: Option<ImageRef>,
    /// Why.
    pub kind: EditKind,
    /// The commit that is rolled back.
    pub reverts_commit: Option<String>,
    /// The commit of the image's source.
    pub source_commit: Option<String>,
    /// The run.
    pub run: Option<RunNumber>,
    /// What the fields had before the edit that is reverted; without it the image is written to all of them.
    pub restore: Option<EditRestore>,
}

/// What the fields of an image had before an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditRestore {
    /// The lines that the edit changed.
    pub files: Vec<FileRestore>,
    /// The images, field by field.
    pub images: Vec<Option<ImageRef>>,
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// A release of `service` in production by run 70; the files have `acme/<service>:1.2`.
    pub(in crate::targets::argocd) fn image_edit(service: &str, reference: &str) -> ImageEdit {
        let observed: ImageRef = format!("acme/{service}:1.2").parse().unwrap();
        let site = ImageField {
            path: format!("apps/{service}/kustomization.yaml"),
            location: ImageLocation::Kustomize { name: Some(format!("acme/{service}")) },
            pin: HelmPin::Digest,
        };
        ImageEdit {
            service: service.into(),
            service_key: format!("production/{service}"),
            fields: vec![site],
            image: reference.parse().unwrap(),
            precondition: Precondition::AsObserved(vec![Some(observed.clone())]),
            previous_image: Some(observed),
            kind: EditKind::Deploy,
            reverts_commit: None,
            source_commit: Some("c0ffee1234567890".into()),
            run: Some(RunNumber { id: 70, attempt: 1 }),
            restore: None,
        }
    }
}
