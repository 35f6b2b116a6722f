//! What proves that a commit is merged: it is part of the default branch. The commit of the run itself may also be part
//! of a branch that its environment lists; for another commit that list may be its own claim. Pure.

use crate::config::matches_any;

/// The maximum number of branches that are compared: each is two requests.
const MAX_BRANCHES: usize = 5;

/// What is known of the run without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MergeFacts<'e> {
    /// The commit of the run, which GitHub took from `branch`.
    pub run_commit: Option<&'e str>,
    /// The branch that the run is on.
    pub branch: Option<&'e str>,
    /// The default branch of the repository.
    pub default_branch: Option<&'e str>,
    /// The `branches` of the environment.
    pub environment_branches: &'e [String],
}

/// Whether commits are merged, as far as that is known without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergeProof<'e> {
    /// All of them are.
    Proven,
    /// GitHub has to be asked whether each of `commits` is part of one of `branches`.
    Compare {
        /// Commits of which it is not known.
        commits: Vec<&'e str>,
        /// Branches that count.
        branches: Vec<&'e str>,
    },
    /// No branch is known that could prove it.
    NoBranch,
}

/// Decides what has to be asked about `commits`.
pub fn merge_proof<'e>(commits: &'e [String], facts: &MergeFacts<'e>) -> MergeProof<'e> {
    let is_own = |commit: &str| Some(commit) == facts.run_commit;
    let own_alone = commits.iter().all(|commit| is_own(commit));
    let listed = if own_alone { facts.environment_branches } else { &[] };
    let counts = |branch: &&str| Some(*branch) == facts.default_branch || matches_any(listed, branch);
    let own_branch = facts.branch.filter(counts);
    let is_open = |commit: &&str| own_branch.is_none() || !is_own(commit);
    let open: Vec<&str> = commits.iter().map(String::as_str).filter(is_open).collect();
    if open.is_empty() {
        return MergeProof::Proven;
    }
    let names = listed.iter().map(String::as_str).filter(|name| !name.contains('*'));
    let mut branches: Vec<&str> = Vec::new();
    for branch in facts.default_branch.into_iter().chain(own_branch).chain(names) {
        if !branches.contains(&branch) && branches.len() < MAX_BRANCHES {
            branches.push(branch);
        }
    }
    if branches.is_empty() { MergeProof::NoBranch } else { MergeProof::Compare { commits: open, branches } }
}

/// Why a commit is not released. `error` is why GitHub could not be asked, if that is the reason.
pub fn not_merged_reason(commit: &str, branches: &[&str], error: Option<&str>) -> String {
    let commit = commit.get(..7).unwrap_or(commit);
    let names = branches.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
    match error {
        Some(error) => format!(
            "the event is about commit {commit}, and whether that is part of {names} could not be read ({error}); \
             code that is not merged is not released"
        ),
        None if branches.is_empty() => format!(
            "the event is about commit {commit}, and no branch is known that it could be part of; code that is not merged is not released"
        ),
        None => format!(
            "the event is about commit {commit}, which is not part of {names}; code that is not merged is not \
             released"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn describe(commits: &[&str], branch: &str, default: &str, listed: &[&str]) -> String {
        let some = |text: &'static str| Some(text).filter(|text| !text.is_empty());
        let leak = |text: &str| some(Box::leak(text.to_owned().into_boxed_str()));
        let listed: Vec<String> = listed.iter().map(|name| (*name).to_owned()).collect();
        let commits: Vec<String> = commits.iter().map(|commit| (*commit).to_owned()).collect();
        let facts = MergeFacts {
            run_commit: Some("c1"),
            branch: leak(branch),
            default_branch: leak(default),
            environment_branches: &listed,
        };
        match merge_proof(&commits, &facts) {
            MergeProof::Proven => "proven".into(),
            MergeProof::NoBranch => "no branch".into(),
            MergeProof::Compare { commits, branches } => {
                format!("{} in {}?", commits.join(" "), branches.join(" "))
            }
        }
    }

    /// The commit of the run is `c1`. Columns: commits, its branch, the default branch, the environment's branches.
    #[test]
    fn only_a_branch_that_counts_proves_a_commit() {
        type Row<'r> = (&'r [&'r str], &'r str, &'r str, &'r [&'r str], &'r str);
        let table: &[Row<'_>] = &[
            (&["c1"], "main", "main", &[], "proven"),
            (&["c1"], "main", "main", &["develop"], "proven"),
            (&["c1"], "develop", "main", &["develop"], "proven"),
            (&["c1"], "release/1", "main", &["release/*"], "proven"),
            (&["c1"], "feature", "main", &["develop"], "c1 in main develop?"),
            (&["c1"], "feature", "main", &["release/*"], "c1 in main?"),
            (&["c1"], "", "main", &[], "c1 in main?"),
            (&["c1"], "", "", &["release/*"], "no branch"),
            (&["c1"], "feature", "", &[], "no branch"),
            (&["d2", "c1"], "main", "main", &["main"], "d2 in main?"),
            (&["d2", "c1"], "develop", "main", &["develop"], "d2 c1 in main?"),
            // The file of another commit may list any branch, so its list proves nothing.
            (&["d2", "c1"], "develop", "", &["develop"], "no branch"),
            (&["d2"], "main", "main", &["d2"], "d2 in main?"),
            (&["c1"], "", "", &["a", "b", "c", "d", "e", "f"], "c1 in a b c d e?"),
        ];
        for (commits, branch, default, listed, expected) in table {
            assert_eq!(
                describe(commits, branch, default, listed),
                *expected,
                "{commits:?} {branch} {listed:?}"
            );
        }
    }

    #[test]
    fn reason_names_commit_and_branches() {
        insta::assert_snapshot!([
            not_merged_reason("0123456789", &["main", "develop"], None),
            not_merged_reason("0123456789", &["main"], Some("GitHub responded with 403")),
            not_merged_reason("c1", &[], None),
        ].join("\n"), @r"
        the event is about commit 0123456, which is not part of `main` or `develop`; code that is not merged is not released
        the event is about commit 0123456, and whether that is part of `main` could not be read (GitHub responded with 403); code that is not merged is not released
        the event is about commit c1, and no branch is known that it could be part of; code that is not merged is not released
        ");
    }
}
