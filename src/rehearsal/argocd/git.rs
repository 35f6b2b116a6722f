//! What Argo CD sees of Git: where its sources stand, and their files. With a fault it sees a branch as it was.

use super::render::{self, Rendered};
use super::setting::{Application, Source};
use crate::rehearsal::faults::Fault;
use crate::rehearsal::github::commits;
use crate::rehearsal::world::World;

/// The commits that the sources of an application stand at, or what a manifest generation would say.
pub fn revisions(world: &World, app: usize, now: f64) -> Result<Vec<String>, String> {
    let setting = &world.argocd.apps[app].setting;
    let sources = setting.sources.iter().enumerate();
    sources.map(|(place, source)| revision(world, app, place, source, now)).collect()
}

fn revision(world: &World, app: usize, place: usize, source: &Source, now: f64) -> Result<String, String> {
    if source.chart.is_some() {
        return Ok(source.target().to_owned());
    }
    if lags(world, &world.argocd.apps[app].setting, now)
        && let Some(seen) = world.argocd.apps[app].compared.revisions.get(place)
    {
        return Ok(seen.clone());
    }
    head(world, source).ok_or_else(|| {
        format!(
            "failed to generate manifest for source {} of {}: rpc error: code = Unknown desc = unable to resolve '{}' \
             to a commit SHA",
            place + 1,
            world.argocd.apps[app].setting.sources.len(),
            source.target()
        )
    })
}

/// Whether what Argo CD reads from is behind: for so many seconds after the first refresh.
fn lags(world: &World, app: &Application, now: f64) -> bool {
    let Some(since) = world.argocd.refreshed else { return false };
    world.mischief.faults.iter().any(|fault| match fault {
        Fault::ArgocdStale(stale) => stale.on(&app.name) && now < since + stale.lasts,
        _ => false,
    })
}

/// What the sources of an application make at these commits.
pub fn render(world: &World, app: usize, revisions: &[String]) -> Result<Rendered, String> {
    let setting = &world.argocd.apps[app].setting;
    let mut all = Rendered::default();
    for (place, (source, revision)) in setting.sources.iter().zip(revisions).enumerate() {
        let read = |path: &str| file(world, &source.repository, revision, path);
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
        all.images.extend(made.images);
    }
    Ok(all)
}

/// The commit that a source stands at.
pub fn head(world: &World, source: &Source) -> Option<String> {
    resolve(world, source, source.target())
}

/// The commit that somebody names: `HEAD`, a branch of the source's repository, or a full commit id.
pub fn resolve(world: &World, source: &Source, revision: &str) -> Option<String> {
    let repository = world.github.repositories.get(&source.repository)?;
    let branch = if revision == "HEAD" { repository.default_branch.as_str() } else { revision };
    let commit = || commits::read(&repository.objects, revision).map(|_| revision.to_owned());
    world.github.head(&source.repository, branch).or_else(commit)
}

/// The text of a file in a commit.
pub fn file(world: &World, repository: &str, commit: &str, path: &str) -> Option<String> {
    let bytes = world.github.file(repository, commit, path)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
