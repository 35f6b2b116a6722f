//! What GitHub holds: repositories with their objects, refs and pull requests. The way in for other parts of the cloud
//! and for tests that push as a person would.

use std::collections::BTreeMap;

use super::checks::Check;
use super::comments::Comment;
use super::commits::{self, Commit, Person};
use super::deployments::Deployment;
use super::objects::{Kind, Objects, Oid};
use super::pulls::Pull;
use super::runs::Run;
use super::settings::{Protection, Repository as Setting, Settings, Token};
use super::trees::{self, Changes, Entry};

/// GitHub.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Repositories by full name.
    pub repositories: BTreeMap<String, Repository>,
    /// Tokens by their text.
    pub tokens: BTreeMap<String, Token>,
    /// What a token is that is not among them.
    pub job_token: Token,
    /// Used up rates.
    pub limits: super::limits::Limits,
}

/// A repository.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// A number of its own.
    pub id: u64,
    /// Such as `acme/manifests`.
    pub name: String,
    /// Its default branch.
    pub default_branch: String,
    /// Its objects.
    pub objects: Objects,
    /// What refs point to, by full name such as `refs/heads/main`.
    pub refs: BTreeMap<String, Oid>,
    /// What a lagging replica still shows of a ref, and until when (epoch seconds).
    pub lagging: BTreeMap<String, (f64, Option<Oid>)>,
    /// What protects branches.
    pub protected: Vec<Protection>,
    /// Pull requests, the first is number 1.
    pub pulls: Vec<Pull>,
    /// Whether GitHub may merge by itself.
    pub auto_merge: bool,
    /// Nothing can be written any more.
    pub archived: bool,
    /// Who may not read it gets 404.
    pub private: bool,
    /// When it was made, epoch seconds.
    pub created: f64,
    /// Deployments, the oldest first.
    pub deployments: Vec<Deployment>,
    /// Check runs, the oldest first.
    pub checks: Vec<Check>,
    /// Numbers of issues and pull requests that are there to be spoken about, besides `pulls`.
    pub issues: Vec<u64>,
    /// Comments, the oldest first.
    pub comments: Vec<Comment>,
    /// Runs of its workflows.
    pub runs: Vec<Run>,
    /// The number that was given last to something that has one.
    pub last: u64,
}

