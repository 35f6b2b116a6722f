//! Refs: reading, making, moving and deleting them.

use serde_json::Value;

use super::answers::{invalid, not_found, reply, required};
use super::objects::{Kind, Oid};
use super::settings::Access;
use super::state::Repository;
use super::{caller, commits, links, moves, protection, rivals};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

/// What a name, a ref or a commit's (abbreviated) id stands for, as reads see it at `now`, epoch seconds.
pub fn resolve(it: &Repository, name: &str, now: f64) -> Option<Oid> {
    let full =
        [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}"), name.into()];
    let hexadecimal = (7..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    full.iter().find_map(|name| it.seen(name, now)).or_else(|| {
        let name = name.to_lowercase();
        let mut found = it.objects.names().filter(|oid| {
            hexadecimal && oid.starts_with(&name) && it.objects.kind(oid) == Some(Kind::Commit)
        });
        found.next().map(str::to_owned)
    })
}

/// `git/get-ref`.
pub fn get(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let name = full(call)?;
    let oid = it.seen(&name, now).ok_or_else(not_found)?;
    Ok(reply(200, links::reference(it, &name, &oid)))
}

/// `git/list-matching-refs`.
pub fn matching(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let start = full(call)?;
    let names = it.refs.keys().filter(|name| name.starts_with(&start));
    let refs = names.filter_map(|name| Some(links::reference(it, name, &it.seen(name, now)?)));
    Ok(reply(200, refs.collect::<Vec<_>>().into()))
}

/// `repos/get-branch`.
pub fn branch(world: &World, call: &Call, now: f64) -> Answer {
    let it = readable(world, call)?;
    let name = required(&call.input, "branch")?;
    let oid = it.seen(&super::state::branch_ref(name), now);
    let missing = || Refusal::of(404, "NotFound", "Branch not found");
    let commit = oid.and_then(|oid| links::commit(it, &oid)).ok_or_else(missing)?;
    let address = links::api(it, &format!("/branches/{name}"));
    Ok(reply(
        200,
        serde_json::json!({
            "name": name, "commit": commit, "protected": it.protection(name).is_some(),
            "_links": { "self": address, "html": links::site(it, &format!("/tree/{name}")) },
            "protection": { "enabled": it.protection(name).is_some() }, "protection_url": format!("{address}/protection"),
        }),
    ))
}

/// `git/create-ref`.
pub fn create(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let (name, oid) = (required(&call.input, "ref")?, required(&call.input, "sha")?);
    if !name.starts_with("refs/") || name.split('/').count() < 3 || !well_formed(name) {
        return Err(invalid(format!("{name} is not a valid ref name.")));
    }
    let it = kept(world, &repository)?;
    if it.refs.contains_key(name) {
        return Err(invalid("Reference already exists"));
    }
    let inside = it
        .refs
        .keys()
        .any(|other| other.starts_with(&format!("{name}/")) || name.starts_with(&format!("{other}/")));
    if inside {
        return Err(invalid("Reference cannot be updated"));
    }
    if it.objects.kind(oid).is_none() {
        return Err(invalid("Object does not exist"));
    }
    moves::to(world, &repository, name, Some(oid.to_owned()), now);
    let it = kept(world, &repository)?;
    Ok(reply(201, links::reference(it, name, oid)))
}

/// What `git check-ref-format` lets through.
fn well_formed(name: &str) -> bool {
    let bad = |byte: u8| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte);
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.bytes().any(bad)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

/// `git/update-ref`.
pub fn update(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let (name, oid) = (full(call)?, required(&call.input, "sha")?.to_owned());
    let force = call.input["force"].as_bool().unwrap_or(false);
    let it = kept(world, &repository)?;
    if !it.refs.contains_key(&name) {
        return Err(invalid("Reference does not exist"));
    }
    if it.objects.kind(&oid) != Some(Kind::Commit) {
        return Err(invalid("Object does not exist"));
    }
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        let login = caller::login(&world.github, call);
        if let Some((rule, why)) = protection::violation(it, branch, &login) {
            return Err(protection::by_rest(rule, &why));
        }
        let paths = rivals::changed(world, &repository, &oid);
        rivals::strike(world, &repository, branch, &paths, now);
    }
    let it = kept(world, &repository)?;
    let forward = it.refs.get(&name).is_some_and(|old| commits::contains(&it.objects, old, &oid));
    if !forward && !force {
        return Err(invalid("Update is not a fast forward"));
    }
    moves::to(world, &repository, &name, Some(oid.clone()), now);
    Ok(reply(200, links::reference(kept(world, &repository)?, &name, &oid)))
}

/// `git/delete-ref`.
pub fn delete(world: &mut World, call: &Call, now: f64) -> Answer {
    let repository = caller::repository(&world.github, call, Access::Write)?;
    let name = full(call)?;
    let it = kept(world, &repository)?;
    if !it.refs.contains_key(&name) {
        return Err(invalid("Reference does not exist"));
    }
    let branch = name.strip_prefix("refs/heads/").unwrap_or_default();
    if branch == it.default_branch {
        return Err(invalid("Cannot delete the default branch"));
    }
    if it.protection(branch).is_some() {
        return Err(invalid("Cannot delete this branch"));
    }
    moves::to(world, &repository, &name, None, now);
    Ok(reply(204, Value::Null))
}

fn full(call: &Call) -> Result<String, Refusal> {
    let name = required(&call.input, "ref")?;
    Ok(format!("refs/{}", name.strip_prefix("refs/").unwrap_or(name)))
}

/// The repository of a call that reads.
pub fn readable<'a>(world: &'a World, call: &Call) -> Result<&'a Repository, Refusal> {
    let name = caller::repository(&world.github, call, Access::Read)?;
    kept(world, &name)
}

/// A repository by the name it is kept under.
pub fn kept<'a>(world: &'a World, name: &str) -> Result<&'a Repository, Refusal> {
    world.github.repositories.get(name).ok_or_else(not_found)
}
