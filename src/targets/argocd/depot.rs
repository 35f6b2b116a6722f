//! Committing to a branch: what the services of a run want written at the same time becomes one commit. On a head that
//! moved the wishes are applied afresh, never a patch rebased; nothing is forced and no write is repeated blindly.

use std::time::Duration;

use super::depots::Depot;
use super::intent::Intent;
use super::message::{self, Message};
use super::queue::{Batch, Waiting, changes};
use crate::github::{Landed, NewCommit, Setback, Snapshot};
use crate::release::ImageRef;

/// How often a commit is tried on a head that keeps moving.
const TRIES: u32 = 10;
/// The first pause after a head that moved; each further one is longer by half, with jitter.
const PAUSE: Duration = Duration::from_millis(400);
/// The longest that GitHub's rate limits are waited out.
const PATIENCE: Duration = Duration::from_secs(300);

impl Depot {
    /// Commits the wishes, again on each head that the branch moves to in between.
    pub(super) async fn land(&self, mut waiting: Vec<Waiting>) {
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
                Ok(landed) => return self.settle(batch, &landed).await,
                Err(setback) => setback,
            };
            waiting = batch.ready.into_iter().map(|one| one.waiting).collect();
            let Some(rest) = rest(&setback, pause, &mut waited) else { return self.fail(waiting, &setback) };
            tokio::time::sleep(rest).await;
            pause = pause.mul_f64(1.5);
            snapshot = self.fresh().await;
        }
        self.fail(waiting, &Setback::Moved);
    }

    /// One commit with the whole batch. When no answer came, it is looked for before anything else is tried.
    async fn commit(&self, seen: &Snapshot, batch: &Batch) -> Result<Landed, Setback> {
        let Message { headline, body, marker } =
            message::message(&intents(batch), &seen.head, self.run_url.as_deref());
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

    async fn settle(&self, batch: Batch, landed: &Landed) {
        self.forget().await;
        batch.ready.into_iter().for_each(|one| self.ended(one.waiting.number, Ok(vec![landed.oid.clone()])));
    }

    /// Ends all wishes with the same setback.
    pub(super) fn fail(&self, waiting: Vec<Waiting>, setback: &Setback) {
        let problem = || setback.problem(&self.repository);
        waiting.into_iter().for_each(|one| self.ended(one.number, Err(problem())));
    }
}

/// What a batch says in its message.
pub(super) fn intents(batch: &Batch) -> Vec<(&Intent, ImageRef)> {
    batch.ready.iter().map(|one| (&one.waiting.intent, one.written.clone())).collect()
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
