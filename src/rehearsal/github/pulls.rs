//! Pull requests as they are kept, and what joins their branches.

use super::caller::web_flow;
use super::commits::{self, Commit, Person};
use super::objects::Oid;
use super::protection;
use super::settings::Protection;
use super::state::{Repository, branch_ref};

/// A pull request.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
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
    /// Login of whoever opened it.
    pub author: String,
    /// It is open.
    pub open: bool,
    /// It cannot be merged yet.
    pub draft: bool,
    /// Commit that merged it, and when (epoch seconds).
    pub merged: Option<(Oid, f64)>,
    /// GitHub merges it, in this way, once it may: `merge`, `squash` or `rebase`.
    pub auto_merge: Option<String>,
    /// When it was opened, epoch seconds.
    pub created: f64,
    /// When it last changed, epoch seconds.
    pub updated: f64,
    /// Head for which its reviews and checks are there.
    pub met: Option<Oid>,
}

/// Whether a pull request can be merged, in GitHub's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// At once.
    Clean,
    /// Not before reviews and checks are there.
    Blocked,
    /// Its branches conflict.
    Dirty,
    /// It is a draft.
    Draft,
}

impl Standing {
    /// As `mergeable_state` has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Blocked => "blocked",
            Self::Dirty => "dirty",
            Self::Draft => "draft",
        }
    }
}

/// The rule that a pull request does not meet yet.
pub fn unmet<'a>(it: &'a Repository, pull: &Pull) -> Option<&'a Protection> {
    let rule = it.protection(&pull.base).filter(|rule| protection::needs(rule).is_some())?;
    let met = pull.met.is_some() && pull.met.as_ref() == it.refs.get(&branch_ref(&pull.head));
    (!met).then_some(rule)
}

/// How a pull request stands.
pub fn standing(it: &Repository, number: usize) -> Option<Standing> {
    let pull = it.pulls.get(number.wrapping_sub(1))?;
    // Trying costs nothing but objects: a copy is enough.
    let conflicts = tree(&mut it.clone(), pull).is_none();
    Some(match (pull.draft, conflicts, unmet(it, pull)) {
        (true, ..) => Standing::Draft,
        (_, true, _) => Standing::Dirty,
        (.., Some(_)) => Standing::Blocked,
        _ => Standing::Clean,
    })
}

/// Heads of base and branch, and the folder that joins them; `None` when they conflict or one is gone.
fn tree(it: &mut Repository, pull: &Pull) -> Option<(Oid, Oid, Oid)> {
    let base = it.refs.get(&branch_ref(&pull.base))?.clone();
    let head = it.refs.get(&branch_ref(&pull.head))?.clone();
    let join = commits::merge_base(&it.objects, &base, &head)?;
    let of = |oid: &str| Some(commits::read(&it.objects, oid)?.tree);
    let (before, ours, theirs) = (of(&join)?, of(&base)?, of(&head)?);
    let joined = commits::merge(&mut it.objects, &before, &ours, &theirs).ok()?;
    Some((base, head, joined))
}

/// The commit that joins a pull request's branches; nothing points to it yet. `None` when they conflict.
pub fn joined(
    it: &mut Repository,
    number: usize,
    method: &str,
    words: Option<&str>,
    now: f64,
) -> Option<Oid> {
    let pull = it.pulls.get(number.wrapping_sub(1))?.clone();
    let (base, head, tree) = tree(it, &pull)?;
    if method == "rebase" {
        return replayed(it, &base, &head, now);
    }
    let author = person(&pull.author, now);
    let owner = it.parts().0.to_owned();
    let (parents, usual) = match method {
        "squash" => (vec![base], format!("{} (#{number})", pull.title)),
        _ => {
            let words = format!("Merge pull request #{number} from {owner}/{}\n\n{}", pull.head, pull.title);
            (vec![base, head], words)
        }
    };
    let message = words.map_or(usual, str::to_owned);
    let commit = Commit { tree, parents, author, committer: web_flow(now), message };
    Some(commits::write(&mut it.objects, &commit))
}

/// The commits of a branch one by one on top of the other.
fn replayed(it: &mut Repository, base: &str, head: &str, now: f64) -> Option<Oid> {
    let mut tip = base.to_owned();
    let mut ours = commits::beyond(&it.objects, base, head);
    ours.reverse();
    for oid in ours {
        let commit = commits::read(&it.objects, &oid)?;
        let before = commits::read(&it.objects, commit.parents.first()?)?.tree;
        let onto = commits::read(&it.objects, &tip)?.tree;
        let tree = commits::merge(&mut it.objects, &before, &onto, &commit.tree).ok()?;
        let next = Commit { tree, parents: vec![tip], committer: web_flow(now), ..commit };
        tip = commits::write(&mut it.objects, &next);
    }
    Some(tip)
}

fn person(login: &str, now: f64) -> Person {
    let email = format!("{}+{login}@users.noreply.github.com", super::caller::id(login));
    Person { name: login.into(), email, at: now as i64 }
}
