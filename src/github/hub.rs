//! Reading branches and committing to them: effects, in the order that is safe. Whoever commits reads first, names the
//! head that was read, and decides again when the branch moved; nothing is ever forced, and no write is repeated.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use http::Method;
use serde_json::{Value, json};

use super::addresses::Addresses;
use super::commit::{self, Landed, NewCommit};
use super::door::{Ask, Door, Endurance};
use super::names;
use super::reply::named;
use super::setback::Setback;
use super::snapshot::{self, CHUNK, File, Found, Part, Snapshot, Start, Wanted};
use crate::problem::{Code, Problem};

/// How long reading may take before it is given up.
pub(super) const READING: Endurance = Endurance {
    whole: Duration::from_secs(60),
    pauses: &[
        Duration::from_millis(300),
        Duration::from_millis(900),
        Duration::from_millis(2700),
        Duration::from_secs(8),
        Duration::from_secs(16),
    ],
};
/// So many of the newest commits of a branch are looked through for our own.
const RECENT: usize = 100;

/// GitHub, for one token, with the right to write.
pub struct Hub {
    pub(super) door: Door,
}

impl Hub {
    /// Must be called inside a runtime. Errors when an address is none, or the token has characters that no token has.
    pub fn new(http: SharedHttpClient, addresses: &Addresses, token: &str) -> Result<Self, Problem> {
        let door = Door::new(http, addresses, token).map_err(|why| {
            Problem::error(Code::TokenRefused, "GitHub cannot be asked with this token.").cause(why)
        })?;
        Ok(Self { door })
    }

    /// The branch at one moment: one request for fifty paths, and one for each file whose bytes are no text.
    pub async fn snapshot(&self, wanted: &Wanted) -> Result<Snapshot, Setback> {
        snapshot::valid(wanted)?;
        let repository = &wanted.repository;
        let start = wanted.branch.as_deref().map_or(Start::Default, Start::Branch);
        let mut chunks = wanted.paths.chunks(CHUNK);
        let first = self.part(repository, start, chunks.next().unwrap_or_default(), wanted.depth).await?;
        let (head, mut found, mut histories) = (first.head, first.files, first.histories);
        for chunk in chunks {
            // The branch may move in between; what is read does not.
            let next = self.part(repository, Start::Commit(&head), chunk, wanted.depth).await?;
            found.extend(next.files);
            histories.extend(next.histories);
        }
        let files = self.whole(repository, found).await?;
        let history = snapshot::merged(histories);
        let (branch, can_push, archived) = (first.branch, first.can_push, first.archived);
        Ok(Snapshot { branch, head, files, history, can_push, archived })
    }

    async fn part(
        &self,
        repository: &str,
        start: Start<'_>,
        paths: &[String],
        depth: usize,
    ) -> Result<Part, Setback> {
        let (document, variables) = snapshot::question(repository, start, paths, depth);
        let (data, complaints) = self.door.query(&document, variables, READING).await?;
        snapshot::read(&data, &complaints, start, paths)
    }

    /// The files that were found, with the bytes that are still missing.
    async fn whole(
        &self,
        repository: &str,
        found: Vec<(String, Found)>,
    ) -> Result<BTreeMap<String, File>, Setback> {
        let mut files = BTreeMap::new();
        for (path, found) in found {
            let file = match found {
                Found::Whole(file) => file,
                Found::Blob { mode, oid } => File { mode, bytes: self.blob(repository, &path, &oid).await? },
            };
            files.insert(path, file);
        }
        Ok(files)
    }

    async fn blob(&self, repository: &str, path: &str, oid: &str) -> Result<Vec<u8>, Setback> {
        let ask = Ask::get(format!("/repos/{repository}/git/blobs/{}", names::encoded(oid)));
        let answer =
            self.door.read(&ask, READING).await.map_err(|setback| named(setback, format!("`{path}`")))?;
        let proven = commit::content(&answer).filter(|bytes| snapshot::blob_oid(bytes) == oid);
        proven.ok_or_else(|| Setback::Passing(format!("the bytes of `{path}` are not those that Git has")))
    }

