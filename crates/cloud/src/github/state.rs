//! What GitHub holds: repositories with their objects, refs and pull requests. The way in for other parts of the cloud
//! and for tests that push as a person would.

use std::collections::BTreeMap;

use super::check_runs::GitHubCheckRun;
use super::comments::GitHubComment;
use super::commits::{self, GitCommit, GitSignature};
use super::deployments::GitHubDeployment;
use super::git_objects::{ObjectKind, ObjectStore, Oid};
use super::pulls::GitHubPullRequest;
use super::scenario::{BranchProtection, GitHubSettings, GitHubToken, GitRepositorySetting};
use super::trees::{self, TreeChanges, TreeEntry};
use super::workflow_runs::WorkflowRun;

/// GitHub.
#[derive(Debug, Clone, Default)]
pub struct GitHubState {
    /// Repositories by full name.
    pub repositories: BTreeMap<String, GitHubRepository>,
    /// Tokens by their text.
    pub tokens: BTreeMap<String, GitHubToken>,
    /// What a token is that is not among them.
    pub job_token: GitHubToken,
    /// Used up rates.
    pub rate_limits: super::rate_limits::RateLimits,
}

/// A repository.
#[derive(Debug, Clone, Default)]
pub struct GitHubRepository {
    /// A number of its own.
    pub id: u64,
    /// Such as `acme/manifests`.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// Its objects.
    pub objects: ObjectStore,
    /// What refs point to, by full name such as `refs/heads/main`.
    pub refs: BTreeMap<String, Oid>,
    /// What a lagging replica still shows of a ref, and until when (epoch seconds).
    pub stale_refs: BTreeMap<String, (f64, Option<Oid>)>,
    /// What protects branches.
    pub protection_rules: Vec<BranchProtection>,
    /// Pull requests, the first is number 1.
    pub pulls: Vec<GitHubPullRequest>,
    /// Whether pull requests can have auto-merge.
    pub allows_auto_merge: bool,
    /// Nothing can be written any more.
    pub is_archived: bool,
    /// Who may not read it gets 404.
    pub is_private: bool,
    /// When it was made, epoch seconds.
    pub created_at: f64,
    /// Deployments, the oldest first.
    pub deployments: Vec<GitHubDeployment>,
    /// Check runs, the oldest first.
    pub check_runs: Vec<GitHubCheckRun>,
    /// Numbers of issues and pull requests that are there to be spoken about, besides `pulls`.
    pub issues: Vec<u64>,
    /// Comments, the oldest first.
    pub comments: Vec<GitHubComment>,
    /// Runs of its workflows.
    pub workflow_runs: Vec<WorkflowRun>,
    /// The number that was given last to something that has one.
    pub last_number: u64,
}

/// The full name of a branch.
pub fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

impl GitHubState {
    /// GitHub as a scenario describes it.
    pub fn from_seed(settings: &GitHubSettings, began: f64) -> Self {
        let repositories = settings.repositories.iter().zip(1..);
        let repositories = repositories
            .map(|(setting, id)| (setting.name.clone(), GitHubRepository::from_seed(setting, id, began)));
        Self {
            repositories: repositories.collect(),
            tokens: settings.tokens.clone(),
            job_token: settings.job_token.clone(),
            ..Self::default()
        }
    }

    /// The commit that a branch points to.
    pub fn head(&self, repository: &str, branch: &str) -> Option<Oid> {
        self.repositories.get(repository)?.refs.get(&branch_ref(branch)).cloned()
    }

    /// A file's bytes (of a symbolic link: its target) in a commit.
    pub fn read_file(&self, repository: &str, commit: &str, path: &str) -> Option<Vec<u8>> {
        let objects = &self.repositories.get(repository)?.objects;
        let entry = commits::entry_at(objects, commit, path)?;
        objects.get(ObjectKind::Blob, &entry.oid).map(<[u8]>::to_vec)
    }

    /// Every file of a commit, by its path.
    pub fn list_files(&self, repository: &str, commit: &str) -> BTreeMap<String, TreeEntry> {
        let objects = self.repositories.get(repository).map(|repository| &repository.objects);
        let tree = objects.and_then(|objects| Some((objects, commits::read_commit(objects, commit)?.tree)));
        tree.map(|(objects, tree)| trees::list_files(objects, &tree)).unwrap_or_default()
    }

