//! `repos/compare-commits`: how two commits lie to each other, and what changed between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answers::{not_found, page, reply, required};
use super::objects::Kind;
use super::refs::{readable, resolve};
use super::state::Repository;
use super::trees::{self, Differences, Entry};
use super::{commits, links};
use crate::rehearsal::call::{Answer, Call};
use crate::rehearsal::world::World;

/// How many commits an answer holds, and how many files.
const MOST: (u64, usize) = (250, 300);

/// Answers the comparison.
pub fn answer(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let commit = |name: &str| resolve(it, required(&call.input, name).ok()?, now).ok_or(()).ok();
    let (base, head) = (commit("base").ok_or_else(not_found)?, commit("head").ok_or_else(not_found)?);
    let unrelated = || super::answers::not_found();
    let join = commits::merge_base(&it.objects, &base, &head).ok_or_else(unrelated)?;
    let mut ahead = commits::beyond(&it.objects, &base, &head);
    let behind = commits::beyond(&it.objects, &head, &base).len();
    ahead.reverse();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let tree = |oid: &str| commits::read(&it.objects, oid).map(|commit| commit.tree).unwrap_or_default();
    let path = format!("/compare/{base}...{head}");
    let shown: Vec<Value> = ahead.iter().filter_map(|oid| links::commit(it, oid)).collect();
    let mut listed = page(shown, &call.input, &format!("/repos/{}{path}", it.name), MOST.0);
    let mut body = json!({
        "url": links::api(it, &path), "html_url": links::site(it, &path), "permalink_url": links::site(it, &path),
        "diff_url": links::site(it, &format!("{path}.diff")), "patch_url": links::site(it, &format!("{path}.patch")),
        "base_commit": links::commit(it, &base), "merge_base_commit": links::commit(it, &join),
        "status": status, "ahead_by": ahead.len(), "behind_by": behind, "total_commits": ahead.len(),
        "commits": listed["body"].take(),
    });
    if call.input["page"].as_u64().unwrap_or(1) <= 1 {
        let mut files = files(it, &tree(&join), &tree(&head), &head);
        files.truncate(MOST.1);
        body["files"] = files.into();
    }
    let mut answer = reply(200, body);
    answer["headers"] = listed["headers"].take();
    Ok(answer)
}

/// The files that differ between two trees.
pub fn files(it: &Repository, from: &str, to: &str, head: &str) -> Vec<Value> {
    let differences = trees::differences(&it.objects, from, to);
    let moves = renames(&differences);
    let gone: BTreeSet<&String> = moves.values().copied().collect();
    let shown = differences.iter().filter(|(path, _)| !gone.contains(path));
    let entry = |(path, (old, new)): (&String, &(Option<Entry>, Option<Entry>))| match moves.get(path) {
        Some(from) => renamed(it, from, path, new.as_ref()?, head),
        None => file(it, path, old.as_ref(), new.as_ref(), head),
    };
    shown.filter_map(entry).collect()
}

/// Files that moved as they were: the new path, and the old one. Git also finds those that are alike; this does not.
fn renames(differences: &Differences) -> BTreeMap<&String, &String> {
    let mut removed: Vec<(&String, &Entry)> = Vec::new();
    for (path, (old, new)) in differences {
        if let (Some(entry), None) = (old, new) {
            removed.push((path, entry));
        }
    }
    let mut found = BTreeMap::new();
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    for (path, (old, new)) in differences {
        let (None, Some(new)) = (old, new) else { continue };
        let fits = |(_, old): &(&String, &Entry)| old.oid == new.oid && old.mode != trees::SUBMODULE;
        // Of several, the one that keeps its name.
        let best = removed.iter().position(|it| fits(it) && name(it.0) == name(path));
        if let Some(place) = best.or_else(|| removed.iter().position(fits)) {
            found.insert(path, removed.remove(place).0);
        }
    }
    found
}

fn renamed(it: &Repository, from: &str, to: &str, entry: &Entry, head: &str) -> Option<Value> {
    let mut view = file(it, to, Some(entry), Some(entry), head)?;
    view["status"] = "renamed".into();
    view["previous_filename"] = from.into();
    Some(view)
}

fn file(it: &Repository, path: &str, old: Option<&Entry>, new: Option<&Entry>, head: &str) -> Option<Value> {
    let status = match (old, new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "modified",
    };
    let text = |entry: Option<&Entry>| {
        // Git shows a submodule as one line.
        if let Some(entry) = entry.filter(|entry| entry.mode == trees::SUBMODULE) {
            return format!("Subproject commit {}\n", entry.oid);
        }
        let bytes = entry.and_then(|entry| it.objects.get(Kind::Blob, &entry.oid)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let (additions, deletions) = changed_lines(&text(old), &text(new));
    let is_submodule = [old, new].into_iter().flatten().any(|entry| entry.mode == trees::SUBMODULE);
    let mut shown = json!({
        "sha": new.or(old)?.oid, "filename": path, "status": status, "additions": additions, "deletions": deletions,
        "changes": additions + deletions, "blob_url": links::site(it, &format!("/blob/{head}/{path}")),
        "raw_url": links::site(it, &format!("/raw/{head}/{path}")),
        "contents_url": links::api(it, &format!("/contents/{path}?ref={head}")),
    });
    // Patches of files are not modelled; that of a submodule is all that tells it from one.
    if is_submodule {
        shown["patch"] = patch(&text(old), &text(new)).into();
    }
    Some(shown)
}

/// The patch between two texts of one line, or of none.
fn patch(old: &str, new: &str) -> String {
    let place = |text: &str| if text.is_empty() { "0,0" } else { "1" };
    let line = |sign: &str, text: &str| match text.trim_end() {
        "" => String::new(),
        text => format!("\n{sign}{text}"),
    };
    format!("@@ -{} +{} @@{}{}", place(old), place(new), line("-", old), line("+", new))
}

/// Lines added and removed. Long texts that differ throughout are taken to have no line in common.
fn changed_lines(old: &str, new: &str) -> (usize, usize) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    (old, new) = (old.split_off(same), new.split_off(same));
    while old.last().is_some() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    let common = if old.len() * new.len() > 4_000_000 { 0 } else { common(&old, &new) };
    (new.len() - common, old.len() - common)
}

/// Length of the longest common subsequence.
fn common(old: &[&str], new: &[&str]) -> usize {
    let mut row = vec![0; new.len() + 1];
    for line in old {
        let mut diagonal = 0;
        for (place, other) in new.iter().enumerate() {
            let above = row[place + 1];
            row[place + 1] = if line == other { diagonal + 1 } else { above.max(row[place]) };
            diagonal = above;
        }
    }
    row[new.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_as_git_counts_them() {
        assert_eq!(changed_lines("a\nb\nc\n", "a\nx\nc\n"), (1, 1));
        assert_eq!(changed_lines("", "a\nb\n"), (2, 0));
        assert_eq!(changed_lines("a\nb\nc\nd\n", "b\nd\ne\n"), (1, 2));
        assert_eq!(changed_lines("same\n", "same\n"), (0, 0));
    }
}
