//! Where the images of services come from: the inputs, the deploy file, or a build. Builds are checked here, all of them
//! before the first one begins.

use std::rc::Rc;

use crate::action::Operation;
use crate::image::{Build, BuildRequest, Registry};
use crate::problem::Problem;
use crate::release::{ImageOverride, ImageRef};
use crate::run::context::RunContext;
use crate::run::event::operation;
use crate::run::prepare::containers::{self, BuiltSlot, ImageSlot};
use crate::run::prepare::image_build::{PreparedBuild, build_problems};
use crate::run::prepare::pushed_images::PushedImages;
use crate::run::refusal;
use crate::run::registry::RunRegistries;
use crate::run::run_config::RunConfig;
use crate::run::service_run::ServiceRun;

/// What the containers of a slot get their image from.
pub(super) enum ImageSource {
    /// The image that they have.
    Unchanged,
    /// The image that the inputs or the deploy file name.
    Named(ImageRef),
    /// In a dry run: what would be built.
    BuildPreview(Box<BuildPreview>),
    /// An image that is to be built.
    Build(Box<PreparedBuild>),
}

/// An image that a deployment would build.
pub(super) struct BuildPreview {
    /// What would be built, as people read it.
    pub(super) words: String,
    /// Where it would be pushed to.
    pub(super) image: ImageRef,
    /// The registry to ask whether the repository exists; `None` if this run cannot ask it.
    pub(super) registry: Option<Rc<dyn Registry>>,
}

/// Whether this run builds an image of a service.
pub(super) fn will_build(ctx: &RunContext, service: &ServiceRun) -> bool {
    let is_built = service.build.is_some() && service.declared.config.repository.is_some();
    is_built && named_image(ctx, service.name()).is_none() || !containers::built_slots(service).is_empty()
}

/// The image that the inputs name for a service.
pub(super) fn named_image<'c>(ctx: &'c RunContext, service: &str) -> Option<&'c ImageOverride> {
    ImageOverride::find(&ctx.inputs.images, service)
}

/// The image sources of each open service. A service of which one is not known is refused.
pub(super) async fn image_sources(
    ctx: &RunContext,
    config: &RunConfig,
    registries: &RunRegistries<'_>,
    services: &mut [ServiceRun],
) -> Vec<(ImageSlot, ImageSource)> {
    let reader = SourceReader { ctx, registries, pushed: PushedImages::read(ctx, config) };
    let mut sources = Vec::new();
    for service in refusal::open_mut(services) {
        let ServiceSources { sources: own, problems } = reader.read(service).await;
        let (errors, warnings): (Vec<_>, Vec<_>) = problems.into_iter().partition(Problem::is_error);
        service.report.problems.extend(warnings);
        match errors.is_empty() {
            true => sources.extend(own),
            false => refuse_all(ctx, service, errors),
        }
    }
    sources
}

/// Ends a service for several reasons at once.
fn refuse_all(ctx: &RunContext, service: &mut ServiceRun, mut problems: Vec<Problem>) {
    let last = problems.pop();
    service.report.problems.extend(problems);
    last.into_iter().for_each(|problem| refusal::refuse(ctx, service, problem));
}

/// The fixed images of the further containers of a service.
pub(super) fn fixed_images(service: &ServiceRun) -> impl Iterator<Item = (ImageSlot, ImageSource)> {
    containers::fixed_slots(service).map(|(slot, image)| (slot, ImageSource::Named(image)))
}

/// The sources of a service, and what is wrong with them.
struct ServiceSources {
    sources: Vec<(ImageSlot, ImageSource)>,
    problems: Vec<Problem>,
}

impl ServiceSources {
    /// Images of one service share what is wrong with a registry or with a secret.
    fn add_problem(&mut self, problem: Problem) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}

/// What sources depend on.
struct SourceReader<'r> {
    ctx: &'r RunContext,
    registries: &'r RunRegistries<'r>,
    pushed: PushedImages,
}