    /// Whether `ancestor` is `descendant` or comes before it.
    pub fn is_ancestor(&self, repository: &str, ancestor: &str, descendant: &str) -> bool {
        self.repositories
            .get(repository)
            .is_some_and(|repository| commits::is_ancestor(&repository.objects, ancestor, descendant))
    }

    /// The commits before and at `commit`, the newest first: all, or those that changed a path.
    pub fn history(&self, repository: &str, commit: &str, path: Option<&str>) -> Vec<(Oid, GitCommit)> {
        let Some(repository) = self.repositories.get(repository) else { return Vec::new() };
        let objects = &repository.objects;
        let oids = match path {
            Some(path) => commits::list_commits_of_path(objects, commit, path),
            None => commits::list_commits(objects, commit),
        };
        oids.into_iter()
            .filter_map(|oid| commits::read_commit(objects, &oid).map(|commit| (oid, commit)))
            .collect()
    }

    /// A person pushes a commit to a branch at `now`, epoch seconds: `None` as contents removes the path. Modes stay.
    pub fn push_commit(
        &mut self,
        repository: &str,
        branch: &str,
        author: &str,
        message: &str,
        changes: &[(&str, Option<&[u8]>)],
        now: f64,
    ) -> Option<Oid> {
        let repository = self.repositories.get_mut(repository)?;
        let head = repository.refs.get(&branch_ref(branch))?.clone();
        let mut wanted = TreeChanges::new();
        for (path, bytes) in changes {
            let mode = commits::entry_at(&repository.objects, &head, path).map(|entry| entry.mode);
            let entry = bytes.map(|bytes| {
                let oid = repository.objects.insert(ObjectKind::Blob, bytes);
                TreeEntry::new(mode.as_deref().unwrap_or(trees::FILE_MODE), oid)
            });
            wanted.insert((*path).into(), entry);
        }
        let email = format!("{}@users.noreply.github.com", author.replace(' ', "-").to_lowercase());
        let person = GitSignature { name: author.into(), email, timestamp: now as i64 };
        let oid = repository.create_commit(&head, &wanted, (person.clone(), person), message)?;
        repository.refs.insert(branch_ref(branch), oid.clone());
        Some(oid)
    }
}

impl GitHubRepository {
    /// A repository as a scenario describes it.
    pub fn from_seed(setting: &GitRepositorySetting, id: u64, began: f64) -> Self {
        let mut repository = Self {
            id,
            name: setting.name.clone(),
            default_branch: setting.default_branch.clone(),
            protection_rules: setting.protected.clone(),
            allows_auto_merge: setting.auto_merge,
            is_archived: setting.archived,
            is_private: setting.private,
            issues: setting.issues.clone(),
            created_at: began - 86_400.0,
            ..Self::default()
        };
        let changes = seed_files(&mut repository.objects, setting);
        let tree = trees::edit_tree(&mut repository.objects, "", &changes);
        let at = (began - 86_400.0) as i64;
        let author =
            GitSignature { name: "Ada".into(), email: "ada@users.noreply.github.com".into(), timestamp: at };
        let message = "First commit\n".into();
        let first = GitCommit { tree, parents: Vec::new(), committer: author.clone(), author, message };
        let oid = commits::write_commit(&mut repository.objects, &first);
        repository.refs.insert(branch_ref(&setting.default_branch), oid);
        repository.seed_history(&setting.history, began - 86_400.0);
        let newest = |branch: &str| repository.refs.get(&branch_ref(branch)).cloned().unwrap_or_default();
        let runs = setting.runs.iter().map(|run| run.to_workflow_run(newest, &setting.default_branch, began));
        repository.workflow_runs = runs.collect();
        for foreign in &setting.deployments {
            repository.add_foreign_deployments(foreign, began - 3600.0);
        }
        for it in &setting.comments {
            repository.add_comment(it.issue, &it.author, &it.body, began - 3600.0);
        }
        repository
    }

    /// A number for something new.
    pub fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A commit on top of `parent`; no branch moves.
    pub fn create_commit(
        &mut self,
        parent: &str,
        changes: &TreeChanges,
        (author, committer): (GitSignature, GitSignature),
        message: &str,
    ) -> Option<Oid> {
        let before = commits::read_commit(&self.objects, parent)?;
        let tree = trees::edit_tree(&mut self.objects, &before.tree, changes);
        let parents = vec![parent.to_owned()];
        Some(commits::write_commit(
            &mut self.objects,
            &GitCommit { tree, parents, author, committer, message: message.into() },
        ))
    }

