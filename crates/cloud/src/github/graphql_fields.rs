//! The part of GitHub's GraphQL schema that is modelled: what a field of a type is. A field that is not here is
//! answered as one that does not exist.

use serde_json::{Map, Value, json};

use super::graphql_nodes::{FieldError, FieldValue, GraphqlNode, Resolved, page_field, paginate};
use super::pulls::{MergeableState, mergeable_state};
use super::scenario::RepositoryAccess;
use super::state::{GitHubRepository, branch_ref};
use super::{auth, graphql_deployment_fields, graphql_git_fields, protection, urls};
use crate::request::ServiceCall;
use crate::world::World;

/// A field of a node.
pub fn resolve_field(
    world: &World,
    call: &ServiceCall,
    now: f64,
    node: &GraphqlNode,
    name: &str,
    arguments: &Map<String, Value>,
) -> Resolved {
    match node {
        GraphqlNode::Query => query_field(world, call, name, arguments, now),
        GraphqlNode::Page(kind, nodes, total, more, first) => {
            page_field(kind, nodes, (*total, *more, *first), name)
        }
        GraphqlNode::Edge(_, inner, place) => match name {
            "node" => Ok(FieldValue::Node((**inner).clone())),
            "cursor" => scalar_value(place.to_string()),
            _ => Err(FieldError::Undefined),
        },
        GraphqlNode::Payload(_, nodes, id) => match nodes.iter().find(|(field, _)| *field == name) {
            Some((_, node)) => Ok(FieldValue::Node(node.clone())),
            None if name == "clientMutationId" => Ok(FieldValue::Value(id.clone())),
            None => Err(FieldError::Undefined),
        },
        GraphqlNode::Plain(_, members) => plain_field(members, name),
        GraphqlNode::Repository(of) => {
            repository_field(stored_repository(world, of)?, world, call, name, arguments, now)
        }
        GraphqlNode::Ref(of, full, oid) => ref_field(stored_repository(world, of)?, full, oid, name),
        GraphqlNode::Rule(of, branch) => rule_field(stored_repository(world, of)?, world, call, branch, name),
        GraphqlNode::Commit(of, oid) => {
            graphql_git_fields::commit_field(stored_repository(world, of)?, oid, name, arguments)
        }
        GraphqlNode::Tree(of, oid) => {
            graphql_git_fields::tree_field(stored_repository(world, of)?, oid, name)
        }
        GraphqlNode::Blob(of, oid) => {
            graphql_git_fields::blob_field(stored_repository(world, of)?, oid, name)
        }
        GraphqlNode::Entry(of, path, it) => {
            graphql_git_fields::entry_field(stored_repository(world, of)?, path, it, name)
        }
        GraphqlNode::Pull(of, number) => pull_field(stored_repository(world, of)?, *number, name, now),
        GraphqlNode::Deployment(of, id) => graphql_deployment_fields::deployment_field(
            stored_repository(world, of)?,
            *id,
            name,
            arguments,
            now,
        ),
        GraphqlNode::Status(of, on, id) => {
            graphql_deployment_fields::status_field(stored_repository(world, of)?, *on, *id, name)
        }
    }
}

fn stored_repository<'a>(world: &'a World, name: &str) -> Result<&'a GitHubRepository, FieldError> {
    world.github.repositories.get(name).ok_or(FieldError::Undefined)
}

/// A scalar.
pub(super) fn scalar_value(value: impl Into<Value>) -> Resolved {
    Ok(FieldValue::Value(value.into()))
}

/// A node, or null.
pub(super) fn optional_node(node: Option<GraphqlNode>) -> Resolved {
    Ok(node.map_or(FieldValue::Null, FieldValue::Node))
}

