//! Which image each service gets: the one that was named, one that is built, or the one it has.

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::stream;
use futures::stream::StreamExt as _;

use crate::action::{ImageOverride, Operation};
use crate::aws::RateLimiters;
use crate::image;
use crate::image::{Build, BuildRequest, ImageBuilder, Registry};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::report::text::truncate;
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::containers::{self, BuiltSlot, ImageSlot};
use crate::run::prepare::registry_ahead::OpenedRegistry;
use crate::run::refusal;
use crate::run::registry::EnvironmentRegistry;
use crate::run::service_run::ServiceRun;
use crate::sys::process;

/// Gives each service its image; builds if the deploy file says so and the run is no dry run. The registry is
/// returned if one was needed. Without a session there is none: a named image is used as it is.
pub(in crate::run) async fn resolve_images(
    ctx: &RunContext,
    opened: Option<Result<OpenedRegistry, Problem>>,
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
    let opened = opened.transpose().map_err(|problem| vec![problem])?;
    let sources = image_sources(ctx, &mut services, opened.as_ref().map(|opened| &opened.registry));
    resolve_sources(ctx, &mut services, sources, opened.as_ref()).await?;
    Ok((refusal::unless_all_end(services)?, opened.map(|opened| opened.registry.client)))
}

/// Gives further containers the fixed images that the deploy file has for them: those are not promoted.
pub(in crate::run) async fn resolve_fixed_images(
    ctx: &RunContext,
    session: Option<&SdkConfig>,
    services: &mut [ServiceRun],
) -> Result<(), Vec<Problem>> {
    let sources: Vec<(ImageSlot, ImageSource)> = refusal::open(services).flat_map(fixed_images).collect();
    if sources.is_empty() {
        return Ok(());
    }
    let registry = match session {
        Some(session) => Some(OpenedRegistry::open(ctx, session).await.map_err(|problem| vec![problem])?),
        None => None,
    };
    resolve_sources(ctx, services, sources, registry.as_ref()).await
}

/// Resolves images and gives them to their services. A service without one of its images is refused.
async fn resolve_sources(
    ctx: &RunContext,
    services: &mut [ServiceRun],
    sources: Vec<(ImageSlot, ImageSource)>,
    registry: Option<&OpenedRegistry>,
) -> Result<(), Vec<Problem>> {
    let slots: Vec<ImageSlot> = sources.iter().map(|(slot, _)| slot.clone()).collect();
    let images = resolve_all(ctx, sources, registry).await;
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

/// The image sources of each open service. A service of which one is not known is refused.
fn image_sources(
    ctx: &RunContext,
    services: &mut [ServiceRun],
    registry: Option<&EnvironmentRegistry>,
) -> Vec<(ImageSlot, ImageSource)> {
    let mut sources = Vec::new();
    for service in refusal::open_mut(services) {
        match service_sources(ctx, service, registry) {
            Ok(own) => sources.extend(own),
            Err(problem) => refusal::refuse(ctx, service, problem),
        }
    }
    sources
}

/// The sources of the image of a service and of those of its further containers.
fn service_sources(
    ctx: &RunContext,
    service: &ServiceRun,
    registry: Option<&EnvironmentRegistry>,
) -> Result<Vec<(ImageSlot, ImageSource)>, Problem> {
    let mut sources = vec![(ImageSlot::of_service(service), image_source(ctx, service, registry)?)];
    sources.extend(fixed_images(service));
    for BuiltSlot { slot, build, repository } in containers::built_slots(service) {
        let source = build_source(ctx, &slot, build, repository, registry)?;
        sources.push((slot, source));
    }
    Ok(sources)
}

fn fixed_images(service: &ServiceRun) -> impl Iterator<Item = (ImageSlot, ImageSource)> {
    containers::fixed_slots(service).map(|(slot, image)| (slot, ImageSource::Named(image)))
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

/// Whether the image of a service is built by this run.
pub(super) fn will_build(ctx: &RunContext, service: &ServiceRun) -> bool {
    let is_built = service.build.is_some() && service.declared.config.repository.is_some();
    is_built && named_image(ctx, service).is_none()
}

/// The image that the inputs name for a service.
fn named_image<'c>(ctx: &'c RunContext, service: &ServiceRun) -> Option<&'c ImageOverride> {
    let is_meant =
        |choice: &&ImageOverride| choice.service.as_deref().is_none_or(|name| name == service.name());
    ctx.inputs.images.iter().find(is_meant)
}

