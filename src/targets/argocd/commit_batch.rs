//! Edits of a run's services that wait for the next commit, and the results of earlier ones.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::Mutex;

use super::branch_writers::BranchWriter;
use super::image_edit::ImageEdit;
use super::trailers;
use super::write::{self, EditOutcome, FileTree};
use crate::github::{FileChange, Snapshot};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;
use crate::targets::ChangeError;

/// How an edit gets into Git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EditDelivery {
    /// By a commit to the branch.
    Commit,
    /// By a pull request.
    PullRequest {
        /// Whether GitHub can merge it as soon as its checks allow that.
        auto_merge: bool,
    },
}

/// The ids of an edit's rollout: see [`super::pull_request`] for pull requests, else the commit.
pub(super) type RolloutIds = Vec<String>;

/// An edit with its number.
#[derive(Clone)]
pub(super) struct PendingEdit {
    pub(super) number: u64,
    pub(super) edit: ImageEdit,
    pub(super) delivery: EditDelivery,
}

/// The queue of one branch.
#[derive(Default)]
pub(super) struct EditQueue {
    next_number: Cell<u64>,
    pending: RefCell<Vec<PendingEdit>>,
    results: RefCell<BTreeMap<u64, Result<RolloutIds, ChangeError>>>,
    write_lock: Mutex<()>,
}

/// An edit that is ready to be written, and the image after it.
pub(super) struct ReadyEdit {
    pub(super) pending: PendingEdit,
    pub(super) written_image: ImageRef,
}

/// One commit: its edits, and all files after it.
pub(super) struct CommitBatch {
    pub(super) ready: Vec<ReadyEdit>,
    pub(super) files: FileTree,
}

impl BranchWriter {
    /// Writes `intent` and returns the ids of its rollout. Errors with `superseded` if a newer run wrote there.
    pub(super) async fn write_edit(
        &self,
        intent: ImageEdit,
        how: EditDelivery,
    ) -> Result<RolloutIds, ChangeError> {
        let number = self.queue.next_number.get();
        self.queue.next_number.set(number + 1);
        self.queue.pending.borrow_mut().push(PendingEdit { number, edit: intent, delivery: how });
        let _turn = self.queue.write_lock.lock().await;
        // Let the other services of this run queue their edits, too.
        tokio::task::yield_now().await;
        let all = self.queue.pending.take();
        let (commits, proposals): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|one| one.delivery == EditDelivery::Commit);
        if !commits.is_empty() {
            self.commit_pending(commits).await;
        }
        if !proposals.is_empty() {
            self.propose_pending(proposals).await;
        }
        let never = || Problem::error(Code::Internal, "A requested commit was never created.");
        let lost = || Err(ChangeError::NotMade(never()));
        self.queue.results.borrow_mut().remove(&number).unwrap_or_else(lost)
    }

    /// Ends the edits that need no commit, and collects the others.
    pub(super) fn prepare_batch(&self, seen: &Snapshot, waiting: Vec<PendingEdit>) -> CommitBatch {
        let mut batch = CommitBatch { ready: Vec::new(), files: snapshot_files(seen) };
        for one in waiting {
            let entries = trailers::read_records(&seen.history, &one.edit.service_key);
            let ended = match write::apply_edit(&batch.files, &entries, &one.edit) {
                EditOutcome::Edited { files, image: written } => {
                    batch.files.extend(files);
                    batch.ready.push(ReadyEdit { pending: one, written_image: written });
                    continue;
                }
                // The commit that wrote it, if the record has it.
                EditOutcome::AlreadyWritten => {
                    Ok(vec![entries.first().map_or(&seen.head, |entry| &entry.oid).clone()])
                }
                EditOutcome::Superseded(by) => Err(ChangeError::NotMade(superseded_problem(&by))),
                EditOutcome::Invalid(problem) => Err(ChangeError::NotMade(problem)),
            };
            self.record_result(one.number, ended);
        }
        batch
    }

    /// The commit of an edit whose answer is missing, read now: the one that wrote it. `None` if the branch does not have it.
    pub(super) async fn find_edit(&self, intent: &ImageEdit) -> Result<Option<RolloutIds>, Problem> {
        let seen = self.refresh().await.map_err(|error| error.problem(&self.repository))?;
        let entries = trailers::read_records(&seen.history, &intent.service_key);
        match write::apply_edit(&snapshot_files(&seen), &entries, intent) {
            EditOutcome::AlreadyWritten => {
                Ok(Some(vec![entries.first().map_or(&seen.head, |entry| &entry.oid).clone()]))
            }
            EditOutcome::Edited { .. } => Ok(None),
            EditOutcome::Superseded(by) => Err(superseded_problem(&by)),
            EditOutcome::Invalid(problem) => Err(problem),
        }
    }

    /// Stores the result of an edit for its caller.
    pub(super) fn record_result(&self, number: u64, how: Result<RolloutIds, ChangeError>) {
        self.queue.results.borrow_mut().insert(number, how);
    }
}

/// The files of a snapshot.
pub(super) fn snapshot_files(seen: &Snapshot) -> FileTree {
    seen.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect()
}

/// The files that differ from the snapshot, each with its mode.
pub(super) fn file_changes(seen: &Snapshot, after: &FileTree) -> Vec<FileChange> {
    let change = |(path, bytes): (&String, &Vec<u8>)| {
        let file = seen.files.get(path).filter(|file| file.bytes != *bytes)?;
        Some(FileChange { path: path.clone(), bytes: bytes.clone(), mode: file.mode })
    };
    after.iter().filter_map(change).collect()
}

/// A newer run wrote there.
pub(super) fn superseded_problem(by: &str) -> Problem {
    Problem::error(Code::Superseded, "The files already have a newer image.").cause(by.to_owned())
}
