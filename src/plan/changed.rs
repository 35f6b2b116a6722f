//! Which services a change concerns: since which commit, and by which files. Pure; who knows the files is asked elsewhere.

use crate::config::paths;

/// The commit that changes are counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Since<'c> {
    /// The commit that the environment proved last for the service: so changes of runs that failed are not lost.
    Proven(&'c str),
    /// The commit before the push.
    Pushed(&'c str),
    /// The commit that a pull request is to be merged onto.
    Proposed(&'c str),
}

impl Since<'_> {
    /// The commit.
    pub fn commit(&self) -> &str {
        match self {
            Self::Proven(commit) | Self::Pushed(commit) | Self::Proposed(commit) => commit,
        }
    }

    /// Whether files are known by a comparison in which the commit lies before ours (`ahead`) or beside it. What a pull
    /// request changes is known from where it branched off; of the others something may be missing then.
    pub fn holds(&self, ahead: bool) -> bool {
        ahead || matches!(self, Self::Proposed(_))
    }
}

/// The commits that changes may be counted from, best first. With none everything counts as changed. What was proven
/// decides where it is known; a plan for a pull request may fall back on what the pull request itself changes.
pub fn since<'c>(
    proven: Option<&'c str>,
    pushed: Option<&'c str>,
    proposed: Option<&'c str>,
) -> Vec<Since<'c>> {
    let first = proven.map(Since::Proven).or(pushed.filter(|_| proposed.is_none()).map(Since::Pushed));
    first.into_iter().chain(proposed.map(Since::Proposed)).collect()
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Its path, or the one it had.
    pub path: String,
    /// Whether it is a submodule, below which anything may have changed.
    pub submodule: bool,
}

/// What concerns a service.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s> {
    /// Its path patterns; without any it is always concerned.
    pub patterns: &'s [String],
    /// Files that are its own whatever the patterns say, such as its task definition.
    pub own: &'s [String],
    /// The deploy file, where it is one of the repository: it concerns everybody.
    pub deploy_file: Option<&'s str>,
}

/// Why the files concern the service, in a few words; `None` when they do not.
pub fn concern(subject: &Subject<'_>, files: &[Touched]) -> Option<String> {
    if subject.patterns.is_empty() {
        return Some("it has no `paths`".into());
    }
    let fits = |file: &&Touched| {
        let same = |own: &str| plain(own) == file.path;
        let meant = if file.submodule { paths::meant_below } else { paths::meant };
        subject.deploy_file.is_some_and(same)
            || subject.own.iter().any(|own| same(own))
            || meant(subject.patterns, &file.path)
    };
    let mut all = files.iter().filter(fits);
    let first = all.next()?;
    Some(match all.count() {
        0 => format!("{} changed", first.path),
        more => format!("{} and {more} more changed", first.path),
    })
}

/// A path as Git has it.
fn plain(path: &str) -> &str {
    path.trim_start_matches("./")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_proven_decides_then_the_push_then_the_pull_request() {
        use Since::{Proposed, Proven, Pushed};
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        for (proven, pushed, proposed, expected) in [
            (a, b, None, vec![Proven("a")]),
            (None, b, None, vec![Pushed("b")]),
            (None, None, None, vec![]),
            (a, None, c, vec![Proven("a"), Proposed("c")]),
            // `before` of a pull request is where its own head was.
            (None, b, c, vec![Proposed("c")]),
        ] {
            assert_eq!(since(proven, pushed, proposed), expected);
        }
        assert!(!Proven("a").holds(false) && Proven("a").holds(true) && Proposed("c").holds(false));
    }

    #[test]
    fn a_service_is_concerned_by_its_paths_its_own_files_and_the_deploy_file() {
        let patterns = ["backend/**".to_owned(), "!**/*.md".to_owned(), "libs/shared/**".to_owned()];
        let own = ["./deploy/backend.json".to_owned()];
        let subject = Subject { patterns: &patterns, own: &own, deploy_file: Some(".github/roadstead.yml") };
        let why = |files: &[(&str, bool)]| {
            let touched =
                |(path, submodule): &(&str, bool)| Touched { path: (*path).into(), submodule: *submodule };
            concern(&subject, &files.iter().map(touched).collect::<Vec<_>>()).unwrap_or_default()
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
            (vec![("libs/shared", true)], "libs/shared changed"),
            (vec![("libs/shared", false)], ""),
            (vec![], ""),
        ] {
            assert_eq!(why(&files), expected, "{files:?}");
        }
        let always = Subject { patterns: &[], ..subject };
        assert_eq!(concern(&always, &[]).as_deref(), Some("it has no `paths`"));
    }
}
