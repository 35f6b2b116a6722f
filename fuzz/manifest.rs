//! `roadstead::manifest` without the rest of the engine.

#[path = "../src/manifest/mod.rs"]
pub mod manifest;

#[path = "../src/problem.rs"]
pub mod problem;

#[path = "../src/release/image.rs"]
mod image;

/// The references of images, which is all of it that is known there.
pub mod release {
    pub use crate::image::{Digest, ImageRef};
}
