//! Repositories, contents of files and folders, and lists of commits.

use serde_json::{Value, json};

use super::git_objects::ObjectKind;
use super::refs::{readable_repository, resolve_ref};
use super::responses::{list_page, not_found, required_str, response};
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::trees::{self, SYMLINK_MODE, TreeEntry};
use super::{auth, commits, git_data_api, urls};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// `repos/get`.
pub fn repository(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let mut value = urls::repository_json(it);
    let access = auth::repository_access(&world.github, call, it);
    if call.access_key.is_some() {
        let may = |wanted: RepositoryAccess| Value::Bool(access >= wanted);
        value.insert(
            "permissions".into(),
            json!({
                "admin": false, "maintain": false, "push": may(RepositoryAccess::Write), "triage": may(RepositoryAccess::Write),
                "pull": may(RepositoryAccess::Read),
            }),
        );
    }
    for (name, allowed) in [
        ("allow_auto_merge", it.allows_auto_merge),
        ("allow_merge_commit", true),
        ("allow_squash_merge", true),
        ("allow_rebase_merge", true),
        ("delete_branch_on_merge", false),
    ] {
        value.insert(name.into(), allowed.into());
    }
    Ok(response(200, value.into()))
}

/// `repos/get-content`.
pub fn get_content(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let path = call.input["path"].as_str().unwrap_or_default().trim_matches('/');
    let wanted = call.input["ref"].as_str().unwrap_or(&it.default_branch);
    let missing =
        || ServiceError::with_status(404, "NotFound", format!("No commit found for the ref {wanted}"));
    let commit = resolve_ref(it, wanted, now).ok_or_else(missing)?;
    let entry = commits::entry_at(&it.objects, &commit, path).ok_or_else(not_found)?;
    if entry.is_folder() {
        let below = |name: &String| if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let entries = trees::read_tree(&it.objects, &entry.oid);
        let entries = entries.iter().map(|(name, entry)| content_json(it, &below(name), entry, wanted));
        return Ok(response(200, entries.collect::<Vec<_>>().into()));
    }
    let mut value = content_json(it, path, &entry, wanted);
    let bytes = it.objects.get(ObjectKind::Blob, &entry.oid).unwrap_or_default();
    if entry.mode == SYMLINK_MODE {
        value["target"] = String::from_utf8_lossy(bytes).into();
    } else if bytes.len() <= 1024 * 1024 {
        value["content"] = git_data_api::encode_base64(bytes).into();
        value["encoding"] = "base64".into();
    } else {
        // Larger files come without their contents.
        value["content"] = "".into();
        value["encoding"] = "none".into();
    }
    Ok(response(200, value))
}

fn content_json(it: &GitHubRepository, path: &str, entry: &TreeEntry, reference: &str) -> Value {
    let kind = match entry.mode.as_str() {
        trees::TREE_MODE => "dir",
        SYMLINK_MODE => "symlink",
        trees::SUBMODULE_MODE => "submodule",
        _ => "file",
    };
    let address = urls::api_url(it, &format!("/contents/{path}?ref={reference}"));
    let site = urls::html_url(it, &format!("/blob/{reference}/{path}"));
    let object = urls::api_url(it, &format!("/git/{}s/{}", entry.object_type(), entry.oid));
    let size = it.objects.get(ObjectKind::Blob, &entry.oid).map_or(0, <[u8]>::len);
    let raw = format!("https://raw.githubusercontent.com/{}/{reference}/{path}", it.name);
    json!({
        "name": path.rsplit('/').next(), "path": path, "sha": entry.oid, "size": size, "type": kind,
        "url": address, "html_url": site, "git_url": object,
        "download_url": if kind == "file" { json!(raw) } else { Value::Null },
        "_links": { "self": address, "git": object, "html": site },
    })
}

/// `repos/list-commits`.
pub fn list(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let start = call.input["sha"].as_str().unwrap_or(&it.default_branch);
    let tip = resolve_ref(it, start, now).ok_or_else(not_found)?;
    let oids = match call.input["path"].as_str() {
        Some(path) => commits::list_commits_of_path(&it.objects, &tip, path),
        None => commits::list_commits(&it.objects, &tip),
    };
    let time = |name: &str| call.input[name].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (since, until) = (time("since"), time("until"));
    let within = |oid: &String| {
        let at = commits::read_commit(&it.objects, oid).map_or(0, |commit| commit.committer.timestamp);
        since.is_none_or(|since| at >= since.as_second()) && until.is_none_or(|until| at <= until.as_second())
    };
    let commits = oids.iter().filter(|oid| within(oid)).filter_map(|oid| urls::commit_json(it, oid));
    Ok(list_page(commits.collect(), &call.input, &format!("/repos/{}/commits", it.name), 30))
}

/// `repos/get-commit`.
pub fn get_commit(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let wanted = required_str(&call.input, "ref")?;
    let missing = || super::responses::unprocessable(format!("No commit found for SHA: {wanted}"));
    let oid = resolve_ref(it, wanted, now).ok_or_else(missing)?;
    let mut value = urls::commit_json(it, &oid).ok_or_else(not_found)?;
    let commit = commits::read_commit(&it.objects, &oid).ok_or_else(not_found)?;
    let before = commit.parents.first().and_then(|parent| commits::read_commit(&it.objects, parent));
    let files =
        super::compare::changed_files(it, &before.map(|it| it.tree).unwrap_or_default(), &commit.tree, &oid);
    let sum = |name: &str| files.iter().filter_map(|file| file[name].as_u64()).sum::<u64>();
    value["stats"] =
        json!({ "additions": sum("additions"), "deletions": sum("deletions"), "total": sum("changes") });
    value["files"] = files.into();
    Ok(response(200, value))
}
