//! The branches that the services of a run are written to: one for all services that share it, so that they share its
//! reads and its commit.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::queue::Queue;
use crate::github::{Hub, Setback, Snapshot, Wanted};
use crate::problem::{Code, Problem};
use crate::targets::{Origin, Place};

/// Commits of ours that are looked through for the record of a service.
const DEPTH: usize = 50;

/// How often a branch is looked at again while its rollout is watched.
const WHILE: Duration = Duration::from_secs(30);

/// Repository and branch; no branch is the repository's default one.
type Key = (String, Option<String>);

/// All branches of a run.
pub struct Depots {
    http: SharedHttpClient,
    origin: Origin,
    all: RefCell<BTreeMap<Key, Rc<Depot>>>,
}

impl Depots {
    /// None yet.
    pub fn new(place: &Place<'_>) -> Self {
        Self { http: place.http.clone(), origin: place.origin.clone(), all: RefCell::default() }
    }

    /// The branch, which from now on is read with these paths too.
    pub fn open(
        &self,
        repository: &str,
        branch: Option<&str>,
        paths: &[String],
    ) -> Result<Rc<Depot>, Problem> {
        let key = (repository.to_owned(), branch.map(str::to_owned));
        let known = self.all.borrow().get(&key).cloned();
        let depot = match known {
            Some(depot) => depot,
            None => Rc::new(Depot::new(self.hub(repository)?, key.clone(), self.origin.run_url.clone())),
        };
        depot.paths.borrow_mut().extend(paths.iter().cloned());
        self.all.borrow_mut().insert(key, depot.clone());
        Ok(depot)
    }

    fn hub(&self, repository: &str) -> Result<Hub, Problem> {
        let token = self.origin.manifests_token.as_deref().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| {
            let sentence = format!("There is no token to read and write `{repository}` with.");
            Problem::error(Code::CredentialsMissing, sentence)
                .help("Give the input `manifests-token` (for another repository) or `github-token`; on a laptop GITHUB_TOKEN.")
        })?;
        Hub::new(self.http.clone(), &self.origin.addresses, token)
    }
}

/// One branch.
pub struct Depot {
    pub(super) hub: Hub,
    pub(super) repository: String,
    pub(super) run_url: Option<String>,
    branch: Option<String>,
    paths: RefCell<BTreeSet<String>>,
    seen: Mutex<Option<Rc<Snapshot>>>,
    read_at: Cell<Option<Instant>>,
    pub(super) queue: Queue,
}

impl Depot {
    fn new(hub: Hub, (repository, branch): Key, run_url: Option<String>) -> Self {
        let (paths, seen, read_at, queue) =
            (RefCell::default(), Mutex::default(), Cell::default(), Queue::default());
        Self { hub, repository, run_url, branch, paths, seen, read_at, queue }
    }

    /// The branch as it was last seen; read when it never was.
    pub async fn seen(&self) -> Result<Rc<Snapshot>, Setback> {
        let mut seen = self.seen.lock().await;
        if let Some(snapshot) = seen.as_ref() {
            return Ok(snapshot.clone());
        }
        let snapshot = Rc::new(self.read().await?);
        *seen = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// The branch as it is now.
    pub async fn fresh(&self) -> Result<Rc<Snapshot>, Setback> {
        let snapshot = Rc::new(self.read().await?);
        *self.seen.lock().await = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// What was seen is known to be of the past: the next one who asks reads anew.
    pub async fn forget(&self) {
        *self.seen.lock().await = None;
    }

    /// The branch as it is now, when it was not looked at for a while; `None` where it was, or cannot be read.
    pub async fn now_and_then(&self) -> Option<Rc<Snapshot>> {
        let due = self.read_at.get().is_none_or(|at| at.elapsed() >= WHILE);
        if due { self.fresh().await.ok() } else { None }
    }

    async fn read(&self) -> Result<Snapshot, Setback> {
        self.read_at.set(Some(Instant::now()));
        let paths = self.paths.borrow().iter().cloned().collect();
        let (repository, branch) = (self.repository.clone(), self.branch.clone());
        self.hub.snapshot(&Wanted { repository, branch, paths, depth: DEPTH }).await
    }
}