fn plain_field(members: &Map<String, Value>, name: &str) -> Resolved {
    match members.get(name) {
        None => Err(FieldError::Undefined),
        Some(Value::Object(inner)) => {
            let kind = if name == "user" { "User" } else { "Actor" };
            Ok(FieldValue::Node(GraphqlNode::Plain(kind, inner.clone())))
        }
        Some(Value::Null) => Ok(FieldValue::Null),
        Some(scalar) => scalar_value(scalar.clone()),
    }
}

fn query_field(
    world: &World,
    call: &ServiceCall,
    name: &str,
    arguments: &Map<String, Value>,
    now: f64,
) -> Resolved {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match name {
        "nodes" => {
            let ids = arguments.get("ids").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            graphql_deployment_fields::deployments_by_node_id(world, call, ids)
        }
        "repository" => {
            let full = format!("{}/{}", text("owner"), text("name"));
            let found =
                auth::readable_repository(&world.github, call, &full).map_err(FieldError::Rejected)?;
            optional_node(Some(GraphqlNode::Repository(found.name.clone())))
        }
        "viewer" => optional_node(Some(account_node("User", &auth::caller_login(&world.github, call)))),
        "rateLimit" => {
            let headers = world.github.rate_limits.headers(auth::rate_limit_usage(&world.github, call), now);
            let number = |name: &str| {
                let header = format!("x-ratelimit-{name}");
                headers.iter().find(|(name, _)| *name == header).and_then(|(_, it)| it.parse::<u64>().ok())
            };
            let reset = urls::format_date(number("reset").unwrap_or_default() as f64);
            let members = json!({
                "cost": 1, "limit": number("limit"), "remaining": number("remaining"), "used": number("used"),
                "resetAt": reset, "nodeCount": 0,
            });
            optional_node(Some(GraphqlNode::Plain("RateLimit", super::responses::into_members(members))))
        }
        _ => Err(FieldError::Undefined),
    }
}

/// An account.
pub fn account_node(kind: &'static str, login: &str) -> GraphqlNode {
    let members = json!({
        "login": login, "id": format!("U_{}", auth::account_id(login)), "url": format!("https://github.com/{login}"),
        "databaseId": auth::account_id(login),
    });
    GraphqlNode::Plain(kind, super::responses::into_members(members))
}

fn repository_field(
    it: &GitHubRepository,
    world: &World,
    call: &ServiceCall,
    name: &str,
    arguments: &Map<String, Value>,
    now: f64,
) -> Resolved {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    if let Some(fact) = static_repository_field(it, name) {
        return scalar_value(fact);
    }
    match name {
        "owner" => optional_node(Some(account_node("Organization", it.owner_and_name().0))),
        "viewerPermission" => scalar_value(match auth::repository_access(&world.github, call, it) {
            RepositoryAccess::Write => json!("WRITE"),
            RepositoryAccess::Read => json!("READ"),
            _ => Value::Null,
        }),
        "defaultBranchRef" => {
            let full = branch_ref(&it.default_branch);
            optional_node(it.visible_ref(&full, now).map(|oid| GraphqlNode::Ref(it.name.clone(), full, oid)))
        }
        "ref" => {
            let wanted = text("qualifiedName").unwrap_or_default();
            let names = [
                wanted.to_owned(),
                format!("refs/{wanted}"),
                branch_ref(wanted),
                format!("refs/tags/{wanted}"),
            ];
            let found = names.into_iter().filter(|name| name.starts_with("refs/"));
            let mut found = found.filter_map(|full| Some((it.visible_ref(&full, now)?, full)));
            optional_node(found.next().map(|(oid, full)| GraphqlNode::Ref(it.name.clone(), full, oid)))
        }
        "object" => optional_node(graphql_git_fields::find_object(it, text("oid"), text("expression"), now)),
        "pullRequest" => {
            let number = arguments.get("number").and_then(Value::as_u64).unwrap_or_default() as usize;
            let there = (1..=it.pulls.len()).contains(&number);
            let message = format!("Could not resolve to a PullRequest with the number of {number}.");
            let missing = || FieldError::Rejected(super::responses::graphql_error("NOT_FOUND", message));
            there.then(|| FieldValue::Node(GraphqlNode::Pull(it.name.clone(), number))).ok_or_else(missing)
        }
        "pullRequests" => Ok(FieldValue::Node(pulls_connection(it, arguments))),
        "deployments"
            if !auth::has_permission(&world.github, call, it, "deployments", RepositoryAccess::Read) =>
        {
            let words = auth::inaccessible_message(&auth::caller_login(&world.github, call));
            Err(FieldError::Rejected(super::responses::graphql_error("FORBIDDEN", words)))
        }
        "deployments" => graphql_deployment_fields::deployments_connection(it, arguments),
        _ => Err(FieldError::Undefined),
    }
}

