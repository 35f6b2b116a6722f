//! A commit to create: its checks, and the bodies of the requests. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::error::ApiError;
use super::snapshot::{FileMode, MAX_FILE_BYTES};
use super::validate;

/// Maximum size of all files of a commit, in bytes. GitHub was seen to reject requests of 40 MiB, in which files
/// take four thirds.
const MAX_COMMIT_BYTES: usize = 24 << 20;
/// Maximum headline and body, in bytes.
const MAX_MESSAGE_BYTES: [usize; 2] = [1000, 60_000];

/// The mutation. It needs no clone, requires the expected head, and its commits are signed by GitHub.
pub const MUTATION: &str =
    "mutation($input:CreateCommitOnBranchInput!){createCommitOnBranch(input:$input){commit{oid}}}";

/// A commit to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// owner/name.
    pub repository: String,
    /// Its name without `refs/heads/`.
    pub branch: String,
    /// The expected head of the branch; otherwise nothing is committed.
    pub expected_head: String,
    /// The first line of the message.
    pub headline: String,
    /// The rest of the message, with its trailers; may be empty.
    pub body: String,
    /// At least one.
    pub changes: Vec<FileChange>,
}

/// The new content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the root of the repository.
    pub path: String,
    /// The complete content.
    pub bytes: Vec<u8>,
    /// Its mode, which is kept.
    pub mode: FileMode,
}

/// A commit that is on its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedCommit {
    /// Its id.
    pub oid: String,
    /// Its web page.
    pub url: String,
}

/// Rejects commits that GitHub would reject, or would interpret in another way.
pub fn validate(commit: &NewCommit) -> Result<(), ApiError> {
    validate_fields(commit).map_err(ApiError::Rejected)
}

fn validate_fields(commit: &NewCommit) -> Result<(), String> {
    validate::repository(&commit.repository)?;
    validate::branch(&commit.branch)?;
    validate::commit(&commit.expected_head)?;
    validate_message(&commit.headline, &commit.body)?;
    if commit.changes.is_empty() {
        return Err("there is nothing to commit".into());
    }
    let mut paths: Vec<&str> = Vec::new();
    for change in &commit.changes {
        paths.push(validate::path(&change.path)?);
        if change.bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("`{}` would be larger than {MAX_FILE_BYTES} bytes", change.path));
        }
    }
    paths.sort_unstable();
    if let Some(twice) = paths.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("`{}` would be changed twice", twice[0]));
    }
    let sum: usize = commit.changes.iter().map(|change| change.bytes.len()).sum();
    if sum > MAX_COMMIT_BYTES {
        return Err(format!(
            "the files of this commit have {sum} bytes; GitHub accepts at most {MAX_COMMIT_BYTES}"
        ));
    }
    Ok(())
}

/// A headline is one line, and neither part contains a character that would end it early.
fn validate_message(headline: &str, body: &str) -> Result<(), String> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if headline.trim().is_empty() || headline.contains(breaks) || headline.len() > MAX_MESSAGE_BYTES[0] {
        return Err("the first line of the message is empty, too long, or has a line break".into());
    }
    if body.contains(|c: char| c.is_control() && c != '\n' && c != '\t') || body.len() > MAX_MESSAGE_BYTES[1]
    {
        return Err("the message is too long or has control characters".into());
    }
    Ok(())
}

/// Whether the mutation can create it. It writes every file as 100644.
pub fn has_only_regular_files(commit: &NewCommit) -> bool {
    commit.changes.iter().all(|change| change.mode == FileMode::Regular)
}

