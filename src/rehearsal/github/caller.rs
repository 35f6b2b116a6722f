//! Who calls, and what that token may do.

use super::answers::{graphql, not_found};
use super::commits::Person;
use super::limits::{ANONYMOUS, HOURLY, Use};
use super::rights::{self, Right};
use super::settings::{Access, Token, bot};
use super::state::{Repository, State};
use crate::rehearsal::call::{Call, Refusal};
use crate::rehearsal::dispatch;

/// A token; one that is not listed is the workflow's own.
pub fn token(state: &State, call: &Call) -> Option<Token> {
    let text = call.access_key.as_deref()?;
    Some(state.tokens.get(text).unwrap_or(&state.job_token).clone())
}

/// The login that answers speak of.
pub fn login(state: &State, call: &Call) -> String {
    token(state, call).map_or_else(String::new, |token| token.login)
}

/// The caller as the author of a commit at `now`, epoch seconds.
pub fn person(state: &State, call: &Call, now: f64) -> Person {
    let login = login(state, call);
    let email = format!("{}@users.noreply.github.com", numbered(&login));
    Person { name: login, email, at: now as i64 }
}

/// GitHub itself, which commits what is changed through its APIs.
pub fn web_flow(now: f64) -> Person {
    Person { name: "GitHub".into(), email: "noreply@github.com".into(), at: now as i64 }
}

/// The number of an account.
pub fn id(login: &str) -> u64 {
    if login == bot() {
        41_898_282
    } else {
        login.bytes().fold(1000, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
    }
}

fn numbered(login: &str) -> String {
    format!("{}+{login}", id(login))
}

/// The request as rates count it.
pub fn usage<'a>(state: &State, call: &'a Call) -> Use<'a> {
    let hourly = match token(state, call) {
        Some(token) => token.hourly.unwrap_or(HOURLY),
        None => ANONYMOUS,
    };
    let by_graphql = call.input.get("query").is_some_and(serde_json::Value::is_string);
    Use {
        token: call.access_key.as_deref().unwrap_or_default(),
        hourly,
        resource: if by_graphql { "graphql" } else { "core" },
        mutating: dispatch::mutates(&call.operation),
    }
}

/// What the caller may do with a repository.
pub fn access(state: &State, call: &Call, repository: &Repository) -> Access {
    let public = if repository.private { Access::None } else { Access::Read };
    let Some(token) = token(state, call) else { return public };
    let listed = token.repositories.as_ref().is_none_or(|names| names.contains(&repository.name));
    if listed { token.access.max(public) } else { public }
}

/// The repository of a REST call, when the caller may do this with it. Names are the same in any case.
pub fn repository(state: &State, call: &Call, wanted: Access) -> Result<String, Refusal> {
    let part = |name: &str| call.input[name].as_str().unwrap_or_default();
    let repository = named(state, &format!("{}/{}", part("owner"), part("repo"))).ok_or_else(not_found)?;
    match access(state, call, repository) {
        Access::Invalid | Access::None => Err(not_found()),
        _ if call.access_key.is_none() && wanted == Access::Write => {
            Err(Refusal::of(401, "Unauthorized", "Requires authentication"))
        }
        Access::Read if wanted == Access::Write => {
            Err(Refusal::of(403, "Forbidden", inaccessible(&login(state, call))))
        }
        _ if !may(state, call, repository, &call.operation, wanted) => {
            Err(Refusal::of(403, "Forbidden", inaccessible(&login(state, call))))
        }
        _ if wanted == Access::Write && repository.archived => Err(Refusal::of(403, "Forbidden", ARCHIVED)),
        _ => Ok(repository.name.clone()),
    }
}

/// Whether the permissions of the caller's token are enough for this.
pub fn may(state: &State, call: &Call, repository: &Repository, operation: &str, wanted: Access) -> bool {
    let right = if wanted == Access::Write { Right::Write } else { Right::Read };
    token(state, call).is_none_or(|token| rights::allow(&token, operation, right, repository.private))
}

/// The repository of a mutation, when the caller may change it.
pub fn changeable(state: &State, call: &Call, name: &str) -> Result<String, Refusal> {
    let repository = readable(state, call, name)?;
    let may = may(state, call, repository, &call.operation, Access::Write);
    if access(state, call, repository) < Access::Write || !may {
        return Err(graphql("FORBIDDEN", inaccessible(&login(state, call))));
    }
    if repository.archived {
        return Err(graphql("UNPROCESSABLE", ARCHIVED));
    }
    Ok(repository.name.clone())
}

/// The repository of a query, when the caller may read it.
pub fn readable<'a>(state: &'a State, call: &Call, name: &str) -> Result<&'a Repository, Refusal> {
    named(state, name).filter(|repository| access(state, call, repository) >= Access::Read).ok_or_else(|| {
        graphql("NOT_FOUND", format!("Could not resolve to a Repository with the name '{name}'."))
    })
}

const ARCHIVED: &str = "Repository was archived so is read-only.";

fn named<'a>(state: &'a State, name: &str) -> Option<&'a Repository> {
    state.repositories.values().find(|repository| repository.name.eq_ignore_ascii_case(name))
}

/// The words for what a token may not do.
pub fn inaccessible(login: &str) -> &'static str {
    if login.ends_with("[bot]") {
        "Resource not accessible by integration"
    } else {
        "Resource not accessible by personal access token"
    }
}
