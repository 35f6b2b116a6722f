//! Which services a change affects: counted from which commit, by which files. Pure; files are read elsewhere.

use crate::config::paths;

/// The commit that changes are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseCommit<'c> {
    /// The last commit proven in the environment for the service, so that changes of failed runs are not lost.
    LastProven(&'c str),
    /// The commit that a pull request is to be merged onto.
    PullRequestBase(&'c str),
}

impl BaseCommit<'_> {
    /// The commit.
    pub fn commit(&self) -> &str {
        match self {
            Self::LastProven(commit) | Self::PullRequestBase(commit) => commit,
        }
    }

    /// Whether files are known by a comparison in which the commit is an ancestor of ours (`ahead`) or diverged. For
    /// a pull
    /// request the merge base is enough; for the others a diverged comparison can lack changes.
    pub fn is_comparable(&self, ahead: bool) -> bool {
        ahead || matches!(self, Self::PullRequestBase(_))
    }
}

/// The commits to count changes from, best first. If there are none, everything counts as changed: the commit before a push
/// is no base, because nothing proves that its own change was ever released. The proven commit decides if it is known; a
/// plan for a pull request may fall back on the changes of the pull request.
pub fn base_commits<'c>(proven: Option<&'c str>, proposed: Option<&'c str>) -> Vec<BaseCommit<'c>> {
    proven.map(BaseCommit::LastProven).into_iter().chain(proposed.map(BaseCommit::PullRequestBase)).collect()
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedPath {
    /// Its path, or its previous path.
    pub path: String,
    /// Whether it is a submodule: anything below it may have changed.
    pub is_submodule: bool,
}

/// The files that affect a service.
#[derive(Debug, Clone, Copy)]
pub struct PathScope<'s> {
    /// Its path patterns; without patterns every change affects it.
    pub patterns: &'s [String],
    /// Files that affect it whatever the patterns are, such as its task definition.
    pub own_files: &'s [String],
    /// Folders below which every file affects it, such as the build context of a further container.
    pub own_folders: &'s [String],
    /// The deploy file, if it is in the repository: it affects every service.
    pub deploy_file: Option<&'s str>,
}

/// Why the files affect the service, in a clause; `None` if they do not.
pub fn affected_by(subject: &PathScope<'_>, files: &[ChangedPath]) -> Option<String> {
    if subject.patterns.is_empty() {
        return Some("it has no `paths`".into());
    }
    let fits = |file: &&ChangedPath| {
        let same = |own: &str| normalize_path(own) == file.path;
        let meant = if file.is_submodule { paths::matches_below } else { paths::is_match };
        subject.deploy_file.is_some_and(same)
            || subject.own_files.iter().any(|own| same(own))
            || subject.own_folders.iter().any(|folder| is_within(folder, file))
            || meant(subject.patterns, &file.path)
    };
    let mut all = files.iter().filter(fits);
    let first = all.next()?;
    Some(match all.count() {
        0 => format!("{} changed", first.path),
        more => format!("{} and {more} more changed", first.path),
    })
}

/// Whether a file is in a folder. A submodule is also concerned by a folder inside of it.
fn is_within(folder: &str, file: &ChangedPath) -> bool {
    let folder = normalize_path(folder).trim_end_matches('/');
    let below =
        |path: &str, folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    file.path == folder || below(&file.path, folder) || file.is_submodule && below(folder, &file.path)
}

/// A path as Git writes it.
fn normalize_path(path: &str) -> &str {
    path.trim_start_matches("./")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_commit_is_last_proven_then_pull_request() {
        use BaseCommit::{LastProven, PullRequestBase};
        let (a, c) = (Some("a"), Some("c"));
        for (proven, proposed, expected) in [
            (a, None, vec![LastProven("a")]),
            (None, None, vec![]),
            (a, c, vec![LastProven("a"), PullRequestBase("c")]),
            (None, c, vec![PullRequestBase("c")]),
        ] {
            assert_eq!(base_commits(proven, proposed), expected);
        }
        assert!(
            !LastProven("a").is_comparable(false)
                && LastProven("a").is_comparable(true)
                && PullRequestBase("c").is_comparable(false)
        );
    }

    #[test]
    fn service_is_affected_by_its_paths_its_own_files_and_the_deploy_file() {
        let patterns = ["backend/**".to_owned(), "!**/*.md".to_owned(), "libs/shared/**".to_owned()];
        let own = ["./deploy/backend.json".to_owned()];
        let folders = ["./docker/nginx/".to_owned()];
        let subject = PathScope {
            patterns: &patterns,
            own_files: &own,
            own_folders: &folders,
            deploy_file: Some(".github/roadstead.yml"),
        };
        let why = |files: &[(&str, bool)]| {
            let touched = |(path, submodule): &(&str, bool)| ChangedPath {
                path: (*path).into(),
                is_submodule: *submodule,
            };
            affected_by(&subject, &files.iter().map(touched).collect::<Vec<_>>()).unwrap_or_default()
        };
        for (files, expected) in [
            (vec![("backend/src/main.rs", false)], "backend/src/main.rs changed"),
            (
                vec![("frontend/a.js", false), ("backend/a", false), ("backend/b", false)],
                "backend/a and 1 more changed",
            ),
            (vec![("backend/README.md", false), ("frontend/a.js", false)], ""),
            (vec![("deploy/backend.json", false)], "deploy/backend.json changed"),
            (vec![(".github/roadstead.yml", false)], ".github/roadstead.yml changed"),
            (vec![("docker/nginx/README.md", false)], "docker/nginx/README.md changed"),
            (vec![("docker/nginx2/a", false), ("docker/nginx", false)], "docker/nginx changed"),
            (vec![("docker", true)], "docker changed"),
            (vec![("docker", false)], ""),
            (vec![("libs/shared", true)], "libs/shared changed"),
            (vec![("libs/shared", false)], ""),
            (vec![], ""),
        ] {
            assert_eq!(why(&files), expected, "{files:?}");
        }
        let always = PathScope { patterns: &[], ..subject };
        assert_eq!(affected_by(&always, &[]).as_deref(), Some("it has no `paths`"));
    }
}
