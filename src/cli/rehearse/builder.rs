//! Stands for the builder of images.

use async_trait::async_trait;

use crate::image::{BuildLog, BuildOutput, BuildRequest, ImageBuilder};
use crate::problem::{Code, Problem};
use roadstead_cloud::cloud::Cloud;

/// Stands for a build: the image appears in the embedded registry, with a digest of its own.
pub(super) struct EmulatedBuilder(pub(super) Cloud);

#[async_trait(?Send)]
impl ImageBuilder for EmulatedBuilder {
    async fn build(&self, request: &BuildRequest, log: BuildLog<'_>) -> Result<BuildOutput, Problem> {
        let mut tags = vec![request.commit_tag()];
        tags.extend(request.branch_tag());
        tags.extend(request.release_tags());
        log(
            "rehearsal: nothing is built; an image with a digest of its own appears in the embedded registry",
        );
        let names = tags.iter().map(String::as_str).collect::<Vec<_>>();
        let platform = request.settings.platforms.first().cloned();
        let platform = platform.or_else(|| self.0.build_platform(&request.repository.repository));
        let platform = platform.as_deref().unwrap_or("linux/amd64");
        let digest = self.0.push_image(&request.repository.repository, &names, platform, &request.commit);
        let digest = digest.parse().map_err(|why| {
            Problem::error(Code::Internal, format!("The embedded registry gave no digest: {why}."))
        })?;
        Ok(BuildOutput {
            image: request.repository.with_digest(digest),
            tags,
            reused: false,
            notices: Vec::new(),
        })
    }

    async fn clean_up(&self) {}
}
