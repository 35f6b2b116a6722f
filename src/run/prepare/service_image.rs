//! Which image each service gets: the one that was named, one that is built, or the one it has.

use std::rc::Rc;

use aws_config::SdkConfig;
use futures::stream;
use futures::stream::StreamExt as _;

use crate::action::{ImageOverride, Operation};
use crate::aws::RateLimiters;
use crate::config::Service;
use crate::image;
use crate::image::{Build, BuildRequest, Registry};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::report::text::truncate;
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::image_build::{PreparedBuild, build_problems, run_builder};
use crate::run::prepare::placeholders::run_placeholders;
use crate::run::refusal;
use crate::run::registry::RunRegistries;
use crate::run::run_config::RunConfig;
use crate::run::service_run::ServiceRun;
use crate::sys::process;
use crate::targets;

/// Gives each service its image; builds if the deploy file says so and the run is no dry run. The registry of the
/// environment is returned if it was needed. Without a session a named image of ECR is used as it is.
pub(in crate::run) async fn resolve_images(
    ctx: &RunContext,
    config: &RunConfig,
    session: Option<&SdkConfig>,
    mut services: Vec<ServiceRun>,
) -> Result<(Vec<ServiceRun>, Option<Rc<dyn Registry>>), Vec<Problem>> {
    let problems = unknown_names(ctx, &services);
    if !problems.is_empty() {
        return Err(problems);
    }
    if services.iter().all(|service| service.build.is_none()) && ctx.inputs.images.is_empty() {
        return Ok((services, None));
    }
    let registries = RunRegistries::new(ctx, config, session);
    let sources = image_sources(&registries, config, &mut services, ctx).await;
    let images = resolve_all(ctx, sources, &registries).await;
    if let Some(Err(cancelled)) = images.iter().find(|image| is_cancelled(image)) {
        return Err(vec![cancelled.clone()]);
    }
    for (service, image) in refusal::open_mut(&mut services).zip(images) {
        match image {
            Ok(image) => image.apply_to(ctx, service),
            Err(problem) => refusal::refuse(ctx, service, problem),
        }
    }
    Ok((refusal::unless_all_end(services)?, registries.opened()))
}

fn is_cancelled(image: &Result<ResolvedImage, Problem>) -> bool {
    image.as_ref().is_err_and(|problem| problem.code == Code::Cancelled)
}

/// The image source of each open service, by name. A service whose source is not known is refused.
async fn image_sources(
    registries: &RunRegistries<'_>,
    config: &RunConfig,
    services: &mut [ServiceRun],
    ctx: &RunContext,
) -> Vec<(String, ImageSource)> {
    let all = all_services(ctx, config);
    let mut sources = Vec::new();
    for service in refusal::open_mut(services) {
        match image_source(ctx, service, registries, &all).await {
            Ok(source) => sources.push((service.name().to_owned(), source)),
            Err(problems) => refuse_all(ctx, service, problems),
        }
    }
    sources
}

/// All services of the deploy file in this environment, also those that are not part of this run.
pub(in crate::run) fn all_services(ctx: &RunContext, config: &RunConfig) -> Vec<Service> {
    let (targets, known) = (targets::keys(ctx.kinds), run_placeholders(ctx, &config.environment_name));
    config.document.services(&config.environment_name, &[], &targets, &known).0
}