/// Fields of a repository that are the same for every caller.
fn static_repository_field(it: &GitHubRepository, name: &str) -> Option<Value> {
    Some(match name {
        "id" => urls::node_id("R", it, "").into(),
        "databaseId" => it.id.into(),
        "name" => it.owner_and_name().1.into(),
        "nameWithOwner" => it.name.clone().into(),
        "url" => urls::html_url(it, "").into(),
        "isArchived" => it.is_archived.into(),
        "isPrivate" => it.is_private.into(),
        "visibility" => (if it.is_private { "PRIVATE" } else { "PUBLIC" }).into(),
        "isFork"
        | "isDisabled"
        | "isLocked"
        | "isEmpty"
        | "isTemplate"
        | "deleteBranchOnMerge"
        | "viewerCanAdminister" => false.into(),
        "autoMergeAllowed" => it.allows_auto_merge.into(),
        "mergeCommitAllowed" | "squashMergeAllowed" | "rebaseMergeAllowed" => true.into(),
        "viewerDefaultMergeMethod" => "MERGE".into(),
        _ => return None,
    })
}

fn pulls_connection(it: &GitHubRepository, arguments: &Map<String, Value>) -> GraphqlNode {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let states = arguments.get("states").map(|states| match states {
        Value::Array(states) => states.clone(),
        one => vec![one.clone()],
    });
    let wanted = |number: &usize| {
        let pull = &it.pulls[number - 1];
        text("headRefName").is_none_or(|head| head == pull.head)
            && text("baseRefName").is_none_or(|base| base == pull.base)
            && states.as_ref().is_none_or(|states| states.contains(&json!(pull_state(pull))))
    };
    let found = (1..=it.pulls.len()).filter(wanted);
    paginate(
        "PullRequestConnection",
        found.map(|number| GraphqlNode::Pull(it.name.clone(), number)).collect(),
        arguments,
    )
}

fn ref_field(it: &GitHubRepository, full: &str, oid: &str, name: &str) -> Resolved {
    let branch = full.strip_prefix("refs/heads/");
    let short = branch.or_else(|| full.strip_prefix("refs/tags/")).unwrap_or(full);
    match name {
        "id" => scalar_value(urls::node_id("REF", it, full)),
        "name" => scalar_value(short),
        "prefix" => scalar_value(full.strip_suffix(short).unwrap_or_default()),
        "target" => optional_node(graphql_git_fields::object_node(it, oid)),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        "refUpdateRule" => {
            let branch = branch.filter(|branch| it.protection(branch).is_some());
            optional_node(branch.map(|branch| GraphqlNode::Rule(it.name.clone(), branch.into())))
        }
        // Only administrators see it.
        "branchProtectionRule" => Ok(FieldValue::Null),
        _ => Err(FieldError::Undefined),
    }
}

