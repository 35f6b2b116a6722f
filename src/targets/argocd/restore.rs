//! How an edit is reverted: the lines that it changed, as they were before. Pure. A line is restored where the edit left it,
//! whatever else of the file has changed since.

use serde::{Deserialize, Serialize};

/// The most lines that are compared one by one: of a longer change, all lines count as changed.
const MAX_COMPARED_LINES: usize = 2000;

/// What an edit changed in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRestore {
    /// The file.
    pub path: String,
    /// Its changes, from the top.
    changes: Vec<LineChange>,
}

/// Lines that an edit replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct LineChange {
    before: String,
    after: String,
    /// The line in front of them, and the line behind them.
    leading: String,
    trailing: String,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoredFile {
    /// Its bytes with the lines as they were.
    Restored(Vec<u8>),
    /// It has them already.
    Unchanged,
    /// Somebody changed these lines since.
    Changed,
}

impl FileRestore {
    /// What leads from `after` back to `before`; `None` if nothing does: a text is not UTF-8, or nothing changed.
    pub fn between(path: &str, before: &[u8], after: &[u8]) -> Option<Self> {
        let (before, after) = (std::str::from_utf8(before).ok()?, std::str::from_utf8(after).ok()?);
        let (old, new): (Vec<&str>, Vec<&str>) =
            (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
        let changes: Vec<LineChange> = hunks(&old, &new)
            .into_iter()
            .map(|hunk| LineChange {
                before: old[hunk.old.0..hunk.old.1].concat(),
                after: new[hunk.new.0..hunk.new.1].concat(),
                leading: hunk.new.0.checked_sub(1).map_or("", |at| new[at]).to_owned(),
                trailing: new.get(hunk.new.1).copied().unwrap_or_default().to_owned(),
            })
            .collect();
        let way = Self { path: path.to_owned(), changes };
        // Lines that stand several times may lead elsewhere.
        let leads_back = way.apply(after.as_bytes()) == RestoredFile::Restored(before.as_bytes().to_vec());
        leads_back.then_some(way)
    }

    /// The file with its lines as they were.
    pub fn apply(&self, bytes: &[u8]) -> RestoredFile {
        let Ok(text) = std::str::from_utf8(bytes) else { return RestoredFile::Changed };
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let (mut restored, mut from) = (false, 0);
        for change in &self.changes {
            if let Some(end) = change.replace_in(&mut lines, from) {
                (restored, from) = (true, end);
            } else if let Some(end) = change.find_restored(&lines, from) {
                from = end;
            } else {
                return RestoredFile::Changed;
            }
        }
        match restored {
            true => RestoredFile::Restored(lines.concat().into_bytes()),
            false => RestoredFile::Unchanged,
        }
    }
}

impl LineChange {
    /// Restores the lines at or below `from`; returns where the next change can begin.
    fn replace_in(&self, lines: &mut Vec<String>, from: usize) -> Option<usize> {
        let after: Vec<&str> = self.after.split_inclusive('\n').collect();
        let before: Vec<String> = self.before.split_inclusive('\n').map(str::to_owned).collect();
        let at = self.position(lines, &after, from)?;
        let end = at + before.len();
        lines.splice(at..at + after.len(), before);
        Some(end)
    }

    fn find_restored(&self, lines: &[String], from: usize) -> Option<usize> {
        let before: Vec<&str> = self.before.split_inclusive('\n').collect();
        self.position(lines, &before, from).map(|at| at + before.len())
    }

    /// Where `wanted` stands between the lines that surrounded it, else where it stands alone: once.
    fn position(&self, lines: &[String], wanted: &[&str], from: usize) -> Option<usize> {
        let is_at = |at: usize| {
            lines.len() >= at + wanted.len()
                && wanted.iter().zip(&lines[at..]).all(|(one, line)| *one == line)
        };
        let surrounded = |at: &usize| {
            let leading = at.checked_sub(1).map_or("", |before| lines[before].as_str());
            let trailing = lines.get(at + wanted.len()).map_or("", String::as_str);
            leading == self.leading && trailing == self.trailing
        };
        let all: Vec<usize> = (from..=lines.len()).filter(|at| is_at(*at)).collect();
        let exact: Vec<usize> = all.iter().copied().filter(surrounded).collect();
        match (exact.as_slice(), all.as_slice()) {
            ([at, ..], _) => Some(*at),
            ([], [at]) if !wanted.is_empty() => Some(*at),
            _ => None,
        }
    }
}

/// A stretch of lines that differs: from line, to line, in both texts.
struct Hunk {
    old: (usize, usize),
    new: (usize, usize),
}

fn hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let start = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let most = old.len().min(new.len()) - start;
    let end =
        old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(one, other)| one == other).count();
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    if start == old_end && start == new_end {
        return Vec::new();
    }
    if (old_end - start).max(new_end - start) > MAX_COMPARED_LINES {
        return vec![Hunk { old: (start, old_end), new: (start, new_end) }];
    }
    inner_hunks(&old[start..old_end], &new[start..new_end])
        .into_iter()
        .map(|hunk| Hunk {
            old: (hunk.old.0 + start, hunk.old.1 + start),
            new: (hunk.new.0 + start, hunk.new.1 + start),
        })
        .collect()
}

