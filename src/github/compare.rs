//! The comparison of two commits: the route, and its response. Pure; all texts of the response are
//! untrusted. <https://docs.github.com/rest/commits/commits#compare-two-commits>

use serde::Deserialize;
use serde_json::Value;

use super::validate;

/// Maximum commits that are kept for display.
pub const MAX_COMMITS: usize = 20;
/// The largest page.
const PAGE_SIZE: usize = 100;

/// The relation of the second of two commits to the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitRelation {
    /// They are the same.
    Identical,
    /// It is a descendant of the first.
    Ahead,
    /// It is an ancestor of the first.
    Behind,
    /// They have diverged.
    Diverged,
}

impl CommitRelation {
    /// Reads the `status` of a comparison.
    pub fn parse(comparison: &Value) -> Result<Self, String> {
        Self::deserialize(&comparison["status"]).map_err(|_| "the comparison has no status".into())
    }

    /// Whether the second contains the first.
    pub fn contains_base(self) -> bool {
        matches!(self, Self::Identical | Self::Ahead)
    }
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSummary {
    /// Its full id.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// Login of its author, or the name in the commit if GitHub has no login.
    pub author: String,
}

/// The commits between two versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComparedCommits {
    /// The newest [`KEPT`], newest first.
    pub commits: Vec<CommitSummary>,
    /// How many there are.
    pub total: usize,
}

/// A page of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 1.
    pub number: usize,
    /// How many commits each has.
    pub size: usize,
}

impl Page {
    /// The first page, of the maximum size: nearly always all there is.
    pub const FIRST: Self = Self { number: 1, size: PAGE_SIZE };

    /// The last page of `total` commits, of a size with which it has the [`KEPT`] newest; `None` if the first has
    /// them. Pages are oldest first.
    pub fn last_page(total: usize) -> Option<Self> {
        if total <= PAGE_SIZE {
            return None;
        }
        let on_last = |size: usize| if total.is_multiple_of(size) { size } else { total % size };
        let size =
            (MAX_COMMITS..=PAGE_SIZE).rev().find(|size| on_last(*size) >= MAX_COMMITS).unwrap_or(PAGE_SIZE);
        Some(Self { number: total.div_ceil(size), size })
    }
}

/// The route of a comparison, or why it is invalid: untrusted text becomes part of a URL only if it has
/// the expected form.
pub fn compare_route(repository: &str, from: &str, to: &str, page: Page) -> Result<String, String> {
    validate::repository(repository)?;
    let (from, to) = (validate::commit(from)?, validate::commit(to)?);
    let Page { number, size } = page;
    Ok(format!("/repos/{repository}/compare/{from}...{to}?per_page={size}&page={number}"))
}

/// The members that are read; all others are skipped.
#[derive(Deserialize)]
struct CommitsResponse {
    total_commits: usize,
    commits: Vec<CommitEntry>,
}

#[derive(Deserialize)]
struct CommitEntry {
    sha: String,
    commit: CommitDetails,
    author: Option<Account>,
}

#[derive(Deserialize)]
struct CommitDetails {
    #[serde(default)]
    message: String,
    author: Option<GitAuthor>,
}

#[derive(Deserialize)]
struct GitAuthor {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    login: Option<String>,
}

/// Reads one page of a comparison.
pub fn parse_page(body: Value) -> Result<ComparedCommits, String> {
    let response: CommitsResponse = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let commits = response.commits.into_iter().rev().take(MAX_COMMITS).map(summarize_commit).collect();
    Ok(ComparedCommits { commits, total: response.total_commits })
}

fn summarize_commit(entry: CommitEntry) -> CommitSummary {
    let login = entry.author.and_then(|account| account.login);
    let name = entry.commit.author.and_then(|person| person.name);
    CommitSummary {
        sha: entry.sha,
        subject: entry.commit.message.lines().next().unwrap_or_default().trim().to_owned(),
        author: login.or(name).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(total: usize, shas: impl Iterator<Item = usize>) -> Value {
        let entry = |n: usize| serde_json::json!({ "sha": format!("{n:040}"), "commit": { "message": "m" } });
        let commits: Vec<_> = shas.map(entry).collect();
        serde_json::json!({ "total_commits": total, "commits": commits, "files": [] })
    }

    #[test]
    fn commits_come_newest_first_with_the_first_line_of_their_message() {
        let body = r#"{"status": "ahead", "total_commits": 2, "commits": [
            {"sha": "a", "commit": {"message": "Old", "author": {"name": "Ann Example", "email": "x"}}, "author": null},
            {"sha": "b", "commit": {"message": "New  \n\nwith a body", "author": {"name": "Bo"}}, "author": {"login": "bo"}}
        ], "files": [{"filename": "x"}]}"#;
        let commit = |sha: &str, subject: &str, author: &str| CommitSummary {
            sha: sha.into(),
            subject: subject.into(),
            author: author.into(),
        };
        let expected = vec![commit("b", "New", "bo"), commit("a", "Old", "Ann Example")];
        assert_eq!(
            parse_page(serde_json::from_str(body).unwrap()),
            Ok(ComparedCommits { commits: expected, total: 2 })
        );
    }

    #[test]
    fn only_the_newest_commits_are_kept_and_all_are_counted() {
        let history = parse_page(response(57, 0..57)).unwrap();
        assert_eq!((history.commits.len(), history.total), (20, 57));
        assert!(history.commits[0].sha.ends_with("56") && history.commits[19].sha.ends_with("37"));
    }

    #[test]
    fn last_page_has_the_newest_commits() {
        for total in [0, 1, 100] {
            assert_eq!(Page::last_page(total), None);
        }
        for total in [101, 120, 199, 200, 201, 999, 10_007] {
            let page = Page::last_page(total).unwrap();
            let on_it = total - (page.number - 1) * page.size;
            assert!((MAX_COMMITS..=page.size).contains(&on_it), "{total}: {page:?}");
        }
    }

    #[test]
    fn invalid_names_are_rejected() {
        let route = |repository, from, to| compare_route(repository, from, to, Page::FIRST);
        assert_eq!(
            route("acme/shop.js", "c0ffee1", "beef123").unwrap(),
            "/repos/acme/shop.js/compare/c0ffee1...beef123?per_page=100&page=1"
        );
        for (repository, from) in [
            ("acme", "c0ffee1"),
            ("acme/../x", "c0ffee1"),
            ("acme/..", "c0ffee1"),
            ("acme/shop?x=", "c0ffee1"),
            ("acme/shop", "main"),
            ("acme/shop", "../../x"),
            ("acme/shop", ""),
        ] {
            assert!(route(repository, from, "beef123").is_err(), "{repository} {from}");
        }
    }

    #[test]
    fn malformed_comparison_is_an_error() {
        for body in ["null", "{}", "[]", r#"{"commits": 1, "total_commits": 2}"#] {
            assert!(parse_page(serde_json::from_str(body).unwrap()).is_err(), "{body}");
        }
    }
}
