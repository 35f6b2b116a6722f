//! Building with buildx and the Docker engine: the order of calls. What is said to buildx is `arguments`, what it
//! answers is `failure`, and where secrets lie is `login`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;

use super::arguments::{self, BuildCall};
use super::builder::{BuildRequest, Builder, Built, Log};
use super::failure::{self, Failure};
use super::login::PrivateHome;
use super::registry::Registry;
use super::{metadata, tags, tree};
use crate::problem::{Code, Problem, Severity};
use crate::release::{Digest, ImageRef};
use crate::sys::disk;
use crate::sys::environment::Variables;
use crate::sys::process::{self, Child, Ended};

/// How often a run that may succeed in a moment is tried again; the wait doubles from one second.
const RETRIES: u32 = 4;

/// How many of the last lines of buildx are kept to explain a failure.
const KEPT: usize = 400;

/// Where packages put the plugin, in the order of the docker command line.
const FOLDERS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// Builds with buildx, pushes with a login of `registry`, and proves what was pushed by asking `registry`.
pub struct Buildx {
    variables: Variables,
    registry: Rc<dyn Registry>,
    mask: Rc<dyn Fn(&str)>,
    /// Builds that are under way, so that `close` can remove what they made.
    open: RefCell<Vec<Rc<Session>>>,
}

/// One build: its private home, the program, and the container builder if it needs one.
struct Session {
    program: String,
    home: PrivateHome,
    environment: Variables,
    builder: Option<String>,
}

impl Buildx {
    /// `variables` is our environment, of which buildx sees an allowed part; `mask` gets every secret before use.
    pub fn new(variables: Variables, registry: Rc<dyn Registry>, mask: Rc<dyn Fn(&str)>) -> Self {
        Self { variables, registry, mask, open: RefCell::default() }
    }

    async fn reuse(&self, request: &BuildRequest, tag: &str) -> Result<Option<Digest>, Problem> {
        let found = self.registry.find(&request.repository.tagged(tag)).await?;
        Ok(found.map(|found| found.digest))
    }

    /// Builds and pushes under `tag` and returns the digest that buildx reports.
    async fn make(&self, request: &BuildRequest, tag: &str, log: Log<'_>) -> Result<Digest, Problem> {
        let session = Rc::new(self.session(request)?);
        self.log_in(&session).await?;
        let settings = &request.settings;
        let secrets =
            session.home.keep(&settings.read_secrets()?, &request.workspace, &self.variables, &*self.mask)?;
        self.open.borrow_mut().push(Rc::clone(&session));
        let call = BuildCall {
            request,
            tags: &[tag.to_owned()],
            metadata: &session.home.metadata(),
            secrets: &secrets,
            builder: session.builder.as_deref(),
            variables: &self.variables,
        };
        let made = self.attempts(&session, &call, log).await;
        self.open.borrow_mut().retain(|other| !Rc::ptr_eq(other, &session));
        session.remove_builder().await;
        made
    }

    fn session(&self, request: &BuildRequest) -> Result<Session, Problem> {
        let program = program(&self.variables, disk::is_executable).ok_or_else(|| {
            Problem::error(Code::BuilderMissing, "The program docker-buildx is not installed.")
                .help("Install Docker's buildx plugin; the image of this action holds it.")
        })?;
        let home = PrivateHome::new()?;
        let environment = arguments::environment(&self.variables, home.path(), request.settings.cache);
        let name = || format!("roadstead-{:016x}", fastrand::u64(..));
        let builder = request.settings.needs_container_builder().then(name);
        Ok(Session { program, home, environment, builder })
    }

    async fn log_in(&self, session: &Session) -> Result<(), Problem> {
        let login = self.registry.login().await?;
        let folder = |name: &str, below: &str| Some(PathBuf::from(self.variables.get(name)?).join(below));
        let candidates = [folder("DOCKER_CONFIG", "config.json"), folder("HOME", ".docker/config.json")];
        let inherited = candidates.into_iter().flatten().find_map(|path| disk::read_text(&path).ok());
        session.home.log_in(&login, inherited.as_deref(), &*self.mask)
    }

    async fn attempts(
        &self,
        session: &Session,
        call: &BuildCall<'_>,
        log: Log<'_>,
    ) -> Result<Digest, Problem> {
        if let Some(name) = &session.builder {
            let words = arguments::create(name, call.request, &self.variables);
            session.attempt(call, words, log).await?.map_err(Failure::problem)?;
        }
        let (mut retries, mut renewed) = (0, false);
        loop {
            match session.attempt(call, arguments::build(call), log).await? {
                Ok(()) => return session.digest(),
                Err(Failure::Transient(problem)) if retries < RETRIES => {
                    let wait = Duration::from_millis((1000 << retries) + fastrand::u64(..500));
                    retries += 1;
                    log(&format!("{} Trying again in {} s.", problem.sentence, wait.as_secs()));
                    tokio::time::sleep(wait).await;
                }
                Err(Failure::LoginRefused(problem)) if !renewed => {
                    renewed = true;
                    log(&format!("{} Trying again with a new login.", problem.sentence));
                    self.log_in(session).await?;
                }
                Err(failure) => return Err(failure.problem()),
            }
        }
    }

