//! What a release is made of: the image and the hashes of its files, as one line on the server. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::source::ReleaseSource;
use crate::release::{Digest, ImageRef, Release};

/// What a release is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFacts {
    /// The image, by digest.
    pub image: Option<ImageRef>,
    /// Hash of the Compose files, with their names. `None` for what was brought without this program.
    pub files: Option<String>,
    /// Hash of the variables; `None` if the release has none.
    pub env: Option<String>,
    /// The commit.
    pub commit: Option<String>,
}

impl ReleaseFacts {
    /// The facts of a release that would be created.
    pub fn of(release: &Release, source: &ReleaseSource) -> Self {
        Self {
            image: release.image.clone().map(|image| ImageRef { tag: None, ..image }),
            files: Some(hash_files(source)),
            env: source.env.as_deref().map(hash_text),
            commit: release.commit.clone(),
        }
    }

    /// Reads the line.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [image, files, env, commit] = words[..] else { return None };
        let known = |word: &str| (word != "none").then(|| word.to_owned());
        Some(Self { image: image.parse().ok(), files: known(files), env: known(env), commit: known(commit) })
    }

    /// The digest of the image.
    pub fn digest(&self) -> Option<Digest> {
        self.image.as_ref().and_then(|image| image.digest.clone())
    }

    /// Whether both make the same containers, whichever commit they are of.
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.digest() == other.digest() && self.files == other.files && self.env == other.env
    }
}

impl fmt::Display for ReleaseFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let image = self.image.as_ref().map(ToString::to_string);
        let words = [&image, &self.files, &self.env, &self.commit];
        f.write_str(&words.map(|word| word.as_deref().unwrap_or("none")).join(" "))
    }
}

/// The hash of a text, as the server computes it.
pub fn hash_text(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn hash_files(source: &ReleaseSource) -> String {
    let each = source.files.iter().map(|file| format!("{} {}\n", hash_text(&file.text), file.path));
    hash_text(&each.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_round_trips() {
        let image = format!("ghcr.io/acme/shop@sha256:{}", "a".repeat(64));
        for line in
            [format!("{image} f e c0ffee1"), format!("{image} f none none"), "none none none none".into()]
        {
            assert_eq!(ReleaseFacts::parse(&line).unwrap().to_string(), line);
        }
        assert_eq!(ReleaseFacts::parse("a b c"), None);
    }
}
