//! Reads branches and commits to them: effects, in the safe order. A commit names the head that was read, and is
//! decided again if the branch has moved; nothing is ever forced, and no write is repeated blindly.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use http::Method;
use serde_json::{Value, json};

use super::addresses::Addresses;
use super::client::{ApiRequest, Client, read_policy};
use super::commit::{self, CreatedCommit, NewCommit};
use super::compare::CommitRelation;
use super::error::ApiError;
use super::reply::with_resource;
use super::snapshot::{
    self, FoundFile, MAX_PATHS_PER_QUERY, RepositoryFile, Snapshot, SnapshotPage, SnapshotQuery,
    SnapshotStart,
};
use super::validate;
use crate::problem::{Code, Problem};
use crate::retry::RetryPolicy;

/// Time limit for reads.
pub(super) const READ_RETRY: RetryPolicy = read_policy(
    Duration::from_secs(60),
    &[
        Duration::from_millis(300),
        Duration::from_millis(900),
        Duration::from_millis(2700),
        Duration::from_secs(8),
        Duration::from_secs(16),
    ],
);
/// How many of the newest commits of a branch are searched for our own.
const MAX_SEARCHED_COMMITS: usize = 100;

/// A client for branches of one GitHub, with a token that can write.
pub struct BranchClient {
    pub(super) client: Client,
}

impl BranchClient {
    /// Must be called inside a runtime. An error if a URL is not valid, or the token has characters that no token has.
    pub fn new(http: SharedHttpClient, addresses: &Addresses, token: &str) -> Result<Self, Problem> {
        let client = Client::new(http, addresses, token).map_err(|why| {
            Problem::error(Code::TokenRefused, "The GitHub token or URL is not valid.").cause(why)
        })?;
        Ok(Self { client })
    }

    /// The branch at one moment: one request for fifty paths, and one for each file whose bytes are not text.
    pub async fn snapshot(&self, wanted: &SnapshotQuery) -> Result<Snapshot, ApiError> {
        snapshot::validate(wanted)?;
        let repository = &wanted.repository;
        let start = wanted.branch.as_deref().map_or(SnapshotStart::DefaultBranch, SnapshotStart::Branch);
        let mut chunks = wanted.paths.chunks(MAX_PATHS_PER_QUERY);
        let first = self
            .snapshot_page(repository, start, chunks.next().unwrap_or_default(), wanted.history_depth)
            .await?;
        let (head, mut found, mut histories) = (first.head, first.files, first.histories);
        for chunk in chunks {
            // The branch may move in between; the commit that is read does not.
            let next = self
                .snapshot_page(repository, SnapshotStart::Commit(&head), chunk, wanted.history_depth)
                .await?;
            found.extend(next.files);
            histories.extend(next.histories);
        }
        let files = self.with_content(repository, found).await?;
        let history = snapshot::merge_histories(histories);
        let (branch, can_push, archived) = (first.branch, first.can_push, first.archived);
        Ok(Snapshot { branch, head, files, history, can_push, archived })
    }

    async fn snapshot_page(
        &self,
        repository: &str,
        start: SnapshotStart<'_>,
        paths: &[String],
        depth: usize,
    ) -> Result<SnapshotPage, ApiError> {
        let (document, variables) = snapshot::query(repository, start, paths, depth);
        let (data, complaints) = self.client.query(&document, variables, READ_RETRY).await?;
        snapshot::parse_page(&data, &complaints, start, paths)
    }

    /// The files that were found, with the missing bytes added.
    async fn with_content(
        &self,
        repository: &str,
        found: Vec<(String, FoundFile)>,
    ) -> Result<BTreeMap<String, RepositoryFile>, ApiError> {
        let mut files = BTreeMap::new();
        for (path, found) in found {
            let file = match found {
                FoundFile::Complete(file) => file,
                FoundFile::BlobOnly { mode, oid } => {
                    RepositoryFile { mode, bytes: self.fetch_blob(repository, &path, &oid).await? }
                }
            };
            files.insert(path, file);
        }
        Ok(files)
    }

    async fn fetch_blob(&self, repository: &str, path: &str, oid: &str) -> Result<Vec<u8>, ApiError> {
        let request =
            ApiRequest::get(format!("/repos/{repository}/git/blobs/{}", validate::percent_encoded(oid)));
        let response = self
            .client
            .get(&request, READ_RETRY)
            .await
            .map_err(|error| with_resource(error, format!("`{path}`")))?;
        let proven = commit::blob_content(&response).filter(|bytes| snapshot::blob_oid(bytes) == oid);
        proven.ok_or_else(|| {
            ApiError::Transient(format!("the content of `{path}` does not match its Git blob"))
        })
    }

