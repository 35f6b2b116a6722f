//! The past of a repository as a scenario tells it: commits one after the other, under names of the scenario's own choice.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::commits::{self, Commit, Person};
use super::objects::{Kind, Oid};
use super::state::{Repository, branch_ref};
use super::trees::{self, Changes, Entry};

/// A commit of the past.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Past {
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
pub fn full(id: &str) -> Oid {
    format!("{:0<40}", id.to_lowercase())
}

/// What types cannot say: names are hexadecimal, and no longer than a commit's.
pub fn check(past: &[Past]) -> Result<(), String> {
    let sound = |id: &str| (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let names = past.iter().flat_map(|it| [Some(&it.id), it.parent.as_ref(), it.merges.as_ref()]).flatten();
    match names.into_iter().find(|id| !sound(id)) {
        Some(id) => Err(format!("history: {id:?} is no name of a commit: up to 40 hexadecimal digits")),
        None => Ok(()),
    }
}

/// What leads from one commit to the next.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// Its name.
    pub id: &'a str,
    /// What it follows.
    pub parent: &'a str,
    /// A second parent.
    pub merges: Option<&'a str>,
    /// The ref that points to it from now on, in full.
    pub reference: &'a str,
    /// Its message.
    pub message: &'a str,
}

impl Repository {
    /// Lives through a past, a minute a commit, from `began`, epoch seconds.
    pub(super) fn live(&mut self, past: &[Past], began: f64) {
        for (place, it) in past.iter().enumerate() {
            let branch = it.branch.as_deref().unwrap_or(&self.default_branch);
            let reference = branch_ref(branch);
            let usual =
                self.refs.get(&reference).or_else(|| self.refs.get(&branch_ref(&self.default_branch)));
            let parent = it.parent.as_deref().map(full).or_else(|| usual.cloned()).unwrap_or_default();
            let (id, merges) = (full(&it.id), it.merges.as_deref().map(full));
            let message = it.message.clone().unwrap_or_else(|| format!("Commit {}\n", it.id));
            let changes = self.changes(it, &parent);
            let step = Step {
                id: &id,
                parent: &parent,
                merges: merges.as_deref(),
                reference: &reference,
                message: &message,
            };
            self.follow(step, &changes, began + 60.0 * (place + 1) as f64);
        }
    }

    fn changes(&mut self, past: &Past, parent: &str) -> Changes {
        let mut changes = Changes::new();
        for (from, to) in &past.renamed {
            changes.insert(to.clone(), commits::at(&self.objects, parent, from));
            changes.insert(from.clone(), None);
        }
        for (path, text) in &past.files {
            let mode = commits::at(&self.objects, parent, path).map(|entry| entry.mode);
            let oid = self.objects.put(Kind::Blob, text.as_bytes());
            changes.insert(path.clone(), Some(Entry::new(mode.as_deref().unwrap_or(trees::FILE), oid)));
        }
        changes.extend(past.removed.iter().map(|path| (path.clone(), None)));
        let modules = past.submodules.iter();
        changes
            .extend(modules.map(|(path, id)| (path.clone(), Some(Entry::new(trees::SUBMODULE, full(id))))));
        changes
    }

    /// A commit under a name of one's own choice. Git would give it another one: who clones the repository sees that.
    pub fn follow(&mut self, step: Step<'_>, changes: &Changes, at: f64) {
        let before = commits::read(&self.objects, step.parent).map(|commit| commit.tree);
        let tree = trees::edit(&mut self.objects, &before.unwrap_or_default(), changes);
        let parents = [Some(step.parent), step.merges].into_iter().flatten().map(str::to_owned).collect();
        let author =
            Person { name: "Ada".into(), email: "ada@users.noreply.github.com".into(), at: at as i64 };
        let message = step.message.to_owned();
        let commit = Commit { tree, parents, committer: author.clone(), author, message };
        self.objects.keep(Kind::Commit, step.id, commits::text(&commit).as_bytes());
        self.refs.insert(step.reference.into(), step.id.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_filled_up_and_checked() {
        assert_eq!(full("A1"), format!("a1{}", "0".repeat(38)));
        let past = |id: &str| [Past { id: id.into(), ..Past::default() }];
        assert!(check(&past("c0ffee")).is_ok());
        assert!(
            check(&past("")).is_err()
                && check(&past("main")).is_err()
                && check(&past(&"a".repeat(41))).is_err()
        );
    }
}
