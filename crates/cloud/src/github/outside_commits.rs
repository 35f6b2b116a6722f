//! Somebody else's commits, which land just before those of the client.

use super::commits;
use super::faults::OutsideCommit;
use super::git_objects::ObjectKind;
use crate::faults::Fault;
use crate::world::World;

/// The client is about to move a branch, with changes of these paths: commits of somebody else come first.
pub fn commit_outside_change(world: &mut World, repository: &str, branch: &str, paths: &[String], now: f64) {
    let mut found: Option<(OutsideCommit, u32)> = None;
    world.faults.trigger_first(|fault, spent| match fault {
        Fault::RivalCommit(other) if spent < other.times => {
            found = Some((other.clone(), spent + 1));
            true
        }
        _ => false,
    });
    let Some((other, number)) = found else { return };
    let edits = outside_edits(world, repository, branch, &other, paths, number);
    let changes: Vec<(&str, Option<&[u8]>)> =
        edits.iter().map(|(path, bytes)| (path.as_str(), Some(bytes.as_slice()))).collect();
    let message = format!("Rival change {number}");
    world.github.push_commit(repository, branch, "Rival", &message, &changes, now);
}

fn outside_edits(
    world: &World,
    repository: &str,
    branch: &str,
    other: &OutsideCommit,
    paths: &[String],
    number: u32,
) -> Vec<(String, Vec<u8>)> {
    if !other.same_file && other.replace.is_none() {
        return vec![(format!("rivals/{number}.txt"), format!("rival {number}\n").into_bytes())];
    }
    let github = &world.github;
    let Some(head) = github.head(repository, branch) else { return Vec::new() };
    let edited = |path: &String| {
        let text = String::from_utf8(github.read_file(repository, &head, path)?).ok()?;
        let text = match &other.replace {
            Some(edit) => text.replace(&edit.from, &edit.to),
            None => format!("{text}# rival {number}\n"),
        };
        Some((path.clone(), text.into_bytes()))
    };
    paths.iter().filter_map(edited).collect()
}

/// The paths that a commit changed against its first parent.
pub fn changed_paths(world: &World, repository: &str, commit: &str) -> Vec<String> {
    let Some(it) = world.github.repositories.get(repository) else { return Vec::new() };
    let tree = |oid: &str| commits::read_commit(&it.objects, oid).map(|commit| commit.tree);
    let parent = commits::read_commit(&it.objects, commit).and_then(|commit| commit.parents.first().cloned());
    let (Some(before), Some(after)) = (parent.and_then(|oid| tree(&oid)), tree(commit)) else {
        return Vec::new();
    };
    let differences = super::trees::diff_trees(&it.objects, &before, &after);
    let files = differences.into_iter().filter(|(_, (_, after))| {
        after.as_ref().is_some_and(|entry| it.objects.kind(&entry.oid) == Some(ObjectKind::Blob))
    });
    files.map(|(path, _)| path).collect()
}
