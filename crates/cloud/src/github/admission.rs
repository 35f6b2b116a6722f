//! What GitHub refuses before it looks at a request: bad tokens, rates, and faults of requests.

use super::auth;
use super::rate_limits::ExceededLimit;
use super::responses::with_headers;
use super::scenario::RepositoryAccess;
use crate::faults::Fault;
use crate::request::{ServiceCall, ServiceError};
use crate::world::World;

/// The refusal that a request meets before anything is done.
pub fn check_github_call(
    world: &mut World,
    call: &ServiceCall,
    throttling: bool,
    now: f64,
) -> Option<ServiceError> {
    // Rates and faults are those of the API.
    if call.operation.starts_with("upload-pack/") {
        return None;
    }
    let refusal = reject_unauthorized(world, call)
        .or_else(|| trigger_rate_limit(world, call, now))
        .or_else(|| trigger_throttle(world, call))
        .or_else(|| check_rate_limit(world, call, throttling, now))
        .or_else(|| trigger_server_error(world, call, now))?;
    let usage = auth::rate_limit_usage(&world.github, call);
    let headers = world.github.rate_limits.headers(usage, now);
    with_headers(Err(refusal), headers).err()
}

/// The error that a fault returns for a call that took effect.
pub fn replace_answer(world: &mut World, call: &ServiceCall) -> Option<ServiceError> {
    let triggered = world.faults.trigger_first(|fault, spent| match fault {
        Fault::BadGateway(it) => it.effect && spent < it.times && matches_operation(&it.operation, call),
        _ => false,
    });
    triggered.then(bad_gateway_error)
}

fn matches_operation(operation: &str, call: &ServiceCall) -> bool {
    operation == "*" || operation == call.operation
}

fn bad_gateway_error() -> ServiceError {
    ServiceError::with_status(502, "BadGateway", "Server Error")
}

fn reject_unauthorized(world: &World, call: &ServiceCall) -> Option<ServiceError> {
    let token = auth::caller_token(&world.github, call);
    match token {
        Some(token) if token.access == RepositoryAccess::Invalid => {
            Some(ServiceError::with_status(401, "Unauthorized", "Bad credentials"))
        }
        None if auth::rate_limit_usage(&world.github, call).resource == "graphql" => Some(
            ServiceError::with_status(401, "Unauthorized", "This endpoint requires you to be authenticated."),
        ),
        _ => None,
    }
}

/// A rate limit of the scenario.
fn trigger_rate_limit(world: &mut World, call: &ServiceCall, now: f64) -> Option<ServiceError> {
    let mut found = None;
    world.faults.trigger_first(|fault, spent| match fault {
        Fault::RateLimit(it) if spent < it.times && matches_operation(&it.operation, call) => {
            found = Some(it.clone());
            true
        }
        _ => false,
    });
    let it = found?;
    let usage = auth::rate_limit_usage(&world.github, call);
    match it.resets_after {
        Some(seconds) => {
            world.github.rate_limits.exhaust(usage, now + seconds);
            Some(rate_limit_error(ExceededLimit::Primary, None, call))
        }
        None => Some(rate_limit_error(ExceededLimit::Secondary, it.retry_after, call)),
    }
}

/// The throttling of a scenario, as for any service.
fn trigger_throttle(world: &mut World, call: &ServiceCall) -> Option<ServiceError> {
    let triggered = world.faults.trigger_first(|fault, spent| match fault {
        Fault::Throttle(calls) => calls.applies_to(&call.operation, spent),
        _ => false,
    });
    triggered.then(|| rate_limit_error(ExceededLimit::Secondary, Some(60), call))
}

/// The rates that GitHub documents.
fn check_rate_limit(
    world: &mut World,
    call: &ServiceCall,
    throttling: bool,
    now: f64,
) -> Option<ServiceError> {
    // A primary limit that a scenario set holds without throttling too.
    let usage = auth::rate_limit_usage(&world.github, call);
    let taken = world.github.rate_limits.count_request(usage, now);
    match taken {
        Err(ExceededLimit::Secondary) if !throttling => None,
        Err(limit) => Some(rate_limit_error(limit, Some(60), call)),
        Ok(()) => None,
    }
}

fn rate_limit_error(limit: ExceededLimit, retry_after: Option<u32>, call: &ServiceCall) -> ServiceError {
    let who = call.access_key.as_deref().map_or("this address", |_| "installation");
    let refusal = match limit {
        ExceededLimit::Primary => {
            let message = format!("API rate limit exceeded for {who}.");
            ServiceError::with_status(403, "RateLimited", message)
        }
        ExceededLimit::Secondary => ServiceError::with_status(
            403,
            "SecondaryRateLimit",
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        ),
    };
    let header = retry_after.filter(|_| limit == ExceededLimit::Secondary);
    let headers = header.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
    let refusal = super::responses::with_members(
        refusal,
        [("documentation_url", "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api".into())],
    );
    match with_headers(Err(refusal), headers.into_iter().collect()) {
        Err(refusal) => refusal,
        Ok(_) => bad_gateway_error(),
    }
}

/// Server errors: by count, or for a while from the client's first deployment or the world's beginning.
fn trigger_server_error(world: &mut World, call: &ServiceCall, now: f64) -> Option<ServiceError> {
    let began = world.faults.first_deployment.unwrap_or(world.faults.started_at);
    let triggered = world.faults.trigger_first(|fault, spent| match fault {
        Fault::BadGateway(it) => !it.effect && spent < it.times && matches_operation(&it.operation, call),
        Fault::ServerErrors(burst) => {
            let from = began + burst.from;
            (from..from + burst.lasts).contains(&now)
                && burst.operation.as_deref().is_none_or(|only| matches_operation(only, call))
        }
        _ => false,
    });
    triggered.then(bad_gateway_error)
}
