//! Commits to a branch: the pending edits of a run's services become one commit. If the head moved, the edits are
//! applied to the new head, never rebased as a patch; nothing is forced, and no write is repeated without reading
//! first.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::branch_writers::BranchWriter;
use super::commit_batch::{CommitBatch, PendingEdit, file_changes};
use super::commit_message::{self, CommitMessage};
use super::image_edit::ImageEdit;
use crate::github::{ApiError, CreatedCommit, NewCommit, Snapshot};
use crate::release::ImageRef;
use crate::retry::{self, Jitter, Look, RetryPolicy, SendError, WriteError};
use crate::targets::ChangeError;

/// Retries of a commit while the head keeps moving: each pause is half as long again.
const COMMIT_RETRY: RetryPolicy = RetryPolicy::with_backoff(
    &[
        Duration::from_millis(400),
        Duration::from_millis(600),
        Duration::from_millis(900),
        Duration::from_micros(1_350_000),
        Duration::from_micros(2_025_000),
        Duration::from_micros(3_037_500),
        Duration::from_micros(4_556_250),
        Duration::from_micros(6_834_375),
        Duration::from_micros(10_251_563),
    ],
    Jitter::Around,
);
/// The longest wait for GitHub's rate limits.
const MAX_RATE_LIMIT_WAIT: Duration = Duration::from_secs(300);

/// A batch, and the branch for which it was made.
struct PreparedCommit {
    seen: Rc<Snapshot>,
    batch: CommitBatch,
}

impl BranchWriter {
    /// Commits the edits; repeats it on each head that the branch moves to in between.
    pub(super) async fn commit_pending(&self, waiting: Vec<PendingEdit>) {
        let waiting = RefCell::new(waiting);
        let mut waited = Duration::ZERO;
        let committed = retry::ambiguous(
            &COMMIT_RETRY,
            async |prepared: PreparedCommit| {
                let PreparedCommit { seen, batch } = prepared;
                let created = self.commit(&seen, &batch).await;
                let created = created.map_err(|error| commit_error(error, &mut waited))?;
                self.finish_batch(batch, &created).await;
                Ok(())
            },
            async |failed| {
                let seen = if failed.is_none() { self.snapshot().await? } else { self.refresh().await? };
                let batch = self.prepare_batch(&seen, waiting.take());
                waiting.replace(batch.ready.iter().map(|one| one.pending.clone()).collect());
                match batch.ready.is_empty() {
                    true => Ok(Look::Done(())),
                    false => Ok(Look::Send(PreparedCommit { seen, batch })),
                }
            },
        )
        .await;
        if let Err(error) = committed {
            // The branch may have the commit: nothing is decided by what was read before it.
            self.invalidate().await;
            self.fail_pending(waiting.take(), error);
        }
    }

    /// One commit with the whole batch. If the response is lost, the commit is searched for before anything else is
    /// sent.
    async fn commit(&self, seen: &Snapshot, batch: &CommitBatch) -> Result<CreatedCommit, ApiError> {
        let CommitMessage { headline, body, marker } =
            commit_message::message(&batch_edits(batch), &seen.head, self.run_url.as_deref());
        let commit = NewCommit {
            repository: self.repository.clone(),
            branch: seen.branch.clone(),
            expected_head: seen.head.clone(),
            headline,
            body,
            changes: file_changes(seen, &batch.files),
        };
        retry::ambiguous(
            &RetryPolicy::ONCE,
            async |()| Ok(self.client.commit(&commit).await?),
            async |failed| match failed {
                None => Ok(Look::Send(())),
                Some(_) => {
                    Ok(self.client.find_commit(&self.repository, &commit.branch, &marker).await?.into())
                }
            },
        )
        .await
        .map_err(ApiError::from)
    }

    async fn finish_batch(&self, batch: CommitBatch, created: &CreatedCommit) {
        self.invalidate().await;
        batch
            .ready
            .into_iter()
            .for_each(|one| self.record_result(one.pending.number, Ok(vec![created.oid.clone()])));
    }

    /// Ends all edits with the same error.
    pub(super) fn fail_pending(&self, waiting: Vec<PendingEdit>, error: WriteError<ApiError>) {
        let error = self.change_error(error);
        waiting.into_iter().for_each(|one| self.record_result(one.number, Err(error.clone())));
    }

    /// An error of GitHub as one of the service. A lost response leaves it unknown whether the branch was changed, whatever
    /// was lost after it.
    pub(super) fn change_error(&self, error: WriteError<ApiError>) -> ChangeError {
        match error {
            WriteError::Unknown(_) => ChangeError::Unknown(ApiError::from(error).problem(&self.repository)),
            other => other.map(|error| error.problem(&self.repository)),
        }
    }
}

/// The edits of a batch, for its commit message.
pub(super) fn batch_edits(batch: &CommitBatch) -> Vec<(&ImageEdit, ImageRef)> {
    batch.ready.iter().map(|one| (&one.pending.edit, one.written_image.clone())).collect()
}

/// Classifies a failed commit; `waited` is the total wait for rate limits.
fn commit_error(error: ApiError, waited: &mut Duration) -> SendError<ApiError> {
    match error {
        ApiError::HeadMoved | ApiError::Transient(_) => SendError::transient(error),
        ApiError::RateLimited { retry_after, .. }
            if waited.saturating_add(retry_after) <= MAX_RATE_LIMIT_WAIT =>
        {
            *waited += retry_after;
            SendError::transient(error).after(retry_after)
        }
        other => other.into(),
    }
}
