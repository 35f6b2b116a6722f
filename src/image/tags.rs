//! The tags of an image. Pure. Deployments use the digest; tags are names for users and for the next run.

use crate::release::Digest;

/// The tag of the layers of `cache: registry`.
const CACHE_TAG: &str = "build-cache";
/// The longest tag of the distribution specification.
const MAX_LENGTH: usize = 128;

/// The tag of a commit: `sha-` and its first seven digits. Where several services push other images to one repository,
/// each has a suffix, so that none moves the tag of another.
pub fn commit_tag(commit: &str, suffix: Option<&str>) -> String {
    with_suffix(format!("sha-{}", commit.get(..7).unwrap_or(commit)), suffix)
}

/// The commit of a tag: its first digits.
pub fn parse_commit(tag: &str) -> Option<&str> {
    let rest = tag.strip_prefix("sha-")?;
    let digits = rest.split('-').next()?;
    (digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

/// The tag of a source tree: `tree-` and the first twenty hex digits of its digest.
pub fn source_tag(tree: &Digest) -> String {
    let hex = tree.as_str().trim_start_matches("sha256:");
    format!("tree-{}", hex.get(..20).unwrap_or(hex))
}

/// The tag of the layers of `cache: registry`.
pub fn cache_tag(suffix: Option<&str>) -> String {
    with_suffix(CACHE_TAG.to_owned(), suffix)
}

/// The tag of a branch: its name as a tag. A branch name that has another meaning here gets a prefix.
pub fn branch_tag(branch: &str, suffix: Option<&str>) -> Option<String> {
    let name = tag_text(branch)?;
    let name = if is_reserved(&name) { format!("branch-{name}") } else { name };
    Some(with_suffix(name, suffix))
}

/// A tag of the deploy file; `None` if nothing of it can be in a tag.
pub fn release_tag(text: &str) -> Option<String> {
    tag_text(text)
}

/// Whether a tag has a meaning of its own here.
pub fn is_reserved(tag: &str) -> bool {
    tag.starts_with(CACHE_TAG) || tag.starts_with("sha-") || tag.starts_with("tree-")
}

/// A text with every character that a tag may not contain replaced by `-` (distribution specification:
/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
fn tag_text(text: &str) -> Option<String> {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = text.chars().map(allowed).collect();
    let name = name.trim_start_matches(['.', '-']);
    let short = name.get(..MAX_LENGTH).unwrap_or(name);
    (!short.is_empty()).then(|| short.to_owned())
}

fn with_suffix(tag: String, suffix: Option<&str>) -> String {
    let Some(suffix) = suffix.and_then(tag_text) else { return tag.chars().take(MAX_LENGTH).collect() };
    let room = MAX_LENGTH.saturating_sub(suffix.len() + 1);
    format!("{}-{suffix}", tag.get(..room).unwrap_or(&tag))
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
            assert_eq!(branch_tag(branch, None).as_deref(), expected, "{branch}");
        }
        assert_eq!(branch_tag(&"x".repeat(300), None).map(|tag| tag.len()), Some(128));
        assert_eq!(branch_tag(&format!("sha-{}", "x".repeat(300)), None).map(|tag| tag.len()), Some(128));
    }

    #[test]
    fn services_of_one_repository_have_tags_of_their_own() {
        assert_eq!(commit_tag("0123456789", Some("web")), "sha-0123456-web");
        assert_eq!(parse_commit("sha-0123456-web"), Some("0123456"));
        assert_eq!(branch_tag("main", Some("web app")).as_deref(), Some("main-web-app"));
        assert_eq!(
            branch_tag(&"x".repeat(300), Some("web")).map(|tag| (tag.len(), tag.ends_with("-web"))),
            Some((128, true))
        );
        assert_eq!(
            (cache_tag(None), cache_tag(Some("web"))),
            ("build-cache".into(), "build-cache-web".into())
        );
    }

    #[test]
    fn release_tag_is_valid() {
        for (text, expected) in [
            ("v1.2.3", Some("v1.2.3")),
            ("v1.2.3+b5", Some("v1.2.3-b5")),
            ("release/1", Some("release-1")),
            ("", None),
        ] {
            assert_eq!(release_tag(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn commit_and_tree_tags_are_short() {
        assert_eq!(commit_tag("0123456789abcdef0123456789abcdef01234567", None), "sha-0123456");
        assert_eq!(parse_commit("sha-0123456"), Some("0123456"));
        for other in ["sha-main", "sha-", "0123456", "sha-012345", "branch-sha-0123456", "sha-012345-9"] {
            assert_eq!(parse_commit(other), None, "{other}");
        }
        let tree = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        assert_eq!(source_tag(&tree), "tree-abababababababababab");
    }
}
