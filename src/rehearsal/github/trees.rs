//! Folders: what is in them, finding a path, and making new ones out of changes to paths.

use std::collections::BTreeMap;

use super::objects::{Kind, Objects, Oid};

/// Mode of a plain file.
pub const FILE: &str = "100644";
/// Mode of an executable file.
pub const EXECUTABLE: &str = "100755";
/// Mode of a symbolic link.
pub const LINK: &str = "120000";
/// Mode of a folder, as GitHub writes it; Git drops the zero.
pub const FOLDER: &str = "040000";
/// Mode of a submodule.
pub const SUBMODULE: &str = "160000";

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Six digits.
    pub mode: String,
    /// Its object.
    pub oid: Oid,
}

impl Entry {
    /// An entry with this mode.
    pub fn new(mode: &str, oid: impl Into<Oid>) -> Self {
        Self { mode: mode.into(), oid: oid.into() }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.mode == FOLDER
    }

    /// The kind of its object, in GitHub's words.
    pub fn kind(&self) -> &'static str {
        match self.mode.as_str() {
            FOLDER => "tree",
            SUBMODULE => "commit",
            _ => "blob",
        }
    }
}

/// What becomes of paths: an entry, or nothing.
pub type Changes = BTreeMap<String, Option<Entry>>;

/// Entries of a folder by name; empty when there is no such folder.
pub fn read(objects: &Objects, tree: &str) -> BTreeMap<String, Entry> {
    let mut rest = objects.get(Kind::Tree, tree).unwrap_or_default();
    let mut entries = BTreeMap::new();
    while let Some(((mode, name), after)) = one(rest) {
        let Some((oid, next)) = after.split_at_checked(20) else { break };
        let mode = format!("{:0>6}", String::from_utf8_lossy(mode));
        entries.insert(String::from_utf8_lossy(name).into_owned(), Entry { mode, oid: hex::encode(oid) });
        rest = next;
    }
    entries
}

type Parts<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn one(bytes: &[u8]) -> Option<Parts<'_>> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(((&bytes[..space], bytes.get(space + 1..end)?), &bytes[end + 1..]))
}

/// Keep a folder. Git orders names by their bytes, with a slash behind those of folders.
pub fn write(objects: &mut Objects, entries: &BTreeMap<String, Entry>) -> Oid {
    let mut ordered: Vec<(&String, &Entry)> = entries.iter().collect();
    ordered.sort_by_key(|(name, entry)| if entry.is_folder() { format!("{name}/") } else { (*name).clone() });
    let mut bytes = Vec::new();
    for (name, entry) in ordered {
        bytes.extend(format!("{} {name}\0", entry.mode.trim_start_matches('0')).bytes());
        bytes.extend(hex::decode(&entry.oid).unwrap_or_default());
    }
    objects.put(Kind::Tree, &bytes)
}

/// The entry at a path; the folder itself when the path is empty.
pub fn find(objects: &Objects, tree: &str, path: &str) -> Option<Entry> {
    let start = Entry::new(FOLDER, tree);
    path.split('/')
        .filter(|part| !part.is_empty())
        .try_fold(start, |at, part| at.is_folder().then(|| read(objects, &at.oid).remove(part)).flatten())
}

/// The folder that results from changes, without folders that became empty. A file in the way of a folder gives way.
pub fn edit(objects: &mut Objects, tree: &str, changes: &Changes) -> Oid {
    let mut entries = read(objects, tree);
    let mut inner: BTreeMap<&str, Changes> = BTreeMap::new();
    for (path, change) in changes {
        match (path.split_once('/'), change) {
            (Some((folder, rest)), _) => {
                inner.entry(folder).or_default().insert(rest.into(), change.clone());
            }
            (None, Some(entry)) => drop(entries.insert(path.clone(), entry.clone())),
            (None, None) => drop(entries.remove(path)),
        }
    }
    for (folder, changes) in inner {
        let below = entries.get(folder).filter(|entry| entry.is_folder()).map(|entry| entry.oid.clone());
        let below = edit(objects, below.as_deref().unwrap_or_default(), &changes);
        match read(objects, &below).is_empty() {
            false => drop(entries.insert(folder.into(), Entry::new(FOLDER, below))),
            true => drop(entries.remove(folder)),
        }
    }
    write(objects, &entries)
}

/// Every entry that is no folder, by its path.
pub fn files(objects: &Objects, tree: &str) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    walk(objects, tree, "", &mut |path, entry| drop(found.insert(path, entry)));
    found
}

fn walk(objects: &Objects, tree: &str, prefix: &str, each: &mut impl FnMut(String, Entry)) {
    for (name, entry) in read(objects, tree) {
        let path = format!("{prefix}{name}");
        match entry.is_folder() {
            true => walk(objects, &entry.oid, &format!("{path}/"), each),
            false => each(path, entry),
        }
    }
}

/// What leads from one folder to another: the entry at each path that differs, before and after.
pub fn differences(objects: &Objects, from: &str, to: &str) -> Differences {
    let mut found = BTreeMap::new();
    compare(objects, from, to, "", &mut found);
    found
}

/// Paths, and what was and is there.
pub type Differences = BTreeMap<String, (Option<Entry>, Option<Entry>)>;

fn compare(objects: &Objects, from: &str, to: &str, prefix: &str, found: &mut Differences) {
    if from == to {
        return;
    }
    let (before, after) = (read(objects, from), read(objects, to));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let folder = |entry: Option<&Entry>| entry.filter(|e| e.is_folder()).map(|e| e.oid.clone());
        let file = |entry: Option<&Entry>| entry.filter(|e| !e.is_folder()).cloned();
        let path = format!("{prefix}{name}");
        if file(old).is_some() || file(new).is_some() {
            found.insert(path.clone(), (file(old), file(new)));
        }
        if let (old, new) = (folder(old), folder(new))
            && (old.is_some() || new.is_some())
        {
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            compare(objects, &old, &new, &format!("{path}/"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_found_changed_and_removed() {
        let mut objects = Objects::default();
        let blob = objects.put(Kind::Blob, b"x");
        let entry = |mode| Some(Entry::new(mode, blob.clone()));
        let changes: Changes = [
            ("a/b/c".to_string(), entry(FILE)),
            ("a.txt".into(), entry(EXECUTABLE)),
            ("z".into(), entry(LINK)),
        ]
        .into();
        let tree = edit(&mut objects, "", &changes);
        assert_eq!(find(&objects, &tree, "a/b/c"), entry(FILE));
        assert_eq!(find(&objects, &tree, "a.txt"), entry(EXECUTABLE));
        assert_eq!(find(&objects, &tree, "a/b/c/d"), None);
        let less = edit(&mut objects, &tree, &[("a/b/c".to_string(), None)].into());
        assert_eq!(find(&objects, &less, "a"), None, "empty folders are not kept");
        let differences = differences(&objects, &tree, &less);
        assert_eq!(differences, [("a/b/c".to_string(), (entry(FILE), None))].into());
        assert_eq!(files(&objects, &less).len(), 2);
    }
}
