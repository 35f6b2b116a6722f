//! The comparison of two commits: which address, and what its answer says. Pure; all texts of the answer are from
//! outside. <https://docs.github.com/rest/commits/commits#compare-two-commits>

use serde::Deserialize;
use serde_json::Value;

use super::names;

/// How many commits are kept: as many as somebody reads.
pub const KEPT: usize = 20;
/// The largest page.
const PAGE: usize = 100;

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name, in full.
    pub sha: String,
    /// The first line of its message.
    pub subject: String,
    /// Login of its author, or the name in the commit where GitHub knows none.
    pub author: String,
}

/// What lies between two commits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The newest [`KEPT`], newest first.
    pub commits: Vec<Commit>,
    /// How many there are.
    pub total: usize,
}

/// A page of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its number, from 1.
    pub number: usize,
    /// How many commits each has.
    pub size: usize,
}

impl Page {
    /// The first page, of the largest size: all there is in nearly every case.
    pub const FIRST: Self = Self { number: 1, size: PAGE };

    /// The last page of `total` commits, of a size with which it has the [`KEPT`] newest; `None` where the first has
    /// them. Pages are oldest first.
    pub fn last(total: usize) -> Option<Self> {
        if total <= PAGE {
            return None;
        }
        let on_last = |size: usize| if total.is_multiple_of(size) { size } else { total % size };
        let size = (KEPT..=PAGE).rev().find(|size| on_last(*size) >= KEPT).unwrap_or(PAGE);
        Some(Self { number: total.div_ceil(size), size })
    }
}

/// The route of a comparison, or why there is none: nothing from outside becomes part of an address unless it looks
/// like what it should be.
pub fn route(repository: &str, from: &str, to: &str, page: Page) -> Result<String, String> {
    names::repository(repository)?;
    let (from, to) = (names::commit(from)?, names::commit(to)?);
    let Page { number, size } = page;
    Ok(format!("/repos/{repository}/compare/{from}...{to}?per_page={size}&page={number}"))
}

/// The members that are read; all others are passed over.
#[derive(Deserialize)]
struct Answer {
    total_commits: usize,
    commits: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    sha: String,
    commit: Inner,
    author: Option<Account>,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(default)]
    message: String,
    author: Option<Person>,
}

#[derive(Deserialize)]
struct Person {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Account {
    login: Option<String>,
}

/// Reads one page of a comparison.
pub fn read(body: Value) -> Result<History, String> {
    let answer: Answer = serde_json::from_value(body).map_err(|error| error.to_string())?;
    let commits = answer.commits.into_iter().rev().take(KEPT).map(commit).collect();
    Ok(History { commits, total: answer.total_commits })
}

fn commit(entry: Entry) -> Commit {
    let login = entry.author.and_then(|account| account.login);
    let name = entry.commit.author.and_then(|person| person.name);
    Commit {
        sha: entry.sha,
        subject: entry.commit.message.lines().next().unwrap_or_default().trim().to_owned(),
        author: login.or(name).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(total: usize, shas: impl Iterator<Item = usize>) -> Value {
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
        let commit = |sha: &str, subject: &str, author: &str| Commit {
            sha: sha.into(),
            subject: subject.into(),
            author: author.into(),
        };
        let expected = vec![commit("b", "New", "bo"), commit("a", "Old", "Ann Example")];
        assert_eq!(read(serde_json::from_str(body).unwrap()), Ok(History { commits: expected, total: 2 }));
    }

    #[test]
    fn only_the_newest_are_kept_and_all_are_counted() {
        let history = read(answer(57, 0..57)).unwrap();
        assert_eq!((history.commits.len(), history.total), (20, 57));
        assert!(history.commits[0].sha.ends_with("56") && history.commits[19].sha.ends_with("37"));
    }

    #[test]
    fn the_last_page_has_the_newest() {
        for total in [0, 1, 100] {
            assert_eq!(Page::last(total), None);
        }
        for total in [101, 120, 199, 200, 201, 999, 10_007] {
            let page = Page::last(total).unwrap();
            let on_it = total - (page.number - 1) * page.size;
            assert!((KEPT..=page.size).contains(&on_it), "{total}: {page:?}");
        }
    }

    #[test]
    fn nothing_that_looks_odd_becomes_an_address() {
        let route = |repository, from, to| route(repository, from, to, Page::FIRST);
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
    fn what_is_no_comparison_is_an_error() {
        for body in ["null", "{}", "[]", r#"{"commits": 1, "total_commits": 2}"#] {
            assert!(read(serde_json::from_str(body).unwrap()).is_err(), "{body}");
        }
    }
}
