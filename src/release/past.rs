//! What completed here before: the record that a rollback chooses from, as the provider keeps it.

use jiff::Timestamp;
use serde_json::Value;

use super::{Digest, ImageRef, Version};

/// A version that completed healthy here, once: it may have done so before and after, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The version.
    pub version: Version,
    /// The image of the container that we would change, as its definition says.
    pub image: Option<ImageRef>,
    /// The digest that ran.
    pub digest: Option<Digest>,
    /// When it completed, on the provider's clock; `None` where the provider does not say.
    pub completed: Option<Timestamp>,
    /// Commits that its image is known to be of, in full or shortened; empty until somebody asked for them.
    pub commits: Vec<String>,
}

/// An earlier version with what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Former {
    /// The version.
    pub version: Version,
    /// Its definition, word for word as the provider has it.
    pub definition: Value,
    /// The digest that ran when it completed, where that is known.
    pub digest: Option<Digest>,
}
