//! The records in the messages of our commits: which run wrote which image when, and which commits were rolled back.
//! Pure. Rollback targets and blocked versions are decided from this.

use jiff::Timestamp;

use super::commit_message::short_image;
use super::image_edit::EditKind;
use crate::github::HistoryCommit;
use crate::release::{CompletedVersion, ContainerImages, Digest, ImageRef, Version};
use crate::targets::RunNumber;

/// The record of one service in one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditRecord {
    /// The commit.
    pub oid: String,
    /// Time of the commit.
    pub committed_at: Timestamp,
    /// The image as it was written.
    pub image: ImageRef,
    /// Its digest, also if the files have only the tag.
    pub digest: Option<Digest>,
    /// The image before.
    pub previous_image: Option<ImageRef>,
    /// The commit of the source.
    pub source_commit: Option<String>,
    /// The run that wrote it.
    pub run: Option<RunNumber>,
    /// The kind of the edit.
    pub kind: EditKind,
    /// The commit that it rolls back.
    pub reverts_commit: Option<String>,
}

/// The version that an image is, for one service.
pub fn image_version(service: &str, image: &ImageRef) -> Version {
    Version { id: image.to_string(), label: format!("{service}:{}", short_image(image)) }
}

/// The records of the service with this key, newest first like `history`. Unreadable ones are ignored as foreign.
pub fn read_records(history: &[HistoryCommit], key: &str) -> Vec<EditRecord> {
    history.iter().filter_map(|commit| parse_record(commit, key)).collect()
}

fn parse_record(commit: &HistoryCommit, key: &str) -> Option<EditRecord> {
    let start = format!("Roadstead-Service: {key}");
    let mut lines = commit.message.lines().map(str::trim_end).skip_while(|line| *line != start).skip(1);
    let block: Vec<(&str, &str)> = lines
        .by_ref()
        .map_while(|line| line.strip_prefix("Roadstead-")?.split_once(": "))
        .take_while(|(name, _)| *name != "Service")
        .collect();
    let value = |name: &str| block.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    Some(EditRecord {
        oid: commit.oid.clone(),
        committed_at: commit.committed_at,
        image: value("Image")?.parse().ok()?,
        digest: value("Digest").and_then(|text| text.parse().ok()),
        previous_image: value("Previous").and_then(|text| text.parse().ok()),
        source_commit: value("Source").map(str::to_owned),
        run: value("Run").and_then(parse_run),
        kind: EditKind::from_trailer(value("Operation")?)?,
        reverts_commit: value("Undoes").map(str::to_owned),
    })
}

fn parse_run(text: &str) -> Option<RunNumber> {
    let (id, attempt) = text.split_once('.')?;
    Some(RunNumber { id: id.parse().ok()?, attempt: attempt.parse().ok()? })
}

/// Completed versions, newest first: every image that was written and not rolled back. `open` is the commit whose
/// rollout is not verified. The image before the first record completed before records existed.
pub fn completed_versions(
    service: &str,
    entries: &[EditRecord],
    open: Option<&str>,
) -> Vec<CompletedVersion> {
    let undone: Vec<&str> = entries.iter().filter_map(|entry| entry.reverts_commit.as_deref()).collect();
    let counts = |entry: &&EditRecord| {
        entry.kind != EditKind::AutoRollback
            && !undone.contains(&entry.oid.as_str())
            && open != Some(&entry.oid)
    };
    let mut past: Vec<CompletedVersion> =
        entries.iter().filter(counts).map(|entry| from_record(service, entry)).collect();
    past.extend(entries.last().and_then(|first| first_previous_version(service, first)));
    past
}

fn from_record(service: &str, entry: &EditRecord) -> CompletedVersion {
    CompletedVersion {
        version: image_version(service, &entry.image),
        image: Some(entry.image.clone()),
        container_images: ContainerImages::new(),
        digest: entry.digest.clone().or_else(|| entry.image.digest.clone()),
        completed_at: Some(entry.committed_at),
        commits: entry.source_commit.iter().cloned().collect(),
    }
}

fn first_previous_version(service: &str, first: &EditRecord) -> Option<CompletedVersion> {
    first.previous_image.as_ref().map(|image| manual_change(service, image))
}

/// An image without a record.
pub fn manual_change(service: &str, image: &ImageRef) -> CompletedVersion {
    CompletedVersion {
        version: image_version(service, image),
        image: Some(image.clone()),
        container_images: ContainerImages::new(),
        digest: image.digest.clone(),
        completed_at: None,
        commits: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `oid operation image run undoes`, newest first.
    fn history(lines: &[&str]) -> Vec<HistoryCommit> {
        let commit = |(at, line): (usize, &&str)| {
            let words: Vec<&str> = line.split(' ').collect();
            let undoes = words.get(4).map(|oid| format!("Roadstead-Undoes: {oid}\n")).unwrap_or_default();
            let message = format!(
                "Release\n\nRoadstead-Service: production/other\nRoadstead-Image: acme/other:9\nRoadstead-Operation: deploy\nRoadstead-Service: production/app\nRoadstead-Image: acme/app:{}\nRoadstead-Previous: acme/app:0\nRoadstead-Source: c0ffee{}\nRoadstead-Run: {}.1\nRoadstead-Operation: {}\n{undoes}Roadstead-Change: x\n",
                words[2], words[2], words[3], words[1],
            );
            let at = Timestamp::from_second(1_000_000 - at as i64).unwrap();
            HistoryCommit { oid: words[0].into(), message, committed_at: at, paths: Vec::new() }
        };
        lines.iter().enumerate().map(commit).collect()
    }

    fn labels(lines: &[&str], open: Option<&str>) -> Vec<String> {
        let entries = read_records(&history(lines), "production/app");
        completed_versions("app", &entries, open).into_iter().map(|past| past.version.label).collect()
    }

    #[test]
    fn read_records_finds_only_the_block_of_the_service() {
        let entries = read_records(&history(&["a1 deploy 1 7"]), "production/app");
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((entry.image.to_string().as_str(), entry.kind), ("acme/app:1", EditKind::Deploy));
        assert_eq!(entry.run, Some(RunNumber { id: 7, attempt: 1 }));
        assert_eq!(entry.source_commit.as_deref(), Some("c0ffee1"));
        assert!(read_records(&history(&["a1 deploy 1 7"]), "production/ap").is_empty());
        assert!(read_records(&history(&["a1 sabotage 1 7"]), "production/app").is_empty());
    }

    #[test]
    fn completed_versions_leave_out_rolled_back_commits() {
        assert_eq!(labels(&["b deploy 2 8", "a deploy 1 7"], None), ["app:2", "app:1", "app:0"]);
        assert_eq!(labels(&["b deploy 2 8", "a deploy 1 7"], Some("b")), ["app:1", "app:0"]);
        assert_eq!(labels(&["c undo 1 8 b", "b deploy 2 8", "a deploy 1 7"], None), ["app:1", "app:0"]);
        assert_eq!(
            labels(&["c rollback 1 9", "b deploy 2 8", "a deploy 1 7"], None),
            ["app:1", "app:2", "app:1", "app:0"]
        );
    }
}
