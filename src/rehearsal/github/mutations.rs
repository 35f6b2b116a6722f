//! The mutations: a commit on a branch with the head that is expected there, and GitHub's own merge of a pull request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answers::{graphql, with};
use super::database::sound;
use super::nodes::Node;
use super::objects::{Kind, Oid};
use super::pulls::{Standing, standing};
use super::state::branch_ref;
use super::trees::{self, Changes, Entry};
use super::{caller, commits, links, moves, protection, rivals};
use crate::rehearsal::call::{Call, Refusal};
use crate::rehearsal::dispatch;
use crate::rehearsal::world::World;

/// Performs a mutation.
pub fn perform(world: &mut World, call: &Call, name: &str, input: &Value, now: f64) -> Result<Node, Refusal> {
    match name {
        "createCommitOnBranch" => commit_on_branch(world, call, input, now),
        "enablePullRequestAutoMerge" => auto_merge(world, call, input, now),
        _ => Err(dispatch::not_modelled(call)),
    }
}

/// A value that its type does not allow. GitHub finds it before it does anything.
fn invalid(kind: &str, path: &str, why: &str) -> Refusal {
    let message = format!("Variable $input of type {kind}! was provided invalid value for {path} ({why})");
    let parts: Vec<&str> = path.split('.').collect();
    let problems = json!([{ "path": parts, "explanation": why }]);
    with(graphql("", message), [("extensions", json!({ "problems": problems }))])
}

/// A path, and what is in the file from now on; nothing when it is deleted.
type Change = (String, Option<Vec<u8>>);

/// What a commit is to do, read from the input.
struct Wish {
    repository: String,
    branch: String,
    head: Oid,
    message: String,
    changes: Vec<Change>,
}

const INPUT: &str = "CreateCommitOnBranchInput";
const NULL: &str = "Expected value to not be null";

fn commit_on_branch(world: &mut World, call: &Call, input: &Value, now: f64) -> Result<Node, Refusal> {
    let wish = wish(world, call, input, now)?;
    let login = caller::login(&world.github, call);
    let (repository, branch) = (wish.repository.as_str(), wish.branch.as_str());
    let it = world.github.repositories.get(repository);
    if let Some((rule, why)) = it.and_then(|it| protection::violation(it, branch, &login)) {
        return Err(protection::by_graphql(rule, &why));
    }
    let paths: Vec<String> = wish.changes.iter().map(|(path, _)| path.clone()).collect();
    rivals::strike(world, repository, branch, &paths, now);
    let head = world.github.head(repository, branch);
    let head = head.ok_or_else(|| graphql("NOT_FOUND", format!("Branch {branch} not found")))?;
    if head != wish.head {
        let message =
            format!("Expected branch to point to \"{}\" but it did not. Pull and try again.", wish.head);
        return Err(graphql("STALE_DATA", message));
    }
    let author = caller::person(&world.github, call, now);
    let missing = || graphql("NOT_FOUND", "Could not resolve to a Repository");
    let it = world.github.repositories.get_mut(repository).ok_or_else(missing)?;
    let mut changes = Changes::new();
    for (path, bytes) in &wish.changes {
        if bytes.is_none() && commits::at(&it.objects, &head, path).is_none() {
            let message = format!(
                "A path was requested for deletion which does not exist as of commit oid `{head}`: {path}"
            );
            return Err(graphql("UNPROCESSABLE", message));
        }
        // There is no mode in the request: every file that is written is a plain one afterwards.
        let entry = bytes.as_ref().map(|bytes| Entry::new(trees::FILE, it.objects.put(Kind::Blob, bytes)));
        changes.insert(path.clone(), entry);
    }
    let oid = it
        .commit(&head, &changes, (author, caller::web_flow(now)), &wish.message)
        .ok_or_else(|| graphql("UNPROCESSABLE", "The commit could not be made"))?;
    moves::to(world, repository, &branch_ref(branch), Some(oid.clone()), now);
    let nodes = vec![
        ("commit", Node::Commit(repository.to_owned(), oid.clone())),
        ("ref", Node::Ref(repository.to_owned(), branch_ref(branch), oid)),
    ];
    Ok(Node::Payload("CreateCommitOnBranchPayload", nodes, input["clientMutationId"].clone()))
}

fn wish(world: &World, call: &Call, input: &Value, now: f64) -> Result<Wish, Refusal> {
    let text = |value: &Value, path: &str| {
        value.as_str().map(str::to_owned).ok_or_else(|| invalid(INPUT, path, NULL))
    };
    let head = text(&input["expectedHeadOid"], "expectedHeadOid")?;
    let headline = text(&input["message"]["headline"], "message.headline")?;
    let changes = changes(&input["fileChanges"], now)?;
    let (name, branch) = branch(world, &input["branch"])?;
    let repository = caller::changeable(&world.github, call, &name)?;
    let message = match input["message"]["body"].as_str().filter(|body| !body.is_empty()) {
        Some(body) => format!("{headline}\n\n{body}"),
        None => headline,
    };
    if head.len() != 40 || !head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let why = format!("Could not coerce value \"{head}\" to GitObjectID");
        return Err(invalid(INPUT, "expectedHeadOid", &why));
    }
    Ok(Wish { repository, branch, head, message, changes })
}

