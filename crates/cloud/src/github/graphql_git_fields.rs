//! Fields of Git objects in GitHub's GraphQL schema: commits, trees, blobs, entries.

use serde_json::{Map, Value, json};

use super::git_objects::ObjectKind;
use super::graphql_fields::{optional_node, scalar_value};
use super::graphql_nodes::{FieldError, FieldValue, GraphqlNode, Resolved, paginate};
use super::refs::resolve_ref;
use super::state::GitHubRepository;
use super::trees::{self, TreeEntry};
use super::{auth, commits, urls};

/// Blobs longer than this are cut off.
const MAX_TEXT_BYTES: usize = 512_000;

/// The object with this id, or that an expression such as `main:path` names.
pub(super) fn find_object(
    it: &GitHubRepository,
    oid: Option<&str>,
    expression: Option<&str>,
    now: f64,
) -> Option<GraphqlNode> {
    if let Some(oid) = oid {
        return object_node(it, oid);
    }
    let oid = match expression?.split_once(':') {
        Some((name, path)) => commits::entry_at(&it.objects, &resolve_ref(it, name, now)?, path)?.oid,
        None => resolve_ref(it, expression?, now)?,
    };
    object_node(it, &oid)
}

/// The node of an object.
pub(super) fn object_node(it: &GitHubRepository, oid: &str) -> Option<GraphqlNode> {
    let (of, own) = (it.name.clone(), oid.to_owned());
    Some(match it.objects.kind(oid)? {
        ObjectKind::Blob => GraphqlNode::Blob(of, own),
        ObjectKind::Tree => GraphqlNode::Tree(of, own),
        ObjectKind::Commit => GraphqlNode::Commit(of, own),
    })
}

/// A field of a commit.
pub(super) fn commit_field(
    it: &GitHubRepository,
    oid: &str,
    name: &str,
    arguments: &Map<String, Value>,
) -> Resolved {
    let commit = commits::read_commit(&it.objects, oid).ok_or(FieldError::Undefined)?;
    let (headline, body) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    let path = arguments.get("path").and_then(Value::as_str);
    let person = |it: &commits::GitSignature| {
        let login = it.email.strip_suffix("@users.noreply.github.com");
        let login = login.map(|name| name.split_once('+').map_or(name, |(_, login)| login));
        let user = login
            .filter(|login| !login.ends_with("[bot]"))
            .map(|login| json!({ "login": login, "id": format!("U_{}", auth::account_id(login)) }));
        let members = json!({ "name": it.name, "email": it.email, "date": urls::format_date(it.timestamp as f64), "user": user });
        GraphqlNode::Plain("GitActor", super::responses::into_members(members))
    };
    match name {
        "id" => scalar_value(urls::node_id("C", it, oid)),
        "oid" => scalar_value(oid),
        "abbreviatedOid" => scalar_value(&oid[..7]),
        "message" => scalar_value(commit.message.clone()),
        "messageHeadline" => scalar_value(headline),
        "messageBody" => scalar_value(body.trim_start_matches('\n')),
        "authoredDate" => scalar_value(urls::format_date(commit.author.timestamp as f64)),
        "committedDate" => scalar_value(urls::format_date(commit.committer.timestamp as f64)),
        "author" => optional_node(Some(person(&commit.author))),
        "committer" => optional_node(Some(person(&commit.committer))),
        "tree" => optional_node(Some(GraphqlNode::Tree(it.name.clone(), commit.tree.clone()))),
        "url" | "commitUrl" => scalar_value(urls::html_url(it, &format!("/commit/{oid}"))),
        "treeUrl" => scalar_value(urls::html_url(it, &format!("/tree/{oid}"))),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        "signature" => Ok(FieldValue::Null),
        "file" => {
            let path = path.unwrap_or_default().trim_matches('/');
            let found = trees::find_entry(&it.objects, &commit.tree, path).filter(|_| !path.is_empty());
            optional_node(found.map(|entry| GraphqlNode::Entry(it.name.clone(), path.to_owned(), entry)))
        }
        "history" => {
            let oids = match path {
                Some(path) => commits::list_commits_of_path(&it.objects, oid, path),
                None => commits::list_commits(&it.objects, oid),
            };
            let nodes = oids.into_iter().map(|oid| GraphqlNode::Commit(it.name.clone(), oid)).collect();
            Ok(FieldValue::Node(paginate("CommitHistoryConnection", nodes, arguments)))
        }
        "parents" => {
            let nodes =
                commit.parents.iter().map(|oid| GraphqlNode::Commit(it.name.clone(), oid.clone())).collect();
            Ok(FieldValue::Node(paginate("CommitConnection", nodes, arguments)))
        }
        _ => Err(FieldError::Undefined),
    }
}

/// A field of a tree.
pub(super) fn tree_field(it: &GitHubRepository, oid: &str, name: &str) -> Resolved {
    match name {
        "id" => scalar_value(urls::node_id("T", it, oid)),
        "oid" => scalar_value(oid),
        "abbreviatedOid" => scalar_value(&oid[..7]),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        // A folder does not know where it is: paths begin with it.
        "entries" => {
            let entries = trees::read_tree(&it.objects, oid).into_iter();
            Ok(FieldValue::List(
                entries.map(|(name, entry)| GraphqlNode::Entry(it.name.clone(), name, entry)).collect(),
            ))
        }
        _ => Err(FieldError::Undefined),
    }
}

/// A field of a blob.
pub(super) fn blob_field(it: &GitHubRepository, oid: &str, name: &str) -> Resolved {
    let bytes = it.objects.get(ObjectKind::Blob, oid).ok_or(FieldError::Undefined)?;
    let binary = bytes.iter().take(8000).any(|byte| *byte == 0);
    match name {
        "id" => scalar_value(urls::node_id("B", it, oid)),
        "oid" => scalar_value(oid),
        "abbreviatedOid" => scalar_value(&oid[..7]),
        "byteSize" => scalar_value(bytes.len()),
        "isBinary" => scalar_value(binary),
        "isTruncated" => scalar_value(bytes.len() > MAX_TEXT_BYTES),
        // What is not UTF-8 is made so: the text then says nothing about the bytes.
        "text" if !binary => scalar_value(String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_TEXT_BYTES)])),
        "text" => Ok(FieldValue::Null),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        _ => Err(FieldError::Undefined),
    }
}

/// A field of an entry of a tree.
pub(super) fn entry_field(it: &GitHubRepository, path: &str, entry: &TreeEntry, name: &str) -> Resolved {
    let short = path.rsplit('/').next().unwrap_or(path);
    match name {
        "name" => scalar_value(short),
        "path" => scalar_value(path),
        "oid" => scalar_value(entry.oid.clone()),
        "type" => scalar_value(entry.object_type()),
        "mode" => scalar_value(u32::from_str_radix(&entry.mode, 8).unwrap_or_default()),
        "size" => scalar_value(it.objects.get(ObjectKind::Blob, &entry.oid).map_or(0, <[u8]>::len)),
        "extension" => scalar_value(short.rsplit_once('.').map(|(_, end)| format!(".{end}"))),
        "isGenerated" => scalar_value(false),
        "object" => optional_node(object_node(it, &entry.oid)),
        "repository" => optional_node(Some(GraphqlNode::Repository(it.name.clone()))),
        "submodule" => Ok(FieldValue::Null),
        _ => Err(FieldError::Undefined),
    }
}
