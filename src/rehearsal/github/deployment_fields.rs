//! Deployments in the GraphQL API.

use serde_json::{Map, Value};

use super::deployments::{Deployment, Status};
use super::fields::account;
use super::links;
use super::nodes::{Found, Node, Out, Problem, paged};
use super::state::Repository;

fn value(value: impl Into<Value>) -> Found {
    Ok(Out::Value(value.into()))
}

/// An address, or nothing where there is none.
fn address(text: &str) -> Found {
    if text.is_empty() { Ok(Out::Null) } else { value(text) }
}

/// The field `deployments` of a repository: the oldest first, unless it is asked for otherwise.
pub fn connection(it: &Repository, arguments: &Map<String, Value>) -> Node {
    let environments = arguments.get("environments").and_then(|names| match names {
        Value::Array(names) => Some(names.clone()),
        Value::Null => None,
        one => Some(vec![one.clone()]),
    });
    let fits = |one: &&Deployment| {
        environments.as_ref().is_none_or(|names| names.iter().any(|name| *name == one.environment))
    };
    let mut found: Vec<&Deployment> = it.deployments.iter().filter(fits).collect();
    if arguments.get("orderBy").is_some_and(|order| order["direction"] == "DESC") {
        found.reverse();
    }
    let nodes = found.iter().map(|one| Node::Deployment(it.name.clone(), one.id)).collect();
    paged("DeploymentConnection", nodes, arguments)
}

/// A field of a deployment.
pub fn deployment(it: &Repository, id: u64, name: &str, arguments: &Map<String, Value>, now: f64) -> Found {
    let own = it.deployment(id).ok_or(Problem::Undefined)?;
    let said = |status: &Status| Node::Status(it.name.clone(), id, status.id);
    match name {
        "id" => value(links::node("DE", it, &id.to_string())),
        "databaseId" => value(id),
        "commitOid" => value(own.sha.clone()),
        "commit" => Ok(Out::Node(Node::Commit(it.name.clone(), own.sha.clone()))),
        "createdAt" => value(links::date(own.created)),
        "updatedAt" => value(links::date(own.updated)),
        "creator" => Ok(Out::Node(account(kind(&own.creator), &own.creator))),
        "description" => value(own.description.clone()),
        "environment" | "latestEnvironment" => value(own.environment.clone()),
        "originalEnvironment" => value(own.original.clone()),
        "payload" => value(own.text()),
        "task" => value(own.task.clone()),
        "state" => value(own.state(now)),
        "latestStatus" => Ok(own.statuses.last().map_or(Out::Null, |status| Out::Node(said(status)))),
        "statuses" => {
            let nodes = own.statuses.iter().rev().map(said).collect();
            Ok(Out::Node(paged("DeploymentStatusConnection", nodes, arguments)))
        }
        "repository" => Ok(Out::Node(Node::Repository(it.name.clone()))),
        _ => Err(Problem::Undefined),
    }
}

/// A field of a status.
pub fn status(it: &Repository, deployment: u64, id: u64, name: &str) -> Found {
    let on = it.deployment(deployment).ok_or(Problem::Undefined)?;
    let own = on.statuses.iter().find(|status| status.id == id).ok_or(Problem::Undefined)?;
    match name {
        "id" => value(links::node("DES", it, &id.to_string())),
        "state" => value(own.state.to_uppercase()),
        "description" => value(own.description.clone()),
        "logUrl" => address(&own.log_url),
        "environmentUrl" => address(&own.environment_url),
        "environment" => value(on.environment.clone()),
        "createdAt" | "updatedAt" => value(links::date(own.created)),
        "creator" => Ok(Out::Node(account(kind(&own.creator), &own.creator))),
        "deployment" => Ok(Out::Node(Node::Deployment(it.name.clone(), deployment))),
        _ => Err(Problem::Undefined),
    }
}

/// The type of an account.
fn kind(login: &str) -> &'static str {
    if login.ends_with("[bot]") { "Bot" } else { "User" }
}