/// The full name of a branch.
pub fn branch_ref(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

impl State {
    /// GitHub as a scenario describes it.
    pub fn founded(settings: &Settings, began: f64) -> Self {
        let repositories = settings.repositories.iter().zip(1..);
        let repositories =
            repositories.map(|(setting, id)| (setting.name.clone(), Repository::founded(setting, id, began)));
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
    pub fn file(&self, repository: &str, commit: &str, path: &str) -> Option<Vec<u8>> {
        let objects = &self.repositories.get(repository)?.objects;
        let entry = commits::at(objects, commit, path)?;
        objects.get(Kind::Blob, &entry.oid).map(<[u8]>::to_vec)
    }

    /// Every file of a commit, by its path.
    pub fn files(&self, repository: &str, commit: &str) -> BTreeMap<String, Entry> {
        let objects = self.repositories.get(repository).map(|repository| &repository.objects);
        let tree = objects.and_then(|objects| Some((objects, commits::read(objects, commit)?.tree)));
        tree.map(|(objects, tree)| trees::files(objects, &tree)).unwrap_or_default()
    }

    /// Whether `ancestor` is `descendant` or comes before it.
    pub fn contains(&self, repository: &str, ancestor: &str, descendant: &str) -> bool {
        self.repositories
            .get(repository)
            .is_some_and(|repository| commits::contains(&repository.objects, ancestor, descendant))
    }

    /// The commits before and at `commit`, the newest first: all, or those that changed a path.
    pub fn history(&self, repository: &str, commit: &str, path: Option<&str>) -> Vec<(Oid, Commit)> {
        let Some(repository) = self.repositories.get(repository) else { return Vec::new() };
        let objects = &repository.objects;
        let oids = match path {
            Some(path) => commits::log_of(objects, commit, path),
            None => commits::log(objects, commit),
        };
        oids.into_iter().filter_map(|oid| commits::read(objects, &oid).map(|commit| (oid, commit))).collect()
    }

    /// A person pushes a commit to a branch at `now`, epoch seconds: `None` as contents removes the path. Modes stay.
    pub fn commit(
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
        let mut wanted = Changes::new();
        for (path, bytes) in changes {
            let mode = commits::at(&repository.objects, &head, path).map(|entry| entry.mode);
            let entry = bytes.map(|bytes| {
                let oid = repository.objects.put(Kind::Blob, bytes);
                Entry::new(mode.as_deref().unwrap_or(trees::FILE), oid)
            });
            wanted.insert((*path).into(), entry);
        }
        let email = format!("{}@users.noreply.github.com", author.replace(' ', "-").to_lowercase());
        let person = Person { name: author.into(), email, at: now as i64 };
        let oid = repository.commit(&head, &wanted, (person.clone(), person), message)?;
        repository.refs.insert(branch_ref(branch), oid.clone());
        Some(oid)
    }
}

impl Repository {
    /// A repository as a scenario describes it.
    pub fn founded(setting: &Setting, id: u64, began: f64) -> Self {
        let mut repository = Self {
            id,
            name: setting.name.clone(),
            default_branch: setting.default_branch.clone(),
            protected: setting.protected.clone(),
            auto_merge: setting.auto_merge,
            archived: setting.archived,
            private: setting.private,
            issues: setting.issues.clone(),
            created: began - 86_400.0,
            ..Self::default()
        };
        let changes = first_files(&mut repository.objects, setting);
        let tree = trees::edit(&mut repository.objects, "", &changes);
        let at = (began - 86_400.0) as i64;
        let author = Person { name: "Ada".into(), email: "ada@users.noreply.github.com".into(), at };
        let message = "First commit\n".into();
        let first = Commit { tree, parents: Vec::new(), committer: author.clone(), author, message };
        let oid = commits::write(&mut repository.objects, &first);
        repository.refs.insert(branch_ref(&setting.default_branch), oid);
        repository.live(&setting.history, began - 86_400.0);
        let head = repository.refs.get(&branch_ref(&setting.default_branch)).cloned().unwrap_or_default();
        let runs = setting.runs.iter().map(|run| run.run(head.clone(), &setting.default_branch, began));
        repository.runs = runs.collect();
        for it in &setting.comments {
            repository.comment(it.issue, &it.author, &it.body, began - 3600.0);
        }
        repository
    }

    /// A number for something new.
    pub fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A commit on top of `parent`; no branch moves.
    pub fn commit(
        &mut self,
        parent: &str,
        changes: &Changes,
        (author, committer): (Person, Person),
        message: &str,
    ) -> Option<Oid> {
        let before = commits::read(&self.objects, parent)?;
        let tree = trees::edit(&mut self.objects, &before.tree, changes);
        let parents = vec![parent.to_owned()];
        Some(commits::write(
            &mut self.objects,
            &Commit { tree, parents, author, committer, message: message.into() },
        ))
    }

    /// What a read sees of a ref at `now`, epoch seconds.
    pub fn seen(&self, name: &str, now: f64) -> Option<Oid> {
        match self.lagging.get(name) {
            Some((until, old)) if now < *until => old.clone(),
            _ => self.refs.get(name).cloned(),
        }
    }

    /// The rule that protects a branch.
    pub fn protection(&self, branch: &str) -> Option<&Protection> {
        self.protected.iter().find(|rule| rule.branch == branch)
    }

    /// Owner and short name.
    pub fn parts(&self) -> (&str, &str) {
        self.name.split_once('/').unwrap_or(("", &self.name))
    }
}

fn first_files(objects: &mut Objects, setting: &Setting) -> Changes {
    let mut changes = Changes::new();
    for (path, text) in &setting.files {
        let mode = if setting.executables.contains(path) { trees::EXECUTABLE } else { trees::FILE };
        changes.insert(path.clone(), Some(Entry::new(mode, objects.put(Kind::Blob, text.as_bytes()))));
    }
    for (path, target) in &setting.symlinks {
        let oid = objects.put(Kind::Blob, target.as_bytes());
        changes.insert(path.clone(), Some(Entry::new(trees::LINK, oid)));
    }
    for number in 0..setting.filler {
        // A hundred to a folder, as people sort them; one text per folder keeps a world of them small.
        let folder = number / 100;
        let oid = objects.put(Kind::Blob, format!("group: {folder}\n").as_bytes());
        changes.insert(format!("filler/{folder:04}/{number:06}.yaml"), Some(Entry::new(trees::FILE, oid)));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn github() -> State {
        let settings: Settings = serde_saphyr::from_str(
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
        State::founded(&settings, 1_700_000_000.0)
    }

    #[test]
    fn what_a_scenario_describes_is_there_and_the_same_every_time() {
        let github = github();
        let head = github.head("acme/manifests", "main").unwrap();
        let read = |path: &str| github.file("acme/manifests", &head, path);
        assert_eq!(read("apps/web/values.yaml"), Some(b"tag: v1\n".to_vec()));
        assert_eq!(read("latest"), Some(b"apps/web".to_vec()));
        assert_eq!(read("apps/web"), None);
        let files = github.files("acme/manifests", &head);
        assert_eq!(files.len(), 253);
        assert_eq!((files["run.sh"].mode.as_str(), files["latest"].mode.as_str()), ("100755", "120000"));
        assert_eq!(self::github().head("acme/manifests", "main"), Some(head));
    }

    #[test]
    fn a_person_pushes_and_the_history_tells_of_it() {
        let mut github = github();
        let first = github.head("acme/manifests", "main").unwrap();
        let changes = [("run.sh", Some(&b"true\n"[..])), ("latest", None)];
        let second = github
            .commit("acme/manifests", "main", "Grace Hopper", "Tidy\n", &changes, 1_700_000_100.0)
            .unwrap();
        assert_eq!(github.head("acme/manifests", "main"), Some(second.clone()));
        assert!(github.contains("acme/manifests", &first, &second));
        assert!(!github.contains("acme/manifests", &second, &first));
        assert_eq!(github.files("acme/manifests", &second)["run.sh"].mode, "100755");
        let history = github.history("acme/manifests", &second, Some("run.sh"));
        assert_eq!(history.len(), 2);
        assert_eq!((history[0].0.as_str(), history[0].1.author.at), (second.as_str(), 1_700_000_100));
        assert_eq!(github.history("acme/manifests", &second, Some("apps/web")).len(), 1);
        assert_eq!(github.commit("acme/other", "main", "x", "x", &[], 0.0), None);
    }
}
