//! The part of GitHub's GraphQL schema that is modelled: what a field of a type is. A field that is not here is
//! answered as one that does not exist.

use serde_json::{Map, Value, json};

use super::nodes::{Found, Node, Out, Problem, page, paged};
use super::objects::Kind;
use super::pulls::{Standing, standing};
use super::refs::resolve as resolved;
use super::settings::Access;
use super::state::{Repository, branch_ref};
use super::trees::{self, Entry};
use super::{caller, commits, deployment_fields, links, protection};
use crate::rehearsal::call::Call;
use crate::rehearsal::world::World;

/// Blobs longer than this are cut off.
const LONGEST: usize = 512_000;

/// A field of a node.
pub fn resolve(
    world: &World,
    call: &Call,
    now: f64,
    node: &Node,
    name: &str,
    arguments: &Map<String, Value>,
) -> Found {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    match node {
        Node::Query => query(world, call, name, &text, now),
        Node::Page(kind, nodes, total, more, first) => page(kind, nodes, (*total, *more, *first), name),
        Node::Edge(_, inner, place) => match name {
            "node" => Ok(Out::Node((**inner).clone())),
            "cursor" => value(place.to_string()),
            _ => Err(Problem::Undefined),
        },
        Node::Payload(_, nodes, id) => match nodes.iter().find(|(field, _)| *field == name) {
            Some((_, node)) => Ok(Out::Node(node.clone())),
            None if name == "clientMutationId" => Ok(Out::Value(id.clone())),
            None => Err(Problem::Undefined),
        },
        Node::Plain(_, members) => plain(members, name),
        Node::Repository(of) => repository(kept(world, of)?, world, call, name, arguments, now),
        Node::Ref(of, full, oid) => reference(kept(world, of)?, full, oid, name),
        Node::Rule(of, branch) => rule(kept(world, of)?, world, call, branch, name),
        Node::Commit(of, oid) => commit(kept(world, of)?, oid, name, arguments),
        Node::Tree(of, oid) => tree(kept(world, of)?, oid, name),
        Node::Blob(of, oid) => blob(kept(world, of)?, oid, name),
        Node::Entry(of, path, it) => entry(kept(world, of)?, path, it, name),
        Node::Pull(of, number) => pull(kept(world, of)?, *number, name, now),
        Node::Deployment(of, id) => {
            deployment_fields::deployment(kept(world, of)?, *id, name, arguments, now)
        }
        Node::Status(of, on, id) => deployment_fields::status(kept(world, of)?, *on, *id, name),
    }
}

fn kept<'a>(world: &'a World, name: &str) -> Result<&'a Repository, Problem> {
    world.github.repositories.get(name).ok_or(Problem::Undefined)
}

fn value(value: impl Into<Value>) -> Found {
    Ok(Out::Value(value.into()))
}

fn node(node: Option<Node>) -> Found {
    Ok(node.map_or(Out::Null, Out::Node))
}

fn plain(members: &Map<String, Value>, name: &str) -> Found {
    match members.get(name) {
        None => Err(Problem::Undefined),
        Some(Value::Object(inner)) => {
            let kind = if name == "user" { "User" } else { "Actor" };
            Ok(Out::Node(Node::Plain(kind, inner.clone())))
        }
        Some(Value::Null) => Ok(Out::Null),
        Some(scalar) => value(scalar.clone()),
    }
}

fn query<'t>(world: &World, call: &Call, name: &str, text: &impl Fn(&str) -> &'t str, now: f64) -> Found {
    match name {
        "repository" => {
            let full = format!("{}/{}", text("owner"), text("name"));
            let found = caller::readable(&world.github, call, &full).map_err(Problem::Refused)?;
            node(Some(Node::Repository(found.name.clone())))
        }
        "viewer" => node(Some(account("User", &caller::login(&world.github, call)))),
        "rateLimit" => {
            let headers = world.github.limits.headers(caller::usage(&world.github, call), now);
            let number = |name: &str| {
                let header = format!("x-ratelimit-{name}");
                headers.iter().find(|(name, _)| *name == header).and_then(|(_, it)| it.parse::<u64>().ok())
            };
            let reset = links::date(number("reset").unwrap_or_default() as f64);
            let members = json!({
                "cost": 1, "limit": number("limit"), "remaining": number("remaining"), "used": number("used"),
                "resetAt": reset, "nodeCount": 0,
            });
            node(Some(Node::Plain("RateLimit", super::answers::members(members))))
        }
        _ => Err(Problem::Undefined),
    }
}

