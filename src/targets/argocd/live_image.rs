//! Whether an image that a manifest or a pod names is the requested one. Pure.

use crate::release::{Digest, ImageRef};

/// Whether a live image is the requested one: by digest if both have one, whatever registry admission wrote before it; else
/// by name and tag.
pub fn is_live(live: &str, wanted: &ImageRef) -> bool {
    let Ok(live) = live.parse::<ImageRef>() else { return false };
    match (&live.digest, &wanted.digest) {
        (Some(live), Some(wanted)) => live == wanted,
        // Files without a version leave it to the chart.
        (_, None) if wanted.tag.is_none() => has_name(&live, wanted),
        _ => live.tag == wanted.tag && has_name(&live, wanted),
    }
}

/// Whether an image is of the requested one's repository, whatever its version.
pub fn is_of_repository(found: &str, wanted: &ImageRef) -> bool {
    found.parse::<ImageRef>().is_ok_and(|found| has_name(&found, wanted))
}

fn has_name(found: &ImageRef, wanted: &ImageRef) -> bool {
    found.repository == wanted.repository && (found.registry == wanted.registry || wanted.registry.is_empty())
}

/// The digest of a live image.
pub fn live_digest(live: &str) -> Option<Digest> {
    live.parse::<ImageRef>().ok()?.digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_means_the_same_digest_or_else_the_same_name_and_tag() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let table = [
            ("acme/app:2".to_owned(), "acme/app:2".to_owned(), true),
            ("acme/app:1".into(), "acme/app:2".into(), false),
            ("acme/app:1".into(), "acme/app".into(), true),
            ("acme/other:1".into(), "acme/app".into(), false),
            (format!("acme/app:2@sha256:{a}"), format!("acme/app@sha256:{a}"), true),
            (format!("mirror.example/hub/acme/app@sha256:{a}"), format!("acme/app:2@sha256:{a}"), true),
            (format!("acme/app:2@sha256:{b}"), format!("acme/app:2@sha256:{a}"), false),
            ("other/app:2".into(), "acme/app:2".into(), false),
            ("127.0.0.1:5000/acme/app:2".into(), "acme/app:2".into(), true),
            ("acme/app:2".into(), "r.example/acme/app:2".into(), false),
            ("not an image".into(), "acme/app:2".into(), false),
        ];
        for (live, wanted, expected) in table {
            assert_eq!(is_live(&live, &wanted.parse().unwrap()), expected, "{live} {wanted}");
        }
    }
}
