//! Who calls, and what that token may do.

use super::commits::GitSignature;
use super::permissions::{self, PermissionLevel};
use super::rate_limits::{ANONYMOUS_HOURLY_LIMIT, HOURLY_LIMIT, RateLimitUsage};
use super::responses::{graphql_error, not_found};
use super::scenario::{GitHubToken, RepositoryAccess, bot};
use super::state::{GitHubRepository, GitHubState};
use crate::request::{ServiceCall, ServiceError};

/// A token; one that is not listed is the workflow's own.
pub fn caller_token(state: &GitHubState, call: &ServiceCall) -> Option<GitHubToken> {
    let text = call.access_key.as_deref()?;
    Some(state.tokens.get(text).unwrap_or(&state.job_token).clone())
}

/// The login that answers speak of.
pub fn caller_login(state: &GitHubState, call: &ServiceCall) -> String {
    caller_token(state, call).map_or_else(String::new, |token| token.login)
}

/// The caller as the author of a commit at `now`, epoch seconds.
pub fn caller_signature(state: &GitHubState, call: &ServiceCall, now: f64) -> GitSignature {
    let login = caller_login(state, call);
    let email = format!("{}@users.noreply.github.com", noreply_name(&login));
    GitSignature { name: login, email, timestamp: now as i64 }
}

/// GitHub itself, which commits what is changed through its APIs.
pub fn web_flow_signature(now: f64) -> GitSignature {
    GitSignature { name: "GitHub".into(), email: "noreply@github.com".into(), timestamp: now as i64 }
}

/// The number of an account.
pub fn account_id(login: &str) -> u64 {
    if login == bot() {
        41_898_282
    } else {
        login.bytes().fold(1000, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
    }
}

fn noreply_name(login: &str) -> String {
    format!("{}+{login}", account_id(login))
}

/// The request as rates count it.
pub fn rate_limit_usage<'a>(state: &GitHubState, call: &'a ServiceCall) -> RateLimitUsage<'a> {
    let hourly = match caller_token(state, call) {
        Some(token) => token.hourly.unwrap_or(HOURLY_LIMIT),
        None => ANONYMOUS_HOURLY_LIMIT,
    };
    let by_graphql = call.input.get("query").is_some_and(serde_json::Value::is_string);
    RateLimitUsage {
        token: call.access_key.as_deref().unwrap_or_default(),
        hourly_limit: hourly,
        resource: if by_graphql { "graphql" } else { "core" },
        is_mutation: super::is_mutating(&call.operation),
    }
}

/// What the caller may do with a repository.
pub fn repository_access(
    state: &GitHubState,
    call: &ServiceCall,
    repository: &GitHubRepository,
) -> RepositoryAccess {
    let public = if repository.is_private { RepositoryAccess::None } else { RepositoryAccess::Read };
    let Some(token) = caller_token(state, call) else { return public };
    let listed = token.repositories.as_ref().is_none_or(|names| names.contains(&repository.name));
    if listed { token.access.max(public) } else { public }
}

/// The repository of a REST call, when the caller may do this with it. Names are the same in any case.
pub fn authorize(
    state: &GitHubState,
    call: &ServiceCall,
    wanted: RepositoryAccess,
) -> Result<String, ServiceError> {
    let part = |name: &str| call.input[name].as_str().unwrap_or_default();
    let repository =
        find_repository(state, &format!("{}/{}", part("owner"), part("repo"))).ok_or_else(not_found)?;
    match repository_access(state, call, repository) {
        RepositoryAccess::Invalid | RepositoryAccess::None => Err(not_found()),
        _ if call.access_key.is_none() && wanted == RepositoryAccess::Write => {
            Err(ServiceError::with_status(401, "Unauthorized", "Requires authentication"))
        }
        RepositoryAccess::Read if wanted == RepositoryAccess::Write => {
            Err(ServiceError::with_status(403, "Forbidden", inaccessible_message(&caller_login(state, call))))
        }
        _ if !has_permission(state, call, repository, &call.operation, wanted) => {
            Err(ServiceError::with_status(403, "Forbidden", inaccessible_message(&caller_login(state, call))))
        }
        _ if wanted == RepositoryAccess::Write && repository.is_archived => {
            Err(ServiceError::with_status(403, "Forbidden", ARCHIVED_MESSAGE))
        }
        _ => Ok(repository.name.clone()),
    }
}

/// Whether the permissions of the caller's token are enough for this.
pub fn has_permission(
    state: &GitHubState,
    call: &ServiceCall,
    repository: &GitHubRepository,
    operation: &str,
    wanted: RepositoryAccess,
) -> bool {
    let right =
        if wanted == RepositoryAccess::Write { PermissionLevel::Write } else { PermissionLevel::Read };
    caller_token(state, call)
        .is_none_or(|token| permissions::is_allowed(&token, operation, right, repository.is_private))
}

/// The repository of a mutation, when the caller may change it.
pub fn writable_repository(
    state: &GitHubState,
    call: &ServiceCall,
    name: &str,
) -> Result<String, ServiceError> {
    let repository = readable_repository(state, call, name)?;
    let may = has_permission(state, call, repository, &call.operation, RepositoryAccess::Write);
    if repository_access(state, call, repository) < RepositoryAccess::Write || !may {
        return Err(graphql_error("FORBIDDEN", inaccessible_message(&caller_login(state, call))));
    }
    if repository.is_archived {
        return Err(graphql_error("UNPROCESSABLE", ARCHIVED_MESSAGE));
    }
    Ok(repository.name.clone())
}

/// The repository of a query, when the caller may read it.
pub fn readable_repository<'a>(
    state: &'a GitHubState,
    call: &ServiceCall,
    name: &str,
) -> Result<&'a GitHubRepository, ServiceError> {
    find_repository(state, name)
        .filter(|repository| repository_access(state, call, repository) >= RepositoryAccess::Read)
        .ok_or_else(|| {
            graphql_error("NOT_FOUND", format!("Could not resolve to a Repository with the name '{name}'."))
        })
}

const ARCHIVED_MESSAGE: &str = "Repository was archived so is read-only.";

fn find_repository<'a>(state: &'a GitHubState, name: &str) -> Option<&'a GitHubRepository> {
    state.repositories.values().find(|repository| repository.name.eq_ignore_ascii_case(name))
}

/// The words for what a token may not do.
pub fn inaccessible_message(login: &str) -> &'static str {
    if login.ends_with("[bot]") {
        "Resource not accessible by integration"
    } else {
        "Resource not accessible by personal access token"
    }
}
