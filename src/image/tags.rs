//! The tags of an image. Pure. Deployments use the digest; tags are names for users and for the next run.

use crate::release::Digest;

/// The tag of the layers of `cache: registry`.
pub const CACHE_TAG: &str = "build-cache";

/// The tag of a commit: `sha-` and its first seven digits.
pub fn commit_tag(commit: &str) -> String {
    format!("sha-{}", commit.get(..7).unwrap_or(commit))
}

/// The commit of a tag: its first digits.
pub fn parse_commit(tag: &str) -> Option<&str> {
    let digits = tag.strip_prefix("sha-")?;
    (digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

/// The tag of a source tree: `tree-` and the first twenty hex digits of its digest.
pub fn source_tag(tree: &Digest) -> String {
    let hex = tree.as_str().trim_start_matches("sha256:");
    format!("tree-{}", hex.get(..20).unwrap_or(hex))
}

/// The tag of a branch: its name with every character that a tag may not contain replaced by `-` (distribution
/// specification: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`). A branch name that has another meaning here gets a prefix.
pub fn branch_tag(branch: &str) -> Option<String> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = branch.chars().map(allowed).collect();
    let name = name.trim_start_matches(['.', '-']);
    let reserved = name == CACHE_TAG || name.starts_with("sha-") || name.starts_with("tree-");
    let name = if reserved { format!("branch-{name}") } else { name.to_owned() };
    let short = name.get(..128).unwrap_or(&name);
    (!short.is_empty()).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_tag_is_valid() {
        for (branch, expected) in [
            ("main", Some("main")),
            ("feature/Login page#2", Some("feature-Login-page-2")),
            ("-x", Some("x")),
            ("../../etc", Some("etc")),
            ("sha-1234567", Some("branch-sha-1234567")),
            ("tree-a", Some("branch-tree-a")),
            ("build-cache", Some("branch-build-cache")),
            ("größe", Some("gr--e")),
            ("///", None),
        ] {
            assert_eq!(branch_tag(branch).as_deref(), expected, "{branch}");
        }
        assert_eq!(branch_tag(&"x".repeat(300)).map(|tag| tag.len()), Some(128));
    }

    #[test]
    fn commit_and_tree_tags_are_short() {
        assert_eq!(commit_tag("0123456789abcdef0123456789abcdef01234567"), "sha-0123456");
        assert_eq!(parse_commit("sha-0123456"), Some("0123456"));
        for other in ["sha-main", "sha-", "0123456", "sha-012345", "branch-sha-0123456"] {
            assert_eq!(parse_commit(other), None, "{other}");
        }
        let tree = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        assert_eq!(source_tag(&tree), "tree-abababababababababab");
    }
}
