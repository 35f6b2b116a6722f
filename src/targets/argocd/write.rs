//! An edit on the current files: applied, already there, or superseded. Pure; the same on the observed head and on
//! every later head.

use std::collections::BTreeMap;

use super::commit_message::short_sha;
use super::image_edit::{EditKind, ImageEdit, ImageField, Precondition};
use super::restore::RestoredFile;
use super::trailers::EditRecord;
use crate::manifest;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// Files by path, as bytes.
pub type FileTree = BTreeMap<String, Vec<u8>>;

/// The outcome of an edit.
#[derive(Debug, Clone, PartialEq)]
pub enum EditOutcome {
    /// These files change, and the image after the change.
    Edited {
        /// The complete files.
        files: FileTree,
        /// The image as the next read returns it.
        image: ImageRef,
    },
    /// The files have it already.
    AlreadyWritten,
    /// Another writer changed the files; described here.
    Superseded(String),
    /// It cannot be applied.
    Invalid(Problem),
}

/// The current image of a field; `None` if it has none.
pub fn read_image(tree: &FileTree, site: &ImageField, name: &ImageRef) -> Result<Option<ImageRef>, Problem> {
    let bytes = tree.get(&site.path).ok_or_else(|| file_missing_problem(&site.path))?;
    manifest::find_image(bytes, &site.location, name)
        .map(|found| found.image)
        .map_err(|error| error.problem(&site.path))
}

/// The current image of each field.
pub fn read_images(
    tree: &FileTree,
    sites: &[ImageField],
    name: &ImageRef,
) -> Result<Vec<Option<ImageRef>>, Problem> {
    sites.iter().map(|site| read_image(tree, site, name)).collect()
}

/// The image that represents all fields of a service: one with a digest before one without.
pub fn canonical_image(found: &[Option<ImageRef>]) -> Option<ImageRef> {
    let all = || found.iter().flatten();
    all().find(|image| image.digest.is_some()).or_else(|| all().next()).cloned()
}

/// Applies `intent` to the files. `entries` are the records of the service, newest first.
pub fn apply_edit(tree: &FileTree, entries: &[EditRecord], intent: &ImageEdit) -> EditOutcome {
    let files = match edit_files(tree, intent) {
        Ok(files) => files,
        Err(problem) => return EditOutcome::Invalid(problem),
    };
    if let Some(newer) = newer_run(entries, intent) {
        return EditOutcome::Superseded(newer);
    }
    if files.is_empty() {
        return EditOutcome::AlreadyWritten;
    }
    match other_writer(tree, entries, intent) {
        Ok(None) => match image_after_edit(tree, &files, intent) {
            Ok(written) => EditOutcome::Edited { files, image: written },
            Err(problem) => EditOutcome::Invalid(problem),
        },
        Ok(Some(other)) => EditOutcome::Superseded(other),
        Err(problem) => EditOutcome::Invalid(problem),
    }
}

/// The image as it will be read once `changed` is written.
fn image_after_edit(tree: &FileTree, changed: &FileTree, intent: &ImageEdit) -> Result<ImageRef, Problem> {
    let mut after = tree.clone();
    after.extend(changed.clone());
    let found = read_images(&after, &intent.fields, &intent.image)?;
    Ok(canonical_image(&found).unwrap_or_else(|| intent.image.clone()))
}

/// The files with the edit of `intent` applied, whoever owns them, and the image as it would be read.
pub fn preview_edit(tree: &FileTree, intent: &ImageEdit) -> Result<(FileTree, ImageRef), Problem> {
    let files = edit_files(tree, intent)?;
    let written = image_after_edit(tree, &files, intent)?;
    Ok((files, written))
}

/// The changed files; none if all have the requested image.
fn edit_files(tree: &FileTree, intent: &ImageEdit) -> Result<FileTree, Problem> {
    if let Some(files) = restored_files(tree, intent) {
        return Ok(files);
    }
    let mut changed = FileTree::new();
    for (site, image) in images_to_write(tree, intent)? {
        let bytes = changed
            .get(&site.path)
            .or_else(|| tree.get(&site.path))
            .ok_or_else(|| file_missing_problem(&site.path))?;
        let edit = manifest::edit_image(bytes, &site.location, &site.image_update(image));
        let edit = edit.map_err(|error| error.problem(&site.path))?;
        if !edit.replacements.is_empty() {
            changed.insert(site.path.clone(), edit.bytes);
        }
    }
    Ok(changed)
}

/// The files as they were before the edit that is reverted; `None` if its lines were changed since.
fn restored_files(tree: &FileTree, intent: &ImageEdit) -> Option<FileTree> {
    let restore = intent.restore.as_ref().filter(|restore| !restore.files.is_empty())?;
    let mut changed = FileTree::new();
    for file in &restore.files {
        match file.apply(tree.get(&file.path)?) {
            RestoredFile::Restored(bytes) => drop(changed.insert(file.path.clone(), bytes)),
            RestoredFile::Unchanged => {}
            RestoredFile::Changed => return None,
        }
    }
    let mut after = tree.clone();
    after.extend(changed.clone());
    is_as_observed(&after, intent, &restore.images).is_ok_and(|same| same).then_some(changed)
}

