//! A wish on the files as they are now: written afresh, already there, or no longer ours to write. Pure; the same on the
//! head that was seen first and on every head after.

use std::collections::BTreeMap;

use super::intent::{Expect, Intent, Operation, Site};
use super::message::short_oid;
use super::record::Entry;
use crate::manifest;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// Files by path, as bytes.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// What a wish comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// These files change, and the image will read so.
    Edited {
        /// The files, whole.
        files: Tree,
        /// The image as the next look will read it.
        written: ImageRef,
    },
    /// It stands there already.
    Stands,
    /// Somebody else wrote there since; in words, who.
    Overtaken(String),
    /// It cannot be written.
    Broken(Problem),
}

/// What stands at a place; `None` where nothing does.
pub fn found(tree: &Tree, site: &Site, name: &ImageRef) -> Result<Option<ImageRef>, Problem> {
    let bytes = tree.get(&site.path).ok_or_else(|| missing(&site.path))?;
    manifest::look(bytes, &site.spot, name).map(|found| found.image).map_err(|why| why.problem(&site.path))
}

/// What stands at each place.
pub fn all_found(tree: &Tree, sites: &[Site], name: &ImageRef) -> Result<Vec<Option<ImageRef>>, Problem> {
    sites.iter().map(|site| found(tree, site, name)).collect()
}

/// The image that stands for all places of a service: one with a digest before one without.
pub fn canonical(found: &[Option<ImageRef>]) -> Option<ImageRef> {
    let all = || found.iter().flatten();
    all().find(|image| image.digest.is_some()).or_else(|| all().next()).cloned()
}

/// Applies `intent` to the files. `entries` is the record of the service, newest first.
pub fn apply(tree: &Tree, entries: &[Entry], intent: &Intent) -> Applied {
    let files = match edited(tree, intent) {
        Ok(files) => files,
        Err(problem) => return Applied::Broken(problem),
    };
    if let Some(newer) = newer_run(entries, intent) {
        return Applied::Overtaken(newer);
    }
    if files.is_empty() {
        return Applied::Stands;
    }
    match owner(tree, entries, intent) {
        Ok(None) => match written(tree, &files, intent) {
            Ok(written) => Applied::Edited { files, written },
            Err(problem) => Applied::Broken(problem),
        },
        Ok(Some(other)) => Applied::Overtaken(other),
        Err(problem) => Applied::Broken(problem),
    }
}

/// The image as it will be read once `changed` is written.
fn written(tree: &Tree, changed: &Tree, intent: &Intent) -> Result<ImageRef, Problem> {
    let mut after = tree.clone();
    after.extend(changed.clone());
    let found = all_found(&after, &intent.sites, &intent.wish)?;
    Ok(canonical(&found).unwrap_or_else(|| intent.wish.clone()))
}

/// What the files would be with the wish of `intent` in them, whoever owns them, and the image as it would be read.
pub fn preview(tree: &Tree, intent: &Intent) -> Result<(Tree, ImageRef), Problem> {
    let files = edited(tree, intent)?;
    let written = written(tree, &files, intent)?;
    Ok((files, written))
}

/// The files that change; none where all is as wished.
fn edited(tree: &Tree, intent: &Intent) -> Result<Tree, Problem> {
    let mut changed = Tree::new();
    for site in &intent.sites {
        let bytes =
            changed.get(&site.path).or_else(|| tree.get(&site.path)).ok_or_else(|| missing(&site.path))?;
        let edit = manifest::edit(bytes, &site.spot, &site.wish(&intent.wish));
        let edit = edit.map_err(|why| why.problem(&site.path))?;
        if !edit.replaced.is_empty() {
            changed.insert(site.path.clone(), edit.bytes);
        }
    }
    Ok(changed)
}

/// A newer run that wrote last: runs are counted upwards, so an old one that is started again, or was slow, is told.
fn newer_run(entries: &[Entry], intent: &Intent) -> Option<String> {
    let (last, ours) = (entries.first()?, intent.run?);
    let newer = last.run.filter(|run| run.id > ours.id)?;
    Some(format!("run {}, commit {}", newer.id, short_oid(&last.oid)))
}

/// Who else wrote where `intent` is to write, if somebody did.
fn owner(tree: &Tree, entries: &[Entry], intent: &Intent) -> Result<Option<String>, Problem> {
    let now = all_found(tree, &intent.sites, &intent.wish)?;
    let (image, last) = (canonical(&now), entries.first());
    let recorded = last.filter(|entry| image.as_ref() == Some(&entry.image));
    // What this run wrote already and somebody wrote over since: started again, it must not undo that.
    let replaced = |entry: &Entry| entry.operation != Operation::Undo && image.as_ref() != Some(&entry.image);
    let by_us =
        |entry: &&Entry| intent.run.is_some() && entry.run.map(|run| run.id) == intent.run.map(|run| run.id);
    let fine = match &intent.expect {
        Expect::Seen(_) if last.filter(by_us).is_some_and(replaced) => false,
        Expect::Seen(seen) => *seen == now || recorded.is_some_and(|entry| older(entry, intent)),
        Expect::Ours(ours) => image.as_ref() == Some(ours),
        Expect::OursByRecord => {
            recorded.filter(by_us).is_some_and(|entry| entry.operation != Operation::Undo)
        }
    };
    Ok((!fine).then(|| stranger(recorded, image.as_ref())))
}

/// Whether an entry is of a run that ours may write over.
fn older(entry: &Entry, intent: &Intent) -> bool {
    entry.run.zip(intent.run).is_some_and(|(theirs, ours)| theirs.id < ours.id)
}

fn stranger(recorded: Option<&Entry>, image: Option<&ImageRef>) -> String {
    match (recorded, image) {
        (Some(entry), _) => format!("commit {}", short_oid(&entry.oid)),
        (None, Some(image)) => format!("somebody wrote {image} there"),
        (None, None) => "somebody took the image away".into(),
    }
}

fn missing(path: &str) -> Problem {
    Problem::error(Code::FileUnreadable, format!("The repository has no file `{path}`."))
        .help("Check `files` of the deploy file, and the branch.")
}

/// The problem with its place in words: a file of another repository has no lines here.
pub fn elsewhere(problem: Problem) -> Problem {
    let Some(at) = &problem.at else { return problem };
    let sentence = format!("{}:{}:{}: {}", at.file, at.line, at.column, problem.sentence);
    Problem { sentence, at: None, ..problem }
}