/// What one service gets its image from.
enum ImageSource {
    /// The image that it has.
    Unchanged,
    /// The image that the inputs name.
    Named(ImageRef),
    /// In a dry run: what would be built, as people read it.
    BuildPreview(String),
    /// An image that is to be built.
    Build(Box<BuildRequest>),
}

fn image_source(
    ctx: &RunContext,
    service: &ServiceRun,
    registry: Option<&EnvironmentRegistry>,
) -> Result<ImageSource, Problem> {
    if let Some(choice) = named_image(ctx, service) {
        return Ok(ImageSource::Named(choice.image.clone()));
    }
    match (&service.build, &service.declared.config.repository) {
        (Some(build), Some(repository)) => {
            build_source(ctx, &ImageSlot::of_service(service), build, repository, registry)
        }
        _ => Ok(ImageSource::Unchanged),
    }
}

/// An image that is built; in a dry run, what would be built. Without a registry there is none.
fn build_source(
    ctx: &RunContext,
    slot: &ImageSlot,
    settings: &Build,
    repository: &str,
    registry: Option<&EnvironmentRegistry>,
) -> Result<ImageSource, Problem> {
    let Some(registry) = registry else { return Ok(ImageSource::Unchanged) };
    if operation(ctx) == Operation::Plan {
        let commit = ctx.context.commit();
        let commit = commit.map_or("the workspace", |commit| commit.get(..7).unwrap_or(commit));
        return Ok(ImageSource::BuildPreview(format!("{repository}, built from {commit}")));
    }
    let target = image_name(&registry.host, repository)?;
    Ok(ImageSource::Build(Box::new(build_request(ctx, slot.label(), settings, target))))
}

fn build_request(ctx: &RunContext, service: String, settings: &Build, repository: ImageRef) -> BuildRequest {
    let context = &ctx.context;
    BuildRequest {
        service,
        repository,
        workspace: ctx.workspace.clone(),
        settings: settings.clone(),
        commit: context.commit().unwrap_or_default().to_owned(),
        branch: context.branch().map(str::to_owned),
        source: context.repository.as_ref().zip(context.server_url.as_ref()).map(|(r, s)| format!("{s}/{r}")),
    }
}

/// What a source resolved to.
#[derive(Default)]
struct ResolvedImage {
    image: Option<ImageRef>,
    tag: Option<String>,
    build_preview: Option<String>,
    build: Option<image::BuildOutput>,
}

