//! Gives each service its images: those that were named, those that are built, or those it has.

use std::rc::Rc;

use futures::stream;
use futures::stream::StreamExt as _;

use crate::aws::RateLimiters;
use crate::image;
use crate::image::{BuildRequest, Registry};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::report::text::truncate;
use crate::run::context::RunContext;
use crate::run::prepare::containers::ImageSlot;
use crate::run::prepare::image_build::run_builder;
use crate::run::prepare::image_source::{BuildPreview, ImageSource, fixed_images, image_sources};
use crate::run::prepare::registry_ahead::{ImageLookup, OpenedRegistries};
use crate::run::refusal;
use crate::run::run_config::RunConfig;
use crate::run::service_run::ServiceRun;
use crate::sys::process;

/// Gives each service its images; builds if the deploy file says so and the run is no dry run. The registry of the
/// environment is returned if it was needed. Without a session a named image of ECR is used as it is.
pub(in crate::run) async fn resolve_images(
    ctx: &RunContext,
    config: &RunConfig,
    opened: OpenedRegistries<'_>,
    mut services: Vec<ServiceRun>,
) -> Result<(Vec<ServiceRun>, Option<Rc<dyn Registry>>), Vec<Problem>> {
    let problems = unknown_names(ctx, &services);
    if !problems.is_empty() {
        return Err(problems);
    }
    let has_image = |service: &ServiceRun| service.build.is_some() || !service.containers.is_empty();
    if !services.iter().any(has_image) && ctx.inputs.images.is_empty() {
        return Ok((services, None));
    }
    let sources = image_sources(ctx, config, &opened.registries, &mut services).await;
    resolve_sources(ctx, &mut services, sources, &opened).await?;
    Ok((refusal::unless_all_end(services)?, opened.registries.opened()))
}

/// Gives further containers the fixed images that the deploy file has for them: those are not promoted.
pub(in crate::run) async fn resolve_fixed_images(
    ctx: &RunContext,
    opened: &OpenedRegistries<'_>,
    services: &mut [ServiceRun],
) -> Result<(), Vec<Problem>> {
    let sources: Vec<(ImageSlot, ImageSource)> = refusal::open(services).flat_map(fixed_images).collect();
    resolve_sources(ctx, services, sources, opened).await
}

/// Resolves images and gives them to their services. A service without one of its images is refused.
async fn resolve_sources(
    ctx: &RunContext,
    services: &mut [ServiceRun],
    sources: Vec<(ImageSlot, ImageSource)>,
    opened: &OpenedRegistries<'_>,
) -> Result<(), Vec<Problem>> {
    let slots: Vec<ImageSlot> = sources.iter().map(|(slot, _)| slot.clone()).collect();
    let images = resolve_all(ctx, sources, opened).await;
    if let Some(Err(cancelled)) = images.iter().find(|image| is_cancelled(image)) {
        return Err(vec![cancelled.clone()]);
    }
    for (slot, image) in slots.iter().zip(images) {
        let Some(service) = services.iter_mut().find(|service| service.name() == slot.service) else {
            continue;
        };
        match image {
            Ok(image) => image.apply_to(ctx, service, slot),
            Err(problem) if refusal::is_open(service) => refusal::refuse(ctx, service, problem),
            Err(problem) => service.report.problems.push(problem.for_service(service.name())),
        }
    }
    Ok(())
}

fn is_cancelled(image: &Result<ResolvedImage, Problem>) -> bool {
    image.as_ref().is_err_and(|problem| problem.code == Code::Cancelled)
}

/// Images named for services that are not part of this run, or for nobody in particular among several.
fn unknown_names(ctx: &RunContext, services: &[ServiceRun]) -> Vec<Problem> {
    let names = services.iter().map(ServiceRun::name).collect::<Vec<_>>();
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let wrong = ctx.inputs.images.iter().filter_map(|choice| match &choice.service {
        Some(name) if !names.contains(&name.as_str()) => Some(Problem::error(
            Code::NameUnknown,
            format!("The input `image` names `{name}`, which is not released in this run."),
        )),
        None if names.len() > 1 => Some(Problem::error(
            Code::InputInvalid,
            "The input `image` does not say which of several services it is for.",
        )),
        _ => None,
    });
    wrong
        .map(|problem| problem.help(format!("Write lines of `service=image`, with services out of {list}.")))
        .collect()
}

/// What a source resolved to.
#[derive(Default)]
struct ResolvedImage {
    image: Option<ImageRef>,
    tag: Option<String>,
    build_preview: Option<String>,
    build: Option<image::BuildOutput>,
    /// What is worth knowing of its registry.
    remark: Option<Problem>,
}

