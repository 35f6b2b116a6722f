//! Refs: reading, making, moving and deleting them.

use serde_json::Value;

use super::git_objects::{ObjectKind, Oid};
use super::responses::{not_found, required_str, response, unprocessable};
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::{auth, commits, outside_commits, protection, ref_updates, urls};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// What a name, a ref or a commit's (abbreviated) id stands for, as reads see it at `now`, epoch seconds.
pub fn resolve_ref(it: &GitHubRepository, name: &str, now: f64) -> Option<Oid> {
    let full =
        [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}"), name.into()];
    let hexadecimal = (7..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    full.iter().find_map(|name| it.visible_ref(name, now)).or_else(|| {
        let name = name.to_lowercase();
        let mut found = it.objects.oids().filter(|oid| {
            hexadecimal && oid.starts_with(&name) && it.objects.kind(oid) == Some(ObjectKind::Commit)
        });
        found.next().map(str::to_owned)
    })
}

/// `git/get-ref`.
pub fn get(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let name = full_ref_name(call)?;
    let oid = it.visible_ref(&name, now).ok_or_else(not_found)?;
    Ok(response(200, urls::ref_json(it, &name, &oid)))
}

/// `git/list-matching-refs`.
pub fn list_matching(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let start = full_ref_name(call)?;
    let names = it.refs.keys().filter(|name| name.starts_with(&start));
    let refs = names.filter_map(|name| Some(urls::ref_json(it, name, &it.visible_ref(name, now)?)));
    Ok(response(200, refs.collect::<Vec<_>>().into()))
}

/// `repos/get-branch`.
pub fn get_branch(world: &World, call: &ServiceCall, now: f64) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let name = required_str(&call.input, "branch")?;
    let oid = it.visible_ref(&super::state::branch_ref(name), now);
    let missing = || ServiceError::with_status(404, "NotFound", "Branch not found");
    let commit = oid.and_then(|oid| urls::commit_json(it, &oid)).ok_or_else(missing)?;
    let address = urls::api_url(it, &format!("/branches/{name}"));
    Ok(response(
        200,
        serde_json::json!({
            "name": name, "commit": commit, "protected": it.protection(name).is_some(),
            "_links": { "self": address, "html": urls::html_url(it, &format!("/tree/{name}")) },
            "protection": { "enabled": it.protection(name).is_some() }, "protection_url": format!("{address}/protection"),
        }),
    ))
}

/// `git/create-ref`.
pub fn create(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let (name, oid) = (required_str(&call.input, "ref")?, required_str(&call.input, "sha")?);
    if !name.starts_with("refs/") || name.split('/').count() < 3 || !is_well_formed(name) {
        return Err(unprocessable(format!("{name} is not a valid ref name.")));
    }
    let it = stored_repository(world, &repository)?;
    if it.refs.contains_key(name) {
        return Err(unprocessable("Reference already exists"));
    }
    let inside = it
        .refs
        .keys()
        .any(|other| other.starts_with(&format!("{name}/")) || name.starts_with(&format!("{other}/")));
    if inside {
        return Err(unprocessable("Reference cannot be updated"));
    }
    if it.objects.kind(oid).is_none() {
        return Err(unprocessable("Object does not exist"));
    }
    ref_updates::update_ref(world, &repository, name, Some(oid.to_owned()), now);
    let it = stored_repository(world, &repository)?;
    Ok(response(201, urls::ref_json(it, name, oid)))
}

/// What `git check-ref-format` lets through.
fn is_well_formed(name: &str) -> bool {
    let bad = |byte: u8| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.bytes().any(bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

/// `git/update-ref`.
pub fn update(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let (name, oid) = (full_ref_name(call)?, required_str(&call.input, "sha")?.to_owned());
    let force = call.input["force"].as_bool().unwrap_or(false);
    let it = stored_repository(world, &repository)?;
    if !it.refs.contains_key(&name) {
        return Err(unprocessable("Reference does not exist"));
    }
    if it.objects.kind(&oid) != Some(ObjectKind::Commit) {
        return Err(unprocessable("Object does not exist"));
    }
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        let login = auth::caller_login(&world.github, call);
        if let Some((rule, why)) = protection::push_violation(it, branch, &login) {
            return Err(protection::rest_violation(rule, &why));
        }
        let paths = outside_commits::changed_paths(world, &repository, &oid);
        outside_commits::commit_outside_change(world, &repository, branch, &paths, now);
    }
    let it = stored_repository(world, &repository)?;
    let forward = it.refs.get(&name).is_some_and(|old| commits::is_ancestor(&it.objects, old, &oid));
    if !forward && !force {
        return Err(unprocessable("Update is not a fast forward"));
    }
    ref_updates::update_ref(world, &repository, &name, Some(oid.clone()), now);
    Ok(response(200, urls::ref_json(stored_repository(world, &repository)?, &name, &oid)))
}

/// `git/delete-ref`.
pub fn delete(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let repository = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let name = full_ref_name(call)?;
    let it = stored_repository(world, &repository)?;
    if !it.refs.contains_key(&name) {
        return Err(unprocessable("Reference does not exist"));
    }
    let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
    if branch == it.default_branch {
        return Err(unprocessable("Cannot delete the default branch"));
    }
    if it.protection(branch).is_some() {
        return Err(unprocessable("Cannot delete this branch"));
    }
    ref_updates::update_ref(world, &repository, &name, None, now);
    Ok(response(204, Value::Null))
}

fn full_ref_name(call: &ServiceCall) -> Result<String, ServiceError> {
    let name = required_str(&call.input, "ref")?;
    Ok(format!("refs/{}", name.strip_prefix("refs/").unwrap_or(name)))
}

/// The repository of a call that reads.
pub fn readable_repository<'a>(
    world: &'a World,
    call: &ServiceCall,
) -> Result<&'a GitHubRepository, ServiceError> {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Read)?;
    stored_repository(world, &name)
}

/// A repository by the name it is kept under.
pub fn stored_repository<'a>(world: &'a World, name: &str) -> Result<&'a GitHubRepository, ServiceError> {
    world.github.repositories.get(name).ok_or_else(not_found)
}