/// The repository and the branch that a `CommittableBranch` means.
fn branch(world: &World, input: &Value) -> Result<(String, String), Refusal> {
    let by_name = (input["repositoryNameWithOwner"].as_str(), input["branchName"].as_str());
    if let (Some(repository), Some(branch)) = by_name {
        return Ok((repository.into(), branch.strip_prefix("refs/heads/").unwrap_or(branch).into()));
    }
    let id = input["id"].as_str().unwrap_or_default();
    let repositories = world.github.repositories.values();
    let found =
        repositories.flat_map(|it| it.refs.keys().map(move |name| (it, name))).find_map(|(it, name)| {
            (links::node("REF", it, name) == id).then(|| (it.name.clone(), name.strip_prefix("refs/heads/")))
        });
    match found {
        Some((repository, Some(branch))) => Ok((repository, branch.into())),
        _ => Err(graphql("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"))),
    }
}

/// Additions and deletions as changes to paths.
fn changes(input: &Value, now: f64) -> Result<Vec<Change>, Refusal> {
    let mut changes: Vec<Change> = Vec::new();
    for list in ["additions", "deletions"] {
        match input.get(list) {
            None => continue,
            // Seen at GitHub: a list may be left out, but not be null.
            Some(Value::Null) => return Err(went_wrong(now)),
            Some(items) => {
                for (place, item) in items.as_array().into_iter().flatten().enumerate() {
                    changes.push(change(list, place, item)?);
                }
            }
        }
    }
    for (place, (path, _)) in changes.iter().enumerate() {
        if changes[..place].iter().any(|(other, _)| other == path) {
            let message = format!("A path was specified more than once: {path}");
            return Err(graphql("UNPROCESSABLE", message));
        }
    }
    Ok(changes)
}

fn change(list: &str, place: usize, item: &Value) -> Result<Change, Refusal> {
    let at = |name: &str| format!("fileChanges.{list}.{place}.{name}");
    let path = item["path"].as_str().ok_or_else(|| invalid(INPUT, &at("path"), NULL))?;
    if !sound(path) {
        return Err(graphql("UNPROCESSABLE", format!("The path is not valid: {path:?}")));
    }
    if list == "deletions" {
        return Ok((path.into(), None));
    }
    let contents = item["contents"].as_str().ok_or_else(|| invalid(INPUT, &at("contents"), NULL))?;
    let bytes = STANDARD
        .decode(contents)
        .map_err(|_| invalid(INPUT, &at("contents"), "Could not coerce value to Base64String"))?;
    Ok((path.into(), Some(bytes)))
}

fn went_wrong(now: f64) -> Refusal {
    let message = format!(
        "Something went wrong while executing your query on {}. Please include the request id when reporting this issue.",
        links::date(now)
    );
    graphql("", message)
}

fn auto_merge(world: &mut World, call: &Call, input: &Value, now: f64) -> Result<Node, Refusal> {
    let id = input["pullRequestId"]
        .as_str()
        .ok_or_else(|| invalid("EnablePullRequestAutoMergeInput", "pullRequestId", NULL))?;
    let unknown =
        || graphql("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"));
    let found = world.github.repositories.values().find_map(|it| {
        let number = (1..=it.pulls.len()).find(|number| links::node("PR", it, &number.to_string()) == id)?;
        Some((it.name.clone(), number))
    });
    let (name, number) = found.ok_or_else(unknown)?;
    let repository = caller::changeable(&world.github, call, &name)?;
    let login = caller::login(&world.github, call);
    let refused = |message: &str| Err(graphql("UNPROCESSABLE", message));
    let it = world.github.repositories.get_mut(&repository).ok_or_else(unknown)?;
    if !it.auto_merge {
        return refused("Auto merge is not allowed for this repository");
    }
    let expected = input["expectedHeadOid"].as_str();
    let pull = &it.pulls[number - 1];
    if !pull.open {
        return refused("Pull request is closed");
    }
    if expected.is_some() && expected != it.refs.get(&branch_ref(&pull.head)).map(String::as_str) {
        return refused("Head sha didn't match expected head sha");
    }
    match standing(it, number) {
        Some(Standing::Blocked) => {}
        Some(other) => {
            return refused(&format!("Pull request Pull request is in {} status", other.word()));
        }
        None => return Err(unknown()),
    }
    let method = input["mergeMethod"].as_str().unwrap_or("MERGE").to_lowercase();
    let pull = &mut it.pulls[number - 1];
    (pull.auto_merge, pull.updated) = (Some(method), now);
    let actor = Node::Plain(
        "Bot",
        super::answers::members(json!({ "login": login, "url": format!("https://github.com/{login}") })),
    );
    let nodes = vec![("pullRequest", Node::Pull(repository, number)), ("actor", actor)];
    Ok(Node::Payload("EnablePullRequestAutoMergePayload", nodes, input["clientMutationId"].clone()))
}
