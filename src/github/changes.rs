//! The changes between two commits of the run's own repository, and the relation of the commits.
//! <https://docs.github.com/rest/commits/commits#compare-two-commits>

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::client::{ApiRequest, read_policy};
use super::compare::CommitRelation;
use super::error::ApiError;
use super::repository::RunRepository;
use super::validate;
use crate::retry::RetryPolicy;

/// Time limit of the request with its retries.
const COMPARE_RETRY: RetryPolicy = read_policy(
    Duration::from_secs(20),
    &[Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)],
);
/// Maximum files that GitHub lists.
const MAX_LISTED_FILES: usize = 300;

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path; a renamed file is listed under both paths.
    pub path: String,
    /// Whether it is the pointer of a submodule.
    pub is_submodule: bool,
}

/// The difference between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitComparison {
    /// The relation of the commits.
    pub relation: CommitRelation,
    /// Changes since the newest common ancestor.
    pub files: Vec<ChangedFile>,
    /// Whether the list is complete.
    pub complete: bool,
}

impl RunRepository {
    /// Compares `base` with `head`, both hexadecimal ids of commits. One request.
    pub async fn list_changes(&self, base: &str, head: &str) -> Result<CommitComparison, ApiError> {
        let commits = validate::commit(base).and_then(|base| Ok((base, validate::commit(head)?)));
        let (base, head) = commits.map_err(ApiError::Rejected)?;
        // The files are on the first page, whatever its size.
        let route = self.route(&format!("/compare/{base}...{head}?per_page=1&page=1"));
        let body = self.client.get(&ApiRequest::get(route), COMPARE_RETRY).await?;
        parse_comparison(body).map_err(ApiError::Transient)
    }
}

/// The members that are read; all others are skipped.
#[derive(Deserialize)]
struct ComparisonResponse {
    #[serde(default)]
    files: Vec<FileEntry>,
}

#[derive(Deserialize)]
struct FileEntry {
    filename: String,
    previous_filename: Option<String>,
    patch: Option<String>,
}

impl FileEntry {
    /// A submodule is one changed line with a commit.
    fn is_submodule(&self) -> bool {
        let patch = self.patch.as_deref().unwrap_or_default();
        let mut lines = patch.lines().filter(|line| line.starts_with(['+', '-'])).peekable();
        lines.peek().is_some() && lines.all(|line| line[1..].starts_with("Subproject commit "))
    }
}

fn parse_comparison(body: Value) -> Result<CommitComparison, String> {
    let relation = CommitRelation::parse(&body)?;
    let response: ComparisonResponse = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let complete = response.files.len() < MAX_LISTED_FILES;
    let mut files = Vec::new();
    for entry in response.files {
        let submodule = entry.is_submodule();
        let paths = [Some(entry.filename), entry.previous_filename].into_iter().flatten();
        files.extend(paths.map(|path| ChangedFile { path, is_submodule: submodule }));
    }
    Ok(CommitComparison { relation, files, complete })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mock::{MockGitHub, rest_reply};
    use super::*;

    fn file(path: &str, submodule: bool) -> ChangedFile {
        ChangedFile { path: path.into(), is_submodule: submodule }
    }

    #[test]
    fn renames_list_both_paths_and_submodules_are_detected_by_patch() {
        let response = json!({ "status": "ahead", "files": [
            { "filename": "b.rs", "previous_filename": "a.rs", "status": "renamed" },
            { "filename": "libs/x", "patch": "@@ -1 +1 @@\n-Subproject commit aaa\n+Subproject commit bbb" },
            { "filename": "notes", "patch": "@@ -0,0 +1,2 @@\n+Subproject commit aaa\n+and more" },
            { "filename": "image.png" },
        ] });
        let read = parse_comparison(response).unwrap();
        assert!(read.complete && read.relation.contains_base());
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
    fn three_hundred_files_are_incomplete() {
        let of = |count: usize| {
            let files: Vec<_> = (0..count).map(|n| json!({ "filename": n.to_string() })).collect();
            parse_comparison(json!({ "status": "diverged", "files": files })).unwrap()
        };
        assert!(of(299).complete && !of(300).complete);
        assert!(!of(0).relation.contains_base());
        assert!(
            parse_comparison(json!({ "status": "sideways" })).is_err()
                && parse_comparison(json!([])).is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn comparison_is_one_request_and_invalid_commits_are_rejected() {
        let (project, script) =
            MockGitHub::run_repository(vec![rest_reply(200, json!({ "status": "identical", "files": [] }))]);
        let (base, head) = ("c0ffee1", "beef123");
        assert!(project.list_changes(base, head).await.unwrap().files.is_empty());
        assert_eq!(script.calls(), ["GET /repos/acme/shop/compare/c0ffee1...beef123?per_page=1&page=1"]);
        for odd in ["main", "../../x", ""] {
            assert!(matches!(project.list_changes(odd, head).await, Err(ApiError::Rejected(_))), "{odd}");
        }
    }
}
