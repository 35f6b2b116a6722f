//! Folders: what is in them, finding a path, and making new ones out of changes to paths.

use std::collections::BTreeMap;

use super::git_objects::{ObjectKind, ObjectStore, Oid};

/// Mode of a plain file.
pub const FILE_MODE: &str = "100644";
/// Mode of an executable file.
pub const EXECUTABLE_MODE: &str = "100755";
/// Mode of a symbolic link.
pub const SYMLINK_MODE: &str = "120000";
/// Mode of a folder, as GitHub writes it; Git drops the zero.
pub const TREE_MODE: &str = "040000";
/// Mode of a submodule.
pub const SUBMODULE_MODE: &str = "160000";

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Six digits.
    pub mode: String,
    /// Its object.
    pub oid: Oid,
}

impl TreeEntry {
    /// An entry with this mode.
    pub fn new(mode: &str, oid: impl Into<Oid>) -> Self {
        Self { mode: mode.into(), oid: oid.into() }
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.mode == TREE_MODE
    }

    /// The kind of its object, in GitHub's words.
    pub fn object_type(&self) -> &'static str {
        match self.mode.as_str() {
            TREE_MODE => "tree",
            SUBMODULE_MODE => "commit",
            _ => "blob",
        }
    }
}

/// What becomes of paths: an entry, or nothing.
pub type TreeChanges = BTreeMap<String, Option<TreeEntry>>;

/// Entries of a folder by name; empty when there is no such folder.
pub fn read_tree(objects: &ObjectStore, tree: &str) -> BTreeMap<String, TreeEntry> {
    let mut rest = objects.get(ObjectKind::Tree, tree).unwrap_or_default();
    let mut entries = BTreeMap::new();
    while let Some(((mode, name), after)) = parse_entry(rest) {
        let Some((oid, next)) = after.split_at_checked(20) else { break };
        let mode = format!("{:0>6}", String::from_utf8_lossy(mode));
        entries.insert(String::from_utf8_lossy(name).into_owned(), TreeEntry { mode, oid: hex::encode(oid) });
        rest = next;
    }
    entries
}

type RawEntry<'a> = ((&'a [u8], &'a [u8]), &'a [u8]);

fn parse_entry(bytes: &[u8]) -> Option<RawEntry<'_>> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(((&bytes[..space], bytes.get(space + 1..end)?), &bytes[end + 1..]))
}

/// Keep a folder. Git orders names by their bytes, with a slash behind those of folders.
pub fn write_tree(objects: &mut ObjectStore, entries: &BTreeMap<String, TreeEntry>) -> Oid {
    let mut ordered: Vec<(&String, &TreeEntry)> = entries.iter().collect();
    ordered.sort_by_key(|(name, entry)| if entry.is_folder() { format!("{name}/") } else { (*name).clone() });
    let mut bytes = Vec::new();
    for (name, entry) in ordered {
        bytes.extend(format!("{} {name}\0", entry.mode.trim_start_matches('0')).bytes());
        bytes.extend(hex::decode(&entry.oid).unwrap_or_default());
    }
    objects.insert(ObjectKind::Tree, &bytes)
}

/// The entry at a path; the folder itself when the path is empty.
pub fn find_entry(objects: &ObjectStore, tree: &str, path: &str) -> Option<TreeEntry> {
    let start = TreeEntry::new(TREE_MODE, tree);
    path.split('/').filter(|part| !part.is_empty()).try_fold(start, |at, part| {
        at.is_folder().then(|| read_tree(objects, &at.oid).remove(part)).flatten()
    })
}

/// The folder that results from changes, without folders that became empty. A file in the way of a folder gives way.
pub fn edit_tree(objects: &mut ObjectStore, tree: &str, changes: &TreeChanges) -> Oid {
    let mut entries = read_tree(objects, tree);
    let mut inner: BTreeMap<&str, TreeChanges> = BTreeMap::new();
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
        let below = edit_tree(objects, below.as_deref().unwrap_or_default(), &changes);
        match read_tree(objects, &below).is_empty() {
            false => drop(entries.insert(folder.into(), TreeEntry::new(TREE_MODE, below))),
            true => drop(entries.remove(folder)),
        }
    }
    write_tree(objects, &entries)
}

/// Every entry that is no folder, by its path.
pub fn list_files(objects: &ObjectStore, tree: &str) -> BTreeMap<String, TreeEntry> {
    let mut found = BTreeMap::new();
    walk_files(objects, tree, "", &mut |path, entry| drop(found.insert(path, entry)));
    found
}

fn walk_files(objects: &ObjectStore, tree: &str, prefix: &str, each: &mut impl FnMut(String, TreeEntry)) {
    for (name, entry) in read_tree(objects, tree) {
        let path = format!("{prefix}{name}");
        match entry.is_folder() {
            true => walk_files(objects, &entry.oid, &format!("{path}/"), each),
            false => each(path, entry),
        }
    }
}

/// What leads from one folder to another: the entry at each path that differs, before and after.
pub fn diff_trees(objects: &ObjectStore, from: &str, to: &str) -> TreeDiff {
    let mut found = BTreeMap::new();
    collect_differences(objects, from, to, "", &mut found);
    found
}

/// Paths, and what was and is there.
pub type TreeDiff = BTreeMap<String, (Option<TreeEntry>, Option<TreeEntry>)>;

fn collect_differences(objects: &ObjectStore, from: &str, to: &str, prefix: &str, found: &mut TreeDiff) {
    if from == to {
        return;
    }
    let (before, after) = (read_tree(objects, from), read_tree(objects, to));
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let folder = |entry: Option<&TreeEntry>| entry.filter(|e| e.is_folder()).map(|e| e.oid.clone());
        let file = |entry: Option<&TreeEntry>| entry.filter(|e| !e.is_folder()).cloned();
        let path = format!("{prefix}{name}");
        if file(old).is_some() || file(new).is_some() {
            found.insert(path.clone(), (file(old), file(new)));
        }
        if let (old, new) = (folder(old), folder(new))
            && (old.is_some() || new.is_some())
        {
            let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
            collect_differences(objects, &old, &new, &format!("{path}/"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_edit_adds_finds_changes_and_removes_paths() {
        let mut objects = ObjectStore::default();
        let blob = objects.insert(ObjectKind::Blob, b"x");
        let entry = |mode| Some(TreeEntry::new(mode, blob.clone()));
        let changes: TreeChanges = [
            ("a/b/c".to_string(), entry(FILE_MODE)),
            ("a.txt".into(), entry(EXECUTABLE_MODE)),
            ("z".into(), entry(SYMLINK_MODE)),
        ]
        .into();
        let tree = edit_tree(&mut objects, "", &changes);
        assert_eq!(find_entry(&objects, &tree, "a/b/c"), entry(FILE_MODE));
        assert_eq!(find_entry(&objects, &tree, "a.txt"), entry(EXECUTABLE_MODE));
        assert_eq!(find_entry(&objects, &tree, "a/b/c/d"), None);
        let less = edit_tree(&mut objects, &tree, &[("a/b/c".to_string(), None)].into());
        assert_eq!(find_entry(&objects, &less, "a"), None, "empty folders are not kept");
        let differences = diff_trees(&objects, &tree, &less);
        assert_eq!(differences, [("a/b/c".to_string(), (entry(FILE_MODE), None))].into());
        assert_eq!(list_files(&objects, &less).len(), 2);
    }
}
