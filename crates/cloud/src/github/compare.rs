//! `repos/compare-commits`: how two commits lie to each other, and what changed between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::git_objects::ObjectKind;
use super::refs::{readable_repository, resolve_ref};
use super::responses::{list_page, not_found, required_str, response};
use super::state::GitHubRepository;
use super::trees::{self, TreeDiff, TreeEntry};
use super::{commits, urls};
use crate::request::{ServiceCall, ServiceResult};
use crate::world::World;

/// How many commits an answer holds, and how many files.
const MAX_COMMITS_AND_FILES: (u64, usize) = (250, 300);

/// Answers the comparison.
pub fn compare_commits(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let commit = |name: &str| resolve_ref(it, required_str(&call.input, name).ok()?, now).ok_or(()).ok();
    let (base, head) = (commit("base").ok_or_else(not_found)?, commit("head").ok_or_else(not_found)?);
    let unrelated = || super::responses::not_found();
    let join = commits::merge_base(&it.objects, &base, &head).ok_or_else(unrelated)?;
    let mut ahead = commits::commits_ahead(&it.objects, &base, &head);
    let behind = commits::commits_ahead(&it.objects, &head, &base).len();
    ahead.reverse();
    let status = match (ahead.len(), behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let tree =
        |oid: &str| commits::read_commit(&it.objects, oid).map(|commit| commit.tree).unwrap_or_default();
    let path = format!("/compare/{base}...{head}");
    let shown: Vec<Value> = ahead.iter().filter_map(|oid| urls::commit_json(it, oid)).collect();
    let mut listed =
        list_page(shown, &call.input, &format!("/repos/{}{path}", it.name), MAX_COMMITS_AND_FILES.0);
    let mut body = json!({
        "url": urls::api_url(it, &path), "html_url": urls::html_url(it, &path), "permalink_url": urls::html_url(it, &path),
        "diff_url": urls::html_url(it, &format!("{path}.diff")), "patch_url": urls::html_url(it, &format!("{path}.patch")),
        "base_commit": urls::commit_json(it, &base), "merge_base_commit": urls::commit_json(it, &join),
        "status": status, "ahead_by": ahead.len(), "behind_by": behind, "total_commits": ahead.len(),
        "commits": listed["body"].take(),
    });
    if call.input["page"].as_u64().unwrap_or(1) <= 1 {
        let mut files = changed_files(it, &tree(&join), &tree(&head), &head);
        files.truncate(MAX_COMMITS_AND_FILES.1);
        body["files"] = files.into();
    }
    let mut answer = response(200, body);
    answer["headers"] = listed["headers"].take();
    Ok(answer)
}

/// The files that differ between two trees.
pub fn changed_files(it: &GitHubRepository, from: &str, to: &str, head: &str) -> Vec<Value> {
    let differences = trees::diff_trees(&it.objects, from, to);
    let moves = find_renames(&differences);
    let gone: BTreeSet<&String> = moves.values().copied().collect();
    let shown = differences.iter().filter(|(path, _)| !gone.contains(path));
    let entry = |(path, (old, new)): (&String, &(Option<TreeEntry>, Option<TreeEntry>))| match moves.get(path)
    {
        Some(from) => renamed_file_json(it, from, path, new.as_ref()?, head),
        None => file_json(it, path, old.as_ref(), new.as_ref(), head),
    };
    shown.filter_map(entry).collect()
}

/// Files that moved as they were: the new path, and the old one. Git also finds those that are alike; this does not.
fn find_renames(differences: &TreeDiff) -> BTreeMap<&String, &String> {
    let mut removed: Vec<(&String, &TreeEntry)> = Vec::new();
    for (path, (old, new)) in differences {
        if let (Some(entry), None) = (old, new) {
            removed.push((path, entry));
        }
    }
    let mut found = BTreeMap::new();
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    for (path, (old, new)) in differences {
        let (None, Some(new)) = (old, new) else { continue };
        let fits = |(_, old): &(&String, &TreeEntry)| old.oid == new.oid && old.mode != trees::SUBMODULE_MODE;
        // Of several, the one that keeps its name.
        let best = removed.iter().position(|it| fits(it) && name(it.0) == name(path));
        if let Some(place) = best.or_else(|| removed.iter().position(fits)) {
            found.insert(path, removed.remove(place).0);
        }
    }
    found
}

fn renamed_file_json(
    it: &GitHubRepository,
    from: &str,
    to: &str,
    entry: &TreeEntry,
    head: &str,
) -> Option<Value> {
    let mut view = file_json(it, to, Some(entry), Some(entry), head)?;
    view["status"] = "renamed".into();
    view["previous_filename"] = from.into();
    Some(view)
}

fn file_json(
    it: &GitHubRepository,
    path: &str,
    old: Option<&TreeEntry>,
    new: Option<&TreeEntry>,
    head: &str,
) -> Option<Value> {
    let status = match (old, new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "modified",
    };
    let text = |entry: Option<&TreeEntry>| {
        // Git shows a submodule as one line.
        if let Some(entry) = entry.filter(|entry| entry.mode == trees::SUBMODULE_MODE) {
            return format!("Subproject commit {}\n", entry.oid);
        }
        let bytes = entry.and_then(|entry| it.objects.get(ObjectKind::Blob, &entry.oid)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let (additions, deletions) = count_changed_lines(&text(old), &text(new));
    let is_submodule = [old, new].into_iter().flatten().any(|entry| entry.mode == trees::SUBMODULE_MODE);
    let mut shown = json!({
        "sha": new.or(old)?.oid, "filename": path, "status": status, "additions": additions, "deletions": deletions,
        "changes": additions + deletions, "blob_url": urls::html_url(it, &format!("/blob/{head}/{path}")),
        "raw_url": urls::html_url(it, &format!("/raw/{head}/{path}")),
        "contents_url": urls::api_url(it, &format!("/contents/{path}?ref={head}")),
    });
    // Patches of files are not modelled; that of a submodule is all that tells it from one.
    if is_submodule {
        shown["patch"] = one_line_patch(&text(old), &text(new)).into();
    }
    Some(shown)
}

/// The patch between two texts of one line, or of none.
fn one_line_patch(old: &str, new: &str) -> String {
    let place = |text: &str| if text.is_empty() { "0,0" } else { "1" };
    let line = |sign: &str, text: &str| match text.trim_end() {
        "" => String::new(),
        text => format!("\n{sign}{text}"),
    };
    format!("@@ -{} +{} @@{}{}", place(old), place(new), line("-", old), line("+", new))
}

/// Lines added and removed. Long texts that differ throughout are taken to have no line in common.
fn count_changed_lines(old: &str, new: &str) -> (usize, usize) {
    let (mut old, mut new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    (old, new) = (old.split_off(same), new.split_off(same));
    while old.last().is_some() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    let common = if old.len() * new.len() > 4_000_000 { 0 } else { common_line_count(&old, &new) };
    (new.len() - common, old.len() - common)
}

/// Length of the longest common subsequence.
fn common_line_count(old: &[&str], new: &[&str]) -> usize {
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
    fn changed_lines_are_counted_like_git() {
        assert_eq!(count_changed_lines("a\nb\nc\n", "a\nx\nc\n"), (1, 1));
        assert_eq!(count_changed_lines("", "a\nb\n"), (2, 0));
        assert_eq!(count_changed_lines("a\nb\nc\nd\n", "b\nd\ne\n"), (1, 2));
        assert_eq!(count_changed_lines("same\n", "same\n"), (0, 0));
    }
}
