//! Writing to a branch: what the services of a run want written at the same time becomes one commit. On a head that
//! moved the wishes are applied afresh, never a patch rebased; nothing is forced and no write is repeated blindly.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;

use super::apply::{self, Applied, Tree};
use super::depots::Depot;
use super::intent::Intent;
use super::message::{self, Message};
use super::record;
use crate::github::{FileChange, Landed, NewCommit, Setback, Snapshot};
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// How often a commit is tried on a head that keeps moving.
const TRIES: u32 = 10;
/// The first pause after a head that moved; each further one is longer by half, with jitter.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest that GitHub's rate limits are waited out.
const PATIENCE: Duration = Duration::from_secs(300);

/// Wishes that wait for the next commit, and what became of earlier ones.
#[derive(Default)]
pub(super) struct Queue {
    next: Cell<u64>,
    waiting: RefCell<Vec<(u64, Intent)>>,
    done: RefCell<BTreeMap<u64, Result<String, Problem>>>,
    gate: Mutex<()>,
}

/// A wish that is ready to be committed: its number, what it is, and the image as it will stand there.
struct Ready {
    number: u64,
    intent: Intent,
    written: ImageRef,
}

/// What one commit carries: its wishes, and all files as they are after it.
struct Batch {
    ready: Vec<Ready>,
    files: Tree,
}

impl Depot {
    /// Has `intent` written; the answer is the commit that it stands in. Errors with `superseded` when somebody newer
    /// wrote there.
    pub(super) async fn write(&self, intent: Intent) -> Result<String, Problem> {
        let number = self.queue.next.get();
        self.queue.next.set(number + 1);
        self.queue.waiting.borrow_mut().push((number, intent));
        let _turn = self.queue.gate.lock().await;
        // Let the other services of this run say what they want, too.
        tokio::task::yield_now().await;
        let waiting = self.queue.waiting.take();
        if !waiting.is_empty() {
            self.land(waiting).await;
        }
        let lost = || Err(Problem::error(Code::Internal, "A commit was asked for and never made."));
        self.queue.done.borrow_mut().remove(&number).unwrap_or_else(lost)
    }

    async fn land(&self, mut waiting: Vec<(u64, Intent)>) {
        let (mut snapshot, mut waited, mut pause) = (self.seen().await, Duration::ZERO, PAUSE);
        for _ in 0..TRIES {
            let seen = match snapshot {
                Ok(seen) => seen,
                Err(setback) => return self.fail(waiting, &setback),
            };
            let batch = self.sort(&seen, waiting);
            if batch.ready.is_empty() {
                return;
            }
            let setback = match self.commit(&seen, &batch).await {
                Ok(landed) => {
                    self.forget().await;
                    return self.settle(batch, &landed);
                }
                Err(setback) => setback,
            };
            waiting = batch.ready.into_iter().map(|one| (one.number, one.intent)).collect();
            let Some(rest) = rest(&setback, pause, &mut waited) else { return self.fail(waiting, &setback) };
            tokio::time::sleep(rest).await;
            pause = pause.mul_f64(1.5);
            snapshot = self.fresh().await;
        }
        let moved = Setback::Refused(format!("the branch moved {TRIES} times while this was tried"));
        self.fail(waiting, &moved);
    }

    /// Ends the wishes that need no commit, and gathers the others.
    fn sort(&self, seen: &Snapshot, waiting: Vec<(u64, Intent)>) -> Batch {
        let mut batch = Batch { ready: Vec::new(), files: tree(seen) };
        for (number, intent) in waiting {
            let entries = record::entries(&seen.history, &intent.key);
            let ended = match apply::apply(&batch.files, &entries, &intent) {
                Applied::Edited { files, written } => {
                    batch.files.extend(files);
                    batch.ready.push(Ready { number, intent, written });
                    continue;
                }
                // The commit that wrote it, where the record knows it.
                Applied::Stands => Ok(entries.first().map_or(&seen.head, |entry| &entry.oid).clone()),
                Applied::Overtaken(by) => Err(superseded(&by)),
                Applied::Broken(problem) => Err(problem),
            };
            self.queue.done.borrow_mut().insert(number, ended);
        }
        batch
    }

    /// One commit with the whole batch. When no answer came, it is looked for before anything else is tried.
    async fn commit(&self, seen: &Snapshot, batch: &Batch) -> Result<Landed, Setback> {
        let intents: Vec<(&Intent, ImageRef)> =
            batch.ready.iter().map(|one| (&one.intent, one.written.clone())).collect();
        let Message { headline, body, marker } =
            message::message(&intents, &seen.head, self.run_url.as_deref());
        let commit = NewCommit {
            repository: self.repository.clone(),
            branch: seen.branch.clone(),
            expected_head: seen.head.clone(),
            headline,
            body,
            changes: changes(seen, &batch.files),
        };
        match self.hub.commit(&commit).await {
            Err(Setback::Uncertain(why)) => {
                let found = self.hub.landed(&self.repository, &commit.branch, &marker).await?;
                found.ok_or(Setback::Uncertain(why))
            }
            answer => answer,
        }
    }

    fn settle(&self, batch: Batch, landed: &Landed) {
        let mut done = self.queue.done.borrow_mut();
        done.extend(batch.ready.into_iter().map(|one| (one.number, Ok(landed.oid.clone()))));
    }

    fn fail(&self, waiting: Vec<(u64, Intent)>, setback: &Setback) {
        let mut done = self.queue.done.borrow_mut();
        done.extend(waiting.into_iter().map(|(number, _)| (number, Err(setback.problem(&self.repository)))));
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

/// How long to wait before the next try; `None` where another would not help.
fn rest(setback: &Setback, pause: Duration, waited: &mut Duration) -> Option<Duration> {
    match setback {
        Setback::Moved | Setback::Uncertain(_) | Setback::Passing(_) => {
            Some(pause.mul_f64(0.5 + fastrand::f64()))
        }
        Setback::Limited { wait, .. } if *waited + *wait <= PATIENCE => {
            *waited += *wait;
            Some(*wait)
        }
        _ => None,
    }
}

fn superseded(by: &str) -> Problem {
    Problem::error(Code::Superseded, "A newer image stands in the files already.").cause(by.to_owned())
}
