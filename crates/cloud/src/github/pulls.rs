//! Pull requests as they are kept, and what joins their branches.

use super::auth::web_flow_signature;
use super::commits::{self, GitCommit, GitSignature};
use super::git_objects::Oid;
use super::protection;
use super::scenario::BranchProtection;
use super::state::{GitHubRepository, branch_ref};

/// A pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct GitHubPullRequest {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: Option<String>,
    /// The branch that it comes from.
    pub head: String,
    /// The branch that it goes to.
    pub base: String,
    /// Where the head was last: it may be gone.
    pub last_head: Option<Oid>,
    /// Login of its author.
    pub author: String,
    /// It is open.
    pub is_open: bool,
    /// It cannot be merged yet.
    pub is_draft: bool,
    /// Commit that merged it, and when (epoch seconds).
    pub merge_commit: Option<(Oid, f64)>,
    /// GitHub merges it, in this way, once it may: `merge`, `squash` or `rebase`.
    pub auto_merge_method: Option<String>,
    /// When it was opened, epoch seconds.
    pub created_at: f64,
    /// When it last changed, epoch seconds.
    pub updated_at: f64,
    /// Head for which its reviews and checks are there.
    pub checks_met_for: Option<Oid>,
}

/// Whether a pull request can be merged, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeableState {
    /// At once.
    Clean,
    /// Not before reviews and checks are there.
    Blocked,
    /// Its branches conflict.
    Dirty,
    /// It is a draft.
    Draft,
}

impl MergeableState {
    /// As `mergeable_state` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Blocked => "blocked",
            Self::Dirty => "dirty",
            Self::Draft => "draft",
        }
    }
}

/// The rule that a pull request does not meet yet.
pub fn unmet_protection<'a>(
    it: &'a GitHubRepository,
    pull: &GitHubPullRequest,
) -> Option<&'a BranchProtection> {
    let rule = it.protection(&pull.base).filter(|rule| protection::missing_requirements(rule).is_some())?;
    let met =
        pull.checks_met_for.is_some() && pull.checks_met_for.as_ref() == it.refs.get(&branch_ref(&pull.head));
    (!met).then_some(rule)
}

/// How a pull request stands.
pub fn mergeable_state(it: &GitHubRepository, number: usize) -> Option<MergeableState> {
    let pull = it.pulls.get(number.wrapping_sub(1))?;
    // Trying costs nothing but objects: a copy is enough.
    let conflicts = merge_branches(&mut it.clone(), pull).is_none();
    Some(match (pull.is_draft, conflicts, unmet_protection(it, pull)) {
        (true, ..) => MergeableState::Draft,
        (_, true, _) => MergeableState::Dirty,
        (.., Some(_)) => MergeableState::Blocked,
        _ => MergeableState::Clean,
    })
}

/// Heads of base and branch, and the folder that joins them; `None` when they conflict or one is gone.
fn merge_branches(it: &mut GitHubRepository, pull: &GitHubPullRequest) -> Option<(Oid, Oid, Oid)> {
    let base = it.refs.get(&branch_ref(&pull.base))?.clone();
    let head = it.refs.get(&branch_ref(&pull.head))?.clone();
    let join = commits::merge_base(&it.objects, &base, &head)?;
    let of = |oid: &str| Some(commits::read_commit(&it.objects, oid)?.tree);
    let (before, ours, theirs) = (of(&join)?, of(&base)?, of(&head)?);
    let joined = commits::merge_trees(&mut it.objects, &before, &ours, &theirs).ok()?;
    Some((base, head, joined))
}

/// The commit that joins a pull request's branches; nothing points to it yet. `None` when they conflict.
pub fn create_merge_commit(
    it: &mut GitHubRepository,
    number: usize,
    method: &str,
    words: Option<&str>,
    now: f64,
) -> Option<Oid> {
    let pull = it.pulls.get(number.wrapping_sub(1))?.clone();
    let (base, head, tree) = merge_branches(it, &pull)?;
    if method == "rebase" {
        return rebase_commits(it, &base, &head, now);
    }
    let author = login_signature(&pull.author, now);
    let owner = it.owner_and_name().0.to_owned();
    let (parents, usual) = match method {
        "squash" => (vec![base], format!("{} (#{number})", pull.title)),
        _ => {
            let words = format!("Merge pull request #{number} from {owner}/{}\n\n{}", pull.head, pull.title);
            (vec![base, head], words)
        }
    };
    let message = words.map_or(usual, str::to_owned);
    let commit = GitCommit { tree, parents, author, committer: web_flow_signature(now), message };
    Some(commits::write_commit(&mut it.objects, &commit))
}

/// The commits of a branch one by one on top of the other.
fn rebase_commits(it: &mut GitHubRepository, base: &str, head: &str, now: f64) -> Option<Oid> {
    let mut tip = base.to_owned();
    let mut ours = commits::commits_ahead(&it.objects, base, head);
    ours.reverse();
    for oid in ours {
        let commit = commits::read_commit(&it.objects, &oid)?;
        let before = commits::read_commit(&it.objects, commit.parents.first()?)?.tree;
        let onto = commits::read_commit(&it.objects, &tip)?.tree;
        let tree = commits::merge_trees(&mut it.objects, &before, &onto, &commit.tree).ok()?;
        let next = GitCommit { tree, parents: vec![tip], committer: web_flow_signature(now), ..commit };
        tip = commits::write_commit(&mut it.objects, &next);
    }
    Some(tip)
}

fn login_signature(login: &str, now: f64) -> GitSignature {
    let email = format!("{}+{login}@users.noreply.github.com", super::auth::account_id(login));
    GitSignature { name: login.into(), email, timestamp: now as i64 }
}
