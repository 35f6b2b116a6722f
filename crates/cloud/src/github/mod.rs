//! GitHub: Git repositories, refs, pull requests, and the two APIs to them. This file only leads calls to what answers them.

/// Bad tokens, rates and faults.
pub mod admission;
/// Who calls, and what that token may do.
pub mod auth;
/// The built-in scenarios.
mod builtin;
/// Check runs.
pub mod check_runs;
/// Comments.
pub mod comments;
/// Commits and histories.
pub mod commits;
/// How two commits lie to each other.
pub mod compare;
/// Deployments as they are kept.
pub mod deployments;
/// Deployments and their statuses over REST.
pub mod deployments_api;
/// What can go wrong.
pub mod faults;
/// Blobs, trees and commits one by one.
pub mod git_data_api;
/// Git's objects.
pub mod git_objects;
/// Running a GraphQL document.
pub mod graphql;
/// Deployments in the GraphQL API.
pub mod graphql_deployment_fields;
/// Types and fields of the GraphQL API.
pub mod graphql_fields;
/// Fields of Git objects in the GraphQL API.
pub mod graphql_git_fields;
/// The mutations of the GraphQL API.
pub mod graphql_mutations;
/// Things that have fields, and lists of them.
pub mod graphql_nodes;
/// Fragments and variables of a GraphQL document.
pub mod graphql_plan;
/// Somebody else's commits.
pub mod outside_commits;
/// Packs of objects.
pub mod packfile;
/// Which permission of a token an operation needs.
pub mod permissions;
/// Branch protection.
pub mod protection;
/// Pull requests.
pub mod pulls;
/// Pull requests over REST.
pub mod pulls_api;
/// Request rates.
pub mod rate_limits;
/// A ref moves.
pub mod ref_updates;
/// Refs.
pub mod refs;
/// Repositories, files and lists of commits.
pub mod repos_api;
/// Answers in GitHub's words.
pub mod responses;
/// The repository that runs belong to.
pub mod run;
/// The block of a scenario.
pub mod scenario;
/// The past of a repository.
pub mod seed;
/// What GitHub holds.
pub mod state;
/// Folders.
pub mod trees;
/// Refs and packs for `git fetch`.
pub mod upload_pack;
/// Numbers, times and addresses.
pub mod urls;
/// Runs of workflows.
pub mod workflow_runs;

use super::builtin::Builtin;
use super::request::{ServiceCall, ServiceError, ServiceResult};
use super::scenario::Scenario;
use super::service::{ErrorCodes, Gatekeeper, Service, ServiceProtocol, unsupported_operation};
use super::world::World;

/// What GitHub calls the errors that every service has; `admission` adds what goes with them.
static ERRORS: ErrorCodes = ErrorCodes::AWS_JSON
    .with_throttled(403, "SecondaryRateLimit")
    .with_denied(403, "Forbidden")
    .with_expired(401, "Unauthorized")
    .with_unknown_token(401, "Unauthorized")
    .with_internal(502, "BadGateway");

/// GitHub, with real Git repositories.
pub struct GitHub;

impl Service for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn protocol(&self) -> ServiceProtocol {
        ServiceProtocol::Own
    }

    fn errors(&self) -> &'static ErrorCodes {
        &ERRORS
    }

    fn validate(&self, scenario: &Scenario) -> Result<(), String> {
        scenario.github.repositories.iter().try_for_each(|it| seed::validate(&it.history))
    }

    fn seed(&self, world: &mut World, scenario: &Scenario, began: f64) {
        world.github = state::GitHubState::from_seed(&scenario.github, began);
        world.github.ensure_repository(&scenario.workflow.repository, began);
    }

    fn handle(&self, world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
        answer_call(world, call, now)
    }

    fn is_mutating(&self, operation: &str) -> bool {
        is_mutating(operation)
    }

    fn gatekeeper(&self) -> Gatekeeper {
        Gatekeeper::Own(admission::check_github_call)
    }

    fn replace_answer(&self, world: &mut World, call: &ServiceCall) -> Option<ServiceError> {
        admission::replace_answer(world, call)
    }

    fn scenarios(&self) -> &'static [Builtin] {
        builtin::SCENARIOS
    }
}

/// Operations are a part of the API and a verb; queries of GraphQL are `graphql` and a name, its mutations a name alone.
fn is_mutating(operation: &str) -> bool {
    match operation.split_once('/') {
        Some(("graphql", _)) => false,
        Some((_, verb)) => !["get", "list", "compare"].iter().any(|start| verb.starts_with(start)),
        None => operation != "graphql",
    }
}

fn answer_call(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    let answer = dispatch_operation(world, call, now);
    let usage = auth::rate_limit_usage(&world.github, call);
    let headers = world.github.rate_limits.headers(usage, now);
    responses::with_headers(answer, headers)
}

fn dispatch_operation(world: &mut World, call: &ServiceCall, now: f64) -> ServiceResult {
    match call.operation.as_str() {
        "upload-pack/get-advertisement" | "upload-pack/list-refs" => upload_pack::list_refs(world, call),
        "upload-pack/get-pack" => upload_pack::get_pack(world, call),
        "repos/get" => repos_api::repository(world, call),
        "repos/get-branch" => refs::get_branch(world, call, now),
        "repos/get-content" => repos_api::get_content(world, call, now),
        "repos/list-commits" => repos_api::list(world, call, now),
        "repos/get-commit" => repos_api::get_commit(world, call, now),
        "repos/compare-commits" => compare::compare_commits(world, call, now),
        "git/get-ref" => refs::get(world, call, now),
        "git/list-matching-refs" => refs::list_matching(world, call, now),
        "git/create-ref" => refs::create(world, call, now),
        "git/update-ref" => refs::update(world, call, now),
        "git/delete-ref" => refs::delete(world, call, now),
        "git/get-blob" => git_data_api::get_blob(world, call),
        "git/create-blob" => git_data_api::create_blob(world, call),
        "git/get-tree" => git_data_api::get_tree(world, call, now),
        "git/create-tree" => git_data_api::create_tree(world, call),
        "git/get-commit" => git_data_api::get_commit(world, call),
        "git/create-commit" => git_data_api::create_commit(world, call, now),
        "pulls/list" => pulls_api::list(world, call),
        "pulls/create" => pulls_api::create(world, call, now),
        "pulls/get" => pulls_api::get(world, call),
        "pulls/update" => pulls_api::update(world, call, now),
        "pulls/merge" => pulls_api::merge(world, call, now),
        "repos/create-deployment" => deployments_api::create_deployment(world, call, now),
        "repos/list-deployments" => deployments_api::list_deployments(world, call),
        "repos/get-deployment" => deployments_api::get_deployment(world, call),
        "repos/create-deployment-status" => deployments_api::create_status(world, call, now),
        "repos/list-deployment-statuses" => deployments_api::list_statuses(world, call),
        "checks/create" => check_runs::create(world, call, now),
        "checks/update" => check_runs::update(world, call, now),
        "checks/list-for-ref" => check_runs::list(world, call, now),
        "issues/list-comments" => comments::list(world, call),
        "issues/create-comment" => comments::create(world, call, now),
        "issues/update-comment" => comments::update(world, call, now),
        "actions/get-workflow-run" => workflow_runs::get_run(world, call),
        "actions/get-workflow-run-attempt" => workflow_runs::get_attempt(world, call),
        "actions/list-jobs-for-workflow-run-attempt" => workflow_runs::list_jobs(world, call),
        _ if call.input["query"].is_string() => graphql::execute(world, call, now),
        _ => Err(unsupported_operation(call)),
    }
}
