//! Deployments in the GraphQL API.

use serde_json::{Map, Value};

use super::deployments::{GitHubDeployment, GitHubDeploymentStatus};
use super::graphql_fields::account_node;
use super::graphql_nodes::{FieldError, FieldValue, GraphqlNode, Resolved, paginate};
use super::responses::graphql_error;
use super::scenario::RepositoryAccess;
use super::state::GitHubRepository;
use super::{auth, urls};
use crate::request::ServiceCall;
use crate::world::World;

fn scalar_value(value: impl Into<Value>) -> Resolved {
    Ok(FieldValue::Value(value.into()))
}

/// An address, or nothing where there is none.
fn optional_url(text: &str) -> Resolved {
    if text.is_empty() { Ok(FieldValue::Null) } else { scalar_value(text) }
}

/// The field `deployments` of a repository: the oldest first, unless `orderBy` says otherwise.
pub fn deployments_connection(it: &GitHubRepository, arguments: &Map<String, Value>) -> Resolved {
    check_page_size(arguments)?;
    let environments = arguments.get("environments").and_then(|names| match names {
        Value::Array(names) => Some(names.clone()),
        Value::Null => None,
        one => Some(vec![one.clone()]),
    });
    let fits = |one: &&GitHubDeployment| {
        environments.as_ref().is_none_or(|names| names.iter().any(|name| *name == one.environment))
    };
    let mut found: Vec<&GitHubDeployment> = it.deployments.iter().filter(fits).collect();
    if arguments.get("orderBy").is_some_and(|order| order["direction"] == "DESC") {
        found.reverse();
    }
    let nodes = found.iter().map(|one| GraphqlNode::Deployment(it.name.clone(), one.id)).collect();
    Ok(FieldValue::Node(paginate("DeploymentConnection", nodes, arguments)))
}

/// A page has a size, of 100 at most.
fn check_page_size(arguments: &Map<String, Value>) -> Result<(), FieldError> {
    let size = |name: &str| arguments.get(name).and_then(Value::as_u64).map(|size| (name.to_owned(), size));
    let (code, message) = match size("first").or_else(|| size("last")) {
        None => (
            "MISSING_PAGINATION_BOUNDARIES",
            "You must provide a `first` or `last` value to properly paginate the `deployments` connection."
                .to_owned(),
        ),
        Some((name, size)) if size > 100 => (
            "EXCESSIVE_PAGINATION",
            format!(
                "Requesting {size} records on the `deployments` connection exceeds the `{name}` limit of 100 records."
            ),
        ),
        Some(_) => return Ok(()),
    };
    Err(FieldError::Rejected(graphql_error(code, message)))
}

/// The deployments with these node ids that the caller can read. One that is not there, or not for the caller, is an error
/// of the field.
pub fn deployments_by_node_id(world: &World, call: &ServiceCall, ids: &[Value]) -> Resolved {
    let find = |id: &Value| {
        let text = id.as_str().unwrap_or_default();
        let readable = |it: &&GitHubRepository| {
            auth::readable_repository(&world.github, call, &it.name).is_ok()
                && auth::has_permission(&world.github, call, it, "deployments", RepositoryAccess::Read)
        };
        let is_own = |it: &GitHubRepository, one: &GitHubDeployment| {
            urls::node_id("DE", it, &one.id.to_string()) == text
        };
        let mut all = world.github.repositories.values().filter(readable).flat_map(|it| {
            let own = it.deployments.iter().find(|one| is_own(it, one));
            own.map(|one| GraphqlNode::Deployment(it.name.clone(), one.id))
        });
        let missing = || {
            let message = format!("Could not resolve to a node with the global id of '{text}'");
            FieldError::Rejected(graphql_error("NOT_FOUND", message))
        };
        all.next().ok_or_else(missing)
    };
    Ok(FieldValue::List(ids.iter().map(find).collect::<Result<_, _>>()?))
}

/// A field of a deployment.
pub fn deployment_field(
    it: &GitHubRepository,
    id: u64,
    name: &str,
    arguments: &Map<String, Value>,
    now: f64,
) -> Resolved {
    let own = it.deployment(id).ok_or(FieldError::Undefined)?;
    let status_node = |status: &GitHubDeploymentStatus| GraphqlNode::Status(it.name.clone(), id, status.id);
    match name {
        "id" => scalar_value(urls::node_id("DE", it, &id.to_string())),
        "databaseId" => scalar_value(id),
        "commitOid" => scalar_value(own.sha.clone()),
        "commit" => Ok(FieldValue::Node(GraphqlNode::Commit(it.name.clone(), own.sha.clone()))),
        "createdAt" => scalar_value(urls::format_date(own.created_at)),
        "updatedAt" => scalar_value(urls::format_date(own.updated_at)),
        "creator" => Ok(FieldValue::Node(account_node(account_type(&own.creator), &own.creator))),
        "description" => scalar_value(own.description.clone()),
        "environment" | "latestEnvironment" => scalar_value(own.environment.clone()),
        "originalEnvironment" => scalar_value(own.original_environment.clone()),
        "payload" => scalar_value(own.payload_text()),
        "task" => scalar_value(own.task.clone()),
        "state" => scalar_value(own.graphql_state(now)),
        "latestStatus" => {
            Ok(own.statuses.last().map_or(FieldValue::Null, |status| FieldValue::Node(status_node(status))))
        }
        "statuses" => {
            let nodes = own.statuses.iter().rev().map(status_node).collect();
            Ok(FieldValue::Node(paginate("DeploymentStatusConnection", nodes, arguments)))
        }
        "repository" => Ok(FieldValue::Node(GraphqlNode::Repository(it.name.clone()))),
        _ => Err(FieldError::Undefined),
    }
}

/// A field of a status.
pub fn status_field(it: &GitHubRepository, deployment: u64, id: u64, name: &str) -> Resolved {
    let on = it.deployment(deployment).ok_or(FieldError::Undefined)?;
    let own = on.statuses.iter().find(|status| status.id == id).ok_or(FieldError::Undefined)?;
    match name {
        "id" => scalar_value(urls::node_id("DES", it, &id.to_string())),
        "state" => scalar_value(own.state.to_uppercase()),
        "description" => scalar_value(own.description.clone()),
        "logUrl" => optional_url(&own.log_url),
        "environmentUrl" => optional_url(&own.environment_url),
        "environment" => scalar_value(on.environment.clone()),
        "createdAt" | "updatedAt" => scalar_value(urls::format_date(own.created_at)),
        "creator" => Ok(FieldValue::Node(account_node(account_type(&own.creator), &own.creator))),
        "deployment" => Ok(FieldValue::Node(GraphqlNode::Deployment(it.name.clone(), deployment))),
        _ => Err(FieldError::Undefined),
    }
}

/// The type of an account.
fn account_type(login: &str) -> &'static str {
    if login.ends_with("[bot]") { "Bot" } else { "User" }
}
