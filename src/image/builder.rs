//! The interface of an image build: implemented by buildx, and by the emulator in a rehearsal.

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::settings::Build;
use super::tags;
use crate::problem::Problem;
use crate::release::ImageRef;

/// An image to build from source and push to a repository.
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
    /// The branch, if the run is on one.
    pub branch: Option<String>,
    /// What the tags of commit and branch end with, where another service pushes other images to the same repository.
    pub tag_suffix: Option<String>,
    /// URL of the source, such as `https://github.com/acme/backend`, for the image's labels.
    pub source: Option<String>,
}

impl BuildRequest {
    /// The tag of the commit.
    pub fn commit_tag(&self) -> String {
        tags::commit_tag(&self.commit, self.tag_suffix.as_deref())
    }

    /// The tag of the branch.
    pub fn branch_tag(&self) -> Option<String> {
        tags::branch_tag(self.branch.as_deref()?, self.tag_suffix.as_deref())
    }

    /// The tags of the deploy file; one without a value in this run is left out.
    pub fn release_tags(&self) -> Vec<String> {
        self.settings.tags.iter().filter_map(|tag| tags::release_tag(tag)).collect()
    }

    /// The build context; never parsed as an option or as standard input.
    pub fn context(&self) -> PathBuf {
        Path::new(".").join(&self.workspace).join(&self.settings.context)
    }

    /// The Dockerfile, relative to the workspace.
    pub fn dockerfile_path(&self) -> PathBuf {
        Path::new(&self.settings.context).join(&self.settings.dockerfile)
    }

    /// The Dockerfile.
    pub fn dockerfile(&self) -> PathBuf {
        self.context().join(&self.settings.dockerfile)
    }

    /// The Dockerfile for display: relative to the workspace, for annotations.
    pub fn dockerfile_name(&self) -> String {
        let path = self.dockerfile_path();
        path.strip_prefix(".").unwrap_or(&path).display().to_string()
    }
}

/// An image that is in the repository, verified by reading the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOutput {
    /// The image, by digest only.
    pub image: ImageRef,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether an image of the same source existed already, so that nothing was built.
    pub reused: bool,
    /// Warnings although the image exists, such as a branch tag that is immutable.
    pub notices: Vec<Problem>,
}

/// Receives every line of progress. (A separate type, since `async_trait` would tie the line to one lifetime.)
pub type BuildLog<'a> = &'a mut dyn FnMut(&str);

/// Builds images.
#[async_trait(?Send)]
pub trait ImageBuilder {
    /// Builds and pushes, or finds the image of the same source in the repository. `log` receives every line of
    /// progress, which is untrusted text. Errors have the cause and, for a failed build, the location.
    async fn build(&self, request: &BuildRequest, log: BuildLog<'_>) -> Result<BuildOutput, Problem>;

    /// Removes what an interrupted build (its future was dropped) left behind. Safe to call at any time.
    async fn clean_up(&self);
}
