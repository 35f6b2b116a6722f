//! Proposing a change: effects. One branch and one open pull request, kept up to date; the branch only ever moves
//! forward, and is made anew only where nothing of anybody else is on it.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::commit::{Landed, NewCommit};
use super::door::Ask;
use super::hub::{Hub, READING, text};
use super::names;
use super::pulls::{self, Edit, Fate, Proposal, Pull, PullRequest};
use super::reply::named;
use super::setback::Setback;
use super::snapshot::Snapshot;

/// How often a commit on the branch is tried while it moves.
const TRIES: u32 = 10;
/// The pause after the first of them; the next ones grow.
const PAUSE: Duration = Duration::from_millis(500);

/// What the branch got.
#[derive(Debug, Default)]
struct Step {
    edit: Option<Edit>,
    commit: Option<Landed>,
}

impl Hub {
    /// Proposes what `edit` makes of the branch of the proposal; `None` where the base has it already. `edit` gives
    /// `None` where a snapshot is as it should be. After a setback it may be asked again: it begins by looking.
    pub async fn propose<E: From<Setback>>(
        &self,
        proposal: &Proposal,
        edit: impl Fn(&Snapshot) -> Result<Option<Edit>, E>,
    ) -> Result<Option<PullRequest>, E> {
        pulls::valid(proposal)?;
        let open = self.open_one(proposal).await?;
        if open.is_none() {
            let base = self.snapshot(&pulls::wanted(proposal, &proposal.base)).await?;
            if edit(&base)?.is_none() {
                return Ok(None);
            }
            self.begin(proposal, &base.head).await?;
        }
        let step = self.advance(proposal, edit).await?;
        let (pull, created) = match open {
            Some(pull) => (self.refreshed(proposal, pull).await?, false),
            None => (self.opened(proposal).await?, true),
        };
        Ok(Some(self.settled(proposal, pull, created, step).await))
    }

    /// The open pull request of our branch.
    async fn open_one(&self, proposal: &Proposal) -> Result<Option<Pull>, Setback> {
        let Proposal { repository, branch, .. } = proposal;
        let owner = repository.split('/').next().unwrap_or_default();
        let head = names::encoded(&format!("{owner}:{branch}")).replace('/', "%2F");
        let ask = Ask::get(format!("/repos/{repository}/pulls?state=open&head={head}&per_page=100"));
        let list = self.door.read(&ask, READING).await.map_err(|setback| named(setback, "the repository"))?;
        Ok(pulls::ours(&list, proposal))
    }

    /// Puts the branch where a new proposal can start: at the head of the base, or at our commits above it.
    async fn begin(&self, proposal: &Proposal, base: &str) -> Result<(), Setback> {
        let Proposal { repository, branch, .. } = proposal;
        let at = format!("/repos/{repository}/git/ref/heads/{}", names::encoded(branch));
        let tip = match self.door.read(&Ask::get(at), READING).await {
            Ok(reference) => text(&reference["object"], "sha")?,
            Err(Setback::Missing(_)) => return self.branched(proposal, base).await,
            Err(other) => return Err(other),
        };
        if tip == base {
            return Ok(());
        }
        let route = format!("/repos/{repository}/compare/{base}...{}?per_page=100", names::encoded(&tip));
        let comparison = self.door.read(&Ask::get(route), READING).await?;
        match pulls::fate(&comparison, &proposal.mark) {
            Some(Fate::Forward) => self.moved(repository, branch, base).await,
            Some(Fate::Keep) => Ok(()),
            Some(Fate::Anew) => {
                let route = format!("/repos/{repository}/git/refs/heads/{}", names::encoded(branch));
                self.door.write(&Ask::bare(Method::DELETE, route)).await?;
                self.branched(proposal, base).await
            }
            Some(Fate::Foreign(whose)) => Err(Setback::Refused(format!(
                "the branch `{branch}` has a commit that is not ours ({whose}): delete the branch, or merge it"
            ))),
            None => Err(Setback::Passing("the comparison says nothing".into())),
        }
    }

    async fn branched(&self, proposal: &Proposal, base: &str) -> Result<(), Setback> {
        let route = format!("/repos/{}/git/refs", proposal.repository);
        let body = json!({ "ref": format!("refs/heads/{}", proposal.branch), "sha": base });
        match self.door.write(&Ask::send(Method::POST, route, body)).await {
            // Somebody was faster; what the branch has is read before anything is committed to it.
            Err(Setback::Refused(why)) if why.contains("already exists") => Ok(()),
            made => made.map(drop),
        }
    }

