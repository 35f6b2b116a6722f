//! A branch at one moment: its head, some files, and the commits that touched them. The query and its
//! response. Pure: user text is in the variables, never in the document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::reply::{self, Access, GraphqlError};
use super::validate;

/// Maximum paths per query.
pub const MAX_PATHS_PER_QUERY: usize = 50;
/// Maximum file that is read or written, in bytes.
pub const MAX_FILE_BYTES: u64 = 8 << 20;

/// The data to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// owner/name.
    pub repository: String,
    /// Its name without `refs/heads/`; `None` is the repository's default branch.
    pub branch: Option<String>,
    /// Files, relative to the root of the repository.
    pub paths: Vec<String>,
    /// Maximum commits to read for each path; at most 100.
    pub history_depth: usize,
}

/// The state of a branch at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, even if the default branch was requested.
    pub branch: String,
    /// The commit that it points to.
    pub head: String,
    /// The requested files that exist, by path.
    pub files: BTreeMap<String, RepositoryFile>,
    /// The newest commits that touched the requested files, newest first.
    pub history: Vec<HistoryCommit>,
    /// Whether the token may push to the branch, as far as GitHub reports it in advance. A hint: the response to the
    /// commit
    /// decides.
    pub can_push: Option<bool>,
    /// Whether the repository is archived: then it is read-only.
    pub archived: bool,
}

/// A file, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryFile {
    /// Whether it can be executed.
    pub mode: FileMode,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The mode of a regular file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FileMode {
    /// 100644.
    #[default]
    Regular,
    /// 100755.
    Executable,
}

impl FileMode {
    /// As Git writes it.
    pub fn git_mode(self) -> &'static str {
        match self {
            Self::Regular => "100644",
            Self::Executable => "100755",
        }
    }
}

/// A commit that touched requested files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryCommit {
    /// Its full id.
    pub oid: String,
    /// The complete message.
    pub message: String,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// The requested paths that it touched, as far as they are among the newest commits of their path.
    pub paths: Vec<String>,
}

/// The start of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotStart<'a> {
    /// The default branch.
    DefaultBranch,
    /// A branch.
    Branch(&'a str),
    /// A commit.
    Commit(&'a str),
}

/// The response for some of the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The branch; empty if a commit was requested.
    pub branch: String,
    /// The commit.
    pub head: String,
    /// As in [`Snapshot`].
    pub can_push: Option<bool>,
    /// As in [`Snapshot`].
    pub archived: bool,
    /// Every path that exists.
    pub files: Vec<(String, FoundFile)>,
    /// The commits of each path, newest first.
    pub histories: Vec<Vec<HistoryCommit>>,
}

/// A file in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundFile {
    /// Its bytes are verified to match the blob.
    Complete(RepositoryFile),
    /// The response does not contain its bytes.
    BlobOnly {
        /// Its mode.
        mode: FileMode,
        /// The id of the blob.
        oid: String,
    },
}

/// Checks the values that become part of a query.
pub fn validate(wanted: &SnapshotQuery) -> Result<(), ApiError> {
    let branch = wanted.branch.as_deref().map_or(Ok(""), validate::branch);
    let paths = wanted.paths.iter().try_for_each(|path| validate::path(path).map(drop));
    validate::repository(&wanted.repository)
        .map(drop)
        .and(branch.map(drop))
        .and(paths)
        .map_err(ApiError::Rejected)
}

/// The document and its variables.
pub fn query(repository: &str, start: SnapshotStart<'_>, paths: &[String], depth: usize) -> (String, Value) {
    let (owner, name) = repository.split_once('/').unwrap_or_default();
    let mut variables = Map::from_iter([("owner".into(), json!(owner)), ("name".into(), json!(name))]);
    let mut head = "$owner:String!,$name:String!".to_owned();
    let (opening, closing) = match start {
        SnapshotStart::DefaultBranch => ("defaultBranchRef{name refUpdateRule{viewerCanPush} target{", "}}"),
        SnapshotStart::Branch(branch) => {
            variables.insert("ref".into(), json!(format!("refs/heads/{branch}")));
            head += ",$ref:String!";
            ("ref(qualifiedName:$ref){name refUpdateRule{viewerCanPush} target{", "}}")
        }
        SnapshotStart::Commit(oid) => {
            variables.insert("oid".into(), json!(oid));
            head += ",$oid:GitObjectID!";
            ("object(oid:$oid){", "}")
        }
    };
    let mut fields = String::from("oid");
    if depth > 0 && !paths.is_empty() {
        variables.insert("depth".into(), json!(depth.min(100)));
        head += ",$depth:Int!";
    }
    for (index, path) in paths.iter().enumerate() {
        variables.insert(format!("p{index}"), json!(path));
        let _ = write!(head, ",$p{index}:String!");
        let blob = "object{...on Blob{oid byteSize text}}";
        let _ = write!(fields, " f{index}:file(path:$p{index}){{mode type {blob}}}");
        if depth > 0 {
            let nodes = "nodes{oid message committedDate}";
            let _ = write!(fields, " h{index}:history(first:$depth,path:$p{index}){{{nodes}}}");
        }
    }
    let about = "isArchived viewerPermission";
    let document = format!(
        "query Snapshot({head}){{repository(owner:$owner,name:$name){{{about} {opening}...on Commit{{{fields}}}{closing}}}}}"
    );
    (document, Value::Object(variables))
}