/// Ends a service for several reasons at once.
fn refuse_all(ctx: &RunContext, service: &mut ServiceRun, problems: Vec<Problem>) {
    let mut problems =
        problems.into_iter().map(|problem| problem.for_service(service.name())).collect::<Vec<_>>();
    let last = problems.pop();
    service.report.problems.extend(problems);
    last.into_iter().for_each(|problem| refusal::refuse(ctx, service, problem));
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

/// What one service gets its image from.
enum ImageSource {
    /// The image that it has.
    Unchanged,
    /// The image that the inputs name.
    Named(ImageRef),
    /// In a dry run: what would be built, as people read it.
    BuildPreview(String),
    /// An image that is to be built.
    Build(Box<PreparedBuild>),
}

async fn image_source(
    ctx: &RunContext,
    service: &mut ServiceRun,
    registries: &RunRegistries<'_>,
    all: &[Service],
) -> Result<ImageSource, Vec<Problem>> {
    let named = |choice: &&ImageOverride| choice.service.as_deref().is_none_or(|name| name == service.name());
    if let Some(choice) = ctx.inputs.images.iter().find(named) {
        return Ok(ImageSource::Named(choice.image.clone()));
    }
    let (Some(settings), Some(repository)) = (&service.build, &service.declared.config.repository) else {
        return Ok(ImageSource::Unchanged);
    };
    let preview = build_preview(ctx, repository);
    let opened = registries.repository(repository).await;
    let unopened =
        || ImageRef { registry: String::new(), repository: repository.clone(), tag: None, digest: None };
    let name = opened.as_ref().map_or_else(|_| unopened(), |opened| opened.name.clone());
    let tag_suffix = registries.tag_suffix(all, &service.declared);
    let request = build_request(ctx, service, settings, PushDestination { repository: name, tag_suffix });
    // What is wrong with the build is reported together with what is wrong with its repository.
    let (mut errors, warnings): (Vec<_>, Vec<_>) =
        build_problems(ctx, &request).into_iter().partition(Problem::is_error);
    service.report.problems.extend(warnings);
    match opened {
        Err(problem) => errors.push(problem),
        Ok(_) if operation(ctx) == Operation::Plan && errors.is_empty() => {
            return Ok(ImageSource::BuildPreview(preview));
        }
        Ok(opened) if errors.is_empty() => {
            let (access, rollout_time) = (registries.access(), service.min_rollout_time(ctx));
            let registry = opened.registry;
            return Ok(ImageSource::Build(Box::new(PreparedBuild {
                request,
                registry,
                access,
                rollout_time,
            })));
        }
        Ok(_) => {}
    }
    Err(errors)
}

/// Where an image is pushed to.
struct PushDestination {
    repository: ImageRef,
    tag_suffix: Option<String>,
}

/// What a dry run says of an image that would be built.
fn build_preview(ctx: &RunContext, repository: &str) -> String {
    let commit = ctx.context.commit();
    let commit = commit.map_or("the workspace", |commit| commit.get(..7).unwrap_or(commit));
    format!("{repository}, built from {commit}")
}

fn build_request(
    ctx: &RunContext,
    service: &ServiceRun,
    settings: &Build,
    destination: PushDestination,
) -> BuildRequest {
    let context = &ctx.context;
    BuildRequest {
        service: service.name().to_owned(),
        repository: destination.repository,
        tag_suffix: destination.tag_suffix,
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
    fn apply_to(self, ctx: &RunContext, service: &mut ServiceRun) {
        if let Some(built) = self.build {
            let words = match (built.reused, ctx.rehearsal) {
                (true, _) => "the same source is in the repository already: nothing was built",
                (false, true) => "not built in a rehearsal; the emulated registry has an image for it",
                (false, false) => "built and pushed",
            };
            service.report.add_timeline_entry(
                ctx.io.clock.now(),
                format!("{words}: {}", truncate(&built.image.to_string())),
            );
            service.report.problems.extend(built.notices);
            service.image_of_commit = true;
        }
        service.report.image = self.image.clone();
        service.report.digest = self.image.as_ref().and_then(|image| image.digest.clone());
        service.release.tag = self.tag;
        service.release.image = self.image;
        service.build_preview = self.build_preview;
    }
}

/// Resolves all sources; concurrently builds as many images as the machine has cores. An image that cannot be built keeps
/// none of the others from being built.
async fn resolve_all(
    ctx: &RunContext,
    sources: Vec<(String, ImageSource)>,
    registries: &RunRegistries<'_>,
) -> Vec<Result<ResolvedImage, Problem>> {
    let builds = sources.iter().filter(|(_, source)| matches!(source, ImageSource::Build(_))).count();
    if builds > 1 {
        ctx.log.group(&format!("build {builds} images"));
    }
    let limits = &RateLimiters::for_services(sources.len());
    let one = |(service, source): (String, ImageSource)| async move {
        limits.reads.acquire().await;
        resolve_one(ctx, source, registries, builds == 1)
            .await
            .map_err(|problem| problem.for_service(&service))
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
    registries: &RunRegistries<'_>,
    alone: bool,
) -> Result<ResolvedImage, Problem> {
    match source {
        ImageSource::Named(image) => {
            let tag = image.tag.clone();
            let image = Some(pin_digest(ctx, &image, registries).await?);
            Ok(ResolvedImage { image, tag, ..ResolvedImage::default() })
        }
        ImageSource::BuildPreview(words) => {
            Ok(ResolvedImage { build_preview: Some(words), ..ResolvedImage::default() })
        }
        ImageSource::Build(build) => {
            let built = run_builder(ctx, &build, alone).await?;
            let (image, tag) = (Some(built.image.clone()), preferred_tag(&build.request, &built.tags));
            Ok(ResolvedImage { image, tag, build: Some(built), build_preview: None })
        }
        ImageSource::Unchanged => Ok(ResolvedImage::default()),
    }
}

/// A tag can move between the check and the start of a task: what is deployed is the digest it stands for now. A registry
/// that this run cannot read leaves the tag as it is: the target may have a login of its own.
async fn pin_digest(
    ctx: &RunContext,
    image: &ImageRef,
    registries: &RunRegistries<'_>,
) -> Result<ImageRef, Problem> {
    if image.digest.is_some() {
        return Ok(image.clone());
    }
    let Some(registry) = registries.of_image(image).await? else { return Ok(image.clone()) };
    let found = match registry.find(image).await {
        Err(problem) if !registries.is_own(image) => {
            ctx.log.info(None, &format!("{image} is used by its tag. {}", problem.sentence));
            return Ok(image.clone());
        }
        found => found?,
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
