//! Brings a proven image into the registry of this environment: it is there, it is copied, or it is used where it is.
//! All sources are read before the first copy.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::image::{CopySummary, LoginSource, Registry, RepositoryClient, tags};
use crate::problem::{Code, Problem};
use crate::release::{Digest, ImageRef, ecr_repository};
use crate::run::context::RunContext;
use crate::run::prepare::pushed_images::PushedImages;
use crate::run::refusal;
use crate::run::registry::RunRegistries;
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
    /// In the repository of this environment.
    AlreadyPresent(PresentImage),
    /// In another repository.
    Copy { from: Box<RepositoryClient>, to: Box<RepositoryClient>, present: PresentImage },
}

/// An image in the repository of this environment.
struct PresentImage {
    /// The image, by digest.
    image: ImageRef,
    registry: Rc<dyn Registry>,
    /// The tag that names its commit there; `None` if the commit is not known.
    commit_tag: Option<String>,
}

/// What is done with one image of a service.
struct PlannedCopy {
    /// The further container that gets it; `None` for the image of the service.
    container: Option<String>,
    proven: ProvenImage,
    action: CopyAction,
}

/// Gives each open service its images, by digest. `promoted` are theirs, in their order. A service whose image cannot be
/// brought is refused; in an atomic run nothing more is copied then.
pub(in crate::run) async fn copy_all(
    ctx: &RunContext,
    declared: &RunConfig,
    source: &str,
    registries: &RunRegistries<'_>,
    services: &mut [ServiceRun],
    promoted: &[PromotedImage],
) {
    let copy_source = CopySource {
        ctx,
        config: declared,
        source_environment: source,
        registries,
        pushed: PushedImages::read(ctx, declared),
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
            Ok(planned) => copy_service(ctx, service, promoted_image, planned).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = copied {
            is_broken |= is_atomic;
            refusal::refuse(ctx, service, problem);
        }
    }
}

