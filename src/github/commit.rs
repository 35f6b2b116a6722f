//! A commit to be made: what is checked beforehand, and the bodies of the requests. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::names;
use super::setback::Setback;
use super::snapshot::{LARGEST, Mode};

/// All files of a commit, in bytes. GitHub was seen to refuse requests of 40 MiB, in which files take four thirds.
const MOST: usize = 24 << 20;
/// The longest headline and body, in bytes.
const WORDS: [usize; 2] = [1000, 60_000];

/// The mutation. It needs no clone, knows where the branch has to be, and its commits are signed by GitHub.
pub const MUTATION: &str =
    "mutation($input:CreateCommitOnBranchInput!){createCommitOnBranch(input:$input){commit{oid}}}";

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// owner/name.
    pub repository: String,
    /// Its name without `refs/heads/`.
    pub branch: String,
    /// Where the branch has to be; elsewhere nothing is committed.
    pub expected_head: String,
    /// The first line of the message.
    pub headline: String,
    /// The rest of the message, with its trailers; may be empty.
    pub body: String,
    /// At least one.
    pub changes: Vec<FileChange>,
}

/// A file as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the root of the repository.
    pub path: String,
    /// The whole content.
    pub bytes: Vec<u8>,
    /// The mode that it has, and keeps.
    pub mode: Mode,
}

/// A commit that is on its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its name.
    pub oid: String,
    /// Where people see it.
    pub url: String,
}

/// Refuses what GitHub would refuse, or would take in another way than it is meant.
pub fn valid(commit: &NewCommit) -> Result<(), Setback> {
    sound(commit).map_err(Setback::Refused)
}

fn sound(commit: &NewCommit) -> Result<(), String> {
    names::repository(&commit.repository)?;
    names::branch(&commit.branch)?;
    names::commit(&commit.expected_head)?;
    message(&commit.headline, &commit.body)?;
    if commit.changes.is_empty() {
        return Err("there is nothing to commit".into());
    }
    let mut paths: Vec<&str> = Vec::new();
    for change in &commit.changes {
        paths.push(names::path(&change.path)?);
        if change.bytes.len() as u64 > LARGEST {
            return Err(format!("`{}` would be larger than {LARGEST} bytes", change.path));
        }
    }
    paths.sort_unstable();
    if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("`{}` is to be changed twice", twice[0]));
    }
    let sum: usize = commit.changes.iter().map(|change| change.bytes.len()).sum();
    if sum > MOST {
        return Err(format!(
            "the files of this commit are {sum} bytes; {MOST} are the most that GitHub takes"
        ));
    }
    Ok(())
}

/// A headline is one line, and neither part holds what would end it early.
fn message(headline: &str, body: &str) -> Result<(), String> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if headline.trim().is_empty() || headline.contains(breaks) || headline.len() > WORDS[0] {
        return Err("the first line of the message is empty, too long, or more than a line".into());
    }
    if body.contains(|c: char| c.is_control() && c != '\n' && c != '\t') || body.len() > WORDS[1] {
        return Err("the message is too long or has characters that are no text".into());
    }
    Ok(())
}

/// Whether the mutation can make it. It writes every file as 100644.
pub fn is_plain(commit: &NewCommit) -> bool {
    commit.changes.iter().all(|change| change.mode == Mode::Plain)
}

/// The variables of [`MUTATION`]; lists that are empty are left out.
pub fn variables(commit: &NewCommit) -> Value {
    let additions: Vec<Value> = commit
        .changes
        .iter()
        .map(|change| json!({ "path": change.path, "contents": STANDARD.encode(&change.bytes) }))
        .collect();
    let mut message = json!({ "headline": commit.headline });
    if !commit.body.is_empty() {
        message["body"] = json!(commit.body);
    }
    json!({ "input": {
        "branch": { "repositoryNameWithOwner": commit.repository, "branchName": commit.branch },
        "expectedHeadOid": commit.expected_head,
        "message": message,
        "fileChanges": { "additions": additions },
    } })
}

/// The body that makes a blob.
pub fn blob(change: &FileChange) -> Value {
    json!({ "content": STANDARD.encode(&change.bytes), "encoding": "base64" })
}

/// The body that makes a tree: `base` with some files of it replaced by blobs.
pub fn tree(base: &str, files: &[(&FileChange, String)]) -> Value {
    let entry = |(change, oid): &(&FileChange, String)| json!({ "path": change.path, "mode": change.mode.octal(), "type": "blob", "sha": oid });
    json!({ "base_tree": base, "tree": files.iter().map(entry).collect::<Vec<_>>() })
}

