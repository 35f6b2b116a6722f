//! Validates names that become part of a URL: untrusted text must have the expected form. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Rejects anything but owner/name.
pub fn repository(text: &str) -> Result<(&str, &str), String> {
    let plain = |part: &str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(known)
    };
    let parts = text.split_once('/').filter(|(owner, name)| plain(owner) && plain(name));
    parts.ok_or_else(|| format!("`{text}` is not owner/name"))
}

/// Rejects anything that cannot be the id of a commit.
pub fn commit(oid: &str) -> Result<&str, String> {
    let sound = (7..=64).contains(&oid.len()) && oid.bytes().all(|b| b.is_ascii_hexdigit());
    if sound { Ok(oid) } else { Err(format!("`{oid}` is not the id of a commit")) }
}

/// Rejects branch names that Git rejects. <https://git-scm.com/docs/git-check-ref-format>
pub fn branch(name: &str) -> Result<&str, String> {
    let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let sound = name.len() <= 240
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(odd)
        && name.split('/').all(part);
    if sound { Ok(name) } else { Err(format!("`{name}` cannot be the name of a branch")) }
}

/// Rejects a path outside the repository, or one that Git reserves.
pub fn path(text: &str) -> Result<&str, String> {
    let part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git");
    let sound = text.len() <= 4096 && !text.chars().any(char::is_control) && text.split('/').all(part);
    if sound { Ok(text) } else { Err(format!("`{text}` is not a path inside the repository")) }
}

/// Characters that are not escaped in the path and the query of a URL.
const ESCAPED_CHARS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Text as part of the path or the query of a URL; a slash stays one.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED_CHARS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_commits() {
        assert_eq!(repository("acme/shop.js"), Ok(("acme", "shop.js")));
        for odd in ["acme", "acme/", "/shop", "acme/..", "acme/../x", "acme/shop?x=", "acme/sh op", "a/b/c"] {
            assert!(repository(odd).is_err(), "{odd}");
        }
        assert_eq!(commit("c0ffee1"), Ok("c0ffee1"));
        for odd in ["", "main", "c0ffee", "../../x", "c0ffee1 "] {
            assert!(commit(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn branches() {
        for good in ["main", "release/1.2", "roadstead/production-a+b", "ünïcode", "a#b%c", "@"] {
            assert_eq!(branch(good), Ok(good));
        }
        for odd in [
            "", "a..b", "a b", "a\nb", "a\0", "~a", "a^", "a:b", "a?", "*", "a[", "a\\b", "/a", "a/", "a//b",
            ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a@{b", "-a",
        ] {
            assert!(branch(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn paths() {
        for good in ["a", "apps/x y/values.yaml", ".github/x", "a/...", "ü/é.yaml", "a#b?c%d"] {
            assert_eq!(path(good), Ok(good));
        }
        for odd in
            ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a/.", ".git/config", "a/.GIT/x", "a\nb", "a\0"]
        {
            assert!(path(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn reserved_characters_are_percent_encoded() {
        assert_eq!(percent_encoded("a b/ü?#%&=+"), "a%20b/%C3%BC%3F%23%25%26%3D%2B");
        assert_eq!(percent_encoded("release/1.2-x_y~z"), "release/1.2-x_y~z");
    }
}