impl SourceReader<'_> {
    /// The sources of the image of a service and of those of its further containers.
    async fn read(&self, service: &ServiceRun) -> ServiceSources {
        let mut found = ServiceSources { sources: Vec::new(), problems: Vec::new() };
        let slot = ImageSlot::of_service(service);
        match (named_image(self.ctx, service.name()), &service.build, &service.declared.config.repository) {
            (Some(choice), ..) => found.sources.push((slot, ImageSource::Named(choice.image.clone()))),
            (None, Some(build), Some(repository)) => {
                self.read_build(service, BuiltSlot { slot, build, repository }, &mut found).await;
            }
            _ => found.sources.push((slot, ImageSource::Unchanged)),
        }
        found.sources.extend(fixed_images(service));
        for built in containers::built_slots(service) {
            self.read_build(service, built, &mut found).await;
        }
        found
    }

    /// An image that is built; in a dry run, what would be built.
    async fn read_build(&self, service: &ServiceRun, built: BuiltSlot<'_>, found: &mut ServiceSources) {
        let opened = self.registries.repository(built.repository).await;
        let repository = opened.as_ref().map_or_else(|_| unopened(built.repository), |it| it.name.clone());
        let tag_suffix = self.pushed.tag_suffix(service.name(), built.repository);
        let request = build_request(self.ctx, &built, PushDestination { repository, tag_suffix });
        // What is wrong with the build is reported together with what is wrong with its repository.
        let mut problems = build_problems(self.ctx, &request);
        let opened = opened.map_err(|problem| problems.push(problem)).ok();
        let is_sound = !problems.iter().any(Problem::is_error);
        for problem in problems {
            found.add_problem(problem.for_service(service.name()));
        }
        let Some(opened) = opened.filter(|_| is_sound) else { return };
        let source = match operation(self.ctx) {
            Operation::Plan => ImageSource::BuildPreview(Box::new(BuildPreview {
                words: build_preview(self.ctx, built.repository),
                registry: Some(opened.registry).filter(|_| self.can_ask(&request.repository)),
                image: request.repository.with_tag(&request.commit_tag()),
            })),
            _ => ImageSource::Build(Box::new(PreparedBuild {
                request,
                registry: opened.registry,
                access: self.registries.access(),
                rollout_time: service.min_rollout_time(self.ctx),
            })),
        };
        found.sources.push((built.slot, source));
    }
}

impl SourceReader<'_> {
    /// Whether a dry run can ask a registry: the emulator has ECR only, and a run of a fork has no login for others.
    fn can_ask(&self, repository: &ImageRef) -> bool {
        self.registries.is_own(repository) || !(self.ctx.rehearsal || self.ctx.context.lacks_secrets())
    }
}

/// A repository whose registry cannot be opened, so that its build can be checked all the same.
fn unopened(repository: &str) -> ImageRef {
    ImageRef { registry: String::new(), repository: repository.to_owned(), tag: None, digest: None }
}

/// What a dry run says of an image that would be built.
fn build_preview(ctx: &RunContext, repository: &str) -> String {
    let commit = ctx.context.commit();
    let commit = commit.map_or("the workspace", |commit| commit.get(..7).unwrap_or(commit));
    format!("{repository}, built from {commit}")
}

/// Where an image is pushed to.
struct PushDestination {
    repository: ImageRef,
    tag_suffix: Option<String>,
}

fn build_request(ctx: &RunContext, built: &BuiltSlot<'_>, destination: PushDestination) -> BuildRequest {
    let context = &ctx.context;
    BuildRequest {
        service: built.slot.label(),
        repository: destination.repository,
        tag_suffix: destination.tag_suffix,
        workspace: ctx.workspace.clone(),
        settings: Build::clone(built.build),
        commit: context.commit().unwrap_or_default().to_owned(),
        branch: context.branch().map(str::to_owned),
        source: context.repository.as_ref().zip(context.server_url.as_ref()).map(|(r, s)| format!("{s}/{r}")),
    }
}
