//! Pull requests instead of commits: one branch and one pull request for each environment and set of services, kept up
//! to date. The ids of a rollout that waits for a merge are the number and the URL of the pull request.

use sha2::{Digest as _, Sha256};

use super::branch_writer::batch_edits;
use super::branch_writers::BranchWriter;
use super::commit_batch::{
    CommitBatch, EditDelivery, PendingEdit, ReadyEdit, RolloutIds, file_changes, snapshot_files,
    superseded_problem,
};
use super::commit_message::{self, CommitMessage};
use super::trailers;
use super::write::{self, EditOutcome};
use crate::github::{ApiError, Edit, Proposal, ProposedPullRequest, Snapshot};
use crate::release::{Handoff, ImageRef, Rollout, Version};
use crate::retry::WriteError;
use crate::targets::ChangeError;

/// The longest branch name that is made of service names.
const MAX_BRANCH_CHARS: usize = 80;

/// Why there is no proposal.
enum ProposalError {
    Api(ApiError),
    /// No edit is left to propose: the branch has newer images.
    NothingToPropose,
}

impl From<ApiError> for ProposalError {
    fn from(setback: ApiError) -> Self {
        Self::Api(setback)
    }
}

impl BranchWriter {
    /// Proposes the edits, together.
    pub(super) async fn propose_pending(&self, waiting: Vec<PendingEdit>) {
        let snapshot = match self.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(setback) => return self.fail_pending(waiting, WriteError::NotMade(setback)),
        };
        let batch = self.prepare_batch(&snapshot, waiting);
        if batch.ready.is_empty() {
            return;
        }
        let proposal = self.build_proposal(&snapshot, &batch);
        let answer = self.client.propose(&proposal, |at: &Snapshot| self.build_edit(at, &batch)).await;
        let ended = match answer {
            Ok(Some(pull)) => Ok(rollout_ids(&pull)),
            Ok(None) => Ok(vec![snapshot.head.clone()]),
            Err(ProposalError::Api(setback)) => Err(self.change_error(proposal_error(setback))),
            Err(ProposalError::NothingToPropose) => {
                let newer = superseded_problem("the branch of the pull request has a newer image");
                Err(ChangeError::NotMade(newer))
            }
        };
        self.invalidate().await;
        batch.ready.into_iter().for_each(|one| self.record_result(one.pending.number, ended.clone()));
    }

    fn build_proposal(&self, snapshot: &Snapshot, batch: &CommitBatch) -> Proposal {
        let CommitMessage { headline, .. } =
            commit_message::message(&batch_edits(batch), &snapshot.head, None);
        Proposal {
            repository: self.repository.clone(),
            base: snapshot.branch.clone(),
            branch: branch_name(batch),
            title: headline,
            body: pull_request_body(batch, self.run_url.as_deref()),
            paths: snapshot.files.keys().cloned().collect(),
            commit_marker: commit_message::MARKER_TRAILER.to_owned(),
            auto_merge: batch
                .ready
                .iter()
                .all(|one| one.pending.delivery == EditDelivery::PullRequest { auto_merge: true }),
        }
    }

    /// The branch of the proposal with the edits applied; `None` if it has them already.
    fn build_edit(&self, at: &Snapshot, batch: &CommitBatch) -> Result<Option<Edit>, ProposalError> {
        let (mut files, mut left) = (snapshot_files(at), false);
        for one in &batch.ready {
            let entries = trailers::read_records(&at.history, &one.pending.edit.service_key);
            match write::apply_edit(&files, &entries, &one.pending.edit) {
                EditOutcome::Edited { files: changed, .. } => files.extend(changed),
                EditOutcome::AlreadyWritten => left = true,
                _ => {}
            }
        }
        let changes = file_changes(at, &files);
        if changes.is_empty() {
            return if left { Ok(None) } else { Err(ProposalError::NothingToPropose) };
        }
        let CommitMessage { headline, body, .. } =
            commit_message::message(&batch_edits(batch), &at.head, self.run_url.as_deref());
        Ok(Some(Edit { headline, body, changes }))
    }
}

/// Nothing is rolled out before a merge, but a lost response may have left a branch, a commit or a pull request.
fn proposal_error(error: ApiError) -> WriteError<ApiError> {
    if error.is_ambiguous() { WriteError::Unknown(error) } else { WriteError::NotMade(error) }
}

/// One branch for each environment and set of services.
fn branch_name(batch: &CommitBatch) -> String {
    let mut keys: Vec<&str> = batch.ready.iter().map(|one| one.pending.edit.service_key.as_str()).collect();
    keys.sort_unstable();
    let environment = keys.first().and_then(|key| key.split('/').next()).unwrap_or_default();
    let services: Vec<&str> =
        keys.iter().filter_map(|key| key.split_once('/')).map(|(_, name)| name).collect();
    let name = format!("roadstead/{environment}/{}", services.join("-"));
    if services.len() == 1 && name.len() <= MAX_BRANCH_CHARS {
        return name;
    }
    let sum = hex::encode(&Sha256::digest(keys.join("\n"))[..4]);
    let short: String = name.chars().take(MAX_BRANCH_CHARS).collect();
    format!("{}-{sum}", short.trim_end_matches(['.', '-', '/']))
}

fn pull_request_body(batch: &CommitBatch, run_url: Option<&str>) -> String {
    let row = |one: &ReadyEdit| {
        let from =
            one.pending.edit.previous_image.as_ref().map_or("–".to_owned(), |image| format!("`{image}`"));
        format!(
            "| {} | {from} | `{}` |",
            commit_message::sanitize_word(&one.pending.edit.service),
            one.written_image
        )
    };
    let rows: Vec<String> = batch.ready.iter().map(row).collect();
    let run = run_url.map(|url| format!("\n\nBy {url}")).unwrap_or_default();
    format!(
        "| service | from | to |\n|---|---|---|\n{}{run}\n\nMerging this pull request rolls it out.\n",
        rows.join("\n")
    )
}

/// The ids of the rollout: the commit once it is merged, else the number and the URL.
fn rollout_ids(pull: &ProposedPullRequest) -> RolloutIds {
    match &pull.merge_commit {
        Some(commit) if pull.merged => vec![commit.clone()],
        _ => {
            let note = pull
                .not_merged_reason
                .clone()
                .or_else(|| pull.auto_merge.then(|| "GitHub merges it when its checks pass".into()));
            [Some(format!("#{}", pull.number)), Some(pull.url.clone()), note].into_iter().flatten().collect()
        }
    }
}

/// A rollout that waits for a merge; `None` for a commit.
pub fn open_handoff(rollout: &Rollout, version: &Version, image: &ImageRef) -> Option<Handoff> {
    let number = rollout.ids.first().filter(|id| id.starts_with('#'))?;
    let more = rollout.ids.iter().skip(1).cloned().collect::<Vec<_>>().join(" — ");
    let evidence = format!("proposed as pull request {number}: {more}");
    Some(Handoff { version: version.clone(), digest: image.digest.clone(), evidence, needs_merge: true })
}
