//! The record that is kept in the messages of our commits: who wrote which image when, and what of it was taken back.
//! Pure. Where a rollback goes, and whether it holds, is decided from this.

use jiff::Timestamp;

use super::intent::Operation;
use super::message::short;
use crate::github::PastCommit;
use crate::release::{Digest, ImageRef, Past, Version};
use crate::targets::RunNumber;

/// What one of our commits says of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The commit.
    pub oid: String,
    /// When it was made.
    pub at: Timestamp,
    /// The image as it was written.
    pub image: ImageRef,
    /// Its digest, also where the files have only the tag.
    pub digest: Option<Digest>,
    /// What stood there before.
    pub previous: Option<ImageRef>,
    /// The commit of the source.
    pub source: Option<String>,
    /// The run that wrote it.
    pub run: Option<RunNumber>,
    /// Why.
    pub operation: Operation,
    /// The commit that it takes back.
    pub undoes: Option<String>,
}

/// The version that an image is, for one service.
pub fn version(service: &str, image: &ImageRef) -> Version {
    Version { id: image.to_string(), label: format!("{service}:{}", short(image)) }
}

/// What is recorded of the service with this key, newest first as `history` is. What cannot be read is not ours.
pub fn entries(history: &[PastCommit], key: &str) -> Vec<Entry> {
    history.iter().filter_map(|commit| entry(commit, key)).collect()
}

fn entry(commit: &PastCommit, key: &str) -> Option<Entry> {
    let start = format!("Roadstead-Service: {key}");
    let mut lines = commit.message.lines().map(str::trim_end).skip_while(|line| *line != start).skip(1);
    let block: Vec<(&str, &str)> = lines
        .by_ref()
        .map_while(|line| line.strip_prefix("Roadstead-")?.split_once(": "))
        .take_while(|(name, _)| *name != "Service")
        .collect();
    let value = |name: &str| block.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    Some(Entry {
        oid: commit.oid.clone(),
        at: commit.at,
        image: value("Image")?.parse().ok()?,
        digest: value("Digest").and_then(|text| text.parse().ok()),
        previous: value("Previous").and_then(|text| text.parse().ok()),
        source: value("Source").map(str::to_owned),
        run: value("Run").and_then(run),
        operation: Operation::of(value("Operation")?)?,
        undoes: value("Undoes").map(str::to_owned),
    })
}

fn run(text: &str) -> Option<RunNumber> {
    let (id, attempt) = text.split_once('.')?;
    Some(RunNumber { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

/// What completed, newest first: everything that was written and not taken back. `open` is the commit whose rollout is
/// not proven. What stood there before the first record completed before anybody kept one.
pub fn past(service: &str, entries: &[Entry], open: Option<&str>) -> Vec<Past> {
    let undone: Vec<&str> = entries.iter().filter_map(|entry| entry.undoes.as_deref()).collect();
    let counts = |entry: &&Entry| {
        entry.operation != Operation::Undo
            && !undone.contains(&entry.oid.as_str())
            && open != Some(&entry.oid)
    };
    let mut past: Vec<Past> = entries.iter().filter(counts).map(|entry| of_entry(service, entry)).collect();
    past.extend(entries.last().and_then(|first| before(service, first)));
    past
}

fn of_entry(service: &str, entry: &Entry) -> Past {
    Past {
        version: version(service, &entry.image),
        image: Some(entry.image.clone()),
        digest: entry.digest.clone().or_else(|| entry.image.digest.clone()),
        completed: Some(entry.at),
        commits: entry.source.iter().cloned().collect(),
    }
}

fn before(service: &str, first: &Entry) -> Option<Past> {
    first.previous.as_ref().map(|image| unrecorded(service, image))
}

/// An image that no record of ours is about.
pub fn unrecorded(service: &str, image: &ImageRef) -> Past {
    Past {
        version: version(service, image),
        image: Some(image.clone()),
        digest: image.digest.clone(),
        completed: None,
        commits: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `oid operation image run undoes`, newest first.
    fn history(lines: &[&str]) -> Vec<PastCommit> {
        let commit = |(at, line): (usize, &&str)| {
            let words: Vec<&str> = line.split(' ').collect();
            let undoes = words.get(4).map(|oid| format!("Roadstead-Undoes: {oid}\n")).unwrap_or_default();
            let message = format!(
                "Release\n\nRoadstead-Service: production/other\nRoadstead-Image: acme/other:9\nRoadstead-Operation: deploy\nRoadstead-Service: production/app\nRoadstead-Image: acme/app:{}\nRoadstead-Previous: acme/app:0\nRoadstead-Source: c0ffee{}\nRoadstead-Run: {}.1\nRoadstead-Operation: {}\n{undoes}Roadstead-Change: x\n",
                words[2], words[2], words[3], words[1],
            );
            let at = Timestamp::from_second(1_000_000 - at as i64).unwrap();
            PastCommit { oid: words[0].into(), message, at, paths: Vec::new() }
        };
        lines.iter().enumerate().map(commit).collect()
    }

    fn labels(lines: &[&str], open: Option<&str>) -> Vec<String> {
        let entries = entries(&history(lines), "production/app");
        past("app", &entries, open).into_iter().map(|past| past.version.label).collect()
    }

    #[test]
    fn each_service_finds_its_own_block() {
        let entries = entries(&history(&["a1 deploy 1 7"]), "production/app");
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((entry.image.to_string().as_str(), entry.operation), ("acme/app:1", Operation::Deploy));
        assert_eq!(entry.run, Some(RunNumber { id: 7, attempt: 1 }));
        assert_eq!(entry.source.as_deref(), Some("c0ffee1"));
        assert!(super::entries(&history(&["a1 deploy 1 7"]), "production/ap").is_empty());
        assert!(super::entries(&history(&["a1 sabotage 1 7"]), "production/app").is_empty());
    }

    #[test]
    fn what_was_taken_back_never_completed() {
        assert_eq!(labels(&["b deploy 2 8", "a deploy 1 7"], None), ["app:2", "app:1", "app:0"]);
        assert_eq!(labels(&["b deploy 2 8", "a deploy 1 7"], Some("b")), ["app:1", "app:0"]);
        assert_eq!(labels(&["c undo 1 8 b", "b deploy 2 8", "a deploy 1 7"], None), ["app:1", "app:0"]);
        assert_eq!(
            labels(&["c rollback 1 9", "b deploy 2 8", "a deploy 1 7"], None),
            ["app:1", "app:2", "app:1", "app:0"]
        );
    }
}
