//! Images: tags and buildx arguments (pure), running buildx, registry login, finding and tagging by digest.
//! What is deployed is always a digest; tags are names for people and for the next run.

pub mod arguments;
pub mod builder;
pub mod failure;
pub mod ignore;
pub mod login;
pub mod registry;
pub mod settings;
pub mod tags;
pub mod tree;

pub use builder::{BuildRequest, Builder, Built};
pub use registry::{Found, Login, Registry};
pub use settings::Build;
