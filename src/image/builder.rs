//! What building an image takes and gives, whoever does it: buildx for real, the embedded cloud in a rehearsal.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::settings::Build;
use crate::problem::Problem;
use crate::release::ImageRef;

/// An image to be made from source and put into a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildRequest {
    /// Name of the service in the deploy file.
    pub service: String,
    /// Registry and repository; a tag or digest in it is ignored.
    pub repository: ImageRef,
    /// Root of the checked-out source; paths of `settings` are relative to it.
    pub workspace: PathBuf,
    /// The `build:` block, placeholders replaced.
    pub settings: Build,
    /// The commit, all 40 hex digits.
    pub commit: String,
    /// The branch, when the run is on one.
    pub branch: Option<String>,
    /// Address of the source, such as `https://github.com/acme/backend`, for the image's labels.
    pub source: Option<String>,
}

impl BuildRequest {
    /// The build context; never reads as an option or as standard input.
    pub fn context(&self) -> PathBuf {
        Path::new(".").join(&self.workspace).join(&self.settings.context)
    }

    /// The Dockerfile.
    pub fn dockerfile(&self) -> PathBuf {
        self.context().join(&self.settings.dockerfile)
    }

    /// The Dockerfile as people know it: relative to the workspace, for annotations.
    pub fn dockerfile_name(&self) -> String {
        let path = Path::new(&self.settings.context).join(&self.settings.dockerfile);
        path.strip_prefix(".").unwrap_or(&path).display().to_string()
    }
}

/// An image that is in the repository, proven by asking the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The image, by digest and nothing else.
    pub image: ImageRef,
    /// The tags that name it now.
    pub tags: Vec<String>,
    /// Whether an image of the same source was there already, so that nothing was built.
    pub reused: bool,
    /// What is worth knowing although the image is there, such as a branch tag that may not be moved.
    pub notices: Vec<Problem>,
}

/// Gets every line of progress. (A name of its own, since `async_trait` would tie the line to one lifetime.)
pub type Log<'a> = &'a mut dyn FnMut(&str);

/// Makes images.
#[async_trait(?Send)]
pub trait Builder {
    /// Builds and pushes, or finds the image of the same source in the repository. `log` gets every line of
    /// progress, which is untrusted text. Errors say what went wrong and, for a failed build, where.
    async fn build(&self, request: &BuildRequest, log: Log<'_>) -> Result<Built, Problem>;

    /// Removes what a build that was cut short (its future dropped) left behind. Safe to call at any time.
    async fn close(&self);
}