impl ResolvedImage {
    /// Gives it to its service.
    fn apply_to(mut self, ctx: &RunContext, service: &mut ServiceRun, slot: &ImageSlot) {
        let remark = self.remark.take().map(|remark| remark.for_service(service.name()));
        service.report.problems.extend(remark);
        if let Some(built) = self.build.take() {
            let words = match (built.reused, ctx.rehearsal) {
                (true, _) => "the same source is in the repository already: nothing was built",
                (false, true) => "not built in a rehearsal; the emulated registry has an image for it",
                (false, false) => "built and pushed",
            };
            service.report.add_timeline_entry(
                ctx.io.clock.now(),
                format!("{words}: {}", truncate(&built.image.to_string())),
            );
            let name = service.name().to_owned();
            let notices = built.notices.into_iter().map(|notice| notice.for_service(&name));
            service.report.problems.extend(notices);
            service.image_of_commit |= slot.is_of_service;
        }
        for container in &slot.containers {
            self.apply_to_container(service, container);
        }
        if !slot.is_of_service {
            return;
        }
        service.report.image = self.image.clone();
        service.report.digest = self.image.as_ref().and_then(|image| image.digest.clone());
        service.release.tag = self.tag;
        service.release.image = self.image;
        service.build_preview = self.build_preview;
    }

    fn apply_to_container(&self, service: &mut ServiceRun, container: &str) {
        let image = self.image.iter().map(|image| (container.to_owned(), image.clone()));
        service.report.container_images.extend(image.clone());
        service.release.container_images.extend(image);
        let preview = self.build_preview.iter().map(|words| (container.to_owned(), words.clone()));
        service.container_previews.extend(preview);
    }
}

/// Resolves all sources; concurrently builds as many images as the machine has cores. An image that cannot be built keeps
/// none of the others from being built.
async fn resolve_all(
    ctx: &RunContext,
    sources: Vec<(ImageSlot, ImageSource)>,
    opened: &OpenedRegistries<'_>,
) -> Vec<Result<ResolvedImage, Problem>> {
    let builds = sources.iter().filter(|(_, source)| matches!(source, ImageSource::Build(_))).count();
    if builds > 1 {
        ctx.log.group(&format!("build {builds} images"));
    }
    let limits = &RateLimiters::for_services(sources.len());
    let one = |(slot, source): (ImageSlot, ImageSource)| async move {
        limits.reads.acquire().await;
        let resolved = resolve_one(ctx, source, opened, builds == 1).await;
        resolved.map_err(|problem| problem.for_service(&slot.service))
    };
    let at_once = process::cpu_count().max(1);
    let images = stream::iter(sources).map(one).buffered(at_once).collect().await;
    if builds > 1 {
        ctx.log.end_group();
    }
    images
}

async fn resolve_one(
    ctx: &RunContext,
    source: ImageSource,
    opened: &OpenedRegistries<'_>,
    alone: bool,
) -> Result<ResolvedImage, Problem> {
    match source {
        ImageSource::Named(image) => {
            let tag = image.tag.clone();
            let image = Some(pin_digest(ctx, &image, opened).await?);
            Ok(ResolvedImage { image, tag, ..ResolvedImage::default() })
        }
        ImageSource::BuildPreview(preview) => {
            let remark = check_repository(&preview).await?;
            Ok(ResolvedImage { build_preview: Some(preview.words), remark, ..ResolvedImage::default() })
        }
        ImageSource::Build(build) => {
            let built = run_builder(ctx, &build, alone).await?;
            let (image, tag) = (Some(built.image.clone()), preferred_tag(&build.request, &built.tags));
            Ok(ResolvedImage { image, tag, build: Some(built), ..ResolvedImage::default() })
        }
        ImageSource::Unchanged => Ok(ResolvedImage::default()),
    }
}

/// Asks for the image that a deployment would look for before its build: a repository that does not exist makes that
/// deployment fail for certain. Anything else is a warning, because the role of a plan can have fewer permissions.
async fn check_repository(preview: &BuildPreview) -> Result<Option<Problem>, Problem> {
    let Some(registry) = &preview.registry else { return Ok(None) };
    match registry.find(&preview.image).await {
        Ok(_) => Ok(None),
        Err(problem) if problem.code == Code::ImageMissing => Err(problem),
        Err(problem) => Ok(Some(problem.into_warning())),
    }
}

/// A tag can move between the check and the start of a task: what is deployed is the digest it stands for now. A registry
/// that this run cannot read leaves the tag as it is: the target may have a login of its own.
async fn pin_digest(
    ctx: &RunContext,
    image: &ImageRef,
    opened: &OpenedRegistries<'_>,
) -> Result<ImageRef, Problem> {
    if image.digest.is_some() {
        return Ok(image.clone());
    }
    let found = match opened.look_up(image).await {
        Err(problem) if !opened.registries.is_own(image) => {
            ctx.log.info(None, &format!("{image} is used by its tag. {}", problem.sentence));
            return Ok(image.clone());
        }
        Ok(ImageLookup::OutOfReach) => return Ok(image.clone()),
        Ok(ImageLookup::Read(found)) => found,
        Err(problem) => return Err(problem),
    };
    let found = found.ok_or_else(|| {
        Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the registry."))
            .help("Check repository and tag, and that the image was pushed to this account and region.")
    })?;
    ctx.log.info(None, &format!("{image} is {}", found.digest));
    Ok(image.with_digest(found.digest))
}

/// The most specific tag: that of the commit, else any.
fn preferred_tag(request: &BuildRequest, tags: &[String]) -> Option<String> {
    let of_commit = request.commit_tag();
    tags.iter().find(|tag| **tag == of_commit).or(tags.first()).cloned()
}