/// By the longest common subsequence of lines.
fn inner_hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (row, line) in old.iter().enumerate().rev() {
        for (column, other) in new.iter().enumerate().rev() {
            common[row][column] = match line == other {
                true => common[row + 1][column + 1] + 1,
                false => common[row + 1][column].max(common[row][column + 1]),
            };
        }
    }
    let (mut row, mut column, mut found) = (0, 0, Vec::<Hunk>::new());
    while row < old.len() || column < new.len() {
        let is_same = row < old.len() && column < new.len() && old[row] == new[column];
        if is_same {
            (row, column) = (row + 1, column + 1);
            continue;
        }
        let skips_old =
            column == new.len() || (row < old.len() && common[row + 1][column] >= common[row][column + 1]);
        let (next_row, next_column) = if skips_old { (row + 1, column) } else { (row, column + 1) };
        match found.last_mut().filter(|last| last.old.1 == row && last.new.1 == column) {
            Some(last) => (last.old.1, last.new.1) = (next_row, next_column),
            None => found.push(Hunk { old: (row, next_row), new: (column, next_column) }),
        }
        (row, column) = (next_row, next_column);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn restored(before: &str, after: &str, now: &str) -> Option<String> {
        let way = FileRestore::between("x", before.as_bytes(), after.as_bytes()).unwrap();
        match way.apply(now.as_bytes()) {
            RestoredFile::Restored(bytes) => Some(String::from_utf8(bytes).unwrap()),
            RestoredFile::Unchanged => Some(now.to_owned()),
            RestoredFile::Changed => None,
        }
    }

    #[test]
    fn lines_are_restored_where_they_are() {
        let before = "a: 1\nimage:\n  repository: web\n  tag: \"\"\nb: 2\n";
        let after = "a: 1\nimage:\n  repository: web\n  tag: \"v2@sha256:aa\"\nb: 2\n";
        assert_eq!(restored(before, after, after).as_deref(), Some(before));
        assert_eq!(restored(before, after, before).as_deref(), Some(before), "it is so already");
        let later = format!("# theirs\n{after}c: 3\n");
        assert_eq!(restored(before, after, &later), Some(format!("# theirs\n{before}c: 3\n")));
        assert_eq!(restored(before, after, &after.replace("v2@", "v3@")), None, "somebody changed the line");
    }

    #[test]
    fn entries_that_were_added_are_removed() {
        let before = "resources: [a.yaml]\n";
        let after = "resources: [a.yaml]\nimages:\n  - name: web\n    newTag: v2\n";
        assert_eq!(restored(before, after, after).as_deref(), Some(before));
        let later = format!("{after}labels: {{}}\n");
        assert_eq!(restored(before, after, &later), Some(format!("{before}labels: {{}}\n")));
    }

    #[test]
    fn each_place_gets_what_it_had() {
        let before = "a: { tag: v1 }\nx: 1\nb: { tag: v0 }\n";
        let after = "a: { tag: \"v2\" }\nx: 1\nb: { tag: \"v2\" }\n";
        assert_eq!(restored(before, after, after).as_deref(), Some(before));
    }

    proptest! {
        #[test]
        fn what_nobody_changed_is_restored_byte_for_byte(
            before in proptest::collection::vec("[ab]{0,2}(\n|\r\n)", 0..12),
            after in proptest::collection::vec("[ab]{0,2}(\n|\r\n)", 0..12),
        ) {
            let (before, after) = (before.concat(), after.concat());
            if let Some(way) = FileRestore::between("x", before.as_bytes(), after.as_bytes()) {
                prop_assert_eq!(way.apply(after.as_bytes()), RestoredFile::Restored(before.into_bytes()));
            }
        }
    }
}
