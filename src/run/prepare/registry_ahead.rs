//! The registry of the environment, asked beside the services: its login, and the images that the inputs name.

use aws_config::SdkConfig;
use futures::future::join_all;

use crate::aws::RateLimiters;
use crate::image::ImageInfo;
use crate::problem::Problem;
use crate::release::ImageRef;
use crate::run::context::RunContext;
use crate::run::registry::{EnvironmentRegistry, open_registry};
use crate::run::run_config::{DeclaredService, RunConfig};

/// The registry, and what it has of the images that the inputs name by tag.
pub(super) struct OpenedRegistry {
    pub(super) registry: EnvironmentRegistry,
    found: Vec<FoundImage>,
}

struct FoundImage {
    image: ImageRef,
    answer: Result<Option<ImageInfo>, Problem>,
}

impl OpenedRegistry {
    /// Logs in to the registry of the environment; nothing of it is known yet.
    pub(super) async fn open(ctx: &RunContext, session: &SdkConfig) -> Result<Self, Problem> {
        let registry = open_registry(ctx, session).await?;
        Ok(Self { registry, found: Vec::new() })
    }

    /// What the registry has of an image.
    pub(super) async fn find(&self, image: &ImageRef) -> Result<Option<ImageInfo>, Problem> {
        match self.found.iter().find(|found| found.image == *image) {
            Some(found) => found.answer.clone(),
            None => self.registry.client.find(image).await,
        }
    }
}

/// Logs in to the registry, if images of it are built or named by this run. A promotion has a registry of its own.
pub(super) async fn open_ahead(
    ctx: &RunContext,
    config: &RunConfig,
    session: Option<&SdkConfig>,
) -> Option<Result<OpenedRegistry, Problem>> {
    let has_image = |declared: &DeclaredService| declared.build.is_some() || !declared.containers.is_empty();
    let builds = config.services.iter().any(has_image);
    let is_needed = !ctx.is_rollback() && (builds || !ctx.inputs.images.is_empty());
    let session = session.filter(|_| is_needed)?;
    Some(match open_registry(ctx, session).await {
        Ok(registry) => Ok(find_named(ctx, registry).await),
        Err(problem) => Err(problem),
    })
}

async fn find_named(ctx: &RunContext, registry: EnvironmentRegistry) -> OpenedRegistry {
    let named = ctx.inputs.images.iter().map(|choice| &choice.image);
    let tagged = named.filter(|image| image.digest.is_none() && image.registry == registry.host);
    let limits = &RateLimiters::for_services(ctx.inputs.images.len());
    let finding = tagged.map(async |image| {
        limits.reads.acquire().await;
        FoundImage { image: image.clone(), answer: registry.client.find(image).await }
    });
    let found = join_all(finding).await;
    OpenedRegistry { registry, found }
}
