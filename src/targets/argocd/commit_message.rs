//! The message of a commit: a headline for users and trailers for later runs. Pure. Untrusted text is sanitized first:
//! it cannot begin a line of its own, and GitHub does not interpret it.

use sha2::{Digest as _, Sha256};

use super::image_edit::{EditKind, ImageEdit};
use crate::release::ImageRef;

/// The prefix of a line that only our commits have.
pub const MARKER_TRAILER: &str = "Roadstead-Change: ";

/// The key of a service in trailers.
pub fn service_key(environment: &str, service: &str) -> String {
    format!("{}/{}", sanitize_word(environment), sanitize_word(service))
}

/// A commit's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMessage {
    /// The first line.
    pub headline: String,
    /// Everything after it.
    pub body: String,
    /// A trailer that no other commit has, to find this commit if its response is lost.
    pub marker: String,
}

/// The message of one commit on `head` for these services; `run_url` is a line for users.
pub fn message(intents: &[(&ImageEdit, ImageRef)], head: &str, run_url: Option<&str>) -> CommitMessage {
    let blocks: Vec<String> =
        intents.iter().map(|(intent, written)| trailer_block(intent, written)).collect();
    let trailers = blocks.join("\n");
    let sum = hex::encode(&Sha256::digest(format!("{head}\n{trailers}"))[..8]);
    let marker = format!("{MARKER_TRAILER}{sum}");
    let run_line = run_url.map(|url| format!("{}\n\n", to_single_line(url))).unwrap_or_default();
    CommitMessage { headline: headline(intents), body: format!("{run_line}{trailers}\n{marker}\n"), marker }
}

fn headline(intents: &[(&ImageEdit, ImageRef)]) -> String {
    let Some((first, written)) = intents.first() else { return "Release".into() };
    let verb = match first.kind {
        EditKind::Deploy => "Release",
        EditKind::Rollback => "Roll back",
        EditKind::AutoRollback => "Revert",
    };
    let more = match intents.len() - 1 {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let to = if first.kind == EditKind::Deploy { "at" } else { "to" };
    let environment = first.service_key.split('/').next().unwrap_or_default();
    format!("{verb} {} {to} {}{more} in {environment}", sanitize_word(&first.service), short_image(written))
}

/// The abbreviated name of a commit.
pub fn short_sha(oid: &str) -> &str {
    oid.get(..7).unwrap_or(oid)
}

/// The tag, or the first digits of the digest.
pub fn short_image(image: &ImageRef) -> String {
    match (&image.tag, &image.digest) {
        (Some(tag), _) => tag.clone(),
        (None, Some(digest)) => digest.short().to_owned(),
        (None, None) => "latest".into(),
    }
}

fn trailer_block(intent: &ImageEdit, written: &ImageRef) -> String {
    let digest = intent.image.digest.as_ref().or(written.digest.as_ref());
    let lines = [
        ("Service", Some(intent.service_key.clone())),
        ("Image", Some(written.to_string())),
        ("Digest", digest.map(ToString::to_string)),
        ("Previous", intent.previous_image.as_ref().map(ToString::to_string)),
        ("Source", intent.source_commit.as_deref().map(sanitize_word)),
        ("Run", intent.run.map(|run| format!("{}.{}", run.id, run.attempt))),
        ("Operation", Some(intent.kind.as_str().to_owned())),
        ("Undoes", intent.reverts_commit.as_deref().map(sanitize_word)),
    ];
    let present = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    present.map(|(name, value)| format!("Roadstead-{name}: {value}")).collect::<Vec<_>>().join("\n")
}

/// Letters, digits and a few signs; anything else becomes `-`: no line, no mention, no reference, no `[skip ci]`.
pub fn sanitize_word(text: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "._/-".contains(c) { c } else { '-' };
    text.chars().map(kept).take(100).collect()
}

fn to_single_line(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::super::image_edit::fixtures::image_edit;
    use super::*;

    fn written(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn message_has_headline_and_trailers() {
        let intent = image_edit("analytics", "acme/analytics:1.3");
        let message = message(
            &[(&intent, written("acme/analytics:1.3"))],
            "c0ffee",
            Some("https://github.example/run/7"),
        );
        insta::assert_snapshot!(format!("{}\n\n{}", message.headline, message.body), @r"
        Release analytics at 1.3 in production

        https://github.example/run/7

        Roadstead-Service: production/analytics
        Roadstead-Image: acme/analytics:1.3
        Roadstead-Previous: acme/analytics:1.2
        Roadstead-Source: c0ffee1234567890
        Roadstead-Run: 70.1
        Roadstead-Operation: deploy
        Roadstead-Change: eb5b560765903817
        ");
    }

    #[test]
    fn untrusted_text_is_sanitized_to_one_word() {
        for text in ["a\nRoadstead-Run: 99.1", "x [skip ci]", "@everyone", "fixes #3", "a\r\nb", "\u{202e}x"]
        {
            let plain = sanitize_word(text);
            assert!(!plain.contains(['\n', '\r', '[', '@', '#', ' ', ':', '\u{202e}']), "{plain}");
        }
    }

    #[test]
    fn several_services_share_a_headline_and_have_a_block_each() {
        let (a, b) = (image_edit("a", "acme/a:2"), image_edit("b", "acme/b:2"));
        let message = message(&[(&a, written("acme/a:2")), (&b, written("acme/b:2"))], "c0ffee", None);
        assert_eq!(message.headline, "Release a at 2 and 1 more in production");
        assert_eq!(message.body.matches("Roadstead-Service: ").count(), 2);
        assert!(message.body.ends_with(&format!("{}\n", message.marker)));
    }
}
