//! Commits: their form, what comes before what, and the history of a path.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::objects::{Kind, Objects, Oid};
use super::trees::{self, Entry};

/// Who did something, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Epoch seconds.
    pub at: i64,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its folder.
    pub tree: Oid,
    /// What it follows.
    pub parents: Vec<Oid>,
    /// Who wrote it.
    pub author: Person,
    /// Who made the commit.
    pub committer: Person,
    /// The message, as it is.
    pub message: String,
}

/// Keep a commit.
pub fn write(objects: &mut Objects, commit: &Commit) -> Oid {
    objects.put(Kind::Commit, text(commit).as_bytes())
}

/// A commit as Git writes it.
pub fn text(commit: &Commit) -> String {
    let parents: String = commit.parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!(
        "tree {}\n{parents}author {}\ncommitter {}\n\n{}",
        commit.tree,
        line(&commit.author),
        line(&commit.committer),
        commit.message
    )
}

/// Read a commit.
pub fn read(objects: &Objects, oid: &str) -> Option<Commit> {
    let text = String::from_utf8_lossy(objects.get(Kind::Commit, oid)?).into_owned();
    let (head, message) = text.split_once("\n\n")?;
    let member = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Some(Commit {
        tree: member("tree")?.into(),
        parents: head.lines().filter_map(|line| line.strip_prefix("parent ")).map(str::to_owned).collect(),
        author: person(member("author")?)?,
        committer: person(member("committer")?)?,
        message: message.into(),
    })
}

/// Git lets neither name nor address hold what separates them.
fn line(person: &Person) -> String {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\0'], "");
    format!("{} <{}> {} +0000", clean(&person.name), clean(&person.email), person.at)
}

fn person(line: &str) -> Option<Person> {
    let (name, rest) = line.split_once(" <")?;
    let (email, rest) = rest.split_once("> ")?;
    let at = rest.split(' ').next()?.parse().ok()?;
    Some(Person { name: name.into(), email: email.into(), at })
}

/// A commit and everything before it, the newest first, as `git log` shows it.
pub fn log(objects: &Objects, tip: &str) -> Vec<Oid> {
    walk(objects, tip, |_, commit| (true, commit.parents.clone()))
}

/// The commits that changed a path, the newest first. Where a merge took the path from one side as it was, only that
/// side is followed, as `git log -- path` does.
pub fn log_of(objects: &Objects, tip: &str, path: &str) -> Vec<Oid> {
    walk(objects, tip, |_, commit| {
        let here = trees::find(objects, &commit.tree, path);
        let same = commit.parents.iter().find(|parent| at(objects, parent, path) == here);
        match same {
            Some(parent) => (false, vec![parent.clone()]),
            None => (!commit.parents.is_empty() || here.is_some(), commit.parents.clone()),
        }
    })
}

/// The entry at a path of a commit.
pub fn at(objects: &Objects, commit: &str, path: &str) -> Option<Entry> {
    trees::find(objects, &read(objects, commit)?.tree, path)
}

/// Walks back from a commit, newest first; `visit` says whether a commit is shown and where to go on.
fn walk(objects: &Objects, tip: &str, visit: impl Fn(&str, &Commit) -> (bool, Vec<Oid>)) -> Vec<Oid> {
    let (mut seen, mut shown) = (BTreeSet::from([tip.to_owned()]), Vec::new());
    // Commits of the same second come in the order in which they were met.
    let (mut open, mut met) = (BinaryHeap::new(), 0_i64);
    if let Some(commit) = read(objects, tip) {
        open.push((commit.committer.at, met, tip.to_owned()));
    }
    while let Some((_, _, oid)) = open.pop() {
        let Some(commit) = read(objects, &oid) else { continue };
        let (show, next) = visit(&oid, &commit);
        if show {
            shown.push(oid);
        }
        for parent in next {
            if seen.insert(parent.clone()) {
                met -= 1;
                let at = read(objects, &parent).map_or(0, |commit| commit.committer.at);
                open.push((at, met, parent));
            }
        }
    }
    shown
}

