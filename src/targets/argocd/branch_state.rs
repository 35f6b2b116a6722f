//! The observed state of a service in a snapshot of its branch: the images in its files, and its records. Pure.

use serde_json::{Value, json};

use super::commit_message::short_sha;
use super::image_edit::{ImageEdit, ImageField};
use super::settings::Settings;
use super::trailers::{self, EditRecord};
use super::write::{self, FileTree};
use crate::github::Snapshot;
use crate::problem::{Code, Problem};
use crate::release::{
    Change, Changes, CompletedVersion, ContainerImages, ImageRef, InFlight, Observed, Rollout, RolloutStatus,
    Version,
};

/// The current image in the files.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentImage {
    /// The image of each field; `None` if a field has none yet.
    pub by_field: Vec<Option<ImageRef>>,
    /// The image that represents all fields.
    pub image: Option<ImageRef>,
}

impl CurrentImage {
    /// Reads all fields. `name` finds the entry of files for which the deploy file names none.
    pub fn read(tree: &FileTree, sites: &[ImageField], name: Option<&ImageRef>) -> Result<Self, Problem> {
        let nameless = "unknown".parse::<ImageRef>().map_err(internal_problem)?;
        let name = name.unwrap_or(&nameless);
        let found = write::read_images(tree, sites, name)?;
        Ok(Self { image: write::canonical_image(&found), by_field: found })
    }
}

fn internal_problem(reason: String) -> Problem {
    Problem::error(Code::Internal, reason)
}

/// The observed state of a service.
pub struct BranchState {
    /// The current image in its files.
    pub current: CurrentImage,
    service: String,
    records: Vec<EditRecord>,
}

impl BranchState {
    /// Reads a snapshot. `key` is the service in trailers.
    pub fn from_snapshot(
        snapshot: &Snapshot,
        (service, key): (&str, &str),
        sites: &[ImageField],
        name: Option<&ImageRef>,
    ) -> Result<Self, Problem> {
        let entries = trailers::read_records(&snapshot.history, key);
        let name = name.or(entries.first().map(|entry| &entry.image));
        let current = CurrentImage::read(&super::commit_batch::snapshot_files(snapshot), sites, name)?;
        Ok(Self { current, service: service.to_owned(), records: entries })
    }

    /// Our commit that wrote the current image; `None` if another writer did.
    pub fn last_writer(&self) -> Option<&str> {
        let last = self.records.first().filter(|entry| Some(&entry.image) == self.current.image.as_ref())?;
        Some(&last.oid)
    }

    /// The completed versions; `open` is the commit whose rollout is not verified yet.
    pub fn completed_versions(&self, open: Option<&str>) -> Vec<CompletedVersion> {
        let recorded = trailers::completed_versions(&self.service, &self.records, open);
        self.manual_change().into_iter().chain(recorded).collect()
    }

    /// The current image if it has no record: its writer is unknown, and no better version is known.
    fn manual_change(&self) -> Option<CompletedVersion> {
        let image = self.current.image.as_ref().filter(|_| self.last_writer().is_none())?;
        Some(trailers::manual_change(&self.service, image))
    }

    /// The writer of another image than this one, if there is one.
    pub fn replaced_by(&self, image: &ImageRef) -> Option<String> {
        let now = self.current.image.as_ref().filter(|now| *now != image)?;
        let by = self.last_writer().map(short_sha);
        Some(by.map_or_else(|| format!("the files have {now}"), |oid| format!("commit {oid}")))
    }

    /// The observed state, with the rollout status.
    pub fn to_observed(&self, snapshot: &Snapshot, health: RolloutStatus, url: Option<String>) -> Observed {
        let version = self.current.image.as_ref().map(|image| trailers::image_version(&self.service, image));
        let proven = matches!(health, RolloutStatus::Healthy(_) | RolloutStatus::HandedOff(_));
        let history = self.completed_versions(self.last_writer().filter(|_| !proven));
        let other = |past: &&CompletedVersion| Some(&past.version) != version.as_ref();
        Observed {
            image: self.current.image.clone(),
            container_images: ContainerImages::new(),
            digest: self.digest(),
            previous: history.iter().find(other).map(|past| past.version.clone()),
            in_flight: self.in_flight(version.as_ref(), &health),
            version,
            status: health,
            history,
            desired_count: 1,
            needs_cleanup: false,
            definition: files_value(snapshot),
            raw: Value::Null,
            url,
        }
    }

    /// The current digest, from the files or from the record of the current image.
    fn digest(&self) -> Option<crate::release::Digest> {
        let recorded = || {
            let last = self.records.first().filter(|entry| Some(entry.oid.as_str()) == self.last_writer())?;
            last.digest.clone()
        };
        self.current.image.as_ref()?.digest.clone().or_else(recorded)
    }

    /// Our commit, if Argo CD has not rolled it out yet.
    fn in_flight(&self, version: Option<&Version>, health: &RolloutStatus) -> Option<InFlight> {
        let (oid, version) = (self.last_writer()?, version?);
        let rollout =
            Rollout { version: version.id.clone(), label: version.label.clone(), ids: vec![oid.to_owned()] };
        matches!(health, RolloutStatus::Progressing(_)).then_some(InFlight { rollout, rolling_back: false })
    }
}

/// The files as a value, for decisions that only use the observed state.
fn files_value(snapshot: &Snapshot) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let files: serde_json::Map<String, Value> =
        snapshot.files.iter().map(|(path, file)| (path.clone(), text(&file.bytes).into())).collect();
    json!(files)
}

/// The files of [`Observed::definition`].
pub fn observed_files(observed: &Observed) -> FileTree {
    let files = observed.definition.as_object().into_iter().flatten();
    files.filter_map(|(path, text)| Some((path.clone(), text.as_str()?.as_bytes().to_vec()))).collect()
}

/// The changes that `intent` would make, field by field.
pub fn diff(tree: &FileTree, intent: &ImageEdit) -> Result<Changes, Problem> {
    let (files, _) = write::preview_edit(tree, intent)?;
    let mut after = tree.clone();
    after.extend(files);
    let several = intent.fields.len() > 1;
    let mut changes = Vec::new();
    for site in &intent.fields {
        let (from, to) =
            (write::read_image(tree, site, &intent.image)?, write::read_image(&after, site, &intent.image)?);
        if from != to {
            let field = if several { format!("image in {}", site.path) } else { "image".into() };
            let text = |image: Option<ImageRef>| image.map(|image| image.to_string());
            changes.push(Change::shown(field, text(from), text(to)));
        }
    }
    Ok(Changes(changes))
}

/// Whether GitHub reports that the branch cannot be written to.
pub fn write_problem(snapshot: &Snapshot, settings: &Settings, repository: &str) -> Option<Problem> {
    let branch = &snapshot.branch;
    if snapshot.archived {
        let sentence = format!("The repository `{repository}` is archived and read-only.");
        return Some(
            Problem::error(Code::PermissionMissing, sentence)
                .help("Unarchive it, or set another `repository`."),
        );
    }
    let closed = snapshot.can_push == Some(false) && !settings.pull_request.is_enabled;
    closed.then(|| {
        let sentence = format!("The branch `{branch}` of `{repository}` is protected; this token cannot write to it.");
        Problem::error(Code::PermissionMissing, sentence).help(
            "Set `pull-request: true`, or let the app of the token bypass the rule (the job's own token cannot be on a bypass list).",
        )
    })
}
