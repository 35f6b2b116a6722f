//! Images: tags and buildx arguments (pure), running buildx, registry login, finding and tagging by digest.
//! Deployments always use a digest; tags are names for users and for the next run.

mod base_images;
pub mod build_check;
pub mod build_error;
pub mod builder;
mod builder_network;
pub mod buildx;
pub mod buildx_arguments;
mod context_faults;
pub mod copy;
#[cfg(test)]
mod copy_tests;
pub mod digest_stream;
pub mod docker_config;
mod dockerfile;
pub mod dockerignore;
pub mod ecr;
mod gha_cache;
pub mod image_manifest;
pub mod metadata;
pub mod oci_registry;
pub mod registry;
mod registry_auth;
mod registry_help;
pub mod registry_logins;
pub mod repository_client;
pub mod settings;
pub mod source_digest;
pub mod tags;

pub use builder::{BuildLog, BuildOutput, BuildRequest, ImageBuilder};
pub use buildx::Buildx;
pub use copy::{CopySummary, copy_image};
pub use ecr::EcrRegistry;
pub use oci_registry::OciRegistry;
pub use registry::{ImageInfo, LoginSource, Registry, RegistryLogin};
pub use registry_logins::{RegistryAccess, RegistryLogins};
pub use repository_client::RepositoryClient;
pub use settings::Build;

#[cfg(all(test, feature = "real-engine"))]
mod real_tests;