/// An account.
pub fn account(kind: &'static str, login: &str) -> Node {
    let members = json!({
        "login": login, "id": format!("U_{}", caller::id(login)), "url": format!("https://github.com/{login}"),
        "databaseId": caller::id(login),
    });
    Node::Plain(kind, super::answers::members(members))
}

fn repository(
    it: &Repository,
    world: &World,
    call: &Call,
    name: &str,
    arguments: &Map<String, Value>,
    now: f64,
) -> Found {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    if let Some(fact) = fact(it, name) {
        return value(fact);
    }
    match name {
        "owner" => node(Some(account("Organization", it.parts().0))),
        "viewerPermission" => value(match caller::access(&world.github, call, it) {
            Access::Write => json!("WRITE"),
            Access::Read => json!("READ"),
            _ => Value::Null,
        }),
        "defaultBranchRef" => {
            let full = branch_ref(&it.default_branch);
            node(it.seen(&full, now).map(|oid| Node::Ref(it.name.clone(), full, oid)))
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
            let mut found = found.filter_map(|full| Some((it.seen(&full, now)?, full)));
            node(found.next().map(|(oid, full)| Node::Ref(it.name.clone(), full, oid)))
        }
        "object" => node(object(it, text("oid"), text("expression"), now)),
        "pullRequest" => {
            let number = arguments.get("number").and_then(Value::as_u64).unwrap_or_default() as usize;
            let there = (1..=it.pulls.len()).contains(&number);
            let message = format!("Could not resolve to a PullRequest with the number of {number}.");
            let missing = || Problem::Refused(super::answers::graphql("NOT_FOUND", message));
            there.then(|| Out::Node(Node::Pull(it.name.clone(), number))).ok_or_else(missing)
        }
        "pullRequests" => Ok(Out::Node(pulls(it, arguments))),
        "deployments" if !caller::may(&world.github, call, it, "deployments", Access::Read) => {
            let words = caller::inaccessible(&caller::login(&world.github, call));
            Err(Problem::Refused(super::answers::graphql("FORBIDDEN", words)))
        }
        "deployments" => Ok(Out::Node(deployment_fields::connection(it, arguments))),
        _ => Err(Problem::Undefined),
    }
}

/// What a repository is, whoever asks.
fn fact(it: &Repository, name: &str) -> Option<Value> {
    Some(match name {
        "id" => links::node("R", it, "").into(),
        "databaseId" => it.id.into(),
        "name" => it.parts().1.into(),
        "nameWithOwner" => it.name.clone().into(),
        "url" => links::site(it, "").into(),
        "isArchived" => it.archived.into(),
        "isPrivate" => it.private.into(),
        "visibility" => (if it.private { "PRIVATE" } else { "PUBLIC" }).into(),
        "isFork"
        | "isDisabled"
        | "isLocked"
        | "isEmpty"
        | "isTemplate"
        | "deleteBranchOnMerge"
        | "viewerCanAdminister" => false.into(),
        "autoMergeAllowed" => it.auto_merge.into(),
        "mergeCommitAllowed" | "squashMergeAllowed" | "rebaseMergeAllowed" => true.into(),
        "viewerDefaultMergeMethod" => "MERGE".into(),
        _ => return None,
    })
}

fn pulls(it: &Repository, arguments: &Map<String, Value>) -> Node {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let states = arguments.get("states").map(|states| match states {
        Value::Array(states) => states.clone(),
        one => vec![one.clone()],
    });
    let wanted = |number: &usize| {
        let pull = &it.pulls[number - 1];
        text("headRefName").is_none_or(|head| head == pull.head)
            && text("baseRefName").is_none_or(|base| base == pull.base)
            && states.as_ref().is_none_or(|states| states.contains(&json!(state(pull))))
    };
    let found = (1..=it.pulls.len()).filter(wanted);
    paged(
        "PullRequestConnection",
        found.map(|number| Node::Pull(it.name.clone(), number)).collect(),
        arguments,
    )
}

fn object(it: &Repository, oid: Option<&str>, expression: Option<&str>, now: f64) -> Option<Node> {
    if let Some(oid) = oid {
        return thing(it, oid);
    }
    let oid = match expression?.split_once(':') {
        Some((name, path)) => commits::at(&it.objects, &resolved(it, name, now)?, path)?.oid,
        None => resolved(it, expression?, now)?,
    };
    thing(it, &oid)
}

fn thing(it: &Repository, oid: &str) -> Option<Node> {
    let (of, own) = (it.name.clone(), oid.to_owned());
    Some(match it.objects.kind(oid)? {
        Kind::Blob => Node::Blob(of, own),
        Kind::Tree => Node::Tree(of, own),
        Kind::Commit => Node::Commit(of, own),
    })
}

