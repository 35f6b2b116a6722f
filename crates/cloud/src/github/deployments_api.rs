//! Deployments and their statuses over REST.

use serde_json::{Value, json};

use super::auth;
use super::commits::{self, GitCommit};
use super::deployments::{GitHubDeployment, GitHubDeploymentStatus, deployment_json, status_json};
use super::refs::{readable_repository, resolve_ref, stored_repository};
use super::responses::{list_page, not_found, required_str, response, unprocessable, validation_failed};
use super::scenario::RepositoryAccess;
use super::state::{GitHubRepository, branch_ref};
use crate::request::{ServiceCall, ServiceError, ServiceResult};
use crate::world::World;

const DEPLOYMENT_STATES: [&str; 7] =
    ["error", "failure", "inactive", "in_progress", "queued", "pending", "success"];

/// `repos/create-deployment`.
pub fn create_deployment(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let creator = auth::caller_login(&world.github, call);
    let it = repository_mut(world, &name)?;
    let reference = required_str(&call.input, "ref")?.to_owned();
    let missing = || unprocessable(format!("No ref found for: {reference}"));
    let sha = resolve_ref(it, &reference, now).ok_or_else(missing)?;
    if call.input["auto_merge"].as_bool().unwrap_or(true)
        && let Some(done) = merge_default_branch(it, &reference, now)
    {
        return done;
    }
    check_required_contexts(it, &sha, &reference, &call.input["required_contexts"])?;
    let text = |name: &str, usual: &str| call.input[name].as_str().unwrap_or(usual).to_owned();
    let environment = text("environment", "production");
    let production = call.input["production_environment"].as_bool().unwrap_or(environment == "production");
    let payload = match &call.input["payload"] {
        Value::Null => json!({}),
        given => given.clone(),
    };
    let id = it.deploy(GitHubDeployment {
        sha,
        reference: reference.strip_prefix("refs/heads/").unwrap_or(&reference).to_owned(),
        task: text("task", "deploy"),
        environment,
        payload,
        description: call.input["description"].as_str().map(str::to_owned),
        is_transient: call.input["transient_environment"].as_bool().unwrap_or(false),
        is_production: production,
        creator,
        created_at: now,
        ..GitHubDeployment::default()
    });
    Ok(response(201, deployment_json(it, it.deployment(id).ok_or_else(not_found)?)))
}

/// With `auto_merge` (the default), GitHub merges the default branch into an outdated branch and creates no deployment.
fn merge_default_branch(it: &mut GitHubRepository, reference: &str, now: f64) -> Option<ServiceResult> {
    let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let (default, full) = (it.default_branch.clone(), branch_ref(branch));
    let (head, theirs) = (it.refs.get(&full)?.clone(), it.refs.get(&branch_ref(&default))?.clone());
    if commits::is_ancestor(&it.objects, &theirs, &head) {
        return None;
    }
    let tree = |it: &GitHubRepository, oid: &str| Some(commits::read_commit(&it.objects, oid)?.tree);
    let join = commits::merge_base(&it.objects, &head, &theirs)?;
    let (base, own, other) = (tree(it, &join)?, tree(it, &head)?, tree(it, &theirs)?);
    let Ok(tree) = commits::merge_trees(&mut it.objects, &base, &own, &other) else {
        return Some(Err(ServiceError::with_status(
            409,
            "Conflict",
            format!("Conflict merging {default} into {branch}"),
        )));
    };
    let person = auth::web_flow_signature(now);
    let message = format!("Merge branch '{default}' into {branch}");
    let (author, committer) = (person.clone(), person);
    let merged = commits::write_commit(
        &mut it.objects,
        &GitCommit { tree, parents: vec![head, theirs], author, committer, message },
    );
    it.refs.insert(full, merged);
    let message = format!("Auto-merged {default} into {branch} on deployment.");
    Some(Ok(response(202, json!({ "message": message }))))
}

/// Checks that the client waits for: all of the commit's, unless it names some, or none.
fn check_required_contexts(
    it: &GitHubRepository,
    sha: &str,
    reference: &str,
    wanted: &Value,
) -> Result<(), ServiceError> {
    let states = it.status_contexts(sha);
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
    Err(super::responses::with_members(
        ServiceError::with_status(409, "Conflict", message),
        [("errors", errors)],
    ))
}

/// `repos/list-deployments`.
pub fn list_deployments(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
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
    Ok(list_page(found.map(|one| deployment_json(it, one)).collect(), &call.input, &path, 30))
}

/// `repos/get-deployment`.
pub fn get_deployment(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    Ok(response(200, deployment_json(it, find_deployment(it, call)?)))
}

fn find_deployment<'a>(
    it: &'a GitHubRepository,
    call: &ServiceCall,
) -> Result<&'a GitHubDeployment, ServiceError> {
    call.input["deployment_id"].as_u64().and_then(|id| it.deployment(id)).ok_or_else(not_found)
}

/// `repos/list-deployment-statuses`.
pub fn list_statuses(world: &World, call: &ServiceCall) -> ServiceResult {
    let it = readable_repository(world, call)?;
    let deployment = find_deployment(it, call)?;
    let shown = deployment.statuses.iter().rev().map(|status| status_json(it, deployment, status));
    let path = format!("/repos/{}/deployments/{}/statuses", it.name, deployment.id);
    Ok(list_page(shown.collect(), &call.input, &path, 30))
}

/// `repos/create-deployment-status`.
pub fn create_status(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let name = auth::authorize(&world.github, call, RepositoryAccess::Write)?;
    let creator = auth::caller_login(&world.github, call);
    let id = find_deployment(stored_repository(world, &name)?, call)?.id;
    let status = parse_status(call, creator, now)?;
    let is_success = status.state == "success";
    let it = repository_mut(world, &name)?;
    if let Some(environment) = call.input["environment"].as_str()
        && let Some(deployment) = it.deployments.iter_mut().find(|one| one.id == id)
    {
        environment.clone_into(&mut deployment.environment);
    }
    let own = it.add_status(id, status, call.input["auto_inactive"].as_bool().unwrap_or(true));
    if is_success {
        it.end_successful_jobs(now);
    }
    let deployment = it.deployment(id).ok_or_else(not_found)?;
    let status = deployment.statuses.iter().find(|status| Some(status.id) == own).ok_or_else(not_found)?;
    Ok(response(201, status_json(it, deployment, status)))
}

fn parse_status(
    call: &ServiceCall,
    creator: String,
    now: f64,
) -> Result<GitHubDeploymentStatus, ServiceError> {
    let text = |name: &str| call.input[name].as_str().unwrap_or_default().to_owned();
    let wrong = |field: &str, message: &str| {
        validation_failed(
            json!([{ "resource": "DeploymentStatus", "code": "custom", "field": field, "message": message }]),
        )
    };
    let state = required_str(&call.input, "state")?.to_owned();
    if !DEPLOYMENT_STATES.contains(&state.as_str()) {
        return Err(wrong("state", "state is not included in the list"));
    }
    let description = text("description");
    if description.chars().count() > 140 {
        return Err(wrong("description", "description is too long (maximum is 140 characters)"));
    }
    // The newer name wins where both are given.
    let log_url = if call.input["log_url"].is_string() { text("log_url") } else { text("target_url") };
    let environment_url = text("environment_url");
    Ok(GitHubDeploymentStatus {
        id: 0,
        state,
        description,
        log_url,
        environment_url,
        creator,
        created_at: now,
    })
}

fn repository_mut<'a>(world: &'a mut World, name: &str) -> Result<&'a mut GitHubRepository, ServiceError> {
    world.github.repositories.get_mut(name).ok_or_else(not_found)
}
