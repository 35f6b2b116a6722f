//! What is seen of a service in a snapshot of its branch: what stands in its files, and what the record says of it. Pure.

use serde_json::{Value, json};

use super::intent::{Intent, Site};
use super::message::short_oid;
use super::record::{self, Entry};
use super::settings::Settings;
use super::write::{self, Tree};
use crate::github::Snapshot;
use crate::problem::{Code, Problem};
use crate::release::{Change, Changes, Health, ImageRef, InFlight, Observed, Past, Rollout, Version};

/// What stands in the files.
#[derive(Debug, Clone, PartialEq)]
pub struct Stand {
    /// The image at each place; `None` where there is none yet.
    pub found: Vec<Option<ImageRef>>,
    /// The one that speaks for all.
    pub image: Option<ImageRef>,
}

impl Stand {
    /// Reads all places. `name` is what entries are looked for by that the deploy file does not name.
    pub fn read(tree: &Tree, sites: &[Site], name: Option<&ImageRef>) -> Result<Self, Problem> {
        let nameless = "unknown".parse::<ImageRef>().map_err(internal)?;
        let name = name.unwrap_or(&nameless);
        let found = write::all_found(tree, sites, name)?;
        Ok(Self { image: write::canonical(&found), found })
    }
}

fn internal(why: String) -> Problem {
    Problem::error(Code::Internal, why)
}

/// What is seen of a service.
pub struct Sight {
    /// What stands in its files.
    pub stand: Stand,
    service: String,
    entries: Vec<Entry>,
}

impl Sight {
    /// Looks at a snapshot. `key` is the service in trailers.
    pub fn of(
        snapshot: &Snapshot,
        (service, key): (&str, &str),
        sites: &[Site],
        name: Option<&ImageRef>,
    ) -> Result<Self, Problem> {
        let entries = record::entries(&snapshot.history, key);
        let name = name.or(entries.first().map(|entry| &entry.image));
        let stand = Stand::read(&super::queue::tree(snapshot), sites, name)?;
        Ok(Self { stand, service: service.to_owned(), entries })
    }

    /// The commit of ours that wrote what stands there; `None` where somebody else did.
    pub fn written_by(&self) -> Option<&str> {
        let last = self.entries.first().filter(|entry| Some(&entry.image) == self.stand.image.as_ref())?;
        Some(&last.oid)
    }

    /// What completed; `open` is the commit whose rollout is not proven.
    pub fn past(&self, open: Option<&str>) -> Vec<Past> {
        let recorded = record::past(&self.service, &self.entries, open);
        self.by_hand().into_iter().chain(recorded).collect()
    }

    /// What stands there without a record: whoever wrote it wanted it, and nothing better is known.
    fn by_hand(&self) -> Option<Past> {
        let image = self.stand.image.as_ref().filter(|_| self.written_by().is_none())?;
        Some(record::unrecorded(&self.service, image))
    }

    /// Who wrote another image than this one, when somebody did.
    pub fn other_than(&self, image: &ImageRef) -> Option<String> {
        let now = self.stand.image.as_ref().filter(|now| *now != image)?;
        let by = self.written_by().map(short_oid);
        Some(by.map_or_else(|| format!("{now} stands there now"), |oid| format!("commit {oid}")))
    }

    /// What was seen, with how it fares.
    pub fn observed(&self, snapshot: &Snapshot, health: Health, url: Option<String>) -> Observed {
        let version = self.stand.image.as_ref().map(|image| record::version(&self.service, image));
        let proven = matches!(health, Health::Healthy(_) | Health::Handed(_));
        let history = self.past(self.written_by().filter(|_| !proven));
        let other = |past: &&Past| Some(&past.version) != version.as_ref();
        Observed {
            image: self.stand.image.clone(),
            digest: self.digest(),
            previous: history.iter().find(other).map(|past| past.version.clone()),
            in_flight: self.in_flight(version.as_ref(), &health),
            version,
            health,
            history,
            desired: 1,
            leftover: false,
            definition: files(snapshot),
            raw: Value::Null,
            url,
        }
    }

    /// The digest that stands there, or that the record knows for what stands there.
    fn digest(&self) -> Option<crate::release::Digest> {
        let recorded = || {
            let last = self.entries.first().filter(|entry| Some(entry.oid.as_str()) == self.written_by())?;
            last.digest.clone()
        };
        self.stand.image.as_ref()?.digest.clone().or_else(recorded)
    }

    /// A commit of ours that Argo CD has not worked off.
    fn in_flight(&self, version: Option<&Version>, health: &Health) -> Option<InFlight> {
        let (oid, version) = (self.written_by()?, version?);
        let rollout =
            Rollout { version: version.id.clone(), label: version.label.clone(), ids: vec![oid.to_owned()] };
        matches!(health, Health::Progressing(_)).then_some(InFlight { rollout, rolling_back: false })
    }
}

/// The files as a value, for whoever decides from what was seen alone.
fn files(snapshot: &Snapshot) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let files: serde_json::Map<String, Value> =
        snapshot.files.iter().map(|(path, file)| (path.clone(), text(&file.bytes).into())).collect();
    json!(files)
}

/// The files of [`Observed::definition`].
pub fn tree_of(seen: &Observed) -> Tree {
    let files = seen.definition.as_object().into_iter().flatten();
    files.filter_map(|(path, text)| Some((path.clone(), text.as_str()?.as_bytes().to_vec()))).collect()
}

/// What `intent` would change, place by place.
pub fn changes(tree: &Tree, intent: &Intent) -> Result<Changes, Problem> {
    let (files, _) = write::preview(tree, intent)?;
    let mut after = tree.clone();
    after.extend(files);
    let several = intent.sites.len() > 1;
    let mut changes = Vec::new();
    for site in &intent.sites {
        let (from, to) = (write::found(tree, site, &intent.wish)?, write::found(&after, site, &intent.wish)?);
        if from != to {
            let field = if several { format!("image in {}", site.path) } else { "image".into() };
            let text = |image: Option<ImageRef>| image.map(|image| image.to_string());
            changes.push(Change { field, from: text(from), to: text(to) });
        }
    }
    Ok(Changes(changes))
}

/// What GitHub says already of whether the branch may be written to.
pub fn writable(snapshot: &Snapshot, settings: &Settings, repository: &str) -> Option<Problem> {
    let branch = &snapshot.branch;
    if snapshot.archived {
        let sentence = format!("The repository `{repository}` is archived: nobody can write to it.");
        return Some(
            Problem::error(Code::PermissionMissing, sentence)
                .help("Unarchive it, or name another repository."),
        );
    }
    let closed = snapshot.can_push == Some(false) && !settings.pull_request.wanted;
    closed.then(|| {
        let sentence = format!("The branch `{branch}` of `{repository}` is protected from this token.");
        Problem::error(Code::PermissionMissing, sentence).help(
            "Set `pull-request: true`, or let the app of the token bypass the rule (the job's own token cannot be on a bypass list).",
        )
    })
}
