//! User info in URLs, `scheme://user:password@host`: where it is in a text. Pure.

use std::ops::Range;

/// Where the user info of each URL in `text` is. With http and https a name alone counts too, since tokens are written
/// like that; with other schemes (`ssh://git@host`) only a name with a password.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    text.match_indices("://").filter_map(|(at, mark)| find_one(text, at, at + mark.len())).collect()
}

fn find_one(text: &str, scheme_end: usize, start: usize) -> Option<Range<usize>> {
    let ends_url = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>|\\".contains(c);
    let url = text[start..].split(ends_url).next().unwrap_or_default();
    let user_info = &url[..user_info_length(url)?];
    if url[user_info.len()..].starts_with("@sha256:") {
        // The digest of an image.
        return None;
    }
    let scheme = text[..scheme_end].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let is_secret = !user_info.is_empty() && (is_web || user_info.contains(':'));
    is_secret.then(|| start..start + user_info.len())
}

/// The length of the user info of what follows `://`: up to the last `@` of the authority. Passwords are often written
/// unencoded, with `/`, `?` or `#` in them: the authority ends there only if a host with a port precedes.
fn user_info_length(url: &str) -> Option<usize> {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    if let Some(at) = url[..end].rfind('@') {
        return Some(at);
    }
    let (_, port) = url[..end].split_once(':')?;
    let is_port =
        !url.starts_with('[') && !port.is_empty() && !port.bytes().all(|byte| byte.is_ascii_digit());
    url.rfind('@').filter(|_| is_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> String {
        find(text).into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn user_info_is_found_and_nothing_else() {
        for (text, expected) in [
            ("postgres://u:pw@db/x", "u:pw"),
            ("a redis://:pw@cache:6379 b", ":pw"),
            ("https://token@github.com/a", "token"),
            ("\"HTTP://a:b@x\"", "a:b"),
            ("mysql://u:p@ss@db/x", "u:p@ss"),
            ("mysql://u:p/w#1@db/x", "u:p/w#1"),
            ("x://a:b@h y://c:d@i", "a:b c:d"),
            ("ssh://git@github.com/a", ""),
            ("https://x.example/users/@me", ""),
            ("https://x.example:8080/users/@me", ""),
            ("https://[::1]:80/@x", ""),
            ("image registry.example/app@sha256:00", ""),
            ("oci://registry.example/app@sha256:00", ""),
            ("docker://alpine:3.20@sha256:00", ""),
            ("mailto:a@b", ""),
            ("https://@x", ""),
            ("://", ""),
        ] {
            assert_eq!(hidden(text), expected, "{text}");
        }
    }
}
