//! Stands for the builder of images.

use async_trait::async_trait;

use crate::image::{BuildRequest, Builder, Built, Log, tags};
use crate::problem::{Code, Problem};
use crate::rehearsal::cloud::Cloud;

/// Stands for a build: the image appears in the embedded registry, with a digest of its own.
pub(super) struct PretendBuilder(pub(super) Cloud);

#[async_trait(?Send)]
impl Builder for PretendBuilder {
    async fn build(&self, request: &BuildRequest, log: Log<'_>) -> Result<Built, Problem> {
        let branch = request.branch.as_deref().and_then(tags::of_branch);
        let tags: Vec<String> = [tags::of_commit(&request.commit)].into_iter().chain(branch).collect();
        log(
            "rehearsal: nothing is built; an image with a digest of its own appears in the embedded registry",
        );
        let names = tags.iter().map(String::as_str).collect::<Vec<_>>();
        let platform = request.settings.platforms.first().map_or("linux/amd64", String::as_str);
        let digest = self.0.push(&request.repository.repository, &names, platform, &request.commit);
        let digest = digest.parse().map_err(|why| {
            Problem::error(Code::Internal, format!("The embedded registry gave no digest: {why}."))
        })?;
        Ok(Built { image: request.repository.pinned(digest), tags, reused: false, notices: Vec::new() })
    }

    async fn close(&self) {}
}