    /// Commits what is still missing on the branch, again from what it then is whenever it moved.
    async fn advance<E: From<Setback>>(
        &self,
        proposal: &Proposal,
        edit: impl Fn(&Snapshot) -> Result<Option<Edit>, E>,
    ) -> Result<Step, E> {
        let mut unsure = false;
        let mut last = Setback::Moved;
        for tried in 0..TRIES {
            let grown = PAUSE * tried;
            tokio::time::sleep(grown.mul_f64(0.5 + fastrand::f64())).await;
            let seen = match self.snapshot(&pulls::wanted(proposal, &proposal.branch)).await {
                // A branch that was just made may not be seen everywhere yet.
                Err(missing @ Setback::Missing(_)) => {
                    last = missing;
                    continue;
                }
                seen => seen?,
            };
            let Some(edit) = edit(&seen)? else {
                // After a lost answer this is our own commit.
                let commit = unsure.then(|| self.as_landed(&proposal.repository, seen.head));
                return Ok(Step { edit: None, commit });
            };
            match self.commit(&new_commit(proposal, &seen.head, &edit)).await {
                Ok(landed) => return Ok(Step { edit: Some(edit), commit: Some(landed) }),
                Err(setback @ (Setback::Moved | Setback::Uncertain(_))) => {
                    unsure |= matches!(setback, Setback::Uncertain(_));
                    last = setback;
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(last.into())
    }

    async fn refreshed(&self, proposal: &Proposal, pull: Pull) -> Result<Pull, Setback> {
        let Some(body) = pulls::refreshing(proposal, &pull) else { return Ok(pull) };
        let route = format!("/repos/{}/pulls/{}", proposal.repository, pull.number);
        // The same words twice are the same words: this may be repeated.
        self.door.read(&Ask::send(Method::PATCH, route, body), READING).await.map(|_| pull)
    }

    /// Opens it. After a lost answer it is looked for before it is opened again.
    async fn opened(&self, proposal: &Proposal) -> Result<Pull, Setback> {
        let ask = Ask::send(
            Method::POST,
            format!("/repos/{}/pulls", proposal.repository),
            pulls::opening(proposal),
        );
        let mut answer = self.door.write(&ask).await;
        let unsure = match &answer {
            Err(Setback::Uncertain(_)) => true,
            Err(Setback::Refused(why)) => why.contains("already exists"),
            _ => false,
        };
        if unsure {
            if let Some(pull) = self.open_one(proposal).await? {
                return Ok(pull);
            }
            answer = self.door.write(&ask).await;
        }
        pulls::read(&answer?)
            .ok_or_else(|| Setback::Uncertain("GitHub answered without a pull request".into()))
    }

    /// What it came to, with auto-merge where it is wished. That it cannot be had is no setback: it waits for a person.
    async fn settled(&self, proposal: &Proposal, pull: Pull, created: bool, step: Step) -> PullRequest {
        let (number, url) = (pull.number, pull.url.clone());
        let mut result =
            PullRequest { number, url, created, auto_merge: pull.auto_merge, ..Default::default() };
        if proposal.auto_merge && !pull.auto_merge {
            let done = self.merged(proposal, &pull, &step).await;
            match done {
                Ok(Merged::Later) => result.auto_merge = true,
                Ok(Merged::Now(oid)) => (result.merged, result.merge_commit) = (true, Some(oid)),
                Err(why) => result.note = Some(why),
            }
        }
        result.commit = step.commit;
        result
    }

    async fn merged(&self, proposal: &Proposal, pull: &Pull, step: &Step) -> Result<Merged, String> {
        let head = step.commit.as_ref().map_or(pull.head.as_str(), |commit| commit.oid.as_str());
        let message = step.edit.as_ref().map(|edit| (edit.headline.as_str(), edit.body.as_str()));
        let repository = Ask::get(format!("/repos/{}", proposal.repository));
        let about = self.door.read(&repository, READING).await.unwrap_or_default();
        let method = pulls::method(&about);
        let input = pulls::auto_merging(pull, head, method, message);
        match self.door.mutate(pulls::AUTO_MERGE, input).await {
            Ok(_) => Ok(Merged::Later),
            // Nothing is left to wait for: GitHub wants it merged, not promised.
            Err(Setback::Refused(why)) if why.contains("clean status") => {
                self.merge_now(proposal, pull, pulls::merging(head, method, message)).await
            }
            Err(setback) => self.as_it_is(proposal, pull, setback).await,
        }
    }

    async fn merge_now(&self, proposal: &Proposal, pull: &Pull, body: Value) -> Result<Merged, String> {
        let route = format!("/repos/{}/pulls/{}/merge", proposal.repository, pull.number);
        match self.door.write(&Ask::send(Method::PUT, route, body)).await {
            Ok(answer) => Ok(Merged::Now(answer["sha"].as_str().unwrap_or_default().to_owned())),
            Err(setback) => self.as_it_is(proposal, pull, setback).await,
        }
    }

    /// After a setback: where an answer was lost, the pull request says what happened.
    async fn as_it_is(&self, proposal: &Proposal, pull: &Pull, setback: Setback) -> Result<Merged, String> {
        if matches!(setback, Setback::Uncertain(_)) {
            let ask = Ask::get(format!("/repos/{}/pulls/{}", proposal.repository, pull.number));
            let now = self.door.read(&ask, READING).await.ok().and_then(|value| pulls::read(&value));
            match now {
                Some(Pull { merged: Some(oid), .. }) => return Ok(Merged::Now(oid)),
                Some(Pull { auto_merge: true, .. }) => return Ok(Merged::Later),
                _ => {}
            }
        }
        let problem = setback.problem(&proposal.repository);
        Err(problem.cause.unwrap_or(problem.sentence))
    }
}

/// How a wish to merge was met.
enum Merged {
    /// As soon as the rules allow it.
    Later,
    /// At once, by this commit.
    Now(String),
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