/// The body that makes a commit of a tree. Without an author, so that GitHub signs it as its own.
pub fn object(commit: &NewCommit, tree: &str) -> Value {
    json!({ "message": whole(&commit.headline, &commit.body), "tree": tree, "parents": [commit.expected_head] })
}

/// Headline and body as one message.
pub fn whole(headline: &str, body: &str) -> String {
    if body.is_empty() { headline.to_owned() } else { format!("{headline}\n\n{body}") }
}

/// The bytes of a blob as GitHub gives them: base64 with line ends in it.
pub fn content(blob: &Value) -> Option<Vec<u8>> {
    let text: String = blob["content"].as_str()?.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, bytes: &[u8]) -> FileChange {
        FileChange { path: path.into(), bytes: bytes.into(), mode: Mode::Plain }
    }

    fn commit() -> NewCommit {
        NewCommit {
            repository: "acme/manifests".into(),
            branch: "main".into(),
            expected_head: "c0ffee1".into(),
            headline: "Deploy".into(),
            body: "A: b\nC: d".into(),
            changes: vec![change("apps/a.yaml", b"a: 1\n\xff")],
        }
    }

    #[test]
    fn the_mutation_gets_whole_files_and_no_empty_list() {
        assert_eq!(
            variables(&commit()),
            json!({ "input": {
                "branch": { "repositoryNameWithOwner": "acme/manifests", "branchName": "main" },
                "expectedHeadOid": "c0ffee1",
                "message": { "headline": "Deploy", "body": "A: b\nC: d" },
                "fileChanges": { "additions": [{ "path": "apps/a.yaml", "contents": "YTogMQr/" }] },
            } })
        );
        let bare = variables(&NewCommit { body: String::new(), ..commit() });
        assert_eq!(bare["input"]["message"], json!({ "headline": "Deploy" }));
    }

    #[test]
    fn a_tree_keeps_modes_and_a_commit_its_message() {
        let run = FileChange { mode: Mode::Executable, ..change("run.sh", b"x") };
        assert!(is_plain(&commit()));
        assert!(!is_plain(&NewCommit { changes: vec![change("a", b""), run.clone()], ..commit() }));
        assert_eq!(
            tree("7ee", &[(&run, "b10b".into())]),
            json!({ "base_tree": "7ee", "tree": [{ "path": "run.sh", "mode": "100755", "type": "blob", "sha": "b10b" }] })
        );
        assert_eq!(
            object(&commit(), "7ee"),
            json!({ "message": "Deploy\n\nA: b\nC: d", "tree": "7ee", "parents": ["c0ffee1"] })
        );
        assert_eq!(blob(&run), json!({ "content": "eA==", "encoding": "base64" }));
        assert_eq!(content(&json!({ "content": "YTog\nMQr/\n" })).as_deref(), Some(&b"a: 1\n\xff"[..]));
        assert_eq!(content(&json!({ "content": "?" })), None);
    }

    #[test]
    fn what_would_be_taken_in_another_way_is_refused() {
        assert_eq!(valid(&commit()), Ok(()));
        let large = vec![0; LARGEST as usize];
        let many = (0..4).map(|n| change(&format!("f{n}"), &large)).collect();
        let changes = |changes| NewCommit { changes, ..commit() };
        let said = |headline: &str| NewCommit { headline: headline.into(), ..commit() };
        for (odd, reason) in [
            (NewCommit { repository: "acme".into(), ..commit() }, "owner/name"),
            (NewCommit { branch: "a b".into(), ..commit() }, "branch"),
            (NewCommit { expected_head: "main".into(), ..commit() }, "name of a commit"),
            (changes(vec![]), "nothing to commit"),
            (changes(vec![change("../x", b"")]), "no path"),
            (
                changes(vec![change("a", b""), change("b", b""), change("a", b"")]),
                "`a` is to be changed twice",
            ),
            (changes(vec![change("a", &vec![0; LARGEST as usize + 1])]), "larger"),
            (changes(many), "the most that GitHub takes"),
            (said(""), "first line"),
            (said("a\nRoadstead-Service: x"), "first line"),
            (said("a\rb"), "first line"),
            (said("a\u{2028}b"), "first line"),
            (said(&"x".repeat(1001)), "first line"),
            (NewCommit { body: "a\0b".into(), ..commit() }, "no text"),
            (NewCommit { body: "a\rb".into(), ..commit() }, "no text"),
        ] {
            let Err(Setback::Refused(why)) = valid(&odd) else { panic!("{reason}") };
            assert!(why.contains(reason), "{why}");
        }
    }
}