/// Parses a response.
pub fn parse_page(
    data: &Value,
    errors: &[GraphqlError],
    start: SnapshotStart<'_>,
    paths: &[String],
) -> Result<SnapshotPage, ApiError> {
    if let Some(error) = errors.iter().find(|error| !is_ignorable(error)) {
        return Err(reply::with_resource(reply::classify(error, Access::Read), "the repository"));
    }
    let repository = &data["repository"];
    if repository.is_null() {
        return Err(ApiError::NotFound("the repository".into()));
    }
    let (reference, commit, noun) = match start {
        SnapshotStart::DefaultBranch => {
            let at = &repository["defaultBranchRef"];
            (at, &at["target"], "a first commit".to_owned())
        }
        SnapshotStart::Branch(name) => {
            (&repository["ref"], &repository["ref"]["target"], format!("the branch `{name}`"))
        }
        SnapshotStart::Commit(oid) => (&Value::Null, &repository["object"], format!("the commit `{oid}`")),
    };
    let head = commit["oid"].as_str().ok_or(ApiError::NotFound(noun))?;
    let (mut files, mut histories) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        if let Some(found) = parse_file(path, &commit[format!("f{index}")])? {
            files.push((path.clone(), found));
        }
        histories.push(parse_history(path, &commit[format!("h{index}")]));
    }
    Ok(SnapshotPage {
        branch: reference["name"].as_str().unwrap_or_default().to_owned(),
        head: head.to_owned(),
        can_push: can_push(repository, reference),
        archived: repository["isArchived"].as_bool().unwrap_or_default(),
        files,
        histories,
    })
}

/// A missing file is an error beside the data, and so is a hint that this token cannot get.
fn is_ignorable(error: &GraphqlError) -> bool {
    let hint = ["viewerPermission", "refUpdateRule", "viewerCanPush"].contains(&error.field.as_str());
    let number = error.field.strip_prefix('f').filter(|number| !number.is_empty());
    let file = number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
    let missing = error.kind == "NOT_FOUND" || error.message.starts_with("Could not resolve file");
    hint || file && missing
}

fn can_push(repository: &Value, reference: &Value) -> Option<bool> {
    let role = match repository["viewerPermission"].as_str()? {
        "ADMIN" | "MAINTAIN" | "WRITE" => true,
        "READ" | "TRIAGE" => false,
        _ => return None,
    };
    Some(role && reference["refUpdateRule"]["viewerCanPush"].as_bool().unwrap_or(true))
}

/// The file at a path; `None` if there is none.
fn parse_file(path: &str, entry: &Value) -> Result<Option<FoundFile>, ApiError> {
    let Some(mode) = entry["mode"].as_u64() else { return Ok(None) };
    let refuse = |what: &str| Err(ApiError::Rejected(format!("`{path}` is {what}.")));
    let mode = match (entry["type"].as_str(), mode) {
        (Some("tree"), _) | (_, 0o040_000) => return refuse("a folder"),
        (Some("commit"), _) | (_, 0o160_000) => return refuse("a submodule"),
        (_, 0o120_000) => return refuse("a symbolic link"),
        (_, mode) if mode & 0o111 != 0 => FileMode::Executable,
        _ => FileMode::Regular,
    };
    let blob = &entry["object"];
    let (Some(oid), Some(size)) = (blob["oid"].as_str(), blob["byteSize"].as_u64()) else {
        return Err(ApiError::Transient(format!("the response does not contain the type of `{path}`")));
    };
    if size > MAX_FILE_BYTES {
        return refuse(&format!("{size} bytes large; the maximum is {MAX_FILE_BYTES}"));
    }
    let text = blob["text"].as_str().filter(|text| blob_oid(text.as_bytes()) == oid);
    Ok(Some(match text {
        Some(text) => FoundFile::Complete(RepositoryFile { mode, bytes: text.as_bytes().to_vec() }),
        None => FoundFile::BlobOnly { mode, oid: oid.to_owned() },
    }))
}

/// Git's id of a blob. Text that went through another encoding does not match it.
pub fn blob_oid(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    let mut hash = sha1::Sha1::new();
    hash.update(format!("blob {}\0", bytes.len()));
    hash.update(bytes);
    hex::encode(hash.finalize())
}

fn parse_history(path: &str, history: &Value) -> Vec<HistoryCommit> {
    let commit = |node: &Value| {
        Some(HistoryCommit {
            oid: node["oid"].as_str()?.to_owned(),
            message: node["message"].as_str().unwrap_or_default().to_owned(),
            committed_at: node["committedDate"].as_str()?.parse().ok()?,
            paths: vec![path.to_owned()],
        })
    };
    history["nodes"].as_array().into_iter().flatten().filter_map(commit).collect()
}

/// The histories of several paths merged: each keeps its own order, and between them the later commit comes first. A
/// commit that touched several paths is listed once.
pub fn merge_histories(mut histories: Vec<Vec<HistoryCommit>>) -> Vec<HistoryCommit> {
    histories.iter_mut().for_each(|history| history.reverse());
    let mut all: Vec<HistoryCommit> = Vec::new();
    loop {
        let later = |oid: &str| {
            let below =
                |history: &Vec<HistoryCommit>| history.iter().rev().skip(1).any(|commit| commit.oid == oid);
            histories.iter().any(below)
        };
        let heads = || histories.iter().filter_map(|history| history.last());
        let free = heads().filter(|commit| !later(&commit.oid)).max_by_key(|commit| commit.committed_at);
        let Some(next) = free.or_else(|| heads().max_by_key(|commit| commit.committed_at)).cloned() else {
            return all;
        };
        let mut paths = Vec::new();
        for history in &mut histories {
            if let Some(commit) = history.pop_if(|commit| commit.oid == next.oid) {
                paths.extend(commit.paths);
            }
        }
        all.push(HistoryCommit { paths, ..next });
    }
}

#[cfg(test)]
mod tests;
