//! The mutations: a commit on a branch with the head that is expected there, and GitHub's own merge of a pull request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::git_data_api::is_valid_path;
use super::git_objects::{ObjectKind, Oid};
use super::graphql_nodes::GraphqlNode;
use super::pulls::{MergeableState, mergeable_state};
use super::responses::{graphql_error, with_members};
use super::state::branch_ref;
use super::trees::{self, TreeChanges, TreeEntry};
use super::{auth, commits, outside_commits, protection, ref_updates, urls};
use crate::request::{ServiceCall, ServiceError};
use crate::service;
use crate::world::World;

/// Performs a mutation.
pub fn perform_mutation(
    world: &mut World,
    call: &ServiceCall,
    name: &str,
    input: &Value,
    now: f64,
) -> Result<GraphqlNode, ServiceError> {
    match name {
        "createCommitOnBranch" => create_commit_on_branch(world, call, input, now),
        "enablePullRequestAutoMerge" => enable_auto_merge(world, call, input, now),
        _ => Err(service::unsupported_operation(call)),
    }
}

/// A value that its type does not allow. GitHub finds it before it does anything.
fn invalid_variable(kind: &str, path: &str, why: &str) -> ServiceError {
    let message = format!("Variable $input of type {kind}! was provided invalid value for {path} ({why})");
    let parts: Vec<&str> = path.split('.').collect();
    let problems = json!([{ "path": parts, "explanation": why }]);
    with_members(graphql_error("", message), [("extensions", json!({ "problems": problems }))])
}

/// A path, and what is in the file from now on; nothing when it is deleted.
type FileEdit = (String, Option<Vec<u8>>);

/// What a commit is to do, read from the input.
struct CommitRequest {
    repository: String,
    branch: String,
    head: Oid,
    message: String,
    changes: Vec<FileEdit>,
}

const COMMIT_INPUT_TYPE: &str = "CreateCommitOnBranchInput";
const NULL_ERROR: &str = "Expected value to not be null";

fn create_commit_on_branch(
    world: &mut World,
    call: &ServiceCall,
    input: &Value,
    now: f64,
) -> Result<GraphqlNode, ServiceError> {
    let request = parse_commit_request(world, call, input, now)?;
    let login = auth::caller_login(&world.github, call);
    let (repository, branch) = (request.repository.as_str(), request.branch.as_str());
    let it = world.github.repositories.get(repository);
    if let Some((rule, why)) = it.and_then(|it| protection::push_violation(it, branch, &login)) {
        return Err(protection::graphql_violation(rule, &why));
    }
    let paths: Vec<String> = request.changes.iter().map(|(path, _)| path.clone()).collect();
    outside_commits::commit_outside_change(world, repository, branch, &paths, now);
    let head = world.github.head(repository, branch);
    let head = head.ok_or_else(|| graphql_error("NOT_FOUND", format!("Branch {branch} not found")))?;
    if head != request.head {
        let message =
            format!("Expected branch to point to \"{}\" but it did not. Pull and try again.", request.head);
        return Err(graphql_error("STALE_DATA", message));
    }
    let author = auth::caller_signature(&world.github, call, now);
    let missing = || graphql_error("NOT_FOUND", "Could not resolve to a Repository");
    let it = world.github.repositories.get_mut(repository).ok_or_else(missing)?;
    let mut changes = TreeChanges::new();
    for (path, bytes) in &request.changes {
        if bytes.is_none() && commits::entry_at(&it.objects, &head, path).is_none() {
            let message = format!(
                "A path was requested for deletion which does not exist as of commit oid `{head}`: {path}"
            );
            return Err(graphql_error("UNPROCESSABLE", message));
        }
        // There is no mode in the request: every file that is written is a plain one afterwards.
        let entry = bytes
            .as_ref()
            .map(|bytes| TreeEntry::new(trees::FILE_MODE, it.objects.insert(ObjectKind::Blob, bytes)));
        changes.insert(path.clone(), entry);
    }
    let oid = it
        .create_commit(&head, &changes, (author, auth::web_flow_signature(now)), &request.message)
        .ok_or_else(|| graphql_error("UNPROCESSABLE", "The commit could not be made"))?;
    ref_updates::update_ref(world, repository, &branch_ref(branch), Some(oid.clone()), now);
    let nodes = vec![
        ("commit", GraphqlNode::Commit(repository.to_owned(), oid.clone())),
        ("ref", GraphqlNode::Ref(repository.to_owned(), branch_ref(branch), oid)),
    ];
    Ok(GraphqlNode::Payload("CreateCommitOnBranchPayload", nodes, input["clientMutationId"].clone()))
}

fn parse_commit_request(
    world: &World,
    call: &ServiceCall,
    input: &Value,
    now: f64,
) -> Result<CommitRequest, ServiceError> {
    let text = |value: &Value, path: &str| {
        value.as_str().map(str::to_owned).ok_or_else(|| invalid_variable(COMMIT_INPUT_TYPE, path, NULL_ERROR))
    };
    let head = text(&input["expectedHeadOid"], "expectedHeadOid")?;
    let headline = text(&input["message"]["headline"], "message.headline")?;
    let changes = parse_file_changes(&input["fileChanges"], now)?;
    let (name, branch) = resolve_branch(world, &input["branch"])?;
    let repository = auth::writable_repository(&world.github, call, &name)?;
    let message = match input["message"]["body"].as_str().filter(|body| !body.is_empty()) {
        Some(body) => format!("{headline}\n\n{body}"),
        None => headline,
    };
    if head.len() != 40 || !head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let why = format!("Could not coerce value \"{head}\" to GitObjectID");
        return Err(invalid_variable(COMMIT_INPUT_TYPE, "expectedHeadOid", &why));
    }
    Ok(CommitRequest { repository, branch, head, message, changes })
}

