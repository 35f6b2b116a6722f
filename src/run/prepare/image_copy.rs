//! Brings a proven image into the registry of this environment: it is there, it is copied, or it is used where it is.
//! All sources are read before the first copy.

use std::collections::BTreeMap;
use std::rc::Rc;

use aws_config::SdkConfig;

use crate::image::{CopySummary, Registry, RepositoryClient, tags};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef, is_loopback};
use crate::run::context::RunContext;
use crate::run::prepare::service_image;
use crate::run::refusal;
use crate::run::registry::EnvironmentRegistry;
use crate::run::run_config::RunConfig;
use crate::run::service_run::ServiceRun;
use crate::run::{registry, session};
use crate::sys::http::HttpClient;
use crate::{aws, image};

/// What is promoted for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) struct PromotedImage {
    /// The image of the service.
    pub(in crate::run) own: ProvenImage,
    /// The images of its further containers, by name.
    pub(in crate::run) containers: BTreeMap<String, ProvenImage>,
    /// The commit that it is of, in full; `None` where the proof names none.
    pub(in crate::run) commit: Option<String>,
    /// Where it was proven, such as `proven in staging by deployment 17`.
    pub(in crate::run) origin: String,
}

/// An image that was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) struct ProvenImage {
    /// The image where it was proven, by its digest.
    pub(in crate::run) image: ImageRef,
    /// Its digest.
    pub(in crate::run) digest: Digest,
}

impl ProvenImage {
    /// An image with this digest.
    pub(in crate::run) fn new(image: &ImageRef, digest: &Digest) -> Self {
        Self { image: image.with_digest(digest.clone()), digest: digest.clone() }
    }
}

/// Where the image of a service is, and where it has to be.
enum CopyAction {
    /// Where it was proven: it is deployed from there.
    UseOriginal,
    /// In the registry of this environment.
    AlreadyPresent(ImageRef),
    /// In another repository.
    Copy { from: Box<RepositoryClient>, to: Box<RepositoryClient>, image: ImageRef },
}

/// What is done with one image of a service.
struct PlannedCopy {
    /// The further container that gets it; `None` for the image of the service.
    container: Option<String>,
    proven: ProvenImage,
    action: CopyAction,
}

/// Gives each open service its images, by digest, and the registry that has them. `promoted` are theirs, in their order. A
/// service whose image cannot be brought is refused; in an atomic run nothing more is copied then.
pub(in crate::run) async fn copy_all(
    ctx: &RunContext,
    declared: &RunConfig,
    source: &str,
    session: Option<&SdkConfig>,
    services: &mut [ServiceRun],
    promoted: &[PromotedImage],
) -> Result<Option<Rc<dyn Registry>>, Vec<Problem>> {
    let registry = match session.filter(|_| services.iter().any(has_repository)) {
        Some(session) => Some(registry::open_registry(ctx, session).await.map_err(|problem| vec![problem])?),
        None => None,
    };
    let copy_source = CopySource {
        ctx,
        config: declared,
        source_environment: source,
        session,
        registry: registry.as_ref(),
    };
    let mut actions = Vec::new();
    for (service, promoted_image) in refusal::open(services).zip(promoted) {
        actions.push(copy_source.plan_copies(service, promoted_image).await);
    }
    let is_atomic = services.iter().any(|service| service.atomic);
    let mut is_broken = is_atomic && actions.iter().any(Result::is_err);
    for ((service, promoted_image), action) in refusal::open_mut(services).zip(promoted).zip(actions) {
        let copied = match action {
            Ok(_) if is_broken => continue,
            Ok(planned) => copy_service(ctx, service, promoted_image, planned, registry.as_ref()).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = copied {
            is_broken |= is_atomic;
            refusal::refuse(ctx, service, problem);
        }
    }
    Ok(registry.map(|registry| registry.client))
}

fn has_repository(service: &ServiceRun) -> bool {
    service.declared.config.repository.is_some()
        || service.containers.iter().any(|container| container.repository.is_some())
}

/// What is known of the ways to an image.
struct CopySource<'r> {
    ctx: &'r RunContext,
    config: &'r RunConfig,
    /// The environment that proved it.
    source_environment: &'r str,
    session: Option<&'r SdkConfig>,
    /// The registry of this environment.
    registry: Option<&'r EnvironmentRegistry>,
}