fn reference(it: &Repository, full: &str, oid: &str, name: &str) -> Found {
    let branch = full.strip_prefix("refs/heads/");
    let short = branch.or_else(|| full.strip_prefix("refs/tags/")).unwrap_or(full);
    match name {
        "id" => value(links::node("REF", it, full)),
        "name" => value(short),
        "prefix" => value(full.strip_suffix(short).unwrap_or_default()),
        "target" => node(thing(it, oid)),
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        "refUpdateRule" => {
            let branch = branch.filter(|branch| it.protection(branch).is_some());
            node(branch.map(|branch| Node::Rule(it.name.clone(), branch.into())))
        }
        // Only administrators see it.
        "branchProtectionRule" => Ok(Out::Null),
        _ => Err(Problem::Undefined),
    }
}

fn rule(it: &Repository, world: &World, call: &Call, branch: &str, name: &str) -> Found {
    let rule = it.protection(branch).ok_or(Problem::Undefined)?;
    let login = caller::login(&world.github, call);
    match name {
        "pattern" => value(branch),
        "requiredApprovingReviewCount" if rule.required_reviews == 0 => Ok(Out::Null),
        "requiredApprovingReviewCount" => value(rule.required_reviews),
        "requiredStatusCheckContexts" => value(rule.required_checks.clone()),
        "viewerCanPush" => {
            let may = caller::access(&world.github, call, it) >= Access::Write;
            value(may && protection::violation(it, branch, &login).is_none())
        }
        "allowsDeletions"
        | "allowsForcePushes"
        | "blocksCreations"
        | "requiresCodeOwnerReviews"
        | "requiresConversationResolution"
        | "requiresLinearHistory"
        | "requiresSignatures"
        | "viewerAllowedToDismissReviews" => value(false),
        _ => Err(Problem::Undefined),
    }
}

fn commit(it: &Repository, oid: &str, name: &str, arguments: &Map<String, Value>) -> Found {
    let commit = commits::read(&it.objects, oid).ok_or(Problem::Undefined)?;
    let (headline, body) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let path = arguments.get("path").and_then(Value::as_str);
    let person = |it: &commits::Person| {
        let login = it.email.strip_suffix("@users.noreply.github.com");
        let login = login.map(|name| name.split_once('+').map_or(name, |(_, login)| login));
        let user = login
            .filter(|login| !login.ends_with("[bot]"))
            .map(|login| json!({ "login": login, "id": format!("U_{}", caller::id(login)) }));
        let members =
            json!({ "name": it.name, "email": it.email, "date": links::date(it.at as f64), "user": user });
        Node::Plain("GitActor", super::answers::members(members))
    };
    match name {
        "id" => value(links::node("C", it, oid)),
        "oid" => value(oid),
        "abbreviatedOid" => value(&oid[..7]),
        "message" => value(commit.message.clone()),
        "messageHeadline" => value(headline),
        "messageBody" => value(body.trim_start_matches('\n')),
        "authoredDate" => value(links::date(commit.author.at as f64)),
        "committedDate" => value(links::date(commit.committer.at as f64)),
        "author" => node(Some(person(&commit.author))),
        "committer" => node(Some(person(&commit.committer))),
        "tree" => node(Some(Node::Tree(it.name.clone(), commit.tree.clone()))),
        "url" | "commitUrl" => value(links::site(it, &format!("/commit/{oid}"))),
        "treeUrl" => value(links::site(it, &format!("/tree/{oid}"))),
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        "signature" => Ok(Out::Null),
        "file" => {
            let path = path.unwrap_or_default().trim_matches('/');
            let found = trees::find(&it.objects, &commit.tree, path).filter(|_| !path.is_empty());
            node(found.map(|entry| Node::Entry(it.name.clone(), path.to_owned(), entry)))
        }
        "history" => {
            let oids = match path {
                Some(path) => commits::log_of(&it.objects, oid, path),
                None => commits::log(&it.objects, oid),
            };
            let nodes = oids.into_iter().map(|oid| Node::Commit(it.name.clone(), oid)).collect();
            Ok(Out::Node(paged("CommitHistoryConnection", nodes, arguments)))
        }
        "parents" => {
            let nodes = commit.parents.iter().map(|oid| Node::Commit(it.name.clone(), oid.clone())).collect();
            Ok(Out::Node(paged("CommitConnection", nodes, arguments)))
        }
        _ => Err(Problem::Undefined),
    }
}

