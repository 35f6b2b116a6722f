//! Somebody else's commits, which land just before those of the client.

use super::commits;
use super::faults::Rival;
use super::objects::Kind;
use crate::rehearsal::faults::Fault;
use crate::rehearsal::world::World;

/// The client is about to move a branch, having changed these paths: let a rival be faster.
pub fn strike(world: &mut World, repository: &str, branch: &str, paths: &[String], now: f64) {
    let mut found: Option<(Rival, u32)> = None;
    world.mischief.strike(|fault, spent| match fault {
        Fault::RivalCommit(rival) if spent < rival.times => {
            found = Some((rival.clone(), spent + 1));
            true
        }
        _ => false,
    });
    let Some((rival, number)) = found else { return };
    let edits = edits(world, repository, branch, &rival, paths, number);
    let changes: Vec<(&str, Option<&[u8]>)> =
        edits.iter().map(|(path, bytes)| (path.as_str(), Some(bytes.as_slice()))).collect();
    let message = format!("Rival change {number}");
    world.github.commit(repository, branch, "Rival", &message, &changes, now);
}

fn edits(
    world: &World,
    repository: &str,
    branch: &str,
    rival: &Rival,
    paths: &[String],
    number: u32,
) -> Vec<(String, Vec<u8>)> {
    if !rival.same_file && rival.replace.is_none() {
        return vec![(format!("rivals/{number}.txt"), format!("rival {number}\n").into_bytes())];
    }
    let github = &world.github;
    let Some(head) = github.head(repository, branch) else { return Vec::new() };
    let edited = |path: &String| {
        let text = String::from_utf8(github.file(repository, &head, path)?).ok()?;
        let text = match &rival.replace {
            Some(edit) => text.replace(&edit.from, &edit.to),
            None => format!("{text}# rival {number}\n"),
        };
        Some((path.clone(), text.into_bytes()))
    };
    paths.iter().filter_map(edited).collect()
}

/// The paths that a commit changed against its first parent.
pub fn changed(world: &World, repository: &str, commit: &str) -> Vec<String> {
    let Some(it) = world.github.repositories.get(repository) else { return Vec::new() };
    let tree = |oid: &str| commits::read(&it.objects, oid).map(|commit| commit.tree);
    let parent = commits::read(&it.objects, commit).and_then(|commit| commit.parents.first().cloned());
    let (Some(before), Some(after)) = (parent.and_then(|oid| tree(&oid)), tree(commit)) else {
        return Vec::new();
    };
    let differences = super::trees::differences(&it.objects, &before, &after);
    let files = differences.into_iter().filter(|(_, (_, after))| {
        after.as_ref().is_some_and(|entry| it.objects.kind(&entry.oid) == Some(Kind::Blob))
    });
    files.map(|(path, _)| path).collect()
}
