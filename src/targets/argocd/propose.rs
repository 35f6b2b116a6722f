//! Proposing a change instead of committing it: one branch and one pull request for each environment and set of services,
//! kept up to date. A movement that waits for a merge is known by the number and the page of the pull request.

use sha2::{Digest as _, Sha256};

use super::depot::intents;
use super::depots::Depot;
use super::message::{self, Message};
use super::queue::{Batch, How, Ids, Ready, Waiting, changes, superseded, tree};
use super::record;
use super::write::{self, Applied};
use crate::github::{Edit, Proposal, PullRequest, Setback, Snapshot};
use crate::release::{Handed, ImageRef, Rollout, Version};

/// The longest name of a branch that is made of names of services.
const LONGEST: usize = 80;

/// Why there is no proposal.
enum Refused {
    Setback(Setback),
    /// No wish is left that could be proposed: the branch has newer images.
    Nothing,
}

impl From<Setback> for Refused {
    fn from(setback: Setback) -> Self {
        Self::Setback(setback)
    }
}

impl Depot {
    /// Proposes the wishes, together.
    pub(super) async fn propose(&self, waiting: Vec<Waiting>) {
        let seen = match self.seen().await {
            Ok(seen) => seen,
            Err(setback) => return self.fail(waiting, &setback),
        };
        let batch = self.sort(&seen, waiting);
        if batch.ready.is_empty() {
            return;
        }
        let proposal = self.proposal(&seen, &batch);
        let answer = self.hub.propose(&proposal, |at: &Snapshot| self.edit(at, &batch)).await;
        let ended = match answer {
            Ok(Some(pull)) => Ok(ids(&pull)),
            Ok(None) => Ok(vec![seen.head.clone()]),
            Err(Refused::Setback(setback)) => Err(setback.problem(&self.repository)),
            Err(Refused::Nothing) => Err(superseded("the branch of the pull request has a newer image")),
        };
        self.forget().await;
        batch.ready.into_iter().for_each(|one| self.ended(one.waiting.number, ended.clone()));
    }

    fn proposal(&self, seen: &Snapshot, batch: &Batch) -> Proposal {
        let Message { headline, .. } = message::message(&intents(batch), &seen.head, None);
        Proposal {
            repository: self.repository.clone(),
            base: seen.branch.clone(),
            branch: branch(batch),
            title: headline,
            body: body(batch, self.run_url.as_deref()),
            paths: seen.files.keys().cloned().collect(),
            mark: message::MARK.to_owned(),
            auto_merge: batch.ready.iter().all(|one| one.waiting.how == How::Propose { auto_merge: true }),
        }
    }

    /// What the wishes make of the branch of the proposal; `None` where it has them already.
    fn edit(&self, at: &Snapshot, batch: &Batch) -> Result<Option<Edit>, Refused> {
        let (mut files, mut left) = (tree(at), false);
        for one in &batch.ready {
            let entries = record::entries(&at.history, &one.waiting.intent.key);
            match write::apply(&files, &entries, &one.waiting.intent) {
                Applied::Edited { files: changed, .. } => files.extend(changed),
                Applied::Stands => left = true,
                _ => {}
            }
        }
        let changes = changes(at, &files);
        if changes.is_empty() {
            return if left { Ok(None) } else { Err(Refused::Nothing) };
        }
        let Message { headline, body, .. } =
            message::message(&intents(batch), &at.head, self.run_url.as_deref());
        Ok(Some(Edit { headline, body, changes }))
    }
}

/// One branch for each environment and set of services.
fn branch(batch: &Batch) -> String {
    let mut keys: Vec<&str> = batch.ready.iter().map(|one| one.waiting.intent.key.as_str()).collect();
    keys.sort_unstable();
    let environment = keys.first().and_then(|key| key.split('/').next()).unwrap_or_default();
    let services: Vec<&str> =
        keys.iter().filter_map(|key| key.split_once('/')).map(|(_, name)| name).collect();
    let name = format!("roadstead/{environment}/{}", services.join("-"));
    if services.len() == 1 && name.len() <= LONGEST {
        return name;
    }
    let sum = hex::encode(&Sha256::digest(keys.join("\n"))[..4]);
    let short: String = name.chars().take(LONGEST).collect();
    format!("{}-{sum}", short.trim_end_matches(['.', '-', '/']))
}

fn body(batch: &Batch, run_url: Option<&str>) -> String {
    let row = |one: &Ready| {
        let from =
            one.waiting.intent.previous.as_ref().map_or("–".to_owned(), |image| format!("`{image}`"));
        format!("| {} | {from} | `{}` |", message::plain(&one.waiting.intent.service), one.written)
    };
    let rows: Vec<String> = batch.ready.iter().map(row).collect();
    let run = run_url.map(|url| format!("\n\nBy {url}")).unwrap_or_default();
    format!(
        "| service | from | to |\n|---|---|---|\n{}{run}\n\nMerging this rolls it out.\n",
        rows.join("\n")
    )
}

/// What identifies it: the commit once it is merged, else its number and its page.
fn ids(pull: &PullRequest) -> Ids {
    match &pull.merge_commit {
        Some(commit) if pull.merged => vec![commit.clone()],
        _ => {
            let note = pull
                .note
                .clone()
                .or_else(|| pull.auto_merge.then(|| "GitHub merges it when its checks pass".into()));
            [Some(format!("#{}", pull.number)), Some(pull.url.clone()), note].into_iter().flatten().collect()
        }
    }
}

/// A movement that waits for somebody to merge it; `None` where it is a commit.
pub fn open(rollout: &Rollout, version: &Version, image: &ImageRef) -> Option<Handed> {
    let number = rollout.ids.first().filter(|id| id.starts_with('#'))?;
    let more = rollout.ids.iter().skip(1).cloned().collect::<Vec<_>>().join(" — ");
    let evidence = format!("proposed as pull request {number}: {more}");
    Some(Handed { version: version.clone(), digest: image.digest.clone(), evidence, proposed: true })
}