/// The image to write to each field. In a rollback each gets what it had, and one that somebody else changed is left
/// alone; if all were, another writer is found later.
fn images_to_write<'i>(
    tree: &FileTree,
    intent: &'i ImageEdit,
) -> Result<Vec<(&'i ImageField, &'i ImageRef)>, Problem> {
    let all = || intent.fields.iter().map(|field| (field, &intent.image)).collect();
    let (Some(restore), Precondition::OurImage(ours)) = (&intent.restore, &intent.precondition) else {
        return Ok(all());
    };
    let mut found = Vec::new();
    for (place, field) in intent.fields.iter().enumerate() {
        let had = restore.images.get(place).and_then(Option::as_ref);
        let had = had.filter(|image| image.tag.is_some() || image.digest.is_some());
        let now = read_image(tree, field, ours)?;
        if now.is_some_and(|now| (&now.tag, &now.digest) == (&ours.tag, &ours.digest)) {
            found.push((field, had.unwrap_or(&intent.image)));
        }
    }
    Ok(if found.is_empty() { all() } else { found })
}

/// A newer run that wrote last. Run ids grow, so a late or re-run older run has a smaller one.
fn newer_run(entries: &[EditRecord], intent: &ImageEdit) -> Option<String> {
    let (last, ours) = (entries.first()?, intent.run?);
    let newer = last.run.filter(|run| run.id > ours.id)?;
    Some(format!("run {}, commit {}", newer.id, short_sha(&last.oid)))
}

/// The other writer of the fields of `intent`, if there is one.
fn other_writer(
    tree: &FileTree,
    entries: &[EditRecord],
    intent: &ImageEdit,
) -> Result<Option<String>, Problem> {
    let current =
        |name: &ImageRef| read_images(tree, &intent.fields, name).map(|found| canonical_image(&found));
    // A field that has a tag alone has the name that it is read with, so each image is compared with its own.
    let is_written = |image: &ImageRef| current(image).map(|now| now.as_ref() == Some(image));
    let last = entries.first();
    let recorded = match last {
        Some(entry) if is_written(&entry.image)? => Some(entry),
        _ => None,
    };
    // If this run's image was replaced since, running it again must not restore it.
    let replaced = |entry: &EditRecord| entry.kind != EditKind::AutoRollback && recorded.is_none();
    let by_us = |entry: &&EditRecord| {
        intent.run.is_some() && entry.run.map(|run| run.id) == intent.run.map(|run| run.id)
    };
    let fine = match &intent.precondition {
        Precondition::AsObserved(_) if last.filter(by_us).is_some_and(replaced) => false,
        Precondition::AsObserved(observed) => {
            is_as_observed(tree, intent, observed)?
                || recorded.is_some_and(|entry| is_from_older_run(entry, intent))
        }
        Precondition::OurImage(ours) => is_written(ours)?,
        Precondition::OurLastEdit => {
            recorded.filter(by_us).is_some_and(|entry| entry.kind != EditKind::AutoRollback)
        }
    };
    Ok(match fine {
        true => None,
        false => Some(describe_writer(recorded, current(&intent.image)?.as_ref())),
    })
}

/// Whether each field has the image that was observed in it.
fn is_as_observed(
    tree: &FileTree,
    intent: &ImageEdit,
    observed: &[Option<ImageRef>],
) -> Result<bool, Problem> {
    for (field, seen) in intent.fields.iter().zip(observed) {
        if read_image(tree, field, seen.as_ref().unwrap_or(&intent.image))? != *seen {
            return Ok(false);
        }
    }
    Ok(observed.len() == intent.fields.len())
}

/// Whether an entry is of a run that ours may overwrite.
fn is_from_older_run(entry: &EditRecord, intent: &ImageEdit) -> bool {
    entry.run.zip(intent.run).is_some_and(|(theirs, ours)| theirs.id < ours.id)
}

fn describe_writer(recorded: Option<&EditRecord>, image: Option<&ImageRef>) -> String {
    match (recorded, image) {
        (Some(entry), _) => format!("commit {}", short_sha(&entry.oid)),
        (None, Some(image)) => format!("another writer set {image}"),
        (None, None) => "another writer removed the image".into(),
    }
}

fn file_missing_problem(path: &str) -> Problem {
    Problem::error(Code::FileUnreadable, format!("The file `{path}` does not exist in the repository."))
        .help("Check `files` in the deploy file, and the branch.")
}

/// The problem with its position in the sentence: a file of another repository has no location here.
pub fn in_other_repository(problem: Problem) -> Problem {
    let Some(at) = &problem.location else { return problem };
    let sentence = format!("{}:{}:{}: {}", at.file, at.line, at.column, problem.sentence);
    Problem { sentence, location: None, ..problem }
}