impl ResolvedImage {
    /// Gives it to its service.
    fn apply_to(mut self, ctx: &RunContext, service: &mut ServiceRun, slot: &ImageSlot) {
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
    registry: Option<&OpenedRegistry>,
) -> Vec<Result<ResolvedImage, Problem>> {
    let builds = sources.iter().filter(|(_, source)| matches!(source, ImageSource::Build(_))).count();
    if builds > 1 {
        ctx.log.group(&format!("build {builds} images"));
    }
    let limits = &RateLimiters::for_services(sources.len());
    let one = |(slot, source): (ImageSlot, ImageSource)| async move {
        limits.reads.acquire().await;
        let resolved = resolve_one(ctx, source, registry, builds == 1).await;
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
    registry: Option<&OpenedRegistry>,
    alone: bool,
) -> Result<ResolvedImage, Problem> {
    match (source, registry) {
        (ImageSource::Named(image), _) => {
            let tag = image.tag.clone();
            Ok(ResolvedImage {
                image: Some(pin_digest(ctx, &image, registry).await?),
                tag,
                ..ResolvedImage::default()
            })
        }
        (ImageSource::BuildPreview(words), _) => {
            Ok(ResolvedImage { build_preview: Some(words), ..ResolvedImage::default() })
        }
        (ImageSource::Build(request), Some(registry)) => {
            let built = run_builder(ctx, &request, &registry.registry.client, alone).await?;
            let (image, tag) = (Some(built.image.clone()), preferred_tag(&request.commit, &built.tags));
            Ok(ResolvedImage { image, tag, build: Some(built), build_preview: None })
        }
        _ => Ok(ResolvedImage::default()),
    }
}

/// A tag can move between the check and the start of a task: what is deployed is the digest it stands for now.
async fn pin_digest(
    ctx: &RunContext,
    image: &ImageRef,
    registry: Option<&OpenedRegistry>,
) -> Result<ImageRef, Problem> {
    let Some(registry) =
        registry.filter(|opened| image.digest.is_none() && opened.registry.host == image.registry)
    else {
        return Ok(image.clone());
    };
    let found = registry.find(image).await?.ok_or_else(|| {
        Problem::error(Code::ImageMissing, format!("The image `{image}` is not in the registry."))
            .help("Check repository and tag, and that the image was pushed to this account and region.")
    })?;
    ctx.log.info(None, &format!("{image} is {}", found.digest));
    Ok(image.with_digest(found.digest))
}

/// The `repository` of a service in a registry.
pub(in crate::run) fn image_name(host: &str, repository: &str) -> Result<ImageRef, Problem> {
    format!("{host}/{repository}")
        .parse()
        .map_err(|why| Problem::error(Code::ConfigInvalid, format!("`repository` cannot be used: {why}.")))
}

/// The most specific tag: that of the commit, else any.
fn preferred_tag(commit: &str, tags: &[String]) -> Option<String> {
    let of_commit = image::tags::commit_tag(commit);
    tags.iter().find(|tag| **tag == of_commit).or(tags.first()).cloned()
}

async fn run_builder(
    ctx: &RunContext,
    request: &BuildRequest,
    registry: &Rc<dyn Registry>,
    alone: bool,
) -> Result<image::BuildOutput, Problem> {
    let builder: Rc<dyn ImageBuilder> = match &ctx.builder {
        Some(builder) => builder.clone(),
        None => buildx_builder(ctx, registry.clone()),
    };
    // Log groups do not nest, and lines of several builds mix: each line names its service.
    let title = format!("build {} → {}", request.service, request.repository);
    if alone {
        ctx.log.group(&title)
    } else {
        ctx.log.info(Some(&request.service), &title)
    }
    let mut log = |line: &str| ctx.log.untrusted(&request.service, line);
    let result = tokio::select! {
        result = builder.build(request, &mut log) => result,
        () = ctx.cancel.wait_for(crate::sys::signal::CancelLevel::Cancel) => Err(cancelled_problem()),
        () = tokio::time::sleep(ctx.time_left()) => Err(overdue_problem()),
    };
    builder.clean_up().await;
    if alone {
        ctx.log.end_group();
    }
    result
}

fn buildx_builder(ctx: &RunContext, registry: Rc<dyn Registry>) -> Rc<dyn ImageBuilder> {
    Rc::new(image::Buildx::new(ctx.io.variables.clone(), registry, ctx.secret_masker()))
}

fn overdue_problem() -> Problem {
    Problem::error(Code::TimedOut, "The image was not built in the time given; nothing was released.")
        .help("Give the input `timeout` more, or cache the layers: `build: { cache: registry }`.")
}

fn cancelled_problem() -> Problem {
    Problem::error(Code::Cancelled, "The run was cancelled while the image was built; nothing was released.")
}
