//! Proposes a change: effects. One branch and one open pull request, kept up to date; the branch only moves
//! forward, and is recreated only if it has no commits of others.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::branch::{BranchClient, READ_RETRY, text_field};
use super::client::ApiRequest;
use super::commit::{CreatedCommit, NewCommit};
use super::error::ApiError;
use super::pulls::{self, BranchReuse, Edit, Proposal, ProposedPullRequest, PullState};
use super::reply::with_resource;
use super::snapshot::Snapshot;
use super::validate;
use crate::retry::{self, Jitter, Look, RetryPolicy, SendError, WriteError};

/// Retries of a commit on the branch while it moves.
const COMMIT_RETRY: RetryPolicy = RetryPolicy::with_backoff(
    &[
        Duration::from_millis(500),
        Duration::from_millis(1000),
        Duration::from_millis(1500),
        Duration::from_millis(2000),
        Duration::from_millis(2500),
        Duration::from_millis(3000),
        Duration::from_millis(3500),
        Duration::from_millis(4000),
        Duration::from_millis(4500),
    ],
    Jitter::Around,
);

/// An edit that a branch lacks, and the head for which it was made.
struct MissingEdit {
    head: String,
    edit: Edit,
}

/// The result on the branch.
#[derive(Debug, Default)]
struct BranchUpdate {
    edit: Option<Edit>,
    commit: Option<CreatedCommit>,
}

impl BranchClient {
    /// Proposes the changes of `edit` to the base; `None` if the base has them already. `edit` returns
    /// `None` if a snapshot needs no change. It may be called again after an error: it starts with a read.
    pub async fn propose<E: From<ApiError>>(
        &self,
        proposal: &Proposal,
        edit: impl Fn(&Snapshot) -> Result<Option<Edit>, E>,
    ) -> Result<Option<ProposedPullRequest>, E> {
        pulls::validate(proposal)?;
        let open = self.find_open_pull(proposal).await?;
        if open.is_none() {
            let base = self.snapshot(&pulls::snapshot_query(proposal, &proposal.base)).await?;
            if edit(&base)?.is_none() {
                return Ok(None);
            }
            self.prepare_branch(proposal, &base.head).await?;
        }
        let step = self.commit_edit(proposal, edit).await?;
        let (pull, created) = match open {
            Some(pull) => (self.update_pull(proposal, pull).await?, false),
            None => (self.open_pull(proposal).await?, true),
        };
        Ok(Some(self.finish_proposal(proposal, pull, created, step).await))
    }

    /// The open pull request of our branch.
    async fn find_open_pull(&self, proposal: &Proposal) -> Result<Option<PullState>, ApiError> {
        let Proposal { repository, branch, .. } = proposal;
        let owner = repository.split('/').next().unwrap_or_default();
        let head = validate::percent_encoded(&format!("{owner}:{branch}")).replace('/', "%2F");
        let request =
            ApiRequest::get(format!("/repos/{repository}/pulls?state=open&head={head}&per_page=100"));
        let list = self
            .client
            .get(&request, READ_RETRY)
            .await
            .map_err(|error| with_resource(error, "the repository"))?;
        Ok(pulls::find_own(&list, proposal))
    }

    /// Prepares the branch for a proposal: at the head of the base, or at our commits above it.
    async fn prepare_branch(&self, proposal: &Proposal, base: &str) -> Result<(), ApiError> {
        let Proposal { repository, branch, .. } = proposal;
        let at = format!("/repos/{repository}/git/ref/heads/{}", validate::percent_encoded(branch));
        let tip = match self.client.get(&ApiRequest::get(at), READ_RETRY).await {
            Ok(reference) => text_field(&reference["object"], "sha")?,
            Err(ApiError::NotFound(_)) => return self.create_branch(proposal, base).await,
            Err(other) => return Err(other),
        };
        if tip == base {
            return Ok(());
        }
        let route =
            format!("/repos/{repository}/compare/{base}...{}?per_page=100", validate::percent_encoded(&tip));
        let comparison = self.client.get(&ApiRequest::get(route), READ_RETRY).await?;
        match pulls::branch_reuse(&comparison, &proposal.commit_marker) {
            Some(BranchReuse::FastForward) => self.fast_forward(repository, branch, base).await,
            Some(BranchReuse::Reuse) => Ok(()),
            Some(BranchReuse::Recreate) => {
                let route =
                    format!("/repos/{repository}/git/refs/heads/{}", validate::percent_encoded(branch));
                self.client.send_once(&ApiRequest::without_body(Method::DELETE, route)).await?;
                self.create_branch(proposal, base).await
            }
            Some(BranchReuse::Foreign(whose)) => Err(ApiError::Rejected(format!(
                "the branch `{branch}` has a commit of another author ({whose}): merge or delete the branch"
            ))),
            None => Err(ApiError::Transient("the comparison has no status".into())),
        }
    }

