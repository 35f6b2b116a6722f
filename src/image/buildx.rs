//! Builds with buildx and the Docker engine: the order of calls. `buildx_arguments` makes the arguments,
//! `build_error` classifies errors, and `docker_config` stores the secrets.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;

use super::base_images::{self, BaseImage};
use super::build_error::{self, BuildError};
use super::builder::{BuildLog, BuildOutput, BuildRequest, ImageBuilder};
use super::builder_network;
use super::buildx_arguments::{self, BuildCall};
use super::docker_config::{self, DockerConfigDir};
use super::ecr;
use super::gha_cache::GhaCache;
use super::registry::Registry;
use super::registry_logins::RegistryAccess;
use super::settings::Cache;
use super::{metadata, source_digest, tags};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Digest, ImageRef};
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::process::{self, ExitResult, ProcessSpec};

/// Maximum retries of a run that may succeed soon; the backoff doubles from one second.
const MAX_RETRIES: u32 = 4;

/// How many of the last lines of buildx are kept to explain a failure.
const MAX_KEPT_LINES: usize = 400;

/// Where packages install the plugin, in the order of the docker command line.
const PLUGIN_FOLDERS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// Builds with buildx, pushes with a login of `registry`, and verifies the pushed image by reading `registry`.
pub struct Buildx {
    variables: Variables,
    registry: Rc<dyn Registry>,
    /// Logins for base images, and how their registries are reached.
    access: RegistryAccess,
    mask: Rc<dyn Fn(&str)>,
    /// Builds in progress, so that `close` can remove what they created.
    open_sessions: RefCell<Vec<Rc<BuildxSession>>>,
}

/// One build: its Docker config folder, the program, and the container builder if it needs one.
struct BuildxSession {
    program: String,
    home: DockerConfigDir,
    environment: Variables,
    builder: Option<String>,
}

impl Buildx {
    /// `variables` is our environment, of which buildx gets an allowed part; `registry` is that of the image, `access` leads
    /// to those of base images; `mask` receives every secret before use.
    pub fn new(
        variables: Variables,
        registry: Rc<dyn Registry>,
        access: RegistryAccess,
        mask: Rc<dyn Fn(&str)>,
    ) -> Self {
        Self { variables, registry, access, mask, open_sessions: RefCell::default() }
    }

    /// What makes another image of the same source: newer base images with `pull`, every run with `no-cache`.
    async fn rebuild_reasons(&self, request: &BuildRequest, log: BuildLog<'_>) -> Vec<String> {
        if request.settings.no_cache {
            return vec![unique_word()];
        }
        if !request.settings.pull {
            return Vec::new();
        }
        let mut reasons = Vec::new();
        for base in base_images::resolve(request, &self.registry, &self.access).await {
            reasons.push(match base {
                BaseImage::Resolved(image) => {
                    log(&format!("Base image: {image}"));
                    image
                }
                BaseImage::Unknown(why) => {
                    log(&format!(
                        "The image is built anew, because the digest of a base image is not known: {why}."
                    ));
                    unique_word()
                }
            });
        }
        reasons
    }

    async fn find_built(&self, request: &BuildRequest, tag: &str) -> Result<Option<Digest>, Problem> {
        let found = self.registry.find(&request.repository.with_tag(tag)).await?;
        Ok(found.map(|found| found.digest))
    }

    /// The image of the same source. Registries that create a repository with its first push refuse reads before: then nothing
    /// is there, or the push says what is wrong.
    async fn find_reusable(
        &self,
        request: &BuildRequest,
        tag: &str,
        log: BuildLog<'_>,
    ) -> Result<Option<Digest>, Problem> {
        let is_ecr = ecr::region_of_host(&request.repository.registry).is_some();
        match self.find_built(request, tag).await {
            Err(problem) if !is_ecr && problem.code == Code::RegistryLoginFailed => {
                log(&format!("{} The image is built.", problem.sentence));
                Ok(None)
            }
            found => found,
        }
    }

    /// Builds and pushes under `tag` and returns the digest that buildx reports.
    async fn build_and_push(
        &self,
        request: &BuildRequest,
        tag: &str,
        log: BuildLog<'_>,
    ) -> Result<Digest, Problem> {
        let session = Rc::new(self.open_session(request)?);
        self.log_in(&session).await?;
        let settings = &request.settings;
        let secrets = session.home.store(
            &settings.parse_secrets()?,
            &request.workspace,
            &self.variables,
            &*self.mask,
        )?;
        self.open_sessions.borrow_mut().push(Rc::clone(&session));
        let call = BuildCall {
            request,
            tags: &[tag.to_owned()],
            metadata_file: &session.home.metadata_file(),
            secrets: &secrets,
            builder: session.builder.as_deref(),
            variables: &session.environment,
        };
        let made = self.build_with_retries(&session, &call, log).await;
        self.open_sessions.borrow_mut().retain(|other| !Rc::ptr_eq(other, &session));
        session.remove_builder().await;
        made
    }

