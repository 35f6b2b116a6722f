//! Deployments and their statuses over REST.

use serde_json::{Value, json};

use super::answers::{invalid, not_found, page, reply, required, validation};
use super::caller;
use super::commits::{self, Commit};
use super::deployments::{Deployment, Status, status_view, view};
use super::refs::{kept, readable, resolve};
use super::settings::Access;
use super::state::{Repository, branch_ref};
use crate::rehearsal::call::{Answer, Call, Refusal};
use crate::rehearsal::world::World;

const STATES: [&str; 7] = ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

/// `repos/create-deployment`.
pub fn create(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = caller::repository(&world.github, call, Access::Write)?;
    let creator = caller::login(&world.github, call);
    let it = changeable(world, &name)?;
    let reference = required(&call.input, "ref")?.to_owned();
    let missing = || invalid(format!("No ref found for: {reference}"));
    let sha = resolve(it, &reference, now).ok_or_else(missing)?;
    if call.input["auto_merge"].as_bool().unwrap_or(true)
        && let Some(done) = merge(it, &reference, now)
    {
        return done;
    }
    judge(it, &sha, &reference, &call.input["required_contexts"])?;
    let text = |name: &str, usual: &str| call.input[name].as_str().unwrap_or(usual).to_owned();
    let environment = text("environment", "production");
    let production = call.input["production_environment"].as_bool().unwrap_or(environment == "production");
    let payload = match &call.input["payload"] {
        Value::Null => json!({}),
        given => given.clone(),
    };
    let id = it.deploy(Deployment {
        sha,
        reference: reference.strip_prefix("refs/heads/").unwrap_or(&reference).to_owned(),
        task: text("task", "deploy"),
        environment,
        payload,
        description: call.input["description"].as_str().map(str::to_owned),
        transient: call.input["transient_environment"].as_bool().unwrap_or(false),
        production,
        creator,
        created: now,
        ..Deployment::default()
    });
    Ok(reply(201, view(it, it.deployment(id).ok_or_else(not_found)?)))
}

/// Unless told otherwise, GitHub brings a branch up to the default branch first, and makes no deployment then.
fn merge(it: &mut Repository, reference: &str, now: f64) -> Option<Answer> {
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let (default, full) = (it.default_branch.clone(), branch_ref(branch));
    let (head, theirs) = (it.refs.get(&full)?.clone(), it.refs.get(&branch_ref(&default))?.clone());
    if commits::contains(&it.objects, &theirs, &head) {
        return None;
    }
    let tree = |it: &Repository, oid: &str| Some(commits::read(&it.objects, oid)?.tree);
    let join = commits::merge_base(&it.objects, &head, &theirs)?;
    let (base, own, other) = (tree(it, &join)?, tree(it, &head)?, tree(it, &theirs)?);
    let Ok(tree) = commits::merge(&mut it.objects, &base, &own, &other) else {
        return Some(Err(Refusal::of(409, "Conflict", format!("Conflict merging {default} into {branch}"))));
    };
    let person = caller::web_flow(now);
    let message = format!("Merge branch '{default}' into {branch}");
    let (author, committer) = (person.clone(), person);
    let merged = commits::write(
        &mut it.objects,
        &Commit { tree, parents: vec![head, theirs], author, committer, message },
    );
    it.refs.insert(full, merged);
    let message = format!("Auto-merged {default} into {branch} on deployment.");
    Some(Ok(reply(202, json!({ "message": message }))))
}

/// Checks that the client waits for: all of the commit's, unless it names some, or none.
fn judge(it: &Repository, sha: &str, reference: &str, wanted: &Value) -> Result<(), Refusal> {
    let states = it.contexts(sha);
    let wanted: Vec<String> = match wanted.as_array() {
        Some(names) => names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        None => states.keys().cloned().collect(),
    };
    let state = |name: &String| states.get(name).map_or("pending", |it| *it);
    let open: Vec<Value> = wanted
        .iter()
        .filter(|name| state(name) != "success")
        .map(|name| json!({ "context": name, "state": state(name) }))
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let message = format!("Conflict: Commit status checks failed for {reference}.");
    let errors = json!([{ "contexts": open, "resource": "Deployment", "field": "required_contexts", "code": "invalid" }]);
    Err(super::answers::with(Refusal::of(409, "Conflict", message), [("errors", errors)]))
}

/// `repos/list-deployments`.
pub fn list(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let fits = |name: &str, own: &str| match call.input[name].as_str() {
        None | Some("none") => true,
        Some(wanted) => own == wanted.strip_prefix("refs/heads/").unwrap_or(wanted),
    };
    let found = it.deployments.iter().rev().filter(|one| {
        fits("sha", &one.sha)
            && fits("ref", &one.reference)
            && fits("task", &one.task)
            && fits("environment", &one.environment)
    });
    let path = format!("/repos/{}/deployments", it.name);
    Ok(page(found.map(|one| view(it, one)).collect(), &call.input, &path, 30))
}

/// `repos/get-deployment`.
pub fn get(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    Ok(reply(200, view(it, found(it, call)?)))
}

fn found<'a>(it: &'a Repository, call: &Call) -> Result<&'a Deployment, Refusal> {
    call.input["deployment_id"].as_u64().and_then(|id| it.deployment(id)).ok_or_else(not_found)
}

/// `repos/list-deployment-statuses`.
pub fn statuses(world: &World, call: &Call) -> Answer {
    let it = readable(world, call)?;
    let deployment = found(it, call)?;
    let shown = deployment.statuses.iter().rev().map(|status| status_view(it, deployment, status));
    let path = format!("/repos/{}/deployments/{}/statuses", it.name, deployment.id);
    Ok(page(shown.collect(), &call.input, &path, 30))
}

/// `repos/create-deployment-status`.
pub fn say(world: &mut World, call: &Call, now: f64) -> Answer {
    let name = caller::repository(&world.github, call, Access::Write)?;
    let creator = caller::login(&world.github, call);
    let id = found(kept(world, &name)?, call)?.id;
    let status = status(call, creator, now)?;
    let it = changeable(world, &name)?;
    if let Some(environment) = call.input["environment"].as_str()
        && let Some(deployment) = it.deployments.iter_mut().find(|one| one.id == id)
    {
        environment.clone_into(&mut deployment.environment);
    }
    let own = it.say(id, status, call.input["auto_inactive"].as_bool().unwrap_or(true));
    let deployment = it.deployment(id).ok_or_else(not_found)?;
    let status = deployment.statuses.iter().find(|status| Some(status.id) == own).ok_or_else(not_found)?;
    Ok(reply(201, status_view(it, deployment, status)))
}

fn status(call: &Call, creator: String, now: f64) -> Result<Status, Refusal> {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default().to_owned();
    let wrong = |field: &str, message: &str| {
        validation(
            json!([{ "resource": "DeploymentStatus", "code": "custom", "field": field, "message": message }]),
        )
    };
    let state = required(&call.input, "state")?.to_owned();
    if !STATES.contains(&state.as_str()) {
        return Err(wrong("state", "state is not included in the list"));
    }
    let description = text("description");
    if description.chars().count() > 140 {
        return Err(wrong("description", "description is too long (maximum is 140 characters)"));
    }
    // The newer name wins where both are given.
    let log_url = if call.input["log_url"].is_string() { text("log_url") } else { text("target_url") };
    let environment_url = text("environment_url");
    Ok(Status { id: 0, state, description, log_url, environment_url, creator, created: now })
}

fn changeable<'a>(world: &'a mut World, name: &str) -> Result<&'a mut Repository, Refusal> {
    world.github.repositories.get_mut(name).ok_or_else(not_found)
}
