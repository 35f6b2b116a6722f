//! The registries of a run, asked beside the services: the login of the environment's own one, and the images that the inputs
//! name. What the run does not need is not asked for.

use futures::future::join_all;

use crate::aws::RateLimiters;
use crate::image::ImageInfo;
use crate::problem::Problem;
use crate::release::ImageRef;
use crate::run::context::RunContext;
use crate::run::prepare::image_source::named_image;
use crate::run::registry::RunRegistries;
use crate::run::run_config::{ContainerSource, DeclaredService, ReleasedContainer, RunConfig};

/// The registries, and what they have of the images that the inputs name by tag.
pub(super) struct OpenedRegistries<'r> {
    pub(super) registries: RunRegistries<'r>,
    found: Vec<FoundImage>,
}

/// What is known of an image.
#[derive(Debug, Clone)]
pub(super) enum ImageLookup {
    /// Nothing: this run cannot read its registry.
    OutOfReach,
    /// What its registry has.
    Read(Option<ImageInfo>),
}

struct FoundImage {
    image: ImageRef,
    answer: Result<ImageLookup, Problem>,
}

impl<'r> OpenedRegistries<'r> {
    /// Registries of which nothing was asked yet.
    pub(super) fn unasked(registries: RunRegistries<'r>) -> Self {
        Self { registries, found: Vec::new() }
    }

    /// Logs in to the registry of the environment and asks for the images that the inputs name, as far as this run needs
    /// that. If the login fails, that is said where it is needed.
    pub(super) async fn ask(ctx: &RunContext, config: &RunConfig, registries: RunRegistries<'r>) -> Self {
        if registries.session().is_some() && needs_own(ctx, config, &registries) {
            let _: Option<_> = registries.own().await.ok();
        }
        let found = find_named(ctx, &registries).await;
        Self { registries, found }
    }

    /// What the registry of an image has of it.
    pub(super) async fn look_up(&self, image: &ImageRef) -> Result<ImageLookup, Problem> {
        match self.found.iter().find(|found| found.image == *image) {
            Some(found) => found.answer.clone(),
            None => look_up(&self.registries, image).await,
        }
    }
}

/// Whether images of the environment's own registry are built or named by this run.
fn needs_own(ctx: &RunContext, config: &RunConfig, registries: &RunRegistries<'_>) -> bool {
    let is_pushed =
        |repository: &Option<String>| repository.as_deref().is_some_and(|it| registries.needs_own(it));
    let of_container = |container: &ReleasedContainer| match &container.source {
        ContainerSource::Built(_) => is_pushed(&container.repository),
        ContainerSource::Fixed(image) => image.digest.is_none() && registries.is_own(image),
        ContainerSource::OfService => false,
    };
    let of_service = |declared: &DeclaredService| {
        let is_built = declared.build.is_some() && named_image(ctx, &declared.service.name).is_none();
        is_built && is_pushed(&declared.service.config.repository)
            || declared.containers.iter().any(of_container)
    };
    // Its tags say what commit a named image is of.
    let is_named = ctx.inputs.images.iter().any(|choice| registries.is_own(&choice.image));
    is_named || config.services.iter().any(of_service)
}

async fn find_named(ctx: &RunContext, registries: &RunRegistries<'_>) -> Vec<FoundImage> {
    let named = ctx.inputs.images.iter().map(|choice| &choice.image);
    let tagged = named.filter(|image| image.digest.is_none());
    let limits = &RateLimiters::for_services(ctx.inputs.images.len());
    let finding = tagged.map(async |image| {
        limits.reads.acquire().await;
        FoundImage { image: image.clone(), answer: look_up(registries, image).await }
    });
    join_all(finding).await
}

async fn look_up(registries: &RunRegistries<'_>, image: &ImageRef) -> Result<ImageLookup, Problem> {
    match registries.of_image(image).await? {
        Some(registry) => Ok(ImageLookup::Read(registry.find(image).await?)),
        None => Ok(ImageLookup::OutOfReach),
    }
}