fn rule_field(
    it: &GitHubRepository,
    world: &World,
    call: &ServiceCall,
    branch: &str,
    name: &str,
) -> Resolved {
    let rule = it.protection(branch).ok_or(FieldError::Undefined)?;
    let login = auth::caller_login(&world.github, call);
    match name {
        "pattern" => scalar_value(branch),
        "requiredApprovingReviewCount" if rule.required_reviews == 0 => Ok(FieldValue::Null),
        "requiredApprovingReviewCount" => scalar_value(rule.required_reviews),
        "requiredStatusCheckContexts" => scalar_value(rule.required_checks.clone()),
        "viewerCanPush" => {
            let may = auth::repository_access(&world.github, call, it) >= RepositoryAccess::Write;
            scalar_value(may && protection::push_violation(it, branch, &login).is_none())
        }
        "allowsDeletions"
        | "allowsForcePushes"
        | "blocksCreations"
        | "requiresCodeOwnerReviews"
        | "requiresConversationResolution"
        | "requiresLinearHistory"
        | "requiresSignatures"
        | "viewerAllowedToDismissReviews" => scalar_value(false),
        _ => Err(FieldError::Undefined),
    }
}

fn pull_state(pull: &super::pulls::GitHubPullRequest) -> &'static str {
    match (pull.is_open, &pull.merge_commit) {
        (true, _) => "OPEN",
        (false, Some(_)) => "MERGED",
        (false, None) => "CLOSED",
    }
}

fn pull_field(it: &GitHubRepository, number: usize, name: &str, now: f64) -> Resolved {
    let pull = &it.pulls[number - 1];
    let tip = |branch: &str| it.visible_ref(&branch_ref(branch), now).unwrap_or_default();
    let standing = mergeable_state(it, number).filter(|_| pull.is_open);
    match name {
        "id" => scalar_value(urls::node_id("PR", it, &number.to_string())),
        "number" => scalar_value(number),
        "title" => scalar_value(pull.title.clone()),
        "body" => scalar_value(pull.body.clone().unwrap_or_default()),
        "state" => scalar_value(pull_state(pull)),
        "isDraft" => scalar_value(pull.is_draft),
        "merged" => scalar_value(pull.merge_commit.is_some()),
        "closed" => scalar_value(!pull.is_open),
        "url" => scalar_value(urls::html_url(it, &format!("/pull/{number}"))),
        "headRefName" => scalar_value(pull.head.clone()),
        "baseRefName" => scalar_value(pull.base.clone()),
        "headRefOid" => scalar_value(it.visible_ref(&branch_ref(&pull.head), now).or(pull.last_head.clone())),
        "baseRefOid" => scalar_value(tip(&pull.base)),
        "createdAt" => scalar_value(urls::format_date(pull.created_at)),
        "updatedAt" => scalar_value(urls::format_date(pull.updated_at)),
        "mergedAt" => scalar_value(pull.merge_commit.as_ref().map(|(_, at)| urls::format_date(*at))),
        "mergeable" => scalar_value(match standing {
            None => "UNKNOWN",
            Some(MergeableState::Dirty) => "CONFLICTING",
            Some(_) => "MERGEABLE",
        }),
        "mergeStateStatus" => {
            scalar_value(standing.map_or("UNKNOWN".into(), |it| it.as_str().to_uppercase()))
        }
        "mergeCommit" => {
            let oid = pull.merge_commit.as_ref().map(|(oid, _)| oid.clone());
            optional_node(oid.map(|oid| GraphqlNode::Commit(it.name.clone(), oid)))
        }
        "author" => optional_node(Some(account_node(
            if pull.author.ends_with("[bot]") { "Bot" } else { "User" },
            &pull.author,
        ))),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        "autoMergeRequest" => optional_node(pull.auto_merge_method.as_ref().map(|method| {
            let members = json!({
                "mergeMethod": method.to_uppercase(), "enabledAt": urls::format_date(pull.updated_at),
                "commitHeadline": pull.title, "commitBody": "", "authorEmail": null,
            });
            GraphqlNode::Plain("AutoMergeRequest", super::responses::into_members(members))
        })),
        _ => Err(FieldError::Undefined),
    }
}