/// The variables of [`MUTATION`]; empty lists are left out.
pub fn mutation_variables(commit: &NewCommit) -> Value {
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

/// The body that creates a blob.
pub fn blob_body(change: &FileChange) -> Value {
    json!({ "content": STANDARD.encode(&change.bytes), "encoding": "base64" })
}

/// The body that creates a tree: `base` with some files replaced by blobs.
pub fn tree_body(base: &str, files: &[(&FileChange, String)]) -> Value {
    let entry = |(change, oid): &(&FileChange, String)| json!({ "path": change.path, "mode": change.mode.git_mode(), "type": "blob", "sha": oid });
    json!({ "base_tree": base, "tree": files.iter().map(entry).collect::<Vec<_>>() })
}

/// The body that creates a commit of a tree. Without an author, so that GitHub signs it.
pub fn commit_body(commit: &NewCommit, tree: &str) -> Value {
    json!({ "message": full_message(&commit.headline, &commit.body), "tree": tree, "parents": [commit.expected_head] })
}

/// Headline and body as one message.
pub fn full_message(headline: &str, body: &str) -> String {
    if body.is_empty() { headline.to_owned() } else { format!("{headline}\n\n{body}") }
}

/// The bytes of a blob as GitHub returns them: base64 with line ends in it.
pub fn blob_content(blob: &Value) -> Option<Vec<u8>> {
    let text: String = blob["content"].as_str()?.split_whitespace().collect();
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, bytes: &[u8]) -> FileChange {
        FileChange { path: path.into(), bytes: bytes.into(), mode: FileMode::Regular }
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
    fn mutation_has_complete_files_and_no_empty_list() {
        assert_eq!(
            mutation_variables(&commit()),
            json!({ "input": {
                "branch": { "repositoryNameWithOwner": "acme/manifests", "branchName": "main" },
                "expectedHeadOid": "c0ffee1",
                "message": { "headline": "Deploy", "body": "A: b\nC: d" },
                "fileChanges": { "additions": [{ "path": "apps/a.yaml", "contents": "YTogMQr/" }] },
            } })
        );
        let bare = mutation_variables(&NewCommit { body: String::new(), ..commit() });
        assert_eq!(bare["input"]["message"], json!({ "headline": "Deploy" }));
    }

    #[test]
    fn tree_keeps_modes_and_commit_keeps_its_message() {
        let run = FileChange { mode: FileMode::Executable, ..change("run.sh", b"x") };
        assert!(has_only_regular_files(&commit()));
        assert!(!has_only_regular_files(&NewCommit {
            changes: vec![change("a", b""), run.clone()],
            ..commit()
        }));
        assert_eq!(
            tree_body("7ee", &[(&run, "b10b".into())]),
            json!({ "base_tree": "7ee", "tree": [{ "path": "run.sh", "mode": "100755", "type": "blob", "sha": "b10b" }] })
        );
        assert_eq!(
            commit_body(&commit(), "7ee"),
            json!({ "message": "Deploy\n\nA: b\nC: d", "tree": "7ee", "parents": ["c0ffee1"] })
        );
        assert_eq!(blob_body(&run), json!({ "content": "eA==", "encoding": "base64" }));
        assert_eq!(blob_content(&json!({ "content": "YTog\nMQr/\n" })).as_deref(), Some(&b"a: 1\n\xff"[..]));
        assert_eq!(blob_content(&json!({ "content": "?" })), None);
    }

    #[test]
    fn invalid_commit_is_rejected() {
        assert_eq!(validate(&commit()), Ok(()));
        let large = vec![0; MAX_FILE_BYTES as usize];
        let many = (0..4).map(|n| change(&format!("f{n}"), &large)).collect();
        let changes = |changes| NewCommit { changes, ..commit() };
        let said = |headline: &str| NewCommit { headline: headline.into(), ..commit() };
        for (odd, reason) in [
            (NewCommit { repository: "acme".into(), ..commit() }, "owner/name"),
            (NewCommit { branch: "a b".into(), ..commit() }, "branch"),
            (NewCommit { expected_head: "main".into(), ..commit() }, "id of a commit"),
            (changes(vec![]), "nothing to commit"),
            (changes(vec![change("../x", b"")]), "is not a path"),
            (
                changes(vec![change("a", b""), change("b", b""), change("a", b"")]),
                "`a` would be changed twice",
            ),
            (changes(vec![change("a", &vec![0; MAX_FILE_BYTES as usize + 1])]), "larger"),
            (changes(many), "GitHub accepts at most"),
            (said(""), "first line"),
            (said("a\nRoadstead-Service: x"), "first line"),
            (said("a\rb"), "first line"),
            (said("a\u{2028}b"), "first line"),
            (said(&"x".repeat(1001)), "first line"),
            (NewCommit { body: "a\0b".into(), ..commit() }, "control characters"),
            (NewCommit { body: "a\rb".into(), ..commit() }, "control characters"),
        ] {
            let Err(ApiError::Rejected(why)) = validate(&odd) else { panic!("{reason}") };
            assert!(why.contains(reason), "{why}");
        }
    }
}
