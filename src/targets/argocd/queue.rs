//! Wishes of the services of a run that wait for the next commit, and what became of earlier ones.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::Mutex;

use super::depots::Depot;
use super::intent::Intent;
use super::record;
use super::write::{self, Applied, Tree};
use crate::github::{FileChange, Snapshot};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// How a wish gets into Git.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// By a commit to the branch.
    Commit,
    /// By a pull request.
    Propose {
        /// Whether it may be merged as soon as its checks allow that.
        auto_merge: bool,
    },
}

/// What identifies the movement that came of a wish: see [`super::propose`] for pull requests, else the commit.
pub(super) type Ids = Vec<String>;

/// A wish with its number.
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) intent: Intent,
    pub(super) how: How,
}

/// The queue of one branch.
#[derive(Default)]
pub(super) struct Queue {
    next: Cell<u64>,
    waiting: RefCell<Vec<Waiting>>,
    done: RefCell<BTreeMap<u64, Result<Ids, Problem>>>,
    gate: Mutex<()>,
}

/// A wish that is ready to be written, and the image as it will stand there.
pub(super) struct Ready {
    pub(super) waiting: Waiting,
    pub(super) written: ImageRef,
}

/// What one commit carries: its wishes, and all files as they are after it.
pub(super) struct Batch {
    pub(super) ready: Vec<Ready>,
    pub(super) files: Tree,
}

impl Depot {
    /// Has `intent` written; the answer identifies the movement. Errors with `superseded` when somebody newer wrote there.
    pub(super) async fn write(&self, intent: Intent, how: How) -> Result<Ids, Problem> {
        let number = self.queue.next.get();
        self.queue.next.set(number + 1);
        self.queue.waiting.borrow_mut().push(Waiting { number, intent, how });
        let _turn = self.queue.gate.lock().await;
        // Let the other services of this run say what they want, too.
        tokio::task::yield_now().await;
        let all = self.queue.waiting.take();
        let (commits, proposals): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.how == How::Commit);
        if !commits.is_empty() {
            self.land(commits).await;
        }
        if !proposals.is_empty() {
            self.propose(proposals).await;
        }
        let lost = || Err(Problem::error(Code::Internal, "A commit was asked for and never made."));
        self.queue.done.borrow_mut().remove(&number).unwrap_or_else(lost)
    }

    /// Ends the wishes that need no commit, and gathers the others.
    pub(super) fn sort(&self, seen: &Snapshot, waiting: Vec<Waiting>) -> Batch {
        let mut batch = Batch { ready: Vec::new(), files: tree(seen) };
        for one in waiting {
            let entries = record::entries(&seen.history, &one.intent.key);
            let ended = match write::apply(&batch.files, &entries, &one.intent) {
                Applied::Edited { files, written } => {
                    batch.files.extend(files);
                    batch.ready.push(Ready { waiting: one, written });
                    continue;
                }
                // The commit that wrote it, where the record knows it.
                Applied::Stands => Ok(vec![entries.first().map_or(&seen.head, |entry| &entry.oid).clone()]),
                Applied::Overtaken(by) => Err(superseded(&by)),
                Applied::Broken(problem) => Err(problem),
            };
            self.ended(one.number, ended);
        }
        batch
    }

    /// Keeps how a wish ended, for the one who waits for it.
    pub(super) fn ended(&self, number: u64, how: Result<Ids, Problem>) {
        self.queue.done.borrow_mut().insert(number, how);
    }
}

/// The files of a snapshot.
pub(super) fn tree(seen: &Snapshot) -> Tree {
    seen.files.iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect()
}

/// The files that differ from what was seen, each with the mode that it has.
pub(super) fn changes(seen: &Snapshot, after: &Tree) -> Vec<FileChange> {
    let change = |(path, bytes): (&String, &Vec<u8>)| {
        let file = seen.files.get(path).filter(|file| file.bytes != *bytes)?;
        Some(FileChange { path: path.clone(), bytes: bytes.clone(), mode: file.mode })
    };
    after.iter().filter_map(change).collect()
}

/// Somebody newer wrote there.
pub(super) fn superseded(by: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer image stands in the files already.").cause(by.to_owned())
}