/// Whether `ancestor` is `descendant` or comes before it.
pub fn contains(objects: &Objects, ancestor: &str, descendant: &str) -> bool {
    objects.kind(ancestor) == Some(Kind::Commit) && log(objects, descendant).iter().any(|oid| oid == ancestor)
}

/// The newest commit that comes before both.
pub fn merge_base(objects: &Objects, one: &str, other: &str) -> Option<Oid> {
    let theirs: BTreeSet<Oid> = log(objects, other).into_iter().collect();
    log(objects, one).into_iter().find(|oid| theirs.contains(oid))
}

/// What `head` has and `base` has not, the newest first.
pub fn beyond(objects: &Objects, base: &str, head: &str) -> Vec<Oid> {
    let known: BTreeSet<Oid> = log(objects, base).into_iter().collect();
    log(objects, head).into_iter().filter(|oid| !known.contains(oid)).collect()
}

/// The folder that joins two sides, or the paths that both changed to different things. Files are taken whole:
/// unlike Git, two changes to different lines of one file do not join.
pub fn merge(objects: &mut Objects, base: &str, ours: &str, theirs: &str) -> Result<Oid, Vec<String>> {
    let mine = trees::differences(objects, base, ours);
    let changes: BTreeMap<String, Option<Entry>> = trees::differences(objects, base, theirs)
        .into_iter()
        .map(|(path, (_, after))| (path, after))
        .collect();
    let conflicts: Vec<String> = changes
        .iter()
        .filter(|(path, after)| mine.get(*path).is_some_and(|(_, own)| own != *after))
        .map(|(path, _)| path.clone())
        .collect();
    if conflicts.is_empty() { Ok(trees::edit(objects, ours, &changes)) } else { Err(conflicts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(objects: &mut Objects, parents: &[&str], at: i64, files: &[(&str, &str)]) -> Oid {
        let mut changes = trees::Changes::new();
        for (path, text) in files {
            let oid = objects.put(Kind::Blob, text.as_bytes());
            changes.insert((*path).into(), Some(Entry::new(trees::FILE, oid)));
        }
        let tree = trees::edit(objects, "", &changes);
        let person = Person { name: "Ada".into(), email: "ada@acme.dev".into(), at };
        let parents = parents.iter().map(ToString::to_string).collect();
        let (author, committer) = (person.clone(), person);
        write(objects, &Commit { tree, parents, author, committer, message: "words\n".into() })
    }

    #[test]
    fn histories_branch_and_join() {
        let mut objects = Objects::default();
        let root = commit(&mut objects, &[], 10, &[("a", "1"), ("b", "1")]);
        let left = commit(&mut objects, &[&root], 20, &[("a", "2"), ("b", "1")]);
        let right = commit(&mut objects, &[&root], 20, &[("a", "1"), ("b", "2")]);
        assert_eq!(merge_base(&objects, &left, &right), Some(root.clone()));
        let tree = |oid: &str| read(&objects, oid).unwrap().tree;
        let (base, ours, theirs) = (tree(&root), tree(&left), tree(&right));
        let joined = merge(&mut objects, &base, &ours, &theirs).unwrap();
        assert_eq!(trees::files(&objects, &joined).len(), 2);
        let merged = commit(&mut objects, &[&left, &right], 30, &[("a", "2"), ("b", "2")]);
        assert_eq!(read(&objects, &merged).unwrap().tree, joined);
        assert_eq!(log(&objects, &merged), [merged.clone(), left.clone(), right.clone(), root.clone()]);
        assert_eq!(log_of(&objects, &merged, "b"), [right.clone(), root.clone()]);
        assert!(contains(&objects, &left, &merged) && !contains(&objects, &left, &right));
        assert_eq!(beyond(&objects, &left, &merged), [merged, right]);
        let other = commit(&mut objects, &[&root], 40, &[("a", "3"), ("b", "1")]);
        let theirs = read(&objects, &other).unwrap().tree;
        assert_eq!(merge(&mut objects, &base, &ours, &theirs), Err(vec!["a".to_string()]));
    }
}