    fn open_session(&self, request: &BuildRequest) -> Result<BuildxSession, Problem> {
        let program = find_buildx(&self.variables, disk::is_executable).ok_or_else(|| {
            Problem::error(Code::DockerUnavailable, "The program docker-buildx is not installed.")
                .help("Install Docker's buildx plugin. The image of this action contains it.")
        })?;
        let home = DockerConfigDir::new()?;
        let variables = builder_network::prepare_variables(&self.variables, &home)?;
        let environment =
            buildx_arguments::child_environment(&variables, home.path(), request.settings.cache);
        let name = || format!("roadstead-{:016x}", fastrand::u64(..));
        let builder = request.settings.needs_container_builder().then(name);
        Ok(BuildxSession { program, home, environment, builder })
    }

    async fn log_in(&self, session: &BuildxSession) -> Result<(), Problem> {
        let own = self.registry.login().await?;
        let inherited = docker_config::inherited_config(&self.variables);
        // The login of the registry that is pushed to wins.
        let logins = self.access.logins.iter().chain(own.as_ref());
        session.home.write_logins(logins, inherited.as_deref(), &*self.mask)
    }

    async fn build_with_retries(
        &self,
        session: &BuildxSession,
        call: &BuildCall<'_>,
        log: BuildLog<'_>,
    ) -> Result<Digest, Problem> {
        if let Some(name) = &session.builder {
            session.create_builder(name, call, log).await?;
        }
        let (mut retries, mut renewed) = (0, false);
        loop {
            match session.run_and_classify(call, buildx_arguments::build_arguments(call), log).await {
                Ok(()) => return session.pushed_digest(),
                Err(BuildError::Transient(problem)) if retries < MAX_RETRIES => {
                    let wait = Duration::from_millis((1000 << retries) + fastrand::u64(..500));
                    retries += 1;
                    log(&format!("{} Trying again in {} s.", problem.sentence, wait.as_secs()));
                    tokio::time::sleep(wait).await;
                }
                Err(BuildError::LoginRefused(problem)) if !renewed => {
                    renewed = true;
                    log(&format!("{} Trying again with a new login.", problem.sentence));
                    self.log_in(session).await?;
                }
                Err(failure) => return Err(failure.into_problem()),
            }
        }
    }

    /// The registry must have the digest, whatever the push reported.
    async fn verify_pushed(&self, request: &BuildRequest, digest: &Digest) -> Result<(), Problem> {
        let image = request.repository.with_digest(digest.clone());
        for wait in [0, 1, 2, 4] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            if self.registry.find(&image).await?.is_some_and(|found| found.digest == *digest) {
                return Ok(());
            }
        }
        let sentence = format!("The push succeeded, but the registry does not have `{image}`.");
        Err(Problem::error(Code::PushFailed, sentence).for_service(&request.service))
    }

    /// Adds its other tags to the image: nothing is pushed again.
    async fn tag_image(
        &self,
        request: &BuildRequest,
        image: ImageRef,
        tree: String,
        reused: bool,
    ) -> Result<BuildOutput, Problem> {
        let mut built =
            BuildOutput { image, tags: vec![tree], reused, notices: cache_warnings(self, request) };
        for tag in wanted_tags(request) {
            match self.registry.tag(&built.image, &tag.name).await {
                Ok(()) if built.tags.contains(&tag.name) => {}
                Ok(()) => built.tags.push(tag.name),
                Err(problem) => match tag.if_immutable.filter(|_| problem.code == Code::TagImmutable) {
                    Some(severity) => {
                        let problem = Problem { severity, ..problem }.help(
                            "The image is released by its digest, without this tag. To move the tag, make the repository's \
                             tags mutable.",
                        );
                        built.notices.push(problem.for_service(&request.service));
                    }
                    None => return Err(explain_tag_conflict(problem).for_service(&request.service)),
                },
            }
        }
        Ok(built)
    }
}

/// A tag that an image gets after its push.
struct WantedTag {
    name: String,
    /// How much it matters if it names another image and is immutable; `None` if that ends the run.
    if_immutable: Option<Severity>,
}

/// The tags of commit, branch and deploy file. An image that was built again has the commit of another one.
fn wanted_tags(request: &BuildRequest) -> Vec<WantedTag> {
    let commit = request.settings.can_rebuild().then_some(Severity::Notice);
    let mut tags = vec![WantedTag { name: request.commit_tag(), if_immutable: commit }];
    let branch = request.branch_tag().into_iter();
    tags.extend(branch.map(|name| WantedTag { name, if_immutable: Some(Severity::Notice) }));
    let release = request.release_tags().into_iter();
    tags.extend(release.map(|name| WantedTag { name, if_immutable: Some(Severity::Warning) }));
    tags
}

fn cache_warnings(buildx: &Buildx, request: &BuildRequest) -> Vec<Problem> {
    let uses_gha = request.settings.cache == Cache::Gha;
    let warning = uses_gha.then(|| GhaCache::from_variables(&buildx.variables).warning()).flatten();
    warning.into_iter().map(|problem| problem.for_service(&request.service)).collect()
}