    /// The registry itself must know the digest, whatever the push said.
    async fn prove(&self, request: &BuildRequest, digest: &Digest) -> Result<(), Problem> {
        let image = request.repository.pinned(digest.clone());
        for wait in [0, 1, 2, 4] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            if self.registry.find(&image).await?.is_some_and(|found| found.digest == *digest) {
                return Ok(());
            }
        }
        let sentence = format!("The push was reported as done, but the registry does not have `{image}`.");
        Err(Problem::error(Code::PushFailed, sentence).of(&request.service))
    }

    /// Lets commit and branch name the image. A commit's tag that names another image is an error, a branch's
    /// that may not move is a notice.
    async fn name(
        &self,
        request: &BuildRequest,
        image: ImageRef,
        tree: String,
        reused: bool,
    ) -> Result<Built, Problem> {
        let mut built = Built { image, tags: vec![tree], reused, notices: Vec::new() };
        let commit = tags::of_commit(&request.commit);
        self.registry
            .tag(&built.image, &commit)
            .await
            .map_err(|problem| other_image(problem).of(&request.service))?;
        built.tags.push(commit);
        if let Some(branch) = request.branch.as_deref().and_then(tags::of_branch) {
            match self.registry.tag(&built.image, &branch).await {
                Ok(()) => built.tags.push(branch),
                Err(problem) if problem.code == Code::TagImmutable => {
                    let notice = Problem { severity: Severity::Notice, ..problem };
                    built.notices.push(notice.of(&request.service));
                }
                Err(problem) => return Err(problem.of(&request.service)),
            }
        }
        Ok(built)
    }
}

fn other_image(problem: Problem) -> Problem {
    if problem.code != Code::TagImmutable {
        return problem;
    }
    problem.help(
        "The same commit was built from other source before (other arguments, or files made during the job). \
         Let tags move, or give each kind of build a repository of its own.",
    )
}

impl Session {
    /// Runs buildx once. The outer error means that it could not be run at all.
    async fn attempt(
        &self,
        call: &BuildCall<'_>,
        words: Vec<String>,
        log: Log<'_>,
    ) -> Result<Result<(), Failure>, Problem> {
        let mut last = Vec::new();
        let mut keep = |line: &str| {
            log(line);
            if last.len() >= 2 * KEPT {
                last.drain(..KEPT);
            }
            last.push(line.to_owned());
        };
        let ended = self.run(words, &mut keep).await?;
        if ended.success() {
            return Ok(Ok(()));
        }
        let dockerfile = disk::read_text(&call.request.dockerfile()).unwrap_or_default();
        Ok(Err(failure::read(call.request, &last, ended, &dockerfile)))
    }

    async fn run(&self, arguments: Vec<String>, line: Log<'_>) -> Result<Ended, Problem> {
        let environment = self.environment.clone();
        let child = Child { program: self.program.clone(), arguments, environment, input: Vec::new() };
        process::run(&child, |_, text| line(&text)).await.map_err(|error| {
            Problem::error(Code::BuilderMissing, "buildx could not be run.").cause(format!("{error:#}"))
        })
    }

    fn digest(&self) -> Result<Digest, Problem> {
        let text = disk::read_text(&self.home.metadata()).map_err(|error| format!("{error:#}"));
        text.and_then(|text| metadata::digest(&text)).map_err(|cause| {
            Problem::error(Code::PushFailed, "buildx did not say which digest it pushed.").cause(cause)
        })
    }

    /// The container builder goes with all it keeps; a failure to remove it says nothing about the image.
    async fn remove_builder(&self) {
        if let Some(name) = &self.builder {
            let _ = self.run(arguments::remove(name), &mut |_| ()).await;
        }
    }
}

#[async_trait(?Send)]
impl Builder for Buildx {
    async fn build(&self, request: &BuildRequest, log: Log<'_>) -> Result<Built, Problem> {
        let tree = tags::of_tree(&tree::digest(request)?);
        if let Some(digest) = self.reuse(request, &tree).await? {
            log(&format!("The repository has an image of this source already: {digest}."));
            return self.name(request, request.repository.pinned(digest), tree, true).await;
        }
        match self.make(request, &tree, log).await {
            Ok(digest) => {
                self.prove(request, &digest).await?;
                self.name(request, request.repository.pinned(digest), tree, false).await
            }
            // The tag of this source is there all the same: somebody else pushed it meanwhile (and tags may not
            // move, which BuildKit reports as `400 Bad Request` only), or the answer to our push was lost.
            Err(problem) if matches!(problem.code, Code::TagImmutable | Code::PushFailed) => {
                let Ok(Some(digest)) = self.reuse(request, &tree).await else { return Err(problem) };
                self.name(request, request.repository.pinned(digest), tree, true).await
            }
            Err(problem) => Err(problem),
        }
    }

    async fn close(&self) {
        let open = self.open.take();
        for session in open {
            session.remove_builder().await;
        }
    }
}

/// The path of buildx: on the PATH, or where it lies as a plugin of docker.
fn program(variables: &Variables, is_program: impl Fn(&std::path::Path) -> bool) -> Option<String> {
    let path = variables.get("PATH").map(String::as_str).unwrap_or_default();
    let home = variables.get("HOME").map(|home| PathBuf::from(home).join(".docker/cli-plugins"));
    let plugins = FOLDERS.iter().map(PathBuf::from).chain(home);
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
