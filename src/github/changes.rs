//! What changed between two commits of the run's own repository, and how they lie to each other.
//! <https://docs.github.com/rest/commits/commits#compare-two-commits>

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::door::{Ask, Endurance};
use super::names;
use super::project::Project;
use super::setback::Setback;

/// How long the question may take with its repetitions.
const ENDURANCE: Endurance = Endurance {
    whole: Duration::from_secs(20),
    pauses: &[Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)],
};
/// GitHub lists so many files and no more.
const LISTED: usize = 300;

/// How the second of two commits lies to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// They are the same.
    Identical,
    /// It contains the first.
    Ahead,
    /// It is contained in the first.
    Behind,
    /// Each has something that the other has not.
    Diverged,
}

impl Relation {
    /// Whether the second contains the first.
    pub fn contains(self) -> bool {
        matches!(self, Self::Identical | Self::Ahead)
    }
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path; a file that was renamed is there under both.
    pub path: String,
    /// Whether it is the pointer of a submodule.
    pub submodule: bool,
}

/// What lies between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How they lie to each other.
    pub relation: Relation,
    /// What changed since the newest commit that both contain.
    pub files: Vec<ChangedFile>,
    /// Whether these are all.
    pub complete: bool,
}

impl Project {
    /// Compares `base` with `head`, both by the hexadecimal names of commits. One request.
    pub async fn changes(&self, base: &str, head: &str) -> Result<Comparison, Setback> {
        let commits = names::commit(base).and_then(|base| Ok((base, names::commit(head)?)));
        let (base, head) = commits.map_err(Setback::Refused)?;
        // The files are on the first page, however few commits are on it.
        let route = self.route(&format!("/compare/{base}...{head}?per_page=1&page=1"));
        let body = self.door.read(&Ask::get(route), ENDURANCE).await?;
        read(body).map_err(Setback::Passing)
    }
}

/// The members that are read; all others are passed over.
#[derive(Deserialize)]
struct Answer {
    status: Relation,
    #[serde(default)]
    files: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    filename: String,
    previous_filename: Option<String>,
    patch: Option<String>,
}

impl Entry {
    /// A submodule shows as one line in place of another, each with a commit.
    fn is_submodule(&self) -> bool {
        let patch = self.patch.as_deref().unwrap_or_default();
        let mut lines = patch.lines().filter(|line| line.starts_with(['+', '-'])).peekable();
        lines.peek().is_some() && lines.all(|line| line[1..].starts_with("Subproject commit "))
    }
}

fn read(body: Value) -> Result<Comparison, String> {
    let answer: Answer = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let complete = answer.files.len() < LISTED;
    let mut files = Vec::new();
    for entry in answer.files {
        let submodule = entry.is_submodule();
        let paths = [Some(entry.filename), entry.previous_filename].into_iter().flatten();
        files.extend(paths.map(|path| ChangedFile { path, submodule }));
    }
    Ok(Comparison { relation: answer.status, files, complete })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::scripted::{Script, rest};
    use super::*;

    fn file(path: &str, submodule: bool) -> ChangedFile {
        ChangedFile { path: path.into(), submodule }
    }

    #[test]
    fn renames_count_twice_and_submodules_are_known_by_their_patch() {
        let answer = json!({ "status": "ahead", "files": [
            { "filename": "b.rs", "previous_filename": "a.rs", "status": "renamed" },
            { "filename": "libs/x", "patch": "@@ -1 +1 @@\n-Subproject commit aaa\n+Subproject commit bbb" },
            { "filename": "notes", "patch": "@@ -0,0 +1,2 @@\n+Subproject commit aaa\n+and more" },
            { "filename": "image.png" },
        ] });
        let read = read(answer).unwrap();
        assert!(read.complete && read.relation.contains());
        assert_eq!(
            read.files,
            [
                file("b.rs", false),
                file("a.rs", false),
                file("libs/x", true),
                file("notes", false),
                file("image.png", false)
            ]
        );
    }

    #[test]
    fn three_hundred_files_may_be_more() {
        let of = |count: usize| {
            let files: Vec<_> = (0..count).map(|n| json!({ "filename": n.to_string() })).collect();
            read(json!({ "status": "diverged", "files": files })).unwrap()
        };
        assert!(of(299).complete && !of(300).complete);
        assert!(!of(0).relation.contains());
        assert!(read(json!({ "status": "sideways" })).is_err() && read(json!([])).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_one_request_and_nothing_odd_becomes_an_address() {
        let (project, script) =
            Script::project(vec![rest(200, json!({ "status": "identical", "files": [] }))]);
        let (base, head) = ("c0ffee1", "beef123");
        assert!(project.changes(base, head).await.unwrap().files.is_empty());
        assert_eq!(script.calls(), ["GET /repos/acme/shop/compare/c0ffee1...beef123?per_page=1&page=1"]);
        for odd in ["main", "../../x", ""] {
            assert!(matches!(project.changes(odd, head).await, Err(Setback::Refused(_))), "{odd}");
        }
    }
}