    async fn create_branch(&self, proposal: &Proposal, base: &str) -> Result<(), ApiError> {
        let route = format!("/repos/{}/git/refs", proposal.repository);
        let body = json!({ "ref": format!("refs/heads/{}", proposal.branch), "sha": base });
        match self.client.send_once(&ApiRequest::with_body(Method::POST, route, body)).await {
            // Another run was faster; the branch is read before anything is committed to it.
            Err(ApiError::Rejected(why)) if why.contains("already exists") => Ok(()),
            committed => committed.map(drop),
        }
    }

    /// Commits the missing changes on the branch, from its new state whenever it moved.
    async fn commit_edit<E: From<ApiError>>(
        &self,
        proposal: &Proposal,
        edit: impl Fn(&Snapshot) -> Result<Option<Edit>, E>,
    ) -> Result<BranchUpdate, E> {
        let mut may_be_ours = false;
        retry::ambiguous(
            &COMMIT_RETRY,
            async |missing: MissingEdit| {
                let MissingEdit { head, edit } = missing;
                let created = self.commit(&new_commit(proposal, &head, &edit)).await.map_err(commit_error)?;
                Ok(BranchUpdate { edit: Some(edit), commit: Some(created) })
            },
            async |failed| {
                may_be_ours |= failed.is_some_and(SendError::is_ambiguous);
                let seen = match self.snapshot(&pulls::snapshot_query(proposal, &proposal.branch)).await {
                    // A new branch may not be visible everywhere yet.
                    Err(error @ ApiError::NotFound(_)) => return Ok(Look::NotVisible(error.into())),
                    seen => seen?,
                };
                match edit(&seen)? {
                    Some(edit) => Ok(Look::Send(MissingEdit { head: seen.head, edit })),
                    None => {
                        let commit =
                            may_be_ours.then(|| self.to_created_commit(&proposal.repository, seen.head));
                        Ok(Look::Done(BranchUpdate { edit: None, commit }))
                    }
                }
            },
        )
        .await
        .map_err(|error| lost_commit(error, &proposal.branch))
    }

    async fn update_pull(&self, proposal: &Proposal, pull: PullState) -> Result<PullState, ApiError> {
        let Some(body) = pulls::update_body(proposal, &pull) else { return Ok(pull) };
        let route = format!("/repos/{}/pulls/{}", proposal.repository, pull.number);
        // The update is idempotent: it may be repeated.
        self.client.get(&ApiRequest::with_body(Method::PATCH, route, body), READ_RETRY).await.map(|_| pull)
    }

    /// Opens it. After a lost response it is searched before it is opened again.
    async fn open_pull(&self, proposal: &Proposal) -> Result<PullState, ApiError> {
        let route = format!("/repos/{}/pulls", proposal.repository);
        let request = ApiRequest::with_body(Method::POST, route, pulls::create_body(proposal));
        retry::ambiguous(
            &RetryPolicy::TWICE,
            async |()| {
                let response = self.client.send_once(&request).await.map_err(open_error)?;
                let unreadable = || ApiError::Ambiguous("GitHub returned no pull request".into());
                pulls::parse_pull(&response).ok_or_else(|| SendError::ambiguous(unreadable()))
            },
            async |failed| match failed {
                None => Ok(Look::Send(())),
                Some(_) => Ok(self.find_open_pull(proposal).await?.into()),
            },
        )
        .await
        .map_err(ApiError::from)
    }

    /// The result, with auto-merge if requested. If auto-merge is not available, that is no error: the pull request
    /// waits.
    async fn finish_proposal(
        &self,
        proposal: &Proposal,
        pull: PullState,
        created: bool,
        step: BranchUpdate,
    ) -> ProposedPullRequest {
        let (number, url) = (pull.number, pull.url.clone());
        let mut result =
            ProposedPullRequest { number, url, created, auto_merge: pull.auto_merge, ..Default::default() };
        if proposal.auto_merge && !pull.auto_merge {
            let done = self.try_merge(proposal, &pull, &step).await;
            match done {
                Ok(MergeResult::AutoMerge) => result.auto_merge = true,
                Ok(MergeResult::Merged(oid)) => (result.merged, result.merge_commit) = (true, Some(oid)),
                Err(why) => result.not_merged_reason = Some(why),
            }
        }
        result.commit = step.commit;
        result
    }