impl CopySource<'_> {
    /// What is done with each image of a service.
    async fn plan_copies(
        &self,
        service: &ServiceRun,
        promoted: &PromotedImage,
    ) -> Result<Vec<PlannedCopy>, Problem> {
        let repository = |name: &String| {
            service.containers.iter().find(|it| it.name == *name).and_then(|it| it.repository.as_deref())
        };
        let own = (None, service.declared.config.repository.as_deref(), &promoted.own);
        let further = promoted.containers.iter();
        let further = further.map(|(name, proven)| (Some(name.clone()), repository(name), proven));
        let mut planned = Vec::new();
        for (container, repository, proven) in std::iter::once(own).chain(further) {
            let action = self.plan_copy(repository, proven).await?;
            planned.push(PlannedCopy { container, proven: proven.clone(), action });
        }
        Ok(planned)
    }

    async fn plan_copy(
        &self,
        repository: Option<&str>,
        promoted_image: &ProvenImage,
    ) -> Result<CopyAction, Problem> {
        let Some((repository, registry)) = repository.zip(self.registry) else {
            self.readable_repository(&promoted_image.image, &promoted_image.digest).await?;
            return Ok(CopyAction::UseOriginal);
        };
        let image =
            service_image::image_name(&registry.host, repository)?.with_digest(promoted_image.digest.clone());
        if image.name() == promoted_image.image.name() {
            let found = registry.client.find(&image).await?;
            return found
                .map(|_| CopyAction::AlreadyPresent(image))
                .ok_or_else(|| image_missing_problem(&promoted_image.image, self.source_environment));
        }
        let to = self.repository_client(&image, registry.client.clone());
        if to.manifest(&promoted_image.digest).await?.is_some() {
            return Ok(CopyAction::AlreadyPresent(image));
        }
        match self.readable_repository(&promoted_image.image, &promoted_image.digest).await? {
            Some(from) => Ok(CopyAction::Copy { from: Box::new(from), to: Box::new(to), image }),
            None => Ok(CopyAction::UseOriginal),
        }
    }

    fn repository_client(&self, image: &ImageRef, logins: Rc<dyn Registry>) -> RepositoryClient {
        RepositoryClient::new(HttpClient::new(self.ctx.io.http.clone()), image, logins)
    }

    /// The repository of the proof, where this run may read it: with its own role, or else with that of the environment
    /// that proved it. `None` where the registry is none of AWS's accounts, so that nobody here has a login for it.
    async fn readable_repository(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<Option<RepositoryClient>, Problem> {
        let reached = image::ecr::region_of_host(&image.registry).is_some() || is_loopback(&image.registry);
        if !reached {
            return Ok(None);
        }
        let mut refused = None;
        for attempt in 0..2 {
            let logins = match attempt {
                0 => self.own_login(image).await,
                _ => self.source_login(image).await,
            };
            let logins = match logins {
                Ok(Some(logins)) => logins,
                Ok(None) => continue,
                Err(problem) => {
                    refused.get_or_insert(problem);
                    continue;
                }
            };
            let client = self.repository_client(image, logins);
            match client.manifest(digest).await {
                Ok(Some(_)) => return Ok(Some(client)),
                Ok(None) => return Err(image_missing_problem(image, self.source_environment)),
                Err(problem) if is_access_error(&problem) => {
                    refused.get_or_insert(problem);
                }
                Err(problem) => return Err(problem),
            }
        }
        refused.map_or(Ok(None), |problem| Err(unreadable_problem(problem, image, self.source_environment)))
    }

    /// A login with the run's own credentials. A token of ECR opens the registries of its own region.
    async fn own_login(&self, image: &ImageRef) -> Result<Option<Rc<dyn Registry>>, Problem> {
        if let Some(registry) = self.registry.filter(|registry| registry.host == image.registry) {
            return Ok(Some(registry.client.clone()));
        }
        let (Some(session), Some(region)) = (self.session, image::ecr::region_of_host(&image.registry))
        else {
            return Ok(None);
        };
        let region = aws_config::Region::new(region.to_owned());
        let there = session.clone().into_builder().region(region).build();
        registry::open_registry(self.ctx, &there).await.map(|registry| Some(registry.client))
    }

    /// A login with the role of the environment that proved the image.
    async fn source_login(&self, image: &ImageRef) -> Result<Option<Rc<dyn Registry>>, Problem> {
        let (environments, _) = self.config.document.environments();
        let Some(aws) =
            environments.get(self.source_environment).and_then(|environment| environment.aws.clone())
        else {
            return Ok(None);
        };
        if aws.role.is_none() {
            return Ok(None);
        }
        let region = image::ecr::region_of_host(&image.registry).map(str::to_owned).or(aws.region);
        let wanted =
            aws::SessionRequest { region, role: aws.role, session_name: session::session_name(self.ctx) };
        let (session, _) = aws::open_session(&self.ctx.io, &wanted).await?;
        let registry = registry::open_registry(self.ctx, &session).await?;
        Ok((registry.host == image.registry).then_some(registry.client))
    }
}

fn is_access_error(problem: &Problem) -> bool {
    matches!(problem.code, Code::PermissionMissing | Code::RegistryLoginFailed | Code::RoleRefused)
}

fn image_missing_problem(image: &ImageRef, source: &str) -> Problem {
    let sentence = format!("The image `{image}`, which `{source}` proved, is no longer in the registry.");
    Problem::error(Code::ImageMissing, sentence).help(format!(
        "Check the lifecycle policy of that repository; deploy to `{source}` again, so that it is built and proven anew."
    ))
}

