//! The Git database: blobs, trees and commits one by one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answers::{invalid, not_found, reply, required};
use super::commits::{self, Commit, Person};
use super::objects::{Kind, Objects, Oid};
use super::refs::{readable, resolve};
use super::settings::Access;
use super::state::Repository;
use super::trees::{self, Changes, Entry};
use super::{caller, links};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// Base64 as GitHub writes it: 60 characters a line.
pub fn base64(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    text.as_bytes().chunks(60).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// `git/get-blob`.
pub fn blob(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let oid = required(&call.input, "file_sha")?;
    let bytes = it.objects.get(Kind::Blob, oid).ok_or_else(not_found)?;
    Ok(reply(
        200,
        json!({
            "sha": oid, "node_id": links::node("B", it, oid), "size": bytes.len(),
            "url": links::api(it, &format!("/git/blobs/{oid}")), "content": base64(bytes), "encoding": "base64",
        }),
    ))
}

/// `git/create-blob`.
pub fn create_blob(world: &mut World, call: &Call) -> Answer {
    let it = changeable(world, call)?;
    let content = required(&call.input, "content")?;
    let bytes = match call.input["encoding"].as_str() {
        Some("base64") => {
            let text = content.replace(['\n', '\r'], "");
            STANDARD.decode(text).map_err(|_| invalid("content is not valid Base64"))?
        }
        _ => content.as_bytes().to_vec(),
    };
    let oid = it.objects.put(Kind::Blob, &bytes);
    Ok(reply(201, json!({ "url": links::api(it, &format!("/git/blobs/{oid}")), "sha": oid })))
}

/// `git/get-tree`.
pub fn tree(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let wanted = required(&call.input, "tree_sha")?;
    let oid =
        tree_of(it, wanted).or_else(|| tree_of(it, &resolve(it, wanted, now)?)).ok_or_else(not_found)?;
    let recursive = !call.input["recursive"].is_null();
    Ok(reply(200, tree_view(it, &oid, recursive)))
}

/// The folder of a commit, or the folder itself.
fn tree_of(it: &Repository, oid: &str) -> Option<Oid> {
    match it.objects.kind(oid)? {
        Kind::Tree => Some(oid.to_owned()),
        Kind::Commit => commits::read(&it.objects, oid).map(|commit| commit.tree),
        Kind::Blob => None,
    }
}

fn tree_view(it: &Repository, oid: &str, recursive: bool) -> Value {
    let mut entries = Vec::new();
    list(it, oid, "", recursive, &mut entries);
    json!({
        "sha": oid, "url": links::api(it, &format!("/git/trees/{oid}")), "tree": entries, "truncated": false,
    })
}

fn list(it: &Repository, oid: &str, prefix: &str, recursive: bool, entries: &mut Vec<Value>) {
    for (name, entry) in trees::read(&it.objects, oid) {
        let path = format!("{prefix}{name}");
        let mut view = json!({
            "path": path, "mode": entry.mode, "type": entry.kind(), "sha": entry.oid,
            "url": links::api(it, &format!("/git/{}s/{}", entry.kind(), entry.oid)),
        });
        if let Some(bytes) = it.objects.get(Kind::Blob, &entry.oid) {
            view["size"] = bytes.len().into();
        }
        entries.push(view);
        if recursive && entry.is_folder() {
            list(it, &entry.oid, &format!("{path}/"), recursive, entries);
        }
    }
}

/// `git/create-tree`.
pub fn create_tree(world: &mut World, call: &Call) -> Answer {
    let it = changeable(world, call)?;
    let base = match call.input["base_tree"].as_str() {
        Some(base) => tree_of(it, base).ok_or_else(|| invalid("base_tree is not a valid tree"))?,
        None => String::new(),
    };
    let Some(wanted) = call.input["tree"].as_array() else {
        return Err(invalid("Invalid request.\n\n\"tree\" wasn't supplied."));
    };
    let mut changes = Changes::new();
    for entry in wanted {
        let path = entry["path"].as_str().unwrap_or_default();
        if !sound(path) {
            return Err(invalid("tree.path contains a malformed path component"));
        }
        changes.insert(path.to_owned(), wish(&mut it.objects, entry)?);
    }
    let oid = trees::edit(&mut it.objects, &base, &changes);
    Ok(reply(201, tree_view(it, &oid, false)))
}

/// A path that can be in a tree: not empty, nowhere absolute, without `.`, `..` and `.git`.
pub fn sound(path: &str) -> bool {
    let part = |part: &str| !["", ".", ".."].contains(&part) && !part.eq_ignore_ascii_case(".git");
    path.split('/').all(part) && !path.contains('\0')
}

/// What an entry of the request says: contents, the name of an object, or null for none.
fn wish(objects: &mut Objects, entry: &Value) -> Result<Option<Entry>, Refusal> {
    let mode = entry["mode"].as_str().unwrap_or(trees::FILE);
    let known = [trees::FILE, trees::EXECUTABLE, trees::FOLDER, trees::SUBMODULE, trees::LINK];
    if !known.contains(&mode) {
        return Err(invalid(format!("tree.mode {mode} is not a valid mode")));
    }
    if let Some(content) = entry["content"].as_str() {
        return Ok(Some(Entry::new(mode, objects.put(Kind::Blob, content.as_bytes()))));
    }
    match &entry["sha"] {
        Value::Null if entry.get("sha").is_some() => Ok(None),
        Value::String(oid) => {
            let wanted = match mode {
                trees::FOLDER => Some(Kind::Tree),
                trees::SUBMODULE => None,
                _ => Some(Kind::Blob),
            };
            if wanted.is_some() && objects.kind(oid) != wanted {
                return Err(invalid("GitRPC::BadObjectState"));
            }
            Ok(Some(Entry::new(mode, oid.clone())))
        }
        _ => Err(invalid("Must supply either tree.sha or tree.content")),
    }
}

/// `git/get-commit`.
pub fn commit(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let oid = required(&call.input, "commit_sha")?;
    let commit = commits::read(&it.objects, oid).ok_or_else(not_found)?;
    Ok(reply(200, links::git_commit(it, oid, &commit)))
}

/// `git/create-commit`.
pub fn create_commit(world: &mut World, call: &Call, now: f64) -> Answer {
    let own = caller::person(&world.github, call, now);
    let it = changeable(world, call)?;
    let (message, tree) = (required(&call.input, "message")?, required(&call.input, "tree")?);
    if it.objects.kind(tree) != Some(Kind::Tree) {
        return Err(invalid("Tree SHA does not exist"));
    }
    let parents: Vec<Oid> = call.input["parents"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|parent| parent.as_str().map(str::to_owned))
        .collect();
    if parents.iter().any(|parent| it.objects.kind(parent) != Some(Kind::Commit)) {
        return Err(invalid("Parent SHA does not exist or is not a commit object"));
    }
    let author = given(&call.input["author"], &own);
    // Who names nobody is the author, and GitHub the committer.
    let usual = if call.input["author"].is_null() { caller::web_flow(now) } else { author.clone() };
    let committer = given(&call.input["committer"], &usual);
    let commit = Commit { tree: tree.into(), parents, author, committer, message: message.into() };
    let oid = commits::write(&mut it.objects, &commit);
    Ok(reply(201, links::git_commit(it, &oid, &commit)))
}

fn given(value: &Value, usual: &Person) -> Person {
    let text = |name: &str, usual: &str| value[name].as_str().unwrap_or(usual).to_owned();
    let date = value["date"].as_str().and_then(|date| date.parse::<jiff::Timestamp>().ok());
    Person {
        name: text("name", &usual.name),
        email: text("email", &usual.email),
        at: date.map_or(usual.at, |date| date.as_second()),
    }
}

fn changeable<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Repository, Refusal> {
    let name = caller::repository(&world.github, call, Access::Write)?;
    world.github.repositories.get_mut(&name).ok_or_else(not_found)
}
