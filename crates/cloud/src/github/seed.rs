//! The past of a repository as a scenario tells it: commits one after the other, under names of the scenario's own choice.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::commits::{self, GitCommit, GitSignature};
use super::git_objects::{ObjectKind, Oid};
use super::state::{GitHubRepository, branch_ref};
use super::trees::{self, TreeChanges, TreeEntry};

/// A commit of the past.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommitSetting {
    /// Its name in hexadecimal digits; a short one is filled up with zeros.
    pub id: String,
    /// The branch that it is on; the default branch when absent. One that is new begins at `parent`.
    #[serde(default)]
    pub branch: Option<String>,
    /// The commit that it follows; the last one of its branch when absent.
    #[serde(default)]
    pub parent: Option<String>,
    /// A second parent: it is a merge.
    #[serde(default)]
    pub merges: Option<String>,
    /// Files that it writes.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Files that it removes.
    #[serde(default)]
    pub removed: Vec<String>,
    /// Files that it moves: from and to.
    #[serde(default)]
    pub renamed: BTreeMap<String, String>,
    /// Submodules that it sets: path and commit of the other repository.
    #[serde(default)]
    pub submodules: BTreeMap<String, String>,
    /// Its message.
    #[serde(default)]
    pub message: Option<String>,
}

/// The full name of a commit.
pub fn full_sha(id: &str) -> Oid {
    format!("{:0<40}", id.to_lowercase())
}

/// What types cannot say: names are hexadecimal, and no longer than a commit's.
pub fn validate(past: &[CommitSetting]) -> Result<(), String> {
    let sound = |id: &str| (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let names = past.iter().flat_map(|it| [Some(&it.id), it.parent.as_ref(), it.merges.as_ref()]).flatten();
    match names.into_iter().find(|id| !sound(id)) {
        Some(id) => Err(format!("history: {id:?} is no name of a commit: up to 40 hexadecimal digits")),
        None => Ok(()),
    }
}

/// What leads from one commit to the next.
#[derive(Debug, Clone, Copy)]
pub struct NamedCommit<'a> {
    /// Its name.
    pub id: &'a str,
    /// What it follows.
    pub parent: &'a str,
    /// A second parent.
    pub merged_parent: Option<&'a str>,
    /// The ref that points to it from now on, in full.
    pub reference: &'a str,
    /// Its message.
    pub message: &'a str,
}

impl GitHubRepository {
    /// Lives through a past, a minute a commit, from `began`, epoch seconds.
    pub(super) fn seed_history(&mut self, past: &[CommitSetting], began: f64) {
        for (place, it) in past.iter().enumerate() {
            let branch = it.branch.as_deref().unwrap_or(&self.default_branch);
            let reference = branch_ref(branch);
            let usual =
                self.refs.get(&reference).or_else(|| self.refs.get(&branch_ref(&self.default_branch)));
            let parent = it.parent.as_deref().map(full_sha).or_else(|| usual.cloned()).unwrap_or_default();
            let (id, merges) = (full_sha(&it.id), it.merges.as_deref().map(full_sha));
            let message = it.message.clone().unwrap_or_else(|| format!("Commit {}\n", it.id));
            let changes = self.seed_changes(it, &parent);
            let step = NamedCommit {
                id: &id,
                parent: &parent,
                merged_parent: merges.as_deref(),
                reference: &reference,
                message: &message,
            };
            self.follow(step, &changes, began + 60.0 * (place + 1) as f64);
        }
    }

    fn seed_changes(&mut self, past: &CommitSetting, parent: &str) -> TreeChanges {
        let mut changes = TreeChanges::new();
        for (from, to) in &past.renamed {
            changes.insert(to.clone(), commits::entry_at(&self.objects, parent, from));
            changes.insert(from.clone(), None);
        }
        for (path, text) in &past.files {
            let mode = commits::entry_at(&self.objects, parent, path).map(|entry| entry.mode);
            let oid = self.objects.insert(ObjectKind::Blob, text.as_bytes());
            changes
                .insert(path.clone(), Some(TreeEntry::new(mode.as_deref().unwrap_or(trees::FILE_MODE), oid)));
        }
        changes.extend(past.removed.iter().map(|path| (path.clone(), None)));
        let modules = past.submodules.iter();
        changes.extend(
            modules
                .map(|(path, id)| (path.clone(), Some(TreeEntry::new(trees::SUBMODULE_MODE, full_sha(id))))),
        );
        changes
    }

    /// A commit under a name of one's own choice. Git would give it another one: who clones the repository sees that.
    pub fn follow(&mut self, step: NamedCommit<'_>, changes: &TreeChanges, at: f64) {
        let before = commits::read_commit(&self.objects, step.parent).map(|commit| commit.tree);
        let tree = trees::edit_tree(&mut self.objects, &before.unwrap_or_default(), changes);
        let parents =
            [Some(step.parent), step.merged_parent].into_iter().flatten().map(str::to_owned).collect();
        let author = GitSignature {
            name: "Ada".into(),
            email: "ada@users.noreply.github.com".into(),
            timestamp: at as i64,
        };
        let message = step.message.to_owned();
        let commit = GitCommit { tree, parents, committer: author.clone(), author, message };
        self.objects.insert_with_oid(ObjectKind::Commit, step.id, commits::encode_commit(&commit).as_bytes());
        self.refs.insert(step.reference.into(), step.id.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_commit_ids_are_padded_and_validated() {
        assert_eq!(full_sha("A1"), format!("a1{}", "0".repeat(38)));
        let past = |id: &str| [CommitSetting { id: id.into(), ..CommitSetting::default() }];
        assert!(validate(&past("c0ffee")).is_ok());
        assert!(
            validate(&past("")).is_err()
                && validate(&past("main")).is_err()
                && validate(&past(&"a".repeat(41))).is_err()
        );
    }
}
