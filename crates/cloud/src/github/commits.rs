//! Commits: their form, what comes before what, and the history of a path.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::git_objects::{ObjectKind, ObjectStore, Oid};
use super::trees::{self, TreeEntry};

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSignature {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Epoch seconds.
    pub timestamp: i64,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCommit {
    /// Its folder.
    pub tree: Oid,
    /// What it follows.
    pub parents: Vec<Oid>,
    /// Who wrote it.
    pub author: GitSignature,
    /// Who made the commit.
    pub committer: GitSignature,
    /// The message, as it is.
    pub message: String,
}

/// Keep a commit.
pub fn write_commit(objects: &mut ObjectStore, commit: &GitCommit) -> Oid {
    objects.insert(ObjectKind::Commit, encode_commit(commit).as_bytes())
}

/// A commit as Git writes it.
pub fn encode_commit(commit: &GitCommit) -> String {
    let parents: String = commit.parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!(
        "tree {}\n{parents}author {}\ncommitter {}\n\n{}",
        commit.tree,
        signature_line(&commit.author),
        signature_line(&commit.committer),
        commit.message
    )
}

/// Read a commit.
pub fn read_commit(objects: &ObjectStore, oid: &str) -> Option<GitCommit> {
    let text = String::from_utf8_lossy(objects.get(ObjectKind::Commit, oid)?).into_owned();
    let (head, message) = text.split_once("\n\n")?;
    let member = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Some(GitCommit {
        tree: member("tree")?.into(),
        parents: head.lines().filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect(),
        author: parse_signature(member("author")?)?,
        committer: parse_signature(member("committer")?)?,
        message: message.into(),
    })
}

/// Git lets neither name nor address hold what separates them.
fn signature_line(person: &GitSignature) -> String {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\0'], "");
    format!("{} <{}> {} +0000", clean(&person.name), clean(&person.email), person.timestamp)
}

fn parse_signature(line: &str) -> Option<GitSignature> {
    let (name, rest) = line.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let at = rest.split(' ').next()?.parse().ok()?;
    Some(GitSignature { name: name.into(), email: email.into(), timestamp: at })
}

/// A commit and everything before it, the newest first, as `git log` shows it.
pub fn list_commits(objects: &ObjectStore, tip: &str) -> Vec<Oid> {
    walk_history(objects, tip, |_, commit| (true, commit.parents.clone()))
}

/// The commits that changed a path, the newest first. Where a merge took the path from one side as it was, only that
/// side is followed, as `git log -- path` does.
pub fn list_commits_of_path(objects: &ObjectStore, tip: &str, path: &str) -> Vec<Oid> {
    walk_history(objects, tip, |_, commit| {
        let here = trees::find_entry(objects, &commit.tree, path);
        let same = commit.parents.iter().find(|parent| entry_at(objects, parent, path) == here);
        match same {
            Some(parent) => (false, vec![parent.clone()]),
            None => (!commit.parents.is_empty() || here.is_some(), commit.parents.clone()),
        }
    })
}

/// The entry at a path of a commit.
pub fn entry_at(objects: &ObjectStore, commit: &str, path: &str) -> Option<TreeEntry> {
    trees::find_entry(objects, &read_commit(objects, commit)?.tree, path)
}

/// Walks back from a commit, newest first; `visit` says whether a commit is shown and where to go on.
fn walk_history(
    objects: &ObjectStore,
    tip: &str,
    visit: impl Fn(&str, &GitCommit) -> (bool, Vec<Oid>),
) -> Vec<Oid> {
    let (mut seen, mut shown) = (BTreeSet::from([tip.to_owned()]), Vec::new());
    // Commits of the same second come in the order in which they were met.
    let (mut open, mut met) = (BinaryHeap::new(), 0_i64);
    if let Some(commit) = read_commit(objects, tip) {
        open.push((commit.committer.timestamp, met, tip.to_owned()));
    }
    while let Some((_, _, oid)) = open.pop() {
        let Some(commit) = read_commit(objects, &oid) else { continue };
        let (show, next) = visit(&oid, &commit);
        if show {
            shown.push(oid);
        }
        for parent in next {
            if seen.insert(parent.clone()) {
                met -= 1;
                let at = read_commit(objects, &parent).map_or(0, |commit| commit.committer.timestamp);
                open.push((at, met, parent));
            }
        }
    }
    shown
}

/// Whether `ancestor` is `descendant` or comes before it.
pub fn is_ancestor(objects: &ObjectStore, ancestor: &str, descendant: &str) -> bool {
    objects.kind(ancestor) == Some(ObjectKind::Commit)
        && list_commits(objects, descendant).iter().any(|oid| oid == ancestor)
}

/// The newest commit that comes before both.
pub fn merge_base(objects: &ObjectStore, one: &str, other: &str) -> Option<Oid> {
    let theirs: BTreeSet<Oid> = list_commits(objects, other).into_iter().collect();
    list_commits(objects, one).into_iter().find(|oid| theirs.contains(oid))
}

/// What `head` has and `base` has not, the newest first.
pub fn commits_ahead(objects: &ObjectStore, base: &str, head: &str) -> Vec<Oid> {
    let known: BTreeSet<Oid> = list_commits(objects, base).into_iter().collect();
    list_commits(objects, head).into_iter().filter(|oid| !known.contains(oid)).collect()
}

/// The folder that joins two sides, or the paths that both changed to different things. Files are taken whole:
/// unlike Git, two changes to different lines of one file do not join.
pub fn merge_trees(
    objects: &mut ObjectStore,
    base: &str,
    ours: &str,
    theirs: &str,
) -> Result<Oid, Vec<String>> {
    let mine = trees::diff_trees(objects, base, ours);
    let changes: BTreeMap<String, Option<TreeEntry>> = trees::diff_trees(objects, base, theirs)
        .into_iter()
        .map(|(path, (_, after))| (path, after))
        .collect();
    let conflicts: Vec<String> = changes
        .iter()
        .filter(|(path, after)| mine.get(*path).is_some_and(|(_, own)| own != *after))
        .map(|(path, _)| path.clone())
        .collect();
    if conflicts.is_empty() { Ok(trees::edit_tree(objects, ours, &changes)) } else { Err(conflicts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add_commit(objects: &mut ObjectStore, parents: &[&str], at: i64, files: &[(&str, &str)]) -> Oid {
        let mut changes = trees::TreeChanges::new();
        for (path, text) in files {
            let oid = objects.insert(ObjectKind::Blob, text.as_bytes());
            changes.insert((*path).into(), Some(TreeEntry::new(trees::FILE_MODE, oid)));
        }
        let tree = trees::edit_tree(objects, "", &changes);
        let person = GitSignature { name: "Ada".into(), email: "ada@acme.dev".into(), timestamp: at };
        let parents = parents.iter().map(ToString::to_string).collect();
        let (author, committer) = (person.clone(), person);
        write_commit(objects, &GitCommit { tree, parents, author, committer, message: "words\n".into() })
    }

    #[test]
    fn history_with_merge_is_walked_in_order() {
        let mut objects = ObjectStore::default();
        let root = add_commit(&mut objects, &[], 10, &[("a", "1"), ("b", "1")]);
        let left = add_commit(&mut objects, &[&root], 20, &[("a", "2"), ("b", "1")]);
        let right = add_commit(&mut objects, &[&root], 20, &[("a", "1"), ("b", "2")]);
        assert_eq!(merge_base(&objects, &left, &right), Some(root.clone()));
        let tree = |oid: &str| read_commit(&objects, oid).unwrap().tree;
        let (base, ours, theirs) = (tree(&root), tree(&left), tree(&right));
        let joined = merge_trees(&mut objects, &base, &ours, &theirs).unwrap();
        assert_eq!(trees::list_files(&objects, &joined).len(), 2);
        let merged = add_commit(&mut objects, &[&left, &right], 30, &[("a", "2"), ("b", "2")]);
        assert_eq!(read_commit(&objects, &merged).unwrap().tree, joined);
        assert_eq!(
            list_commits(&objects, &merged),
            [merged.clone(), left.clone(), right.clone(), root.clone()]
        );
        assert_eq!(list_commits_of_path(&objects, &merged, "b"), [right.clone(), root.clone()]);
        assert!(is_ancestor(&objects, &left, &merged) && !is_ancestor(&objects, &left, &right));
        assert_eq!(commits_ahead(&objects, &left, &merged), [merged, right]);
        let other = add_commit(&mut objects, &[&root], 40, &[("a", "3"), ("b", "1")]);
        let theirs = read_commit(&objects, &other).unwrap().tree;
        assert_eq!(merge_trees(&mut objects, &base, &ours, &theirs), Err(vec!["a".to_string()]));
    }
}
