//! Patterns of `branches` that can never match a branch, and what was probably meant.
//! Names that Git accepts: <https://git-scm.com/docs/git-check-ref-format>

use super::branch::BranchRule;
use crate::problem::list::for_first;
use crate::problem::{Code, Problem};

/// Prefixes that stand in front of a branch elsewhere; the name of a branch has none of them.
const REF_PREFIXES: &[&str] =
    &["refs/heads/", "refs/remotes/origin/", "remotes/origin/", "heads/", "origin/"];
const TAG_PREFIXES: &[&str] = &["refs/tags/", "tags/"];
/// Characters that no branch can have, besides blanks and control characters.
const NEVER_IN_BRANCHES: &[char] = &['~', '^', ':', '?', '[', '\\'];

/// Problems of patterns that no branch can match, each on its line.
pub(super) fn impossible_branches(file: &str, claims: &[BranchRule<'_>]) -> Vec<Problem> {
    let wrong = claims.iter().filter_map(|claim| Some((claim, find_fault(&claim.pattern)?)));
    for_first(wrong, |(claim, fault)| {
        let sentence = format!(
            "The branch `{}` of `{}` can never match: {}.",
            claim.pattern, claim.environment, fault.reason
        );
        Problem::error(Code::ConfigInvalid, sentence).help(fault.help).at_location(
            file,
            claim.line,
            claim.column,
        )
    })
}

/// Why no branch can match, and what to write.
struct BranchFault {
    reason: &'static str,
    help: String,
}

fn find_fault(pattern: &str) -> Option<BranchFault> {
    if TAG_PREFIXES.iter().any(|prefix| pattern.starts_with(prefix)) {
        let help = "Name the environment in the workflow to deploy a tag.".to_owned();
        return Some(BranchFault { reason: "it names a tag, and a tag is not a branch", help });
    }
    let reason = if strip_ref_prefix(pattern).is_some() {
        "the name of a branch has no `refs/heads/` and no remote in front"
    } else {
        name_fault(pattern)?
    };
    let help = match probable_branch(pattern) {
        Some(name) => format!("Did you mean `{name}`?"),
        None => "Write the name of the branch, or a pattern with `*` or `**`.".to_owned(),
    };
    Some(BranchFault { reason, help })
}

fn strip_ref_prefix(pattern: &str) -> Option<&str> {
    REF_PREFIXES.iter().find_map(|prefix| pattern.strip_prefix(prefix))
}

/// Why Git accepts no branch of this form.
fn name_fault(pattern: &str) -> Option<&'static str> {
    let has_blank = pattern.chars().any(|c| c.is_ascii_whitespace() || c.is_ascii_control());
    let part_fault = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if pattern.is_empty() {
        Some("it is empty")
    } else if has_blank {
        Some("a branch has no blanks")
    } else if pattern.contains(NEVER_IN_BRANCHES) {
        Some("a branch has none of `~ ^ : ? [ \\`, and only `*` and `**` are patterns")
    } else if pattern.contains("..") || pattern.contains("@{") || pattern.ends_with('.') {
        Some("Git accepts no branch with `..` or `@{`, or with a dot at the end")
    } else if pattern.split('/').any(part_fault) {
        Some(
            "Git accepts no branch with an empty part, a part that begins with a dot, or one that ends with `.lock`",
        )
    } else {
        None
    }
}

/// The branch that the pattern names once its prefixes and the signs of regular expressions are gone.
fn probable_branch(pattern: &str) -> Option<String> {
    let bare = pattern.trim().trim_start_matches(['^', '/']).trim_end_matches(['$', '/']).replace("\\/", "/");
    let bare = strip_ref_prefix(&bare).unwrap_or(&bare).replace(".*", "**");
    (name_fault(&bare).is_none() && strip_ref_prefix(&bare).is_none()).then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(pattern: &str) -> Option<String> {
        find_fault(pattern).map(|fault| fault.help)
    }

    #[test]
    fn pattern_that_no_branch_has_suggests_the_branch() {
        for (pattern, meant) in [
            ("refs/heads/main", "main"),
            ("refs/heads/release/*", "release/*"),
            ("heads/main", "main"),
            ("origin/main", "main"),
            ("remotes/origin/main", "main"),
            ("refs/remotes/origin/main", "main"),
            ("^main$", "main"),
            ("^release/.*$", "release/**"),
            ("^release\\/.*$", "release/**"),
            ("/main", "main"),
            ("main/", "main"),
            (" main", "main"),
            ("^refs/heads/main$", "main"),
        ] {
            assert_eq!(help(pattern), Some(format!("Did you mean `{meant}`?")), "{pattern}");
        }
    }

    #[test]
    fn pattern_without_a_probable_branch_is_rejected() {
        for pattern in
            ["", "a b", "a..b", "main.", "a//b", ".a", "a.lock", "x@{1}", "release-[0-9]", "v?", "a:b", "~a"]
        {
            assert!(help(pattern).is_some_and(|help| !help.contains("Did you mean")), "{pattern}");
        }
        assert!(help("refs/tags/v1").is_some_and(|help| help.contains("deploy a tag")));
        assert!(help("tags/*").is_some());
    }

    #[test]
    fn pattern_that_a_branch_can_have_is_accepted() {
        for pattern in [
            "main",
            "*",
            "**",
            "release/*",
            "release/**",
            "**/1",
            "a+b",
            "v1.2",
            "dependabot/npm/@a/b",
            "original",
            "origin",
            "heads-up",
            "größe",
        ] {
            assert_eq!(help(pattern), None, "{pattern}");
        }
    }
}