fn tree(it: &Repository, oid: &str, name: &str) -> Found {
    match name {
        "id" => value(links::node("T", it, oid)),
        "oid" => value(oid),
        "abbreviatedOid" => value(&oid[..7]),
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        // A folder does not know where it is: paths begin with it.
        "entries" => {
            let entries = trees::read(&it.objects, oid).into_iter();
            Ok(Out::List(entries.map(|(name, entry)| Node::Entry(it.name.clone(), name, entry)).collect()))
        }
        _ => Err(Problem::Undefined),
    }
}

fn blob(it: &Repository, oid: &str, name: &str) -> Found {
    let bytes = it.objects.get(Kind::Blob, oid).ok_or(Problem::Undefined)?;
    let binary = bytes.iter().take(8000).any(|byte| *byte == 0);
    match name {
        "id" => value(links::node("B", it, oid)),
        "oid" => value(oid),
        "abbreviatedOid" => value(&oid[..7]),
        "byteSize" => value(bytes.len()),
        "isBinary" => value(binary),
        "isTruncated" => value(bytes.len() > LONGEST),
        // What is not UTF-8 is made so: the text then says nothing about the bytes.
        "text" if !binary => value(String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)])),
        "text" => Ok(Out::Null),
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        _ => Err(Problem::Undefined),
    }
}

fn entry(it: &Repository, path: &str, entry: &Entry, name: &str) -> Found {
    let short = path.rsplit('/').next().unwrap_or(path);
    match name {
        "name" => value(short),
        "path" => value(path),
        "oid" => value(entry.oid.clone()),
        "type" => value(entry.kind()),
        "mode" => value(u32::from_str_radix(&entry.mode, 8).unwrap_or_default()),
        "size" => value(it.objects.get(Kind::Blob, &entry.oid).map_or(0, <[u8]>::len)),
        "extension" => value(short.rsplit_once('.').map(|(_, end)| format!(".{end}"))),
        "isGenerated" => value(false),
        "object" => node(thing(it, &entry.oid)),
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        "submodule" => Ok(Out::Null),
        _ => Err(Problem::Undefined),
    }
}

fn state(pull: &super::pulls::Pull) -> &'static str {
    match (pull.open, &pull.merged) {
        (true, _) => "OPEN",
        (false, Some(_)) => "MERGED",
        (false, None) => "CLOSED",
    }
}

fn pull(it: &Repository, number: usize, name: &str, now: f64) -> Found {
    let pull = &it.pulls[number - 1];
    let tip = |branch: &str| it.seen(&branch_ref(branch), now).unwrap_or_default();
    let standing = standing(it, number).filter(|_| pull.open);
    match name {
        "id" => value(links::node("PR", it, &number.to_string())),
        "number" => value(number),
        "title" => value(pull.title.clone()),
        "body" => value(pull.body.clone().unwrap_or_default()),
        "state" => value(state(pull)),
        "isDraft" => value(pull.draft),
        "merged" => value(pull.merged.is_some()),
        "closed" => value(!pull.open),
        "url" => value(links::site(it, &format!("/pull/{number}"))),
        "headRefName" => value(pull.head.clone()),
        "baseRefName" => value(pull.base.clone()),
        "headRefOid" => value(it.seen(&branch_ref(&pull.head), now).or(pull.last_head.clone())),
        "baseRefOid" => value(tip(&pull.base)),
        "createdAt" => value(links::date(pull.created)),
        "updatedAt" => value(links::date(pull.updated)),
        "mergedAt" => value(pull.merged.as_ref().map(|(_, at)| links::date(*at))),
        "mergeable" => value(match standing {
            None => "UNKNOWN",
            Some(Standing::Dirty) => "CONFLICTING",
            Some(_) => "MERGEABLE",
        }),
        "mergeStateStatus" => value(standing.map_or("UNKNOWN".into(), |it| it.word().to_uppercase())),
        "mergeCommit" => {
            let oid = pull.merged.as_ref().map(|(oid, _)| oid.clone());
            node(oid.map(|oid| Node::Commit(it.name.clone(), oid)))
        }
        "author" => {
            node(Some(account(if pull.author.ends_with("[bot]") { "Bot" } else { "User" }, &pull.author)))
        }
        "repository" => node(Some(Node::Repository(it.name.clone()))),
        "autoMergeRequest" => node(pull.auto_merge.as_ref().map(|method| {
            let members = json!({
                "mergeMethod": method.to_uppercase(), "enabledAt": links::date(pull.updated),
                "commitHeadline": pull.title, "commitBody": "", "authorEmail": null,
            });
            Node::Plain("AutoMergeRequest", super::answers::members(members))
        })),
        _ => Err(Problem::Undefined),
    }
}
