//! GitHub: Git repositories, refs, pull requests, and the two APIs to them. This file only leads calls to what answers them.

/// Answers in GitHub's words.
pub mod answers;
/// A repository as the files of a bare one.
pub mod bare;
/// Who calls, and what that token may do.
pub mod caller;
/// Check runs.
pub mod checks;
/// Comments.
pub mod comments;
/// Commits and histories.
pub mod commits;
/// How two commits lie to each other.
pub mod compare;
/// Blobs, trees and commits one by one.
pub mod database;
/// Deployments and their statuses over REST.
pub mod deploying;
/// Deployments in the GraphQL API.
pub mod deployment_fields;
/// Deployments as they are kept.
pub mod deployments;
/// What can go wrong.
pub mod faults;
/// Types and fields of the GraphQL API.
pub mod fields;
/// Repositories, files and lists of commits.
pub mod files;
/// Bad tokens, rates and faults.
pub mod gate;
/// Running a GraphQL document.
pub mod graphql;
/// The past of a repository.
pub mod history;
/// Request rates.
pub mod limits;
/// Numbers, times and addresses.
pub mod links;
/// A ref moves.
pub mod moves;
/// The mutations of the GraphQL API.
pub mod mutations;
/// Things that have fields, and lists of them.
pub mod nodes;
/// Git's objects.
pub mod objects;
/// The repository that runs belong to.
pub mod project;
/// Pull requests over REST.
pub mod proposals;
/// Branch protection.
pub mod protection;
/// Pull requests.
pub mod pulls;
/// Refs.
pub mod refs;
/// Which permission of a token an operation needs.
pub mod rights;
/// Somebody else's commits.
pub mod rivals;
/// Runs of workflows.
pub mod runs;
/// The block of a scenario.
pub mod settings;
/// What GitHub holds.
pub mod state;
/// Folders.
pub mod trees;

use super::call::{Answer, Call};
use super::dispatch;
use super::world::World;

/// Answers a call at `now`, epoch seconds.
pub fn answer(world: &mut World, call: &Call, now: f64) -> Answer {
    let answer = lead(world, call, now);
    let usage = caller::usage(&world.github, call);
    let headers = world.github.limits.headers(usage, now);
    answers::with_headers(answer, headers)
}

fn lead(world: &mut World, call: &Call, now: f64) -> Answer {
    match call.operation.as_str() {
        "git/get-file" => files::of_repository(world, call),
        "repos/get" => files::repository(world, call),
        "repos/get-branch" => refs::branch(world, call, now),
        "repos/get-content" => files::content(world, call, now),
        "repos/list-commits" => files::list(world, call, now),
        "repos/get-commit" => files::commit(world, call, now),
        "repos/compare-commits" => compare::answer(world, call, now),
        "git/get-ref" => refs::get(world, call, now),
        "git/list-matching-refs" => refs::matching(world, call, now),
        "git/create-ref" => refs::create(world, call, now),
        "git/update-ref" => refs::update(world, call, now),
        "git/delete-ref" => refs::delete(world, call, now),
        "git/get-blob" => database::blob(world, call),
        "git/create-blob" => database::create_blob(world, call),
        "git/get-tree" => database::tree(world, call, now),
        "git/create-tree" => database::create_tree(world, call),
        "git/get-commit" => database::commit(world, call),
        "git/create-commit" => database::create_commit(world, call, now),
        "pulls/list" => proposals::list(world, call),
        "pulls/create" => proposals::create(world, call, now),
        "pulls/get" => proposals::get(world, call),
        "pulls/update" => proposals::update(world, call, now),
        "pulls/merge" => proposals::merge(world, call, now),
        "repos/create-deployment" => deploying::create(world, call, now),
        "repos/list-deployments" => deploying::list(world, call),
        "repos/get-deployment" => deploying::get(world, call),
        "repos/create-deployment-status" => deploying::say(world, call, now),
        "repos/list-deployment-statuses" => deploying::statuses(world, call),
        "checks/create" => checks::create(world, call, now),
        "checks/update" => checks::update(world, call, now),
        "checks/list-for-ref" => checks::list(world, call, now),
        "issues/list-comments" => comments::list(world, call),
        "issues/create-comment" => comments::create(world, call, now),
        "issues/update-comment" => comments::update(world, call, now),
        "actions/get-workflow-run" => runs::get(world, call),
        "actions/get-workflow-run-attempt" => runs::attempt(world, call),
        _ if call.input["query"].is_string() => graphql::answer(world, call, now),
        _ => Err(dispatch::not_modelled(call)),
    }
}