fn unreadable_problem(problem: Problem, image: &ImageRef, source: &str) -> Problem {
    let name = image.name();
    let cause = match &problem.cause {
        Some(cause) => format!("{} {cause}", problem.sentence),
        None => problem.sentence.clone(),
    };
    let sentence = format!("The image that `{source}` proved cannot be read from `{name}`.");
    Problem::error(problem.code, sentence).cause(cause).help(format!(
        "Let the policy of that repository allow this environment's account to pull (ecr:BatchGetImage, \
         ecr:GetDownloadUrlForLayer, ecr:BatchCheckLayerAvailability), or let this job assume the role of `{source}`."
    ))
}

/// Brings all images of a service.
async fn copy_service(
    ctx: &RunContext,
    service: &mut ServiceRun,
    promoted: &PromotedImage,
    planned: Vec<PlannedCopy>,
    registry: Option<&EnvironmentRegistry>,
) -> Result<(), Problem> {
    for PlannedCopy { container, proven, action } in planned {
        let image = copy_one(ctx, service, &proven, action).await?;
        let tag = tag_promoted(service, &image, promoted.commit.as_deref(), registry).await;
        match container {
            Some(container) => {
                service.report.container_images.insert(container.clone(), image.clone());
                service.release.container_images.insert(container, image);
            }
            None => {
                service.release.tag = tag;
                service.report.image = Some(image.clone());
                service.release.image = Some(image);
            }
        }
    }
    service.image_of_commit = promoted.commit.is_some();
    Ok(())
}

async fn copy_one(
    ctx: &RunContext,
    service: &mut ServiceRun,
    proven: &ProvenImage,
    action: CopyAction,
) -> Result<ImageRef, Problem> {
    Ok(match action {
        CopyAction::UseOriginal => proven.image.clone(),
        CopyAction::AlreadyPresent(image) => image,
        CopyAction::Copy { from, to, image } => {
            let copied = copy_with_timeout(ctx, service.name(), &from, &to, &proven.digest).await?;
            let words = format!("copied from {} to {}: {}", from.name(), to.name(), copy_summary(&copied));
            ctx.log.info(Some(service.name()), &words);
            service.report.add_timeline_entry(ctx.io.clock.now(), words);
            image
        }
    })
}

/// Tags an image in the registry of this environment with its commit, if that is known.
async fn tag_promoted(
    service: &mut ServiceRun,
    image: &ImageRef,
    commit: Option<&str>,
    registry: Option<&EnvironmentRegistry>,
) -> Option<String> {
    let registry = registry.filter(|registry| registry.host == image.registry)?;
    tag_commit(service, registry, image, &tags::commit_tag(commit?)).await
}

fn copy_summary(copied: &CopySummary) -> String {
    let CopySummary { existing: there, mounted, sent, sent_bytes: bytes } = copied;
    format!("{sent} parts sent ({} MB), {mounted} mounted, {there} there already", bytes >> 20)
}

/// Copies an image, within the time that is not kept for a rollback.
async fn copy_with_timeout(
    ctx: &RunContext,
    service: &str,
    from: &RepositoryClient,
    to: &RepositoryClient,
    digest: &Digest,
) -> Result<CopySummary, Problem> {
    ctx.log
        .info(Some(service), &format!("copying {}… from {} to {}", digest.short(), from.name(), to.name()));
    let left =
        ctx.inputs.timeout.saturating_sub(ctx.rollback_reserve()).saturating_sub(ctx.io.clock.elapsed());
    let tell = |words: &str| ctx.log.info(Some(service), words);
    match tokio::time::timeout(left, image::copy_image(from, to, digest, &tell)).await {
        Ok(copied) => copied,
        Err(_) => Err(Problem::error(
            Code::TimedOut,
            "The image was not copied in the time given; nothing was released.",
        )
        .help("Give the input `timeout` more. Run the job again. Blobs that arrived are not sent again.")),
    }
}

/// The tag of the commit names the image here, too, for people, for lifecycle policies and for later runs. What is
/// deployed is the digest: without the tag nothing but a name is missing.
async fn tag_commit(
    service: &mut ServiceRun,
    registry: &EnvironmentRegistry,
    image: &ImageRef,
    tag: &str,
) -> Option<String> {
    let known = registry.client.tags(image).await.unwrap_or_default();
    if known.iter().any(|known| known == tag) {
        return Some(tag.to_owned());
    }
    match registry.client.tag(image, tag).await {
        Ok(()) => Some(tag.to_owned()),
        Err(problem) => {
            let sentence =
                format!("The tag `{tag}` could not be put on `{image}`; it is deployed by its digest.");
            let notice = Problem::notice(problem.code, sentence).cause(problem.to_string());
            service.report.problems.push(notice.for_service(service.name()));
            None
        }
    }
}
