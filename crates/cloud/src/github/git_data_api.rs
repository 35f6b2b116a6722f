//! The Git database: blobs, trees and commits one by one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::commits::{self, GitCommit, GitSignature};
use super::git_objects::{ObjectKind, ObjectStore, Oid};
use super::refs::{readable_repository, resolve_ref};
use super::responses::{not_found, required_str, response, unprocessable};
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::trees::{self, TreeChanges, TreeEntry};
use super::{auth, urls};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// Base64 as GitHub writes it: 60 characters a line.
pub fn encode_base64(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(60).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// `git/get-blob`.
pub fn get_blob(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let oid = required_str(&call.input, "file_sha")?;
    let bytes = it.objects.get(ObjectKind::Blob, oid).ok_or_else(not_found)?;
    Ok(response(
        200,
        json!({
            "sha": oid, "node_id": urls::node_id("B", it, oid), "size": bytes.len(),
            "url": urls::api_url(it, &format!("/git/blobs/{oid}")), "content": encode_base64(bytes), "encoding": "base64",
        }),
    ))
}

/// `git/create-blob`.
pub fn create_blob(world: &mut World, call: &ServiceCall) -> ServiceResult {
    let it = writable_repository(world, call)?;
    let content = required_str(&call.input, "content")?;
    let bytes = match call.input["encoding"].as_str() {
        Some("base64") => {
            let text = content.replace(['\n', '\r'], "");
            STANDARD.decode(text).map_err(|_| unprocessable("content is not valid Base64"))?
        }
        _ => content.as_bytes().to_vec(),
    };
    let oid = it.objects.insert(ObjectKind::Blob, &bytes);
    Ok(response(201, json!({ "url": urls::api_url(it, &format!("/git/blobs/{oid}")), "sha": oid })))
}

/// `git/get-tree`.
pub fn get_tree(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let wanted = required_str(&call.input, "tree_sha")?;
    let oid = resolve_tree(it, wanted)
        .or_else(|| resolve_tree(it, &resolve_ref(it, wanted, now)?))
        .ok_or_else(not_found)?;
    let recursive = !call.input["recursive"].is_null();
    Ok(response(200, tree_json(it, &oid, recursive)))
}

/// The folder of a commit, or the folder itself.
fn resolve_tree(it: &GitHubRepository, oid: &str) -> Option<Oid> {
    match it.objects.kind(oid)? {
        ObjectKind::Tree => Some(oid.to_owned()),
        ObjectKind::Commit => commits::read_commit(&it.objects, oid).map(|commit| commit.tree),
        ObjectKind::Blob => None,
    }
}

fn tree_json(it: &GitHubRepository, oid: &str, recursive: bool) -> Value {
    let mut entries = Vec::new();
    collect_tree_entries(it, oid, "", recursive, &mut entries);
    json!({
        "sha": oid, "url": urls::api_url(it, &format!("/git/trees/{oid}")), "tree": entries, "truncated": false,
    })
}

fn collect_tree_entries(
    it: &GitHubRepository,
    oid: &str,
    prefix: &str,
    recursive: bool,
    entries: &mut Vec<Value>,
) {
    for (name, entry) in trees::read_tree(&it.objects, oid) {
        let path = format!("{prefix}{name}");
        let mut view = json!({
            "path": path, "mode": entry.mode, "type": entry.object_type(), "sha": entry.oid,
            "url": urls::api_url(it, &format!("/git/{}s/{}", entry.object_type(), entry.oid)),
        });
        if let Some(bytes) = it.objects.get(ObjectKind::Blob, &entry.oid) {
            view["size"] = bytes.len().into();
        }
        entries.push(view);
        if recursive && entry.is_folder() {
            collect_tree_entries(it, &entry.oid, &format!("{path}/"), recursive, entries);
        }
    }
}

/// `git/create-tree`.
pub fn create_tree(world: &mut World, call: &ServiceCall) -> ServiceResult {
    let it = writable_repository(world, call)?;
    let base = match call.input["base_tree"].as_str() {
        Some(base) => resolve_tree(it, base).ok_or_else(|| unprocessable("base_tree is not a valid tree"))?,
        None => String::new(),
    };
    let Some(wanted) = call.input["tree"].as_array() else {
        return Err(unprocessable("Invalid request.\n\n\"tree\" wasn't supplied."));
    };
    let mut changes = TreeChanges::new();
    for entry in wanted {
        let path = entry["path"].as_str().unwrap_or_default();
        if !is_valid_path(path) {
            return Err(unprocessable("tree.path contains a malformed path component"));
        }
        changes.insert(path.to_owned(), parse_tree_entry(&mut it.objects, entry)?);
    }
    let oid = trees::edit_tree(&mut it.objects, &base, &changes);
    Ok(response(201, tree_json(it, &oid, false)))
}

/// A path that can be in a tree: not empty, nowhere absolute, without `.`, `..` and `.git`.
pub fn is_valid_path(path: &str) -> bool {
    let part = |part: &str| !["", ".", ".."].contains(&part) && !part.eq_ignore_ascii_case(".git");
    path.split('/').all(part) && !path.contains('\0')
}

/// What an entry of the request says: contents, the name of an object, or null for none.
fn parse_tree_entry(objects: &mut ObjectStore, entry: &Value) -> Result<Option<TreeEntry>, ServiceError> {
    let mode = entry["mode"].as_str().unwrap_or(trees::FILE_MODE);
    let known = [
        trees::FILE_MODE,
        trees::EXECUTABLE_MODE,
        trees::TREE_MODE,
        trees::SUBMODULE_MODE,
        trees::SYMLINK_MODE,
    ];
    if !known.contains(&mode) {
        return Err(unprocessable(format!("tree.mode {mode} is not a valid mode")));
    }
    if let Some(content) = entry["content"].as_str() {
        return Ok(Some(TreeEntry::new(mode, objects.insert(ObjectKind::Blob, content.as_bytes()))));
    }
    match &entry["sha"] {
        Value::Null if entry.get("sha").is_some() => Ok(None),
        Value::String(oid) => {
            let wanted = match mode {
                trees::TREE_MODE => Some(ObjectKind::Tree),
                trees::SUBMODULE_MODE => None,
                _ => Some(ObjectKind::Blob),
            };
            if wanted.is_some() && objects.kind(oid) != wanted {
                return Err(unprocessable("GitRPC::BadObjectState"));
            }
            Ok(Some(TreeEntry::new(mode, oid.clone())))
        }
        _ => Err(unprocessable("Must supply either tree.sha or tree.content")),
    }
}

/// `git/get-commit`.
pub fn get_commit(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let oid = required_str(&call.input, "commit_sha")?;
    let commit = commits::read_commit(&it.objects, oid).ok_or_else(not_found)?;
    Ok(response(200, urls::git_commit_json(it, oid, &commit)))
}

/// `git/create-commit`.
pub fn create_commit(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let own = auth::caller_signature(&world.github, call, now);
    let it = writable_repository(world, call)?;
    let (message, tree) = (required_str(&call.input, "message")?, required_str(&call.input, "tree")?);
    if it.objects.kind(tree) != Some(ObjectKind::Tree) {
        return Err(unprocessable("Tree SHA does not exist"));
    }
    let parents: Vec<Oid> = call.input["parents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|parent| parent.as_str().map(str::to_owned))
        .collect();
    if parents.iter().any(|parent| it.objects.kind(parent) != Some(ObjectKind::Commit)) {
        return Err(unprocessable("Parent SHA does not exist or is not a commit object"));
    }
    let author = parse_signature(&call.input["author"], &own);
    // Who names nobody is the author, and GitHub the committer.
    let usual = if call.input["author"].is_null() { auth::web_flow_signature(now) } else { author.clone() };
    let committer = parse_signature(&call.input["committer"], &usual);
    let commit = GitCommit { tree: tree.into(), parents, author, committer, message: message.into() };
    let oid = commits::write_commit(&mut it.objects, &commit);
    Ok(response(201, urls::git_commit_json(it, &oid, &commit)))
}

fn parse_signature(value: &Value, usual: &GitSignature) -> GitSignature {
    let text = |name: &str, usual: &str| value[name].as_str().unwrap_or(usual).to_owned();
    let date = value["date"].as_str().and_then(|date| date.parse::<jiff::Timestamp>().ok());
    GitSignature {
        name: text("name", &usual.name),
        email: text("email", &usual.email),
        timestamp: date.map_or(usual.timestamp, |date| date.as_second()),
    }
}

fn writable_repository<'a>(
    world: &'a mut World,
    call: &ServiceCall,
) -> Result<&'a mut GitHubRepository, ServiceError> {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    world.github.repositories.get_mut(&name).ok_or_else(not_found)
}
