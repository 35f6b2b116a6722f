//! Registries of other accounts and regions: which one a call means, and who may do what there. A call to one of them is
//! answered as if the world were theirs.

use std::mem::swap;

use serde_json::Value;

use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::members::text;
use crate::rehearsal::policy::action;
use crate::rehearsal::world::{Repository, World};

/// What a repository's policy lets another account do: pull, and nothing else.
const PULL: [&str; 3] =
    ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"];

/// The account that calls: that of the session, of the login to the registry, or else the world's own.
pub(super) fn caller(world: &World, call: &Call) -> String {
    let key = call.access_key.as_deref().unwrap_or_default();
    let of_session = world.sessions.get(key).and_then(|session| session.arn.split(':').nth(4));
    let of_login = world.logins.get(key).map(|login| login.account.as_str());
    of_session.or(of_login).unwrap_or(&world.account).to_owned()
}

/// Account and region of the registry that a call means; `None` for the world's own.
fn elsewhere(world: &World, call: &Call, caller: &str) -> Option<(String, String)> {
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let region = or(text(&call.input, "registryRegion"), &or(&call.region, &world.region));
    let meant = (or(text(&call.input, "registryId"), caller), region);
    world.abroad.contains_key(&meant).then_some(meant)
}

/// Has `answer` answer in the registry that the call means.
pub(super) fn visiting(world: &mut World, call: &Call, answer: impl FnOnce(&mut World) -> Answer) -> Answer {
    let caller = caller(world, call);
    let Some(meant) = elsewhere(world, call, &caller) else { return answer(world) };
    let shelf = world.abroad.get(&meant).and_then(|shelf| shelf.get(text(&call.input, "repositoryName")));
    if let Some(refusal) = foreign(world, call, &caller, &meant, shelf) {
        return Err(refusal);
    }
    let mut there = world.abroad.remove(&meant).unwrap_or_default();
    let mut home = meant.clone();
    let mut turn = |world: &mut World| {
        swap(&mut world.repositories, &mut there);
        swap(&mut world.account, &mut home.0);
        swap(&mut world.region, &mut home.1);
    };
    turn(world);
    let answered = answer(world);
    turn(world);
    world.abroad.insert(meant, there);
    answered
}

/// The refusal that somebody of another account meets.
fn foreign(
    world: &World,
    call: &Call,
    caller: &str,
    (account, region): &(String, String),
    repository: Option<&Repository>,
) -> Option<Refusal> {
    let action = action(&call.service, &call.operation);
    let reads = PULL.contains(&action.as_str());
    let invited = repository.is_some_and(|it| it.readers.iter().any(|reader| reader == caller));
    // A link to a layer carries its own authorization, and a token is the caller's own.
    let free = ["ecr:GetLayer", "ecr:GetAuthorizationToken"].contains(&action.as_str());
    if caller == account || free || reads && invited {
        return None;
    }
    let who = world.caller_arn(call.access_key.as_deref());
    let name = match &call.input["repositoryName"] {
        Value::String(name) => name,
        _ => "*",
    };
    let words = format!(
        "User: {who} is not authorized to perform: {action} on resource: \
         arn:aws:ecr:{region}:{account}:repository/{name} because no resource-based policy allows the {action} action"
    );
    Some(match call.service.as_str() {
        "registry" => Refusal::of(403, "DENIED", words),
        _ => Refusal::new("AccessDeniedException", words),
    })
}
