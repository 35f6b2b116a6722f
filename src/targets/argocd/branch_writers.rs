//! The branches that a run's services are written to: services with the same branch share its reads and its
//! commits.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::commit_batch::EditQueue;
use crate::github::{ApiError, BranchClient, Snapshot, SnapshotQuery};
use crate::problem::{Code, Problem};
use crate::targets::{RunInfo, TargetContext};

/// Commits that are searched for the record of a service.
const HISTORY_DEPTH: usize = 50;

/// Time between two reads of a branch while its rollout is watched.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// Repository and branch; no branch means the repository's default branch.
type BranchKey = (String, Option<String>);

/// The branches of a run, one writer for each.
pub struct BranchWriters {
    http: SharedHttpClient,
    run: RunInfo,
    by_branch: RefCell<BTreeMap<BranchKey, Rc<BranchWriter>>>,
}

impl BranchWriters {
    /// No branch yet; each is added when a service asks for it.
    pub fn new(place: &TargetContext<'_>) -> Self {
        Self { http: place.http.clone(), run: place.run.clone(), by_branch: RefCell::default() }
    }

    /// The writer of a branch; its snapshots include these paths from now on.
    pub fn branch_for(
        &self,
        repository: &str,
        branch: Option<&str>,
        paths: &[String],
    ) -> Result<Rc<BranchWriter>, Problem> {
        let key = (repository.to_owned(), branch.map(str::to_owned));
        let known = self.by_branch.borrow().get(&key).cloned();
        let depot = match known {
            Some(depot) => depot,
            None => Rc::new(BranchWriter::new(
                self.branch_client(repository)?,
                key.clone(),
                self.run.run_url.clone(),
            )),
        };
        depot.paths.borrow_mut().extend(paths.iter().cloned());
        self.by_branch.borrow_mut().insert(key, depot.clone());
        Ok(depot)
    }

    fn branch_client(&self, repository: &str) -> Result<BranchClient, Problem> {
        let token = self.run.manifests_token.as_deref().filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| {
            let sentence = format!("No token can read and write `{repository}`.");
            Problem::error(Code::CredentialsMissing, sentence)
                .help("Set the input `manifests-token` (for another repository) or `github-token`; on a laptop, set GITHUB_TOKEN.")
        })?;
        BranchClient::new(self.http.clone(), &self.run.addresses, token)
    }
}

/// Reads and writes one branch for all services that share it.
pub struct BranchWriter {
    pub(super) client: BranchClient,
    pub(super) repository: String,
    pub(super) run_url: Option<String>,
    branch: Option<String>,
    paths: RefCell<BTreeSet<String>>,
    default_branch: RefCell<Option<String>>,
    cached_snapshot: Mutex<Option<Rc<Snapshot>>>,
    read_at: Cell<Option<Instant>>,
    pub(super) queue: EditQueue,
}

impl BranchWriter {
    fn new(client: BranchClient, (repository, branch): BranchKey, run_url: Option<String>) -> Self {
        let (paths, cached_snapshot, read_at, queue) =
            (RefCell::default(), Mutex::default(), Cell::default(), EditQueue::default());
        let default_branch = RefCell::default();
        Self { client, repository, run_url, branch, paths, default_branch, cached_snapshot, read_at, queue }
    }

    /// The name of the branch; it is read if the deploy file leaves it to the repository.
    pub async fn branch_name(&self) -> Result<String, ApiError> {
        let known = self.branch.clone().or_else(|| self.default_branch.borrow().clone());
        match known {
            Some(name) => Ok(name),
            None => Ok(self.snapshot().await?.branch.clone()),
        }
    }

    /// The last snapshot of the branch; read if there is none.
    pub async fn snapshot(&self) -> Result<Rc<Snapshot>, ApiError> {
        let mut cached = self.cached_snapshot.lock().await;
        if let Some(snapshot) = cached.as_ref() {
            return Ok(snapshot.clone());
        }
        let snapshot = Rc::new(self.read_snapshot().await?);
        *cached = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// A new snapshot of the branch.
    pub async fn refresh(&self) -> Result<Rc<Snapshot>, ApiError> {
        let snapshot = Rc::new(self.read_snapshot().await?);
        *self.cached_snapshot.lock().await = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// Drops the snapshot because it is outdated; the next caller reads again.
    pub async fn invalidate(&self) {
        *self.cached_snapshot.lock().await = None;
    }

    /// A new snapshot of the branch; `None` if the last one is recent or the branch cannot be read.
    pub async fn poll_snapshot(&self) -> Option<Rc<Snapshot>> {
        let due = self.read_at.get().is_none_or(|at| at.elapsed() >= POLL_INTERVAL);
        if due { self.refresh().await.ok() } else { None }
    }

    async fn read_snapshot(&self) -> Result<Snapshot, ApiError> {
        self.read_at.set(Some(Instant::now()));
        let paths = self.paths.borrow().iter().cloned().collect();
        let (repository, branch) = (self.repository.clone(), self.branch.clone());
        let query = SnapshotQuery { repository, branch, paths, history_depth: HISTORY_DEPTH };
        let snapshot = self.client.snapshot(&query).await?;
        *self.default_branch.borrow_mut() = Some(snapshot.branch.clone());
        Ok(snapshot)
    }
}
