//! What keeps a commit from being rolled out, known before it is made. Pure.

use serde::Deserialize;

use super::image_edit::ImageField;
use super::read::{Application, null_as_default};
use super::sources::{ApplicationSource, FollowedBranch};
use crate::manifest::ImageLocation;
use crate::problem::list::name_list;
use crate::problem::{Code, Problem};
use crate::release::ImageRef;

/// The sync windows of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncWindows {
    /// Those that are active now.
    #[serde(deserialize_with = "null_as_default")]
    active_windows: Vec<SyncWindow>,
}

/// A sync window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SyncWindow {
    kind: String,
    schedule: String,
    duration: String,
    manual_sync: bool,
}

impl SyncWindows {
    /// The window that denies a sync now, as text. `canSync` of the same answer is about syncs by hand alone.
    pub fn denial(&self, by_hand: bool) -> Option<String> {
        let denies = |window: &&SyncWindow| window.kind == "deny" && !(by_hand && window.manual_sync);
        let window = self.active_windows.iter().find(denies)?;
        Some(format!("a sync window (`{}`, {})", window.schedule, window.duration))
    }
}

/// What is asked about an application before a commit.
#[derive(Debug, Clone, Copy)]
pub struct PlannedCommit<'p> {
    /// Name of the application.
    pub application: &'p str,
    /// The branch that is committed to.
    pub branch: FollowedBranch<'p>,
    /// The fields that change.
    pub fields: &'p [ImageField],
    /// The image, as far as it is known.
    pub image: Option<&'p ImageRef>,
    /// Whether this run starts the sync.
    pub starts_sync: bool,
}

/// All obstacles that the application itself shows.
pub fn find_obstacles(application: &Application, planned: &PlannedCommit<'_>) -> Vec<Problem> {
    let Some(source) = application.source_index(planned.branch) else {
        return vec![ignores_branch(planned.application, planned.branch, application)];
    };
    let mut found = Vec::new();
    if !application.is_automated() && !planned.starts_sync {
        found.push(stays_unsynced(planned.application));
    }
    found.extend(unrenderable(application, planned.application));
    let sources = application.sources();
    let overrides = sources.get(source).and_then(|source| overriding_text(source, planned));
    found.extend(overrides.map(|text| is_overridden(planned.application, &text)));
    found
}

/// An application without a source that follows our branch will never roll out our commit.
pub fn ignores_branch(name: &str, branch: FollowedBranch<'_>, application: &Application) -> Problem {
    let FollowedBranch { repository, branch } = branch;
    let revisions = application.other_revisions(repository);
    if revisions.is_empty() {
        let sentence = format!("The application `{name}` has no source in `{repository}`.");
        return Problem::error(Code::ServiceMissing, sentence).help(
            "Check `application` and `repository`: its `repoURL` must be the repository of the files.",
        );
    }
    let followed = name_list(revisions);
    let sentence = format!(
        "The application `{name}` follows {followed} of `{repository}`, so a commit to `{branch}` would not be rolled out."
    );
    Problem::error(Code::ServiceMissing, sentence).help(
        "Set `branch` to the `targetRevision` of the application, or let the application follow the branch.",
    )
}

fn stays_unsynced(name: &str) -> Problem {
    let sentence =
        format!("The application `{name}` has no automated sync, so the commit would not be rolled out.");
    Problem::error(Code::Unsupported, sentence)
        .help("Set `sync: true`, or set `syncPolicy: { automated: {} }` of the application. To commit without waiting, remove `server`.")
}

/// A branch that cannot be rendered rolls nothing out, whatever is committed to it.
fn unrenderable(application: &Application, name: &str) -> Option<Problem> {
    let status = &application.status;
    let wrong = status.conditions.iter().find(|one| one.kind == "ComparisonError")?;
    (status.sync.status == "Unknown").then(|| {
        let sentence = format!(
            "Argo CD cannot render the manifests of the application `{name}` as they are, so a commit would not be rolled out."
        );
        Problem::error(Code::SyncFailed, sentence)
            .cause(wrong.message.clone())
            .help("Mend the branch first; nothing was committed.")
    })
}

fn is_overridden(name: &str, text: &str) -> Problem {
    let sentence = format!("The application `{name}` overrides the image: {text} wins over the files.");
    Problem::error(Code::Unsupported, sentence)
        .help("Remove it from the source of the application; nothing was committed.")
}

/// What in the source wins over the fields that change.
fn overriding_text(source: &ApplicationSource, planned: &PlannedCommit<'_>) -> Option<String> {
    // The files may be those of the application itself, whose override then is what changes.
    let is_override = |field: &ImageField| match &field.location {
        ImageLocation::Values { path } => {
            path.iter().any(|key| ["kustomize", "parameters", "helm"].contains(&key.as_str()))
        }
        _ => false,
    };
    if planned.fields.iter().any(is_override) {
        return None;
    }
    kustomize_override(source, planned.image?).or_else(|| helm_override(source, planned.fields))
}

fn kustomize_override(source: &ApplicationSource, image: &ImageRef) -> Option<String> {
    let is_ours = |entry: &&String| {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        name.parse::<ImageRef>().is_ok_and(|named| {
            named.repository == image.repository
                || Some(named.repository.as_str()) == image.repository.rsplit('/').next()
        })
    };
    let entry = source.kustomize.as_ref()?.images.iter().find(is_ours)?;
    Some(format!("`kustomize.images` with `{entry}`"))
}

fn helm_override(source: &ApplicationSource, fields: &[ImageField]) -> Option<String> {
    let parameters = &source.helm.as_ref()?.parameters;
    let wins = |name: &str| {
        fields.iter().any(|field| match &field.location {
            ImageLocation::Values { path } => {
                let path = path.join(".");
                name == path || name.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'))
            }
            _ => false,
        })
    };
    let parameter = parameters.iter().find(|parameter| wins(&parameter.name))?;
    Some(format!("`helm.parameters` with `{}`", parameter.name))
}

/// A sync window that denies the sync of the commit.
pub fn denied_by_window(name: &str, window: &str) -> Problem {
    let sentence = format!("The application `{name}` does not sync now: {window} denies it.");
    Problem::error(Code::SyncFailed, sentence)
        .help("Run the job again when the window is over; nothing was committed.")
}

/// A token that may not start the sync that this run has to start.
pub fn may_not_sync(name: &str) -> Problem {
    let sentence =
        format!("The token of Argo CD may not sync the application `{name}`, and `sync: true` needs that.");
    Problem::error(Code::PermissionMissing, sentence)
        .help("Grant its role `applications, sync` on the application.")
}