/// What is known of the ways to an image.
struct CopySource<'r> {
    ctx: &'r RunContext,
    config: &'r RunConfig,
    /// The environment that proved it.
    source_environment: &'r str,
    registries: &'r RunRegistries<'r>,
    /// What all services of the deploy file push in this environment.
    pushed: PushedImages,
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
            let action = match repository {
                Some(repository) => {
                    let commit_tag = promoted.commit.as_deref().map(|commit| {
                        let suffix = self.pushed.tag_suffix(service.name(), repository);
                        tags::commit_tag(commit, suffix.as_deref())
                    });
                    self.plan_copy(repository, commit_tag, proven).await?
                }
                None => {
                    self.readable_repository(&proven.image, &proven.digest).await?;
                    CopyAction::UseOriginal
                }
            };
            planned.push(PlannedCopy { container, proven: proven.clone(), action });
        }
        Ok(planned)
    }

    async fn plan_copy(
        &self,
        repository: &str,
        commit_tag: Option<String>,
        promoted_image: &ProvenImage,
    ) -> Result<CopyAction, Problem> {
        // The emulator has no registry but ECR.
        if self.ctx.rehearsal && ecr_repository(repository).is_none() {
            return Ok(CopyAction::UseOriginal);
        }
        let own = self.registries.repository(repository).await?;
        let image = own.name.with_digest(promoted_image.digest.clone());
        let present = PresentImage { image, registry: own.registry, commit_tag };
        if present.image.name() == promoted_image.image.name() {
            let found = present.registry.find(&present.image).await?;
            return found
                .map(|_| CopyAction::AlreadyPresent(present))
                .ok_or_else(|| image_missing_problem(&promoted_image.image, self.source_environment));
        }
        let to = self.repository_client(&present.image, present.registry.clone());
        if to.manifest(&promoted_image.digest).await?.is_some() {
            return Ok(CopyAction::AlreadyPresent(present));
        }
        match self.readable_repository(&promoted_image.image, &promoted_image.digest).await? {
            Some(from) => Ok(CopyAction::Copy { from: Box::new(from), to: Box::new(to), present }),
            None => Ok(CopyAction::UseOriginal),
        }
    }

    fn repository_client(&self, image: &ImageRef, logins: Rc<dyn LoginSource>) -> RepositoryClient {
        RepositoryClient::new(HttpClient::new(self.ctx.io.http.clone()), image, logins)
    }

    /// The repository of the proof, where this run may read it: with its own role, or else with that of the environment
    /// that proved it. `None` where the registry is none of AWS's accounts, so that nobody here has a login for it.
    async fn readable_repository(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<Option<RepositoryClient>, Problem> {
        if !self.registries.is_own(image) {
            return self.elsewhere(image, digest).await;
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

    /// A repository outside of ECR, if there is a login for it. Without one the image is used where it is.
    async fn elsewhere(
        &self,
        image: &ImageRef,
        digest: &Digest,
    ) -> Result<Option<RepositoryClient>, Problem> {
        let has_login = self.registries.access().logins.get(&image.registry).is_some();
        if !has_login || self.ctx.rehearsal {
            return Ok(None);
        }
        let client = self.repository_client(image, self.registries.login_source(&image.registry));
        match client.manifest(digest).await {
            Ok(Some(_)) => Ok(Some(client)),
            Ok(None) => Err(image_missing_problem(image, self.source_environment)),
            Err(problem) if is_access_error(&problem) => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    /// A login with the run's own credentials. A token of ECR opens the registries of its own region.
    async fn own_login(&self, image: &ImageRef) -> Result<Option<Rc<dyn LoginSource>>, Problem> {
        let Some(session) = self.registries.session() else { return Ok(None) };
        let own = self.registries.own().await?;
        if own.host == image.registry {
            return Ok(Some(own.client.clone()));
        }
        let Some(region) = image::ecr::region_of_host(&image.registry) else { return Ok(None) };
        let region = aws_config::Region::new(region.to_owned());
        let there = session.clone().into_builder().region(region).build();
        let opened = registry::open_registry(self.ctx, &there).await?;
        Ok(Some(opened.client))
    }

    /// A login with the role of the environment that proved the image.
    async fn source_login(&self, image: &ImageRef) -> Result<Option<Rc<dyn LoginSource>>, Problem> {
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
        Ok((registry.host == image.registry).then_some(registry.client as Rc<dyn LoginSource>))
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
) -> Result<(), Problem> {
    for PlannedCopy { container, proven, action } in planned {
        let present = copy_one(ctx, service, &proven, action).await?;
        let tag = match &present {
            Some(present) => tag_commit(service, present).await,
            None => None,
        };
        let image = present.map_or(proven.image, |present| present.image);
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

/// The image in the repository of this environment; `None` if it is used where it is.
async fn copy_one(
    ctx: &RunContext,
    service: &mut ServiceRun,
    proven: &ProvenImage,
    action: CopyAction,
) -> Result<Option<PresentImage>, Problem> {
    Ok(match action {
        CopyAction::UseOriginal => None,
        CopyAction::AlreadyPresent(present) => Some(present),
        CopyAction::Copy { from, to, present } => {
            let copied = copy_with_timeout(ctx, service, &from, &to, &proven.digest).await?;
            let words = format!("copied from {} to {}: {}", from.name(), to.name(), copy_summary(&copied));
            ctx.log.info(Some(service.name()), &words);
            service.report.add_timeline_entry(ctx.io.clock.now(), words);
            Some(present)
        }
    })
}

fn copy_summary(copied: &CopySummary) -> String {
    let CopySummary { existing: there, mounted, sent, sent_bytes: bytes } = copied;
    format!("{sent} parts sent ({} MB), {mounted} mounted, {there} there already", bytes >> 20)
}

/// Copies an image, within the time that neither the rollout nor a rollback needs.
async fn copy_with_timeout(
    ctx: &RunContext,
    service: &ServiceRun,
    from: &RepositoryClient,
    to: &RepositoryClient,
    digest: &Digest,
) -> Result<CopySummary, Problem> {
    let tell = |words: &str| ctx.log.info(Some(service.name()), words);
    tell(&format!("copying {}… from {} to {}", digest.short(), from.name(), to.name()));
    let left = service.time_before_rollout(ctx);
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
async fn tag_commit(service: &mut ServiceRun, present: &PresentImage) -> Option<String> {
    let PresentImage { image, registry, commit_tag } = present;
    let tag = commit_tag.as_deref()?;
    let known = registry.tags(image).await.unwrap_or_default();
    if known.iter().any(|known| known == tag) {
        return Some(tag.to_owned());
    }
    match registry.tag(image, tag).await {
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
