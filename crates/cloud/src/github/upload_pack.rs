//! What `git fetch` asks of a repository: its refs, and a pack of the objects that the client lacks. Packets are the
//! affair of the wire.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::git_objects::{ObjectKind, ObjectStore, Oid};
use super::packfile::{reachable_objects, write_pack};
use super::responses::{response, with_headers};
use super::scenario::RepositoryAccess;
use super::state::{GitHubRepository, branch_ref};
use super::{auth, commits};
use crate::input::{str_field, str_list_field};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

/// Refs and HEAD; of refs those that begin with one of `prefixes`, where some are given.
pub fn list_refs(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let prefixes = str_list_field(&call.input, "prefixes");
    let wanted = |name: &str| prefixes.is_empty() || prefixes.iter().any(|start| name.starts_with(start));
    let head = branch_ref(&it.default_branch);
    let symbolic = it.refs.get(&head).filter(|_| wanted("HEAD"));
    let head = symbolic.map(|oid| json!({ "name": "HEAD", "oid": oid, "target": head }));
    let named = it.refs.iter().filter(|(name, _)| wanted(name));
    let refs = head.into_iter().chain(named.map(|(name, oid)| json!({ "name": name, "oid": oid })));
    Ok(response(200, json!({ "refs": refs.collect::<Vec<_>>() })))
}

/// What client and repository have in common, and a pack when it is time for one.
pub fn get_pack(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let request = FetchRequest::parse(call)?;
    if let Some(unknown) = request.wants.iter().find(|oid| it.objects.kind(oid).is_none()) {
        return Err(protocol_error(format!("upload-pack: not our ref {unknown}")));
    }
    Ok(response(200, request.answer(it)?))
}

/// What a client asks for.
struct FetchRequest {
    wants: Vec<Oid>,
    haves: Vec<Oid>,
    /// Commits whose parents the client does not have.
    shallow: BTreeSet<Oid>,
    /// How many commits of each history it wants.
    depth: Option<usize>,
    /// It has nothing more to tell, and wants the pack.
    is_done: bool,
    /// The pack comes as soon as there is something in common: version 2.
    sends_when_ready: bool,
}

impl FetchRequest {
    fn parse(call: &ServiceCall) -> Result<Self, ServiceError> {
        let arguments = str_list_field(&call.input, "arguments");
        let listed = |name: &str| {
            let values = arguments.iter().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            values.map(str::to_owned).collect::<Vec<Oid>>()
        };
        for unsupported in ["filter", "deepen-since", "deepen-not"] {
            if !listed(unsupported).is_empty() {
                return Err(protocol_error(format!("the embedded cloud does not model {unsupported}")));
            }
        }
        let depth = listed("deepen").first().and_then(|text| text.parse::<usize>().ok());
        Ok(Self {
            wants: listed("want"),
            haves: listed("have"),
            shallow: listed("shallow").into_iter().collect(),
            depth: depth.filter(|depth| *depth > 0),
            is_done: arguments.iter().any(|line| line == "done"),
            sends_when_ready: str_field(&call.input, "version") == "2",
        })
    }

    fn answer(&self, it: &GitHubRepository) -> Result<Value, ServiceError> {
        let objects = &it.objects;
        let common: Vec<&Oid> = self.haves.iter().filter(|oid| objects.kind(oid).is_some()).collect();
        let history = self.depth.map(|depth| ShallowHistory::new(objects, &self.wants, depth));
        let boundary = history.as_ref().map_or(&self.shallow, |history| &history.boundary);
        let mut answer = json!({ "common": common, "shallow": [], "unshallow": [] });
        if let Some(history) = &history {
            answer["shallow"] = json!(history.boundary.difference(&self.shallow).collect::<Vec<_>>());
            answer["unshallow"] = json!(self.shallow.intersection(&history.inside).collect::<Vec<_>>());
        }
        if self.is_done || (self.sends_when_ready && !common.is_empty()) {
            let known = reachable_objects(objects, &self.haves, &self.shallow);
            let wanted = reachable_objects(objects, &self.wants, boundary);
            let pack = write_pack(objects, &wanted.difference(&known).cloned().collect());
            let pack = pack.map_err(|why| protocol_error(why.to_string()))?;
            answer["pack"] = STANDARD.encode(pack).into();
        }
        Ok(answer)
    }
}

/// Histories that are cut after some commits.
struct ShallowHistory {
    /// The last commits, whose parents are cut off.
    boundary: BTreeSet<Oid>,
    /// The others.
    inside: BTreeSet<Oid>,
}

impl ShallowHistory {
    fn new(objects: &ObjectStore, tips: &[Oid], depth: usize) -> Self {
        let is_commit = |oid: &Oid| objects.kind(oid) == Some(ObjectKind::Commit);
        let parents = |oid: &Oid| commits::read_commit(objects, oid).map_or_else(Vec::new, |it| it.parents);
        let mut inside = BTreeSet::new();
        let mut level: BTreeSet<Oid> = tips.iter().filter(|oid| is_commit(oid)).cloned().collect();
        for _ in 1..depth {
            let next: BTreeSet<Oid> = level.iter().flat_map(&parents).collect();
            inside.append(&mut level);
            level = next.difference(&inside).cloned().collect();
            if level.is_empty() {
                break;
            }
        }
        let boundary = level.into_iter().filter(|oid| !parents(oid).is_empty()).collect();
        Self { boundary, inside }
    }
}

/// GitHub asks who does not say who they are, and does not tell others what exists.
fn readable_repository<'a>(
    world: &'a World,
    call: &ServiceCall,
) -> Result<&'a GitHubRepository, ServiceError> {
    let found = auth::authorize(&world.github, call, RepositoryAccess::Read).ok();
    let found = found.and_then(|name| world.github.repositories.get(&name));
    found.ok_or_else(|| match call.access_key {
        Some(_) => ServiceError::with_status(404, "NotFound", "Repository not found."),
        None => ask_for_credentials(),
    })
}

fn ask_for_credentials() -> ServiceError {
    let refusal = ServiceError::with_status(401, "Unauthorized", "Repository not found.");
    let header = ("www-authenticate".to_owned(), "Basic realm=\"GitHub\"".to_owned());
    with_headers(Err(refusal.clone()), vec![header]).err().unwrap_or(refusal)
}

/// An error that is returned in a packet, with HTTP status 200.
fn protocol_error(message: impl Into<String>) -> ServiceError {
    ServiceError::with_status(200, "ERR", message)
}
