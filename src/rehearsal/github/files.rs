//! Repositories, contents of files and folders, and lists of commits.

use serde_json::{Value, json};

use super::answers::{not_found, page, reply, required};
use super::objects::Kind;
use super::refs::{readable, resolve};
use super::settings::Access;
use super::state::Repository;
use super::trees::{self, Entry, LINK};
use super::{bare, caller, commits, database, links};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// `repos/get`.
pub fn repository(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let mut value = links::repository(it);
    let access = caller::access(&world.github, call, it);
    if call.access_key.is_some() {
        let may = |wanted: Access| Value::Bool(access >= wanted);
        value.insert(
            "permissions".into(),
            json!({
                "admin": false, "maintain": false, "push": may(Access::Write), "triage": may(Access::Write),
                "pull": may(Access::Read),
            }),
        );
    }
    for (name, allowed) in [
        ("allow_auto_merge", it.auto_merge),
        ("allow_merge_commit", true),
        ("allow_squash_merge", true),
        ("allow_rebase_merge", true),
        ("delete_branch_on_merge", false),
    ] {
        value.insert(name.into(), allowed.into());
    }
    Ok(reply(200, value.into()))
}

/// `repos/get-content`.
pub fn content(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let path = call.input["path"].as_str().unwrap_or_default().trim_matches('/');
    let wanted = call.input["ref"].as_str().unwrap_or(&it.default_branch);
    let missing = || Refusal::of(404, "NotFound", format!("No commit found for the ref {wanted}"));
    let commit = resolve(it, wanted, now).ok_or_else(missing)?;
    let entry = commits::at(&it.objects, &commit, path).ok_or_else(not_found)?;
    if entry.is_folder() {
        let below = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let entries = trees::read(&it.objects, &entry.oid);
        let entries = entries.iter().map(|(name, entry)| listed(it, &below(name), entry, wanted));
        return Ok(reply(200, entries.collect::<Vec<_>>().into()));
    }
    let mut value = listed(it, path, &entry, wanted);
    let bytes = it.objects.get(Kind::Blob, &entry.oid).unwrap_or_default();
    if entry.mode == LINK {
        value["target"] = String::from_utf8_lossy(bytes).into();
    } else if bytes.len() <= 1024 * 1024 {
        value["content"] = database::base64(bytes).into();
        value["encoding"] = "base64".into();
    } else {
        // Larger files come without their contents.
        value["content"] = "".into();
        value["encoding"] = "none".into();
    }
    Ok(reply(200, value))
}

fn listed(it: &Repository, path: &str, entry: &Entry, reference: &str) -> Value {
    let kind = match entry.mode.as_str() {
        trees::FOLDER => "dir",
        LINK => "symlink",
        trees::SUBMODULE => "submodule",
        _ => "file",
    };
    let address = links::api(it, &format!("/contents/{path}?ref={reference}"));
    let site = links::site(it, &format!("/blob/{reference}/{path}"));
    let object = links::api(it, &format!("/git/{}s/{}", entry.kind(), entry.oid));
    let size = it.objects.get(Kind::Blob, &entry.oid).map_or(0, <[u8]>::len);
    let raw = format!("https://raw.githubusercontent.com/{}/{reference}/{path}", it.name);
    json!({
        "name": path.rsplit('/').next(), "path": path, "sha": entry.oid, "size": size, "type": kind,
        "url": address, "html_url": site, "git_url": object,
        "download_url": if kind == "file" { json!(raw) } else { Value::Null },
        "_links": { "self": address, "git": object, "html": site },
    })
}

/// `repos/list-commits`.
pub fn list(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let start = call.input["sha"].as_str().unwrap_or(&it.default_branch);
    let tip = resolve(it, start, now).ok_or_else(not_found)?;
    let oids = match call.input["path"].as_str() {
        Some(path) => commits::log_of(&it.objects, &tip, path),
        None => commits::log(&it.objects, &tip),
    };
    let time = |name: &str| call.input[name].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (since, until) = (time("since"), time("until"));
    let within = |oid: &String| {
        let at = commits::read(&it.objects, oid).map_or(0, |commit| commit.committer.at);
        since.is_none_or(|since| at >= since.as_second()) && until.is_none_or(|until| at <= until.as_second())
    };
    let commits = oids.iter().filter(|oid| within(oid)).filter_map(|oid| links::commit(it, oid));
    Ok(page(commits.collect(), &call.input, &format!("/repos/{}/commits", it.name), 30))
}

/// `repos/get-commit`.
pub fn commit(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let wanted = required(&call.input, "ref")?;
    let missing = || super::answers::invalid(format!("No commit found for SHA: {wanted}"));
    let oid = resolve(it, wanted, now).ok_or_else(missing)?;
    let mut value = links::commit(it, &oid).ok_or_else(not_found)?;
    let commit = commits::read(&it.objects, &oid).ok_or_else(not_found)?;
    let before = commit.parents.first().and_then(|parent| commits::read(&it.objects, parent));
    let files = super::compare::files(it, &before.map(|it| it.tree).unwrap_or_default(), &commit.tree, &oid);
    let sum = |name: &str| files.iter().filter_map(|file| file[name].as_u64()).sum::<u64>();
    value["stats"] =
        json!({ "additions": sum("additions"), "deletions": sum("deletions"), "total": sum("changes") });
    value["files"] = files.into();
    Ok(reply(200, value))
}

/// A file of the repository itself, for `git`. Anybody may read it.
pub fn of_repository(world: &World, call: &Call) -> Answer {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default();
    let it = world.github.repositories.get(text("repository")).ok_or_else(not_found)?;
    let bytes = bare::file(it, text("path")).ok_or_else(not_found)?;
    use base64::Engine as _;
    let file = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(reply(200, json!({ "file": file })))
}