    /// What a read sees of a ref at `now`, epoch seconds.
    pub fn visible_ref(&self, name: &str, now: f64) -> Option<Oid> {
        match self.stale_refs.get(name) {
            Some((until, old)) if now < *until => old.clone(),
            _ => self.refs.get(name).cloned(),
        }
    }

    /// The rule that protects a branch.
    pub fn protection(&self, branch: &str) -> Option<&BranchProtection> {
        self.protection_rules.iter().find(|rule| rule.branch == branch)
    }

    /// Owner and short name.
    pub fn owner_and_name(&self) -> (&str, &str) {
        self.name.split_once('/').unwrap_or(("", &self.name))
    }
}

fn seed_files(objects: &mut ObjectStore, setting: &GitRepositorySetting) -> TreeChanges {
    let mut changes = TreeChanges::new();
    for (path, text) in &setting.files {
        let mode = if setting.executables.contains(path) { trees::EXECUTABLE_MODE } else { trees::FILE_MODE };
        changes.insert(
            path.clone(),
            Some(TreeEntry::new(mode, objects.insert(ObjectKind::Blob, text.as_bytes()))),
        );
    }
    for (path, target) in &setting.symlinks {
        let oid = objects.insert(ObjectKind::Blob, target.as_bytes());
        changes.insert(path.clone(), Some(TreeEntry::new(trees::SYMLINK_MODE, oid)));
    }
    for number in 0..setting.filler {
        // A hundred to a folder, as people sort them; one text per folder keeps a world of them small.
        let folder = number / 100;
        let oid = objects.insert(ObjectKind::Blob, format!("group: {folder}\n").as_bytes());
        changes.insert(
            format!("filler/{folder:04}/{number:06}.yaml"),
            Some(TreeEntry::new(trees::FILE_MODE, oid)),
        );
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded_github() -> GitHubState {
        let settings: GitHubSettings = serde_saphyr::from_str(
            r#"
repositories:
  - name: acme/manifests
    files: { apps/web/values.yaml: "tag: v1\n", run.sh: "echo\n" }
    executables: [run.sh]
    symlinks: { latest: apps/web }
    filler: 250
"#,
        )
        .unwrap();
        GitHubState::from_seed(&settings, 1_700_000_000.0)
    }

    #[test]
    fn seeded_repository_has_the_files_and_is_reproducible() {
        let github = seeded_github();
        let head = github.head("acme/manifests", "main").unwrap();
        let read = |path: &str| github.read_file("acme/manifests", &head, path);
        assert_eq!(read("apps/web/values.yaml"), Some(b"tag: v1\n".to_vec()));
        assert_eq!(read("latest"), Some(b"apps/web".to_vec()));
        assert_eq!(read("apps/web"), None);
        let files = github.list_files("acme/manifests", &head);
        assert_eq!(files.len(), 253);
        assert_eq!((files["run.sh"].mode.as_str(), files["latest"].mode.as_str()), ("100755", "120000"));
        assert_eq!(self::seeded_github().head("acme/manifests", "main"), Some(head));
    }

    #[test]
    fn pushed_commit_is_in_the_history() {
        let mut github = seeded_github();
        let first = github.head("acme/manifests", "main").unwrap();
        let changes = [("run.sh", Some(&b"true\n"[..])), ("latest", None)];
        let second = github
            .push_commit("acme/manifests", "main", "Grace Hopper", "Tidy\n", &changes, 1_700_000_100.0)
            .unwrap();
        assert_eq!(github.head("acme/manifests", "main"), Some(second.clone()));
        assert!(github.is_ancestor("acme/manifests", &first, &second));
        assert!(!github.is_ancestor("acme/manifests", &second, &first));
        assert_eq!(github.list_files("acme/manifests", &second)["run.sh"].mode, "100755");
        let history = github.history("acme/manifests", &second, Some("run.sh"));
        assert_eq!(history.len(), 2);
        assert_eq!((history[0].0.as_str(), history[0].1.author.timestamp), (second.as_str(), 1_700_000_100));
        assert_eq!(github.history("acme/manifests", &second, Some("apps/web")).len(), 1);
        assert_eq!(github.push_commit("acme/other", "main", "x", "x", &[], 0.0), None);
    }
}
