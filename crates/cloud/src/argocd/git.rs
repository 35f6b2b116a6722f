//! What Argo CD sees of Git: where its sources stand, and their files. With a fault it sees a branch as it was.

use super::render::{self, RenderedManifests};
use super::scenario::{AppSourceSetting, ArgoCdAppSetting};
use crate::faults::Fault;
use crate::github::commits;
use crate::world::World;

/// The commits that the sources of an application stand at, or what a manifest generation would say.
pub fn source_revisions(world: &World, app: usize, now: f64) -> Result<Vec<String>, String> {
    let setting = &world.argocd.apps[app].spec;
    let sources = setting.sources.iter().enumerate();
    sources.map(|(place, source)| source_revision(world, app, place, source, now)).collect()
}

fn source_revision(
    world: &World,
    app: usize,
    place: usize,
    source: &AppSourceSetting,
    now: f64,
) -> Result<String, String> {
    if source.chart.is_some() {
        return Ok(source.target_revision().to_owned());
    }
    if is_stale(world, &world.argocd.apps[app].spec, now)
        && let Some(seen) = world.argocd.apps[app].comparison.revisions.get(place)
    {
        return Ok(seen.clone());
    }
    source_head(world, source).ok_or_else(|| {
        format!(
            "failed to generate manifest for source {} of {}: rpc error: code = Unknown desc = unable to resolve '{}' \
             to a commit SHA",
            place + 1,
            world.argocd.apps[app].spec.sources.len(),
            source.target_revision()
        )
    })
}

/// Whether the Git server that Argo CD reads is stale: for some seconds after the first refresh.
fn is_stale(world: &World, app: &ArgoCdAppSetting, now: f64) -> bool {
    let Some(since) = world.argocd.first_refresh_at else { return false };
    world.faults.list.iter().any(|fault| match fault {
        Fault::ArgocdStale(stale) => stale.applies_to(&app.name) && now < since + stale.lasts,
        _ => false,
    })
}

/// What the sources of an application make at these commits.
pub fn render_sources(world: &World, app: usize, revisions: &[String]) -> Result<RenderedManifests, String> {
    let setting = &world.argocd.apps[app].spec;
    let mut all = RenderedManifests::default();
    for (place, (source, revision)) in setting.sources.iter().zip(revisions).enumerate() {
        let read = |path: &str| read_file(world, &source.repository, revision, path);
        let made = render::render(&source.files, &read).map_err(|why| {
            let count = setting.sources.len();
            format!(
                "failed to generate manifest for source {} of {count}: rpc error: code = Unknown desc = Manifest \
                 generation error (cached): {why}",
                place + 1
            )
        })?;
        let keyed = made.documents.into_iter().map(|(path, it)| (format!("{place}/{path}"), it));
        all.documents.extend(keyed);
        all.images.extend(made.images.iter().map(|image| override_image(setting, image)));
    }
    // An override leaves the manifests as they were, whatever the files say.
    if !setting.image_overrides.is_empty() {
        all.documents.clear();
    }
    Ok(all)
}

/// An image as `kustomize.images` of the application leaves it.
fn override_image(setting: &ArgoCdAppSetting, image: &str) -> String {
    let named = |entry: &&String| render::image_name(entry) == render::image_name(image);
    setting.image_overrides.iter().find(named).map_or_else(|| image.to_owned(), Clone::clone)
}

/// The commit that a source stands at.
pub fn source_head(world: &World, source: &AppSourceSetting) -> Option<String> {
    resolve_revision(world, source, source.target_revision())
}

/// The commit that somebody names: `HEAD`, a branch of the source's repository, or a full commit id.
pub fn resolve_revision(world: &World, source: &AppSourceSetting, revision: &str) -> Option<String> {
    let repository = world.github.repositories.get(&source.repository)?;
    let branch = if revision == "HEAD" { repository.default_branch.as_str() } else { revision };
    let commit = || commits::read_commit(&repository.objects, revision).map(|_| revision.to_owned());
    world.github.head(&source.repository, branch).or_else(commit)
}

/// The text of a file in a commit.
pub fn read_file(world: &World, repository: &str, commit: &str, path: &str) -> Option<String> {
    let bytes = world.github.read_file(repository, commit, path)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