    async fn try_merge(
        &self,
        proposal: &Proposal,
        pull: &PullState,
        step: &BranchUpdate,
    ) -> Result<MergeResult, String> {
        let head = step.commit.as_ref().map_or(pull.head.as_str(), |commit| commit.oid.as_str());
        let message = step.edit.as_ref().map(|edit| (edit.headline.as_str(), edit.body.as_str()));
        let repository = ApiRequest::get(format!("/repos/{}", proposal.repository));
        let about = self.client.get(&repository, READ_RETRY).await.unwrap_or_default();
        let method = pulls::merge_method(&about);
        let input = pulls::auto_merge_body(pull, head, method, message);
        match self.client.mutate(pulls::AUTO_MERGE, input).await {
            Ok(_) => Ok(MergeResult::AutoMerge),
            // It can be merged now, and GitHub then rejects auto-merge.
            Err(ApiError::Rejected(why)) if why.contains("clean status") => {
                self.merge_now(proposal, pull, pulls::merge_body(head, method, message)).await
            }
            Err(error) => self.resolve_merge_error(proposal, pull, error).await,
        }
    }

    async fn merge_now(
        &self,
        proposal: &Proposal,
        pull: &PullState,
        body: Value,
    ) -> Result<MergeResult, String> {
        let route = format!("/repos/{}/pulls/{}/merge", proposal.repository, pull.number);
        match self.client.send_once(&ApiRequest::with_body(Method::PUT, route, body)).await {
            Ok(response) => Ok(MergeResult::Merged(response["sha"].as_str().unwrap_or_default().to_owned())),
            Err(error) => self.resolve_merge_error(proposal, pull, error).await,
        }
    }

    /// After an error: if a response was lost, the pull request shows what happened.
    async fn resolve_merge_error(
        &self,
        proposal: &Proposal,
        pull: &PullState,
        error: ApiError,
    ) -> Result<MergeResult, String> {
        if error.is_ambiguous() {
            let request = ApiRequest::get(format!("/repos/{}/pulls/{}", proposal.repository, pull.number));
            let now =
                self.client.get(&request, READ_RETRY).await.ok().and_then(|value| pulls::parse_pull(&value));
            match now {
                None => return Err("it is not known whether GitHub merged it: the response was lost".into()),
                Some(PullState { merged: Some(oid), .. }) => return Ok(MergeResult::Merged(oid)),
                Some(PullState { auto_merge: true, .. }) => return Ok(MergeResult::AutoMerge),
                _ => {}
            }
        }
        let problem = error.problem(&proposal.repository);
        Err(problem.cause.unwrap_or(problem.sentence))
    }
}

/// The error of a commit. Once a response was lost, it is unknown whether the branch has the commit.
fn lost_commit<E: From<ApiError>>(error: WriteError<E>, branch: &str) -> E {
    match error {
        WriteError::Unknown(_) => {
            ApiError::Ambiguous(format!("the response to the commit on `{branch}` was lost")).into()
        }
        WriteError::NotMade(error) | WriteError::Rejected(error) => error,
    }
}

/// On a head that moved the edit is made again.
fn commit_error<E: From<ApiError>>(error: ApiError) -> SendError<E> {
    match error {
        ApiError::HeadMoved => SendError::transient(error.into()),
        ApiError::Ambiguous(_) => SendError::ambiguous(error.into()),
        other => SendError::rejected(other.into()),
    }
}

/// A pull request that exists already may be ours.
fn open_error(error: ApiError) -> SendError<ApiError> {
    match error {
        ApiError::Rejected(ref why) if why.contains("already exists") => SendError::ambiguous(error),
        other => other.into(),
    }
}

/// The result of a merge request.
enum MergeResult {
    /// GitHub merges it as soon as the rules allow it.
    AutoMerge,
    /// Merged, by this commit.
    Merged(String),
}

fn new_commit(proposal: &Proposal, head: &str, edit: &Edit) -> NewCommit {
    NewCommit {
        repository: proposal.repository.clone(),
        branch: proposal.branch.clone(),
        expected_head: head.to_owned(),
        headline: edit.headline.clone(),
        body: edit.body.clone(),
        changes: edit.changes.clone(),
    }
}
