//! The words of a commit: a headline for people and trailers for the runs to come. Pure. Whatever comes from outside is
//! made plain first: it can neither begin a line of its own nor mean anything to GitHub.

use sha2::{Digest as _, Sha256};

use super::intent::{Intent, Operation};
use crate::release::ImageRef;

/// How a line begins that is in each of our commits, and in nobody else's.
pub const MARK: &str = "Roadstead-Change: ";

/// The key under which a service stands in trailers.
pub fn key(environment: &str, service: &str) -> String {
    format!("{}/{}", plain(environment), plain(service))
}

/// A commit's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub headline: String,
    /// Everything after it.
    pub body: String,
    /// A trailer that no other commit has, to find this one by when its answer was lost.
    pub marker: String,
}

/// The message of one commit on `head` for these services; `run_url` is a line for people.
pub fn message(intents: &[(&Intent, ImageRef)], head: &str, run_url: Option<&str>) -> Message {
    let blocks: Vec<String> = intents.iter().map(|(intent, written)| block(intent, written)).collect();
    let trailers = blocks.join("\n");
    let sum = hex::encode(&Sha256::digest(format!("{head}\n{trailers}"))[..8]);
    let marker = format!("{MARK}{sum}");
    let seen = run_url.map(|url| format!("{}\n\n", single_line(url))).unwrap_or_default();
    Message { headline: headline(intents), body: format!("{seen}{trailers}\n{marker}\n"), marker }
}

fn headline(intents: &[(&Intent, ImageRef)]) -> String {
    let Some((first, written)) = intents.first() else { return "Release".into() };
    let verb = match first.operation {
        Operation::Deploy => "Release",
        Operation::Rollback => "Roll back",
        Operation::Undo => "Take back",
    };
    let more = match intents.len() - 1 {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let to = if first.operation == Operation::Undo { "to" } else { "at" };
    let environment = first.key.split('/').next().unwrap_or_default();
    format!("{verb} {} {to} {}{more} in {environment}", plain(&first.service), short(written))
}

/// The first digits of a commit's name, for people.
pub fn short_oid(oid: &str) -> &str {
    oid.get(..7).unwrap_or(oid)
}

/// The tag, or the first digits of the digest.
pub fn short(image: &ImageRef) -> String {
    match (&image.tag, &image.digest) {
        (Some(tag), _) => tag.clone(),
        (None, Some(digest)) => digest.short().to_owned(),
        (None, None) => "latest".into(),
    }
}

fn block(intent: &Intent, written: &ImageRef) -> String {
    let digest = intent.wish.digest.as_ref().or(written.digest.as_ref());
    let lines = [
        ("Service", Some(intent.key.clone())),
        ("Image", Some(written.to_string())),
        ("Digest", digest.map(ToString::to_string)),
        ("Previous", intent.previous.as_ref().map(ToString::to_string)),
        ("Source", intent.source.as_deref().map(plain)),
        ("Run", intent.run.map(|run| format!("{}.{}", run.id, run.attempt))),
        ("Operation", Some(intent.operation.word().to_owned())),
        ("Undoes", intent.undoes.as_deref().map(plain)),
    ];
    let present = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    present.map(|(name, value)| format!("Roadstead-{name}: {value}")).collect::<Vec<_>>().join("\n")
}

/// Letters, digits and a few signs; anything else becomes `-`: no line, no mention, no reference, no `[skip ci]`.
pub fn plain(text: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "._/-".contains(c) { c } else { '-' };
    text.chars().map(kept).take(100).collect()
}

fn single_line(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::super::intent::samples::intent;
    use super::*;

    fn written(text: &str) -> ImageRef {
        text.parse().unwrap()
    }

    #[test]
    fn a_release_says_what_and_where_and_keeps_its_record() {
        let intent = intent("analytics", "acme/analytics:1.3");
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
    fn text_from_outside_is_one_plain_word() {
        for text in ["a\nRoadstead-Run: 99.1", "x [skip ci]", "@everyone", "fixes #3", "a\r\nb", "\u{202e}x"]
        {
            let plain = plain(text);
            assert!(!plain.contains(['\n', '\r', '[', '@', '#', ' ', ':', '\u{202e}']), "{plain}");
        }
    }

    #[test]
    fn several_services_share_a_headline_and_have_a_block_each() {
        let (a, b) = (intent("a", "acme/a:2"), intent("b", "acme/b:2"));
        let message = message(&[(&a, written("acme/a:2")), (&b, written("acme/b:2"))], "c0ffee", None);
        assert_eq!(message.headline, "Release a at 2 and 1 more in production");
        assert_eq!(message.body.matches("Roadstead-Service: ").count(), 2);
        assert!(message.body.ends_with(&format!("{}\n", message.marker)));
    }
}
