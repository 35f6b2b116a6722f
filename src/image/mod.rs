//! Images: tags and buildx arguments (pure), running buildx, registry login, finding and tagging by digest.
//! What is deployed is always a digest; tags are names for people and for the next run.

pub mod arguments;
pub mod builder;
pub mod buildx;
pub mod copy;
#[cfg(test)]
mod copy_tests;
pub mod depot;
pub mod distribution;
pub mod ecr;
pub mod failure;
pub mod ignore;
pub mod inventory;
pub mod login;
pub mod metadata;
pub mod registry;
pub mod settings;
pub mod stream;
pub mod tags;
pub mod tree;
pub mod web;

pub use builder::{BuildRequest, Builder, Built, Log};
pub use buildx::Buildx;
pub use copy::{Copied, copy};
pub use depot::Depot;
pub use distribution::Distribution;
pub use ecr::Ecr;
pub use registry::{Found, Login, Registry};
pub use settings::Build;
pub use web::Web;

#[cfg(all(test, feature = "real-engine"))]
mod real_tests;
