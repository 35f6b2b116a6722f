//! What completed here before: the history that a rollback chooses from, as the provider records it.

use jiff::Timestamp;
use serde_json::Value;

use super::{ContainerImages, Digest, ImageRef, Version};

/// One completion of a version; the same version can complete several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletedVersion {
    /// The version.
    pub version: Version,
    /// The image of the deployed container, as the definition names it.
    pub image: Option<ImageRef>,
    /// The digest that ran.
    pub digest: Option<Digest>,
    /// The images of further containers that the deploy file names, by the digests that ran.
    pub container_images: ContainerImages,
    /// When it completed, by the provider's clock; `None` if the provider does not record it.
    pub completed_at: Option<Timestamp>,
    /// Commits that its image is known to be built from, in full or shortened; empty until they are read.
    pub commits: Vec<String>,
}

/// An earlier version with its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackTarget {
    /// The version.
    pub version: Version,
    /// Its definition, exactly as the provider stores it.
    pub definition: Value,
    /// The digest that ran when it completed, if known.
    pub digest: Option<Digest>,
}