/// The repository and the branch that a `CommittableBranch` means.
fn resolve_branch(world: &World, input: &Value) -> Result<(String, String), ServiceError> {
    let by_name = (input["repositoryNameWithOwner"].as_str(), input["branchName"].as_str());
    if let (Some(repository), Some(branch)) = by_name {
        return Ok((repository.into(), branch.strip_prefix("refs/heads/").unwrap_or(branch).into()));
    }
    let id = input["id"].as_str().unwrap_or_default();
    let repositories = world.github.repositories.values();
    let found =
        repositories.flat_map(|it| it.refs.keys().map(move |name| (it, name))).find_map(|(it, name)| {
            (urls::node_id("REF", it, name) == id)
                .then(|| (it.name.clone(), name.strip_prefix("refs/heads/")))
        });
    match found {
        Some((repository, Some(branch))) => Ok((repository, branch.into())),
        _ => Err(graphql_error(
            "NOT_FOUND",
            format!("Could not resolve to a node with the global id of '{id}'"),
        )),
    }
}

/// Additions and deletions as changes to paths.
fn parse_file_changes(input: &Value, now: f64) -> Result<Vec<FileEdit>, ServiceError> {
    let mut changes: Vec<FileEdit> = Vec::new();
    for list in ["additions", "deletions"] {
        match input.get(list) {
            None => continue,
            // Seen at GitHub: a list may be left out, but not be null.
            Some(Value::Null) => return Err(internal_error(now)),
            Some(items) => {
                for (place, item) in items.as_array().into_iter().flatten().enumerate() {
                    changes.push(parse_file_change(list, place, item)?);
                }
            }
        }
    }
    for (place, (path, _)) in changes.iter().enumerate() {
        if changes[..place].iter().any(|(other, _)| other == path) {
            let message = format!("A path was specified more than once: {path}");
            return Err(graphql_error("UNPROCESSABLE", message));
        }
    }
    Ok(changes)
}

fn parse_file_change(list: &str, place: usize, item: &Value) -> Result<FileEdit, ServiceError> {
    let at = |name: &str| format!("fileChanges.{list}.{place}.{name}");
    let path =
        item["path"].as_str().ok_or_else(|| invalid_variable(COMMIT_INPUT_TYPE, &at("path"), NULL_ERROR))?;
    if !is_valid_path(path) {
        return Err(graphql_error("UNPROCESSABLE", format!("The path is not valid: {path:?}")));
    }
    if list == "deletions" {
        return Ok((path.into(), None));
    }
    let contents = item["contents"]
        .as_str()
        .ok_or_else(|| invalid_variable(COMMIT_INPUT_TYPE, &at("contents"), NULL_ERROR))?;
    let bytes = STANDARD.decode(contents).map_err(|_| {
        invalid_variable(COMMIT_INPUT_TYPE, &at("contents"), "Could not coerce value to Base64String")
    })?;
    Ok((path.into(), Some(bytes)))
}

fn internal_error(now: f64) -> ServiceError {
    let message = format!(
        "Something went wrong while executing your query on {}. Please include the request id when reporting this issue.",
        urls::format_date(now)
    );
    graphql_error("", message)
}

fn enable_auto_merge(
    world: &mut World,
    call: &ServiceCall,
    input: &Value,
    now: f64,
) -> Result<GraphqlNode, ServiceError> {
    let id = input["pullRequestId"]
        .as_str()
        .ok_or_else(|| invalid_variable("EnablePullRequestAutoMergeInput", "pullRequestId", NULL_ERROR))?;
    let unknown =
        || graphql_error("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"));
    let found = world.github.repositories.values().find_map(|it| {
        let number =
            (1..=it.pulls.len()).find(|number| urls::node_id("PR", it, &number.to_string()) == id)?;
        Some((it.name.clone(), number))
    });
    let (name, number) = found.ok_or_else(unknown)?;
    let repository = auth::writable_repository(&world.github, call, &name)?;
    let login = auth::caller_login(&world.github, call);
    let refused = |message: &str| Err(graphql_error("UNPROCESSABLE", message));
    let it = world.github.repositories.get_mut(&repository).ok_or_else(unknown)?;
    if !it.allows_auto_merge {
        return refused("Auto merge is not allowed for this repository");
    }
    let expected = input["expectedHeadOid"].as_str();
    let pull = &it.pulls[number - 1];
    if !pull.is_open {
        return refused("Pull request is closed");
    }
    if expected.is_some() && expected != it.refs.get(&branch_ref(&pull.head)).map(String::as_str) {
        return refused("Head sha didn't match expected head sha");
    }
    match mergeable_state(it, number) {
        Some(MergeableState::Blocked) => {}
        Some(other) => {
            return refused(&format!("Pull request Pull request is in {} status", other.as_str()));
        }
        None => return Err(unknown()),
    }
    let method = input["mergeMethod"].as_str().unwrap_or("MERGE").to_lowercase();
    let pull = &mut it.pulls[number - 1];
    (pull.auto_merge_method, pull.updated_at) = (Some(method), now);
    let actor = GraphqlNode::Plain(
        "Bot",
        super::responses::into_members(
            json!({ "login": login, "url": format!("https://github.com/{login}") }),
        ),
    );
    let nodes = vec![("pullRequest", GraphqlNode::Pull(repository, number)), ("actor", actor)];
    Ok(GraphqlNode::Payload("EnablePullRequestAutoMergePayload", nodes, input["clientMutationId"].clone()))
}