/// A word that occurs once, so that nothing is taken for the same.
fn unique_word() -> String {
    format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

fn explain_tag_conflict(problem: Problem) -> Problem {
    if problem.code != Code::TagImmutable {
        return problem;
    }
    problem.help(
        "The same commit was built before from other sources (other arguments, or files created during the job). \
         Make the repository's tags mutable, or use a separate repository for each kind of build.",
    )
}

impl BuildxSession {
    /// Creates the container builder. buildx starts it with the first build.
    async fn create_builder(
        &self,
        name: &str,
        call: &BuildCall<'_>,
        log: BuildLog<'_>,
    ) -> Result<(), Problem> {
        let dockerfile = disk::read_text(&call.request.dockerfile()).unwrap_or_default();
        builder_network::write_daemon_config(&self.home, &call.request.repository, &dockerfile)?;
        let words = buildx_arguments::create_builder_arguments(name, call.request, &self.environment);
        self.run_and_classify(call, words, log).await.map_err(BuildError::into_problem)?;
        builder_network::add_secret_proxies(self.home.path(), name, &self.environment)
    }

    /// Runs buildx once. If it could not be started, that is final.
    async fn run_and_classify(
        &self,
        call: &BuildCall<'_>,
        words: Vec<String>,
        log: BuildLog<'_>,
    ) -> Result<(), BuildError> {
        let mut last = Vec::new();
        let mut keep = |line: &str| {
            log(line);
            if last.len() >= 2 * MAX_KEPT_LINES {
                last.drain(..MAX_KEPT_LINES);
            }
            last.push(line.to_owned());
        };
        let ended = self.run(words, &mut keep).await.map_err(BuildError::Final)?;
        if ended.is_success() {
            return Ok(());
        }
        let dockerfile = disk::read_text(&call.request.dockerfile()).unwrap_or_default();
        Err(build_error::classify_output(call.request, &last, ended, &dockerfile))
    }

    async fn run(&self, arguments: Vec<String>, line: BuildLog<'_>) -> Result<ExitResult, Problem> {
        let environment = self.environment.clone();
        let child = ProcessSpec { program: self.program.clone(), arguments, environment, input: Vec::new() };
        process::run(&child, |_, text| line(&text)).await.map_err(|error| {
            Problem::error(Code::DockerUnavailable, "buildx could not be run.").cause(format!("{error:#}"))
        })
    }

    fn pushed_digest(&self) -> Result<Digest, Problem> {
        let text = disk::read_text(&self.home.metadata_file()).map_err(|error| format!("{error:#}"));
        text.and_then(|text| metadata::parse_pushed_digest(&text)).map_err(|cause| {
            Problem::error(Code::PushFailed, "buildx did not report the pushed digest.").cause(cause)
        })
    }

    /// Removes the container builder and its cache; a failure to remove it does not affect the image.
    async fn remove_builder(&self) {
        if let Some(name) = &self.builder {
            let _ = self.run(buildx_arguments::remove_builder_arguments(name), &mut |_| ()).await;
        }
    }
}

#[async_trait(?Send)]
impl ImageBuilder for Buildx {
    async fn build(&self, request: &BuildRequest, log: BuildLog<'_>) -> Result<BuildOutput, Problem> {
        let reasons = self.rebuild_reasons(request, log).await;
        let tree = tags::source_tag(&source_digest::source_digest(request, &reasons)?);
        if let Some(digest) = self.find_reusable(request, &tree, log).await? {
            log(&format!("The repository already has an image of this source: {digest}."));
            return self.tag_image(request, request.repository.with_digest(digest), tree, true).await;
        }
        match self.build_and_push(request, &tree, log).await {
            Ok(digest) => {
                self.verify_pushed(request, &digest).await?;
                self.tag_image(request, request.repository.with_digest(digest), tree, false).await
            }
            // The tag of this source exists anyway: another run pushed it in the meantime (if tags are immutable,
            // BuildKit reports that as `400 Bad Request` only), or the response to our push was lost.
            Err(problem) if matches!(problem.code, Code::TagImmutable | Code::PushFailed) => {
                let Ok(Some(digest)) = self.find_built(request, &tree).await else { return Err(problem) };
                self.tag_image(request, request.repository.with_digest(digest), tree, true).await
            }
            Err(problem) => Err(problem),
        }
    }

    async fn clean_up(&self) {
        let open = self.open_sessions.take();
        for session in open {
            session.remove_builder().await;
        }
    }
}

/// The path of buildx: on the PATH, or in a plugin folder of docker.
fn find_buildx(variables: &Variables, is_program: impl Fn(&std::path::Path) -> bool) -> Option<String> {
    let path = variables.get("PATH").map(String::as_str).unwrap_or_default();
    let home = variables.get("HOME").map(|home| PathBuf::from(home).join(".docker/cli-plugins"));
    let plugins = PLUGIN_FOLDERS.iter().map(PathBuf::from).chain(home);
    path.split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(PathBuf::from)
        .chain(plugins)
        .map(|folder| folder.join("docker-buildx"))
        .find(|program| is_program(program))
        .map(|program| program.display().to_string())
}

#[cfg(test)]
#[path = "buildx_tests.rs"]
mod tests;