    /// A file as it was at a commit; `None` where it was not.
    pub async fn file_at(
        &self,
        repository: &str,
        commit: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Setback> {
        let paths = vec![path.to_owned()];
        snapshot::valid(&Wanted { repository: repository.to_owned(), paths, ..Wanted::default() })?;
        let start = Start::Commit(names::commit(commit).map_err(Setback::Refused)?);
        let part = self.part(repository, start, &[path.to_owned()], 0).await?;
        Ok(self.whole(repository, part.files).await?.remove(path).map(|file| file.bytes))
    }

    /// Whether `descendant` is `ancestor` or has it in its past.
    pub async fn contains(
        &self,
        repository: &str,
        ancestor: &str,
        descendant: &str,
    ) -> Result<bool, Setback> {
        names::repository(repository).map_err(Setback::Refused)?;
        let (from, to) = (names::commit(ancestor), names::commit(descendant));
        let (from, to) = (from.map_err(Setback::Refused)?, to.map_err(Setback::Refused)?);
        let ask = Ask::get(format!("/repos/{repository}/compare/{from}...{to}?per_page=1"));
        let noun = || format!("`{from}` or `{to}`, or a past that both share,");
        let answer = self.door.read(&ask, READING).await.map_err(|setback| named(setback, noun()))?;
        match answer["status"].as_str() {
            Some("identical" | "ahead") => Ok(true),
            Some("behind" | "diverged") => Ok(false),
            _ => Err(Setback::Passing("the comparison says nothing".into())),
        }
    }

    /// Commits, if the branch is still where it was. [`Setback::Moved`] means that it is not; after
    /// [`Setback::Uncertain`], look with [`Hub::landed`] before anything is sent again.
    pub async fn commit(&self, commit: &NewCommit) -> Result<Landed, Setback> {
        commit::valid(commit)?;
        let noun = |setback| named(setback, format!("the branch `{}`", commit.branch));
        let oid = match commit::is_plain(commit) {
            true => self.mutated(commit).await,
            false => self.built(commit).await,
        };
        Ok(self.as_landed(&commit.repository, oid.map_err(noun)?))
    }

    async fn mutated(&self, commit: &NewCommit) -> Result<String, Setback> {
        let data = self.door.mutate(commit::MUTATION, commit::variables(commit)).await?;
        let oid = data["createCommitOnBranch"]["commit"]["oid"].as_str();
        oid.map(str::to_owned).ok_or_else(|| Setback::Uncertain("GitHub answered without a commit".into()))
    }

    /// Object by object, for modes that the mutation would lose. Nobody sees the objects before the branch points to
    /// them, so that making them may be repeated; moving the branch may not.
    async fn built(&self, commit: &NewCommit) -> Result<String, Setback> {
        let git = format!("/repos/{}/git", commit.repository);
        let ask = Ask::get(format!("{git}/commits/{}", commit.expected_head));
        let base = text(&self.door.read(&ask, READING).await?["tree"], "sha")?;
        let mut files = Vec::new();
        for change in &commit.changes {
            let oid = self.made(&git, "blobs", commit::blob(change)).await?;
            if oid != snapshot::blob_oid(&change.bytes) {
                return Err(Setback::Passing(format!("GitHub took other bytes for `{}`", change.path)));
            }
            files.push((change, oid));
        }
        let tree = self.made(&git, "trees", commit::tree(&base, &files)).await?;
        let oid = self.made(&git, "commits", commit::object(commit, &tree)).await?;
        self.moved(&commit.repository, &commit.branch, &oid).await?;
        Ok(oid)
    }

    async fn made(&self, git: &str, kind: &str, body: Value) -> Result<String, Setback> {
        text(&self.door.read(&Ask::send(Method::POST, format!("{git}/{kind}"), body), READING).await?, "sha")
    }

    /// Moves a branch forward to a commit that has its head in its past; never in another way.
    pub(super) async fn moved(&self, repository: &str, branch: &str, oid: &str) -> Result<(), Setback> {
        let route = format!("/repos/{repository}/git/refs/heads/{}", names::encoded(branch));
        let body = json!({ "sha": oid, "force": false });
        self.door.write(&Ask::send(Method::PATCH, route, body)).await.map(drop)
    }

    /// Our own commit among the newest of a branch: the one with `marker` as a line of its message. For after a lost
    /// answer, and for the run after one that was cut off.
    pub async fn landed(
        &self,
        repository: &str,
        branch: &str,
        marker: &str,
    ) -> Result<Option<Landed>, Setback> {
        names::repository(repository).and(names::branch(branch)).map_err(Setback::Refused)?;
        let sha = names::encoded(branch).replace('/', "%2F");
        let ask = Ask::get(format!("/repos/{repository}/commits?sha={sha}&per_page={RECENT}"));
        let noun = |setback| named(setback, format!("the branch `{branch}`"));
        let answer = self.door.read(&ask, READING).await.map_err(noun)?;
        let ours = |entry: &&Value| {
            let message = entry["commit"]["message"].as_str().unwrap_or_default();
            !marker.is_empty() && message.lines().any(|line| line == marker)
        };
        let found = answer.as_array().into_iter().flatten().find(ours);
        Ok(found
            .and_then(|entry| entry["sha"].as_str())
            .map(|oid| self.as_landed(repository, oid.to_owned())))
    }

    pub(super) fn as_landed(&self, repository: &str, oid: String) -> Landed {
        let url = self.door.addresses().commit(repository, &oid);
        Landed { oid, url }
    }
}

/// A text in an answer to a read.
pub(super) fn text(answer: &Value, name: &str) -> Result<String, Setback> {
    let text = answer[name].as_str().map(str::to_owned);
    text.ok_or_else(|| Setback::Passing(format!("GitHub answered without `{name}`")))
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("addresses", self.door.addresses()).finish_non_exhaustive()
    }
}