    /// A file at a commit; `None` if it did not exist.
    pub async fn file_at(
        &self,
        repository: &str,
        commit: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, ApiError> {
        let paths = vec![path.to_owned()];
        snapshot::validate(&SnapshotQuery {
            repository: repository.to_owned(),
            paths,
            ..SnapshotQuery::default()
        })?;
        let start = SnapshotStart::Commit(validate::commit(commit).map_err(ApiError::Rejected)?);
        let part = self.snapshot_page(repository, start, &[path.to_owned()], 0).await?;
        Ok(self.with_content(repository, part.files).await?.remove(path).map(|file| file.bytes))
    }

    /// Whether `descendant` is `ancestor` or a descendant of it.
    pub async fn contains(
        &self,
        repository: &str,
        ancestor: &str,
        descendant: &str,
    ) -> Result<bool, ApiError> {
        validate::repository(repository).map_err(ApiError::Rejected)?;
        let (from, to) = (validate::commit(ancestor), validate::commit(descendant));
        let (from, to) = (from.map_err(ApiError::Rejected)?, to.map_err(ApiError::Rejected)?);
        let request = ApiRequest::get(format!("/repos/{repository}/compare/{from}...{to}?per_page=1"));
        let noun = || format!("`{from}` or `{to}`, or a common ancestor,");
        let response =
            self.client.get(&request, READ_RETRY).await.map_err(|error| with_resource(error, noun()))?;
        CommitRelation::parse(&response).map(CommitRelation::contains_base).map_err(ApiError::Transient)
    }

    /// Commits, if the branch has not moved. [`ApiError::HeadMoved`] means that it has; after
    /// [`ApiError::Ambiguous`], search for the commit before anything is sent again.
    pub async fn commit(&self, commit: &NewCommit) -> Result<CreatedCommit, ApiError> {
        commit::validate(commit)?;
        let noun = |error| with_resource(error, format!("the branch `{}`", commit.branch));
        let oid = match commit::has_only_regular_files(commit) {
            true => self.commit_by_mutation(commit).await,
            false => self.commit_by_objects(commit).await,
        };
        Ok(self.to_created_commit(&commit.repository, oid.map_err(noun)?))
    }

    async fn commit_by_mutation(&self, commit: &NewCommit) -> Result<String, ApiError> {
        let data = self.client.mutate(commit::MUTATION, commit::mutation_variables(commit)).await?;
        let oid = data["createCommitOnBranch"]["commit"]["oid"].as_str();
        oid.map(str::to_owned).ok_or_else(|| ApiError::Ambiguous("GitHub returned no commit".into()))
    }

    /// Object by object, for modes that the mutation would lose. The objects are invisible until the branch points to
    /// them, so creating them may be repeated; moving the branch may not.
    async fn commit_by_objects(&self, commit: &NewCommit) -> Result<String, ApiError> {
        let git = format!("/repos/{}/git", commit.repository);
        let request = ApiRequest::get(format!("{git}/commits/{}", commit.expected_head));
        let base = text_field(&self.client.get(&request, READ_RETRY).await?["tree"], "sha")?;
        let mut files = Vec::new();
        for change in &commit.changes {
            let oid = self.create_object(&git, "blobs", commit::blob_body(change)).await?;
            if oid != snapshot::blob_oid(&change.bytes) {
                return Err(ApiError::Transient(format!(
                    "GitHub stored other content for `{}`",
                    change.path
                )));
            }
            files.push((change, oid));
        }
        let tree = self.create_object(&git, "trees", commit::tree_body(&base, &files)).await?;
        let oid = self.create_object(&git, "commits", commit::commit_body(commit, &tree)).await?;
        self.fast_forward(&commit.repository, &commit.branch, &oid).await?;
        Ok(oid)
    }

    async fn create_object(&self, git: &str, kind: &str, body: Value) -> Result<String, ApiError> {
        text_field(
            &self
                .client
                .get(&ApiRequest::with_body(Method::POST, format!("{git}/{kind}"), body), READ_RETRY)
                .await?,
            "sha",
        )
    }

    /// Moves a branch forward to a descendant of its head; never in another way.
    pub(super) async fn fast_forward(
        &self,
        repository: &str,
        branch: &str,
        oid: &str,
    ) -> Result<(), ApiError> {
        let route = format!("/repos/{repository}/git/refs/heads/{}", validate::percent_encoded(branch));
        let body = json!({ "sha": oid, "force": false });
        self.client.send_once(&ApiRequest::with_body(Method::PATCH, route, body)).await.map(drop)
    }

    /// Our own commit among the newest of a branch: the one with `marker` as a line of its message. For use after a
    /// lost response, and in the run after an interrupted one.
    pub async fn find_commit(
        &self,
        repository: &str,
        branch: &str,
        marker: &str,
    ) -> Result<Option<CreatedCommit>, ApiError> {
        validate::repository(repository).and(validate::branch(branch)).map_err(ApiError::Rejected)?;
        let sha = validate::percent_encoded(branch).replace('/', "%2F");
        let request =
            ApiRequest::get(format!("/repos/{repository}/commits?sha={sha}&per_page={MAX_SEARCHED_COMMITS}"));
        let noun = |error| with_resource(error, format!("the branch `{branch}`"));
        let response = self.client.get(&request, READ_RETRY).await.map_err(noun)?;
        let ours = |entry: &&Value| {
            let message = entry["commit"]["message"].as_str().unwrap_or_default();
            !marker.is_empty() && message.lines().any(|line| line == marker)
        };
        let found = response.as_array().into_iter().flatten().find(ours);
        Ok(found
            .and_then(|entry| entry["sha"].as_str())
            .map(|oid| self.to_created_commit(repository, oid.to_owned())))
    }

    pub(super) fn to_created_commit(&self, repository: &str, oid: String) -> CreatedCommit {
        let url = self.client.addresses().commit_url(repository, &oid);
        CreatedCommit { oid, url }
    }
}

/// A text field of the response to a read.
pub(super) fn text_field(response: &Value, name: &str) -> Result<String, ApiError> {
    let text = response[name].as_str().map(str::to_owned);
    text.ok_or_else(|| ApiError::Transient(format!("the response has no `{name}`")))
}

impl std::fmt::Debug for BranchClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("addresses", self.client.addresses()).finish_non_exhaustive()
    }
}
